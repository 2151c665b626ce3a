"""Orders of another database in the admin: they are never mistaken for those of the same key in the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from django_sendcloud.models import Integration, OutboxEntry, Parcel, Shipment
from tests import factories
from tests.shop.models import Customer, Order
from tests.shop.sendcloud import ShopOrder

from .shop_site import OrderAdmin
from .test_orders import shipment

FIND = "backoffice:django_sendcloud_overview_find"


@pytest.fixture
def boss(as_role: Callable[[str], Client]) -> Client:
    return as_role("superuser")


@pytest.fixture
def here(connected: Integration, monkeypatch: pytest.MonkeyPatch) -> Order:
    """Return an order whose key another order has in a database that the settings do not name any more."""
    order = factories.order(number="HERE-1")
    factories.clear_outbox()
    shipment(connected, order, "shop.order@gone", order_number="THERE-1")
    OutboxEntry.objects.create(
        integration=connected,
        order_type="shop.order@gone",
        order_pk=str(order.pk),
        state="rejected",
        error_code="payload_invalid",
        error_fields={"country": [{"code": "choice", "params": {}}]},
    )
    Parcel.objects.create(integration=connected, remote_id=7, order_number="THERE-1")
    return order


def pages() -> dict[str, str]:
    row, entry, parcel = Shipment.objects.get().pk, OutboxEntry.objects.get(), Parcel.objects.get().pk
    return {
        "shipments": reverse("backoffice:django_sendcloud_shipment_changelist"),
        "shipment": reverse("backoffice:django_sendcloud_shipment_change", args=[row]),
        "outbox": reverse("backoffice:django_sendcloud_outboxentry_changelist"),
        "entry": reverse("backoffice:django_sendcloud_outboxentry_change", args=[entry.pk]),
        "sent entry": reverse("backoffice:django_sendcloud_outboxentry_change", args=[999])
        + f"?order={entry.order_type}:{entry.order_pk}",
        "fix": reverse("backoffice:django_sendcloud_outboxentry_fix"),
        "assign": reverse("backoffice:django_sendcloud_parcel_assign", args=[parcel]),
        "find": reverse(FIND) + "?q=THERE-1",
    }


@pytest.mark.long
@pytest.mark.parametrize("own_page", [False, True])
def test_other_order_is_never_linked(
    boss: Client, here: Order, monkeypatch: pytest.MonkeyPatch, own_page: bool
) -> None:
    if own_page:
        monkeypatch.setattr(ShopOrder, "get_order_url", lambda self, order: f"/shop/order/{order.pk}/")
    for name, page in pages().items():
        response = boss.get(page, follow=True)
        assert response.status_code == 200, name
        assert f"/shop/order/{here.pk}/" not in response.content.decode(), name


@pytest.mark.django_db(databases=["default", "elsewhere"])
def test_page_that_shows_other_database_is_linked(boss: Client, here: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop's order admin may read the other database."""
    customer = Customer(pk=here.customer_id, name="There")
    Customer.objects.using("elsewhere").bulk_create([customer])
    Order.objects.using("elsewhere").bulk_create([Order(pk=here.pk, number="THERE-1", customer=customer)])
    Shipment.objects.update(order_type="shop.order@elsewhere")
    link = f"/shop/order/{here.pk}/change/"
    assert link not in boss.get(pages()["shipment"]).content.decode()
    rows = Order.objects.using("elsewhere")
    monkeypatch.setattr(OrderAdmin, "get_queryset", lambda self, request: rows)
    assert link in boss.get(pages()["shipment"]).content.decode()


@pytest.mark.long
def test_failing_order_page_falls_back_to_admin(
    boss: Client, connected: Integration, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order = factories.order(number="THERE-1", country="XX")
    errors: Any = {"country": [{"code": "choice", "params": {}}]}
    factories.outbox().update(state="rejected", error_code="payload_invalid", error_fields=errors)
    shipment(connected, order, order_number="THERE-1")
    Parcel.objects.create(integration=connected, remote_id=7, order_number="THERE-1")

    def fail(self: ShopOrder, order: Order) -> str:
        raise KeyError(order.customer.email)

    monkeypatch.setattr(ShopOrder, "get_order_url", fail)
    for name, page in pages().items():
        response = boss.get(page, follow=True)
        assert response.status_code == 200, name
        if name not in ("shipments", "outbox", "sent entry"):
            assert f"/shop/order/{order.pk}/change/" in response.content.decode(), name
    assert "ShopOrder.get_order_url() failed: KeyError" in caplog.text
    assert "jane@example.com" not in caplog.text
