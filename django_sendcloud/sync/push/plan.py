"""The first stage: from orders to the upserts and deletions they need.

An outbox entry says only *look at this order*. The adapter says which shipments the order wants, ``Shipment`` says what
Sendcloud has, and the difference is the work.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import functools
import itertools
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, models
from django.utils import translation

from ...adapters import AdapterMistake, OrderAdapter
from ...core.dispatch import innermost_frame
from ...core.interruption import interruptions
from ...core.retry import retry_transient
from ...enums import ApiGeneration
from ...exceptions import OrderProblem, PayloadError
from ...models import Integration, LabelConflict, PrunedOrder, Shipment, ShipmentStatus
from ...models.fields import storable
from ...orders import OrderRef, database_for, orders_by_key, stored_key
from ...payloads import ShipmentPayload, collect
from ...registry import registry
from ...routers import primary_reads
from ...violations import Violation
from ..backends import Backend, backend_class
from ..claim import Claimed
from ..integrations import Integrations
from ..problems import Problem
from ..record import record
from ..routing import names_of_site
from .frozen import (
    SUMS,
    Conflict,
    Wanted,
    are_distinct,
    differences,
    fingerprints,
    has_arrived,
    is_frozen,
    note_conflicts,
    take_out,
    with_frozen,
)

__all__ = ["Plan", "Upsert", "contradiction", "known_shipments", "plan_orders", "problem_of", "wanted_shipments"]

logger = logging.getLogger("django_sendcloud.sync")

# Characters of an order's number and ids that are stored.
MAX_LENGTH = 255
# Characters of a problem's detail that are stored.
DETAIL_LENGTH = 4000
# An adapter that takes longer for one order delays others; the attempt says so.
SLOW_SECONDS = 5.0


@dataclasses.dataclass(slots=True)
class Upsert:
    """One shipment to push, with its row, once there is one."""

    payload: ShipmentPayload
    digest: str
    integration: Integration
    shipment: Shipment | None = None
    # Fingerprints of what a label would be made of.
    fields: dict[str, str] = dataclasses.field(default_factory=dict)
    # The parts that Sendcloud may keep when a later push leaves them out.
    parts: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True)
class Plan:
    """The work that one order needs."""

    entry: Claimed
    # The integration that the order waits for.
    integration: Integration | None = None
    upserts: list[Upsert] = dataclasses.field(default_factory=list)
    # Shipments that Sendcloud accepted and may not have saved.
    confirmations: list[Shipment] = dataclasses.field(default_factory=list)
    deletes: list[Shipment] = dataclasses.field(default_factory=list)
    # Shipments with a label, each with its conflict, if there is one, and the fields that differ.
    labelled: list[Conflict] = dataclasses.field(default_factory=list)
    problem: Problem | None = None
    # Whether its packages go to several integrations, so that it waits for none of them alone.
    is_spread: bool = False
    # The reason why some of its packages have no integration; the others are pushed.
    unassigned: Problem | None = None
    # The time to check the order again, although nothing changes until then.
    recheck_at: dt.datetime | None = None
    # The number people know the order by; "" if it is unknown.
    order_number: str = ""
    # Whether its adapter took so long that others waited.
    slow: bool = False

    @property
    def size(self) -> int:
        """Return how many shipments wait for a result."""
        return len(self.upserts) + len(self.confirmations) + len(self.deletes)

    def wait_for(self, integration: Integration) -> None:
        """Let the rest of the order wait for this integration, wherever its other shipments went."""
        self.integration = integration


@primary_reads()
def plan_orders(
    entries: Sequence[Claimed], integrations: Integrations, time_is_up: Callable[[], bool]
) -> tuple[list[Plan], list[Plan]]:
    """Plan these orders, in a constant number of queries.

    Args:
        entries: The claimed entries.
        integrations: The integrations of the shop.
        time_is_up: Asked before each order; the rest is left unplanned.

    Returns:
        The plans, and empty plans for the orders that were left.
    """
    plans: list[Plan] = []
    for order_type, group in itertools.groupby(sorted(entries, key=lambda e: e.order_type), lambda e: e.order_type):
        of_type = list(group)
        confirmations = _plan_confirmations(order_type, of_type, integrations)
        plans += confirmations.values()
        if others := [entry for entry in of_type if entry.pk not in confirmations]:
            plans += _plan_type(order_type, others, integrations, time_is_up)
    planned = {plan.entry.pk for plan in plans}
    return plans, [Plan(entry) for entry in entries if entry.pk not in planned]


def _plan_confirmations(order_type: str, entries: Sequence[Claimed], integrations: Integrations) -> dict[int, Plan]:
    """Plan the orders that were accepted and have not changed since, by the entry's key; their orders are not read."""
    # After a claim without a result, an accepted order is pushed again.
    accepted = [e for e in entries if e.is_accepted and e.attempts == 1 and not e.in_doubt]
    plans: dict[int, Plan] = {}
    if not accepted:
        return plans
    known = known_shipments(order_type, [entry.order_pk for entry in accepted])
    for entry in accepted:
        shipments = known.get(entry.order_pk, [])
        waiting = [each for each in shipments if each.status == ShipmentStatus.ACCEPTED]
        kept = (ShipmentStatus.ACCEPTED, ShipmentStatus.SYNCED, ShipmentStatus.DELETED)
        if waiting and all(each.status in kept and each.integration_id in integrations.by_pk for each in shipments):
            plan = Plan(entry, integrations.by_pk[waiting[0].integration_id], confirmations=waiting)
            plan.order_number = waiting[0].order_number
            plan.is_spread = len({each.integration_id for each in waiting}) > 1
            plans[entry.pk] = plan
    return plans


