"""JSON with exact numbers: a Decimal is written digit by digit, never through a float.

The standard library's fast encoder has no way to write a Decimal as a number. So it writes a text that begins with a
random token, and the quotes and the token are taken off afterwards.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

__all__ = ["decimal_digits", "dumps"]

_TOKEN: Final = secrets.token_hex(16)
_NUMBER: Final = re.compile(f'"{_TOKEN}([^"]*)"')


def dumps(value: Any, *, sort_keys: bool = False) -> str:
    """Return compact JSON.

    Args:
        value: None, booleans, integers, floats, Decimals, texts, mappings, lists and tuples.
        sort_keys: Write the keys of mappings in order, for a digest.

    Raises:
        ValueError: a number is not finite, or a value holds itself.
        TypeError: JSON cannot hold a value.
    """
    return _NUMBER.sub(r"\1", (_SORTED if sort_keys else _PLAIN).encode(value))


def decimal_digits(value: Decimal) -> str:
    """Return a number in plain digits, the fewest that say it exactly."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _default(value: object) -> object:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"JSON cannot hold {value}.")
        return _TOKEN + decimal_digits(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"JSON cannot hold {type(value).__name__}.")


_PLAIN: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_default)
_SORTED: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True, default=_default
)
