"""A worker killed at any step loses nothing and doubles nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.project import Project, kill

DATABASES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.services("postgresql")),
    pytest.param("mariadb", marks=pytest.mark.services("mariadb")),
]

DIE = "os.kill(os.getpid(), signal.SIGKILL)"
KILLED = {
    # The worker has written its claim and sent nothing.
    "after the claim": f"worker.push_claim = lambda *args: {DIE}",
    # Sendcloud has the orders, and the shop does not know it yet.
    "after the POST and before settling": f"ledger.settle = lambda *args: {DIE}",
    # The transaction that records the result is open.
    "while settling": f"settle._write_rejected = lambda *args: {DIE}",
}


APIS = pytest.mark.parametrize("api", ["v2", "v3"])


@APIS
@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("step", KILLED)
@pytest.mark.exhaustive
def test_f06_killed_worker_loses_nothing(
    make_project: Callable[..., Project], database: str, step: str, api: str
) -> None:
    # The lease outlasts the start of any process on a busy machine; ``make_due`` ends it below.
    project = make_project(database, api=api, LEASE_SECONDS=300.0, DEBOUNCE_SECONDS=0)
    orders = project.place_orders(5)
    project.run(
        f"import os, signal\nfrom django_sendcloud.sync import worker\nfrom django_sendcloud.sync.push import ledger, settle\n{KILLED[step]}\nworker.push_due()\n",
        check=False,
    )
    assert project.outbox() == 5, "what the dead worker had is still there"
    sent_before = project.upserts()
    assert sent_before == (0 if step == "after the claim" else 1)

    project.run("from django_sendcloud.sync.worker import push_due; push_due()")
    assert project.upserts() == sent_before, "nobody else touches it during the lease"

    project.make_due()
    # By API v3, an accepted order is settled once it is seen saved.
    project.push_the_rest()
    assert project.outbox() == 0
    assert sorted(s["external_order_id"] for s in project.sandbox.shipments()) == sorted(orders)
    assert project.upserts() == sent_before + 1


@pytest.mark.exhaustive
@APIS
@pytest.mark.services("postgresql", "redis")
def test_f06_worker_killed_awaiting_answer_loses_nothing(make_project: Callable[..., Project], api: str) -> None:
    project = make_project("postgresql", "redis", api=api)
    project.sandbox.hang_next(seconds=0.8, times=1, apply="before")
    worker = project.worker()
    orders = project.place_orders(3)
    project.wait_for(lambda: len(project.sandbox.shipments()) == 3, what="the first push")
    kill(worker)
    project.worker()
    project.wait_for(lambda: project.outbox() == 0, what="recovery after lease and quarantine")
    assert sorted(s["external_order_id"] for s in project.sandbox.shipments()) == sorted(orders)
    assert project.upserts() <= 3
