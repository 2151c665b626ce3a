"""The documents of API v3, what they say of fields and enums, and requests to validate against a document."""

from __future__ import annotations

import copy
import functools
import urllib.parse
from collections.abc import Iterator
from typing import Any

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.contract.documents import document
from tests.payloads.contract import _allow_null

from .conftest import Request

NAMES = ("orders-v3", "integrations-v3", "shipments-v3", "user-v3", "service-points-v3")

#: Operations of the documents that the client leaves out, each with its reason.
LEFT_OUT = {
    ("integrations-v3", "get", "/shop-order-statuses"): "for shop systems that Sendcloud itself connects",
    ("integrations-v3", "post", "/shop-order-statuses"): "for shop systems that Sendcloud itself connects",
    ("integrations-v3", "get", "/shop-order-statuses/mapping"): "for shop systems that Sendcloud itself connects",
    ("integrations-v3", "post", "/shop-order-statuses/mapping"): "for shop systems that Sendcloud itself connects",
    ("service-points-v3", "get", "/service-points"): "the buyer's browser asks, by Sendcloud's picker",
    ("service-points-v3", "get", "/service-points/{service_point_id}"): "the choice is stored with the order",
}


class Sent:
    """A request that arrived at a socket, as openapi-core wants to see it."""

    host_url = "https://panel.sendcloud.sc"
    content_type = "application/json"

    def __init__(self, request: Request) -> None:
        self.path = request.path
        self.method = request.method.lower()
        self.body = request.body or None
        query = ImmutableMultiDict(urllib.parse.parse_qsl(request.query))
        self.parameters = RequestParameters(query=query, header=Headers(request.headers), cookie=ImmutableMultiDict())


def operations() -> Iterator[tuple[str, str, str]]:
    """Yield document, method and path of every operation the client has to have."""
    for name in NAMES:
        for path, methods in document(name)["paths"].items():
            for method, operation in methods.items():
                key = (name, method, path)
                if isinstance(operation, dict) and "responses" in operation and key not in LEFT_OUT:
                    yield key


def resolved(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with its reference followed."""
    while "$ref" in schema:
        kind, target = schema["$ref"].split("/")[-2:]
        schema = document(name)["components"][kind][target]
    return schema


def fields(name: str, schema: str | dict[str, Any]) -> set[str]:
    """Return every field of a schema, those of its parts (``allOf``, ``oneOf``) included."""
    if isinstance(schema, str):
        schema = document(name)["components"]["schemas"][schema]
    schema = resolved(name, schema)
    found = set(schema.get("properties", {}))
    for part in [*schema.get("allOf", []), *schema.get("oneOf", [])]:
        found |= fields(name, part)
    return found


def at(name: str, schema: str, *path: str) -> dict[str, Any]:
    """Return the schema of a nested field, through references, parts and lists."""
    node = resolved(name, document(name)["components"]["schemas"][schema])
    for step in path:
        node = resolved(name, _field(name, node, step))
        if node.get("type") == "array" or "array" in (node.get("type") or ()):
            node = resolved(name, node["items"])
    return node


def _field(name: str, node: dict[str, Any], step: str) -> dict[str, Any]:
    node = resolved(name, node)
    if step in node.get("properties", {}):
        found: dict[str, Any] = node["properties"][step]
        return found
    for part in [*node.get("allOf", []), *node.get("oneOf", [])]:
        if step in fields(name, part):
            return _field(name, part, step)
    raise KeyError(step)


def promised(name: str, method: str, path: str) -> set[int]:
    """Return the statuses of success that the contract promises for an operation."""
    responses = document(name)["paths"][path][method]["responses"]
    return {int(status) for status in responses if status.startswith("2")}


@functools.cache
def validator(name: str) -> OpenAPI:
    """Return a validator of requests that was not written here."""
    contents = copy.deepcopy(document(name))
    _allow_null(contents)
    return OpenAPI.from_dict(contents)
