"""Metrics in the text format of Prometheus. Needs ``pip install "django-sendcloud[metrics]"``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .figures import Figures, figures

__all__ = ["MetricsMissing", "exposition"]


class MetricsMissing(RuntimeError):
    """The package prometheus_client is not installed."""


def exposition() -> tuple[bytes, str]:
    """Return all metrics as text, and its content type.

    Raises:
        MetricsMissing: prometheus_client is not installed.
    """
    try:
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
    except ImportError:
        raise MetricsMissing('Install it: pip install "django-sendcloud[metrics]".') from None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(figures()))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    """A collector that reads nothing more: Prometheus's client asks it for every exposition."""

    def __init__(self, found: Figures) -> None:
        self._found = found

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        def gauge(name: str, text: str, *labels: str) -> Any:
            return GaugeMetricFamily(f"sendcloud_{name}", text, labels=labels)

        found, integrations = self._found, self._found.health.integrations
        orders = gauge("orders", "Orders in the outbox by state.", "integration", "state")
        oldest = gauge("oldest_due_seconds", "Age of the oldest order that is due.", "integration")
        level = gauge("health", "1 for the level of the integration's health.", "integration", "level")
        success = gauge("last_success_seconds", "Seconds since the last successful push.", "integration")
        webhook = gauge("last_webhook_seconds", "Seconds since the last webhook.", "integration")
        webhooks = gauge("webhooks", "Webhooks in the inbox by state.", "integration", "state")
        left = gauge("requests_left", "Requests that may be sent now.", "account", "kind")
        rows = [(str(each.integration.remote_id), each.backlog) for each in integrations]
        for name, backlog in [*rows, ("", found.health.unassigned)]:
            for state, number in found.states(backlog).items():
                orders.add_metric([name, state], number)
            oldest.add_metric([name], found.health.age(backlog.oldest_due))
        for each in integrations:
            integration, name = each.integration, str(each.integration.remote_id)
            level.add_metric([name, each.level.value], 1)
            for family, moment in ((success, integration.last_success_at), (webhook, integration.last_webhook_at)):
                if moment is not None:
                    family.add_metric([name], found.health.age(moment))
            for (key, state), number in found.inbox.items():
                if key == integration.pk:
                    webhooks.add_metric([name, state], number)
        for account, kinds in found.rates.items():
            for kind, number in kinds.items():
                left.add_metric([str(account), kind], number)
        yield from (orders, oldest, level, success, webhook, webhooks, left)
        if found.health.sweep_age is not None:
            sweep = gauge("sweep_age_seconds", "Seconds since the periodic sweep last ran.")
            sweep.add_metric([], found.health.sweep_age)
            yield sweep
