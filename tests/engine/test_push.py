"""From a recorded change to what Sendcloud has: one way through, and every way it can go wrong."""

from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sendcloud import enqueue
from django_sendcloud.api.v2.shipments import Shipments
from django_sendcloud.models import (
    Account,
    EntryState,
    Integration,
    PauseReason,
    Shipment,
    ShipmentStatus,
)
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order, OrderLine


def make_due() -> None:
    factories.outbox().update(due_at=timezone.now() - dt.timedelta(seconds=1))


def push(sandbox: Any) -> int:
    """Push what is due; returns the number of requests it took."""
    before = len(sandbox.requests)
    make_due()
    pump()
    return len(sandbox.requests) - before


def at_sendcloud(sandbox: Any) -> set[str]:
    return {shipment["external_order_id"] for shipment in sandbox.shipments()}


@pytest.fixture
def order(integration: Integration) -> Order:
    return factories.order(number="ORD-1001", address="Stadhuisplein 10")


def test_a_new_order_reaches_sendcloud(sandbox: Any, order: Order) -> None:
    assert push(sandbox) == 1
    remote = sandbox.shipment(str(order.pk))
    assert remote["order_number"] == "ORD-1001"
    assert remote["address"] == "Stadhuisplein 10"
    assert remote["parcel_items"][0]["weight"] == "0.25"
    shipment = Shipment.objects.get()
    assert shipment.status == ShipmentStatus.SYNCED
    assert str(shipment.uuid) == remote["shipment_uuid"]
    assert not factories.outbox().exists()


def test_a_changed_order_is_updated(sandbox: Any, order: Order) -> None:
    push(sandbox)
    forget_transaction()
    order.address = "Markt 1"
    order.save()
    assert push(sandbox) == 1
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"
    assert len(sandbox.shipments()) == 1


def test_f11_two_changes_within_one_second_both_arrive(sandbox: Any, order: Order) -> None:
    for address in ("First 1", "Second 2", "Third 3"):
        forget_transaction()
        order.address = address
        order.save()
        push(sandbox)
        assert sandbox.shipment(str(order.pk))["address"] == address


def test_f11_a_change_arrives_although_the_clock_went_back(
    sandbox: Any, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.clock import clock

    push(sandbox)
    forget_transaction()
    order.address = "Markt 1"
    order.save()
    factories.outbox().update(
        due_at=timezone.now() - dt.timedelta(days=1), not_before=timezone.now() - dt.timedelta(days=1)
    )
    monkeypatch.setattr(clock, "now", lambda: timezone.now() - dt.timedelta(hours=1))
    pump()
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"


def test_a_line_changed_by_itself_arrives(sandbox: Any, order: Order) -> None:
    push(sandbox)
    forget_transaction()
    line = order.lines.get()
    line.quantity = 7
    line.save()
    push(sandbox)
    assert sandbox.shipment(str(order.pk))["parcel_items"][0]["quantity"] == 7


def test_an_unchanged_order_costs_no_request(sandbox: Any, order: Order) -> None:
    push(sandbox)
    forget_transaction()
    order.save()
    assert push(sandbox) == 0
    assert not factories.outbox().exists()


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_cancelled_or_deleted_order_is_deleted_at_sendcloud(sandbox: Any, order: Order, how: str) -> None:
    push(sandbox)
    forget_transaction()
    if how == "cancel":
        order.status = "cancelled"
        order.save()
    else:
        order.delete()
    assert push(sandbox) == 1
    assert sandbox.shipments() == []
    shipment = Shipment.objects.get()
    assert shipment.status == ShipmentStatus.DELETED
    assert not factories.outbox().exists()


def test_an_order_cancelled_before_it_was_sent_costs_no_request(sandbox: Any, order: Order) -> None:
    order.status = "cancelled"
    order.save()
    assert push(sandbox) == 0
    assert not Shipment.objects.exists()
    assert not factories.outbox().exists()


def test_an_order_that_comes_back_is_there_again(sandbox: Any, order: Order) -> None:
    for status in ("paid", "cancelled", "paid"):
        forget_transaction()
        order.status = status
        order.save()
        push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk)}


def test_f10_an_order_recreated_with_the_same_key_has_its_last_content(sandbox: Any, order: Order) -> None:
    push(sandbox)
    pk, customer = order.pk, order.customer
    forget_transaction()
    order.delete()
    push(sandbox)
    forget_transaction()
    factories.order(id=pk, customer=customer, address="Reborn 1")
    push(sandbox)
    assert sandbox.shipment(str(pk))["address"] == "Reborn 1"


