"""One claim on its way to Sendcloud."""

from __future__ import annotations

from collections.abc import Callable

from ..claim import Claim
from ..integrations import Integrations
from .delete import delete
from .gate import Gate
from .ledger import Ledger
from .plan import plan_orders
from .reserve import reserve
from .session import PushSession
from .upsert import confirm, upsert

__all__ = ["push_claim"]


def push_claim(
    session: PushSession, claim: Claim, integrations: Integrations, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Push what was claimed: plan → reserve → upsert → delete → settle.

    Every order gets a verdict, which is settled in the database: done, rejected, retried later, or released as if it
    had not been claimed. Whatever is not reached before the lease ends is released.

    Args:
        session: The worker's session.
        claim: The claimed orders.
        integrations: The integrations of the shop.
        meanwhile: Called between the requests that look for accepted orders, which may be many.
    """
    ledger = Ledger(claim, integrations)
    gate = Gate(session, claim, integrations, before_waiting=ledger.settle)

    plans, unreached = plan_orders(claim.entries, integrations, gate.time_is_up)
    for plan in unreached:
        ledger.give_back(plan)
    reserve(claim, [plan for plan in plans if plan.problem is None])
    ledger.open(plans)

    before = session.upserts
    upsert(session, ledger, gate)
    upserts = session.upserts - before
    confirm(session, ledger, gate, integrations, meanwhile)
    delete(session, ledger, gate, integrations, upserts=upserts)
    ledger.close(gate)
