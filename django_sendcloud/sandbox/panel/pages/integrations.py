"""Page of integrations."""

from __future__ import annotations

from collections.abc import Sequence

from ...control import Control
from ...store import SandboxIntegration
from ..markup import Markup, fragment, tag
from ..parts import button, check, code, field, form, spaced

__all__ = ["integrations"]


def integrations(found: Sequence[SandboxIntegration], sandbox: Control) -> Markup:
    """Show all integrations with their keys and settings."""
    new = form("/integrations/add/", field("Name", "shop_name", "Another shop"), button("Connect another shop"))
    return fragment(
        tag("h1", None, "Integrations"),
        [_integration(integration, sandbox) for integration in found],
        tag("div", {"class": "card actions"}, new),
    )


def _integration(integration: SandboxIntegration, sandbox: Control) -> Markup:
    address = f"/integrations/{integration.id}"
    environment = [
        f"SENDCLOUD_BASE_URL={sandbox.base_url}",
        f"SENDCLOUD_PUBLIC_KEY={integration.public_key}",
        f"SENDCLOUD_SECRET_KEY={integration.secret_key}",
        f"SENDCLOUD_INTEGRATION_ID={integration.id}",
    ]
    if integration.auth == "oauth2":
        environment.append(f"SENDCLOUD_TOKEN_URL={sandbox.token_url}")
    settings = tag(
        "form",
        {"method": "post", "action": f"{address}/save/", "class": "fields"},
        field("Shop name", "shop_name", integration.shop_name),
        field("Shop address", "shop_url", integration.shop_url),
        field("Webhook address", "webhook_url", integration.webhook_url),
        check("Webhook feedback enabled", "webhook_active", checked=integration.webhook_active),
        field(
            "Webhook signature key (the secret key where empty)",
            "webhook_signature_key",
            integration.webhook_signature_key,
        ),
        check("Service points enabled", "service_point_enabled", checked=integration.service_point_enabled),
        field("Carriers", "service_point_carriers", " ".join(integration.service_point_carriers)),
        tag("div", {"class": "actions"}, button("Save", "main")),
    )
    keys = ("restore", "Accept the keys again") if integration.revoked else ("revoke", "Refuse the keys")
    actions = [
        form(f"{address}/test/", button("Send test webhook")),
        form(f"{address}/credentials/", button("Send keys by webhook")),
        form(f"{address}/{keys[0]}/", button(keys[1])),
        form(f"{address}/delete/", button("Delete integration", "danger")),
    ]
    badges = [
        tag("span", {"class": "badge"}, f"account {integration.account}"),
        tag("span", {"class": "badge"}, "OAuth2" if integration.auth == "oauth2" else "Basic auth"),
        tag("span", {"class": "badge bad"}, "keys refused") if integration.revoked else None,
        tag("span", {"class": "badge bad"}, "webhooks failing") if integration.failing_since else None,
    ]
    return tag(
        "section",
        {"class": "card"},
        tag("div", {"class": "top"}, tag("h2", None, integration.shop_name), tag("span", None, spaced(badges))),
        tag(
            "div",
            {"class": "columns"},
            settings,
            tag(
                "div",
                None,
                tag("p", {"class": "quiet"}, "For the shop’s environment:"),
                code("\n".join(f"export {line}" for line in environment)),
                tag("div", {"class": "actions"}, actions),
            ),
        ),
    )
