"""The first page: is everything going out, and if not, what is to be done?"""

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

from django_sendcloud.admin.spoken import clock_time, grouped, when
from django_sendcloud.admin.today import Day, hours, last_day, scale
from django_sendcloud.models import (
    Account,
    Attempt,
    Integration,
    OutboxEntry,
    Parcel,
    ParcelStatus,
    PauseReason,
    Shipment,
    Tally,
    WebhookEvent,
)
from django_sendcloud.sync.status import mark_sweep
from tests.processes.conftest import fresh_database

from .conftest import VIEW, Data
from .plans import LARGE

PAGE = "admin:django_sendcloud_overview_changelist"


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


@pytest.fixture
def well(connected: Integration) -> Integration:
    """An integration that has nothing to complain of."""
    mark_sweep()
    now = timezone.now()
    Integration.objects.update(
        webhook_active=True, webhook_url="https://shop.example/hook", last_webhook_at=now, last_success_at=now
    )
    connected.refresh_from_db()
    return connected


def tasks(client: Client) -> dict[str, Any]:
    """What needs a person, by its title, the most urgent first."""
    return {str(task.title): task for task in client.get(reverse(PAGE)).context["tasks"]}


def titles(client: Client) -> list[str]:
    return [*tasks(client)]


def says(client: Client) -> tuple[str, str]:
    """The answer: its tone, and the sentence without its markup."""
    answer = client.get(reverse(PAGE)).context["answer"]
    return answer.tone, strip_tags(str(answer.sentence))


def labels(task: Any) -> list[str]:
    return [str(cure.label) for cure in task.cures]


def cure(task: Any, label: str) -> Any:
    return next(cure for cure in task.cures if str(cure.label) == label)


def shown(client: Client, url: str) -> list[int]:
    """The rows of a list."""
    response = client.get(url)
    assert response.status_code == 200, url
    assert "e=1" not in response.request["QUERY_STRING"]
    return [row.pk for row in response.context["cl"].queryset]


def entry(**values: Any) -> OutboxEntry:
    return OutboxEntry.objects.create(**{"order_type": "shop.order", "order_pk": uuid.uuid4().hex, **values})


def shipment(integration: Integration, **values: Any) -> Shipment:
    key = uuid.uuid4().hex
    ids = {"order_type": "shop.order", "order_pk": key, "external_order_id": key, "external_shipment_id": key}
    return Shipment.objects.create(integration=integration, **{"status": "synced", **ids, **values})


# -- where it stands ----------------------------------------------------------------------------------


def test_it_is_the_first_thing_under_sendcloud(boss: Client, well: Integration) -> None:
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


def test_whoever_sees_integrations_sees_it(as_role: Callable[..., Client], well: Integration) -> None:
    assert as_role("viewer").get(reverse(PAGE)).status_code == 200
    assert as_role("staff").get(reverse(PAGE)).status_code == 403
    assert as_role("anonymous").get(reverse(PAGE)).status_code == 302


def test_nothing_is_connected_yet(boss: Client, as_role: Callable[..., Client], db: None) -> None:
    html = boss.get(reverse(PAGE)).content.decode()
    assert "Nothing is connected yet" in html
    assert reverse("admin:django_sendcloud_integration_add") in html
    assert (
        reverse("admin:django_sendcloud_integration_add") not in as_role("viewer").get(reverse(PAGE)).content.decode()
    )


# -- is everything going out? -------------------------------------------------------------------------


def test_yes(boss: Client, well: Integration) -> None:
    assert says(boss) == ("good", "Yes, everything is going out")
    assert titles(boss) == []
    html = boss.get(reverse(PAGE)).content.decode()
    assert '<span class="sc-answer__symbol" aria-hidden="true">✓</span>' in html, "it is not told by colour alone"
    entry(integration=well)
    assert "1 order is on its way just now." in boss.get(reverse(PAGE)).content.decode()


