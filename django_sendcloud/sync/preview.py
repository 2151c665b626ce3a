"""Preview of orders before they are due: rejections, and advice on the others. Sends nothing."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import models

from ..adapters import OrderAdapter
from ..core.dispatch import innermost_frame
from ..core.interruption import interruptions
from ..enums import ApiGeneration
from ..exceptions import RegistrationError
from ..models import Integration, Shipment
from ..orders import OrderRef, orders_of_type
from ..payloads import Note, NoteLevel, ShipmentPayload, preflight
from ..payloads.notes import notes_on_errors
from ..registry import registry
from ..routers import primary_reads
from ..violations import errors_from_json
from .backends import backend_class
from .backends.v3 import options_of_shop
from .integrations import Integrations
from .problems import Problem
from .push.frozen import Wanted, take_out
from .push.plan import contradiction, known_shipments, problem_of, wanted_shipments

__all__ = ["Preview", "preview_order", "preview_orders", "preview_stored"]

#: Problems of an order as a whole that only a change of the order or of the adapter solves.
REJECTING = frozenset(
    {"adapter_error", "duplicate_shipment", "no_shipments", "order_problem", "payload_invalid", "too_many_shipments"}
)
# Orders that are loaded together.
CHUNK = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Preview:
    """Everything to know about an order before it is sent.

    Args:
        ref: The order.
        number: The number people know it by, or its key.
        notes: Notes on its payloads, the weightiest first.
        is_shippable: Whether it would be sent now.
        problem: Code of the problem that would keep it here: ``payload_invalid``, ``integration_unknown``, …
        frame: The line of the adapter that raised.
        detail: More of the problem, for an engineer.
        payloads: The shipments that would be sent now, without the goods that are in a labelled parcel; none of an
            order that is rejected or not shippable.
    """

    ref: OrderRef
    number: str
    notes: list[Note]
    is_shippable: bool
    problem: str = ""
    frame: str = ""
    detail: str = ""
    payloads: list[ShipmentPayload] = dataclasses.field(default_factory=list)

    @property
    def is_rejected(self) -> bool:
        """Return whether the order would be rejected."""
        return self.problem in REJECTING or any(note.level is NoteLevel.REJECTED for note in self.notes)

    def as_json(self) -> dict[str, Any]:
        return {
            "order": self.number,
            "key": self.ref.key,
            "model": self.ref.model,
            "shippable": self.is_shippable,
            "rejected": self.is_rejected,
            "problem": self.problem,
            "notes": [note.to_json() for note in self.notes],
        }


def preview_order(order: models.Model, *, ships_from: str = "") -> Preview:
    """Return the preview of one order, also of one that is not shippable yet. Asks Sendcloud nothing.

    Args:
        order: An order with an adapter. It may be unsaved as far as its adapter does not mind.
        ships_from: The country it leaves from; by default any in the European Union.

    Raises:
        RegistrationError: no adapter is responsible for the model.
    """
    adapter, ref = registry.responsible(type(order)), OrderRef.of(order)
    known = known_shipments(ref.order_type, [ref.order_pk]).get(ref.order_pk, [])
    return _preview(adapter, order, known, Integrations(), ships_from)


@primary_reads()
def preview_stored(ref: OrderRef) -> Preview | None:
    """Return the preview of a stored order, loaded as its adapter loads it; ``None`` if it is gone.

    Raises:
        RegistrationError: no adapter is responsible for its model.
    """
    adapter = registry.for_order_type(ref.order_type)
    if adapter is None:
        raise RegistrationError(f"No adapter is registered for {ref.model}.")
    order = orders_of_type(adapter.get_queryset(), ref.order_type, [ref.order_pk]).get(ref.order_pk)
    return None if order is None else preview_order(order)


def preview_orders(
    adapter: OrderAdapter[Any], orders: models.QuerySet[Any] | Iterable[Any], *, ships_from: str = ""
) -> Iterator[Preview]:
    """Yield the previews of orders, loaded in chunks as the adapter loads them.

    Args:
        adapter: Their adapter.
        orders: Their keys, in the wanted order.
        ships_from: See :func:`preview_order`.
    """
    integrations = Integrations()
    pks = iter(orders)
    while chunk := list(itertools.islice(pks, CHUNK)):
        with primary_reads():
            found = adapter.get_queryset().in_bulk(chunk)
        refs = {pk: OrderRef.of(order) for pk, order in found.items()}
        keys = [ref.order_pk for ref in refs.values()]
        known = {name: known_shipments(name, keys) for name in {ref.order_type for ref in refs.values()}}
        for pk, ref in ((pk, refs[pk]) for pk in chunk if pk in refs):
            shipments = known[ref.order_type].get(ref.order_pk, [])
            yield _preview(adapter, found[pk], shipments, integrations, ships_from)


@primary_reads()
def _preview(
    adapter: OrderAdapter[Any],
    order: models.Model,
    known: list[Shipment],
    integrations: Integrations,
    ships_from: str,
) -> Preview:
    # An adapter that raises has not said that the order does not belong in Sendcloud.
    ref, frame, shippable = OrderRef.of(order), "", True
    number, problem, wanted = str(order.pk), None, list[Wanted]()
    try:
        number = adapter.order_number(order) or number
        shippable = bool(adapter.shippable(order))
        wanted = wanted_shipments(adapter, order, integrations)
        problem = contradiction(wanted) if wanted or shippable else None
    except interruptions():
        raise
    except Exception as error:
        # The adapter is the shop's code. Only the type: a text may quote the buyer.
        problem, frame = problem_of(error, final=True), f"{type(error).__name__} at {innermost_frame(error)}"
    if problem is not None:
        notes = list(notes_on_errors(errors_from_json(problem.fields)))
        frame = frame if problem.code == "adapter_error" else ""
        return Preview(ref, number, notes, shippable, problem.code, frame, problem.detail)
    wanted = take_out(wanted, known)
    notes = sorted((note for each in wanted for note in _notes(each, ships_from)), key=_weight)
    unassigned = next((each.integration.code for each in wanted if isinstance(each.integration, Problem)), "")
    payloads = [each.payload for each in wanted] if shippable else []
    return Preview(ref, number, notes, shippable, unassigned, payloads=payloads)


def _notes(wanted: Wanted, ships_from: str) -> list[Note]:
    backend = backend_class(wanted.integration if isinstance(wanted.integration, Integration) else None)
    api = ApiGeneration(backend.generation)
    return preflight(wanted.payload, api=api, options=options_of_shop(), ships_from=ships_from.upper())


def _weight(note: Note) -> int:
    return list(NoteLevel).index(note.level)
