"""The webhook view: requests it accepts, requests it rejects, and the signature it verifies before all else."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import queue
import socket
import struct
import types
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.conf.urls.i18n import i18n_patterns
from django.db import DatabaseError, InterfaceError, connection, connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone, translation

from django_sendcloud.broker import inbox_notifier
from django_sendcloud.models import EventState, Integration, WebhookEvent
from django_sendcloud.signals import work_due
from django_sendcloud.webhooks import apply, signature
from tests.celery_app import app as celery

from .messages import parcel, post, raw

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


@pytest.fixture
def integration(db: None) -> Integration:
    return Integration.objects.create(remote_id=1, public_key="public", secret_key="secret", name="Shop")


def writes(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if query["sql"].lstrip().upper().startswith(WRITES)]


# -- accepted -----------------------------------------------------------------------------------------


def test_signed_webhook_is_kept_and_answered(client: Client, integration: Integration) -> None:
    rung: list[str] = []
    work_due.connect(receive := lambda queue, **kwargs: rung.append(queue))
    try:
        answer = post(client, integration, raw(parcel()))
    finally:
        work_due.disconnect(receive)
    assert (answer.status_code, answer.json()) == (200, {"detail": "ok"})
    event = WebhookEvent.objects.get()
    assert event.state == EventState.RECEIVED
    assert event.body.reveal() == raw(parcel()).decode()
    assert rung == ["inbox"]


def test_body_is_encrypted_at_rest(client: Client, integration: Integration) -> None:
    post(client, integration, raw(parcel(name="Jane Canary")))
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM django_sendcloud_webhookevent")
        (stored,) = cursor.fetchone()
    assert "Canary" not in stored


def test_webhook_costs_two_statements_and_one_write(client: Client, integration: Integration) -> None:
    # Every key that may verify it is set.
    integration.webhook_signature_key = "third"  # type: ignore[assignment]
    integration.replace_secret_key("new")
    integration.keys_by_webhook_until = timezone.now() + dt.timedelta(minutes=1)
    integration.save()
    with CaptureQueriesContext(connection) as queries:
        body = raw(parcel())
        assert post(client, integration, body, signature=signature.sign(body, "secret")).status_code == 200
    statements = [q["sql"] for q in queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(statements) == 2
    assert len(writes(queries)) == 1


def test_duplicate_is_answered_and_changes_nothing(client: Client, integration: Integration) -> None:
    for _ in range(3):
        assert post(client, integration, raw(parcel())).status_code == 200
    assert WebhookEvent.objects.count() == 1


def test_body_for_two_integrations_is_two_events(client: Client, integration: Integration) -> None:
    other = Integration.objects.create(remote_id=2, public_key="p", secret_key="other")
    post(client, integration, raw(parcel()))
    post(client, other, raw(parcel()))
    assert WebhookEvent.objects.count() == 2


@pytest.mark.parametrize("body", [b"not json", b"[1]", b'{"a": NaN}', b"\xff\xfe\x00", b'{"a": "\\ud800"}', b"null"])
def test_signed_nonsense_is_answered_200_and_kept(client: Client, integration: Integration, body: bytes) -> None:
    assert post(client, integration, body).status_code == 200
    apply.drain()
    event = WebhookEvent.objects.get()
    assert event.state in (EventState.FAILED, EventState.IGNORED)
    assert event.note


def test_rotated_keys_are_accepted_for_a_while(client: Client, integration: Integration) -> None:
    body = raw(parcel())
    old = signature.sign(body, "secret")
    integration.replace_secret_key("new")
    integration.webhook_signature_key = "third"  # type: ignore[assignment]
    integration.save()
    for made in (old, signature.sign(body, "new"), signature.sign(body, "third")):
        assert post(client, integration, body, signature=made).status_code == 200
    integration.previous_secret_key_until = integration.created_at
    integration.save()
    assert post(client, integration, body, signature=old).status_code == 403


# -- rejected -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", [None, "", "0" * 64, "é" * 32, "x" * 10_000, signature.sign(raw(parcel()), "secret")[:-1],
            signature.sign(raw(parcel()), "public")],
    ids=["missing", "empty", "wrong", "not ascii", "10 kB", "truncated", "public key"],
)  # fmt: skip
def test_f25_bad_signature_is_403_and_writes_nothing(client: Client, integration: Integration, bad: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert post(client, integration, raw(parcel()), signature=bad).status_code == 403
    assert writes(queries) == []
    assert not WebhookEvent.objects.exists()


def test_f25_integration_without_secret_accepts_nothing(client: Client, integration: Integration) -> None:
    body = raw(parcel())
    Integration.objects.update(secret_key="")
    answer = client.post(
        integration.webhook_path(), body, content_type="application/json",
        headers={signature.HEADER: signature.sign(body, "")},
    )  # fmt: skip
    assert answer.status_code == 403
    assert not WebhookEvent.objects.exists()


def unknown(integration: Integration) -> str:
    return integration.webhook_path().replace(str(integration.webhook_key), str(uuid.uuid4()))


def test_unknown_key_is_404_and_writes_nothing(client: Client, integration: Integration) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert post(client, integration, raw(parcel()), path=unknown(integration)).status_code == 404
    assert writes(queries) == []
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    "ask",
    [
        lambda client, path: client.get(path),
        lambda client, path: client.options(path),
        lambda client, path: client.post(path, b"{}", content_type="application/json", CONTENT_LENGTH=""),
        lambda client, path: client.post(path, b"x" * 300_000, content_type="application/json"),
    ],
    ids=["get", "options", "no length", "too large"],
)
def test_other_requests_do_not_reveal_known_keys(
    client: Client, integration: Integration, ask: Callable[[Client, str], HttpResponse]
) -> None:
    known, other = ask(client, integration.webhook_path()), ask(client, unknown(integration))
    assert known.status_code != 404
    assert (known.status_code, known.content) == (other.status_code, other.content)


def test_answers_reveal_nothing_of_the_shop(client: Client, integration: Integration) -> None:
    answers = [
        post(client, integration, raw(parcel())),
        post(client, integration, raw(parcel()), signature="0" * 64),
        post(client, integration, raw(parcel()), path=unknown(integration)),
    ]
    for answer in answers:
        assert list(answer.json()) == ["detail"]
        assert "Shop" not in answer.json()["detail"]
        assert not answer.cookies


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_methods_except_post_are_405(client: Client, integration: Integration, method: str) -> None:
    assert getattr(client, method)(integration.webhook_path()).status_code == 405


def test_too_large_body_is_413_without_query(
    client: Client, integration: Integration, settings: Any, django_assert_num_queries: Any
) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_MAX_BYTES": 1024}
    with django_assert_num_queries(0):
        assert client.post(integration.webhook_path(), b"x" * 1025, content_type="application/json").status_code == 413
    assert post(client, integration, b"x" * 1024).status_code == 200


def test_length_of_thousands_of_digits_is_413(client: Client, integration: Integration) -> None:
    answer = client.post(integration.webhook_path(), b"{}", content_type="application/json", CONTENT_LENGTH="9" * 5000)
    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["", "-1", "abc", "1e3", "٣"])
def test_invalid_length_is_411(client: Client, integration: Integration, length: str) -> None:
    answer = client.post(integration.webhook_path(), b"{}", content_type="application/json", CONTENT_LENGTH=length)
    assert answer.status_code == 411


@pytest.mark.parametrize("error", [DatabaseError, InterfaceError])
@pytest.mark.parametrize("statement", ["SELECT", "INSERT"])
def test_f28_webhook_is_503_while_database_is_gone(
    client: Client, integration: Integration, error: type[Exception], statement: str
) -> None:
    def gone(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith(statement):
            raise error("the server closed the connection")
        return execute(sql, *args)

    body = raw(parcel())
    headers = {signature.HEADER: signature.sign(body, "secret")}
    path = integration.webhook_path()
    with connection.execute_wrapper(gone):
        answer = client.post(path, body, content_type="application/json", headers=headers)
    assert answer.status_code == 503
    assert "closed" not in answer.content.decode()
    assert post(client, integration, body).status_code == 200
    assert WebhookEvent.objects.count() == 1


def test_undecryptable_secret_is_503(client: Client, integration: Integration) -> None:
    body = raw(parcel())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_sendcloud_integration SET secret_key = 'gAAAAAnonsense'")
    answer = client.post(
        integration.webhook_path(), body, content_type="application/json",
        headers={signature.HEADER: signature.sign(body, "secret")},
    )  # fmt: skip
    assert answer.status_code == 503


@pytest.mark.parametrize("bad", [None, "0" * 64])
def test_body_and_signature_are_not_logged(
    client: Client, integration: Integration, caplog: pytest.LogCaptureFixture, bad: Any
) -> None:
    with caplog.at_level(logging.DEBUG, "django_sendcloud"):
        post(client, integration, raw(parcel(name="Jane Canary")), signature=bad)
        post(client, integration, b"Jane Canary, not json")
        apply.drain()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("django_sendcloud")]
    assert ours
    assert not any("Canary" in text or "0" * 64 in text or "secret" in text for text in ours)


# -- the surroundings of real shops -------------------------------------------------------------------


def with_middleware(settings: Any, *names: str) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, *names]


def test_login_required_middleware_does_not_matter(client: Client, integration: Integration, settings: Any) -> None:
    with_middleware(settings, "django.contrib.auth.middleware.LoginRequiredMiddleware")
    assert post(client, integration, raw(parcel())).status_code == 200


def test_csrf_check_does_not_matter(integration: Integration) -> None:
    assert post(Client(enforce_csrf_checks=True), integration, raw(parcel())).status_code == 200


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10)
def test_djangos_own_limit_does_not_matter(client: Client, integration: Integration) -> None:
    assert post(client, integration, raw(parcel())).status_code == 200


def test_drfs_defaults_do_not_matter(client: Client, integration: Integration, settings: Any) -> None:
    settings.REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
        "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle"],
        "DEFAULT_THROTTLE_RATES": {"anon": "1/day"},
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.BrowsableAPIRenderer"],
        "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    }
    for number in range(3):
        answer = post(client, integration, raw(parcel(id=number)), headers={"Accept": "text/html; version=9"})
        assert answer.status_code == 200
        assert answer["Content-Type"] == "application/json"


def reads_the_body(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Read the body as an audit log or an error reporter does."""

    def middleware(request: HttpRequest) -> HttpResponse:
        assert request.body
        return get_response(request)

    return middleware


