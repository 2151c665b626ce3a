"""Service points: what a browser may send, what the checkout shows, what reaches Sendcloud, and what is asked again."""

from __future__ import annotations

import datetime as dt
import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django import forms
from django.http import QueryDict
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone, translation

from django_sendcloud.api import SendcloudClient
from django_sendcloud.exceptions import InvalidResponse, PayloadError
from django_sendcloud.models import EntryState, Integration
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.storefront.forms import ServicePoint, ServicePointField
from django_sendcloud.storefront.service_points import availability_cache, csp_sources, service_point_fields
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.payloads.builders import shipment
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

SENT = {
    "id": 1000001,
    "name": "Boekhandel Stadhuisplein",
    "carrier": "postnl",
    "street": "Stadhuisplein",
    "house_number": "1",
    "postal_code": "5611 EM",
    "city": "Eindhoven",
    "country": "NL",
    "post_number": "",
}
WANTED = {"country": "NL", "delivery": "Service point"}


class Checkout(forms.Form):
    country = forms.CharField()
    delivery = forms.CharField()
    service_point = ServicePointField(when={"delivery": "Service point"})


@pytest.fixture(autouse=True)
def nothing_heard_yet() -> Iterator[None]:
    availability_cache.forget()
    yield
    availability_cache.forget()


@pytest.fixture
def connected(integration: Integration) -> Integration:
    """Connect an integration with service points enabled."""
    integration.service_point_enabled = True
    integration.service_point_carriers = ["postnl", "dhl_de"]
    integration.save()
    return integration


def point(days_ago: float = 0, **values: Any) -> ServicePoint:
    chosen_at = timezone.now() - dt.timedelta(days=days_ago)
    return ServicePoint(**{**SENT, "chosen_at": chosen_at, **values})


def submit(sent: Any, **fields: str) -> Checkout:
    text = sent if isinstance(sent, str) else json.dumps(sent)
    return Checkout({**WANTED, "service_point": text, **fields})


def error(form: forms.Form) -> str:
    assert not form.is_valid()
    return " ".join(form.errors["service_point"])


def attributes(form: forms.Form) -> dict[str, str]:
    """Return the data attributes of the rendered widget."""
    found = re.findall(r'data-([\w-]+)="([^"]*)"', str(form["service_point"]))
    return {name: html.unescape(value) for name, value in found}


def value(form: forms.Form) -> str:
    match = re.search(r'<input type="hidden"[^>]* value="([^"]*)"', str(form["service_point"]))
    assert match
    return html.unescape(match[1])


# Form data of a browser


def test_choice_becomes_a_service_point() -> None:
    before = timezone.now()
    form = submit(SENT)
    assert form.is_valid()
    chosen = form.cleaned_data["service_point"]
    assert (chosen.id, chosen.name, chosen.carrier, chosen.country) == (
        1000001,
        "Boekhandel Stadhuisplein",
        "postnl",
        "NL",
    )
    assert str(chosen) == "Boekhandel Stadhuisplein, Stadhuisplein 1, 5611 EM Eindhoven"
    # The server sets the time of the choice.
    assert before <= chosen.chosen_at <= timezone.now()
    liar = submit({**SENT, "chosen_at": "2099-01-01T00:00:00+00:00"})
    assert liar.is_valid()
    assert liar.cleaned_data["service_point"].chosen_at <= timezone.now()


def test_picker_numbers_blanks_and_nulls_are_accepted() -> None:
    form = submit(
        {**SENT, "id": "1000001", "house_number": 12, "post_number": 12345678, "city": None, "country": " nl "}
    )
    assert form.is_valid()
    chosen = form.cleaned_data["service_point"]
    assert (chosen.id, chosen.house_number, chosen.post_number, chosen.city) == (1000001, "12", "12345678", "")
    assert chosen.country == "NL"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sent",
    [
        "{",
        "null",
        "[]",
        "7",
        '"1000001"',
        "[" * 3000,
        "x" * 5000,
        {},
        {**SENT, "id": 0},
        {**SENT, "id": -1},
        {**SENT, "id": 2**63},
        {**SENT, "id": "1" * 3900},
        {**SENT, "id": True},
        {**SENT, "id": 1.5},
        {**SENT, "id": None},
        {**SENT, "id": [1]},
        {**SENT, "name": " "},
        {**SENT, "name": {"a": 1}},
        {**SENT, "name": "x" * 201},
        {**SENT, "name": "one\nanother"},
        {**SENT, "name": "nul\x00"},
        {**SENT, "country": ""},
        {**SENT, "country": "XX"},
        {**SENT, "post_number": "1" * 51},
        {**SENT, "more": "x" * 5000},
    ],
    ids=lambda sent: str(sent)[:60],
)
def test_invalid_choice_is_refused_and_not_shown(sent: Any) -> None:
    form = submit(sent)
    assert error(form) == "This service point cannot be read. Please choose it again."
    assert value(form) == ""


