"""What happened in a run, and what must be true of it. Plain data: knows neither Django nor the sandbox.

The rules are those of the project's promises: both sides are equal, nothing is lost, doubled, resurrected or put back
to an older state, Sendcloud's limit is kept, and no more is asked than there was reason to.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

__all__ = ["RULES", "Broken", "History", "Telling", "check", "story"]

# What one event (a process killed or stopped, a connection lost, a clock stepped) may cost one order: what was sent and
# not written down is sent again; and where somebody else had taken it over meanwhile, once more by whoever notices.
REPEATS_PER_EVENT = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Telling:
    """One order in one request that reached Sendcloud.

    Attributes:
        request: Number of the request, in order of arrival.
        time: When it arrived, in seconds of the steady clock.
        kind: What it asks for.
        order: The order's external id.
        stamp: Its ``updated_at`` in seconds; 0 for a delete.
        outcome: As the sandbox calls it: ``created``, ``updated``, ``unchanged``, ``deleted``, ``not found``,
            ``error``; ``""`` where the request was refused as a whole.
        applied: Counts in the order in which requests took effect; ``None`` where it never did.
        answered: Whether a sensible answer was sent. (That it arrived, nobody knows.)
    """

    request: int
    time: float
    kind: Literal["upsert", "delete"]
    order: str
    stamp: int
    outcome: str
    applied: int | None
    answered: bool = True


@dataclasses.dataclass(slots=True)
class History:
    """All there is to judge a run by.

    Attributes:
        wanted: What each order that is to be shipped looks like now, as its adapter tells it.
        held: What Sendcloud has of each order.
        stamps: Its ``updated_at`` there, in seconds.
        believed: What the shop thinks Sendcloud has: order to (status, stamp).
        outbox: What is left to be told, with reasons.
        tellings: All that was told, in order of arrival.
        unsafe: When each request arrived that may change something, in seconds of the steady clock.
        changes: How often each order was changed.
        failures: Errors that the shop met because of the app, its database being there.
        events: How many things happened to the shop that may make it repeat itself.
        lost: How many orders were taken over from workers that were stopped or late, as those workers noticed.
        limit: Requests that change something, in any window.
        window: Its length in seconds.
    """

    wanted: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    held: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    stamps: Mapping[str, int] = dataclasses.field(default_factory=dict)
    believed: Mapping[str, tuple[str, int]] = dataclasses.field(default_factory=dict)
    outbox: Sequence[Mapping[str, Any]] = ()
    tellings: Sequence[Telling] = ()
    unsafe: Sequence[float] = ()
    changes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    failures: Sequence[str] = ()
    events: int = 0
    lost: int = 0
    limit: int = 100
    window: float = 60.0

    def of(self, order: str) -> list[Telling]:
        return [telling for telling in self.tellings if telling.order == order]

    def orders(self) -> list[str]:
        """Those that were told of, as far as the request said which one was meant."""
        return sorted({telling.order for telling in self.tellings} - {""})

    def applied(self, order: str) -> list[Telling]:
        """What took effect, in the order in which it did."""
        effective = [telling for telling in self.of(order) if telling.applied is not None]
        return sorted(effective, key=lambda telling: (telling.applied, telling.request))


@dataclasses.dataclass(frozen=True, slots=True)
class Broken:
    """A rule that does not hold, and for which order; ``""`` where it is about none in particular."""

    rule: str
    order: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {f'order {self.order} ' if self.order else ''}{self.text}"


def both_sides_are_equal(history: History) -> Iterator[Broken]:
    """Each order is there or not as it should be, with the content it has now, and the shop knows."""
    rule = "both sides are equal"
    for order in sorted(history.wanted.keys() | history.held.keys()):
        wanted, held = history.wanted.get(order), history.held.get(order)
        if wanted is None:
            yield Broken(rule, order, "is at Sendcloud and should not be.")
        elif held is None:
            yield Broken(rule, order, "is not at Sendcloud and should be.")
        elif differs := sorted(name for name, value in wanted.items() if held.get(name) != value):
            shown = "; ".join(f"{name} {_short(wanted[name])} here, {_short(held.get(name))} there" for name in differs)
            yield Broken(rule, order, f"differs: {shown}.")
    for order in sorted(history.believed.keys() | history.held.keys()):
        status, stamp = history.believed.get(order, ("unknown", 0))
        there = order in history.held
        if there != (status == "synced"):
            yield Broken(rule, order, f"is {'' if there else 'not '}there, and the shop believes it is {status}.")
        elif there and stamp != history.stamps.get(order):
            yield Broken(rule, order, f"was last told {history.stamps.get(order)}, and the shop believes {stamp}.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}…"


def nothing_after_the_last_delete(history: History) -> Iterator[Broken]:
    """Where an order ends deleted, no upsert took effect after the last delete: nothing late brought it back."""
    for order in history.orders():
        if order in history.wanted:
            continue
        effective = [telling for telling in history.applied(order) if telling.outcome not in ("error", "")]
        if effective and effective[-1].kind == "upsert":
            yield Broken("nothing after the last delete", order, "was told again after it had been deleted for good.")


def the_limit_is_kept(history: History) -> Iterator[Broken]:
    """No window of the account's limit, wherever it begins, has more requests than allowed."""
    recent: collections.deque[float] = collections.deque()
    most = 0
    for moment in sorted(history.unsafe):
        recent.append(moment)
        while recent[0] <= moment - history.window:
            recent.popleft()
        most = max(most, len(recent))
    if most > history.limit:
        text = f"{most} requests within {history.window:g} seconds, where {history.limit} are allowed."
        yield Broken("the limit is kept", "", text)


