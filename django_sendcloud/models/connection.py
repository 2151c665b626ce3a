"""Requests of an integration: its client, and its settings at Sendcloud. Imported with the first request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from ..api import BasicAuth, OAuth2ClientCredentials, SendcloudClient, v2, v3
from ..api.urls import check_url
from ..api.v2 import Integration as RemoteIntegration
from ..conf import AddressError, SendcloudConfigurationError, Settings, conf
from ..core.crypto import Secret
from ..core.deployment import OnlyFromDeployment
from ..core.token_cache import SharedTokenCache
from ..enums import ApiGeneration, AuthScheme
from ..hidden import HiddenStr


def client_of(
    name: str,
    *,
    scheme: str,
    public_key: str,
    secret_key: Secret | None,
    deployment: dict[str, str],
    options: Mapping[str, Any],
) -> SendcloudClient:
    """Return a client with an integration's credentials; see ``Integration.client``.

    Args:
        name: Name of the integration, for errors.
        scheme: Its way of authentication.
        public_key: Its public key.
        secret_key: Its secret key.
        deployment: The deployment it was connected in.
        options: Arguments of the client that replace those from the settings.

    Raises:
        SendcloudConfigurationError: the keys are missing, or cannot be decrypted.
        AddressError: an address among the settings cannot be used.
    """
    settings = conf()
    if not public_key or not secret_key:
        raise SendcloudConfigurationError(
            f"Integration {name} has no API keys. Find them in Sendcloud's panel under Settings > Integrations "
            "> Configure, and enter them in the admin."
        )
    _check_addresses(settings, scheme)
    try:
        auth = _auth(scheme, public_key, secret_key.reveal())
    except ValueError as error:
        # A key that cannot be one: the text says which.
        raise SendcloudConfigurationError(f"Integration {name}: {error}") from None
    return _client(settings, {"limiter": OnlyFromDeployment(deployment), "auth": auth, **options})


def check_connection() -> None:
    """Check that the settings let a client be made. Connects to nothing.

    Raises:
        AddressError: an address among the settings cannot be used.
    """
    settings = conf()
    _check_addresses(settings, AuthScheme.OAUTH2)
    _client(settings, {"auth": BasicAuth("any", "any")}).close()


def _client(settings: Settings, options: Mapping[str, Any]) -> SendcloudClient:
    try:
        return SendcloudClient(
            **{
                "base_url": settings.BASE_URL,
                "partner_id": settings.PARTNER_ID or None,
                "connect_timeout": settings.CONNECT_TIMEOUT_SECONDS,
                "read_timeout": settings.READ_TIMEOUT_SECONDS,
                "deadline": settings.DEADLINE_SECONDS,
                "proxy": _proxy(settings) or None,
                "ca_bundle": settings.CA_BUNDLE or None,
                **options,
            }
        )
    except ValueError as error:
        # A proxy, a bundle or a partner id that cannot be one: the text says which.
        raise AddressError(f"The settings of SENDCLOUD do not let Sendcloud be asked: {error}") from None


def _proxy(settings: Settings) -> str:
    """Return the address of the proxy with its user and password."""
    if not settings.PROXY_AUTH:
        return settings.PROXY_URL
    address = urlsplit(settings.PROXY_URL)
    auth = ":".join(quote(part, safe="") for part in settings.PROXY_AUTH.split(":", 1))
    return HiddenStr(address._replace(netloc=f"{auth}@{address.netloc.rpartition('@')[2]}").geturl())


def _auth(scheme: str, public_key: str, secret_key: str) -> BasicAuth | OAuth2ClientCredentials:
    if scheme == AuthScheme.OAUTH2:
        return OAuth2ClientCredentials(
            public_key, secret_key, token_url=conf().TOKEN_URL, scope=conf().TOKEN_SCOPE, cache=SharedTokenCache()
        )
    return BasicAuth(public_key, secret_key)


def _check_addresses(settings: Settings, scheme: str) -> None:
    """Check the addresses that keys would be sent to.

    Raises:
        AddressError: one cannot be used.
    """
    for name in ("BASE_URL", *(["TOKEN_URL"] if scheme == AuthScheme.OAUTH2 else [])):
        url = getattr(settings, name)
        try:
            check_url(f"SENDCLOUD[{name!r}]", url)
        except ValueError as error:
            # It may hold a password.
            shown = url.rpartition("@")[2]
            raise AddressError(f"{error} It is {shown!r}.") from None


def read(client: SendcloudClient, generation: str, remote_id: int) -> RemoteIntegration:
    """Ask Sendcloud for an integration, under the names of v2 (operation: GET /integrations/{id})."""
    if generation == ApiGeneration.V3:
        return in_v2_words(client.v3.integrations.get(remote_id))
    return client.v2.integrations.get(remote_id)


def patch(client: SendcloudClient, generation: str, remote_id: int, changes: Mapping[str, Any]) -> None:
    """Change an integration's settings at Sendcloud (operation: PATCH /integrations/{id})."""
    if generation == ApiGeneration.V3:
        client.v3.integrations.patch(remote_id, v3.IntegrationPatch(**changes))
    else:
        client.v2.integrations.patch(remote_id, v2.IntegrationPatch(**changes))


def in_v2_words(remote: v3.Integration) -> RemoteIntegration:
    """Return an integration of API v3 under the names of v2, which webhooks use in both generations."""
    return RemoteIntegration(
        id=remote.id,
        shop_name=remote.shop_name,
        shop_url=remote.shop_url,
        system=remote.type,
        failing_since=remote.started_failing_at,
        last_fetch=remote.last_fetched_at,
        last_updated_at=remote.updated_at,
        service_point_enabled=remote.service_point_enabled,
        service_point_carriers=remote.service_point_carriers,
        webhook_active=remote.webhook_active,
        webhook_url=remote.webhook_url,
        raw=remote.raw,
    )
