"""Orders of Salesman at Sendcloud, and their parcels back in Salesman: through its REST API and its admin."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import checks
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from salesman.core.utils import get_salesman_model
from salesman.orders.signals import status_changed

from django_sendcloud import OrderAdapter
from django_sendcloud.contrib.salesman import SalesmanOrderAdapter
from django_sendcloud.contrib.salesman.checks import check_salesman
from django_sendcloud.models import Shipment
from django_sendcloud.payloads import OtherCurrency
from django_sendcloud.registry import registry, temporarily_registered
from django_sendcloud.testing import drain, send_webhook

from ..checked import block, check_pasted, errors_without_app
from .shop.models import Mug, Song
from .shop.sendcloud import ShopOrder

Order = get_salesman_model("Order")
HERE = Path(__file__).resolve().parent
SWAPPED = os.environ.get("SHOP_SWAPS_ORDERS") == "1"
ROOT = HERE.parent.parent.parent
ADDRESS = "Ada Example\nStationsplein 1\n1012 AB\nAmsterdam\nNL"

pytestmark = pytest.mark.django_db


def add(client: Client, product: Any, quantity: int) -> None:
    item = {"product_type": product._meta.label, "product_id": product.pk, "quantity": quantity}
    assert client.post("/api/basket/", item, content_type="application/json").status_code == 201


def checkout(client: Client, *lines: tuple[Any, int], address: str = ADDRESS) -> Any:
    """Place an order through the REST API, as a guest."""
    for product, quantity in lines or [(Mug.objects.create(name="Mug", code="MUG"), 2)]:
        add(client, product, quantity)
    body = {
        "email": "ada@example.com",
        "shipping_address": address,
        "billing_address": address,
        "payment_method": "pay-at-once",
    }
    answer = client.post("/api/checkout/", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    return Order.objects.get(ref=answer.json()["ref"])


@pytest.fixture
def order(client: Client, sendcloud_integration: Any) -> Any:
    order = checkout(client)
    assert drain() == []
    return order


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "secret"))
    return client


@pytest.fixture
def move(sendcloud: Any, sendcloud_integration: Any, order: Any) -> Callable[[int], None]:
    """Move the order's parcel at Sendcloud, and let the webhook of each step reach the shop."""
    moments = itertools.count(int(time.time() * 1000), 60_000)
    parcels: list[int] = []

    def step(times: int = 1) -> None:
        if not parcels:
            parcels.append(sendcloud.create_label(str(order.pk))[0]["id"])
        for _ in range(times):
            sendcloud.advance(parcels[0])
            parcel = sendcloud.parcel(parcels[0])
            update = {"action": "parcel_status_changed", "timestamp": next(moments), "parcel": parcel}
            assert send_webhook(Client(), sendcloud_integration, update).status_code == 200
        drain()

    return step


def status_of(order: Any) -> str:
    return str(Order.objects.get(pk=order.pk).status)


# Out


def test_checkout_reaches_sendcloud(client: Client, sendcloud: Any, order: Any) -> None:
    sent = sendcloud.shipment(str(order.pk))
    assert (sent["order_number"], sent["email"], sent["name"]) == (order.ref, "ada@example.com", "Ada Example")
    assert (sent["postal_code"], sent["currency"]) == ("1012 AB", "EUR")
    assert sent["order_status"] == {"id": "PROCESSING", "message": "Processing"}
    [item] = sent["parcel_items"]
    assert (item["description"], item["sku"], item["quantity"]) == ("Mug", "MUG", 2)
    assert (Decimal(str(item["value"])), Decimal(str(item["weight"]))) == (Decimal("9.95"), Decimal("0.350"))
    assert Decimal(str(sent["total_order_value"])) == Decimal("19.90")


def test_downloads_are_left_out(client: Client, sendcloud: Any, sendcloud_integration: Any) -> None:
    song, mug = Song.objects.create(name="Song", code="MP3"), Mug.objects.create(name="Mug", code="MUG")
    order = checkout(client, (song, 1), (mug, 1))
    assert drain() == []
    assert [item["sku"] for item in sendcloud.shipment(str(order.pk))["parcel_items"]] == ["MUG"]


def test_order_of_downloads_is_not_sent(client: Client, sendcloud: Any, sendcloud_integration: Any) -> None:
    order = checkout(client, (Song.objects.create(name="Song", code="MP3"), 1), address="by mail")
    assert drain() == []
    assert sendcloud.shipment(str(order.pk)) is None


def test_unpaid_order_is_not_sent(client: Client, sendcloud: Any, sendcloud_integration: Any) -> None:
    order = checkout(client)
    order.status = "CREATED"
    order.save()
    drain()
    assert sendcloud.shipment(str(order.pk)) is None


