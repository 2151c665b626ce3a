"""The error that each answer becomes, and the content of its message."""

from __future__ import annotations

import datetime as dt
import email.utils
import pickle
import uuid
from typing import Any

import pytest

from django_sendcloud.api.errors import read_retry_after, wrong_address
from django_sendcloud.api.transport import Response
from django_sendcloud.exceptions import (
    APIError,
    AuthenticationError,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    Redirected,
    RequestNotSent,
    RequestRejected,
    SendcloudError,
    ServerError,
    StillProcessing,
    TooLarge,
    TransportError,
    UnknownOutcome,
    WrongAddress,
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
        ("409 Conflict", StillProcessing),
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
@pytest.mark.parametrize(
    "body", [b"", b"Oops <html>", b"{", b'{"error": null}', b'{"error": {"message": 3}}', b"[" * 9999]
)
def test_status_decides_error_for_every_body(serve, connect, status: str, kind: type, body: bytes) -> None:
    length = {} if status.startswith("304") else {"Content-Length": str(len(body))}
    head = answer(b"", status, length, length=False)
    with pytest.raises(APIError) as caught:
        connect(serve(head + (b"" if status.startswith("304") else body))).v2.shipments.upsert(7, [shipment()])
    assert type(caught.value) is kind
    assert caught.value.status == int(status[:3])
    assert caught.value.operation == "upsert shipments"
    assert caught.value.integration_id == 7
    assert str(caught.value).startswith(f"upsert shipments (integration 7): HTTP {status[:3]}: ")
    assert "<" not in str(caught.value)


AS_HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found"])
@pytest.mark.parametrize("headers", [AS_HTML, {"Content-Type": ""}])
def test_web_page_says_address_is_wrong(serve, connect, status: str, headers: dict[str, str]) -> None:
    """The page of another site, of a proxy or of a login says nothing of the keys, and nothing of the integration."""
    server = serve(answer(b"<!doctype html><p>Log in", status, headers))
    with pytest.raises(WrongAddress) as caught:
        connect(server).v2.integrations.get(7)
    assert server.url in str(caught.value)
    assert "Log in" not in str(caught.value)


def test_web_page_is_no_answer_to_deletion(serve, connect) -> None:
    with pytest.raises(WrongAddress):
        connect(serve(answer(b"<html>", "404 Not Found", AS_HTML))).v2.shipments.delete(
            7, shipment_uuid=str(uuid.uuid4())
        )


@pytest.mark.parametrize(("status", "kind"), [(401, None), (403, None), (404, WrongAddress)])
def test_page_at_sendcloud_may_refuse_keys(status: int, kind: Any) -> None:
    page = Response(status, {"content-type": "text/html"}, b"<html>")
    found = wrong_address(page, "https://panel.sendcloud.sc", "the API", known=True)
    assert type(found) is (kind or type(None))


def test_unknown_outcomes_are_possibly_applied_requests() -> None:
    """An error is an ``UnknownOutcome`` if Sendcloud may have applied the request."""
    unknown = {TransportError, InvalidResponse, ServerError}
    known = {RequestNotSent, RateLimited, AuthenticationError, PermissionDenied, NotFound, Redirected, RequestRejected}
    known |= {WrongAddress}
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
def test_answer_404_names_missing_resource(serve, connect, message: str, resource: str, words: str) -> None:
    with pytest.raises(NotFound, match=words) as caught:
        connect(serve(error("404 Not Found", message))).v2.integrations.get(7)
    assert caught.value.resource == resource


def test_examples_of_404_in_contract_are_read(serve, connect) -> None:
    responses = document()["components"]["responses"]
    expected = {"NotFound": "integration", "ShipmentNotFound": "shipment", "IntegrationNotFound": "integration"}
    for name in ("404-Integrations", "404-Shipments"):
        for title, case in responses[name]["content"]["application/json"]["examples"].items():
            with pytest.raises(NotFound) as caught:
                connect(serve(answer(case["value"], "404 Not Found"))).v2.integrations.get(7)
            assert caught.value.resource == expected[title]


def test_python_reprs_become_field_errors(serve, connect) -> None:
    """The contract's examples hold errors as the repr of a Python dictionary."""
    responses = document()["components"]["responses"]
    null = ["This field may not be null."]
    for name, errors in {
        "400-Integration": {"webhook_active": null, "webhook_url": null},
        "400-IntegrationLog": {"exception": null},
    }.items():
        body = responses[name]["content"]["application/json"]["examples"]["WrongFieldValue"]["value"]
        with pytest.raises(RequestRejected) as caught:
            connect(serve(answer(body, "400 Bad Request"))).v2.integrations.get(7)
        assert caught.value.errors == errors
    assert str(caught.value) == (
        "get integration (integration 7): HTTP 400: the request is rejected: exception: This field may not be null."
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
        connect(serve(answer(body, "400 Bad Request"))).v2.integrations.get(7)
    if errors is not None:
        assert caught.value.errors == errors
    assert len(str(caught.value)) < 700


@pytest.mark.long
def test_errors_hold_no_secret_or_sent_value(serve, connect) -> None:
    """Sendcloud's message repeats a key or personal data; the error redacts it."""
    payload = full_shipment()
    personal = ["Ada Example", "Stationsplein 1", "ada@shop.example", "+31612345678", "1012 AB"]
    for status in ("400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "413 Large", "500 Oops"):
        for value in [*personal, "s3cr3t-key"]:
            for message in (value, f"Invalid: {value}", f"{{'name': ['{value} is wrong']}}", f"{{'{value}': ['x']}}"):
                with pytest.raises(APIError) as caught:
                    connect(serve(error(status, message))).v2.shipments.upsert(7, [payload])
                assert value not in str(caught.value) + repr(caught.value), (status, message)


def test_error_holds_no_cause_or_context(serve, connect, dead_port: int) -> None:
    """A chained exception of the HTTP library would keep the request with its keys."""
    with pytest.raises(RequestNotSent) as caught:
        connect(f"http://127.0.0.1:{dead_port}").v2.integrations.list()
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_errors_survive_pickle() -> None:
    error = pickle.loads(pickle.dumps(RateLimited("slow", operation="x", retry_after=3.0)))
    assert error.message == "slow"


# 401


def test_refused_keys_say_where_to_look(serve, connect) -> None:
    with pytest.raises(AuthenticationError, match="Settings > Integrations"):
        connect(serve(error("401 Unauthorized", "Invalid username/password."))).v2.integrations.list()


def test_integration_demanding_oauth2_is_explained(serve, connect) -> None:
    with pytest.raises(AuthenticationError, match="demands OAuth2; use OAuth2ClientCredentials"):
        connect(serve(error("401 Unauthorized", "This integration uses OAuth2 authentication."))).v2.integrations.list()


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
def test_retry_after_reads_seconds_and_dates(value: str | None, seconds: float | None) -> None:
    """Other texts give no wait, and an hour is the longest one."""
    assert read_retry_after(value, NOW) == seconds


def test_answer_429_or_503_carries_retry_after(serve, connect) -> None:
    with pytest.raises(RateLimited) as caught:
        connect(serve(answer(b"", "429 Too Many Requests", {"Retry-After": "17"}))).v2.integrations.list()
    assert caught.value.retry_after == 17.0
    soon = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30), usegmt=True)
    with pytest.raises(ServerError) as failed:
        connect(serve(answer(HTML, "503 Service Unavailable", {"Retry-After": soon}))).v2.integrations.list()
    assert failed.value.retry_after is not None
    assert 0 < failed.value.retry_after <= 30
