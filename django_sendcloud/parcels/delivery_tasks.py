"""Orders that are not on their way: the reasons, each as a condition on shipments that an index serves."""

from __future__ import annotations

import datetime as dt
import functools
import operator
from collections.abc import Mapping

from django.db import models
from django.db.models import Q

from ..conf import conf
from ..enums import ParcelPhase
from ..models import Shipment, ShipmentStatus
from ..models.delivery import NO_PARCEL

__all__ = ["DeliveryTask", "any_task", "days_of", "delivery_task", "task_of"]


class DeliveryTask(models.TextChoices):
    """Reasons why an operator should look at the delivery of an order."""

    UNLABELLED = "unlabelled", "no parcel yet"
    UNSCANNED = "unscanned", "label not scanned"
    PICKUP = "pickup", "pickup about to expire"
    PROBLEM = "problem", "delivery problem"
    RETURNED = "returned", "returned"


_DELIVERIES: Mapping[DeliveryTask, str] = {
    DeliveryTask.UNLABELLED: NO_PARCEL,
    DeliveryTask.UNSCANNED: ParcelPhase.ANNOUNCED.value,
    DeliveryTask.PICKUP: ParcelPhase.AWAITING_PICKUP.value,
    DeliveryTask.PROBLEM: ParcelPhase.PROBLEM.value,
    DeliveryTask.RETURNED: ParcelPhase.RETURNED.value,
}


def days_of(task: DeliveryTask) -> float:
    """Return the days after which a delivery becomes this task."""
    settings = conf()
    return {
        DeliveryTask.UNLABELLED: settings.UNLABELLED_DAYS,
        DeliveryTask.UNSCANNED: settings.UNSCANNED_DAYS,
        DeliveryTask.PICKUP: settings.PICKUP_DAYS,
    }.get(task, 0.0)


def delivery_task(task: DeliveryTask, now: dt.datetime) -> Q:
    """Return the condition on shipments with this task: long enough in this state, not too long, and not handled."""
    since = now - dt.timedelta(days=days_of(task))
    found = Q(delivery=_DELIVERIES[task], delivery_at__range=(_oldest(now), since), delivery_handled=False)
    return found & Q(status=ShipmentStatus.SYNCED) if task is DeliveryTask.UNLABELLED else found


def any_task(now: dt.datetime) -> Q:
    """Return the condition on shipments with one of these tasks."""
    return functools.reduce(operator.or_, (delivery_task(task, now) for task in DeliveryTask))


def task_of(shipment: Shipment, now: dt.datetime) -> DeliveryTask | None:
    """Return the task of one shipment, as :func:`delivery_task` finds it; ``None`` if it has none."""
    task = next((task for task, delivery in _DELIVERIES.items() if delivery == shipment.delivery), None)
    if task is None or shipment.delivery_handled:
        return None
    if task is DeliveryTask.UNLABELLED and shipment.status != ShipmentStatus.SYNCED:
        return None
    return task if _oldest(now) <= shipment.delivery_at <= now - dt.timedelta(days=days_of(task)) else None


def _oldest(now: dt.datetime) -> dt.datetime:
    return now - dt.timedelta(days=conf().DELIVERY_TASK_DAYS)
