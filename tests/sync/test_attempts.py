"""Attempts that failed, kept for two weeks so that an operator can follow them."""

from __future__ import annotations

import datetime as dt
import html
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.admin.explanations.errors import explain
from django_sendcloud.maintenance.prune import prune
from django_sendcloud.models import Attempt, Integration, OutboxEntry, Shipment
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync.push import plan
from django_sendcloud.testing import drain
from tests import factories
from tests.admin.conftest import as_role as as_role
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

pytestmark = pytest.mark.long


def attempts() -> list[tuple[str, str]]:
    return list(Attempt.objects.order_by("pk").values_list("outcome", "code"))


@pytest.fixture
def order(integration: Integration) -> Order:
    return factories.order(number="ORD-1")


def test_order_sent_immediately_leaves_no_attempt(order: Order) -> None:
    drain()
    assert attempts() == []


@pytest.mark.long
def test_attempts_streak_of_failures_is_counted(order: Order, sandbox: Any) -> None:
    """An outage of a day is one row with a count, and the acceptance after it another."""
    sandbox.fail_next(500, times=3)
    for _ in range(4):
        drain()
    assert attempts() == [("failed", "server_error"), ("sent", "")]
    streak, sent = Attempt.objects.order_by("pk")
    assert (streak.count, sent.count) == (3, 1)
    assert streak.at < sent.at
    drain()
    assert len(attempts()) == 2


def test_attempts_other_failure_begins_another_streak(order: Order, sandbox: Any) -> None:
    sandbox.fail_next(500)
    drain()
    sandbox.html_next()
    drain()
    sandbox.fail_next(500)
    drain()
    assert attempts() == [("failed", "server_error"), ("failed", "unreadable_answer"), ("failed", "server_error")]


def test_rejection_and_fix_are_two_attempts(order: Order, sandbox: Any) -> None:
    sandbox.reject_order(str(order.pk), {"city": ["No such city."]})
    drain()
    assert attempts() == [("rejected", "rejected")]
    sandbox.reject_order(str(order.pk), None)
    order.city = "Utrecht"
    order.save()
    drain()
    assert attempts() == [("rejected", "rejected"), ("sent", "")]


def test_rejection_names_field_and_rule(integration: Integration) -> None:
    order = factories.order(country="XX")
    drain()
    order.country, order.city = "NL", ""
    order.save()
    drain()
    found = Attempt.objects.order_by("pk").values_list("code", "field", "rule")
    assert list(found) == [
        ("payload_invalid", "country", "country_unknown"),
        ("payload_invalid", "city", "required"),
    ]


def test_rejection_of_line_names_field_without_position(order: Order, sandbox: Any) -> None:
    sandbox.reject_order(str(order.pk), {"parcel_items": [{"description": ["May not be blank."]}]})
    drain()
    assert Attempt.objects.get().field == "parcel_items.description"


def test_revoked_credentials_leave_no_attempt(order: Order, sandbox: Any, integration: Integration) -> None:
    """Sendcloud rejected the credentials, not the order."""
    sandbox.revoke_credentials()
    drain()
    assert attempts() == []


def test_attempts_after_two_weeks_are_deleted(order: Order, sandbox: Any) -> None:
    sandbox.fail_next(500)
    drain()
    Attempt.objects.update(at=timezone.now() - dt.timedelta(days=13))
    prune()
    assert Attempt.objects.count() == 1
    Attempt.objects.update(at=timezone.now() - dt.timedelta(days=15))
    prune()
    assert Attempt.objects.count() == 0


def test_attempts_appear_on_entry_and_shipment(order: Order, sandbox: Any, as_role: Callable[..., Client]) -> None:
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
    monkeypatch.setattr(plan, "SLOW_SECONDS", 0.05)
    with temporarily_registered(SlowForSome, Order):
        yield


def test_order_with_slow_adapter_is_pushed(
    slow: None, integration: Integration, sandbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A slow adapter costs one attempt and a warning: the order and its batch go out all the same."""
    quick = [factories.order(number=f"QUICK-{n}") for n in range(3)]
    late = factories.order(number="SLOW-1")
    drain()
    assert {s["external_order_id"] for s in sandbox.shipments()} == {str(order.pk) for order in (*quick, late)}
    assert sandbox.count("POST", "/shipments") == 1
    assert not factories.outbox().exists()
    attempt = Attempt.objects.get()
    assert (attempt.order_pk, attempt.outcome, attempt.code) == (str(late.pk), "sent", "adapter_slow")
    assert "SlowForSome took" in caplog.text


def test_slow_adapter_error_outranks_its_slowness(slow: None, integration: Integration, sandbox: Any) -> None:
    factories.order(number="SLOW-AND-BROKEN")
    quick = factories.order(number="QUICK-1")
    drain()
    assert attempts() == [("rejected", "adapter_error")]
    assert [s["external_order_id"] for s in sandbox.shipments()] == [str(quick.pk)]


def test_admin_explains_slow_adapter_on_shipment(
    slow: None, integration: Integration, sandbox: Any, as_role: Callable[..., Client]
) -> None:
    factories.order(number="SLOW-1")
    drain()
    page = as_role("superuser").get(reverse("admin:django_sendcloud_shipment_change", args=[Shipment.objects.get().pk]))
    explanation = explain("adapter_slow")
    assert str(explanation.title) in html.unescape(page.content.decode())
    assert explanation.is_transient
