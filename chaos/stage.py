"""Makes go wrong what the schedule says, and right again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.processes.conftest import kill
from tests.servers import Server

from . import clock
from .schedule import Fault
from .shop import Broker, Shop

# What happens to these may make the shop repeat itself: see ``chaos.history.allowance``.
DISTURBING = ("worker-", "database", "network")
# For as long as a fault lasts, it plays on every request.
ALL = 1_000_000
# How often a worker that is to be stopped is let go on for a moment, because it was idle.
STOP_TRIES = 8
# How late an upsert is applied: after the caller has given up (1.0 s), and before the quarantine ends.
LATE_SECONDS = 3.5


@dataclasses.dataclass(slots=True)
class Process:
    """A worker or a writer: by whatever process it is played at the moment."""

    start: Callable[[], subprocess.Popen[bytes]]
    child: subprocess.Popen[bytes]
    stopped: bool = False


class Stage:
    """Everything of a run that can break."""

    def __init__(
        self, shop: Shop, broker: Broker, seed: int, diary: Path, servers: Mapping[str, Server | None]
    ) -> None:
        self.shop = shop
        self.broker = broker
        # By lane; those that are nobody else's, and can be crashed.
        self.servers = servers
        self.crashed: set[str] = set()
        self.seed = seed
        self.diary = diary
        self.processes: dict[str, Process] = {}
        self.begin_of_writing = time.monotonic()
        self._generation = 0
        self._lock = threading.Lock()

    # -- processes --------------------------------------------------------------------------------

    def add(self, name: str) -> None:
        """Start a worker, a writer, or the beat."""

        def start() -> subprocess.Popen[bytes]:
            if name.startswith("worker-"):
                return self.shop.start_worker(name)
            if name.startswith("writer-"):
                self._generation += 1
                seed = f"{self.seed}/{name}/{self._generation}"
                return self.shop.start_writer(name, seed, self.diary, self.begin_of_writing)
            return self.shop.start_beat()

        self.processes[name] = Process(start, start())

    def end(self, prefix: str) -> None:
        """End those whose name begins like this, as a machine does that is switched off."""
        for name, process in self.processes.items():
            if name.startswith(prefix):
                kill(process.child)

    def keep_alive(self) -> list[tuple[str, str]]:
        """Start again what ended by itself, as a supervisor does. Returns names, and what they said last."""
        dead = [(name, process) for name, process in self.processes.items() if process.child.poll() is not None]
        ended = []
        for name, process in dead:
            ended.append((name, self.shop.last_words(process.child)))
            process.child = process.start()
        return ended

    # -- faults -----------------------------------------------------------------------------------

    def begin(self, fault: Fault) -> None:
        """Let it go wrong."""
        self._method(fault)(fault)

    def finish(self, fault: Fault) -> None:
        """Let it be over."""
        if fault.name == "stop":
            self._go_on(self.processes[fault.lane])
        elif fault.name == "unauthorized":
            self.shop.sandbox.restore_credentials()
        elif fault.lane == "sendcloud":
            self.shop.sandbox.clear_faults()
        else:
            self._restart(fault.lane)
            self._proxy(fault).clear()

    def _restart(self, lane: str) -> None:
        server = self.servers.get(lane)
        if lane in self.crashed and server is not None:
            server.start()
            self.crashed.discard(lane)

    def calm(self) -> None:
        """All is well from now on. Clocks stay as wrong as they are."""
        for lane in list(self.crashed):
            self._restart(lane)
        for proxy in (self.shop.broker, self.shop.database, self.shop.sendcloud):
            proxy.clear()
        self.shop.sandbox.clear_faults()
        self.shop.sandbox.restore_credentials()
        for process in self.processes.values():
            if process.stopped:
                self._go_on(process)

    def _go_on(self, process: Process) -> None:
        with self._lock:
            process.stopped = False
            self._signal(process, signal.SIGCONT)

    def _method(self, fault: Fault) -> Callable[[Fault], None]:
        method: Callable[[Fault], None] = getattr(self, fault.name)
        return method

    def _proxy(self, fault: Fault) -> Any:
        return {
            "broker": self.shop.broker,
            "database": self.shop.database,
            "network": self.shop.sendcloud,
        }[fault.lane]

    @staticmethod
    def _signal(process: Process, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.child.pid, number)

    # Processes

    def kill(self, fault: Fault) -> None:
        process = self.processes[fault.lane]
        kill(process.child)
        process.child = process.start()

    def stop(self, fault: Fault) -> None:
        """Stop a worker, if possible in the middle of its work."""
        process = self.processes[fault.lane]
        process.stopped = True
        self._signal(process, signal.SIGSTOP)
        threading.Thread(target=self._until_it_is_at_work, args=(process,), daemon=True).start()

    def _until_it_is_at_work(self, process: Process) -> None:
        for _ in range(STOP_TRIES):
            # The database may have crashed just now: then nobody goes on anyway.
            with contextlib.suppress(Exception):
                claimed = self.shop.leases()
                time.sleep(0.3)
                if claimed & self.shop.leases():
                    # Somebody does not go on: most likely the one that is stopped.
                    return
            with self._lock:
                if not process.stopped:
                    return
                self._signal(process, signal.SIGCONT)
                time.sleep(0.05)
                self._signal(process, signal.SIGSTOP)

    def clock(self, fault: Fault) -> None:
        clock.step(self.shop.clock_of(fault.lane), float(fault.value.removesuffix(" s")))

    # Connections

    def refuse(self, fault: Fault) -> None:
        self._proxy(fault).down()

    def crash(self, fault: Fault) -> None:
        """The server ends without a word, and is started again later. Where it is not ours, it is out of reach."""
        server = self.servers.get(fault.lane)
        if server is None:
            self.refuse(fault)
            return
        self.crashed.add(fault.lane)
        server.crash()

    def hang(self, fault: Fault) -> None:
        self._proxy(fault).timeout()

    def reset(self, fault: Fault) -> None:
        if fault.seconds:
            self._proxy(fault).reset_peer()
        else:
            self._proxy(fault).reset_connections()

    def lag(self, fault: Fault) -> None:
        self._proxy(fault).latency = 0.03 if fault.lane == "database" else 0.4

    def cut_answers(self, fault: Fault) -> None:
        self._proxy(fault).limit_data = 150

    def slice_answers(self, fault: Fault) -> None:
        self._proxy(fault).slicer = (200, 0.01)

    def flush(self, fault: Fault) -> None:
        self.broker.lose_everything(self.shop.queue)

    def terminate(self, fault: Fault) -> None:
        """The database ends all connections to our own database."""
        self.shop.end_database_connections()

    # Sendcloud

    def storm_of_429(self, fault: Fault) -> None:
        self.shop.sandbox.fail_next(429, times=ALL, headers={"Retry-After": "1"})

    def errors(self, fault: Fault) -> None:
        self.shop.sandbox.fail_next(fault.value, times=ALL)

    def errors_applied(self, fault: Fault) -> None:
        self.shop.sandbox.fail_next(fault.value, times=ALL, apply=True)

    def lost_answers(self, fault: Fault) -> None:
        self.shop.sandbox.drop_answer(times=ALL, after_apply=True)

    def lost_requests(self, fault: Fault) -> None:
        self.shop.sandbox.drop_answer(times=ALL, after_apply=False)

    def late(self, fault: Fault) -> None:
        self.shop.sandbox.hang_next(LATE_SECONDS, times=ALL, apply="after")

    def truncated(self, fault: Fault) -> None:
        self.shop.sandbox.truncate_next(times=ALL)

    def html(self, fault: Fault) -> None:
        self.shop.sandbox.html_next(times=ALL)

    def garble(self, fault: Fault) -> None:
        self.shop.sandbox.garble_results(fault.value)

    def unauthorized(self, fault: Fault) -> None:
        self.shop.sandbox.revoke_credentials()
