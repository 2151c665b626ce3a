"""The comparison of both sides: everything Sendcloud has, against everything we believe it has.

It streams: one page in memory, the cursor saved after each, so that it goes on where it was interrupted. A
difference is acted on only when two comparisons in a row agree on it, because a list that changes while it is read can
miss a shipment; and a shipment that we do not know is never deleted. One process at a time reads the list of an
integration.
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

from ..conf import conf
from ..core.clock import clock
from ..core.interruption import interruptions
from ..exceptions import NotFound
from ..models import Integration, OutboxEntry, ReconciliationRun, Shipment, ShipmentStatus
from ..orders import database_for, orders_by_key
from ..registry import registry
from . import breaker, limiter
from .backends import Backend, RemoteItem, backend_class
from .deployment_guard import pause_if_copy
from .fold import fold_all
from .push.frozen import has_label, is_frozen, with_frozen
from .record import record

__all__ = [
    "RUNS_TO_ACT",
    "Difference",
    "Postponed",
    "compare",
    "differences",
    "different_shipments",
    "reconcile_all",
    "repair",
    "request_comparison",
    "to_repair",
]

logger = logging.getLogger("django_sendcloud.sync")

# Comparisons in a row that must agree before anything is done.
RUNS_TO_ACT = 2
CHUNK = 1000
# The number of missing shipments, or their share of all, that is pushed again without asking a person. (In an empty
# list, all are missing, also those of a small shop.)
MISSING_WITHOUT_APPROVAL = 10
MISSING_SHARE = 0.1
# A comparison that began longer ago than this starts again, because the shipments it has seen may have changed.
TOO_OLD = dt.timedelta(days=2)
# The process that reads renews its lease with each page. Long enough for one that waits for its turn.
LEASE = dt.timedelta(minutes=5)

Progress = Callable[[ReconciliationRun], None]


class Postponed(Exception):
    """The comparison cannot be made, or continued, now; the text says why. Its findings so far are kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One shipment on which the two sides do not agree."""

    kind: Literal["unknown", "missing", "stale", "undeleted", "orphaned", "stuck"]
    """``unknown``: only there. ``missing``: only here. ``stale``: something older there. ``undeleted``: deleted here,
    still there. ``orphaned``: its order was deleted from the shop's database without a signal.
    ``stuck``: the order was rejected or dead-lettered, and waits for a person."""
    order_number: str
    external_order_id: str
    external_shipment_id: str
    runs: int = 0
    """The number of comparisons in a row that have found it."""


def compare(
    integration: Integration,
    *,
    progress: Progress | None = None,
    unknown: Callable[[Difference], None] | None = None,
) -> ReconciliationRun:
    """Compare one integration, going on with a comparison that was interrupted.

    Args:
        integration: Which one.
        progress: Called after each page.
        unknown: Called for each shipment that only Sendcloud has, as it is read: nothing is stored of those.

    Returns:
        The finished comparison with its counts.

    Raises:
        Postponed: another process compares it just now, or nothing may be sent to Sendcloud.
        APIError: Sendcloud could not be asked; the next call goes on from here.
    """
    current = _take(integration)
    try:
        try:
            _read(integration, current, progress, unknown)
        except NotFound as error:
            if error.resource != "page" or not current.cursor:
                raise
            # Sendcloud does not know the cursor any more: start again.
            if not _forget(_mine(current)):
                raise _lost() from None
            current = _take(integration)
            _read(integration, current, progress, unknown)
        _finish(current)
    finally:
        _mine(current).update(lease="", leased_until=None)
    return current


def _take(integration: Integration) -> ReconciliationRun:
    """Return the unfinished comparison to go on with, or a new one, leased to this process."""
    database = conf().DATABASE
    clock.synchronize()
    now = clock.now()
    runs = ReconciliationRun.objects
    with transaction.atomic(using=database):
        # A write that changes nothing is a lock in every database: of two processes that start together, one waits.
        Integration.objects.filter(pk=integration.pk).update(remote_id=F("remote_id"))
        unfinished = runs.filter(integration=integration, finished_at__isnull=True)
        found = unfinished.order_by("pk").last()
        if found is not None and found.leased_until is not None and found.leased_until > now:
            raise Postponed(
                f"Another process is comparing this integration since {found.started_at:%Y-%m-%d %H:%M:%S} UTC."
            )
        if found is None or found.started_at < now - TOO_OLD:
            _forget(unfinished)
            found = ReconciliationRun(integration=integration, started_at=now)
        found.lease, found.leased_until = uuid.uuid4().hex, now + LEASE
        found.save(using=database)
    return found


def _mine(current: ReconciliationRun) -> QuerySet[ReconciliationRun]:
    return ReconciliationRun.objects.filter(pk=current.pk, lease=current.lease)


def _save(current: ReconciliationRun, **values: Any) -> None:
    """Store the comparison's progress, unless another process has taken it over."""
    counts = ("pages", "cursor", "seen", "unknown", "stale", "undeleted", "orphaned", "missing")
    if not _mine(current).update(**{name: getattr(current, name) for name in counts}, **values):
        raise _lost()


