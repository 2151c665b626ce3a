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
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format

from django_sendcloud.admin.explanations.statuses import BY_PHASE, BY_STATUS
from django_sendcloud.conf import conf
from django_sendcloud.core.crypto import Secret
from django_sendcloud.enums import ParcelPhase
from django_sendcloud.models import Attempt, Integration, OutboxEntry, Parcel, ParcelStatus, Shipment, WebhookEvent
from django_sendcloud.models.statuses import STATUSES
from django_sendcloud.sync.problems import Problem, columns_of
from tests import factories
from tests.databases import fresh_database

from .conftest import Data


@pytest.fixture
def boss(as_role: Callable[[str], Client]) -> Client:
    return as_role("superuser")


def page(client: Client, name: str, *args: Any, **query: str) -> str:
    response = client.get(reverse(f"admin:django_sendcloud_{name}", args=args), query)
    assert response.status_code == 200
    return str(response.content.decode())


def rows(client: Client, model: str, **query: str) -> set[int]:
    response = client.get(reverse(f"admin:django_sendcloud_{model}_changelist"), query)
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


# Session, user, and permissions are read by a superuser in 2; then the page's own.
# Our own: recorded changes, notices (integrations, grouped outbox), saved filters, count, rows; columns' extra queries stand here.
QUERIES = {
    "integration": 8,
    "outboxentry": 13,
    "shipment": 12,
    "parcel": 12,
    "webhookevent": 10,
    "account": 8,
}


def many(data: Data, number: int) -> None:
    now = timezone.now()
    for n in range(number):
        integration = Integration.objects.create(remote_id=100 + n, public_key="p", secret_key="s", is_active=False)
        key = str(uuid.uuid4())
        shipment = Shipment.objects.create(
            integration=integration,
            order_type="shop.order",
            order_pk=key,
            external_order_id=key,
            external_shipment_id=key,
            status="rejected",
            errors={"city": [{"code": "required"}]},
        )
        OutboxEntry.objects.create(
            order_type="shop.order", order_pk=key, integration=integration, state="rejected", error_code="rejected"
        )
        parcel = Parcel.objects.create(integration=integration, shipment=shipment, remote_id=n, status_at=now)
        WebhookEvent.objects.create(integration=integration, digest=f"{n:064}", state="failed", parcel=parcel)


@pytest.mark.parametrize("model", QUERIES)
@pytest.mark.long
def test_list_takes_constant_queries(model: str, boss: Client, data: Data, django_assert_num_queries: Any) -> None:
    # Neither an attempt nor a shipment knows its number.
    OutboxEntry.objects.create(order_type="shop.order", order_pk=str(uuid.uuid4()), state="dead")
    page(boss, f"{model}_changelist")
    with django_assert_num_queries(QUERIES[model]):
        page(boss, f"{model}_changelist")
    many(data, 12)
    with django_assert_num_queries(QUERIES[model]):
        page(boss, f"{model}_changelist")


def test_inbox_list_does_not_load_bodies(boss: Client, data: Data, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(QUERIES["webhookevent"]) as queries:
        page(boss, "webhookevent_changelist")
    (rows_sql,) = [query["sql"] for query in queries if "digest" in query["sql"]]
    assert "body" not in rows_sql


@pytest.mark.long
def test_shipment_page_takes_constant_queries(boss: Client, data: Data, django_assert_num_queries: Any) -> None:
    page(boss, "shipment_change", data.shipment.pk)
    with django_assert_num_queries(12):
        page(boss, "shipment_change", data.shipment.pk)
    for n in range(10):
        parcel = Parcel.objects.create(integration=data.integration, shipment=data.shipment, remote_id=1000 + n)
        for step in range(5):
            ParcelStatus.objects.create(parcel=parcel, status_id=step, event_ms=step, at=timezone.now())
    with django_assert_num_queries(12):
        page(boss, "shipment_change", data.shipment.pk)


@pytest.mark.long
def test_pages_show_no_secret(boss: Client, data: Data, as_role: Callable[..., Client]) -> None:
    data.integration.replace_secret_key("canary-secret-0002")
    data.integration.webhook_signature_key = Secret("canary-signature-0003")
    data.integration.save()
    secrets = ["canary-secret-0001", "canary-secret-0002", "canary-signature-0003"]
    secrets += [getattr(data.integration, name).ciphertext() for name in ("secret_key", "previous_secret_key")]
    for client in (boss, as_role("operator", "view_payload")):
        for name, obj in data.objects.items():
            for kind, args in (("changelist", []), ("change", [obj.pk]), ("history", [obj.pk])):
                html = page(client, f"{name}_{kind}", *args)
                assert not [secret for secret in secrets if secret in html], (name, kind)
    assert "canary" not in f"{data.integration} {data.integration!r} {data.integration.secret_key!r}"


@pytest.mark.long
def test_personal_data_is_only_on_payload_pages(boss: Client, data: Data) -> None:
    event = reverse("admin:django_sendcloud_webhookevent_change", args=[data.event.pk])
    for name, obj in data.objects.items():
        for kind, args in (("changelist", []), ("change", [obj.pk]), ("history", [obj.pk])):
            html = page(boss, f"{name}_{kind}", *args)
            shown = reverse(f"admin:django_sendcloud_{name}_{kind}", args=args) == event
            assert ("Canary Person" in html) == shown, (name, kind)


def test_outbox_entry_explains_field_and_advice(boss: Client, data: Data) -> None:
    html = page(boss, "outboxentry_change", data.entry.pk)
    assert "Sendcloud rejected the order" in html
    assert "Order line 2, weight of one piece" in html
    assert "This is 0, and must be at least 0.001 kg." in html
    assert "What to do:" in html
    assert "upsert shipments: refused" in html, "the technical details are one click away"


def test_outbox_list_shows_short_problem(boss: Client, data: Data) -> None:
    html = page(boss, "outboxentry_changelist")
    assert "Fix needed" in html
    assert "order line 2, weight of one piece: This is 0, and must be at least 0.001 kg." in html


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "Waiting"),
        ({"is_deletion": True}, "Waiting"),
        ({"error_code": "server_error", "failing_since": timezone.now()}, "Waiting"),
        ({"error_code": "payload_invalid"}, "Waiting"),
        ({"error_code": "adapter_error", "failing_since": timezone.now()}, "On hold"),
        ({"error_code": "credentials"}, "On hold"),
        ({"lease": "x", "not_before": timezone.now() + dt.timedelta(hours=1)}, "Sending"),
        ({"state": "dead", "error_code": "worker_died"}, "Stopped"),
    ],
)
def test_entry_state_is_one_badge(values: dict[str, Any], words: str, boss: Client) -> None:
    OutboxEntry.objects.create(order_type="shop.order", order_pk="1", **values)
    assert f"</span> {words}</span>" in page(boss, "outboxentry_changelist")


