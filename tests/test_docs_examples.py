"""Examples of the pages for developers, run as they stand there. The shop's own names are those of the tests' shop."""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib import admin
from django.db import transaction
from django.dispatch import Signal
from django.urls import include, path
from django.utils import timezone
from rest_framework.permissions import IsAuthenticated

from django_sendcloud import OrderProblem, adapters, signals
from django_sendcloud import admin as sendcloud_admin
from django_sendcloud.adapters import OrderAdapter
from django_sendcloud.conf import Settings, conf
from django_sendcloud.enums import ParcelPhase
from django_sendcloud.models import Change, Integration, Shipment
from django_sendcloud.payloads import ShipmentPayload
from django_sendcloud.registry import registry
from django_sendcloud.sandbox import Sandbox
from django_sendcloud.testing import drain
from django_sendcloud.testing import sendcloud as sendcloud  # a fixture
from django_sendcloud.testing import sendcloud_integration as sendcloud_integration  # a fixture
from tests import factories
from tests.shop.models import Order

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = ("adapter", "admin", "operations", "service-points", "webhooks", "reference/settings")
BLOCKS = {
    page: re.findall(r"^```python\n(.*?)^```$", (DOCS / f"{page}.md").read_text(), re.DOTALL | re.MULTILINE)
    for page in PAGES
}


def block(page: str, words: str) -> str:
    """Return the one block of a page that has these words."""
    (found,) = (each for each in BLOCKS[page] if words in each)
    return found


def run(page: str, words: str, **names: Any) -> SimpleNamespace:
    """Run the block of a page that has these words, with names of the shop's, and return the names it leaves."""
    exec(compile(block(page, words), f"{page}.md", "exec"), names)
    return SimpleNamespace(**names)


def adapter_with(found: SimpleNamespace, *hooks: str) -> OrderAdapter[Any]:
    return type("Documented", (OrderAdapter,), {hook: getattr(found, hook) for hook in hooks})()


def test_orders_of_before_are_left_alone() -> None:
    opening = timezone.now()
    adapter = adapter_with(run("adapter", "OPENING", OPENING=opening), "is_shippable")
    of_before = SimpleNamespace(placed_at=opening - dt.timedelta(days=1), is_paid=True)
    assert adapter.shippable(of_before) is None
    assert adapter.shippable(SimpleNamespace(placed_at=opening, is_paid=True)) is True
    assert adapter.shippable(SimpleNamespace(placed_at=opening, is_paid=False)).code == "unpaid"  # type: ignore[union-attr]


def test_preorder_is_checked_on_its_day() -> None:
    adapter = adapter_with(
        run("adapter", "release_at", timezone=timezone, NotShippable=adapters.NotShippable),
        "is_shippable",
        "recheck_at",
    )
    tomorrow = timezone.now() + dt.timedelta(days=1)
    waiting, out = SimpleNamespace(release_at=tomorrow), SimpleNamespace(release_at=timezone.now())
    assert (adapter.shippable(waiting).code, adapter.next_recheck(waiting)) == ("preorder", tomorrow)  # type: ignore[union-attr]
    assert (adapter.shippable(out), adapter.next_recheck(out)) == (True, None)


def test_warehouses_make_packages() -> None:
    found = run("adapter", "warehouse_id")
    integrations = {"7": "north", "8": "south"}
    partner = run("adapter", "integrations_by_partner", integrations_by_partner=lambda: integrations)
    adapter = adapter_with(SimpleNamespace(**vars(found) | vars(partner)), "package_of", "get_package_integration")
    lines = [SimpleNamespace(warehouse_id=number, quantity=1) for number in (7, 8, 7)]
    type(adapter).get_lines = lambda self, order: lines  # type: ignore[method-assign]
    order: Any = SimpleNamespace()
    assert {package: len(held) for package, held in adapter.packages(order).items()} == {"7": 2, "8": 1}
    assert [adapter.get_package_integration(order, package) for package in adapter.packages(order)] == [
        "north",
        "south",
    ]


