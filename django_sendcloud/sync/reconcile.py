"""Comparing both sides: everything Sendcloud has, against everything we believe it has.

It streams: one page in memory, the cursor saved after each, so that it goes on where it was interrupted. A
difference is acted on only when two scans in a row agree on it, because a list that changes while it is read can
miss a shipment; and a shipment that we do not know is never deleted.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from django.db import transaction
from django.db.models import F, Min, Q, QuerySet

from ..api import Shipment as RemoteShipment
from ..clock import clock
from ..conf import SendcloudConfigurationError, conf
from ..exceptions import APIError, NotFound
from ..models import Integration, OutboxEntry, Scan, Shipment, ShipmentStatus
from . import limiter
from .record import record

__all__ = ["Difference", "differences", "reconcile_all", "repair", "scan", "suspects"]

logger = logging.getLogger("django_sendcloud.sync")

# Scans in a row that must agree before anything is done.
SCANS_TO_ACT = 2
CHUNK = 1000

Progress = Callable[[Scan], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One shipment on which the two sides do not agree."""

    kind: Literal["unknown", "missing", "stale", "undead", "rejected"]
    """``unknown``: only there. ``missing``: only here. ``stale``: something older there. ``undead``: deleted here,
    still there. ``rejected``: the order waits for a correction."""
    order_number: str
    external_order_id: str
    external_shipment_id: str
    scans: int = 0
    """How many comparisons in a row have found it."""


def scan(
    integration: Integration,
    *,
    progress: Progress | None = None,
    unknown: Callable[[Difference], None] | None = None,
) -> Scan:
    """Compare one integration, going on with a scan that was interrupted.

    Args:
        integration: Which one.
        progress: Called after each page.
        unknown: Called for each shipment that only Sendcloud has, as it is read: nothing is stored of those.

    Returns:
        The finished scan with its counts.

    Raises:
        APIError: Sendcloud could not be asked; the next call goes on from here.
    """
    current = _unfinished(integration)
    try:
        _read(integration, current, progress, unknown)
    except NotFound as error:
        if error.resource != "page" or not current.cursor:
            raise
        # A cursor that Sendcloud does not know any more: begin anew.
        current.delete()
        current = _unfinished(integration)
        _read(integration, current, progress, unknown)
    _finish(current)
    return current


def _unfinished(integration: Integration) -> Scan:
    database = conf().DATABASE
    found = Scan.objects.using(database).filter(integration=integration, finished_at__isnull=True).last()
    if found is not None:
        return found
    clock.synchronize()
    first = Shipment.objects.using(database).filter(integration=integration).aggregate(first=Min("created_at"))["first"]
    since = (first or clock.now()).date() - dt.timedelta(days=1)
    return Scan.objects.using(database).create(integration=integration, start_date=since, started_at=clock.now())


def _read(
    integration: Integration,
    current: Scan,
    progress: Progress | None,
    unknown: Callable[[Difference], None] | None,
) -> None:
    with integration.client(limiter=_HalfTheBudget(integration.account.pk)) as client:
        pages = client.shipments(integration.remote_id).pages(
            start_date=current.start_date, cursor=current.cursor or None
        )
        for page in pages:
            with transaction.atomic(using=conf().DATABASE):
                strangers = _compare(current, page.results)
                current.pages += 1
                current.cursor = page.next_cursor or ""
                current.save(using=conf().DATABASE)
            if unknown is not None:
                for remote in strangers:
                    ids = remote.external_order_id or "", remote.external_shipment_id or ""
                    unknown(Difference("unknown", remote.order_number or "", *ids))
            if progress is not None:
                progress(current)


class _HalfTheBudget:
    """Two tokens for each request: a scan leaves at least half of the account's reading budget to others."""

    def __init__(self, account_pk: int) -> None:
        self._limiter = limiter.AccountLimiter(account_pk)

    def acquire(self, kind: limiter.Kind) -> None:
        self._limiter.acquire(kind)
        self._limiter.acquire(kind)


def _compare(current: Scan, page: Sequence[RemoteShipment]) -> list[RemoteShipment]:
    """Hold a page against what stands here. Returns what does not stand here at all."""
    rows = Shipment.objects.using(conf().DATABASE).filter(
        integration_id=current.integration_id,
        external_order_id__in={remote.external_order_id for remote in page},
    )
    known = {(row.external_order_id, row.external_shipment_id): row for row in rows}
    strangers: list[RemoteShipment] = []
    fine: list[int] = []
    differs: list[int] = []
    for remote in page:
        current.seen += 1
        row = known.get((remote.external_order_id, remote.external_shipment_id or ""))
        if row is None:
            current.unknown += 1
            strangers.append(remote)
        elif row.status == ShipmentStatus.DELETED:
            current.undead += 1
            differs.append(row.pk)
        elif row.stamp and _stamp(remote) != row.stamp and row.status == ShipmentStatus.SYNCED:
            current.stale += 1
            differs.append(row.pk)
        else:
            fine.append(row.pk)
    shipments = Shipment.objects.using(conf().DATABASE).exclude(seen_scan=current.pk)
    shipments.filter(pk__in=fine).update(seen_scan=current.pk, suspicion=0)
    shipments.filter(pk__in=differs).update(seen_scan=current.pk, suspicion=F("suspicion") + 1)
    return strangers


