from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.models import Integration, OutboxEntry, Shipment, WebhookEvent
from django_sendcloud.signals import work_due

from .conftest import Data

OUTBOX = "admin:django_sendcloud_outboxentry_changelist"


@pytest.fixture
def operator(as_role: Callable[[str], Client]) -> Client:
    return as_role("operator")


@pytest.fixture
def rung() -> Any:
    """Which queues' bells were rung."""
    queues: list[str] = []

    def listen(*, queue: str, **kwargs: Any) -> None:
        queues.append(queue)

    work_due.connect(listen)
    yield queues
    work_due.disconnect(listen)


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def entries(number: int, **values: Any) -> list[OutboxEntry]:
    first = OutboxEntry.objects.count()
    rows = [OutboxEntry(order_type="shop.order", order_pk=str(first + n), **values) for n in range(number)]
    return OutboxEntry.objects.bulk_create(rows)


def act(client: Client, name: str, rows: list[Any], url: str = OUTBOX, **values: Any) -> Any:
    form = {"action": name, "_selected_action": [row.pk for row in rows]}
    return client.post(reverse(url), form | values)


def test_push_now_makes_entries_due_logs_each_and_rings_once(
    operator: Client, db: None, rung: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    later = timezone.now() + dt.timedelta(hours=1)
    rows = entries(3, state="dead", error_code="gave_up", due_at=later, failures=9, attempts=2)
    with django_capture_on_commit_callbacks(execute=True):
        response = act(operator, "push_now", rows[:2])
    assert said(response) == ["2 orders are being pushed."]
    assert rung == ["outbox"]
    states = list(OutboxEntry.objects.order_by("pk").values_list("state", "failures", "attempts"))
    assert states == [("pending", 0, 0), ("pending", 0, 0), ("dead", 9, 2)]
    assert all(entry.due_at <= timezone.now() for entry in OutboxEntry.objects.filter(state="pending"))
    logged = LogEntry.objects.order_by("object_id").values_list("object_id", "change_message")
    assert sorted(logged) == sorted((str(row.pk), "Pushed again.") for row in rows[:2])


def test_one_is_counted_in_the_singular(operator: Client, db: None) -> None:
    assert said(act(operator, "push_now", entries(1, state="rejected"))) == ["1 order is being pushed."]


def test_push_all_alike_names_the_number_and_the_problem_and_waits_for_a_yes(operator: Client, db: None) -> None:
    alike = entries(25, state="rejected", error_code="adapter_error")
    others = entries(2, state="rejected", error_code="rejected")
    page = act(operator, "push_all_alike", alike[:1])
    html = page.content.decode()
    assert page.status_code == 200
    assert "Concerned (25)" in html
    assert "and 5 more" in html
    assert "The shop&#x27;s own code failed on this order" in html
    assert OutboxEntry.objects.filter(state="rejected").count() == 27
    assert LogEntry.objects.count() == 0

    response = act(operator, "push_all_alike", alike[:1], confirmed="yes")
    assert said(response) == ["25 orders are being pushed."]
    assert list(OutboxEntry.objects.filter(state="rejected").order_by("pk")) == others


def test_the_confirmation_page_can_be_posted_as_it_is(operator: Client, db: None) -> None:
    from html.parser import HTMLParser

    rows = entries(3, state="rejected", error_code="adapter_error")
    fields: list[tuple[str, str]] = []

    class Hidden(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            values = dict(attrs)
            if tag == "input" and values.get("type") == "hidden":
                fields.append((values["name"], values["value"]))

    Hidden().feed(act(operator, "push_all_alike", rows[:1]).content.decode())
    form: dict[str, list[str]] = {}
    for name, value in fields:
        form.setdefault(name, []).append(value)
    assert said(operator.post(reverse(OUTBOX), form)) == ["3 orders are being pushed."]


def test_all_of_a_filtered_list_can_be_pushed_across_pages(operator: Client, db: None) -> None:
    rows = entries(120, state="rejected", error_code="adapter_error")
    entries(5, state="dead", error_code="worker_died")
    response = operator.post(
        f"{reverse(OUTBOX)}?state=rejected",
        {"action": "push_now", "_selected_action": [rows[0].pk], "select_across": "1"},
    )
    assert said(response) == ["120 orders are being pushed."]
    assert OutboxEntry.objects.filter(state="dead").count() == 5
    assert LogEntry.objects.count() == 120


def test_a_thousand_are_pushed_in_a_fixed_number_of_statements_per_chunk(
    operator: Client, db: None, django_assert_max_num_queries: Any
) -> None:
    rows = entries(1000, state="rejected", error_code="adapter_error")
    operator.get(reverse(OUTBOX))
    with django_assert_max_num_queries(40):
        operator.post(
            f"{reverse(OUTBOX)}?state=rejected",
            {"action": "push_now", "_selected_action": [rows[0].pk], "select_across": "1"},
        )
    assert OutboxEntry.objects.filter(state="pending").count() == 1000


def test_pushing_a_shipment_again_tells_sendcloud_even_what_it_knows(
    operator: Client, data: Data, rung: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    OutboxEntry.objects.all().delete()
    Shipment.objects.update(status="synced")
    with django_capture_on_commit_callbacks(execute=True):
        response = act(operator, "push_again", [data.shipment], url="admin:django_sendcloud_shipment_changelist")
    assert said(response) == ["1 order is being pushed."]
    entry = OutboxEntry.objects.get()
    assert (entry.order_type, entry.order_pk, entry.state) == ("shop.order", str(data.order.pk), "pending")
    data.shipment.refresh_from_db()
    assert data.shipment.digest == ""
    assert set(rung) == {"outbox"}


def test_pushing_two_shipments_of_one_order_pushes_the_order_once(operator: Client, data: Data) -> None:
    values = {"integration": data.integration, "order_type": "shop.order", "order_pk": str(data.order.pk)}
    second = Shipment.objects.create(**values, external_order_id="x", external_shipment_id="x-2")
    url = "admin:django_sendcloud_shipment_changelist"
    assert said(act(operator, "push_again", [data.shipment, second], url=url)) == ["1 order is being pushed."]
    assert LogEntry.objects.count() == 2


def test_pushing_a_stuck_order_again_makes_it_due(operator: Client, data: Data) -> None:
    act(operator, "push_again", [data.shipment], url="admin:django_sendcloud_shipment_changelist")
    data.entry.refresh_from_db()
    assert data.entry.state == "pending"


def test_replaying_asks_first_and_then_says_what_it_left_out(operator: Client, data: Data, rung: list[str]) -> None:
    emptied = WebhookEvent.objects.create(
        integration=data.integration, digest="b" * 64, action="parcel_status_changed", state="processed", body=""
    )
    url = "admin:django_sendcloud_webhookevent_changelist"
    page = act(operator, "replay", [data.event, emptied], url=url)
    assert page.status_code == 200
    data.event.refresh_from_db()
    assert data.event.state == "failed"

    response = act(operator, "replay", [data.event, emptied], url=url, confirmed="yes")
    assert said(response) == [
        "1 webhook is being replayed. 1 was left out: its content is not kept any more.",
    ]
    data.event.refresh_from_db()
    assert data.event.state != "failed"
    assert LogEntry.objects.count() == 2


def test_pausing_from_the_list_counts_what_changed(operator: Client, data: Data) -> None:
    Integration.objects.create(remote_id=2)
    rows = list(Integration.objects.all())
    url = "admin:django_sendcloud_integration_changelist"
    assert act(operator, "pause", rows, url=url).status_code == 200
    assert said(act(operator, "pause", rows, url=url, confirmed="yes")) == ["2 integrations are paused now."]
    assert said(act(operator, "resume", rows, url=url))[-1:] == ["2 integrations are running again."]


def test_an_action_nobody_defined_is_not_found(operator: Client, data: Data) -> None:
    url = reverse("admin:django_sendcloud_outboxentry_action", args=[data.entry.pk, "delete_selected"])
    assert operator.post(url).status_code == 404
    url = reverse("admin:django_sendcloud_outboxentry_action", args=[10**9, "push_now"])
    assert operator.post(url).status_code == 404
