"""Which answer becomes which error, and what an error may say."""

from __future__ import annotations

import datetime as dt
import email.utils
import pickle
from typing import Any

import pytest

from django_sendcloud.api.errors import read_retry_after
from django_sendcloud.exceptions import (
    APIError,
    AuthenticationError,
    Conflict,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    Redirected,
    RequestNotSent,
    RequestRejected,
    SendcloudError,
    ServerError,
    TooLarge,
    TransportError,
    UnknownOutcome,
)
from tests.payloads.builders import full_shipment, shipment
from tests.payloads.contract import document

from .conftest import answer, error

HTML = b"<!doctype html><html><h1>Oops</h1></html>"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("300 Multiple Choices", Redirected),
        ("304 Not Modified", Redirected),
        ("400 Bad Request", RequestRejected),
        ("401 Unauthorized", AuthenticationError),
        ("402 Payment Required", RequestRejected),
        ("403 Forbidden", PermissionDenied),
        ("404 Not Found", NotFound),
        ("405 Method Not Allowed", RequestRejected),
        ("409 Conflict", Conflict),
        ("412 Precondition Failed", RequestRejected),
        ("413 Content Too Large", TooLarge),
        ("422 Unprocessable Content", RequestRejected),
        ("429 Too Many Requests", RateLimited),
        ("499 Whatever", RequestRejected),
        ("500 Internal Server Error", ServerError),
        ("502 Bad Gateway", ServerError),
        ("503 Service Unavailable", ServerError),
        ("504 Gateway Timeout", ServerError),
        ("599 Whatever", ServerError),
        ("600 Beyond", InvalidResponse),
        ("999 Beyond", InvalidResponse),
    ],
)
@pytest.mark.parametrize("body", [b"", HTML, b"{", b'{"error": null}', b'{"error": {"message": 3}}', b"[" * 9999])
def test_the_status_decides_whatever_the_body_is(serve, connect, status: str, kind: type, body: bytes) -> None:
    length = {} if status.startswith("304") else {"Content-Length": str(len(body))}
    head = answer(b"", status, length, length=False)
    with pytest.raises(APIError) as caught:
        connect(serve(head + (b"" if status.startswith("304") else body))).shipments(7).upsert([shipment()])
    assert type(caught.value) is kind
    assert caught.value.status == int(status[:3])
    assert caught.value.operation == "upsert shipments"
    assert caught.value.integration_id == 7
    assert str(caught.value).startswith(f"upsert shipments (integration 7): HTTP {status[:3]}: ")
    assert "<" not in str(caught.value)


def test_only_what_may_have_been_applied_is_an_unknown_outcome() -> None:
    unknown = {TransportError, InvalidResponse, ServerError}
    known = {RequestNotSent, RateLimited, AuthenticationError, PermissionDenied, NotFound, Redirected, RequestRejected}
    assert {kind for kind in unknown | known if issubclass(kind, UnknownOutcome)} == unknown
    assert all(issubclass(kind, SendcloudError) for kind in unknown | known)


@pytest.mark.parametrize(
    ("message", "resource", "words"),
    [
        ("No Integration matches the given query.", "integration", "the integration does not exist"),
        ("No ShipmentBlob matches the given query.", "shipment", "the shipment does not exist"),
        ("Invalid cursor", "page", "start again without it"),
        ("Not found.", "", "not found"),
        ("", "", "not found"),
    ],
)
def test_a_404_says_what_is_missing(serve, connect, message: str, resource: str, words: str) -> None:
    with pytest.raises(NotFound, match=words) as caught:
        connect(serve(error("404 Not Found", message))).integrations.get(7)
    assert caught.value.resource == resource


def test_the_contracts_own_404s_are_understood(serve, connect) -> None:
    responses = document()["components"]["responses"]
    expected = {"NotFound": "integration", "ShipmentNotFound": "shipment", "IntegrationNotFound": "integration"}
    for name in ("404-Integrations", "404-Shipments"):
        for title, case in responses[name]["content"]["application/json"]["examples"].items():
            with pytest.raises(NotFound) as caught:
                connect(serve(answer(case["value"], "404 Not Found"))).integrations.get(7)
            assert caught.value.resource == expected[title]


