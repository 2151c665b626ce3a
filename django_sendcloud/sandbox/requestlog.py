"""The log of all API requests: evidence of what a client did."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["LoggedItem", "LoggedRequest", "RequestLog"]


@dataclass(frozen=True, slots=True)
class LoggedItem:
    """The outcome of one order in a request.

    Attributes:
        external_order_id: The shop's id of the order as sent, ``""`` if absent. v3 calls it ``order_id``.
        external_shipment_id: The shop's id of the shipment as sent; v3 has none.
        updated_at: The shop's ``updated_at`` as sent; ``None`` with a delete. v3 calls it ``order_updated_at``.
        outcome: ``created``, ``updated``, ``unchanged`` (v2, with the ``updated_at`` of before: nothing was done,
            though the response says ``updated``), ``error``, ``refused`` (v3: another order of the batch had an
            error), ``conflict`` (v3: an earlier request is still being saved), ``deleted`` or ``not found``.
    """

    external_order_id: str
    external_shipment_id: str | None
    updated_at: str | None
    outcome: str

    @property
    def key(self) -> tuple[str, str]:
        """Order id and shipment id, ``""`` for none."""
        return self.external_order_id, self.external_shipment_id or ""


@dataclass(slots=True, eq=False)
class LoggedRequest:
    """One request. The log has it from its arrival on; values that are not known yet are ``None``.

    Attributes:
        number: Position in the order of arrival, from 1.
        time: Arrival in seconds of the monotonic clock.
        wall: Arrival in UTC.
        method: HTTP method.
        path: Path without query.
        query: Query as sent.
        headers: Headers by lower-case names, without the credentials.
        operation: Name of the operation, for instance ``upsert shipments``; ``""`` if the path has none.
        integration_id: Integration of the path, else that of the credentials.
        status: Status of the response; ``None`` before it, and if the connection was closed instead.
        items: Outcome of each order.
        applied: Whether it changed the stored data, or could have.
        applied_order: Position in the order of application, which may differ from that of arrival.
        fault: Kind of the fault that hit it, ``""`` for none.
        finished: Moment when the response was ready, in seconds of the monotonic clock.
        raw: Body; ``None`` if the log no longer keeps it.
    """

    number: int
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    raw: bytes | None = field(default=b"", repr=False)
    operation: str = ""
    integration_id: int | None = None
    time: float = field(default_factory=time.monotonic)
    wall: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    status: int | None = None
    items: list[LoggedItem] = field(default_factory=list, repr=False)
    applied: bool = False
    applied_order: int | None = None
    fault: str = ""
    finished: float | None = None

    @property
    def body(self) -> Any:
        """The body, parsed from JSON; ``None`` if it is empty, no JSON, or no longer kept."""
        try:
            return json.loads(self.raw) if self.raw else None
        except ValueError:
            return None

    def as_json(self) -> dict[str, Any]:
        """Return its line of the log file, with ids and without bodies."""
        return {
            "number": self.number,
            "time": self.time,
            "wall": self.wall.isoformat(),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "operation": self.operation,
            "integration_id": self.integration_id,
            "status": self.status,
            "applied": self.applied,
            "applied_order": self.applied_order,
            "fault": self.fault,
            "finished": self.finished,
            "items": [
                [item.external_order_id, item.external_shipment_id, item.updated_at, item.outcome]
                for item in self.items
            ],
        }


class RequestLog:
    """All requests, oldest first. Any thread may use it.

    Args:
        limit: Number of requests it keeps; ``None`` for all.
        bodies: Number of the latest requests that keep their bodies.
        file: File that gets a line of JSON for each finished request; ``None`` for none.
        listener: Function that is called with each finished request.
    """

    def __init__(
        self,
        limit: int | None = None,
        bodies: int = 1000,
        file: str | Path | None = None,
        listener: Callable[[LoggedRequest], None] | None = None,
    ) -> None:
        self._listener = listener
        self._requests: deque[LoggedRequest] = deque(maxlen=limit)
        self._with_body: deque[LoggedRequest] = deque()
        self._bodies = bodies
        self._counts: Counter[tuple[str, str]] = Counter()
        self._numbers = itertools.count(1)
        self._applications = itertools.count(1)
        self._lock = threading.Lock()
        self._file = Path(file).open("a", encoding="utf-8") if file else None  # noqa: SIM115  (closed by close())

    def begin(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> LoggedRequest:
        """Log the arrival of a request."""
        shown = {name: value for name, value in headers.items() if name != "authorization"}
        with self._lock:
            request = LoggedRequest(next(self._numbers), method, path, query, shown, body)
            self._requests.append(request)
            self._counts[method, path.rstrip("/")] += 1
            self._with_body.append(request)
            while len(self._with_body) > self._bodies:
                self._with_body.popleft().raw = None
        return request

    def apply(self, request: LoggedRequest) -> None:
        """Log that a request is applied. The caller holds the lock of the store."""
        request.applied = True
        request.applied_order = next(self._applications)

    def finish(self, request: LoggedRequest, status: int | None) -> None:
        """Log the response to a request."""
        request.status = status
        request.finished = time.monotonic()
        if self._listener is not None:
            self._listener(request)
        if self._file is not None:
            line = json.dumps(request.as_json())
            with self._lock:
                if not self._file.closed:
                    self._file.write(f"{line}\n")
                    self._file.flush()

    def all(self) -> list[LoggedRequest]:
        """Return the kept requests, oldest first."""
        with self._lock:
            return list(self._requests)

    def count(self, method: str = "", path: str = "") -> int:
        """Return the number of requests by method and end of the path. Requests no longer kept count, too."""
        with self._lock:
            return sum(
                number
                for (its_method, its_path), number in self._counts.items()
                if (not method or its_method == method.upper()) and its_path.endswith(path.rstrip("/"))
            )

    def clear(self) -> None:
        """Delete all requests. Numbers go on."""
        with self._lock:
            self._requests.clear()
            self._with_body.clear()
            self._counts.clear()

    def close(self) -> None:
        """Close the log file."""
        if self._file is not None:
            with self._lock:
                self._file.close()