def test_a_split_order_is_several_shipments_and_follows_when_it_is_split_anew(sandbox: Any, order: Order) -> None:
    order.shipments = 3
    order.save()
    assert push(sandbox) == 1
    assert {s["external_shipment_id"] for s in sandbox.shipments()} == {f"{order.pk}-{n}" for n in (1, 2, 3)}
    forget_transaction()
    order.shipments = 2
    order.save()
    push(sandbox)
    assert {s["external_shipment_id"] for s in sandbox.shipments()} == {f"{order.pk}-{n}" for n in (1, 2)}


def test_an_order_that_moves_to_another_integration_is_deleted_there_and_created_here(
    sandbox: Any, integration: Integration, order: Order
) -> None:
    other = sandbox.add_integration(shop_name="Second")
    second = factories.integration(other)
    order.integration = integration.pk
    order.save()
    push(sandbox)
    assert len(sandbox.shipments(integration.remote_id)) == 1
    forget_transaction()
    order.integration = second.pk
    order.save()
    push(sandbox)
    assert len(sandbox.shipments(integration.remote_id)) == 0
    assert len(sandbox.shipments(second.remote_id)) == 1
    assert not factories.outbox().exists()


# -- numbers ----------------------------------------------------------------------------------------


def test_ten_thousand_orders_take_a_hundred_requests_and_few_statements(sandbox: Any, integration: Integration) -> None:
    customer = factories.customer()
    orders = Order.objects.bulk_create(Order(number=f"B-{n}", customer=customer) for n in range(10_000))
    OrderLine.objects.bulk_create(
        (OrderLine(order=order, sku=f"S-{n}") for order in orders for n in range(3)), batch_size=1000
    )
    enqueue(Order.objects.all())
    make_due()
    with CaptureQueriesContext(connection) as queries:
        while pump():
            pass
    assert sandbox.count("POST", "/shipments") == 100
    assert len(sandbox.shipments()) == 10_000
    assert not factories.outbox().exists()
    assert len(queries) <= 12 * 100


def statements_of_a_pump() -> int:
    make_due()
    with CaptureQueriesContext(connection) as queries:
        pump()
    return len([query for query in queries.captured_queries if "SAVEPOINT" not in query["sql"]])


@pytest.mark.parametrize("lines", [1, 20])
def test_a_batch_of_a_hundred_takes_twelve_statements_however_many_lines(
    sandbox: Any, integration: Integration, lines: int, sendcloud_settings: Any
) -> None:
    sendcloud_settings(CLAIM_SIZE=100)
    nothing = statements_of_a_pump()
    for _ in range(100):
        factories.order(lines=lines)
    # Three come once per pump: what was recorded meanwhile, the integration's last success, the tally of the hour.
    assert statements_of_a_pump() - nothing <= 12 + 3
    assert len(sandbox.shipments()) == 100


# -- bad orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "line", "field"),
    [
        ({"country": "XX"}, {}, "country"),
        ({}, {"weight": Decimal("-1")}, "weight"),
        ({"customer_name": ""}, {}, "name"),
        ({}, {"weight": Decimal("0." + "1" * 35)}, "weight"),
    ],
)
def test_f13_one_bad_order_is_rejected_alone_with_a_clear_message(
    sandbox: Any, integration: Integration, values: dict[str, Any], line: dict[str, Any], field: str
) -> None:
    from tests.shop import sendcloud as shop

    neighbours = [factories.order() for _ in range(99)]
    customer = factories.customer(name=values.pop("customer_name", "Jane Doe"))
    bad = factories.order(customer=customer, **values)
    if line:
        # What the database could not store, an adapter can still compute.
        class Computed(shop.ShopOrder):
            def get_shipments(self, order: Order) -> Any:
                if order.pk == bad.pk:
                    from django_sendcloud.payloads import ParcelItem

                    ParcelItem(description="Mug", quantity=1, value=Decimal("1"), **line)
                return super().get_shipments(order)

        from django_sendcloud.adapters import temporarily_registered

        with temporarily_registered(Computed, Order):
            push(sandbox)
    else:
        push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk) for order in neighbours}
    entry = factories.outbox().get()
    assert entry.order_pk == str(bad.pk)
    assert (entry.state, entry.error_code) == (EntryState.REJECTED, "payload_invalid")
    assert [path for path in entry.error_fields if path.endswith(field)]


