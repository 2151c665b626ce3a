"""Routing by countries and sites in the admin: orders, the service point picker, and the second integration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from django_sendcloud.adapters import OrderAdapter
from django_sendcloud.checks import check_stored
from django_sendcloud.models import Account, Integration
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.storefront.forms import ServicePointWidget
from django_sendcloud.sync.routing import integration_for, route
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

pytestmark = pytest.mark.django_db


class Plain(ShopOrder):
    """The shop's adapter, which leaves the choice to the data."""

    site_field = "city"
    get_integration = OrderAdapter.get_integration


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    with temporarily_registered(Plain, Order):
        yield


def made(name: str, countries: str = "", sites: str = "") -> Integration:
    return Integration(
        account_id=1,
        name=name,
        for_countries=countries.split(),
        for_sites=sites.split(),
        deployment={},  # the default asks the database
    )


ALL = [
    made("rest"),
    made("north", "NL BE"),
    made("south", "ES"),
    made("outlet", "", "outlet"),
    made("both", "NL", "b2b"),
]


@pytest.mark.parametrize(
    ("country", "site", "name"),
    [
        ("NL", "", "north"),
        ("be", "", "north"),
        ("ES", "", "south"),
        ("DE", "", "rest"),
        ("", "", "rest"),
        ("NL", "outlet", "outlet"),
        ("NL", "b2b", "both"),
        ("DE", "b2b", "rest"),
    ],
)
def test_best_fit_takes_the_order(country: str, site: str, name: str) -> None:
    found = route(ALL, lambda: country, {site} if site else ())
    assert found is not None
    assert found.name == name


def test_equal_fits_are_not_guessed() -> None:
    assert route([made("a", "NL"), made("b", "NL DE")], lambda: "NL") is None
    assert route([made("a"), made("b")], lambda: "NL") is None
    assert route([made("a", "NL")], lambda: "DE") is None


def test_country_is_asked_only_where_it_matters() -> None:
    def fail() -> str:
        raise AssertionError

    assert route([made("a"), made("b", "", "x")], fail, {"x"}) is not None


@pytest.fixture
def second(integration: Integration, sandbox: Any) -> Integration:
    """Connect a second integration of the sandbox, beside the first."""
    other = sandbox.add_integration(shop_name="Abroad")
    return factories.integration(sandbox, remote_id=other.id, name="Abroad")


def homes() -> dict[str, str]:
    from django_sendcloud.models import Shipment

    return {shipment.order_number: str(shipment.integration) for shipment in Shipment.objects.all()}


def test_orders_follow_countries(integration: Integration, second: Integration) -> None:
    second.for_countries = ["DE", "BE"]
    second.save()
    factories.order(number="A", country="NL")
    factories.order(number="B", country="DE")
    push_due()
    assert homes() == {"A": "Webshop", "B": "Abroad"}


def test_orders_follow_sites(integration: Integration, second: Integration) -> None:
    second.for_sites = ["Rotterdam"]
    second.save()
    factories.order(number="A", city="Amsterdam")
    factories.order(number="B", city="Rotterdam")
    push_due()
    assert homes() == {"A": "Webshop", "B": "Abroad"}


def test_order_without_fit_waits_for_data(integration: Integration, second: Integration) -> None:
    factories.order(number="A")
    push_due()
    assert homes() == {}
    assert factories.outbox().get().error_code == "integration_unknown"
    second.for_countries = ["DE"]
    second.save()
    push_due()
    assert homes() == {"A": "Webshop"}


def test_invalid_order_is_rejected_by_its_country(integration: Integration, second: Integration) -> None:
    second.for_countries = ["DE"]
    second.save()
    factories.order(number="A", country="XX")
    factories.order(number="B", country="DE")
    push_due()
    assert homes() == {"B": "Abroad"}
    entry = factories.outbox().get()
    assert entry.state == "rejected"
    assert "country" in entry.error_fields


def test_adapter_choice_precedes_data(integration: Integration, second: Integration) -> None:
    class Choosing(Plain):
        def get_integration(self, order: Order) -> Integration:
            return integration

    second.for_countries = ["DE"]
    second.save()
    with temporarily_registered(Choosing, Order):
        factories.order(number="B", country="DE")
        push_due()
    assert homes() == {"B": "Webshop"}


