"""Overview: headline, tasks, cards and sparklines."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.html import strip_tags

from django_sendcloud.admin.overview.snapshot import Snapshot
from django_sendcloud.admin.overview.sparklines import Day, Sparkline, last_day
from django_sendcloud.admin.ui.humanize import clock_time, format_number, sent_today, when
from django_sendcloud.models import (
    Account,
    Integration,
    OutboxEntry,
    Overview,
    Parcel,
    PauseReason,
    Shipment,
    WebhookEvent,
)
from django_sendcloud.sync.health import mark_sweep
from tests.databases import fresh_database

from .conftest import VIEW, Data
from .plans import LARGE

PAGE = "admin:django_sendcloud_overview_changelist"


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


@pytest.fixture
def well(connected: Integration) -> Integration:
    """Make the integration healthy."""
    mark_sweep()
    now = timezone.now()
    Integration.objects.update(
        webhook_active=True, webhook_url="https://shop.example/hook", last_webhook_at=now, last_success_at=now
    )
    connected.refresh_from_db()
    return connected


def tasks(client: Client) -> dict[str, Any]:
    """Return the tasks by title, the most urgent first."""
    return {str(task.title): task for task in client.get(reverse(PAGE)).context["tasks"]}


def titles(client: Client) -> list[str]:
    return [*tasks(client)]


def says(client: Client) -> tuple[str, str]:
    """Return the headline: its tone, and the sentence without markup."""
    headline = client.get(reverse(PAGE)).context["headline"]
    return headline.tone, strip_tags(str(headline.sentence))


def labels(task: Any) -> list[str]:
    return [str(button.label) for button in task.buttons]


def button(task: Any, label: str) -> Any:
    return next(button for button in task.buttons if str(button.label) == label)


def shown(client: Client, url: str) -> list[int]:
    """Return the rows of a list."""
    response = client.get(url)
    assert response.status_code == 200, url
    assert "e=1" not in response.request["QUERY_STRING"]
    return [row.pk for row in response.context["cl"].queryset]


def entry(**values: Any) -> OutboxEntry:
    if values.get("error_code") and values.get("state", "pending") == "pending":
        values.setdefault("failing_since", timezone.now())
    return OutboxEntry.objects.create(**{"order_type": "shop.order", "order_pk": uuid.uuid4().hex, **values})


def shipment(integration: Integration, **values: Any) -> Shipment:
    key = uuid.uuid4().hex
    ids = {"order_type": "shop.order", "order_pk": key, "external_order_id": key, "external_shipment_id": key}
    return Shipment.objects.create(integration=integration, **{"status": "synced", **ids, **values})


# -- menu -------------------------------------------------------------------------------------------------


def test_overview_is_first_in_menu(boss: Client, well: Integration) -> None:
    (app,) = [
        app for app in boss.get(reverse("admin:index")).context["app_list"] if app["app_label"] == "django_sendcloud"
    ]
    first = app["models"][0]
    assert first["admin_url"] == reverse(PAGE)
    assert first["name"].strip() == "Overview"
    with translation.override("de"):
        (app,) = [
            a
            for a in admin.site.get_app_list(boss.get(reverse(PAGE)).wsgi_request)
            if a["app_label"] == "django_sendcloud"
        ]
        assert app["models"][0]["admin_url"] == reverse(PAGE)


def test_overview_needs_view_integration(as_role: Callable[..., Client], well: Integration) -> None:
    assert as_role("viewer").get(reverse(PAGE)).status_code == 200
    assert as_role("staff").get(reverse(PAGE)).status_code == 403
    assert as_role("anonymous").get(reverse(PAGE)).status_code == 302


def test_headline_without_integration_offers_connecting(boss: Client, as_role: Callable[..., Client], db: None) -> None:
    html = boss.get(reverse(PAGE)).content.decode()
    assert "Nothing is connected yet" in html
    assert reverse("admin:django_sendcloud_integration_add") in html
    assert (
        reverse("admin:django_sendcloud_integration_add") not in as_role("viewer").get(reverse(PAGE)).content.decode()
    )


# -- headline ---------------------------------------------------------------------------------------------


@pytest.mark.long
def test_headline_is_good_when_orders_go(boss: Client, well: Integration) -> None:
    assert says(boss) == ("good", "All orders are reaching Sendcloud")
    assert titles(boss) == []
    html = boss.get(reverse(PAGE)).content.decode()
    assert '<span class="sc-headline__symbol" aria-hidden="true">✓</span>' in html, "it is not shown by colour alone"
    entry(integration=well)
    assert "being sent now" not in boss.get(reverse(PAGE)).content.decode(), "no worker has it"
    entry(integration=well, lease="worker", not_before=timezone.now() + dt.timedelta(minutes=1))
    assert "1 order is being sent now." in boss.get(reverse(PAGE)).content.decode()


@pytest.mark.long
def test_headline_warns_about_delays(boss: Client, well: Integration) -> None:
    ago = timezone.now() - dt.timedelta(minutes=1)
    entry(integration=well, error_code="no_answer", failing_since=ago, recorded_at=ago)
    assert says(boss) == ("warn", f"1 order has been waiting for Sendcloud since {clock_time(ago)}")
    entry(integration=well, error_code="server_error", failing_since=ago)
    entry(integration=well)
    assert says(boss) == ("warn", f"2 orders have been waiting for Sendcloud since {clock_time(ago)}")
    OutboxEntry.objects.all().delete()
    Account.objects.update(closed_until=timezone.now() + dt.timedelta(minutes=1), closed_reason="failing")
    assert says(boss)[0] == "good", "nothing is there that could be late"
    entry(integration=well, recorded_at=ago)
    assert says(boss) == ("warn", f"1 order has been waiting for Sendcloud since {clock_time(ago)}")


@pytest.mark.long
def test_headline_counts_orders_and_integrations(boss: Client, well: Integration) -> None:
    entry(integration=well, state="rejected", error_code="rejected")
    assert says(boss) == ("bad", "1 order is not going out")
    entry(integration=well, state="dead", error_code="gave_up")
    assert says(boss) == ("bad", "2 orders are not going out")
    well.pause(PauseReason.PERSON)
    assert says(boss) == ("bad", "2 orders not going out, 1 integration sends no orders")
    assert "Most urgent: Bike shop: Paused by an operator." in boss.get(reverse(PAGE)).content.decode()
    entry(integration=well)
    entry(integration=well)
    assert says(boss) == ("bad", "4 orders not going out, 1 integration sends no orders"), (
        "those that wait are not hidden"
    )
    Integration.objects.update(secret_key="")
    assert says(boss) == ("bad", "4 orders not going out, 1 integration sends no orders"), "nor counted twice"
    Integration.objects.update(secret_key="s")
    OutboxEntry.objects.all().delete()
    assert says(boss) == ("bad", "1 integration sends no orders")


@pytest.mark.long
def test_waiting_problem_that_stays_is_task(boss: Client, well: Integration) -> None:
    entry(integration=well, error_code="same_ids")
    assert titles(boss) == ["Bike shop: Another order has the same id at Sendcloud"]
    assert says(boss) == ("bad", "1 order is not going out"), "the integration sends all others"
    OutboxEntry.objects.all().delete()
    Integration.objects.update(failing_since=timezone.now())
    assert titles(boss) == ["Bike shop: Sendcloud reports that the integration fails"]
    assert says(boss)[0] == "good"


def test_inbound_problem_does_not_stop_orders(boss: Client, well: Integration) -> None:
    Parcel.objects.create(integration=well, remote_id=9)
    assert says(boss) == ("good", "All orders are reaching Sendcloud")
    assert "1 further task, see below." in boss.get(reverse(PAGE)).content.decode()


@pytest.mark.long
def test_headline_is_busy_while_connecting(boss: Client, well: Integration) -> None:
    Integration.objects.update(last_success_at=None)
    assert says(boss) == ("busy", "Bike shop is being connected")
    Integration.objects.create(remote_id=2, name="Outlet")
    assert says(boss) == ("busy", "2 integrations are being connected")
    Integration.objects.filter(pk=well.pk).update(last_success_at=timezone.now())
    assert says(boss)[0] == "good", "the one that is ready sends everything there is"


@pytest.mark.long
def test_missing_sweep_stops_waiting_orders(boss: Client, well: Integration) -> None:
    Account.objects.update(swept_at=None)
    assert titles(boss) == ["The periodic work does not run"]
    assert says(boss)[0] == "good"
    entry(integration=well)
    assert says(boss) == ("bad", "Some orders are not going out")


# -- tasks ------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_tasks_are_sorted_by_urgency(boss: Client, data: Data) -> None:
    data.integration.pause(PauseReason.CREDENTIALS)
    Integration.objects.create(remote_id=2, name="Outlet", public_key="p", secret_key="s")
    Parcel.objects.create(integration=data.integration, remote_id=99, status_at=timezone.now())
    entry(error_code="integration_unknown")
    WebhookEvent.objects.create(integration=data.integration, digest="u", state="receiver_failed", body="{}")
    found = tasks(boss)
    assert {title: labels(task) for title, task in found.items()} == {
        "1 order without an integration: It is not clear which integration the order belongs to": [
            "Choose an integration",
            "Show it",
        ],
        "Bike shop: Sendcloud rejects the API keys": ["Enter keys", "Resume", "Open"],
        "The periodic work does not run": [],
        "1 order: Order lines, weight of one piece is not valid": ["Fix it", "Show it", "Try again"],
        "Outlet: Sendcloud does not send parcel updates": ["Register webhook…", "Open"],
        "1 webhook could not be applied": ["Replay", "Show it"],
        "1 webhook was applied, and the shop's own code failed on it": ["Show it"],
        "1 parcel belongs to no order": ["Show it"],
    }
    assert [*found] == [str(task.title) for task in boss.get(reverse(PAGE)).context["tasks"]]
    for task in found.values():
        for each in task.buttons:
            if not each.post:
                assert boss.get(each.url).status_code == 200, each.url


@pytest.mark.long
def test_task_links_show_their_rows(boss: Client, data: Data) -> None:
    entry(state="dead", error_code="worker_died")
    lost = entry(error_code="adapter_missing")
    receiver_failed = WebhookEvent.objects.create(
        integration=data.integration, digest="u", state="receiver_failed", body="{}"
    )
    parcel = Parcel.objects.create(integration=data.integration, remote_id=99)
    found = tasks(boss)
    for title, row in {
        "1 order: Order lines, weight of one piece is not valid": data.entry,
        "1 order without an integration: The shop has no adapter for this kind of order": lost,
        "1 webhook could not be applied": data.event,
        "1 webhook was applied, and the shop's own code failed on it": receiver_failed,
        "1 parcel belongs to no order": parcel,
    }.items():
        assert shown(boss, button(found[title], "Show it").url) == [row.pk], title


@pytest.mark.long
def test_keys_task_links_to_form(boss: Client, well: Integration) -> None:
    page = reverse("admin:django_sendcloud_integration_change", args=[well.pk])
    well.pause(PauseReason.CREDENTIALS)
    (task,) = tasks(boss).values()
    assert (labels(task)[0], task.buttons[0].url) == ("Enter keys", f"{page}#id_new_secret_key")
    assert 'id="id_new_secret_key"' in boss.get(page).content.decode()
    well.resume()
    Integration.objects.update(public_key="", secret_key="", last_success_at=timezone.now())
    (task,) = tasks(boss).values()
    assert task.stops
    assert (labels(task), task.buttons[0].url) == (["Enter keys"], f"{page}#id_public_key")


def test_unentitled_keys_are_not_requested_again(boss: Client, well: Integration) -> None:
    well.pause(PauseReason.PERMISSION)
    (task,) = tasks(boss).values()
    assert labels(task) == ["Move to API v3…", "Resume", "Open"]


@pytest.mark.long
def test_paused_integration_resumes_with_one_click(boss: Client, well: Integration) -> None:
    well.pause(PauseReason.PERSON)
    (task,) = tasks(boss).values()
    assert boss.post(task.buttons[0].url).status_code == 302
    assert titles(boss) == []
    assert says(boss)[0] == "good"


@pytest.mark.long
def test_unassigned_orders_are_most_urgent(boss: Client, well: Integration) -> None:
    Integration.objects.update(is_active=False)
    lost = [entry(), entry(error_code="no_integration", due_at=timezone.now() + dt.timedelta(hours=1))]
    ((title, task),) = tasks(boss).items()
    assert title == "2 orders wait, and no integration is in use"
    assert labels(task) == ["Choose an integration", "Show them"]
    assert sorted(shown(boss, task.buttons[1].url)) == [each.pk for each in lost]
    assert says(boss) == ("bad", "2 orders are not going out")
    Integration.objects.all().delete()
    ((title, task),) = tasks(boss).items()
    assert labels(task) == ["Connect an integration", "Show them"]
    assert boss.get(task.buttons[0].url).status_code == 200


@pytest.mark.long
def test_late_unassigned_orders_are_task(boss: Client, well: Integration) -> None:
    Integration.objects.create(remote_id=2, name="Outlet", public_key="p", secret_key="s", webhook_active=True,
                               webhook_url="https://shop.example/hook")  # fmt: skip
    fresh = entry()
    assert titles(boss) == [], "it is found out by pushing it"
    old = entry(due_at=timezone.now() - dt.timedelta(minutes=20))
    ((title, task),) = tasks(boss).items()
    assert title == "2 orders wait, and no worker sends them"
    assert sorted(shown(boss, task.buttons[0].url)) == [fresh.pk, old.pk]


def test_orders_with_same_problem_retry_together(boss: Client, data: Data) -> None:
    other = entry(state="dead", error_code="worker_died")
    again = button(tasks(boss)["1 order: This order stopped its worker again and again"], "Try again")
    assert boss.post(again.url, {again.name: again.value}).status_code == 302
    data.entry.refresh_from_db()
    other.refresh_from_db()
    assert (data.entry.state, other.state) == ("rejected", "pending")
    assert LogEntry.objects.get().object_id == str(other.pk)


def test_failed_webhooks_replay_with_one_click(boss: Client, data: Data) -> None:
    bare = WebhookEvent.objects.create(integration=data.integration, digest="b", state="failed", body="")
    receiver_failed = WebhookEvent.objects.create(
        integration=data.integration, digest="u", state="receiver_failed", body="{}"
    )
    replay = button(tasks(boss)["2 webhooks could not be applied"], "Replay")
    assert boss.post(replay.url, {replay.name: replay.value}).status_code == 302
    for event in (data.event, bare, receiver_failed):
        event.refresh_from_db()
    # The second has no body left; the third has to be confirmed first.
    assert [event.state for event in (data.event, bare, receiver_failed)] == ["received", "failed", "receiver_failed"]


def test_dead_orders_are_named_dead(boss: Client, well: Integration) -> None:
    entry(integration=well, state="dead", error_code="no_answer")
    ((title, task),) = tasks(boss).items()
    assert title == "1 order: Stopped after many attempts"
    assert labels(task) == ["Try again", "Show it"]


def test_overview_buttons_need_permission_and_token(as_role: Callable[..., Client], data: Data) -> None:
    viewer = as_role("viewer")
    for press in ({"retry": "rejected"}, {"replay": "failed"}):
        assert viewer.post(reverse(PAGE), press).status_code == 403
    assert [each for task in tasks(viewer).values() for each in task.buttons if each.post] == []
    # Permission for the button is not permission to see its rows.
    assert as_role("staff", "view_integration", "push_order").post(reverse(PAGE), {"retry": "x"}).status_code == 403
    boss = as_role("superuser")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = boss.cookies
    assert strict.post(reverse(PAGE), {"retry": "rejected"}).status_code == 403
    assert boss.post(reverse(PAGE), {}).status_code == 403
    assert boss.delete(reverse(PAGE)).status_code == 405
    data.entry.refresh_from_db()
    data.event.refresh_from_db()
    assert (data.entry.state, data.event.state) == ("rejected", "failed")


@pytest.mark.long
def test_silent_webhook_is_noticed(boss: Client, well: Integration) -> None:
    now = timezone.now()
    Integration.objects.update(last_success_at=now, last_webhook_at=now - dt.timedelta(days=3))
    assert titles(boss) == []
    Integration.objects.update(last_webhook_at=now - dt.timedelta(days=5))
    assert titles(boss) == ["Bike shop: no parcel updates for days"]
    Integration.objects.update(last_success_at=now - dt.timedelta(days=5))
    assert titles(boss) == []


@pytest.mark.long
def test_unread_webhooks_are_noticed(boss: Client, well: Integration) -> None:
    event = WebhookEvent.objects.create(integration=well, digest="r", body="{}")
    assert titles(boss) == []
    WebhookEvent.objects.update(received_at=timezone.now() - dt.timedelta(minutes=20))
    ((title, task),) = tasks(boss).items()
    assert title == "1 webhook waits to be applied"
    assert shown(boss, task.buttons[0].url) == [event.pk]


@pytest.mark.long
def test_unused_integration_is_task_if_orders_wait(boss: Client, well: Integration) -> None:
    Integration.objects.create(remote_id=2, name="Outlet", public_key="p", secret_key="s", is_active=False)
    outlet = Integration.objects.get(remote_id=2)
    Integration.objects.filter(pk=well.pk).update(webhook_active=True)
    assert titles(boss) == []
    waits = entry(integration=outlet)
    ((title, task),) = tasks(boss).items()
    assert title == "1 order waits for Outlet, which is not in use"
    assert labels(task) == ["Use it again", "Show it"]
    page = boss.get(task.buttons[0].url.partition("#")[0]).content.decode()
    assert 'id="id_is_active"' in page
    assert shown(boss, task.buttons[1].url) == [waits.pk]
    assert says(boss) == ("bad", "1 order is not going out")


def test_unused_integrations_without_orders_are_quiet(boss: Client, well: Integration) -> None:
    Integration.objects.update(is_active=False, webhook_active=False)
    assert titles(boss) == []
    assert says(boss) == ("off", "No integration is in use")


# -- cards --------------------------------------------------------------------------------------------


def card(client: Client, name: str = "Bike shop") -> Any:
    return next(card for card in client.get(reverse(PAGE)).context["cards"] if str(card.integration) == name)


def facts(found: Any) -> dict[str, Any]:
    return {str(fact.label): fact for fact in found.facts}


@pytest.fixture
def busy(well: Integration) -> list[Integration]:
    """Make three integrations, each with rows of every kind in different numbers."""
    now = timezone.now()
    past, ahead = now - dt.timedelta(minutes=10), now + dt.timedelta(minutes=10)
    values: dict[str, Any] = {"public_key": "p", "secret_key": "s", "last_success_at": now}
    outlet = Integration.objects.create(remote_id=2, name="Outlet", paused_since=now, paused_reason="person", **values)
    Integration.objects.filter(pk=well.pk).update(last_success_at=now)
    old = Integration.objects.create(remote_id=3, name="Old shop", is_active=False, **values)
    for number, integration in enumerate([well, outlet, old], 1):
        for _ in range(number):
            entry(integration=integration, due_at=past, not_before=past)
            entry(integration=integration, due_at=past, not_before=ahead, lease="x")
            entry(integration=integration, due_at=ahead, not_before=past)
            entry(integration=integration, due_at=past, not_before=ahead)
            entry(integration=integration, state="rejected", error_code="rejected")
            entry(integration=integration, state="dead", error_code="worker_died")
            shipment(integration, last_pushed_at=now)
            digest = uuid.uuid4().hex
            WebhookEvent.objects.create(integration=integration, digest=digest, body="{}", received_at=past)
        shipment(integration, last_pushed_at=now, status="deleted")
        shipment(integration, last_pushed_at=now - dt.timedelta(days=1))
    return [well, outlet, old]


@pytest.mark.long
@pytest.mark.parametrize("role", ["superuser", "viewer"])
def test_card_figures_match_their_lists(role: str, as_role: Callable[..., Client], busy: list[Integration]) -> None:
    client = as_role(role)
    followed = 0
    for number, integration in enumerate(busy, 1):
        found = facts(card(client, integration.name))
        for fact in found.values():
            if fact.number is not None:
                assert len(shown(client, fact.url)) == fact.number, (integration, fact)
                followed += 1
            elif fact.url:
                assert client.get(fact.url).status_code == 200, fact
        later = [fact.number for label, fact in found.items() if label.startswith("waiting, next try")]
        assert later == ([2 * number] if integration.pk == busy[0].pk else [])
        assert (found["fix needed"].number, found["stopped"].number) == (number, number)
        if integration.is_active:
            assert (found[sent_today()].number, found["webhooks to be applied"].number) == (number, number)
    assert followed == 7 + 5 + 3


@pytest.mark.long
def test_card_separates_due_from_held(boss: Client, busy: list[Integration]) -> None:
    for name, label, number in [("Bike shop", "due now", 1), ("Outlet", "on hold", 8), ("Old shop", "on hold", 12)]:
        assert facts(card(boss, name))[label].number == number
    assert "due now" not in facts(card(boss, "Outlet"))


@pytest.mark.long
def test_card_counts_unassigned_for_only_integration(boss: Client, well: Integration) -> None:
    entry()
    entry(state="rejected", error_code="payload_invalid")
    found = facts(card(boss))
    assert (found["due now"].number, found["fix needed"].number) == (1, 1)
    for label in ("due now", "fix needed"):
        assert len(shown(boss, found[label].url)) == 1


def test_card_has_health_reason_and_start(boss: Client, data: Data) -> None:
    now = timezone.now()
    data.integration.pause(PauseReason.PERSON)
    entry(integration=data.integration, recorded_at=now - dt.timedelta(hours=2))
    found = card(boss)
    assert "paused" in found.badge
    assert str(found.explanation.title) == "Paused by an operator"
    assert "just now (" in found.since
    assert "2\xa0hours ago (" in facts(found)["oldest waiting order"].value


@pytest.mark.long
def test_card_of_new_integration_is_busy(boss: Client, well: Integration) -> None:
    Integration.objects.update(last_success_at=None, webhook_active=False)
    Integration.objects.create(remote_id=2, name="Outlet")
    found = card(boss)
    assert ("being connected" in found.badge, labels_of(found.next)) == (True, ["Register webhook…"])
    found = card(boss, "Outlet")
    assert ("being connected" in found.badge, labels_of(found.next)) == (True, ["Enter keys"])
    assert boss.get(found.next[0].url).context["keys_first"]
    Integration.objects.update(webhook_active=True, public_key="p", secret_key="s")
    assert labels_of(card(boss).next) == ["See what comes next"]


def labels_of(buttons: Any) -> list[str]:
    return [str(button.label) for button in buttons]


def test_card_of_unused_integration_is_last(boss: Client, well: Integration) -> None:
    Integration.objects.filter(pk=well.pk).update(is_active=False)
    Integration.objects.create(remote_id=2, name="Outlet", public_key="p", secret_key="s")
    found = boss.get(reverse(PAGE)).context["cards"]
    assert [str(each.integration) for each in found] == ["Outlet", "Bike shop"]
    assert ("not in use" in found[1].badge, found[1].facts, found[1].next) == (True, [], ())


# -- permissions ------------------------------------------------------------------------------------------

FIGURES = {
    "outboxentry": ["due now", "fix needed", "stopped"],
    "shipment": [sent_today()],
    "webhookevent": ["webhooks to be applied"],
}
SPARKLINES = {"outboxentry": "fix needed", "shipment": "sent", "parcel": "parcels: On its way"}


@pytest.mark.long
@pytest.mark.parametrize("left_out", ["outboxentry", "parcel", "shipment", "webhookevent", "account", "all"])
def test_overview_hides_forbidden_figures_and_links(left_out: str, as_role: Callable[..., Client], data: Data) -> None:
    Parcel.objects.create(integration=data.integration, remote_id=99)
    Parcel.objects.update(status_at=timezone.now())
    entry()
    seen = {"integration"} if left_out == "all" else {*VIEW} - {left_out}
    client = as_role("staff", *(f"view_{name}" for name in seen))
    response = client.get(reverse(PAGE))
    assert response.status_code == 200
    found = {str(fact.label) for fact in response.context["cards"][0].facts}
    for model, names in FIGURES.items():
        for name in names:
            assert (name in found) == (model in seen), name
    drawn = {str(each.label) for each in response.context["day"].sparklines}
    for model, label in SPARKLINES.items():
        assert (label in drawn) == (model in seen), label
    html = response.content.decode()
    for url in {unescape(url) for url in re.findall(r'href="(/admin/django_sendcloud/[^"]*)"', html)}:
        assert client.get(url).status_code == 200, url
    words = {"outboxentry": "1 order", "webhookevent": "1 webhook", "parcel": "1 parcel"}
    for model, word in words.items():
        assert any(title.startswith(word) for title in titles(client)) == (model in seen), word


def test_overview_without_outbox_permission_still_warns(as_role: Callable[..., Client], data: Data) -> None:
    client = as_role("staff", "view_integration")
    assert "Some orders need a fix" in titles(client)
    assert says(client) == ("bad", "Some orders are not going out")


# -- the last day -------------------------------------------------------------------------------------


def day_of(client: Client) -> Day:
    day: Day = client.get(reverse(PAGE)).context["day"]
    return day


def sparkline(day: Day, label: str) -> Sparkline:
    return next(each for each in day.sparklines if str(each.label) == label)


@pytest.mark.long
def test_sparklines_lead_to_what_they_count(boss: Client, well: Integration) -> None:
    now = timezone.now()
    other = Integration.objects.create(remote_id=2)
    for integration, hours in [(well, 0), (well, 0), (other, 1), (well, 23.9), (well, 24.1), (well, 300)]:
        shipment(integration, last_pushed_at=now - dt.timedelta(hours=hours))
    shipment(well, last_pushed_at=now, status="deleted")
    for hours in (2, 30):
        entry(state="rejected", error_code="rejected", recorded_at=now - dt.timedelta(hours=hours))
    entry(state="dead", error_code="worker_died", recorded_at=now)
    for number, (phase, hours) in enumerate(
        [("announced", 1), ("in_transit", 1), ("in_transit", 2), ("delivered", 25)]
    ):
        Parcel.objects.create(
            integration=well, remote_id=number, phase=phase, status_at=now - dt.timedelta(hours=hours)
        )
    day = day_of(boss)
    assert {str(each.label): each.total for each in day.sparklines} == {
        "sent": 4,
        "fix needed": 1,
        "parcels: Label created": 1,
        "parcels: On its way": 2,
    }
    for each in day.sparklines:
        assert len(shown(boss, each.url)) == each.total, each.label
    assert sum(sparkline(day, "sent").numbers[-2:]) == 3
    assert sum(sparkline(day, "sent").numbers[:2]) == 1


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        # Amsterdam's clocks go back at 01:00 UTC: 02 exists twice; in spring it does not exist.
        (dt.datetime(2026, 10, 25, 12, 30, tzinfo=dt.UTC), 2),
        (dt.datetime(2026, 3, 29, 12, 30, tzinfo=dt.UTC), 0),
    ],
)
def test_sparklines_handle_clock_changes(boss: Client, well: Integration, moment: dt.datetime, count: int) -> None:
    snapshot: Any = Snapshot(admin.site._registry[Overview], boss.get(reverse(PAGE)).wsgi_request)
    snapshot.now = moment
    slots = last_day(snapshot).hours
    assert len({slot.astimezone(dt.UTC) for slot in slots}) == len(slots) == 25
    assert [slot.hour for slot in slots].count(2) == count
    for slot in slots:
        shipment(well, last_pushed_at=max(slot, moment - dt.timedelta(hours=24)))
    assert sparkline(last_day(snapshot), "sent").numbers == [1] * 25


def test_sparklines_have_accessible_table(boss: Client, well: Integration) -> None:
    for _ in range(3):
        shipment(well, last_pushed_at=timezone.now())
    html = boss.get(reverse(PAGE)).content.decode()
    sparklines = re.findall(r"<svg[^>]*>(?=<path[^>]*/><polyline)", html)
    assert len(sparklines) == 2
    assert all('aria-hidden="true"' in svg for svg in sparklines)
    table = html.partition('<table class="sc-hours">')[2].partition("</table>")[0]
    assert table.count("<tr>") == 27
    assert "<td>3</td>" in table


@pytest.mark.parametrize(
    ("numbers", "points"),
    [([0, 0], "0,10.00 1,10.00"), ([0, 3, 6], "0,10.00 1,5.00 2,0.00"), ([1, 0], "0,0.00 1,10.00")],
)
def test_sparkline_reaches_from_top_to_zero(numbers: list[int], points: str) -> None:
    """Numbers of SVG have a point in any language."""
    with translation.override("de"):
        assert Sparkline("sent", "good", "", numbers).points == points


# -- words --------------------------------------------------------------------------------------------


def test_times_and_numbers_are_humanized(db: None) -> None:
    now = timezone.localtime().replace(hour=12, minute=0)
    assert clock_time(now.replace(hour=10, minute=32)) == "10:32 a.m."
    assert clock_time(now.replace(hour=10, minute=32) - dt.timedelta(days=400)).endswith("10:32 a.m.")
    assert clock_time(now - dt.timedelta(days=400)) != clock_time(now)
    ago = timezone.now() - dt.timedelta(minutes=5)
    assert strip_tags(when(ago)) == f"5\xa0minutes ago ({clock_time(ago)})"
    ahead = timezone.now() + dt.timedelta(minutes=5, seconds=30)
    assert strip_tags(when(ahead)) == f"in 5\xa0minutes ({clock_time(ahead)})"
    assert format_number(1234567) == "1,234,567"
    with translation.override("de"):
        assert format_number(1234567) == "1.234.567"


# -- costs --------------------------------------------------------------------------------------------


def statements(client: Client) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(reverse(PAGE)).status_code == 200
    return [query["sql"] for query in queries]


@pytest.mark.long
def test_overview_takes_fifteen_statements(as_role: Callable[..., Client], data: Data) -> None:
    client = as_role("operator", "change_integration", "add_integration")
    few = statements(client)
    now = timezone.now()
    states: list[dict[str, Any]] = [
        {"public_key": "p", "secret_key": "s", "last_success_at": now},
        {"public_key": "p", "secret_key": "s"},
        {},
        {"is_active": False},
        {"public_key": "p", "secret_key": "s", "paused_since": now, "paused_reason": "credentials"},
        {"public_key": "p", "secret_key": "s", "failing_since": now},
    ]
    for number in range(11):
        integration = Integration.objects.create(remote_id=number + 10, name=str(number), **states[number % 6])
        for each in ("pending", "rejected", "dead"):
            shipment(integration, last_pushed_at=now)
            entry(integration=integration, state=each, error_code="gone")
            entry(state=each, error_code=f"code {number}")
        for each in ("received", "failed", "receiver_failed"):
            digest = uuid.uuid4().hex
            WebhookEvent.objects.create(integration=integration, digest=digest, state=each, body="{}")
    many = statements(client)
    assert len(client.get(reverse(PAGE)).context["cards"]) == 12
    assert len(many) == len(few) <= 15, "\n".join(many)


@pytest.mark.exhaustive
@pytest.mark.long
@pytest.mark.services("postgresql")
def test_overview_scans_no_large_table(tmp_path: Path) -> None:
    with fresh_database("postgresql", tmp_path) as url:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.admin.plans"],
            env={**os.environ, "TEST_DATABASE_URL": url},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["statements"] <= 15
    plans = found["plans"]
    assert {table for plan in plans for table in plan["large"]} == LARGE
    assert [plan for plan in plans if plan["read whole"]] == []
    # A day of them, and not the years before.
    assert [plan for plan in plans if plan["rows"] > 5_000] == []
    # One statement counts all waiting orders, one reads the causes of stuck ones, and one draws the rejected ones.
    assert len([plan for plan in plans if 'FROM "django_sendcloud_outboxentry"' in plan["sql"]]) == 3
