"""What can go wrong between a shop and Sendcloud, on demand."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

__all__ = ["GET_TOKEN", "Apply", "Fault", "Faults", "Garble"]

#: When a request is applied: before the fault, after it, or not at all.
Apply: TypeAlias = Literal["before", "after", "never"]
#: How the results of an upsert come back.
Garble: TypeAlias = Literal["order", "missing", "duplicate", "unknown"]
Kind: TypeAlias = Literal["answer", "drop", "hang", "truncate"]

#: What asking for a token is called in the request log. A fault hits it only where it is meant by name.
GET_TOKEN: Final = "get token"  # noqa: S105  (a name)

_GARBLES: Final = ("order", "missing", "duplicate", "unknown")


@dataclass(slots=True, eq=False)
class Fault:
    """Something that happens to the next requests it matches.

    Attributes:
        kind: ``answer`` with the given status and body instead of the true answer; ``drop`` the connection;
            ``hang`` for a while; ``truncate`` the true answer.
        times: For how many more requests.
        match: Which requests: ``None`` for every one to the API, else a method, an end of a path, or both
            (``POST``, ``shipments``, ``POST shipments/delete``), or an operation (``upsert shipments``).
        apply: When the request is applied.
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
        """Whether it is about a request."""
        if self.match is None:
            return operation != GET_TOKEN
        if self.match == operation:
            return True
        wanted_method, _, end = self.match.rpartition(" ")
        if not wanted_method and end.isupper():
            wanted_method, end = end, ""
        end = end.strip("/")
        fits = not end or f"/{path.strip('/')}".endswith(f"/{end}")
        return fits and wanted_method in ("", method)


class Faults:
    """The faults that are switched on.

    Attributes:
        latency: Seconds every answer takes longer.
        answering: Cleared while no request is answered.
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

    def add(self, fault: Fault) -> None:
        """Switch a fault on, after those that already wait."""
        if fault.times < 1:
            raise ValueError(f"times must be at least 1, got {fault.times}.")
        with self._lock:
            self._queue.append(fault)

    def take(self, method: str, path: str, operation: str) -> Fault | None:
        """Return the fault for a request, and use it up."""
        with self._lock:
            fault = next((fault for fault in self._queue if fault.matches(method, path, operation)), None)
            if fault is not None:
                fault.times -= 1
                if not fault.times:
                    self._queue.remove(fault)
            return fault

    def waiting(self) -> list[Fault]:
        """Return the faults that still wait for a request."""
        with self._lock:
            return list(self._queue)

    def reject(self, external_order_id: str, errors: dict[str, Any] | None) -> None:
        """Refuse one order of any batch from now on; ``None`` ends it."""
        with self._lock:
            if errors is None:
                self._rejected.pop(external_order_id, None)
            else:
                self._rejected[external_order_id] = errors

    def poison(self, external_order_id: str, status: int | None) -> None:
        """Refuse every batch that contains the order from now on; ``None`` ends it."""
        with self._lock:
            if status is None:
                self._poisoned.pop(external_order_id, None)
            else:
                self._poisoned[external_order_id] = status

    def rejection(self, external_order_id: Any) -> dict[str, Any] | None:
        """Return the errors an order is refused with."""
        return self._rejected.get(external_order_id) if isinstance(external_order_id, str) else None

    def poisoned(self, items: list[Any]) -> int | None:
        """Return the status a whole batch is refused with."""
        if not self._poisoned:
            return None
        ids = (item.get("external_order_id") for item in items if isinstance(item, dict))
        return next((self._poisoned[key] for key in ids if isinstance(key, str) and key in self._poisoned), None)

    @property
    def garble(self) -> Garble | None:
        """How the results of an upsert come back; ``None`` for as they should."""
        return self._garble

    @garble.setter
    def garble(self, how: Garble | None) -> None:
        if how is not None and how not in _GARBLES:
            raise ValueError(f"Results can be garbled by {', '.join(_GARBLES)}, not by {how!r}.")
        self._garble = how

    def garbled(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the results of an upsert as they come back."""
        if not results or self._garble is None:
            return results
        match self._garble:
            case "order":
                # Not a mere reversal, which a client might survive by luck.
                return random.Random(len(results)).sample(results, len(results))  # noqa: S311
            case "missing":
                return results[:-1]
            case "duplicate":
                return [*results, results[0]]
            case "unknown":
                return [{**results[0], "external_order_id": "an order nobody sent"}, *results[1:]]

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._queue.clear()
            self._rejected.clear()
            self._poisoned.clear()
        self._garble = None
        self.latency = 0.0
        self.answering.set()
