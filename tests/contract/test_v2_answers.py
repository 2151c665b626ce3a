"""Every answer of the sandbox against the OpenAPI document, by validators that were not written here."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from django_sendcloud.sandbox import Sandbox
from tests.payloads.builders import full_shipment, shipment
from tests.payloads.contract import document

from .caller import Caller
from .v2 import operations, patched

NOBODY = 999_999
HOOK = "https://shop.example/hook"


@functools.cache
def contract(*, literal: bool) -> OpenAPI:
    return OpenAPI.from_dict({**document(), "servers": [{"url": "/api/v2"}]} if literal else patched())


class V2Caller(Caller):
    def base_url(self) -> str:
        return self.sandbox.v2_url

    def check(self, template: str, response: requests.Response) -> None:
        request, answer = RequestsOpenAPIRequest(response.request), RequestsOpenAPIResponse(response)
        problems = contract(literal=self.literal).iter_response_errors(request, answer)
        assert [repr(problem.__cause__ or problem) for problem in problems] == []

    def __call__(self, status: int, method: str, template: str, id: Any = None, **options: Any) -> Any:
        found = super().__call__(status, method, template, id, **options)
        if status >= 400 and found is not None:
            # The document leaves the body of one of its 400s open, and has all the others alike.
            message, path = found["error"]["message"], self.path(template, id)
            assert found == {"error": {"code": status, "request": f"api/v2{path}", "message": message}}
        return found


@pytest.fixture(params=["basic", "oauth2"])
def call(request: pytest.FixtureRequest) -> Iterator[Caller]:
    with Sandbox(auth=request.param) as sandbox:
        caller = V2Caller(sandbox)
        yield caller
        caller.session.close()


# A run through everything


def use_every_operation(call: Caller) -> None:
    call(200, "GET", "/integrations")
    assert call(200, "GET", "/integrations/{id}")["shop_url"] is None
    assert call(200, "PATCH", "/integrations/{id}", json={"shop_name": "Shop"})["shop_name"] == "Shop"
    settings = {
        "shop_url": "https://shop.example/",
        "service_point_enabled": True,
        "service_point_carriers": ["ups", "postnl"],
        "webhook_active": False,
        "webhook_url": HOOK,
    }
    assert settings.items() <= call(200, "PUT", "/integrations/{id}", json=settings).items()
    assert settings.items() <= call(200, "GET", "/integrations/{id}").items()

    call.sandbox.page_size = 3
    full, small = full_shipment().to_json(), shipment().to_json()
    assert call(200, "GET", "/integrations/{id}/shipments")["results"] == []
    batch = [full, small, {**small, "external_shipment_id": "2", "country": "XX"}, {}, [], None]
    results = call(200, "POST", "/integrations/{id}/shipments", json=batch)
    assert [result["status"] for result in results] == ["created", "created", "error", "error", "error", "error"]
    later = {**full, "updated_at": "2027-01-01T00:00:00Z"}
    assert call(200, "POST", "/integrations/{id}/shipments", json=[later])[0]["status"] == "updated"
    more = [{**small, "external_shipment_id": str(number)} for number in range(5)]
    call(200, "POST", "/integrations/{id}/shipments", json=more)
    assert call(200, "POST", "/integrations/{id}/shipments", json=[]) == []
    first = call(200, "GET", "/integrations/{id}/shipments")
    assert first["previous"] is None
    following = {"cursor": requests.utils.unquote(first["next"].partition("cursor=")[2])}
    second = call(200, "GET", "/integrations/{id}/shipments", params=following)
    assert len(second["results"]) == 3
    assert second["previous"]
    pair = {"external_order_id": "1042", "external_shipment_id": "S1"}
    call(204, "POST", "/integrations/{id}/shipments/delete", json=pair)
    by_uuid = {"shipment_uuid": results[1]["shipment_uuid"]}
    call(204, "POST", "/integrations/{id}/shipments/delete", json=by_uuid)

    # The connection log has the failed webhook first, and then the reports of the shop.
    call.sandbox.webhook_retry_scale = 1e-6
    call.sandbox.change_integration(webhook_url="http://127.0.0.1:9/hook", webhook_active=True)
    assert call.sandbox.wait_webhooks()
    assert call(200, "GET", "/integrations/{id}/logs")["results"][-1]["full_url"] == "http://127.0.0.1:9/hook"
    for number in range(5):
        entry = {"base_url": "https://shop.example", "response_code": 500 + number, "request": {"payload": {"a": 1}}}
        call(201, "POST", "/integrations/{id}/logs", json=entry)
    assert call(200, "GET", "/integrations/logs")["next"]
    assert len(call(200, "GET", "/integrations/{id}/logs")["results"]) == 3


def meet_every_error(call: Caller) -> None:
    for path, method, operation in operations(document()):
        if "404" in operation["responses"]:
            body = {"json": {}} if "requestBody" in operation else {}
            found = call(404, method, path, NOBODY, **body)
            assert found["error"]["message"] == "No Integration matches the given query."
    unknown = {"external_order_id": "gone", "external_shipment_id": "gone"}
    found = call(404, "POST", "/integrations/{id}/shipments/delete", json=unknown)
    assert found["error"]["message"] == "No ShipmentBlob matches the given query."
    call(404, "GET", "/integrations/{id}/shipments", params={"cursor": "nonsense"})
    for method in ("PUT", "PATCH"):
        for body in ({"webhook_active": None}, {"shop_name": ""}, {"service_point_carriers": "ups"}, [], "text"):
            call(400, method, "/integrations/{id}", json=body)
    for body in ({}, "text", [{}] * 101):
        call(400, "POST", "/integrations/{id}/shipments", json=body)
    for body in ({}, {"shipment_uuid": "none"}, [], {"external_order_id": "1"}):
        call(400, "POST", "/integrations/{id}/shipments/delete", json=body)
    for body in ({}, {"base_url": "https://shop.example", "exception": None}, []):
        call(400, "POST", "/integrations/{id}/logs", json=body)
    for filters in ({"start_date": "yesterday"}, {"end_date": ""}, {"sender_address": "a"}, {"shipping_rules": "2"}):
        call(400, "GET", "/integrations/{id}/shipments", params=filters)


def be_refused(call: Caller) -> None:
    everything = list(operations(document()))
    call.sandbox.set_rate_limits(0, 0)
    for path, method, _ in everything:
        call(429, method, path)
    call.sandbox.rate_limits = False
    call.sandbox.revoke_credentials()
    for path, method, _ in everything:
        call(401, method, path)
    call.sandbox.restore_credentials()


@pytest.mark.long
def test_answers_follow_document(call: Caller) -> None:
    use_every_operation(call)
    meet_every_error(call)
    be_refused(call)
    call(204, "DELETE", "/integrations/{id}")
    assert call(401, "GET", "/integrations")["error"]["message"] == (
        # The keys were the integration's.
        "Invalid username/password." if call.sandbox.integration.auth == "basic" else "Invalid or expired token."
    )
    # The whole document was met, and nothing beside it: a new operation or status has to be played here.
    documented = {
        (method, path, status) for path, method, operation in operations(patched()) for status in operation["responses"]
    }
    assert call.seen == documented


@pytest.mark.long
def test_answers_follow_document_to_the_letter(call: Caller) -> None:
    call.literal = True
    call.sandbox.omit_empty_links = True
    call(200, "PATCH", "/integrations/{id}", json={"shop_url": "https://shop.example/", "webhook_url": HOOK})
    call(200, "GET", "/integrations/{id}")
    call(200, "POST", "/integrations/{id}/shipments", json=[full_shipment().to_json()])
    page = call(200, "GET", "/integrations/{id}/shipments")
    assert page.keys() == {"results"}
    assert call(200, "GET", "/integrations/logs") == {"results": []}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shipment_uuid", "1234"),
        ("created_at", "yesterday"),
        ("shipment_updated_at", "2026-01-01"),
        ("email", "nobody"),
        ("country", "XX"),
        ("external_shipment_id", 5),
        ("weight", "12345678901"),
        ("order_status", {"id": "open"}),
    ],
)
def test_validator_finds_fault(sandbox: Sandbox, field: str, value: Any) -> None:
    call = V2Caller(sandbox)
    call(200, "POST", "/integrations/{id}/shipments", json=[full_shipment().to_json()])
    genuine = call.session.get(f"{sandbox.v2_url}/integrations/{sandbox.integration_id}/shipments")
    [spoilt] = genuine.json()["results"]
    spoilt[field] = value
    answer = requests.Response()
    answer.status_code, answer.headers = 200, genuine.headers
    answer._content = json.dumps({"results": [spoilt]}).encode()
    request = RequestsOpenAPIRequest(genuine.request)
    assert list(contract(literal=False).iter_response_errors(request, RequestsOpenAPIResponse(answer)))
