"""Shipments with a label are frozen: a label is money.

A frozen shipment is neither deleted nor offered again under other ids while its order stands. The goods in it are taken
out of the order's other packages, where its lines are known by their ids. A change or a cancellation after the label is
stored with the shipment as an open task for an operator, with the fields that differ.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef

from ...core.retry import retry_transient
from ...enums import ParcelPhase
from ...models import Integration, LabelConflict, Parcel, Shipment, ShipmentStatus
from ...models.shipment import ShipmentQuerySet
from ...models.statuses import ANNOUNCEMENT_FAILED
from ...payloads import ParcelItem, ShipmentPayload
from ..problems import Problem

__all__ = [
    "SUMS",
    "Conflict",
    "Wanted",
    "are_distinct",
    "contents",
    "differences",
    "fingerprints",
    "has_arrived",
    "has_label",
    "is_frozen",
    "keep_label",
    "note_conflicts",
    "take_out",
    "with_frozen",
]

# The phases at the end of a parcel's way.
ARRIVED = (ParcelPhase.DELIVERED, ParcelPhase.RETURNED)
# Fields that follow from how an order is divided.
SUMS = frozenset({"parcel_items", "total_order_value", "subtotal_price", "weight"})
# Fields that a label does not show.
_NOT_ON_A_LABEL = frozenset({"order_status", "payment_status", "created_at", "updated_at"})


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A shipment that the order wants.

    Args:
        payload: The shipment.
        integration: The integration it goes to, or why there is none.
        was_divided: Whether the shop puts goods elsewhere that are in this shipment's parcel.
    """

    payload: ShipmentPayload
    integration: Integration | Problem
    was_divided: bool = False

    @property
    def key(self) -> tuple[int, str, str]:
        """The key of its row."""
        pk = self.integration.pk if isinstance(self.integration, Integration) else 0
        return pk, *self.payload.key


def contents(payload: ShipmentPayload) -> dict[str, int]:
    """Return the order's lines in a shipment, each with its pieces; nothing if one of them has no ``item_id``."""
    items = payload.parcel_items or ()
    if any(item.item_id is None for item in items):
        return {}
    return {str(item.item_id): item.quantity for item in items}


def are_distinct(payload: ShipmentPayload, frozen: Iterable[Shipment]) -> bool:
    """Return whether it is known that a shipment holds nothing of what is in these."""
    return bool(contents(payload)) and all(shipment.contents for shipment in frozen)


def take_out(wanted: Sequence[Wanted], known: Iterable[Shipment]) -> list[Wanted]:
    """Leave what is in labelled packages there, and take it out of the order's other packages.

    Pieces that the order no longer has are taken out of labelled packages, too, and pieces that the shop adds to one
    are added: both are conflicts for an operator. A package of which nothing is left is no longer wanted.

    Args:
        wanted: The shipments as the shop divides the order now.
        known: The order's stored shipments.
    """
    labelled = [s for s in known if is_frozen(s) and s.contents and s.status != ShipmentStatus.DELETED]
    if not labelled:
        return list(wanted)
    asked_by_key = {each.key: contents(each.payload) for each in wanted}
    items = {str(item.item_id): item for each in wanted for item in each.payload.parcel_items or () if item.item_id}
    left = sum((collections.Counter(lines) for lines in asked_by_key.values()), collections.Counter())
    held: dict[tuple[int, str, str], dict[str, int]] = {}
    for shipment in labelled:
        key = shipment.integration_id, shipment.external_order_id, shipment.external_shipment_id
        held[key] = {line: min(pieces, left[line]) for line, pieces in shipment.contents.items() if left[line] > 0}
        left.subtract(held[key])
    found = []
    for each in wanted:
        asked, mine = asked_by_key[each.key], held.get(each.key, {})
        if not asked:
            found.append(each)
            continue
        lines = dict(mine)
        for line, pieces in asked.items():
            more = min(max(0, pieces - mine.get(line, 0)), left[line])
            left[line] -= more
            lines[line] = mine.get(line, 0) + more
        lines = {line: lines[line] for line in {**asked, **lines} if lines[line]}
        if lines == asked:
            found.append(each)
        elif lines:
            payload = _with_items(each.payload, [items[line].with_quantity(lines[line]) for line in lines])
            divided = any(pieces > asked.get(line, 0) for line, pieces in mine.items())
            found.append(dataclasses.replace(each, payload=payload, was_divided=divided))
    return found