def _lost() -> Postponed:
    return Postponed("Another process has taken over this comparison, because this one did not renew its lease.")


def _forget(unfinished: QuerySet[ReconciliationRun]) -> int:
    """Delete comparisons that will not be finished, and their findings: only a complete one can confirm another."""
    database = conf().DATABASE
    with transaction.atomic(using=database):
        pks = list(unfinished.values_list("pk", flat=True))
        found = Shipment.objects.filter(seen_run__in=pks, mismatches__gt=0)
        found.update(mismatches=F("mismatches") - 1)
        return unfinished.delete()[0]


def _read(
    integration: Integration,
    current: ReconciliationRun,
    progress: Progress | None,
    unknown: Callable[[Difference], None] | None,
) -> None:
    if current.pages and not current.cursor:
        # It was interrupted between its last page and its end.
        return
    budget = _ComparisonLimiter(integration)
    # The client repeats a page that failed for a moment.
    with backend_class(integration)(integration, limiter=budget, retries=2) as backend:
        for page in backend.pages(current.cursor or None):
            budget.succeeded()
            with transaction.atomic(using=conf().DATABASE):
                strangers = _compare_page(backend, current, page.results)
                current.pages += 1
                current.cursor = page.next_cursor or ""
                _save(current, leased_until=clock.now() + LEASE)
            if unknown is not None:
                for remote in strangers:
                    unknown(Difference("unknown", remote.order_number, *remote.key))
            if progress is not None:
                progress(current)


class _ComparisonLimiter:
    """Two tokens for each request: a comparison leaves at least half of the account's reading budget to others.

    It sends none while the integration is paused, or its account is closed. Where failures have closed the account and
    no order waits for the trial, the comparison's own request is the trial.
    """

    def __init__(self, integration: Integration) -> None:
        self._integration = integration
        self._trial = False

    def acquire(self, kind: limiter.Kind) -> None:
        for _ in range(2):
            while answer := limiter.ask(self._integration, kind, trial=self._trial):
                if not isinstance(answer, limiter.Closed):
                    clock.sleep(answer)
                elif answer.reason == "open" and breaker.take_trial(self._integration.account, clock.now()):
                    self._trial = True
                else:
                    raise Postponed(_WHY[answer.reason])

    def succeeded(self) -> None:
        if self._trial:
            breaker.succeeded(self._integration.account, trial=True)
        self._trial = False


_WHY = {
    "paused": "The integration is paused, or not in use.",
    "blocked": "Sendcloud has asked to be left alone for a while.",
    "open": "Sendcloud has failed several times, and is left alone for a while.",
}


def _compare_page(backend: Backend, current: ReconciliationRun, page: Sequence[RemoteItem]) -> list[RemoteItem]:
    """Compare a page with the stored shipments. Return what is not stored here at all."""
    rows = with_frozen(
        Shipment.objects.filter(
            integration_id=current.integration_id,
            external_order_id__in={remote.key[0] for remote in page},
        )
    )
    known = {(row.external_order_id, row.external_shipment_id): row for row in rows}
    # One with a label stays, though its order is gone.
    gone = _without_order(row for row in known.values() if row.status == ShipmentStatus.SYNCED and not is_frozen(row))
    strangers: list[RemoteItem] = []
    fine: list[int] = []
    differs: list[int] = []
    for remote in page:
        current.seen += 1
        row = known.get(remote.key)
        if row is None:
            current.unknown += 1
            strangers.append(remote)
        elif row.status == ShipmentStatus.DELETED:
            current.undeleted += 1
            differs.append(row.pk)
        elif row.pk in gone:
            current.orphaned += 1
            differs.append(row.pk)
        elif row.status == ShipmentStatus.SYNCED and not backend.is_current(remote, row):
            current.stale += 1
            differs.append(row.pk)
        else:
            fine.append(row.pk)
    shipments = Shipment.objects.exclude(seen_run=current.pk)
    shipments.filter(pk__in=fine).update(seen_run=current.pk, mismatches=0)
    shipments.filter(pk__in=differs).update(seen_run=current.pk, mismatches=F("mismatches") + 1)
    return strangers