def test_yes_but_what_delays_is_said(boss: Client, well: Integration) -> None:
    ago = timezone.now() - dt.timedelta(minutes=1)
    entry(integration=well, error_code="no_answer", failing_since=ago)
    assert says(boss) == ("warn", f"Yes, but 1 order waits for Sendcloud since {clock_time(ago)}")
    entry(integration=well, error_code="server_error", failing_since=ago)
    entry(integration=well)
    assert says(boss) == ("warn", f"Yes, but 2 orders wait for Sendcloud since {clock_time(ago)}")
    OutboxEntry.objects.all().delete()
    Account.objects.update(open_until=timezone.now() + dt.timedelta(minutes=1))
    assert says(boss)[0] == "good", "nothing is there that could be late"
    entry(integration=well, due_at=ago)
    assert says(boss) == ("warn", f"Yes, but 1 order waits for Sendcloud since {clock_time(ago)}")


def test_no_and_what_comes_first(boss: Client, well: Integration) -> None:
    entry(integration=well, state="rejected", error_code="rejected")
    assert says(boss) == ("bad", "No: 1 order needs you")
    entry(integration=well, state="dead", error_code="gave_up")
    assert says(boss) == ("bad", "No: 2 orders need you")
    well.pause(PauseReason.PERSON)
    assert says(boss) == ("bad", "No: 2 orders and 1 integration need you")
    assert "First: Bike shop: Paused by a person." in boss.get(reverse(PAGE)).content.decode()
    OutboxEntry.objects.all().delete()
    assert says(boss) == ("bad", "No: 1 integration needs you")


def test_what_waits_and_does_not_heal_needs_somebody(boss: Client, well: Integration) -> None:
    entry(integration=well, error_code="order_conflict")
    assert titles(boss) == ["Bike shop: Another order has the same id at Sendcloud"]
    assert says(boss) == ("bad", "No: 1 integration needs you")
    OutboxEntry.objects.all().delete()
    Integration.objects.update(failing_since=timezone.now())
    assert titles(boss) == ["Bike shop: Sendcloud reports that the integration fails"]
    assert says(boss)[0] == "good"


def test_what_comes_back_does_not_keep_orders_from_going_out(boss: Client, well: Integration) -> None:
    Parcel.objects.create(integration=well, remote_id=9)
    assert says(boss) == ("good", "Yes, everything is going out")
    assert "1 other thing needs a person, see below." in boss.get(reverse(PAGE)).content.decode()


def test_not_yet(boss: Client, well: Integration) -> None:
    Integration.objects.update(last_success_at=None)
    assert says(boss) == ("busy", "Not yet: Bike shop is being connected")
    Integration.objects.create(remote_id=2, name="Outlet")
    assert says(boss) == ("busy", "Not yet: 2 integrations are being connected")
    Integration.objects.filter(pk=well.pk).update(last_success_at=timezone.now())
    assert says(boss)[0] == "good", "the one that is ready sends everything there is"


def test_the_periodic_work_stops_what_waits(boss: Client, well: Integration) -> None:
    Account.objects.update(swept_at=None)
    assert titles(boss) == ["The periodic work does not run"]
    assert says(boss)[0] == "good"
    entry(integration=well)
    assert says(boss) == ("bad", "No: something needs a person")


# -- what needs a person ------------------------------------------------------------------------------


def test_the_most_urgent_comes_first_each_with_its_cure(boss: Client, data: Data) -> None:
    data.integration.pause(PauseReason.CREDENTIALS)
    Integration.objects.create(remote_id=2, name="Outlet", public_key="p", secret_key="s")
    Parcel.objects.create(integration=data.integration, remote_id=99, status_at=timezone.now())
    entry(error_code="integration_unknown")
    WebhookEvent.objects.create(integration=data.integration, digest="u", state="unheard", body="{}")
    found = tasks(boss)
    assert {title: labels(task) for title, task in found.items()} == {
        "1 order goes nowhere: It is not clear which integration the order belongs to": [
            "Choose an integration",
            "Show them",
        ],
        "Bike shop: Sendcloud refuses the API keys": ["Enter keys", "Resume", "Open"],
        "The periodic work does not run": [],
        "1 order: Sendcloud refused the order": ["Show them", "Try again"],
        "Outlet: Sendcloud does not report parcels": ["Register webhook…", "Open"],
        "1 webhook could not be applied": ["Replay", "Show them"],
        "1 webhook was applied, and the shop's own code failed on it": ["Show them"],
        "1 parcel belongs to no order": ["Show them"],
    }
    assert [*found] == [str(task.title) for task in boss.get(reverse(PAGE)).context["tasks"]]
    for task in found.values():
        for each in task.cures:
            if not each.post:
                assert boss.get(each.url).status_code == 200, each.url


