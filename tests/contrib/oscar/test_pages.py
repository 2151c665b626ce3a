"""Oscar's dashboard and the buyer's pages, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse
from oscar.core.loading import get_model

from django_sendcloud.models import OutboxEntry, Parcel, Shipment
from django_sendcloud.testing import drain

from .conftest import Shop

Order = get_model("order", "Order")
SEE = ["view_shipment", "view_outboxentry", "view_parcel", "view_integration"]


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    def log_in(*codenames: str, is_staff: bool = True, partner: Any = None) -> Client:
        user = User.objects.create_user(f"staff-{User.objects.count()}", is_staff=is_staff)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        if is_staff:
            user.user_permissions.add(Permission.objects.get(codename="view_order", content_type__app_label="order"))
        if partner is not None:
            user.user_permissions.add(Permission.objects.get(codename="dashboard_access"))
            partner.users.add(user)
        client = Client()
        client.force_login(user)
        return client

    return log_in


def detail(client: Client, order: Any) -> str:
    answer = client.get(reverse("dashboard:order-detail", args=[order.number]))
    assert answer.status_code == 200
    return str(answer.content.decode())


def select(client: Client, action: str, *orders: Any, **more: Any) -> Any:
    url = reverse("dashboard:order-list")
    chosen = {"action": action, "selected_order": [order.pk for order in orders], **more}
    return client.post(url, chosen, headers={"referer": f"http://testserver{url}"})


# -- the checkout --


def buy(client: Client, product: Any, shop: Shop) -> Any:
    """Put a product in the basket and go through the checkout, up to the thank-you page."""
    client.post(reverse("basket:add", args=[product.pk]), {"quantity": 1})
    address = {
        "first_name": "Sam", "last_name": "Jansen", "line1": "Stadhuisplein 10", "line4": "Eindhoven",
        "postcode": "5611 EM", "country": "NL", "phone_number": "+31 20 1234567",
    }  # fmt: skip
    client.post(reverse("checkout:shipping-address"), address)
    client.get(reverse("checkout:shipping-method"))
    client.get(reverse("checkout:payment-method"))
    answer = client.post(reverse("checkout:preview"), {"action": "place_order"}, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("checkout:thank-you"), answer.redirect_chain
    return answer


def test_guest_checkout_reaches_sendcloud(
    shop: Shop, client: Client, sendcloud: Any, sendcloud_integration: Any, move: Callable[..., None]
) -> None:
    """From the basket to the guest's tracking, all through Oscar's own pages."""
    mug = shop.product("Mug", weight=250)
    client.post(reverse("basket:add", args=[mug.pk]), {"quantity": 1})
    client.post(reverse("checkout:index"), {"username": "guest@example.com", "options": "anonymous"})
    thanks = buy(client, mug, shop).content.decode()
    assert "You will find its tracking here." in thanks
    order = Order.objects.get()
    assert order.guest_email == "guest@example.com"
    drain()
    assert not Shipment.objects.exists(), "it is pending"
    order.set_status("Being processed")
    drain()
    got = sendcloud.shipment(str(order.pk))
    assert (got["email"], got["telephone"], got["city"]) == ("guest@example.com", "+31201234567", "Eindhoven")
    [parcel] = sendcloud.create_label(str(order.pk))
    move(parcel["id"], times=4)

    link = re.search(r'href="(/accounts/order-status/[^"]+)"', thanks)
    assert link
    page = client.get(link[1], follow=True)
    if b"sc-tracking" not in page.content:
        page = client.post(page.redirect_chain[-1][0], {"email": "guest@example.com"}, follow=True)
    assert parcel["tracking_number"] in page.content.decode()
    for html in (thanks, page.content.decode()):
        assert '<a href="mailto:help@shop.example">Contact us</a>' in html

    for wrong in (link[1].replace(":", ":x"), link[1][:-4] + "abc/"):
        forged = client.get(wrong, follow=True).content.decode()
        assert parcel["tracking_number"] not in forged
        assert "sc-tracking" not in forged
    stranger = Client().get(link[1], follow=True).content.decode()
    assert parcel["tracking_number"] not in stranger, "who does not know the guest's e-mail"


def test_buyer_sees_tracking_of_own_order(
    shop: Shop, client: Client, sendcloud: Any, sendcloud_integration: Any, move: Callable[..., None]
) -> None:
    buyer = User.objects.create_user("kim", email="kim@example.com")
    client.force_login(buyer)
    assert "You will find its tracking" in buy(client, shop.product("Mug", weight=250), shop).content.decode()
    order = Order.objects.get()
    order.set_status("Being processed")
    drain()
    [parcel] = sendcloud.create_label(str(order.pk))
    move(parcel["id"], times=2)
    url = reverse("customer:order", args=[order.number])
    html = client.get(url).content.decode()
    assert parcel["tracking_number"] in html
    assert '<a href="mailto:help@shop.example">Contact us</a>' in html
    stranger = Client()
    stranger.force_login(User.objects.create_user("other"))
    assert stranger.get(url).status_code == 404


def test_digital_order_shows_no_tracking(shop: Shop, client: Client) -> None:
    buyer = User.objects.create_user("kim")
    order = shop.order((shop.product("E-book", requires_shipping=False), 1), address=None, user=buyer)
    client.force_login(buyer)
    assert "sc-tracking" not in client.get(reverse("customer:order", args=[order.number])).content.decode()


# -- the dashboard --


def test_dashboard_order_shows_panel(
    shop: Shop, staff: Callable[..., Client], sendcloud: Any, sendcloud_integration: Any
) -> None:
    order = shop.order((shop.product("Mug"), 1))
    drain()
    html = detail(staff(*SEE, "push_order"), order)
    assert "Fix needed" in html
    assert "SKU-Mug has no weight. Enter the attribute “weight” of the product." in html
    assert "Push to Sendcloud now" in html
    assert html.index("sc-order-title") < html.index('id="lines"'), "above the tabs"
    assert "sc-" not in detail(staff(), order), "without permission"


def test_dashboard_button_pushes(
    shop: Shop, staff: Callable[..., Client], sendcloud: Any, sendcloud_integration: Any
) -> None:
    order = shop.order()
    drain()
    client = staff(*SEE, "push_order")
    html = detail(client, order)
    found = re.search(
        r'<form method="post" action="(/sendcloud/orders/sendcloud_push/)"[^>]*>(.*?)</form>', html, re.DOTALL
    )
    assert found
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', found[2]))
    answer = client.post(found[1], fields, follow=True)
    assert answer.redirect_chain == [(reverse("dashboard:order-detail", args=[order.number]), 302)]
    assert "1 order is being pushed." in answer.content.decode()
    assert OutboxEntry.objects.get().order_pk == str(order.pk)


def test_dashboard_pushes_selected_orders(
    shop: Shop, staff: Callable[..., Client], sendcloud: Any, sendcloud_integration: Any
) -> None:
    first, second, third = shop.order(), shop.order(), shop.order()
    drain()
    sent = sendcloud.count("POST", "/shipments")
    client = staff(*SEE, "push_order")
    assert 'value="sendcloud_push"' in client.get(reverse("dashboard:order-list")).content.decode()
    question = select(client, "sendcloud_push", first, second)
    html = question.content.decode()
    assert "Push 2 orders to Sendcloud" in html
    assert html.count('name="selected_order"') == 2
    assert "oscar/css/dashboard.css" in html
    assert not OutboxEntry.objects.exists()
    answer = select(client, "sendcloud_push", first, second, confirmed="yes", number="2")
    assert answer.url.endswith(reverse("dashboard:order-list"))
    keys = set(OutboxEntry.objects.values_list("order_pk", flat=True))
    assert keys == {str(first.pk), str(second.pk)}
    assert str(third.pk) not in keys
    drain()
    assert sendcloud.count("POST", "/shipments") == sent + 1


@pytest.mark.parametrize("atomic", [False, True])
def test_dashboard_opens_labels_of_selected_orders(
    shop: Shop,
    staff: Callable[..., Client],
    sendcloud: Any,
    sendcloud_integration: Any,
    move: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    atomic: bool,
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)
    order, bare = shop.order(), shop.order()
    drain()
    [parcel] = sendcloud.create_label(str(order.pk))
    move(parcel["id"])
    client = staff(*SEE, "print_label")
    question = select(client, "sendcloud_labels", order, bare).content.decode()
    assert "Print 1 label" in question
    assert "Paper" in question
    answer = select(client, "sendcloud_labels", order, bare, confirmed="yes", number="1", layout="a6")
    assert answer["Content-Type"] == "application/pdf"


def test_dashboard_actions_need_permission(shop: Shop, staff: Callable[..., Client]) -> None:
    order = shop.order()
    client = staff(*SEE)
    assert "sendcloud_push" not in client.get(reverse("dashboard:order-list")).content.decode()
    for name in ("sendcloud_push", "sendcloud_labels"):
        assert select(client, name, order, confirmed="yes", number="1").status_code == 403


def test_partner_acts_on_own_orders_only(
    shop: Shop, staff: Callable[..., Client], sendcloud: Any, sendcloud_integration: Any
) -> None:
    """A partner's user, who is no staff, sees the orders with their products in the dashboard, and no others."""
    mine, theirs = (get_model("partner", "Partner").objects.create(name=name) for name in ("Mine", "Theirs"))
    own = shop.order((shop.product("A", partner=mine, weight=1), 1))
    other = shop.order((shop.product("B", partner=theirs, weight=1), 1))
    drain()
    client = staff(*SEE, "push_order", is_staff=False, partner=mine)
    html = detail(client, own)
    assert "Push to Sendcloud now" in html
    assert "/admin/" not in html
    assert client.get(reverse("dashboard:order-detail", args=[other.number])).status_code == 404
    assert "Push 1 order to Sendcloud" in select(client, "sendcloud_push", own, other).content.decode()
    select(client, "sendcloud_push", own, other, confirmed="yes", number="1")
    assert [entry.order_pk for entry in OutboxEntry.objects.all()] == [str(own.pk)]


def test_navigation_leads_to_overview(shop: Shop, staff: Callable[..., Client]) -> None:
    url = reverse("admin:django_sendcloud_overview_changelist")
    assert f'href="{url}"' in staff(*SEE).get(reverse("dashboard:order-list")).content.decode()
    assert f'href="{url}"' not in staff().get(reverse("dashboard:order-list")).content.decode()


def test_dashboard_list_keeps_oscars_actions(shop: Shop, staff: Callable[..., Client]) -> None:
    order = shop.order()
    answer = select(staff(), "download_selected_orders", order)
    assert answer["Content-Type"] == "text/csv"
    assert order.number in answer.content.decode()
    assert Parcel.objects.count() == 0
