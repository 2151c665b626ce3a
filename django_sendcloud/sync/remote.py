"""One shipment at Sendcloud, by a person's wish: looking it up, and deleting it whatever its order says."""

from __future__ import annotations

import datetime as dt
import itertools
import time
import uuid
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Greatest

from ..api import Shipment as RemoteShipment
from ..api import not_after
from ..clock import clock
from ..conf import conf
from ..models import OutboxEntry, Shipment, ShipmentStatus
from . import limiter
from .fold import fold_all, put_in
from .outcomes import reaction_to

__all__ = ["Busy", "look_up", "withdraw"]

# Read of Sendcloud's list to find one shipment by its ids.
MOST_PAGES = 3


class Busy(Exception):
    """A worker has the order in hand, or Sendcloud takes no more requests for the moment: a little later it goes."""


def look_up(shipment: Shipment) -> RemoteShipment | None:
    """What Sendcloud has of this shipment now, ``None`` if it has nothing (operation: GET …/shipments).

    Raises:
        APIError: it could not be asked.
        SendcloudConfigurationError: the keys are missing, or cannot be read.
    """
    integration = shipment.integration
    limiter.acquire(integration.account.pk, "safe")
    key = shipment.external_order_id, shipment.external_shipment_id
    with integration.client(retries=0) as client:
        pages = client.shipments(integration.remote_id).pages(
            # Without it, Sendcloud shows only the last year.
            start_date=(shipment.created_at - dt.timedelta(days=1)).date(),
            external_order_ids=[key[0]],
            external_shipment_ids=[key[1]] if key[1] else [],
        )
        # One page has it, unless Sendcloud did not understand the filters: that must not become a walk through all.
        found = [remote for page in itertools.islice(pages, MOST_PAGES) for remote in page.results]
    return next((remote for remote in found if remote.key == key), None)


def withdraw(shipment: Shipment) -> None:
    """Delete a shipment at Sendcloud now (operation: POST …/shipments/delete), though its order may still want it.

    It holds the order's lease meanwhile, so nobody else can tell Sendcloud of the order. What changes of the order
    later is told as usual, which brings the shipment back.

    Raises:
        Busy: not now.
        APIError: it was refused, or may not have arrived. Nothing is changed here.
        SendcloudConfigurationError: the keys are missing, or cannot be read.
    """
    database = conf().DATABASE
    integration = shipment.integration
    entries = OutboxEntry.objects.using(database).filter(order_type=shipment.order_type, order_pk=shipment.order_pk)
    lease = uuid.uuid4().hex
    clock.synchronize()
    fold_all()
    with transaction.atomic(using=database):
        waited = entries.exists()
        if not waited:
            put_in(shipment.order_type, [shipment.order_pk])
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
        if limiter.acquire(integration.account.pk, "unsafe"):
            raise Busy
        with integration.client(retries=0) as client, not_after(time.monotonic() + conf().LEASE_SECONDS):
            client.shipments(integration.remote_id).delete(**shipment.reference())
    except Exception as error:
        # It may arrive late: nothing is told of the order before it can no longer land. Then its state is told anew.
        unknown = reaction_to(error).unknown and not isinstance(error, Busy)
        pause = dt.timedelta(seconds=conf().QUARANTINE_SECONDS if unknown else 0.0)
        _release(entries.filter(lease=lease), mine, keep=waited or unknown, in_doubt=unknown, rest=pause)
        raise
    now = clock.now()
    with transaction.atomic(using=database):
        Shipment.objects.using(database).filter(pk=shipment.pk).update(
            status=ShipmentStatus.DELETED,
            errors={},
            digest="",
            stamp=Greatest(F("stamp"), Value(mine.stamp)),
            told_at=now,
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