def test_point_in_other_country_is_refused() -> None:
    assert "another country" in error(submit(SENT, country="BE"))
    assert submit(SENT, country="nl").is_valid()


def test_field_is_required_by_delivery_method() -> None:
    assert error(submit("")) == "Choose a service point."
    for sent in ("", "{", SENT):
        form = submit(sent, delivery="Standard delivery")
        assert form.is_valid()
        # A choice the buyer has gone back on is none.
        assert form.cleaned_data["service_point"] is None


def test_prefixed_form_reads_its_own_fields() -> None:
    data = {"a-country": "NL", "a-delivery": "Service point", "a-service_point": json.dumps(SENT), "country": "BE"}
    form = Checkout(data, prefix="a")
    assert form.is_valid()
    assert form.cleaned_data["service_point"].id == 1000001
    assert "another country" in error(Checkout({**data, "a-country": "BE"}, prefix="a"))
    data["a-delivery"] = "Standard delivery"
    assert Checkout(data, prefix="a").is_valid()


def test_field_conditions_are_optional_and_combinable() -> None:
    class Plain(forms.Form):
        service_point = ServicePointField(required=False)

    class Picky(forms.Form):
        delivery = forms.CharField()
        service_point = ServicePointField(when={"delivery": ["Service point", "Locker"]})

    assert Plain({}).is_valid()
    assert Plain({"service_point": json.dumps(SENT)}).is_valid()
    assert not Picky({"delivery": "Locker"}).is_valid()
    assert Picky({"delivery": "Van"}).is_valid()


def test_field_detects_a_changed_choice() -> None:
    def changed(initial: Any, **data: str) -> bool:
        return (
            "service_point" in Checkout(QueryDict(mutable=True) | data, initial={"service_point": initial}).changed_data
        )

    kept = {**WANTED, "service_point": json.dumps(SENT)}
    assert not changed(point(), **kept)
    assert not changed(point().to_json(), **kept)
    assert changed(None, **kept)
    assert changed(point(id=7), **kept)
    assert changed(point(), **{**kept, "delivery": "Standard delivery"})


# Rendering


@pytest.mark.django_db
def test_widget_gives_picker_no_secret(connected: Integration) -> None:
    page = str(Checkout()["service_point"])
    shown = attributes(Checkout())
    assert shown["api-key"] == connected.public_key
    assert shown["carriers"] == "postnl,dhl_de"
    assert shown["script"] == "https://embed.sendcloud.sc/spp/1.0.0/api.min.js"
    assert (shown["country-field"], shown["postal-code-field"]) == ("country", "postal_code")
    assert json.loads(shown["when"]) == {"delivery": ["Service point"]}
    assert connected.secret_key.reveal() not in page
    # A strict policy forbids all of these.
    assert not re.search(r"<script|\son\w+=|style=|javascript:", page)


@pytest.mark.django_db
def test_widget_costs_one_query(connected: Integration, django_assert_num_queries: Any) -> None:
    form = Checkout()
    with django_assert_num_queries(1):
        str(form["service_point"])
    with django_assert_num_queries(0):
        assert submit(SENT).is_valid()


@pytest.mark.django_db
def test_field_offers_only_enabled_carriers(connected: Integration) -> None:
    class Parcels(forms.Form):
        service_point = ServicePointField(carriers=["dhl_de", "dpd"])

    assert attributes(Parcels())["carriers"] == "dhl_de"


