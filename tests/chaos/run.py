"""One run: setup, storm, settling and judgement."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime as dt
import heapq
import itertools
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django_sendcloud.sandbox import Sandbox
from tests.databases import fresh_database
from tests.servers import Server, can_be_private, private

from . import history as judge
from .accounts import ACCOUNTS, account_of
from .buyer import Buyer
from .history import Broken, History, Journey, Push, Turn
from .injector import DISTURBING, Injector
from .merchant import Merchant
from .schedule import Fault, schedule
from .shop import SAVE_DELAYS, WINDOW_REQUESTS, WINDOW_SECONDS, Shop, broker_for

START_SECONDS = 60.0
# Factor for the delays before Sendcloud repeats a webhook: the ten tries take a minute instead of eight hours.
RETRY_SCALE = 0.002
# Longest time until every order is pushed after the last fault: generous, because machines differ.
SETTLE_SECONDS = 120.0
# Checkouts at each account beside the backlog of one.
TURNS = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """Parameters of a run. They decide the schedule, but not the timing of the machine."""

    seed: int
    seconds: float = 60.0
    writers: int = 3
    workers: int = 3
    database: str = "postgresql"
    broker: str = "redis"
    api: str = "v2"

    @property
    def services(self) -> tuple[str, str]:
        return self.database, self.broker


@dataclasses.dataclass(slots=True)
class Outcome:
    """The result of a run."""

    options: Options
    history: History
    broken: list[Broken]
    faults: collections.Counter[str]
    begin: float
    settled_after: float
    restarted: int
    checkouts: collections.Counter[str]

    @property
    def table(self) -> list[tuple[str, str]]:
        """The run in numbers."""
        history = self.history
        upserts = {t.request for t in history.pushes if t.kind == "upsert"}
        deletes = {t.request for t in history.pushes if t.kind == "delete"}
        failed = {t.request for t in history.pushes if not t.answered}
        return [
            ("changes", f"{sum(history.changes.values())} of {len(history.changes)} orders"),
            ("faults", f"{self.faults.total()}: " + ", ".join(f"{n} {name}" for name, n in self.faults.most_common())),
            ("processes that ended unexpectedly", str(self.restarted)),
            ("requests", f"{len(upserts)} upserts, {len(deletes)} deletes; {len(failed)} not answered sensibly"),
            ("orders pushed", f"{len(history.pushes)}"),
            ("orders whose lease was lost", str(history.lost)),
            ("overtaken, and pushed again", str(judge.overtaken(history))),
            ("settled", f"{self.settled_after:.1f} s after the last fault"),
            (
                "parcels",
                f"{len(history.journeys)}, and {sum(len(each.heard) for each in history.journeys)} calls of the receiver",
            ),
            ("checkouts", ", ".join(f"{n} {answer}" for answer, n in self.checkouts.most_common())),
            (
                "turns beside a backlog",
                ", ".join(f"{turn.account} after {turn.ahead} requests" for turn in history.turns)
                + f"; {min((turn.behind for turn in history.turns), default=0)} came after the last",
            ),
            ("in the end", f"{len(history.wanted)} orders to be shipped, {len(history.held)} at Sendcloud"),
        ]


def run(options: Options, say: Callable[[str], None]) -> Outcome:
    """Play one run, and judge it.

    Args:
        options: Parameters of the run.
        say: Receives a line for each event as it happens.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True)))
        sandbox = stack.enter_context(Sandbox())
        sandbox.set_rate_limits(unsafe=WINDOW_REQUESTS, safe=1000, window=WINDOW_SECONDS)
        sandbox.retry_after = 1
        _choose_behaviour(sandbox, options.seed)
        own = {kind: stack.enter_context(private(kind)) for kind in options.services if can_be_private(kind)}
        servers: dict[str, Server | None] = {
            "database": own.get(options.database),
            "broker": own.get(options.broker),
        }
        broker = stack.enter_context(broker_for(options.broker, servers["broker"]))
        database = servers["database"]
        url = database.url if database else stack.enter_context(fresh_database(options.database, folder))
        replica = stack.enter_context(fresh_database(options.database, folder))
        copy = stack.enter_context(fresh_database(options.database, folder))
        shop = Shop(url, replica, copy, broker.url, sandbox, folder)
        stack.callback(broker.leave, shop.queue)
        stack.callback(shop.stop)
        for proxy in (shop.database, shop.broker, shop.sendcloud):
            stack.enter_context(proxy)
        shop.prepare_replica()
        sandbox.add_integration("Second shop", account=ACCOUNTS[1])
        keys = {each.account: (each.id, each.public_key, each.secret_key) for each in sandbox.integrations}
        prepared = shop.ask(f"prepare({keys!r}, {options.api!r})")
        foreign = [*prepared["old"], *shop.ask(f"prepare_copy({keys!r}, {options.api!r})", DATABASE_URL=copy)]
        sandbox.webhook_retry_scale = RETRY_SCALE
        for integration in sandbox.integrations:
            webhook = f"http://127.0.0.1:{shop.port}{prepared['paths'][integration.account]}"
            sandbox.change_integration(integration.id, webhook_url=webhook, webhook_active=True)
        diary = folder / "diary"
        injector = Injector(shop, broker, options.seed, diary, servers)
        merchant = Merchant(sandbox, prepared["orders"], options.seed)
        buyer = Buyer(shop.port, options.seed)
        return _Run(options, injector, shop, sandbox, merchant, buyer, prepared["phase_of"], foreign, diary, say).run()


