"""The faults of a run and their times, decided by the seed alone before the run begins."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from typing import Any

from .accounts import ACCOUNTS
from .shop import SETTINGS

__all__ = ["Fault", "schedule"]

# The beginning is calm, so that there is something to disturb.
CALM_SECONDS = 1.0
# Greatest error of a machine's clock, to either side.
CLOCK_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        at: Seconds since the beginning.
        lane: Its target: ``worker-1``, ``writer-2``, ``web``, ``broker``, ``database``, ``network``, ``sendcloud``.
        name: Its kind; a method of ``tests.chaos.injector.Injector``.
        seconds: Duration; 0 for a fault of a moment.
        value: Its amount or variant.
    """

    at: float
    lane: str
    name: str
    seconds: float = 0.0
    value: Any = None

    def __str__(self) -> str:
        value = "" if self.value is None else f" {self.value}"
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.lane}: {self.name.replace('_', ' ')}{value}{lasting}"


# Name, shortest and longest time it lasts.
_WORKER = [
    ("kill", 0.0, 0.0),
    ("kill", 0.0, 0.0),
    # In leases: longer than one, so that other workers take over the stopped one's orders.
    ("stop", 1.1, 1.4),
    ("stop", 1.1, 1.4),
    ("clock", 0.0, 0.0),
]
_WRITER = [("kill", 0.0, 0.0), ("clock", 0.0, 0.0)]
_WEB = [("kill", 0.0, 0.0)]
_BROKER = [("refuse", 0.5, 3.0), ("hang", 0.5, 3.0), ("flush", 0.0, 0.0), ("crash", 0.5, 3.0)]
_DATABASE = [
    ("reset", 0.0, 0.0),
    ("terminate", 0.0, 0.0),
    ("hang", 0.3, 1.2),
    ("refuse", 0.2, 0.8),
    ("crash", 0.2, 1.0),
    # Slow statements keep a worker longer between its claim and its push, the worst moment to be stopped.
    ("lag", 2.0, 5.0),
    ("lag", 2.0, 5.0),
]
_NETWORK = [
    ("refuse", 0.3, 2.0),
    ("hang", 0.5, 2.0),
    ("reset", 0.3, 1.5),
    ("lag", 1.0, 2.0),
    ("cut_answers", 0.3, 1.5),
    ("slice_answers", 1.0, 2.0),
]
# Faults last a time, not a number of requests: an open breaker sends few, so that a fault would last for minutes.
_SENDCLOUD = [
    ("storm_of_429", 0.5, 2.0),
    ("errors", 0.5, 2.0),
    ("errors_applied", 0.3, 1.5),
    ("lost_answers", 0.3, 1.5),
    ("lost_requests", 0.3, 1.5),
    # The quarantine exists because of requests that are applied late.
    ("late", 0.3, 1.0),
    ("late", 0.3, 1.0),
    ("late", 0.3, 1.0),
    ("late", 0.3, 1.0),
    ("truncated", 0.3, 1.5),
    ("html", 0.3, 1.5),
    ("garble", 0.5, 2.0),
    ("unauthorized", 0.3, 1.0),
]
# Faults that only API v3 has: it accepts an order before it saves it.
_V3 = [("conflicts", 0.3, 1.5), ("lost_orders", 0.2, 0.6)]


def schedule(seed: int, seconds: float, *, workers: int, writers: int, api: str = "v2") -> list[Fault]:
    """Return all faults of a run in order of time: the same for the same arguments, on any machine.

    The faults of one target never overlap; those of different targets do.
    """
    lanes = [(f"worker-{n}", _WORKER, (8.0, 18.0)) for n in range(1, workers + 1)]
    lanes += [(f"writer-{n}", _WRITER, (10.0, 25.0)) for n in range(1, writers + 1)]
    lanes += [
        ("web", _WEB, (8.0, 20.0)),
        ("broker", _BROKER, (5.0, 12.0)),
        ("database", _DATABASE, (4.0, 10.0)),
        ("network", _NETWORK, (4.0, 10.0)),
        ("sendcloud", _SENDCLOUD + (_V3 if api == "v3" else []), (3.0, 7.0)),
    ]
    faults = [fault for name, kinds, pauses in lanes for fault in _lane(seed, seconds, name, kinds, pauses)]
    return sorted(faults, key=lambda fault: (fault.at, fault.lane))


def _lane(
    seed: int, seconds: float, lane: str, kinds: list[tuple[str, float, float]], pauses: tuple[float, float]
) -> Iterator[Fault]:
    chance = random.Random(f"{seed}/{lane}")
    at = CALM_SECONDS + chance.uniform(0, pauses[1])
    while at < seconds:
        name, shortest, longest = chance.choice(kinds)
        lasts = chance.uniform(shortest, longest)
        if name == "stop":
            lasts *= SETTINGS["LEASE_SECONDS"]
        yield Fault(round(at, 2), lane, name, round(lasts, 2), _value(name, chance))
        at += lasts + chance.uniform(*pauses)


def _value(name: str, chance: random.Random) -> Any:
    if name == "clock":
        return f"{chance.uniform(-CLOCK_SECONDS, CLOCK_SECONDS):+.0f} s"
    if name == "garble":
        return chance.choice(["order", "missing", "duplicate", "unknown"])
    if name == "unauthorized":
        return chance.choice(ACCOUNTS)
    if name in ("errors", "errors_applied"):
        return chance.choice([500, 502, 503])
    return None
