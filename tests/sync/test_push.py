"""Pushes of recorded changes to Sendcloud, and every fault on their way."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import time
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sendcloud import enqueue
from django_sendcloud.models import (
    Account,
    EntryState,
    Integration,
    PauseReason,
    Shipment,
    ShipmentStatus,
)
from django_sendcloud.sync.backends import BACKENDS, Backend
from django_sendcloud.sync.push import ledger
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order, OrderLine


@pytest.fixture(params=["v2", "v3"])
def generation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make_due() -> None:
    factories.outbox().update(due_at=timezone.now() - dt.timedelta(seconds=1))


def push(sandbox: Any) -> int:
    """Push what is due, and return the number of changing requests it took: v3 also reads."""
    before = changing(sandbox)
    make_due()
    push_due()
    return changing(sandbox) - before


def changing(sandbox: Any) -> int:
    return sum(request.method != "GET" for request in sandbox.requests)


def at_sendcloud(sandbox: Any) -> set[str]:
    return {shipment["external_order_id"] for shipment in sandbox.shipments()}


@pytest.fixture
def order(integration: Integration) -> Order:
    return factories.order(number="ORD-1001", address="Stadhuisplein 10")


def test_new_order_reaches_sendcloud(sandbox: Any, order: Order, generation: str) -> None:
    assert push(sandbox) == 1
    remote = sandbox.shipment(str(order.pk))
    assert remote["order_number"] == "ORD-1001"
    assert remote["address"] == "Stadhuisplein 10"
    assert Decimal(remote["parcel_items"][0]["weight"]) == Decimal("0.25")
    shipment = Shipment.objects.get()
    assert shipment.status == ShipmentStatus.SYNCED
    if generation == "v2":
        assert str(shipment.uuid) == remote["shipment_uuid"]
    else:
        assert shipment.remote_id == sandbox.order(str(order.pk))["id"]
    assert not factories.outbox().exists()


def test_changed_order_is_updated(sandbox: Any, order: Order) -> None:
    push(sandbox)
    forget_transaction()
    order.address = "Markt 1"
    order.save()
    assert push(sandbox) == 1
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"
    assert len(sandbox.shipments()) == 1


@pytest.mark.long
def test_f11_two_changes_within_one_second_both_arrive(sandbox: Any, order: Order) -> None:
    for address in ("First 1", "Second 2", "Third 3"):
        forget_transaction()
        order.address = address
        order.save()
        push(sandbox)
        assert sandbox.shipment(str(order.pk))["address"] == address


def test_f11_change_is_pushed_after_clock_goes_back(
    sandbox: Any, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.core.clock import clock

    push(sandbox)
    forget_transaction()
    order.address = "Markt 1"
    order.save()
    factories.outbox().update(
        due_at=timezone.now() - dt.timedelta(days=1), not_before=timezone.now() - dt.timedelta(days=1)
    )
    monkeypatch.setattr(clock, "now", lambda: timezone.now() - dt.timedelta(hours=1))
    push_due()
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"


def test_changed_line_is_pushed(sandbox: Any, order: Order) -> None:
    push(sandbox)
    forget_transaction()
    line = order.lines.get()
    line.quantity = 7
    line.save()
    push(sandbox)
    assert sandbox.shipment(str(order.pk))["parcel_items"][0]["quantity"] == 7


def test_unchanged_order_costs_no_request(sandbox: Any, order: Order) -> None:
    push(sandbox)
    forget_transaction()
    order.save()
    assert push(sandbox) == 0
    assert not factories.outbox().exists()


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_cancelled_or_deleted_order_is_deleted_remotely(sandbox: Any, order: Order, how: str) -> None:
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


def test_order_cancelled_before_push_costs_no_request(sandbox: Any, order: Order) -> None:
    order.status = "cancelled"
    order.save()
    assert push(sandbox) == 0
    assert not Shipment.objects.exists()
    assert not factories.outbox().exists()


@pytest.mark.long
def test_reinstated_order_is_pushed_again(sandbox: Any, order: Order) -> None:
    for status in ("paid", "cancelled", "paid"):
        forget_transaction()
        order.status = status
        order.save()
        push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk)}


@pytest.mark.long
def test_f10_recreated_order_is_pushed_with_last_content(sandbox: Any, order: Order) -> None:
    push(sandbox)
    pk, customer = order.pk, order.customer
    forget_transaction()
    order.delete()
    push(sandbox)
    forget_transaction()
    factories.order(id=pk, customer=customer, address="Reborn 1")
    push(sandbox)
    assert sandbox.shipment(str(pk))["address"] == "Reborn 1"


def test_split_order_is_several_shipments_and_follows(sandbox: Any, order: Order, generation: str) -> None:
    """API v3 knows no shipments of an order: each becomes an order of its own there."""

    def parts(*numbers: int) -> set[tuple[str, str]]:
        if generation == "v3":
            return {(f"{order.pk}/{order.pk}-{n}", "") for n in numbers}
        return {(str(order.pk), f"{order.pk}-{n}") for n in numbers}

    def there() -> set[tuple[str, str]]:
        return {(s["external_order_id"], s["external_shipment_id"] or "") for s in sandbox.shipments()}

    order.shipments = 3
    order.save()
    assert push(sandbox) == 1
    assert there() == parts(1, 2, 3)
    forget_transaction()
    order.shipments = 2
    order.save()
    push(sandbox)
    assert there() == parts(1, 2)


def test_order_moved_to_other_integration_moves_remotely(sandbox: Any, integration: Integration, order: Order) -> None:
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


@pytest.mark.exhaustive
@pytest.mark.long
def test_thousands_of_orders_take_few_requests(
    sandbox: Any,
    integration: Integration,
    generation: str,
    sendcloud_settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A slow machine settles more often, and gives orders back as their lease ends.
    monkeypatch.setattr(ledger, "SETTLE_EVERY", math.inf)
    sendcloud_settings(LEASE_SECONDS=600.0)
    customer = factories.customer()
    orders = Order.objects.bulk_create(Order(number=f"B-{n}", customer=customer) for n in range(2_000))
    OrderLine.objects.bulk_create(
        (OrderLine(order=order, sku=f"S-{n}") for order in orders for n in range(3)), batch_size=1000
    )
    enqueue(Order.objects.all())
    make_due()
    with CaptureQueriesContext(connection) as queries:
        while push_due():
            pass
    while factories.outbox().exists():
        # On a slow machine, accepted orders wait for a later confirmation.
        time.sleep(0.05)
        push_due()
    assert changing(sandbox) == 20
    assert len(sandbox.requests) <= (20 if generation == "v2" else 40)
    assert len(sandbox.shipments()) == 2_000
    # Ten more, once, begin and end the work.
    assert len(queries) <= (12 if generation == "v2" else 24) * 20 + 10


def statements_of_a_run() -> int:
    make_due()
    with CaptureQueriesContext(connection) as queries:
        push_due()
    return len([query for query in queries.captured_queries if "SAVEPOINT" not in query["sql"]])


@pytest.mark.long
@pytest.mark.parametrize("lines", [1, 20])
def test_batch_takes_fifteen_statements_with_any_lines(
    sandbox: Any, integration: Integration, lines: int, sendcloud_settings: Any, generation: str
) -> None:
    """Confirming orders of v3 takes as many again, because a worker claims and prepares them a second time."""
    sendcloud_settings(CLAIM_SIZE=100)
    nothing = statements_of_a_run()
    for _ in range(100):
        factories.order(lines=lines)
    # Three come once per run: the changes recorded meanwhile, the integration's last success, the hourly statistics.
    # SQLite takes the hundred rows of two INSERTs in three and four portions.
    passes = 1 if generation == "v2" else 2
    assert statements_of_a_run() - nothing <= (15 + 5) * passes + 3
    assert len(sandbox.shipments()) == 100


# -- bad orders -------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    ("values", "line", "field"),
    [
        ({"country": "XX"}, {}, "country"),
        ({}, {"weight": Decimal("-1")}, "weight"),
        ({"customer_name": ""}, {}, "name"),
        ({}, {"weight": Decimal("0." + "1" * 35)}, "weight"),
    ],
)
def test_f13_bad_order_is_rejected_alone(
    sandbox: Any, integration: Integration, values: dict[str, Any], line: dict[str, Any], field: str
) -> None:
    from tests.shop import sendcloud as shop

    neighbours = [factories.order() for _ in range(99)]
    given = dict(values)
    customer = factories.customer(name=given.pop("customer_name", "Jane Doe"))
    bad = factories.order(customer=customer, **given)
    if line:
        # An adapter can compute a value that the database could not store.
        class Computed(shop.ShopOrder):
            def get_shipments(self, order: Order) -> Any:
                if order.pk == bad.pk:
                    from django_sendcloud.payloads import ParcelItem

                    ParcelItem(description="Mug", quantity=1, value=Decimal("1"), **line)
                return super().get_shipments(order)

        from django_sendcloud.registry import temporarily_registered

        with temporarily_registered(Computed, Order):
            push(sandbox)
    else:
        push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk) for order in neighbours}
    entry = factories.outbox().get()
    assert entry.order_pk == str(bad.pk)
    assert (entry.state, entry.error_code) == (EntryState.REJECTED, "payload_invalid")
    assert [path for path in entry.error_fields if path.endswith(field)]


def test_invalid_lines_carry_number_and_sku(sandbox: Any, integration: Integration) -> None:
    from django_sendcloud.payloads import ParcelItem
    from django_sendcloud.registry import temporarily_registered
    from tests.shop import sendcloud as shop

    class WithLines(shop.ShopOrder):
        def get_shipments(self, order: Order) -> Any:
            (payload,) = super().get_shipments(order)
            weights = {"BLUE": Decimal(1), "RED": Decimal(-1), "GREEN": Decimal("0.0001")}
            lines = [
                ParcelItem(description="Mug", quantity=1, value=1, weight=weight, sku=sku)
                for sku, weight in weights.items()
            ]
            yield dataclasses.replace(payload, parcel_items=lines)

    factories.order()
    with temporarily_registered(WithLines, Order):
        push(sandbox)
    entry = factories.outbox().get()
    assert {path: problems[0]["params"]["sku"] for path, problems in entry.error_fields.items()} == {
        "parcel_items[1].weight": "RED",
        "parcel_items[2].weight": "GREEN",
    }


def test_currency_that_v2_lacks_is_rejected(sandbox: Any, integration: Integration) -> None:
    from django_sendcloud.payloads import OtherCurrency
    from django_sendcloud.registry import temporarily_registered
    from tests.shop import sendcloud as shop

    class Swedish(shop.ShopOrder):
        def get_shipments(self, order: Order) -> Any:
            (payload,) = super().get_shipments(order)
            yield dataclasses.replace(payload, currency=OtherCurrency("SEK"))

    factories.order()
    with temporarily_registered(Swedish, Order):
        push(sandbox)
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code) == (EntryState.REJECTED, "payload_invalid")
    assert entry.error_fields["currency"][0]["code"] == "currency_not_carried"
    assert not sandbox.shipments()


def test_emoji_and_long_text_arrive_unchanged(sandbox: Any, integration: Integration) -> None:
    emoji = factories.order(address="Rue de l’Église 🐌 12")
    long = factories.order(address="x" * 10_000)
    push(sandbox)
    assert sandbox.shipment(str(emoji.pk))["address"] == "Rue de l’Église 🐌 12"
    assert sandbox.shipment(str(long.pk))["address"] == "x" * 10_000


def test_f13_rejected_order_keeps_sendclouds_field_errors(sandbox: Any, integration: Integration) -> None:
    good, bad = factories.order(), factories.order()
    sandbox.reject_order(str(bad.pk), errors={"postal_code": ["This postal code does not exist."]})
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(good.pk)}
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code) == (EntryState.REJECTED, "rejected")
    remote = {"code": "remote", "params": {"text": "This postal code does not exist."}}
    assert entry.error_fields == {"postal_code": [remote]}
    shipment = Shipment.objects.get(order_pk=str(bad.pk))
    assert shipment.status == ShipmentStatus.REJECTED
    assert shipment.errors == {"postal_code": [remote]}


def test_rejected_order_is_pushed_after_change(sandbox: Any, integration: Integration) -> None:
    bad = factories.order(country="XX")
    push(sandbox)
    forget_transaction()
    bad.country = "BE"
    bad.save()
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(bad.pk)}
    assert not factories.outbox().exists()


def test_raising_adapter_rejects_only_its_order(sandbox: Any, integration: Integration) -> None:
    from django_sendcloud.registry import temporarily_registered
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
    assert entry.error_detail.splitlines()[-1] == "ValueError"
    assert "get_shipments" in entry.error_detail


@pytest.mark.long
def test_f14_batch_rejected_for_one_order_is_divided(sandbox: Any, integration: Integration) -> None:
    orders = [factories.order() for _ in range(100)]
    sandbox.poison_batch(str(orders[37].pk), status=400)
    requests = push(sandbox)
    assert requests <= 1 + 14
    assert at_sendcloud(sandbox) == {str(order.pk) for order in orders} - {str(orders[37].pk)}
    assert factories.outbox().get().order_pk == str(orders[37].pk)


@pytest.mark.long
def test_second_order_with_same_ids_is_rejected(sandbox: Any, integration: Integration) -> None:
    from django_sendcloud.payloads import ShipmentPayload
    from django_sendcloud.registry import temporarily_registered
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
                currency="EUR",
                created_at=order.created,
            )

    with temporarily_registered(SameIds, Order):
        first = factories.order(address="First 1")
        push(sandbox)
        factories.order(address="Second 2")
        push(sandbox)
        assert sandbox.shipment("same")["address"] == "First 1"
        entry = factories.outbox().get()
        assert (entry.state, entry.error_code) == (EntryState.REJECTED, "same_ids")
        # The ids are free once the first order is deleted.
        forget_transaction()
        first.delete()
        push(sandbox)
        factories.outbox().retry()
        push(sandbox)
        assert sandbox.shipment("same")["address"] == "Second 2"


# -- faults of Sendcloud ----------------------------------------------------------------------------


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


def test_unknown_outcome_is_quarantined_before_retry(sandbox: Any, order: Order, sendcloud_settings: Any) -> None:
    sendcloud_settings(QUARANTINE_SECONDS=60.0)
    sandbox.fail_next(status=502, times=1)
    push(sandbox)
    assert factories.outbox().get().not_before > timezone.now() + dt.timedelta(seconds=50)
    forget_transaction()
    order.save()
    assert push(sandbox) == 0, "neither the backoff's end nor a new change ends the quarantine"


@pytest.mark.parametrize("retry_after", ["120", None, "-5", "1e9", "nonsense"])
def test_429_blocks_account_and_keeps_attempts(sandbox: Any, order: Order, retry_after: str | None) -> None:
    headers = {"Retry-After": retry_after} if retry_after else {}
    sandbox.fail_next(status=429, times=1, headers=headers)
    push(sandbox)
    entry = factories.outbox().get()
    assert (entry.attempts, entry.failures, entry.in_doubt) == (0, 0, False)
    closed_until = Account.objects.get().closed_until
    assert closed_until is not None
    assert timezone.now() < closed_until <= timezone.now() + dt.timedelta(hours=1)
    assert push(sandbox) == 0, "nothing is sent while the account rests"
    Account.objects.update(closed_until=timezone.now(), closed_reason="rate_limited")
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk)}


def test_401_pauses_integration_and_keeps_orders(sandbox: Any, integration: Integration, order: Order) -> None:
    sandbox.revoke_credentials()
    push(sandbox)
    integration.refresh_from_db()
    assert integration.paused_reason == PauseReason.CREDENTIALS
    entry = factories.outbox().get()
    assert (entry.state, entry.attempts, entry.failures) == (EntryState.PENDING, 0, 0)
    assert push(sandbox) == 0, "a paused integration costs nothing"


def test_paused_integration_resumes_when_keys_work(sandbox: Any, integration: Integration, order: Order) -> None:
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


def test_vanished_integration_is_paused_as_gone(sandbox: Any, integration: Integration, order: Order) -> None:
    other = sandbox.add_integration(shop_name="Keeps the keys valid")
    Integration.objects.update(public_key=other.public_key, secret_key=other.secret_key)
    sandbox.delete_integration(integration.remote_id)
    push(sandbox)
    integration.refresh_from_db()
    assert integration.paused_reason == PauseReason.GONE
    assert factories.outbox().count() == 1


@pytest.mark.parametrize("fault", ["html", "truncated", "dropped", "dropped before", "missing", "duplicate"])
def test_f19_unreadable_answer_is_in_doubt_until_repeated(sandbox: Any, order: Order, fault: str) -> None:
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


@pytest.mark.long
def test_former_content_is_pushed_after_unknown_outcome(sandbox: Any, order: Order) -> None:
    """Other content may have arrived since Sendcloud last confirmed this one, so the push is not skipped."""
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


def test_f09_order_deleted_after_lost_answer_is_withdrawn(sandbox: Any, order: Order) -> None:
    sandbox.drop_answer(times=1, after_apply=True)
    push(sandbox)
    assert len(sandbox.shipments()) == 1
    forget_transaction()
    order.delete()
    push(sandbox)
    assert sandbox.shipments() == []


def test_deletion_of_missing_shipment_succeeds(sandbox: Any, order: Order) -> None:
    push(sandbox)
    sandbox.reset()
    forget_transaction()
    order.delete()
    push(sandbox)
    assert not factories.outbox().exists()


def test_refused_connection_is_retried_without_doubt(sandbox: Any, order: Order, sendcloud_settings: Any) -> None:
    sendcloud_settings(BASE_URL="http://127.0.0.1:9/api/v2")
    push(sandbox)
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code, entry.in_doubt) == (EntryState.PENDING, "not_sent", False)
    sendcloud_settings(BASE_URL=sandbox.base_url)
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk)}


@pytest.mark.long
def test_breaker_opens_after_five_failures(sandbox: Any, integration: Integration) -> None:
    for _ in range(10):
        factories.order()
    sandbox.fail_next(status=500, times=100)
    for _ in range(5):
        push(sandbox)
    assert push(sandbox) == 0, "open: nothing is sent"
    account = Account.objects.get()
    assert account.closed_until is not None
    Account.objects.update(closed_until=timezone.now(), closed_reason="failing")
    before = len(sandbox.requests)
    push(sandbox)
    assert len(sandbox.requests) == before + 1
    assert len(sandbox.requests[-1].body) == 1, "half open: one request with one order"
    sandbox.reset()
    Account.objects.update(closed_until=timezone.now(), closed_reason="failing")
    push(sandbox)
    push(sandbox)
    assert len(sandbox.shipments()) == 10
    assert Account.objects.get().openings == 0


def test_f08_edit_during_push_is_pushed_afterwards(
    sandbox: Any, order: Order, monkeypatch: pytest.MonkeyPatch, generation: str
) -> None:
    backend = BACKENDS[generation]
    upsert = backend.upsert

    def edit_then_send(self: Backend, items: Any) -> Any:
        forget_transaction()
        Order.objects.get(pk=order.pk)
        changed = Order.objects.get(pk=order.pk)
        changed.address = "Changed in flight 3"
        changed.save()
        monkeypatch.setattr(backend, "upsert", upsert)
        return upsert(self, items)

    monkeypatch.setattr(backend, "upsert", edit_then_send)
    assert push(sandbox) == 2
    assert sandbox.shipment(str(order.pk))["address"] == "Changed in flight 3"
    assert not factories.outbox().exists()


def test_order_without_integration_waits(db: None, sandbox: Any, sendcloud_settings: Any) -> None:
    order = factories.order()
    assert push(sandbox) == 0
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code) == (EntryState.PENDING, "no_integration")
    factories.integration(sandbox)
    push(sandbox)
    assert at_sendcloud(sandbox) == {str(order.pk)}


def test_rate_limit_holds_over_sixty_seconds(db: None, settings: Any) -> None:
    from django_sendcloud.sync import limiter

    settings.SENDCLOUD = {**settings.SENDCLOUD, "UNSAFE_REQUESTS_PER_MINUTE": 85, "UNSAFE_BURST": 15}
    account = Account.objects.create(name="limited")
    given = sum(1 for _ in range(50) if limiter.acquire(account.pk, "unsafe") == 0)
    assert given in (15, 16), "the burst, and perhaps one that became due meanwhile"
    assert 0 < limiter.acquire(account.pk, "unsafe") <= 60 / 85


@pytest.mark.long
def test_batches_are_full_despite_cancelled_orders(sandbox: Any, integration: Integration) -> None:
    """Orders of a half-full batch wait for the next orders of the claim."""
    customer = factories.customer()
    Order.objects.bulk_create(
        Order(number=str(number), customer=customer, status="cancelled" if number % 3 else "paid")
        for number in range(400)
    )
    enqueue(Order.objects.all())
    assert push(sandbox) == 2
    assert len(sandbox.shipments()) == 134
