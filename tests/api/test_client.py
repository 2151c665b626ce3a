"""The eleven operations: what goes out, and what comes back."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest

from django_sendcloud.api import (
    LoggedRequest,
    LoggedResponse,
    SendcloudClient,
)
from django_sendcloud.api.v2 import IntegrationLogEntry, IntegrationPatch, IntegrationUpdate
from django_sendcloud.enums import UpsertStatus
from django_sendcloud.exceptions import InvalidResponse, NotFound, PayloadError
from tests.payloads.builders import UPDATED, full_shipment, shipment
from tests.payloads.contract import document

from .conftest import answer, error

UUID = "6b436cb2-65a4-482c-9d25-38be7868ff00"


def example(path: str, method: str, status: str, name: str) -> Any:
    response = document()["paths"][path][method]["responses"][status]
    return response["content"]["application/json"]["examples"][name]["value"]


# Making one


@pytest.mark.parametrize("name", ["public_key", "secret_key"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_missing_key_is_named_with_its_source(name: str, value: str | None) -> None:
    """The error names the key and the page of Sendcloud's panel that shows it."""
    keys = {"public_key": "public", "secret_key": "secret", name: value}
    with pytest.raises(ValueError, match=rf"^{name} is missing; find it in Sendcloud's panel under Settings > Integr"):
        SendcloudClient(**keys)


@pytest.mark.parametrize("value", ["key\n", " key", "ke\x00y"])
def test_badly_copied_key_is_refused_unshown(value: str) -> None:
    """The error does not contain the key."""
    with pytest.raises(ValueError, match="secret_key has white space") as caught:
        SendcloudClient(public_key="public", secret_key=value)
    assert "ke" not in str(caught.value).replace("key", "")


def test_keys_joined_by_colon_are_refused() -> None:
    with pytest.raises(ValueError, match="colon"):
        SendcloudClient(public_key="public:secret", secret_key="secret")


@pytest.mark.parametrize(
    "url",
    [
        "http://panel.sendcloud.sc/api/v2",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example/",
        "https://user:password@panel.sendcloud.sc/api/v2",
        "https://panel.sendcloud.sc/api/v2?x=1",
        "https://panel.sendcloud.sc/api/v2#x",
        "https://panel.sendcloud.sc:port/",
        "https:///api",
        "https://panel.sendcloud.sc\\@evil.example/",
        "ftp://panel.sendcloud.sc",
        "panel.sendcloud.sc",
        "",
    ],
)
def test_unsafe_base_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        SendcloudClient(public_key="public", secret_key="secret", base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://panel.sendcloud.sc/api/v2/",
        "https://panel.sendcloud.sc/api/v3",
        "http://localhost:8000",
        "http://[::1]:8000/x",
        "http://127.0.0.5/",
    ],
)
def test_safe_base_url_is_accepted(url: str) -> None:
    with SendcloudClient(public_key="public", secret_key="secret", base_url=url) as client:
        assert f"base_url={url.removesuffix('/').removesuffix('/api/v2').removesuffix('/api/v3')!r}" in repr(client)