def test_links_lead_to_lists_that_show_just_these(boss: Client, data: Data) -> None:
    entry(state="dead", error_code="worker_died")
    lost = entry(error_code="adapter_missing")
    unheard = WebhookEvent.objects.create(integration=data.integration, digest="u", state="unheard", body="{}")
    parcel = Parcel.objects.create(integration=data.integration, remote_id=99)
    found = tasks(boss)
    for title, row in {
        "1 order: Sendcloud refused the order": data.entry,
        "1 order goes nowhere: The shop has no adapter for this kind of order": lost,
        "1 webhook could not be applied": data.event,
        "1 webhook was applied, and the shop's own code failed on it": unheard,
        "1 parcel belongs to no order": parcel,
    }.items():
        assert shown(boss, cure(found[title], "Show them").url) == [row.pk], title


def test_keys_are_entered_where_they_are_missing_or_refused(boss: Client, well: Integration) -> None:
    page = reverse("admin:django_sendcloud_integration_change", args=[well.pk])
    well.pause(PauseReason.CREDENTIALS)
    (task,) = tasks(boss).values()
    assert (labels(task)[0], task.cures[0].url) == ("Enter keys", f"{page}#id_new_secret_key")
    assert 'id="id_new_secret_key"' in boss.get(page).content.decode()
    well.resume()
    Integration.objects.update(public_key="", secret_key="", last_success_at=timezone.now())
    (task,) = tasks(boss).values()
    assert task.stops
    assert (labels(task), task.cures[0].url) == (["Enter keys"], f"{page}#id_public_key")


def test_keys_that_are_right_and_not_entitled_are_not_asked_for_again(boss: Client, well: Integration) -> None:
    well.pause(PauseReason.CREDENTIALS, "upsert: HTTP 403: not allowed")
    (task,) = tasks(boss).values()
    assert labels(task) == ["Resume", "Open"]


def test_a_paused_integration_is_resumed_with_one_click(boss: Client, well: Integration) -> None:
    well.pause(PauseReason.PERSON)
    (task,) = tasks(boss).values()
    assert boss.post(task.cures[0].url).status_code == 302
    assert titles(boss) == []
    assert says(boss)[0] == "good"


def test_orders_that_nobody_takes_are_the_most_urgent(boss: Client, well: Integration) -> None:
    Integration.objects.update(is_active=False)
    lost = [entry(), entry(error_code="no_integration", due_at=timezone.now() + dt.timedelta(hours=1))]
    ((title, task),) = tasks(boss).items()
    assert title == "2 orders wait, and no integration is in use"
    assert labels(task) == ["Choose an integration", "Show them"]
    assert sorted(shown(boss, task.cures[1].url)) == [each.pk for each in lost]
    assert says(boss) == ("bad", "No: 2 orders need you")
    Integration.objects.all().delete()
    ((title, task),) = tasks(boss).items()
    assert labels(task) == ["Connect an integration", "Show them"]
    assert boss.get(task.cures[0].url).status_code == 200


def test_what_one_of_several_is_to_take_is_missed_when_nobody_pushes_it(boss: Client, well: Integration) -> None:
    Integration.objects.create(remote_id=2, name="Outlet", public_key="p", secret_key="s", webhook_active=True,
                               webhook_url="https://shop.example/hook")  # fmt: skip
    fresh = entry()
    assert titles(boss) == [], "it is found out by pushing it"
    old = entry(due_at=timezone.now() - dt.timedelta(minutes=20))
    ((title, task),) = tasks(boss).items()
    assert title == "2 orders wait, and nobody pushes them"
    assert sorted(shown(boss, task.cures[0].url)) == [fresh.pk, old.pk]


