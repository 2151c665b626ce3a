"""``on_parcel()``: once for each phase, in order, again until it succeeds, with the order locked."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from django_sendcloud import ParcelChange
from django_sendcloud.core.clock import clock
from django_sendcloud.enums import ParcelPhase
from django_sendcloud.models import EventState, Integration, Parcel, Shipment, WebhookEvent
from django_sendcloud.parcels import order_effects
from django_sendcloud.parcels.matching import link_unmatched
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.testing import drain
from django_sendcloud.webhooks import apply, claim, follow_ups, inbox
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder
from tests.webhooks.messages import BEGIN, HOUR, parcel, raw

pytestmark = pytest.mark.long


class Heard(ShopOrder):
    """An adapter that notes its calls, and fails for the phases named."""

    phase_statuses = {"delivered": "completed"}
    calls: list[tuple[Order, Parcel, ParcelChange]] = []
    fails: set[ParcelPhase] = set()

    def on_parcel(self, order: Order, parcel: Parcel, change: ParcelChange) -> None:
        assert connection.in_atomic_block
        if change.phase in self.fails:
            order.address = "half done"
            order.save()
            raise LookupError("Jane Canary")
        self.calls.append((order, parcel, change))


@pytest.fixture
def heard() -> Iterator[type[Heard]]:
    Heard.calls, Heard.fails = [], set()
    with temporarily_registered(Heard, Order):
        yield Heard


@pytest.fixture
def order(heard: Any, integration: Integration, sandbox: Any) -> Order:
    order = factories.order(number="ORD-77")
    drain()
    return order


def report(integration: Integration, *updates: tuple[int, float], number: int = 1, **values: Any) -> None:
    for status, hours in updates:
        at = BEGIN + int(hours * HOUR)
        inbox.store(integration, raw(parcel(status, at, **{"id": number, "order_number": "ORD-77", **values})))
    apply.drain()


def phases(heard: type[Heard]) -> list[tuple[ParcelPhase | None, ParcelPhase]]:
    return [(change.previous_phase, change.phase) for _, _, change in heard.calls]


JOURNEY = [
    (None, ParcelPhase.ANNOUNCED),
    (ParcelPhase.ANNOUNCED, ParcelPhase.IN_TRANSIT),
    (ParcelPhase.IN_TRANSIT, ParcelPhase.DELIVERED),
]


@pytest.mark.long
@pytest.mark.parametrize("together", [True, False])
def test_phases_are_reported_once(integration: Integration, order: Order, heard: Any, together: bool) -> None:
    updates = [(1000, 0.0), (3, 1.0), (5, 2.0), (91, 3.0), (11, 4.0)]
    if together:
        report(integration, *updates)
    else:
        for update in updates:
            report(integration, update)
    assert phases(heard) == JOURNEY
    inbox.replay(WebhookEvent.objects.all())
    apply.drain()
    assert len(heard.calls) == 3


def test_change_names_time_shipment_and_items(integration: Integration, order: Order, heard: Any) -> None:
    items = [{"sku": "MUG", "description": "Mug", "quantity": 2, "item_id": "7"}]
    report(integration, (3, 1), parcel_items=items)
    ((given, reported, change),) = heard.calls
    assert (given, reported) == (order, Parcel.objects.get())
    assert change.shipment == Shipment.objects.get()
    assert change.at == dt.datetime.fromtimestamp((BEGIN + HOUR) / 1000, dt.UTC)
    assert change.carrier_at == change.at - dt.timedelta(seconds=1)
    (item,) = change.items
    assert (item.sku, item.quantity, item.item_id) == ("MUG", 2, "7")


def test_items_survive_updates_without_them(integration: Integration, order: Order, heard: Any) -> None:
    report(integration, (3, 1), parcel_items=[{"sku": "MUG", "quantity": 2}])
    report(integration, (11, 2))
    assert [item.sku for item in heard.calls[-1][2].items] == ["MUG"]


@pytest.mark.long
def test_failing_hook_is_retried_until_it_succeeds(integration: Integration, order: Order, heard: Any) -> None:
    """Its own writes are undone, the order's status stands, the later phase waits, the inbox shows it."""
    heard.fails = {ParcelPhase.IN_TRANSIT}
    report(integration, (1000, 0), (3, 1), (11, 2))
    assert phases(heard) == JOURNEY[:1]
    assert Order.objects.get().address == order.address
    assert Order.objects.get().status == "completed"
    failing = WebhookEvent.objects.get(state=EventState.RECEIVER_FAILED)
    assert failing.note["code"] == "adapter_failed"
    assert (failing.note["hook"], failing.note["error"]) == ("on_parcel", "LookupError")
    assert failing.note["at"].startswith(__file__)
    assert "Canary" not in str(failing.note)
    for _ in range(claim.ATTEMPTS * 3):
        failing.refresh_from_db()
        assert failing.due_at is not None, "it is never given up"
        apply.drain(now=failing.due_at)
    heard.fails = set()
    failing.refresh_from_db()
    apply.drain(now=failing.due_at)
    assert phases(heard) == JOURNEY
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {EventState.PROCESSED}