@pytest.mark.parametrize(
    "options",
    [
        {"deadline": 0},
        {"read_timeout": -1},
        {"max_response_bytes": 0},
        {"retries": -1},
        {"partner_id": "x"},
        {"user_agent_suffix": "a\r\nX: y"},
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        SendcloudClient(public_key="public", secret_key="secret", **options)


def test_repr_shows_no_secret() -> None:
    client = SendcloudClient(public_key="0123456789abcdef", secret_key="fedcba9876543210")
    assert repr(client) == (
        "SendcloudClient(base_url='https://panel.sendcloud.sc', auth=BasicAuth(public_key='0123…'))"
    )
    assert "fedcba" not in repr(vars(client)) + repr(client.v2.integrations) + repr(client.v3.orders)


# Integrations


def test_list_integrations(serve, connect) -> None:
    server = serve(answer(example("/integrations", "get", "200", "RetrieveIntegrationList")))
    client = connect(server)
    [integration] = client.v2.integrations.list()
    assert integration.id == 123
    assert integration.shop_name == "Integration #1"
    assert integration.failing_since == dt.datetime(2019, 8, 24, 14, 15, 22, tzinfo=dt.UTC)
    assert integration.service_point_carriers == ("ups",)
    client.v2.integrations.list(ordering="-last_updated_at")
    assert [request.target for request in server.requests] == [
        "/api/v2/integrations",
        "/api/v2/integrations?ordering=-last_updated_at",
    ]


def test_get_an_integration(serve, connect) -> None:
    server = serve(answer(example("/integrations/{id}", "get", "200", "RetrieveIntegration")))
    assert connect(server).v2.integrations.get(123).webhook_url == "https://example.com"
    assert server.requests[0].target == "/api/v2/integrations/123"


def test_update_sends_only_what_is_passed(serve, connect) -> None:
    server = serve(answer(example("/integrations/{id}", "patch", "200", "UpdateIntegration")))
    client = connect(server)
    settings = client.v2.integrations.patch(
        7, IntegrationPatch(webhook_active=True, webhook_url="https://shop.example/hook/?a=1")
    )
    client.v2.integrations.patch(
        7, IntegrationPatch(service_point_enabled=True, service_point_carriers=("ups", "postnl"))
    )
    client.v2.integrations.patch(7, IntegrationPatch(service_point_enabled=False, shop_name="Ü"))
    assert [(request.method, request.json) for request in server.requests] == [
        ("PATCH", {"webhook_active": True, "webhook_url": "https://shop.example/hook/?a=1"}),
        ("PATCH", {"service_point_enabled": True, "service_point_carriers": ["ups", "postnl"]}),
        ("PATCH", {"service_point_enabled": False, "shop_name": "Ü"}),
    ]
    assert settings.shop_name == "Integration #1"
    assert settings.last_updated_at == dt.datetime(2019, 8, 24, 14, 15, 22, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, ""),
        ({"webhook_url": None}, "webhook_url"),
        ({"webhook_url": "shop.example"}, "webhook_url"),
        ({"shop_url": "javascript:alert(1)"}, "shop_url"),
        ({"shop_url": "https://shop.example/a b"}, "shop_url"),
        ({"shop_name": "x" * 251}, "shop_name"),
        ({"shop_name": ""}, "shop_name"),
        ({"webhook_active": 1}, "webhook_active"),
        ({"service_point_enabled": True}, "service_point_carriers"),
        ({"service_point_enabled": True, "service_point_carriers": []}, "service_point_carriers"),
        ({"service_point_carriers": "ups"}, "service_point_carriers"),
        ({"service_point_carriers": ["ups", ""]}, "service_point_carriers[1]"),
    ],
)
def test_settings_against_contract_are_never_sent(serve, connect, changes: dict[str, Any], path: str) -> None:
    """The client refuses them before it sends a request."""
    server = serve(answer({}))
    with pytest.raises(PayloadError) as caught:
        connect(server).v2.integrations.patch(7, IntegrationPatch(**changes))
    assert list(caught.value.errors) == [path]
    assert server.requests == []


def test_replace_sends_every_field(serve, connect) -> None:
    server = serve(answer(example("/integrations/{id}", "put", "200", "UpdateIntegration")))
    update = IntegrationUpdate(
        shop_name="Shop",
        shop_url="https://shop.example",
        service_point_enabled=True,
        service_point_carriers=["ups"],
        webhook_active=False,
        webhook_url="https://shop.example/hook",
    )
    assert connect(server).v2.integrations.update(7, update).webhook_active is True
    assert server.requests[0].method == "PUT"
    assert server.requests[0].json == {
        "shop_name": "Shop",
        "shop_url": "https://shop.example",
        "service_point_enabled": True,
        "service_point_carriers": ["ups"],
        "webhook_active": False,
        "webhook_url": "https://shop.example/hook",
    }
    with pytest.raises(PayloadError):
        IntegrationUpdate(
            shop_name="Shop",
            shop_url="https://shop.example",
            service_point_enabled=True,
            service_point_carriers=[],
            webhook_active=False,
            webhook_url="https://shop.example/hook",
        )


def test_delete_an_integration(serve, connect) -> None:
    server = serve(answer(status="204 No Content"))
    assert connect(server).v2.integrations.delete(7) is None
    assert (server.requests[0].method, server.requests[0].target) == ("DELETE", "/api/v2/integrations/7")


@pytest.mark.parametrize("number", [0, -1, True, "7", None, 1.0])
def test_invalid_integration_id_is_refused(connect, dead_port: int, number: Any) -> None:
    client = connect(f"http://127.0.0.1:{dead_port}")
    for use in (client.v2.integrations.get, client.v2.integrations.delete, client.v2.shipments.list):
        with pytest.raises(ValueError, match="integration_id must be a positive whole number"):
            use(number)


