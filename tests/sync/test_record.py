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

# Its name since Django 6.1.
savepoint = getattr(transaction, "savepoint_create", transaction.savepoint)


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


def test_save_in_transaction_costs_one_statement(committed_order: Order) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        committed_order.save()
    assert len(ours(queries)) == 1
    assert pks() == {str(committed_order.pk)}


def test_repeated_saves_in_transaction_cost_one_statement(committed_order: Order) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        for _ in range(50):
            committed_order.save()
    assert len(ours(queries)) == 1


def test_save_in_autocommit_costs_two_statements(committed_order: Order) -> None:
    """The first statement covers a crash between the save and the second."""
    with CaptureQueriesContext(connection) as queries:
        committed_order.save()
    statements = [query["sql"] for query in queries.captured_queries]
    assert len(ours(queries)) == 2
    assert ["django_sendcloud" in sql for sql in statements if "BEGIN" not in sql and "COMMIT" not in sql] == [
        True,
        False,
        True,
    ]


def test_f02_rolled_back_save_records_nothing(committed_order: Order) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        committed_order.save()
        raise ZeroDivisionError
    assert pks() == set()
    with transaction.atomic():
        committed_order.save()
    assert pks() == {str(committed_order.pk)}


def test_f02_save_after_rolled_back_savepoint_is_recorded(committed_order: Order) -> None:
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            committed_order.save()
            raise ZeroDivisionError
        committed_order.save()
    assert pks() == {str(committed_order.pk)}


def test_f02_save_after_manual_savepoint_rollback_is_recorded(committed_order: Order) -> None:
    other = factories.order(lines=0)
    clear_outbox()
    with transaction.atomic():
        other.save()
        savepoint = connection.savepoint()
        committed_order.save()
        connection.savepoint_rollback(savepoint)
        committed_order.save()
    assert pks() == {str(committed_order.pk), str(other.pk)}


def test_released_savepoint_keeps_its_changes(committed_order: Order) -> None:
    with transaction.atomic():
        with transaction.atomic():
            committed_order.save()
        with CaptureQueriesContext(connection) as queries:
            committed_order.save()
    assert ours(queries) == []
    assert pks() == {str(committed_order.pk)}


def test_next_transaction_records_again(committed_order: Order) -> None:
    for _ in range(2):
        with transaction.atomic():
            committed_order.save()
    assert Change.objects.count() == 2
    assert factories.outbox().get().version == 1, "folded together, they are one change"


def test_several_changes_increase_version_of_one_entry(order: Order) -> None:
    enqueue(order)
    first = factories.outbox().get()
    # The next change counts as one of a second transaction.
    forget_transaction()
    enqueue(order)
    second = factories.outbox().get()
    assert second.pk == first.pk
    assert second.version == first.version + 1


def test_change_does_not_postpone_waiting_push(order: Order, settings: Any) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "DEBOUNCE_SECONDS": 10}
    enqueue(order)
    due_at = factories.outbox().get().due_at
    forget_transaction()
    enqueue(order)
    assert factories.outbox().get().due_at == due_at


def test_change_keeps_lease_and_quarantine(order: Order) -> None:
    from datetime import timedelta

    from django.utils import timezone

    until = timezone.now() + timedelta(minutes=5)
    enqueue(order)
    factories.outbox().update(not_before=until, lease="x" * 32)
    forget_transaction()
    enqueue(order)
    entry = factories.outbox().get()
    assert entry.not_before == until
    assert entry.lease == "x" * 32


@pytest.mark.parametrize("state", [EntryState.REJECTED, EntryState.DEAD])
def test_change_of_stuck_order_makes_it_pending(order: Order, state: EntryState) -> None:
    enqueue(order)
    factories.outbox().update(state=state, attempts=8, failures=3)
    forget_transaction()
    order.save()
    entry = factories.outbox().get()
    assert (entry.state, entry.attempts, entry.failures) == (EntryState.PENDING, 0, 0)


def test_save_of_proxy_or_child_is_recorded(db: None) -> None:
    customer = factories.customer()
    child = WholesaleOrder.objects.create(number="W-1", customer=customer)
    assert pks() == {str(child.pk)}
    assert factories.outbox().get().order_type == "shop.order"
    clear_outbox()
    OrderProxy.objects.get(pk=child.pk).save()
    assert pks() == {str(child.pk)}


def test_saved_line_records_its_order(order: Order) -> None:
    line = OrderLine.objects.create(order=order)
    assert pks() == {str(order.pk)}
    clear_outbox()
    line.delete()
    assert pks() == {str(order.pk)}


def test_moved_line_records_both_orders(order: Order) -> None:
    line = OrderLine.objects.create(order=order)
    other = factories.order(lines=0)
    clear_outbox()
    line.order = other
    line.save()
    assert pks() == {str(order.pk), str(other.pk)}


def test_saved_customer_records_all_their_orders(order: Order) -> None:
    other = factories.order(lines=0, customer=order.customer)
    clear_outbox()
    order.customer.save()
    assert pks() == {str(order.pk), str(other.pk)}


@pytest.mark.parametrize("change", ["add", "remove", "clear", "set"])
def test_m2m_change_from_order_is_recorded(order: Order, change: str) -> None:
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
def test_m2m_change_from_other_side_is_recorded(order: Order, change: str) -> None:
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


def test_deleted_customer_records_deleted_orders(order: Order) -> None:
    pk = str(order.pk)
    OrderLine.objects.create(order=order)
    clear_outbox()
    Customer.objects.filter(pk=order.customer_id).delete()
    assert pks() == {pk}


