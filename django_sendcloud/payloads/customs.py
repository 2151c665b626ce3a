"""Costs and tax numbers for customs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, TypeAlias

from .base import Extra, Payload
from .nested import Nested, NestedList
from .rules import OMIT, Amount, Text

__all__ = ["CustomsDetails", "Money", "TaxNumber", "TaxNumbers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Money(Payload):
    """An amount (contract: ``CostsObject``). A field that is ``None`` is left out.

    Args:
        value: In major units of the currency, two decimals at most.
        currency: ISO 4217 code. The contract sets no list here, unlike for a shipment's currency.

    Raises:
        PayloadError: a field breaks the contract.
    """

    value: Annotated[Decimal | None, Amount(none=OMIT)] = None
    currency: Annotated[str | None, Text(none=OMIT)] = None

    @property
    def subject(self) -> str:
        return "money"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TaxNumber(Payload):
    """A tax number (contract: ``TaxNumber``). A field that is ``None`` is left out.

    Args:
        name: Its kind, for instance ``VAT`` or ``EORI``.
        country_code: The country that issued it. Not held against :data:`COUNTRIES`, because tax numbers have
            codes of their own: ``EL`` for Greece, ``XI`` for Northern Ireland.
        value: The number. Personal data where the holder is a person.

    Raises:
        PayloadError: a field breaks the contract.
    """

    name: Annotated[str | None, Text(none=OMIT)] = None
    country_code: Annotated[str | None, Text(none=OMIT)] = None
    value: Annotated[str | None, Text(none=OMIT)] = None

    @property
    def subject(self) -> str:
        return "tax number"


_TaxNumberList: TypeAlias = Annotated[Sequence[TaxNumber], NestedList(TaxNumber)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxNumbers(Payload):
    """The tax numbers of all parties (contract: ``CustomsInformation.tax_numbers``).

    The contract's examples wrap each number as ``{"tax_number": {"country": ...}}``; its schema has
    them flat, with ``country_code``. The schema is what is sent.

    Args:
        sender: The sender's.
        receiver: The receiver's.
        importer_of_records: Those of the importer of record.

    Raises:
        PayloadError: a member is not a :class:`TaxNumber`.
    """

    sender: _TaxNumberList = ()
    receiver: _TaxNumberList = ()
    importer_of_records: _TaxNumberList = ()

    @property
    def subject(self) -> str:
        return "tax numbers"


_Costs: TypeAlias = Annotated[Money | None, Nested(Money, none=OMIT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomsDetails(Payload):
    """Costs and tax numbers for customs (contract: ``CustomsInformation``). A field that is ``None`` is left out.

    The contract's examples have the costs as bare strings; its schema wants an object with value
    and currency. The schema is what is sent.

    Args:
        discount_granted: Discount on the whole order.
        insurance_costs: Costs of insurance.
        freight_costs: Costs of transport.
        other_costs: Any other costs.
        tax_numbers: The tax numbers of all parties.
        extra: Fields of the contract that are newer than this package.

    Raises:
        PayloadError: a field breaks the contract.
    """

    discount_granted: _Costs = None
    insurance_costs: _Costs = None
    freight_costs: _Costs = None
    other_costs: _Costs = None
    tax_numbers: Annotated[TaxNumbers | None, Nested(TaxNumbers, none=OMIT)] = None
    extra: Extra = field(default_factory=dict, hash=False)

    @property
    def subject(self) -> str:
        return "customs details"
