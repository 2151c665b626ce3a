"""Reachability of the webhook's address, as far as this server can judge it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["reachability"]

_PRIVATE = (".local", ".localhost", ".test", ".internal")


def reachability(address: str) -> list[StrOrPromise]:
    """Return the reasons why Sendcloud may not reach an address, or should not; empty if there are none."""
    parts = urlsplit(address)
    if _is_private(parts.hostname or ""):
        return [_("This address exists only on this machine or in this network: Sendcloud's servers cannot reach it.")]
    if parts.scheme != "https":
        return [_("The address is not encrypted (https): buyers' data from Sendcloud could be read.")]
    return []


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE)