@pytest.mark.django_db
def test_field_takes_an_integration(connected: Integration) -> None:
    Integration.objects.create(remote_id=77, public_key="another")
    assert "api-key" not in attributes(Checkout()), "of two integrations, none is guessed"

    class Ours(forms.Form):
        service_point = ServicePointField(integration=lambda: connected)

    assert attributes(Ours())["api-key"] == connected.public_key


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [{"service_point_enabled": False}, {"service_point_carriers": []}, {"public_key": ""}, {"is_active": False}],
    ids=str,
)
def test_buyer_sees_service_points_are_unavailable(connected: Integration, changes: dict[str, Any]) -> None:
    Integration.objects.filter(pk=connected.pk).update(**changes)
    page = str(Checkout()["service_point"])
    assert "Service points are not available at the moment" in page
    assert "<button" not in page
    assert "data-api-key" not in page


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "expected"),
    [("nl", "nl-nl"), ("de-at", "de-de"), ("en", "en-us"), ("en-gb", "en-gb"), ("pl", "en-us"), ("fr-fr", "fr-fr")],
)
def test_picker_falls_back_to_known_language(connected: Integration, language: str, expected: str) -> None:
    with translation.override(language):
        assert attributes(Checkout())["language"] == expected


@pytest.mark.django_db
def test_chosen_point_is_shown_escaped(connected: Integration) -> None:
    wicked = "<script>alert(1)</script>"
    sent = {**SENT, "name": wicked, "post_number": '"><img>'}
    for form in (submit(sent), Checkout(initial={"service_point": point(name=wicked, post_number='"><img>')})):
        page = str(form["service_point"])
        assert json.loads(value(form)) == sent
        assert wicked not in page
        assert '"><img>' not in page
        assert html.escape(wicked) in page
    stored = Checkout(initial={"service_point": point().to_json()})
    assert json.loads(value(stored)) == SENT


@pytest.mark.django_db
def test_field_renders_in_form_with_media(connected: Integration) -> None:
    form = submit("")
    assert not form.is_valid()
    page = form.as_div()
    # The group is named by its legend, not by a label for a hidden input.
    assert "<legend>Service point:</legend>" in page
    assert 'for="id_service_point' not in page
    assert "Choose a service point." in page
    assert "django_sendcloud/service_points.js" in str(form.media)
    assert "django_sendcloud/service_points.css" in str(form.media)


def render_tag(source: str = "{% sendcloud_service_points_script %}", **context: Any) -> str:
    return Template("{% load sendcloud %}" + source).render(Context(context))


def test_tag_writes_external_files_with_nonce() -> None:
    assert render_tag() == (
        '<link rel="stylesheet" href="/static/django_sendcloud/service_points.css">'
        '<script src="/static/django_sendcloud/service_points.js" defer></script>'
    )

    class Lazy:
        """As Django's and django-csp's: false until it is used."""

        def __bool__(self) -> bool:
            return False

        def __str__(self) -> str:
            return "n0nce"

    request = RequestFactory().get("/")
    request.csp_nonce = Lazy()  # type: ignore[attr-defined]
    for page in (
        render_tag(csp_nonce=Lazy()),
        render_tag(request=request),
        render_tag("{% sendcloud_service_points_script nonce='n0nce' %}"),
    ):
        assert page.count('nonce="n0nce"') == 2


def test_content_policy_sources_are_listed(settings: Any) -> None:
    assert csp_sources() == {
        "script-src": "https://embed.sendcloud.sc",
        "frame-src": "https://servicepoints.sendcloud.sc",
    }
    settings.SENDCLOUD = {"SERVICE_POINT_SCRIPT_URL": "http://127.0.0.1:8900/service-points.js"}
    assert set(csp_sources().values()) == {"http://127.0.0.1:8900"}


# Storage


def test_stored_point_loads_unchanged() -> None:
    chosen = point(post_number="12345678")
    stored = json.loads(json.dumps(chosen.to_json()))
    assert ServicePoint.from_json(stored) == chosen
    assert ServicePoint.from_json({**stored, "a key of a later version": 1}) == chosen
    assert ServicePoint.from_json(None) is None
    assert ServicePoint.from_json({}) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": "7"}, "id"),
        ({"name": ""}, "name"),
        ({"country": "nl"}, "country"),
        ({"chosen_at": 3}, "chosen_at"),
        ({"chosen_at": "2026-03-01T10:00:00"}, "chosen_at"),
    ],
    ids=str,
)
def test_foreign_json_error_names_the_field_only(changes: Any, field: str) -> None:
    with pytest.raises(ValueError, match=field) as caught:
        ServicePoint.from_json(point().to_json() | changes)
    assert "Boekhandel" not in str(caught.value)
    stored = point().to_json()
    del stored[field]
    with pytest.raises(ValueError, match=f"{field} is missing"):
        ServicePoint.from_json(stored)