def _plan_type(
    order_type: str, entries: Sequence[Claimed], integrations: Integrations, time_is_up: Callable[[], bool]
) -> list[Plan]:
    """Plan the orders of one model."""
    adapter = registry.for_order_type(order_type)
    if adapter is None:
        problem = Problem("adapter_missing", f"No adapter is registered for {order_type}.", final=False)
        return [Plan(entry, problem=problem) for entry in entries]
    pks = [entry.order_pk for entry in entries]
    known = known_shipments(order_type, pks)
    new = [pk for pk in pks if all(s.status == ShipmentStatus.DELETED for s in known.get(pk, ()))]
    pruned = _pruned(order_type, new) if integrations.has_pruned else {}
    try:
        orders = _load(adapter, pks, order_type)
        _leave_to_own_entries(adapter, orders, order_type, entries)
    except interruptions():
        raise
    except Exception as error:
        # No single order is at fault: the adapter's queryset or the database failed.
        return [Plan(entry, problem=problem_of(error, final=False)) for entry in entries]
    plans = []
    for entry in entries:
        if time_is_up():
            break
        begin = time.monotonic()
        pk = entry.order_pk
        plan = _plan(entry, adapter, orders.get(pk), known.get(pk, []), integrations, pruned.get(pk))
        if (seconds := time.monotonic() - begin) > SLOW_SECONDS:
            logger.warning("%s took %.0f s for one order.", type(adapter).__qualname__, seconds)
            plan.slow = True
        plans.append(plan)
    note_conflicts(conflict for plan in plans for conflict in plan.labelled)
    return plans


def known_shipments(order_type: str, pks: Sequence[str]) -> dict[str, list[Shipment]]:
    """Return the stored shipments of these orders, by order key."""
    rows = with_frozen(Shipment.objects.filter(order_pk__in=pks, order_type=order_type))
    found: dict[str, list[Shipment]] = {}
    shipments: list[Shipment] = retry_transient(functools.partial(list, rows))
    for shipment in shipments:
        found.setdefault(shipment.order_pk, []).append(shipment)
    return found


def _pruned(order_type: str, pks: Sequence[str]) -> dict[str, dt.datetime]:
    """Return when the shipments of these orders were pruned, for those that had any."""
    rows = PrunedOrder.objects.filter(order_type=order_type, order_pk__in=pks)
    return dict(retry_transient(lambda: list(rows.values_list("order_pk", "pruned_at"))))


def _load(adapter: OrderAdapter[Any], pks: Iterable[str], order_type: str) -> dict[str, models.Model]:
    """Return the orders by the key they were asked for."""
    return orders_by_key(adapter.get_queryset().using(database_for(order_type, adapter.model)), pks)


