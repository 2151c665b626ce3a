"""Comparing both sides: everything Sendcloud has, against everything we believe it has.

It streams: one page in memory, the cursor saved after each, so that it goes on where it was interrupted. A
difference is acted on only when two scans in a row agree on it, because a list that changes while it is read can
miss a shipment; and a shipment that we do not know is never deleted. One at a time reads an integration.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from django.db import transaction
from django.db.models import F, Q, QuerySet

from ..adapters import database_of, keys_of, registry
from ..api import Shipment as RemoteShipment
from ..clock import clock
from ..conf import SendcloudConfigurationError, conf
from ..exceptions import APIError, NotFound
from ..models import Integration, OutboxEntry, Scan, Shipment, ShipmentStatus
from . import breaker, limiter
from .fold import fold_all
from .record import record

__all__ = ["Difference", "Postponed", "differences", "reconcile_all", "repair", "scan", "suspects"]

logger = logging.getLogger("django_sendcloud.sync")

# Scans in a row that must agree before anything is done.
SCANS_TO_ACT = 2
CHUNK = 1000
# Before any shipment: Sendcloud shows only the last year unless it is asked for more.
EARLIEST = dt.date(2010, 1, 1)
# A scan that was interrupted longer ago than this begins anew: what it has seen says little of now.
TOO_OLD = dt.timedelta(days=2)
# Who reads renews his right with each page. Long enough for one that has to wait for its turn.
LEASE = dt.timedelta(minutes=5)

Progress = Callable[[Scan], None]


class Postponed(Exception):
    """The comparison cannot be made, or go on, now; says why. What it has found so far is kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One shipment on which the two sides do not agree."""

    kind: Literal["unknown", "missing", "stale", "undead", "orphaned", "rejected"]
    """``unknown``: only there. ``missing``: only here. ``stale``: something older there. ``undead``: deleted here,
    still there. ``orphaned``: its order was deleted from the shop's database without anybody hearing of it.
    ``rejected``: the order waits for a correction."""
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
        Postponed: somebody else compares it just now, or nothing may be sent to Sendcloud.
        APIError: Sendcloud could not be asked; the next call goes on from here.
    """
    current = _take(integration)
    try:
        try:
            _read(integration, current, progress, unknown)
        except NotFound as error:
            if error.resource != "page" or not current.cursor:
                raise
            # A cursor that Sendcloud does not know any more: begin anew.
            if not _forget(_mine(current)):
                raise _lost() from None
            current = _take(integration)
            _read(integration, current, progress, unknown)
        _finish(current)
    finally:
        _mine(current).update(lease="", leased_until=None)
    return current


def _take(integration: Integration) -> Scan:
    """The scan to go on with, or a new one, for us alone."""
    database = conf().DATABASE
    clock.synchronize()
    now = clock.now()
    scans = Scan.objects.using(database)
    with transaction.atomic(using=database):
        # A write that changes nothing is a lock that every database knows: of two that begin at once, one waits here.
        Integration.objects.using(database).filter(pk=integration.pk).update(remote_id=F("remote_id"))
        unfinished = scans.filter(integration=integration, finished_at__isnull=True)
        found = unfinished.order_by("pk").last()
        if found is not None and found.leased_until is not None and found.leased_until > now:
            raise Postponed(
                f"Another process is comparing this integration since {found.started_at:%Y-%m-%d %H:%M:%S} UTC."
            )
        if found is None or found.started_at < now - TOO_OLD:
            _forget(unfinished)
            found = Scan(integration=integration, start_date=EARLIEST, started_at=now)
        found.lease, found.leased_until = uuid.uuid4().hex, now + LEASE
        found.save(using=database)
    return found


def _mine(current: Scan) -> QuerySet[Scan]:
    return Scan.objects.using(conf().DATABASE).filter(pk=current.pk, lease=current.lease)


def _save(current: Scan, **values: Any) -> None:
    """Write down how far it has got, unless somebody else has gone on with it meanwhile."""
    counts = ("pages", "cursor", "seen", "unknown", "stale", "undead", "orphaned", "missing")
    if not _mine(current).update(**{name: getattr(current, name) for name in counts}, **values):
        raise _lost()


def _lost() -> Postponed:
    return Postponed("Another process has gone on with this comparison, because this one was heard of no more.")


def _forget(unfinished: QuerySet[Scan]) -> int:
    """Delete scans that nobody will finish. What they found does not count: only a whole one agrees with another."""
    database = conf().DATABASE
    with transaction.atomic(using=database):
        pks = list(unfinished.values_list("pk", flat=True))
        found = Shipment.objects.using(database).filter(seen_scan__in=pks, suspicion__gt=0)
        found.update(suspicion=F("suspicion") - 1)
        return unfinished.delete()[0]


def _read(
    integration: Integration,
    current: Scan,
    progress: Progress | None,
    unknown: Callable[[Difference], None] | None,
) -> None:
    if current.pages and not current.cursor:
        # It was interrupted between its last page and its end.
        return
    budget = _HalfTheBudget(integration)
    with integration.client(limiter=budget) as client:
        pages = client.shipments(integration.remote_id).pages(
            start_date=current.start_date, cursor=current.cursor or None
        )
        for page in pages:
            budget.went_well()
            with transaction.atomic(using=conf().DATABASE):
                strangers = _compare(current, page.results)
                current.pages += 1
                current.cursor = page.next_cursor or ""
                _save(current, leased_until=clock.now() + LEASE)
            if unknown is not None:
                for remote in strangers:
                    ids = remote.external_order_id or "", remote.external_shipment_id or ""
                    unknown(Difference("unknown", remote.order_number or "", *ids))
            if progress is not None:
                progress(current)


