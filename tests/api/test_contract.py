"""The client against the OpenAPI document, in both directions, by validators that were not written here."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import functools
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from openapi_core import OpenAPI

from django_sendcloud.api import (
    LoggedRequest,
    LoggedResponse,
    SendcloudClient,
)
from django_sendcloud.api.v2 import (
    Integration,
    IntegrationLog,
    IntegrationLogEntry,
    IntegrationPatch,
    IntegrationSettings,
    IntegrationUpdate,
    Shipment,
    ShipmentItem,
    ShipmentStatus,
)
from django_sendcloud.api.v2.shipments import _answers, _result
from django_sendcloud.enums import UpsertStatus
from tests.payloads.builders import UPDATED, full_shipment, shipment
from tests.payloads.contract import _allow_null, document, problems, schema
from tests.payloads.generate import instances

from . import contracts
from .conftest import Request, Server, answer

UUID = "6b436cb2-65a4-482c-9d25-38be7868ff00"


def operations() -> Iterator[tuple[str, str, str]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            if isinstance(operation, dict) and "operationId" in operation:
                yield path, method, operation["operationId"].removeprefix("sc-public-v2-orders-")


#: One use of the client for each operation of the contract, with all it can send.
CALLS: dict[str, Callable[[SendcloudClient], object]] = {
    "get-retrieve_a_list_of_integrations": lambda client: client.v2.integrations.list(ordering="-id"),
    "get-retrieve_an_integration": lambda client: client.v2.integrations.get(7),
    "put-update_an_integration": lambda client: client.v2.integrations.update(
        7,
        IntegrationUpdate(
            shop_name="S" * 250,
            shop_url="https://shop.example/",
            service_point_enabled=True,
            service_point_carriers=["ups", "postnl"],
            webhook_active=True,
            webhook_url="https://shop.example/hook",
        ),
    ),
    "patch-partial_update_an_integration": lambda client: client.v2.integrations.patch(
        7,
        IntegrationPatch(
            shop_name="S",
            shop_url="https://shop.example/",
            service_point_enabled=True,
            service_point_carriers=["ups"],
            webhook_active=False,
            webhook_url="https://shop.example/hook",
        ),
    ),
    "delete-delete_an_integration": lambda client: client.v2.integrations.delete(7),
    "get-retrieve_a_list_of_shipments": lambda client: list(
        client.v2.shipments.list(
            7,
            start_date=dt.date(2026, 1, 1),
            end_date=dt.date(2026, 2, 1),
            external_order_ids=["1", "2"],
            external_shipment_ids=["S1", "S2"],
            order_number="A-1",
            sender_address=5,
            shipping_rules=True,
            cursor="cj0xJnA9MzAw",
        )
    ),
    "post-create_a_list_of_shipments": lambda client: client.v2.shipments.upsert(
        7, [full_shipment(), shipment(email="ada@shop.example")]
    ),
    "post-delete_a_shipment": lambda client: client.v2.shipments.delete(7, shipment_uuid=UUID),
    "get-retrieve_integrations_logs": lambda client: list(client.v2.integrations.logs.list()),
    "get-retrieve_integration_logs": lambda client: list(client.v2.integrations.logs.list(7)),
    "post-create_integration_logs": lambda client: client.v2.integrations.logs.create(
        7,
        IntegrationLogEntry(
            base_url="https://shop.example",
            full_url="https://shop.example/hook",
            method="POST",
            response_code=0,
            response=LoggedResponse(headers={"X": "y"}, body={"a": 1}),
            request=LoggedRequest(headers="none", payload="text"),
            user_id=1,
            created_at=UPDATED,
            exception_type="builtins.KeyError",
            exception="no such order",
        ),
    ),
}


@functools.cache
def validator() -> OpenAPI:
    patched = copy.deepcopy(document())
    _allow_null(patched)
    return OpenAPI.from_dict(patched)


@pytest.fixture
def recorder(serve) -> Server:
    """Start a server that answers every operation readably."""

    def script(request: Request, connection: Any) -> bytes:
        if request.method == "GET" and request.path.endswith(("logs", "shipments")):
            return answer({"results": []})
        if request.method == "GET" and request.path.endswith("integrations"):
            return answer([])
        if request.method == "DELETE" or request.path.endswith("/delete"):
            return answer(status="204 No Content")
        if request.method == "POST" and request.path.endswith("logs"):
            return answer({"id": 7}, "201 Created")
        return answer([]) if request.path.endswith("shipments") else answer({"id": 7})

    return serve(script)


def test_operations_of_contract_all_have_uses() -> None:
    assert set(CALLS) == {name for _, _, name in operations()}
    assert len(CALLS) == 11


@pytest.mark.parametrize(("path", "method", "name"), list(operations()), ids=lambda value: str(value))
def test_request_is_valid(recorder, connect, path: str, method: str, name: str) -> None:
    CALLS[name](connect(recorder))
    [request] = recorder.requests
    assert request.method == method.upper()
    sent = contracts.Sent(request)
    assert list(validator().iter_request_errors(sent)) == []
    found = validator().unmarshal_request(sent)
    assert found.errors == []
    declared = document()["paths"][path][method]
    assert bool(request.body) == ("requestBody" in declared)
    names = {parameter.get("name", "cursor") for parameter in declared.get("parameters", [])} - {"id"}
    assert {key for key, _ in urllib.parse.parse_qsl(request.query)} == names


def test_validator_notices_invalid_shipment(recorder, connect) -> None:
    CALLS["post-create_a_list_of_shipments"](connect(recorder))
    sent = contracts.Sent(recorder.requests[0])
    sent.body = sent.body.replace(b'"weight":"1.25"', b'"weight":1.25') if sent.body else None
    assert len(list(validator().iter_request_errors(sent))) == 1


def test_writable_fields_are_all_written(recorder, connect) -> None:
    client = connect(recorder)
    for name in ("put-update_an_integration", "post-create_integration_logs", "patch-partial_update_an_integration"):
        CALLS[name](client)
    put, log, patch = (set(request.json) for request in recorder.requests)
    # shop_name is marked read-only and yet the operation's text and examples change it.
    assert put == patch == set(schema("IntegrationUpdate")["properties"]) - {"last_updated_at"}
    assert log == set(schema("IntegrationLog")["properties"]) - {"id", "protected"}
    response, request = (schema("IntegrationLog")["properties"][name]["properties"] for name in ("response", "request"))
    assert {field.name for field in dataclasses.fields(LoggedResponse)} == set(response)
    assert {field.name for field in dataclasses.fields(LoggedRequest)} == set(request)


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (Integration, "Integration"),
        (IntegrationSettings, "IntegrationUpdate"),
        (IntegrationLog, "IntegrationLog"),
        (Shipment, "ShipmentBlobOrder"),
        (ShipmentItem, "ParcelItems"),
        (ShipmentStatus, "ShipmentBlobStatus"),
    ],
)
def test_result_has_fields_of_schema(result: type, name: str) -> None:
    assert {field.name for field in dataclasses.fields(result)} - {"raw"} == set(schema(name)["properties"])


def test_upsert_statuses_are_those_of_schemas() -> None:
    statuses = [
        schema(name)["properties"]["status"]["enum"] for name in ("ShipmentCreateUpdateLog", "ShipmentErrorLog")
    ]
    assert {value for values in statuses for value in values} == {member.value for member in UpsertStatus} - {"unknown"}


# Answers generated from the contract's schemas


def generated(name: str, *required: str) -> Any:
    """Generate values of one schema that contain the ``required`` fields."""
    return instances(schema(name), *required)


relaxed = settings(suppress_health_check=list(HealthCheck))


@given(generated("Integration", "id"))
@relaxed
@pytest.mark.long
def test_generated_integration_is_read(raw: dict[str, Any]) -> None:
    assert problems("Integration", raw) == []
    found = Integration.from_api(raw)
    assert (found.id, found.shop_name, found.system) == (raw["id"], raw["shop_name"], raw["system"])
    assert found.webhook_active is raw.get("webhook_active", False)
    assert found.raw == raw


@given(generated("IntegrationUpdate"))
@relaxed
@pytest.mark.long
def test_generated_settings_are_read(raw: dict[str, Any]) -> None:
    assert problems("IntegrationUpdate", raw) == []
    assert IntegrationSettings.from_api(raw).service_point_carriers == tuple(raw.get("service_point_carriers", ()))


@pytest.mark.long
@given(generated("IntegrationLog"))
@relaxed
def test_generated_log_entry_is_read(raw: dict[str, Any]) -> None:
    assert problems("IntegrationLog", raw) == []
    assert IntegrationLog.from_api(raw).base_url == raw["base_url"]


@pytest.mark.long
@given(generated("ShipmentBlobOrder"))
@relaxed
def test_generated_shipment_is_read(raw: dict[str, Any]) -> None:
    assert problems("ShipmentBlobOrder", raw) == []
    found = Shipment.from_api(raw)
    assert found.key == (raw["external_order_id"], raw["external_shipment_id"] or "")
    assert (found.name, found.country, found.city) == (raw["name"], raw["country"], raw["city"])
    assert len(found.parcel_items) == len(raw["parcel_items"] or ())
    assert (found.order_status is None) == (raw["order_status"] is None)


@given(generated("ShipmentCreateUpdateLog", "external_order_id", "external_shipment_id", "status"))
@relaxed
@pytest.mark.long
def test_generated_upsert_success_is_read(raw: dict[str, Any]) -> None:
    assert problems("ShipmentCreateUpdateLog", raw) == []
    order, item = raw["external_order_id"], raw["external_shipment_id"]
    if order.isspace() or item.isspace() or "\0" in order + item:
        return
    payload = shipment(external_order_id=order, external_shipment_id=item)
    result = _result(payload, _answers([raw])[payload.key])
    assert result.status == raw["status"]
    assert result.shipment_uuid == raw.get("shipment_uuid")


@given(generated("ShipmentErrorLog", "external_order_id", "status"))
@relaxed
@pytest.mark.long
def test_generated_upsert_rejection_is_read(raw: dict[str, Any]) -> None:
    assert problems("ShipmentErrorLog", raw) == []
    result = _result(shipment(), [raw])
    assert result.status == UpsertStatus.ERROR
    assert all(isinstance(message, str) for messages in result.errors.values() for message in messages)
