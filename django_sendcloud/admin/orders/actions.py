"""Permissions of operators on the orders of the shop, and the actions that need them, for any page."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ...conf import is_configured
from ...models import Parcel, Shipment
from ...models.shipment import ShipmentQuerySet
from ...orders import keys_by_type
from ...parcels.cancel import is_cancellable
from ..actions.action import Question, Rows, action, in_chunks
from ..outbox.pushing import push_orders
from ..parcels.cancelling import cancel_action, cancellable, keep_action
from ..parcels.labels import is_printable, label_action, printable
from ..permissions import may
from .state import OrderState, ref_of

__all__ = ["CANCEL_LABEL", "KEEP_LABEL", "LABELS", "PUSH", "OrderPermissions"]


class OrderPermissions:
    """Permissions to see and do what concerns Sendcloud with orders. Access to the order itself comes on top.

    With a wrong setting there are none: the shop's page is shown without our parts, and a strip above it names the
    setting.
    """

    def has_sendcloud_view_permission(self, request: HttpRequest) -> bool:
        return is_configured() and may(request, "view_shipment") and may(request, "view_outboxentry")

    def has_sendcloud_parcel_permission(self, request: HttpRequest) -> bool:
        return self.has_sendcloud_view_permission(request) and may(request, "view_parcel")

    def has_sendcloud_push_permission(self, request: HttpRequest) -> bool:
        return is_configured() and may(request, "push_order")

    def has_sendcloud_print_permission(self, request: HttpRequest) -> bool:
        return self.has_sendcloud_parcel_permission(request) and may(request, "print_label")

    def has_sendcloud_cancel_permission(self, request: HttpRequest) -> bool:
        return self.has_sendcloud_parcel_permission(request) and may(request, "cancel_label")

    def has_sendcloud_payload_permission(self, request: HttpRequest) -> bool:
        return self.has_sendcloud_view_permission(request) and may(request, "view_payload")


def _ask_push(model_admin: Any, request: HttpRequest, rows: Rows) -> Question:
    number = rows.count()
    title = ngettext("Push %(number)d order to Sendcloud", "Push %(number)d orders to Sendcloud", number)
    return Question(
        [_("Each is sent now, as it is saved, even if nothing changed.")],
        title=title % {"number": number},
        button=_("Push now"),
    )


@action(_("Push to Sendcloud now"), permission="sendcloud_push", ask=_ask_push, asks_for_one=False)
def sendcloud_push(model_admin: Any, request: HttpRequest, rows: Rows) -> None:
    """Push these orders now, also unchanged ones."""
    push_orders(request, rows, ref_of, _("Pushed to Sendcloud."))


def _has_label(state: OrderState) -> bool:
    in_conflict = {shipment.pk for shipment in state.shipments if shipment.label_conflict}
    return any(is_printable(parcel) and parcel.shipment_id not in in_conflict for parcel in state.parcels)


def _parcels_of(model_admin: Any, rows: Rows) -> list[int]:
    parcels = printable(Parcel.objects.all())
    listed = list(rows.values_list("pk", flat=True))
    found: list[tuple[int, int]] = []
    place = {str(pk): number for number, pk in enumerate(listed)}
    for chunk in in_chunks(rows):
        for order_type, keys in keys_by_type(map(ref_of, chunk)).items():
            mine: dict[str, Any] = {"shipment__order_type": order_type, "shipment__order_pk__in": keys}
            found += [
                (place.get(str(key), len(place)), pk)
                for pk, key in parcels.filter(**mine).values_list("pk", "shipment__order_pk")
            ]
    return [pk for _place, pk in sorted(found)]


def _shipments_of(model_admin: Any, rows: Rows) -> ShipmentQuerySet:
    found: list[int] = []
    for chunk in in_chunks(rows):
        for order_type, keys in keys_by_type(map(ref_of, chunk)).items():
            found += Shipment.objects.filter(order_type=order_type, order_pk__in=keys).values_list("pk", flat=True)
    return Shipment.objects.filter(pk__in=found)


def _cancellable(model_admin: Any, rows: Rows) -> models.QuerySet[Parcel]:
    shipments = _shipments_of(model_admin, rows)
    in_conflict = shipments.with_label_conflict()
    # The labels that fit the order stay.
    chosen = in_conflict if in_conflict.exists() else shipments
    return cancellable(Parcel.objects.filter(shipment__in=chosen.values("pk")))


def _in_conflict(model_admin: Any, rows: Rows) -> models.QuerySet[Shipment]:
    return _shipments_of(model_admin, rows).with_label_conflict()


def _is_in_conflict(state: OrderState) -> bool:
    return any(shipment.label_conflict for shipment in state.shipments)


def _may_cancel(state: OrderState) -> bool:
    return any(is_cancellable(parcel) for parcel in state.parcels)


def _orders_of(model_admin: Any, request: HttpRequest, shipments: list[Shipment]) -> Any:
    return model_admin.get_queryset(request).filter(pk__in=[shipment.order_pk for shipment in shipments])


def _owners(model_admin: Any, request: HttpRequest, parcels: list[Parcel]) -> Any:
    shipments = Shipment.objects.filter(pk__in={parcel.shipment_id for parcel in parcels})
    keys = list(shipments.values_list("order_pk", flat=True))
    return model_admin.get_queryset(request).filter(pk__in=keys)


PUSH = sendcloud_push
LABELS = label_action(
    "sendcloud_labels",
    _("Sendcloud labels"),
    _parcels_of,
    belongs_to="shipment__order_pk",
    owners=_owners,
    permission="sendcloud_print",
    offered=_has_label,
)
CANCEL_LABEL = cancel_action(
    "sendcloud_cancel_label", _cancellable, owners=_owners, permission="sendcloud_cancel", offered=_may_cancel
)
KEEP_LABEL = keep_action(
    "sendcloud_keep_label", _in_conflict, owners=_orders_of, permission="sendcloud_cancel", offered=_is_in_conflict
)