@pytest.mark.parametrize("lease", ["", "x"])
def test_unchanged_order_is_not_called_fixed(boss: Client, data: Data, lease: str) -> None:
    """A person pushed it again, and it may be as wrong as before."""
    OutboxEntry.objects.all().retry()
    if lease:
        OutboxEntry.objects.update(lease=lease, not_before=timezone.now() + dt.timedelta(hours=1))
    words = "Sending again…" if lease else "To be sent again"
    for html in (
        page(boss, "outboxentry_changelist"),
        page(boss, "outboxentry_change", data.entry.pk),
        boss.get(reverse("backoffice:shop_order_change", args=[data.order.pk])).content.decode(),
    ):
        assert words in html
        assert "Fixed" not in html


@pytest.mark.long
def test_outbox_filters_by_state_and_problem(boss: Client, data: Data) -> None:
    dead = OutboxEntry.objects.create(order_type="shop.order", order_pk="1", state="dead", error_code="worker_died")
    waiting = OutboxEntry.objects.create(order_type="shop.order", order_pk="2")
    assert rows(boss, "outboxentry", state="stuck") == {data.entry.pk, dead.pk}
    assert rows(boss, "outboxentry", state="pending") == {waiting.pk}
    assert rows(boss, "outboxentry", state="nonsense") == {data.entry.pk, dead.pk, waiting.pk}
    assert rows(boss, "outboxentry", problem="worker_died") == {dead.pk}
    here = {"integration__id__exact": str(data.integration.pk)}
    assert rows(boss, "outboxentry", **here) == {data.entry.pk, dead.pk, waiting.pk}, "there is nowhere else to go"
    Integration.objects.create(remote_id=2)
    assert rows(boss, "outboxentry", **here) == {data.entry.pk}
    html = page(boss, "outboxentry_changelist")
    assert "This order stopped its worker again and again (1)" in html


@pytest.mark.long
def test_outbox_search_finds_number_and_key(boss: Client, data: Data) -> None:
    OutboxEntry.objects.create(order_type="shop.order", order_pk="2")
    assert rows(boss, "outboxentry", q=data.order.number.lower()) == {data.entry.pk}
    assert rows(boss, "outboxentry", q=str(data.order.pk)) == {data.entry.pk}
    assert rows(boss, "outboxentry", q="nothing like it") == set()


@pytest.mark.long
def test_shipment_search_finds_every_identifier(boss: Client, data: Data) -> None:
    other = Shipment.objects.create(
        integration=data.integration,
        order_type="shop.order",
        order_pk="2",
        external_order_id="b",
        external_shipment_id="b",
    )
    shipment = data.shipment
    for word in (
        shipment.order_number,
        shipment.order_number.lower(),
        shipment.external_order_id,
        str(shipment.uuid),
        str(shipment.uuid).replace("-", "").upper(),
        "3scanal1",
        f"{shipment.order_number} 3SCANAL1",
    ):
        assert rows(boss, "shipment", q=word) == {shipment.pk}, word
    for word in ("not-a-uuid", "'); drop table --", "%", "ä"):
        assert other.pk not in rows(boss, "shipment", q=word)


@pytest.mark.long
def test_parcel_search_finds_every_identifier(boss: Client, data: Data) -> None:
    Parcel.objects.create(integration=data.integration, remote_id=99)
    for word in ("3SCANAL", data.order.number, "71"):
        assert rows(boss, "parcel", q=word) == {data.parcel.pk}
    assert rows(boss, "parcel", q="9" * 30) == set()


