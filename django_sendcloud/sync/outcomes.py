"""The meaning of each outcome of a request: one closed table.

The rule behind it: a request that may have arrived is never repeated before it can no longer land, and
a problem that may pass without a fix is never final.
"""

from __future__ import annotations

import dataclasses

from ..conf import AddressError, SendcloudConfigurationError
from ..core.clock import clock
from ..exceptions import (
    APIError,
    AuthenticationError,
    InvalidResponse,
    NotFound,
    PayloadError,
    PermissionDenied,
    RateLimited,
    Redirected,
    RequestNotSent,
    RequestRejected,
    ServerError,
    StillProcessing,
    TLSError,
    TooLarge,
    WrongAddress,
)
from ..models import PauseReason
from ..violations import remote_errors
from .problems import Problem

__all__ = ["NEEDS_ISOLATION", "ON_HOLD", "Reaction", "reaction_to"]

# Problems of orders that are on hold until a person, or the probe, resumes their integration.
ON_HOLD = frozenset({"paused", "credentials", "permission", "tls", "redirected", "wrong_address", "gone"})
# Problems that a request may have met because of one of its orders, so that it is tried in a smaller batch.
NEEDS_ISOLATION = frozenset({"server_error", "unreadable_answer", "answer_incomplete", "no_answer", "processing"})


@dataclasses.dataclass(frozen=True, slots=True)
class Reaction:
    """The reaction to an error: for the orders of the request, and for the way to Sendcloud."""

    problem: Problem
    # It may have been applied, or may be yet.
    unknown: bool = False
    # Seconds to wait; ``None``: backoff.
    wait: float | None = None
    # Counts as a failed attempt of the orders.
    is_failure: bool = True
    # Nothing was tried in effect: give the orders back as they were.
    release: bool = False
    # Counts for the breaker.
    trips_breaker: bool = False
    pause: PauseReason | None = None
    block: bool = False
    # The request as a whole was rejected because of something in it.
    divide: bool = False


def reaction_to(error: Exception) -> Reaction:
    """Return the reaction to an error. One that the table does not list counts as unknown: wait, and try again."""
    detail = str(error)[:1000]

    def problem(code: str, *, final: bool = False) -> Problem:
        return Problem(code, detail, remote_errors(getattr(error, "errors", {})) if final else {}, final)

    match error:
        case AddressError() | WrongAddress():
            return Reaction(problem("wrong_address"), release=True, pause=PauseReason.CONFIGURATION)
        case SendcloudConfigurationError() | AuthenticationError():
            return Reaction(problem("credentials"), release=True, pause=PauseReason.CREDENTIALS)
        case PermissionDenied():
            return Reaction(problem("permission"), release=True, pause=PauseReason.PERMISSION)
        case TLSError():
            return Reaction(problem("tls"), release=True, pause=PauseReason.CONFIGURATION)
        case Redirected():
            return Reaction(problem("redirected"), release=True, pause=PauseReason.CONFIGURATION)
        case NotFound():
            return Reaction(problem("gone"), release=True, pause=PauseReason.GONE)
        case RateLimited():
            return Reaction(problem("rate_limited"), release=True, block=True)
        case StillProcessing():
            # Nothing is wrong and nothing was done: the batch waits as a whole.
            return Reaction(problem("processing"), wait=1 + clock.jitter(4), is_failure=False)
        case TooLarge() | RequestRejected():
            return Reaction(problem("rejected", final=True), divide=True)
        case RequestNotSent():
            return Reaction(problem("not_sent"), trips_breaker=True)
        case ServerError():
            wait = error.retry_after if error.status == 503 and error.retry_after else None
            return Reaction(problem("server_error"), unknown=True, trips_breaker=True, wait=wait)
        case InvalidResponse():
            return Reaction(problem("unreadable_answer"), unknown=True, trips_breaker=True)
        case PayloadError():
            return Reaction(Problem("payload_invalid", error.subject, error.errors), divide=True)
        case APIError():
            return Reaction(problem("no_answer"), unknown=True, trips_breaker=True)
    return Reaction(Problem("internal_error", type(error).__name__, final=False), unknown=True)
