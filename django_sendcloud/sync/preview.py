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
from ..models import Integration
from ..orders import OrderRef
from ..payloads import Note, NoteLevel, preflight
from ..payloads.notes import notes_on_errors
from ..registry import registry
from ..routers import primary_reads
from ..violations import errors_from_json
from .backends import backend_class
from .backends.v3 import options_of_shop
from .integrations import Integrations
from .problems import Problem
from .push.frozen import Wanted
from .push.plan import contradiction, problem_of, wanted_shipments

__all__ = ["Preview", "preview_order", "preview_orders"]

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
        problem: Code of a problem of the order as a whole: ``adapter_error``, ``integration_unknown``, …
        frame: The line of the adapter that raised.
    """

    ref: OrderRef
    number: str
    notes: list[Note]
    is_shippable: bool
    problem: str = ""
    frame: str = ""

    @property
    def is_rejected(self) -> bool:
        """Return whether the order would be rejected."""
        return self.problem in REJECTING or any(note.level is NoteLevel.REFUSED for note in self.notes)

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
    return _preview(registry.responsible(type(order)), order, Integrations(), ships_from)


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
        for pk in chunk:
            if pk in found:
                yield _preview(adapter, found[pk], integrations, ships_from)


@primary_reads()
def _preview(adapter: OrderAdapter[Any], order: models.Model, integrations: Integrations, ships_from: str) -> Preview:
    ref, frame, shippable = OrderRef.of(order), "", False
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
        code = problem.code if not notes else ""
        return Preview(ref, number, notes, shippable, code, frame if code == "adapter_error" else "")
    notes = [note for each in wanted for note in _notes(each, ships_from)]
    unassigned = next((each.integration.code for each in wanted if isinstance(each.integration, Problem)), "")
    return Preview(ref, number, sorted(notes, key=_weight), shippable, unassigned)


def _notes(wanted: Wanted, ships_from: str) -> list[Note]:
    backend = backend_class(wanted.integration if isinstance(wanted.integration, Integration) else None)
    api = ApiGeneration(backend.generation)
    return preflight(wanted.payload, api=api, options=options_of_shop(), ships_from=ships_from.upper())


def _weight(note: Note) -> int:
    return list(NoteLevel).index(note.level)
