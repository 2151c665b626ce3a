"""Conversions from the units that shops keep to those of the contract: kg, cm, and major units of a currency."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from .rules import EXACT

__all__ = ["centimetres", "cents", "convert", "grams", "kilograms"]

#: One unit in kg. The pound is exact by definition (international avoirdupois pound, 1959).
_KILOGRAMS: Final = {
    "mg": Decimal("0.000001"),
    "g": Decimal("0.001"),
    "kg": Decimal(1),
    "t": Decimal(1000),
    "oz": Decimal("0.028349523125"),
    "lb": Decimal("0.45359237"),
    "lbs": Decimal("0.45359237"),
}

#: One unit in cm. The inch is exact by definition.
_CENTIMETRES: Final = {
    "mm": Decimal("0.1"),
    "cm": Decimal(1),
    "m": Decimal(100),
    "in": Decimal("2.54"),
    "ft": Decimal("30.48"),
    "yd": Decimal("91.44"),
}
_MILLI: Final = Decimal("0.001")
_CENT: Final = Decimal("0.01")


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


def kilograms(weight: Decimal | int, unit: str) -> Decimal:
    """Return a weight in kg, rounded half up to a gram: ``kilograms(12, "oz")`` is ``Decimal("0.340")``.

    A weight above zero stays above zero: below half a gram it becomes one gram, because the contract wants more than 0.

    Args:
        weight: A Decimal or a whole number; a float is not exact.
        unit: One of mg, g, kg, t, oz, lb, lbs; upper case is the same.

    Raises:
        TypeError: the weight is neither a Decimal nor a whole number.
        ValueError: the unit is unknown, or the weight is negative or no finite number.
    """
    exact = _exact(weight) * _factor(unit, _KILOGRAMS)
    return max(exact.quantize(_MILLI, ROUND_HALF_UP), _MILLI) if exact else Decimal("0.000")


def centimetres(length: Decimal | int, unit: str) -> Decimal:
    """Return a length in cm, rounded half up to a tenth of a millimetre: ``centimetres(10, "in")`` is 25.40.

    Args:
        length: A Decimal or a whole number; a float is not exact.
        unit: One of mm, cm, m, in, ft, yd; upper case is the same.

    Raises:
        TypeError: the length is neither a Decimal nor a whole number.
        ValueError: the unit is unknown, or the length is negative or no finite number.
    """
    return (_exact(length) * _factor(unit, _CENTIMETRES)).quantize(_CENT, ROUND_HALF_UP)


def convert(amount: Decimal | int, rate: Decimal | int) -> Decimal:
    """Return an amount in another currency, rounded half up to the cent.

    Convert every amount of an order by one rate, and name the currency it was converted to. Rounded prices of pieces
    may add up to another total than the converted total; convert the prices, and leave ``total_order_value`` out to
    have the total follow the lines.

    Args:
        amount: In major units of the shop's currency.
        rate: Units of the other currency for one unit of the shop's.

    Raises:
        TypeError: one of them is neither a Decimal nor a whole number.
        ValueError: one of them is negative or no finite number, or the rate is zero.
    """
    if not rate:
        raise ValueError("A rate of zero would make every amount nothing.")
    return (_exact(amount) * _exact(rate)).quantize(_CENT, ROUND_HALF_UP)


def _shifted(number: int, decimals: int) -> Decimal:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"A whole number (int) is wanted, got {type(number).__name__}.")
    return EXACT.scaleb(Decimal(number), -decimals)


def _exact(number: Decimal | int) -> Decimal:
    if isinstance(number, bool) or not isinstance(number, Decimal | int):
        raise TypeError(f"A Decimal or a whole number is wanted, got {type(number).__name__}.")
    number = Decimal(number)
    if not number.is_finite() or number < 0:
        raise ValueError(f"A finite number of at least 0 is wanted, got {number}.")
    return number


def _factor(unit: str, factors: dict[str, Decimal]) -> Decimal:
    factor = factors.get(unit.strip().lower()) if isinstance(unit, str) else None
    if factor is None:
        raise ValueError(f"{unit!r} is not one of the units {', '.join(factors)}.")
    return factor