def _leave_to_own_entries(
    adapter: OrderAdapter[Any], orders: dict[str, models.Model], order_type: str, entries: Sequence[Claimed]
) -> None:
    """Leave orders to the entry of their own model or key: they count as gone here, and are recorded there.

    A recorded change knows only the model that sent the signal (that of the parent, of a line, of a bulk write), and
    the key as that row bears it, which may be another text for the same key.
    """
    only_related = {entry.order_pk: entry.only_related for entry in entries}
    theirs: list[tuple[str, str, str]] = []
    for key, order in list(orders.items()):
        own = stored_key(adapter.model, order.pk)
        if own != key:
            del orders[key]
            if own not in orders:
                theirs.append((order_type, key, own))
    for other in registry.children(adapter) if orders else ():
        rows = other.model._base_manager.using(database_for(order_type, other.model))
        kind = OrderRef.stored(order_type, "")
        of_other = dataclasses.replace(kind, model=other.model._meta.label_lower).order_type
        fields = rows.only("pk", adapter.model._meta.pk.name)
        for key, order in orders_by_key(fields, orders, adapter.model).items():
            del orders[key]
            theirs.append((of_other, key, stored_key(other.model, order.pk)))
    for kind_of_change, keys in itertools.groupby(
        sorted(theirs, key=lambda their: (their[0], only_related[their[1]])),
        key=lambda their: (their[0], only_related[their[1]]),
    ):
        record(kind_of_change[0], [own for _, _, own in keys], only_related=kind_of_change[1], notify=False)


def _plan(
    entry: Claimed,
    adapter: OrderAdapter[Any],
    order: models.Model | None,
    known: list[Shipment],
    integrations: Integrations,
    pruned_at: dt.datetime | None = None,
) -> Plan:
    """Plan one order."""
    plan = Plan(entry, order_number=next((shipment.order_number for shipment in known), entry.order_number))
    # A conflict ends with its label.
    plan.labelled = [Conflict(each, None) for each in known if each.label_conflict and not is_frozen(each)]
    # After an attempt whose result is unknown, nothing is skipped: what was deleted may have been pushed again.
    doubtful = entry.in_doubt or entry.attempts > 1
    alive = [shipment for shipment in known if doubtful or shipment.status != ShipmentStatus.DELETED]
    try:
        if order is not None:
            # First, so that people read it of an order whose other hooks fail.
            plan.order_number = storable(adapter.order_number(order))[:MAX_LENGTH] or plan.order_number
        shippable = False if order is None else adapter.shippable(order)
        if order is not None:
            plan.recheck_at = _next_recheck(adapter, order, shippable)
        if order is None or not shippable:
            plan.deletes = [] if shippable is None else alive
            _keep_frozen(plan, LabelConflict.CANCELLED)
            return plan
        if pruned_at is not None and _is_pruned_order(adapter.placed_at(order), pruned_at):
            return plan
        is_new = entry.only_related and not known
        placed_at = adapter.placed_at(order) if is_new else None
        if placed_at is not None and _is_older_than_all(placed_at, adapter.get_integration(order), integrations):
            return plan
        wanted = wanted_shipments(adapter, order, integrations)
    except interruptions():
        raise
    except Exception as error:
        plan.problem = problem_of(error, final=not isinstance(error, OperationalError | InterfaceError))
        return plan
    if problem := contradiction(wanted):
        plan.problem = problem
        return plan
    if is_new:
        wanted = [
            each
            for each in wanted
            if not _is_older(placed_at, each.integration) and not _is_older(each.payload.created_at, each.integration)
        ]
        if not wanted:
            return plan
    plan.order_number = wanted[0].payload.order_number[:MAX_LENGTH]
    _assign(plan, wanted)
    if plan.problem is not None:
        return plan
    kept = _compare(plan, take_out(wanted, known), known, doubtful=doubtful)
    if plan.unassigned is not None:
        # Packages that have no integration now may be at Sendcloud, and have a label.
        return plan
    plan.deletes = [shipment for shipment in alive if shipment.pk not in kept]
    if frozen := _keep_frozen(plan, LabelConflict.REPLACED):
        # The goods are in a parcel already: they are not offered again under other ids.
        _hold_back_overlapping(plan, frozen)
    return plan


