"""F29: the shop was down for longer than Sendcloud tries, and knows afterwards what it has missed."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.utils import timezone

from django_sendcloud import signals
from django_sendcloud.catch_up import catch_up, catch_up_all
from django_sendcloud.exceptions import ServerError
from django_sendcloud.models import Integration, Parcel, PauseReason
from django_sendcloud.sync.pump import pump
from django_sendcloud.testing import send_webhook
from django_sendcloud.webhooks import apply
from tests import factories
from tests.shop.models import Order


@pytest.fixture
def order(integration: Integration, sandbox: Any) -> Order:
    order = factories.order()
    pump()
    return order


def later(minutes: int = 10) -> dt.datetime:
    return timezone.now() + dt.timedelta(minutes=minutes)


def test_f29_parcels_nobody_told_of_are_found(integration: Integration, sandbox: Any, order: Order) -> None:
    (made,) = sandbox.create_label(str(order.pk))
    for _ in range(3):
        sandbox.advance(made["id"])
    told: list[dict[str, Any]] = []
    signals.parcel_status_changed.connect(receive := lambda **kwargs: told.append(kwargs))
    try:
        assert catch_up(integration) == 1
    finally:
        signals.parcel_status_changed.disconnect(receive)
    parcel = Parcel.objects.for_order(order).get()
    assert parcel.status_id == sandbox.parcel(made["id"])["status"]["id"]
    assert parcel.tracking_number == made["tracking_number"]
    assert parcel.timeline.count() == 1
    assert [kwargs["parcel"] for kwargs in told] == [parcel]


def test_f29_open_parcels_that_moved_in_silence_are_moved(integration: Integration, sandbox: Any, order: Order) -> None:
    (made,) = sandbox.create_label(str(order.pk))
    catch_up(integration)
    sandbox.set_parcel_status(made["id"], 11)
    integration.refresh_from_db()
    assert catch_up(integration, later()) == 1
    assert Parcel.objects.get().phase == "delivered"


def test_what_is_known_already_is_no_news(integration: Integration, sandbox: Any, order: Order) -> None:
    sandbox.create_label(str(order.pk))
    assert catch_up(integration) == 1
    for minutes in (10, 20):
        integration.refresh_from_db()
        assert catch_up(integration, later(minutes)) == 0
    assert Parcel.objects.get().timeline.count() == 1


def test_news_a_webhook_told_later_stays(integration: Integration, sandbox: Any, order: Order, client: Any) -> None:
    (made,) = sandbox.create_label(str(order.pk))
    catch_up(integration)
    now = int(timezone.now().timestamp() * 1000)

    def webhook(status: int, at: int) -> None:
        parcel = {**made, "status": {"id": status, "message": ""}}
        send_webhook(client, integration, {"action": "parcel_status_changed", "timestamp": at, "parcel": parcel})
        apply.drain()

    webhook(3, now + 1000)
    assert Parcel.objects.get().status_id == 3
    webhook(8, now - 3_600_000)
    assert Parcel.objects.get().status_id == 3, "older than what was asked: history"
    assert Parcel.objects.get().timeline.count() == 3


def test_other_integrations_and_strangers_are_left_alone(
    integration: Integration, sandbox: Any, order: Order, sendcloud_settings: Any
) -> None:
    sandbox.create_label(str(order.pk))
    other = factories.integration(sandbox.add_integration("Other"))
    assert catch_up(other) == 0
    assert not Parcel.objects.filter(integration=other).exists()
    order_shipment = Parcel.objects.count()
    integration.shipments.update(uuid=uuid.uuid4())
    assert catch_up(integration) == 0
    assert Parcel.objects.count() == order_shipment


def test_it_asks_only_for_what_changed_since(integration: Integration, sandbox: Any, order: Order) -> None:
    begin = timezone.now()
    catch_up(integration, begin)
    integration.refresh_from_db()
    assert integration.parcels_seen_until == begin
    catch_up(integration, begin + dt.timedelta(hours=6))
    (asked,) = [request for request in sandbox.requests if request.path.endswith("/parcels")][-1:]
    since = dt.datetime.fromisoformat(dict(parse_qsl(asked.query))["updated_after"])
    assert dt.timedelta(0) < begin - since <= dt.timedelta(hours=2)


def test_it_reads_all_pages_and_begins_again_where_it_was_interrupted(integration: Integration, sandbox: Any) -> None:
    orders = [factories.order() for _ in range(5)]
    pump()
    for each in orders:
        sandbox.create_label(str(each.pk))
    sandbox.page_size = 2
    sandbox.fail_next(500, times=20, match="GET parcels")
    with pytest.raises(ServerError):
        catch_up(integration)
    integration.refresh_from_db()
    assert integration.parcels_seen_until is None
    sandbox.clear_faults()
    assert catch_up(integration) == 5
    assert Parcel.objects.count() == 5


def test_paused_integrations_cost_nothing_and_failing_ones_stop_no_others(
    integration: Integration, sandbox: Any, order: Order
) -> None:
    other = factories.integration(sandbox.add_integration("Other"))
    sandbox.create_label(str(order.pk))
    sandbox.revoke_credentials(other.remote_id)
    assert catch_up_all() == 1
    integration.pause(PauseReason.PERSON)
    before = sandbox.count("GET", "/parcels")
    catch_up_all()
    assert sandbox.count("GET", "/parcels") - before == 1, "only the other one was asked"
