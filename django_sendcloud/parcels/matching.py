"""Matches of parcels with shipments: by UUID, else by external ids, else by an order number only one shipment has.

Of several candidates none is guessed: an operator assigns the parcel. The fields a v3 order answers with may lack the
UUID, so every key works alone; a v3 order of several shipments has ids of the form ``order/shipment``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from ..conf import conf
from ..core.retry import retry_transient
from ..enums import WebhookAction
from ..models import Parcel, ParcelStatus, Shipment, ShipmentStatus, WebhookEvent
from ..payloads.v3 import shipment_keys
from ..signals import work_due
from .delivery import store_deliveries
from .journey import phase_changes

__all__ = ["assign", "link_unmatched", "match", "match_all", "order_ids", "suggested"]

CHUNK = 500
# Shipments suggested for an unmatched parcel.
SUGGESTED = 5


def match(parcel: Parcel) -> Shipment | None:
    """Return the shipment that a parcel belongs to, ``None`` where none or several may be meant."""
    return next((shipment for _, shipment in match_all([parcel])), None)


def match_all(parcels: Sequence[Parcel]) -> Iterator[tuple[Parcel, Shipment]]:
    """Yield each parcel that has one shipment, with the shipment. Costs one query."""
    wanted = Q()
    for field, values in (
        ("uuid", {parcel.shipment_uuid for parcel in parcels} - {None}),
        ("external_order_id", {each for parcel in parcels for each in order_ids(parcel.external_order_id)}),
        ("order_number", {parcel.order_number for parcel in parcels} - {""}),
    ):
        if values:
            wanted |= Q(**{f"{field}__in": values})
    if not wanted:
        return
    integrations = {parcel.integration_id for parcel in parcels}
    found = list(Shipment.objects.filter(wanted, integration__in=integrations).order_by("pk"))
    for parcel in parcels:
        if shipment := _choose(parcel, [each for each in found if each.integration_id == parcel.integration_id]):
            yield parcel, shipment


def suggested(parcel: Parcel) -> list[Shipment]:
    """Return shipments that an unmatched parcel may belong to, the likeliest first.

    Order numbers are compared without case, blanks and signs, so that ``#1001`` finds ``1001`` and ``ORD-1001``.
    """
    mine = Shipment.objects.filter(integration=parcel.integration_id).order_by("-pk")
    found: dict[int, Shipment] = {}
    for number in sorted({parcel.order_number, parcel.external_order_id} - {""}):
        spelled = {"".join(number.split()), re.sub(r"\W", "", number), *re.split(r"[\W_]+", number)} - {""}
        spelled |= {each.upper() for each in spelled} | {each.lower() for each in spelled}
        exact = mine.filter(Q(order_number__in=spelled) | Q(external_order_id__in=spelled))[:SUGGESTED]
        digits = max(re.findall(r"\d+", number), key=len, default="")
        within = mine.filter(order_number__endswith=digits)[:SUGGESTED] if len(digits) >= 3 else []
        for shipment in [*exact, *within]:
            found.setdefault(shipment.pk, shipment)
    return list(found.values())[:SUGGESTED]


def order_ids(given: str) -> set[str]:
    """Return the order ids that a parcel's may mean: a v3 order of several shipments is named ``order/shipment``."""
    return {order_id for order_id, _ in shipment_keys(given)} - {""}


def _choose(parcel: Parcel, shipments: Sequence[Shipment]) -> Shipment | None:
    if parcel.shipment_uuid is not None:
        for shipment in shipments:
            if shipment.uuid == parcel.shipment_uuid:
                return shipment
    if parcel.external_order_id:
        ours = [each for each in shipments if each.external_order_id == parcel.external_order_id]
        if parcel.external_shipment_id:
            ours = [each for each in ours if each.external_shipment_id == parcel.external_shipment_id]
        if len(ours) == 1:
            return ours[0]
        # Not the first: the whole id as that of an order with one shipment.
        keys = set(shipment_keys(parcel.external_order_id)[1:])
        ours = [each for each in shipments if (each.external_order_id, each.external_shipment_id) in keys]
        if len(ours) == 1:
            return ours[0]
    if parcel.order_number:
        ours = [
            each
            for each in shipments
            if each.order_number == parcel.order_number and each.status != ShipmentStatus.DELETED
        ]
        if len(ours) == 1:
            return ours[0]
    return None


def link_unmatched() -> int:
    """Connect parcels with shipments that have become known since. Returns how many were connected.

    Costs two queries while there is nothing to connect, and three for each five hundred parcels otherwise.
    """
    total = 0
    while True:
        candidates = list(_candidates()[:CHUNK])
        linked = _link(candidates)
        total += linked
        if len(candidates) < CHUNK or not linked:
            break
    # No index finds the shipment of an id of the form ``order/shipment``: each such parcel is looked at.
    last = 0
    divided = Parcel.objects.unmatched().filter(external_order_id__contains="/").order_by("pk")
    while candidates := list(divided.filter(pk__gt=last)[:CHUNK]):
        last = candidates[-1].pk
        total += _link(candidates)
        if len(candidates) < CHUNK:
            break
    if total:
        work_due.send_robust(sender=WebhookEvent, queue="inbox")
    return total


def _link(parcels: Sequence[Parcel]) -> int:
    """Connect those of the parcels that have one shipment. Returns how many."""
    linked = 0
    for parcel, shipment in match_all(parcels):
        linked += retry_transient(functools.partial(assign, parcel, shipment, notify=False))
    return linked


def _candidates() -> QuerySet[Parcel]:
    """Return the unmatched parcels that exactly one shipment fits, oldest first."""
    shipments = Shipment.objects.filter(integration=OuterRef("integration"))
    by_order_id = shipments.filter(external_order_id=OuterRef("external_order_id")).exclude(external_order_id="")
    by_number = (
        shipments.filter(order_number=OuterRef("order_number"))
        .exclude(order_number="")
        .exclude(status=ShipmentStatus.DELETED)
    )
    return (
        Parcel.objects.unmatched()
        .annotate(_same_id=_number_of(by_order_id), _same_number=_number_of(by_number))
        .filter(
            Q(Exists(shipments.filter(uuid=OuterRef("shipment_uuid"))))
            | Q(Exists(by_order_id.filter(external_shipment_id=OuterRef("external_shipment_id"))))
            | Q(external_shipment_id="", _same_id=1)
            | Q(_same_number=1)
        )
        .order_by("pk")
    )


def _number_of(rows: QuerySet[Shipment]) -> Any:
    counted = rows.order_by().values("integration").annotate(_n=Count("pk")).values("_n")
    return Coalesce(Subquery(counted), 0)


def assign(parcel: Parcel, shipment: Shipment, *, notify: bool = True) -> bool:
    """Connect an unmatched parcel with a shipment, and make its journey known to the shipment's order.

    Returns:
        Whether it was unmatched until now.
    """
    database = conf().DATABASE
    with transaction.atomic(using=database):
        unmatched = Parcel.objects.filter(pk=parcel.pk, shipment__isnull=True)
        if not unmatched.update(shipment=shipment):
            return False
        parcel.shipment = shipment
        store_deliveries([shipment.pk])
        steps: Iterable[ParcelStatus] = ParcelStatus.objects.filter(parcel=parcel)
        WebhookEvent.objects.follow(parcel, WebhookAction.PARCEL_LINKED, phase_changes(steps))
        if notify:
            transaction.on_commit(
                lambda: work_due.send_robust(sender=WebhookEvent, queue="inbox"), using=database, robust=True
            )
    return True
