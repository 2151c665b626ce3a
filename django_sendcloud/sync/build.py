"""From orders to what Sendcloud has to be told: upserts and deletes.

An entry says only *look at this order*. What the order wants is asked of its adapter; what Sendcloud has
been told stands in ``Shipment``; the difference is the work.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, connections, models, router

from ..adapters import OrderAdapter, database_of, keys_of, registry
from ..clock import EpochMicroseconds, clock
from ..conf import conf
from ..exceptions import PayloadError
from ..models import Integration, Shipment, ShipmentStatus
from ..patience import patiently
from ..payloads import ShipmentPayload
from .bulk import among
from .claim import Claimed
from .interruption import interruptions
from .record import record

logger = logging.getLogger("django_sendcloud.sync")

# Contract: POST /integrations/{id}/shipments takes at most 100 shipments, and an order is not torn apart.
MAX_SHIPMENTS = 100
# Characters of an order's number and ids that are stored.
MAX_LENGTH = 255
# A hundred shipments that look wrong are looked at one by one only up to here.
DETAIL_LENGTH = 4000
# An adapter that takes longer for one order keeps others waiting, and is said to.
SLOW_SECONDS = 5.0


def storable(text: str) -> str:
    """Text that every database takes: without NUL characters and lone surrogates."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Why an order cannot be pushed now. ``code`` is what the admin explains."""

    code: str
    detail: str = ""
    fields: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    # False: it may heal by itself, so it is tried again.
    final: bool = True

    def __post_init__(self) -> None:
        # It quotes others, and is going to be stored together with what became of other orders.
        object.__setattr__(self, "detail", storable(self.detail))
        fields = {storable(name): [storable(text) for text in texts] for name, texts in self.fields.items()}
        object.__setattr__(self, "fields", fields)


@dataclasses.dataclass(slots=True)
class Upsert:
    """One shipment to be told, with what was told of it before."""

    payload: ShipmentPayload
    digest: str
    shipment: Shipment | None = None


@dataclasses.dataclass(slots=True)
class Plan:
    """What one order needs."""

    entry: Claimed
    integration: Integration | None = None
    upserts: list[Upsert] = dataclasses.field(default_factory=list)
    deletes: list[Shipment] = dataclasses.field(default_factory=list)
    problem: Problem | None = None
    # What people know the order by; "" where nobody could find out.
    order_number: str = ""
    # Its adapter took so long that others waited.
    slow: bool = False


class Integrations:
    """The integrations the shop uses, read once per round, and with them the database's time."""

    def __init__(self) -> None:
        database = conf().DATABASE
        rows = Integration.objects.using(database).select_related("account")
        if connections[database].vendor != "sqlite":
            rows = rows.annotate(epoch=EpochMicroseconds())
        asked = time.monotonic()
        self.by_pk: dict[int, Integration] = {integration.pk: integration for integration in rows}
        for integration in self.by_pk.values():
            if epoch := getattr(integration, "epoch", 0):
                clock.learn(epoch, asked)
                break
        self.active = [integration for integration in self.by_pk.values() if integration.is_active]

    def resolve(self, wanted: Integration | None) -> Integration | Problem:
        """The integration to use, or why there is none. None of these problems is the order's fault."""
        if wanted is not None:
            found = self.by_pk.get(wanted.pk)
            if found is None:
                return Problem("no_integration", f"Integration {wanted.pk} does not exist any more.", final=False)
            if not found.is_active:
                return Problem("no_integration", f"Integration {found} is not in use.", final=False)
            return found
        if len(self.active) == 1:
            return self.active[0]
        if not self.active:
            return Problem("no_integration", "No Sendcloud integration is connected.", final=False)
        return Problem(
            "integration_unknown",
            "Several integrations are active: the adapter's get_integration() must say which one an order goes to.",
            final=False,
        )