class _HalfTheBudget:
    """Two tokens for each request: a scan leaves at least half of the account's reading budget to others.

    And none at all while the integration is paused, or its account is to be left alone. Where Sendcloud was, and no
    order waits that could find out whether it is back, the scan's own request does.
    """

    def __init__(self, integration: Integration) -> None:
        self._integration = integration
        self._trial = False

    def acquire(self, kind: limiter.Kind) -> None:
        for _ in range(2):
            while answer := limiter.ask(self._integration, kind, trial=self._trial):
                if not isinstance(answer, limiter.Closed):
                    clock.sleep(answer)
                elif answer.reason == "open" and breaker.take_probe(self._integration.account, clock.now()):
                    self._trial = True
                else:
                    raise Postponed(_WHY[answer.reason])

    def went_well(self) -> None:
        if self._trial:
            breaker.succeeded(self._integration.account, trial=True)
        self._trial = False


_WHY = {
    "paused": "The integration is paused, or not in use.",
    "blocked": "Sendcloud has asked to be left alone for a while.",
    "open": "Sendcloud has failed several times, and is left alone for a while.",
}


def _compare(current: Scan, page: Sequence[RemoteShipment]) -> list[RemoteShipment]:
    """Hold a page against what stands here. Returns what does not stand here at all."""
    rows = Shipment.objects.using(conf().DATABASE).filter(
        integration_id=current.integration_id,
        external_order_id__in={remote.external_order_id for remote in page},
    )
    known = {(row.external_order_id, row.external_shipment_id): row for row in rows}
    gone = _without_order(row for row in known.values() if row.status == ShipmentStatus.SYNCED)
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
        elif row.pk in gone:
            current.orphaned += 1
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


def _without_order(rows: Iterable[Shipment]) -> set[int]:
    """Those whose order is not in the shop's database. A query for each kind of order."""
    by_type: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        by_type.setdefault(row.order_type, {}).setdefault(row.order_pk, []).append(row.pk)
    gone: set[int] = set()
    for order_type, pks in by_type.items():
        adapter = registry.for_order_type(order_type)
        if adapter is None:
            continue
        orders = adapter.model._base_manager.using(database_of(order_type, adapter.model))
        there = orders.filter(pk__in=keys_of(adapter.model, pks)).values_list("pk", flat=True)
        for pk in pks.keys() - {str(pk) for pk in there}:
            gone.update(pks[pk])
    return gone


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
        current.missing = _absent(current).count()
        current.finished_at = clock.now()
        current.cursor = ""
        # First, as it is what says that this scan is ours to finish.
        _save(current, finished_at=current.finished_at)
        _absent(current).update(suspicion=F("suspicion") + 1)
        # A tombstone that was not seen is as it should be.
        Shipment.objects.using(conf().DATABASE).filter(
            integration_id=current.integration_id, status=ShipmentStatus.DELETED, suspicion__gt=0
        ).exclude(seen_scan=current.pk).update(suspicion=0)


def differences(integration: Integration, current: Scan) -> Iterator[Difference]:
    """Everything on which the two sides do not agree, but for what only Sendcloud has; one at a time.

    Args:
        integration: Which one.
        current: Its scan, finished.
    """
    database = conf().DATABASE
    for rows in _in_portions(Shipment.objects.using(database).filter(integration=integration, suspicion__gt=0)):
        gone = _without_order(rows)
        for shipment in rows:
            kind: Literal["missing", "stale", "undead", "orphaned"] = "missing"
            if shipment.seen_scan == current.pk:
                kind = "orphaned" if shipment.pk in gone else "stale"
                kind = "undead" if shipment.status == ShipmentStatus.DELETED else kind
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


def _in_portions(rows: QuerySet[Shipment]) -> Iterator[list[Shipment]]:
    last = 0
    while portion := list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        last = portion[-1].pk
        yield portion


def suspects(integration: Integration) -> QuerySet[Shipment]:
    """Shipments that two scans in a row found different."""
    return Shipment.objects.using(conf().DATABASE).filter(integration=integration, suspicion__gte=SCANS_TO_ACT)


def repair(integration: Integration, current: Scan) -> int:
    """Have everything told again that two scans agree on. Returns how many orders that are.

    What is told is the order's state of then, by the usual way: through the outbox.
    """
    fold_all()
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
        except Postponed as reason:
            logger.info("Integration %s is compared later. %s", integration.remote_id, reason)
        except (APIError, SendcloudConfigurationError) as error:
            logger.warning("Integration %s could not be compared: %s.", integration.remote_id, type(error).__name__)
    return total


def waiting_rejected(integration: Integration) -> int:
    """How many orders Sendcloud refused and that wait for a correction."""
    return OutboxEntry.objects.using(conf().DATABASE).stuck().filter(integration=integration).count()
