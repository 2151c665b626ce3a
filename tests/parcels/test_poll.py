"""F29: the shop was down for longer than Sendcloud tries, and knows afterwards what it has missed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import uuid
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.utils import timezone

from django_sendcloud import signals
from django_sendcloud.api.requestor import Requestor
from django_sendcloud.api.v2.parcels import Parcels
from django_sendcloud.core.clock import clock
from django_sendcloud.exceptions import ServerError
from django_sendcloud.hidden import HiddenDict
from django_sendcloud.models import Integration, Parcel, PauseReason, Shipment, WebhookEvent
from django_sendcloud.parcels.poll import _body, poll, poll_all, poll_shipment
from django_sendcloud.sync.worker import push_due
from django_sendcloud.testing import send_webhook
from django_sendcloud.webhooks import apply
from tests import factories
from tests.shop.models import Order

pytestmark = pytest.mark.long


@pytest.fixture
def order(integration: Integration, sandbox: Any) -> Order:
    order = factories.order()
    push_due()
    return order


def later(minutes: int = 10) -> dt.datetime:
    return timezone.now() + dt.timedelta(minutes=minutes)


def poll_and_apply(integration: Integration, now: dt.datetime | None = None) -> int:
    integration.refresh_from_db()
    kept = poll(integration, now)
    apply.drain()
    return kept


@pytest.fixture
def bare_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let returns name no shipment and no external ids, as Sendcloud's do."""
    original = Parcels.pages

    def pages(self: Parcels, **kwargs: Any) -> Any:
        for page in original(self, **kwargs):
            yield dataclasses.replace(page, results=[bare(parcel) for parcel in page.results])

    def bare(parcel: Any) -> Any:
        if not parcel.raw["is_return"]:
            return parcel
        raw = {**parcel.raw, "shipment_uuid": None, "external_order_id": "", "external_shipment_id": ""}
        return dataclasses.replace(parcel, shipment_uuid=None, raw=raw)

    monkeypatch.setattr(Parcels, "pages", pages)


def webhook(client: Any, integration: Integration, status: int, at: int, made: dict[str, Any]) -> None:
    parcel = {**made, "status": {"id": status, "message": ""}}
    send_webhook(client, integration, {"action": "parcel_status_changed", "timestamp": at, "parcel": parcel})
    apply.drain()


def test_f29_missed_parcel_is_found(integration: Integration, sandbox: Any, order: Order) -> None:
    (made,) = sandbox.create_label(str(order.pk))
    for _ in range(3):
        sandbox.advance(made["id"])
    received: list[dict[str, Any]] = []
    signals.parcel_status_changed.connect(receive := lambda **kwargs: received.append(kwargs))
    try:
        assert poll_and_apply(integration) == 1
    finally:
        signals.parcel_status_changed.disconnect(receive)
    parcel = Parcel.objects.for_order(order).get()
    assert parcel.status_id == sandbox.parcel(made["id"])["status"]["id"]
    assert parcel.tracking_number == made["tracking_number"]
    assert parcel.labels["a6"]
    assert parcel.timeline.count() == 1
    assert [kwargs["parcel"] for kwargs in received] == [parcel]
    event = WebhookEvent.objects.get()
    assert (event.action, event.state, bool(event.body)) == ("django_sendcloud.parcel_polled", "processed", False)


def test_f29_silent_move_is_taken_over(integration: Integration, sandbox: Any, order: Order) -> None:
    (made,) = sandbox.create_label(str(order.pk))
    poll_and_apply(integration)
    sandbox.set_parcel_status(made["id"], 11)
    assert poll_and_apply(integration, later()) == 1
    assert Parcel.objects.get().phase == "delivered"


def test_poll_stores_nothing_about_the_buyer(integration: Integration, sandbox: Any, order: Order) -> None:
    sandbox.create_label(str(order.pk))
    poll(integration)
    body = WebhookEvent.objects.get().body.reveal()
    assert sandbox.parcels()[0]["name"]
    for key in ("name", "address", "city", "postal_code", "telephone", "email"):
        assert f'"{key}"' not in body


def test_known_parcel_is_not_polled_again(integration: Integration, sandbox: Any, order: Order) -> None:
    sandbox.create_label(str(order.pk))
    assert poll_and_apply(integration) == 1
    for minutes in (10, 20):
        assert poll_and_apply(integration, later(minutes)) == 0
    assert Parcel.objects.get().timeline.count() == 1
    assert WebhookEvent.objects.count() == 1


def test_later_webhook_outlasts_poll(integration: Integration, sandbox: Any, order: Order, client: Any) -> None:
    (made,) = sandbox.create_label(str(order.pk))
    poll_and_apply(integration)
    now = int(timezone.now().timestamp() * 1000)
    webhook(client, integration, 3, now + 1000, made)
    assert Parcel.objects.get().status_id == 3
    webhook(client, integration, 8, now - 3_600_000, made)
    assert Parcel.objects.get().status_id == 3, "older than the poll: history"
    assert Parcel.objects.get().timeline.count() == 3


