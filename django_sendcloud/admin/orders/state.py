"""State of a shop's order at Sendcloud: for one order, for a page of them, and as an SQL filter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import connections, models, router
from django.db.models import CharField, Exists, Func, Model, OuterRef, Q, QuerySet, UUIDField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ...conf import conf
from ...models import Integration, OutboxEntry, Parcel, Shipment, ShipmentStatus
from ...models.delivery import PHASES
from ...orders import OrderRef, key_field, nearest_order_model
from ...parcels.delivery import delivery_of_order
from ...storefront.tracking import SyncState, sync_state
from ..outbox.admin import assume_integration, entry_badge
from ..ui.badges import PHASE_TONES, badge

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = [
    "KIND_TONES",
    "OrderState",
    "OrderStateFilter",
    "can_filter",
    "order_type_of",
    "ref_of",
    "states_of",
    "stored_key",
]

#: Tones, and the words of orders without pending changes.
KIND_TONES = {SyncState.SYNCED: "good", SyncState.WAITING: "busy", SyncState.REJECTED: "bad", SyncState.ABSENT: "off"}
_PHASES = dict(PHASES)
_STATUSES = {
    SyncState.SYNCED: ShipmentStatus.SYNCED,
    SyncState.WAITING: ShipmentStatus.PENDING,
    SyncState.REJECTED: ShipmentStatus.REJECTED,
    SyncState.ABSENT: ShipmentStatus.DELETED,
}


@dataclasses.dataclass(slots=True)
class OrderState:
    """All that is known of one order: pending changes, shipments and parcels."""

    entry: OutboxEntry | None = None
    shipments: list[Shipment] = dataclasses.field(default_factory=list)
    parcels: list[Parcel] = dataclasses.field(default_factory=list)
    with_parcels: bool = False

    @property
    def kind(self) -> SyncState:
        """Return the state that ``OrderStateFilter`` finds in SQL."""
        return sync_state(self.entry, self.shipments)

    @property
    def delivery(self) -> str:
        """Return the phase of the least far parcel; ``""`` without one, or if the operator may not see parcels."""
        return delivery_of_order(self.shipments) if self.with_parcels else ""

    @property
    def tone(self) -> str:
        """Return the tone of the state: that of the delivery once the order is sent and has a parcel."""
        kind = self.kind
        return PHASE_TONES[self.delivery] if kind == SyncState.SYNCED and self.delivery else KIND_TONES[kind]

    def badge(self) -> SafeString:
        """Return the state as badges: that of the order unless it is sent, then that of its parcels."""
        delivery = self.delivery
        if not delivery:
            return self._own_badge()
        found = badge(_PHASES[delivery], PHASE_TONES[delivery])
        return found if self.kind == SyncState.SYNCED else format_html("{} {}", self._own_badge(), found)

    def _own_badge(self) -> SafeString:
        """Return the order's own state. Pending changes go before pushed shipments."""
        if self.entry is not None:
            return entry_badge(self.entry)
        if not self.shipments:
            return badge(_("Not sent"), "off")
        return badge(_STATUSES[self.kind].label, KIND_TONES[self.kind])

    @property
    def parcel(self) -> Parcel | None:
        """Return the newest parcel to the buyer, of those in the phase that the badge shows."""
        outgoing = [parcel for parcel in self.parcels if not parcel.is_return]
        shown = [parcel for parcel in outgoing if parcel.phase == self.delivery]
        return max(shown or outgoing, key=lambda parcel: parcel.pk, default=None)


def order_type_of(model: type[models.Model]) -> str:
    """Return the stored name of this order type, ``""`` if no adapter handles it."""
    registered = nearest_order_model(model)
    return "" if registered is None else registered._meta.label_lower


def ref_of(order: models.Model) -> OrderRef:
    """Return the reference to an order, also if no adapter handles it."""
    return OrderRef.of(order) if order_type_of(type(order)) else OrderRef("", "", str(order.pk))


