"""The order's own status is derived from all its parcels, under the order's lock."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_sendcloud import OrderAdapter
from django_sendcloud.models import EventState, Integration, Parcel, Shipment, ShipmentStatus, WebhookEvent
from django_sendcloud.parcels.matching import assign, link_unmatched
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.testing import drain
from django_sendcloud.webhooks import apply, inbox
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder
from tests.webhooks.messages import BEGIN, HOUR, parcel, raw

pytestmark = pytest.mark.long


class Following(ShopOrder):
    phase_statuses = {"in_transit": "shipped", "delivered": "completed", "problem": "trouble"}

    def is_shippable(self, order: Order) -> bool:
        return order.status in {"paid", "shipped", "completed", "trouble"}


class OnlyPaid(Following):
    """An adapter whose orders are shippable only before they are shipped: the statuses it maps to are its own."""

    def is_shippable(self, order: Order) -> bool:
        return order.status == "paid"


class Named(Following):
    status_beginnings = ("paid", "packed")

    def is_shippable(self, order: Order) -> bool:
        return order.status != "cancelled"


class Anything(Following):
    def is_shippable(self, order: Order) -> bool:
        return order.status != "cancelled"


@pytest.fixture
def following() -> Iterator[OrderAdapter[Any]]:
    with temporarily_registered(Following, Order) as adapter:
        yield adapter


@pytest.fixture
def order(following: Any, integration: Integration, sandbox: Any) -> Order:
    order = factories.order(number="ORD-77")
    drain()
    return order


@pytest.fixture
def split(following: Any, integration: Integration, sandbox: Any) -> Order:
    """Place an order in two shipments."""
    order = factories.order(number="ORD-77", shipments=2)
    drain()
    assert Shipment.objects.count() == 2
    return order


@pytest.fixture
def report(integration: Integration) -> Callable[..., str]:
    """Receive an update of a parcel; returns the order's status afterwards."""

    def receive(status: int, hours: float, number: int = 1, **values: Any) -> str:
        at = BEGIN + int(hours * HOUR)
        inbox.store(integration, raw(parcel(status, at, **{"id": number, "order_number": "ORD-77", **values})))
        apply.drain()
        return str(Order.objects.values_list("status", flat=True).get())

    return receive


def of(order: Order, number: int) -> dict[str, str]:
    """Return the fields of a parcel that belongs to a shipment of a split order."""
    return {"external_order_id": str(order.pk), "external_shipment_id": f"{order.pk}-{number}", "order_number": ""}


def test_order_follows_parcel(report: Any, order: Order) -> None:
    assert report(1000, 0) == "paid", "a phase that is not in the mapping changes nothing"
    assert report(3, 1) == "shipped"
    assert report(8, 2) == "trouble"
    assert report(11, 3) == "completed"


def test_unmapped_phase_counts_as_last_passed(report: Any, order: Order) -> None:
    assert report(12, 1) == "shipped", "ready to be picked up"
    assert report(2000, 2, number=2) == "shipped"


def test_status_change_is_an_ordinary_change(report: Any, order: Order, sandbox: Any) -> None:
    before = Order.objects.get().modified
    report(3, 1)
    assert Order.objects.get().modified > before


def test_least_advanced_parcel_decides(report: Any, order: Order) -> None:
    report(3, 1, number=1)
    report(3, 1, number=2)
    assert report(11, 2, number=1) == "shipped"
    assert report(11, 3, number=2) == "completed"


def test_returns_and_cancelled_parcels_do_not_count(report: Any, order: Order) -> None:
    report(11, 1, number=1)
    assert report(3, 2, number=2, is_return=True) == "completed"
    assert report(2000, 3, number=3) == "completed"


def test_late_update_moves_nothing_back(report: Any, order: Order) -> None:
    report(11, 3)
    assert report(3, 1) == "completed"


def test_scan_after_delivery_moves_nothing_back(report: Any, order: Order) -> None:
    """Issue 9 (d): a depot's scan, reported after the delivery, with and without an earlier carrier time."""
    assert report(11, 2) == "completed"
    assert report(5, 3) == "completed"


