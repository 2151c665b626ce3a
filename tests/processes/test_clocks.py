"""Machines whose clocks are wrong: what they record and what they take goes by the database's clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import Project

HOURS = 3 * 3600.0

SAVE = """
import datetime as dt, sys
from django.utils import timezone
true = timezone.now
timezone.now = lambda: true() + dt.timedelta(seconds={wrong})
from tests import factories
order = factories.order()
print(order.pk)
"""
# Claims as a worker does, and says what it got.
CLAIM = """
import datetime as dt
from django.utils import timezone
true = timezone.now
timezone.now = lambda: true() + dt.timedelta(seconds={wrong})
from django_sendcloud.sync.build import Integrations
from django_sendcloud.sync.claim import claim
from django_sendcloud.sync.fold import fold
Integrations()
fold()
print(len(claim(10).entries))
"""


@pytest.mark.services("postgresql", "mariadb")
@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
@pytest.mark.parametrize("wrong", [-HOURS, HOURS], ids=["slow", "fast"])
def test_a_shop_whose_clock_is_wrong_delays_nothing_and_a_worker_takes_nothing_early(
    make_project: Callable[..., Project], database: str, wrong: float
) -> None:
    project = make_project(database)
    project.settings |= {"LEASE_SECONDS": 120.0, "DEBOUNCE_SECONDS": 0}
    project.run(SAVE.format(wrong=wrong))
    # The order is due at once for a worker whose clock is right, and then it is his, whatever other clocks say.
    assert project.run(CLAIM.format(wrong=0)).strip() == "1"
    for seconds in (wrong, -wrong):
        assert project.run(CLAIM.format(wrong=seconds)).strip() == "0"
    # And one recorded by a right clock is due for one that is wrong.
    project.run(SAVE.format(wrong=0))
    assert project.run(CLAIM.format(wrong=wrong)).strip() == "1"
