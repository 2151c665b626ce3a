"""One order has one name, and the database decides which keys are equal."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from django_sendcloud import OrderAdapter, order_shipping
from django_sendcloud.models import Change, Integration, OutboxEntry, Parcel, Shipment
from django_sendcloud.orders import OrderRef, database_of
from django_sendcloud.payloads import ShipmentPayload, Status
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync.fold import fold_all
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.factories import clear_outbox, forget_transaction
from tests.shop.models import CodedLine, CodedOrder, DecimalOrder, Order, OrderProxy


class OfACode(OrderAdapter[Any]):
    def get_shipments(self, order: Any) -> Iterator[ShipmentPayload]:
        skus = ", ".join(line.sku for line in order.lines.all()) if hasattr(order, "lines") else ""
        yield ShipmentPayload(
            external_order_id=f"C-{order.pk}",
            order_number=order.number,
            order_status=Status(id="paid", message="Paid"),
            name="Jane Doe",
            company_name=skus,
            address="Stadhuisplein 10",
            postal_code="5611 EM",
            city="Eindhoven",
            country="NL",
            created_at=order.created,
            parcel_items=[],
        )


class WithLines(OfACode):
    related = {CodedLine: "order"}
    queryset = CodedOrder.objects.prefetch_related("lines")


def problems() -> list[Any]:
    return list(OutboxEntry.objects.values_list("order_pk", "error_code", "error_detail", "error_fields"))


def push_all() -> None:
    """Push until nothing is due, whatever an order's key was recorded as."""
    for _ in range(5):
        fold_all()
        OutboxEntry.objects.update(due_at="2020-01-01T00:00:00Z")
        push_due()
        forget_transaction()


# Other ways to write "ABC", each of them equal to it for some database: case, trailing blanks, accents.
WRITTEN = ["abc", "ABC ", "\u00c1BC", "\u00e4bc "]


def skip_unless_equal(written: str) -> None:
    """Skip the test where the test database takes this key for another than ABC."""
    CodedOrder.objects.create(code="ABC", number="PROBE")
    found = CodedOrder.objects.filter(pk=written).exists()
    CodedOrder.objects.filter(pk="ABC").delete()
    clear_outbox()
    if not found:
        pytest.skip(f"This database takes {written!r} for another key.")


# -- the value ------------------------------------------------------------------------------------------


def test_equal_references_name_one_order(db: None) -> None:
    order = factories.order(lines=0)
    written = [order.pk, str(order.pk), str(order.pk).upper(), order.pk.hex]
    assert {OrderRef.to(Order, pk) for pk in written} == {OrderRef.of(order)}
    assert OrderRef.of(OrderProxy.objects.get()) == OrderRef.of(order)


def test_reference_survives_being_stored(db: None) -> None:
    for ref in (OrderRef("shop.order", "", "1"), OrderRef("shop.order", "elsewhere", "1")):
        assert OrderRef.stored(ref.order_type, ref.order_pk) == ref


def test_reference_loads_its_order_or_nothing(db: None) -> None:
    order = factories.order(lines=0)
    assert OrderRef.of(order).load() == order
    assert OrderRef.to(Order, uuid.uuid4()).load() is None
    assert OrderRef("shop.order", "", "no uuid").load() is None
    assert OrderRef("shop.nothing", "", "1").load() is None


# -- keys that the database takes for equal -------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("written", WRITTEN)
def test_line_with_equal_key_is_pushed(integration: Integration, sandbox: Any, written: str) -> None:
    """The line's key is another text than the order's, and the same key for the database."""
    skip_unless_equal(written)
    with temporarily_registered(WithLines, CodedOrder):
        order = CodedOrder.objects.create(code="ABC", number="A")
        push_all()
        CodedLine.objects.create(order_id=written, sku="LATE")
        assert list(Change.objects.values_list("order_pk", flat=True)) == [written]
        push_all()
        assert sandbox.shipment(f"C-{order.pk}")["company_name"] == "LATE"
        assert [shipment.order_pk for shipment in Shipment.objects.all()] == ["ABC"]
        assert not OutboxEntry.objects.exists()


@pytest.mark.parametrize("written", WRITTEN)
def test_equal_key_alone_creates_order(integration: Integration, sandbox: Any, written: str) -> None:
    skip_unless_equal(written)
    with temporarily_registered(OfACode, CodedOrder):
        CodedOrder.objects.create(code="ABC", number="A")
        clear_outbox()
        CodedOrder(code=written, number="A").save(update_fields=["number"])
        push_all()
        assert [shipment["external_order_id"] for shipment in sandbox.shipments()] == ["C-ABC"]
        assert OrderRef.to(CodedOrder, written).resolve() == OrderRef.to(CodedOrder, "ABC")