def build(entries: Sequence[Claimed], integrations: Integrations, time_is_up: Callable[[], bool]) -> list[Plan]:
    """Plans for these entries, in a constant number of queries.

    Args:
        entries: What was claimed.
        integrations: Those the shop uses.
        time_is_up: Asked after each order; what is left then gets no plan, and can be released.
    """
    told: dict[tuple[str, str], list[Shipment]] = {}
    plans: list[Plan] = []
    for order_type, group in itertools.groupby(sorted(entries, key=lambda e: e.order_type), lambda e: e.order_type):
        mine = list(group)
        pks = [entry.order_pk for entry in mine]
        database = conf().DATABASE
        rows = Shipment.objects.using(database).filter(among("order_pk", pks, database), order_type=order_type)
        known: list[Shipment] = patiently(functools.partial(list, rows))
        for shipment in known:
            told.setdefault((order_type, shipment.order_pk), []).append(shipment)
        adapter = registry.for_order_type(order_type)
        if adapter is None:
            problem = Problem("adapter_missing", f"No adapter is registered for {order_type}.", final=False)
            plans += [Plan(entry, problem=problem) for entry in mine]
            continue
        try:
            orders = _load(adapter, pks, order_type)
            _hand_over(adapter, orders, order_type)
        except interruptions():
            raise
        except Exception as error:
            # Nobody's order in particular: the adapter's queryset, or the database.
            plans += [Plan(entry, problem=_problem_of(error, final=False)) for entry in mine]
            continue
        for entry in mine:
            if time_is_up():
                return plans
            shipments = told.get((order_type, entry.order_pk), [])
            begin = time.monotonic()
            plan = _plan(entry, adapter, orders.get(entry.order_pk), shipments, integrations)
            seconds = time.monotonic() - begin
            if seconds > SLOW_SECONDS:
                logger.warning("%s took %.0f s for one order.", type(adapter).__qualname__, seconds)
                plan.slow = True
            plans.append(plan)
    return plans


def preview(order: models.Model) -> list[ShipmentPayload]:
    """The shipments that would be sent for this order now; empty where it is not shippable.

    Raises:
        RegistrationError: no adapter is responsible for the model.
        PayloadError: the order breaks the contract; names the fields.
    """
    order_type = registry.order_type(type(order))
    adapter = registry.for_order_type(order_type)
    assert adapter is not None
    alias = router.db_for_write(type(order), instance=order)
    fresh = _load(adapter, [str(order.pk)], order_type, alias).get(str(order.pk))
    if fresh is None or not adapter.is_shippable(fresh):
        return []
    return _shipments(adapter, fresh)


def _load(adapter: OrderAdapter[Any], pks: Iterable[str], order_type: str, alias: str = "") -> dict[str, models.Model]:
    queryset = adapter.get_queryset().using(alias or database_of(order_type, adapter.model))
    return {str(order.pk): order for order in queryset.filter(pk__in=keys_of(adapter.model, pks))}


def _hand_over(adapter: OrderAdapter[Any], orders: dict[str, models.Model], order_type: str) -> None:
    """Leave orders of a child model to the child's own adapter: here they count as gone, and there they are looked at.

    What was recorded knows only the model whose signal was heard: that of the parent, of a line, of a bulk write.
    """
    for other in registry.nearer(adapter) if orders else ():
        alias = database_of(order_type, other.model)
        rows = other.model._base_manager.using(alias).filter(pk__in=[order.pk for order in orders.values()])
        theirs = [str(pk) for pk in rows.values_list("pk", flat=True)]
        for pk in theirs:
            orders.pop(pk, None)
        record(other.model._meta.label_lower, theirs, using=alias, ring=False)


