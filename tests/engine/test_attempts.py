"""What did not work at once is remembered for a while, so that a person can see how it went."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.adapters import temporarily_registered
from django_sendcloud.admin.explain import explain
from django_sendcloud.models import Attempt, Integration, OutboxEntry, Shipment
from django_sendcloud.sync import build
from django_sendcloud.sync.prune import prune
from django_sendcloud.testing import drain
from tests import factories
from tests.admin.conftest import as_role as as_role
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder


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


# -- a slow adapter -----------------------------------------------------------------------------------


class SlowForSome(ShopOrder):
    def get_shipments(self, order: Order) -> Any:
        if order.number.startswith("SLOW"):
            time.sleep(0.1)
        if order.number == "SLOW-AND-BROKEN":
            raise ZeroDivisionError
        return super().get_shipments(order)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(build, "SLOW_SECONDS", 0.05)
    with temporarily_registered(SlowForSome, Order):
        yield


def test_an_order_that_its_adapter_took_long_for_is_told_and_remembered(
    slow: None, integration: Integration, sandbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    quick = [factories.order(number=f"QUICK-{n}") for n in range(3)]
    late = factories.order(number="SLOW-1")
    drain()
    assert {s["external_order_id"] for s in sandbox.shipments()} == {str(order.pk) for order in (*quick, late)}
    assert sandbox.count("POST", "/shipments") == 1
    assert not factories.outbox().exists()
    attempt = Attempt.objects.get()
    assert (attempt.order_pk, attempt.outcome, attempt.code) == (str(late.pk), "accepted", "adapter_slow")
    assert "SlowForSome took" in caplog.text


def test_what_went_wrong_is_said_rather_than_that_it_took_long(
    slow: None, integration: Integration, sandbox: Any
) -> None:
    factories.order(number="SLOW-AND-BROKEN")
    quick = factories.order(number="QUICK-1")
    drain()
    assert told() == [("refused", "adapter_error")]
    assert [s["external_order_id"] for s in sandbox.shipments()] == [str(quick.pk)]


def test_the_admin_explains_it_where_the_order_is(
    slow: None, integration: Integration, sandbox: Any, as_role: Callable[..., Client]
) -> None:
    factories.order(number="SLOW-1")
    drain()
    page = as_role("superuser").get(reverse("admin:django_sendcloud_shipment_change", args=[Shipment.objects.get().pk]))
    assert "took long for this order" in page.content.decode()
    assert explain("adapter_slow").heals