@pytest.mark.parametrize("gone", ["product", "data", "weight"])
def test_product_without_data_is_sent(client: Client, sendcloud: Any, sendcloud_integration: Any, gone: str) -> None:
    order = checkout(client)
    if gone == "product":
        Mug.objects.all().delete()
    elif gone == "data":
        order.items.update(product_data={})
    else:
        Mug.objects.update(weight=None)
    assert drain() == []
    [item] = sendcloud.shipment(str(order.pk))["parcel_items"]
    assert item["description"] == ("(no name)" if gone == "data" else "Mug")


def test_discounted_line_is_sent_with_its_price(client: Client, sendcloud: Any, sendcloud_integration: Any) -> None:
    order = checkout(client, (Mug.objects.create(name="Mug", code="MUG"), 3))
    order.items.update(total=Decimal("25.00"))
    drain()
    [item] = sendcloud.shipment(str(order.pk))["parcel_items"]
    assert Decimal(str(item["value"])) == Decimal("8.33")


def test_unreadable_address_rejects_that_order(client: Client, sendcloud: Any, sendcloud_integration: Any) -> None:
    order = checkout(client, address="Ada, Amsterdam")
    [said] = drain()
    assert said.endswith("order_problem: address: Write the address in five lines.")
    order.shipping_address = ADDRESS
    order.save()
    assert drain() == []
    assert sendcloud.shipment(str(order.pk))


@pytest.mark.parametrize("weight", ["heavy", "-5", "nan"])
def test_weight_that_is_no_number_is_named(
    client: Client, sendcloud: Any, sendcloud_integration: Any, monkeypatch: pytest.MonkeyPatch, weight: str
) -> None:
    monkeypatch.setattr(Mug, "label", weight, raising=False)
    adapter = type("Labelled", (ShopOrder,), {"weight_attribute": "label"})
    with temporarily_registered(adapter, Order):
        checkout(client)
        [said] = drain()
    assert f"The weight of MUG is “{weight}”, which is not a weight in kg." in said


def test_batch_costs_constant_queries(client: Client, sendcloud: Any, sendcloud_integration: Any) -> None:
    counts = []
    for number in (5, 40):
        orders = [
            checkout(
                client, (Mug.objects.create(name="Mug", code="M"), 1), (Song.objects.create(name="S", code="S"), 1)
            )
            for _ in range(number)
        ]
        adapter = registry[Order]
        with CaptureQueriesContext(connection) as queries:
            for order in adapter.get_queryset().filter(pk__in=[order.pk for order in orders]):
                assert adapter.shippable(order)
                assert len(list(adapter.get_shipments(order))) == 1
        counts.append(len(queries))
        drain()
    assert counts[0] == counts[1]


# Refunds


def test_refund_withdraws_the_order(boss: Client, sendcloud: Any, order: Any) -> None:
    answer = boss.post(reverse("salesman-order-refund", args=[order.ref]))
    assert answer.status_code == 200
    assert drain() == []
    assert sendcloud.shipment(str(order.pk)) is None
    assert Shipment.objects.get().status == "deleted"


def test_refund_after_the_label_is_a_task(boss: Client, sendcloud: Any, order: Any, move: Any) -> None:
    move()
    boss.post(reverse("salesman-order-refund", args=[order.ref]))
    drain()
    assert sendcloud.shipment(str(order.pk))
    assert Shipment.objects.get().label_conflict == "cancelled"


# Back


def test_parcels_walk_the_status_pipeline(order: Any, move: Any) -> None:
    heard = []

    def listen(sender: Any, new_status: str, **kwargs: Any) -> None:
        heard.append(str(new_status))

    status_changed.connect(listen)
    try:
        for _ in range(12):
            move()
    finally:
        status_changed.disconnect(listen)
    assert status_of(order) == "COMPLETED"
    assert heard == (["PACKED"] if SWAPPED else []) + ["SHIPPED", "COMPLETED"]


@pytest.mark.skipif(not SWAPPED, reason="Salesman's own statuses have no dead end")
def test_status_without_a_way_stays(order: Any, move: Any) -> None:
    Order.objects.filter(pk=order.pk).update(status="LOCKED")
    move(12)
    assert status_of(order) == "LOCKED"


@pytest.mark.skipif(not SWAPPED, reason="Salesman's own statuses refuse no step")
def test_refused_step_leaves_the_order(order: Any, move: Any) -> None:
    Order.objects.filter(pk=order.pk).update(gift_note="locked")
    move(12)
    assert status_of(order) == "PROCESSING"
    drain()