def _stamp(remote: RemoteShipment) -> int:
    sent = remote.shipment_updated_at
    return 0 if sent is None else int(sent.timestamp())


def _absent(current: Scan) -> QuerySet[Shipment]:
    """What should have been seen and was not: told before the scan began, and not seen in it."""
    return (
        Shipment.objects.using(conf().DATABASE)
        .filter(
            integration_id=current.integration_id,
            status=ShipmentStatus.SYNCED,
            told_at__lt=current.started_at,
        )
        .exclude(seen_scan=current.pk)
    )


def _finish(current: Scan) -> None:
    with transaction.atomic(using=conf().DATABASE):
        absent = _absent(current)
        current.missing = absent.update(suspicion=F("suspicion") + 1)
        # A tombstone that was not seen is as it should be.
        Shipment.objects.using(conf().DATABASE).filter(
            integration_id=current.integration_id, status=ShipmentStatus.DELETED, suspicion__gt=0
        ).exclude(seen_scan=current.pk).update(suspicion=0)
        current.finished_at = clock.now()
        current.cursor = ""
        current.save(using=conf().DATABASE)


def differences(integration: Integration, current: Scan) -> Iterator[Difference]:
    """Everything on which the two sides do not agree, but for what only Sendcloud has; one at a time.

    Args:
        integration: Which one.
        current: Its scan, finished.
    """
    database = conf().DATABASE
    rows = Shipment.objects.using(database).filter(integration=integration, suspicion__gt=0).order_by("pk")
    for shipment in rows.iterator(chunk_size=CHUNK):
        kind: Literal["missing", "stale", "undead"] = "missing"
        if shipment.seen_scan == current.pk:
            kind = "undead" if shipment.status == ShipmentStatus.DELETED else "stale"
        yield Difference(
            kind,
            shipment.order_number,
            shipment.external_order_id,
            shipment.external_shipment_id,
            shipment.suspicion,
        )
    stuck = OutboxEntry.objects.using(database).stuck().filter(integration=integration).order_by("pk")
    for entry in stuck.iterator(chunk_size=CHUNK):
        yield Difference("rejected", entry.order_number, entry.order_pk, "")


def suspects(integration: Integration) -> QuerySet[Shipment]:
    """Shipments that two scans in a row found different, and whose orders do not wait in the outbox anyway."""
    return Shipment.objects.using(conf().DATABASE).filter(integration=integration, suspicion__gte=SCANS_TO_ACT)


def repair(integration: Integration, current: Scan) -> int:
    """Have everything told again that two scans agree on. Returns how many orders that are.

    What is told is the order's state of then, by the usual way: through the outbox.
    """
    total = 0
    while rows := list(suspects(integration).order_by("pk").values_list("pk", "order_type", "order_pk")[:CHUNK]):
        with transaction.atomic(using=conf().DATABASE):
            mine = Shipment.objects.using(conf().DATABASE).filter(pk__in=[row[0] for row in rows])
            # Not skipped as known; and what we took for deleted counts as there again, so that it can be deleted.
            mine.filter(Q(status=ShipmentStatus.DELETED)).update(status=ShipmentStatus.PENDING)
            mine.update(digest="", suspicion=0)
            by_type: dict[str, set[str]] = {}
            for _, order_type, order_pk in rows:
                by_type.setdefault(order_type, set()).add(order_pk)
            for order_type, pks in by_type.items():
                total += record(order_type, sorted(pks))
    current.repaired = total
    current.save(using=conf().DATABASE, update_fields=["repaired"])
    return total


def reconcile_all() -> int:
    """Scan and repair every running integration; one that cannot be asked is left for the next time."""
    total = 0
    for integration in Integration.objects.using(conf().DATABASE).running().select_related("account"):
        try:
            total += repair(integration, scan(integration))
        except (APIError, SendcloudConfigurationError) as error:
            logger.warning("Integration %s could not be compared: %s.", integration.remote_id, type(error).__name__)
    return total


def waiting_rejected(integration: Integration) -> int:
    """How many orders Sendcloud refused and that wait for a correction."""
    return OutboxEntry.objects.using(conf().DATABASE).stuck().filter(integration=integration).count()
