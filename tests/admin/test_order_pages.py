"""The order in the admin: the page that opens it, and its problems in the shop's own words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from django_sendcloud import NotShippable, OrderProblem
from django_sendcloud.admin.outbox.not_sent import is_left_out
from django_sendcloud.models import EntryState, Integration, OutboxEntry
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.testing import drain
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder


@pytest.fixture
def boss(as_role: Callable[[str], Client]) -> Client:
    return as_role("superuser")


class BackOffice(ShopOrder):
    """A shop with a back office of its own."""

    def get_order_url(self, order: Order) -> str:
        return f"/office/{order.customer.name}/{order.number}/"


@pytest.fixture
def office() -> Iterator[None]:
    with temporarily_registered(BackOffice, Order):
        yield


def page(client: Client, name: str, *args: Any) -> str:
    return str(client.get(reverse(f"admin:django_sendcloud_{name}", args=args)).content.decode())


def rejected() -> OutboxEntry:
    factories.order(city="", number="R-0", customer=factories.customer(name="jane"))
    drain()
    return OutboxEntry.objects.get()


def test_order_opens_in_the_admin_by_default(db: None) -> None:
    user = User.objects.create()
    assert ShopOrder().get_order_url(user) == reverse("admin:auth_user_change", args=[user.pk])  # type: ignore[arg-type]
    assert ShopOrder().get_order_url(Order()) == "", "not in this admin"


def test_order_opens_in_the_back_office(boss: Client, integration: Integration, sandbox: Any, office: None) -> None:
    entry = rejected()
    assert "/office/jane/R-0/" in page(boss, "outboxentry_change", entry.pk)


def test_fix_page_and_preflight_open_back_office(
    boss: Client, integration: Integration, sandbox: Any, office: None
) -> None:
    rejected()
    problem = "payload_invalid:city:required"
    fix = str(boss.get(reverse("admin:django_sendcloud_outboxentry_fix"), {"problem": problem}).content.decode())
    assert "/office/jane/R-0/" in fix
    assert "/office/jane/R-0/" in page(boss, "overview_preflight")


def test_preflight_loads_orders_together(
    boss: Client,
    integration: Integration,
    sandbox: Any,
    office: None,
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(boss, "overview_preflight")
        return len(queries)

    rejected()
    statements()
    few = statements()
    for number in range(5):
        factories.order(city="", number=f"R-{number + 1}")
    drain()
    assert statements() == few


def test_deleted_order_opens_nowhere(boss: Client, integration: Integration, sandbox: Any, office: None) -> None:
    entry = rejected()
    Order.objects.all().delete()
    assert "/office/" not in page(boss, "outboxentry_change", entry.pk)


@pytest.mark.parametrize("generation", ["v2", "v3"], indirect=True)
def test_refused_deletion_speaks_of_deletion(
    boss: Client, integration: Integration, sandbox: Any, generation: str
) -> None:
    order = factories.order(number="R-0")
    drain()
    sandbox.fail_next(status=400, times=1)
    order.delete()
    drain()
    entry = OutboxEntry.objects.get()
    assert (entry.state, entry.error_code) == (EntryState.REJECTED, "deletion_rejected")
    html = page(boss, "outboxentry_change", entry.pk)
    assert "Sendcloud rejected the deletion" in html
    assert "Fix it in the order" not in html


# Django's own catalogues have this sentence; a shop's have its own.
SENTENCE = "This field is required."
DUTCH = "Dit veld is vereist."


class Demanding(ShopOrder):
    problem = OrderProblem(_(SENTENCE), field="address")

    def is_shippable(self, order: Order) -> bool:
        raise self.problem


@pytest.mark.parametrize(("language", "text"), [("en", SENTENCE), ("nl", DUTCH)])
@pytest.mark.long
def test_order_problem_is_read_in_ones_language(
    boss: Client, integration: Integration, sandbox: Any, settings: Any, language: str, text: str
) -> None:
    settings.LANGUAGE_CODE = "de"  # the worker's language
    with temporarily_registered(Demanding, Order):
        factories.order()
        drain()
        entry = OutboxEntry.objects.get()
        assert entry.error_fields["address"][0]["params"]["text"] == SENTENCE
        settings.LANGUAGE_CODE = language
        assert text in page(boss, "outboxentry_change", entry.pk)
        assert text in page(boss, "outboxentry_payload", entry.pk)


class Later(ShopOrder):
    def is_shippable(self, order: Order) -> Any:
        return NotShippable("preorder", "The order waits for its release.")

    def recheck_at(self, order: Order) -> dt.datetime:
        return dt.datetime(2126, 12, 24, 9, 30, tzinfo=dt.UTC)


def test_order_that_waits_names_the_day(db: None, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Amsterdam"
    with temporarily_registered(Later, Order):
        found = is_left_out(factories.order())
    assert found is not None
    assert found.title == "The order waits for its release"
    assert found.text == "Checked again automatically: Dec. 24, 2126, 10:30 a.m."
