"""Machines with wrong clocks: recording and claiming follow the database's clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.project import Project

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
# Claim like a worker and print the number of claimed entries.
CLAIM = """
import datetime as dt
from django.utils import timezone
true = timezone.now
timezone.now = lambda: true() + dt.timedelta(seconds={wrong})
from django_sendcloud.sync.integrations import Integrations
from django_sendcloud.sync.claim import claim
from django_sendcloud.sync.fold import fold
Integrations()
fold()
print(len(claim(10).entries))
"""


@pytest.mark.exhaustive
@pytest.mark.services("postgresql", "mariadb")
@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
@pytest.mark.parametrize("wrong", [-HOURS, HOURS], ids=["slow", "fast"])
def test_wrong_clock_neither_delays_nor_hastens_claims(
    make_project: Callable[..., Project], database: str, wrong: float
) -> None:
    project = make_project(database, LEASE_SECONDS=120.0, DEBOUNCE_SECONDS=0)
    project.run(SAVE.format(wrong=wrong))
    # The order is due immediately for a worker with a right clock. Its lease then holds against any other clock.
    assert project.run(CLAIM.format(wrong=0)).strip() == "1"
    for seconds in (wrong, -wrong):
        assert project.run(CLAIM.format(wrong=seconds)).strip() == "0"
    # A worker with a wrong clock claims an order that a right clock recorded.
    project.run(SAVE.format(wrong=0))
    assert project.run(CLAIM.format(wrong=wrong)).strip() == "1"
