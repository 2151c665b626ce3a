"""The third stage: as few requests as possible, and every result understood (``sync.outcomes``)."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from ...api.transport import not_after
from ...core.interruption import interruptions
from ...exceptions import RequestNotSent
from ...models import Integration, Shipment
from ..backends import Item, ItemResult
from ..integrations import Integrations
from ..isolation import batch_limit, isolation_for
from .frozen import is_frozen
from .gate import Gate
from .ledger import Ledger
from .plan import Plan, Upsert
from .session import PushSession

__all__ = ["confirm", "upsert"]


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One order of a batch: its shipments that go to the batch's integration. One request has all of them."""

    plan: Plan
    upserts: list[Upsert]


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """The orders of one request."""

    integration: Integration
    members: list[Member]

    @property
    def size(self) -> int:
        """Return how many shipments the request has."""
        return sum(len(member.upserts) for member in self.members)

    def halves(self) -> tuple[Batch, Batch]:
        """Divide a batch that was rejected, and raise the isolation of its orders for the next attempt."""
        isolation = isolation_for(-(-self.size // 2))
        for member in self.members:
            member.plan.entry.isolation = max(member.plan.entry.isolation, isolation)
        middle = -(-len(self.members) // 2)
        return Batch(self.integration, self.members[:middle]), Batch(self.integration, self.members[middle:])


def upsert(session: PushSession, ledger: Ledger, gate: Gate) -> None:
    """Push the shipments of all open orders. Orders that may not be sent now stay open."""
    queue = collections.deque(batches(ledger.open_plans()))
    while queue:
        batch = queue.popleft()
        if gate.take_turn(batch.integration):
            queue.extendleft(reversed(_send(session, ledger, gate, batch)))
            ledger.settle_in_time()
        else:
            for member in batch.members:
                member.plan.wait_for(batch.integration)


def batches(plans: Sequence[Plan]) -> Iterator[Batch]:
    """Group orders into requests, by integration and isolation."""
    groups: dict[tuple[int, int], dict[int, Member]] = {}
    integrations: dict[int, Integration] = {}
    for plan in plans:
        for each in plan.upserts:
            pk = each.integration.pk
            integrations[pk] = each.integration
            members = groups.setdefault((pk, plan.entry.isolation), {})
            members.setdefault(plan.entry.pk, Member(plan, [])).upserts.append(each)
    for (integration_pk, isolation), group in sorted(groups.items(), key=lambda item: item[0][1]):
        batch = Batch(integrations[integration_pk], [])
        for member in group.values():
            if batch.members and batch.size + len(member.upserts) > batch_limit(isolation):
                yield batch
                batch = Batch(batch.integration, [])
            batch.members.append(member)
        yield batch


def _send(session: PushSession, ledger: Ledger, gate: Gate, batch: Batch) -> Sequence[Batch]:
    """Send one request and note its results. Return the halves of a batch that was rejected as a whole."""
    upserts = [(member.plan, upsert) for member in batch.members for upsert in member.upserts]
    try:
        items = []
        for plan, each in upserts:
            assert each.shipment is not None
            stamp = dt.datetime.fromtimestamp(plan.entry.stamp, dt.UTC)
            items.append(Item(each.payload.stamped(stamp), each.shipment))
        backend = session.backend(batch.integration)
        session.upserts += 1
        with not_after(gate.latest()):
            results: list[ItemResult] = backend.upsert(items)
    except interruptions():
        raise
    except Exception as error:
        return _failed(ledger, gate, batch, error)
    gate.succeeded(batch.integration)
    for (plan, each), result in zip(upserts, results, strict=True):
        ledger.upserted(plan, each, result)
    return ()


def _failed(ledger: Ledger, gate: Gate, batch: Batch, error: Exception) -> Sequence[Batch]:
    """Handle a failed request. Divide a batch that was rejected because of something in it."""
    if isinstance(error, RequestNotSent) and gate.lease_is_over():
        # This worker took too long: neither Sendcloud nor an order is at fault. The orders stay open.
        return ()
    reaction = gate.react(batch.integration, error)
    if reaction.divide and len(batch.members) > 1:
        return batch.halves()
    for member in batch.members:
        member.plan.wait_for(batch.integration)
        for each in member.upserts:
            if reaction.divide:
                ledger.rejected(member.plan, each, reaction.problem)
            else:
                ledger.failed(member.plan, reaction, gate.stop_for(member.plan))
    return ()


def confirm(
    session: PushSession, ledger: Ledger, gate: Gate, integrations: Integrations, meanwhile: Callable[[], None]
) -> None:
    """Find out whether Sendcloud has saved the shipments that it accepted."""
    groups: dict[int, list[tuple[Plan, Shipment]]] = {}
    for plan in ledger.open_plans():
        for shipment in plan.confirmations:
            groups.setdefault(shipment.integration_id, []).append((plan, shipment))
    for pk, group in groups.items():
        integration = integrations.by_pk[pk]
        if not gate.take_turn(integration, "safe"):
            for plan, _ in group:
                plan.wait_for(integration)
            continue
        try:
            with not_after(gate.latest()):
                found = session.backend(integration).confirm([shipment for _, shipment in group], meanwhile)
        except interruptions():
            raise
        except Exception as error:
            reaction = gate.react(integration, error)
            for plan, _ in group:
                plan.wait_for(integration)
                ledger.failed(plan, dataclasses.replace(reaction, unknown=False), gate.stop_for(plan))
            continue
        gate.succeeded(integration)
        for plan, shipment in group:
            if shipment.pk not in found:
                ledger.confirmed(plan, shipment, saved=None)
            elif found[shipment.pk] and not is_frozen(shipment):
                _clear(session, ledger, gate, integration, plan, shipment)
            else:
                ledger.confirmed(plan, shipment, saved=found[shipment.pk] is not None)


def _clear(
    session: PushSession, ledger: Ledger, gate: Gate, integration: Integration, plan: Plan, shipment: Shipment
) -> None:
    """Delete a shipment that has kept parts which its order has lost, so that it is created again without them."""
    plan.wait_for(integration)
    if not gate.take_turn(integration):
        return
    try:
        with not_after(gate.latest()):
            result = session.backend(integration).clear(shipment)
    except interruptions():
        raise
    except Exception as error:
        reaction = gate.react(integration, error)
        ledger.failed(plan, dataclasses.replace(reaction, unknown=False), gate.stop_for(plan))
        return
    ledger.cleared(plan, shipment, result)
