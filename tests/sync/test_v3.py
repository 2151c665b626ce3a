"""The engine over API v3: batches rejected as a whole, orders saved later, deletions after a look-up."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_sendcloud.models import EntryState, Integration, OutboxEntry, PauseReason, Shipment, ShipmentStatus
from django_sendcloud.sync import limiter
from django_sendcloud.sync.backends import Outcome, backend_for
from django_sendcloud.sync.reconcile import compare, differences, repair
from django_sendcloud.sync.worker import push_due, run_in_turn
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

Later = Callable[[float], None]

pytestmark = [pytest.mark.parametrize("generation", ["v3"], indirect=True), pytest.mark.long]


def make_orders(number: int, **values: Any) -> list[Order]:
    customer = factories.customer()
    return [factories.order(lines=0, customer=customer, **values) for _ in range(number)]


def push(seconds: float = 0.0) -> None:
    """Push what is due, as if it had waited long enough."""
    past = timezone.now() - dt.timedelta(seconds=1)
    factories.outbox().filter(state=EntryState.PENDING).update(due_at=past, not_before=past)
    push_due()


def ids(sandbox: Any) -> set[str]:
    return {order["order_id"] for order in sandbox.orders()}


def upserts(sandbox: Any) -> list[int]:
    """Return the number of orders in each upsert, in their order."""
    return [len(r.body) for r in sandbox.requests if r.method == "POST" and r.path.endswith("/orders")]


def statuses() -> set[str]:
    return set(Shipment.objects.values_list("status", flat=True))


def cancel(order: Order) -> None:
    forget_transaction()
    order.status = "cancelled"
    order.save()


# Accepted and saved


def test_accepted_order_is_synced_once_seen(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later
) -> None:
    sendcloud_settings(CONFIRM_SECONDS=3.0)
    sandbox.save_delay = None
    make_orders(2)
    push()
    assert statuses() == {"accepted"}
    assert OutboxEntry.objects.count() == 2
    sandbox.save_orders()
    assert sandbox.count("GET", "/orders") == 0, "nothing is asked before it can be there"
    later(3.1)
    push_due()
    assert statuses() == {"synced"}
    assert not OutboxEntry.objects.exists()
    assert (len(upserts(sandbox)), sandbox.count("GET", "/orders")) == (1, 1)
    assert {int(shipment.remote_id) for shipment in Shipment.objects.all()} == {
        int(order["id"]) for order in sandbox.orders()
    }


def test_hundred_orders_cost_two_requests(integration: Integration, sandbox: Any) -> None:
    """One upsert and one page of the list: 0.02 requests an order."""
    make_orders(100)
    push()
    assert statuses() == {"synced"}
    assert len(sandbox.requests) == 2


def test_accepted_order_is_confirmed_without_adapter(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The confirmation that Sendcloud has saved an order reads neither the order nor its payload again."""
    sendcloud_settings(CONFIRM_SECONDS=3.0)
    made = make_orders(3)
    push()
    assert statuses() == {"accepted"}
    assert set(OutboxEntry.objects.values_list("is_accepted", flat=True)) == {True}
    assert set(OutboxEntry.objects.values_list("order_number", flat=True)) == {order.number for order in made}
    translated: list[Order] = []
    get_shipments = ShopOrder.get_shipments

    def note(self: ShopOrder, order: Order) -> Any:
        translated.append(order)
        return get_shipments(self, order)

    monkeypatch.setattr(ShopOrder, "get_shipments", note)
    forget_transaction()
    made[0].city = "Utrecht"
    made[0].save()
    later(3.1)
    push_due()
    assert [order.pk for order in translated] == [made[0].pk], "only the one that has changed"
    later(3.1)
    push_due()
    assert statuses() == {"synced"}
    assert not OutboxEntry.objects.exists()


