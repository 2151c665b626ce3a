"""A related row that moves from one order to another changes both, whatever the path between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_sendcloud import OrderAdapter, watch
from django_sendcloud.adapters import temporarily_registered
from django_sendcloud.models import Change
from django_sendcloud.payloads import ShipmentPayload
from tests import factories
from tests.factories import clear_outbox
from tests.shop.models import CodedNote, CodedOrder, Customer, Item, Order, OrderProxy, Package, WholesaleOrder


class Unused(OrderAdapter[Any]):
    def get_shipments(self, order: Any) -> Iterator[ShipmentPayload]:
        raise NotImplementedError


def recorded() -> set[str]:
    return set(Change.objects.values_list("order_pk", flat=True))


def orders(number: int) -> list[WholesaleOrder]:
    customer = factories.customer()
    return [WholesaleOrder.objects.create(number=str(n), customer=customer) for n in range(number)]


class Nested(Unused):
    related = {Item: "package__order"}


class Called(Unused):
    related = {Item: lambda item: [item.package.order_id] if item.package else []}


@pytest.mark.django_db
@pytest.mark.parametrize("adapter", [Nested, Called])
def test_item_moved_to_other_package_records_both(adapter: type[OrderAdapter[Any]]) -> None:
    with temporarily_registered(adapter, WholesaleOrder):
        a, b = orders(2)
        item = Item.objects.create(package=Package.objects.create(order=a))
        package_of_b = Package.objects.create(order=b)
        clear_outbox()
        item.package = package_of_b
        item.save()
        assert recorded() == {str(a.pk), str(b.pk)}


@pytest.mark.django_db
@pytest.mark.parametrize("adapter", [Nested, Called])
def test_item_taken_out_records_order_it_leaves(adapter: type[OrderAdapter[Any]]) -> None:
    with temporarily_registered(adapter, WholesaleOrder):
        (a,) = orders(1)
        item = Item.objects.create(package=Package.objects.create(order=a))
        clear_outbox()
        item.package = None
        item.save(update_fields=["package"])
        assert recorded() == {str(a.pk)}


@pytest.mark.django_db
def test_package_moved_with_its_items_records_both() -> None:
    """The package is not named in ``related``, but on the path."""
    with temporarily_registered(Nested, WholesaleOrder):
        a, b = orders(2)
        package = Package.objects.create(order=a)
        Item.objects.create(package=package)
        clear_outbox()
        package.order = b
        package.save()
        assert recorded() == {str(a.pk), str(b.pk)}
        clear_outbox()
        package.save()
        assert recorded() == set(), "nothing has moved"


@pytest.mark.django_db
def test_row_with_to_field_records_both() -> None:
    class ByNumber(Unused):
        related = {CodedNote: "order"}

    with temporarily_registered(ByNumber, CodedOrder):
        a, b = (CodedOrder.objects.create(code=code, number=f"N-{code}") for code in "AB")
        note = CodedNote.objects.create(order=a)
        clear_outbox()
        note.order = b
        note.save()
        assert recorded() == {"A", "B"}
        clear_outbox()
        note.order = None
        note.save()
        assert recorded() == {"B"}


@pytest.mark.django_db
def test_row_saved_over_stored_key_records_both() -> None:
    """The instance was made, not loaded."""
    with temporarily_registered(Nested, WholesaleOrder):
        a, b = orders(2)
        item = Item.objects.create(package=Package.objects.create(order=a))
        package_of_b = Package.objects.create(order=b)
        clear_outbox()
        Item(pk=item.pk, package=package_of_b).save()
        assert recorded() == {str(a.pk), str(b.pk)}


@pytest.mark.django_db(transaction=True)
@pytest.mark.long
def test_move_without_transaction_is_recorded_before() -> None:
    with temporarily_registered(Nested, WholesaleOrder):
        a, b = orders(2)
        item = Item.objects.create(package=Package.objects.create(order=a))
        package_of_b = Package.objects.create(order=b)
        clear_outbox()
        item.package = package_of_b
        with CaptureQueriesContext(connection) as queries:
            item.save()
        statements = [query["sql"] for query in queries.captured_queries]
        update = next(number for number, sql in enumerate(statements) if sql.startswith("UPDATE"))
        before = " ".join(sql for sql in statements[:update] if "django_sendcloud_change" in sql)
        assert str(a.pk) in before
        assert str(b.pk) in before


# -- watched fields -------------------------------------------------------------------------------------


class Watching(Unused):
    related = {Customer: watch("orders", "email")}


@pytest.fixture
def customer(db: None) -> Iterator[Customer]:
    with temporarily_registered(Watching, OrderProxy):
        customer = factories.customer()
        OrderProxy.objects.create(number="1", customer=customer)
        clear_outbox()
        yield customer


def of_proxy() -> int:
    return Change.objects.filter(order_type="shop.orderproxy").count()


def test_save_of_other_fields_records_nothing(customer: Customer) -> None:
    customer.name = "Somebody else"
    customer.save(update_fields=["name"])
    assert of_proxy() == 0


def test_save_of_watched_field_records(customer: Customer) -> None:
    customer.email = "new@example.com"
    customer.save(update_fields=["email"])
    assert of_proxy() == 1


def test_full_save_without_change_records_nothing(customer: Customer) -> None:
    customer.name = "Somebody else"
    customer.save()
    assert of_proxy() == 0
    customer.email = "new@example.com"
    customer.save()
    assert of_proxy() == 1


def test_later_save_is_not_taken_for_unchanged(customer: Customer) -> None:
    """One save leaves nothing behind on the instance for the next one."""
    customer.save()
    customer.email = "new@example.com"
    customer.save(update_fields=["email"])
    assert of_proxy() == 1


def test_deleted_watched_row_records(customer: Customer) -> None:
    pk = str(Order.objects.get().pk)
    customer.delete()
    assert pk in recorded()


@pytest.mark.django_db(transaction=True)
def test_rolled_back_move_leaves_nothing() -> None:
    with temporarily_registered(Nested, WholesaleOrder):
        a, b = orders(2)
        item = Item.objects.create(package=Package.objects.create(order=a))
        package_of_b = Package.objects.create(order=b)
        clear_outbox()
        item.package = package_of_b
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            item.save()
            raise ZeroDivisionError
        assert recorded() == set()


def test_unknown_watched_field_fails_no_save(db: None) -> None:
    """The system check names it."""

    class Misspelt(Unused):
        related = {Customer: watch("orders", "emial")}

    with temporarily_registered(Misspelt, OrderProxy):
        customer = factories.customer()
        customer.save()


def test_row_between_that_moves_is_recorded(db: None) -> None:
    """The model in between has a foreign key to each end."""

    class OfPackages(Unused):
        related = {Package: "items__package__order"}

    with temporarily_registered(OfPackages, WholesaleOrder):
        a, b = orders(2)
        packages = [Package.objects.create(order=order) for order in (a, b)]
        item = Item.objects.create(package=packages[0])
        clear_outbox()
        item.package = packages[1]
        item.save()
        assert recorded() == {str(a.pk), str(b.pk)}
