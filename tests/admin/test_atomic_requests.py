"""F35: ``ATOMIC_REQUESTS``, and an exception at the end of an admin action: both sides agree, and no lock was held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.messages import get_messages
from django.db import connections
from django.test import Client
from django.urls import reverse

from django_sendcloud.models import Integration, OutboxEntry, Parcel, Shipment
from django_sendcloud.testing import drain
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order


class ActionError(Exception):
    """The end of an action fails."""


pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "elsewhere"]), pytest.mark.long]


@pytest.fixture
def atomic_requests() -> Iterator[None]:
    """Let each request run in a transaction of each database: a shop may have more than one."""
    for alias in connections:
        connections.settings[alias]["ATOMIC_REQUESTS"] = True
    yield
    for alias in connections:
        connections.settings[alias]["ATOMIC_REQUESTS"] = False


@pytest.fixture
def boss(atomic_requests: None, as_role: Callable[..., Client]) -> Client:
    client = as_role("superuser")
    client.raise_request_exception = False
    return client


@pytest.fixture
def orders(sandbox: Any, sendcloud_settings: Any) -> list[Order]:
    """Return orders at Sendcloud; the last one has a label."""
    factories.integration(sandbox)
    made = [factories.order(number=f"ORD-{number}") for number in range(3)]
    drain()
    forget_transaction()
    return made


def choose(client: Client, page: str, name: str, rows: Any, **values: Any) -> Any:
    """Run an action of a list on some rows, confirmed."""
    chosen = [row.pk for row in rows]
    data = {"action": name, ACTION_CHECKBOX_NAME: chosen, "confirmed": "yes", **values}
    return client.post(reverse(page), data)


def sides_agree(sandbox: Any) -> None:
    there = {shipment["external_order_id"] for shipment in sandbox.shipments()}
    here = set(Shipment.objects.filter(status="synced").values_list("external_order_id", flat=True))
    assert here == there
    assert not OutboxEntry.objects.exclude(lease="").exists()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that makes each action fail at its end, where it reports."""

    def add_message(*args: Any, **kwargs: Any) -> None:
        raise ActionError

    def begin() -> None:
        for module in (messages, messages.api):
            monkeypatch.setattr(module, "add_message", add_message)

    return begin


LISTS = {
    "shipments": ("admin:django_sendcloud_shipment_changelist", Shipment),
    "orders": ("backoffice:shop_order_changelist", Order),
}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("shipments", "delete_at_sendcloud"),
        ("shipments", "refresh"),
        ("shipments", "push_again"),
        ("orders", "sendcloud_push"),
    ],
)
def test_f35_list_action_leaves_both_sides_equal(
    orders: list[Order], boss: Client, sandbox: Any, failing: Callable[[], None], page: str, name: str, fails: bool
) -> None:
    """An exception after *Delete at Sendcloud* in a list once left shipments "synced" that were gone there."""
    if fails:
        failing()
    before = len(sandbox.requests)
    response = choose(boss, LISTS[page][0], name, LISTS[page][1].objects.all())
    assert response.status_code == (500 if fails else 302)
    if name in ("delete_at_sendcloud", "refresh"):
        assert len(sandbox.requests) > before
    if name == "delete_at_sendcloud":
        assert sandbox.shipments() == []
    sides_agree(sandbox)
    drain()
    sides_agree(sandbox)


@pytest.mark.parametrize(("page", "name"), [("shipments", "print_labels"), ("orders", "sendcloud_labels")])
def test_f35_labels_of_list_hold_no_lock(orders: list[Order], boss: Client, sandbox: Any, page: str, name: str) -> None:
    for shipment in Shipment.objects.all():
        (made,) = sandbox.create_label(shipment.external_order_id)
        Parcel.objects.create(
            integration=shipment.integration, shipment=shipment, remote_id=made["id"], phase="announced",
            labels={"a6": made["label"]["label_printer"]},
        )  # fmt: skip
    before = len(sandbox.requests)
    response = choose(boss, LISTS[page][0], name, LISTS[page][1].objects.all())
    assert response["Content-Type"] == "application/pdf", [str(m) for m in get_messages(response.wsgi_request)]
    (request,) = sandbox.requests[before:]
    assert "label" in request.path, "all labels are one request"


def test_f35_action_of_shop_keeps_its_transaction(
    orders: list[Order], boss: Client, failing: Callable[[], None]
) -> None:
    failing()
    response = choose(boss, LISTS["orders"][0], "delete_selected", orders[:1], post="yes")
    assert response.status_code == 500
    assert Order.objects.count() == len(orders), "it is rolled back"


PAGES = ["settings", "logs", "action/test_connection", "action/refresh", "action/register_webhook", "action/test_order"]


@pytest.mark.parametrize("page", PAGES)
def test_f35_page_of_integration_holds_no_lock(orders: list[Order], boss: Client, sandbox: Any, page: str) -> None:
    url = f"{reverse('admin:django_sendcloud_integration_changelist')}{Integration.objects.get().pk}/{page}/"
    before = len(sandbox.requests)
    response = boss.post(url, {"confirmed": "yes"}) if "action" in page else boss.get(url)
    assert response.status_code in (200, 302)
    assert len(sandbox.requests) > before


@pytest.mark.parametrize("page", ["payload", "action/refresh", "action/delete_at_sendcloud"])
def test_f35_page_of_shipment_holds_no_lock(orders: list[Order], boss: Client, page: str) -> None:
    shipment = Shipment.objects.all()[0]
    url = f"{reverse('admin:django_sendcloud_shipment_changelist')}{shipment.pk}/{page}/"
    data = {"confirmed": "yes", "typed": shipment.order_number}
    response = boss.post(url, data) if "action" in page else boss.get(url)
    assert response.status_code in (200, 302)