def test_poll_restores_missing_fields(integration: Integration, sandbox: Any, order: Order, client: Any) -> None:
    """A webhook as documented names neither link nor carrier; the poll brings them, and no second step."""
    (made,) = sandbox.create_label(str(order.pk))
    short = {key: made[key] for key in ("id", "order_number", "shipment_uuid")}
    webhook(client, integration, made["status"]["id"], int(timezone.now().timestamp() * 1000), short)
    assert (Parcel.objects.get().carrier, Parcel.objects.get().tracking_url) == ("", "")
    assert poll_and_apply(integration) == 1
    parcel = Parcel.objects.get()
    assert (parcel.carrier, parcel.tracking_url) == (made["carrier"]["code"], made["tracking_url"])
    assert parcel.items
    assert parcel.timeline.count() == 1


def test_missed_return_is_taken(integration: Integration, sandbox: Any, order: Order, bare_returns: None) -> None:
    """Issue 12: a return has no shipment UUID and our order number."""
    (made,) = sandbox.create_label(str(order.pk))
    sandbox.set_parcel_status(made["id"], 11)
    sandbox.create_return(made["id"])
    (returned,) = [parcel for parcel in sandbox.parcels() if parcel["is_return"]]
    assert poll_and_apply(integration) == 2
    assert Parcel.objects.filter(is_return=True).for_order(order).get().remote_id == returned["id"]


def test_polled_update_is_no_later_than_poll() -> None:
    """A webhook of the same second, sent after the poll, is the newer one."""
    asked = dt.datetime(2026, 3, 1, 12, 0, 0, 300_000, dt.UTC)
    parcel = HiddenDict({"id": 1, "date_updated": "2026-03-01T12:00:00Z"})
    for moment, last in ((asked, 300), (asked + dt.timedelta(hours=1), 999)):
        body = json.loads(_body(parcel, moment, with_status=True))
        assert body["timestamp"] == int(asked.timestamp()) * 1000 + last


