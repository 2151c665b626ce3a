"""The contract's schemas, and a validator that was not written here."""

from __future__ import annotations

import copy
import functools
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.contract import documents


def document() -> dict[str, Any]:
    return documents.document("integrations-v2")


def schema(name: str) -> dict[str, Any]:
    return document()["components"]["schemas"][name]


def _allow_null(node: Any) -> None:
    """Add null to nullable enums that do not list it: the one contradiction that cannot be avoided."""
    if isinstance(node, dict):
        if "null" in (node.get("type") or ()) and isinstance(node.get("enum"), list) and None not in node["enum"]:
            node["enum"] = [*node["enum"], None]
        for value in node.values():
            _allow_null(value)
    elif isinstance(node, list):
        for value in node:
            _allow_null(value)


@functools.cache
def validator(name: str, *, literal: bool = False) -> Draft202012Validator:
    """Return a validator for a schema, formats asserted; ``literal`` leaves the nullable enums as they are."""
    contents = copy.deepcopy(document())
    if not literal:
        _allow_null(contents)
    resource = Resource(contents=contents, specification=DRAFT202012)
    registry = Registry().with_resource("urn:contract", resource)
    checker = FormatChecker(["date-time", "date", "uuid", "email"])
    return Draft202012Validator(
        {"$ref": f"urn:contract#/components/schemas/{name}"}, registry=registry, format_checker=checker
    )


def problems(name: str, value: Any, *, literal: bool = False) -> list[str]:
    return sorted(
        f"{error.json_path}: {error.message}" for error in validator(name, literal=literal).iter_errors(value)
    )


def orders_v3() -> dict[str, Any]:
    return documents.document("orders-v3")


def order_properties(name: str) -> dict[str, Any]:
    """Return the properties of a schema of API v3's orders."""
    return orders_v3()["components"]["schemas"][name]["properties"]


def _forbid_unknown(node: Any) -> None:
    """Refuse keys that a schema does not list, because API v3 answers them with ``unknown_field``."""
    if isinstance(node, dict):
        if "properties" in node and "additionalProperties" not in node:
            node["additionalProperties"] = False
        for value in node.values():
            _forbid_unknown(value)
    elif isinstance(node, list):
        for value in node:
            _forbid_unknown(value)


@functools.cache
def order_validator() -> Draft202012Validator:
    """Return a validator for an order of API v3, formats asserted and unknown keys forbidden."""
    contents = {"components": {"schemas": copy.deepcopy(orders_v3()["components"]["schemas"])}}
    _forbid_unknown(contents)
    resource = Resource(contents=contents, specification=DRAFT202012)
    registry = Registry().with_resource("urn:orders", resource)
    checker = FormatChecker(["date-time", "date", "uuid", "email"])
    return Draft202012Validator(
        {"$ref": "urn:orders#/components/schemas/order"}, registry=registry, format_checker=checker
    )


def order_problems(value: Any) -> list[str]:
    return sorted(f"{error.json_path}: {error.message}" for error in order_validator().iter_errors(value))