# Upsert


def upsert_with(serve, connect, results: Any, payloads: list[Any], status: str = "200 OK") -> Any:
    return connect(serve(answer(results, status))).v2.shipments.upsert(7, payloads)


def created(order: Any, item: Any = "", **more: Any) -> dict[str, Any]:
    return {"external_order_id": order, "external_shipment_id": item, "status": "created", "shipment_uuid": UUID} | more


def test_upsert_sends_the_contracts_json(serve, connect) -> None:
    server = serve(answer([created("1042", "S1")]))
    connect(server).v2.shipments.upsert(7, [full_shipment()])
    [request] = server.requests
    assert (request.method, request.target) == ("POST", "/api/v2/integrations/7/shipments")
    assert request.json == [full_shipment().to_json()]
    assert request.headers["content-type"] == "application/json"


def test_results_keep_order_of_payloads(serve, connect) -> None:
    """Sendcloud answers in reverse order."""
    payloads = [shipment(external_order_id=str(number), external_shipment_id="S") for number in range(100)]
    results = upsert_with(serve, connect, [created(str(n), "S") for n in reversed(range(100))], payloads)
    assert [result.external_order_id for result in results] == [str(number) for number in range(100)]
    assert {result.status for result in results} == {UpsertStatus.CREATED}
    assert results[0].ok
    assert results[0].shipment_uuid == UUID


@pytest.mark.parametrize("echoed", [None, ""])
def test_null_shipment_id_matches_null_or_empty(serve, connect, echoed: str | None) -> None:
    [result] = upsert_with(serve, connect, [created("1", echoed)], [shipment(external_order_id="1")])
    assert result.status == UpsertStatus.CREATED
    assert result.external_shipment_id is None


def test_missing_shipment_id_counts_as_empty(serve, connect) -> None:
    answered = {"external_order_id": "1", "status": "updated", "shipment_uuid": UUID}
    [result] = upsert_with(serve, connect, [answered], [shipment(external_order_id="1")])
    assert result.status == UpsertStatus.UPDATED


def test_upsert_example_of_contract_is_read(serve, connect) -> None:
    answered = example("/integrations/{id}/shipments", "post", "200", "CreateUpdateShipments")
    payloads = [
        shipment(external_order_id="1184635"),
        shipment(external_order_id="1175584", external_shipment_id="777413"),
    ]
    refused, stored = upsert_with(serve, connect, answered, payloads)
    assert refused.status == UpsertStatus.ERROR
    assert refused.errors == {"checkout_payload.delivery_method_data.delivery_date": ["This field is required."]}
    assert stored.status == UpsertStatus.CREATED
    assert stored.shipment_uuid == UUID


@pytest.mark.parametrize(
    "answered",
    [
        [],
        [created("2")],
        [created("1"), created("1")],
        [created("1", "other")],
        [created("1", status="delayed")],
        [created("1", status="unknown")],
        [created("1", status=None)],
        [created("1", status=["created"])],
        [{"external_order_id": "1"}],
        [None, 3, "text", [created("1")]],
    ],
    ids=["missing", "stranger", "doubled", "other id", "new", "ours", "null", "list", "no status", "nonsense"],
)
def test_order_missing_from_answer_is_unknown(serve, connect, answered: Any) -> None:
    """The answer omits the order, names it ambiguously or gives no readable status."""
    [result] = upsert_with(serve, connect, answered, [shipment(external_order_id="1")])
    assert result.status == UpsertStatus.UNKNOWN
    assert not result.ok
    assert result.shipment_uuid is None


def test_id_answered_as_number_is_recognised(serve, connect) -> None:
    [result] = upsert_with(serve, connect, [created(1)], [shipment(external_order_id="1")])
    assert result.status == UpsertStatus.CREATED


@pytest.mark.parametrize("status", ["200 OK", "201 Created"])
def test_upsert_answered_200_or_201_succeeds(serve, connect, status: str) -> None:
    """The contract has 200; another client in production accepts 201 as well."""
    [result] = upsert_with(serve, connect, [created("1")], [shipment(external_order_id="1")], status)
    assert result.ok