def _next_recheck(adapter: OrderAdapter[Any], order: models.Model, shippable: object) -> dt.datetime | None:
    """Return when to check the order again. An order that is left alone is not rejected for that, either."""
    try:
        return adapter.next_recheck(order)
    except interruptions():
        raise
    except Exception as error:
        if shippable is not None:
            raise
        logger.warning("%s.recheck_at() failed with %s.", type(adapter).__qualname__, type(error).__name__)
        return None


def _assign(plan: Plan, wanted: Sequence[Wanted]) -> None:
    """Note which integration the order waits for, or why some or all of its packages have none."""
    problem = next((each.integration for each in wanted if isinstance(each.integration, Problem)), None)
    plan.integration = next((each.integration for each in wanted if isinstance(each.integration, Integration)), None)
    if plan.integration is None:
        plan.problem = problem
    else:
        plan.unassigned = problem
        plan.is_spread = len({each.key[0] for each in wanted}) > 1


def _keep_frozen(plan: Plan, conflict: LabelConflict) -> list[Shipment]:
    """Delete no shipment that has a label, and note the conflict instead. Return these shipments."""
    frozen = [shipment for shipment in plan.deletes if is_frozen(shipment)]
    plan.deletes = [shipment for shipment in plan.deletes if not is_frozen(shipment)]
    plan.labelled += [Conflict(shipment, _unless_arrived(shipment, conflict)) for shipment in frozen]
    return frozen


def _hold_back_overlapping(plan: Plan, frozen: Sequence[Shipment]) -> None:
    """Push no new shipment that may hold goods of these, which have labels."""
    plan.upserts = [each for each in plan.upserts if each.shipment is not None or are_distinct(each.payload, frozen)]


def _unless_arrived(shipment: Shipment, conflict: LabelConflict) -> LabelConflict | None:
    """Return the conflict, unless it begins after the parcels have arrived: there is nothing left to decide then."""
    return None if has_arrived(shipment) and not shipment.label_conflict else conflict


def _is_pruned_order(placed_at: dt.datetime | None, pruned_at: dt.datetime) -> bool:
    """Return whether an order is the one whose shipments were pruned, and no later one with its key."""
    return placed_at is None or placed_at <= pruned_at


def _is_older(placed_at: dt.datetime | None, integration: Integration | Problem) -> bool:
    """Return whether an order was placed before its integration was connected.

    A change of a row that the order depends on (a customer's phone number, say) does not make a shipment of it.
    """
    return placed_at is not None and isinstance(integration, Integration) and placed_at < integration.created_at


def _compare(plan: Plan, wanted: Iterable[Wanted], known: Iterable[Shipment], *, doubtful: bool) -> set[int]:
    """Note what Sendcloud does not have yet; return the primary keys of the shipments the order still wants."""
    by_key = {(s.integration_id, s.external_order_id, s.external_shipment_id): s for s in known}
    kept = set()
    packed: list[Shipment] = []
    for each in wanted:
        payload, integration = each.payload, each.integration
        if not isinstance(integration, Integration):
            continue
        shipment = by_key.get(each.key)
        digest = payload.digest(ApiGeneration(integration.api_generation))
        if shipment is not None:
            kept.add(shipment.pk)
            if is_frozen(shipment):
                changed = differences(shipment.label_fields, fingerprints(payload)) if shipment.digest != digest else []
                plan.labelled.append(_conflict(each, shipment, changed, digest))
                if "parcel_items" in changed:
                    packed.append(shipment)
                if changed or shipment.status == ShipmentStatus.DELETED:
                    # A label is money: the parcel goes as it is, unless an operator decides otherwise.
                    continue
            if not doubtful and shipment.digest == digest:
                if shipment.status == ShipmentStatus.SYNCED:
                    continue
                if shipment.status == ShipmentStatus.ACCEPTED:
                    plan.confirmations.append(shipment)
                    continue
        plan.upserts.append(Upsert(payload, digest, integration, shipment, fingerprints(payload)))
    if packed:
        # Goods that were taken out of a labelled shipment are in its parcel all the same.
        _hold_back_overlapping(plan, packed)
    return kept


def _is_older_than_all(placed_at: dt.datetime, chosen: Integration | None, integrations: Integrations) -> bool:
    """Return whether an order was placed before the connection of every integration that it may go to."""
    may_be = [integrations.resolve(chosen)] if chosen is not None else integrations.active
    return bool(may_be) and all(_is_older(placed_at, each) for each in may_be)


