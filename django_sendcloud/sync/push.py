"""Telling Sendcloud: one claim, as few requests as possible, every outcome understood (``outcomes``)."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime as dt
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from django.db import connections

from ..api import SendcloudClient, not_after
from ..api.results import UpsertResult
from ..clock import clock
from ..conf import SendcloudConfigurationError, conf
from ..enums import UpsertStatus
from ..exceptions import APIError, PayloadError, RequestNotSent, TooLarge
from ..models import Account, EntryState, ExceptionReport, Integration, OutboxEntry, Shipment, ShipmentStatus, Tally
from ..models.outbox import local_order
from ..patience import patiently
from . import breaker, limiter
from .announce import announce
from .batches import Batch, Refused, divided
from .build import Integrations, Plan, Problem, Upsert, build
from .claim import Claim, Claimed
from .interruption import interruptions
from .outcomes import Reaction, reaction_to
from .settle import Settled, Verdict, settle

logger = logging.getLogger("django_sendcloud.sync")

# Requests on their way at once: while Sendcloud works on two batches, the next ones are made here.
IN_FLIGHT = 2
# Seconds of lease that must be left, beside the whole HTTP deadline, to send anything.
MARGIN = 2.0
# Results may wait this long for others, to be settled together.
SETTLE_EVERY = 0.5
# Seconds between two additions to the tally of the hour.
TALLY_EVERY = 10.0
# A paused integration's orders are looked at again after this, should nobody have resumed it in the usual way.
HOLD_SECONDS = 6 * 3600.0
# What no integration takes is looked at again after this, or when an integration changes.
NOBODY_SECONDS = 900.0
# For what was claimed and not got to.
SOON_SECONDS = 0.5
# Of the requests of a round, one in so many may be a deletion while there is something else to be told.
UPSERTS_PER_DELETE = 4
# A deletion costs a request of its own.
DELETES_PER_CLAIM = 20

# The shipments of one request, and who they belong to.
Items = list[tuple[Plan, Upsert]]
Results = list[UpsertResult]


class Push:
    """The work of one round: its clients stay open for the next claim."""

    def __init__(self) -> None:
        # Requests made.
        self.upserts = 0
        self.deletes = 0
        self.succeeded: set[int] = set()
        self._clients: dict[int, SendcloudClient] = {}
        self._tally: dict[int, tuple[int, int]] = {}
        self._tallied_at = clock.monotonic()
        self._threads = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="sendcloud-push")
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Push:
        # Threads begin with the first request, and end after the last: before the clients they use.
        self._stack.callback(self._close_clients)
        self._stack.enter_context(self._threads)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()
        if self.succeeded:
            rows = Integration.objects.using(conf().DATABASE).filter(pk__in=self.succeeded)
            patiently(lambda: rows.update(last_success_at=clock.now(), relapses=0, resumed_from=""))
        self._write_tally()

    def count(self, shipments: Iterable[Shipment]) -> None:
        """Add to the tally of the hour; written now and then, as it is only looked at."""
        for shipment in shipments:
            pushed, deleted = self._tally.get(shipment.integration_id, (0, 0))
            pushed += shipment.status == ShipmentStatus.SYNCED
            deleted += shipment.status == ShipmentStatus.DELETED
            if pushed or deleted:
                self._tally[shipment.integration_id] = (pushed, deleted)
        if clock.monotonic() - self._tallied_at >= TALLY_EVERY:
            self._write_tally()

    def _write_tally(self) -> None:
        counts, self._tally, self._tallied_at = self._tally, {}, clock.monotonic()
        if counts:
            patiently(lambda: Tally.add(clock.now(), counts))

    def client(self, integration: Integration) -> SendcloudClient:
        if integration.pk not in self._clients:
            # No retries of its own: what is repeated, and when, is decided here.
            self._clients[integration.pk] = integration.client(retries=0)
        return self._clients[integration.pk]

    def _close_clients(self) -> None:
        for client in self._clients.values():
            client.close()

    def start(self, request: Callable[[], Results]) -> Future[Results]:
        """Make a request in a thread of its own."""
        return self._threads.submit(_then_without_database, request)

    def run(self, claim: Claim, integrations: Integrations) -> None:
        """Build, send and settle what was claimed. Whatever is not got to is given back."""
        _Round(self, claim, integrations).run()


def _then_without_database(request: Callable[[], Results]) -> Results:
    try:
        return request()
    finally:
        # A cache of tokens may live in the database, and each thread has connections of its own.
        connections.close_all()


@dataclasses.dataclass(frozen=True, slots=True)
class _Stop:
    """Nothing more is sent for an integration in this round.

    Args:
        wait: Seconds until its orders are looked at again.
        problem: What they wait for, where it is more than their turn.
    """

    wait: float
    problem: Problem | None = None


class _Round:
    """One claim on its way to Sendcloud."""

    def __init__(self, push: Push, claim: Claim, integrations: Integrations) -> None:
        self.push = push
        self.claim = claim
        self.integrations = integrations
        # What is told is the state of now: told a little later, it does not cover what changed in between.
        self.started = clock.now()
        self.settled = Settled()
        self.settled_at = clock.monotonic()
        self.open: dict[int, Plan] = {}
        self.outcomes: dict[int, list[Verdict]] = {}
        self.todo: dict[int, int] = {}
        self.stopped: dict[int, _Stop] = {}
        self.upserts = 0
        self.batched: set[int] = set()
        self.batches: collections.deque[Batch] = collections.deque()
        self.in_flight: dict[Future[Results], tuple[Batch, Items]] = {}

    # -- the course of a round ------------------------------------------------------------------

    def run(self) -> None:
        entries = self.claim.entries
        step = IN_FLIGHT * conf().BATCH_SIZE
        for begin in range(0, len(entries), step):
            # The next orders are looked at while the last ones are on their way.
            self.prepare(entries[begin : begin + step])
            self.send(everything=begin + step >= len(entries))
        self.delete_all()
        for plan in list(self.open.values()):
            self.finish(plan)
        self.settle_now()

    def prepare(self, entries: Sequence[Claimed]) -> None:
        """Find out what these orders need; what needs nothing, or cannot be told, is judged at once."""
        plans = build(entries, self.integrations, self.time_is_up)
        built = {plan.entry.pk for plan in plans}
        for entry in entries:
            if entry.pk not in built:
                self.give_back(Plan(entry))
        self.announce([plan for plan in plans if plan.problem is None])
        for plan in plans:
            if plan.problem is not None:
                self.judge(plan, self.verdict_on_problem(plan))
            elif not plan.upserts and not plan.deletes:
                self.judge(plan, Verdict(plan, "done"))
            else:
                self.open[plan.entry.pk] = plan
                self.outcomes[plan.entry.pk] = []
                self.todo[plan.entry.pk] = len(plan.upserts) + len(plan.deletes)

    def time_is_up(self) -> bool:
        return self.claim.time_left() < conf().DEADLINE_SECONDS + MARGIN

    def verdict_on_problem(self, plan: Plan) -> Verdict:
        problem = plan.problem
        assert problem is not None
        if problem.final:
            return Verdict(plan, "rejected", problem)
        if problem.code in ("no_integration", "integration_unknown", "adapter_missing", "order_conflict"):
            # Nothing was tried. Another order is through soon; an integration is seldom changed, and says so.
            wait = 2.0 if problem.code == "order_conflict" else NOBODY_SECONDS
            return Verdict(plan, "retry", problem, wait=wait, burns=False)
        return Verdict(plan, "retry", problem)

    def judge(self, plan: Plan, verdict: Verdict) -> None:
        self.open.pop(plan.entry.pk, None)
        self.settled.verdicts.append(verdict)

    def give_back(self, plan: Plan, stop: _Stop | None = None) -> None:
        """Not tried: as if it had not been claimed."""
        stop = stop or _Stop(SOON_SECONDS)
        self.judge(plan, Verdict(plan, "release", stop.problem, wait=stop.wait))

    def item_done(self, plan: Plan, verdict: Verdict) -> None:
        """One shipment of an order has its outcome; the order has its own when all have."""
        self.outcomes[plan.entry.pk].append(verdict)
        self.todo[plan.entry.pk] -= 1
        if not self.todo[plan.entry.pk]:
            self.finish(plan)

    def finish(self, plan: Plan) -> None:
        """The order's verdict is the gravest of its shipments'; what was not got to is tried again."""
        if plan.entry.pk not in self.open:
            return
        outcomes = self.outcomes[plan.entry.pk]
        order = {"done": 0, "rejected": 1, "release": 2, "retry": 3}
        worst = max(outcomes, key=lambda verdict: (verdict.unknown, order[verdict.state]), default=None)
        told = len(outcomes) >= len(plan.upserts)
        if worst is None:
            self.give_back(plan, self.stopped_by(plan))
        elif worst.state == "rejected" and told:
            # What it should no longer have elsewhere stays, until it is accepted where it belongs now.
            self.judge(plan, dataclasses.replace(worst, plan=plan))
        elif self.todo[plan.entry.pk] > 0 and worst.state in ("done", "rejected"):
            stop = self.stopped_by(plan) or _Stop(0.0)
            self.judge(plan, Verdict(plan, "retry", stop.problem, wait=stop.wait, burns=False))
        else:
            self.judge(plan, worst if worst.plan is plan else dataclasses.replace(worst, plan=plan))

    def stopped_by(self, plan: Plan) -> _Stop | None:
        return self.stopped.get(plan.integration.pk) if plan.integration else None

    def settle_now(self) -> None:
        settle(self.claim, self.settled)
        self.push.count(self.settled.shipments.values())
        self.tell_the_merchant(self.settled.verdicts)
        self.settled = Settled()
        self.settled_at = clock.monotonic()

    def settle_in_time(self) -> None:
        if clock.monotonic() - self.settled_at >= SETTLE_EVERY:
            self.settle_now()

    def tell_the_merchant(self, verdicts: Sequence[Verdict]) -> None:
        """Orders that could not be translated are the shop's own failures: they belong into Sendcloud's log."""
        if not conf().EXCEPTION_LOGS:
            return
        causes = set()
        for verdict in verdicts:
            if (
                verdict.state == "rejected"
                and verdict.problem
                and verdict.problem.code in ("payload_invalid", "adapter_error")
            ):
                integration = self.integrations.resolve(verdict.plan.integration)
                if isinstance(integration, Integration):
                    # Field names and codes: no value of an order.
                    cause = ": ".join(filter(None, (verdict.problem.code, ", ".join(sorted(verdict.problem.fields)))))
                    causes.add((integration.pk, cause))
        for integration_pk, cause in causes:
            ExceptionReport.objects.report(self.integrations.by_pk[integration_pk], cause)

    # -- before sending -------------------------------------------------------------------------

    def announce(self, plans: Sequence[Plan]) -> None:
        """Write down what is about to be told, and settle who may tell it."""
        new: dict[tuple[int, str, str], tuple[Plan, Upsert]] = {}
        rivals: list[tuple[Plan, Upsert]] = []
        for plan in plans:
            for upsert in plan.upserts:
                if upsert.shipment is None:
                    assert plan.integration is not None
                    key = (
                        plan.integration.pk,
                        upsert.payload.external_order_id,
                        upsert.payload.external_shipment_id or "",
                    )
                    if key in new:
                        rivals.append((plan, upsert))
                    else:
                        new[key] = (plan, upsert)
        if new:
            self.write_announcement(new)
        for plan, _ in rivals:
            plan.problem = Problem(
                "order_conflict", "Another order of this batch has the same external ids.", final=False
            )
        self.raise_stamps(plans)

    def write_announcement(self, new: dict[tuple[int, str, str], tuple[Plan, Upsert]]) -> None:
        rows = [
            Shipment(
                integration_id=integration_pk,
                order_type=plan.entry.order_type,
                order_pk=plan.entry.order_pk,
                order_number=upsert.payload.order_number[:255],
                external_order_id=order_id,
                external_shipment_id=shipment_id,
                stamp=plan.entry.stamp,
            )
            for (integration_pk, order_id, shipment_id), (plan, upsert) in new.items()
        ]
        for key, shipment in patiently(lambda: announce(rows)).items():
            plan, upsert = new[key]
            upsert.shipment = shipment
            if (shipment.order_type, shipment.order_pk) != (plan.entry.order_type, plan.entry.order_pk):
                self.take_over(plan, shipment)
        for plan, upsert in new.values():
            if upsert.shipment is None:
                plan.problem = Problem("order_conflict", "Its ids are not told apart from another's.", final=False)

    def take_over(self, plan: Plan, shipment: Shipment) -> None:
        """The external ids were another order's. Fine once that order is gone, here and there."""
        database = conf().DATABASE
        entries = OutboxEntry.objects.using(database)
        owner = {"order_type": shipment.order_type, "order_pk": shipment.order_pk}
        if shipment.status != ShipmentStatus.DELETED:
            if entries.filter(**owner, state=EntryState.PENDING).exists():
                plan.problem = Problem(
                    "order_conflict",
                    f"{shipment.order_type} {shipment.order_pk} has the same external ids and is being settled first.",
                    final=False,
                )
                return
            if local_order(shipment.order_type, shipment.order_pk) is not None:
                plan.problem = Problem(
                    "order_conflict",
                    f"{shipment.order_type} {shipment.order_pk} has the same external ids.",
                    {
                        "external_order_id": [
                            "Two orders may not share their external ids: Sendcloud keeps one of them."
                        ]
                    },
                )
                return
        mine = {"order_type": plan.entry.order_type, "order_pk": plan.entry.order_pk}
        Shipment.objects.using(database).filter(pk=shipment.pk, **owner).update(**mine)
        shipment.order_type, shipment.order_pk = mine["order_type"], mine["order_pk"]

    def raise_stamps(self, plans: Sequence[Plan]) -> None:
        """What is sent must exceed all that ever was, also if the clock went back; and a crash must not forget it."""
        behind = [
            (plan, upsert.shipment.stamp + 1)
            for plan in plans
            for upsert in plan.upserts
            if upsert.shipment is not None
            and upsert.shipment.stamp >= plan.entry.stamp
            and upsert.shipment.told_at is not None
        ]
        if not behind:
            return
        stamp = max(stamp for _, stamp in behind)
        pks = {plan.entry.pk for plan, _ in behind}
        patiently(
            lambda: (
                OutboxEntry.objects.using(conf().DATABASE)
                .filter(pk__in=pks, lease=self.claim.lease)
                .update(stamp=stamp)
            )
        )
        for plan, _ in behind:
            plan.entry.stamp = stamp

    # -- upserts --------------------------------------------------------------------------------

    def send(self, *, everything: bool) -> None:
        """Send what makes full batches; or everything, and wait for all answers."""
        for integration, plans in self.by_integration():
            for batch in divided(integration, plans, everything=everything):
                self.batched.update(plan.entry.pk for plan in batch.plans)
                self.batches.append(batch)
        while self.batches or (everything and self.in_flight):
            if self.batches and len(self.in_flight) < IN_FLIGHT:
                self.upsert(self.batches.popleft(), alone=everything and not self.batches and not self.in_flight)
            else:
                self.receive()

    def by_integration(self) -> list[tuple[Integration, list[Plan]]]:
        groups: dict[int, list[Plan]] = {}
        for plan in self.open.values():
            if plan.upserts and plan.integration is not None and plan.entry.pk not in self.batched:
                groups.setdefault(plan.integration.pk, []).append(plan)
        return [(self.integrations.by_pk[pk], plans) for pk, plans in groups.items()]

    def upsert(self, batch: Batch, *, alone: bool) -> None:
        """Begin one request; in a thread, unless it is the only one.

        Where nothing may be sent now, its orders are left open, and given back in the end.
        """
        integration = batch.integration
        if not self.may_send(integration):
            return
        items = [(plan, upsert) for plan in batch.plans for upsert in plan.upserts]
        try:
            stamps = {plan.entry.pk: dt.datetime.fromtimestamp(plan.entry.stamp, dt.UTC) for plan in batch.plans}
            payloads = [upsert.payload.stamped(stamps[plan.entry.pk]) for plan, upsert in items]
            resource = self.push.client(integration).shipments(integration.remote_id)
        except interruptions():
            raise
        except Exception as error:
            self.failed(batch, items, error)
            return
        self.push.upserts += 1
        self.upserts += 1
        latest = self.latest()

        def request() -> Results:
            with not_after(latest):
                return resource.upsert(payloads)

        answer: Future[Results] = Future()
        if not alone:
            answer = self.push.start(request)
        else:
            try:
                answer.set_result(request())
            except interruptions():
                raise
            except Exception as error:
                answer.set_exception(error)
        self.in_flight[answer] = (batch, items)

    def latest(self) -> float:
        """When a request must be over, whatever has kept this process: the end of the lease, by the steady clock."""
        return time.monotonic() + self.claim.time_left() - MARGIN

    def receive(self) -> None:
        """Wait for the next answer, and write down what it says of each shipment."""
        done, _ = wait(self.in_flight, return_when=FIRST_COMPLETED)
        for answer in done:
            batch, items = self.in_flight.pop(answer)
            error = answer.exception()
            if error is not None:
                if not isinstance(error, Exception):
                    raise error
                self.failed(batch, items, error)
                continue
            self.all_is_well(batch.integration)
            if batch.refused is not None:
                batch.refused.part_is_through(batch.integration)
            for (plan, upsert), result in zip(items, answer.result(), strict=True):
                self.answered(plan, upsert, result)
        self.settle_in_time()

    def failed(self, batch: Batch, items: Items, error: Exception) -> None:
        """A batch that was refused because of something in it is divided, and sent again in parts."""
        if isinstance(error, RequestNotSent) and self.claim.time_left() <= MARGIN:
            # It was us who took too long: nothing is wrong with anybody else.
            for plan in batch.plans:
                self.give_back(plan)
            return
        reaction = self.react(batch.integration, error)
        refused = batch.refused
        if reaction.divide and len(batch.plans) > 1:
            if isinstance(error, TooLarge):
                refused = refused or Refused(len(items))
                refused.divide(len(items))
            self.batches.extendleft(reversed(batch.halves(refused)))
            return
        if refused is not None:
            refused.part_is_through(batch.integration, alone_too_large=isinstance(error, TooLarge))
        for plan, upsert in items:
            if reaction.divide:
                self.rejected(plan, upsert, reaction.problem)
            self.item_done(plan, self.verdict(plan, reaction))

    def answered(self, plan: Plan, upsert: Upsert, result: UpsertResult) -> None:
        shipment = upsert.shipment
        assert shipment is not None
        if result.status in (UpsertStatus.CREATED, UpsertStatus.UPDATED):
            if result.status == UpsertStatus.CREATED:
                self.settled.created.add(shipment.pk)
            shipment.status = ShipmentStatus.SYNCED
            shipment.errors = {}
            shipment.digest = upsert.digest
            shipment.uuid = result.shipment_uuid or shipment.uuid
            shipment.deleted_at = None
            self.told(plan, upsert)
            self.item_done(plan, Verdict(plan, "done"))
        elif result.status == UpsertStatus.ERROR:
            problem = Problem("rejected", fields=result.errors)
            self.rejected(plan, upsert, problem)
            self.item_done(plan, Verdict(plan, "rejected", problem))
        else:
            problem = Problem("answer_incomplete", "Sendcloud's answer did not say what became of it.", final=False)
            self.item_done(plan, Verdict(plan, "retry", problem, unknown=True))

    def rejected(self, plan: Plan, upsert: Upsert, problem: Problem) -> None:
        if upsert.shipment is not None:
            upsert.shipment.status = ShipmentStatus.REJECTED
            upsert.shipment.errors = problem.fields or {"": [problem.detail]}
            self.told(plan, upsert)

    def told(self, plan: Plan, upsert: Upsert) -> None:
        shipment = upsert.shipment
        assert shipment is not None
        shipment.stamp = plan.entry.stamp
        shipment.told_at = self.started
        shipment.order_number = upsert.payload.order_number[:255]
        self.settled.shipments[shipment.pk] = shipment

    # -- deletes --------------------------------------------------------------------------------

    def delete_all(self) -> None:
        waiting = [plan for plan in self.open.values() if plan.deletes]
        # Orders that are only to be deleted and do not say so beforehand (cancelled, say) came among others. Where
        # there were others, most wait for their own turn, which comes in proportion.
        unannounced = DELETES_PER_CLAIM if not self.upserts else max(1, self.upserts // UPSERTS_PER_DELETE)
        for plan in waiting:
            if plan.upserts:
                if not self.is_told(plan):
                    # It stays where it is until it is where it belongs.
                    continue
            elif not plan.entry.gone:
                if unannounced <= 0:
                    self.give_back(plan, _Stop(0.0))
                    continue
                unannounced -= 1
            self.delete_each(plan)

    def is_told(self, plan: Plan) -> bool:
        outcomes = self.outcomes[plan.entry.pk]
        return len(outcomes) >= len(plan.upserts) and all(verdict.state == "done" for verdict in outcomes)

    def delete_each(self, plan: Plan) -> None:
        for shipment in plan.deletes:
            integration = self.integrations.by_pk.get(shipment.integration_id)
            if integration is None:
                continue
            if not self.may_send(integration):
                # What is left of this order waits for this integration, wherever the rest of it went.
                plan.integration = integration
                continue
            self.delete(plan, integration, shipment)
            self.settle_in_time()

    def delete(self, plan: Plan, integration: Integration, shipment: Shipment) -> None:
        try:
            self.push.deletes += 1
            resource = self.push.client(integration).shipments(integration.remote_id)
            with not_after(self.latest()):
                resource.delete(**shipment.reference())
        except interruptions():
            raise
        except Exception as error:
            self.item_done(plan, self.verdict(plan, self.react(integration, error)))
            return
        # That it was not there is as good: it is not there.
        self.all_is_well(integration)
        shipment.status = ShipmentStatus.DELETED
        shipment.errors = {}
        shipment.digest = ""
        shipment.stamp = max(shipment.stamp, plan.entry.stamp)
        shipment.told_at = shipment.deleted_at = self.started
        self.settled.shipments[shipment.pk] = shipment
        self.item_done(plan, Verdict(plan, "done"))

    # -- the way to Sendcloud -------------------------------------------------------------------

    def may_send(self, integration: Integration) -> bool:
        """Whether one request may be sent now: lease, pauses, breaker and rate limit allow it."""
        if integration.pk in self.stopped or self.time_is_up():
            return False
        while answer := patiently(lambda: limiter.ask(integration, "unsafe", trial=self.claim.trial)):
            if isinstance(answer, limiter.Closed):
                self.closed(integration, answer)
                return False
            if self.claim.time_left() - answer < conf().DEADLINE_SECONDS + MARGIN:
                self.stopped[integration.pk] = _Stop(answer)
                return False
            # What is known already need not wait for the limit.
            self.settle_now()
            clock.sleep(answer)
        # To ask the limit may have taken long, where the database hung.
        return not self.time_is_up()

    def closed(self, integration: Integration, answer: limiter.Closed) -> None:
        """Somebody else has found out meanwhile, or a person has decided, that nothing may be sent."""
        if answer.reason == "paused":
            self.stopped[integration.pk] = _Stop(HOLD_SECONDS, Problem("paused", final=False))
            return
        problem = Problem("rate_limited", final=False) if answer.reason == "blocked" else None
        self.stop_account(integration.account, answer.until, problem)

    def all_is_well(self, integration: Integration) -> None:
        breaker.succeeded(integration.account, trial=self.claim.trial)
        self.push.succeeded.add(integration.pk)

    def verdict(self, plan: Plan, reaction: Reaction) -> Verdict:
        if reaction.release:
            stop = self.stopped_by(plan) or _Stop(SOON_SECONDS, reaction.problem)
            return Verdict(plan, "release", stop.problem, wait=stop.wait)
        if reaction.problem.final:
            return Verdict(plan, "rejected", reaction.problem)
        wait = reaction.wait
        if reaction.patience is not None and plan.entry.failures >= reaction.patience:
            wait = None
        # What was only to find out whether Sendcloud is back has not failed itself.
        burns = reaction.burns and not self.claim.trial
        return Verdict(plan, "retry", reaction.problem, unknown=reaction.unknown, wait=wait, burns=burns)

    def react(self, integration: Integration, error: Exception) -> Reaction:
        """Do what the error asks for beyond the orders: pause, block, break."""
        reaction = reaction_to(error)
        if not isinstance(error, APIError | PayloadError | SendcloudConfigurationError):
            # Without the error's own text, which may quote what was sent.
            name = type(error).__name__
            logger.error("Pushing to integration %s failed unexpectedly: %s.", integration.remote_id, name)
        else:
            logger.warning("Pushing to integration %s: %s", integration.remote_id, reaction.problem.code)
        if reaction.pause is not None:
            integration.pause(reaction.pause, reaction.problem.detail)
            self.stopped[integration.pk] = _Stop(HOLD_SECONDS, reaction.problem)
        account = integration.account
        if reaction.block:
            until = breaker.block(account, getattr(error, "retry_after", None))
            self.stop_account(account, until, reaction.problem)
        if reaction.breaks and breaker.failed(account, trial=self.claim.trial):
            self.stop_account(account, account.open_until, reaction.problem)
        if self.claim.trial and isinstance(error, APIError) and not reaction.breaks:
            # It was refused, and by a Sendcloud that is back: that was the question.
            breaker.succeeded(account, trial=True)
        return reaction

    def stop_account(self, account: Account, until: dt.datetime | None, problem: Problem | None) -> None:
        """Nothing more for any of its integrations, and their orders again when it may be: not all at once."""
        wait = breaker.OPEN_SECONDS if until is None else max(0.0, (until - clock.now()).total_seconds())
        stop = _Stop(wait + clock.jitter(1.0), problem)
        for integration in self.integrations.by_pk.values():
            if integration.account_id == account.pk:
                self.stopped[integration.pk] = stop


__all__ = ["Push"]
