"""The history of a run and the rules it must keep, as plain data without Django and the sandbox.

The rules are the project's promises: both sides are equal, no order is lost, doubled, resurrected or put back to an
older state, requests stay within Sendcloud's limit, and each request has a reason.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

__all__ = ["RULES", "Broken", "History", "Journey", "Push", "Turn", "check", "story"]

# Pushes that one event (a process killed or stopped, a connection lost, a clock stepped) may cost one order: one because
# its result was not recorded, and one more by the worker that notices that another had taken the order over.
REPEATS_PER_EVENT = 2
# Requests that may come before a checkout's order: what two processes have claimed by then, twice over for a busy machine.
AHEAD = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Push:
    """One order in one request that reached Sendcloud.

    Attributes:
        request: Number of the request, in order of arrival.
        time: When it arrived, in seconds of the steady clock.
        kind: Kind of the request.
        order: The order's external id.
        stamp: Its ``updated_at`` in seconds; 0 for a delete.
        outcome: As the sandbox calls it: ``created``, ``updated``, ``unchanged``, ``deleted``, ``not found``,
            ``error``; ``""`` if the request was refused as a whole.
        applied: Position in the order in which requests took effect; ``None`` if it never did.
        answered: Whether the sandbox sent a sensible answer, which may still have been lost on its way.
        account: The account whose keys it came with.
    """

    request: int
    time: float
    kind: Literal["upsert", "delete"]
    order: str
    stamp: int
    outcome: str
    applied: int | None
    answered: bool = True
    account: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A checkout beside the backlog of an account.

    Attributes:
        order: The order it placed.
        account: The account of the order.
        ahead: How many requests, of any account, came after the checkout and before its order.
        behind: How many came after the order.
        arrived: Whether the order was pushed.
    """

    order: str
    account: str
    ahead: int
    behind: int
    arrived: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Journey:
    """One parcel at the end of a run.

    Attributes:
        order: The order it belongs to.
        parcel: Sendcloud's id of the parcel.
        there: Its phase at Sendcloud.
        here: Its phase in the shop; ``""`` if the shop does not know the parcel.
        heard: The phases that the shop's receiver was called for, in that order.
        copies: How many orders with its order's id are at Sendcloud.
    """

    order: str
    parcel: int
    there: str
    here: str
    heard: tuple[str, ...]
    copies: int


@dataclasses.dataclass(slots=True)
class History:
    """The evidence by which a run is judged.

    Attributes:
        wanted: The content of each order that is to be shipped, as its adapter returns it now.
        held: The content of each order at Sendcloud.
        stamps: Its ``updated_at`` there, in seconds.
        believed: The state of each order at Sendcloud as the shop recorded it: order to (status, stamp).
        outbox: The entries left in the outbox, with reasons.
        pushes: All pushes of orders, in order of arrival.
        unsafe: When each request arrived that may change something, by account, in seconds of the steady clock.
        changes: How often each order was changed.
        accounts: The account that each order belongs to.
        held_at: The accounts that each order is held at.
        foreign: Orders that this shop must not ship: those of long ago, and those of a copy of the shop.
        turns: Checkouts beside the backlog of an account.
        journeys: The parcels, with what the shop knows of them.
        events_left: Webhooks that did not get through, with reasons.
        failures: Errors that the app caused in the shop while its database was available.
        events: Number of faults that may make the shop push an order again.
        lost: Number of orders that stopped or late workers found taken over by others.
        limit: Requests that change something, in any window.
        window: Its length in seconds.
    """

    wanted: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    held: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    stamps: Mapping[str, int] = dataclasses.field(default_factory=dict)
    believed: Mapping[str, tuple[str, int]] = dataclasses.field(default_factory=dict)
    outbox: Sequence[Mapping[str, Any]] = ()
    pushes: Sequence[Push] = ()
    unsafe: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)
    changes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    accounts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    held_at: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    foreign: Collection[str] = ()
    turns: Sequence[Turn] = ()
    journeys: Sequence[Journey] = ()
    events_left: Sequence[str] = ()
    failures: Sequence[str] = ()
    events: int = 0
    lost: int = 0
    limit: int = 100
    window: float = 60.0

    def of(self, order: str) -> list[Push]:
        return [push for push in self.pushes if push.order == order]

    def orders(self) -> list[str]:
        """Return the ids of the orders that were pushed, leaving out requests without an id."""
        return sorted({push.order for push in self.pushes} - {""})

    def applied(self, order: str) -> list[Push]:
        """Return the pushes of an order that took effect, in that order."""
        effective = [push for push in self.of(order) if push.applied is not None]
        return sorted(effective, key=lambda push: (push.applied, push.request))


