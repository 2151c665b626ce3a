"""Parcels and labels of v2 against their OpenAPI documents, for orders of both generations."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
import requests
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from django_sendcloud.sandbox import Sandbox
from django_sendcloud.sandbox.v2.operations import API
from tests.payloads.builders import full_shipment, shipment

from . import documents
from .test_v3_answers import full_order

#: Operations of the documents that the sandbox does not have, because a shop of ours makes no labels by API.
NOT_IMPLEMENTED = {("POST", "/parcels"), ("PUT", "/parcels")}


def document(name: str) -> dict[str, Any]:
    """Return a contract as Sendcloud publishes it."""
    return documents.document(f"{name}-v2")


@functools.cache
def contract(name: str) -> OpenAPI:
    contents = copy.deepcopy(document(name))
    _allow_nulls_of_examples(contents)
    if name == "parcels":
        # Links of a page are numbers in the schema, and addresses or null in its example.
        page = contents["paths"]["/parcels"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        for link in ("next", "previous"):
            page["properties"][link]["type"] = ["string", "null"]
    contents["servers"] = [{"url": "/api/v2"}]
    return OpenAPI.from_dict(contents)


def _allow_nulls_of_examples(node: Any) -> None:
    """Let fields be null that are null in the examples of the documents, and not in their schemas."""
    if isinstance(node, dict):
        for name, field in (node.get("properties") or {}).items():
            if name in ("awb_tracking_number", "box_number", "length", "width", "height"):
                field["type"] = [field["type"], "null"] if isinstance(field.get("type"), str) else field["type"]
        for value in node.values():
            _allow_nulls_of_examples(value)
    elif isinstance(node, list):
        for value in node:
            _allow_nulls_of_examples(value)


class Caller:
    """Sends requests, and checks every answer against its document."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.seen: set[tuple[str, str, str]] = set()

    def __call__(self, status: int, method: str, template: str, number: Any = 0, **options: Any) -> requests.Response:
        path = template.replace("{id}", str(number)).replace("{parcel_id}", str(number))
        keys = (self.sandbox.public_key, self.sandbox.secret_key)
        response = requests.request(method, f"{self.sandbox.v2_url}{path}", auth=keys, timeout=10, **options)
        assert response.status_code == status, response.text
        self.seen.add((method, template, str(status)))
        name = "parcels" if template.startswith("/parcels") else "labels"
        if response.headers.get("Content-Type") == "application/pdf":
            # The validator cannot read a PDF as the text of its schema.
            documented = document(name)["paths"][template][method.lower()]["responses"][str(status)]
            while "$ref" in documented:
                documented = document(name)["components"]["responses"][documented["$ref"].rpartition("/")[2]]
            assert "application/pdf" in documented["content"]
            assert response.content.startswith(b"%PDF")
            return response
        request, answer = RequestsOpenAPIRequest(response.request), RequestsOpenAPIResponse(response)
        problems = contract(name).iter_response_errors(request, answer)
        assert [repr(problem.__cause__ or problem) for problem in problems] == []
        return response


@pytest.fixture
def call(sandbox: Sandbox) -> Caller:
    """Return a caller for a sandbox with orders of both generations."""
    keys = (sandbox.public_key, sandbox.secret_key)
    old = [full_shipment().to_json(), {**shipment().to_json(), "external_order_id": "small"}]
    url = f"{sandbox.v2_url}/integrations/{sandbox.integration_id}/shipments"
    assert requests.post(url, json=old, auth=keys, timeout=10).status_code == 200
    new = [{**full_order(), "order_id": "new"}]
    assert requests.post(f"{sandbox.v3_url}/orders", json=new, auth=keys, timeout=10).status_code == 201
    return Caller(sandbox)


def operations() -> set[tuple[str, str, str]]:
    """Return method, path and status of all answers that the documents have."""
    return {
        (method.upper(), path, status)
        for name in ("parcels", "labels")
        for path, methods in document(name)["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "post", "put") and (method.upper(), path) not in NOT_IMPLEMENTED
        for status in operation["responses"]
    }


@pytest.mark.long
def test_operations_are_complete() -> None:
    ours = {(operation.method, operation.path) for operation in API.operations}
    assert {(method, path) for method, path, _ in operations()} <= ours
    assert not NOT_IMPLEMENTED & ours


@pytest.mark.long
def test_answers_follow_documents(call: Caller) -> None:
    parcels = [parcel["id"] for name in ("1042", "small", "new") for parcel in call.sandbox.create_label(name, 2)]
    back = call.sandbox.create_return(parcels[0])["id"]
    for number in [*parcels, back]:
        call(200, "GET", "/parcels/{id}", number)
        call(200, "GET", "/labels/{parcel_id}", number)
    assert len(call(200, "GET", "/parcels").json()["parcels"]) == len(parcels) + 1
    call(200, "GET", "/parcels/{id}/return_portal_url", parcels[0])
    call(200, "POST", "/labels", json={"label": {"parcels": parcels}})
    for sheet in ("/labels/normal_printer", "/labels/label_printer", "/customs_declaration/normal_printer"):
        call(200, "GET", f"{sheet}/{{parcel_id}}", parcels[0])
        call(200, "GET", sheet, params={"ids": ",".join(map(str, parcels))})
        call(404, "GET", f"{sheet}/{{parcel_id}}", 1)
        call(404, "GET", sheet, params={"ids": "1"})
        call(400, "GET", sheet)
    call(400, "GET", "/labels/normal_printer/{parcel_id}", parcels[0], params={"start_from": 9})
    for path in ("/parcels/{id}", "/labels/{parcel_id}", "/parcels/{id}/return_portal_url"):
        call(404, "GET", path, 1)
    call(404, "GET", "/parcels", params={"cursor": "nonsense"})
    call(404, "POST", "/labels", json={"label": {"parcels": [1]}})
    call(404, "POST", "/parcels/{id}/cancel", 1)
    call(200, "POST", "/parcels/{id}/cancel", parcels[0])
    call(400, "POST", "/parcels/{id}/cancel", parcels[0])
    call.sandbox.set_parcel_status(parcels[1], 1)
    call(202, "POST", "/parcels/{id}/cancel", parcels[1])
    call.sandbox.set_parcel_status(parcels[2], 1002)
    call(410, "POST", "/parcels/{id}/cancel", parcels[2])
    # A sheet of one parcel has no place that could be wrong, and no list of ids.
    impossible = {
        (method, path, status)
        for method, path, status in operations()
        if status == "400" and path.endswith("printer/{parcel_id}") and "labels/normal" not in path
    }
    assert call.seen == operations() - impossible
