"""The gate before each request: lease, pauses, breaker and rate limit; and what an error closes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import time
from collections.abc import Callable

from ...conf import SendcloudConfigurationError, conf
from ...core.clock import clock
from ...core.retry import retry_transient
from ...exceptions import APIError, PayloadError
from ...models import Account, Integration
from .. import breaker, limiter
from ..claim import Claim
from ..integrations import Integrations
from ..outcomes import Reaction, reaction_to
from ..problems import Problem
from .plan import Plan
from .session import PushSession

__all__ = ["Gate", "Stop"]

logger = logging.getLogger("django_sendcloud.sync")

# Seconds of lease that must be left, beside the whole HTTP deadline, to send anything.
MARGIN = 2.0
# Seconds until the orders of a paused integration are planned again, unless it is resumed before.
HOLD_SECONDS = 6 * 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Stop:
    """The order to send nothing more for an integration with this claim.

    Args:
        wait: Seconds until its orders are planned again.
        problem: The reason, if it is more than their turn.
    """

    wait: float
    problem: Problem | None = None


class Gate:
    """The permission to send, asked before each request of one claim.

    Args:
        session: The worker's session.
        claim: The claim whose lease covers the requests.
        integrations: The integrations of the shop.
        before_waiting: Called before the gate waits for the rate limit: results must not wait with it.
    """

    def __init__(
        self, session: PushSession, claim: Claim, integrations: Integrations, before_waiting: Callable[[], None]
    ) -> None:
        self._session = session
        self._claim = claim
        self._integrations = integrations
        self._before_waiting = before_waiting
        self._stops: dict[int, Stop] = {}

    def time_is_up(self) -> bool:
        """Return whether too little of the lease is left for another request."""
        return self._claim.time_left() < conf().DEADLINE_SECONDS + MARGIN

    def lease_is_over(self) -> bool:
        """Return whether the lease has ended, or is about to."""
        return self._claim.time_left() <= MARGIN

    def latest(self) -> float:
        """Return when a request must be over, by the steady clock, whatever has stopped this process meanwhile."""
        return time.monotonic() + self._claim.time_left() - MARGIN

    def stop_for(self, plan: Plan) -> Stop | None:
        """Return why an order cannot be sent with this claim."""
        return self._stops.get(plan.integration.pk) if plan.integration else None

    def take_turn(self, integration: Integration, kind: limiter.Kind = "unsafe") -> bool:
        """Take the right to send one request now, waiting for it as long as the lease and the run's budget allow.

        Returns:
            Whether it was given.
        """
        if integration.pk in self._stops or self.time_is_up():
            return False
        if self._session.slot is not None:
            retry_transient(self._session.slot.renew)
        while answer := retry_transient(lambda: limiter.ask(integration, kind, trial=self._claim.trial)):
            if isinstance(answer, limiter.Closed):
                self._closed(integration, answer)
                return False
            left = self._claim.time_left() - conf().DEADLINE_SECONDS - MARGIN
            if answer > min(left, self._session.wait_budget):
                self._stops[integration.pk] = Stop(answer)
                return False
            self._before_waiting()
            self._session.wait(answer)
        # The question may have taken long, if the database hung.
        return not self.time_is_up()

    def _closed(self, integration: Integration, answer: limiter.Closed) -> None:
        """Stop the integration or its account in this run, because another worker or a person closed it meanwhile."""
        if answer.reason == "paused":
            self._stops[integration.pk] = Stop(HOLD_SECONDS, Problem("paused", final=False))
            return
        problem = Problem("rate_limited", final=False) if answer.reason == "blocked" else None
        self._stop_account(integration.account, answer.until, problem)

    def succeeded(self, integration: Integration) -> None:
        """Note that a request was answered sensibly."""
        breaker.succeeded(integration.account, trial=self._claim.trial)
        self._session.succeeded.add(integration.pk)

    def react(self, integration: Integration, error: Exception) -> Reaction:
        """Turn an error into a reaction, and close what it asks to close: integration, account or breaker."""
        reaction = reaction_to(error)
        if not isinstance(error, APIError | PayloadError | SendcloudConfigurationError):
            # Without the error's own text, which may quote what was sent.
            name = type(error).__name__
            logger.error("Pushing to integration %s failed unexpectedly: %s.", integration.remote_id, name)
        else:
            logger.warning("Pushing to integration %s: %s", integration.remote_id, reaction.problem.code)
        if reaction.pause is not None:
            integration.pause(reaction.pause, reaction.problem.detail)
            self._stops[integration.pk] = Stop(HOLD_SECONDS, reaction.problem)
        account = integration.account
        if reaction.block:
            until = breaker.block(account, getattr(error, "retry_after", None))
            self._stop_account(account, until, reaction.problem)
        if reaction.trips_breaker and breaker.failed(account, trial=self._claim.trial):
            self._stop_account(account, account.closed_until, reaction.problem)
        if self._claim.trial and isinstance(error, APIError) and not reaction.trips_breaker:
            # A rejection by a Sendcloud that is back answers what the trial asked.
            breaker.succeeded(account, trial=True)
        return reaction

    def _stop_account(self, account: Account, until: dt.datetime | None, problem: Problem | None) -> None:
        """Send nothing more for any integration of the account; their orders come back spread over a second."""
        wait = breaker.OPEN_SECONDS if until is None else max(0.0, (until - clock.now()).total_seconds())
        stop = Stop(wait + clock.jitter(1.0), problem)
        for integration in self._integrations.by_pk.values():
            if integration.account_id == account.pk:
                self._stops[integration.pk] = stop
