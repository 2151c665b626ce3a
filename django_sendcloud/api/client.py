"""The client: everything the Integrations API can do, in a few verbs."""

from __future__ import annotations

import platform
import uuid
from types import TracebackType
from typing import Final, Self

from .. import __version__
from .auth import Auth, BasicAuth
from .limits import RateLimiter
from .requestor import Requestor
from .retry import RetryPolicy
from .transport import Transport
from .urls import check_url, origin
from .v2 import Integrations, Labels, Logs, Parcels, ServicePoints, Shipments

__all__ = ["DEFAULT_BASE_URL", "SendcloudClient"]

DEFAULT_BASE_URL: Final = "https://panel.sendcloud.sc/api/v2"
# Service points have a host of their own.
SERVICE_POINTS_URL: Final = "https://servicepoints.sendcloud.sc/api/v2"


class SendcloudClient:
    """Talks to Sendcloud's Integrations API v2.

    ::

        with SendcloudClient(public_key="…", secret_key="…") as client:
            for integration in client.integrations.list():
                print(integration.id, integration.shop_name)

    Cheap to make; connections are made when needed and kept alive. May be shared by threads. Not by
    processes: make one after the fork.

    Args:
        public_key: The integration's public key, from Sendcloud's panel under Settings > Integrations.
        secret_key: Its secret key.
        auth: Instead of the keys: :class:`~django_sendcloud.api.OAuth2ClientCredentials`, or anything like it.
        base_url: Where the API is; https, or http on this machine. Service points are asked for at Sendcloud's
            own host for them where this is Sendcloud, and else here, too.
        partner_id: The UUID of a Sendcloud Tech Partner.
        connect_timeout: Seconds to wait for a connection, per address of the host.
        read_timeout: Seconds the server may stay silent.
        deadline: Seconds a whole exchange may take, however slowly the server drips.
        max_response_bytes: Size an answer may have once decompressed.
        retries: How many times a failed request is repeated at most, where that is safe; or a whole
            :class:`~django_sendcloud.api.RetryPolicy`. 0 never.
        limiter: Asked before each request, for instance
            :class:`~django_sendcloud.api.LocalRateLimiter`. ``None`` for no limit but Sendcloud's.
        trust_env: Use the environment's proxies and certificate bundles. Off, so that what a machine
            sets for others does not decide where credentials go.
        user_agent_suffix: Appended to our ``User-Agent``, for instance ``my-shop/1.0``.

    Raises:
        ValueError: a key is missing, an address is not safe, a number makes no sense. The sentence says where to
            find what is missing.
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
        trust_env: bool = False,
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
            trust_env=trust_env,
            user_agent=_user_agent(user_agent_suffix),
        )
        self._requestor = Requestor(
            base_url=check_url("base_url", base_url),
            auth=auth,
            transport=self._transport,
            retry=retries if isinstance(retries, RetryPolicy) else RetryPolicy(retries=retries),
            limiter=limiter,
            partner_id=_partner_id(partner_id),
        )
        # Keys of a stand-in never go to Sendcloud, nor the other way round.
        ours = origin(self._requestor.base_url) == origin(DEFAULT_BASE_URL)
        self._service_points = self._requestor.at(SERVICE_POINTS_URL) if ours else self._requestor

    @property
    def integrations(self) -> Integrations:
        """Read, change and delete integrations."""
        return Integrations(self._requestor)

    def shipments(self, integration_id: int) -> Shipments:
        """Push, read and delete the shipments of one integration.

        Args:
            integration_id: Sendcloud's id.

        Raises:
            ValueError: it is no positive whole number.
        """
        return Shipments(self._requestor, integration_id)

    @property
    def logs(self) -> Logs:
        """Read and write the log of failed connections."""
        return Logs(self._requestor)

    @property
    def parcels(self) -> Parcels:
        """Read parcels."""
        return Parcels(self._requestor)

    @property
    def service_points(self) -> ServicePoints:
        """Ask whether a service point is still there."""
        return ServicePoints(self._service_points)

    @property
    def labels(self) -> Labels:
        """Download labels."""
        return Labels(self._requestor)

    def close(self) -> None:
        """Close all connections. Whoever uses the client afterwards gets a ``RuntimeError``."""
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