def stamps_grow(history: History) -> Iterator[Broken]:
    """What Sendcloud applied last bears the greatest ``updated_at``, and no two contents ever bore the same.

    A worker that was stopped, or whose clock is off, may be overtaken by the one that took over its orders, and then
    arrive late. It notices, and has the order told again with a greater stamp than both. Nothing else may be overtaken.
    """
    rule = "stamps grow"
    for order in history.orders():
        greatest = 0
        behind: Telling | None = None
        for telling in history.applied(order):
            if telling.kind != "upsert" or telling.outcome in ("error", ""):
                continue
            if telling.outcome == "unchanged" or telling.stamp == greatest:
                yield Broken(rule, order, f"was told twice as of {telling.stamp} (request {telling.request}).")
            behind = telling if telling.stamp < greatest else None
            greatest = max(greatest, telling.stamp)
        if behind is not None:
            text = f"ends as of {behind.stamp} (request {behind.request}), after it was told as of {greatest}."
            yield Broken(rule, order, text)
    if (count := overtaken(history)) > history.lost:
        text = f"{count} times an older state came after a newer one, and only {history.lost} orders were taken over."
        yield Broken(rule, next(order for order in history.orders() if _overtaken(history, order)), text)


def overtaken(history: History) -> int:
    """How often an older state arrived after a newer one, and was told anew."""
    return sum(_overtaken(history, order) for order in history.orders())


def _overtaken(history: History, order: str) -> int:
    count = greatest = 0
    for telling in history.applied(order):
        if telling.kind == "upsert" and telling.outcome not in ("error", ""):
            count += telling.stamp < greatest
            greatest = max(greatest, telling.stamp)
    return count


def allowance(history: History, order: str) -> int:
    """How often an order may be told of at most.

    Once for each change, because an entry of the outbox is settled by the answer to what was read after the change.
    Once more for each telling that was not answered sensibly, because what is unknown is told again. And for each event
    at most ``REPEATS_PER_EVENT`` times, because an event takes at most one claim of an order away from its worker.
    """
    unanswered = sum(not telling.answered for telling in history.of(order))
    return history.changes.get(order, 0) + unanswered + REPEATS_PER_EVENT * history.events


def no_more_than_there_was_reason_to(history: History) -> Iterator[Broken]:
    """No order is told more often than it is allowed to, and so no more requests are made: each is about an order."""
    for order in history.orders():
        told, allowed = len(history.of(order)), allowance(history, order)
        if told > allowed:
            text = f"was told {told} times for {history.changes.get(order, 0)} changes, where {allowed} are explained."
            yield Broken("no more requests than reasons", order, text)


def nothing_is_stuck(history: History) -> Iterator[Broken]:
    """The outbox is empty: nothing given up, nothing refused, nothing waiting."""
    for entry in history.outbox:
        details = ", ".join(f"{name} {value}" for name, value in entry.items() if name not in ("order", "state"))
        yield Broken("nothing is stuck", str(entry["order"]), f"is left in the outbox as {entry['state']}: {details}.")


def the_shop_never_fails(history: History) -> Iterator[Broken]:
    """No order could not be saved because of the app: no deadlock, no lock that was waited for too long."""
    for text, count in collections.Counter(history.failures).items():
        yield Broken("the shop never fails", "", f"{count} times: {text}.")


RULES: dict[str, Callable[[History], Iterator[Broken]]] = {
    "both sides are equal": both_sides_are_equal,
    "nothing after the last delete": nothing_after_the_last_delete,
    "the limit is kept": the_limit_is_kept,
    "stamps grow": stamps_grow,
    "no more requests than reasons": no_more_than_there_was_reason_to,
    "nothing is stuck": nothing_is_stuck,
    "the shop never fails": the_shop_never_fails,
}


def check(history: History) -> list[Broken]:
    """All that is broken; nothing where all is well."""
    return [broken for rule in RULES.values() for broken in rule(history)]


def story(history: History, order: str, begin: float = 0.0, limit: int = 40) -> list[str]:
    """What was told of an order, one line each, the latest at the end."""
    return [
        f"{telling.time - begin:8.2f} s  request {telling.request:<6} {telling.kind:<7}"
        f"{f'as of {telling.stamp}' if telling.kind == 'upsert' else '':<18}"
        f"{telling.outcome or 'refused':<10}"
        f"{'never applied' if telling.applied is None else f'applied as no. {telling.applied}'}"
        f"{'' if telling.answered else ', not answered sensibly'}"
        for telling in history.of(order)[-limit:]
    ]