def test_all_orders_with_one_problem_are_pushed_again_with_one_click(boss: Client, data: Data) -> None:
    other = entry(state="dead", error_code="worker_died")
    again = cure(tasks(boss)["1 order: This order stopped its worker again and again"], "Try again")
    assert boss.post(again.url, {again.name: again.value}).status_code == 302
    data.entry.refresh_from_db()
    other.refresh_from_db()
    assert (data.entry.state, other.state) == ("rejected", "pending")
    assert LogEntry.objects.get().object_id == str(other.pk)


def test_webhooks_that_failed_are_replayed_with_one_click(boss: Client, data: Data) -> None:
    bare = WebhookEvent.objects.create(integration=data.integration, digest="b", state="failed", body="")
    unheard = WebhookEvent.objects.create(integration=data.integration, digest="u", state="unheard", body="{}")
    replay = cure(tasks(boss)["2 webhooks could not be applied"], "Replay")
    assert boss.post(replay.url, {replay.name: replay.value}).status_code == 302
    for event in (data.event, bare, unheard):
        event.refresh_from_db()
    # Of the second nothing is left to apply; of the third it has to be asked first.
    assert [event.state for event in (data.event, bare, unheard)] == ["received", "failed", "unheard"]


def test_what_was_given_up_and_would_have_healed_is_said_to_be_given_up(boss: Client, well: Integration) -> None:
    entry(integration=well, state="dead", error_code="no_answer")
    ((title, task),) = tasks(boss).items()
    assert title == "1 order: Given up after many attempts"
    assert labels(task) == ["Try again", "Show them"]


def test_a_click_needs_its_permission_and_a_token(as_role: Callable[..., Client], data: Data) -> None:
    viewer = as_role("viewer")
    for press in ({"retry": "rejected"}, {"replay": "failed"}):
        assert viewer.post(reverse(PAGE), press).status_code == 403
    assert [each for task in tasks(viewer).values() for each in task.cures if each.post] == []
    # The right to press it is not the right to see what it does something to.
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


def test_days_without_news_are_noticed_while_orders_go_out(boss: Client, well: Integration) -> None:
    now = timezone.now()
    Integration.objects.update(last_success_at=now, last_webhook_at=now - dt.timedelta(days=3))
    assert titles(boss) == []
    Integration.objects.update(last_webhook_at=now - dt.timedelta(days=5))
    assert titles(boss) == ["Bike shop: no news of parcels for days"]
    Integration.objects.update(last_success_at=now - dt.timedelta(days=5))
    assert titles(boss) == []


def test_webhooks_that_nobody_reads_are_noticed(boss: Client, well: Integration) -> None:
    event = WebhookEvent.objects.create(integration=well, digest="r", body="{}")
    assert titles(boss) == []
    WebhookEvent.objects.update(received_at=timezone.now() - dt.timedelta(minutes=20))
    ((title, task),) = tasks(boss).items()
    assert title == "1 webhook waits to be applied"
    assert shown(boss, task.cures[0].url) == [event.pk]


def test_what_is_not_in_use_needs_somebody_only_if_orders_wait_for_it(boss: Client, well: Integration) -> None:
    Integration.objects.create(remote_id=2, name="Outlet", public_key="p", secret_key="s", is_active=False)
    outlet = Integration.objects.get(remote_id=2)
    Integration.objects.filter(pk=well.pk).update(webhook_active=True)
    assert titles(boss) == []
    waits = entry(integration=outlet)
    ((title, task),) = tasks(boss).items()
    assert title == "1 order waits for Outlet, which is not in use"
    assert labels(task) == ["Use it again", "Show them"]
    page = boss.get(task.cures[0].url.partition("#")[0]).content.decode()
    assert 'id="id_is_active"' in page
    assert shown(boss, task.cures[1].url) == [waits.pk]
    assert says(boss) == ("bad", "No: 1 order needs you")


