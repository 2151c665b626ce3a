"""The schedule of a chaos run is the seed's alone."""

from __future__ import annotations

import itertools

import pytest

from tests.chaos.injector import Injector
from tests.chaos.schedule import Fault, schedule
from tests.chaos.shop import SETTINGS


def made(seed: int = 1, seconds: float = 60.0, api: str = "v2") -> list[Fault]:
    return schedule(seed, seconds, workers=3, writers=2, api=api)


def test_same_seed_gives_same_schedule() -> None:
    assert made() == made()
    assert made() != made(2)


def test_longer_run_begins_like_a_shorter_one() -> None:
    assert made(seconds=20.0) == [fault for fault in made() if fault.at < 20.0]


def test_additional_worker_changes_no_other_schedule() -> None:
    more = schedule(1, 60.0, workers=4, writers=2)
    assert [fault for fault in more if fault.lane != "worker-4"] == made()


@pytest.mark.parametrize("seed", range(5))
def test_target_has_one_fault_at_a_time(seed: int) -> None:
    for lane, faults in itertools.groupby(sorted(made(seed), key=lambda fault: fault.lane), lambda fault: fault.lane):
        for earlier, later in itertools.pairwise(faults):
            assert earlier.at + earlier.seconds < later.at, lane


@pytest.mark.parametrize("api", ["v2", "v3"])
def test_faults_can_be_played(api: str) -> None:
    seen = {fault for seed in range(20) for fault in made(seed, api=api)}
    assert {"conflicts", "lost_orders"} & {fault.name for fault in seen} == (
        set() if api == "v2" else {"conflicts", "lost_orders"}
    )
    assert all(callable(getattr(Injector, fault.name)) for fault in seen)
    assert {fault.lane for fault in seen} == {
        "worker-1", "worker-2", "worker-3", "writer-1", "writer-2", "web", "broker", "database", "network", "sendcloud"
    }  # fmt: skip
    assert all(fault.seconds > SETTINGS["LEASE_SECONDS"] for fault in seen if fault.name == "stop")
