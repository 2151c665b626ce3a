"""Orders of Oscar at Sendcloud, and their parcels back in Oscar."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from oscar.apps.order.signals import order_status_changed
from oscar.apps.payment.exceptions import PaymentError
from oscar.core.loading import get_class, get_model

from django_sendcloud import PackedItem, ParcelChange
from django_sendcloud.contrib.oscar import OscarOrderAdapter
from django_sendcloud.enums import ParcelPhase
from django_sendcloud.models import OutboxEntry, Parcel, Shipment, WebhookEvent
from django_sendcloud.registry import registry, temporarily_registered
from django_sendcloud.sync.fold import fold_all
from django_sendcloud.testing import drain

from .conftest import Shop
from .shop.sendcloud import ADAPTER

Order = get_model("order", "Order")


def sent(sendcloud: Any, order: Any) -> Any:
    drain()
    return sendcloud.shipment(str(order.pk))


def problem(order: Any) -> str:
    drain()
    entry = OutboxEntry.objects.get(order_pk=str(order.pk))
    assert entry.state == "rejected"
    return str(entry.error_fields)


def with_adapter(**changes: Any) -> Any:
    return temporarily_registered(type("Changed", (type(registry[Order]),), changes), Order)


def test_shop_writes_at_most_twelve_lines() -> None:
    assert len([line for line in ADAPTER.splitlines() if line.strip()]) <= 12


# -- payload --


def test_order_is_sent_with_address_and_items(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    mug = shop.product("Mug", weight=250.0, hs_code="6912 00", origin_country="PT")
    got = sent(sendcloud, shop.order((mug, 2)))
    assert got["order_number"] == "2026-0001"
    assert (got["name"], got["email"], got["telephone"]) == ("Sam Jansen", "sam@example.com", "+31201234567")
    assert (got["address"], got["address_2"], got["city"]) == ("Stadhuisplein 10", "3rd floor", "Eindhoven")
    assert (got["postal_code"], got["country"], got["currency"]) == ("5611 EM", "NL", "EUR")
    assert got["total_order_value"] == "19.90"
    assert got["order_status"]["message"] == "Being processed"
    [item] = got["parcel_items"]
    assert (item["description"], item["quantity"], item["sku"]) == ("Mug", 2, "SKU-Mug")
    assert (item["value"], item["weight"], item["hs_code"], item["origin_country"]) == ("9.95", "0.25", "691200", "PT")


def test_order_of_user_has_their_email(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    buyer = User.objects.create_user("kim", email="kim@example.com")
    order = shop.order(user=buyer)
    assert sent(sendcloud, order)["email"] == "kim@example.com"
    buyer.email = "new@example.com"
    buyer.save()
    assert sent(sendcloud, order)["email"] == "new@example.com"


def test_other_statuses_are_not_sent(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    order = shop.order(status="Pending")
    assert sent(sendcloud, order) is None
    assert registry[Order].is_shippable(order).reason == "The order's status is “Pending”."
    order.set_status("Being processed")
    assert sent(sendcloud, order)
    order.set_status("Cancelled")
    assert sent(sendcloud, order) is None


def test_child_product_has_attributes_of_parent(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    parent = shop.product("Shirt", structure="parent", weight=180.0, hs_code="610910")
    small, large = shop.product("S", parent=parent), shop.product("L", parent=parent, weight=210.0)
    items = sent(sendcloud, shop.order((small, 1), (large, 1)))["parcel_items"]
    assert [(item["weight"], item["hs_code"]) for item in items] == [("0.18", "610910"), ("0.21", "610910")]


def test_digital_product_is_left_out(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    ebook, mug = shop.product("E-book", requires_shipping=False), shop.product("Mug", weight=250)
    mixed = sent(sendcloud, shop.order((ebook, 1), (mug, 1)))
    assert [item["description"] for item in mixed["parcel_items"]] == ["Mug"]
    digital = shop.order((ebook, 1), address=None)
    assert sent(sendcloud, digital) is None
    assert not OutboxEntry.objects.exists(), "nothing is wrong with it"


def test_cancelled_line_is_left_out(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    order = shop.order((shop.product("Mug", weight=250), 1), (shop.product("Pot", weight=900), 1))
    assert len(sent(sendcloud, order)["parcel_items"]) == 2
    order.lines.first().set_status("Cancelled")
    assert [item["description"] for item in sent(sendcloud, order)["parcel_items"]] == ["Pot"]


def test_deleted_product_is_sent_by_its_line(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    mug = shop.product("Mug", weight=250)
    order = shop.order((mug, 1))
    mug.delete()
    order.refresh_from_db()
    [item] = sent(sendcloud, order)["parcel_items"]
    assert (item["description"], item["sku"], item.get("weight")) == ("Mug", "SKU-Mug", None)


def test_item_price_is_after_discounts(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    """An offer of the shop takes a third off; what the buyer paid is what customs and the insurance get to know."""
    offer = shop.offer(("Count", 1), ("Absolute", 10), max_basket_applications=1)
    order = shop.order((shop.product("Mug", price="10.00", weight=250), 3), offer=offer)
    assert order.lines.get().line_price_incl_tax == 20
    got = sent(sendcloud, order)
    assert (got["parcel_items"][0]["value"], got["total_order_value"]) == ("6.67", "20.00")


@pytest.mark.parametrize(
    ("benefit", "values", "total"),
    [
        # Of 64.93, with 4.95 for shipping.
        (("Percentage", 15), ["8.50", "6.37", "12.75"], "55.93"),
        (("Absolute", 10), ["8.33", "6.25", "12.49"], "54.93"),
        (("Percentage", 100), ["0.00", "0.00", "0.00"], "4.95"),
        (("Shipping absolute", 3), ["10.00", "7.49", "15.00"], "61.93"),
        (("Shipping fixed price", 0), ["10.00", "7.49", "15.00"], "59.98"),
    ],
)
def test_voucher_lowers_prices_and_total(
    shop: Shop, sendcloud: Any, sendcloud_integration: Any, benefit: tuple[str, Any], values: list[str], total: str
) -> None:
    """A voucher for goods lowers the prices of all lines, one for shipping the total alone."""
    mug, pot = shop.product("Mug", price="10.00", weight=250), shop.product("Pot", price="7.49", weight=900)
    shirt = shop.product("Shirt", structure="parent", weight=180.0)
    small = shop.product("", parent=shirt, price="15.00")
    method = shop.classed("shipping.methods", "FixedPrice")(Decimal("4.95"), Decimal("4.95"))
    order = shop.order((mug, 3), (pot, 2), (small, 1), voucher=shop.voucher(*benefit), shipping_method=method)
    assert [each.voucher_code for each in order.discounts.all()] == ["CODE"]
    got = sent(sendcloud, order)
    assert [item["value"] for item in got["parcel_items"]] == values
    assert got["total_order_value"] == total == str(order.total_incl_tax)
    for item, line in zip(got["parcel_items"], order.lines.order_by("pk"), strict=True):
        assert (
            abs(Decimal(item["value"]) * line.quantity - line.line_price_incl_tax) <= Decimal("0.005") * line.quantity
        )


def test_free_piece_is_sent_at_mean_price(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    """Three for the price of two: one line, with one price for its pieces."""
    three = shop.offer(("Count", 3), ("Multibuy", None))
    [item] = sent(sendcloud, shop.order((shop.product("Mug", price="9.00", weight=1), 3), offer=three))["parcel_items"]
    assert (item["quantity"], item["value"]) == (3, "6.00")


def test_child_product_has_title_of_parent(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    """A child without a title of its own, of a class that needs shipping or not."""
    for title, needs_shipping in (("Shirt", True), ("E-book", False)):
        parent = shop.product(title, structure="parent", weight=180.0, requires_shipping=needs_shipping)
        shop.product("", parent=parent, partner=get_model("partner", "Partner").objects.create(name=title))
    children = get_model("catalogue", "Product").objects.filter(structure="child")
    got = sent(sendcloud, shop.order(*[(child, 2) for child in children]))
    assert [(item["description"], item["quantity"]) for item in got["parcel_items"]] == [("Shirt", 2)]


def test_cancelled_line_leaves_total_as_paid(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    order = shop.order((shop.product("Mug", price="10.00", weight=250), 1), (shop.product("Pot", weight=900), 1))
    order.lines.last().set_status("Cancelled")
    assert sent(sendcloud, order)["total_order_value"] == str(order.total_incl_tax) == "19.95"


def test_order_splits_by_partner(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    here, there = (get_model("partner", "Partner").objects.create(name=name) for name in ("Here", "There"))
    order = shop.order((shop.product("A", partner=here, weight=1), 1), (shop.product("B", partner=there, weight=1), 2))
    with with_adapter(split_by="partner_id"):
        drain()
        packages = {each["external_shipment_id"]: each for each in sendcloud.shipments()}
        assert set(packages) == {str(here.pk), str(there.pk)}
        assert [item["description"] for item in packages[str(there.pk)]["parcel_items"]] == ["B"]
        there.delete()
        order.save()
        drain()
        assert {each["external_shipment_id"] for each in sendcloud.shipments()} == {str(here.pk), "There"}


def test_batch_takes_constant_queries(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    """Children and parents, users and guests: 5 orders and 40 cost the same number of statements to build."""
    parent = shop.product("Shirt", structure="parent", weight=180.0)
    products = [shop.product(f"P{n}", weight=100.0) for n in range(3)] + [
        shop.product(f"C{n}", parent=parent) for n in range(3)
    ]
    adapter = registry[Order]

    def build(number: int) -> int:
        for n in range(number - Order.objects.count()):
            user = User.objects.create_user(f"{number}-{n}") if n % 2 else None
            shop.order(*[(product, 1) for product in products[n % 3 :]], user=user)
        with CaptureQueriesContext(connection) as queries:
            orders = list(adapter.get_queryset())
            for order in orders:
                assert adapter.shippable(order)
                assert list(adapter.get_shipments(order))
        assert len(orders) == number
        return len(queries)

    assert build(5) == build(40) == 8


def test_batch_is_pushed_in_constant_queries(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    """Of the shop's own tables; SQLite takes rows of ours in several statements."""
    mug = shop.product(weight=1)

    def push(number: int) -> int:
        for _ in range(number):
            shop.order((mug, 1))
        fold_all()
        with CaptureQueriesContext(connection) as queries:
            drain()
        return len([query for query in queries if '"django_sendcloud_' not in query["sql"]])

    push(1)
    assert push(5) == push(40)