def test_choice_is_old_after_its_time() -> None:
    assert not point(6.9).is_old()
    assert point(7.1).is_old()
    assert point(2).is_old(days=1)
    assert point().is_old(now=timezone.now() + dt.timedelta(days=8))


# Pushing


def test_point_fills_the_payload_fields() -> None:
    assert service_point_fields(None) == {}
    fields = service_point_fields(point(post_number="12345678").to_json())
    body = shipment(**fields).to_json()
    assert (body["to_service_point"], body["to_post_number"]) == (1000001, "12345678")
    body = shipment(**service_point_fields(None)).to_json()
    assert (body["to_service_point"], body["to_post_number"]) == (None, "")


@pytest.fixture
def shop(connected: Integration) -> Iterator[dict[str, Any]]:
    """Send the shop's orders to the service point kept under ``stored``."""
    kept: dict[str, Any] = {"stored": None}

    class WithServicePoint(ShopOrder):
        def get_shipments(self, order: Order) -> Iterator[Any]:
            yield shipment(
                external_order_id=str(order.pk), updated_at=None, **service_point_fields(kept["stored"], days=7)
            )

    with temporarily_registered(WithServicePoint, Order):
        yield kept


def push() -> None:
    factories.outbox().update(due_at=timezone.now() - dt.timedelta(seconds=1))
    push_due()


def checks(sandbox: Any) -> int:
    return sandbox.count("GET", "/check-availability") + sandbox.count("POST", "/check-availability")


def test_fresh_choice_is_pushed_without_request(shop: dict[str, Any], sandbox: Any) -> None:
    shop["stored"] = point(6).to_json()
    order = factories.order()
    push()
    assert sandbox.shipment(str(order.pk))["to_service_point"] == 1000001
    assert checks(sandbox) == 0


def test_available_old_choice_costs_one_request(shop: dict[str, Any], sandbox: Any) -> None:
    shop["stored"] = point(8).to_json()
    orders = [factories.order() for _ in range(3)]
    push()
    assert {sandbox.shipment(str(order.pk))["to_service_point"] for order in orders} == {1000001}
    assert checks(sandbox) == 1


def test_closed_point_rejects_its_order_alone(shop: dict[str, Any], sandbox: Any) -> None:
    sandbox.closed_service_points.add(1000001)
    shop["stored"] = point(8).to_json()
    order = factories.order()
    push()
    assert sandbox.shipment(str(order.pk)) is None
    entry = factories.outbox().for_order(order).get()
    assert entry.state == EntryState.REJECTED
    day = f"{timezone.now() - dt.timedelta(days=8):%Y-%m-%d}"
    gone = {"code": "service_point_gone", "params": {"id": 1000001, "day": day}}
    assert entry.error_fields == {"to_service_point": [gone]}

    shop["stored"] = point(id=1000002).to_json()
    factories.forget_transaction()
    order.save()
    push()
    assert sandbox.shipment(str(order.pk))["to_service_point"] == 1000002
    assert not factories.outbox().exists()


def test_unanswered_check_stops_no_order(shop: dict[str, Any], sandbox: Any) -> None:
    sandbox.fail_next(500, times=5, match="check service point")
    shop["stored"] = point(8).to_json()
    orders = [factories.order() for _ in range(3)]
    push()
    assert all(sandbox.shipment(str(order.pk)) for order in orders)
    assert checks(sandbox) == 1


def test_missing_check_endpoint_proves_nothing(shop: dict[str, Any], sandbox: Any) -> None:
    sandbox.fail_next(404, match="check service point")
    shop["stored"] = point(8).to_json()
    order = factories.order()
    push()
    assert sandbox.shipment(str(order.pk))["to_service_point"] == 1000001


