"""Addresses that credentials may be sent to."""

from __future__ import annotations

import ipaddress
import urllib.parse

__all__ = ["check_id", "check_url", "host_of", "origin", "root_of"]

#: Paths of the API generations, which an address of Sendcloud's root may end with.
_GENERATIONS = ("/api/v2", "/api/v3")


def check_id(name: str, number: int) -> int:
    """Return an id for an address.

    Raises:
        ValueError: it is not a positive whole number.
    """
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"{name} must be a positive whole number, got {number!r}.")
    return number


def check_url(name: str, url: str) -> str:
    """Return an address exactly as it was given.

    Raises:
        ValueError: it is not https (this machine itself excepted), or holds credentials, a query or a fragment.
    """
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError(f"{name} must be an address of printable ASCII without spaces.")
    try:
        parts = urllib.parse.urlsplit(url)
        parts.port  # noqa: B018  # raises where it is no number
    except ValueError:
        raise ValueError(f"{name} is not an address.") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{name} may not hold credentials; pass them as keys.")
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise ValueError(f"{name} must be an absolute https address such as 'https://panel.sendcloud.sc'.")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError(f"{name} may hold no query and no fragment.")
    if parts.scheme != "https" and not _is_loopback(parts.hostname):
        raise ValueError(f"{name} must be https, because credentials are sent there; http is for this machine alone.")
    return url


def root_of(url: str) -> str:
    """Return the address of Sendcloud's root: without a trailing slash, and without ``/api/v2`` or ``/api/v3``."""
    url = url.rstrip("/")
    for path in _GENERATIONS:
        url = url.removesuffix(path)
    return url.rstrip("/")


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port.

    Raises:
        ValueError: the port is not a number.
    """
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)


def host_of(url: str) -> str:
    """Return the host, with its port where the address names one. Holds no credentials."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port}" if parts.port else host


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
