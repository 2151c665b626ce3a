"""Rule 13: no request, no limiter and no fold inside a transaction of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from django_sendcloud.core.transactions import InsideTransaction, is_inside_transaction
from django_sendcloud.models import Integration, Shipment
from django_sendcloud.sync import limiter, on_demand
from django_sendcloud.sync.fold import fold, fold_all, fold_for_reading
from django_sendcloud.sync.worker import push_due, run_in_turn
from tests import factories


def ask(integration: Integration) -> None:
    with integration.client() as client:
        client.v2.integrations.get(integration.remote_id)


WORK: dict[str, Callable[[Integration], object]] = {
    "request": ask,
    "limiter": lambda integration: limiter.acquire(integration.account.pk, "unsafe"),
    "worker limiter": lambda integration: limiter.ask(integration, "safe"),
    "fold": lambda integration: fold(),
    "fold all": lambda integration: fold_all(),
    "push": lambda integration: push_due(),
    "push in turn": lambda integration: run_in_turn(),
    "refresh": lambda integration: integration.refresh_from_sendcloud(),
}


@pytest.mark.parametrize("work", WORK)
def test_work_inside_atomic_block_fails_loudly(integration: Integration, sandbox: Any, work: str) -> None:
    factories.order()
    before = len(sandbox.requests)
    with transaction.atomic(), pytest.raises(InsideTransaction, match="on_commit"):
        WORK[work](integration)
    assert len(sandbox.requests) == before
    WORK[work](integration)


def test_withdrawal_inside_atomic_block_changes_nothing(integration: Integration, sandbox: Any) -> None:
    factories.order()
    push_due()
    shipment = Shipment.objects.get()
    with pytest.raises(InsideTransaction), transaction.atomic():
        on_demand.withdraw(shipment)
    assert len(sandbox.shipments()) == 1
    assert not factories.outbox().exists()


def test_reader_inside_atomic_block_folds_nothing(integration: Integration) -> None:
    from django_sendcloud.models import Change

    factories.order()
    with transaction.atomic():
        fold_for_reading()
    assert Change.objects.exists()
    fold_for_reading()
    assert not Change.objects.exists()


def test_transaction_of_test_case_does_not_count(db: None) -> None:
    assert connection.in_atomic_block
    assert not is_inside_transaction()


@pytest.mark.django_db(transaction=True)
def test_commit_hook_counts_as_outside(sandbox: Any, sendcloud_settings: Any) -> None:
    """So that ``CELERY_TASK_ALWAYS_EAGER`` pushes right after the commit."""
    seen: list[bool] = []
    with transaction.atomic():
        assert is_inside_transaction()
        transaction.on_commit(lambda: seen.append(is_inside_transaction()))
    assert seen == [False]
