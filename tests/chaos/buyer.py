"""The buyer of a run: places orders at the shop's web server, whose requests are transactions."""

from __future__ import annotations

import collections
import http.client
import random
import threading
import time
import urllib.error
import urllib.request
import uuid

from .accounts import account_of

PAUSE_SECONDS = 0.6
TIMEOUT_SECONDS = 5.0
# Checkouts that end in an exception of the shop's own.
FAILING = 0.25


class Buyer:
    """A thread that checks out, over and over.

    Args:
        port: Port of the shop's web server.
        seed: Decides the orders and their fates.

    Attributes:
        changes: The orders that may have been placed, each with the number of its changes.
        answers: How often each answer came: a status, or the error without one.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.changes: collections.Counter[str] = collections.Counter()
        self.answers: collections.Counter[str] = collections.Counter()
        self._port = port
        self._random = random.Random(f"{seed}/buyer")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the checkout in progress."""
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ended.wait(self._random.uniform(0, 2 * PAUSE_SECONDS)):
            fails = self._random.random() < FAILING
            self.check_out(self._order(), fails=fails)

    def _order(self) -> uuid.UUID:
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def order_at(self, account: str) -> str:
        """Return the id of a new order that belongs to an account."""
        while account_of(order := self._order()) != account:
            pass
        return str(order)

    def check_out(self, order: object, *, fails: bool = False) -> float:
        """Place an order, and return when the answer came, in seconds of the steady clock."""
        self.changes[str(order)] += 1
        url = f"http://127.0.0.1:{self._port}/checkout/{order}/{'fails' if fails else 'succeeds'}/"
        request = urllib.request.Request(url, data=b"", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                self.answers[str(answer.status)] += 1
        except urllib.error.HTTPError as error:
            self.answers[f"{error.code}{', as it should' if fails else ''}"] += 1
        except (OSError, http.client.HTTPException) as error:
            # The server may be gone.
            self.answers[type(error).__name__] += 1
        return time.monotonic()
