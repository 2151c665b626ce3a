"""Faults between a shop and Sendcloud, on demand."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

__all__ = ["GET_TOKEN", "Apply", "Fault", "Faults", "Garble"]

#: Moment when a request is applied: before the fault, after it, or never.
Apply: TypeAlias = Literal["before", "after", "never"]
#: Way in which the results of an upsert are garbled.
Garble: TypeAlias = Literal["order", "missing", "duplicate", "unknown"]
Kind: TypeAlias = Literal["answer", "drop", "hang", "truncate"]

#: Name of a token request in the request log. Only a fault that names it hits it.
GET_TOKEN: Final = "get token"  # noqa: S105  (a name)

_GARBLES: Final = ("order", "missing", "duplicate", "unknown")


@dataclass(slots=True, eq=False)
class Fault:
    """A fault that hits the next requests it matches.

    Attributes:
        kind: ``answer`` gives its status and body instead of the true response; ``drop`` closes the connection;
            ``hang`` waits; ``truncate`` cuts the true response.
        times: Number of requests it still hits.
        match: Requests it hits: ``None`` for all, a method, the end of a path, or both (``POST``, ``shipments``,
            ``POST shipments/delete``), an operation of the request log (``upsert shipments``), or its verb alone
            (``upsert``), which matches both API generations.
        apply: Moment when the request is applied.
    """

    kind: Kind
    times: int
    match: str | None = None
    apply: Apply = "never"
    status: int = 500
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def matches(self, method: str, path: str, operation: str) -> bool:
        """Return whether it hits a request."""
        if self.match is None:
            return operation != GET_TOKEN
        if operation == self.match or operation.startswith(f"{self.match} "):
            return True
        wanted_method, _, end = self.match.rpartition(" ")
        if not wanted_method and end.isupper():
            wanted_method, end = end, ""
        end = end.strip("/")
        fits = not end or f"/{path.strip('/')}".endswith(f"/{end}")
        return fits and wanted_method in ("", method)


class Faults:
    """The active faults.

    Attributes:
        latency: Delay of every response, in seconds.
        answering: Event that is cleared while requests get no response.
    """

    def __init__(self) -> None:
        self.latency = 0.0
        self.answering = threading.Event()
        self.answering.set()
        self._lock = threading.Lock()
        self._queue: list[Fault] = []
        self._garble: Garble | None = None
        self._rejected: dict[str, dict[str, Any]] = {}
        self._poisoned: dict[str, int] = {}
        self._lost = 0

    def add(self, fault: Fault) -> None:
        """Add a fault behind those that already wait.

        Raises:
            ValueError: It would hit no request.
        """
        if fault.times < 1:
            raise ValueError(f"times must be at least 1, got {fault.times}.")
        with self._lock:
            self._queue.append(fault)

    def take(self, method: str, path: str, operation: str) -> Fault | None:
        """Return the fault that hits a request, and count it."""
        with self._lock:
            fault = next((fault for fault in self._queue if fault.matches(method, path, operation)), None)
            if fault is not None:
                fault.times -= 1
                if not fault.times:
                    self._queue.remove(fault)
            return fault

    def waiting(self) -> list[Fault]:
        """Return the faults that wait for a request."""
        with self._lock:
            return list(self._queue)

    def reject(self, external_order_id: str, errors: dict[str, Any] | None) -> None:
        """Reject one order of any batch from now on; ``None`` ends it."""
        with self._lock:
            if errors is None:
                self._rejected.pop(external_order_id, None)
            else:
                self._rejected[external_order_id] = errors

    def poison(self, external_order_id: str, status: int | None) -> None:
        """Refuse every batch with this order from now on; ``None`` ends it."""
        with self._lock:
            if status is None:
                self._poisoned.pop(external_order_id, None)
            else:
                self._poisoned[external_order_id] = status

    def rejection(self, order_id: Any) -> dict[str, Any] | None:
        """Return the errors that an order is rejected with."""
        return self._rejected.get(order_id) if isinstance(order_id, str) else None

    def poisoned(self, order_ids: list[Any]) -> int | None:
        """Return the status that a batch with these orders is refused with."""
        if not self._poisoned:
            return None
        return next((self._poisoned[key] for key in order_ids if isinstance(key, str) and key in self._poisoned), None)

    def lose_orders(self, times: int) -> None:
        """Lose the next v3 orders: they are accepted and never saved."""
        with self._lock:
            self._lost = times

    def loses_order(self) -> bool:
        """Return whether the next accepted v3 order is lost, and count it."""
        with self._lock:
            lost = self._lost > 0
            self._lost -= lost
            return lost

    @property
    def garble(self) -> Garble | None:
        """Way in which the results of upserts are garbled; ``None`` for not at all."""
        return self._garble

    @garble.setter
    def garble(self, how: Garble | None) -> None:
        if how is not None and how not in _GARBLES:
            raise ValueError(f"Results can be garbled by {', '.join(_GARBLES)}, not by {how!r}.")
        self._garble = how

    def garbled(self, results: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
        """Return the results of an upsert, garbled if that is active. ``key`` names the field with the order's id."""
        if not results or self._garble is None:
            return results
        match self._garble:
            case "order":
                # A client might survive a mere reversal by luck.
                return random.Random(len(results)).sample(results, len(results))  # noqa: S311
            case "missing":
                return results[:-1]
            case "duplicate":
                return [*results, results[0]]
            case "unknown":
                return [{**results[0], key: "an unknown order"}, *results[1:]]

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            self._queue.clear()
            self._rejected.clear()
            self._poisoned.clear()
            self._lost = 0
        self._garble = None
        self.latency = 0.0
        self.answering.set()
