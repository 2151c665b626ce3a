"""A connected shop."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from ...enums import AuthScheme
from ..moments import iso

__all__ = ["SandboxIntegration"]


@dataclass(slots=True, eq=False)
class SandboxIntegration:
    """A connected shop, with its keys.

    Attributes:
        id: Sendcloud's id.
        public_key: User of Basic auth, client of OAuth2.
        secret_key: Password of Basic auth and secret of OAuth2; by default the key that signs webhooks.
        account: Owner. The keys of an integration reach all integrations of the account.
        auth: Scheme its keys must use. An integration with OAuth2 refuses Basic auth.
        webhook_signature_key: Key that signs webhooks instead of the secret key.
        feedback_type: Setting that only v3 knows: ``eager``, ``delayed`` or ``none``.
        connected: Whether the shop has received ``integration_connected``.
        revoked: Whether Sendcloud rejects its keys.
    """

    id: int
    shop_name: str
    public_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    account: str = "main"
    auth: AuthScheme = AuthScheme.BASIC
    shop_url: str | None = None
    system: str = "api"
    failing_since: dt.datetime | None = None
    last_fetch: dt.datetime | None = None
    last_updated_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    created_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    feedback_type: str = "eager"
    service_point_enabled: bool = False
    service_point_carriers: list[str] = field(default_factory=list)
    webhook_active: bool = False
    webhook_url: str | None = None
    webhook_signature_key: str = field(default="", repr=False)
    connected: bool = False
    revoked: bool = False

    @property
    def client_id(self) -> str:
        """OAuth2 client: the public key."""
        return self.public_key

    @property
    def client_secret(self) -> str:
        """OAuth2 secret: the secret key."""
        return self.secret_key

    @property
    def signing_key(self) -> str:
        """Key that signs webhooks."""
        return self.webhook_signature_key or self.secret_key

    def settings(self) -> dict[str, Any]:
        """Return the settings that can change, and when they last did (contract v2: ``IntegrationUpdate``)."""
        return {
            "shop_name": self.shop_name,
            "shop_url": self.shop_url,
            "last_updated_at": iso(self.last_updated_at),
            "service_point_enabled": self.service_point_enabled,
            "service_point_carriers": list(self.service_point_carriers),
            "webhook_active": self.webhook_active,
            "webhook_url": self.webhook_url,
        }

    def set_settings(self) -> dict[str, Any]:
        """Return the settings without addresses that are not set.

        Responses to a change and webhooks leave them out, because they must not be null there (contract v2:
        ``IntegrationUpdate``, ``IntegrationWebhookBase``).
        """
        return {name: value for name, value in self.settings().items() if value is not None}

    def as_json(self) -> dict[str, Any]:
        """Return it as v2 shows it (contract: ``Integration``)."""
        return {
            "id": self.id,
            **self.settings(),
            "system": self.system,
            "failing_since": iso(self.failing_since) if self.failing_since else None,
            "last_fetch": iso(self.last_fetch) if self.last_fetch else None,
        }