@pytest.mark.long
def test_parcels_filter_by_unmatched(boss: Client, data: Data) -> None:
    stray = Parcel.objects.create(integration=data.integration, remote_id=99)
    assert rows(boss, "parcel", matched="no") == {stray.pk}
    assert rows(boss, "parcel", matched="yes") == {data.parcel.pk}
    assert "unknown here" in page(boss, "parcel_changelist")


def test_shipment_page_shows_parcels_with_history(boss: Client, data: Data) -> None:
    html = page(boss, "shipment_change", data.shipment.pk)
    assert html.index("En route to sorting center") < html.index("Announced"), "the newest comes first"
    assert reverse("admin:django_sendcloud_parcel_change", args=[data.parcel.pk]) in html


def test_shipment_page_hides_forbidden_parcels(data: Data, as_role: Callable[..., Client]) -> None:
    html = page(as_role("staff", "view_shipment"), "shipment_change", data.shipment.pk)
    assert "3SCANAL1" not in html


# -- shipments: one state, the same everywhere ---------------------------------------------------------

STATES = {
    "waiting": [("pending", "", "synced"), (None, "", "pending"), ("pending", "server_error", "rejected")],
    "fix_needed": [("rejected", "payload_invalid", "synced"), ("rejected", "adapter_error", "deleted")],
    "stopped": [("dead", "server_error", "synced")],
    "rejected": [(None, "", "rejected")],
    "synced": [(None, "", "synced")],
    "deleted": [(None, "", "deleted")],
}
WORDS = {
    ("pending", "", "synced"): "Waiting",
    (None, "", "pending"): "Waiting",
    ("pending", "server_error", "rejected"): "Waiting",
    ("rejected", "payload_invalid", "synced"): "Fix needed",
    ("rejected", "adapter_error", "deleted"): "Fix needed",
    ("dead", "server_error", "synced"): "Stopped",
    (None, "", "rejected"): "Fix needed",
    (None, "", "synced"): "Sent",
    (None, "", "deleted"): "Removed",
}


@pytest.fixture
def in_every_state(connected: Integration) -> dict[tuple[str | None, str, str], Shipment]:
    shipments = {}
    for number, key in enumerate(WORDS):
        entry, code, status = key
        shipments[key] = Shipment.objects.create(
            integration=connected, order_type="shop.order", order_pk=f"k{number}", order_number=f"N-{number}",
            external_order_id=f"k{number}", external_shipment_id=f"k{number}", status=status,
        )  # fmt: skip
        if entry:
            OutboxEntry.objects.create(
                order_type="shop.order",
                order_pk=f"k{number}",
                state=entry,
                error_code=code,
                failing_since=timezone.now() if code else None,
            )
        # Another order type with the same key.
        OutboxEntry.objects.create(order_type="shop.other", order_pk=f"k{number}", state="dead")
    return shipments


@pytest.mark.long
def test_shipment_filter_matches_badge(
    boss: Client, in_every_state: dict[tuple[str | None, str, str], Shipment]
) -> None:
    for state, keys in STATES.items():
        assert rows(boss, "shipment", state=state) == {in_every_state[key].pk for key in keys}, state
    stuck = [key for state in ("fix_needed", "stopped", "rejected") for key in STATES[state]]
    assert rows(boss, "shipment", state="stuck") == {in_every_state[key].pk for key in stuck}
    assert rows(boss, "shipment", state="nonsense") == {shipment.pk for shipment in in_every_state.values()}


@pytest.mark.long
def test_shipment_shows_outbox_state(boss: Client, in_every_state: dict[tuple[str | None, str, str], Shipment]) -> None:
    listed = page(boss, "shipment_changelist")
    shown = dict(re.findall(r">(N-\d)</a></th>.*?</span> ([^<]+)</span>", listed, re.S))
    for key, words in WORDS.items():
        shipment = in_every_state[key]
        assert shown[shipment.order_number] == words
        assert f"</span> {words}</span>" in page(boss, "shipment_change", shipment.pk)


@pytest.mark.long
def test_dead_order_promises_no_retry(
    boss: Client, in_every_state: dict[tuple[str | None, str, str], Shipment]
) -> None:
    shipment = in_every_state["dead", "server_error", "synced"]
    entry = factories.outbox().get(order_type="shop.order", order_pk=shipment.order_pk)
    for html in (page(boss, "shipment_change", shipment.pk), page(boss, "outboxentry_change", entry.pk)):
        assert "Stopped after many attempts" in html
        assert "The last problem: Sendcloud had a problem of its own." in html
        assert "push it again" in html
        assert "retried automatically" not in html
    transient = in_every_state["pending", "server_error", "rejected"]
    assert "retried automatically" in page(boss, "shipment_change", transient.pk)


def test_refused_shipment_is_reported_once(boss: Client, data: Data) -> None:
    html = page(boss, "shipment_change", data.shipment.pk)
    assert html.count("<h2>Sendcloud rejected the order</h2>") == 1
    assert html.count("This is 0, and must be at least 0.001 kg.") == 1