def test_queryset_delete_records_every_order(db: None) -> None:
    orders = [factories.order(lines=2) for _ in range(3)]
    expected = {str(order.pk) for order in orders}
    clear_outbox()
    Order.objects.all().delete()
    assert pks() == expected
    assert factories.outbox().filter(is_deletion=True).count() == 3


def test_fixtures_are_not_recorded(order: Order) -> None:
    from django.core import serializers

    data = serializers.serialize("json", [order])
    for item in serializers.deserialize("json", data):
        item.save()
    assert pks() == set()


def test_unrelated_model_costs_no_statement(db: None) -> None:
    Unrelated.objects.bulk_create(Unrelated(name=str(n)) for n in range(500))
    with CaptureQueriesContext(connection) as queries:
        Unrelated.objects.all().delete()
    assert len(queries) == 1
    with CaptureQueriesContext(connection) as queries:
        Unrelated.objects.create(name="x")
    assert len(queries) == 1


@pytest.mark.long
def test_enqueue_inserts_thousand_orders_per_statement(db: None) -> None:
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


def test_paused_recording_records_nothing(order: Order) -> None:
    with paused():
        order.save()
        enqueue(order)
    assert pks() == set()
    order.save()
    assert pks() == {str(order.pk)}


def test_commit_notifies_once(committed_order: Order) -> None:
    from django_sendcloud.signals import work_due

    notified: list[str] = []

    def listen(*, queue: str, **kwargs: Any) -> None:
        notified.append(f"{queue}, in transaction: {connection.in_atomic_block}")

    work_due.connect(listen)
    try:
        with transaction.atomic():
            committed_order.save()
            factories.order()
            assert notified == []
        assert notified == ["outbox, in transaction: False"]
    finally:
        work_due.disconnect(listen)


def test_enqueue_of_a_slice(db: None) -> None:
    orders = sorted((factories.order(number=str(n)) for n in range(4)), key=lambda order: order.number)
    factories.clear_outbox()
    assert enqueue(Order.objects.order_by("number")[1:3]) == 2
    assert set(factories.outbox().values_list("order_pk", flat=True)) == {str(order.pk) for order in orders[1:3]}


# -- the memory of a transaction ------------------------------------------------------------------------


def test_lines_and_order_cost_one_statement(committed_order: Order) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            committed_order.save()
            OrderLine.objects.create(order=committed_order).save()
            Customer.objects.get().save()
    assert len([sql for sql in ours(queries) if sql.startswith("INSERT")]) == 1


def test_order_saved_after_line_is_recorded(committed_order: Order) -> None:
    """A change of a related row does not stand for the order's own change."""
    with transaction.atomic():
        OrderLine.objects.create(order=committed_order)
        committed_order.save()
    assert list(Change.objects.order_by("pk").values_list("only_related", flat=True)) == [True, False]
    assert not factories.outbox().get().only_related


def test_savepoints_before_do_not_forget(committed_order: Order) -> None:
    """The savepoints of ``get_or_create`` end before the order is recorded."""
    with transaction.atomic():
        for name in "abc":
            Tag.objects.get_or_create(name=name)
        committed_order.save()
        for name in "def":
            Tag.objects.get_or_create(name=name)
        with CaptureQueriesContext(connection) as queries:
            committed_order.save()
    assert ours(queries) == []


def test_nested_manual_savepoints_forget_what_they_undo(committed_order: Order) -> None:
    other = factories.order(lines=0)
    clear_outbox()
    with transaction.atomic():
        other.save()
        outer = savepoint()
        with transaction.atomic():
            savepoint()
            committed_order.save()
        transaction.savepoint_rollback(outer)
        with CaptureQueriesContext(connection) as queries:
            other.save()
            committed_order.save()
    assert len(ours(queries)) == 1
    assert pks() == {str(committed_order.pk), str(other.pk)}


def test_later_savepoint_undone_keeps_earlier_record(committed_order: Order) -> None:
    with transaction.atomic():
        committed_order.save()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            committed_order.save()
            raise ZeroDivisionError
        with CaptureQueriesContext(connection) as queries:
            committed_order.save()
    assert ours(queries) == []


def test_rolled_back_transaction_leaves_no_memory(committed_order: Order) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            committed_order.save()
            raise ZeroDivisionError
    with transaction.atomic():
        committed_order.save()
    assert pks() == {str(committed_order.pk)}


def test_order_saved_in_commit_hook_is_recorded(committed_order: Order) -> None:
    """The hooks of the previous transaction are still waiting at that time."""
    with transaction.atomic():
        transaction.on_commit(lambda: save_again(committed_order))
        committed_order.save()
    assert Change.objects.count() == 2


def save_again(order: Order) -> None:
    with transaction.atomic():
        order.save()


def test_captured_commit_hooks_end_the_memory(order: Order, django_capture_on_commit_callbacks: Any) -> None:
    """The tests of a shop simulate a commit in this way."""
    with django_capture_on_commit_callbacks(execute=True):
        order.save()
    Change.objects.all().delete()
    order.save()
    assert pks() == {str(order.pk)}


def test_statements_of_shop_are_not_wrapped(committed_order: Order) -> None:
    with transaction.atomic():
        committed_order.save()
        assert connection.execute_wrappers == []


@pytest.mark.long
def test_rollback_keeps_memory_of_many_orders(committed_order: Order) -> None:
    """One pass through the hooks suffices after a rolled back savepoint."""
    customer = committed_order.customer
    orders = [Order(number=str(n), customer=customer) for n in range(2000)]
    Order.objects.bulk_create(orders)
    with transaction.atomic():
        enqueue(orders)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            committed_order.save()
            raise ZeroDivisionError
        with CaptureQueriesContext(connection) as queries:
            enqueue(orders)
    assert ours(queries) == []
