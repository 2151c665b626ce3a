"""The declaration of a dangerous item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from .base import Payload
from .rules import OMIT, Choice, Text

__all__ = ["DangerousGoods"]

_Text: TypeAlias = Annotated[str | None, Text(1, none=OMIT)]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DangerousGoods(Payload):
    """The declaration of dangerous goods (contract: v3 ``dangerous-goods``). A field that is ``None`` is left out.

    The fields have the contract's names and meaning; quantities are text there.

    Raises:
        PayloadError: a field breaks the contract.
    """

    chemical_record_identifier: _Text = None
    regulation_set: Annotated[str | None, Choice("regulation set", ["IATA", "ADR"], none=OMIT)] = None
    packaging_type_quantity: _Text = None
    packaging_type: _Text = None
    packaging_instruction_code: _Text = None
    id_number: _Text = None
    class_division_number: _Text = None
    quantity: _Text = None
    unit_of_measurement: Annotated[str | None, Choice("unit", ["KG", "G", "L", "ML"], none=OMIT)] = None
    proper_shipping_name: _Text = None
    commodity_regulated_level_code: Annotated[str | None, Choice("regulated level", ["LQ", "EQ"], none=OMIT)] = None
    transportation_mode: Annotated[
        str | None, Choice("transportation mode", ["Highway", "Ground", "PAX", "CAO"], none=OMIT)
    ] = None
    emergency_contact_name: _Text = None
    emergency_contact_phone: _Text = None
    adr_packing_group_letter: Annotated[str | None, Choice("packing group", ["I", "II", "III"], none=OMIT)] = None
    local_proper_shipping_name: _Text = None
    transport_category: _Text = None
    tunnel_restriction_code: _Text = None
    weight_type: Annotated[str | None, Choice("weight type", ["Net", "Gross"], none=OMIT)] = None

    @property
    def subject(self) -> str:
        return "dangerous goods"