def test_nothing_in_use_and_nothing_waiting_needs_nobody(boss: Client, well: Integration) -> None:
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
    """Three integrations, each with something of everything, and another number of each."""
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
            shipment(integration, told_at=now)
            digest = uuid.uuid4().hex
            WebhookEvent.objects.create(integration=integration, digest=digest, body="{}", received_at=past)
        shipment(integration, told_at=now, status="deleted")
        shipment(integration, told_at=now - dt.timedelta(days=1))
    return [well, outlet, old]


@pytest.mark.parametrize("role", ["superuser", "viewer"])
def test_every_figure_leads_to_just_what_it_counts(
    role: str, as_role: Callable[..., Client], busy: list[Integration]
) -> None:
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
        later = [fact.number for label, fact in found.items() if label.startswith("waiting, not due before")]
        assert later == [2 * number]
        assert (found["to be corrected"].number, found["given up"].number) == (number, number)
        if integration.is_active:
            assert (found["pushed today"].number, found["webhooks to be applied"].number) == (number, number)
    assert followed == 7 + 7 + 5


def test_what_is_due_and_what_could_not_go_are_told_apart(boss: Client, busy: list[Integration]) -> None:
    for name, label, number in [("Bike shop", "due now", 1), ("Outlet", "held back", 2), ("Old shop", "held back", 3)]:
        assert facts(card(boss, name))[label].number == number
    assert "due now" not in facts(card(boss, "Outlet"))


def test_with_one_integration_what_does_not_know_yet_where_it_goes_counts_for_it(
    boss: Client, well: Integration
) -> None:
    entry()
    entry(state="rejected", error_code="payload_invalid")
    found = facts(card(boss))
    assert (found["due now"].number, found["to be corrected"].number) == (1, 1)
    for label in ("due now", "to be corrected"):
        assert len(shown(boss, found[label].url)) == 1


def test_a_card_says_how_it_is_why_and_since_when(boss: Client, data: Data) -> None:
    now = timezone.now()
    data.integration.pause(PauseReason.PERSON)
    entry(integration=data.integration, due_at=now - dt.timedelta(hours=2))
    found = card(boss)
    assert "paused" in found.badge
    assert str(found.explanation.title) == "Paused by a person"
    assert "just now (" in found.since
    assert "2\xa0hours ago (" in facts(found)["oldest held back"].value


def test_what_is_being_connected_is_neither_well_nor_ill(boss: Client, well: Integration) -> None:
    Integration.objects.update(last_success_at=None, webhook_active=False)
    Integration.objects.create(remote_id=2, name="Outlet")
    found = card(boss)
    assert ("being connected" in found.badge, labels_of(found.next)) == (True, ["Register webhook…"])
    found = card(boss, "Outlet")
    assert ("being connected" in found.badge, labels_of(found.next)) == (True, ["Enter keys"])
    assert boss.get(found.next[0].url).context["keys_first"]
    Integration.objects.update(webhook_active=True, public_key="p", secret_key="s")
    assert labels_of(card(boss).next) == ["See what comes next"]


def labels_of(cures: Any) -> list[str]:
    return [str(cure.label) for cure in cures]


def test_what_is_not_in_use_is_quiet_and_last(boss: Client, well: Integration) -> None:
    Integration.objects.filter(pk=well.pk).update(is_active=False)
    Integration.objects.create(remote_id=2, name="Outlet", public_key="p", secret_key="s")
    found = boss.get(reverse(PAGE)).context["cards"]
    assert [str(each.integration) for each in found] == ["Outlet", "Bike shop"]
    assert ("not in use" in found[1].badge, found[1].facts, found[1].next) == (True, [], ())


# -- who sees what ------------------------------------------------------------------------------------

FIGURES = {
    "outboxentry": ["due now", "to be corrected", "given up"],
    "shipment": ["pushed today"],
    "webhookevent": ["webhooks to be applied"],
}
ROWS = {"outboxentry": "refused", "shipment": "pushed", "parcel": "parcels: on its way"}


