"""A worker sends nothing unless enough of its lease is left."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from django_sendcloud.core.clock import clock
from django_sendcloud.models import Integration
from django_sendcloud.sync import limiter
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.factories import forget_transaction


@pytest.mark.parametrize("cancelled", [False, True])
def test_database_hanging_in_limiter_costs_lease(
    sandbox: Any, integration: Integration, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    """The worker sends nothing, because the rest of its lease is too short for a request."""
    order = factories.order(number="ORD-1001")
    if cancelled:
        make_due()
        push_due()
        forget_transaction()
        order.status = "cancelled"
        order.save()
    make_due()
    before = len(sandbox.requests)
    ask, late = limiter.ask, 0.0

    def hang(*args: Any, **options: Any) -> Any:
        nonlocal late
        late = 1000.0
        return ask(*args, **options)

    steady = clock.monotonic
    with monkeypatch.context() as patched:
        patched.setattr(limiter, "ask", hang)
        patched.setattr(clock, "monotonic", lambda: steady() + late)
        push_due()
    assert len(sandbox.requests) == before, "by now it may be another worker's"
    make_due()
    push_due()
    assert len(sandbox.requests) == before + 1
    assert not factories.outbox().exists()


def make_due() -> None:
    long_ago = timezone.now() - dt.timedelta(days=1)
    factories.outbox().update(due_at=long_ago, not_before=long_ago)
