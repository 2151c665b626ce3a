"""Errors that end a request to the panel."""

from __future__ import annotations

__all__ = ["InvalidForm", "PageNotFound"]


class PageNotFound(Exception):
    """The address names nothing."""


class InvalidForm(Exception):
    """A form has a value that is not allowed. The message says which."""
