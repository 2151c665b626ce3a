"""A related row that moves from one order to another changes both, whatever the path between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Upper
from django.db.models.signals import pre_save
from django.test.utils import CaptureQueriesContext

from django_sendcloud import OrderAdapter, watch
from django_sendcloud.models import Change
from django_sendcloud.payloads import ShipmentPayload
from django_sendcloud.registry import temporarily_registered
from tests import factories
from tests.factories import clear_outbox
from tests.shop.models import (
    CodedNote,
    CodedOrder,
    Customer,
    Gift,
    Item,
    NumberedItem,
    Order,
    OrderLine,
    OrderProxy,
    OwnKeyCustomer,
    Package,
    Present,
    Remark,
    RemarkedOrder,
    Shelf,
    VipCustomer,
    WholesaleOrder,
)


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


class ByShelf(Unused):
    related = {Item: "package__shelves__order"}


@pytest.mark.parametrize("end", ["shelf", "package"])
@pytest.mark.parametrize("change", ["add", "remove", "clear"])
def test_m2m_between_is_recorded(db: None, change: str, end: str) -> None:
    """The relation belongs to the model that is nearer to the order."""
    with temporarily_registered(ByShelf, WholesaleOrder):
        (order,) = orders(1)
        package = Package.objects.create()
        Item.objects.create(package=package)
        shelf = Shelf.objects.create(order=order)
        if change != "add":
            shelf.packages.add(package)
        clear_outbox()
        rows: Any = shelf.packages if end == "shelf" else package.shelves
        getattr(rows, change)(*([] if change == "clear" else [package if end == "shelf" else shelf]))
        assert recorded() == {str(order.pk)}
        clear_outbox()
        shelf.save()
        assert recorded() == set(), "nothing has moved"


class ByGift(Unused):
    related = {Gift: "orders"}


@pytest.mark.parametrize("change", ["create", "move", "delete", "add", "remove"])
def test_row_of_shops_through_is_recorded(db: None, change: str) -> None:
    with temporarily_registered(ByGift, WholesaleOrder):
        a, b = orders(2)
        gift = Gift.objects.create()
        if change in ("move", "delete", "remove"):
            Present.objects.create(gift=gift, order=a)
        clear_outbox()
        {
            "create": lambda: Present.objects.create(gift=gift, order=a),
            "move": lambda: Present(pk=Present.objects.get().pk, gift=gift, order=b).save(),
            "delete": lambda: Present.objects.get().delete(),
            "add": lambda: gift.orders.add(a),
            "remove": lambda: gift.orders.remove(a),
        }[change]()
        assert recorded() == {str(a.pk)} | ({str(b.pk)} if change == "move" else set())


@pytest.mark.parametrize("fields", [None, ["content_type", "object_id"]])
@pytest.mark.parametrize("watched", [[], ["content_type"]])
def test_move_by_generic_key_records_both(db: None, fields: Any, watched: list[str]) -> None:
    class ByRemark(Unused):
        related = {Remark: watch("order", *watched)}

    with temporarily_registered(ByRemark, RemarkedOrder):
        a, b = RemarkedOrder.objects.create(), RemarkedOrder.objects.create()
        remark = Remark.objects.create(content_object=a)
        clear_outbox()
        remark.content_object = b
        remark.save(update_fields=fields)
        assert recorded() == {str(a.pk), str(b.pk)}


def test_row_with_composite_key_is_recorded(db: None) -> None:
    class ByNumber(Unused):
        related = {NumberedItem: "package__order"}

    with temporarily_registered(ByNumber, WholesaleOrder):
        (a,) = orders(1)
        item = NumberedItem(package=Package.objects.create(order=a), position=1)
        clear_outbox()
        for change in (item.save, item.save, item.delete):
            change()
            assert recorded() == {str(a.pk)}
            clear_outbox()


# -- watched fields, written in other ways --------------------------------------------------------------


@pytest.mark.parametrize("watched", ["order", "order_id"])
@pytest.mark.parametrize("saved", ["order", "order_id"])
def test_column_of_watched_key_is_recorded(db: None, watched: str, saved: str) -> None:
    class ByColumn(Unused):
        related = {OrderLine: watch(lambda line: [line.order_id], watched)}

    with temporarily_registered(ByColumn, WholesaleOrder):
        a, b = orders(2)
        line = OrderLine.objects.create(order=a)
        clear_outbox()
        line.order_id = b.pk
        line.save(update_fields=[saved])
        changes = Change.objects.filter(order_type="shop.wholesaleorder")
        assert {change.order_pk for change in changes} == {str(a.pk), str(b.pk)}


def test_expression_counts_as_changed_value(customer: Customer) -> None:
    other: Any = customer
    other.name = Upper(F("name"))
    other.save()
    assert of_proxy() == 0
    other.email = Upper(F("email"))
    other.save()
    assert of_proxy() == 1


def test_value_changed_by_receiver_is_recorded(customer: Customer) -> None:
    """The shop's own receiver runs after ours."""

    def normalise(instance: Customer, **kwargs: Any) -> None:
        instance.email = "normal@example.com"

    pre_save.connect(normalise, sender=Customer)
    try:
        customer.save()
    finally:
        pre_save.disconnect(normalise, sender=Customer)
    assert of_proxy() == 1


def test_deferred_row_records_watched_fields(customer: Customer) -> None:
    named = Customer.objects.only("name").get()
    named.name = "Somebody else"
    named.save()
    assert of_proxy() == 0
    with_email = Customer.objects.defer("name").get()
    with_email.email = "new@example.com"
    with_email.save()
    assert of_proxy() == 1


@pytest.mark.parametrize("kind", [VipCustomer, OwnKeyCustomer])
def test_child_of_watched_model_is_compared(customer: Customer, kind: type[Customer]) -> None:
    child = kind(name="Jane Doe", email="jane@example.com")
    if isinstance(child, OwnKeyCustomer):
        child.code = "C-1"
    child.save()
    OrderProxy.objects.create(number="2", customer=child)
    clear_outbox()
    child.name = "Somebody else"
    child.save()
    assert of_proxy() == 0
    child.email = "new@example.com"
    child.save()
    assert of_proxy() == 1


def test_parent_of_watched_model_is_compared(db: None) -> None:
    class OfVips(Unused):
        related = {VipCustomer: watch("orders", "email", "level")}

    with temporarily_registered(OfVips, OrderProxy):
        OrderProxy.objects.create(number="1", customer=VipCustomer.objects.create(name="Jane", email="a@example.com"))
        clear_outbox()
        parent = Customer.objects.get()
        parent.name = "Somebody else"
        parent.save()
        assert of_proxy() == 0
        parent.email = "new@example.com"
        parent.save()
        assert of_proxy() == 1