# -- filters ---------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("shipment", "last_pushed_at"),
        ("outboxentry", "recorded_at"),
        ("webhookevent", "received_at"),
        ("parcel", "status_at"),
    ],
)
def test_age_filter_uses_readers_time_zone(
    model: str, field: str, boss: Client, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A quarter past midnight in Amsterdam is still the day before in UTC.
    now = dt.datetime(2026, 5, 10, 22, 15, tzinfo=dt.UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    obj = data.objects[model]
    expected = {0.005: "today week month", 0.1: "week month", 6.9: "week month", 8: "month", 29: "month", 31: "older"}
    for days, found in expected.items():
        type(obj).objects.filter(pk=obj.pk).update(**{field: now - dt.timedelta(days=days)})
        for age in ("today", "week", "month", "older"):
            assert (rows(boss, model, age=age) == {obj.pk}) is (age in found.split()), (days, age)
    assert rows(boss, model, age="nonsense") == {obj.pk}


@pytest.mark.long
def test_age_filter_finds_never_pushed(boss: Client, data: Data) -> None:
    assert rows(boss, "shipment", age="never") == {data.shipment.pk}
    Shipment.objects.update(last_pushed_at=timezone.now())
    assert rows(boss, "shipment", age="never") == set()
    html = page(boss, "webhookevent_changelist").partition('id="changelist-filter"')[2]
    assert "never" not in html, "every webhook was received"


@pytest.mark.long
def test_parcels_filter_by_carrier_name(boss: Client, data: Data) -> None:
    assert "By carrier" not in page(boss, "parcel_changelist"), "there is one only"
    other = Parcel.objects.create(integration=data.integration, remote_id=99, carrier="dhl_de")
    html = page(boss, "parcel_changelist")
    assert 'href="?carrier=postnl"' in html
    assert ">PostNL<" in html
    assert rows(boss, "parcel", carrier="dhl_de") == {other.pk}
    assert rows(boss, "parcel", carrier="nobody") == set()


def test_inbox_filters_by_action(boss: Client, data: Data) -> None:
    strange = WebhookEvent.objects.create(integration=data.integration, digest="1", action="sang_a_song")
    unread = WebhookEvent.objects.create(integration=data.integration, digest="2")
    assert rows(boss, "webhookevent", about="parcel_status_changed") == {data.event.pk}
    assert rows(boss, "webhookevent", about="return_created") == set()
    assert rows(boss, "webhookevent", about="other") == {strange.pk, unread.pk}


# -- searching -------------------------------------------------------------------------------------------


def shipments(integration: Integration, *numbers: str) -> list[Shipment]:
    return [
        Shipment.objects.create(
            integration=integration, order_type="shop.order", order_pk=f"key-{number}", order_number=number,
            external_order_id=f"id-{number}", external_shipment_id=f"id-{number}",
        )
        for number in numbers
    ]  # fmt: skip


@pytest.mark.long
def test_exact_search_offers_wider_one(boss: Client, connected: Integration) -> None:
    short, long = shipments(connected, "1001", "2026-1001")
    assert rows(boss, "shipment", q="1001") == {short.pk}
    html = page(boss, "shipment_changelist", q="1001", state="waiting")
    assert "Only exact matches of 1001 are shown." in html
    wider = re.search(r'<p class="sc-hint">.*?href="([^"]+)"', html, re.S)
    assert wider is not None
    response = boss.get(reverse("admin:django_sendcloud_shipment_changelist") + wider[1].replace("&amp;", "&"))
    assert {row.pk for row in response.context["cl"].result_list} == {short.pk, long.pk}
    assert "state=waiting" in wider[1], "the filters stay"
    assert "Only exact matches of" not in response.content.decode()
    assert rows(boss, "shipment", q="26-10") == {long.pk}, "nothing is exactly that"
    assert rows(boss, "shipment", q="*") == {short.pk, long.pk}


@pytest.mark.long
def test_outbox_search_uses_shop_number(boss: Client, connected: Integration) -> None:
    order = factories.order(number="FRESH-7")
    factories.outbox().update(state="rejected", error_code="adapter_error")
    factories.order(number="OTHER")
    assert rows(boss, "outboxentry", q="fresh-7") == {factories.outbox().get(order_pk=str(order.pk)).pk}
    assert rows(boss, "outboxentry", q=str(order.pk)) == {factories.outbox().get(order_pk=str(order.pk)).pk}


@pytest.mark.exhaustive
@pytest.mark.long
@pytest.mark.services("postgresql")
def test_exact_search_scans_no_table(tmp_path: Path) -> None:
    with fresh_database("postgresql", tmp_path) as url:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.admin.search_plans"],
            env={**os.environ, "TEST_DATABASE_URL": url},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    searches = json.loads(done.stdout)
    assert {search["list"] for search in searches} == {"shipment", "parcel", "webhookevent"}
    for search in searches:
        assert search["found"] == 1, search
        assert search["read"] <= 60, (search["list"], search["word"], search["plans"])


# -- columns ----------------------------------------------------------------------------------------------


def test_lists_count_by_name(boss: Client, data: Data) -> None:
    OutboxEntry.objects.create(order_type="shop.order", order_pk="2")
    html = page(boss, "outboxentry_changelist")
    assert re.search(r"2\s+outbox entries\b", html)
    assert not re.search(r"2\s+outbox\s+<", html)
    assert re.search(r"(&rsaquo; |<li aria-current=\"page\">)Outbox\b", html), "the breadcrumb"
    assert re.search(r"1\s+webhook\b", page(boss, "webhookevent_changelist"))


@pytest.mark.long
def test_integration_column_needs_several(boss: Client, data: Data) -> None:
    for model, column in (("shipment", "integration"), ("parcel", "integration"), ("webhookevent", "integration"),
                          ("outboxentry", "waits_for")):  # fmt: skip
        url = reverse(f"admin:django_sendcloud_{model}_changelist")
        assert column not in boss.get(url).context["cl"].list_display
    Integration.objects.create(remote_id=2, is_active=False)
    for model, column in (("shipment", "integration"), ("outboxentry", "waits_for")):
        url = reverse(f"admin:django_sendcloud_{model}_changelist")
        assert column in boss.get(url).context["cl"].list_display
    Integration.objects.filter(remote_id=2).delete()
    assert "Bike shop" in page(boss, "integration_changelist")


@pytest.mark.long
def test_empty_list_is_explained(boss: Client, connected: Integration) -> None:
    for model, words in (
        ("shipment", "Orders sent to Sendcloud are listed here"),
        ("outboxentry", "The list is empty because everything was sent."),
        ("parcel", "as soon as a label is made in Sendcloud"),
        ("webhookevent", "Webhooks from Sendcloud are listed here"),
    ):
        assert words in page(boss, f"{model}_changelist")
        searched = page(boss, f"{model}_changelist", q="something")
        assert words not in searched
        assert "Nothing matches this search and these filters." in searched


def test_missing_integration_notice_links_to_list(as_role: Callable[..., Client], db: None) -> None:
    add, listed = (reverse(f"admin:django_sendcloud_integration_{each}") for each in ("add", "changelist"))
    assert f'<a href="{add}">No Sendcloud integration' in page(as_role("superuser"), "shipment_changelist")
    assert f'<a href="{listed}">No Sendcloud integration' in page(as_role("operator"), "shipment_changelist")


@pytest.mark.long
def test_waiting_webhook_is_not_unreadable(boss: Client, data: Data) -> None:
    at = dt.datetime(2026, 5, 10, 22, 15, tzinfo=dt.UTC)
    WebhookEvent.objects.update(action="", state="received", received_at=at)
    html = page(boss, "webhookevent_change", data.event.pk)
    assert "Not read yet (May 11, 2026, 12:15 a.m.)" in html, "in the reader's time zone"
    assert "nreadable" not in html + page(boss, "webhookevent_changelist")
    WebhookEvent.objects.update(state="failed")
    assert "Unreadable" in page(boss, "webhookevent_changelist")
    WebhookEvent.objects.update(action="parcel_status_changed")
    html = page(boss, "webhookevent_change", data.event.pk)
    assert "<h2>Parcel update (May 11, 2026, 12:15 a.m.)</h2>" in html


def test_receiver_failure_is_yellow_and_filterable(boss: Client, data: Data) -> None:
    WebhookEvent.objects.update(state="receiver_failed")
    html = page(boss, "webhookevent_changelist", state__exact="receiver_failed")
    assert 'sc-badge--warn"><span aria-hidden="true">!</span> applied, shop code failed</span>' in html


def test_times_have_localized_hover(boss: Client, data: Data) -> None:
    soon = timezone.now() + dt.timedelta(seconds=30)
    factories.outbox().update(state="pending", error_code="", due_at=soon, not_before=soon)
    html = page(boss, "outboxentry_changelist")
    assert "in less than a minute" in html
    assert f'title="{date_format(timezone.localtime(soon), "DATETIME_FORMAT")}"' in html


def test_attempts_show_only_while_pending(boss: Client, data: Data) -> None:
    assert "Failed attempts" not in page(boss, "outboxentry_change", data.entry.pk)
    factories.outbox().update(state="pending", failures=2, attempts=1)
    assert "Failed attempts" in page(boss, "outboxentry_change", data.entry.pk)


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("https://panel.sendcloud.sc/api/v2", "https://app.sendcloud.com/v2/shipping/list/orders?search=A+1%261"),
        ("http://127.0.0.1:8900/api/v2", "http://127.0.0.1:8900/orders/{uuid}/"),
        ("https://sendcloud.sc.example/api/v2", "https://sendcloud.sc.example/orders/{uuid}/"),
    ],
)
@pytest.mark.long
def test_shipment_page_links_to_panel(base_url: str, address: str, boss: Client, data: Data, settings: Any) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "BASE_URL": base_url}
    Shipment.objects.update(order_number="A 1&1")
    expected = f'href="{address.format(uuid=data.shipment.uuid)}"'.replace("&", "&amp;")
    assert expected in page(boss, "shipment_change", data.shipment.pk)
    Shipment.objects.update(status="deleted")
    assert expected not in page(boss, "shipment_change", data.shipment.pk)
    Shipment.objects.update(status="rejected", uuid=None, digest="")
    assert "Sendcloud&#x27;s panel" not in page(boss, "shipment_change", data.shipment.pk), "it never got there"


