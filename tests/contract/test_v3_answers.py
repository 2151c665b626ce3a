"""Every v3 answer of the sandbox against the OpenAPI documents, by validators of third parties."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from django_sendcloud.sandbox import Sandbox
from tests.payloads.builders import full_shipment
from tests.sandbox.v3.conftest import order

from .caller import Caller
from .v3 import NAMES, document, operations, patched

#: An id that exists nowhere.
UNKNOWN = 999_999


@functools.cache
def contract(name: str, *, literal: bool = False) -> OpenAPI:
    return OpenAPI.from_dict({**document(name), "servers": [{"url": "/api/v3"}]} if literal else patched(name))


def owner(template: str) -> str:
    """Return the name of the document that has a path."""
    return next(name for name in NAMES if template in document(name)["paths"])


def full_order() -> dict[str, Any]:
    """Return an order with all fields of the contract."""
    money = {"value": 3.5, "currency": "EUR"}
    cost = {"value": "3.99", "currency": "EUR"}
    tax = [{"name": "VAT", "country_code": "NL", "value": "NL987654321B02"}]
    address = {
        "name": "Ada Example",
        "company_name": "Example",
        "address_line_1": "Stationsplein",
        "house_number": "1",
        "address_line_2": "Floor 2",
        "postal_code": "2611 AA",
        "city": "Delft",
        "po_box": None,
        "state_province_code": "NL-ZH",
        "country_code": "NL",
        "email": "ada@shop.example",
        "phone_number": "+31612345678",
    }
    goods = {
        name: definition["enum"][0] if "enum" in definition else "x"
        for name, definition in document("orders")["components"]["schemas"]["dangerous-goods"]["properties"].items()
    }
    measurement = {
        "dimension": {"length": 15, "width": 20.5, "height": 37, "unit": "mm"},
        "weight": {"value": 14.5, "unit": "g"},
        "volume": {"value": 5, "unit": "l"},
    }
    made = order()
    made["order_details"] |= {"notes": "Careful", "tags": ["fragile"]}
    made["order_details"]["order_items"][0] |= {
        "product_id": "P1",
        "variant_id": "V1",
        "image_url": "https://shop.example/mug.jpeg",
        "description": "Red",
        "hs_code": "6912.00",
        "country_of_origin": "PT",
        "properties": {"size": "red"},
        "measurement": measurement,
        "ean": "0799439112766",
        "delivery_dates": {"handover_at": "2026-03-03T10:00:00Z", "deliver_at": None},
        "mid_code": "NLOZR92MEL",
        "material_content": None,
        "intended_use": "Personal use",
        "dangerous_goods": goods,
    }
    made["payment_details"] |= {
        "is_cash_on_delivery": False,
        "subtotal_price": money,
        "estimated_shipping_price": money,
        "estimated_tax_price": money,
        "invoice_date": "2026-03-01",
        "discount_granted": cost,
        "insurance_costs": cost,
        "freight_costs": cost,
        "other_costs": cost,
    }
    return made | {
        "customs_details": {
            "commercial_invoice_number": "I-1",
            "shipment_type": "gift",
            "export_type": "private",
            "tax_numbers": {"sender": tax, "receiver": tax, "importer_of_record": []},
        },
        "customer_details": {"name": "Ada", "phone_number": "+31612345678", "email": "ada@shop.example"},
        "billing_address": address,
        "shipping_address": address,
        "shipping_details": {
            "is_local_pickup": False,
            "delivery_indicator": "Express",
            "measurement": measurement,
            "ship_with": {
                "type": "shipping_option_code",
                "properties": {"shipping_option_code": "postnl:standard", "contract_id": 517},
            },
        },
        "service_point_details": {
            "id": "10875349",
            "post_number": "77",
            "latitude": "51.4",
            "longitude": "5.4",
            "type": "packstation",
            "extra_data": {"partner_name": "PostNL"},
        },
    }


class V3Caller(Caller):
    def base_url(self) -> str:
        return self.sandbox.v3_url

    def check(self, template: str, response: requests.Response) -> None:
        api = contract(owner(template), literal=self.literal)
        request, answer = RequestsOpenAPIRequest(response.request), RequestsOpenAPIResponse(response)
        # The validator of requests does not know the client credentials of OAuth2.
        accepted = response.status_code < 300 and isinstance(self.session.auth, tuple)
        problems = [*(api.iter_request_errors(request) if accepted else ()), *api.iter_response_errors(request, answer)]
        assert [repr(problem.__cause__ or problem) for problem in problems] == []


@pytest.fixture(params=["basic", "oauth2"])
def call(request: pytest.FixtureRequest) -> Iterator[Caller]:
    with Sandbox(auth=request.param) as sandbox:
        caller = V3Caller(sandbox)
        yield caller
        caller.session.close()


def use_orders(call: Caller) -> None:
    assert call(200, "GET", "/orders")["data"] == []
    [full, small] = call(201, "POST", "/orders", json=[full_order(), order("2")])["data"]
    assert call(201, "POST", "/orders", json=[{**order(), "id": str(full["id"])}])["data"][0]["id"] == full["id"]
    call(201, "POST", "/orders", json=[full_order()])
    call(201, "POST", "/orders", json=[])
    shown = call(200, "GET", "/orders/{id}", full["id"])["data"]
    assert call(200, "GET", "/orders", params={"page_size": 1, "sort": "pk"})["data"] == [shown]
    call(200, "PATCH", "/orders/{id}", small["id"], json={"order_details": {"tags": ["a"], "notes": None}})
    # An order that came by v2 reads as one of v3.
    url = f"{call.sandbox.v2_url}/integrations/{call.sandbox.integration_id}/shipments"
    call.session.post(url, json=[{**full_shipment().to_json(), "external_order_id": "old"}], timeout=10)
    assert len(call(200, "GET", "/orders")["data"]) == 3
    call(204, "DELETE", "/orders/{id}", small["id"])


def use_integrations(call: Caller) -> None:
    assert len(call(200, "GET", "/integrations", params={"sort": "-updated_at"})["data"]) == 1
    settings = {
        "shop_name": "Shop",
        "shop_url": "https://shop.example/",
        "service_point_enabled": True,
        "service_point_carriers": ["ups"],
        "webhook_active": False,
        "webhook_url": None,
        "feedback_type": "delayed",
    }
    call(204, "PATCH", "/integrations/{id}", json=settings)
    assert settings.items() <= call(200, "GET", "/integrations/{id}")["data"].items()
    for number in range(3):
        entry = {"base_url": "https://shop.example", "response_code": 500 + number, "method": None, "created_at": None}
        call(201, "POST", "/integrations/{id}/logs", json=entry)
    assert len(call(200, "GET", "/integrations/{id}/logs", params={"page_size": 100})["data"]) == 3
    assert call(200, "GET", "/integrations/logs")["data"]


def use_shipments(call: Caller) -> None:
    for number in range(3):
        call.sandbox.create_label("1042", number + 1)
    assert call(200, "GET", "/user/auth/metadata")["data"]["integration_id"] == call.sandbox.integration_id
    queued, cancelled, _ = (shipment["id"] for shipment in call(200, "GET", "/shipments")["data"])
    for parcel in call.sandbox.parcels():
        if parcel["colli_uuid"] == queued:
            call.sandbox.set_parcel_status(parcel["id"], 1)
    assert call(200, "GET", "/shipments/{id}", queued)["data"]["id"] == queued
    call(202, "POST", "/shipments/{id}/cancel", queued)
    call(200, "POST", "/shipments/{id}/cancel", cancelled)
    call(409, "POST", "/shipments/{id}/cancel", cancelled)


def use_service_points(call: Caller) -> None:
    call.sandbox.unknown_service_points.add(404)
    path = "/service-points/{service_point_id}/check-availability"
    assert call(200, "POST", path, 7) == {"data": {"is_available": True}}
    call(404, "POST", path, 404)


def meet_errors(call: Caller) -> None:
    for name in NAMES:
        for method, path, operation in operations(document(name)):
            if "404" in operation["responses"] and "{id}" in path:
                call(404, method, path, UNKNOWN, **({"json": {}} if "requestBody" in operation else {}))
    for path in ("/orders", "/shipments"):
        call(404, "GET", path, params={"cursor": "nonsense"})
    call(400, "GET", "/orders", params={"integration": UNKNOWN})
    call(400, "GET", "/orders", params={"order_created_at": "yesterday"})
    call(400, "GET", "/shipments", params={"updated_after": "yesterday"})
    for path in ("/integrations/logs", "/integrations/{id}/logs"):
        call(400, "GET", path, params={"cursor": "yesterday"})
    for body in ({}, [{}], [None], [[]], [order()] * 101, [{**order(), "order_number": 1}]):
        call(400, "POST", "/orders", json=body)
    order_id = int(call.sandbox.orders()[0]["id"])
    call(400, "PATCH", "/orders/{id}", order_id, json={"order_details": {"order_items": [{"name": "Plate"}]}})
    call(400, "PATCH", "/integrations/{id}", json={"webhook_active": True})
    call(400, "PATCH", "/integrations/{id}", json={"feedback_type": "never"})
    call(400, "POST", "/integrations/{id}/logs", json={"base_url": "https://shop.example", "user_id": 1})


def be_refused(call: Caller) -> None:
    everything = [(method, path) for name in NAMES for method, path, _ in operations(document(name))]
    call.sandbox.set_rate_limits(0, 0)
    for method, path in everything:
        call(429, method, path)
    call.sandbox.rate_limits = False
    call.sandbox.revoke_credentials()
    for method, path in everything:
        call(401, method, path)
    call.sandbox.restore_credentials()


@pytest.mark.long
def test_answers_follow_documents(call: Caller) -> None:
    """A new operation or status in a document fails here until the sandbox plays it."""
    use_orders(call)
    use_integrations(call)
    use_shipments(call)
    use_service_points(call)
    meet_errors(call)
    be_refused(call)
    call(204, "DELETE", "/integrations/{id}")
    documented = {
        (method, path, status)
        for name in NAMES
        for method, path, operation in operations(patched(name))
        for status in operation["responses"]
    }
    assert call.seen == documented


@pytest.mark.long
def test_answers_follow_schema_to_the_letter(sandbox: Sandbox) -> None:
    """With ``as_documented``, the sandbox keeps to the published documents, contradictions aside."""
    sandbox.as_documented = True
    call = V3Caller(sandbox)
    call.literal = True
    [created] = call(201, "POST", "/orders", json=[full_order()])["data"]
    call(200, "GET", "/orders/{id}", created["id"])
    call(200, "GET", "/orders")
    call(200, "GET", "/integrations/{id}")
    sandbox.create_label("1042")
    call(200, "GET", "/shipments")
    call.session.close()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), 752000001),
        (("created_at",), "yesterday"),
        (("order_details", "integration", "id"), "1001"),
        (("order_details", "order_items", 0, "quantity"), "2"),
        (("payment_details", "total_price", "currency"), "CHF"),
        (("shipping_details", "measurement", "weight", "value"), 0),
        (("shipping_address", "email"), 5),
        (("service_point_details",), {"id": "1", "carrier_service_point_id": "2"}),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_validator_finds_fault(sandbox: Sandbox, path: tuple[Any, ...], value: Any) -> None:
    call = V3Caller(sandbox)
    call(201, "POST", "/orders", json=[full_order()])
    genuine = call.session.get(f"{sandbox.v3_url}/orders", timeout=10)
    spoilt = copy.deepcopy(genuine.json())
    place = spoilt["data"][0]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    answer = requests.Response()
    answer.status_code, answer.headers = 200, genuine.headers
    answer._content = json.dumps(spoilt).encode()
    request = RequestsOpenAPIRequest(genuine.request)
    assert list(contract("orders").iter_response_errors(request, RequestsOpenAPIResponse(answer)))
    call.session.close()
