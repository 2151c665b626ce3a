"""Workers that fold concurrently while the shop keeps recording."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.project import Project

SHOP = """
import pathlib
from django.db import transaction
from django_sendcloud.sync.record import record
for n in range(150):
    with transaction.atomic():
        record("shop.order", [f"00000000-0000-0000-0000-00000000000{{n % 5}}"], notify=False)
pathlib.Path({done!r}).touch()
"""
# One by one, because several changes of an order that are folded together raise its version once.
WORKER = """
import pathlib, time
from django_sendcloud.sync.fold import fold
while not all(map(pathlib.Path.exists, map(pathlib.Path, {done!r}))):
    fold(1) or time.sleep(0.01)
"""


@pytest.mark.services("postgresql", "mariadb")
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
@pytest.mark.exhaustive
def test_change_is_folded_exactly_once(make_project: Callable[..., Project], database: str) -> None:
    project = make_project(database)
    done = [str(project.folder / name) for name in ("shop-1", "shop-2")]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(project.run, [*(SHOP.format(done=path) for path in done), *[WORKER.format(done=done)] * 4]))
    project.run("from django_sendcloud.sync.fold import fold\nwhile fold(1): pass")
    found = project.run(
        "from django_sendcloud.models import Change, OutboxEntry; from django.db.models import Sum\n"
        "print(Change.objects.count(), OutboxEntry.objects.aggregate(n=Sum('version'))['n'])"
    )
    assert found.split() == ["0", "300"]


HOLDS = """
import pathlib, time
from django.db import transaction
from django_sendcloud.sync.record import record
with transaction.atomic():
    record("shop.order", ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"], notify=False)
    print("recorded", flush=True)
    while not pathlib.Path({release!r}).exists():
        time.sleep(0.01)
"""
# The timeout turns any wait for a lock into an error after one second.
WAITS_FOR_NOTHING = """
from django.db import connection, transaction
from django_sendcloud.sync.fold import fold
from django_sendcloud.sync.record import record
with connection.cursor() as cursor:
    cursor.execute({
        "postgresql": "SET lock_timeout = '1s'", "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
    }[connection.vendor])
for _ in range(3):
    with transaction.atomic():
        for n in (2, 1):
            record("shop.order", [f"00000000-0000-0000-0000-00000000000{n}"], notify=False)
    assert fold() == 2, "what is committed is folded, whatever is not"
"""


@pytest.mark.services("postgresql", "mariadb")
@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
@pytest.mark.exhaustive
def test_open_transaction_blocks_neither_recording_nor_folding(
    make_project: Callable[..., Project], database: str
) -> None:
    project = make_project(database)
    release = project.folder / "release"
    other = project.start(HOLDS.format(release=str(release)))
    project.wait_for(lambda: "recorded" in project.logs(), what="the open transaction")
    project.run(WAITS_FOR_NOTHING)
    assert other.poll() is None, "it was open all the while"
    release.touch()
    assert other.wait(60) == 0, project.logs()
    assert project.outbox() == 2
    found = project.run(
        "from django_sendcloud.models import OutboxEntry; print(*OutboxEntry.objects.values_list('version'))"
    )
    assert found == "(4,) (4,)"
