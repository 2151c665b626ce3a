"""Discounts, spread over the lines of an order, because the contract has no negative line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from .parcel_items import ParcelItem
from .rules import EXACT
from .units import cents

__all__ = ["spread_discount"]

_CENT: Final = Decimal("0.01")


def spread_discount(items: Iterable[ParcelItem], discount: Decimal | int) -> tuple[ParcelItem, ...]:
    """Lower the prices of an order's lines so that their total is smaller by exactly the discount.

    Each line bears its share by its value. Prices stay whole cents: cents that no price of several equal pieces can
    bear go to lines of one piece, and where there is none, one line is divided into two that differ by one cent a
    piece. The second part's ``item_id``, where the line has one, ends in ``-2``.

    Args:
        items: The lines, without the discount.
        discount: In major units of the order's currency, two decimals at most. Not negative.

    Returns:
        The lines in their order, in all other fields unchanged; one more where a line had to be divided.

    Raises:
        TypeError: the discount is neither a Decimal nor a whole number.
        ValueError: it is negative, has a part of a cent, or is larger than the lines together.
    """
    lines = tuple(items)
    if isinstance(discount, bool) or not isinstance(discount, Decimal | int):
        raise TypeError(f"A discount is a Decimal or a whole number, got {type(discount).__name__}.")
    discount = Decimal(discount)
    if not discount.is_finite() or discount < 0:
        raise ValueError(f"A discount is a finite number of at least 0, got {discount}; pass it without its sign.")
    off = int(EXACT.multiply(discount, Decimal(100)))
    if EXACT.multiply(Decimal(off), _CENT) != discount:
        raise ValueError(f"A discount has at most two decimals, got {discount}; round it the way the shop does.")
    prices = [int(EXACT.multiply(line.value, Decimal(100))) for line in lines]
    total = sum(price * line.quantity for price, line in zip(prices, lines, strict=True))
    if off > total:
        raise ValueError(f"The discount of {discount} is larger than the lines together, {cents(total)}.")
    if not off:
        return lines
    # A price is rounded down, so what is left to bear is never negative.
    lowered = [price * (total - off) // total for price in prices]
    left = (total - off) - sum(price * line.quantity for price, line in zip(lowered, lines, strict=True))
    # The cents left are fewer than the pieces: the lines of one piece take theirs first, the dearest before the others.
    rest = 0
    for index in sorted(range(len(lines)), key=lambda index: (lines[index].quantity, -prices[index])):
        if not left:
            break
        if lowered[index] == prices[index]:
            continue  # free of charge already, or without a share
        if lines[index].quantity <= left:
            lowered[index] += 1
            left -= lines[index].quantity
        else:
            rest, divided = left, index
            break
    spread: list[ParcelItem] = []
    for index, (line, price) in enumerate(zip(lines, lowered, strict=True)):
        if rest and index == divided:
            spread += _divided(line, price, rest)
        else:
            spread.append(dataclasses.replace(line, value=cents(price)))
    return tuple(spread)


def _divided(line: ParcelItem, price: int, dearer: int) -> tuple[ParcelItem, ParcelItem]:
    """Divide a line: a number of its pieces cost a cent more."""
    return (
        dataclasses.replace(line, quantity=line.quantity - dearer, value=cents(price)),
        dataclasses.replace(
            line,
            quantity=dearer,
            value=cents(price + 1),
            item_id=None if line.item_id is None else f"{line.item_id}-2",
        ),
    )