def test_emoji_and_ten_thousand_characters_are_delivered_truthfully(sandbox: Any, integration: Integration) -> None:
    emoji = factories.order(address="Rue de l’Église 🐌 12")
    long = factories.order(address="x" * 10_000)
    push(sandbox)
    assert sandbox.shipment(str(emoji.pk))["address"] == "Rue de l’Église 🐌 12"
    assert sandbox.shipment(str(long.pk))["address"] == "x" * 10_000


def test_f13_what_sendcloud_rejects_is_kept_with_its_field_errors(sandbox: Any, integration: Integration) -> None:
    good, bad = factories.order(), factories.order()
    sandbox.reject_order(str(bad.pk), errors={"postal_code": ["This postal code does not exist."]})
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(good.pk)}
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code) == (EntryState.REJECTED, "rejected")
    assert entry.error_fields == {"postal_code": ["This postal code does not exist."]}
    shipment = Shipment.objects.get(order_pk=str(bad.pk))
    assert shipment.status == ShipmentStatus.REJECTED
    assert shipment.errors == {"postal_code": ["This postal code does not exist."]}


def test_a_rejected_order_is_tried_again_when_it_changes(sandbox: Any, integration: Integration) -> None:
    bad = factories.order(country="XX")
    push(sandbox)
    forget_transaction()
    bad.country = "BE"
    bad.save()
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(bad.pk)}
    assert not factories.outbox().exists()


def test_an_adapter_that_raises_harms_only_its_order(sandbox: Any, integration: Integration) -> None:
    from django_sendcloud.adapters import temporarily_registered
    from tests.shop.sendcloud import ShopOrder

    good, bad = factories.order(), factories.order()

    class Raising(ShopOrder):
        def get_shipments(self, order: Order) -> Any:
            if order.pk == bad.pk:
                raise ValueError("a bug in the shop")
            return super().get_shipments(order)

    with temporarily_registered(Raising, Order):
        push(sandbox)
    assert at_sendcloud(sandbox) == {str(good.pk)}
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code) == (EntryState.REJECTED, "adapter_error")
    assert "ValueError: a bug in the shop" in entry.error_detail
    assert "get_shipments" in entry.error_detail


def test_f14_a_whole_batch_refused_because_of_one_order_is_divided_until_it_stands_alone(
    sandbox: Any, integration: Integration
) -> None:
    orders = [factories.order() for _ in range(100)]
    sandbox.poison_batch(str(orders[37].pk), status=400)
    requests = push(sandbox)
    assert requests <= 1 + 14
    assert at_sendcloud(sandbox) == {str(order.pk) for order in orders} - {str(orders[37].pk)}
    assert factories.outbox().get().order_pk == str(orders[37].pk)


def test_two_orders_with_the_same_ids_do_not_fight(sandbox: Any, integration: Integration) -> None:
    from django_sendcloud.adapters import temporarily_registered
    from django_sendcloud.payloads import ShipmentPayload
    from tests.shop.sendcloud import ShopOrder

    class SameIds(ShopOrder):
        def get_shipments(self, order: Order) -> Any:
            yield ShipmentPayload(
                external_order_id="same",
                order_number=order.number,
                name="Jane Doe",
                address=order.address,
                postal_code="1000",
                city="Brussels",
                country="BE",
                created_at=order.created,
            )

    with temporarily_registered(SameIds, Order):
        first = factories.order(address="First 1")
        push(sandbox)
        factories.order(address="Second 2")
        push(sandbox)
        assert sandbox.shipment("same")["address"] == "First 1"
        entry = factories.outbox().get()
        assert (entry.state, entry.error_code) == (EntryState.REJECTED, "order_conflict")
        # Once the first is gone, the second may have them.
        forget_transaction()
        first.delete()
        push(sandbox)
        factories.outbox().retry()
        push(sandbox)
        assert sandbox.shipment("same")["address"] == "Second 2"


# -- a Sendcloud that does not work -----------------------------------------------------------------


def test_500_loses_nothing_and_recovers(sandbox: Any, order: Order) -> None:
    sandbox.fail_next(status=500, times=1, body=b"<html>Server Error</html>")
    push(sandbox)
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code, entry.failures, entry.in_doubt) == (
        EntryState.PENDING,
        "server_error",
        1,
        True,
    )
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk)}
    assert not factories.outbox().exists()


def test_an_unknown_outcome_rests_before_it_is_tried_again(sandbox: Any, order: Order, sendcloud_settings: Any) -> None:
    sendcloud_settings(QUARANTINE_SECONDS=60.0)
    sandbox.fail_next(status=502, times=1)
    push(sandbox)
    assert factories.outbox().get().not_before > timezone.now() + dt.timedelta(seconds=50)
    forget_transaction()
    order.save()
    assert push(sandbox) == 0, "neither the backoff's end nor a new change ends the quarantine"


