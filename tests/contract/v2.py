"""The contract of v2 as it can be kept.

Each contradiction between schema, prose and examples is patched here, with its reason.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.payloads.contract import _allow_null, document

METHODS = ("get", "put", "patch", "post", "delete")


def operations(contents: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and definition of each operation."""
    for path, methods in contents["paths"].items():
        for method in METHODS:
            if method in methods:
                yield path, method.upper(), methods[method]


@functools.cache
def patched() -> dict[str, Any]:
    contents = copy.deepcopy(document())
    schemas = contents["components"]["schemas"]

    # 1. A nullable enum does not list null, and yet "currency" is required where it is not known.
    _allow_null(contents)

    # 2. A first page has no previous one. The schema knows links only; the parcels API of the same family shows null.
    for path, method, operation in operations(contents):
        if operation.get("x-sendcloud-paginated"):
            assert method == "GET", path
            page = operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
            for link in ("next", "previous"):
                page[link]["type"] = [page[link]["type"], "null"]

    # 3. A shipment may be sent without an id of its own (null), but its result has to name one of at least one
    #    character. The document's own example of a result says "".
    del schemas["ShipmentCreateUpdateLog"]["properties"]["external_shipment_id"]["minLength"]

    # 4. An e-mail address is required, of at least no character, and is an e-mail address.
    for name in ("ShipmentBlobOrder", "ShipmentBlobOrderCreate"):
        email = schemas[name]["properties"].pop("email")
        schemas[name]["properties"]["email"] = {"type": "string", "anyOf": [{"const": ""}, {"format": email["format"]}]}

    # 5. No operation mentions what happens to wrong credentials or to too many requests. The guides do, and show
    #    for the first the body all errors have.
    body = contents["components"]["responses"]["404-Integrations"]["content"]
    for _, _, operation in operations(contents):
        operation["responses"]["401"] = {"description": "Wrong credentials.", "content": body}
        operation["responses"]["429"] = {"description": "Too many requests. The body is empty."}

    # 6. A filter can be nonsense as well as a body, but only for bodies a 400 is documented.
    shipments = contents["paths"]["/integrations/{id}/shipments"]["get"]
    shipments["responses"]["400"] = {"description": "A filter that means nothing.", "content": body}

    # The sandbox has another address.
    contents["servers"] = [{"url": "/api/v2"}]
    return contents


@functools.cache
def strict() -> dict[str, Any]:
    """Return the contract for requests, with what only prose, examples and Sendcloud's own shop integrations say."""
    contents = copy.deepcopy(patched())
    schemas = contents["components"]["schemas"]

    # "The smallest weight is 0.001 kg."
    schemas["ShipmentBlobOrderCreate"]["properties"]["weight"]["format"] = "weight"

    # The format "email" asks for hardly more than an "@". An address a label can be announced with has a domain.
    address = {"type": "string", "pattern": r"\A([^@\s]+@[^@\s.]+(\.[^@\s.]+)+)?\Z"}
    schemas["ShipmentBlobOrderCreate"]["properties"]["email"] = address

    # The three types of delivery, and what a product is made of, are named where Dynamic Checkout is explained.
    checkout = schemas["CheckoutPayload"]["properties"]
    checkout["delivery_method_type"]["enum"] = ["standard_delivery", "nominated_day_delivery", "same_day_delivery"]
    checkout["shipping_product"] |= {
        "properties": {
            "code": {"type": "string", "minLength": 1},
            "name": {"type": "string", "minLength": 1},
            "selected_functionalities": {"type": "object"},
        },
        "required": ["code", "name", "selected_functionalities"],
    }

    # Sendcloud's own shop integrations send "" for an unknown origin.
    origin = schemas["ParcelItems"]["properties"]["origin_country"]
    origin["enum"] = [*origin["enum"], ""]
    del origin["minLength"]

    # The schema allows an exception to be null; the example of a 400 is one that was.
    schemas["IntegrationLog"]["properties"]["exception"]["type"] = ["string"]
    return contents


def is_number(value: object, least: Decimal | None = None) -> bool:
    """Return whether a text has the format "decimal": digits and a point, no exponent."""
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)", value, re.ASCII):
        return False
    return least is None or Decimal(value) >= least


@functools.cache
def validator(name: str) -> Draft202012Validator:
    """Return a validator for a schema of the strict contract, with its format of decimals."""
    checker = FormatChecker(["date-time"])
    checker.checks("decimal")(is_number)
    checker.checks("weight")(functools.partial(is_number, least=Decimal("0.001")))
    resource = Resource(contents=strict(), specification=DRAFT202012)
    registry = Registry().with_resource("urn:contract", resource)
    reference = {"$ref": f"urn:contract#/components/schemas/{name}"}
    return Draft202012Validator(reference, registry=registry, format_checker=checker)


def wrong_fields(name: str, value: Any) -> set[str]:
    """Return the fields that the contract finds fault with."""
    found = set()
    for error in validator(name).iter_errors(value):
        if error.absolute_path:
            found.add(str(error.absolute_path[0]))
        elif error.validator == "required":
            found |= set(error.validator_value) - set(value)
        else:
            found.add("non_field_errors")
    return found
