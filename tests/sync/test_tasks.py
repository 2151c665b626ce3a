"""The Celery tasks: one failing part spares the others, and a time limit fails no order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery, current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from django_sendcloud import jobs, tasks
from django_sendcloud.conf import conf
from django_sendcloud.models import (
    Account,
    EntryState,
    EventState,
    Integration,
    OutboxEntry,
    Parcel,
    Shipment,
    WebhookEvent,
)
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync.claim import DEAD_AFTER
from django_sendcloud.sync.worker import push_due
from django_sendcloud.webhooks import inbox
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder
from tests.webhooks.messages import parcel, raw

# -- the sweep ----------------------------------------------------------------------------------------

PARTS: dict[str, tuple[Any, str]] = {
    "the mark": (jobs, "mark_sweep"),
    "dead letters": (jobs, "dead_letter_exhausted"),
    "stale holds": (jobs.probe_module, "requeue_stale_holds"),
    "pushing": (jobs.worker, "run_in_turn"),
    "the inbox": (jobs.apply, "drain"),
    "parcels": (jobs, "link_unmatched"),
}


@pytest.fixture
def work(integration: Integration, sandbox: Any) -> Callable[[], set[str]]:
    """Prepare work for each part of the sweep, and return a function that names the parts that ran."""
    early = factories.order()
    push_due()
    shipment = Shipment.objects.get()
    inbox.store(integration, raw(parcel(id=1, shipment_uuid=str(shipment.uuid))))
    tasks.apply_inbox()
    Parcel.objects.update(shipment=None)
    factories.forget_transaction()

    resting = factories.order()
    factories.outbox().update(
        integration=integration, error_code="paused", due_at=timezone.now() + dt.timedelta(hours=6)
    )
    late = factories.order()
    long_ago = timezone.now() - dt.timedelta(hours=1)
    OutboxEntry.objects.create(
        order_type="shop.order", order_pk=str(early.pk), attempts=DEAD_AFTER, due_at=long_ago, not_before=long_ago
    )
    inbox.store(integration, raw(parcel(id=2)))
    Account.objects.update(swept_at=None)

    def done() -> set[str]:
        found = {
            "the mark": Account.objects.filter(swept_at__isnull=False).exists(),
            "dead letters": OutboxEntry.objects.filter(state=EntryState.DEAD).exists(),
            "stale holds": not OutboxEntry.objects.filter(
                order_pk=str(resting.pk), due_at__gt=timezone.now() + dt.timedelta(hours=5)
            ).exists(),
            "pushing": sandbox.shipment(str(late.pk)) is not None,
            "the inbox": not WebhookEvent.objects.filter(state=EventState.RECEIVED).exists(),
            "parcels": Parcel.objects.get(remote_id=1).shipment is not None,
        }
        return {name for name, is_done in found.items() if is_done}

    assert done() == set()
    return done


@pytest.mark.long
def test_sweep_runs_every_part(work: Callable[[], set[str]]) -> None:
    tasks.sweep()
    assert work() == set(PARTS)


@pytest.mark.parametrize("failing", PARTS)
@pytest.mark.long
def test_failing_part_of_sweep_spares_others(
    work: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise ZeroDivisionError("canary")

    monkeypatch.setattr(*PARTS[failing], fail)
    with pytest.raises(ZeroDivisionError):
        tasks.sweep()
    assert work() == set(PARTS) - {failing}
    assert "A part of the sweep failed" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("late", PARTS)
@pytest.mark.long
def test_sweep_ends_at_its_time_limit(work: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch, late: str) -> None:
    def time_is_up(*args: Any, **options: Any) -> Any:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(*PARTS[late], time_is_up)
    with pytest.raises(SoftTimeLimitExceeded):
        tasks.sweep()
    names = list(PARTS)
    assert work() == set(names[: names.index(late)])


# -- a time limit during a task ----------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["get_shipments", "is_shippable", "get_integration", "get_queryset"])
def test_time_limit_within_adapter_fails_no_order(
    integration: Integration, sandbox: Any, later: Callable[[float], None], hook: str
) -> None:
    orders = [factories.order() for _ in range(3)]

    def time_is_up(self: ShopOrder, *args: Any) -> Any:
        raise SoftTimeLimitExceeded

    slow = type("Slow", (ShopOrder,), {hook: time_is_up})
    with temporarily_registered(slow, Order), pytest.raises(SoftTimeLimitExceeded):
        tasks.push()
    assert not sandbox.requests
    assert set(factories.outbox().values_list("state", "error_code", "failures")) == {(EntryState.PENDING, "", 0)}
    push_due()
    assert not sandbox.requests, "the lease stands until it ends"
    later(conf().LEASE_SECONDS + conf().QUARANTINE_SECONDS + 1)
    push_due()
    assert {shipment["external_order_id"] for shipment in sandbox.shipments()} == {str(order.pk) for order in orders}
    assert not factories.outbox().exists()


def test_time_limit_during_push_fails_no_order(
    integration: Integration, sandbox: Any, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.api.v2.shipments import Shipments

    order = factories.order()

    def time_is_up(self: Shipments, *args: Any) -> Any:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patched:
        patched.setattr(Shipments, "upsert", time_is_up)
        with pytest.raises(SoftTimeLimitExceeded):
            tasks.push()
    assert set(factories.outbox().values_list("state", "error_code", "failures")) == {(EntryState.PENDING, "", 0)}
    later(conf().LEASE_SECONDS + conf().QUARANTINE_SECONDS + 1)
    push_due()
    assert sandbox.shipment(str(order.pk))


# -- limits of their own ------------------------------------------------------------------------------


def ours(app: Celery) -> dict[str, Any]:
    return {name: task for name, task in app.tasks.items() if name.startswith("django_sendcloud.")}


def test_task_limits_ignore_those_of_shop() -> None:
    app = Celery("shop", set_as_current=False)
    app.conf.update(task_time_limit=5, task_soft_time_limit=4)
    app.finalize()
    found = ours(app)
    assert set(found) == set(ours(current_app._get_current_object())) != set()
    for name, task in found.items():
        assert task.soft_time_limit >= 540, name
        assert task.time_limit > task.soft_time_limit + conf().DEADLINE_SECONDS, "time to come to an end"


def test_message_carries_limits_of_its_task() -> None:
    """A notifier or beat that sends the message does not use the limits of the shop."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.update(task_time_limit=5, task_soft_time_limit=4)
    app.finalize()
    with app.connection_for_write() as connection:
        for name, task in ours(app).items():
            args = (1, "cause") if name.endswith("report_exception") else ()
            # A queue of its own: the notifications of other tests do not reach it.
            task.apply_async(args, connection=connection, queue="limits")
            message = connection.SimpleQueue("limits").get(timeout=5)
            message.ack()
            assert message.headers["task"] == name
            assert message.headers["timelimit"] == [task.time_limit, task.soft_time_limit]


def test_f37_failing_part_of_prune_spares_other(work: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def fail() -> None:
        raise RuntimeError("locked")

    monkeypatch.setattr(jobs.prune_module, "prune", fail)
    monkeypatch.setattr(jobs.prune_module, "prune_inbox", lambda: done.append("inbox"))
    with pytest.raises(RuntimeError, match="locked"):
        tasks.prune()
    assert done == ["inbox"]
