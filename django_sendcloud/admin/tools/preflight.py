"""Page with the orders that Sendcloud would reject, and advice on the others, before they are sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ...adapters import OrderAdapter
from ...models import Shipment
from ...orders import OrderRef
from ...payloads import NoteLevel
from ...registry import registry
from ...sync.preview import Preview, preview_orders
from ..explanations.errors import FieldProblem, explain, fields_of
from ..permissions import Permissions

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["SHOWN", "preflight_context"]

#: Newest orders of each model that the page examines.
SHOWN = 200

TITLES: dict[NoteLevel, StrOrPromise] = {
    NoteLevel.REJECTED: _("Would be rejected"),
    NoteLevel.NOT_SENT: _("Not sent along"),
    NoteLevel.CHANGED: _("Sent in another form"),
    NoteLevel.ADVICE: _("Advice"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One order with notes.

    Args:
        number: The number people know it by.
        url: The page that opens it; ``""`` if there is none for this operator.
        is_rejected: Whether it would be rejected.
        is_shippable: Whether it would be sent now.
        problem: Explanation of a problem of the order as a whole.
        notes: Notes by weight, each with its title.
    """

    number: str
    url: str
    is_rejected: bool
    is_shippable: bool
    problem: StrOrPromise
    notes: list[tuple[StrOrPromise, list[FieldProblem]]]


def preflight_context(site: admin.AdminSite, request: HttpRequest) -> dict[str, Any]:
    """Return the context of the page."""
    permissions, examined = Permissions.of(site, request), 0
    rows: list[Row] = []
    for adapter in registry:
        # An operator who may not see the shop's orders learns nothing of them here.
        if not permissions.may_see(adapter.model):
            continue
        previews = list(preview_orders(adapter, _newest(adapter)))
        examined += len(previews)
        noted = [found for found in previews if found.notes or found.problem]
        urls = permissions.order_urls(found.ref for found in noted)
        rows += [_row(found, urls[found.ref]) for found in noted]
    rejected = [row for row in rows if row.is_rejected]
    return {
        "examined": examined,
        "shown": SHOWN,
        "rejected": rejected,
        "advised": [row for row in rows if not row.is_rejected],
    }


def _newest(adapter: OrderAdapter[Any]) -> Iterator[Any]:
    """Yield the keys of the newest orders without a label, the newest first."""
    model = adapter.model
    order = f"-{adapter.placed_at_field or adapter.changed_at_field or 'pk'}"
    pks = list(model._base_manager.order_by(order).values_list("pk", flat=True)[:SHOWN])
    refs = {OrderRef.to(model, pk).key: pk for pk in pks}
    labelled = Shipment.objects.filter(
        models.Exists(Shipment.objects.filter(pk=models.OuterRef("pk"), parcels__isnull=False)),
        order_type=model._meta.label_lower,
        order_pk__in=list(refs),
    )
    done = set(labelled.values_list("order_pk", flat=True))
    return iter([pk for key, pk in refs.items() if key not in done])


def _row(found: Preview, url: str) -> Row:
    notes = []
    for level, title in TITLES.items():
        violations: dict[str, list[Any]] = {}
        for note in found.notes:
            if note.level is level:
                violations.setdefault(note.path, []).append(note.violation)
        if violations:
            notes.append((title, fields_of(violations)))
    return Row(
        found.number,
        url,
        found.is_rejected,
        found.is_shippable,
        explain(found.problem).title if found.problem and not notes else "",
        notes,
    )