def states_of(order_type: str, keys: Iterable[str], *, with_parcels: bool) -> dict[str, OrderState]:
    """Return the states of these orders by key. At most four queries."""
    states = {key: OrderState(with_parcels=with_parcels) for key in keys}
    mine: dict[str, Any] = {"order_type": order_type, "order_pk__in": list(states)}
    entries = list(OutboxEntry.objects.filter(**mine).select_related("integration"))
    assume_integration(entries, lambda: list(Integration.objects.active()[:2]))
    for entry in entries:
        states[entry.order_pk].entry = entry
    by_pk = {}
    for shipment in Shipment.objects.filter(**mine).order_by("pk"):
        by_pk[shipment.pk] = shipment
        states[shipment.order_pk].shipments.append(shipment)
    if with_parcels and by_pk:
        for parcel in Parcel.objects.filter(shipment__in=by_pk).order_by("is_return", "pk"):
            if parcel.shipment_id is not None:
                parcel.shipment = by_pk[parcel.shipment_id]
                states[parcel.shipment.order_pk].parcels.append(parcel)
    return states


# -- the filter ----------------------------------------------------------------------------------------


def can_filter(model: type[models.Model]) -> bool:
    """Return whether orders and our tables share a database."""
    return bool(order_type_of(model)) and router.db_for_read(model) == conf().DATABASE


class OrderStateFilter(admin.SimpleListFilter):
    """Filter of orders by state. Every order is found by exactly one choice."""

    title = "Sendcloud"
    parameter_name = "sendcloud_state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            (SyncState.SYNCED.value, _("Sent")),
            (SyncState.WAITING.value, _("Waiting")),
            (SyncState.REJECTED.value, _("Fix needed or stopped")),
            (SyncState.ABSENT.value, _("Not sent")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value not in dict(self.lookup_choices):
            return queryset
        return queryset.filter(_is(str(value), queryset))


def _is(kind: str, orders: QuerySet[Any]) -> Q:
    """Return ``OrderState.kind`` as SQL."""
    mine: dict[str, Any] = {"order_type": order_type_of(orders.model), "order_pk": stored_key(orders)}
    entries = OutboxEntry.objects.filter(**mine)
    shipments = Shipment.objects.alive().filter(**mine)
    settled = ~Q(Exists(entries))
    rejected = Q(Exists(shipments.filter(status=ShipmentStatus.REJECTED)))
    pending = Q(Exists(shipments.filter(status=ShipmentStatus.PENDING)))
    return {
        SyncState.SYNCED: settled & ~rejected & ~pending & Q(Exists(shipments)),
        SyncState.WAITING: Q(Exists(entries.pending())) | settled & ~rejected & pending,
        SyncState.REJECTED: Q(Exists(entries.stuck())) | settled & rejected,
        SyncState.ABSENT: settled & ~Q(Exists(shipments)),
    }[SyncState(kind)]


def stored_key(orders: QuerySet[Any]) -> Any:
    """Return the primary key as SQL, written as ``str(order.pk)``, which our tables store."""
    model: type[Model] = orders.model
    field = key_field(model)
    if isinstance(field, CharField):
        return OuterRef("pk")
    if isinstance(field, UUIDField) and not connections[orders.db].features.has_native_uuid_field:
        return _Dashed(OuterRef("pk"))
    return Cast(OuterRef("pk"), CharField())


_PARTS = [
    f"SUBSTR(%(expressions)s, {begin}, {length})" for begin, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
]


class _Dashed(Func):
    """SQL function that adds dashes to a UUID stored as 32 hexadecimal digits.

    Written out, because Django's ``Concat`` nests so deeply that SQLite's parser fails on the filter's counts.
    """

    output_field = CharField()
    arity = 1
    template = f"CONCAT_WS('-', {', '.join(_PARTS)})"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        joined = " || '-' || ".join(_PARTS)
        return self.as_sql(compiler, connection, template=f"({joined})", **context)
