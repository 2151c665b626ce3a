"""What did not work at once is remembered for a while, so that a person can see how it went."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.models import Attempt, Integration, OutboxEntry, Shipment
from django_sendcloud.sync.prune import prune
from django_sendcloud.testing import drain
from tests import factories
from tests.admin.conftest import as_role as as_role
from tests.shop.models import Order


def told() -> list[tuple[str, str]]:
    return list(Attempt.objects.order_by("pk").values_list("outcome", "code"))


@pytest.fixture
def order(integration: Integration) -> Order:
    return factories.order(number="ORD-1")


def test_what_goes_out_at_once_leaves_none(order: Order) -> None:
    drain()
    assert told() == []


def test_failures_and_what_was_accepted_at_last(order: Order, sandbox: Any) -> None:
    sandbox.fail_next(500, times=2)
    for _ in range(3):
        drain()
    assert told() == [("failed", "server_error"), ("failed", "server_error"), ("accepted", "")]
    drain()
    assert len(told()) == 3


def test_a_refusal_and_its_correction(order: Order, sandbox: Any) -> None:
    sandbox.reject_order(str(order.pk), {"city": ["No such city."]})
    drain()
    assert told() == [("refused", "rejected")]
    sandbox.reject_order(str(order.pk), None)
    order.city = "Utrecht"
    order.save()
    drain()
    assert told() == [("refused", "rejected"), ("accepted", "")]


def test_what_was_not_even_tried_is_no_attempt(order: Order, sandbox: Any, integration: Integration) -> None:
    sandbox.revoke_credentials()
    drain()
    assert told() == []


def test_they_are_forgotten_after_a_while(order: Order, sandbox: Any) -> None:
    sandbox.fail_next(500)
    drain()
    Attempt.objects.update(at=timezone.now() - dt.timedelta(days=13))
    prune()
    assert Attempt.objects.count() == 1
    Attempt.objects.update(at=timezone.now() - dt.timedelta(days=15))
    prune()
    assert Attempt.objects.count() == 0


def test_they_are_shown_where_the_order_is(order: Order, sandbox: Any, as_role: Callable[..., Client]) -> None:
    drain()
    factories.forget_transaction()
    order.save()
    sandbox.fail_next(500)
    order.city = "Utrecht"
    order.save()
    drain()
    boss = as_role("superuser")
    for model in (OutboxEntry, Shipment):
        page = boss.get(
            reverse(f"admin:django_sendcloud_{model._meta.model_name}_change", args=[model.objects.get().pk])
        )
        ((attempt, _badge, title),) = page.context["attempts"]
        assert attempt.outcome == "failed"
        assert str(title) in page.content.decode()
        assert "Attempts" in page.content.decode()
