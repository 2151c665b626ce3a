"""One run: set the stage, let it storm, let it settle, and judge."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime as dt
import heapq
import itertools
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django_sendcloud.sandbox import Sandbox
from tests.processes.conftest import fresh_database
from tests.servers import Server, can_be_private, private

from . import history as judge
from .history import Broken, History, Telling
from .schedule import Fault, schedule
from .shop import WINDOW_REQUESTS, WINDOW_SECONDS, Shop, broker_for
from .stage import DISTURBING, Stage

START_SECONDS = 60.0
# How long it may take until all is told, once all is well: generous, because machines differ. What is stuck is stuck.
SETTLE_SECONDS = 120.0


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What kind of run. ``seed`` and the others decide the schedule; what the machine makes of it, nobody does."""

    seed: int
    seconds: float = 60.0
    writers: int = 3
    workers: int = 3
    database: str = "postgresql"
    broker: str = "redis"

    @property
    def services(self) -> tuple[str, str]:
        return self.database, self.broker


@dataclasses.dataclass(slots=True)
class Outcome:
    """What came of a run."""

    options: Options
    history: History
    broken: list[Broken]
    faults: collections.Counter[str]
    begin: float
    settled_after: float
    restarted: int

    @property
    def table(self) -> list[tuple[str, str]]:
        """The run in numbers."""
        history = self.history
        upserts = {t.request for t in history.tellings if t.kind == "upsert"}
        deletes = {t.request for t in history.tellings if t.kind == "delete"}
        failed = {t.request for t in history.tellings if not t.answered}
        return [
            ("changes", f"{sum(history.changes.values())} of {len(history.changes)} orders"),
            ("faults", f"{self.faults.total()}: " + ", ".join(f"{n} {name}" for name, n in self.faults.most_common())),
            ("processes that ended by themselves", str(self.restarted)),
            ("requests", f"{len(upserts)} upserts, {len(deletes)} deletes; {len(failed)} not answered sensibly"),
            ("orders told", f"{len(history.tellings)}"),
            ("orders whose lease was lost", str(history.lost)),
            ("overtaken, and told anew", str(judge.overtaken(history))),
            ("settled", f"{self.settled_after:.1f} s after the last fault"),
            ("in the end", f"{len(history.wanted)} orders to be shipped, {len(history.held)} at Sendcloud"),
        ]