# -- problems of an order --


def test_product_without_weight_is_named(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    mug = shop.product("Mug")
    order = shop.order((mug, 1))
    text = problem(order)
    assert "SKU-Mug" in text
    assert "has no weight" in text
    # Saving the product sends it again.
    mug.attr.weight = 250.0
    mug.save()
    assert sent(sendcloud, order)["parcel_items"][0]["weight"] == "0.25"


def test_default_weight_stands_in(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    with with_adapter(default_weight=100):
        assert sent(sendcloud, shop.order((shop.product("Mug"), 1)))["parcel_items"][0]["weight"] == "0.1"


@pytest.mark.parametrize("value", ["heavy", "-5", "nan"])
def test_weight_that_is_no_number_is_named(value: str, shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    shop.product_class().attributes.filter(code="weight").update(type="text")
    assert value in problem(shop.order((shop.product("Mug", weight=value), 1)))


def test_order_without_address_is_named(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    order = shop.order(address=None)
    assert "no shipping address" in problem(order)
    order.shipping_address = shop.address()
    order.save()
    assert sent(sendcloud, order)


def test_other_currency_is_explained(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    order = shop.order()
    order.currency = "SEK"
    order.save()
    assert "SEK" in problem(order)


def test_other_currency_is_sent_where_accepted(shop: Shop, settings: Any, sendcloud: Any) -> None:
    from django_sendcloud.testing import connect

    sendcloud.any_currency = True
    connect(sendcloud, api_generation="v3")
    settings.SENDCLOUD = {**settings.SENDCLOUD, "ANY_CURRENCY": True}
    order = shop.order(currency="SEK")
    drain()
    assert not OutboxEntry.objects.filter(state="rejected").exists(), OutboxEntry.objects.get().error_fields
    assert sendcloud.shipment(str(order.pk))["currency"] == "SEK"


def test_changed_catalogue_pushes_no_accepted_order(shop: Shop, sendcloud: Any, sendcloud_integration: Any) -> None:
    mug = shop.product("Mug", weight=250)
    sent(sendcloud, shop.order((mug, 1)))
    mug.title = "Cup"
    mug.save()
    fold_all()
    assert not OutboxEntry.objects.exists()


# -- the order follows its parcels --


def test_status_walks_along_pipeline(
    shop: Shop, sendcloud: Any, sendcloud_integration: Any, move: Callable[..., None]
) -> None:
    """Each step is in the history, the lines follow by the cascade, and Oscar's signal is sent for each."""
    order = shop.order((shop.product(weight=1), 2))
    heard: list[str] = []

    def hear(old_status: str, new_status: str, **kwargs: Any) -> None:
        heard.append(f"{old_status} > {new_status}")

    order_status_changed.connect(hear)
    sent(sendcloud, order)
    [parcel] = sendcloud.create_label(str(order.pk))
    move(parcel["id"])
    while Order.objects.get(pk=order.pk).status == "Being processed":
        move(parcel["id"])
    order_status_changed.disconnect(hear)
    order = Order.objects.get(pk=order.pk)
    assert order.status == "Complete"
    assert heard == ["Being processed > Packed", "Packed > Complete"]
    assert [line.status for line in order.lines.all()] == ["Pending"], "the line's own pipeline has no way from there"
    history = [(each.old_status, each.new_status) for each in order.status_changes.order_by("pk")]
    assert history == [("Being processed", "Packed"), ("Packed", "Complete")]
    event = order.shipping_events.get()
    assert (event.event_type.name, event.notes) == ("Shipped", parcel["tracking_number"])
    assert [(each.line.title, each.quantity) for each in event.line_quantities.all()] == [("Mug", 2)]
    assert order.notes.get().message == "Took the payment for 2", "through the shop's own handler"
    move(parcel["id"], times=3)
    assert order.shipping_events.count() == 1
    drain()
    assert [each.label_conflict for each in Shipment.objects.all()] == [""], "a status is no change of the contents"
    assert not OutboxEntry.objects.exists()


def test_lines_follow_by_cascade(
    shop: Shop, sendcloud: Any, sendcloud_integration: Any, move: Callable[..., None]
) -> None:
    order = shop.order(status="Pending")
    order.set_status("Being processed")
    sent(sendcloud, order)
    [parcel] = sendcloud.create_label(str(order.pk))
    move(parcel["id"], times=4)
    order = Order.objects.get(pk=order.pk)
    assert (order.status, order.lines.get().status) == ("Complete", "Complete")


def test_order_off_the_pipeline_stays(
    shop: Shop, sendcloud: Any, sendcloud_integration: Any, move: Callable[..., None]
) -> None:
    with with_adapter(phase_statuses={"in_transit": "Delivered to the moon"}):
        order = shop.order()
        sent(sendcloud, order)
        [parcel] = sendcloud.create_label(str(order.pk))
        move(parcel["id"], times=4)
        assert Order.objects.get(pk=order.pk).status == "Being processed"
        assert not WebhookEvent.objects.filter(state="failed").exists()


def test_shipping_event_has_quantities_left(
    shop: Shop, sendcloud: Any, sendcloud_integration: Any, move: Callable[..., None]
) -> None:
    """An operator has shipped one of three by hand; a line that has left altogether is left out."""
    order = shop.order((shop.product("Mug", weight=1), 3), (shop.product("Pot", weight=1), 1))
    mug, pot = order.lines.order_by("pk")
    handler = get_class("order.processing", "EventHandler")()
    shipped = get_model("order", "ShippingEventType").objects.get()
    handler.handle_shipping_event(order, shipped, [mug, pot], [1, 1], reference="by hand")
    sent(sendcloud, order)
    [parcel] = sendcloud.create_label(str(order.pk))
    move(parcel["id"], times=4)
    events = [
        [(each.line.title, each.quantity) for each in event.line_quantities.all()]
        for event in order.shipping_events.order_by("pk")
    ]
    assert events == [[("Mug", 1), ("Pot", 1)], [("Mug", 2)]]


def test_shipping_event_is_opt_in(
    shop: Shop, sendcloud: Any, sendcloud_integration: Any, move: Callable[..., None]
) -> None:
    with with_adapter(shipping_event=""):
        order = shop.order()
        sent(sendcloud, order)
        [parcel] = sendcloud.create_label(str(order.pk))
        move(parcel["id"], times=4)
        assert not order.shipping_events.exists()
        assert Order.objects.get(pk=order.pk).status == "Complete"


def test_shipping_event_of_package_has_its_lines(
    shop: Shop, sendcloud: Any, sendcloud_integration: Any, move: Callable[..., None]
) -> None:
    here, there = (get_model("partner", "Partner").objects.create(name=name) for name in ("Here", "There"))
    with with_adapter(split_by="partner_id"):
        order = shop.order(
            (shop.product("A", partner=here, weight=1), 1), (shop.product("B", partner=there, weight=1), 2)
        )
        drain()
        package = sendcloud.shipment(str(order.pk), str(there.pk))
        [parcel] = sendcloud.create_label(package["shipment_uuid"])
        move(parcel["id"], times=4)
        [event] = order.shipping_events.all()
        assert [(each.line.title, each.quantity) for each in event.line_quantities.all()] == [("B", 2)]
        assert Order.objects.get(pk=order.pk).status == "Being processed", "the other package has no label yet"


def test_missing_shipping_event_type_waits_in_inbox(
    shop: Shop, sendcloud: Any, sendcloud_integration: Any, move: Callable[..., None]
) -> None:
    order = shop.order()
    sent(sendcloud, order)
    get_model("order", "ShippingEventType").objects.all().delete()
    [parcel] = sendcloud.create_label(str(order.pk))
    move(parcel["id"], times=4)
    assert WebhookEvent.objects.filter(state="receiver_failed").exists()
    assert not order.shipping_events.exists()


def test_shipping_event_has_items_of_parcel(shop: Shop, sendcloud_integration: Any) -> None:
    """Sendcloud names the lines in a parcel, so two parcels of a line make an event each; one of them twice is one."""
    order = shop.order((shop.product("Mug", weight=1), 3), (shop.product("Pot", weight=1), 1))
    mug, pot = order.lines.order_by("pk")
    shipment = Shipment(external_shipment_id=str(order.pk))
    adapter = registry[Order]

    def leave(
        number: int, phase: ParcelPhase = ParcelPhase.IN_TRANSIT, *, is_return: bool = False, **items: int
    ) -> None:
        packed = tuple(PackedItem(item_id=str(line.pk), quantity=items[name]) for name, line in lines if name in items)
        change = ParcelChange(
            phase=phase, previous_phase=None, at=timezone.now(), carrier_at=None, shipment=shipment, items=packed
        )
        adapter.on_parcel(order, Parcel(remote_id=number, is_return=is_return), change)

    lines = [("mug", mug), ("pot", pot)]
    leave(1, ParcelPhase.ANNOUNCED, mug=2)
    leave(9, is_return=True, mug=3)
    assert not order.shipping_events.exists()
    leave(1, mug=2)
    leave(1, ParcelPhase.DELIVERED, mug=2)
    leave(2, ParcelPhase.DELIVERED, mug=2, pot=1)
    events = [
        (event.notes, [(each.line, each.quantity) for each in event.line_quantities.order_by("line")])
        for event in order.shipping_events.order_by("pk")
    ]
    assert events == [("Sendcloud 1", [(mug, 2)]), ("Sendcloud 2", [(mug, 1), (pot, 1)])]


def test_failed_payment_is_tried_again(
    shop: Shop,
    sendcloud: Any,
    sendcloud_integration: Any,
    move: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The shop's handler takes the payment; while that fails, nothing of the event is left, and the inbox shows it."""
    order = shop.order()
    sent(sendcloud, order)
    [parcel] = sendcloud.create_label(str(order.pk))

    def fails(*args: Any, **kwargs: Any) -> None:
        raise PaymentError("declined")

    with monkeypatch.context() as patch:
        patch.setattr(get_class("order.processing", "EventHandler"), "create_note", fails)
        move(parcel["id"], times=4)
    assert not order.shipping_events.exists()
    failed = WebhookEvent.objects.filter(state="receiver_failed")
    assert failed.exists()
    failed.update(due_at=timezone.now())
    drain()
    assert order.shipping_events.count() == 1
    assert not failed.all().exists()


# -- the forked app --


def test_forked_order_is_the_registered_model() -> None:
    assert Order.__module__ == "tests.contrib.oscar.order.models"
    assert isinstance(registry[Order], OscarOrderAdapter)


def test_order_opens_in_dashboard(shop: Shop) -> None:
    order = shop.order()
    assert registry[Order].get_order_url(order) == f"/dashboard/orders/{order.number}/"
    with override_settings(ROOT_URLCONF="django_sendcloud.urls"):
        assert registry[Order].get_order_url(order) == ""
