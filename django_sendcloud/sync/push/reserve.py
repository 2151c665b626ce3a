"""The second stage: store new shipments before they are sent.

A shipment that may come to exist at Sendcloud must be deletable from here, even if the worker dies right after sending.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...core.clock import clock
from ...core.retry import retry_transient
from ...models import EntryState, OutboxEntry, Shipment, ShipmentStatus
from ..backends import backend_class
from ..claim import Claim
from ..problems import Problem
from .plan import Plan, Upsert

__all__ = ["reserve"]

Key = tuple[int, str, str]


def reserve(claim: Claim, plans: Sequence[Plan]) -> None:
    """Reserve the ids of new shipments for their orders, and raise the stamps of all that will be sent.

    A plan whose ids belong to another order gets a problem.
    """
    new: dict[Key, tuple[Plan, Upsert]] = {}
    sent: dict[Key, tuple[Plan, Upsert]] = {}
    for plan in plans:
        for upsert in plan.upserts:
            sent.setdefault(_key(upsert), (plan, upsert))
            upsert.parts = backend_class(upsert.integration).lasting_parts(upsert.payload)
            if upsert.shipment is None and new.setdefault(_key(upsert), (plan, upsert))[1] is not upsert:
                plan.problem = Problem(
                    "same_ids", "Another order of this batch has the same external ids.", final=False
                )
    for key in _reject_colliding_keys(sent):
        new.pop(key, None)
    if new:
        _insert(new)
    _note_parts(plans)
    _raise_stamps(claim, plans)


def _key(upsert: Upsert) -> Key:
    """Return what makes a shipment unique at Sendcloud."""
    return upsert.integration.pk, *upsert.payload.key


def _reject_colliding_keys(sent: dict[Key, tuple[Plan, Upsert]]) -> set[Key]:
    """Give a problem to shipments that Sendcloud would take for one of another order. Return their keys.

    Of an integration that has moved from v2, both may be there already: neither is sent.
    """
    colliding_keys = {
        key: {(key[0], *ids) for ids in backend_class(upsert.integration).colliding_keys(upsert.payload)}
        for key, (_, upsert) in sent.items()
    }
    others = {other for each in colliding_keys.values() for other in each}
    if not others:
        return set()
    rows = Shipment.objects.filter(integration__in={o[0] for o in others}, external_order_id__in={o[1] for o in others})
    alive = rows.exclude(status=ShipmentStatus.DELETED)
    keys = alive.values_list("integration_id", "external_order_id", "external_shipment_id")
    there: set[Key] = set(retry_transient(lambda: list(keys)))
    rejected: set[Key] = set()
    for key, others in colliding_keys.items():
        if others & (there | (sent.keys() - rejected)):
            rejected.add(key)
            text = "Two orders may not share their external ids: Sendcloud keeps one of them."
            sent[key][0].problem = Problem("same_ids", text, {"external_order_id": [text]})
    return rejected


def _insert(new: dict[Key, tuple[Plan, Upsert]]) -> None:
    """Insert these shipments; one that is there already belongs to another order, or came in meanwhile."""
    now = clock.now()
    rows = [
        Shipment(
            integration_id=key[0],
            order_type=plan.entry.order_type,
            order_pk=plan.entry.order_pk,
            order_number=upsert.payload.order_number[:255],
            external_order_id=key[1],
            external_shipment_id=key[2],
            stamp=plan.entry.stamp,
            parts=dict.fromkeys(upsert.parts, True),
            created_at=now,
        )
        for key, (plan, upsert) in new.items()
    ]
    shipments = Shipment.objects
    retry_transient(lambda: shipments.bulk_create(rows, ignore_conflicts=True))
    there = shipments.filter(integration__in={key[0] for key in new}, external_order_id__in={key[1] for key in new})
    found: list[Shipment] = retry_transient(lambda: list(there))
    for shipment in found:
        key = shipment.integration_id, shipment.external_order_id, shipment.external_shipment_id
        if key not in new:
            continue
        plan, upsert = new[key]
        upsert.shipment = shipment
        if (shipment.order_type, shipment.order_pk) != (plan.entry.order_type, plan.entry.order_pk):
            _take_over(plan, shipment)
    for plan, upsert in new.values():
        if upsert.shipment is None:
            plan.problem = Problem("same_ids", "Its ids cannot be distinguished from another's.", final=False)


def _take_over(plan: Plan, shipment: Shipment) -> None:
    """Give a shipment to this order if the order that had its ids is gone, here and at Sendcloud."""
    owner = {"order_type": shipment.order_type, "order_pk": shipment.order_pk}
    if shipment.status != ShipmentStatus.DELETED:
        name = f"{shipment.order_type} {shipment.order_pk}"
        if OutboxEntry.objects.filter(**owner, state=EntryState.PENDING).exists():
            text = f"{name} has the same external ids and is being settled first."
            plan.problem = Problem("same_ids", text, final=False)
            return
        if shipment.order() is not None:
            text = "Two orders may not share their external ids: Sendcloud keeps one of them."
            plan.problem = Problem("same_ids", f"{name} has the same external ids.", {"external_order_id": [text]})
            return
    mine = {"order_type": plan.entry.order_type, "order_pk": plan.entry.order_pk}
    Shipment.objects.filter(pk=shipment.pk, **owner).update(**mine)
    shipment.order_type, shipment.order_pk = mine["order_type"], mine["order_pk"]


def _note_parts(plans: Sequence[Plan]) -> None:
    """Remember the parts that Sendcloud will have been sent, also if the answer is lost."""
    grown = []
    for upsert in (upsert for plan in plans for upsert in plan.upserts):
        shipment = upsert.shipment
        if shipment is not None and not shipment.parts.keys() >= {*upsert.parts}:
            shipment.parts = shipment.parts | dict.fromkeys(upsert.parts, True)
            grown.append(shipment)
    if grown:
        retry_transient(lambda: Shipment.objects.bulk_update(grown, ["parts"]))


def _raise_stamps(claim: Claim, plans: Sequence[Plan]) -> None:
    """Let the stamps exceed all that were ever sent, also if the clock went back; a crash must not forget it."""
    behind = [
        (plan, upsert.shipment.stamp + 1)
        for plan in plans
        for upsert in plan.upserts
        if upsert.shipment is not None
        and upsert.shipment.stamp >= plan.entry.stamp
        and upsert.shipment.last_pushed_at is not None
    ]
    if not behind:
        return
    stamp = max(stamp for _, stamp in behind)
    pks = {plan.entry.pk for plan, _ in behind}
    mine = OutboxEntry.objects.filter(pk__in=pks, lease=claim.lease)
    retry_transient(lambda: mine.update(stamp=stamp))
    for plan, _ in behind:
        plan.entry.stamp = stamp
