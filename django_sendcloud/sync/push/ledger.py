"""The ledger of one claim: what each order still needs, and what has been found out to be settled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...conf import conf
from ...core.clock import clock
from ...models import ExceptionReport, Integration, Shipment, ShipmentStatus
from ...violations import errors_to_json, remote_errors
from ..backends import ItemResult, Outcome
from ..claim import Claim
from ..integrations import Integrations
from ..outcomes import Reaction
from ..problems import UNASSIGNED, Problem
from .frozen import contents, is_frozen
from .gate import Gate, Stop
from .plan import Plan, Upsert
from .settle import Settled, Verdict, settle

__all__ = ["Ledger"]

# Results wait this long for others, to be settled together.
SETTLE_EVERY = 0.5
# Seconds until an order without an integration is planned again, unless an integration changes before.
UNASSIGNED_SECONDS = 900.0
# Two orders with the same ids: the other one is settled soon.
SAME_IDS_SECONDS = 2.0
# For an order that was claimed and not reached.
SOON_SECONDS = 0.5
# An order that Sendcloud is still processing after so long is asked for less and less often.
PROCESSING_GRACE_SECONDS = 60.0

# The gravest of its shipments' results is the order's.
_SEVERITY = {"done": 0, "accepted": 1, "rejected": 2, "release": 3, "retry": 4}


class Ledger:
    """The orders of one claim, from their plans to their verdicts.

    An order is *open* until it has a verdict. Verdicts are settled together, every half second and at the end.
    """

    def __init__(self, claim: Claim, integrations: Integrations) -> None:
        self.claim = claim
        self._integrations = integrations
        # The pushed state is the one of this moment: a change after it is pushed again.
        self._started = clock.now()
        self._open: dict[int, Plan] = {}
        self._results: dict[int, list[Verdict]] = {}
        self._settled = Settled()
        self._settled_at = clock.monotonic()

    # -- orders -----------------------------------------------------------------------------------

    def open(self, plans: Iterable[Plan]) -> None:
        """Take over planned orders; one with a problem, or without any work, has its verdict immediately."""
        for plan in plans:
            if plan.problem is not None:
                self._judge(_problem_verdict(plan, plan.problem))
            elif not plan.size:
                self._judge(Verdict(plan, "done"))
            else:
                self._open[plan.entry.pk] = plan
                self._results[plan.entry.pk] = []

    def open_plans(self) -> list[Plan]:
        """Return the orders without a verdict."""
        return list(self._open.values())

    def is_done(self, plan: Plan) -> bool:
        """Return whether Sendcloud has all shipments that the order wants."""
        results = self._results[plan.entry.pk]
        wanted = len(plan.upserts) + len(plan.confirmations)
        return len(results) >= wanted and all(verdict.state == "done" for verdict in results)

    def give_back(self, plan: Plan, stop: Stop | None = None) -> None:
        """Release an order that was not tried, as if it had not been claimed."""
        stop = stop or Stop(SOON_SECONDS)
        self._judge(Verdict(plan, "release", stop.problem, wait=stop.wait))

    def close(self, gate: Gate) -> None:
        """Give every order that is still open a verdict, and settle."""
        for plan in self.open_plans():
            self._finish(plan, gate.stop_for(plan))
        self.settle()

    def _judge(self, verdict: Verdict) -> None:
        self._open.pop(verdict.plan.entry.pk, None)
        if verdict.state == "done" and verdict.plan.unassigned is not None:
            # The packages that have an integration are there; the others wait.
            verdict = _problem_verdict(verdict.plan, verdict.plan.unassigned)
        self._settled.verdicts.append(verdict)

    def _add(self, verdict: Verdict) -> None:
        """Add one shipment's result; the order has its verdict when all of them are there."""
        plan = verdict.plan
        self._results[plan.entry.pk].append(verdict)
        if len(self._results[plan.entry.pk]) == plan.size:
            self._finish(plan, None)

    def _finish(self, plan: Plan, stop: Stop | None) -> None:
        """Judge an order by the gravest of its results; what was not reached is retried."""
        if plan.entry.pk not in self._open:
            return
        results = self._results[plan.entry.pk]
        pushed = len(results) >= len(plan.upserts) + len(plan.confirmations)
        worst = max(results, key=lambda verdict: (verdict.unknown, _SEVERITY[verdict.state]), default=None)
        if worst is None:
            self.give_back(plan, stop)
        elif worst.state in ("rejected", "accepted") and pushed:
            # Shipments it should no longer have elsewhere stay, until it is accepted where it belongs now.
            self._judge(worst)
        elif len(results) < plan.size and worst.state in ("done", "accepted", "rejected"):
            stop = stop or Stop(0.0)
            self._judge(Verdict(plan, "retry", stop.problem, wait=stop.wait, is_failure=False))
        else:
            self._judge(worst)

    # -- results of single shipments --------------------------------------------------------------

    def upserted(self, plan: Plan, upsert: Upsert, result: ItemResult) -> None:
        """Note the result of one shipment that was pushed."""
        shipment = upsert.shipment
        assert shipment is not None
        match result.outcome:
            case Outcome.CREATED | Outcome.UPDATED | Outcome.ACCEPTED:
                accepted = result.outcome is Outcome.ACCEPTED
                if result.outcome is Outcome.CREATED:
                    self._settled.created.add(shipment.pk)
                shipment.status = ShipmentStatus.ACCEPTED if accepted else ShipmentStatus.SYNCED
                shipment.errors, shipment.deleted_at = {}, None
                shipment.digest = upsert.digest
                shipment.parts = {name: name in upsert.parts for name in {*shipment.parts, *upsert.parts}}
                if not is_frozen(shipment):
                    shipment.label_fields, shipment.label_kept = upsert.fields, ""
                    shipment.contents = contents(upsert.payload)
                shipment.uuid = result.uuid or shipment.uuid
                shipment.remote_id = result.remote_id or shipment.remote_id
                self._pushed(plan, upsert)
                self._add(Verdict(plan, "accepted", wait=result.wait) if accepted else Verdict(plan, "done"))
            case Outcome.REJECTED:
                self.rejected(plan, upsert, Problem("rejected", fields=remote_errors(result.errors)))
            case Outcome.STILL_PROCESSING | Outcome.SENT_WITH_CULPRIT:
                is_processing = result.outcome is Outcome.STILL_PROCESSING
                problem = Problem("processing", final=False) if is_processing else None
                self._add(Verdict(plan, "retry", problem, wait=result.wait, is_failure=False))
            case _:
                text = "Sendcloud's answer did not say what became of it."
                self._add(Verdict(plan, "retry", Problem("answer_incomplete", text, final=False), unknown=True))

    def rejected(self, plan: Plan, upsert: Upsert, problem: Problem) -> None:
        """Note that Sendcloud, or the contract, rejects one shipment."""
        if upsert.shipment is not None:
            upsert.shipment.status = ShipmentStatus.REJECTED
            upsert.shipment.errors = problem.fields or errors_to_json({"": [problem.detail]})
            self._pushed(plan, upsert)
        self._add(Verdict(plan, "rejected", problem))

    def confirmed(self, plan: Plan, shipment: Shipment, *, saved: bool | None) -> None:
        """Note whether Sendcloud has saved an accepted shipment; ``None``: it was not asked.

        One that it has not is looked for again, each time twice as long after the push, and at last pushed again. That
        a list does not show it is no reason to push.
        """
        pushed = shipment.last_pushed_at or self._started
        age = max(0.0, (self._started - pushed).total_seconds())
        is_late = age >= conf().SAVE_SECONDS
        if saved is None or not (saved or is_late):
            wait = conf().CONFIRM_SECONDS if is_late else max(conf().CONFIRM_SECONDS, age)
            self._add(Verdict(plan, "accepted", wait=wait))
            return
        shipment.status = ShipmentStatus.SYNCED if saved else ShipmentStatus.PENDING
        self._settled.shipments[shipment.pk] = shipment
        if saved:
            self._settled.saved.add(shipment.pk)
        problem = Problem("not_confirmed", "Sendcloud accepted the order but has not saved it.", final=False)
        self._add(Verdict(plan, "done") if saved else Verdict(plan, "retry", problem))

    def cleared(self, plan: Plan, shipment: Shipment, result: ItemResult) -> None:
        """Note the deletion of a saved shipment that had kept parts which its order has lost: it is created again."""
        if result.outcome is Outcome.STILL_PROCESSING:
            self._add(Verdict(plan, "retry", Problem("processing", final=False), wait=result.wait, is_failure=False))
            return
        if result.outcome is not Outcome.DELETED:
            self.confirmed(plan, shipment, saved=True)
            return
        shipment.status = ShipmentStatus.PENDING
        shipment.digest, shipment.remote_id, shipment.uuid, shipment.parts = "", "", None, {}
        self._settled.shipments[shipment.pk] = shipment
        self._add(Verdict(plan, "retry", wait=0.0, is_failure=False))

    def deleted(self, plan: Plan, shipment: Shipment, result: ItemResult) -> None:
        """Note the result of one deletion."""
        if result.outcome is not Outcome.DELETED:
            self._add(Verdict(plan, "retry", Problem("processing", final=False), wait=result.wait, is_failure=False))
            return
        shipment.status = ShipmentStatus.DELETED
        shipment.errors, shipment.digest = {}, ""
        shipment.stamp = max(shipment.stamp, plan.entry.stamp)
        shipment.last_pushed_at = shipment.deleted_at = self._started
        self._settled.shipments[shipment.pk] = shipment
        self._add(Verdict(plan, "done"))

    def failed(self, plan: Plan, reaction: Reaction, stop: Stop | None) -> None:
        """Note that the request of one shipment failed."""
        if reaction.release:
            stop = stop or Stop(SOON_SECONDS, reaction.problem)
            self._add(Verdict(plan, "release", stop.problem, wait=stop.wait))
            return
        if reaction.problem.final:
            self._add(Verdict(plan, "rejected", reaction.problem))
            return
        # An order that was only sent to find out whether Sendcloud is back has not failed itself.
        is_failure = reaction.is_failure and not self.claim.trial
        self._add(
            Verdict(
                plan,
                "retry",
                reaction.problem,
                unknown=reaction.unknown,
                wait=self._wait(plan, reaction),
                is_failure=is_failure,
            )
        )

    def _wait(self, plan: Plan, reaction: Reaction) -> float | None:
        """Return the seconds an order waits: what the reaction says, and much longer if that has not helped."""
        since = plan.entry.failing_since
        if reaction.wait is None or reaction.is_failure or since is None:
            return reaction.wait
        age = (clock.now() - since).total_seconds()
        return reaction.wait if age < PROCESSING_GRACE_SECONDS else min(age, conf().BACKOFF_MAX_SECONDS)

    def _pushed(self, plan: Plan, upsert: Upsert) -> None:
        shipment = upsert.shipment
        assert shipment is not None
        shipment.stamp = plan.entry.stamp
        shipment.last_pushed_at = self._started
        shipment.order_number = upsert.payload.order_number[:255]
        self._settled.shipments[shipment.pk] = shipment

    # -- settling ---------------------------------------------------------------------------------

    def settle_in_time(self) -> None:
        """Settle the verdicts, if the first has waited long enough for others."""
        if clock.monotonic() - self._settled_at >= SETTLE_EVERY:
            self.settle()

    def settle(self) -> None:
        """Settle everything that has been found out."""
        settled, self._settled = self._settled, Settled()
        settle(self.claim, settled)
        self._report_failures(settled.verdicts)
        self._settled_at = clock.monotonic()

    def _report_failures(self, verdicts: Sequence[Verdict]) -> None:
        """Report orders that could not be translated: they are the shop's own failures, for Sendcloud's log.

        The report holds field names and codes, and no value of an order.
        """
        if not conf().EXCEPTION_LOGS:
            return
        causes = set()
        for verdict in verdicts:
            problem = verdict.problem
            if verdict.state == "rejected" and problem and problem.code in ("payload_invalid", "adapter_error"):
                integration = self._integrations.resolve(verdict.plan.integration)
                if isinstance(integration, Integration):
                    cause = ": ".join(filter(None, (problem.code, ", ".join(sorted(problem.fields)))))
                    causes.add((integration.pk, cause))
        for integration_pk, cause in causes:
            ExceptionReport.objects.report(self._integrations.by_pk[integration_pk], cause)


def _problem_verdict(plan: Plan, problem: Problem) -> Verdict:
    """Return the verdict on an order that was not sent because of a problem."""
    if problem.final:
        return Verdict(plan, "rejected", problem)
    if problem.code == "same_ids":
        return Verdict(plan, "retry", problem, wait=SAME_IDS_SECONDS, is_failure=False)
    if problem.code in UNASSIGNED:
        return Verdict(plan, "retry", problem, wait=UNASSIGNED_SECONDS, is_failure=False)
    return Verdict(plan, "retry", problem)