def test_guest_tracks_with_the_token(client: Client, order: Any, move: Any) -> None:
    move(3)
    url = reverse("salesman-order-detail", args=[order.ref])
    answer = client.get(url, {"token": order.token})
    [parcel] = answer.json()["tracking"]["parcels"]
    assert parcel["tracking_number"]
    assert client.get(url, {"token": "wrong"}).status_code == 404
    assert client.get(url).status_code == 404


def test_list_of_orders_asks_for_no_parcels(order: Any, move: Any) -> None:
    move()
    user = User.objects.create_user("ada")
    Order.objects.update(user=user)
    client = Client()
    client.force_login(user)
    [listed] = client.get(reverse("salesman-order-list")).json()
    assert "tracking" not in listed
    assert client.get(reverse("salesman-order-last")).json()["tracking"]["parcels"]


# Salesman's admin


@pytest.mark.skipif(SWAPPED, reason="a shop's own order model has its own labels")
def test_admin_shows_the_panel(boss: Client, order: Any) -> None:
    html = boss.get(reverse("admin:salesmanorders_order_change", args=[order.pk])).content.decode()
    assert "Sendcloud" in html
    assert "Ada Example" in html, "and Salesman's own page"


def test_admin_lists_and_pushes_orders(boss: Client, sendcloud: Any, order: Any) -> None:
    opts = Order._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
    html = boss.get(url).content.decode()
    assert order.ref in html
    assert "Sendcloud" in html
    assert registry[Order].get_order_url(order) == reverse(
        f"admin:{opts.app_label}_{opts.model_name}_change", args=[order.pk]
    )


# Checks


def messages(**values: Any) -> dict[str, str]:
    adapter = type("Broken", (ShopOrder,), values)
    with temporarily_registered(adapter, Order):
        return {message.id.partition(".")[2]: f"{message.msg} {message.hint}" for message in check_salesman(None)}


def test_project_has_no_problems() -> None:
    found = {message.id for message in checks.run_checks(tags=["sendcloud"])}
    assert found <= {"sendcloud.W030", "sendcloud.W031", "sendcloud.W032"}, "but for the missing Celery"


@pytest.mark.parametrize(
    ("broken", "code", "says"),
    [
        ({"get_address": SalesmanOrderAdapter.get_address}, "E090", "get_address"),
        ({"currency": ""}, "E091", 'currency = "EUR"'),
        ({"currency": "SEK"}, "E091", "OtherCurrency('SEK')"),
        ({"currency": OtherCurrency("SEK")}, "E091", "ANY_CURRENCY"),
        ({"currency": "eur"}, "E091", "Did you mean 'EUR'?"),
        ({"shippable_statuses": ("PROCESING",)}, "E092", "Did you mean 'PROCESSING'?"),
        ({"phase_statuses": {"in_transit": "shipped"}}, "E092", "Its statuses: NEW, CREATED"),
        ({"status_beginnings": ("PAYED",)}, "E092", "status_beginnings"),
        ({"weight_unit": "gram"}, "E093", "gram"),
    ],
)
def test_broken_adapter_is_reported_with_fix(broken: dict[str, Any], code: str, says: str) -> None:
    assert says in messages(**broken)[code]


def test_forgotten_app_is_named() -> None:
    """The check runs also where the app, which registers the others, is not installed."""
    done = errors_without_app("salesman")
    assert done.stdout.strip() == "['sendcloud.E094']", done.stderr


def test_sound_adapter_is_not_reported(settings: Any) -> None:
    assert messages() == {}
    settings.SENDCLOUD = {"ANY_CURRENCY": True}
    assert messages(currency=OtherCurrency("SEK")) == {}
    assert messages(currency="", get_fields=OrderAdapter.get_fields) == {}


def test_page_shows_the_tested_adapter() -> None:
    """The documentation shows the adapter of this shop, word for word, and it has 15 lines at most."""
    source = (HERE / "shop/sendcloud.py").read_text()
    assert source in (ROOT / "docs/salesman.md").read_text()
    assert len([line for line in source.splitlines() if line.strip()]) <= 15


def test_documented_settings_make_a_shop(tmp_path: Path) -> None:
    """The README's settings and the page's, one after the other, below those of a shop with Salesman."""
    settings = [
        "from tests.contrib.salesman.settings import *",
        'INSTALLED_APPS = [app for app in INSTALLED_APPS if not app.startswith("django_sendcloud")]',
        # As its comment says.
        block("README.md", "yourproject/settings.py").replace('"rest_framework", ', ""),
        block("docs/salesman.md", "yourproject/settings.py"),
    ]
    done = check_pasted(tmp_path, settings)
    assert done.returncode == 0, done.stderr