@pytest.mark.django_db(transaction=True)
def test_conflicting_transaction_is_done_again(
    integration: Integration, order: Order, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that ends it in favour of another one is no failure of the shop's hook."""
    left = 2
    original = heard.on_parcel

    def conflict(self: Any, order: Order, parcel: Parcel, change: ParcelChange) -> None:
        nonlocal left
        original(self, order, parcel, change)
        if left:
            left -= 1
            raise OperationalError(1213, "Deadlock found when trying to get lock")

    monkeypatch.setattr(clock, "sleep", lambda seconds: None)
    monkeypatch.setattr(heard, "on_parcel", conflict)
    report(integration, (11, 0))
    event = WebhookEvent.objects.get(parcel__isnull=False)
    assert (event.state, event.failures, event.note) == (EventState.PROCESSED, 0, {})
    assert len(heard.calls) == 3
    order.refresh_from_db()
    assert order.status == "completed"


@pytest.mark.long
def test_failing_order_delays_no_other(integration: Integration, order: Order, heard: Any) -> None:
    factories.order(number="ORD-78")
    drain()
    heard.fails = {ParcelPhase.IN_TRANSIT}
    report(integration, (3, 1))
    report(integration, (11, 1), number=2, order_number="ORD-78")
    assert [change.phase for _, _, change in heard.calls] == [ParcelPhase.DELIVERED]


def test_worker_killed_after_commit_of_hook(
    integration: Integration, order: Order, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call and the note that it was made are committed together: the next worker does not call again."""

    class Killed(BaseException):
        pass

    original = order_effects.run

    def die(event: WebhookEvent) -> None:
        original(event)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(order_effects, "run", die)
        with pytest.raises(Killed):
            report(integration, (3, 1))
    assert WebhookEvent.objects.get().state == EventState.APPLIED
    apply.drain(now=timezone.now() + dt.timedelta(seconds=121))
    assert WebhookEvent.objects.get().state == EventState.PROCESSED
    assert phases(heard) == [(None, ParcelPhase.IN_TRANSIT)]


def test_slow_worker_does_not_call_twice(
    integration: Integration, order: Order, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is over before it begins, and another worker has called meanwhile."""
    inbox.store(integration, raw(parcel(3, id=1, order_number="ORD-77")))
    with monkeypatch.context() as patch:
        patch.setattr(follow_ups, "run_due", lambda *args: 0)
        apply.drain()
    (slow,) = claim.claim("follow_ups", 10, timezone.now())
    slow.parcel = Parcel.objects.get()
    apply.drain(now=timezone.now() + dt.timedelta(seconds=121))
    order_effects.run(slow)
    assert len(heard.calls) == 1


@pytest.mark.parametrize("how", ["link", "update"])
def test_parcel_found_late_makes_whole_journey_known(
    integration: Integration, order: Order, heard: Any, how: str
) -> None:
    identity = str(uuid.uuid4())
    nothing = {"order_number": "", "shipment_uuid": identity}
    report(integration, (1000, 0), (3, 1), **nothing)
    assert heard.calls == []
    Shipment.objects.update(uuid=identity)
    if how == "link":
        report(integration)
        link_unmatched()
        apply.drain()
        assert phases(heard) == JOURNEY[:2]
        report(integration, (11, 2), **nothing)
    else:
        report(integration, (11, 2), **nothing)
    assert phases(heard) == JOURNEY


def test_return_calls_the_hook(integration: Integration, order: Order, heard: Any) -> None:
    report(integration, (3, 1), is_return=True)
    ((_, returned, _),) = heard.calls
    assert returned.is_return
    assert Order.objects.get().status == "paid"


@pytest.mark.long
def test_link_unmatched_costs_two_queries(
    integration: Integration, order: Order, django_assert_num_queries: Any
) -> None:
    """Parcels of no shipment cost two queries; the oldest of all is found when its shipment comes."""
    Parcel.objects.bulk_create(
        Parcel(integration=integration, remote_id=n, shipment_uuid=uuid.uuid4(), order_number=f"X-{n}")
        for n in range(1, 1201)
    )
    Parcel.objects.update(created_at=timezone.now() - dt.timedelta(days=400))
    with django_assert_num_queries(2):
        assert link_unmatched() == 0
    Shipment.objects.update(uuid=Parcel.objects.get(remote_id=1).shipment_uuid)
    assert link_unmatched() == 1
    assert Parcel.objects.get(remote_id=1).shipment is not None


def test_link_unmatched_guesses_nothing(integration: Integration, order: Order) -> None:
    for number in ("a", "b"):
        Shipment.objects.create(
            integration=integration, order_type="shop.order", order_pk=number, order_number="TWICE", external_order_id="o",
            external_shipment_id=number,
        )  # fmt: skip
    for number, values in enumerate([{"order_number": "TWICE"}, {"external_order_id": "o"}, {}], start=1):
        Parcel.objects.create(integration=integration, remote_id=number, **values)
    Parcel.objects.create(integration=integration, remote_id=9, external_order_id="o", external_shipment_id="b")
    assert link_unmatched() == 1
    assert Parcel.objects.get(remote_id=9).shipment.order_pk == "b"
