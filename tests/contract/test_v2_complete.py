"""Operations and fields of the v2 document are those of the sandbox; a new one in the document fails here.

A new status fails in ``test_v2_answers``.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import pytest
import requests

from django_sendcloud.sandbox import Sandbox
from django_sendcloud.sandbox.v2.operations import API
from tests.payloads.builders import full_shipment
from tests.payloads.contract import document, schema

from .v2 import operations, wrong_fields

REQUIRED = ["This field is required."]


@pytest.fixture
def ask(sandbox: Sandbox) -> Any:
    def send(method: str, path: str, body: Any = None) -> Any:
        address = f"{sandbox.v2_url}/integrations/{sandbox.integration_id}{path}"
        return requests.request(
            method, address, json=body, auth=(sandbox.public_key, sandbox.secret_key), timeout=10
        ).json()

    return send


@pytest.fixture
def upsert(ask: Any) -> Any:
    """Send shipments, however many; returns the errors of each."""

    def send(shipments: list[Any]) -> list[dict[str, Any]]:
        batches = (shipments[start : start + 100] for start in range(0, len(shipments), 100))
        return [result.get("error", {}) for batch in batches for result in ask("POST", "/shipments", batch)]

    return send


def test_operations_are_complete() -> None:
    ours = [
        (operation.path, operation.method) for operation in API.operations if operation.path.startswith("/integrations")
    ]
    theirs = [(path, method) for path, method, _ in operations(document())]
    assert sorted(ours) == sorted(theirs)


def test_shipment_fields_are_all_checked(upsert: Any) -> None:
    names = list(schema("ShipmentBlobOrderCreate")["properties"])
    full = full_shipment().to_json()
    # No field of a shipment may be true.
    for name, errors in zip(names, upsert([{**full, name: True} for name in names]), strict=True):
        assert errors.keys() == {name}
    assert upsert([{**full, "colour": True}]) == [{}]


def test_required_fields_are_those_of_contract(upsert: Any) -> None:
    names = list(schema("ShipmentBlobOrderCreate")["properties"])
    full = full_shipment().to_json()
    without = [{key: value for key, value in full.items() if key != name} for name in names]
    required = set(schema("ShipmentBlobOrderCreate")["required"])
    assert dict(zip(names, upsert(without), strict=True)) == {
        name: {name: REQUIRED} if name in required else {} for name in names
    }


def test_shipment_fields_come_back(ask: Any, upsert: Any) -> None:
    full = full_shipment().to_json()
    assert full.keys() == schema("ShipmentBlobOrderCreate")["properties"].keys()
    assert upsert([{**full, "colour": "red"}]) == [{}]
    [shown] = ask("GET", "/shipments")["results"]
    assert shown.keys() == schema("ShipmentBlobOrder")["properties"].keys()
    # The shop's own times have other names here, as the document explains.
    times = {"created_at", "updated_at"}
    assert {name: shown[name] for name in full.keys() - times} == {name: full[name] for name in full.keys() - times}
    assert shown["shipment_created_at"] == "2026-03-01T09:30:00.000000Z"
    assert shown["shipment_updated_at"] == "2026-03-02T10:00:00.123456Z"


#: Values that stand just within or just beyond some limit of the contract.
EDGES: list[Any] = [
    *(None, True, 0, 1, -1, 4, 5, 1.0, 0.5, 2**63),
    *(
        "",
        " ",
        "x",
        "0",
        "0.001",
        "0.0009",
        "-1",
        "1,5",
        "NaN",
        "Infinity",
        "1e3",
        "1_0",
        "١",
        ".5",
        "5.",
        "1" * 10,
        "1" * 11,
    ),
    *("x" * 12, "x" * 13, "x" * 35, "x" * 100, "x" * 101, "x" * 5000, "é" * 100, "é" * 101, "\0", "🏷"),
    *(
        "NL",
        "nl",
        "NLD",
        "XK",
        "IC",
        "XX",
        "EUR",
        "eur",
        "CHF",
        "nobody",
        "a@shop",
        "a@shop.example",
        "a b@shop.example",
    ),
    *(
        "2026-02-28",
        "2026-02-28T10:00:00",
        "2026-02-28T10:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-02-28T10:00:00.5+14:00",
    ),
    *("2026-02-28t10:00:00z", "2026-02-28T24:00:00Z", "2026-02-28T10:00:00+0200", "0000-01-01T00:00:00Z"),
    *("standard_delivery", "same_day"),
    *([], {}, ["x"], [{}], [None], {"id": "open"}, {"id": "open", "message": "Open"}, {"id": "", "message": "Open"}),
    *({"value": "1.50", "currency": "EUR"}, {"value": 1.5}, {"value": "abc"}, {"a": "b"}, {"a": None}, {"a": 1}),
]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    return functools.reduce(operator.getitem, path, value)


@pytest.mark.long
@pytest.mark.parametrize(
    "path",
    [
        (),
        ("order_status",),
        ("payment_status",),
        ("parcel_items", 0),
        ("checkout_payload",),
        ("checkout_payload", "shipping_product"),
        ("checkout_payload", "delivery_method_data"),
        ("customs_details",),
        ("customs_details", "freight_costs"),
        ("customs_details", "tax_numbers"),
        ("customs_details", "tax_numbers", "receiver", 0),
    ],
    ids=lambda path: ".".join(map(str, path)) or "shipment",
)
def test_fields_take_what_contract_allows(upsert: Any, path: tuple[Any, ...]) -> None:
    sent = []
    for name in at(full_shipment().to_json(), path):
        for value in EDGES:
            changed = full_shipment().to_json()
            at(changed, path)[name] = value
            sent.append(changed)
    expected = [wrong_fields("ShipmentBlobOrderCreate", value) for value in sent]
    assert {True, False} == {bool(errors) for errors in expected}
    answered = [set(errors) for errors in upsert(sent)]
    assert [
        (at(value, path), ours, theirs)
        for value, ours, theirs in zip(sent, answered, expected, strict=True)
        if ours != theirs
    ] == []


def test_settings_are_all_checked(ask: Any) -> None:
    before = ask("GET", "")
    for name, definition in schema("IntegrationUpdate")["properties"].items():
        # The name is read-only by the schema, and changed by the document's own examples.
        if name == "shop_name" or not definition.get("readOnly"):
            error = ask("PATCH", "", {name: {}})["error"]
            assert error["code"] == 400
            assert name in error["message"]
        else:
            assert ask("PATCH", "", {name: {}})[name] == before[name]
    assert ask("GET", "") == before


def test_log_fields_are_checked_and_returned(ask: Any) -> None:
    fields = schema("IntegrationLog")["properties"]
    for name, definition in fields.items():
        answer = ask("POST", "/logs", {"base_url": "https://shop.example", name: []})
        assert (list(answer) == ["error"] and name in answer["error"]["message"]) != definition.get("readOnly", False)
    entry = {
        "user_id": 7,
        "base_url": "https://shop.example",
        "full_url": "https://shop.example/hook",
        "method": "POST",
        "response_code": 500,
        "response": {"headers": {"Server": "x"}, "body": "no"},
        "request": {"headers": {"A": "b"}, "payload": {"c": 1}},
        "created_at": "2026-03-01T02:02:00+01:00",
        "exception_type": "requests.exceptions.SSLError",
        "exception": "An SSL error occurred",
    }
    shown = ask("POST", "/logs", entry)
    assert shown.keys() == {name for name, definition in fields.items() if not definition.get("writeOnly")}
    del entry["user_id"]
    assert entry.items() <= shown.items()
    assert ask("GET", "/logs")["results"][-1] == shown