@dataclasses.dataclass(frozen=True, slots=True)
class Broken:
    """A rule that does not hold, and the order it fails for; ``""`` if it concerns no single order."""

    rule: str
    order: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {f'order {self.order} ' if self.order else ''}{self.text}"


def both_sides_are_equal(history: History) -> Iterator[Broken]:
    """Check that Sendcloud has exactly the wanted orders with their current content, and that the shop knows it."""
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
            yield Broken(
                rule, order, f"was last pushed as of {history.stamps.get(order)}, and the shop believes {stamp}."
            )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}…"


def nothing_after_the_last_delete(history: History) -> Iterator[Broken]:
    """Check that no late upsert brought back an order that ends deleted."""
    for order in history.orders():
        if order in history.wanted:
            continue
        effective = [push for push in history.applied(order) if push.outcome not in ("error", "")]
        if effective and effective[-1].kind == "upsert":
            yield Broken("nothing after the last delete", order, "was pushed again after it had been deleted for good.")


def the_limit_is_kept(history: History) -> Iterator[Broken]:
    """Check that no window of an account's limit, at any start, has more requests than allowed."""
    for account, moments in history.unsafe.items():
        recent: collections.deque[float] = collections.deque()
        most = 0
        for moment in sorted(moments):
            recent.append(moment)
            while recent[0] <= moment - history.window:
                recent.popleft()
            most = max(most, len(recent))
        if most > history.limit:
            text = (
                f"{most} requests of account {account} within {history.window:g} s, where {history.limit} are allowed."
            )
            yield Broken("the limit is kept", "", text)


def stamps_grow(history: History) -> Iterator[Broken]:
    """Check that Sendcloud last applied the greatest ``updated_at``, and that no two contents shared one.

    A worker that was stopped, or whose clock is off, may be overtaken by the one that took over its orders, and then
    arrive late. It notices, and has the order pushed again with a greater stamp than both. No other push may be
    overtaken.
    """
    rule = "stamps grow"
    for order in history.orders():
        greatest = 0
        behind: Push | None = None
        for push in history.applied(order):
            if push.kind != "upsert" or push.outcome in ("error", ""):
                continue
            if push.outcome == "unchanged" or push.stamp == greatest:
                yield Broken(rule, order, f"was pushed twice as of {push.stamp} (request {push.request}).")
            behind = push if push.stamp < greatest else None
            greatest = max(greatest, push.stamp)
        if behind is not None:
            text = f"ends as of {behind.stamp} (request {behind.request}), after it was pushed as of {greatest}."
            yield Broken(rule, order, text)
    if (count := overtaken(history)) > history.lost:
        text = f"{count} times an older state came after a newer one, and only {history.lost} orders were taken over."
        yield Broken(rule, next(order for order in history.orders() if _overtaken(history, order)), text)


def overtaken(history: History) -> int:
    """Count how often an older state arrived after a newer one, so that the order was pushed again."""
    return sum(_overtaken(history, order) for order in history.orders())


def _overtaken(history: History, order: str) -> int:
    count = greatest = 0
    for push in history.applied(order):
        if push.kind == "upsert" and push.outcome not in ("error", ""):
            count += push.stamp < greatest
            greatest = max(greatest, push.stamp)
    return count


def allowance(history: History, order: str) -> int:
    """Return the greatest number of pushes that an order may have had.

    Once for each change, because the answer to a push settles the changes that were read before it. Once more for each
    push without a sensible answer, because its result is unknown. And for each event at most ``REPEATS_PER_EVENT``
    times, because an event takes at most one claim of an order away from its worker.
    """
    unanswered = sum(not push.answered for push in history.of(order))
    return history.changes.get(order, 0) + unanswered + REPEATS_PER_EVENT * history.events


def no_more_than_there_was_reason_to(history: History) -> Iterator[Broken]:
    """Check that no order is pushed more often than allowed; this bounds the requests, since each carries an order."""
    for order in history.orders():
        pushed, allowed = len(history.of(order)), allowance(history, order)
        if pushed > allowed:
            text = (
                f"was pushed {pushed} times for {history.changes.get(order, 0)} changes, where {allowed} are explained."
            )
            yield Broken("no more requests than reasons", order, text)


