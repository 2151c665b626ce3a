"""Notify workers without blocking the caller.

A broker may refuse a message, or accept the connection and never answer. Neither may cost a web request anything. A
thread of its own therefore sends the message, and ``notify()`` only sets a flag. The first notification is sent
immediately, and one message serves all that follow within a short interval. If a message is lost, the periodic sweep
finds the work.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("django_sendcloud.core.notifier")

# A message that takes longer hangs: another thread goes on, and its own ends if it ever returns.
HUNG_SECONDS = 10.0
# Threads that may hang at the same time.
MAX_HUNG = 3


class Notifier:
    """Calls ``send`` soon after ``notify()``, in a daemon thread.

    Args:
        send: The call that reaches the workers. It may block or raise.
        interval: Seconds between two messages.
        at_exit: Seconds that an ending process may spend on a message that is not sent yet.
    """

    def __init__(self, send: Callable[[], object], interval: float, at_exit: float = 2.0) -> None:
        self._send = send
        self._interval = interval
        self._at_exit = at_exit
        self._reset()
        # A child process has the flags of its parent but not its thread.
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._pending = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None
        self._sending_since: float | None = None
        self._hung: list[threading.Thread] = []

    def notify(self) -> None:
        """Ask for a message. Returns immediately and never raises."""
        with self._lock:
            self._idle.clear()
            self._pending.set()
            if self._thread is None or self._hangs():
                self._start()

    def wait_until_sent(self, timeout: float) -> bool:
        """Return whether, within ``timeout`` seconds, all notifications so far were sent, or failed."""
        return self._idle.wait(timeout)

    def _hangs(self) -> bool:
        return self._sending_since is not None and time.monotonic() - self._sending_since > HUNG_SECONDS

    def _start(self) -> None:
        if self._thread is not None:
            self._hung = [thread for thread in [*self._hung, self._thread] if thread.is_alive()]
            if len(self._hung) > MAX_HUNG:
                return
            logger.warning("The broker hangs; another thread goes on.")
        thread = threading.Thread(target=self._run, name="sendcloud-notifier", daemon=True)
        self._sending_since = None
        first, former, self._thread = self._thread is None, self._thread, thread
        try:
            thread.start()
        except RuntimeError as error:
            # No thread to be had, or the process is ending. The next call tries again; the sweep finds the work.
            self._thread = former
            logger.warning("A worker could not be notified (%s); the sweep finds the work.", type(error).__name__)
            return
        if first:
            atexit.register(self._leave)

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            self._pending.wait()
            with self._lock:
                if self._thread is not me:
                    return
                self._pending.clear()
                self._sending_since = time.monotonic()
            try:
                self._send()
            except Exception as error:
                # Only the type: a broker's error text may contain its password.
                logger.warning(
                    "The broker did not take the notification (%s); the sweep finds the work.", type(error).__name__
                )
            with self._lock:
                if self._thread is not me:
                    return
                self._sending_since = None
                if not self._pending.is_set():
                    self._idle.set()
            self._leaving.wait(self._interval)

    def _leave(self) -> None:
        self._leaving.set()
        self._idle.wait(self._at_exit)
