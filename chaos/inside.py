"""What is known inside the shop: run in a process of the example project, its answers are plain JSON."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management import call_command
from django.db.models import QuerySet
from shop.models import Order, Product

from django_sendcloud.models import Integration, OutboxEntry, Shipment
from django_sendcloud.sync.build import preview
from django_sendcloud.sync.fold import fold

_ANY_TIME = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def prepare(remote_id: int, public_key: str, secret_key: str) -> None:
    """Make tables and products, and connect the shop."""
    from shop.catalogue import PRODUCTS

    call_command("migrate", verbosity=0)
    for sku, name, text, price, weight, hs_code, origin, hue in PRODUCTS:
        Product.objects.create(
            sku=sku, name=name, description=text, price=price, weight_grams=weight,
            hs_code=hs_code, origin_country=origin, hue=hue,
        )  # fmt: skip
    Integration.objects.create(remote_id=remote_id, name="Chaos", public_key=public_key, secret_key=secret_key)


def _outbox() -> QuerySet[OutboxEntry]:
    while fold():
        pass
    return OutboxEntry.objects.order_by("pk")


def outbox() -> list[dict[str, Any]]:
    """What is left in the outbox, and why."""
    return [
        {
            "order": entry.order_pk,
            "state": entry.state,
            "error": entry.error_code,
            "attempts": entry.attempts,
            "failures": entry.failures,
            "not_before": entry.not_before.isoformat(),
            "due_at": entry.due_at.isoformat(),
        }
        for entry in _outbox()
    ]


def facts() -> dict[str, Any]:
    """All that is true here in the end: what each order wants, what Sendcloud is thought to have, what is left."""
    wanted = {}
    for order in Order.objects.all():
        for payload in preview(order):
            body = payload.stamped(_ANY_TIME).to_json()
            del body["updated_at"]
            wanted[payload.external_order_id] = body
    believed = {
        shipment.external_order_id: {"status": str(shipment.status), "stamp": shipment.stamp}
        for shipment in Shipment.objects.all()
    }
    return {"wanted": wanted, "believed": believed, "outbox": outbox()}
