"""Filter of orders by the delivery of their least far parcel."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import connections
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    Exists,
    F,
    IntegerField,
    Model,
    OuterRef,
    QuerySet,
    Subquery,
    UUIDField,
    Value,
    When,
)
from django.db.models.functions import Cast, Replace
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ...enums import ParcelPhase
from ...models import Shipment, ShipmentStatus
from ...models.delivery import DELIVERY_RANK, NO_PARCEL, PHASES
from ...orders import key_field
from .state import order_type_of, stored_key

__all__ = ["OrderDeliveryFilter"]

#: Deliveries that are counted: orders do not stay in them, so that there are never too many.
COUNTED = (
    ParcelPhase.ANNOUNCED.value,
    ParcelPhase.IN_TRANSIT.value,
    ParcelPhase.AWAITING_PICKUP.value,
    ParcelPhase.PROBLEM.value,
)
# The value of "no parcel yet" in an address.
NONE_YET = "none"


class OrderDeliveryFilter(admin.SimpleListFilter):
    """Filter of orders by the state of their parcels, as the column shows it, with the number of those underway."""

    title = _("delivery")
    parameter_name = "sendcloud_delivery"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        counts = _counts(model_admin.get_queryset(request))
        found: list[tuple[str, Any]] = [(NONE_YET, _("No parcel yet"))]
        for phase, label in PHASES:
            found.append((phase, f"{label} ({counts.get(phase, 0)})" if phase in COUNTED else label))
        return found

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value not in dict(self.lookup_choices):
            return queryset
        delivery = NO_PARCEL if value == NONE_YET else str(value)
        return queryset.filter(pk__in=_keys(queryset, _least_advanced(queryset).filter(delivery=delivery)))


def _counts(orders: QuerySet[Any]) -> dict[str, int]:
    """Return the number of orders underway by delivery, in one statement that begins at their shipments."""
    mine = _least_advanced(orders)
    of_order = mine.filter(order_pk=stored_key(orders)).order_by("_rank").values("delivery")[:1]
    found = orders.filter(pk__in=_keys(orders, mine.filter(delivery__in=COUNTED)))
    rows = found.annotate(_delivery=Subquery(of_order)).order_by().values("_delivery").annotate(_number=Count("pk"))
    return {row["_delivery"]: row["_number"] for row in rows}


def _least_advanced(orders: QuerySet[Any]) -> QuerySet[Any]:
    """Return the shipments that speak for their orders: none of the order's others is less far."""
    rank = Case(
        *(When(delivery=each, then=Value(number)) for number, each in enumerate(DELIVERY_RANK)), default=Value(99)
    )
    # A shipment that was removed before it had a parcel does not count.
    counted: QuerySet[Any] = Shipment.objects.exclude(status=ShipmentStatus.DELETED, delivery=NO_PARCEL).annotate(
        _rank=rank
    )
    others = counted.filter(order_type=OuterRef("order_type"), order_pk=OuterRef("order_pk"))
    nearer = others.filter(_rank__lt=OuterRef("_rank"))
    return counted.filter(order_type=order_type_of(orders.model)).filter(~Exists(nearer))


def _keys(orders: QuerySet[Any], shipments: QuerySet[Any]) -> QuerySet[Any, Any]:
    """Return the orders' primary keys of these shipments, which an index of the orders finds."""
    model: type[Model] = orders.model
    field: Any = key_field(model)
    key: Any = F("order_pk")
    if isinstance(field, UUIDField):
        native = connections[orders.db].features.has_native_uuid_field
        key = Cast(key, UUIDField()) if native else Replace(key, Value("-"), Value(""), output_field=CharField())
    elif isinstance(field, IntegerField):
        key = Cast(key, BigIntegerField())
    elif not isinstance(field, CharField):
        key = Cast(key, type(field)())
    keys: QuerySet[Any, Any] = shipments.order_by().annotate(_key=key).values("_key")
    return keys