@pytest.mark.parametrize("in_turn", [False, True])
def test_pushes_go_before_confirmations(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later, in_turn: bool
) -> None:
    """Accepted orders wait while others are pushed, but not for long: then they go first, all of them together."""
    from django_sendcloud.sync.backends import v3

    sendcloud_settings(CONFIRM_SECONDS=3.0, BATCH_SIZE=2, CLAIM_SIZE=2)
    make_orders(6)
    push()
    make_orders(4)
    later(5)
    before = len(sandbox.requests)
    run_in_turn() if in_turn else push_due()
    assert [request.method for request in sandbox.requests[before:]] == ["POST", "POST", "GET"]
    assert Shipment.objects.filter(status=ShipmentStatus.SYNCED).count() == 6
    make_orders(4)
    later(40)
    v3._readings.clear()  # the next run is another process's
    before = len(sandbox.requests)
    run_in_turn() if in_turn else push_due()
    assert [request.method for request in sandbox.requests[before:]] == ["GET", "POST", "POST"]


def test_confirmations_use_wait_for_rate(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later
) -> None:
    """While no order may be pushed, Sendcloud may still be asked which ones it has saved."""
    make_orders(2)
    sendcloud_settings(CONFIRM_SECONDS=3.0)
    push()
    make_orders(1)
    later(5)
    sendcloud_settings(CONFIRM_SECONDS=3.0, UNSAFE_REQUESTS_PER_MINUTE=0.1, UNSAFE_BURST=1)
    while limiter.ask(integration, "unsafe") == 0:
        pass
    before = len(sandbox.requests)
    assert (run_in_turn() or 0) > 0
    assert [request.method for request in sandbox.requests[before:]] == ["GET"]
    assert Shipment.objects.filter(status=ShipmentStatus.SYNCED).count() == 2


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize("saved", [True, False])
def test_fresh_order_overtakes_long_confirmation(
    integration: Integration,
    sandbox: Any,
    sendcloud_settings: Any,
    later: Later,
    monkeypatch: pytest.MonkeyPatch,
    saved: bool,
    in_turn: bool,
) -> None:
    """The only worker reads many pages, or asks for many orders: it pushes between two requests, and then goes on."""
    from django_sendcloud.api.v3.orders import Orders
    from django_sendcloud.sync.backends import v3

    monkeypatch.setattr(v3, "MAX_PAGE", 2)
    sendcloud_settings(CONFIRM_SECONDS=3.0, DEBOUNCE_SECONDS=0.0)
    sandbox.save_delay = 0.0 if saved else None
    make_orders(20)
    push()
    later(40)
    name = "pages" if saved else "get"
    read = getattr(Orders, name)

    def note(self: Orders, *args: Any, **options: Any) -> Any:
        monkeypatch.setattr(Orders, name, read)
        forget_transaction()
        make_orders(1)
        return read(self, *args, **options)

    monkeypatch.setattr(Orders, name, note)
    before = len(sandbox.requests)
    run_in_turn() if in_turn else push_due()
    methods = [request.method for request in sandbox.requests[before:]]
    assert methods.index("POST") <= 2, "the list or one order, and then the push"
    assert methods.count("GET") >= 8, "the confirmation goes on"
    assert Shipment.objects.filter(status=ShipmentStatus.SYNCED).count() == (20 if saved else 0)


def test_long_confirmation_never_waits_to_push(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later
) -> None:
    """While no order may be pushed, the worker asks on for what Sendcloud has saved."""
    sendcloud_settings(CONFIRM_SECONDS=3.0, DEBOUNCE_SECONDS=0.0)
    sandbox.save_delay = None
    make_orders(20)
    push()
    later(40)
    make_orders(1)
    sendcloud_settings(CONFIRM_SECONDS=3.0, UNSAFE_REQUESTS_PER_MINUTE=0.6, UNSAFE_BURST=1)
    while limiter.ask(integration, "unsafe") == 0:
        pass
    push_due()
    assert sandbox.count("GET") == 21, "the list, and each order"
    assert len(upserts(sandbox)) == 1