class _Run:
    def __init__(
        self,
        options: Options,
        injector: Injector,
        shop: Shop,
        sandbox: Sandbox,
        merchant: Merchant,
        buyer: Buyer,
        phase_of: dict[str, str],
        foreign: list[str],
        diary: Path,
        say: Callable[[str], None],
    ) -> None:
        self.options = options
        self.injector = injector
        self.shop = shop
        self.sandbox = sandbox
        self.merchant = merchant
        self.buyer = buyer
        self.foreign = foreign
        self.bulk: list[str] = []
        self.placed: dict[str, float] = {}
        self.phase_of = phase_of
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
        self.take_turns()
        self.injector.end("")
        history = self.history()
        broken = judge.check(history)
        return Outcome(
            self.options,
            history,
            broken,
            self.faults,
            self.begin,
            settled_after,
            self.restarted,
            self.buyer.answers,
        )

    def start(self) -> None:
        options = self.options
        workers = [f"worker-{n}" for n in range(1, options.workers + 1)]
        for name in [*workers, "web", "beat", "copy"]:
            self.injector.add(name)
        self.say(f"{options.workers} workers and a beat are starting")
        self.shop.wait_for(lambda: "ready." in self.shop.logs(), seconds=START_SECONDS, what="a worker's start")
        for n in range(1, options.writers + 1):
            self.injector.add(f"writer-{n}")
        self.shop.wait_for(self.diary.exists, seconds=START_SECONDS, what="a writer's start")
        self.begin = time.monotonic()
        self.merchant.start()
        self.buyer.start()
        self.say(f"{options.writers} writers are writing, and a merchant ships {len(self.merchant.orders)} orders")

    def storm(self) -> None:
        """Play the schedule."""
        options = self.options
        faults = schedule(
            options.seed, options.seconds, workers=options.workers, writers=options.writers, api=options.api
        )
        order = itertools.count()
        agenda: list[tuple[float, int, Callable[[Fault], None], Fault]] = []
        for fault in faults:
            heapq.heappush(agenda, (fault.at, next(order), self.injector.begin, fault))
            if fault.seconds:
                heapq.heappush(agenda, (fault.at + fault.seconds, next(order), self.injector.finish, fault))
        for _, _, action, fault in self._in_time(agenda, options.seconds):
            if action == self.injector.begin:
                self.say(f"{fault}")
                self.faults[f"{fault.lane.split('-')[0]} {fault.name.replace('_', ' ')}"] += 1
                self.events += fault.lane.startswith(DISTURBING) or fault.name == "lost_orders"
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
        for name, last_output in self.injector.keep_alive():
            self.restarted += 1
            self.events += name.startswith(DISTURBING)
            self.say(f"{name} had ended, and is started again; its last output: {last_output}")

    def settle(self) -> float:
        """End all faults and writers, wait until every order is pushed, and return the seconds this took."""
        self.injector.end("writer-")
        for name in [name for name in self.injector.processes if name.startswith("writer-")]:
            del self.injector.processes[name]
        self.merchant.stop()
        self.buyer.stop()
        self.injector.calm()
        self.say("all faults are over, the writers have stopped; it settles")
        return self.wait_until_quiet()

    def take_turns(self) -> None:
        """Give one account a backlog, and check out at both meanwhile."""
        self.say("one account gets a backlog, and both get checkouts")
        self.bulk = self.shop.ask("place_bulk()")
        self.wait_until_quiet()
        self.shop.ask("pile_up()")
        for _ in range(TURNS):
            for account in ACCOUNTS:
                order = self.buyer.order_at(account)
                self.placed[order] = self.buyer.check_out(order)
        self.wait_until_quiet()

    def wait_until_quiet(self) -> float:
        """Wait until every order is pushed and every parcel is known, and return the seconds this took."""
        calm = time.monotonic()
        quiet_since: float | None = None
        waiting = 0
        # A worker that was stopped may notice later than all others that it had been overtaken.
        quiet_seconds = self.shop.settings["DEADLINE_SECONDS"] + 1.0
        while time.monotonic() < calm + SETTLE_SECONDS:
            self.supervise()
            before, waiting = waiting, self.shop.waiting() + self.parcels_behind()
            if waiting:
                if waiting != before:
                    self.say(f"{waiting} orders, webhooks or parcels wait")
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > quiet_seconds:
                self.say("the outbox is empty, and stays so")
                return quiet_since - calm
            time.sleep(0.2)
        self.say("it does not settle")
        return SETTLE_SECONDS

    def parcels_behind(self) -> int:
        """Return the number of parcels whose phase at Sendcloud the shop does not know."""
        known = self.shop.phases()
        return sum(known.get(number) != phase for number, (_, phase) in self.parcels_there().items())

    def parcels_there(self) -> dict[int, tuple[str, str]]:
        """Return order and phase of each parcel at Sendcloud."""
        return {
            parcel["id"]: (order, self.phase_of[str(parcel["status"]["id"])])
            for order in self.merchant.orders
            for parcel in self.merchant.parcels_of(order)
        }

    # -- evidence ---------------------------------------------------------------------------------

    def history(self) -> History:
        facts, back = self.shop.ask("facts()"), self.shop.ask("parcels()")
        # A shipped order follows its parcels and no writer, so it is judged by its parcels.
        shipped = {order for order, _ in self.parcels_there().values()}
        requests = self.sandbox.requests
        accounts = {integration.id: integration.account for integration in self.sandbox.integrations}
        unsafe: dict[str, list[float]] = collections.defaultdict(list)
        for request in requests:
            if request.method != "GET":
                unsafe[accounts.get(request.integration_id or 0, "")].append(request.time)
        held, stamps = self._held()
        held = {order: body for order, body in held.items() if order not in shipped}
        wanted = {order: _comparable(body) for order, body in facts["wanted"].items() if order not in shipped}
        if self.options.api == "v3":
            # An order has nothing that its shop does not send.
            for order, body in wanted.items():
                body.update(dict.fromkeys(held.get(order, {}).keys() - body.keys()))
        pushes = [
            Push(
                request=request.number,
                time=request.time,
                kind="delete" if "delete" in request.operation else "upsert",
                order=item.external_order_id,
                account=accounts.get(request.integration_id or 0, ""),
                stamp=_seconds(item.updated_at) if item.updated_at else 0,
                outcome=item.outcome,
                applied=request.applied_order,
                answered=request.status is not None and request.status < 300 and not request.fault,
            )
            for request in requests
            for item in request.items
            if item.external_order_id not in shipped
        ]
        return History(
            wanted=wanted,
            held=held,
            stamps=stamps,
            believed={
                order: (row["status"], row["stamp"]) for order, row in facts["believed"].items() if order not in shipped
            },
            outbox=facts["outbox"],
            pushes=pushes,
            unsafe=unsafe,
            changes=self.changes(),
            accounts={push.order: account_of(push.order) for push in pushes if push.order},
            held_at=self._held_at(),
            foreign=self.foreign,
            turns=self.turns(pushes, sorted(itertools.chain.from_iterable(unsafe.values()))),
            journeys=self.journeys(back),
            events_left=back["left"],
            failures=self.failures(),
            events=self.events,
            lost=sum(map(int, re.findall(r"The lease of (\d+) orders was lost", self.shop.all_output()))),
            limit=WINDOW_REQUESTS,
            window=WINDOW_SECONDS,
        )

    def _held(self) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
        """Return the content of each order at Sendcloud, and its time of the shop's last change."""
        if self.options.api == "v2":
            shipments = self.sandbox.shipments()
            ids = [shipment["external_order_id"] for shipment in shipments]
            stamps = [shipment["_received_updated_at"] for shipment in shipments]
        else:
            shipments = self.sandbox.orders()
            ids = [order["order_id"] for order in shipments]
            stamps = [order["order_details"]["order_updated_at"] for order in shipments]
        held = {order: _comparable(shipment) for order, shipment in zip(ids, shipments, strict=True)}
        return held, {order: _seconds(stamp) for order, stamp in zip(ids, stamps, strict=True)}

    def _held_at(self) -> dict[str, list[str]]:
        """Return the accounts that each order is held at."""
        held: dict[str, list[str]] = collections.defaultdict(list)
        for integration in self.sandbox.integrations:
            for shipment in self.sandbox.shipments(integration.id):
                held[shipment["external_order_id"]].append(integration.account)
        return held

    def turns(self, pushes: list[Push], unsafe: list[float]) -> list[Turn]:
        """Return how many requests came before each checkout beside the backlog, and how many after it."""
        turns = []
        for order, placed in self.placed.items():
            arrived = next((push.time for push in pushes if push.order == order), None)
            ahead = sum(placed < moment < (arrived or float("inf")) for moment in unsafe)
            behind = sum(moment > arrived for moment in unsafe) if arrived else 0
            turns.append(Turn(order, account_of(order), ahead, behind, arrived is not None))
        return turns

    def journeys(self, facts: dict[str, Any]) -> list[Journey]:
        """Return the parcels of the run, with what the shop knows of them."""
        heard: dict[int, list[str]] = collections.defaultdict(list)
        for parcel, phase in facts["heard"]:
            heard[parcel].append(phase)
        copies = collections.Counter(shipment["external_order_id"] for shipment in self.sandbox.shipments())
        return [
            Journey(order, number, phase, facts["phases"].get(str(number), ""), tuple(heard[number]), copies[order])
            for number, (order, phase) in self.parcels_there().items()
        ]

    def changes(self) -> dict[str, int]:
        """Return the changes of each order that were announced before they were made."""
        # Each order of the backlog is placed, and then changed or deleted.
        changes: collections.Counter[str] = collections.Counter([*self.merchant.orders, *self.bulk, *self.bulk])
        changes.update(self.buyer.changes)
        for line in self.diary.read_text().splitlines():
            with contextlib.suppress(ValueError):
                # A writer that was killed before its change leaves half a line.
                changes.update(json.loads(line).get("changes", {}))
        return dict(changes)

    def failures(self) -> list[str]:
        """Return the errors that the app's own statements raised in the writers."""
        found = []
        for line in self.diary.read_text().splitlines():
            with contextlib.suppress(ValueError):
                if failed := json.loads(line).get("failed"):
                    found.append(failed)
        return found


