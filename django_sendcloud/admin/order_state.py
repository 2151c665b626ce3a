"""How an order of the shop stands with Sendcloud: in a word, for one or a page of them, and as a filter in SQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import connections, models, router
from django.db.models import CharField, Exists, Func, OuterRef, Q, QuerySet, UUIDField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..adapters import registry
from ..conf import conf
from ..models import OutboxEntry, Parcel, Shipment, ShipmentStatus
from ..shipping import SyncState, sync_state
from .badges import badge
from .outbox import entry_badge

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["KIND_TONES", "OrderState", "OrderStateFilter", "can_filter", "order_type_of", "states_of"]

#: With these tones, and, where nothing has to be told, these words.
KIND_TONES = {SyncState.SYNCED: "good", SyncState.WAITING: "busy", SyncState.REJECTED: "bad", SyncState.ABSENT: "off"}
_STATUSES = {
    SyncState.SYNCED: ShipmentStatus.SYNCED,
    SyncState.WAITING: ShipmentStatus.PENDING,
    SyncState.REJECTED: ShipmentStatus.REJECTED,
    SyncState.ABSENT: ShipmentStatus.DELETED,
}


@dataclasses.dataclass(slots=True)
class OrderState:
    """What is known of one order: what Sendcloud still has to be told, has been told, and told us."""

    entry: OutboxEntry | None = None
    shipments: list[Shipment] = dataclasses.field(default_factory=list)
    parcels: list[Parcel] = dataclasses.field(default_factory=list)

    @property
    def kind(self) -> SyncState:
        """The same as ``OrderStateFilter`` finds, in SQL."""
        return sync_state(self.entry, self.shipments)

    def badge(self) -> SafeString:
        """The state as a label. What still has to be told goes before what was."""
        if self.entry is not None:
            return entry_badge(self.entry)
        if not self.shipments:
            return badge(_("never sent"), "off")
        return badge(_STATUSES[self.kind].label, KIND_TONES[self.kind])

    @property
    def newest_parcel(self) -> Parcel | None:
        """The parcel that was made last and goes to the buyer."""
        outgoing = [parcel for parcel in self.parcels if not parcel.is_return]
        return max(outgoing, key=lambda parcel: parcel.pk, default=None)


def order_type_of(model: type[models.Model]) -> str:
    """What names this kind of order in our tables, ``""`` where no adapter is responsible for it."""
    adapter = registry.for_model(model)
    return "" if adapter is None else str(adapter.model._meta.label_lower)


def states_of(order_type: str, keys: Iterable[str], *, with_parcels: bool) -> dict[str, OrderState]:
    """The states of these orders by their keys. Three queries at most, however many they are."""
    states = {key: OrderState() for key in keys}
    mine: dict[str, Any] = {"order_type": order_type, "order_pk__in": list(states)}
    database = conf().DATABASE
    for entry in OutboxEntry.objects.using(database).filter(**mine).select_related("integration"):
        states[entry.order_pk].entry = entry
    by_pk = {}
    for shipment in Shipment.objects.using(database).filter(**mine).order_by("pk"):
        by_pk[shipment.pk] = states[shipment.order_pk]
        states[shipment.order_pk].shipments.append(shipment)
    if with_parcels and by_pk:
        for parcel in Parcel.objects.using(database).filter(shipment__in=by_pk).order_by("is_return", "pk"):
            if parcel.shipment_id is not None:
                by_pk[parcel.shipment_id].parcels.append(parcel)
    return states


# -- the filter ----------------------------------------------------------------------------------------


def can_filter(model: type[models.Model]) -> bool:
    """Whether one SQL statement reaches the orders and our tables: both are in the same database."""
    return bool(order_type_of(model)) and router.db_for_read(model) == conf().DATABASE


class OrderStateFilter(admin.SimpleListFilter):
    """Orders by how they stand with Sendcloud. Every order is found by exactly one of the choices."""

    title = "Sendcloud"
    parameter_name = "sendcloud_state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            (SyncState.SYNCED.value, _("at Sendcloud")),
            (SyncState.WAITING.value, _("waiting")),
            (SyncState.REJECTED.value, _("needs a correction")),
            (SyncState.ABSENT.value, _("not at Sendcloud")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value not in dict(self.lookup_choices):
            return queryset
        return queryset.filter(_is(str(value), queryset))


def _is(kind: str, orders: QuerySet[Any]) -> Q:
    """``OrderState.kind`` in SQL."""
    mine: dict[str, Any] = {"order_type": order_type_of(orders.model), "order_pk": _stored_key(orders)}
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


def _stored_key(orders: QuerySet[Any]) -> Any:
    """The order's primary key in SQL as ``str(order.pk)`` writes it, which is how our tables name it."""
    field: Any = orders.model._meta.pk
    while field.remote_field is not None:  # a child's key is its parent's
        field = field.target_field
    if isinstance(field, CharField):
        return OuterRef("pk")
    if isinstance(field, UUIDField) and not connections[orders.db].features.has_native_uuid_field:
        return _Dashed(OuterRef("pk"))
    return Cast(OuterRef("pk"), CharField())


_PARTS = [
    f"SUBSTR(%(expressions)s, {begin}, {length})" for begin, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
]


class _Dashed(Func):
    """A UUID that is kept as 32 hexadecimal digits, as text with its dashes.

    Written out, since Django's ``Concat`` nests so deeply that SQLite's parser gives up on the filter's counts.
    """

    output_field = CharField()
    arity = 1
    template = f"CONCAT_WS('-', {', '.join(_PARTS)})"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        joined = " || '-' || ".join(_PARTS)
        return self.as_sql(compiler, connection, template=f"({joined})", **context)