@pytest.mark.parametrize("written", [Decimal("7"), Decimal("7.00"), "7", 7, Decimal("7.0")])
def test_decimal_key_is_pushed_however_written(integration: Integration, sandbox: Any, written: Any) -> None:
    with temporarily_registered(OfACode, DecimalOrder):
        DecimalOrder.objects.create(id=written, number="D")
        assert list(Change.objects.values_list("order_pk", flat=True)) == ["7.00"]
        push_all()
        assert problems() == []
        assert [shipment["order_number"] for shipment in sandbox.shipments()] == ["D"]
        assert order_shipping(DecimalOrder.objects.get()).state == "synced"


def test_erase_takes_uuid_in_capitals(integration: Integration, sandbox: Any) -> None:
    order = factories.order()
    push_all()
    Order.objects.update(status="cancelled")
    out = StringIO()
    call_command("sendcloud_erase", str(order.pk).upper(), stdout=out)
    assert "1 shipments" in out.getvalue()
    assert not Shipment.objects.exists()
    assert sandbox.shipments() == []


def test_order_numbers_are_compared_exactly(integration: Integration, db: None) -> None:
    for number in ("a", "A", "ä", "a "):
        Shipment.objects.create(
            integration=integration, order_type="shop.order", order_pk=number, order_number=number,
            external_order_id=number, external_shipment_id=number,
        )  # fmt: skip
    assert [shipment.order_pk for shipment in Shipment.objects.filter(order_number="a")] == ["a"]
    assert {shipment.order_pk for shipment in Shipment.objects.filter(order_number__iexact="A")} >= {"a", "A"}
    assert Shipment.objects.filter(order_number__icontains="A").count() >= 3


# -- two databases --------------------------------------------------------------------------------------


class WritesHere:
    """A router that knows nothing of the second database: the shop names it itself."""

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


@pytest.mark.django_db(databases=["default", "elsewhere"])
@pytest.mark.parametrize("routers", [[], [f"{__name__}.WritesHere"]])
def test_equal_keys_of_two_databases_differ(
    sandbox: Any, sendcloud_settings: Any, settings: Any, routers: list[str]
) -> None:
    settings.DATABASE_ROUTERS = routers
    integration = factories.integration(sandbox)
    order = factories.order(number="HERE")
    customer = type(order.customer).objects.using("elsewhere").create(name="Jane Doe")
    other = Order(pk=order.pk, number="THERE", customer_id=customer.pk)
    other.save(using="elsewhere")
    here, there = OrderRef.of(order), OrderRef.of(other)
    assert here != there
    assert (there.database, there.key) == ("elsewhere", here.key)
    shipment = Shipment.objects.create(
        integration=integration, order_type=here.order_type, order_pk=here.order_pk, order_number="HERE",
        external_order_id="1", external_shipment_id="1", status="synced",
    )  # fmt: skip
    Parcel.objects.create(integration=integration, shipment=shipment, remote_id=1, tracking_number="T")
    clear_outbox()
    assert order_shipping(order).parcels
    assert not order_shipping(other).parcels
    assert not order_shipping(other).shipments
    assert here.load() == order
    loaded: Any = there.load()
    assert loaded.number == "THERE"


class ReplicaRouter:
    """The router of Django's documentation: reads from a replica, writes to the primary database."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model._meta.app_label == "shop" else None

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


class SilentReplicaRouter(ReplicaRouter):
    allow_relation: Any = None

    def __getattribute__(self, name: str) -> Any:
        if name == "allow_relation":
            raise AttributeError(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("router", [ReplicaRouter, SilentReplicaRouter])
def test_order_read_from_replica_is_the_same(db: None, settings: Any, router: type) -> None:
    order = factories.order(lines=0)
    settings.DATABASE_ROUTERS = [f"{__name__}.{router.__name__}"]
    order._state.db = "elsewhere"
    assert database_of(order) == "default"
    assert OrderRef.of(order).order_type == "shop.order"
    assert connection.alias == "default"


def test_reference_to_removed_database_loads_nothing(db: None) -> None:
    assert OrderRef("shop.order", "removed", "1").load() is None
