"""The fourth stage: one request per shipment that an order no longer wants."""

from __future__ import annotations

import dataclasses

from ...api.transport import not_after
from ...core.interruption import interruptions
from ...models import Integration, Shipment
from ..integrations import Integrations
from .gate import Gate, Stop
from .ledger import Ledger
from .plan import Plan
from .session import PushSession

__all__ = ["DELETES_PER_CLAIM", "UPSERTS_PER_DELETE", "delete"]

# Upserts for each deletion of a run, while there are upserts to do.
UPSERTS_PER_DELETE = 4
# A deletion costs a request of its own.
DELETES_PER_CLAIM = 20


def delete(session: PushSession, ledger: Ledger, gate: Gate, integrations: Integrations, upserts: int) -> None:
    """Delete the shipments that open orders no longer want. Orders that may not be sent now stay open.

    Args:
        session: The worker's session.
        ledger: The claim's ledger.
        gate: The claim's gate.
        integrations: The integrations of the shop.
        upserts: Upsert requests that were sent with this claim. Orders that turned out to be deletions, without a hint
            at their claim, get one deletion for four of them; the others wait for a turn among deletions.
    """
    unannounced = max(1, upserts // UPSERTS_PER_DELETE) if upserts else DELETES_PER_CLAIM
    for plan in ledger.open_plans():
        if not plan.deletes:
            continue
        if plan.upserts or plan.confirmations:
            if not ledger.is_done(plan):
                # The shipments stay where they are until Sendcloud has the order where it belongs.
                continue
        elif not plan.entry.is_deletion:
            if unannounced <= 0:
                ledger.give_back(plan, Stop(0.0))
                continue
            unannounced -= 1
        _delete_shipments(session, ledger, gate, integrations, plan)


def _delete_shipments(session: PushSession, ledger: Ledger, gate: Gate, integrations: Integrations, plan: Plan) -> None:
    """Delete what one order no longer wants."""
    for shipment in plan.deletes:
        integration = integrations.by_pk.get(shipment.integration_id)
        if integration is None:
            continue
        if not gate.take_turn(integration):
            plan.wait_for(integration)
            continue
        _send(session, ledger, gate, integration, plan, shipment)
        ledger.settle_in_time()


def _send(
    session: PushSession, ledger: Ledger, gate: Gate, integration: Integration, plan: Plan, shipment: Shipment
) -> None:
    """Send one deletion and note its result."""
    session.deletes += 1
    try:
        with not_after(gate.latest()):
            result = session.backend(integration).delete(shipment)
    except interruptions():
        raise
    except Exception as error:
        reaction = gate.react(integration, error)
        if reaction.problem.code == "rejected":
            # To correct the order would not help.
            problem = dataclasses.replace(reaction.problem, code="deletion_rejected")
            reaction = dataclasses.replace(reaction, problem=problem)
        ledger.failed(plan, reaction, gate.stop_for(plan))
        return
    gate.succeeded(integration)
    ledger.deleted(plan, shipment, result)
