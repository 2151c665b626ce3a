"""The history of orders that did not go out at the first try: what people ask about later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db.models import F

from ...models import Attempt, AttemptOutcome
from ..problems import Cause, Problem
from .plan import Plan

__all__ = ["write"]

_OUTCOMES = {
    "rejected": AttemptOutcome.REJECTED,
    "retry": AttemptOutcome.FAILED,
    "done": AttemptOutcome.SENT,
}


def write(results: Sequence[tuple[Plan, str, Problem | None]], now: dt.datetime) -> None:
    """Write the attempts worth a question: failures, rejections, and the success after them.

    A streak of equal results of one order is one row with a count.

    Args:
        results: Orders with the state of their verdict, and the problem of an attempt that counts.
        now: The time (UTC).
    """
    attempts = [attempt for result in results if (attempt := _attempt(*result, now))]
    if not attempts:
        return
    rows = Attempt.objects
    newest = {
        (order_type, order_pk): (pk, result)
        for order_type, order_pk, pk, *result in rows.filter(order_pk__in=[a.order_pk for a in attempts])
        .order_by("at", "pk")
        .values_list("order_type", "order_pk", "pk", "outcome", "code", "field", "rule")
    }
    repeated, fresh = [], []
    for attempt in attempts:
        pk, result = newest.get((attempt.order_type, attempt.order_pk), (0, []))
        if result == [attempt.outcome, attempt.code, attempt.field, attempt.rule]:
            repeated.append(pk)
        else:
            fresh.append(attempt)
    if repeated:
        rows.filter(pk__in=repeated).update(count=F("count") + 1, at=now)
    if fresh:
        rows.bulk_create(fresh)


def _attempt(plan: Plan, state: str, problem: Problem | None, now: dt.datetime) -> Attempt | None:
    """Return the attempt to write, if this one is worth it."""
    entry = plan.entry
    struggled = entry.error_code or entry.attempts > 1 or entry.in_doubt
    if state not in _OUTCOMES or not (problem or plan.slow or (state == "done" and struggled)):
        return None
    cause = problem.cause if problem else Cause("adapter_slow" if plan.slow else "")
    return Attempt(
        integration=plan.integration,
        order_type=entry.order_type,
        order_pk=entry.order_pk,
        at=now,
        outcome=_OUTCOMES[state],
        **cause._asdict(),
    )