@pytest.mark.parametrize("retry_after", ["120", None, "-5", "1e9", "nonsense"])
def test_429_rests_the_account_and_burns_nothing(sandbox: Any, order: Order, retry_after: str | None) -> None:
    headers = {"Retry-After": retry_after} if retry_after else {}
    sandbox.fail_next(status=429, times=1, headers=headers)
    push(sandbox)
    entry = factories.outbox().get()
    assert (entry.attempts, entry.failures, entry.in_doubt) == (0, 0, False)
    blocked_until = Account.objects.get().blocked_until
    assert blocked_until is not None
    assert timezone.now() < blocked_until <= timezone.now() + dt.timedelta(hours=1)
    assert push(sandbox) == 0, "nothing is sent while the account rests"
    Account.objects.update(blocked_until=timezone.now())
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk)}


def test_401_pauses_the_integration_with_a_reason_and_keeps_everything(
    sandbox: Any, integration: Integration, order: Order
) -> None:
    sandbox.revoke_credentials()
    push(sandbox)
    integration.refresh_from_db()
    assert integration.paused_reason == PauseReason.CREDENTIALS
    entry = factories.outbox().get()
    assert (entry.state, entry.attempts, entry.failures) == (EntryState.PENDING, 0, 0)
    assert push(sandbox) == 0, "a paused integration costs nothing"


def test_a_paused_integration_resumes_by_itself_when_the_keys_work_again(
    sandbox: Any, integration: Integration, order: Order
) -> None:
    from django_sendcloud.sync.probe import probe_paused

    sandbox.revoke_credentials()
    push(sandbox)
    Integration.objects.update(probe_at=timezone.now())
    assert probe_paused() == 0
    sandbox.restore_credentials()
    assert probe_paused() == 0, "not before its time"
    Integration.objects.update(probe_at=timezone.now())
    assert probe_paused() == 1
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk)}


def test_a_vanished_integration_is_paused_as_gone(sandbox: Any, integration: Integration, order: Order) -> None:
    other = sandbox.add_integration(shop_name="Keeps the keys valid")
    Integration.objects.update(public_key=other.public_key, secret_key=other.secret_key)
    sandbox.delete_integration(integration.remote_id)
    push(sandbox)
    integration.refresh_from_db()
    assert integration.paused_reason == PauseReason.GONE
    assert factories.outbox().count() == 1


@pytest.mark.parametrize("fault", ["html", "truncated", "dropped", "dropped before", "missing", "duplicate"])
def test_f19_an_answer_that_says_nothing_is_unknown_and_pushed_again(sandbox: Any, order: Order, fault: str) -> None:
    {
        "html": lambda: sandbox.html_next(times=1),
        "truncated": lambda: sandbox.truncate_next(times=1),
        "dropped": lambda: sandbox.drop_answer(times=1, after_apply=True),
        "dropped before": lambda: sandbox.drop_answer(times=1, after_apply=False),
        "missing": lambda: sandbox.garble_results("missing"),
        "duplicate": lambda: sandbox.garble_results("duplicate"),
    }[fault]()
    push(sandbox)
    entry = factories.outbox().get()
    assert entry.state == EntryState.PENDING
    assert entry.in_doubt
    sandbox.garble_results(None)
    push(sandbox)
    assert len(sandbox.shipments()) == 1
    assert not factories.outbox().exists()


def test_after_an_unknown_outcome_a_return_to_the_former_content_is_sent(sandbox: Any, order: Order) -> None:
    """What Sendcloud last confirmed is no reason to skip when something else may have arrived since."""
    push(sandbox)
    forget_transaction()
    order.address = "Elsewhere 2"
    order.save()
    sandbox.drop_answer(times=1, after_apply=True)
    push(sandbox)
    forget_transaction()
    order.address = "Stadhuisplein 10"
    order.save()
    push(sandbox)
    assert sandbox.shipment(str(order.pk))["address"] == "Stadhuisplein 10"


def test_f09_an_order_deleted_after_its_answer_was_lost_is_deleted_at_sendcloud(sandbox: Any, order: Order) -> None:
    sandbox.drop_answer(times=1, after_apply=True)
    push(sandbox)
    assert len(sandbox.shipments()) == 1
    forget_transaction()
    order.delete()
    push(sandbox)
    assert sandbox.shipments() == []


def test_a_deletion_of_what_is_not_there_is_done(sandbox: Any, order: Order) -> None:
    push(sandbox)
    sandbox.reset()
    forget_transaction()
    order.delete()
    push(sandbox)
    assert not factories.outbox().exists()


