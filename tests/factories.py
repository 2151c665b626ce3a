"""Plain functions that make what tests need."""

from __future__ import annotations

import itertools
from typing import Any

from django.db.models import Manager

from django_sendcloud.models import Change, Integration, OutboxEntry
from django_sendcloud.sync import record
from django_sendcloud.sync.fold import fold
from tests.shop.models import Customer, Order, OrderLine

_numbers = itertools.count(1)


def forget_transaction() -> None:
    """Begin another transaction, as far as the engine knows. (A test itself runs in one.)"""
    record.forget_transaction()


def outbox() -> Manager[OutboxEntry]:
    """Return the outbox after folding all that was recorded until now."""
    while fold():
        pass
    return OutboxEntry.objects


def clear_outbox() -> None:
    Change.objects.all().delete()
    OutboxEntry.objects.all().delete()
    forget_transaction()


def integration(sandbox: Any, **values: Any) -> Integration:
    return Integration.objects.create(
        **{
            "remote_id": getattr(sandbox, "integration_id", None) or sandbox.id,
            "name": "Webshop",
            "public_key": sandbox.public_key,
            "secret_key": sandbox.secret_key,
        }
        | values
    )


def customer(**values: Any) -> Customer:
    return Customer.objects.create(**{"name": "Jane Doe", "email": "jane@example.com"} | values)


def order(lines: int = 1, **values: Any) -> Order:
    values.setdefault("number", f"ORD-{next(_numbers)}")
    if "customer" not in values:
        values["customer"] = customer()
    created = Order.objects.create(**values)
    OrderLine.objects.bulk_create(OrderLine(order=created, sku=f"SKU-{n}") for n in range(lines))
    return created