def _with_items(payload: ShipmentPayload, items: Sequence[ParcelItem]) -> ShipmentPayload:
    """Return a shipment with other items, and its sums with the difference."""
    before, values = payload.parcel_items or (), {}
    price = sum((i.value * i.quantity for i in items), Decimal(0)) - sum(
        (i.value * i.quantity for i in before), Decimal(0)
    )
    for name in ("total_order_value", "subtotal_price"):
        if (amount := getattr(payload, name)) is not None:
            values[name] = max(Decimal(0), amount + price)
    if payload.weight is not None:
        # Without the weight of a line, that of the rest is not known.
        weights = [(i.weight, sign * i.quantity) for sign, these in ((1, items), (-1, before)) for i in these]
        known = [weight * pieces for weight, pieces in weights if weight is not None]
        weight = payload.weight + sum(known, Decimal(0))
        values["weight"] = weight if len(known) == len(weights) and weight > 0 else None
    return dataclasses.replace(payload, parcel_items=items, **values)


def has_label(*, underway: bool = False) -> Exists:
    """Return the condition that a shipment has a label.

    Args:
        underway: Only a label of a parcel that has not arrived.
    """
    parcels = Parcel.objects.outgoing().filter(shipment=OuterRef("pk"))
    labelled = parcels.exclude(phase=ParcelPhase.CANCELLED.value).exclude(status_id=ANNOUNCEMENT_FAILED)
    return Exists(labelled.exclude(phase__in=[phase.value for phase in ARRIVED]) if underway else labelled)


def with_frozen(shipments: ShipmentQuerySet) -> ShipmentQuerySet:
    """Return the shipments, each with whether it has a label, in the same query."""
    return shipments.annotate(_has_label=has_label(), _is_underway=has_label(underway=True))


def is_frozen(shipment: Shipment) -> bool:
    """Return whether a shipment from :func:`with_frozen` has a label."""
    return bool(getattr(shipment, "_has_label", False))


def has_arrived(shipment: Shipment) -> bool:
    """Return whether every labelled parcel of a frozen shipment is at its end, so that nothing is left to decide."""
    return is_frozen(shipment) and not getattr(shipment, "_is_underway", True)


def fingerprints(payload: ShipmentPayload) -> dict[str, str]:
    """Return a short fingerprint of each field that a label depends on.

    Keyed, because a plain digest of a postal code is as good as the postal code.
    """
    key = hashlib.sha256(f"django_sendcloud.labels:{settings.SECRET_KEY}".encode()).digest()
    return {"": hashlib.sha256(key).hexdigest()[:8]} | {
        name: hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), key=key, digest_size=4).hexdigest()
        for name, value in json.loads(payload.canonical()).items()
        if value not in (None, "", [], {}) and name not in _NOT_ON_A_LABEL
    }


def differences(labelled: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Return the names of the fields in which an order differs from its label.

    None where that is not known: of an old label, or after the key of the fingerprints was rotated.
    """
    if not labelled or labelled.get("") != wanted.get(""):
        return []
    return sorted(name for name in labelled.keys() | wanted.keys() if labelled.get(name) != wanted.get(name))


@dataclasses.dataclass(frozen=True, slots=True)
class Conflict:
    """Comparison of the label of a frozen shipment with its order.

    Args:
        shipment: The shipment.
        kind: The conflict; ``None``: the label fits.
        fields: The fields that differ.
        digest: The content that the order wants, of a changed order.
    """

    shipment: Shipment
    kind: LabelConflict | None
    fields: list[str] = dataclasses.field(default_factory=list)
    digest: str = ""

    @property
    def wanted(self) -> str:
        """Return what an operator accepts with it: a digest of the changed content, or the kind of another conflict."""
        if self.kind is None:
            return ""
        return self.digest if self.kind is LabelConflict.CHANGED else self.kind.value


def note_conflicts(conflicts: Iterable[Conflict]) -> None:
    """Store the conflicts of frozen shipments, and clear those that are resolved or that an operator accepted."""
    for conflict in conflicts:
        shipment, kept = conflict.shipment, conflict.shipment.label_kept
        values: dict[str, Any] = {"label_conflict": "", "label_differences": [], "label_wanted": "", "label_kept": kept}
        if conflict.kind is None:
            if kept in LabelConflict.values:
                # The order is to be shipped again: another cancellation is another conflict.
                values["label_kept"] = ""
        elif kept != conflict.wanted:
            values |= {"label_conflict": conflict.kind.value, "label_differences": conflict.fields}
            values["label_wanted"] = conflict.wanted
        if any(getattr(shipment, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(shipment, name, value)
            retry_transient(functools.partial(Shipment.objects.filter(pk=shipment.pk).update, **values))


def keep_label(shipment: Shipment) -> bool:
    """Accept the open conflict of a label as this object has it. A later change of the order is another conflict.

    Returns:
        Whether it still is this conflict.
    """
    rows = Shipment.objects.with_label_conflict().filter(pk=shipment.pk, label_wanted=shipment.label_wanted)
    values = {"label_conflict": "", "label_differences": [], "label_wanted": "", "label_kept": shipment.label_wanted}
    return bool(rows.filter(label_conflict=shipment.label_conflict).update(**values))