def test_picker_follows_countries_and_sites(integration: Integration, second: Integration) -> None:
    Integration.objects.update(service_point_enabled=True, service_point_carriers=["postnl"])
    Integration.objects.filter(pk=second.pk).update(
        for_countries=["DE"], public_key="abroad", service_point_carriers=["dhl_de"]
    )
    picker = ServicePointWidget().picker()
    assert picker is not None
    assert picker["api_key"] == integration.public_key
    assert picker["routes"] == {"DE": {"api_key": "abroad", "carriers": "dhl_de"}}
    shown = ServicePointWidget().get_context("point", None, {})["widget"]["routes"]
    assert json.loads(shown) == picker["routes"]
    Integration.objects.filter(pk=second.pk).update(for_countries=[], for_sites=["outlet"])
    assert ServicePointWidget(site=lambda: "outlet").picker()["api_key"] == "abroad"
    assert ServicePointWidget().picker()["api_key"] == integration.public_key


def test_picker_is_closed_for_unserved_country(integration: Integration, second: Integration) -> None:
    Integration.objects.filter(pk=integration.pk).update(service_point_enabled=True, service_point_carriers=["postnl"])
    Integration.objects.filter(pk=second.pk).update(for_countries=["DE"])
    picker = ServicePointWidget().picker()
    assert picker is not None
    assert picker["routes"] == {"DE": {}}
    assert integration_for("DE") == second
    assert integration_for("FR") == integration


# -- connecting a second one --------------------------------------------------------------------------


def add(client: Client, sandbox: Any, **values: Any) -> Any:
    form = {
        "public_key": sandbox.public_key,
        "new_secret_key": sandbox.secret_key,
        "auth_scheme": "basic",
        "is_active": "on",
        "account": Account.objects.get_or_create(name="main")[0].pk,
    }
    return client.post(reverse("admin:django_sendcloud_integration_add"), form | values, follow=True)


@pytest.mark.long
def test_second_integration_is_connected_unused(integration: Integration, sandbox: Any, admin_client: Client) -> None:
    other = sandbox.add_integration(shop_name="Abroad")
    page = add(admin_client, sandbox, remote_id=other.id).content.decode()
    assert "It is not in use yet" in page
    assert [each.name for each in Integration.objects.active()] == ["Webshop"]
    factories.order(number="A")
    push_due()
    assert homes() == {"A": "Webshop"}


def test_second_integration_with_countries_is_used(
    integration: Integration, sandbox: Any, admin_client: Client
) -> None:
    other = sandbox.add_integration(shop_name="Abroad")
    add(admin_client, sandbox, remote_id=other.id, for_countries="de; be")
    assert Integration.objects.active().count() == 2
    assert Integration.objects.get(remote_id=other.id).for_countries == ["DE", "BE"]


def test_wrong_country_is_named_with_its_fix(integration: Integration, sandbox: Any, admin_client: Client) -> None:
    other = sandbox.add_integration(shop_name="Abroad")
    page = add(admin_client, sandbox, remote_id=other.id, for_countries="NL, UK").content.decode()
    assert "“UK” is not a country code. Did you mean GB?" in page


def test_command_connects_second_integration_unused(
    integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    other = sandbox.add_integration(shop_name="Abroad")
    monkeypatch.setenv("SENDCLOUD_PUBLIC_KEY", sandbox.public_key)
    monkeypatch.setenv("SENDCLOUD_SECRET_KEY", sandbox.secret_key)
    call_command("sendcloud_connect", f"--integration-id={other.id}", "--no-webhook")
    assert "It is not in use" in capsys.readouterr().err
    assert not Integration.objects.get(remote_id=other.id).is_active


def test_check_accepts_routing_by_data(integration: Integration, second: Integration) -> None:
    found = check_stored(None, databases=["default"])
    assert "sendcloud.W052" in {message.id for message in found}
    Integration.objects.filter(pk=second.pk).update(for_countries=["DE"])
    assert check_stored(None, databases=["default"]) == []