def _conflict(each: Wanted, shipment: Shipment, changed: list[str], digest: str) -> Conflict:
    """Return the conflict of a label with its order, which names the fields that differ."""
    if each.was_divided and SUMS.issuperset(changed):
        return Conflict(shipment, _unless_arrived(shipment, LabelConflict.REPLACED))
    conflict = _unless_arrived(shipment, LabelConflict.CHANGED) if changed else None
    return Conflict(shipment, conflict, changed if conflict else [], digest)


def wanted_shipments(adapter: OrderAdapter[Any], order: models.Model, integrations: Integrations) -> list[Wanted]:
    """Return the order's shipments as their backends store them; at most a few more than these take.

    Raises:
        PayloadError: one of them breaks the contract; names the fields, and the lines of items.
    """
    return collect(functools.partial(_build, adapter, order, integrations))


def _build(adapter: OrderAdapter[Any], order: models.Model, integrations: Integrations) -> list[Wanted]:
    found: list[Wanted] = []
    sites = names_of_site(getattr(order, adapter.site_field)) if adapter.site_field else frozenset[str]()
    for payload in adapter.get_shipments(order) or ():
        if not isinstance(payload, ShipmentPayload):
            raise AdapterMistake(
                f"{type(adapter).__qualname__}.get_shipments() must yield ShipmentPayload objects, "
                f"not {type(payload).__name__}."
            )
        package = payload.external_shipment_id or ""
        chosen = adapter.get_package_integration(order, package)
        integration = integrations.resolve(chosen, functools.partial(str, payload.country), sites)
        backend = _backend_of(integration)
        found.append(Wanted(backend.prepare(payload), integration))
        if len(found) > backend.max_batch * max(1, len(integrations.active)):
            break
    return found


def _backend_of(integration: Integration | Problem) -> type[Backend]:
    return backend_class(integration if isinstance(integration, Integration) else None)


def contradiction(wanted: list[Wanted]) -> Problem | None:
    """Return what is wrong with an order's shipments taken together."""
    if not wanted:
        return Problem(
            "no_shipments",
            "get_shipments() gave nothing for a shippable order. Yield at least one ShipmentPayload, or let "
            "is_shippable() return False for such orders.",
        )
    seen: set[tuple[str, str]] = set()
    counts: collections.Counter[int] = collections.Counter()
    for each in wanted:
        payload, pk = each.payload, each.key[0]
        counts[pk] += 1
        if counts[pk] > (most := _backend_of(each.integration).max_batch):
            return Problem("too_many_shipments", f"An order may have at most {most} shipments.")
        if payload.key in seen:
            return Problem(
                "duplicate_shipment",
                "get_shipments() gave two shipments with the same external_order_id and external_shipment_id.",
                {"external_shipment_id": [Violation("duplicate_shipment", {"value": payload.key[1]})]},
            )
        seen.add(payload.key)
        for name in ("external_order_id", "external_shipment_id"):
            if len(getattr(payload, name) or "") > MAX_LENGTH:
                params = {"limit": MAX_LENGTH, "length": len(getattr(payload, name))}
                return Problem("payload_invalid", fields={name: [Violation("id_too_long", params)]})
    return None


def problem_of(error: Exception, *, final: bool) -> Problem:
    """Return the problem that an adapter's exception stands for."""
    if isinstance(error, PayloadError):
        return Problem("payload_invalid", error.subject, error.errors)
    if isinstance(error, OrderProblem):
        # As the developer wrote it: each reader has a language of their own.
        with translation.override(None):
            return Problem("order_problem", "", error.errors)
    if isinstance(error, AdapterMistake):
        return Problem("adapter_error", str(error)[:DETAIL_LENGTH], final=final)
    # Frames and type, but neither locals nor the error's own text: it may quote the buyer.
    frames = "".join(traceback.format_tb(error.__traceback__)[-8:])
    logger.warning("An adapter failed with %s at %s.", type(error).__name__, innermost_frame(error))
    return Problem("adapter_error", f"{frames}{type(error).__name__}"[-DETAIL_LENGTH:], final=final)
