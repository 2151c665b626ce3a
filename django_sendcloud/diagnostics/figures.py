"""Figures of the shop at one moment, for the bundle and the metrics: few statements, no order and no buyer."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..models import Integration
from ..sync import breaker
from ..sync.health import Backlog, Health, IntegrationHealth, health, inbox, rates

__all__ = ["Figures", "figures"]


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """Health of the shop with the inbox and the rate limits.

    Args:
        health: Health of all integrations.
        inbox: Number of waiting and failed webhooks by integration's key and state.
        rates: Requests left by account's key and kind.
    """

    health: Health
    inbox: dict[tuple[int, str], int]
    rates: dict[int, dict[str, int]]

    def states(self, backlog: Backlog) -> dict[str, int]:
        """Return the numbers of orders by state."""
        return {
            "due": backlog.due,
            "claimed": backlog.claimed,
            "later": backlog.later,
            "rejected": backlog.rejected,
            "dead": backlog.dead,
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "sweep_age_seconds": self.health.sweep_age,
            "unassigned": self.states(self.health.unassigned),
            "problems": [dataclasses.asdict(problem) for problem in self.health.problems],
            "integrations": [self._integration(each) for each in self.health.integrations],
        }

    def _integration(self, each: IntegrationHealth) -> dict[str, Any]:
        integration: Integration = each.integration
        return {
            "id": integration.remote_id,
            "api": integration.api_generation,
            "auth": integration.auth_scheme,
            "in_use": integration.is_active,
            "has_keys": bool(integration.public_key and integration.secret_key),
            "webhook_registered": bool(integration.webhook_active and integration.webhook_url),
            "routes": {"countries": len(integration.for_countries), "sites": len(integration.for_sites)},
            "level": each.level.value,
            "findings": [
                {"code": finding.code.value, "detail": finding.detail, "number": finding.number}
                for finding in each.findings
            ],
            "orders": self.states(each.backlog),
            "webhooks": {state: number for (key, state), number in self.inbox.items() if key == integration.pk},
            "breaker": breaker.state(integration.account, self.health.now),
            "requests_left": self.rates[integration.account.pk],
            "seconds_since_success": self.health.age(integration.last_success_at)
            if integration.last_success_at
            else None,
            "seconds_since_webhook": self.health.age(integration.last_webhook_at)
            if integration.last_webhook_at
            else None,
        }


def figures() -> Figures:
    """Read the figures: two statements, one for the inbox, and one for each account."""
    found = health()
    left = {key: {str(kind): number for kind, number in of.items()} for key, of in rates(found.integrations).items()}
    return Figures(found, {key: each.number for key, each in inbox().items()}, left)
