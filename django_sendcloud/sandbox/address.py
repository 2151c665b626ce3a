"""Addresses of a sandbox."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import Final

from .gateway import TOKEN_PATH
from .picker import SCRIPT_PATH

__all__ = ["Address", "is_loopback"]

_ANY_HOST: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (read, not bound to)


class Address:
    """Addresses of a sandbox.

    Attributes:
        host: Address it listens on.
        port: Port it listens on; 0 before the first start if any free one would do.
        advertised: Scheme, host and port that others reach it under; by default those it listens on.
    """

    def __init__(self, host: str, port: int, advertised: str | None = None) -> None:
        self.host = host
        self.port = port
        self.advertised = advertised.rstrip("/") if advertised else None

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def origin(self) -> str:
        """Its root, for instance ``http://127.0.0.1:8900``."""
        if self.advertised:
            return self.advertised
        host = _ANY_HOST.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"

    @property
    def base_url(self) -> str:
        """Value for ``SENDCLOUD_BASE_URL``: its root, because the API generation is the integration's."""
        return self.origin

    @property
    def v2_url(self) -> str:
        """Root of the v2 API."""
        return f"{self.origin}/api/v2"

    @property
    def v3_url(self) -> str:
        """Root of the v3 API."""
        return f"{self.origin}/api/v3"

    @property
    def token_url(self) -> str:
        """Address that issues OAuth2 tokens."""
        return f"{self.origin}{TOKEN_PATH}"

    @property
    def service_point_script_url(self) -> str:
        """Address of the script that stands in for the service point picker."""
        return f"{self.origin}{SCRIPT_PATH}"

    @property
    def panel_url(self) -> str:
        """Address of the panel."""
        return f"{self.origin}/"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
