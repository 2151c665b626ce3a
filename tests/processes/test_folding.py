"""Several workers fold at once, while the shop goes on."""

from __future__ import annotations

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
