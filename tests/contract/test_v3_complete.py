"""Operations and fields of the v3 documents are those of the sandbox; a new one in a document fails here."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Iterator
from typing import Any

import pytest

from django_sendcloud.sandbox.v3.operations import API
from django_sendcloud.sandbox.v3.order_checks import ORDER_FIELDS, check_order, check_patch

from .test_v3_answers import full_order
from .v3 import METHODS, NAMES, NOT_IMPLEMENTED, document, operations, wrong_fields


@pytest.mark.long
def test_operations_are_complete() -> None:
    ours = [(operation.method, operation.path) for operation in API.operations]
    theirs = [(method, path) for name in NAMES for method, path, _ in operations(document(name))]
    assert sorted(ours) == sorted(theirs)


def test_missing_operations_are_documented() -> None:
    documented = {
        (method.upper(), path)
        for name in NAMES
        for path, methods in document(name)["paths"].items()
        for method in METHODS
        if method in methods
    }
    assert documented > NOT_IMPLEMENTED


def test_order_has_all_fields() -> None:
    properties = document("orders")["components"]["schemas"]["order"]["properties"]
    writable = {name for name, definition in properties.items() if not definition.get("readOnly")}
    assert set(ORDER_FIELDS) == writable == set(full_order())


def at(value: Any, path: tuple[Any, ...]) -> Any:
    return functools.reduce(operator.getitem, path, value)


def order_around(path: tuple[Any, ...]) -> dict[str, Any]:
    """Return an order with its required blocks and the one of a path; validating all of them takes much longer."""
    needed = {"order_id", "order_number", "order_details", "payment_details", *path[:1]}
    return {name: value for name, value in full_order().items() if name in needed or not path}


def objects(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all objects in a document, the first of each list."""
    if isinstance(value, dict):
        return [path, *(found for name, item in value.items() for found in objects(item, (*path, name)))]
    if isinstance(value, list) and value:
        return objects(value[0], (*path, 0))
    return []


#: Values just within or beyond some limit of the contract.
EDGES: list[Any] = [
    *(None, True, 0, 1, -1, 1.0, 0.5, -0.5, "", " ", "x", "xx", "xxx", "0", "1.5", "abc", [], {}, ["x"], [{}], [None]),
    *("2026-02-28", "2026-02-28T10:00:00", "2026-02-28T10:00:00Z", "2026-02-30T10:00:00Z", "a@shop", "a@shop.example"),
    *("eur", "SEK", "EUR", "kg", "cm", "m3", "gift", "IATA", "adr", "Net", "shipping_option_code"),
    *([[]], ["x", 1], {"id": "1"}),
    {"id": "1", "carrier_service_point_id": "2"},
    {"value": 1, "currency": "EUR"},
    {"value": 1, "unit": "kg"},
    {"code": "x"},
]
#: Schemas have a format that JSON Schema does not define.
NOT_CHECKED = {("order_details", "order_items", 0, "image_url")}


ORDER, PATCH = (check_order, "batch-order"), (check_patch, "order-partial-update")
#: Objects that a partial update checks differently; it shares the checks of all others.
DIFFERENT: list[tuple[Any, ...]] = [
    (),
    ("order_details",),
    ("order_details", "integration"),
    ("order_details", "status"),
    ("order_details", "order_items", 0),
    ("order_details", "order_items", 0, "delivery_dates"),
    ("payment_details",),
    ("payment_details", "total_price"),
    ("customer_details",),
    ("shipping_address",),
    ("shipping_details",),
]
CASES = [(*ORDER, path) for path in objects(full_order())] + [(*PATCH, path) for path in DIFFERENT]
everywhere = pytest.mark.parametrize(
    ("check", "schema", "path"),
    CASES,
    ids=[f"{schema}:{'.'.join(map(str, path))}" for _, schema, path in CASES],
)


@pytest.mark.long
@everywhere
def test_fields_take_what_contract_allows(check: Any, schema: str, path: tuple[Any, ...]) -> None:
    """Each field gets values at the edges of the contract; the verdict is a third-party validator's."""
    different = []
    for name in at(full_order(), path):
        if (*path, name) in NOT_CHECKED:
            continue
        for value in EDGES:
            sent = order_around(path)
            at(sent, path)[name] = copy.deepcopy(value)
            ours = {str(place[0]) if place else "" for place, _ in check(sent)}
            theirs = wrong_fields(schema, sent)
            if ours != theirs:
                different.append((name, value, ours, theirs))
    assert different == []


def choices(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], list[str]]]:
    """Yield the path and the values of each enum of a schema."""
    if "$ref" in node:
        *_, name = node["$ref"].split("/")
        node = document("orders")["components"]["schemas"][name]
    if "enum" in node:
        yield path, node["enum"]
    for each in (*node.get("allOf", ()), *node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from choices(each, path)
    for name, each in node.get("properties", {}).items():
        yield from choices(each, (*path, name))
    if "items" in node:
        yield from choices(node["items"], (*path, 0))


def test_choices_are_those_of_contract() -> None:
    """A value that the document gets fails here. Payloads share the currencies."""
    found = dict(choices({"$ref": "#/components/schemas/order"}))
    for path, values in found.items():
        for value in (value for value in values if value is not None):
            sent = order_around(path)
            at(sent, path[:-1])[path[-1]] = value
            assert check_order(sent) == [], path
    assert len(found) > 20


@everywhere
def test_fields_are_required_by_contract(check: Any, schema: str, path: tuple[Any, ...]) -> None:
    for name in at(full_order(), path):
        sent = order_around(path)
        del at(sent, path)[name]
        assert bool(check(sent)) == bool(wrong_fields(schema, sent)), name
