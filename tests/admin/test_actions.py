from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext

from django_sendcloud.admin.actions import action
from django_sendcloud.models import Integration, OutboxEntry, Shipment, WebhookEvent
from django_sendcloud.signals import work_due
from django_sendcloud.sync.problems import Problem, columns_of
from tests import factories

from .conftest import Data

pytestmark = pytest.mark.long

OUTBOX = "admin:django_sendcloud_outboxentry_changelist"
NOTHING_LEFT = "Nothing of this selection is left. A colleague may have done it, or the selection changed meanwhile."


@pytest.fixture
def operator(as_role: Callable[[str], Client], connected: Integration) -> Client:
    return as_role("operator")


@pytest.fixture
def notified() -> Any:
    """Return the queues whose workers were notified."""
    queues: list[str] = []

    def listen(*, queue: str, **kwargs: Any) -> None:
        queues.append(queue)

    work_due.connect(listen)
    yield queues
    work_due.disconnect(listen)


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def entries(number: int, **values: Any) -> list[OutboxEntry]:
    first = factories.outbox().count()
    rows = [OutboxEntry(order_type="shop.order", order_pk=str(first + n), **values) for n in range(number)]
    return factories.outbox().bulk_create(rows)


def act(client: Client, name: str, rows: list[Any], url: str = OUTBOX, **values: Any) -> Any:
    form = {"action": name, "_selected_action": [row.pk for row in rows]}
    return client.post(reverse(url), form | values)


