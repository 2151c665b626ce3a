"""Pauses that operators make: a reason, a name and an end."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from django_sendcloud.admin.actions.history import render_message
from django_sendcloud.core.dates import date_and_time
from django_sendcloud.models import Integration, PauseReason

pytestmark = pytest.mark.long

PAGE = "admin:django_sendcloud_integration_change"


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    client = as_role("superuser")
    User.objects.filter(is_superuser=True).update(username="admin")
    return client


def press(client: Client, integration: Integration, name: str, **data: Any) -> str:
    url = reverse("admin:django_sendcloud_integration_action", args=[integration.pk, name])
    return client.post(url, data, follow=True).content.decode()


def test_pause_asks_for_length_and_note(boss: Client, connected: Integration) -> None:
    html = press(boss, connected, "pause")
    assert "How long" in html
    assert "Note for your colleagues" in html
    assert 'value="morning"' in html


@pytest.mark.parametrize(("until", "hours"), [("1", 1), ("4", 4), ("24", 24), ("72", 72)])
def test_timed_pause_stores_end_name_and_note(boss: Client, connected: Integration, until: str, hours: int) -> None:
    before = timezone.now()
    html = press(boss, connected, "pause", confirmed="yes", number="1", until=until, note="stocktaking")
    connected.refresh_from_db()
    assert connected.paused_until is not None
    assert dt.timedelta() <= connected.paused_until - before - dt.timedelta(hours=hours) < dt.timedelta(minutes=1)
    assert (connected.paused_by, connected.paused_detail) == ("admin", "stocktaking")
    assert "Sending resumes automatically" in html
    assert html.count("stocktaking") == 1
    assert "Technical details" not in html
    stored = LogEntry.objects.get().change_message
    assert json.loads(stored)["values"] == {"time": {"time": connected.paused_until.isoformat()}}
    with translation.override("de"):
        time = date_and_time(connected.paused_until)
        assert render_message(stored) == f"Pausiert bis {time}."


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "Pacific/Auckland", "America/Los_Angeles"])
def test_pause_until_morning_ends_at_eight(boss: Client, connected: Integration, settings: Any, zone: str) -> None:
    settings.TIME_ZONE = zone
    press(boss, connected, "pause", confirmed="yes", number="1", until="morning", note="")
    connected.refresh_from_db()
    assert connected.paused_until is not None
    end = timezone.localtime(connected.paused_until)
    assert (end.hour, end.minute, end.date() - timezone.localdate()) == (8, 0, dt.timedelta(days=1))


@pytest.mark.parametrize("until", ["0", "-1", "9999", "x", "morning "])
def test_pause_of_unknown_length_asks_again(boss: Client, connected: Integration, until: str) -> None:
    html = press(boss, connected, "pause", confirmed="yes", number="1", until=until)
    connected.refresh_from_db()
    assert not connected.is_paused
    assert "errorlist" in html


def test_paused_pages_name_operator_and_note(boss: Client, connected: Integration) -> None:
    until = timezone.now() + dt.timedelta(hours=1)
    connected.pause(PauseReason.PERSON, "<b>stocktaking</b>", by="anna", until=until)
    for page in (
        reverse(PAGE, args=[connected.pk]),
        reverse("admin:django_sendcloud_overview_changelist"),
        reverse("admin:django_sendcloud_parcel_changelist"),
    ):
        html = boss.get(page).content.decode()
        assert "Paused by anna" in html
        assert "&lt;b&gt;stocktaking&lt;/b&gt;" in html
        assert "Sending resumes automatically" in html


def test_end_of_pause_is_never_past(boss: Client, connected: Integration) -> None:
    """Without a worker, the end of the pause passes by."""
    connected.pause(PauseReason.PERSON, by="ann", until=timezone.now() + dt.timedelta(hours=1))
    assert "Sending resumes automatically" in boss.get(reverse(PAGE, args=[connected.pk])).content.decode()
    Integration.objects.update(paused_until=timezone.now() - dt.timedelta(minutes=1))
    html = boss.get(reverse(PAGE, args=[connected.pk])).content.decode()
    assert "Sending resumes automatically" not in html
    assert "Resume it when you are ready." in html


@pytest.mark.parametrize(
    ("language", "note"), [("en", "“Stocktaking”"), ("de", "„Stocktaking“"), ("it", "«Stocktaking»")]
)
def test_pause_note_uses_quotes_of_language(boss: Client, connected: Integration, language: str, note: str) -> None:
    connected.pause(PauseReason.PERSON, "Stocktaking", by="anna")
    url = reverse("admin:django_sendcloud_integration_change", args=[connected.pk])
    html = boss.get(url, headers={"accept-language": language}).content.decode()
    assert note in html


def test_second_operator_keeps_colleagues_pause(boss: Client, connected: Integration) -> None:
    connected.pause(PauseReason.PERSON, "stocktaking", by="anna")
    html = press(boss, connected, "pause", confirmed="yes", number="1", until="1", note="lunch")
    connected.refresh_from_db()
    assert (connected.paused_by, connected.paused_detail, connected.paused_until) == ("anna", "stocktaking", None)
    assert "Paused by anna" in html


@pytest.mark.parametrize("name", ["pause", "resume"])
def test_unused_integration_is_not_paused_or_resumed(boss: Client, connected: Integration, name: str) -> None:
    """Its page offers neither; a list does."""
    if name == "resume":
        connected.pause(PauseReason.PERSON)
    Integration.objects.update(is_active=False)
    url = reverse("admin:django_sendcloud_integration_changelist")
    chosen = {"action": name, "_selected_action": [connected.pk], "confirmed": "yes", "number": "1"}
    html = boss.post(url, chosen, follow=True).content.decode()
    assert "“Bike shop” is not in use: nothing is sent through it." in html
    assert "running again" not in html
    assert "is paused now" not in html
    connected.refresh_from_db()
    assert connected.is_paused is (name == "resume")
    assert not LogEntry.objects.exists()
    page = boss.get(reverse(PAGE, args=[connected.pk])).content.decode()
    assert f"/action/{name}/" not in page


def test_resuming_running_integration_says_so(boss: Client, connected: Integration) -> None:
    url = reverse("admin:django_sendcloud_integration_changelist")
    html = boss.post(url, {"action": "resume", "_selected_action": [connected.pk]}, follow=True).content.decode()
    assert "0 integrations are running again. A colleague may have done it" in html
    assert not LogEntry.objects.exists()


def test_pause_needs_permission(as_role: Callable[..., Client], connected: Integration) -> None:
    client = as_role("viewer")
    url = reverse("admin:django_sendcloud_integration_action", args=[connected.pk, "pause"])
    assert client.post(url, {"confirmed": "yes", "number": "1", "until": "1"}).status_code == 403