# -- permissions ------------------------------------------------------------------------------------------


@pytest.mark.long
def test_adapter_error_needs_payload_permission(as_role: Callable[..., Client], data: Data) -> None:
    said = "parcel_items[1].weight: Must be at least 0.001 kg, got 0."
    assert said not in page(as_role("operator"), "outboxentry_change", data.entry.pk), "in words it is enough"
    assert said in page(as_role("viewer", "view_payload"), "outboxentry_change", data.entry.pk)
    factories.outbox().update(error_detail="")
    assert said not in page(as_role("operator"), "outboxentry_change", data.entry.pk)
    factories.outbox().update(**columns_of(Problem("adapter_error", "KeyError: canary@example.com")))
    for name, obj in (("outboxentry", data.entry), ("shipment", data.shipment)):
        html = page(as_role("operator"), f"{name}_change", obj.pk)
        assert "canary@" not in html
        assert "adapter_error" not in html
        assert "The technical details are shown to users who may see what is sent" in html
        assert "canary@" in page(as_role("viewer", "view_payload"), f"{name}_change", obj.pk)


EVERYTHING = ["view_shipment", "view_parcel", "view_outboxentry", "view_webhookevent", "view_integration"]
#: Hints on forbidden rows: URLs or words of another model, and the permission to see them.
TRACES: dict[str, Callable[[Data], list[str]]] = {
    "view_parcel": lambda data: ["3SCANAL1", "On its way", f"/parcel/{data.parcel.pk}/"],
    "view_outboxentry": lambda data: [f"/outboxentry/{data.entry.pk}/", "<h2>Attempts</h2>"],
    "view_shipment": lambda data: [f"/shipment/{data.shipment.pk}/"],
    "view_integration": lambda data: [f"/integration/{data.integration.pk}/"],
}