def test_order_not_seen_is_polled_then_pushed(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later
) -> None:
    """A worker polls several times, each after twice the time. Then the order is due again."""
    sendcloud_settings(CONFIRM_SECONDS=3.0, SAVE_SECONDS=60.0)
    sandbox.lose_orders(1)
    make_orders(1)
    push()
    reads = []
    for _ in range(40):
        later(3.0)
        push_due()
        reads.append(sandbox.count("GET", "/orders"))
        if len(upserts(sandbox)) == 2:
            break
    assert 3 <= reads[-1] <= 14
    assert len(upserts(sandbox)) == 2
    later(3.1)
    push_due()
    assert statuses() == {"synced"}
    assert len(ids(sandbox)) == 1


def test_confirmation_reads_no_endless_list(
    integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.sync.backends import v3

    monkeypatch.setattr(v3, "MAX_PAGE", 2)
    monkeypatch.setattr(v3, "MAX_CONFIRM_PAGES", 2)
    make_orders(10)
    push()
    assert statuses() == {"synced"}
    assert (sandbox.count("GET", "/orders"), sandbox.count("GET")) == (2, 2 + 6)


@pytest.mark.parametrize("forgotten", [False, True])
def test_confirmation_goes_on_where_last_stopped(
    integration: Integration, sandbox: Any, later: Later, monkeypatch: pytest.MonkeyPatch, forgotten: bool
) -> None:
    """The list is longer than any confirmation can read: each one reads the next pages, also in another run."""
    from django_sendcloud.sync.backends import v3

    monkeypatch.setattr(v3, "MAX_PAGE", 2)
    monkeypatch.setattr(v3, "MAX_CONFIRM_PAGES", 1)
    monkeypatch.setattr(v3, "MAX_CONFIRM_GETS", 0)
    make_orders(10)
    push()
    assert OutboxEntry.objects.count() == 8
    if forgotten:
        [reading] = v3._readings.values()
        reading.places["-pk"] = "a cursor from long ago", reading.places["-pk"][1]
    for _ in range(5 if forgotten else 4):
        later(3600)
        push_due()
    assert statuses() == {"synced"}
    assert not OutboxEntry.objects.exists()
    assert upserts(sandbox) == [10]
    assert Integration.objects.get().paused_reason == ""


def test_unlisted_order_is_never_pushed_unasked(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absence from the list proves nothing: each order is asked for, however few a single confirmation may ask for."""
    from django_sendcloud.sync.backends import v3

    monkeypatch.setattr(v3, "MAX_CONFIRM_GETS", 2)
    sendcloud_settings(CONFIRM_SECONDS=3.0, SAVE_SECONDS=60.0)
    sandbox.list_labelled_orders = False
    made = make_orders(5)
    push()
    for order in made:
        sandbox.create_label(str(order.pk))
    later(70)
    for _ in range(3):
        push_due()
        later(3.1)
    assert upserts(sandbox) == [5]
    assert statuses() == {"synced"}
    assert not OutboxEntry.objects.exists()


def test_unsaved_change_is_no_synced_order(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later
) -> None:
    """The list shows the order as it was before: its change is asked for, and pushed again if it was lost."""
    sendcloud_settings(CONFIRM_SECONDS=3.0, SAVE_SECONDS=60.0)
    [order] = make_orders(1)
    push()
    later(4)
    push_due()
    assert statuses() == {"synced"}
    sandbox.lose_orders(1)
    forget_transaction()
    order.address = "Markt 1"
    order.save()
    push()
    later(4)
    push_due()
    assert statuses() == {"accepted"}
    for _ in range(12):
        later(10)
        push_due()
    assert upserts(sandbox) == [1, 1, 1]
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"
    assert statuses() == {"synced"}


def test_change_of_accepted_order_waits_and_arrives(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later
) -> None:
    """An order stays out of the next batch while Sendcloud saves it, because Sendcloud would reject another upsert."""
    sendcloud_settings(CONFIRM_SECONDS=3.0)
    sandbox.save_delay = None
    [order] = make_orders(1)
    push()
    forget_transaction()
    order.address = "Markt 1"
    order.save()
    factories.outbox()
    push_due()
    assert upserts(sandbox) == [1]
    sandbox.save_orders()
    later(5)
    push_due()
    sandbox.save_orders()
    later(5)
    push_due()
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"
    assert statuses() == {"synced"}
    assert sandbox.count("", "") == len(sandbox.requests)


def test_old_order_is_confirmed_despite_ignored_sorting(
    integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sendcloud falls back to its own order, in which a changed old order is not on the first pages."""
    from django_sendcloud.sync.backends import v3

    [old] = make_orders(1)
    push()
    make_orders(5)
    push()
    monkeypatch.setattr(v3, "MAX_PAGE", 2)
    monkeypatch.setattr(v3, "MAX_CONFIRM_PAGES", 1)
    original = type(backend_for(integration).client.v3.orders).pages

    def unsorted(self: Any, *, sort: str | None = None, **filters: Any) -> Any:
        return original(self, **filters)

    monkeypatch.setattr("django_sendcloud.api.v3.orders.Orders.pages", unsorted)
    forget_transaction()
    old.address = "Markt 1"
    old.save()
    push()
    assert statuses() == {"synced"}
    assert sandbox.count("GET", f"/orders/{Shipment.objects.get(order_pk=old.pk).remote_id}") == 1


# Refused batches
@pytest.mark.parametrize("first_only", [False, True])
def test_three_culprits_of_hundred_are_rejected_alone(integration: Integration, sandbox: Any, first_only: bool) -> None:
    """97 arrive; two more upserts at most if the answer names all, one for each culprit if it names the first."""
    sandbox.report_first_error_only = first_only
    made = make_orders(100)
    culprits = [str(made[index].pk) for index in (3, 50, 99)]
    for culprit in culprits:
        sandbox.reject_order(culprit, {"order_number": ["Wrong"]})
    push()
    assert len(ids(sandbox)) == 97
    assert upserts(sandbox) == ([100, 99, 98, 97] if first_only else [100, 97])
    rejected = Shipment.objects.filter(status=ShipmentStatus.REJECTED)
    assert {shipment.external_order_id for shipment in rejected} == set(culprits)
    entries = OutboxEntry.objects.all()
    assert {(entry.order_pk, entry.state) for entry in entries} == {(pk, EntryState.REJECTED) for pk in culprits}
    assert set(entries[0].error_fields) == {"order_number"}


def test_rejection_without_pointer_is_bisected(integration: Integration, sandbox: Any) -> None:
    made = make_orders(40)
    culprit = str(made[7].pk)
    sandbox.poison_batch(culprit, 400)
    push()
    assert ids(sandbox) == {str(order.pk) for order in made} - {culprit}
    assert len(upserts(sandbox)) <= 14
    entry = OutboxEntry.objects.get()
    assert (entry.order_pk, entry.state) == (culprit, EntryState.REJECTED)


def test_still_processing_makes_whole_batch_wait(integration: Integration, sandbox: Any, later: Later) -> None:
    sandbox.conflict_next(2)
    make_orders(5)
    push()
    entries = list(OutboxEntry.objects.all())
    assert {(e.state, e.failures, e.attempts, e.isolation) for e in entries} == {(EntryState.PENDING, 0, 0, 0)}
    assert all(0.5 < (e.due_at - timezone.now()).total_seconds() <= 5.5 for e in entries)
    assert upserts(sandbox) == [5]
    later(5.5)
    push_due()
    later(5.5)
    push_due()
    assert upserts(sandbox) == [5, 5, 5]
    assert statuses() == {"synced"}


def test_endless_conflict_holds_up_only_its_order(
    integration: Integration, sandbox: Any, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.api.v3.orders import Orders
    from django_sendcloud.exceptions import StillProcessing

    made = make_orders(20)
    culprit = str(made[7].pk)
    original = Orders.upsert

    def upsert(self: Any, orders: Any) -> Any:
        if culprit in {order["order_id"] for order in orders}:
            raise StillProcessing("", status=400, operation="upsert orders")
        return original(self, orders)

    monkeypatch.setattr(Orders, "upsert", upsert)
    push()
    for _ in range(30):
        later(5.5)
        push_due()
    assert ids(sandbox) == {str(order.pk) for order in made} - {culprit}
    entry = OutboxEntry.objects.get()
    assert (entry.order_pk, entry.state, entry.error_code) == (culprit, EntryState.PENDING, "processing")


def test_unknown_integration_pauses_and_rejects_none(integration: Integration, sandbox: Any) -> None:
    Integration.objects.update(remote_id=987654)
    make_orders(3)
    push()
    integration.refresh_from_db()
    assert integration.paused_reason == PauseReason.GONE
    assert set(OutboxEntry.objects.values_list("state", "failures")) == {(EntryState.PENDING, 0)}
    assert ShipmentStatus.REJECTED not in statuses()


def test_order_missing_from_answer_is_doubted(
    integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.api.v3.orders import Orders

    original = Orders.upsert
    monkeypatch.setattr(Orders, "upsert", lambda self, orders: [*original(self, orders)[:-1], None])
    make_orders(2)
    push()
    assert set(OutboxEntry.objects.values_list("error_code", "in_doubt")) == {("answer_incomplete", True)}


# Deletions


def test_cancelled_order_is_deleted_by_id(integration: Integration, sandbox: Any) -> None:
    [order] = make_orders(1)
    push()
    cancel(order)
    push()
    assert ids(sandbox) == set()
    assert statuses() == {"deleted"}
    assert [r.method for r in sandbox.requests] == ["POST", "GET", "GET", "DELETE"]


@pytest.mark.parametrize("behaviour", ["not found", "recreated", "cancelled"])
@pytest.mark.parametrize("updated", [False, True])
def test_order_cancelled_before_saved_ends_deleted(
    integration: Integration,
    sandbox: Any,
    sendcloud_settings: Any,
    later: Later,
    behaviour: str,
    updated: bool,
) -> None:
    """Sendcloud may answer a deletion before the save in three ways. A cancelled order is gone in the end after each."""
    sendcloud_settings(CONFIRM_SECONDS=3.0)
    sandbox.delete_before_save = behaviour
    [order] = make_orders(1)
    if updated:
        push()
        later(4)
        push_due()
        assert statuses() == {"synced"}
        forget_transaction()
        order.address = "Markt 1"
        order.save()
    sandbox.save_delay = None
    push()
    assert statuses() == {"accepted"}
    cancel(order)
    factories.outbox()
    later(3.5)
    push_due()
    assert Shipment.objects.get().status != ShipmentStatus.DELETED, "it may still appear"
    sandbox.save_orders()
    sandbox.save_delay = 0.0
    for _ in range(3):
        later(3.5)
        push_due()
    assert ids(sandbox) == set()
    assert statuses() == {"deleted"}
    assert not OutboxEntry.objects.exists()


def test_order_never_saved_is_gone_after_wait(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later
) -> None:
    sendcloud_settings(CONFIRM_SECONDS=3.0, SAVE_SECONDS=30.0)
    sandbox.lose_orders(1)
    [order] = make_orders(1)
    push()
    cancel(order)
    factories.outbox()
    for _ in range(4):
        later(3.5)
        push_due()
    assert statuses() == {"accepted"}
    later(30)
    push_due()
    assert statuses() == {"deleted"}
    assert upserts(sandbox) == [1]


def test_lost_answer_is_deleted_after_look_up(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Later
) -> None:
    sendcloud_settings(QUARANTINE_SECONDS=60.0, SAVE_SECONDS=10.0)
    sandbox.drop_answer(times=1, after_apply=True)
    [order] = make_orders(1)
    push()
    cancel(order)
    factories.outbox()
    later(61)
    push_due()
    later(12)
    push_due()
    assert ids(sandbox) == set()
    assert statuses() == {"deleted"}


def test_cancelled_split_order_is_deleted_in_full(integration: Integration, sandbox: Any) -> None:
    order = factories.order(lines=2)
    push()
    sandbox.split_order(str(order.pk), 2)
    assert len(sandbox.orders()) == 2
    cancel(order)
    push()
    assert sandbox.orders() == []
    assert statuses() == {"deleted"}


@pytest.mark.parametrize("status", [200, 404])
def test_html_page_deletes_nothing(integration: Integration, sandbox: Any, later: Later, status: int) -> None:
    [order] = make_orders(1)
    push()
    cancel(order)
    sandbox.html_next(status=status, apply=False, match="DELETE")
    push()
    assert Shipment.objects.get().status == ShipmentStatus.SYNCED
    assert OutboxEntry.objects.count() == 1
    if status == 404:
        integration.resume()
    later(3600)
    push()
    assert ids(sandbox) == set()


def test_labelled_unlisted_order_is_deleted_by_id(integration: Integration, sandbox: Any) -> None:
    sandbox.list_labelled_orders = False
    [order] = make_orders(1)
    push()
    sandbox.create_label(str(order.pk))
    with backend_for(integration) as backend:
        assert backend.delete(Shipment.objects.get()).outcome is Outcome.DELETED
    assert sandbox.orders() == []


def test_order_deleted_in_panel_counts_as_deleted(integration: Integration, sandbox: Any) -> None:
    [order] = make_orders(1)
    push()
    sandbox.delete_shipment(sandbox.shipments()[0]["shipment_uuid"])
    cancel(order)
    push()
    assert statuses() == {"deleted"}


# Several shipments of one order


@pytest.fixture
def two_shipments(integration: Integration) -> Order:
    return factories.order(number="A-7", shipments=2)


def test_shipments_become_orders_of_their_own(two_shipments: Order, sandbox: Any) -> None:
    push()
    keys = set(Shipment.objects.values_list("external_order_id", "external_shipment_id"))
    assert ids(sandbox) == {f"{order_id}/{shipment_id}" for order_id, shipment_id in keys}
    assert {order["order_number"] for order in sandbox.orders()} == {"A-7"}
    assert statuses() == {"synced"}
    cancel(two_shipments)
    push()
    assert ids(sandbox) == set()


def _share_one_v3_id(monkeypatch: pytest.MonkeyPatch) -> None:
    ids_of = {"FIRST": ("A/B", None), "SECOND": ("A", "B")}
    plain = ShopOrder.get_shipments

    def get_shipments(self: ShopOrder, order: Order) -> Any:
        order_id, shipment_id = ids_of[order.number]
        for payload in plain(self, order):
            yield dataclasses.replace(payload, external_order_id=order_id, external_shipment_id=shipment_id)

    monkeypatch.setattr(ShopOrder, "get_shipments", get_shipments)


def test_moved_orders_of_one_id_never_overwrite(
    integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API v2 has both. By v3 they would be one order, so neither is sent until the ids differ."""
    _share_one_v3_id(monkeypatch)
    integration.api_generation = "v2"
    integration.save()
    made = [factories.order(number=number) for number in ("FIRST", "SECOND")]
    push()
    assert statuses() == {"synced"}
    integration.api_generation = "v3"
    integration.save()
    for order in made:
        forget_transaction()
        order.address = "Markt 1"
        order.save()
    push()
    assert not upserts(sandbox)
    found = OutboxEntry.objects.values_list("state", "error_code")
    assert list(found) == [(EntryState.REJECTED, "same_ids")] * 2


@pytest.mark.parametrize("together", [True, False])
def test_orders_of_one_v3_id_never_overwrite(
    integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """The shipment B of the order A, and the order A/B: the second is rejected, and its end is not the other's."""
    _share_one_v3_id(monkeypatch)
    made = []
    for number in ("FIRST", "SECOND"):
        made.append(factories.order(lines=0, number=number))
        if not together:
            push()
    push()
    [there] = sandbox.orders()
    assert there["order_id"] == "A/B"
    entry = OutboxEntry.objects.get()
    assert (entry.state, entry.error_code, [*entry.error_fields]) == (
        EntryState.REJECTED,
        "same_ids",
        ["external_order_id"],
    )
    cancel(next(order for order in made if str(order.pk) == entry.order_pk))
    push()
    assert len(sandbox.orders()) == 1
    assert not OutboxEntry.objects.exists()


# Reconciliation and look-ups


def compare_twice(integration: Integration) -> list[str]:
    compare(integration)
    current = compare(integration)
    return sorted(difference.kind for difference in differences(integration, current))


def test_equal_sides_have_no_difference(two_shipments: Order, integration: Integration, sandbox: Any) -> None:
    make_orders(3)
    push()
    current = compare(integration)
    assert (current.seen, current.unknown, current.missing, current.stale) == (5, 0, 0, 0)
    assert compare_twice(integration) == []


def test_missing_order_is_pushed_again(integration: Integration, sandbox: Any) -> None:
    [order, _] = make_orders(2)
    push()
    sandbox.delete_shipment(sandbox.shipment(str(order.pk))["shipment_uuid"])
    assert compare_twice(integration) == ["missing"]
    forget_transaction()
    assert repair(integration, compare(integration)) == 1
    push()
    assert len(ids(sandbox)) == 2


def test_labelled_unlisted_order_is_left_alone(integration: Integration, sandbox: Any) -> None:
    """Nothing says that labelled orders stay in the list; Sendcloud has them all the same."""
    sandbox.list_labelled_orders = False
    [order] = make_orders(1)
    push()
    sandbox.create_label(str(order.pk))
    assert compare_twice(integration) == ["missing"]
    forget_transaction()
    assert repair(integration, compare(integration)) == 0
    assert upserts(sandbox) == [1]
    assert not Shipment.objects.filter(mismatches__gt=0).exists()


def test_split_order_is_left_alone(integration: Integration, sandbox: Any) -> None:
    order = factories.order(lines=2)
    push()
    sandbox.split_order(str(order.pk), 2)
    assert compare_twice(integration) == []
    forget_transaction()
    assert repair(integration, compare(integration)) == 0
    assert len(sandbox.orders()) == 2


def test_part_of_split_order_is_never_stale(integration: Integration, sandbox: Any) -> None:
    """Only the record that was sent is compared: a person may have changed the others."""
    make_orders(1)
    push()
    Shipment.objects.update(stamp=int(timezone.now().timestamp()) + 100, remote_id="1")
    assert compare_twice(integration) == []


def test_stale_order_is_found_by_stamp(integration: Integration, sandbox: Any) -> None:
    make_orders(1)
    push()
    Shipment.objects.update(stamp=int(timezone.now().timestamp()) + 100)
    assert compare_twice(integration) == ["stale"]


def test_order_of_other_letter_case_is_another(integration: Integration, sandbox: Any) -> None:
    """Sendcloud's filter ignores letter case, the shop's ids do not."""
    make_orders(1)
    push()
    shipment = Shipment.objects.get()
    Shipment.objects.update(external_order_id="abc", external_shipment_id="abc")
    with backend_for(integration) as backend:
        backend.client.v3.orders.upsert(
            [
                {
                    "order_id": "ABC",
                    "order_number": "1",
                    "order_details": {
                        "integration": {"id": integration.remote_id},
                        "status": {"code": "open"},
                        "order_created_at": "2026-03-01T12:00:00+00:00",
                        "order_items": [],
                    },
                    "payment_details": {"total_price": {"value": 1, "currency": "EUR"}, "status": {"code": "paid"}},
                }
            ]
        )
        shipment.refresh_from_db()
        shipment.remote_id = ""
        assert backend.find(shipment) is None


# The integration


def test_settings_are_changed_and_read_back(integration: Integration, sandbox: Any) -> None:
    integration.change_at_sendcloud(webhook_active=True, webhook_url="https://shop.example/hook")
    assert (integration.webhook_active, integration.webhook_url) == (True, "https://shop.example/hook")
    with integration.client() as client:
        there = integration.read(client)
    assert (there.id, there.system) == (integration.remote_id, "api")
    assert not [r for r in sandbox.requests if "/api/v2/" in r.path]


def test_failure_is_reported_to_log(integration: Integration, sandbox: Any) -> None:
    with backend_for(integration) as backend:
        backend.report_failure("payload_invalid: country", "builtins.ValueError")
    [entry] = sandbox.connection_log
    assert (entry["exception"], entry["exception_type"]) == ("payload_invalid: country", "builtins.ValueError")
