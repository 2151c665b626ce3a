"""``sendcloud_sync``: record and push, what was asked for and nothing else."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_sendcloud.models import OutboxEntry
from tests import factories
from tests.shop.models import Order


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sendcloud_sync", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def orders(integration: Any) -> list[Order]:
    made = [factories.order() for _ in range(5)]
    factories.clear_outbox()
    return made


def test_all(orders: list[Order], sandbox: Any) -> None:
    assert "5 orders recorded" in run("--all")
    assert len(sandbox.shipments()) == 5
    assert not OutboxEntry.objects.exists()


def test_repeated_it_costs_no_upsert(orders: list[Order], sandbox: Any) -> None:
    run("--all")
    factories.forget_transaction()
    before = len(sandbox.requests)
    run("--all")
    assert len(sandbox.requests) == before
    assert not OutboxEntry.objects.exists()


def test_since(orders: list[Order], sandbox: Any) -> None:
    import datetime as dt

    from django.utils import timezone

    Order.objects.filter(pk__in=[order.pk for order in orders[:3]]).update(
        modified=timezone.now() - dt.timedelta(days=9)
    )
    since = (timezone.now() - dt.timedelta(days=2)).date().isoformat()
    assert "2 orders recorded" in run("--since", since)
    assert len(sandbox.shipments()) == 2


def test_by_key(orders: list[Order], sandbox: Any) -> None:
    run("--pk", str(orders[0].pk), str(orders[1].pk))
    assert {s["external_order_id"] for s in sandbox.shipments()} == {str(orders[0].pk), str(orders[1].pk)}


def test_only_recording_leaves_the_pushing_to_the_workers(orders: list[Order], sandbox: Any) -> None:
    run("--all", "--no-push")
    assert OutboxEntry.objects.count() == 5
    assert not sandbox.requests


def test_without_options_it_pushes_what_is_due(integration: Any, sandbox: Any) -> None:
    order = factories.order()
    run()
    assert sandbox.shipment(str(order.pk))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "shop.Nothing"], "there is no such model"),
        (["--model", "shop.Unrelated"], "has no adapter"),
        (["--since", "yesterday"], "yesterday"),
    ],
)
def test_bad_arguments_are_explained(orders: list[Order], arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)
    assert not OutboxEntry.objects.exists()
