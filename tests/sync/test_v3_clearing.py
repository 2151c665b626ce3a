"""Parts that an order loses: Sendcloud loses them as well, whether an upsert clears what it leaves out or not."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from django_sendcloud.models import Integration, OutboxEntry, Parcel, Shipment, ShipmentStatus
from django_sendcloud.payloads import (
    Address,
    CustomsDetails,
    Money,
    ShipWith,
    Status,
    TaxNumber,
    TaxNumbers,
    v3,
)
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

BILLING = Address(
    name="Ada", address="Markt 1", city="Eindhoven", postal_code="5611 EM", country="NL", email="ada@shop.example"
)
COSTS = {
    name: Money(value=Decimal(1), currency="EUR") for name in ("discount_granted", "insurance_costs", "freight_costs")
}
NUMBERS = (TaxNumber(name="VAT", country_code="NL", value="NL1"),)
CUSTOMS = CustomsDetails(
    **COSTS,
    other_costs=Money(value=Decimal(1), currency="EUR"),
    tax_numbers=TaxNumbers(sender=NUMBERS, receiver=NUMBERS, importer_of_records=NUMBERS),
)
# Fields that an order has first, and the fields that it has then.
LOSSES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "email": ({"email": "ada@shop.example"}, {"email": ""}),
    "billing address": ({"billing_address": BILLING}, {"billing_address": None}),
    "billing email": ({"billing_address": BILLING}, {"billing_address": dataclasses.replace(BILLING, email="")}),
    "service point": (
        {"to_service_point": 10, "to_post_number": "5"},
        {"to_service_point": None, "to_post_number": ""},
    ),
    "post number": ({"to_service_point": 10, "to_post_number": "5"}, {"to_post_number": ""}),
    "other service point": (
        {"to_service_point": 10},
        {"to_service_point": None, "carrier_service_point_id": "NL-1"},
    ),
    "carrier's point": ({"carrier_service_point_id": "NL-1"}, {"carrier_service_point_id": None}),
    "po box": ({"to_post_number": "5"}, {"to_post_number": ""}),
    "notes": ({"notes": "Ring twice"}, {"notes": None}),
    "tags": ({"tags": ["gift"]}, {"tags": None}),
    "status message": ({"order_status": Status(id="open", message="Open")}, {"order_status": None}),
    "payment message": ({"payment_status": Status(id="paid", message="Paid")}, {"payment_status": None}),
    "customs": (
        {
            "customs_invoice_nr": "I-1",
            "customs_shipment_type": 2,
            "customs_export_type": "private",
            "customs_details": CUSTOMS,
        },
        {
            "customs_invoice_nr": "",
            "customs_shipment_type": None,
            "customs_export_type": None,
            "customs_details": None,
        },
    ),
    "invoice number": (
        {"customs_invoice_nr": "I-1", "customs_shipment_type": 2},
        {"customs_invoice_nr": ""},
    ),
    "prices": (
        {"subtotal_price": Decimal(1), "estimated_shipping_price": Decimal(1), "estimated_tax_price": Decimal(1)},
        {"subtotal_price": None, "estimated_shipping_price": None, "estimated_tax_price": None},
    ),
    "payment": (
        {"invoice_date": dt.date(2026, 1, 1), "is_cash_on_delivery": True},
        {"invoice_date": None, "is_cash_on_delivery": None},
    ),
    "pickup": ({"is_local_pickup": True}, {"is_local_pickup": None}),
    "weight": ({"weight": Decimal(1)}, {"weight": None}),
    "dimension": ({"length": Decimal(1), "width": Decimal(1), "height": Decimal(1)}, {"length": None}),
    "ship with": ({"ship_with": ShipWith(shipping_option_code="postnl:standard", contract_id=3)}, {"ship_with": None}),
    "contract": (
        {"ship_with": ShipWith(shipping_option_code="postnl:standard", contract_id=3)},
        {"ship_with": ShipWith(shipping_option_code="postnl:standard")},
    ),
}

pytestmark = [pytest.mark.parametrize("generation", ["v3"], indirect=True), pytest.mark.long]


def change(order: Order, extra: dict[str, Any], fields: dict[str, Any]) -> None:
    """Save the order with these fields, and push it until it is settled."""
    extra.update(fields)
    forget_transaction()
    order.save()
    for _ in range(4):
        factories.outbox().update(due_at="2026-01-01T00:00Z", not_before="2026-01-01T00:00Z")
        push_due()


def there(sandbox: Any) -> list[str]:
    """Return the parts that the one order at Sendcloud has."""
    (order,) = sandbox.orders()
    return v3.left_in(order, v3.LASTING)


@pytest.mark.parametrize("omitted", ["cleared", "kept"])
@pytest.mark.parametrize("loss", LOSSES)
def test_lost_part_is_lost_at_sendcloud(
    integration: Integration, sandbox: Any, extra: dict[str, Any], omitted: str, loss: str
) -> None:
    sandbox.omitted_blocks = omitted
    before, after = LOSSES[loss]
    order = factories.order()
    change(order, extra, before)
    had = there(sandbox)
    change(order, extra, after)
    wanted = v3.translate(next(iter(ShopOrder().get_shipments(order))), 1).parts()
    assert sorted(there(sandbox)) == sorted(wanted)
    assert set(had) - set(wanted), "the test loses something"
    assert Shipment.objects.get().status == ShipmentStatus.SYNCED
    assert not OutboxEntry.objects.exists()


def test_losses_cover_all_parts(extra: dict[str, Any], generation: str, db: None) -> None:
    """Each part that Sendcloud may keep is lost in one of the cases above."""
    order, lost = factories.order(), set()
    for before, after in LOSSES.values():
        extra.clear()
        extra.update(before)
        had = v3.translate(next(iter(ShopOrder().get_shipments(order))), 1).parts()
        extra.update(after)
        lost |= set(had) - set(v3.translate(next(iter(ShopOrder().get_shipments(order))), 1).parts())
    assert lost == set(v3.LASTING)


@pytest.mark.parametrize(("omitted", "deletes"), [("cleared", 0), ("kept", 1)])
def test_order_is_recreated_only_if_sendcloud_keeps(
    integration: Integration, sandbox: Any, extra: dict[str, Any], omitted: str, deletes: int
) -> None:
    sandbox.omitted_blocks = omitted
    order = factories.order()
    change(order, extra, {"billing_address": BILLING})
    change(order, extra, {"billing_address": None})
    assert sandbox.count("DELETE") == deletes
    before = len(sandbox.requests)
    change(order, extra, {"city": "Utrecht"})
    assert [r.method for r in sandbox.requests[before:]] == ["POST", "GET"], "it is over"


def test_emptied_note_needs_no_deletion(integration: Integration, sandbox: Any, extra: dict[str, Any]) -> None:
    sandbox.omitted_blocks = "kept"
    order = factories.order()
    change(order, extra, {"notes": "Ring twice"})
    change(order, extra, {"notes": None})
    assert sandbox.count("DELETE") == 0
    assert "order_details.notes" not in there(sandbox)


def test_part_of_lost_answer_is_remembered(
    integration: Integration, sandbox: Any, extra: dict[str, Any], later: Callable[[float], None]
) -> None:
    """A worker dies after a push with a billing address; the next push has none."""
    sandbox.omitted_blocks = "kept"
    order = factories.order()
    change(order, extra, {})
    sandbox.drop_answer(times=1, after_apply=True, match="upsert")
    extra["billing_address"] = BILLING
    forget_transaction()
    order.save()
    push_due()
    assert "billing_address" in there(sandbox)
    change(order, extra, {"billing_address": None})
    assert "billing_address" not in there(sandbox)


def test_split_order_is_not_recreated(integration: Integration, sandbox: Any, extra: dict[str, Any]) -> None:
    """A person has split it in the panel; nothing may undo that."""
    sandbox.omitted_blocks = "kept"
    order = factories.order(lines=2)
    change(order, extra, {"billing_address": BILLING})
    sandbox.split_order(str(order.pk), 2)
    change(order, extra, {"billing_address": None})
    assert sandbox.count("DELETE") == 0
    assert len(sandbox.orders()) == 2
    assert not OutboxEntry.objects.exists()


def test_order_with_label_is_not_recreated(integration: Integration, sandbox: Any, extra: dict[str, Any]) -> None:
    sandbox.omitted_blocks = "kept"
    order = factories.order()
    change(order, extra, {"billing_address": BILLING})
    shipment = Shipment.objects.get()
    Parcel.objects.create(integration=integration, remote_id=1, shipment=shipment, status_id=1000)
    change(order, extra, {"billing_address": None})
    assert sandbox.count("DELETE") == 0
