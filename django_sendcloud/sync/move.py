"""Move of an integration from one API generation to the other, without losing or doubling an order.

Both generations show the same orders of one integration. An order that has the same ids in both is adopted. One with
other ids in the new generation (v3 knows no shipments of an order, so a split order has) is deleted in the old one and
pushed in the new one, unless a label was made of it.

Every step may be repeated: a move that was interrupted, at any step, starts over and changes nothing twice.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from ..conf import SendcloudConfigurationError, conf
from ..core.clock import clock
from ..enums import ApiGeneration
from ..exceptions import APIError
from ..models import Checkpoint, Integration, OutboxEntry, Parcel, PauseReason, Shipment, ShipmentStatus
from ..models.connection import read
from ..payloads.v3 import shipment_keys
from . import limiter
from .backends import BACKENDS, Backend, Outcome, RemoteItem
from .fold import fold_all
from .record import record

__all__ = ["MoveFailed", "MoveReport", "begin_move", "continue_moves", "move", "survey"]

logger = logging.getLogger("django_sendcloud.sync")

# Seconds between two checks of the orders that workers have claimed.
CHECK_SECONDS = 1.0
# Orders of each kind that a report names.
NAMED = 20
# Seconds until an interrupted move is begun again, and for which it then waits for claimed orders.
RETRY_SECONDS = 120.0
DRAIN_SECONDS = 60.0


class MoveFailed(Exception):
    """The move cannot begin, or stopped before the switch; the sentence says why and what to do."""


@dataclasses.dataclass(slots=True)
class MoveReport:
    """Shipments of the integration, by what the move does with each."""

    generation: str
    """The API generation that the integration moves to."""
    adopted: int = 0
    """Found there, with the content that was pushed last."""
    stale: int = 0
    """Found there with other content: adopted and pushed again."""
    missing: int = 0
    """Not found there: pushed."""
    recreated: int = 0
    """Known there by other ids: deleted in the old generation and pushed in the new one."""
    frozen: int = 0
    """Known there by other ids, and with a label: left as it is."""
    ambiguous: int = 0
    """Several records there for one shipment (an order split in the panel): left as they are."""
    foreign: int = 0
    """Found there and not known here: left as they are."""
    names: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """Order numbers of each kind but ``adopted``, the first :data:`NAMED` of each."""

    @property
    def to_push(self) -> int:
        """Orders that are pushed again under their ids."""
        return self.stale + self.missing

    @property
    def left(self) -> int:
        """Shipments that are known here and left alone."""
        return self.frozen + self.ambiguous

    def add(self, kind: str, number: str) -> None:
        """Count one shipment."""
        setattr(self, kind, getattr(self, kind) + 1)
        named = self.names.setdefault(kind, [])
        if kind != "adopted" and len(named) < NAMED:
            named.append(number)


def survey(integration: Integration, target: ApiGeneration, *, wait_seconds: float = math.inf) -> MoveReport:
    """Report what a move would do, without changing anything.

    Args:
        integration: The integration.
        target: The generation it would move to.
        wait_seconds: Seconds to wait for the rate limit altogether.

    Raises:
        MoveFailed: the integration already uses that generation.
        APIError: Sendcloud could not be asked in the new generation.
        SendcloudConfigurationError: the keys are missing, or cannot be read.
    """
    _check(integration, target)
    with _backend(integration, target, wait_seconds) as backend:
        return _compare(integration, backend, adopt=False).report


def move(
    integration: Integration,
    target: ApiGeneration,
    *,
    wait_seconds: float = 300.0,
    progress: Callable[[str], None] = lambda step: None,
) -> MoveReport:
    """Move an integration: pause it, drain it, adopt what is there, switch, and push only what differs.

    Changes that the shop makes meanwhile are recorded, and pushed after the switch.

    Args:
        integration: The integration.
        target: The generation it moves to.
        wait_seconds: Seconds to wait for the orders that workers have claimed.
        progress: Called with the name of each step: ``pause``, ``drain``, ``adopt``, ``switch``.

    Returns:
        The report, after the switch.

    Raises:
        MoveFailed: orders are still claimed by workers, or a person resumed the integration meanwhile.
        APIError: Sendcloud could not be asked. The integration stays paused; call it again, or resume it to stay.
        SendcloudConfigurationError: the keys are missing, or cannot be read.
    """
    _check(integration, target)
    with _backend(integration, target) as backend:
        # Fails before anything changes if the keys do not open the new generation.
        read(backend.client, backend.generation, integration.remote_id)
        progress("pause")
        was_running = _pause(integration, target)
        progress("drain")
        _drain(integration, wait_seconds)
        progress("adopt")
        found = _compare(integration, backend, adopt=True)
    with BACKENDS[integration.api_generation](integration, limiter.AccountLimiter(integration.account.pk)) as old:
        gone = _delete_split(old, found)
    progress("switch")
    _switch(integration, target, [*found.to_push, *gone])
    if was_running:
        integration.resume()
    return found.report


def begin_move(integration: Integration, target: ApiGeneration) -> None:
    """Pause the integration and have the next sweep move it, for an operator who does not wait.

    Raises:
        MoveFailed: the integration uses that generation already, or a person paused it.
    """
    _check(integration, target)
    if integration.is_paused and integration.paused_reason == PauseReason.PERSON:
        raise MoveFailed(f"{integration} is paused by an operator: resume it first.")
    _pause(integration, target)


def continue_moves() -> None:
    """Do the moves that operators began, and those that were interrupted. One that fails is tried again later.

    Raises:
        Exception: an unexpected failure. The next sweep does the other moves.
    """
    clock.synchronize()
    for integration in Integration.objects.exclude(moving_to="").filter(paused_reason=PauseReason.MOVE):
        if not Checkpoint.take(f"move {integration.pk}", dt.timedelta(seconds=RETRY_SECONDS)):
            continue
        try:
            move(integration, ApiGeneration(integration.moving_to), wait_seconds=DRAIN_SECONDS)
        except (MoveFailed, APIError, SendcloudConfigurationError) as error:
            logger.warning("The move of integration %s waits: %s.", integration.remote_id, type(error).__name__)


def _check(integration: Integration, target: ApiGeneration) -> None:
    if integration.api_generation == target.value:
        raise MoveFailed(f"{integration} uses {target.value} already.")
    if target.value not in BACKENDS:
        raise MoveFailed(f"There is no API generation {target.value}: choose one of {', '.join(sorted(BACKENDS))}.")


def _backend(integration: Integration, target: ApiGeneration, wait_seconds: float = math.inf) -> Backend:
    """Return a backend of the new generation, for an integration that still uses the old one."""
    rate = limiter.AccountLimiter(integration.account.pk, wait_seconds)
    return BACKENDS[target.value](integration, rate, retries=2)


def _pause(integration: Integration, target: ApiGeneration) -> bool:
    """Stop pushing. Return whether the move has to resume it: an integration paused by an operator stays paused."""
    if integration.is_paused and integration.paused_reason == PauseReason.PERSON:
        return False
    if integration.paused_reason != PauseReason.MOVE:
        # Missing permission, say: the move is its fix.
        integration.resume()
        integration.pause(PauseReason.MOVE)
    Integration.objects.filter(pk=integration.pk).update(moving_to=target.value)
    integration.moving_to = target.value
    return True


def _drain(integration: Integration, wait_seconds: float) -> None:
    """Wait until no request of the old generation is on its way, may still land, or is accepted and not saved.

    Raises:
        MoveFailed: it took longer.
    """
    end = clock.monotonic() + wait_seconds
    while True:
        clock.synchronize()
        fold_all()
        now = clock.now()
        # v3 saves later than it accepts. v2 would not find such an order, and it would appear after its deletion.
        saving = now - dt.timedelta(seconds=conf().SAVE_SECONDS)
        landed = saving if integration.api_generation == ApiGeneration.V3 else now
        busy = OutboxEntry.objects.filter(Q(lease__gt="") | Q(in_doubt=True), not_before__gt=landed).count()
        accepted = Shipment.objects.filter(integration=integration, status=ShipmentStatus.ACCEPTED)
        busy += accepted.filter(last_pushed_at__gt=saving).count()
        if not busy:
            return
        if clock.monotonic() >= end:
            raise MoveFailed(
                f"{busy} orders are still claimed by workers, in quarantine, or not saved by Sendcloud yet. "
                "Nothing was switched, and the integration stays paused: run the move again, or resume the "
                "integration to stay as it is."
            )
        clock.sleep(CHECK_SECONDS)


@dataclasses.dataclass(slots=True)
class _Comparison:
    report: MoveReport
    #: Shipments whose orders are pushed after the switch.
    to_push: list[Shipment] = dataclasses.field(default_factory=list)
    #: Shipments to be deleted in the old generation first.
    split: list[Shipment] = dataclasses.field(default_factory=list)


def _compare(integration: Integration, backend: Backend, *, adopt: bool) -> _Comparison:
    """Read everything the new generation shows, and find the shipment each record belongs to."""
    found = _Comparison(MoveReport(backend.generation))
    seen: dict[int, int] = {}
    renamed: set[int] = set()
    for page in backend.pages():
        by_key: dict[tuple[str, str], list[RemoteItem]] = {}
        for remote in page.results:
            by_key.setdefault(remote.key, []).append(remote)
        mine = {
            (shipment.external_order_id, shipment.external_shipment_id): shipment
            for shipment in _alive(integration).filter(
                external_order_id__in={order_id for key in by_key for order_id, _ in shipment_keys(key[0])}
            )
        }
        for key, records in by_key.items():
            shipment = mine.get(key)
            if shipment is None:
                # v2 shows a shipment that v3 made as an order of its own.
                divided = shipment_keys(key[0])
                same_order = [known for ids, known in mine.items() if ids[0] == key[0] or ids in divided]
                renamed.update(known.pk for known in same_order)
                if not same_order:
                    for remote in records:
                        found.report.add("foreign", remote.order_number)
                continue
            seen[shipment.pk] = seen.get(shipment.pk, 0) + len(records)
            if adopt:
                # Of several records, none is adopted: they are looked up when one has to be deleted.
                backend.adopt(shipment, records[0] if seen[shipment.pk] == 1 else None)
            if seen[shipment.pk] == 1 and not backend.is_current(records[0], shipment):
                found.to_push.append(shipment)
    stale = {shipment.pk for shipment in found.to_push}
    for shipment in _alive(integration).iterator(chunk_size=1000):
        number = shipment.order_number
        if _is_split(shipment) or (shipment.pk in renamed and shipment.pk not in seen):
            if Parcel.objects.filter(shipment=shipment, is_return=False).exists():
                found.report.add("frozen", number)
            else:
                found.report.add("recreated", number)
                found.split.append(shipment)
        elif seen.get(shipment.pk, 0) > 1:
            found.report.add("ambiguous", number)
        elif shipment.pk in stale:
            found.report.add("stale", number)
        elif shipment.pk in seen:
            found.report.add("adopted", number)
        else:
            found.report.add("missing", number)
            found.to_push.append(shipment)
    return found


def _alive(integration: Integration) -> Any:
    """Return the shipments of the integration that Sendcloud has, or may have."""
    rows = Shipment.objects.filter(integration=integration)
    return rows.exclude(status__in=(ShipmentStatus.DELETED, ShipmentStatus.REJECTED)).order_by("pk")


def _is_split(shipment: Shipment) -> bool:
    """Return whether it is one of several shipments of its order: such have another id in each generation."""
    return shipment.external_shipment_id not in ("", shipment.external_order_id)


def _delete_split(old: Backend, found: _Comparison) -> list[Shipment]:
    """Delete in the old generation what has another id in the new one. Return what was deleted.

    Each one is recorded as changed before its deletion, and stored as deleted before the next: an interrupted move
    continues there, and one that a person ends pushes again what was deleted.
    """
    gone = []
    for shipment in found.split:
        with transaction.atomic(using=conf().DATABASE):
            Shipment.objects.filter(pk=shipment.pk).update(digest="")
            record(shipment.order_type, [shipment.order_pk], notify=False)
        if old.delete(shipment).outcome is not Outcome.DELETED:
            raise MoveFailed(f"{shipment} could not be deleted yet. Run the move again in a minute.")
        Shipment.objects.filter(pk=shipment.pk).update(
            status=ShipmentStatus.PENDING, digest="", uuid=None, remote_id="", last_pushed_at=None
        )
        gone.append(shipment)
    return gone


def _switch(integration: Integration, target: ApiGeneration, to_push: Sequence[Shipment]) -> None:
    """Switch the generation and record what has to be pushed, in one transaction."""
    with transaction.atomic(using=conf().DATABASE):
        rows = Integration.objects.select_for_update().filter(pk=integration.pk, paused_since__isnull=False)
        if not rows.exists():
            raise MoveFailed("The integration was resumed during the move. Nothing was switched: run the move again.")
        rows.update(api_generation=target.value, moving_to="")
        Shipment.objects.filter(pk__in=[shipment.pk for shipment in to_push]).update(digest="")
        for order_type, group in _by_order_type(to_push):
            record(order_type, group, notify=False)
    integration.refresh_from_db()
    logger.info("Integration %s uses %s now.", integration.remote_id, target.value)


def _by_order_type(shipments: Iterable[Shipment]) -> list[tuple[str, list[str]]]:
    keys = sorted({(shipment.order_type, shipment.order_pk) for shipment in shipments})
    return [
        (order_type, [key[1] for key in group]) for order_type, group in itertools.groupby(keys, key=lambda key: key[0])
    ]
