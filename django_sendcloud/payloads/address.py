"""The address of the invoice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .base import Payload
from .rules import OMIT, Country, Email, Text

__all__ = ["Address"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Address(Payload):
    """An address beside that of the receiver (contract: v3 ``address``), with the field names of a shipment.

    Args:
        name: The person.
        company_name: Their company.
        address: Street, with or without the house number.
        address_2: Second line of the address.
        house_number: House number, where it is not part of ``address``.
        postal_code: Postal code.
        city: City.
        country: A code of :data:`COUNTRIES`.
        to_state: State or province where the country has them; ``None`` elsewhere.
        email: E-mail address.
        telephone: Telephone number.

    Raises:
        PayloadError: a field breaks the contract.
    """

    name: Annotated[str, Text(1)]
    company_name: Annotated[str, Text()] = ""
    address: Annotated[str, Text(1)]
    address_2: Annotated[str, Text()] = ""
    house_number: Annotated[str, Text()] = ""
    postal_code: Annotated[str, Text(1)]
    city: Annotated[str, Text(1)]
    country: Annotated[str, Country()]
    to_state: Annotated[str | None, Text(1, none=OMIT)] = None
    email: Annotated[str, Email()] = ""
    telephone: Annotated[str, Text()] = ""

    @property
    def subject(self) -> str:
        return "address"
