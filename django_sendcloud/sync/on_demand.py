"""One shipment at Sendcloud, on an operator's request: to look it up, or to delete it though its order wants it."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Greatest

from ..api.transport import not_after
from ..conf import conf
from ..core.clock import clock
from ..models import OutboxEntry, Shipment, ShipmentStatus
from . import limiter
from .backends import Outcome, backend_for
from .fold import add_entries, fold_all
from .outcomes import reaction_to

__all__ = ["Busy", "look_up", "withdraw"]


class Busy(Exception):
    """A worker has claimed the order: it works a little later."""


def look_up(shipment: Shipment) -> Any:
    """Return Sendcloud's present version of this shipment, ``None`` if it has none (operation: GET …/shipments).

    Raises:
        RateLimited: the rate limit leaves no room now, or Sendcloud says so.
        APIError: it could not be asked.
        SendcloudConfigurationError: the keys are missing, or cannot be read.
    """
    limiter.wait_for_turn(shipment.integration.account.pk, "safe")
    with backend_for(shipment.integration) as backend:
        found = backend.find(shipment)
    return found.result if found else None


def withdraw(shipment: Shipment) -> None:
    """Delete a shipment at Sendcloud now (operation: POST …/shipments/delete), though its order may still want it.

    It holds the order's lease meanwhile, so that no worker can push the order. A later change of the order is pushed
    as usual, which brings the shipment back.

    Raises:
        Busy: not now.
        APIError: it was rejected, or may not have arrived. Nothing is changed here.
        SendcloudConfigurationError: the keys are missing, or cannot be read.
    """
    database = conf().DATABASE
    integration = shipment.integration
    entries = OutboxEntry.objects.filter(order_type=shipment.order_type, order_pk=shipment.order_pk)
    lease = uuid.uuid4().hex
    clock.synchronize()
    fold_all()
    with transaction.atomic(using=database):
        waited = entries.exists()
        if not waited:
            add_entries(shipment.order_type, [shipment.order_pk])
        now = clock.now()
        rest = now + dt.timedelta(seconds=conf().LEASE_SECONDS + conf().QUARANTINE_SECONDS)
        held = entries.filter(not_before__lte=now).update(
            lease=lease,
            not_before=rest,
            due_at=rest,
            stamp=Greatest(F("stamp") + 1, Value(int(now.timestamp()))),
        )
        if not held:
            raise Busy
        mine = entries.get()
    try:
        limiter.wait_for_turn(integration.account.pk, "unsafe")
        with backend_for(integration) as backend, not_after(time.monotonic() + conf().LEASE_SECONDS):
            if backend.delete(shipment).outcome is not Outcome.DELETED:
                raise Busy
    except Exception as error:
        # The deletion may arrive late: the order is not pushed until it can no longer land. Then it is pushed again.
        unknown = reaction_to(error).unknown and not isinstance(error, Busy)
        pause = dt.timedelta(seconds=conf().QUARANTINE_SECONDS if unknown else 0.0)
        _release(entries.filter(lease=lease), mine, keep=waited or unknown, in_doubt=unknown, rest=pause)
        raise
    now = clock.now()
    with transaction.atomic(using=database):
        Shipment.objects.filter(pk=shipment.pk).update(
            status=ShipmentStatus.DELETED,
            errors={},
            digest="",
            stamp=Greatest(F("stamp"), Value(mine.stamp)),
            last_pushed_at=now,
            deleted_at=now,
        )
        _release(entries.filter(lease=lease), mine, keep=waited)


def _release(
    rows: QuerySet[OutboxEntry],
    entry: OutboxEntry,
    *,
    keep: bool,
    in_doubt: bool = False,
    rest: dt.timedelta = dt.timedelta(0),
) -> None:
    """Give the entry back. One that was made for this goes, unless the order has changed meanwhile."""
    if not keep and rows.filter(version=entry.version).delete()[0]:
        return
    until = clock.now() + rest
    values: dict[str, Any] = {"lease": "", "not_before": until, "due_at": until}
    rows.update(**values, **({"in_doubt": True} if in_doubt else {}))
