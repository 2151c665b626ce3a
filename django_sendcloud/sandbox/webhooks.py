"""Delivery of webhooks as Sendcloud does it: signed, in the background, and repeated until the shop accepts them."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import http.client
import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["Attempt", "DeliveredWebhook", "Webhooks", "sign"]

#: Number of repetitions, and the delays before them in seconds.
RETRIES: Final = 10
FIRST_DELAY: Final = 5 * 60.0
LONGEST_DELAY: Final = 60 * 60.0

_THREADS: Final = 4
#: Number of bytes kept of a response.
_MAX_RESPONSE_BYTES: Final = 2000


def sign(body: bytes, key: str) -> str:
    """Return the value of the ``Sendcloud-Signature`` header: HMAC-SHA256 of the raw body, in lower-case hex."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


@dataclass(slots=True, eq=False)
class DeliveredWebhook:
    """A webhook, delivered or not.

    Attributes:
        number: Position in the order of creation, from 1.
        integration_id: Integration it belongs to.
        action: For instance ``parcel_status_changed``.
        url: Address of the shop.
        body: Signed body.
        headers: Headers of the request.
        attempts: Moment and outcome of each attempt. The outcome is a status, or an error in words.
        state: ``pending``, ``delivered``, or ``failed`` after the last repetition.
        due: Moment of the next attempt, in seconds of the monotonic clock.
    """

    number: int
    integration_id: int
    action: str
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    attempts: list[tuple[dt.datetime, int | str]] = field(default_factory=list)
    state: str = "pending"
    due: float = 0.0

    @property
    def payload(self) -> Any:
        """Its body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of one attempt to deliver a webhook.

    Attributes:
        status: Status of the shop's response; ``None`` without one.
        headers: Headers of the response.
        body: Beginning of the response.
        exception_type: Python path of the error in Sendcloud's HTTP library; ``""`` for none.
        exception: Error in words.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: str = field(default="", repr=False)
    exception_type: str = ""
    exception: str = ""

    @property
    def fine(self) -> bool:
        """Whether the shop accepted it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def outcome(self) -> int | str:
        """The status, or the error in words."""
        return self.exception if self.status is None else self.status