def test_poll_repeating_overruled_problem_moves_nothing(report: Any, order: Order, integration: Integration) -> None:
    """A failed attempt is reported after the delivery; the poll repeats it without the carrier's time."""
    assert report(11, 2) == "completed"
    late = parcel(8, BEGIN + 3 * HOUR, id=1, order_number="ORD-77")
    polled = parcel(8, BEGIN + 3 * HOUR + 999, action="django_sendcloud.parcel_polled", id=1, order_number="ORD-77")
    late["carrier_status_change_timestamp"], polled["carrier_status_change_timestamp"] = BEGIN + HOUR, None
    for body in (late, polled):
        inbox.store(integration, raw(body))
        apply.drain()
        assert Order.objects.get().status == "completed"


def test_problem_reported_after_delivery_moves_order(report: Any, order: Order) -> None:
    """A parcel that was scanned as delivered may be damaged, or not be there at all."""
    assert report(11, 2) == "completed"
    assert report(62996, 3) == "trouble"
    assert report(11, 4) == "completed"


def test_first_of_two_shipments_is_not_all(report: Any, split: Order) -> None:
    """Issue 9 (b): the first parcel is delivered, and the second shipment has no label yet."""
    assert report(11, 1, number=1, **of(split, 1)) == "paid"
    assert report(3, 2, number=2, **of(split, 2)) == "shipped"
    assert report(11, 3, number=2, **of(split, 2)) == "completed"


def test_deleted_shipment_without_label_is_not_awaited(report: Any, split: Order) -> None:
    Shipment.objects.filter(external_shipment_id=f"{split.pk}-2").update(status=ShipmentStatus.DELETED)
    assert report(11, 1, number=1, **of(split, 1)) == "completed"


@pytest.mark.parametrize("colli", [None, str(uuid.UUID(int=7))])
def test_announced_collo_without_webhook_is_awaited(report: Any, order: Order, colli: str | None) -> None:
    """Issue 9 (b): two colli are announced, and only one has been reported."""
    values = {"collo_count": 2, "colli_uuid": colli}
    assert report(11, 1, number=1, collo_nr=0, **values) == "paid"
    assert report(11, 2, number=2, collo_nr=1, **values) == "completed"


def test_cancelled_collo_is_not_awaited(report: Any, order: Order) -> None:
    report(2000, 1, number=2, collo_nr=1, collo_count=2)
    assert report(11, 2, number=1, collo_nr=0, collo_count=2) == "completed"


def test_colli_announced_again_are_all_awaited(report: Any, order: Order) -> None:
    for number, collo in ((1, 0), (2, 1)):
        report(2000, 1, number=number, collo_nr=collo, collo_count=2)
    assert report(11, 2, number=3, collo_nr=0, collo_count=2) == "paid"
    assert report(11, 2, number=4, collo_nr=1, collo_count=2) == "completed"


@pytest.mark.parametrize("first", [1002, 2000])
def test_replaced_parcel_does_not_hold_back(report: Any, order: Order, first: int) -> None:
    """Issue 9 (c): the first could not be announced, or was cancelled; the second replaces it."""
    report(first, 1, number=1)
    assert report(1000, 2, number=2) in ("paid", "trouble")
    assert report(3, 3, number=2) == "shipped"
    assert report(11, 4, number=2) == "completed"


def test_failed_announcement_alone_is_a_problem(report: Any, order: Order) -> None:
    assert report(1002, 1, number=1) == "trouble"


def test_unknown_status_holds_delivery_back(report: Any, order: Order) -> None:
    report(1337, 1, number=1)
    assert report(11, 2, number=2) == "paid"


def test_parcel_linked_later_moves_its_order(report: Any, order: Order) -> None:
    """Issue 9 (e): it names its shipment before this shop knows it."""
    identity = str(uuid.uuid4())
    assert report(11, 1, order_number="", shipment_uuid=identity) == "paid"
    Shipment.objects.update(uuid=identity)
    assert link_unmatched() == 1
    apply.drain()
    assert Order.objects.get().status == "completed"
    assert str(WebhookEvent.objects.latest("pk").about) == "Parcel found its order"


