"""The shipping option that a label shall be made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .base import Payload
from .rules import OMIT, Integer, Text

__all__ = ["ShipWith"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipWith(Payload):
    """A shipping option (contract: v3 ``ship-with``).

    Args:
        shipping_option_code: Sendcloud's code, for instance ``postnl:standard/insured=3000``.
        contract_id: Sendcloud's id of the contract with the carrier, 1 at least; ``None`` for the default one.

    Raises:
        PayloadError: a field breaks the contract.
    """

    shipping_option_code: Annotated[str, Text(1)]
    contract_id: Annotated[int | None, Integer(minimum=1, none=OMIT)] = None

    @property
    def subject(self) -> str:
        return "shipping option"
