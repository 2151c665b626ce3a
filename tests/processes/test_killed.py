"""A worker killed at any step loses nothing and doubles nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .conftest import Project, kill

DATABASES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.services("postgresql")),
    pytest.param("mariadb", marks=pytest.mark.services("mariadb")),
]

DIE = "os.kill(os.getpid(), signal.SIGKILL)"
KILLED = {
    # The claim is written, nothing was sent.
    "after the claim": f"push.Push.run = lambda *args: {DIE}",
    # Sendcloud has it, and nobody here knows.
    "after the POST and before settling": f"push.settle = lambda *args: {DIE}",
    # In the middle of the transaction that would say so.
    "while settling": f"settle._write_rejected = lambda *args: {DIE}",
}


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("step", KILLED)
def test_f06_killed_at_any_step(make_project: Callable[..., Project], database: str, step: str) -> None:
    project = make_project(database)
    # Longer than any process takes to start, however busy the machine is; its end is brought about below.
    project.settings["LEASE_SECONDS"] = 300.0
    orders = project.place_orders(5)
    time.sleep(project.settings["DEBOUNCE_SECONDS"])
    project.run(
        f"import os, signal\nfrom django_sendcloud.sync import pump, push, settle\n{KILLED[step]}\npump.pump()\n",
        check=False,
    )
    assert project.outbox() == 5, "what the dead worker had is still there"
    sent_before = project.sandbox.count("POST", "/shipments")
    assert sent_before == (0 if step == "after the claim" else 1)

    project.run("from django_sendcloud.sync.pump import pump; pump()")
    assert project.sandbox.count("POST", "/shipments") == sent_before, "nobody else touches it during the lease"

    project.run(
        "from django.utils import timezone\nfrom tests import factories\n"
        "from django_sendcloud.sync.pump import pump\n"
        "factories.outbox().update(not_before=timezone.now(), due_at=timezone.now())\n"
        "pump()"
    )
    assert project.outbox() == 0
    assert sorted(s["external_order_id"] for s in project.sandbox.shipments()) == sorted(orders)
    assert project.sandbox.count("POST", "/shipments") == sent_before + 1


@pytest.mark.services("postgresql", "redis")
def test_f06_a_celery_worker_killed_while_it_waits_for_the_answer(make_project: Callable[..., Project]) -> None:
    project = make_project("postgresql", "redis")
    project.sandbox.hang_next(seconds=0.8, times=1, apply="before")
    worker = project.worker()
    orders = project.place_orders(3)
    project.wait_for(lambda: len(project.sandbox.shipments()) == 3, what="the first push")
    kill(worker)
    project.worker()
    project.wait_for(lambda: project.outbox() == 0, what="recovery after lease and quarantine")
    assert sorted(s["external_order_id"] for s in project.sandbox.shipments()) == sorted(orders)
    assert project.sandbox.count("POST", "/shipments") <= 3
