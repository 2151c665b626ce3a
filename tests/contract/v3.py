"""The contracts of v3 as they can be kept.

Each contradiction between schema, prose, examples and live answers is patched here, with its reason.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from . import documents

METHODS = ("get", "put", "patch", "post", "delete")
NAMES = ("orders", "integrations", "shipments", "user", "service-points")

#: Operations of the documents that the sandbox does not have, because no part of this package uses them.
NOT_IMPLEMENTED = {
    ("GET", "/shop-order-statuses"),
    ("POST", "/shop-order-statuses"),
    ("GET", "/shop-order-statuses/mapping"),
    ("POST", "/shop-order-statuses/mapping"),
    ("GET", "/service-points"),
    ("GET", "/service-points/{service_point_id}"),
}


def document(name: str) -> dict[str, Any]:
    """Return a contract as Sendcloud publishes it."""
    return documents.document(f"{name}-v3")


def operations(contents: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and definition of each operation."""
    for path, methods in contents["paths"].items():
        for method in METHODS:
            if method in methods and (method.upper(), path) not in NOT_IMPLEMENTED:
                yield method.upper(), path, methods[method]


@functools.cache
def patched(name: str) -> dict[str, Any]:
    """Return a contract for answers, with what live answers are known to do."""
    contents = copy.deepcopy(document(name))
    schemas = contents["components"]["schemas"]
    schemas.setdefault("errors", copy.deepcopy(document("orders")["components"]["schemas"]["errors"]))
    schemas.setdefault("ErrorObject", copy.deepcopy(document("orders")["components"]["schemas"]["ErrorObject"]))

    # 1. "nullable" is OpenAPI 3.0; a validator of 3.1 ignores it.
    _each(contents, _allow_null_by_flag)

    # 2. A schema that may be null refers to one that must not.
    if "payment-details" in schemas:
        for schema in ("payment-details", "order-partial-update"):
            properties = schemas[schema]["properties"]
            for costs in _all_costs(properties):
                costs.pop("type")
                costs["anyOf"] = [{"type": "null"}, {"$ref": costs.pop("$ref")}]

    # 3. A live answer shows costs as numbers, and the enums of dangerous goods in lower case.
    if "costs-object" in schemas:
        value = schemas["costs-object"]["properties"]["value"]
        value["type"] = [*value["type"], "number"]
        for goods in schemas["dangerous-goods"]["properties"].values():
            if "enum" in goods:
                goods["enum"] = [*goods["enum"], *(choice.lower() for choice in goods["enum"])]

    # 4. The integrations of a filter are a list with commas, by its description.
    if "integration" in contents["components"].get("parameters", {}):
        contents["components"]["parameters"]["integration"]["schema"] = {"type": "string"}

    # 5. The error of an unknown log field has a code that the enum lacks.
    codes = schemas["ErrorObject"]["properties"]["code"]["enum"]
    codes.append("extra_forbidden")

    # 6. No operation mentions wrong credentials or too many requests; the guides do.
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/errors"}}}
    for _, _, operation in operations(contents):
        operation["responses"]["401"] = {"description": "Wrong credentials.", "content": body}
        operation["responses"]["429"] = {"description": "Too many requests. The body is empty."}

    # 7. A cursor of the logs can be no moment, and is then refused as shipments refuse it.
    for path in ("/integrations/logs", "/integrations/{id}/logs"):
        if path in contents["paths"]:
            contents["paths"][path]["get"]["responses"]["400"] = {"description": "No cursor.", "content": body}

    # 8. A list of shipments may be empty; and its errors are a bare list in the schema, but not in any example.
    if name == "shipments":
        schemas["errors"] = copy.deepcopy(document("orders")["components"]["schemas"]["errors"])
        answer = contents["paths"]["/shipments"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        del answer["properties"]["data"]["minItems"]

    # The sandbox has another address.
    contents["servers"] = [{"url": "/api/v3"}]
    return contents


@functools.cache
def strict() -> dict[str, Any]:
    """Return the contract of orders for requests, with what only prose and examples say."""
    contents = copy.deepcopy(document("orders"))
    schemas = contents["components"]["schemas"]
    _each(contents, _allow_null_by_flag)
    for schema in ("payment-details", "order-partial-update"):
        for costs in _all_costs(schemas[schema]["properties"]):
            costs.pop("type")
            costs["anyOf"] = [{"type": "null"}, {"$ref": costs.pop("$ref")}]
    # A quantity has a length in the schema, and must be greater than 0 in the example of an error.
    schemas["order-items"]["items"]["properties"]["quantity"]["minimum"] = 1
    # The format "email" asks for hardly more than an "@".
    schemas["address"]["properties"]["email"] = {"type": "string", "pattern": r"\A[^@\s]+@[^@\s.]+(\.[^@\s.]+)+\Z"}
    # Sendcloud's own id is read-only in the schema of an order, and text in a batch.
    schemas["batch-order"] = {
        "allOf": [{"$ref": "#/components/schemas/order"}, {"properties": {"id": {"type": "string"}}}]
    }
    # Read-only fields are ignored.
    for schema in ("order", "order-partial-update"):
        for name in ("created_at", "modified_at"):
            del schemas[schema]["properties"][name]
    return contents


def _all_costs(properties: dict[str, Any]) -> Iterator[dict[str, Any]]:
    owner = properties.get("payment_details", {}).get("properties", properties)
    for name in ("discount_granted", "insurance_costs", "freight_costs", "other_costs"):
        yield owner[name]


def _allow_null_by_flag(node: dict[str, Any]) -> None:
    if node.get("nullable") is True and isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]


def _each(node: Any, change: Callable[[dict[str, Any]], None]) -> None:
    if isinstance(node, dict):
        change(node)
        for value in node.values():
            _each(value, change)
    elif isinstance(node, list):
        for value in node:
            _each(value, change)


@functools.cache
def validator(name: str) -> Draft202012Validator:
    """Return a validator for a schema of the strict contract of orders."""
    checker = FormatChecker(["date-time"])
    resource = Resource(contents=strict(), specification=DRAFT202012)
    registry = Registry().with_resource("urn:contract", resource)
    return Draft202012Validator(
        {"$ref": f"urn:contract#/components/schemas/{name}"}, registry=registry, format_checker=checker
    )


def wrong_fields(name: str, value: Any) -> set[str]:
    """Return the fields at the top of a document that the contract finds fault with."""
    found = set()
    for error in validator(name).iter_errors(value):
        if error.absolute_path:
            found.add(str(error.absolute_path[0]))
        elif error.validator == "required":
            found |= set(error.validator_value) - set(value)
        else:
            found.add("")
    return found
