"""A shop with Wagtail: its back office and its pages, over HTTP."""

from __future__ import annotations

import itertools
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from wagtail.models import Locale, Page, Site

from django_sendcloud.models import OutboxEntry
from django_sendcloud.registry import registry
from django_sendcloud.testing import drain, send_webhook

from .shop.models import Line, Order, TrackingPage

pytestmark = pytest.mark.django_db
OPERATOR = ["view_integration", "view_shipment", "view_outboxentry", "view_parcel", "push_order"]


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """Log in a user of Wagtail's admin who may change orders, with further permissions."""

    def log_in(*codenames: str, is_staff: bool = True) -> Client:
        user = User.objects.create_user(f"staff-{User.objects.count()}", is_staff=is_staff)
        wagtail, _ = ContentType.objects.get_or_create(app_label="wagtailadmin", model="admin")
        door, _ = Permission.objects.get_or_create(content_type=wagtail, codename="access_admin")
        orders = ["add_order", "change_order", "view_order"]
        user.user_permissions.set([door, *Permission.objects.filter(codename__in=[*orders, *codenames])])
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def tracking_url(db: None) -> str:
    """Publish the page with the tracking, and return its address."""
    Locale.objects.get_or_create(language_code="en")
    root = Page.add_root(instance=Page(title="Root", slug="root"))
    page = root.add_child(instance=TrackingPage(title="Your parcel", slug="your-parcel"))
    Site.objects.create(hostname="testserver", root_page=root, is_default_site=True)
    return str(page.get_url())


def form(*quantities: int, **values: Any) -> dict[str, Any]:
    """Return what an operator enters in Wagtail's form: an order, and a line of mugs for each quantity."""
    fields = {
        "number": "W-1", "is_paid": "on", "name": "Ada Example", "street": "Stationsplein 1", "postal_code": "1012 AB",
        "city": "Amsterdam", "country": "NL", "lines-TOTAL_FORMS": len(quantities), "lines-INITIAL_FORMS": 0,
    }  # fmt: skip
    for index, quantity in enumerate(quantities):
        line = {"title": "Mug", "price": "9.95", "weight_grams": 350, "quantity": quantity, "ORDER": index + 1}
        fields |= {f"lines-{index}-{name}": value for name, value in line.items()}
    return fields | values


def place(client: Client, *quantities: int, **values: Any) -> Order:
    answer = client.post(reverse("order:add"), form(*quantities or (2,), **values))
    assert answer.status_code == 302, answer.content.decode()
    return Order.objects.latest("pk")


def inspect(client: Client, order: Order) -> str:
    answer = client.get(reverse("order:inspect", args=[order.pk]))
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_order_entered_in_wagtail_is_sent(
    staff: Callable[..., Client], sendcloud: Any, sendcloud_integration: Any
) -> None:
    order = place(staff(), 2)
    assert drain() == []
    sent = sendcloud.shipment(str(order.pk))
    assert (sent["order_number"], sent["city"]) == ("W-1", "Amsterdam")
    assert [(item["description"], item["quantity"]) for item in sent["parcel_items"]] == [("Mug", 2)]


def test_line_changed_in_wagtail_is_sent(
    staff: Callable[..., Client], sendcloud: Any, sendcloud_integration: Any
) -> None:
    client = staff()
    order = place(client, 2)
    drain()
    changed = form(5, **{"lines-INITIAL_FORMS": 1, "lines-0-id": Line.objects.get().pk})
    assert client.post(reverse("order:edit", args=[order.pk]), changed).status_code == 302
    assert drain() == []
    assert [item["quantity"] for item in sendcloud.shipment(str(order.pk))["parcel_items"]] == [5]


def test_panel_pushes_and_returns(staff: Callable[..., Client], sendcloud: Any, sendcloud_integration: Any) -> None:
    client = staff(*OPERATOR)
    order = place(client)
    drain()
    url = reverse("django_sendcloud:order_action", args=["sendcloud_push"])
    [button] = [each for each in re.findall(r"<form.*?</form>", inspect(client, order), re.DOTALL) if url in each]
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', button))
    answer = client.post(url, fields, follow=True)
    assert answer.redirect_chain == [(reverse("order:inspect", args=[order.pk]), 302)]
    assert "1 order is being pushed." in answer.content.decode()
    assert OutboxEntry.objects.get().order_pk == str(order.pk)


def test_panel_needs_permission(staff: Callable[..., Client], sendcloud_integration: Any) -> None:
    client = staff()
    order = place(client)
    drain()
    assert "sc-standalone" not in inspect(client, order)
    assert "sc-standalone" in inspect(staff(*OPERATOR), order)


def test_rejected_order_leads_back_to_wagtail(staff: Callable[..., Client], sendcloud_integration: Any) -> None:
    client = staff(*OPERATOR)
    order = place(client, country="XX")
    assert len(drain()) == 1
    assert "XX" in inspect(client, order)
    entry = OutboxEntry.objects.get()
    page = client.get(reverse("admin:django_sendcloud_outboxentry_change", args=[entry.pk])).content.decode()
    assert reverse("order:inspect", args=[order.pk]) in page


def test_menu_leads_to_overview(staff: Callable[..., Client]) -> None:
    overview = reverse("admin:django_sendcloud_overview_changelist")
    home = reverse("wagtailadmin_home")
    operator = staff(*OPERATOR)
    assert overview in operator.get(home).content.decode()
    assert operator.get(overview).status_code == 200
    assert overview not in staff().get(home).content.decode()
    assert overview not in staff(*OPERATOR, is_staff=False).get(home).content.decode()


def test_buyer_sees_tracking_on_page(
    staff: Callable[..., Client], tracking_url: str, sendcloud: Any, sendcloud_integration: Any, client: Client
) -> None:
    order = place(staff())
    drain()
    parcel = sendcloud.create_label(str(order.pk))[0]["id"]
    moments = itertools.count(int(time.time() * 1000), 60_000)
    for _ in range(2):
        sendcloud.advance(parcel)
        update = {"action": "parcel_status_changed", "timestamp": next(moments), "parcel": sendcloud.parcel(parcel)}
        assert send_webhook(Client(), sendcloud_integration, update).status_code == 200
    drain()
    page = client.get(tracking_url, {"order": order.token}).content.decode()
    assert str(sendcloud.parcel(parcel)["tracking_number"]) in page


@pytest.mark.parametrize("token", ["", "x", str(uuid.UUID(int=7)), "1"])
def test_wrong_token_shows_no_tracking(
    staff: Callable[..., Client], tracking_url: str, sendcloud: Any, sendcloud_integration: Any, token: str
) -> None:
    order = place(staff())
    drain()
    sendcloud.create_label(str(order.pk))
    answer = Client().get(tracking_url, {"order": token})
    assert answer.status_code == 200
    assert "We do not know this order." in answer.content.decode()


def test_orders_cost_no_further_queries(staff: Callable[..., Client]) -> None:
    client, adapter = staff(), registry[Order]
    counts = []
    for index in range(2, 10):
        place(client, 1, 2, number=f"W-{index}")
        with CaptureQueriesContext(connection) as queries:
            for order in adapter.get_queryset():
                list(adapter.get_shipments(order))
        counts.append(len(queries))
    assert len(set(counts)) == 1