class Webhooks:
    """Sender of webhooks: one at a time per integration, several integrations concurrently.

    Args:
        retry_scale: Factor for the delays between attempts.
        timeout: Time a shop has to respond, in seconds.
        report: Function that is called after each attempt, with the webhook in its new state and the attempt.
    """

    def __init__(
        self,
        retry_scale: float = 1.0,
        timeout: float = 10.0,
        report: Callable[[DeliveredWebhook, Attempt], None] = lambda webhook, attempt: None,
    ) -> None:
        self.retry_scale = retry_scale
        self.timeout = timeout
        self._report = report
        self._all: list[DeliveredWebhook] = []
        self._busy: set[int] = set()
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        # Each start has its own event, so that a thread that returns late from a delivery knows that it was stopped.
        self._stopping = threading.Event()

    def send(self, integration_id: int, url: str, key: str, payload: Mapping[str, Any]) -> DeliveredWebhook:
        """Queue a webhook, and return immediately.

        Raises:
            ValueError: The address is not http or https.
        """
        _target(url)
        body = json.dumps(payload).encode()
        headers = {
            "Content-Type": "application/json",
            "Sendcloud-Signature": sign(body, key),
            "User-Agent": "django-sendcloud-sandbox",
        }
        action = str(payload.get("action", ""))
        with self._changed:
            webhook = DeliveredWebhook(next(self._numbers), integration_id, action, url, body, headers)
            webhook.due = time.monotonic()
            self._all.append(webhook)
            self._start()
            self._changed.notify_all()
        return webhook

    def send_again(self, webhook: DeliveredWebhook) -> None:
        """Queue the same body again, as the button in the panel does."""
        with self._changed:
            webhook.state, webhook.due = "pending", time.monotonic()
            self._start()
            self._changed.notify_all()

    def all(self) -> list[DeliveredWebhook]:
        """Return all webhooks, oldest first."""
        with self._changed:
            return list(self._all)

    def wait(self, timeout: float) -> bool:
        """Wait until none is pending, and return whether that happened in time."""
        with self._changed:
            return self._changed.wait_for(self._idle, timeout)

    def clear(self) -> None:
        """Delete all webhooks, pending ones included."""
        with self._changed:
            for webhook in self._all:
                if webhook.state == "pending":
                    webhook.state = "failed"
            self._all.clear()
            self._changed.notify_all()

    def start(self) -> None:
        """Continue with the webhooks that were pending at the last stop."""
        with self._changed:
            if any(webhook.state == "pending" for webhook in self._all):
                self._start()

    def stop(self) -> None:
        """Stop sending. Pending webhooks stay pending."""
        with self._changed:
            threads, self._threads = self._threads, []
            self._stopping.set()
            self._changed.notify_all()
        for thread in threads:
            thread.join(timeout=1)

    def _idle(self) -> bool:
        return not self._busy and all(webhook.state != "pending" for webhook in self._all)

    def _start(self) -> None:
        if not self._threads:
            self._stopping = threading.Event()
            self._threads = [
                threading.Thread(
                    target=self._work, args=(self._stopping,), name=f"sandbox-webhooks-{index}", daemon=True
                )
                for index in range(_THREADS)
            ]
            for thread in self._threads:
                thread.start()

    def _work(self, stopping: threading.Event) -> None:
        while (webhook := self._take(stopping)) is not None:
            attempt = self._deliver(webhook)
            with self._changed:
                webhook.attempts.append((dt.datetime.now(dt.UTC), attempt.outcome))
                if attempt.fine:
                    webhook.state = "delivered"
                elif len(webhook.attempts) > RETRIES:
                    webhook.state = "failed"
                elif webhook.state == "pending":
                    delay = min(FIRST_DELAY * 2 ** (len(webhook.attempts) - 1), LONGEST_DELAY)
                    webhook.due = time.monotonic() + delay * self.retry_scale
            self._report(webhook, attempt)
            # After the report, so that wait() returns with everything logged.
            with self._changed:
                self._busy.discard(webhook.integration_id)
                self._changed.notify_all()

    def _take(self, stopping: threading.Event) -> DeliveredWebhook | None:
        """Wait for a due webhook; ``None`` after a stop."""
        with self._changed:
            while not stopping.is_set():
                waiting = [w for w in self._all if w.state == "pending" and w.integration_id not in self._busy]
                webhook = min(waiting, key=lambda w: (w.due, w.number), default=None)
                if webhook is None:
                    self._changed.wait()
                elif (delay := webhook.due - time.monotonic()) > 0:
                    self._changed.wait(delay)
                else:
                    self._busy.add(webhook.integration_id)
                    return webhook
        return None

    def _deliver(self, webhook: DeliveredWebhook) -> Attempt:
        target = _target(webhook.url)
        kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
        headers = dict(webhook.headers)
        if target.username:
            # Sendcloud sends a password in the address as Basic auth.
            credentials = f"{unquote(target.username)}:{unquote(target.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
        connection = kind(target.hostname or "", target.port, timeout=self.timeout)
        with contextlib.closing(connection):
            try:
                path = f"{target.path or '/'}?{target.query}" if target.query else target.path or "/"
                connection.request("POST", path, body=webhook.body, headers=headers)
                response = connection.getresponse()
            except (OSError, ValueError, http.client.HTTPException) as error:
                return Attempt(exception_type=_as_requests_has_it(error), exception=str(error) or type(error).__name__)
            body = b""
            with contextlib.suppress(OSError, http.client.HTTPException):
                body = response.read(_MAX_RESPONSE_BYTES)
            return Attempt(response.status, dict(response.getheaders()), body.decode(errors="replace"))


def _as_requests_has_it(error: Exception) -> str:
    """Return the error's name in the library that Sendcloud uses."""
    match error:
        case ssl.SSLError():
            name = "SSLError"
        case TimeoutError():
            name = "Timeout"
        case OSError() | http.client.HTTPException():
            name = "ConnectionError"
        case _:
            name = "InvalidURL"
    return f"requests.exceptions.{name}"


def _target(url: str) -> SplitResult:
    target = urlsplit(url)
    if target.scheme not in {"http", "https"} or not target.hostname:
        raise ValueError("A webhook needs an address that begins with http:// or https://.")
    return target