@pytest.mark.django_db
def test_bulk_write_is_recorded() -> None:
    pks = [factories.order(status="open").pk for _ in range(3)]
    factories.forget_transaction()
    Change.objects.all().delete()
    run("adapter", "enqueue(paid)", transaction=transaction, Order=Order, pks=pks[:2])
    assert {change.order_pk for change in Change.objects.all()} == {str(pk) for pk in pks[:2]}


def test_missing_weight_is_reported_in_words() -> None:
    adapter = adapter_with(run("adapter", "has no weight"), "get_item")
    with pytest.raises(OrderProblem, match="MUG has no weight") as raised:
        adapter.get_item(SimpleNamespace(product=SimpleNamespace(weight=0, sku="MUG")), 1)
    assert raised.value.field == "parcel_items"


@pytest.mark.django_db
def test_state_of_an_order_is_read() -> None:
    found = run("adapter", "shipping.tracking_urls", order=factories.order())
    assert found.shipping.state == "waiting"


def test_tracking_view_asks_whose_order() -> None:
    found = run("adapter", "class Tracking", Order=Order, IsAuthenticated=IsAuthenticated)
    request = SimpleNamespace(user=SimpleNamespace(pk=7))
    seen = [
        found.Tracking().may_see(request, SimpleNamespace(customer=SimpleNamespace(user_id=user))) for user in (7, 8)
    ]
    assert seen == [True, False]


def test_return_is_refunded() -> None:
    refunds: list[dict[str, Any]] = []
    refund = SimpleNamespace(objects=SimpleNamespace(get_or_create=lambda **values: refunds.append(values)))
    adapter = adapter_with(run("adapter", "Refund", Refund=refund, ParcelPhase=ParcelPhase), "on_parcel")
    order, parcel = SimpleNamespace(), SimpleNamespace(remote_id=4711)
    for phase in (ParcelPhase.DELIVERED, ParcelPhase.RETURNED):
        adapter.on_parcel(order, parcel, SimpleNamespace(phase=phase))  # type: ignore[arg-type]
    assert refunds == [{"order": order, "parcel": 4711}]


def test_shop_tests_itself(sendcloud: Sandbox, sendcloud_integration: Integration) -> None:
    plugins = run("adapter", "pytest_plugins").pytest_plugins
    assert plugins == [drain.__module__]
    found = run("adapter", "test_paid_orders_are_shipped", make_order=factories.order)
    found.test_paid_orders_are_shipped(sendcloud, sendcloud_integration)


@pytest.mark.django_db
def test_checkout_is_warned() -> None:
    found = run("adapter", "warnings_for")
    assert any("country" in note.lower() for note in found.warnings_for(factories.order(country="XX")))


def test_smallest_adapter_registers() -> None:
    shop = registry.remove(Order)
    try:
        found = run("adapter", "class SendcloudOrder", Order=Order)
        assert isinstance(registry[Order], found.SendcloudOrder)
        registry.remove(Order)
    finally:
        registry.add(Order, shop)


def test_delivered_lines_are_marked() -> None:
    found = run(
        "webhooks", "def on_parcel", Order=Order, OrderAdapter=OrderAdapter, register=lambda model: lambda it: it
    )
    changed: list[tuple[Any, Any]] = []
    lines = SimpleNamespace(filter=lambda **by: SimpleNamespace(update=lambda **to: changed.append((by, to))))
    change = SimpleNamespace(phase=ParcelPhase.DELIVERED, items=[SimpleNamespace(sku="MUG")])
    found.SendcloudOrder().on_parcel(SimpleNamespace(lines=lines), SimpleNamespace(is_return=False), change)
    assert changed == [({"sku": "MUG"}, {"delivered": True})]


def test_receiver_informs_buyer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "parcel_status_changed", signal := Signal())
    informed: list[Any] = []
    # A signal holds its receivers weakly.
    found = run("webhooks", "inform_buyer", send_mail_about=informed.append)
    parcel, shipment = SimpleNamespace(phase=ParcelPhase.DELIVERED), SimpleNamespace(order=lambda: "the order")
    for to in (shipment, None):
        signal.send(sender=Shipment, parcel=parcel, shipment=to, status=None, previous_status_id=3)
    assert (found.inform_buyer.__name__, informed) == ("inform_buyer", ["the order"])