@pytest.mark.parametrize("status", ["202 Accepted", "203 Non-Authoritative", "204 No Content", "207 Multi-Status"])
def test_upsert_answered_other_2xx_is_unknown(serve, connect, status: str) -> None:
    """A proxy or a newer server answered: nothing says that the shipments are stored."""
    with pytest.raises(InvalidResponse, match="where HTTP 200 or 201 is due"):
        upsert_with(serve, connect, [created("1")], [shipment(external_order_id="1")], status)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[{", b"null", b"{}", b'"x"', b"[" * 100_000, b"\xff"])
def test_unreadable_answer_is_an_unknown_outcome(serve, connect, body: bytes) -> None:
    with pytest.raises(InvalidResponse, match=r"^upsert shipments \(integration 7\): ") as caught:
        upsert_with(serve, connect, body, [shipment()])
    assert caught.value.operation == "upsert shipments"


def test_upsert_answered_204_is_unknown(serve, connect) -> None:
    """The answer is empty, so it confirms no shipment."""
    with pytest.raises(InvalidResponse, match="an empty answer"):
        upsert_with(serve, connect, b"", [shipment()], "204 No Content")


def test_invalid_batch_is_never_sent(serve, connect) -> None:
    server = serve(answer([]))
    shipments = connect(server).v2.shipments
    hundred_and_one = [shipment(external_order_id=str(number)) for number in range(101)]
    for batch, errors in [
        ([], {"": ["Holds no shipment; pass at least one."]}),
        (hundred_and_one, {"": ["May hold at most 100 shipments, holds 101; split it."]}),
        (
            [shipment(), full_shipment(), shipment(name="B")],
            {"[2]": ["Has the same external_order_id and external_shipment_id as [0]; send only the newest."]},
        ),
        ([shipment(), {}], {"[1]": ["Must be a ShipmentPayload, not dict."]}),
        (
            [shipment(updated_at=None)],
            {"updated_at": ["Is required to send a shipment; use payload.stamped(updated_at)."]},
        ),
    ]:
        with pytest.raises(PayloadError) as caught:
            shipments.upsert(7, batch)
        assert caught.value.messages == errors
        assert isinstance(caught.value, ValueError)
    assert server.requests == []
    shipments.upsert(7, iter(hundred_and_one[:100]))
    assert len(server.requests[0].json) == 100


def test_item_errors_are_flattened_without_values(serve, connect) -> None:
    """The client redacts the values that Sendcloud's messages repeat."""
    error = {
        "name": ["Ada Example is too short."],
        "parcel_items": [{}, {"hs_code": ['"12" is not valid.'], "weight": ["Bad: 0.35"]}],
        "customs_details": {"tax_numbers": {"0": {"value": "NL987654321B02 is unknown."}}},
        "email": ["ada@shop.example bounced", "call +31 6 12345678"],
        "non_field_errors": ["x" * 300],
    }
    answered = [{"external_order_id": "1042", "external_shipment_id": "S1", "status": "error", "error": error}]
    [result] = upsert_with(serve, connect, answered, [full_shipment()])
    assert result.errors == {
        "name": ["… is too short."],
        "parcel_items[1].hs_code": ['"…" is not valid.'],
        "parcel_items[1].weight": ["Bad: …"],
        "customs_details.tax_numbers[0].value": ["… is unknown."],
        "email": ["… bounced", "call …"],
        "non_field_errors": ["x" * 199 + "…"],
    }
    assert result.raw["error"] == error


@pytest.mark.parametrize("error", [None, "text", [], {}, 3, [["a"], {"b": None}], {"a": {"b": {"c": []}}}])
def test_errors_of_any_shape_are_an_error(serve, connect, error: Any) -> None:
    answered = [{"external_order_id": "1", "status": "error", "error": error}]
    [result] = upsert_with(serve, connect, answered, [shipment(external_order_id="1")])
    assert result.status == UpsertStatus.ERROR


def test_deep_and_endless_errors_are_bounded(serve, connect) -> None:
    deep: Any = ["end"]
    for _ in range(200):
        deep = {"a": deep}
    answered = [{"external_order_id": "1", "status": "error", "error": {"deep": deep, "many": ["m"] * 5_000}}]
    [result] = upsert_with(serve, connect, answered, [shipment(external_order_id="1")])
    assert sum(map(len, result.errors.values())) <= 200


# Delete a shipment


def test_delete_by_uuid_or_by_the_pair(serve, connect) -> None:
    server = serve(answer(status="204 No Content"))
    shipments = connect(server).v2.shipments
    assert shipments.delete(7, shipment_uuid=UUID).found is True
    shipments.delete(7, shipment_uuid=uuid.UUID(UUID))
    shipments.delete(7, external_order_id="1", external_shipment_id="S")
    assert [request.json for request in server.requests] == [
        {"shipment_uuid": UUID},
        {"shipment_uuid": UUID},
        {"external_order_id": "1", "external_shipment_id": "S"},
    ]
    assert {(request.method, request.target) for request in server.requests} == {
        ("POST", "/api/v2/integrations/7/shipments/delete")
    }


def test_deleting_missing_shipment_succeeds_as_not_found(serve, connect) -> None:
    """A 404 counts as success: the shipment is gone. The result says that it was missing."""
    server = serve(error("404 Not Found", "No ShipmentBlob matches the given query."))
    assert connect(server).v2.shipments.delete(7, shipment_uuid=UUID).found is False


@pytest.mark.parametrize(
    ("message", "resource"), [("No Integration matches the given query.", "integration"), ("Not found.", "")]
)
def test_deleting_from_missing_integration_raises_not_found(serve, connect, message: str, resource: str) -> None:
    server = serve(error("404 Not Found", message))
    with pytest.raises(NotFound) as caught:
        connect(server).v2.shipments.delete(7, shipment_uuid=UUID)
    assert caught.value.resource == resource
    assert caught.value.integration_id == 7


@pytest.mark.parametrize(
    "which",
    [
        {},
        {"shipment_uuid": "no uuid"},
        {"shipment_uuid": UUID, "external_order_id": "1"},
        {"external_order_id": "1"},
        {"external_order_id": "1", "external_shipment_id": ""},
        {"external_order_id": "1", "external_shipment_id": None},
        {"external_order_id": 1, "external_shipment_id": "S"},
    ],
)
def test_delete_naming_no_single_shipment_is_refused(serve, connect, which: dict[str, Any]) -> None:
    server = serve(answer(status="204 No Content"))
    with pytest.raises(ValueError, match="shipment_uuid"):
        connect(server).v2.shipments.delete(7, **which)
    assert server.requests == []


# List shipments


def test_filters_of_contract_are_sent(serve, connect) -> None:
    server = serve(answer({"results": []}))
    found = connect(server).v2.shipments.list(
        7,
        start_date=dt.date(2026, 1, 1),
        end_date=dt.date(2026, 2, 1),
        external_order_ids=["a b", "ü&"],
        external_shipment_ids=["S1"],
        order_number="A-1",
        sender_address=5,
        shipping_rules=False,
        cursor="cj0x",
    )
    assert server.requests == []  # nothing is fetched before it is needed
    assert list(found) == []
    assert server.requests[0].target == (
        "/api/v2/integrations/7/shipments?start_date=2026-01-01&end_date=2026-02-01&external_order_ids=a+b"
        "&external_order_ids=%C3%BC%26&external_shipment_ids=S1&order_number=A-1&sender_address=5"
        "&shipping_rules=false&cursor=cj0x"
    )
    declared = document()["paths"]["/integrations/{id}/shipments"]["get"]["parameters"]
    names = {parameter.get("name", "cursor") for parameter in declared}
    assert names == {part.split("=")[0] for part in server.requests[0].query.split("&")}


@pytest.mark.parametrize(
    "filters",
    [
        {"start_date": UPDATED},
        {"start_date": "2026-01-01"},
        {"external_order_ids": "1042"},
        {"external_order_ids": [1042]},
        {"order_number": ""},
        {"sender_address": "x"},
    ],
)
def test_filter_of_wrong_type_is_refused(connect, dead_port: int, filters: dict[str, Any]) -> None:
    """The client refuses it before it connects."""
    with pytest.raises(ValueError):  # noqa: PT011  # each has words of its own
        connect(f"http://127.0.0.1:{dead_port}").v2.shipments.list(7, **filters)


def test_shipment_example_of_contract_is_read(serve, connect) -> None:
    page = example("/integrations/{id}/shipments", "get", "200", "RetrieveShipmentList") | {"next": None}
    [found] = connect(serve(answer(page))).v2.shipments.list(
        7,
    )
    assert found.key == ("555413", "777413")
    assert found.shipment_uuid == UUID
    assert found.updated_at == dt.datetime(2019, 8, 24, 14, 15, 22, tzinfo=dt.UTC)
    assert found.shipment_updated_at == dt.datetime(2019, 9, 25, 14, 15, 22, tzinfo=dt.UTC)
    assert found.parcel_items[0].value == Decimal("3.5")
    assert found.order_status is not None
    assert found.order_status.id == "fulfilled"
    assert found.weight is None  # the example has "string" there
    assert found.raw["weight"] == "string"
    assert "John Doe" not in repr(found)


# Logs


def test_logs_of_one_integration_and_of_all(serve, connect) -> None:
    page = example("/integrations/logs", "get", "200", "RetrieveIntegrationLogs") | {"next": None}
    server = serve(answer(page))
    client = connect(server)
    first, second = client.v2.integrations.logs.list()
    assert (first.id, first.response_code, first.exception_type) == (123, 495, "requests.exceptions.SSLError")
    assert (second.integration_id, second.exception) == (123, "PageNotFound")
    assert len(list(client.v2.integrations.logs.list(7, cursor="c"))) == 2
    assert [request.target for request in server.requests] == [
        "/api/v2/integrations/logs",
        "/api/v2/integrations/7/logs?cursor=c",
    ]


def test_log_entry_is_written(serve, connect) -> None:
    server = serve(answer(example("/integrations/{id}/logs", "post", "201", "CreateIntegrationLog"), "201 Created"))
    entry = IntegrationLogEntry(
        base_url="https://shop.example",
        full_url="https://shop.example/hook",
        method="POST",
        response_code=500,
        response=LoggedResponse(headers={"X": "y"}, body="<html>"),
        request=LoggedRequest(headers="none", payload={"a": [1]}),
        user_id=3,
        created_at=UPDATED,
        exception_type="builtins.KeyError",
        exception="no such order",
    )
    assert connect(server).v2.integrations.logs.create(7, entry).id == 123
    assert (server.requests[0].method, server.requests[0].target) == ("POST", "/api/v2/integrations/7/logs")
    assert server.requests[0].json == {
        "integration_id": 7,
        "base_url": "https://shop.example",
        "full_url": "https://shop.example/hook",
        "method": "POST",
        "response_code": 500,
        "response": {"headers": {"X": "y"}, "body": "<html>"},
        "request": {"headers": "none", "payload": {"a": [1]}},
        "user_id": 3,
        "created_at": "2026-03-02T10:00:00.123456Z",
        "exception_type": "builtins.KeyError",
        "exception": "no such order",
    }


def test_log_entry_omits_unset_fields(serve, connect) -> None:
    server = serve(answer({"base_url": "x"}, "201 Created"))
    connect(server).v2.integrations.logs.create(7, IntegrationLogEntry(base_url="https://shop.example"))
    assert server.requests[0].json == {"integration_id": 7, "base_url": "https://shop.example"}
    with pytest.raises(PayloadError):
        IntegrationLogEntry(base_url="", response_code=-1)


# Results


def test_unknown_fields_and_odd_values_are_tolerated(serve, connect) -> None:
    """The result keeps unknown fields in ``raw`` and reads odd values without failing."""
    raw = {
        "id": 7,
        "shop_name": None,
        "system": 3,
        "last_updated_at": "yesterday",
        "failing_since": 12,
        "last_fetch": "2026-03-01T00:00:00",
        "service_point_carriers": "ups",
        "webhook_active": "yes",
        "brand_new": {"a": 1},
    }
    integration = connect(serve(answer(raw))).v2.integrations.get(7)
    assert integration.raw == raw
    assert (integration.shop_name, integration.system) == ("", "3")
    assert integration.last_updated_at is integration.failing_since is None
    assert integration.last_fetch == dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    assert integration.service_point_carriers == ()
    assert integration.webhook_active is False


@pytest.mark.parametrize("body", [[], {}, {"id": "x"}, {"id": None}, "text", 3, None])
def test_integration_without_id_is_unreadable(serve, connect, body: Any) -> None:
    with pytest.raises(InvalidResponse, match=r"get integration \(integration 7\): an answer that holds"):
        connect(serve(answer(body))).v2.integrations.get(7)
    with pytest.raises(InvalidResponse, match="list integrations"):
        connect(serve(answer(body if body != [] else {}))).v2.integrations.list()