@pytest.mark.parametrize("left_out", ["outboxentry", "parcel", "shipment", "webhookevent", "account", "all"])
def test_nobody_sees_figures_or_links_of_what_he_may_not_see(
    left_out: str, as_role: Callable[..., Client], data: Data
) -> None:
    Parcel.objects.create(integration=data.integration, remote_id=99)
    entry()
    Tally.objects.create(integration=data.integration, hour=timezone.now().replace(minute=0, second=0, microsecond=0))
    seen = {"integration"} if left_out == "all" else {*VIEW} - {left_out}
    client = as_role("staff", *(f"view_{name}" for name in seen))
    response = client.get(reverse(PAGE))
    assert response.status_code == 200
    found = {str(fact.label) for fact in response.context["cards"][0].facts}
    for model, names in FIGURES.items():
        for name in names:
            assert (name in found) == (model in seen), name
    rows = {str(row.label) for row in response.context["day"].rows}
    for model, row in ROWS.items():
        assert (row in rows) == (model in seen), row
    html = response.content.decode()
    for url in {unescape(url) for url in re.findall(r'href="(/admin/django_sendcloud/[^"]*)"', html)}:
        assert client.get(url).status_code == 200, url
    words = {"outboxentry": "1 order", "webhookevent": "1 webhook", "parcel": "1 parcel"}
    for model, word in words.items():
        assert any(title.startswith(word) for title in titles(client)) == (model in seen), word


def test_who_may_not_see_orders_learns_that_somebody_has_to(as_role: Callable[..., Client], data: Data) -> None:
    client = as_role("staff", "view_integration")
    assert "Some orders need a person" in titles(client)
    assert says(client) == ("bad", "No: something needs a person")


# -- the last day -------------------------------------------------------------------------------------


def row(day: Day, label: str) -> Any:
    return next((row for row in day.rows if str(row.label) == label), None)


def tally(integration: Integration, at: dt.datetime, pushed: int, deleted: int = 0) -> None:
    Tally.add(at.astimezone(dt.UTC), {integration.pk: (pushed, deleted)})


def test_every_hour_has_its_bar(well: Integration) -> None:
    now = timezone.now()
    other = Integration.objects.create(remote_id=2)
    for integration, hour, number in [(well, 0, 3), (other, 0, 4), (well, 1, 1), (well, 23, 2), (well, 25, 9)]:
        tally(integration, now - dt.timedelta(hours=hour), number)
    for outcome in ("refused", "refused", "failed"):
        Attempt.objects.create(order_type="o", order_pk="1", at=now, outcome=outcome)
    parcel = Parcel.objects.create(integration=well, remote_id=1, status_at=now)
    for number, phase in enumerate(["announced", "in_transit", "in_transit"]):
        ParcelStatus.objects.create(parcel=parcel, status_id=number, phase=phase, event_ms=number, at=now)
    day = last_day(now)
    assert {str(row.label): row.total for row in day.rows} == {
        "pushed": 10,
        "refused": 2,
        "parcels: announced": 1,
        "parcels: on its way": 2,
    }
    assert [bar.number for bar in row(day, "pushed").bars] == [2, *[0] * 21, 1, 7]
    # One scale for all: what is twice as high is twice as much, whatever it is.
    assert [tick.number for tick in day.ticks] == ["8", "4", "0"]
    assert [row(day, label).bars[-1].height for label in ("pushed", "refused", "parcels: announced")] == [
        8.75,
        2.5,
        1.25,
    ]
    tally(well, now, 0, deleted=5)
    assert row(last_day(now), "deleted").total == 5


