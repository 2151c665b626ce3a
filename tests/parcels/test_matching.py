"""Parcels of orders that API v3 knows by ``order/shipment``, because they have several shipments."""

from __future__ import annotations

from typing import Any

import pytest

from django_sendcloud.maintenance.erase import erase
from django_sendcloud.models import Integration, Parcel, Shipment, ShipmentStatus
from django_sendcloud.orders import OrderRef
from django_sendcloud.parcels.matching import link_unmatched
from django_sendcloud.storefront.tracking import order_shipping
from django_sendcloud.sync.worker import push_due
from django_sendcloud.testing import send_webhook
from django_sendcloud.webhooks import apply
from tests import factories

pytestmark = pytest.mark.long

BEGIN = 1_790_000_000_000


def shipment(integration: Integration, order_id: str, shipment_id: str) -> Shipment:
    return Shipment.objects.create(
        integration=integration,
        order_type="shop.order",
        order_pk=order_id,
        order_number="TWICE",
        external_order_id=order_id,
        external_shipment_id=shipment_id,
    )


def deliver(client: Any, integration: Integration, **parcel: Any) -> Parcel:
    body = {"id": 1, "status": {"id": 1000, "message": ""}, "order_number": "TWICE"} | parcel
    send_webhook(client, integration, {"action": "parcel_status_changed", "timestamp": BEGIN, "parcel": body})
    apply.drain()
    return Parcel.objects.get(remote_id=body["id"])


KEYS = [("o", "s"), ("a/b", "s"), ("o", "x/y"), ("a/b", "x/y")]


@pytest.mark.parametrize(("order_id", "shipment_id"), KEYS)
@pytest.mark.parametrize("is_known", [True, False])
def test_joined_id_finds_its_shipment(
    integration: Integration, client: Any, order_id: str, shipment_id: str, is_known: bool
) -> None:
    """The webhook may come before the shipment is known."""
    if is_known:
        shipment(integration, order_id, "other")
        ours = shipment(integration, order_id, shipment_id)
    parcel = deliver(client, integration, external_order_id=f"{order_id}/{shipment_id}", external_shipment_id="")
    if not is_known:
        assert parcel.shipment is None
        shipment(integration, order_id, "other")
        ours = shipment(integration, order_id, shipment_id)
        assert link_unmatched() == 1
        parcel.refresh_from_db()
    assert parcel.shipment == ours


def test_ambiguous_joined_id_is_not_guessed(integration: Integration, client: Any) -> None:
    """The id ``a/b/c`` may mean shipment ``b/c`` of order ``a``, or shipment ``c`` of order ``a/b``."""
    shipment(integration, "a", "b/c")
    shipment(integration, "a/b", "c")
    assert deliver(client, integration, external_order_id="a/b/c").shipment is None
    assert link_unmatched() == 0


def test_joined_id_of_one_shipment_comes_first(integration: Integration, client: Any) -> None:
    shipment(integration, "a", "b")
    whole = shipment(integration, "a/b", "a/b")
    assert deliver(client, integration, external_order_id="a/b").shipment == whole


@pytest.mark.parametrize("generation", ["v3"], indirect=True)
@pytest.mark.parametrize(
    "keys", [{"external_order_id"}, {"external_order_id", "order_number"}, {"shipment_uuid"}, set()]
)
def test_divided_order_parcels_find_their_shipments(
    integration: Integration, sandbox: Any, client: Any, keys: set[str]
) -> None:
    """No document shows a webhook of a v3 order. Without an id of its own, the parcel waits for an operator."""
    order = factories.order(shipments=2)
    push_due()
    push_due()
    assert set(Shipment.objects.values_list("status", flat=True)) == {ShipmentStatus.SYNCED}
    sandbox.v3_references = keys
    for number, row in enumerate(Shipment.objects.order_by("pk"), start=1):
        (made,) = sandbox.create_label(f"{row.external_order_id}/{row.external_shipment_id}")
        parcel = deliver(client, integration, **(made | {"id": number}))
        assert parcel.shipment == (row if "external_order_id" in keys else None)
    assert len(order_shipping(order).parcels) == (2 if "external_order_id" in keys else 0)


@pytest.mark.parametrize("generation", ["v3"], indirect=True)
def test_joined_id_of_erased_order_is_ignored(integration: Integration, sandbox: Any, client: Any) -> None:
    order = factories.order(shipments=2)
    push_due()
    push_due()
    row = Shipment.objects.order_by("pk")[0]
    order.status = "cancelled"
    order.save()
    erase(OrderRef.of(order))
    body = {"id": 1, "status": {"id": 1000, "message": ""}}
    body |= {"external_order_id": f"{row.external_order_id}/{row.external_shipment_id}"}
    send_webhook(client, integration, {"action": "parcel_status_changed", "timestamp": BEGIN, "parcel": body})
    apply.drain()
    assert not Parcel.objects.exists()
