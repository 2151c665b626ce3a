"""The client against the documents of API v3, in both directions, by a validator that was not written here."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import urllib.parse
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from django_sendcloud.api import LoggedRequest, LoggedResponse, SendcloudClient, v3
from django_sendcloud.api.jsonapi import read_items
from django_sendcloud.api.v3.integrations import SORT_FIELDS
from django_sendcloud.enums import FeedbackType

from . import contracts
from .conftest import answer

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DAY = NOON.date()


def order(**changes: Any) -> dict[str, Any]:
    """Return the JSON of a small valid order."""
    return {
        "order_id": "555413",
        "order_number": "A-1",
        "order_details": {
            "integration": {"id": 7},
            "status": {"code": "unfulfilled"},
            "order_created_at": "2026-03-01T12:00:00+00:00",
            "order_items": [
                {"name": "Mug", "quantity": 2, "total_price": {"value": Decimal("25.98"), "currency": "EUR"}}
            ],
        },
        "payment_details": {
            "total_price": {"value": Decimal("25.98"), "currency": "EUR"},
            "status": {"code": "paid"},
        },
    } | changes


#: One use of the client for each operation of the contract, with all it can send.
CALLS: dict[tuple[str, str], Callable[[SendcloudClient], object]] = {
    ("post", "/orders"): lambda client: client.v3.orders.upsert([order(), order(order_id="2", id=752417284)]),
    ("get", "/orders"): lambda client: list(
        client.v3.orders.list(
            integration_id=7,
            order_number="A-1",
            order_id="555413",
            status="paid",
            order_created_at=DAY,
            order_created_at_min=DAY,
            order_created_at_max=DAY,
            order_updated_at=DAY,
            order_updated_at_min=DAY,
            order_updated_at_max=DAY,
            sort="-order_updated_at",
            page_size=200,
            cursor="b3JkZXI",
        )
    ),
    ("get", "/orders/{id}"): lambda client: client.v3.orders.get(669),
    ("delete", "/orders/{id}"): lambda client: client.v3.orders.delete(669),
    ("patch", "/orders/{id}"): lambda client: client.v3.orders.patch(669, {"order_number": "A-2"}),
    ("get", "/integrations"): lambda client: client.v3.integrations.list(sort="-updated_at"),
    ("get", "/integrations/{id}"): lambda client: client.v3.integrations.get(7),
    ("delete", "/integrations/{id}"): lambda client: client.v3.integrations.delete(7),
    ("patch", "/integrations/{id}"): lambda client: client.v3.integrations.patch(
        7,
        v3.IntegrationPatch(
            shop_name="S" * 250,
            shop_url="https://shop.example/",
            service_point_enabled=True,
            service_point_carriers=["ups"],
            webhook_active=False,
            webhook_url=None,
            feedback_type=FeedbackType.DELAYED,
        ),
    ),
    ("post", "/service-points/{service_point_id}/check-availability"): lambda client: (
        client.v3.service_points.is_available(7)
    ),
    ("get", "/integrations/logs"): lambda client: list(
        client.v3.integrations.logs.list(page_size=100, cursor="2023-03-01T02:02:00+01:00")
    ),
    ("get", "/integrations/{id}/logs"): lambda client: list(
        client.v3.integrations.logs.list(7, page_size=1, cursor="2023-03-01T02:02:00+01:00")
    ),
    ("post", "/integrations/{id}/logs"): lambda client: client.v3.integrations.logs.create(
        7,
        v3.IntegrationLogEntry(
            base_url="https://shop.example",
            full_url="https://shop.example/hook",
            method="POST",
            response_code=0,
            response=LoggedResponse(headers={"X": "y"}, body={"a": 1}),
            request=LoggedRequest(headers="none", payload="text"),
            created_at=NOON,
            exception_type="builtins.KeyError",
            exception="no such order",
        ),
    ),
    ("get", "/shipments"): lambda client: list(
        client.v3.shipments.list(
            integration_id=7,
            updated_after=NOON,
            updated_before=NOON,
            announced_after=NOON,
            announced_before=NOON,
            order_number="A-1",
            tracking_number="3SYZXG8498635",
            external_reference_id="R1",
            parcel_status="DELIVERED",
            parcel_ids=[1, 2],
            shipment_ids=["S1", "S2"],
            page_size=100,
            cursor="c",
        )
    ),
    ("get", "/shipments/{id}"): lambda client: client.v3.shipments.get("S1"),
    ("post", "/shipments/{id}/cancel"): lambda client: client.v3.shipments.cancel("S1"),
    ("get", "/user/auth/metadata"): lambda client: client.v3.auth_metadata(),
}

#: The smallest answers the client can read.
BODIES: dict[tuple[str, str], Any] = {
    ("post", "/orders"): {"data": []},
    ("get", "/orders"): {"data": []},
    ("get", "/orders/{id}"): {"data": {"id": "669", "order_id": "1"}},
    ("patch", "/orders/{id}"): {"data": {"id": 669, "order_id": "1", "order_number": "A-2"}},
    ("get", "/integrations"): {"data": []},
    ("get", "/integrations/{id}"): {"data": {"id": 7}},
    ("get", "/integrations/logs"): {"data": []},
    ("get", "/integrations/{id}/logs"): {"data": []},
    ("post", "/integrations/{id}/logs"): {"data": {"id": 1, "base_url": "https://shop.example"}},
    ("get", "/shipments"): {"data": []},
    ("post", "/service-points/{service_point_id}/check-availability"): {"data": {"is_available": True}},
    ("get", "/shipments/{id}"): {"data": {"id": "S1"}},
    ("post", "/shipments/{id}/cancel"): {"data": {"status": "cancelled", "message": "Cancelled"}},
    ("get", "/user/auth/metadata"): {"data": {"user_id": 1, "integration_id": 7}},
}


def success(name: str, method: str, path: str) -> bytes:
    """Return an answer with the first status the contract promises."""
    status = min(contracts.promised(name, method, path))
    return answer(BODIES.get((method, path), b""), f"{status} OK")


def test_operations_of_contracts_all_have_uses() -> None:
    assert set(CALLS) == {(method, path) for _, method, path in contracts.operations()}


def test_omitted_operations_exist_in_contracts() -> None:
    for name, method, path in contracts.LEFT_OUT:
        assert method in contracts.document(name)["paths"][path]


@pytest.mark.parametrize(("name", "method", "path"), list(contracts.operations()))
def test_request_is_valid(serve, connect, name: str, method: str, path: str) -> None:
    server = serve(success(name, method, path))
    CALLS[method, path](connect(server))
    [request] = server.requests
    assert request.method == method.upper()
    sent = contracts.Sent(request)
    assert list(contracts.validator(name).iter_request_errors(sent)) == []
    assert contracts.validator(name).unmarshal_request(sent).errors == []
    declared = contracts.document(name)["paths"][path][method]
    assert bool(request.body) == ("requestBody" in declared)
    parameters = [contracts.resolved(name, parameter) for parameter in declared.get("parameters", [])]
    queries = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    assert {key for key, _ in urllib.parse.parse_qsl(request.query)} == queries


def test_validator_notices_invalid_order(serve, connect) -> None:
    server = serve(success("orders-v3", "post", "/orders"))
    CALLS["post", "/orders"](connect(server))
    sent = contracts.Sent(server.requests[0])
    sent.body = sent.body.replace(b'"value":25.98', b'"value":"25.98"') if sent.body else None
    assert list(contracts.validator("orders-v3").iter_request_errors(sent)) != []


def test_written_fields_are_those_of_schemas(serve, connect) -> None:
    server = serve(answer(b"", "204 No Content"))
    CALLS["patch", "/integrations/{id}"](connect(server))
    assert set(server.requests[0].json) == contracts.fields("integrations-v3", "integration-model")
    server = serve(success("integrations-v3", "post", "/integrations/{id}/logs"))
    CALLS["post", "/integrations/{id}/logs"](connect(server))
    written = server.requests[0].json
    closed = contracts.document("integrations-v3")["components"]["schemas"]["integration-log-create"]
    assert closed["additionalProperties"] is False
    assert set(written) == set(closed["properties"])
    assert set(written["request"]) == set(closed["properties"]["request"]["properties"])
    assert set(written["response"]) == set(closed["properties"]["response"]["properties"])


ORDERS, INTEGRATIONS, SHIPMENTS = "orders-v3", "integrations-v3", "shipments-v3"


@pytest.mark.parametrize(
    ("result", "fields"),
    [
        (v3.Order, contracts.fields(ORDERS, "order")),
        (v3.OrderDetails, contracts.fields(ORDERS, contracts.at(ORDERS, "order", "order_details"))),
        (v3.OrderIntegration, contracts.fields(ORDERS, contracts.at(ORDERS, "order", "order_details", "integration"))),
        (v3.Status, contracts.fields(ORDERS, contracts.at(ORDERS, "order", "order_details", "status"))),
        (v3.OrderItem, contracts.fields(ORDERS, contracts.at(ORDERS, "order", "order_details", "order_items"))),
        (v3.Price, contracts.fields(ORDERS, "price")),
        (v3.Price, contracts.fields(ORDERS, "costs-object")),
        (v3.Measurement, contracts.fields(ORDERS, "measurement")),
        (v3.Dimension, contracts.fields(ORDERS, "dimension")),
        (v3.Quantity, contracts.fields(ORDERS, "weight")),
        (v3.Quantity, contracts.fields(ORDERS, "volume")),
        (v3.DeliveryDates, contracts.fields(ORDERS, "delivery-dates")),
        (v3.PaymentDetails, contracts.fields(ORDERS, "payment-details")),
        (v3.CustomsDetails, contracts.fields(ORDERS, "customs-details")),
        (v3.TaxNumbers, contracts.fields(ORDERS, contracts.at(ORDERS, "customs-details", "tax_numbers"))),
        (v3.TaxNumber, contracts.fields(ORDERS, "tax-number")),
        (v3.CustomerDetails, contracts.fields(ORDERS, "customer-details")),
        (v3.Address, contracts.fields(ORDERS, "shipping-address")),
        (v3.Address, contracts.fields(ORDERS, "billing-address")),
        (v3.ShippingDetails, contracts.fields(ORDERS, "shipping-details")),
        (v3.ShipWith, contracts.fields(ORDERS, "ship-with")),
        (v3.ServicePoint, contracts.fields(ORDERS, "service-point")),
        (v3.Integration, contracts.fields(INTEGRATIONS, "integration-response-model")),
        (v3.IntegrationLog, contracts.fields(INTEGRATIONS, "integration-log")),
        (v3.AuthMetadata, contracts.fields("user-v3", "UserAuthMetadata")),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_result_has_fields_of_schema(result: type, fields: set[str]) -> None:
    assert {field.name for field in dataclasses.fields(result)} - {"raw"} == fields


#: Fields of shipments that only ``raw`` holds: personal data, or of no use to a shop.
ONLY_IN_RAW = {
    "brand_id",
    "carrier",
    "customs_information",
    "delivery-dates",
    "errors",
    "from_address",
    "reference",
    "ship_with",
    "to_address",
    "to_service_point",
    "total_order_price",
    "validation_methods",
    "additional_carrier_data",
    "additional_insured_price",
    "dimensions",
    "documents",
    "label_notes",
    "package_type",
    "parcel_items",
    "sscc",
    "weight",
}


def test_shipment_fields_are_read_or_listed() -> None:
    shipments = contracts.fields(SHIPMENTS, "shipment-response") | contracts.fields(SHIPMENTS, "parcels-array-response")
    read = {field.name for result in (v3.Shipment, v3.ShipmentParcel) for field in dataclasses.fields(result)}
    assert read - {"raw"} == shipments - ONLY_IN_RAW
    assert shipments > ONLY_IN_RAW


def test_enum_values_are_those_of_schemas() -> None:
    model = contracts.document(INTEGRATIONS)["components"]["schemas"]["integration-model"]
    assert {member.value for member in FeedbackType} == set(model["properties"]["feedback_type"]["enum"])
    assert "updated_at" in SORT_FIELDS


def examples(name: str, method: str, path: str, status: str) -> list[Any]:
    """Return the contract's examples of an answer."""
    content = contracts.document(name)["paths"][path][method]["responses"][status]["content"]["application/json"]
    return [example["value"] for example in content["examples"].values()]


@pytest.mark.parametrize("name", [ORDERS, INTEGRATIONS, SHIPMENTS])
def test_error_examples_are_read(name: str) -> None:
    """Each example of a 4xx has items with a code and a detail."""
    found = 0
    for path, methods in contracts.document(name)["paths"].items():
        for method, operation in methods.items():
            for status in operation["responses"] if isinstance(operation, dict) and "responses" in operation else ():
                schema = contracts.resolved(name, operation["responses"][status])
                if status.startswith("4") and "examples" in schema.get("content", {}).get("application/json", {}):
                    for example in schema["content"]["application/json"]["examples"].values():
                        items = read_items(copy.deepcopy(example["value"]))
                        assert items, (method, path)
                        assert all(item.code and item.detail for item in items)
                        found += 1
    assert found > 2