@pytest.mark.long
@pytest.mark.parametrize("lacking", TRACES)
def test_columns_and_panels_hide_forbidden_rows(lacking: str, as_role: Callable[..., Client], data: Data) -> None:
    Attempt.objects.create(order_type="shop.order", order_pk=str(data.order.pk), at=timezone.now(), outcome="rejected")
    less = as_role("staff", *(each for each in EVERYTHING if each != lacking), "push_order", "assign_parcel")
    more = as_role("staff", *EVERYTHING, "push_order")
    seen_by_more = ""
    for name in ("shipment", "parcel", "outboxentry", "webhookevent"):
        if lacking == f"view_{name}":
            continue
        for kind, args in (("changelist", []), ("change", [data.objects[name].pk])):
            # The filters' choices are no secret.
            html = page(less, f"{name}_{kind}", *args).partition('id="changelist-filter"')[0]
            seen_by_more += page(more, f"{name}_{kind}", *args).partition('id="changelist-filter"')[0]
            traces = [trace for trace in TRACES[lacking](data) if trace in html]
            assert traces == [], (name, kind)
    assert [trace for trace in TRACES[lacking](data) if trace not in seen_by_more] == [], (
        "the test looks for real traces"
    )


@pytest.mark.long
def test_shipment_search_ignores_forbidden_parcels(as_role: Callable[..., Client], data: Data) -> None:
    client = as_role("staff", "view_shipment", "view_webhookevent")
    for model in ("shipment", "webhookevent"):
        assert rows(client, model, q="3SCANAL1") == set()
        assert rows(as_role("viewer"), model, q="3SCANAL1") == {data.objects[model].pk}


@pytest.mark.long
def test_shipment_without_outbox_permission_shows_own_status(as_role: Callable[..., Client], data: Data) -> None:
    Shipment.objects.update(status="synced")
    client = as_role("staff", "view_shipment")
    html = page(client, "shipment_changelist")
    assert "</span> Sent</span>" in html
    assert "By status" in html
    assert rows(client, "shipment", status__exact="synced") == {data.shipment.pk}
    assert "</span> Fix needed</span>" in page(as_role("viewer"), "shipment_changelist")


def test_tracking_url_links_only_web_addresses(boss: Client, data: Data) -> None:
    assert 'href="https://tracking.example/3SCANAL1"' in page(boss, "parcel_change", data.parcel.pk)
    Parcel.objects.update(tracking_url="javascript:alert(1)")
    assert "javascript:alert" not in page(boss, "parcel_change", data.parcel.pk)


@pytest.mark.long
def test_external_text_is_escaped(boss: Client, data: Data) -> None:
    evil = "<script>alert(1)</script>"
    Parcel.objects.update(status_message=evil, carrier=evil, tracking_number=evil)
    ParcelStatus.objects.update(message=evil)
    Shipment.objects.update(errors={evil: [evil]}, order_number=evil)
    factories.outbox().update(error_fields={evil: [evil]}, error_detail=evil)
    WebhookEvent.objects.update(
        action=evil, note={"code": "receiver_failed", "receiver": evil, "error": evil, "at": evil}
    )
    event = WebhookEvent.objects.get()
    event.body = Secret(evil)
    event.save()
    Integration.objects.update(name=evil, paused_detail=evil, paused_since=timezone.now(), paused_reason=evil[:20])
    for name, obj in data.objects.items():
        for kind, args in (("changelist", []), ("change", [obj.pk])):
            assert evil not in page(boss, f"{name}_{kind}", *args), (name, kind)