def test_assigned_parcel_moves_its_order(report: Any, order: Order) -> None:
    assert report(11, 1, order_number="unknown") == "paid"
    assert assign(Parcel.objects.get(), Shipment.objects.get())
    assert not assign(Parcel.objects.get(), Shipment.objects.get()), "it belongs to one already"
    apply.drain()
    assert Order.objects.get().status == "completed"
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {EventState.PROCESSED}


# -- a person's decision ------------------------------------------------------------------------------


def test_cancelled_order_is_left_alone(report: Any, order: Order) -> None:
    Order.objects.update(status="cancelled")
    assert report(3, 1) == "cancelled"


def test_mapped_statuses_need_not_be_shippable(report: Any, order: Order) -> None:
    with temporarily_registered(OnlyPaid, Order):
        assert report(3, 1) == "shipped"
        assert report(11, 2) == "completed"


@pytest.mark.parametrize(("status", "becomes"), [("packed", "shipped"), ("on hold", "on hold"), ("paid", "shipped")])
def test_named_beginnings_are_the_only_ones(report: Any, order: Order, status: str, becomes: str) -> None:
    Order.objects.update(status=status)
    with temporarily_registered(Named, Order):
        assert report(3, 1) == becomes


def test_status_of_a_person_is_kept(report: Any, order: Order) -> None:
    """The order was shipped, and then a person put it on hold: no parcel moves it, though it is shippable."""
    with temporarily_registered(Anything, Order):
        assert report(3, 1) == "shipped"
        Order.objects.update(status="on hold")
        assert report(11, 2) == "on hold"


@pytest.mark.parametrize(("given", "chosen", "later"), [(11, "shipped", 93), (11, "trouble", 93), (8, "shipped", 80)])
def test_status_taken_back_is_not_given_again(report: Any, order: Order, given: int, chosen: str, later: int) -> None:
    """The mapping owns both statuses; another update of the same meaning is no reason to overrule a person."""
    report(given, 1)
    Order.objects.update(status=chosen)
    assert report(later, 2) == chosen
    assert report(later, 3, collo_count=1) == chosen
    assert report(8 if given == 11 else 11, 4) == ("trouble" if given == 11 else "completed"), "that is something new"


def test_status_between_two_parcels_is_kept(report: Any, split: Order) -> None:
    with temporarily_registered(Anything, Order):
        report(3, 1, number=1, **of(split, 1))
        assert report(3, 1, number=2, **of(split, 2)) == "shipped"
        report(11, 2, number=1, **of(split, 1))
        Order.objects.update(status="on hold")
        assert report(11, 3, number=2, **of(split, 2)) == "on hold"


def test_status_set_by_person_is_kept(report: Any, order: Order) -> None:
    Order.objects.update(status="completed")
    assert report(3, 1) == "completed"


def test_person_who_shipped_is_followed(report: Any, order: Order) -> None:
    Order.objects.update(status="shipped")
    assert report(11, 1) == "completed"


class Pipeline(Following):
    """A shop whose statuses follow each other one by one."""

    STEPS = ("paid", "packed", "shipped", "out", "completed")
    walked: list[str] = []

    def is_shippable(self, order: Order) -> bool:
        return order.status in self.STEPS

    def next_status(self, order: Order, wanted: Any) -> Any:
        if order.status == "on hold" or wanted not in self.STEPS:
            return None
        return self.STEPS[self.STEPS.index(order.status) + 1]

    def set_order_status(self, order: Order, status: Any) -> None:
        self.walked.append(status)
        super().set_order_status(order, status)


def test_pipeline_is_walked_step_by_step(report: Any, order: Order) -> None:
    Pipeline.walked = []
    with temporarily_registered(Pipeline, Order):
        assert report(11, 1) == "completed"
        assert Pipeline.walked == ["packed", "shipped", "out", "completed"]
        assert report(8, 2) == "completed", "no step leads to trouble"


class DeadEnd(Pipeline):
    """A pipeline that lets no order past "packed" without its invoice."""

    invoiced = False

    def next_status(self, order: Order, wanted: Any) -> Any:
        if order.status == "packed" and not self.invoiced:
            return None
        return super().next_status(order, wanted)