def nothing_is_stuck(history: History) -> Iterator[Broken]:
    """Check that the outbox is empty: no entry is dead-lettered, rejected or waiting."""
    for entry in history.outbox:
        details = ", ".join(f"{name} {value}" for name, value in entry.items() if name not in ("order", "state"))
        yield Broken("nothing is stuck", str(entry["order"]), f"is left in the outbox as {entry['state']}: {details}.")


def the_shop_never_fails(history: History) -> Iterator[Broken]:
    """Check that the app never kept an order from being saved, by a deadlock or a long wait for a lock."""
    for text, count in collections.Counter(history.failures).items():
        yield Broken("the shop never fails", "", f"{count} times: {text}.")


def parcels_converge(history: History) -> Iterator[Broken]:
    """Check that the shop knows each parcel as Sendcloud does, however its webhooks came."""
    for journey in history.journeys:
        if journey.here != journey.there:
            text = f"has parcel {journey.parcel}, {journey.there} there and {journey.here or 'unknown'} here."
            yield Broken("parcels converge", journey.order, text)
    for text in history.events_left:
        yield Broken("parcels converge", "", f"a webhook was left: {text}.")


def the_shop_gets_every_update(history: History) -> Iterator[Broken]:
    """Check that the receiver was called for each parcel, and last for the phase it ended in."""
    for journey in history.journeys:
        if journey.here and journey.heard[-1:] != (journey.here,):
            text = f"has parcel {journey.parcel}, {journey.here}, and the receiver was called for {journey.heard}."
            yield Broken("the shop gets every update", journey.order, text)


def a_label_stays(history: History) -> Iterator[Broken]:
    """Check that no order with a label was deleted or doubled."""
    for journey in history.journeys:
        if journey.copies != 1:
            text = f"has a label, and is at Sendcloud {journey.copies} times."
            yield Broken("a label stays", journey.order, text)


def each_order_has_one_account(history: History) -> Iterator[Broken]:
    """Check that no order was pushed with the keys of an account it does not belong to, nor is held there."""
    rule = "each order has one account"
    for order, account in sorted(history.accounts.items()):
        pushed = {push.account for push in history.of(order)}
        if wrong := sorted((pushed | set(history.held_at.get(order, ()))) - {account}):
            yield Broken(rule, order, f"belongs to account {account}, and went to {', '.join(wrong)}.")


def accounts_wait_for_no_backlog(history: History) -> Iterator[Broken]:
    """Check that a checkout's order was pushed before most of a backlog: its own account's, or another's."""
    rule = "nobody waits for a backlog"
    for turn in history.turns:
        if not turn.arrived:
            yield Broken(rule, turn.order, "was never pushed.")
        elif turn.ahead > AHEAD:
            text = f"of account {turn.account} came after {turn.ahead} requests, where {AHEAD} may go ahead."
            yield Broken(rule, turn.order, text)


def only_this_shops_orders(history: History) -> Iterator[Broken]:
    """Check that nothing was ever pushed that this shop should not ship."""
    for order in history.orders():
        if order in history.foreign:
            yield Broken("only this shop's orders", order, "is of long ago, or of a copy of the shop, and was pushed.")


RULES: dict[str, Callable[[History], Iterator[Broken]]] = {
    "both sides are equal": both_sides_are_equal,
    "nothing after the last delete": nothing_after_the_last_delete,
    "the limit is kept": the_limit_is_kept,
    "stamps grow": stamps_grow,
    "no more requests than reasons": no_more_than_there_was_reason_to,
    "nothing is stuck": nothing_is_stuck,
    "the shop never fails": the_shop_never_fails,
    "parcels converge": parcels_converge,
    "the shop gets every update": the_shop_gets_every_update,
    "a label stays": a_label_stays,
    "each order has one account": each_order_has_one_account,
    "nobody waits for a backlog": accounts_wait_for_no_backlog,
    "only this shop's orders": only_this_shops_orders,
}


def check(history: History) -> list[Broken]:
    """Return every broken rule; an empty list if all rules hold."""
    return [broken for rule in RULES.values() for broken in rule(history)]


def story(history: History, order: str, begin: float = 0.0, limit: int = 40) -> list[str]:
    """Return the latest pushes of an order, one line each, oldest first."""
    return [
        f"{push.time - begin:8.2f} s  request {push.request:<6} {push.kind:<7}"
        f"{f'as of {push.stamp}' if push.kind == 'upsert' else '':<18}"
        f"{push.outcome or 'refused':<10}"
        f"{'never applied' if push.applied is None else f'applied as no. {push.applied}'}"
        f"{'' if push.answered else ', not answered sensibly'}"
        for push in history.of(order)[-limit:]
    ]