def run(options: Options, say: Callable[[str], None]) -> Outcome:
    """Play one run, and judge it.

    Args:
        options: Which one.
        say: Gets a line for each thing that happens, as it happens.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True)))
        sandbox = stack.enter_context(Sandbox())
        sandbox.set_rate_limits(unsafe=WINDOW_REQUESTS, safe=1000, window=WINDOW_SECONDS)
        sandbox.retry_after = 1
        own = {kind: stack.enter_context(private(kind)) for kind in options.services if can_be_private(kind)}
        servers: dict[str, Server | None] = {
            "database": own.get(options.database),
            "broker": own.get(options.broker),
        }
        broker = stack.enter_context(broker_for(options.broker, servers["broker"]))
        database = servers["database"]
        url = database.url if database else stack.enter_context(fresh_database(options.database, folder))
        shop = Shop(url, broker.url, sandbox, folder)
        stack.callback(broker.leave, shop.queue)
        stack.callback(shop.stop)
        for proxy in (shop.database, shop.broker, shop.sendcloud):
            stack.enter_context(proxy)
        shop.ask(f"prepare({sandbox.integration_id}, {sandbox.public_key!r}, {sandbox.secret_key!r})")
        diary = folder / "diary"
        stage = Stage(shop, broker, options.seed, diary, servers)
        return _Run(options, stage, shop, sandbox, diary, say).run()


class _Run:
    def __init__(
        self, options: Options, stage: Stage, shop: Shop, sandbox: Sandbox, diary: Path, say: Callable[[str], None]
    ) -> None:
        self.options = options
        self.stage = stage
        self.shop = shop
        self.sandbox = sandbox
        self.diary = diary
        self.faults: collections.Counter[str] = collections.Counter()
        self.events = 0
        self.restarted = 0
        self.begin = time.monotonic()
        self._say = say

    def say(self, text: str) -> None:
        self._say(f"{time.monotonic() - self.begin:7.1f} s  {text}")

    def run(self) -> Outcome:
        self.start()
        self.storm()
        settled_after = self.settle()
        self.stage.end("")
        history = self.history()
        broken = judge.check(history)
        return Outcome(self.options, history, broken, self.faults, self.begin, settled_after, self.restarted)

    def start(self) -> None:
        options = self.options
        workers = [f"worker-{n}" for n in range(1, options.workers + 1)]
        for name in [*workers, "beat"]:
            self.stage.add(name)
        self.say(f"{options.workers} workers and a beat are starting")
        self.shop.wait_for(lambda: "ready." in self.shop.logs(), seconds=START_SECONDS, what="a worker's start")
        for n in range(1, options.writers + 1):
            self.stage.add(f"writer-{n}")
        self.shop.wait_for(self.diary.exists, seconds=START_SECONDS, what="a writer's start")
        self.begin = time.monotonic()
        self.say(f"{options.writers} writers are writing")

    def storm(self) -> None:
        """Play the schedule."""
        options = self.options
        faults = schedule(options.seed, options.seconds, workers=options.workers, writers=options.writers)
        order = itertools.count()
        agenda: list[tuple[float, int, Callable[[Fault], None], Fault]] = []
        for fault in faults:
            heapq.heappush(agenda, (fault.at, next(order), self.stage.begin, fault))
            if fault.seconds:
                heapq.heappush(agenda, (fault.at + fault.seconds, next(order), self.stage.finish, fault))
        for _, _, action, fault in self._in_time(agenda, options.seconds):
            if action == self.stage.begin:
                self.say(f"{fault}")
                self.faults[f"{fault.lane.split('-')[0]} {fault.name.replace('_', ' ')}"] += 1
                self.events += fault.lane.startswith(DISTURBING)
            action(fault)

    def _in_time(self, agenda: list[Any], seconds: float) -> Iterator[Any]:
        end = self.begin + seconds
        while time.monotonic() < end:
            due = self.begin + agenda[0][0] if agenda else end
            if due > time.monotonic():
                self.supervise()
                time.sleep(max(0.0, min(due, end, time.monotonic() + 0.5) - time.monotonic()))
            elif agenda:
                yield heapq.heappop(agenda)

    def supervise(self) -> None:
        for name, last_words in self.stage.keep_alive():
            self.restarted += 1
            self.events += name.startswith(DISTURBING)
            self.say(f"{name} had ended, and is started again; its last words: {last_words}")

    def settle(self) -> float:
        """All is well from now on, and nobody writes: wait until nothing is left to be told. Returns how long."""
        self.stage.end("writer-")
        for name in [name for name in self.stage.processes if name.startswith("writer-")]:
            del self.stage.processes[name]
        self.stage.calm()
        calm = time.monotonic()
        self.say("all faults are over, the writers have stopped; it settles")
        quiet_since: float | None = None
        waiting = 0
        # A worker that was stopped may notice later than all others that it had been overtaken.
        quiet_seconds = self.shop.settings["DEADLINE_SECONDS"] + 1.0
        while time.monotonic() < calm + SETTLE_SECONDS:
            self.supervise()
            before, waiting = waiting, self.shop.waiting()
            if waiting:
                if waiting != before:
                    self.say(f"{waiting} orders wait")
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > quiet_seconds:
                self.say("the outbox is empty, and stays so")
                return quiet_since - calm
            time.sleep(0.2)
        self.say("it does not settle")
        return SETTLE_SECONDS

    # -- evidence ---------------------------------------------------------------------------------

    def history(self) -> History:
        facts = self.shop.ask("facts()")
        shipments = self.sandbox.shipments()
        requests = self.sandbox.requests
        tellings = [
            Telling(
                request=request.number,
                time=request.time,
                kind="delete" if "delete" in request.operation else "upsert",
                order=item.external_order_id,
                stamp=_seconds(item.updated_at) if item.updated_at else 0,
                outcome=item.outcome,
                applied=request.applied_order,
                answered=request.status is not None and request.status < 300 and not request.fault,
            )
            for request in requests
            for item in request.items
        ]
        return History(
            wanted={order: _comparable(body) for order, body in facts["wanted"].items()},
            held={shipment["external_order_id"]: _comparable(shipment) for shipment in shipments},
            stamps={s["external_order_id"]: _seconds(s["_received_updated_at"]) for s in shipments},
            believed={order: (row["status"], row["stamp"]) for order, row in facts["believed"].items()},
            outbox=facts["outbox"],
            tellings=tellings,
            unsafe=[request.time for request in requests if request.method != "GET"],
            changes=self.changes(),
            failures=self.failures(),
            events=self.events,
            lost=sum(map(int, re.findall(r"The lease of (\d+) orders was lost", self.shop.everything_said()))),
            limit=WINDOW_REQUESTS,
            window=WINDOW_SECONDS,
        )

    def changes(self) -> dict[str, int]:
        """What the writers had set out to do."""
        changes: collections.Counter[str] = collections.Counter()
        for line in self.diary.read_text().splitlines():
            with contextlib.suppress(ValueError):
                # Half a line is that of a writer that was killed before it did anything.
                changes.update(json.loads(line).get("changes", {}))
        return dict(changes)

    def failures(self) -> list[str]:
        """What the app's own statements did to the writers."""
        found = []
        for line in self.diary.read_text().splitlines():
            with contextlib.suppress(ValueError):
                if failed := json.loads(line).get("failed"):
                    found.append(failed)
        return found


def _seconds(moment: str) -> int:
    return int(dt.datetime.fromisoformat(moment).timestamp())


# The shop's own time of an order, under the names it is sent and shown by.
_SENT, _SHOWN = "created_at", "shipment_created_at"


def _comparable(shipment: dict[str, Any]) -> dict[str, Any]:
    """What the shop sends and what Sendcloud shows, in the same words."""
    placed = shipment.get(_SHOWN, shipment.get(_SENT))
    return {**shipment, _SENT: placed and dt.datetime.fromisoformat(placed).timestamp()}