@pytest.mark.parametrize("minutes", [-10, 10])
def test_f38_wrong_worker_clock_freezes_nothing(
    integration: Integration, sandbox: Any, order: Order, client: Any, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """A worker whose clock is ten minutes off polls "in transit"; the delivery a second later moves the parcel."""
    (made,) = sandbox.create_label(str(order.pk))
    sandbox.set_parcel_status(made["id"], 3)
    with monkeypatch.context() as patch:
        # SQLite has no clock but the machine's: so the engine's clock is wrong as well.
        now, wrong = timezone.now, dt.timedelta(minutes=minutes)
        patch.setattr(timezone, "now", lambda: now() + wrong)
        patch.setattr(clock, "_ahead", None)
        patch.setattr(WebhookEvent._meta.get_field("received_at"), "_get_default", timezone.now)
        poll_and_apply(integration)
    assert Parcel.objects.get().status_id == 3
    webhook(client, integration, 11, int((timezone.now() + dt.timedelta(seconds=1)).timestamp() * 1000), made)
    assert Parcel.objects.get().status_id == 11


def test_poll_leaves_other_integrations_alone(
    integration: Integration, sandbox: Any, order: Order, sendcloud_settings: Any
) -> None:
    sandbox.create_label(str(order.pk))
    other = factories.integration(sandbox.add_integration("Other"))
    assert poll(other) == 0
    integration.shipments.update(uuid=uuid.uuid4(), external_order_id="another", order_number="another")
    assert poll(integration) == 0
    assert not WebhookEvent.objects.exists()


def test_number_of_two_integrations_proves_nothing(
    integration: Integration, sandbox: Any, order: Order, bare_returns: None
) -> None:
    """Both integrations of the account have an order of this number; the return names no shipment."""
    (made,) = sandbox.create_label(str(order.pk))
    other = factories.integration(sandbox.add_integration("Other"))
    assert other.account == integration.account
    Shipment.objects.create(
        integration=other,
        order_type="shop.order",
        order_pk="7",
        order_number=order.number,
        external_order_id=str(order.pk),
    )
    sandbox.set_parcel_status(made["id"], 11)
    sandbox.create_return(made["id"])
    assert poll_and_apply(other) == 0
    assert poll_and_apply(integration) == 1
    assert not Parcel.objects.filter(is_return=True).exists()


def test_poll_asks_only_for_changes(integration: Integration, sandbox: Any, order: Order) -> None:
    begin = timezone.now()
    poll(integration, begin)
    integration.refresh_from_db()
    assert integration.parcels_seen_until == begin
    poll(integration, begin + dt.timedelta(hours=6))
    (asked,) = [request for request in sandbox.requests if request.path.endswith("/parcels")][-1:]
    since = dt.datetime.fromisoformat(dict(parse_qsl(asked.query))["updated_after"])
    assert dt.timedelta(0) < begin - since <= dt.timedelta(hours=2)


def test_f37_interrupted_poll_continues_at_its_page(integration: Integration, sandbox: Any) -> None:
    orders = [factories.order() for _ in range(5)]
    push_due()
    for each in orders:
        sandbox.create_label(str(each.pk))
    sandbox.page_size = 2
    sandbox.fail_next(500, times=20, match="GET parcels")
    with pytest.raises(ServerError):
        poll(integration)
    integration.refresh_from_db()
    assert integration.parcels_seen_until is None
    sandbox.clear_faults()
    assert poll_and_apply(integration) == 5
    assert Parcel.objects.count() == 5


def test_f37_unreadable_parcel_stops_no_other(
    integration: Integration, sandbox: Any, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.create_label(str(order.pk))
    original = Requestor.decode

    def decode(self: Requestor, request: Any, response: Any) -> Any:
        content = original(self, request, response)
        if "parcels" in content:
            content["parcels"] = [None, {"name": "Ada"}, *content["parcels"], {"id": "x"}]
        return content

    monkeypatch.setattr(Requestor, "decode", decode)
    assert poll_all() == 0
    apply.drain()
    assert Parcel.objects.get().shipment is not None
    integration.refresh_from_db()
    assert integration.parcels_seen_until is not None


def test_f37_failing_integration_stops_no_other_poll(integration: Integration, sandbox: Any, order: Order) -> None:
    other = factories.integration(sandbox.add_integration("Other"))
    sandbox.create_label(str(order.pk))
    sandbox.revoke_credentials(other.remote_id)
    assert poll_all() == 1, "one failed"
    assert WebhookEvent.objects.count() == 1
    integration.pause(PauseReason.PERSON)
    before = sandbox.count("GET", "/parcels")
    poll_all()
    assert sandbox.count("GET", "/parcels") - before == 1, "only the other one was asked"


# -- by API v3 ----------------------------------------------------------------------------------------

by_v3 = pytest.mark.parametrize("generation", ["v3"], indirect=True)


@by_v3
def test_v3_poll_finds_missed_parcel(integration: Integration, sandbox: Any, order: Order) -> None:
    """An account that has only API v3 may not ask v2's list of parcels."""
    (made,) = sandbox.create_label(str(order.pk))
    assert poll_and_apply(integration) == 1
    sandbox.set_parcel_status(made["id"], 11)
    assert poll_and_apply(integration, later()) == 1
    assert poll_and_apply(integration, later(20)) == 0
    parcel = Parcel.objects.for_order(order).get()
    assert (parcel.status_id, parcel.phase, parcel.tracking_number) == (11, "delivered", made["tracking_number"])
    assert parcel.carrier == made["carrier"]["code"]
    assert parcel.labels["a6"]
    assert parcel.timeline.count() == 2
    assert not [request for request in sandbox.requests if "/v2/" in request.path]


@by_v3
def test_v3_poll_leaves_return_to_webhook(integration: Integration, sandbox: Any, order: Order, client: Any) -> None:
    """The shipments of v3 hold no returns: polling finds the parcel alone, and the late webhook brings the return."""
    (made,) = sandbox.create_label(str(order.pk))
    sandbox.set_parcel_status(made["id"], 11)
    sandbox.create_return(made["id"])
    assert poll_and_apply(integration) == 1
    assert not Parcel.objects.filter(is_return=True).exists()
    (returned,) = [parcel for parcel in sandbox.parcels() if parcel["is_return"]]
    webhook(client, integration, returned["status"]["id"], int(timezone.now().timestamp() * 1000), returned)
    assert Parcel.objects.get(is_return=True).remote_id == returned["id"]


@by_v3
def test_v3_poll_asks_for_one_order(integration: Integration, sandbox: Any, order: Order) -> None:
    sandbox.create_label(str(order.pk))
    sandbox.create_label(str(order.pk))
    assert poll_shipment(Shipment.objects.get()) == 2


@by_v3
def test_v3_poll_keeps_unknown_status_out(integration: Integration, sandbox: Any, order: Order) -> None:
    """A status that v2 does not have changes nothing; the other fields are taken over."""
    (made,) = sandbox.create_label(str(order.pk))
    sandbox.set_parcel_status(made["id"], 424_242)
    assert poll_and_apply(integration) == 1
    assert (Parcel.objects.get().status_id, Parcel.objects.get().tracking_number) == (None, made["tracking_number"])


@by_v3
def test_v3_poll_leaves_other_integrations_alone(integration: Integration, sandbox: Any, order: Order) -> None:
    """The same number in another shop of the account proves nothing."""
    other = factories.integration(sandbox.add_integration("Other"), account=integration.account)
    Shipment.objects.create(
        integration=other, order_type="shop.order", order_pk="9", order_number=order.number, external_order_id="9"
    )
    sandbox.create_label(str(order.pk))
    assert poll_and_apply(integration) == 0


@pytest.mark.parametrize("generation", ["v2", "v3"], indirect=True)
def test_poll_without_permission_says_so(
    integration: Integration, sandbox: Any, order: Order, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.fail_next(403, times=1)
    assert poll_all() == 0, "asking again in a minute would not help"
    assert "read:parcel" in caplog.text