def _without_order(rows: Iterable[Shipment]) -> set[int]:
    """Return the keys of shipments whose order is not in the shop's database. Takes a query for each kind of order."""
    by_type: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        by_type.setdefault(row.order_type, {}).setdefault(row.order_pk, []).append(row.pk)
    gone: set[int] = set()
    for order_type, pks in by_type.items():
        adapter = registry.for_order_type(order_type)
        if adapter is None:
            continue
        orders = adapter.model._base_manager.using(database_for(order_type, adapter.model)).only("pk")
        for pk in pks.keys() - orders_by_key(orders, pks).keys():
            gone.update(pks[pk])
    return gone


def _absent(current: ReconciliationRun) -> QuerySet[Shipment]:
    """Return the shipments that the comparison missed: pushed before it began, not seen in it, and without a label.

    One with a label is never pushed again under its ids: its goods would be offered twice.
    """
    rows = Shipment.objects.filter(
        integration_id=current.integration_id,
        status=ShipmentStatus.SYNCED,
        last_pushed_at__lt=current.started_at,
    )
    return rows.exclude(seen_run=current.pk).filter(~has_label())


def _finish(current: ReconciliationRun) -> None:
    with transaction.atomic(using=conf().DATABASE):
        current.missing = _absent(current).count()
        current.finished_at = clock.now()
        current.cursor = ""
        # First, as it is what says that this comparison is ours to finish.
        _save(current, finished_at=current.finished_at)
        _absent(current).update(mismatches=F("mismatches") + 1)
        # A tombstone that was not seen is as it should be, and a labelled shipment may be.
        unseen = Shipment.objects.filter(integration_id=current.integration_id, mismatches__gt=0)
        explained = Q(status=ShipmentStatus.DELETED) | Q(has_label())
        unseen.exclude(seen_run=current.pk).filter(explained).update(mismatches=0)


def differences(integration: Integration, current: ReconciliationRun) -> Iterator[Difference]:
    """Yield each difference between the two sides, except the shipments that only Sendcloud has.

    Args:
        integration: Which one.
        current: Its comparison, finished.
    """
    for shipment, kind in different_shipments(integration, current):
        yield Difference(
            kind,
            shipment.order_number,
            shipment.external_order_id,
            shipment.external_shipment_id,
            shipment.mismatches,
        )
    stuck = OutboxEntry.objects.stuck().filter(integration=integration).order_by("pk")
    for entry in stuck.iterator(chunk_size=CHUNK):
        yield Difference("stuck", entry.order_number, entry.order_pk, "")


def different_shipments(
    integration: Integration, current: ReconciliationRun
) -> Iterator[tuple[Shipment, Literal["missing", "stale", "undeleted", "orphaned"]]]:
    """Yield each shipment that a finished comparison found different, with the kind of its difference."""
    for rows in _in_portions(Shipment.objects.different().filter(integration=integration)):
        gone = _without_order(rows)
        for shipment in rows:
            kind: Literal["missing", "stale", "undeleted", "orphaned"] = "missing"
            if shipment.seen_run == current.pk:
                kind = "orphaned" if shipment.pk in gone else "stale"
                kind = "undeleted" if shipment.status == ShipmentStatus.DELETED else kind
            yield shipment, kind


def request_comparison(integration: Integration) -> bool:
    """Have the next reconciliation compare this integration. Return whether that is possible and was not asked yet."""
    if not integration.is_active or integration.is_paused:
        return False
    database = conf().DATABASE
    with transaction.atomic(using=database):
        # As in ``_take``: of two requests, one waits for the other.
        Integration.objects.filter(pk=integration.pk).update(remote_id=F("remote_id"))
        unfinished = ReconciliationRun.objects.filter(integration=integration, finished_at__isnull=True)
        if unfinished.exists():
            return False
        run = ReconciliationRun(integration=integration, started_at=clock.now())
        run.save(using=database)
    return True


def _in_portions(rows: QuerySet[Shipment]) -> Iterator[list[Shipment]]:
    last = 0
    while portion := list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        last = portion[-1].pk
        yield portion


def to_repair(integration: Integration) -> QuerySet[Shipment]:
    """Return the shipments that two comparisons in a row found different."""
    return Shipment.objects.different().filter(integration=integration, mismatches__gte=RUNS_TO_ACT)