@pytest.mark.long
def test_webhook_body_is_indented(boss: Client, data: Data) -> None:
    assert "&quot;action&quot;: &quot;parcel_status_changed&quot;" in page(boss, "webhookevent_change", data.event.pk)
    for body, words in (("{not json", "{not json"), ("", "not kept any more"), ("\udcff", "?")):
        event = WebhookEvent.objects.get()
        event.body = Secret(body)
        event.save()
        assert words in page(boss, "webhookevent_change", event.pk)


def test_payload_page_builds_current_order(boss: Client, data: Data) -> None:
    data.order.city = "Utrecht"
    data.order.save()
    for name, row in (("shipment", data.shipment), ("outboxentry", data.entry)):
        response = boss.get(reverse(f"admin:django_sendcloud_{name}_payload", args=[row.pk]))
        assert "&quot;city&quot;: &quot;Utrecht&quot;" in response.content.decode()
        assert "no-store" in response["Cache-Control"]


def test_payload_page_explains_invalid_order(boss: Client, data: Data) -> None:
    data.order.country = "XX"
    data.order.save()
    html = page(boss, "shipment_payload", data.shipment.pk)
    assert "Invalid data" in html
    assert "Country" in html
    data.order.status = "cancelled"
    data.order.save()
    assert "not shippable" in page(boss, "shipment_payload", data.shipment.pk)
    data.order.delete()
    assert "The order is gone" in page(boss, "shipment_payload", data.shipment.pk)


def test_payload_page_explains_adapter_error(boss: Client, data: Data) -> None:
    from django_sendcloud import OrderAdapter
    from django_sendcloud.registry import temporarily_registered
    from tests.shop.models import Order

    class Broken(OrderAdapter[Order]):
        auto = False

        def get_shipments(self, order: Order) -> Any:
            raise KeyError("weight")

    with temporarily_registered(Broken, Order):
        html = page(boss, "shipment_payload", data.shipment.pk)
    assert "The shop&#x27;s own code failed" in html
    assert "KeyError" in html


def test_order_of_missing_model_shows_type(boss: Client, data: Data) -> None:
    factories.outbox().update(order_type="former.order")
    assert "former.order" in page(boss, "outboxentry_change", data.entry.pk)


def test_order_links_to_shop_page(boss: Client, data: Data) -> None:
    from tests.shop.models import Order

    assert "Open the order" not in page(boss, "outboxentry_change", data.entry.pk)
    url = f"/admin/shop/order/{data.order.pk}/change/"
    admin.site.register(Order)
    try:
        _reload_urls()
        assert url in page(boss, "outboxentry_change", data.entry.pk)
    finally:
        admin.site.unregister(Order)
        _reload_urls()


def _reload_urls() -> None:
    import importlib

    from django.urls import clear_url_caches

    import tests.urls

    importlib.reload(tests.urls)
    clear_url_caches()


@pytest.mark.long
def test_paused_integration_is_announced_on_lists(boss: Client, data: Data) -> None:
    from django_sendcloud.models import PauseReason

    data.integration.pause(PauseReason.GONE)
    for name in data.objects:
        html = page(boss, f"{name}_changelist")
        assert "Sendcloud does not know this integration any more" in html


def test_missing_integration_is_announced_on_lists(boss: Client) -> None:
    assert "No Sendcloud integration is connected and in use" in page(boss, "outboxentry_changelist")


def test_account_rename_keeps_limiter(boss: Client, data: Data) -> None:
    account = data.integration.account
    boss.post(reverse("admin:django_sendcloud_account_change", args=[account.pk]), {"name": "Germany"})
    account.refresh_from_db()
    assert account.name == "Germany"
    assert LogEntry.objects.count() == 1


def test_waiting_account_shows_duration(boss: Client, data: Data) -> None:
    account = data.integration.account
    account.closed_until, account.closed_reason = timezone.now() + dt.timedelta(minutes=10), "rate_limited"
    account.save()
    assert "asked to wait" in page(boss, "account_changelist")


@pytest.mark.long
def test_pages_render_in_other_language(boss: Client, data: Data) -> None:
    with translation.override("nl"):
        for name, obj in data.objects.items():
            boss.get(reverse(f"admin:django_sendcloud_{name}_change", args=[obj.pk]), headers={"accept-language": "nl"})


def test_shop_can_register_own_classes(settings: Any) -> None:
    from django_sendcloud import admin as ours

    settings.SENDCLOUD = {**settings.SENDCLOUD, "ADMIN_REGISTER": False}
    assert conf().ADMIN_REGISTER is False
    assert ours._wanted() is False
    settings.SENDCLOUD = {"NONSENSE": 1}
    assert ours._wanted() is True, "the system checks speak of broken settings, not an import that fails"
    site = admin.AdminSite(name="own")
    ours.register(site)
    assert len(site._registry) == 7