def uses_up_the_body(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        assert request.read()
        return get_response(request)

    return middleware


def test_middleware_reading_the_body_does_not_matter(client: Client, integration: Integration, settings: Any) -> None:
    with_middleware(settings, f"{__name__}.reads_the_body")
    assert post(client, integration, raw(parcel())).status_code == 200
    assert WebhookEvent.objects.get().body.reveal() == raw(parcel()).decode()


def test_middleware_consuming_the_body_leads_to_403(client: Client, integration: Integration, settings: Any) -> None:
    with_middleware(settings, f"{__name__}.uses_up_the_body")
    assert post(client, integration, raw(parcel())).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_webhook_is_answered_under_asgi(integration: Integration) -> None:
    body, client = raw(parcel()), AsyncClient()
    headers = {signature.HEADER: signature.sign(body, "secret")}

    def ask(method: str, **changes: Any) -> int:
        def answer() -> int:
            try:
                return int(async_to_sync(getattr(client, method))(integration.webhook_path(), **changes).status_code)
            finally:
                connections.close_all()

        # In a thread of its own: a browser test of this process may have left an event loop in this one.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(answer).result()

    assert ask("post", data=body, content_type="application/json", headers=headers) == 200
    assert ask("post", data=body + b" ", content_type="application/json", headers=headers) == 403
    assert ask("get") == 405
    assert WebhookEvent.objects.get().body.reveal() == body.decode()


@pytest.mark.django_db(transaction=True)
def test_request_is_no_transaction_despite_atomic_requests(client: Client) -> None:
    """With ATOMIC_REQUESTS the row must be committed before the answer says so."""
    integration = Integration.objects.create(remote_id=1, public_key="p", secret_key="secret")
    seen: list[bool] = []
    work_due.connect(receive := lambda **kwargs: seen.append(connection.in_atomic_block))
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        assert post(client, integration, raw(parcel())).status_code == 200
        assert post(client, integration, raw(parcel())).status_code == 200, "a duplicate"
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
        work_due.disconnect(receive)
    assert seen == [False]


@contextlib.contextmanager
def broker(monkeypatch: pytest.MonkeyPatch, *, listening: bool) -> Iterator[None]:
    """Use a broker that refuses the connection, or one that accepts it and never answers."""
    assert inbox_notifier.wait_until_sent(10)
    with socket.socket() as server, monkeypatch.context() as patch:
        server.bind(("127.0.0.1", 0))
        if listening:
            server.listen()
        patch.setattr(celery.conf, "broker_url", f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        yield
        server.close()
        assert inbox_notifier.wait_until_sent(10)


def test_broker_that_refuses_does_not_matter(
    client: Client, integration: Integration, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with broker(monkeypatch, listening=False):
        assert post(client, integration, raw(parcel())).status_code == 200
    assert WebhookEvent.objects.count() == 1
    assert "did not take the notification" in caplog.text


def test_broker_that_hangs_delays_no_answer(
    client: Client, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broker(monkeypatch, listening=True):
        assert post(client, integration, raw(parcel())).status_code == 200
        assert not inbox_notifier.wait_until_sent(0), "it is answered before the notification is sent"
    assert WebhookEvent.objects.count() == 1


# -- over a socket ------------------------------------------------------------------------------------


class Line:
    """A connection to the server, and the one request that goes over it."""

    def __init__(self, live_server: Any) -> None:
        address = urlsplit(live_server.url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=30)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *args: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def no_more(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def wait_for(self, text: bytes) -> None:
        found = b""
        while text not in found:
            chunk = self._socket.recv(65536)
            assert chunk, f"closed after {found!r}"
            found += chunk

    def reset(self) -> None:
        """Reset the connection, as a crashing sender does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def status(self) -> int:
        """Return the status of the answer, without the "100 Continue" that may come first."""
        found = b""
        while True:
            *answers, _ = found.split(b"\r\n\r\n")
            for answer in answers:
                if answer.startswith(b"HTTP/1.1 ") and not answer.startswith(b"HTTP/1.1 100 "):
                    return int(answer.split()[1])
            chunk = self._socket.recv(65536)
            assert chunk, f"closed after {found!r}"
            found += chunk


@pytest.fixture
def served(transactional_db: None, live_server: Any) -> Integration:
    return Integration.objects.create(remote_id=1, public_key="p", secret_key="secret")


def head(integration: Integration, body: bytes, *more: str) -> bytes:
    """Return a request's head with a good signature and the given lines."""
    lines = [
        f"POST {integration.webhook_path()} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        "Content-Type: application/json",
        f"{signature.HEADER}: {signature.sign(body, 'secret')}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


BODY = raw(parcel())


@pytest.mark.parametrize(
    ("lines", "sent", "status"),
    [
        ([f"Content-Length: {len(BODY)}"], BODY, 200),
        (["Transfer-Encoding: chunked"], b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), 411),
        (["Transfer-Encoding: chunked", f"Content-Length: {len(BODY)}"], BODY, 411),
        ([], BODY, 411),
        (["Content-Length: 1073741824"], b"", 413),
        ([f"Content-Length: {'9' * 5000}"], b"", 413),
        ([f"Content-Length: {len(BODY)}"], BODY[:-5], 403),
        ([f"Content-Length: {len(BODY) - 5}"], BODY, 403),
        (["Content-Length: 0"], b"", 403),
    ],
    ids=["right", "chunked", "chunked and length", "no length", "1 GB", "digits", "too short", "too long", "empty"],
)
def test_f26_lengths(live_server: Any, served: Integration, lines: list[str], sent: bytes, status: int) -> None:
    with Line(live_server) as line:
        line.send(head(served, BODY, *lines) + sent)
        line.no_more()
        assert line.status() == status
    assert WebhookEvent.objects.count() == (status == 200)


def test_f26_too_large_body_is_rejected_before_sending(live_server: Any, served: Integration) -> None:
    """The sender asks first, and neither sends a byte nor closes: the server must not wait for one."""
    with Line(live_server) as line:
        line.send(head(served, BODY, "Content-Length: 1073741824", "Expect: 100-continue"))
        assert line.status() == 413


def test_f26_slow_sender_does_not_delay_others(live_server: Any, served: Integration) -> None:
    other = raw(parcel(id=2))
    with Line(live_server) as slow, Line(live_server) as quick:
        slow.send(head(served, BODY, f"Content-Length: {len(BODY)}") + BODY[:10])
        quick.send(head(served, other, f"Content-Length: {len(other)}") + other)
        assert quick.status() == 200
        for position in range(10, len(BODY), 20):
            slow.send(BODY[position : position + 20])
        assert slow.status() == 200
    assert WebhookEvent.objects.count() == 2


def test_f26_sender_that_goes_away_leaves_nothing(live_server: Any, served: Integration) -> None:
    with Line(live_server) as line:
        line.send(head(served, BODY, f"Content-Length: {len(BODY)}") + BODY[:10])
    with Line(live_server) as line:
        line.send(head(served, BODY, "Content-Length: 0"))
        assert line.status() == 403
    assert not WebhookEvent.objects.exists()


def test_f26_broken_connection_is_answered_403(live_server: Any, served: Integration) -> None:
    answers: queue.Queue[int] = queue.Queue()

    class Answered(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            answers.put(record.status_code)  # type: ignore[attr-defined]

    handler = Answered()
    logging.getLogger("django.request").addHandler(handler)
    try:
        with Line(live_server) as line:
            line.send(head(served, BODY, f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
            line.wait_for(b"100 Continue")
            line.send(BODY[:10])
            line.reset()
        assert answers.get(timeout=30) == 403
    finally:
        logging.getLogger("django.request").removeHandler(handler)
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    "odd",
    [b"[" * 10_000 + b"]" * 10_000, b'{"action": 1e999}', b'{"a": 1, "a": 2}', b'{"a": "\\ud800"}', b"9" * 5000],
    ids=["deep", "infinite", "duplicate keys", "lone surrogate", "digits"],
)
def test_f26_signed_nonsense_is_kept_and_shown(live_server: Any, served: Integration, odd: bytes) -> None:
    with Line(live_server) as line:
        line.send(head(served, odd, f"Content-Length: {len(odd)}") + odd)
        assert line.status() == 200
    apply.drain()
    event = WebhookEvent.objects.get()
    assert event.state in (EventState.FAILED, EventState.IGNORED)
    assert event.note


PREFIXED = types.ModuleType("prefixed_urls")
PREFIXED.urlpatterns = i18n_patterns(path("sendcloud/", include("django_sendcloud.urls")))  # type: ignore[attr-defined]


def test_address_is_the_same_in_each_language(client: Client, integration: Integration, settings: Any) -> None:
    """Below ``i18n_patterns`` an address has a language: always the shop's own, not the caller's."""
    settings.ROOT_URLCONF = PREFIXED
    paths = set()
    for language in ("en", "nl", "de", None):
        with translation.override(language):
            paths.add(integration.webhook_path())
    assert paths == {f"/en/sendcloud/webhooks/{integration.webhook_key}/"}
    with translation.override("nl"):
        assert post(client, integration, raw(parcel())).status_code == 200
