"""Several workers fold at once, while the shop goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import Project

SHOP = """
from django.db import transaction
from django_sendcloud.sync.record import record
for n in range(150):
    with transaction.atomic():
        record("shop.order", [f"00000000-0000-0000-0000-00000000000{n % 5}"], ring=False)
"""
# One by one, because several changes of an order that are folded together raise its version once.
WORKER = """
import time
from django_sendcloud.sync.fold import fold
end = time.monotonic() + 5
while time.monotonic() < end:
    fold(1) or time.sleep(0.01)
"""


@pytest.mark.services("postgresql", "mariadb")
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_each_change_is_folded_exactly_once(make_project: Callable[..., Project], database: str) -> None:
    project = make_project(database)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(project.run, [SHOP, SHOP, *[WORKER] * 4]))
    project.run("from django_sendcloud.sync.fold import fold\nwhile fold(1): pass")
    found = project.run(
        "from django_sendcloud.models import Change, OutboxEntry; from django.db.models import Sum\n"
        "print(Change.objects.count(), OutboxEntry.objects.aggregate(n=Sum('version'))['n'])"
    )
    assert found.split() == ["0", "300"]


HOLDS = """
import time
from django.db import transaction
from django_sendcloud.sync.record import record
with transaction.atomic():
    record("shop.order", ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"], ring=False)
    print("recorded", flush=True)
    time.sleep(6)
"""
# A lock that had to be waited for would be an error after a second.
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
            record("shop.order", [f"00000000-0000-0000-0000-00000000000{n}"], ring=False)
    assert fold() == 2, "what is committed is folded, whatever is not"
"""


@pytest.mark.services("postgresql", "mariadb")
@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
def test_neither_the_shop_nor_a_worker_waits_for_what_another_transaction_has_recorded(
    make_project: Callable[..., Project], database: str
) -> None:
    project = make_project(database)
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(project.run, HOLDS)
        time.sleep(3)
        project.run(WAITS_FOR_NOTHING)
        assert not other.done(), "it was open all the while"
    assert project.outbox() == 2
    found = project.run(
        "from django_sendcloud.models import OutboxEntry; print(*OutboxEntry.objects.values_list('version'))"
    )
    assert found == "(4,) (4,)"