def test_parcel_statuses_have_advice() -> None:
    problems = {status for status, (_text, phase) in STATUSES.items() if phase == ParcelPhase.PROBLEM}
    assert problems <= set(BY_STATUS), "each problem has a way out of its own"
    assert set(BY_STATUS) <= set(STATUSES)
    assert set(BY_PHASE) == {phase.value for phase in ParcelPhase}


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"status_id": 80, "phase": "problem"}, "Check the address with the buyer, then give it to the carrier"),
        ({"status_id": 424242, "phase": "awaiting_pickup"}, "Remind the buyer: it goes back"),
        ({"status_id": None, "phase": "from the future"}, "Look at the carrier&#x27;s tracking page."),
        ({"status_id": 11, "phase": "delivered", "is_return": True}, "The return has arrived: check it"),
    ],
)
def test_parcel_page_says_what_to_do(boss: Client, data: Data, values: dict[str, Any], advice: str) -> None:
    Parcel.objects.filter(pk=data.parcel.pk).update(**values)
    assert advice in page(boss, "parcel_change", data.parcel.pk)


@pytest.mark.long
def test_sent_entry_leads_to_its_order(boss: Client, data: Data) -> None:
    """A link to an entry that was sent, or its line in *Recent actions*, shows the order instead of 404."""
    listed = page(boss, "outboxentry_changelist")
    url = unescape(re.search(r'href="(/admin/django_sendcloud/outboxentry/[^"]*order=[^"]*)"', listed)[1])  # type: ignore[index]
    assert boss.get(url).status_code == 200
    old = reverse("admin:django_sendcloud_outboxentry_change", args=[data.entry.pk])
    boss.post(reverse("admin:django_sendcloud_outboxentry_action", args=[data.entry.pk, "push_now"]))
    factories.clear_outbox()
    Shipment.objects.update(last_pushed_at=timezone.now())
    shown = reverse("admin:django_sendcloud_shipment_change", args=[data.shipment.pk])
    for each in (url, old):
        response = boss.get(each)
        assert (response.status_code, response.headers["location"]) == (302, shown), each
    assert f"{data.order.number} was sent (" in boss.get(shown).content.decode()
    assert boss.get(old.replace(str(data.entry.pk), "999")).status_code == 302, "as Django answers for what never was"


def test_removed_entry_is_not_called_sent(boss: Client, data: Data) -> None:
    """Its order was cancelled: what was sent is a deletion."""
    moment = timezone.now()
    Shipment.objects.update(status="deleted", deleted_at=moment, last_pushed_at=moment)
    factories.clear_outbox()
    url = reverse("backoffice:django_sendcloud_outboxentry_change", args=[data.entry.pk])
    html = boss.get(f"{url}?order=shop.order:{data.order.pk}", follow=True).content.decode()
    assert f"{data.order.number} was removed at Sendcloud (" in html
    assert "m.." not in html
    assert "was sent (" not in html
    assert "Last sent" not in html
    assert "It is sent again as soon as it changes, or if you push it." in html


def test_entry_without_push_leads_to_order(boss: Client, connected: Integration) -> None:
    """An unpaid order has an entry for a moment, and no shipment. A link to nothing is answered as Django does."""
    order = factories.order(status="cancelled")
    factories.clear_outbox()
    url = reverse("backoffice:django_sendcloud_outboxentry_change", args=[999])
    response = boss.get(f"{url}?order=shop.order:{order.pk}")
    assert response.headers["location"] == reverse("backoffice:shop_order_change", args=[order.pk])
    for nothing in ("shop.order:0", "shop.nothing:1", "shop.order@nowhere:1", "shop.order:%00", ":"):
        response = boss.get(f"{url}?order={nothing}", follow=True)
        assert "doesn’t exist" in response.content.decode(), nothing


@pytest.mark.long
def test_problems_are_grouped_by_field_and_rule(boss: Client, data: Data) -> None:
    factories.clear_outbox()
    country = {"country": [{"code": "country_unknown", "params": {"value": "XX"}}]}
    line = {"parcel_items[1].weight": [{"code": "required", "params": {}}]}
    for number, errors in enumerate(
        [country, country, line, {"parcel_items[0].weight": line["parcel_items[1].weight"]}]
    ):
        OutboxEntry.objects.create(
            order_type="shop.order",
            order_pk=str(number),
            state="rejected",
            **columns_of(Problem("payload_invalid", fields=errors)),
        )
    html = boss.get(reverse("admin:django_sendcloud_overview_changelist")).content.decode()
    assert "2 orders: Country is not valid" in html
    assert "2 orders: Order lines, weight of one piece is missing" in html
    found = rows(boss, "outboxentry", problem="payload_invalid:country:country_unknown")
    assert found == set(OutboxEntry.objects.filter(order_pk__in=["0", "1"]).values_list("pk", flat=True))
    boss.post(
        reverse("admin:django_sendcloud_overview_changelist"), {"retry": "payload_invalid:country:country_unknown"}
    )
    assert set(OutboxEntry.objects.filter(state="pending").values_list("pk", flat=True)) == found