def test_the_contracts_python_reprs_are_read_as_field_errors(serve, connect) -> None:
    responses = document()["components"]["responses"]
    null = ["This field may not be null."]
    for name, errors in {
        "400-Integration": {"webhook_active": null, "webhook_url": null},
        "400-IntegrationLog": {"exception": null},
    }.items():
        body = responses[name]["content"]["application/json"]["examples"]["WrongFieldValue"]["value"]
        with pytest.raises(RequestRejected) as caught:
            connect(serve(answer(body, "400 Bad Request"))).integrations.get(7)
        assert caught.value.errors == errors
    assert str(caught.value) == (
        "get integration (integration 7): HTTP 400: the request is refused: exception: This field may not be null."
    )


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"error": {"message": {"shop_url": ["Enter a valid URL."]}}}, {"shop_url": ["Enter a valid URL."]}),
        ({"error": {"message": "Must be a valid UUID."}}, {"": ["Must be a valid UUID."]}),
        ({"error": "Bad thing"}, {"": ["Bad thing"]}),
        ({"detail": "Bad thing"}, {"": ["Bad thing"]}),
        ({"shop_url": ["Enter a valid URL."]}, {"shop_url": ["Enter a valid URL."]}),
        ({"error": {"message": "['a', 'b']"}}, {"": ["a", "b"]}),
        ({"error": {"message": "{'settings': ['odd', 3]}"}}, {"settings": ["odd", "3"]}),
        ({"error": {"message": "{'settings': {'a': ['b']}}"}}, {"settings.a": ["b"]}),
        ({"error": {"message": "{'a': open('/etc/passwd')}"}}, {"": ["{'…': open('…')}"]}),
        ({"error": {"message": "{'a': " + "[" * 5_000}}, {"": ["{'…': " + "[" * 193 + "…"]}),
        ({"error": {"message": "{" + "1+" * 8_000 + "1:1}"}}, None),
        ({"error": {"message": "{1j: b'x', None: {2}}"}}, {"…": ["b'x'"], "None": ["{2}"]}),
        ([{"name": ["Too long."]}, {}], {"[0].name": ["Too long."]}),
        ([], {}),
    ],
)
def test_validation_messages_of_any_shape(serve, connect, body: Any, errors: Any) -> None:
    with pytest.raises(RequestRejected) as caught:
        connect(serve(answer(body, "400 Bad Request"))).integrations.get(7)
    if errors is not None:
        assert caught.value.errors == errors
    assert len(str(caught.value)) < 700


def test_no_error_holds_secrets_or_what_was_sent(serve, connect) -> None:
    payload = full_shipment()
    personal = ["Ada Example", "Stationsplein 1", "ada@shop.example", "+31612345678", "1012 AB"]
    for status in ("400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "413 Large", "500 Oops"):
        for value in [*personal, "s3cr3t-key"]:
            for message in (value, f"Invalid: {value}", f"{{'name': ['{value} is wrong']}}", f"{{'{value}': ['x']}}"):
                with pytest.raises(APIError) as caught:
                    connect(serve(error(status, message))).shipments(7).upsert([payload])
                assert value not in str(caught.value) + repr(caught.value), (status, message)


def test_an_error_does_not_drag_the_request_along(serve, connect, dead_port: int) -> None:
    with pytest.raises(RequestNotSent) as caught:
        connect(f"http://127.0.0.1:{dead_port}").integrations.list()
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_errors_survive_pickle() -> None:
    error = pickle.loads(pickle.dumps(RateLimited("slow", operation="x", retry_after=3.0)))
    assert error.message == "slow"


# 401


def test_refused_keys_say_where_to_look(serve, connect) -> None:
    with pytest.raises(AuthenticationError, match="Settings > Integrations"):
        connect(serve(error("401 Unauthorized", "Invalid username/password."))).integrations.list()


def test_an_integration_that_demands_oauth2_says_so(serve, connect) -> None:
    with pytest.raises(AuthenticationError, match="demands OAuth2; use OAuth2ClientCredentials"):
        connect(serve(error("401 Unauthorized", "This integration uses OAuth2 authentication."))).integrations.list()


# Retry-After

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("-3", None),
        ("1000000000", 3600.0),
        ("1e9", 3600.0),
        ("inf", 3600.0),
        ("nan", None),
        ("soon", None),
        ("9" * 200, None),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 13:00:30 +0100", 30.0),
        ("Sun, 01 Mar 2026 11:59:00 GMT", 0.0),
        ("Sun, 01 Mar 2099 12:00:00 GMT", 3600.0),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
        ("2026-03-01T12:00:30Z", None),
    ],
)
def test_retry_after_in_both_forms_and_in_none(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOW) == seconds


def test_a_429_carries_the_wait(serve, connect) -> None:
    with pytest.raises(RateLimited) as caught:
        connect(serve(answer(b"", "429 Too Many Requests", {"Retry-After": "17"}))).integrations.list()
    assert caught.value.retry_after == 17.0
    soon = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30), usegmt=True)
    with pytest.raises(ServerError) as failed:
        connect(serve(answer(HTML, "503 Service Unavailable", {"Retry-After": soon}))).integrations.list()
    assert failed.value.retry_after is not None
    assert 0 < failed.value.retry_after <= 30