def _seconds(moment: str) -> int:
    return int(dt.datetime.fromisoformat(moment).timestamp())


# The names of the shop's own time of an order, in requests and in answers.
_SENT, _SHOWN = "created_at", "shipment_created_at"
# Fields that each push, or Sendcloud itself, sets.
_VARYING = {"updated_at", "id", "modified_at", "_came_by", "order_details.order_updated_at"}


def _comparable(shipment: dict[str, Any]) -> dict[str, Any]:
    """Return a shipment with the same names and types, whether the shop sends it or Sendcloud shows it."""
    if "order_details" in shipment:
        varying = _VARYING | {"created_at"}
        return {name: _plain(name, value) for name, value in _leaves(shipment) if name not in varying}
    placed = shipment.get(_SHOWN, shipment.get(_SENT))
    return {name: value for name, value in shipment.items() if name not in _VARYING} | {
        _SENT: placed and dt.datetime.fromisoformat(placed).timestamp()
    }


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of an order of API v3 with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def _plain(path: str, value: Any) -> Any:
    """Return a value of API v3 as it compares: a moment in seconds, an amount as a number."""
    if path == "order_details.order_created_at":
        return _seconds(value)
    return float(value) if path.endswith(".value") else value


def _choose_behaviour(sandbox: Sandbox, seed: int) -> None:
    """Choose by the seed how Sendcloud behaves where its documents leave it open."""
    chance = random.Random(f"{seed}/behaviour")
    sandbox.save_delay = chance.uniform(*SAVE_DELAYS)
    sandbox.delete_before_save = chance.choice(["not found", "recreated", "cancelled"])
    sandbox.omitted_blocks = chance.choice(["cleared", "kept"])
    sandbox.as_documented = chance.choice([True, False])