def test_a_refused_connection_is_retried_without_doubt(sandbox: Any, order: Order, sendcloud_settings: Any) -> None:
    sendcloud_settings(BASE_URL="http://127.0.0.1:9/api/v2")
    push(sandbox)
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code, entry.in_doubt) == (EntryState.PENDING, "not_sent", False)
    sendcloud_settings(BASE_URL=sandbox.base_url)
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk)}


def test_the_breaker_opens_after_five_failures_and_one_order_tries_first(
    sandbox: Any, integration: Integration
) -> None:
    for _ in range(10):
        factories.order()
    sandbox.fail_next(status=500, times=100)
    for _ in range(5):
        push(sandbox)
    assert push(sandbox) == 0, "open: nothing is sent"
    account = Account.objects.get()
    assert account.open_until is not None
    Account.objects.update(open_until=timezone.now())
    before = len(sandbox.requests)
    push(sandbox)
    assert len(sandbox.requests) == before + 1
    assert len(sandbox.requests[-1].body) == 1, "half open: one request with one order"
    sandbox.reset()
    Account.objects.update(open_until=timezone.now())
    push(sandbox)
    push(sandbox)
    assert len(sandbox.shipments()) == 10
    assert Account.objects.get().openings == 0


def test_f08_an_edit_during_the_flight_is_pushed_afterwards(
    sandbox: Any, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.api.client import SendcloudClient

    resource = type(SendcloudClient(public_key="a", secret_key="b").shipments(1))
    upsert = resource.upsert

    def edit_then_send(self: Any, payloads: Any) -> Any:
        forget_transaction()
        Order.objects.get(pk=order.pk)
        changed = Order.objects.get(pk=order.pk)
        changed.address = "Changed in flight 3"
        changed.save()
        monkeypatch.setattr(resource, "upsert", upsert)
        return upsert(self, payloads)

    monkeypatch.setattr(resource, "upsert", edit_then_send)
    make_due()
    pump()
    assert sandbox.count("POST", "/shipments") == 2
    assert sandbox.shipment(str(order.pk))["address"] == "Changed in flight 3"
    assert not factories.outbox().exists()


def test_without_any_integration_everything_waits(db: None, sandbox: Any, sendcloud_settings: Any) -> None:
    order = factories.order()
    assert push(sandbox) == 0
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code) == (EntryState.PENDING, "no_integration")
    factories.integration(sandbox)
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk)}


def test_the_rate_limit_is_kept_over_any_sixty_seconds(db: None, settings: Any) -> None:
    from django_sendcloud.sync import limiter

    settings.SENDCLOUD = {**settings.SENDCLOUD, "UNSAFE_REQUESTS_PER_MINUTE": 85, "UNSAFE_BURST": 15}
    account = Account.objects.create(name="limited")
    given = sum(1 for _ in range(50) if limiter.acquire(account.pk, "unsafe") == 0)
    assert given in (15, 16), "the burst, and perhaps one that became due meanwhile"
    assert 0 < limiter.acquire(account.pk, "unsafe") <= 60 / 85


def test_two_requests_are_on_their_way_at_once(
    sandbox: Any, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Sendcloud works on one batch the next is sent, and never a third."""
    both = threading.Barrier(2, timeout=30)
    lock = threading.Lock()
    on_their_way: list[int] = [0]
    most: list[int] = [0]
    original = Shipments.upsert

    def counted(self: Shipments, payloads: Any) -> Any:
        with lock:
            on_their_way[0] += 1
            most[0] = max(most[0], on_their_way[0])
        try:
            both.wait()
            return original(self, payloads)
        finally:
            with lock:
                on_their_way[0] -= 1

    monkeypatch.setattr(Shipments, "upsert", counted)
    customer = factories.customer()
    Order.objects.bulk_create(Order(number=str(number), customer=customer) for number in range(400))
    enqueue(Order.objects.all())
    assert push(sandbox) == 4
    assert len(sandbox.shipments()) == 400
    assert most == [2]


def test_batches_are_full_whatever_a_claim_is_made_of(sandbox: Any, integration: Integration) -> None:
    """What leaves a batch half full waits for the orders that are looked at next."""
    customer = factories.customer()
    Order.objects.bulk_create(
        Order(number=str(number), customer=customer, status="cancelled" if number % 3 else "paid")
        for number in range(400)
    )
    enqueue(Order.objects.all())
    assert push(sandbox) == 2
    assert len(sandbox.shipments()) == 134
