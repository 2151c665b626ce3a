"""What need not be remembered any more is forgotten, and nothing that may still be needed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sendcloud.conf import conf
from django_sendcloud.models import Attempt, AttemptOutcome, Change, EntryState, Integration, Shipment, ShipmentStatus
from django_sendcloud.sync import prune as pruning
from django_sendcloud.sync.record import record
from tests import factories


def tombstone(integration: Integration, number: int, days: float | None = None) -> Shipment:
    days = conf().TOMBSTONE_DAYS + 1 if days is None else days
    return Shipment.objects.create(
        integration=integration,
        order_type="shop.order",
        order_pk=str(number),
        external_order_id=str(number),
        external_shipment_id=str(number),
        status=ShipmentStatus.DELETED,
        deleted_at=timezone.now() - dt.timedelta(days=days),
    )


def left() -> list[str]:
    return sorted(Shipment.objects.values_list("order_pk", flat=True))


def test_a_tombstone_is_kept_for_its_time(integration: Integration) -> None:
    tombstone(integration, 1)
    tombstone(integration, 2, days=conf().TOMBSTONE_DAYS - 1)
    alive = tombstone(integration, 3)
    Shipment.objects.filter(pk=alive.pk).update(status=ShipmentStatus.SYNCED)
    assert pruning.prune() == 1
    assert left() == ["2", "3"]


@pytest.mark.parametrize("folded", [False, True])
def test_a_tombstone_whose_order_waits_is_kept(integration: Integration, folded: bool) -> None:
    for number in (1, 2):
        tombstone(integration, number)
    record("shop.order", ["1"])
    if folded:
        assert factories.outbox().count() == 1
    else:
        assert Change.objects.count() == 1
    assert pruning.prune() == 1
    assert left() == ["1"]
    factories.clear_outbox()
    assert pruning.prune() == 1
    assert left() == []


@pytest.mark.parametrize("state", EntryState.values)
def test_in_whatever_state_it_waits(integration: Integration, state: str) -> None:
    tombstone(integration, 1)
    record("shop.order", ["1"])
    factories.outbox().update(state=state)
    assert pruning.prune() == 0
    assert left() == ["1"]


def test_another_kind_of_order_with_the_same_key_keeps_nothing(integration: Integration) -> None:
    tombstone(integration, 1)
    record("shop.other", ["1"])
    assert pruning.prune() == 1


def test_many_are_deleted_in_portions_also_where_a_whole_one_waits(
    integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "CHUNK", 2)
    for number in range(7):
        tombstone(integration, number)
    record("shop.order", ["0", "1", "3"])
    factories.outbox()
    with CaptureQueriesContext(connection) as queries:
        assert pruning.prune() == 4
    assert left() == ["0", "1", "3"]
    deletes = [query["sql"] for query in queries if query["sql"].startswith(f"DELETE FROM {quoted(Shipment)}")]
    assert len(deletes) == 3, "of seven, two at a time, the first two of which wait"


def test_attempts_are_deleted_in_portions(integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "CHUNK", 2)
    now = timezone.now()
    for days in (0, *[conf().ATTEMPT_DAYS + 1] * 5):
        Attempt.objects.create(
            integration=integration,
            order_type="shop.order",
            order_pk="1",
            at=now - dt.timedelta(days=days),
            outcome=AttemptOutcome.FAILED,
        )
    with CaptureQueriesContext(connection) as queries:
        pruning.prune()
    assert Attempt.objects.count() == 1
    assert sum(query["sql"].startswith(f"DELETE FROM {quoted(Attempt)}") for query in queries) == 3


def quoted(model: Any) -> str:
    return str(connection.ops.quote_name(model._meta.db_table))
