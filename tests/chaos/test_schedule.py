"""The schedule of a chaos run is the seed's alone."""

from __future__ import annotations

import itertools

import pytest

from chaos.schedule import Fault, schedule
from chaos.shop import SETTINGS
from chaos.stage import Stage


def made(seed: int = 1, seconds: float = 60.0) -> list[Fault]:
    return schedule(seed, seconds, workers=3, writers=2)


def test_the_same_seed_gives_the_same_schedule() -> None:
    assert made() == made()
    assert made() != made(2)


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    assert made(seconds=20.0) == [fault for fault in made() if fault.at < 20.0]


def test_another_worker_changes_nothing_for_the_others() -> None:
    more = schedule(1, 60.0, workers=4, writers=2)
    assert [fault for fault in more if fault.lane != "worker-4"] == made()


@pytest.mark.parametrize("seed", range(5))
def test_nobody_is_hit_by_two_faults_at_once(seed: int) -> None:
    for lane, faults in itertools.groupby(sorted(made(seed), key=lambda fault: fault.lane), lambda fault: fault.lane):
        for earlier, later in itertools.pairwise(faults):
            assert earlier.at + earlier.seconds < later.at, lane


def test_every_fault_can_be_played_and_a_stop_outlasts_the_lease() -> None:
    seen = {fault for seed in range(20) for fault in made(seed)}
    assert all(callable(getattr(Stage, fault.name)) for fault in seen)
    assert {fault.lane for fault in seen} == {
        "worker-1", "worker-2", "worker-3", "writer-1", "writer-2", "broker", "database", "network", "sendcloud"
    }  # fmt: skip
    assert all(fault.seconds > SETTINGS["LEASE_SECONDS"] for fault in seen if fault.name == "stop")
