"""Questions to the shop, answered with plain JSON in a process of the example project."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import QuerySet
from shop.models import Customer, Order, Product

from django_sendcloud import enqueue
from django_sendcloud.models import Account, Integration, OutboxEntry, Parcel, Shipment, WebhookEvent
from django_sendcloud.models.statuses import STATUSES
from django_sendcloud.models.webhook_event import EventState
from django_sendcloud.orders import OrderRef
from django_sendcloud.parcels.statuses import phase_of
from django_sendcloud.payloads import ShipmentPayload, v3
from django_sendcloud.payloads.exact_json import dumps
from django_sendcloud.sync.backends.v3 import options_of_shop
from django_sendcloud.sync.fold import fold
from django_sendcloud.sync.preview import preview_stored

from . import receivers
from .accounts import ACCOUNTS, account_of
from .receivers import COLUMNS, TABLE
from .urls import CUSTOMER
from .writer import ORDERS_OF_A_CUSTOMER, customer_pk

receivers.install()

# Orders whose parcels travel during the run.
SHIPPED_ORDERS = 25
_ANY_TIME = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
# Orders of long before the shop was connected, of customers that the writers change.
OLD_ORDERS = 20
_LONG_AGO = dt.datetime(2019, 11, 29, tzinfo=dt.UTC)
# Orders of the test shop that was made from a copy.
COPYS_ORDERS = 10
# The backlog of one account: deletions cost a request each, changes one in ten.
DELETIONS, BULK_CHANGES = 50, 150


def prepare(keys: dict[str, tuple[int, str, str]], api: str) -> dict[str, Any]:
    """Create tables and products, connect the shop, and place the orders that are to be shipped.

    Args:
        keys: Id, public and secret key of the integration of each account.
        api: The API generation of all.

    Returns:
        The webhooks' paths by account, the ids of the orders, those of old orders, and the phase of each of Sendcloud's
        statuses.
    """
    paths = _connect(keys, api)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} ({COLUMNS})")
    customer = Customer.objects.create(pk=CUSTOMER, name="Anna Visser")
    return {
        "paths": paths,
        "orders": [_place(customer, f"P-{number}") for number in range(SHIPPED_ORDERS)],
        "old": _place_old_orders(),
        "phase_of": {status: phase_of(status).value for status in STATUSES},
    }


def prepare_copy(keys: dict[str, tuple[int, str, str]], api: str) -> list[str]:
    """Make the database of a copy of the shop, with orders that only the copy has; return their ids."""
    _connect(keys, api)
    customer = Customer.objects.create(pk=CUSTOMER, name="Anna Visser")
    return [_place(customer, f"T-{number}") for number in range(COPYS_ORDERS)]


def _connect(keys: dict[str, tuple[int, str, str]], api: str) -> dict[str, str]:
    from shop.catalogue import PRODUCTS

    call_command("migrate", verbosity=0)
    for sku, name, text, price, weight, hs_code, origin, hue in PRODUCTS:
        Product.objects.create(
            sku=sku, name=name, description=text, price=price, weight_grams=weight,
            hs_code=hs_code, origin_country=origin, hue=hue,
        )  # fmt: skip
    paths = {}
    for name in ACCOUNTS:
        remote_id, public_key, secret_key = keys[name]
        integration = Integration.objects.create(
            remote_id=remote_id, name=name, public_key=public_key, secret_key=secret_key, api_generation=api,
            account=Account.objects.get_or_create(name=name)[0],
        )  # fmt: skip
        paths[name] = integration.webhook_path()
    return paths


def _place(customer: Customer, number: str) -> str:
    with transaction.atomic():
        order = Order.objects.create(
            number=number, customer=customer, street="Stadhuisplein", house_number="10",
            postal_code="5611 EM", city="Eindhoven",
        )  # fmt: skip
        order.lines.create(product=Product.objects.earliest("pk"), quantity=1, unit_price="5.00")
    return str(order.pk)


def _place_old_orders() -> list[str]:
    """Place orders that were shipped long ago without Sendcloud, and return their ids. No signal is sent."""
    orders = []
    for number in range(0, OLD_ORDERS * ORDERS_OF_A_CUSTOMER, ORDERS_OF_A_CUSTOMER):
        customer = Customer.objects.create(pk=customer_pk(number), name="Anna Visser")
        orders.append(_order(f"O-{number}", customer=customer))
    Order.objects.bulk_create(orders)
    Order.objects.filter(number__startswith="O-").update(placed_at=_LONG_AGO, modified_at=_LONG_AGO)
    return [str(order.pk) for order in orders]


def _order(number: str, **values: Any) -> Order:
    return Order(
        number=number, street="Stadhuisplein", house_number="10", postal_code="5611 EM", city="Eindhoven", **values
    )


def place_bulk() -> list[str]:
    """Place the orders of a backlog, all of the first account, and return their ids."""
    customer = Customer.objects.get(pk=CUSTOMER)
    orders: list[Order] = []
    while len(orders) < DELETIONS + BULK_CHANGES:
        order = _order(f"D-{len(orders)}", customer=customer)
        if account_of(order.pk) == ACCOUNTS[0]:
            orders.append(order)
    with transaction.atomic():
        Order.objects.bulk_create(orders)
        enqueue(orders)
    return [str(order.pk) for order in orders]


def pile_up() -> None:
    """Delete some of these orders, and change the others in bulk."""
    orders = Order.objects.filter(number__startswith="D-").order_by("number")
    with transaction.atomic():
        for order in orders[:DELETIONS]:
            order.delete()
        orders.update(city="Best")
        enqueue(orders)


def parcels() -> dict[str, Any]:
    """Return the phase of each parcel that the shop knows, the calls of its receiver, and the events left over."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT parcel, phase FROM {TABLE} ORDER BY at")
        heard = [list(row) for row in cursor.fetchall()]
    return {
        "phases": {parcel.remote_id: parcel.phase for parcel in Parcel.objects.all()},
        "heard": heard,
        "left": [str(event.note or event.state) for event in WebhookEvent.objects.exclude(state=EventState.PROCESSED)],
    }


def _outbox() -> QuerySet[OutboxEntry]:
    while fold():
        pass
    return OutboxEntry.objects.order_by("pk")


def outbox() -> list[dict[str, Any]]:
    """Return the entries left in the outbox, with their reasons."""
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
    """Return the shop's final state: its wanted payloads, its record of Sendcloud's state, and its outbox."""
    integrations = {each.account.name: each for each in Integration.objects.select_related("account")}
    wanted = {
        payload.external_order_id: _body(payload.stamped(_ANY_TIME), integrations[account_of(order.pk)])
        for order in Order.objects.exclude(number__startswith="O-")
        if (found := preview_stored(OrderRef.of(order))) is not None
        for payload in found.payloads
    }
    believed = {
        shipment.external_order_id: {"status": str(shipment.status), "stamp": shipment.stamp}
        for shipment in Shipment.objects.all()
    }
    return {"wanted": wanted, "believed": believed, "outbox": outbox()}


def _body(payload: ShipmentPayload, integration: Integration) -> Any:
    """Return what is sent of a shipment by the integration's API generation."""
    if integration.api_generation == "v3":
        return json.loads(dumps(v3.translate(payload, integration.remote_id, options_of_shop()).body))
    return payload.to_json()
