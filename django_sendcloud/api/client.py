"""The client: Sendcloud's API by generation, ``client.v2.…`` and ``client.v3.…``."""

from __future__ import annotations

import platform
import uuid
from types import TracebackType
from typing import Final, Self

from ..version import __version__
from .auth import Auth, BasicAuth
from .limits import RateLimiter
from .requestor import Requestor
from .retry import RetryPolicy
from .transport import Transport
from .urls import check_url, origin, root_of
from .v2 import V2
from .v3 import V3

__all__ = ["DEFAULT_BASE_URL", "SendcloudClient"]

DEFAULT_BASE_URL: Final = "https://panel.sendcloud.sc"
# v2's service points have a host of their own.
SERVICE_POINTS_URL: Final = "https://servicepoints.sendcloud.sc"


class SendcloudClient:
    """A client of Sendcloud's API, both generations.

    ::

        with SendcloudClient(public_key="…", secret_key="…") as client:
            for integration in client.v3.integrations.list():
                print(integration.id, integration.shop_name)

    Cheap to make; connections are made when needed and kept alive. Threads may share it, processes may not: make one
    after the fork.

    Args:
        public_key: The integration's public key, from Sendcloud's panel under Settings > Integrations.
        secret_key: Its secret key.
        auth: Instead of the keys: :class:`~django_sendcloud.api.OAuth2ClientCredentials`, or anything like it.
        base_url: Sendcloud's root; https, or http on this machine. ``/api/v2`` or ``/api/v3`` at its end is ignored.
            With Sendcloud's own address, service points are read from their separate host; otherwise from this address.
        partner_id: The UUID of a Sendcloud Tech Partner.
        connect_timeout: Seconds to wait for a connection, per address of the host.
        read_timeout: Seconds the server may stay silent.
        deadline: Seconds a whole exchange may take, however slowly the server drips.
        max_response_bytes: Size an answer may have once decompressed.
        retries: Number of retries of a failed request, where repeating it is safe; or a whole
            :class:`~django_sendcloud.api.RetryPolicy`. 0 for none.
        limiter: Asked before each request, for instance
            :class:`~django_sendcloud.api.LocalRateLimiter`. ``None`` for no limit but Sendcloud's.
        proxy: Address of an HTTP proxy, ``http://[user:password@]host:port``. The environment's are never used.
        ca_bundle: Path of a file with the certificates to trust instead of the built-in ones.
        user_agent_suffix: Appended to our ``User-Agent``, for instance ``my-shop/1.0``.

    Raises:
        ValueError: a key is missing, an address is not safe, a number makes no sense. The sentence says how to get
            what is missing.
    """

    def __init__(
        self,
        *,
        public_key: str | None = None,
        secret_key: str | None = None,
        auth: Auth | None = None,
        base_url: str = DEFAULT_BASE_URL,
        partner_id: str | uuid.UUID | None = None,
        connect_timeout: float = 3.0,
        read_timeout: float = 15.0,
        deadline: float = 20.0,
        max_response_bytes: int = 32 * 1024 * 1024,
        retries: int | RetryPolicy = 2,
        limiter: RateLimiter | None = None,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        user_agent_suffix: str = "",
    ) -> None:
        if auth is None:
            auth = BasicAuth(public_key or "", secret_key or "")
        elif public_key or secret_key:
            raise ValueError("Pass either public_key and secret_key, or auth, not both.")
        self._transport = Transport(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            deadline=deadline,
            max_response_bytes=max_response_bytes,
            proxy=proxy,
            ca_bundle=ca_bundle,
            user_agent=_user_agent(user_agent_suffix),
        )
        root = root_of(check_url("base_url", base_url))
        # Keys of a stand-in never go to Sendcloud, nor the other way round.
        ours = origin(root) == origin(DEFAULT_BASE_URL)
        self._requestor = Requestor(
            base_url=root,
            is_sendcloud=ours,
            auth=auth,
            transport=self._transport,
            retry=retries if isinstance(retries, RetryPolicy) else RetryPolicy(retries=retries),
            limiter=limiter,
            partner_id=_partner_id(partner_id),
        )
        self._service_points = self._requestor.at(SERVICE_POINTS_URL) if ours else self._requestor

    @property
    def v2(self) -> V2:
        """API v2, which is in maintenance: its upsert of shipments is open to certified partners only."""
        return V2(self._requestor, self._service_points)

    @property
    def v3(self) -> V3:
        """API v3, open to every shop."""
        return V3(self._requestor)

    def close(self) -> None:
        """Close all connections. Using the client afterwards raises ``RuntimeError``."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SendcloudClient(base_url={self._requestor.base_url!r}, auth={self._requestor.auth!r})"


def _user_agent(suffix: str) -> str:
    if not suffix.isascii() or not suffix.isprintable():
        raise ValueError("user_agent_suffix must be printable ASCII.")
    return f"django-sendcloud/{__version__} (Python {platform.python_version()}) {suffix}".rstrip()


def _partner_id(value: str | uuid.UUID | None) -> str | None:
    if not value:
        return None
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise ValueError("partner_id must be the UUID Sendcloud gave to the Tech Partner.") from None
