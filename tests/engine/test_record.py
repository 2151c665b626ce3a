"""A change is recorded in the order's own transaction, for the price of one statement."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_sendcloud import RegistrationError, enqueue, paused
from django_sendcloud.models import Change, EntryState
from tests import factories
from tests.factories import clear_outbox, forget_transaction
from tests.shop.models import Customer, Order, OrderLine, OrderProxy, Tag, Unrelated, WholesaleOrder


def ours(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries.captured_queries if "django_sendcloud" in query["sql"]]


def pks() -> set[str]:
    return set(factories.outbox().values_list("order_pk", flat=True))


@pytest.fixture
def order(db: None) -> Order:
    order = factories.order(lines=0)
    clear_outbox()
    return order


@pytest.fixture
def committed_order(transactional_db: None) -> Order:
    order = factories.order(lines=0)
    clear_outbox()
    return order


def test_a_save_in_a_transaction_costs_one_statement(committed_order: Order) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        committed_order.save()
    assert len(ours(queries)) == 1
    assert pks() == {str(committed_order.pk)}


def test_repeated_saves_in_one_transaction_cost_nothing_more(committed_order: Order) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        for _ in range(50):
            committed_order.save()
    assert len(ours(queries)) == 1


def test_a_save_without_a_transaction_costs_two_statements_so_that_a_crash_in_between_is_covered(
    committed_order: Order,
) -> None:
    with CaptureQueriesContext(connection) as queries:
        committed_order.save()
    statements = [query["sql"] for query in queries.captured_queries]
    assert len(ours(queries)) == 2
    assert ["django_sendcloud" in sql for sql in statements if "BEGIN" not in sql and "COMMIT" not in sql] == [
        True,
        False,
        True,
    ]


def test_f02_a_rolled_back_save_leaves_nothing(committed_order: Order) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        committed_order.save()
        raise ZeroDivisionError
    assert pks() == set()
    with transaction.atomic():
        committed_order.save()
    assert pks() == {str(committed_order.pk)}


def test_f02_a_rolled_back_savepoint_does_not_swallow_the_next_save(committed_order: Order) -> None:
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            committed_order.save()
            raise ZeroDivisionError
        committed_order.save()
    assert pks() == {str(committed_order.pk)}


def test_f02_a_manual_savepoint_rolled_back_does_not_swallow_the_next_save(committed_order: Order) -> None:
    other = factories.order(lines=0)
    clear_outbox()
    with transaction.atomic():
        other.save()
        savepoint = connection.savepoint()
        committed_order.save()
        connection.savepoint_rollback(savepoint)
        committed_order.save()
    assert pks() == {str(committed_order.pk), str(other.pk)}


def test_a_released_savepoint_keeps_what_it_recorded(committed_order: Order) -> None:
    with transaction.atomic():
        with transaction.atomic():
            committed_order.save()
        with CaptureQueriesContext(connection) as queries:
            committed_order.save()
    assert ours(queries) == []
    assert pks() == {str(committed_order.pk)}


def test_the_next_transaction_records_again(committed_order: Order) -> None:
    for _ in range(2):
        with transaction.atomic():
            committed_order.save()
    assert Change.objects.count() == 2
    assert factories.outbox().get().version == 1, "folded together, they are one change"


def test_many_changes_are_one_row_with_a_growing_version(order: Order) -> None:
    enqueue(order)
    first = factories.outbox().get()
    # A second transaction, as far as the memory of the first is concerned.
    forget_transaction()
    enqueue(order)
    second = factories.outbox().get()
    assert second.pk == first.pk
    assert second.version == first.version + 1


def test_a_change_does_not_postpone_a_push_that_waits(order: Order, settings: Any) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "DEBOUNCE_SECONDS": 10}
    enqueue(order)
    due_at = factories.outbox().get().due_at
    forget_transaction()
    enqueue(order)
    assert factories.outbox().get().due_at == due_at


def test_a_change_does_not_shorten_a_lease_or_a_quarantine(order: Order) -> None:
    from datetime import timedelta

    from django.utils import timezone

    until = timezone.now() + timedelta(minutes=5)
    enqueue(order)
    factories.outbox().update(not_before=until, lease="x" * 32, claimed_version=1)
    forget_transaction()
    enqueue(order)
    entry = factories.outbox().get()
    assert entry.not_before == until
    assert entry.lease == "x" * 32


@pytest.mark.parametrize("state", [EntryState.REJECTED, EntryState.DEAD])
def test_a_change_revives_what_was_parked(order: Order, state: EntryState) -> None:
    enqueue(order)
    factories.outbox().update(state=state, attempts=8, failures=3, claimed_version=1)
    forget_transaction()
    order.save()
    entry = factories.outbox().get()
    assert (entry.state, entry.attempts, entry.failures) == (EntryState.PENDING, 0, 0)


def test_a_proxy_and_a_child_are_heard(db: None) -> None:
    customer = factories.customer()
    child = WholesaleOrder.objects.create(number="W-1", customer=customer)
    assert pks() == {str(child.pk)}
    assert factories.outbox().get().order_type == "shop.order"
    clear_outbox()
    OrderProxy.objects.get(pk=child.pk).save()
    assert pks() == {str(child.pk)}


def test_a_line_changes_its_order(order: Order) -> None:
    line = OrderLine.objects.create(order=order)
    assert pks() == {str(order.pk)}
    clear_outbox()
    line.delete()
    assert pks() == {str(order.pk)}


def test_a_line_that_moves_changes_both_orders(order: Order) -> None:
    line = OrderLine.objects.create(order=order)
    other = factories.order(lines=0)
    clear_outbox()
    line.order = other
    line.save()
    assert pks() == {str(order.pk), str(other.pk)}


def test_a_customer_changes_all_of_their_orders(order: Order) -> None:
    other = factories.order(lines=0, customer=order.customer)
    clear_outbox()
    order.customer.save()
    assert pks() == {str(order.pk), str(other.pk)}


@pytest.mark.parametrize("change", ["add", "remove", "clear", "set"])
def test_many_to_many_changes_are_heard_from_the_order(order: Order, change: str) -> None:
    tag = Tag.objects.create(name="fragile")
    if change != "add":
        order.tags.add(tag)
    clear_outbox()
    {
        "add": lambda: order.tags.add(tag),
        "remove": lambda: order.tags.remove(tag),
        "clear": lambda: order.tags.clear(),
        "set": lambda: order.tags.set([]),
    }[change]()
    assert pks() == {str(order.pk)}


@pytest.mark.parametrize("change", ["add", "remove", "clear"])
def test_many_to_many_changes_are_heard_from_the_other_side(order: Order, change: str) -> None:
    tag = Tag.objects.create(name="fragile")
    if change != "add":
        tag.orders.add(order)
    clear_outbox()
    {
        "add": lambda: tag.orders.add(order),
        "remove": lambda: tag.orders.remove(order),
        "clear": lambda: tag.orders.clear(),
    }[change]()
    assert pks() == {str(order.pk)}


def test_deleting_a_customer_records_the_orders_that_go_with_it(order: Order) -> None:
    pk = str(order.pk)
    OrderLine.objects.create(order=order)
    clear_outbox()
    Customer.objects.filter(pk=order.customer_id).delete()
    assert pks() == {pk}


def test_a_queryset_delete_records_every_order(db: None) -> None:
    orders = [factories.order(lines=2) for _ in range(3)]
    expected = {str(order.pk) for order in orders}
    clear_outbox()
    Order.objects.all().delete()
    assert pks() == expected
    assert factories.outbox().filter(gone=True).count() == 3


def test_fixtures_are_not_recorded(order: Order) -> None:
    from django.core import serializers

    data = serializers.serialize("json", [order])
    for item in serializers.deserialize("json", data):
        item.save()
    assert pks() == set()


def test_an_unrelated_model_pays_nothing(db: None) -> None:
    Unrelated.objects.bulk_create(Unrelated(name=str(n)) for n in range(500))
    with CaptureQueriesContext(connection) as queries:
        Unrelated.objects.all().delete()
    assert len(queries) == 1
    with CaptureQueriesContext(connection) as queries:
        Unrelated.objects.create(name="x")
    assert len(queries) == 1


def test_enqueue_writes_a_thousand_orders_in_one_statement(db: None) -> None:
    customer = factories.customer()
    Order.objects.bulk_create(Order(number=str(n), customer=customer) for n in range(2500))
    assert pks() == set()
    with CaptureQueriesContext(connection) as queries:
        assert enqueue(Order.objects.all()) == 2500
    assert len([sql for sql in ours(queries) if "INSERT" in sql]) == 3
    assert factories.outbox().count() == 2500


def test_enqueue_takes_one_order_or_several(db: None) -> None:
    first, second = factories.order(lines=0), factories.order(lines=0)
    clear_outbox()
    assert enqueue(first) == 1
    assert enqueue([first, second]) == 1, "the first is recorded in this transaction already"
    assert pks() == {str(first.pk), str(second.pk)}


def test_enqueue_explains_a_model_without_an_adapter(db: None) -> None:
    with pytest.raises(
        RegistrationError, match=r"shop.Unrelated has no Sendcloud adapter.*Registered models: shop.Order"
    ):
        enqueue(Unrelated.objects.all())


def test_enqueue_explains_what_is_no_order(db: None) -> None:
    with pytest.raises(TypeError, match="not int"):
        enqueue([1])  # type: ignore[list-item]


def test_nothing_is_recorded_while_paused(order: Order) -> None:
    with paused():
        order.save()
        enqueue(order)
    assert pks() == set()
    order.save()
    assert pks() == {str(order.pk)}


def test_the_bell_rings_once_after_commit(committed_order: Order) -> None:
    from django_sendcloud.signals import work_due

    rings: list[str] = []

    def listen(*, queue: str, **kwargs: Any) -> None:
        rings.append(f"{queue}, in transaction: {connection.in_atomic_block}")

    work_due.connect(listen)
    try:
        with transaction.atomic():
            committed_order.save()
            factories.order()
            assert rings == []
        assert rings == ["outbox, in transaction: False"]
    finally:
        work_due.disconnect(listen)


def test_enqueue_of_a_slice(db: None) -> None:
    orders = sorted((factories.order(number=str(n)) for n in range(4)), key=lambda order: order.number)
    factories.clear_outbox()
    assert enqueue(Order.objects.order_by("number")[1:3]) == 2
    assert set(factories.outbox().values_list("order_pk", flat=True)) == {str(order.pk) for order in orders[1:3]}
