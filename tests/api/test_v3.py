"""Integrations, logs, shipments and metadata of API v3."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from django_sendcloud.api.v3 import IntegrationLogEntry, IntegrationPatch
from django_sendcloud.enums import FeedbackType
from django_sendcloud.exceptions import InvalidResponse, NotFound, PayloadError, RequestRejected

from . import contracts
from .conftest import answer, rejection

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def example(name: str, method: str, path: str, status: str) -> Any:
    return next(
        item["value"]
        for item in contracts.document(name)["paths"][path][method]["responses"][status]["content"]["application/json"][
            "examples"
        ].values()
    )


def test_metadata_names_owner_of_keys(serve, connect) -> None:
    server = serve(answer({"data": {"user_id": 1, "integration_id": 1234}}))
    metadata = connect(server).v3.auth_metadata()
    assert (metadata.user_id, metadata.integration_id) == (1, 1234)
    assert server.requests[0].target == "/api/v3/user/auth/metadata"


# Integrations


def test_integrations_are_read_by_new_names(serve, connect) -> None:
    server = serve(answer(example("integrations-v3", "get", "/integrations", "200")))
    [integration] = connect(server).v3.integrations.list(sort="-failing_since")
    assert server.requests[0].target == "/api/v3/integrations?sort=-failing_since"
    assert (integration.id, integration.type, integration.feedback_type) == (23452345, "api", FeedbackType.EAGER)
    assert integration.started_failing_at == dt.datetime(2023, 11, 10, 16, 16, 42, tzinfo=dt.UTC)
    assert integration.last_fetched_at == dt.datetime(2023, 11, 10, 16, 15, 9, tzinfo=dt.UTC)
    with pytest.raises(ValueError, match="sort must be one of"):
        connect(server).v3.integrations.list(sort="name")


def test_patch_sends_given_settings_and_returns_nothing(serve, connect) -> None:
    server = serve(answer(b"", "204 No Content"))
    integrations = connect(server).v3.integrations
    assert integrations.patch(7, IntegrationPatch(webhook_url=None, feedback_type="none")) is None
    integrations.patch(7, IntegrationPatch(service_point_enabled=True, service_point_carriers=["ups"]))
    assert [(request.method, request.target, request.json) for request in server.requests] == [
        ("PATCH", "/api/v3/integrations/7", {"webhook_url": None, "feedback_type": "none"}),
        ("PATCH", "/api/v3/integrations/7", {"service_point_enabled": True, "service_point_carriers": ["ups"]}),
    ]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, ""),
        ({"webhook_url": "shop.example"}, "webhook_url"),
        ({"shop_name": ""}, "shop_name"),
        ({"shop_name": None}, "shop_name"),
        ({"feedback_type": "sometimes"}, "feedback_type"),
        ({"service_point_enabled": True}, "service_point_carriers"),
    ],
)
def test_settings_that_break_contract_are_refused(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(PayloadError) as caught:
        IntegrationPatch(**changes)
    assert list(caught.value.errors) == [path]


def test_refused_setting_is_shown(serve, connect) -> None:
    item = {"code": "invalid", "detail": "Webhook URL required when enable webhook is set to true"}
    with pytest.raises(RequestRejected, match="Webhook URL required") as caught:
        connect(serve(rejection("400 Bad Request", item))).v3.integrations.patch(
            7, IntegrationPatch(webhook_active=True)
        )
    assert caught.value.integration_id == 7


def test_integration_is_deleted_by_204(serve, connect) -> None:
    server = serve(answer(b"", "204 No Content"))
    assert connect(server).v3.integrations.delete(7) is None
    assert (server.requests[0].method, server.requests[0].target) == ("DELETE", "/api/v3/integrations/7")


# Logs


def test_logs_page_by_date_and_time(serve, connect) -> None:
    entry = example("integrations-v3", "get", "/integrations/logs", "200")["data"][0]
    cursor = "2023-03-01T02%3A02%3A00%2B01%3A00"

    def script(request: Any, connection: Any) -> bytes:
        if "cursor" in request.query:
            return answer({"data": [entry | {"id": 124}]})
        link = f'<https://panel.sendcloud.sc/v3/integrations/logs?cursor={cursor}>; rel="next"'
        return answer({"data": [entry]}, headers={"Link": link})

    server = serve(script)
    first, second = connect(server).v3.integrations.logs.pages(7, page_size=1)
    assert first.next_cursor == "2023-03-01T02:02:00+01:00"
    assert [found.id for found in (*first.results, *second.results)] == [123, 124]
    assert first.results[0].created_at == dt.datetime(2023, 3, 1, 1, 2, tzinfo=dt.UTC)
    assert first.results[0].additional_data is None
    assert server.requests[1].target == f"/api/v3/integrations/7/logs?page_size=1&cursor={cursor}"
    list(connect(server).v3.integrations.logs.list())
    assert server.requests[2].target == "/api/v3/integrations/logs"


def test_log_entry_has_no_field_of_v2(serve, connect) -> None:
    """The schema is closed: ``integration_id`` and ``user_id``, which v2 takes, are refused."""
    server = serve(answer(example("integrations-v3", "post", "/integrations/{id}/logs", "201"), "201 Created"))
    found = connect(server).v3.integrations.logs.create(7, IntegrationLogEntry(base_url="https://shop.example"))
    assert server.requests[0].json == {"base_url": "https://shop.example"}
    assert (found.id, found.integration_id) == (123, 123)
    with pytest.raises(TypeError):
        IntegrationLogEntry(base_url="https://shop.example", user_id=1)  # type: ignore[call-arg]


def test_refused_field_of_entry_is_named(serve, connect) -> None:
    item = {
        "status": 400,
        "code": "extra_forbidden",
        "detail": "Extra inputs are not permitted",
        "source": {"pointer": "body/unknown_field"},
    }
    with pytest.raises(RequestRejected) as caught:
        connect(serve(rejection("400 Bad Request", item))).v3.integrations.logs.create(
            7, IntegrationLogEntry(base_url="https://shop.example")
        )
    assert caught.value.errors == {"unknown_field": ["Extra inputs are not permitted"]}


# Shipments


def shipment(number: int, **changes: Any) -> dict[str, Any]:
    parcel = {"id": number, "status": {"code": "DELIVERED", "message": "Delivered"}, "tracking_number": f"T{number}"}
    return {"id": f"S{number}", "order_number": "A-1", "parcels": [parcel]} | changes


def test_missed_updates_are_listed(serve, connect) -> None:
    server = serve(answer(example("shipments-v3", "get", "/shipments", "200")))
    [found] = connect(server).v3.shipments.list(integration_id=7, updated_after=NOON)
    assert server.requests[0].target == (
        "/api/v3/shipments?integration_id=7&updated_after=2026-03-01T12%3A00%3A00%2B00%3A00"
    )
    assert (found.id, found.order_number) == ("XXX-Shipment-id", "1234567890")
    assert (found.parcels[0].id, found.parcels[0].status.code) == (383707309, "CANCELLED")  # type: ignore[union-attr]
    assert found.parcels[0].updated_at == dt.datetime(2024, 6, 7, 9, 32, 22, 804278, tzinfo=dt.UTC)
    assert "Doe" not in repr(found)


def test_shipments_not_asked_for_are_left_out(serve, connect) -> None:
    there = [shipment(1), shipment(2, order_number="B"), shipment(3)]
    shipments = connect(serve(answer({"data": there}))).v3.shipments
    assert [found.id for found in shipments.list(order_number="a-1")] == ["S1", "S3"]
    assert [found.id for found in shipments.list(tracking_number="T2")] == ["S2"]
    assert [found.id for found in shipments.list(parcel_ids=[3])] == ["S3"]
    assert [found.id for found in shipments.list(shipment_ids=["S1", "S2"])] == ["S1", "S2"]
    assert [found.id for found in shipments.list(external_reference_id="R")] == []


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"updated_after": dt.datetime(2026, 1, 1)}, "updated_after must know its time zone"),
        ({"integration_id": 0}, "integration_id must be a positive whole number"),
        ({"parcel_ids": range(1, 102)}, "ids takes up to 100 ids"),
        ({"shipment_ids": ["S"] * 101}, "shipment_ids takes up to 100 ids"),
        ({"page_size": 101}, "page_size must be between 1 and 100"),
        ({"order_number": ""}, "order_number must be text"),
    ],
)
def test_invalid_shipment_filter_is_refused(connect, dead_port: int, filters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        connect(f"http://127.0.0.1:{dead_port}").v3.shipments.list(**filters)


@pytest.mark.parametrize(("status", "queued"), [("200 OK", False), ("202 Accepted", True)])
def test_cancellation_is_done_or_queued(serve, connect, status: str, queued: bool) -> None:
    body = example("shipments-v3", "post", "/shipments/{id}/cancel", status[:3])
    server = serve(answer(body, status))
    found = connect(server).v3.shipments.cancel("S/1")
    assert (found.queued, found.message) == (queued, body["data"]["message"])
    assert (server.requests[0].method, server.requests[0].target) == ("POST", "/api/v3/shipments/S%2F1/cancel")


def test_cancellation_too_late_is_refused_for_good(serve, connect) -> None:
    """The only 409 that repeating does not help."""
    server = serve(
        rejection("409 Conflict", {"code": "invalid", "detail": "This shipment is already being cancelled."})
    )
    with pytest.raises(RequestRejected) as caught:
        connect(server, retries=3).v3.shipments.cancel("S1")
    assert caught.value.status == 409
    assert len(server.requests) == 1


def test_missing_shipment_is_not_found(serve, connect) -> None:
    client = connect(serve(rejection("404 Not Found", {"code": "not_found", "detail": "Not found"})))
    for use in (client.v3.shipments.get, client.v3.shipments.cancel):
        with pytest.raises(NotFound) as caught:
            use("S1")
        assert caught.value.resource == "shipment"


def test_get_that_answers_other_shipment_is_unreadable(serve, connect) -> None:
    with pytest.raises(InvalidResponse, match="another shipment"):
        connect(serve(answer({"data": shipment(2)}))).v3.shipments.get("S1")


@pytest.mark.parametrize("number", ["", " ", None, 7])
def test_shipment_id_that_is_none_is_refused(connect, dead_port: int, number: Any) -> None:
    with pytest.raises(ValueError, match="id must be text"):
        connect(f"http://127.0.0.1:{dead_port}").v3.shipments.get(number)
