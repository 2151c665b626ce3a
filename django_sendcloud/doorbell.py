"""Waking the workers without making anybody wait.

A broker may refuse a message, or accept the connection and never answer. Neither may cost a web
request anything, so the message is sent by a thread of its own: ``ring()`` only sets a flag. One
message serves all changes of a short window. If it is lost, the periodic sweep finds the work.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("django_sendcloud.doorbell")


class Doorbell:
    """Calls ``notify`` soon after ``ring()``, in a daemon thread, once for all rings of a window.

    Args:
        notify: What reaches the workers; called with the seconds they are to wait, 0 but for a process that ends
            within the window. May block or raise.
        window: Seconds to wait for more rings before notifying; read anew each time.
        at_exit: Seconds a process that ends may spend on a ring that has not been passed on.
    """

    def __init__(self, notify: Callable[[float], object], window: Callable[[], float], at_exit: float = 2.0) -> None:
        self._notify = notify
        self._window = window
        self._at_exit = at_exit
        self._lock = threading.Lock()
        self._forget()
        # A child process has the flags of its parent but not its thread.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._rung = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        """Ask for a notification. Returns at once and never raises."""
        self._idle.clear()
        self._rung.set()
        if self._thread is None:
            try:
                self._start()
            except RuntimeError as error:
                # No thread to be had, or the process is ending. The next ring tries again; the sweep finds the work.
                logger.warning("The wake-up could not be passed on (%s); the sweep will.", type(error).__name__)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="sendcloud-doorbell", daemon=True)
                thread.start()
                self._thread = thread
                atexit.register(self._leave)

    def wait_until_passed_on(self, timeout: float) -> bool:
        """Whether, within ``timeout`` seconds, all rings so far were passed on (or failed)."""
        return self._idle.wait(timeout)

    def _run(self) -> None:
        while True:
            self._rung.wait()
            try:
                window, begin = self._window(), time.monotonic()
                cut_short = self._leaving.wait(window)
                self._rung.clear()
                self._notify(max(0.0, begin + window - time.monotonic()) if cut_short else 0.0)
            except Exception as error:
                # Only the type: a broker's error text may contain its password.
                logger.warning("The broker did not take the wake-up (%s); the sweep will.", type(error).__name__)
                self._rung.clear()
            with self._lock:
                if not self._rung.is_set():
                    self._idle.set()

    def _leave(self) -> None:
        self._leaving.set()
        self._idle.wait(self._at_exit)