@pytest.mark.long
def test_push_now_makes_entries_due_and_notifies(
    operator: Client, db: None, notified: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    later = timezone.now() + dt.timedelta(hours=1)
    rows = entries(3, state="dead", error_code="gave_up", due_at=later, failures=9, attempts=2)
    with django_capture_on_commit_callbacks(execute=True):
        response = act(operator, "push_now", rows[:2], confirmed="yes")
    assert said(response) == ["2 orders are being pushed."]
    assert notified == ["outbox"]
    states = list(factories.outbox().order_by("pk").values_list("state", "failures", "attempts"))
    assert states == [("pending", 0, 0), ("pending", 0, 0), ("dead", 9, 2)]
    assert all(entry.due_at <= timezone.now() for entry in factories.outbox().filter(state="pending"))
    logged = LogEntry.objects.order_by("object_id").values_list("object_id", "change_message")
    assert sorted(logged) == sorted((str(row.pk), "Pushed again.") for row in rows[:2])


@pytest.mark.long
def test_push_now_counts_one_in_singular(operator: Client, db: None) -> None:
    (row,) = rows = entries(1, state="rejected")
    assert act(operator, "push_now", rows).context["title"] == "Push 1 order now"
    url = reverse("admin:django_sendcloud_outboxentry_action", args=[row.pk, "push_now"])
    assert said(operator.post(url)) == ["1 order is being pushed."], "its own page names it already"


def test_push_all_asks_with_problem_numbers(operator: Client, db: None) -> None:
    alike = entries(25, state="rejected", error_code="adapter_error")
    others = entries(2, state="rejected", error_code="rejected")
    page = act(operator, "push_all_with_problem", alike[:1])
    html = page.content.decode()
    assert page.status_code == 200
    assert page.context["title"] == "Push 25 orders now"
    assert 'value="Push all"' in html
    assert "and 5 more" in html
    assert "25 orders have the problem “The shop&#x27;s own code failed on this order”." in html
    assert factories.outbox().filter(state="rejected").count() == 27
    assert LogEntry.objects.count() == 0

    response = act(operator, "push_all_with_problem", alike[:1], confirmed="yes")
    assert said(response) == ["25 orders are being pushed."]
    assert list(factories.outbox().filter(state="rejected").order_by("pk")) == others


def test_confirmation_page_posts_its_hidden_fields(operator: Client, db: None) -> None:
    rows = entries(3, state="rejected", error_code="adapter_error")
    form = hidden(act(operator, "push_all_with_problem", rows[:1]))
    assert said(operator.post(reverse(OUTBOX), form)) == ["3 orders are being pushed."]


def test_push_now_covers_filtered_list_across_pages(operator: Client, db: None) -> None:
    rows = entries(120, state="rejected", error_code="adapter_error")
    entries(5, state="dead", error_code="worker_died")
    response = operator.post(
        f"{reverse(OUTBOX)}?state=rejected",
        {"action": "push_now", "_selected_action": [rows[0].pk], "select_across": "1", "confirmed": "yes"},
    )
    assert said(response) == ["120 orders are being pushed."]
    assert factories.outbox().filter(state="dead").count() == 5
    assert LogEntry.objects.count() == 120


@pytest.mark.long
def test_push_now_uses_fixed_statements_per_chunk(
    operator: Client, db: None, django_assert_max_num_queries: Any
) -> None:
    rows = entries(1000, state="rejected", error_code="adapter_error")
    operator.get(reverse(OUTBOX))
    with django_assert_max_num_queries(40):
        operator.post(
            f"{reverse(OUTBOX)}?state=rejected",
            {"action": "push_now", "_selected_action": [rows[0].pk], "select_across": "1", "confirmed": "yes"},
        )
    assert factories.outbox().filter(state="pending").count() == 1000


def test_push_again_sends_unchanged_shipment(
    operator: Client, data: Data, notified: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    factories.outbox().all().delete()
    Shipment.objects.update(status="synced")
    with django_capture_on_commit_callbacks(execute=True):
        url = "admin:django_sendcloud_shipment_changelist"
        response = act(operator, "push_again", [data.shipment], url=url, confirmed="yes")
    assert said(response) == ["1 order is being pushed."]
    entry = factories.outbox().get()
    assert (entry.order_type, entry.order_pk, entry.state) == ("shop.order", str(data.order.pk), "pending")
    data.shipment.refresh_from_db()
    assert data.shipment.digest == ""
    assert set(notified) == {"outbox"}


def test_push_again_pushes_shared_order_once(operator: Client, data: Data) -> None:
    values = {"integration": data.integration, "order_type": "shop.order", "order_pk": str(data.order.pk)}
    second = Shipment.objects.create(**values, external_order_id="x", external_shipment_id="x-2")
    url = "admin:django_sendcloud_shipment_changelist"
    both = [data.shipment, second]
    assert act(operator, "push_again", both, url=url).context["title"] == "Push 1 order now"
    assert said(act(operator, "push_again", both, url=url, confirmed="yes")) == ["1 order is being pushed."]
    assert LogEntry.objects.count() == 2


def test_push_again_sends_all_of_order(operator: Client, data: Data) -> None:
    """It pushes orders, "even if nothing changed": as the action on the order itself does."""
    values = {"integration": data.integration, "order_type": "shop.order", "order_pk": str(data.order.pk)}
    values |= {"status": "synced", "digest": "known"}
    other = Shipment.objects.create(**values, external_order_id="x", external_shipment_id="x-2")
    act(operator, "push_again", [data.shipment], url="admin:django_sendcloud_shipment_changelist", confirmed="yes")
    other.refresh_from_db()
    assert other.digest == ""


def test_push_again_leaves_out_unshippable_orders(operator: Client, data: Data, notified: list[str]) -> None:
    """A push of an order that Sendcloud no longer has, and that is not to be shipped, sends nothing."""
    values = {"integration": data.integration, "order_type": "shop.order", "status": "deleted"}
    cancelled, gone = factories.order(status="cancelled"), factories.order()
    rows = [
        Shipment.objects.create(**values, order_pk=str(order.pk), external_order_id=str(order.pk))
        for order in (cancelled, gone)
    ]
    gone.delete()
    factories.clear_outbox()
    url = "admin:django_sendcloud_shipment_changelist"
    assert said(act(operator, "push_again", rows, url=url, confirmed="yes")) == [
        "1 order is left out: The order is not to be shipped now.",
        "1 order is left out: The order is gone.",
    ]
    assert not factories.outbox().exists()
    assert not LogEntry.objects.exists()
    response = act(operator, "push_again", [*rows, data.shipment], url=url, confirmed="yes")
    assert said(response)[-3] == "1 order is being pushed."


def test_delete_asks_nothing_about_deleted_shipments(as_role: Callable[..., Client], data: Data) -> None:
    Shipment.objects.update(status="deleted")
    url = "admin:django_sendcloud_shipment_changelist"
    page = act(as_role("superuser"), "delete_at_sendcloud", [data.shipment], url=url)
    html = page.content.decode()
    assert "1 is left out: it is deleted at Sendcloud already." in html
    assert "They disappear" not in html
    assert 'value="Delete at Sendcloud"' not in html


def test_push_again_makes_stuck_order_due(operator: Client, data: Data) -> None:
    operator.post(reverse("admin:django_sendcloud_shipment_action", args=[data.shipment.pk, "push_again"]))
    data.entry.refresh_from_db()
    assert data.entry.state == "pending"


def test_replay_asks_and_reports_skipped_webhooks(operator: Client, data: Data, notified: list[str]) -> None:
    emptied = WebhookEvent.objects.create(
        integration=data.integration, digest="b" * 64, action="parcel_status_changed", state="processed", body=""
    )
    url = "admin:django_sendcloud_webhookevent_changelist"
    page = act(operator, "replay", [data.event, emptied], url=url)
    assert page.context["title"] == "Replay 1 webhook"
    assert "1 is left out: its content is not kept any more." in page.content.decode()
    data.event.refresh_from_db()
    assert data.event.state == "failed"

    response = act(operator, "replay", [data.event, emptied], url=url, confirmed="yes")
    assert said(response) == ["1 webhook is being replayed."]
    data.event.refresh_from_db()
    assert data.event.state != "failed"
    assert LogEntry.objects.get().object_id == str(data.event.pk), "what was left out has no history of it"


def test_replay_needs_stored_body(operator: Client, data: Data) -> None:
    url = reverse("admin:django_sendcloud_webhookevent_change", args=[data.event.pk])
    assert "/action/replay/" in operator.get(url).content.decode()
    WebhookEvent.objects.update(body="")
    html = operator.get(url).content.decode()
    assert "/action/replay/" not in html
    assert "It cannot be replayed, because its content is not kept any more." in html
    page = operator.post(reverse("admin:django_sendcloud_webhookevent_action", args=[data.event.pk, "replay"]))
    assert 'type="submit" class="button default' not in page.content.decode()


def test_replay_warns_that_receivers_run_twice(operator: Client, data: Data) -> None:
    url = "admin:django_sendcloud_webhookevent_changelist"
    warning = "it runs a second time"
    assert warning not in act(operator, "replay", [data.event], url=url).content.decode()
    WebhookEvent.objects.update(state="receiver_failed")
    assert warning in act(operator, "replay", [data.event], url=url).content.decode()


# -- confirmation -----------------------------------------------------------------------------------


def hidden(page: Any) -> dict[str, list[str]]:
    """Return the form fields of a confirmation page."""
    fields: dict[str, list[str]] = {}

    class Hidden(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            values = dict(attrs)
            if tag == "input" and values.get("type") == "hidden" and values["name"] != "csrfmiddlewaretoken":
                fields.setdefault(values["name"], []).append(values["value"])

    Hidden().feed(page.content.decode())
    return fields


@pytest.mark.parametrize("name", ["push_now", "push_all_with_problem"])
def test_vanished_selection_is_explained(operator: Client, db: None, name: str) -> None:
    rows = entries(2, state="rejected", error_code="rejected")
    page = act(operator, name, rows)
    factories.clear_outbox()
    assert said(act(operator, name, rows)) == [NOTHING_LEFT], "before the question"
    assert said(operator.post(reverse(OUTBOX), hidden(page))) == [NOTHING_LEFT] * 2, "after it"
    assert not LogEntry.objects.exists()


def test_confirmation_keeps_criteria_when_problem_changes(operator: Client, db: None) -> None:
    (asked_about,) = entries(1, state="rejected", error_code="rejected")
    others = entries(6, state="rejected", error_code="adapter_error")
    page = act(operator, "push_all_with_problem", [asked_about])
    assert page.context["title"] == "Push 1 order now"
    factories.outbox().filter(pk=asked_about.pk).update(error_code="adapter_error")
    assert said(operator.post(reverse(OUTBOX), hidden(page))) == [NOTHING_LEFT]
    assert factories.outbox().filter(state="rejected").count() == 1 + len(others)


def test_confirmation_repeats_when_selection_grew(operator: Client, db: None) -> None:
    rows = entries(2, state="rejected", error_code="adapter_error")
    page = act(operator, "push_all_with_problem", rows[:1])
    entries(1, state="rejected", error_code="adapter_error")
    again = operator.post(reverse(OUTBOX), hidden(page))
    assert again.status_code == 200
    assert again.context["title"] == "Push 3 orders now"
    assert "The selection has grown since you were asked, so nothing was done" in again.content.decode()
    assert not factories.outbox().filter(state="pending").exists()
    assert said(operator.post(reverse(OUTBOX), hidden(again))) == ["3 orders are being pushed."]


def test_confirmation_holds_when_selection_shrank(operator: Client, db: None) -> None:
    rows = entries(3, state="rejected", error_code="adapter_error")
    page = act(operator, "push_all_with_problem", rows[:1])
    rows[2].delete()
    assert said(operator.post(reverse(OUTBOX), hidden(page))) == ["2 orders are being pushed."]


def test_confirmation_across_pages_keeps_its_rows(operator: Client, db: None) -> None:
    """One row leaves the list and another enters, so that its number stays."""
    rows = entries(60, state="dead", error_code="gave_up")
    url = f"{reverse(OUTBOX)}?state=dead"
    page = operator.post(url, {"action": "push_now", "_selected_action": [rows[0].pk], "select_across": "1"})
    assert page.context["number"] == 60
    (other,) = entries(1, state="dead", error_code="gave_up")
    rows[0].delete()
    assert said(operator.post(url, hidden(page))) == ["59 orders are being pushed."]
    assert factories.outbox().get(state="dead") == other


def test_confirmation_repeats_when_long_list_grew(operator: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "MAX_SELECTED", 59)
    rows = entries(60, state="dead", error_code="gave_up")
    url = f"{reverse(OUTBOX)}?state=dead"
    page = operator.post(url, {"action": "push_now", "_selected_action": [rows[0].pk], "select_across": "1"})
    entries(1, state="dead", error_code="gave_up")
    again = operator.post(url, hidden(page))
    assert again.context["number"] == 61
    assert not factories.outbox().filter(state="pending").exists()
    assert said(operator.post(url, hidden(again))) == ["61 orders are being pushed."]


def test_action_refuses_too_many_before_asking(as_role: Callable[..., Client], data: Data) -> None:
    client = as_role("superuser")
    values = {"integration": data.integration, "order_type": "shop.order", "status": "synced"}
    rows = [
        Shipment.objects.create(**values, order_pk=str(n), external_order_id=str(n), external_shipment_id=str(n))
        for n in range(21)
    ]
    url = "admin:django_sendcloud_shipment_changelist"
    for name in ("delete_at_sendcloud", "refresh"):
        response = act(client, name, rows, url=url)
        assert response.status_code == 302
        assert said(response)[-1] == ("At most 20 are possible at a time, and this would be 21. Please choose fewer.")
    Shipment.objects.filter(pk=rows[0].pk).update(status="deleted")
    page = act(client, "delete_at_sendcloud", rows, url=url)
    assert page.context["title"] == "Delete 20 shipments at Sendcloud", "what is deleted already does not count"


def test_confirmation_names_objects_and_links_back(as_role: Callable[..., Client], data: Data, settings: Any) -> None:
    client = as_role("superuser")
    page = client.post(
        reverse("backoffice:django_sendcloud_shipment_action", args=[data.shipment.pk, "delete_at_sendcloud"])
    )
    html = page.content.decode()
    here = reverse("backoffice:django_sendcloud_shipment_change", args=[data.shipment.pk])
    assert "<h1>Delete 1 shipment at Sendcloud</h1>" in html
    assert 'value="Delete at Sendcloud"' in html
    crumbs = re.split(r"</div>|</ol>", html[html.index('class="breadcrumbs">') :])[0]
    assert f'<a href="{here}">{data.order.number}</a>' in crumbs
    assert f'href="{here}" class="button cancel-link' in html
    assert 'href="/admin/' not in html, "all addresses are those of this site"
    assert page.wsgi_request.current_app == "backoffice", "for themes that ask, as Django's own views tell"
    paused = client.post(reverse("backoffice:django_sendcloud_integration_action", args=[data.integration.pk, "pause"]))
    assert "<h1>Pause: Bike shop</h1>" in paused.content.decode()
    assert 'value="Pause"' in paused.content.decode()
    Integration.objects.create(remote_id=2)
    many = client.post(
        reverse("backoffice:django_sendcloud_integration_changelist"),
        {"action": "pause", "_selected_action": list(Integration.objects.values_list("pk", flat=True))},
    )
    assert "<h1>Pause: 2 integrations</h1>" in many.content.decode()


# -- order numbers ------------------------------------------------------------------------------------


@pytest.mark.long
def test_order_without_attempt_shows_number_everywhere(operator: Client, data: Data) -> None:
    pushed = Shipment.objects.create(
        integration=data.integration, order_type="shop.order", order_pk=str(uuid.uuid4()), order_number="PUSHED-1",
        external_order_id="t", external_shipment_id="t",
    )  # fmt: skip
    fresh = factories.order(number="FRESH-1")
    factories.outbox().all().delete()
    values = {"order_type": "shop.order", "state": "rejected", "error_code": "rejected"}
    rows = {
        number: OutboxEntry.objects.create(order_pk=key, **values)
        for number, key in (("PUSHED-1", pushed.order_pk), ("FRESH-1", str(fresh.pk)), ("order gone-1", "gone-1"))
    }
    listed = operator.get(reverse(OUTBOX)).content.decode()
    confirmation = act(operator, "push_all_with_problem", [rows["FRESH-1"]]).content.decode()
    act(operator, "push_all_with_problem", [rows["FRESH-1"]], confirmed="yes")
    for number, row in rows.items():
        assert f">{number}</a>" in listed
        assert f">{number}</a>" in confirmation
        page = operator.get(reverse("admin:django_sendcloud_outboxentry_change", args=[row.pk])).content.decode()
        assert f"<h2>{number}</h2>" in page
        assert re.search(rf"(&rsaquo; |aria-current=\"page\">){number}", page), "the breadcrumb"
        assert f">order {number.removeprefix('order ')}" in page.replace('<div class="readonly">', ">")
        history = operator.get(reverse("admin:django_sendcloud_outboxentry_history", args=[row.pk])).content.decode()
        assert number in history
        assert LogEntry.objects.get(object_id=str(row.pk)).object_repr == number
    assert factories.outbox().filter(order_number="").count() == 3, "shown, and not written down"


def test_history_renders_in_readers_language(operator: Client, data: Data) -> None:
    operator.post(
        reverse("admin:django_sendcloud_outboxentry_action", args=[data.entry.pk, "push_now"]),
        headers={"accept-language": "nl"},
    )
    assert LogEntry.objects.get().change_message == "Pushed again."
    url = reverse("admin:django_sendcloud_outboxentry_history", args=[data.entry.pk])
    with translation.override("nl"):
        dutch = gettext("Pushed again.")
    assert dutch != "Pushed again."
    assert dutch in operator.get(url, headers={"accept-language": "nl"}).content.decode()
    assert "Pushed again." in operator.get(url, headers={"accept-language": "en"}).content.decode()


def test_push_all_works_on_shipments(operator: Client, data: Data) -> None:
    alike = columns_of(Problem("rejected", fields=data.entry.error_fields))
    other = entries(1, state="dead", **alike)[0]
    url = "admin:django_sendcloud_shipment_changelist"
    page = act(operator, "push_all_with_problem", [data.shipment], url=url)
    assert page.context["title"] == "Push 2 orders now"
    assert said(operator.post(reverse(url), hidden(page))) == ["2 orders are being pushed."]
    other.refresh_from_db()
    assert other.state == "pending"
    assert LogEntry.objects.filter(content_type__model="shipment", object_id=str(data.shipment.pk)).count() == 1


def test_pause_from_list_counts_changed_integrations(operator: Client, data: Data) -> None:
    Integration.objects.create(remote_id=2)
    rows = list(Integration.objects.all())
    url = "admin:django_sendcloud_integration_changelist"
    assert act(operator, "pause", rows, url=url).status_code == 200
    assert said(act(operator, "pause", rows, url=url, confirmed="yes")) == ["2 integrations are paused now."]
    assert said(act(operator, "resume", rows, url=url))[-1:] == ["2 integrations are running again."]


def test_undefined_action_returns_404(operator: Client, data: Data) -> None:
    url = reverse("admin:django_sendcloud_outboxentry_action", args=[data.entry.pk, "delete_selected"])
    assert operator.post(url).status_code == 404
    url = reverse("admin:django_sendcloud_outboxentry_action", args=[10**9, "push_now"])
    assert operator.post(url).status_code == 404
