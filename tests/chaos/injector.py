"""Injection of the schedule's faults, and their end."""

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

from tests.project import kill
from tests.servers import Server

from . import clock
from .schedule import Fault
from .shop import Broker, Shop

# Targets whose faults may make the shop push an order again: see ``chaos.history.allowance``.
DISTURBING = ("worker-", "database", "network")
# A fault affects every request for as long as it lasts.
ALL = 1_000_000
# Attempts to stop a worker in the middle of its work; an idle worker continues for a moment between them.
STOP_TRIES = 8
# Delay of a late upsert: longer than the caller waits (1.0 s), and shorter than the quarantine.
LATE_SECONDS = 3.5


@dataclasses.dataclass(slots=True)
class Process:
    """A worker or a writer, and the process that currently plays it."""

    start: Callable[[], subprocess.Popen[bytes]]
    child: subprocess.Popen[bytes]
    stopped: bool = False


class Injector:
    """The parts of a run that can break."""

    def __init__(
        self, shop: Shop, broker: Broker, seed: int, diary: Path, servers: Mapping[str, Server | None]
    ) -> None:
        self.shop = shop
        self.broker = broker
        # By lane: the servers that only this run uses, which can be crashed.
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
        """Start a worker, a writer, the web server, the beat, or the copy of the shop."""

        def start() -> subprocess.Popen[bytes]:
            if name.startswith("worker-"):
                return self.shop.start_worker(name)
            if name.startswith("writer-"):
                self._generation += 1
                seed = f"{self.seed}/{name}/{self._generation}"
                return self.shop.start_writer(name, seed, self.diary, self.begin_of_writing)
            return {"web": self.shop.start_web, "beat": self.shop.start_beat, "copy": self.shop.start_copy}[name]()

        self.processes[name] = Process(start, start())

    def end(self, prefix: str) -> None:
        """End the processes whose names begin with a prefix, as a machine does that is switched off."""
        for name, process in self.processes.items():
            if name.startswith(prefix):
                kill(process.child)

    def keep_alive(self) -> list[tuple[str, str]]:
        """Restart processes that ended unexpectedly, as a supervisor does; return their names and last words."""
        dead = [(name, process) for name, process in self.processes.items() if process.child.poll() is not None]
        ended = []
        for name, process in dead:
            ended.append((name, self.shop.last_output(process.child)))
            process.child = process.start()
        return ended

    # -- faults -----------------------------------------------------------------------------------

    def begin(self, fault: Fault) -> None:
        """Begin a fault."""
        self._method(fault)(fault)

    def finish(self, fault: Fault) -> None:
        """End a fault."""
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
        """End all faults for good. Clocks stay as wrong as they are."""
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
            # The database may have crashed just now; then no worker continues anyway.
            with contextlib.suppress(Exception):
                claimed = self.shop.leases()
                time.sleep(0.3)
                if claimed & self.shop.leases():
                    # A lease stayed: most likely that of the stopped worker.
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
        """Kill the server until the fault ends; refuse connections to a server that other runs share."""
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
        """Make the server end all connections to the run's database."""
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

    def conflicts(self, fault: Fault) -> None:
        self.shop.sandbox.conflict_next(times=ALL)

    def lost_orders(self, fault: Fault) -> None:
        """Let API v3 accept orders without ever saving them."""
        self.shop.sandbox.lose_orders(ALL)

    def unauthorized(self, fault: Fault) -> None:
        """Refuse the keys of one account."""
        for integration in self.shop.sandbox.integrations:
            if integration.account == fault.value:
                self.shop.sandbox.revoke_credentials(integration.id)