def test_urls_have_the_webhook() -> None:
    pattern = eval(block("webhooks", "include("), {"path": path, "include": include})
    assert str(pattern.pattern) == "sendcloud/"
    assert pattern.url_patterns


def test_service_point_goes_from_form_to_payload() -> None:
    choices = {"COUNTRIES": [("NL", "Netherlands")], "DELIVERIES": [("Service point",) * 2, ("Home",) * 2]}
    form = run("service-points", "class CheckoutForm", **choices).CheckoutForm(
        {
            "country": "NL",
            "postal_code": "5611EM",
            "city": "Eindhoven",
            "delivery": "Service point",
            "service_point": '{"id": 1000001, "name": "Kiosk", "carrier": "postnl", "country": "NL"}',
        }
    )
    assert form.is_valid(), form.errors
    order = SimpleNamespace(delivery=form.cleaned_data["delivery"])
    run("service-points", "point.to_json()", order=order, point=form.cleaned_data["service_point"])
    assert adapter_with(run("service-points", "def get_service_point"), "get_service_point").get_service_point(
        order
    ) == (order.service_point)
    made: list[dict[str, Any]] = []
    run(
        "service-points", "service_point_fields(", order=order, ShipmentPayload=lambda *_, **fields: made.append(fields)
    )
    assert made[0]["to_service_point"] == 1000001
    assert set(made[0]) <= set(ShipmentPayload.__dataclass_fields__)


def test_sandbox_closes_a_service_point(sendcloud: Sandbox, sendcloud_integration: Integration) -> None:
    run("service-points", "is_available", integration=sendcloud_integration)
    run("service-points", "closed_service_points", sandbox=sendcloud)
    assert sendcloud.integration.service_point_carriers == ["postnl"]


def test_shop_replaces_one_admin_page(monkeypatch: pytest.MonkeyPatch) -> None:
    site = admin.AdminSite(name="shop")
    monkeypatch.setattr(admin.sites, "site", site)
    monkeypatch.setattr(admin, "site", site)
    sendcloud_admin.register(site)
    found = run("admin", "class MyShipmentAdmin")
    assert isinstance(site._registry[Shipment], found.MyShipmentAdmin)


def test_order_admin_has_our_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    site = admin.AdminSite(name="shop")
    monkeypatch.setattr(admin.sites, "site", site)
    monkeypatch.setattr(admin, "site", site)
    found = run("admin", "class OrderAdmin", Order=Order)
    assert isinstance(site._registry[Order], found.OrderAdmin)
    site.unregister(Order)
    site.register(Order)
    run("admin", "extend_order_admin", Order=Order)
    request: Any = SimpleNamespace(user=SimpleNamespace(has_perm=lambda *_: True))
    assert "sendcloud_state" in site._registry[Order].get_list_display(request)


@pytest.mark.parametrize(
    ("page", "words"),
    [("operations", "ALERTS"), ("operations", "DATABASE_ROUTERS"), ("reference/settings", "ENCRYPTION")],
)
def test_settings_are_known(page: str, words: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDCLOUD_ENCRYPTION_KEY", "secret")
    monkeypatch.setitem(settings.DATABASES, "shipping", settings.DATABASES["default"])
    settings.SENDCLOUD = run(page, words, os=os).SENDCLOUD
    assert [name for name in settings.SENDCLOUD if getattr(conf(), name) == getattr(Settings(), name)] == []


def test_examples_are_all_run() -> None:
    """The words of the tests above decide, because these may run in other processes."""
    named = re.findall(r'"([\w/-]+)", "([^"\n]+)"', Path(__file__).read_text())
    left = [
        each
        for page, blocks in BLOCKS.items()
        for each in blocks
        if not any(name == page and words in each for name, words in named)
    ]
    assert left == []