def repair(integration: Integration, current: ReconciliationRun, *, by_person: bool = False) -> int:
    """Push everything again that two comparisons found different, through the outbox. Return how many orders that are.

    Where a large share of all shipments is missing, the list itself is in doubt: these are left to a person, and
    ``current.held_back`` counts them.

    Args:
        integration: The integration.
        current: Its finished comparison.
        by_person: Whether a person has decided that missing shipments are pushed again, however many.
    """
    fold_all()
    _clear_found(integration, current)
    missing = Q(status=ShipmentStatus.SYNCED) & ~Q(seen_run=current.pk)
    current.held_back = 0 if by_person else _held_back(integration, to_repair(integration).filter(missing).count())
    total = 0
    while True:
        found = to_repair(integration).exclude(missing) if current.held_back else to_repair(integration)
        rows = list(found.order_by("pk").values_list("pk", "order_type", "order_pk")[:CHUNK])
        if not rows:
            break
        with transaction.atomic(using=conf().DATABASE):
            mine = Shipment.objects.filter(pk__in=[row[0] for row in rows])
            # Not skipped as known; and what we took for deleted counts as there again, so that it can be deleted.
            mine.filter(Q(status=ShipmentStatus.DELETED)).update(status=ShipmentStatus.PENDING)
            mine.update(digest="", mismatches=0)
            by_type: dict[str, set[str]] = {}
            for _, order_type, order_pk in rows:
                by_type.setdefault(order_type, set()).add(order_pk)
            for order_type, pks in by_type.items():
                total += record(order_type, sorted(pks), is_bulk=True)
    current.repaired = total
    current.save(using=conf().DATABASE, update_fields=["repaired", "held_back"])
    return total


def _held_back(integration: Integration, missing: int) -> int:
    """Return how many missing shipments a person must decide on: all of them, if they are too large a share."""
    expected = Shipment.objects.filter(integration=integration, status=ShipmentStatus.SYNCED).count()
    if missing <= max(MISSING_WITHOUT_APPROVAL, MISSING_SHARE * expected):
        return 0
    logger.error(
        "Integration %s: %d of %d shipments are missing at Sendcloud. They are not pushed again, because the list may "
        "be wrong. If they are really gone, run sendcloud_reconcile --fix.",
        integration.remote_id,
        missing,
        expected,
    )
    return missing


def _clear_found(integration: Integration, current: ReconciliationRun) -> None:
    """Clear the mismatches of shipments that the list does not show and Sendcloud has all the same."""
    missing = to_repair(integration).filter(status=ShipmentStatus.SYNCED).exclude(seen_run=current.pk)
    with backend_class(integration)(integration, limiter=_ComparisonLimiter(integration), retries=2) as backend:
        for rows in _in_portions(missing):
            there = [shipment.pk for shipment in rows if not backend.is_missing(shipment)]
            Shipment.objects.filter(pk__in=there).update(mismatches=0)


def reconcile_all(again_after: float = 0.0) -> int:
    """Compare and repair every running integration, each for itself.

    Args:
        again_after: Seconds after which a finished comparison is made again.

    Returns:
        How many integrations could not be compared; they are due again soon, and go on where they stopped.
    """
    failed = 0
    finished_since = clock.now() - dt.timedelta(seconds=again_after)
    for integration in Integration.objects.running().select_related("account"):
        if pause_if_copy(integration) or (again_after and not _is_due(integration, finished_since)):
            continue
        try:
            repair(integration, compare(integration))
        except interruptions():
            raise
        except Postponed as reason:
            failed += 1
            logger.info("Integration %s is compared later. %s", integration.remote_id, reason)
        except Exception as error:
            # One integration's trouble, or the database's, keeps no other from being compared.
            failed += 1
            logger.warning("Integration %s could not be compared: %s.", integration.remote_id, type(error).__name__)
    return failed


def _is_due(integration: Integration, finished_since: dt.datetime) -> bool:
    """Return whether an integration was not compared since then, or a comparison waits to be made or finished."""
    runs = ReconciliationRun.objects.filter(integration=integration)
    unfinished = runs.filter(finished_at__isnull=True)
    return unfinished.exists() or not runs.filter(finished_at__gt=finished_since).exists()


def count_stuck(integration: Integration) -> int:
    """Return how many rejected and dead-lettered orders wait for a person."""
    return OutboxEntry.objects.stuck().filter(integration=integration).count()