def test_check_respects_the_rate_limit(shop: dict[str, Any], sandbox: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(SAFE_REQUESTS_PER_MINUTE=0.1, SAFE_BURST=1)
    assert service_point_fields(point(8, id=1))
    assert service_point_fields(point(8, id=2))
    assert checks(sandbox) == 1


def test_check_age_none_never_asks(shop: dict[str, Any], sandbox: Any) -> None:
    sandbox.closed_service_points.add(1000001)
    assert service_point_fields(point(800), days=None)["to_service_point"] == 1000001
    with pytest.raises(PayloadError):
        service_point_fields(point(800))


@pytest.mark.parametrize("generation", ["v3"], indirect=True)
def test_v3_integration_asks_by_v3(connected: Integration, sandbox: Any) -> None:
    """An account that has only v3 is asked by v3, where a service point that is not there is a clear no."""
    sandbox.closed_service_points.add(1000002)
    sandbox.unknown_service_points.add(1000003)
    for _ in range(2):
        assert service_point_fields(point(8))["to_service_point"] == 1000001
    for number in (1000002, 1000003):
        with pytest.raises(PayloadError) as caught:
            service_point_fields(point(8, id=number))
        assert set(caught.value.errors) == {"to_service_point"}
    assert (sandbox.count("POST", "/check-availability"), sandbox.count("GET")) == (3, 0)
    sandbox.fail_next(404, match="check service point")
    assert service_point_fields(point(8, id=1000003)), "a proxy's 404 proves nothing"


@pytest.mark.parametrize("generation", ["v3"], indirect=True)
def test_v3_check_takes_unsafe_turn(connected: Integration, sandbox: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(UNSAFE_REQUESTS_PER_MINUTE=0.1, UNSAFE_BURST=1)
    assert service_point_fields(point(8, id=1))
    assert service_point_fields(point(8, id=2))
    assert checks(sandbox) == 1


@pytest.mark.django_db
def test_missing_integration_asks_nothing() -> None:
    assert service_point_fields(point(8))["to_service_point"] == 1000001


# The client and the sandbox


def client_of(sandbox: Any, **options: Any) -> SendcloudClient:
    keys = {"public_key": sandbox.public_key, "secret_key": sandbox.secret_key}
    return SendcloudClient(**keys, **{"base_url": sandbox.base_url, "retries": 0} | options)


def test_client_checks_availability(sandbox: Any) -> None:
    sandbox.closed_service_points.add(7)
    with client_of(sandbox) as client:
        assert client.v2.service_points.is_available(8) is True
        assert client.v2.service_points.is_available(7) is False
        sandbox.fail_next(200, body=b'{"available": true}', match="check service point")
        with pytest.raises(InvalidResponse):
            client.v2.service_points.is_available(8)
        for wrong in (0, -1, True, "8"):
            with pytest.raises(ValueError, match="service_point_id"):
                client.v2.service_points.is_available(wrong)


def test_sandbox_keys_never_reach_sendcloud(sandbox: Any) -> None:
    """Sendcloud has a host of its own for service points; the sandbox has not."""
    with client_of(sandbox) as client:
        assert client._service_points.base_url == sandbox.origin
    with client_of(sandbox, base_url="https://proxy.example/api/v2") as client:
        assert client._service_points.base_url == "https://proxy.example"
    with client_of(sandbox, base_url="https://panel.sendcloud.sc/api/v2") as client:
        assert client._service_points.base_url == "https://servicepoints.sendcloud.sc"
        assert client._requestor.base_url == "https://panel.sendcloud.sc"


def test_sandbox_picker_shows_allowed_carriers(sandbox: Any) -> None:
    def frame(**options: str) -> str:
        query = {"apiKey": sandbox.public_key, "country": "NL", "language": "nl-nl", "origin": "http://shop"} | options
        return requests.get(f"{sandbox.origin}/service-points/", query, timeout=5).text

    script = requests.get(sandbox.service_point_script_url, timeout=5)
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert "Service point support is not activated" in frame()
    sandbox.change_integration(service_point_enabled=True, service_point_carriers=["postnl"])
    assert "Boekhandel Stadhuisplein" in frame()
    assert "Supermarkt Centrum" not in frame(), "its carrier is not enabled"
    assert "Supermarkt Centrum" not in frame(carriers="dhl,postnl")
    assert "Boekhandel" not in frame(country="DE")
    assert "Invalid API key" in frame(apiKey=sandbox.secret_key)
    assert "Unsupported language" in frame(language="nl")
    assert "<b>" not in frame(postalCode="<b>", origin="</script><b>")
