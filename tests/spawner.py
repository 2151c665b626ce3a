"""Processes of the test project that start in milliseconds, because they are forks of one that has Django set up.

A spawner imports Celery, Django and the package once (0.6 s of processor time) and then forks for every piece of code.
Its children are ordinary processes: process groups of their own, with files for their output, ended by signals, and with the
interpreter's usual shutdown.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
POLL_SECONDS = 0.01


class Child:
    """A process that a spawner has started; what is used of it is named as in ``subprocess.Popen``."""

    def __init__(self, spawner: Spawner, pid: int, log: Path) -> None:
        self.spawner = spawner
        self.pid = pid
        self.log = log
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or ``None`` while the process lives."""
        if self.returncode is None:
            self.returncode = self.spawner.ask(do="poll", pid=self.pid)["returncode"]
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Return the exit code.

        Raises:
            subprocess.TimeoutExpired: the process lives longer than ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Spawner:
    """The parent of processes that share one environment.

    Args:
        environment: All of it; Django's settings are read from it once.
        log: File for what the spawner itself prints.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._lock = threading.Lock()
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.spawner"],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._log = log

    def start(self, code: str = "", *, argv: tuple[str, ...] = (), out: Path, err: Path) -> Child:
        """Start a process.

        Args:
            code: Python code to run.
            argv: Instead of code: the name of a module and its arguments.
            out: File for its standard output.
            err: File for its standard error; may be the same.
        """
        answer = self.ask(do="start", code=code, argv=argv, out=str(out), err=str(err))
        return Child(self, answer["pid"], out)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request to the spawner's process and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        assert line, f"the spawner has ended\n{self._log.read_text(errors='replace')}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the spawner's process. Its children live on."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def serve() -> Callable[[], object] | None:
    """Answer requests until there are no more; in a child, return its work."""
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "poll":
            pid, status = os.waitpid(request["pid"], os.WNOHANG)
            answer = {"returncode": os.waitstatus_to_exitcode(status) if pid else None}
        else:
            child = os.fork()
            if not child:
                return _work(request)
            # On both sides, so that neither has to wait until the group is there to be killed.
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.setpgid(child, child)
            answer = {"pid": child}
        print(json.dumps(answer), flush=True)
    return None


def _work(request: dict[str, Any]) -> Callable[[], object]:
    os.setpgid(0, 0)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path, how in ((0, os.devnull, os.O_RDONLY), (1, request["out"], flags), (2, request["err"], flags)):
        opened = os.open(path, how, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    # The old one has read ahead of what is the parent's.
    sys.stdin = os.fdopen(0)
    if request["argv"]:
        sys.argv = request["argv"]
        return lambda: runpy.run_module(request["argv"][0], run_name="__main__", alter_sys=True)
    sys.argv = ["-c"]
    code = compile(request["code"], "<string>", "exec")
    return lambda: exec(code, {"__name__": "__main__"})


class _Exit:
    """The end of a child: everything but the freeing of memory, which takes longer than most children's work."""

    code = 0

    def run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except SystemExit as leaving:
            self.code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
            raise
        except BaseException:
            self.code = 1
            raise

    def leave(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.code)


if __name__ == "__main__":
    leaving = _Exit()
    # The first to be registered is the last to be called, after threads have ended.
    atexit.register(leaving.leave)

    import django

    django.setup()

    from django.urls import get_resolver

    get_resolver().url_patterns  # noqa: B018 - loads the views and what they import

    # Frozen, because a collection in a child would copy every page of it.
    gc.collect()
    gc.freeze()
    work = serve()
    if work:
        leaving.run(work)
