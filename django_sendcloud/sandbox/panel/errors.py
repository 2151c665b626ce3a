"""Errors that end a request to the panel."""

from __future__ import annotations

__all__ = ["Missing", "Mistake"]


class Missing(Exception):
    """The address names nothing."""


class Mistake(Exception):
    """A form has a value that is not allowed. The message says which."""
