"""The switches of faults and limits, for tests and for the panel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .faults import Apply, Fault, Faults, Garble
from .limits import RateLimiter

__all__ = ["FaultControl"]


class FaultControl:
    """The switches of faults and limits. Faults hit both API generations."""

    def __init__(self, faults: Faults, limits: RateLimiter) -> None:
        self._faults = faults
        self._limits = limits

    @property
    def latency(self) -> float:
        """Delay of every response, in seconds."""
        return self._faults.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._faults.latency = seconds

    @property
    def paused(self) -> bool:
        """Whether all requests wait for their responses."""
        return not self._faults.answering.is_set()

    @paused.setter
    def paused(self, paused: bool) -> None:
        if paused:
            self._faults.answering.clear()
        else:
            self._faults.answering.set()

    @property
    def rate_limits(self) -> bool:
        """Whether an account has 100 unsafe and 1,000 safe requests in any 60 seconds."""
        return self._limits.enabled

    @rate_limits.setter
    def rate_limits(self, enabled: bool) -> None:
        self._limits.enabled = enabled

    def set_rate_limits(self, unsafe: int = 100, safe: int = 1000, window: float = 60.0) -> None:
        """Set the limits of an account in requests per window (in seconds), and enable them."""
        limits = self._limits
        limits.unsafe, limits.safe, limits.window, limits.enabled = unsafe, safe, window, True

    @property
    def retry_after(self) -> float | str | None:
        """Retry-After header of a 429; ``None`` for none, as at Sendcloud."""
        return self._limits.retry_after

    @retry_after.setter
    def retry_after(self, value: float | str | None) -> None:
        self._limits.retry_after = value

    def fail_next(
        self,
        status: int = 500,
        times: int = 1,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        match: str | None = None,
        *,
        apply: bool = False,
    ) -> None:
        """Answer the next requests with an error.

        Args:
            status: HTTP status.
            times: Number of requests.
            body: Body, HTML if it begins with ``<``.
            headers: Headers of the response.
            match: Requests to hit: a method, the end of a path, or both (``POST shipments``), an operation of the
                request log (``upsert shipments``), or its verb alone (``upsert``); all by default.
            apply: Whether the request is applied all the same.
        """
        when: Apply = "before" if apply else "never"
        self._faults.add(Fault("answer", times, match, when, status=status, body=body, headers=headers or {}))

    def drop_answer(self, times: int = 1, *, after_apply: bool = True, match: str | None = None) -> None:
        """Close the connection instead of answering the next requests."""
        self._faults.add(Fault("drop", times, match, "before" if after_apply else "never"))

    def hang_next(self, seconds: float, times: int = 1, apply: Apply = "before", match: str | None = None) -> None:
        """Delay the responses of the next requests.

        Args:
            seconds: Length of the delay.
            times: Number of requests.
            apply: Moment when they are applied: ``before`` the delay, ``after`` it (late, when the client may be
                gone), or ``never``, which closes the connection in the end.
            match: Requests to hit, as for :meth:`fail_next`.
        """
        self._faults.add(Fault("hang", times, match, apply, seconds=seconds))

    def truncate_next(self, times: int = 1, match: str | None = None) -> None:
        """Apply the next requests, and cut their responses in the middle."""
        self._faults.add(Fault("truncate", times, match, "before"))

    def html_next(self, times: int = 1, status: int = 200, *, apply: bool = True, match: str | None = None) -> None:
        """Answer the next requests with a page of HTML."""
        body = b"<!doctype html><title>Sendcloud</title><h1>We will be right back</h1>"
        self.fail_next(status, times, body, match=match, apply=apply)

    def garble_results(self, how: Garble | None) -> None:
        """Change the results of all upserts from now on; ``None`` ends it.

        They come in another ``order``, with one ``missing``, with a ``duplicate``, or with an ``unknown`` one instead
        of a true one.
        """
        self._faults.garble = how

    def reject_order(self, external_order_id: str, errors: dict[str, Any] | None) -> None:
        """Reject an order with these errors from now on; ``None`` ends it.

        v2 rejects it alone. v3 refuses its whole batch and points at each field of ``errors``.
        """
        self._faults.reject(external_order_id, errors)

    def poison_batch(self, external_order_id: str, status: int | None = 400) -> None:
        """Refuse every batch with an order from now on, without naming it; ``None`` ends it."""
        self._faults.poison(external_order_id, status)

    def lose_orders(self, times: int = 1) -> None:
        """Accept the next v3 orders without ever saving them."""
        self._faults.lose_orders(times)

    def conflict_next(self, times: int = 1, match: str | None = "upsert orders") -> None:
        """Answer the next v3 upserts that an earlier request is still being processed."""
        detail = "We are still processing a previous request. Please try again in a moment."
        conflict = {"status": "400", "code": "invalid", "detail": detail, "source": {"pointer": "/data"}}
        self.fail_next(400, times, json.dumps({"errors": [conflict]}).encode(), match=match)

    @property
    def faults(self) -> list[Fault]:
        """Faults that wait for a request."""
        return self._faults.waiting()

    def clear_faults(self) -> None:
        """End all faults, delays and rejections. Rate limits stay."""
        self._faults.clear()