@pytest.mark.parametrize(
    ("most", "top", "step"),
    [(0, 1, 1), (1, 1, 1), (2, 2, 1), (3, 4, 2), (7, 8, 4), (9, 10, 5), (10, 10, 5), (11, 20, 10), (80, 80, 40),
     (81, 100, 50), (1234, 2000, 1000), (6001, 8000, 4000)],
)  # fmt: skip
def test_the_scale_has_round_numbers(most: int, top: int, step: int) -> None:
    assert scale(most) == (top, step)


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        # Amsterdam's clocks go back at 01:00 UTC: 02 exists twice; in spring it does not exist.
        (dt.datetime(2026, 10, 25, 12, 30, tzinfo=dt.UTC), 2),
        (dt.datetime(2026, 3, 29, 12, 30, tzinfo=dt.UTC), 0),
    ],
)
def test_days_with_an_hour_more_or_less(well: Integration, moment: dt.datetime, count: int) -> None:
    slots = hours(moment)
    assert len(slots) == 24
    assert len({slot.astimezone(dt.UTC) for slot in slots}) == 24
    assert [slot.hour for slot in slots].count(2) == count
    for slot in slots:
        tally(well, slot, 1)
    assert [bar.number for bar in row(last_day(moment), "pushed").bars] == [1] * 24


def test_the_chart_can_be_read_without_seeing_it(boss: Client, well: Integration) -> None:
    tally(well, timezone.now(), 12345)
    html = boss.get(reverse(PAGE)).content.decode()
    assert '<div class="sc-day" aria-hidden="true">' in html
    _, _, table = html.partition('<table class="sc-hours">')
    table = table.partition("</table>")[0]
    assert table.count("<tr>") == 26
    assert "<td>12,345</td>" in table


def test_numbers_in_the_drawing_have_points_in_every_language(boss: Client, well: Integration) -> None:
    tally(well, timezone.now(), 12345)
    html = boss.get(reverse(PAGE), headers={"accept-language": "nl"}).content.decode()
    svg = html[html.index("<svg viewBox") : html.index("</svg>", html.index("<svg viewBox"))]
    assert 'x="23.1"' in svg
    assert "," not in svg.split("<title>")[0]
    assert "12.345" in svg.split("<title>")[1]


# -- words --------------------------------------------------------------------------------------------


def test_times_and_numbers_are_said_as_people_say_them(db: None) -> None:
    now = timezone.localtime().replace(hour=12, minute=0)
    assert clock_time(now.replace(hour=10, minute=32)) == "10:32 a.m."
    assert clock_time(now.replace(hour=10, minute=32) - dt.timedelta(days=400)).endswith("10:32 a.m.")
    assert clock_time(now - dt.timedelta(days=400)) != clock_time(now)
    ago = timezone.now() - dt.timedelta(minutes=5)
    assert strip_tags(when(ago)) == f"5\xa0minutes ago ({clock_time(ago)})"
    ahead = timezone.now() + dt.timedelta(minutes=5, seconds=30)
    assert strip_tags(when(ahead)) == f"in 5\xa0minutes ({clock_time(ahead)})"
    assert grouped(1234567) == "1,234,567"
    with translation.override("de"):
        assert grouped(1234567) == "1.234.567"


# -- what it costs ------------------------------------------------------------------------------------


def statements(client: Client) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(reverse(PAGE)).status_code == 200
    return [query["sql"] for query in queries]


def test_it_takes_fifteen_statements_however_much_there_is(as_role: Callable[..., Client], data: Data) -> None:
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
            shipment(integration, told_at=now)
            entry(integration=integration, state=each, error_code="gone")
            entry(state=each, error_code=f"code {number}")
        for each in ("received", "failed", "unheard"):
            digest = uuid.uuid4().hex
            WebhookEvent.objects.create(integration=integration, digest=digest, state=each, body="{}")
        tally(integration, now, number)
    many = statements(client)
    assert len(client.get(reverse(PAGE)).context["cards"]) == 12
    assert len(many) == len(few) <= 15, "\n".join(many)


@pytest.mark.services("postgresql")
def test_with_much_in_it_no_large_table_is_read_from_end_to_end(tmp_path: Path) -> None:
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
    # What waits is counted whole, however it stands with it: in one statement.
    assert len([plan for plan in plans if 'FROM "django_sendcloud_outboxentry"' in plan["sql"]]) == 1