def _plan(
    entry: Claimed,
    adapter: OrderAdapter[Any],
    order: models.Model | None,
    told: list[Shipment],
    integrations: Integrations,
) -> Plan:
    plan = Plan(entry, order_number=next((shipment.order_number for shipment in told), entry.order_number))
    # Where an earlier attempt may have been applied without our knowing, nothing can be skipped as known: what was
    # deleted may have been told again.
    doubtful = entry.in_doubt or entry.attempts > 1
    alive = [shipment for shipment in told if doubtful or shipment.status != ShipmentStatus.DELETED]
    try:
        if order is None or not adapter.is_shippable(order):
            plan.deletes = alive
            return plan
        plan.order_number = storable(adapter.order_number(order))[:MAX_LENGTH] or plan.order_number
        payloads = _shipments(adapter, order)
        wanted = adapter.get_integration(order)
    except interruptions():
        raise
    except Exception as error:
        plan.problem = _problem_of(error, final=not isinstance(error, OperationalError | InterfaceError))
        return plan
    if problem := _contradiction(payloads):
        plan.problem = problem
        return plan
    plan.order_number = payloads[0].order_number[:MAX_LENGTH]
    resolved = integrations.resolve(wanted)
    if isinstance(resolved, Problem):
        plan.problem = resolved
        return plan
    plan.integration = resolved
    known = {(s.integration_id, s.external_order_id, s.external_shipment_id): s for s in told}
    kept = set()
    for payload in payloads:
        shipment = known.get((resolved.pk, payload.external_order_id, payload.external_shipment_id or ""))
        if shipment is not None:
            kept.add(shipment.pk)
        digest = payload.digest()
        if shipment and not doubtful and shipment.status == ShipmentStatus.SYNCED and shipment.digest == digest:
            continue
        plan.upserts.append(Upsert(payload, digest, shipment))
    plan.deletes = [shipment for shipment in alive if shipment.pk not in kept]
    return plan


def _shipments(adapter: OrderAdapter[Any], order: models.Model) -> list[ShipmentPayload]:
    payloads = []
    for payload in itertools.islice(adapter.get_shipments(order) or (), MAX_SHIPMENTS + 1):
        if not isinstance(payload, ShipmentPayload):
            raise TypeError(
                f"{type(adapter).__qualname__}.get_shipments() must yield ShipmentPayload objects, "
                f"not {type(payload).__name__}."
            )
        if payload.external_shipment_id is None:
            # A shipment without one cannot be deleted by its own ids (contract: POST …/shipments/delete).
            payload = payload.with_shipment_id(payload.external_order_id)
        payloads.append(payload)
    return payloads


def _contradiction(payloads: list[ShipmentPayload]) -> Problem | None:
    if not payloads:
        return Problem(
            "no_shipments",
            "get_shipments() gave nothing for a shippable order. Yield at least one ShipmentPayload, or let "
            "is_shippable() return False for such orders.",
        )
    if len(payloads) > MAX_SHIPMENTS:
        return Problem("too_many_shipments", f"An order may have at most {MAX_SHIPMENTS} shipments.")
    seen = set()
    for payload in payloads:
        key = (payload.external_order_id, payload.external_shipment_id)
        if key in seen:
            return Problem(
                "duplicate_shipment",
                "get_shipments() gave two shipments with the same external_order_id and external_shipment_id.",
                {"external_shipment_id": [f"{payload.external_shipment_id} occurs more than once."]},
            )
        seen.add(key)
        for name in ("external_order_id", "external_shipment_id"):
            if len(getattr(payload, name)) > MAX_LENGTH:
                text = f"At most {MAX_LENGTH} characters can be kept track of."
                return Problem("payload_invalid", fields={name: [text]})
    return None


def _problem_of(error: Exception, *, final: bool) -> Problem:
    if isinstance(error, PayloadError):
        return Problem("payload_invalid", error.subject, error.errors)
    # Frames and type, but neither locals nor source values; the text of the error is the developer's own.
    frames = "".join(traceback.format_tb(error.__traceback__)[-8:])
    logger.warning("An adapter failed with %s.", type(error).__name__)
    return Problem("adapter_error", f"{frames}{type(error).__name__}: {str(error)[:300]}"[-DETAIL_LENGTH:], final=final)