@pytest.mark.parametrize("beginnings", [None, ["paid"]])
def test_order_leaves_dead_end_later(report: Any, order: Order, beginnings: Any, monkeypatch: Any) -> None:
    """No person has put the order where parcels have left it."""
    monkeypatch.setattr(DeadEnd, "status_beginnings", beginnings)
    with temporarily_registered(DeadEnd, Order):
        assert report(3, 1) == "packed"
        assert report(12, 2) == "packed"
        monkeypatch.setattr(DeadEnd, "invoiced", True)
        assert report(11, 3) == "completed"


class Circle(Pipeline):
    def next_status(self, order: Order, wanted: Any) -> Any:
        return {"paid": "packed", "packed": "paid"}[order.status]


def test_pipeline_without_end_is_shown(report: Any, order: Order) -> None:
    with temporarily_registered(Circle, Order):
        assert report(11, 1) == "paid", "nothing of the walk remains"
    event = WebhookEvent.objects.get()
    assert (event.state, event.note["error"]) == (EventState.RECEIVER_FAILED, "AdapterMistake")


class Standing(Pipeline):
    def next_status(self, order: Order, wanted: Any) -> Any:
        return order.status


def test_pipeline_may_name_present_status(report: Any, order: Order) -> None:
    Pipeline.walked = []
    with temporarily_registered(Standing, Order):
        assert report(11, 1) == "paid"
    assert Pipeline.walked == []


# -- changes that are no phase of a parcel --------------------------------------------------------------


def test_deleted_shipment_lets_order_move_on(report: Any, split: Order) -> None:
    """The rest of the order was delivered long ago: no parcel will say so again."""
    assert report(11, 1, number=1, **of(split, 1)) == "paid"
    order = Order.objects.get()
    order.shipments = 1
    order.save()
    with temporarily_registered(FirstOnly, Order):
        drain()
    assert Shipment.objects.filter(status=ShipmentStatus.DELETED).count() == 1
    assert Order.objects.get().status == "completed"
    assert str(WebhookEvent.objects.latest("pk").about) == "A shipment of its order was deleted"


class FirstOnly(Following):
    """An adapter that keeps the ids of a package when the others are gone."""

    def get_shipments(self, order: Order) -> Any:
        order.shipments = 2
        return itertools.islice(super().get_shipments(order), 1)


def test_parcel_that_is_return_moves_order(report: Any, order: Order) -> None:
    report(3, 1, number=2)
    assert report(11, 2, number=1) == "shipped"
    assert report(3, 3, number=2, is_return=True) == "completed"


def test_fewer_colli_move_order(report: Any, order: Order) -> None:
    assert report(11, 1, collo_nr=0, collo_count=2) == "paid"
    assert report(11, 2, collo_nr=0, collo_count=1) == "completed"


# -- other situations -----------------------------------------------------------------------------------


def test_right_status_is_not_saved_again(report: Any, order: Order) -> None:
    report(3, 1)
    factories.clear_outbox()
    report(5, 2)
    assert not factories.outbox().exists()


def test_missing_order_is_no_failure(integration: Integration, order: Order) -> None:
    Order.objects.all().delete()
    inbox.store(integration, raw(parcel(3, order_number="ORD-77")))
    apply.drain()
    assert Parcel.objects.get().status_id == 3
    assert WebhookEvent.objects.get().state == EventState.PROCESSED


def test_order_without_mapping_is_left_alone(report: Any, integration: Integration, sandbox: Any) -> None:
    factories.order(number="ORD-77")
    drain()
    assert report(11, 1) == "paid"


@pytest.mark.parametrize("status", [3, 91, 1])
def test_earlier_carrier_time_never_undoes_delivery(integration: Integration, status: int) -> None:
    """A depot scan that is reported after the delivery happened before it."""
    late = parcel(status, BEGIN + 5 * HOUR) | {"carrier_status_change_timestamp": BEGIN - HOUR}
    for body in (parcel(11, BEGIN), late):
        inbox.store(integration, raw(body))
        apply.drain()
    found = Parcel.objects.get()
    assert (found.status_id, found.phase) == (11, "delivered")
    assert found.timeline.count() == 2
