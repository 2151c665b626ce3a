"""From the units shops keep to the units the contract wants, exactly."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["cents", "grams"]


def grams(weight: int) -> Decimal:
    """Return grams as kg: ``grams(1250)`` is ``Decimal("1.250")``.

    Raises:
        TypeError: it is not a whole number.
    """
    return _shifted(weight, 3)


def cents(amount: int) -> Decimal:
    """Return hundredths of a currency as major units: ``cents(1299)`` is ``Decimal("12.99")``.

    Raises:
        TypeError: it is not a whole number.
    """
    return _shifted(amount, 2)


def _shifted(number: int, decimals: int) -> Decimal:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"A whole number (int) is wanted, got {type(number).__name__}.")
    return Decimal(number).scaleb(-decimals)
