"""What was asked of the sandbox: the evidence from which a test can prove what a client did."""

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
    """What became of one shipment that a request was about.

    Attributes:
        external_order_id: As it was sent, ``""`` where it was not.
        external_shipment_id: As it was sent.
        updated_at: As it was sent, ``None`` with a delete.
        outcome: ``created``, ``updated``, ``unchanged`` (the same ``updated_at`` as before: nothing was
            done, though ``updated`` was answered), ``error``, ``deleted`` or ``not found``.
    """

    external_order_id: str
    external_shipment_id: str | None
    updated_at: str | None
    outcome: str

    @property
    def key(self) -> tuple[str, str]:
        """Order id and shipment id, ``""`` where there is none."""
        return self.external_order_id, self.external_shipment_id or ""


@dataclass(slots=True, eq=False)
class LoggedRequest:
    """One request. It is in the log from the moment it arrived; what is not known yet is ``None``.

    Attributes:
        number: Counts from 1 in order of arrival.
        time: When it arrived, in seconds of the monotonic clock.
        wall: When it arrived, in UTC.
        method: HTTP method.
        path: Path without query.
        query: Query as it was sent.
        headers: Lower-case names to values, without the credentials.
        operation: What it is in words, for instance ``upsert shipments``; ``""`` where there is no such path.
        integration_id: The integration of the path, else that of the credentials.
        status: Status of the answer; ``None`` while it is on its way, and where the connection was closed instead.
        items: What became of each shipment.
        applied: Whether it changed what the sandbox stores, or had the chance to.
        applied_order: Counts in the order in which requests were applied, which may differ from that of arrival.
        fault: The fault that was played on it, ``""`` for none.
        finished: When the answer was ready, in seconds of the monotonic clock.
        raw: The body; ``None`` where it is no longer kept.
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
        """The body read as JSON; ``None`` where there is none, it is no JSON, or it is no longer kept."""
        try:
            return json.loads(self.raw) if self.raw else None
        except ValueError:
            return None

    def as_json(self) -> dict[str, Any]:
        """Return a line of the log file. It holds ids, and no bodies."""
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
    """All requests, oldest first. Safe to use from all threads.

    Args:
        limit: How many requests are kept at most; ``None`` for all of them.
        bodies: How many of the latest requests keep their bodies.
        file: Where to write a line of JSON for each request when it is done; ``None`` for nowhere.
        listener: Called with each request when it is done.
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
        """Note that a request has arrived."""
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
        """Note that a request is being applied. To be called while the state is locked."""
        request.applied = True
        request.applied_order = next(self._applications)

    def finish(self, request: LoggedRequest, status: int | None) -> None:
        """Note how a request was answered."""
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
        """Return the requests that are kept, oldest first."""
        with self._lock:
            return list(self._requests)

    def count(self, method: str = "", path: str = "") -> int:
        """Count requests, those no longer kept included, by method and by how the path ends."""
        with self._lock:
            return sum(
                number
                for (its_method, its_path), number in self._counts.items()
                if (not method or its_method == method.upper()) and its_path.endswith(path.rstrip("/"))
            )

    def clear(self) -> None:
        """Forget all requests. Numbers go on."""
        with self._lock:
            self._requests.clear()
            self._with_body.clear()
            self._counts.clear()

    def close(self) -> None:
        """Close the log file."""
        if self._file is not None:
            with self._lock:
                self._file.close()
