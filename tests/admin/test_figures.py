"""Figures that mean the same on every page and in the command."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.models import Integration, Shipment
from django_sendcloud.sync.health import start_of_day


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


def sent(integration: Integration, *moments: dt.datetime) -> None:
    for number, moment in enumerate(moments):
        Shipment.objects.create(
            integration=integration,
            order_type="shop.order",
            order_pk=str(number),
            external_order_id=str(number),
            external_shipment_id=str(number),
            status="synced",
            last_pushed_at=moment,
        )


def run_status(**options: Any) -> str:
    out = StringIO()
    # Without a worker, the command exits with a code for monitors.
    with pytest.raises(SystemExit):
        call_command("sendcloud_status", stdout=out, **options)
    return out.getvalue()


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "Pacific/Auckland", "America/Los_Angeles", "UTC"])
@pytest.mark.long
def test_sent_today_agrees_everywhere(boss: Client, connected: Integration, settings: Any, zone: str) -> None:
    """The shop's local day decides, whatever time zone the reader has."""
    settings.TIME_ZONE = zone
    midnight = start_of_day(timezone.now())
    second = dt.timedelta(seconds=1)
    sent(connected, midnight, midnight + second, midnight - second, midnight - dt.timedelta(days=1))
    Integration.objects.update(
        last_success_at=timezone.now(),
        webhook_active=True,
        webhook_url="https://shop.example/",
        last_webhook_at=midnight,
    )
    assert json.loads(run_status(json=True))["integrations"][0]["sent_today"] == 2
    assert f"2 sent today ({zone})" in run_status()
    with timezone.override("Asia/Tokyo"):
        overview = boss.get(reverse("admin:django_sendcloud_overview_changelist"))
        (card,) = overview.context["cards"]
        (fact,) = [fact for fact in card.facts if str(fact.label) == f"sent today ({zone})"]
        assert fact.number == 2
        assert boss.get(fact.url).context["cl"].result_count == 2
        page = boss.get(reverse("admin:django_sendcloud_integration_change", args=[connected.pk])).content.decode()
        assert f"sent today ({zone})" in page
        assert 'age=today&amp;status__exact=synced">2</a>' in page


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # Amsterdam's clocks change in the first two nights.
        ("2026-03-29T10:00:00+00:00", "2026-03-28T23:00:00+00:00"),
        ("2026-10-25T10:00:00+00:00", "2026-10-24T22:00:00+00:00"),
        ("2026-11-28T23:30:00+00:00", "2026-11-28T23:00:00+00:00"),
    ],
)
def test_day_starts_at_local_midnight(settings: Any, now: str, expected: str) -> None:
    settings.TIME_ZONE = "Europe/Amsterdam"
    assert start_of_day(dt.datetime.fromisoformat(now)) == dt.datetime.fromisoformat(expected)
