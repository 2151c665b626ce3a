"""F39: an error at any seam shows no key, no header and no buyer, in Django's report and in Sentry's event.

Both list the local variables of every frame. If an error is raised in the middle of our code, the secrets in its frames
must be of types that do not show their content.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest
import requests
import sentry_sdk
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.db import OperationalError, connection
from django.test import RequestFactory
from django.urls import reverse
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter
from sentry_sdk.integrations.django import DjangoRequestExtractor
from sentry_sdk.serializer import serialize
from sentry_sdk.transport import Transport

from django_sendcloud.api.requestor import Requestor
from django_sendcloud.conf import SECRETS
from django_sendcloud.core.crypto import keyring
from django_sendcloud.hidden import hide
from django_sendcloud.models import Integration, OutboxEntry, Parcel
from django_sendcloud.parcels.labels import fetch
from django_sendcloud.parcels.poll import poll
from django_sendcloud.sync import reconcile
from django_sendcloud.sync.fold import fold_all
from django_sendcloud.sync.worker import push_due
from django_sendcloud.testing import drain, rolled_back
from django_sendcloud.webhooks import apply, inbox
from tests import factories
from tests.api.conftest import Server, answer
from tests.webhooks.messages import parcel, post, raw

pytestmark = pytest.mark.long

HASH = "canary-hash"
KEY = "6ojkI3zSgQMCOMRDZAAGdgo4b1TTUuKhkZS7yVNkbOc="
BUYER = {"name": "Canary Person", "address": "Canary Street 1", "email": "canary@example.com", "city": "Canaryville"}


# SQL texts that fail now; cleared before an error is reported.
statements: list[list[str]] = []


class Recording(Transport):
    """A transport that keeps what Sentry would send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.sent += [item.payload.json for item in envelope.items if item.type == "event"]


def is_ours(path: str) -> bool:
    """Return whether a frame is not the test's own: the test's frames hold the secrets openly."""
    return not any(part in path for part in ("/tests/", "pytest", "pluggy", "django/test/"))


@pytest.fixture
def seen() -> Iterator[Callable[..., str]]:
    """Return all that an error shows: in Django's report, as page and as text, and in Sentry's event."""
    transport = Recording()
    sentry_sdk.init(
        dsn="https://public@sentry.example/1",
        transport=transport,
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=True,
        max_request_body_size="always",
    )

    def show(work: Callable[[], Any], *, any_frame: bool = False) -> str:
        transport.sent.clear()
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - an interruption is one as well
            work()
        error = caught.value
        sentry_sdk.capture_exception(error)
        for each in statements:
            each.clear()
        connection.needs_rollback = False
        reporter = ExceptionReporter(RequestFactory().get("/"), type(error), error, error.__traceback__)
        frames = [frame for frame in reporter.get_traceback_data()["frames"] if is_ours(frame["filename"])]
        assert frames or any_frame, "the error was raised within our code"
        shown = [f"{frame['function']}: {name} = {value}" for frame in frames for name, value in frame["vars"]]
        (event,) = transport.sent
        for value in event["exception"]["values"]:
            kept = [frame for frame in value["stacktrace"]["frames"] if is_ours(frame["abs_path"])]
            value["stacktrace"]["frames"] = kept
        return "\n".join([*shown, reporter.get_traceback_text(), json.dumps(event, indent=1)])

    yield show
    sentry_sdk.init()


@pytest.fixture
def secrets(integration: Integration, sandbox: Any, sendcloud_settings: Any) -> list[str]:
    """Return the texts that no report may show."""
    sendcloud_settings(ENCRYPTION_KEYS=[KEY], PROXY_URL="")
    integration.webhook_signature_key = "canary-signature-key"
    integration.save()
    keyring()
    basic = requests.auth._basic_auth_str(sandbox.public_key, sandbox.secret_key).split()[1]
    return [KEY, sandbox.secret_key, "canary-signature-key", basic, *BUYER.values()]


@pytest.fixture
def failing() -> Iterator[Callable[[str], None]]:
    """Let a statement fail whose SQL has this text."""
    wanted: list[str] = []
    statements.append(wanted)

    def execute(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if any(text in sql for text in wanted):
            raise OperationalError("the database has gone")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield wanted.append


def shows_nothing(text: str, secrets: list[str]) -> None:
    found = [secret for secret in secrets if secret in text]
    assert not found, [text[max(0, text.index(each) - 200) : text.index(each) + 30] for each in found]


def buyers_order() -> Any:
    customer = factories.customer(name=BUYER["name"], email=BUYER["email"])
    return factories.order(customer=customer, address=BUYER["address"], city=BUYER["city"])


def test_f39_report_hides_settings_by_name() -> None:
    """Django's report has the shop's settings as they are written: only a key's name hides its value."""
    hidden = SafeExceptionReporterFilter.hidden_settings
    # The address alone is no secret: a check says where its password belongs.
    assert {name for name in SECRETS if not hidden.search(name)} == {"PROXY_URL"}


@pytest.mark.parametrize("auth", ["jane:pa:55/w@rd", "canary-user:"])
def test_f39_password_of_proxy_reaches_it_unseen(
    integration: Integration, sendcloud_settings: Any, seen: Any, auth: str
) -> None:
    with contextlib.closing(Server(lambda *args: answer("no JSON object"))) as proxy:
        sendcloud_settings(PROXY_URL=proxy.url, PROXY_AUTH=auth)
        text = seen(lambda: integration.client().v2.integrations.list())
    sent = proxy.requests[0].headers["proxy-authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == auth
    shows_nothing(text, [auth, quote(auth, safe=":"), sent])


@pytest.mark.long
def test_f39_error_while_recording_shows_nothing(seen: Any, secrets: list[str], failing: Any) -> None:
    order = buyers_order()
    drain()
    factories.forget_transaction()
    failing("INSERT INTO django_sendcloud_change")
    shows_nothing(seen(order.save), secrets)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO django_sendcloud_outboxentry",
        'UPDATE "django_sendcloud_outboxentry"',
        'INSERT INTO "django_sendcloud_shipment"',
        'DELETE FROM "django_sendcloud_outboxentry"',
        'FROM "django_sendcloud_integration"',
    ],
)
def test_f39_error_while_pushing_shows_nothing(seen: Any, secrets: list[str], failing: Any, sql: str) -> None:
    """Fold, claim, load, plan, settle."""
    buyers_order()
    factories.forget_transaction()

    def push() -> None:
        fold_all()
        push_due()
        raise AssertionError("it did not fail")

    if "INSERT INTO django_sendcloud_outboxentry" not in sql:
        fold_all()
        OutboxEntry.objects.update(due_at="2000-01-01T00:00Z", not_before="2000-01-01T00:00Z")
    failing(sql)
    shows_nothing(seen(push), secrets)


@pytest.mark.parametrize(
    "sql",
    [
        '"django_sendcloud_webhookevent"',
        'FROM "django_sendcloud_parcel"',
        'INTO "django_sendcloud_parcel"',
        'INTO "django_sendcloud_parcelstatus"',
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_f39_error_in_inbox_shows_nothing(
    seen: Any, secrets: list[str], failing: Any, integration: Integration, sql: str, known: bool
) -> None:
    label = {"label_printer": f"https://panel.example/label?hash={HASH}"}
    items = [{"description": "Canary mug", "quantity": 1}]
    body = raw(parcel(3, label=label, parcel_items=items, **BUYER))
    if known:
        inbox.store(integration, raw(parcel(1, 1, label=label, parcel_items=items)))
        apply.drain()

    def work() -> None:
        if "webhookevent" in sql:
            failing(sql)
        inbox.store(integration, body)
        failing(sql)
        apply.drain()
        raise AssertionError("it did not fail")

    monkey = pytest.MonkeyPatch()
    # A lost connection is no single event's fault, so the error is raised.
    monkey.setattr(apply, "_is_lost", lambda error: True)
    try:
        shows_nothing(seen(work), [*secrets, HASH, "Canary mug"])
    finally:
        monkey.undo()


class Bug(BaseException):
    """An error that nothing expects."""


def buyers_label(sandbox: Any) -> str:
    """Push the buyer's order, and return its key; its label has a hash."""
    order = buyers_order()
    drain()
    sandbox.create_label(str(order.pk))
    return str(order.pk)


@pytest.mark.parametrize(
    "sql",
    ['INTO "django_sendcloud_webhookevent"', 'FROM "django_sendcloud_parcel"', 'FROM "django_sendcloud_shipment"'],
)
def test_f39_error_while_polling_shows_nothing(
    seen: Any, secrets: list[str], failing: Any, integration: Integration, sandbox: Any, sql: str
) -> None:
    buyers_label(sandbox)
    original = Requestor.decode

    def decode(self: Requestor, request: Any, response: Any) -> Any:
        content = original(self, request, response)
        for each in content["parcels"]:
            each["label"] = hide({"label_printer": f"https://panel.example/label?hash={HASH}"}, texts=False)
        return content

    monkey = pytest.MonkeyPatch()
    monkey.setattr(Requestor, "decode", decode)
    failing(sql)
    try:
        shows_nothing(seen(lambda: poll(integration)), [*secrets, HASH])
    finally:
        monkey.undo()


def test_f39_error_while_fetching_labels_shows_nothing(
    seen: Any, secrets: list[str], integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{sandbox.base_url}/api/v2/labels/label_printer?hash={HASH}"
    Parcel.objects.create(integration=integration, remote_id=1, labels={"a6": url})

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise Bug

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", fail)
    shows_nothing(seen(lambda: fetch(Parcel.objects.all())), [*secrets, HASH])


@pytest.mark.parametrize("sql", ['UPDATE "django_sendcloud_shipment"', 'FROM "django_sendcloud_reconciliationrun"'])
def test_f39_error_while_reconciling_shows_nothing(
    seen: Any, secrets: list[str], failing: Any, integration: Integration, sql: str
) -> None:
    buyers_order()
    drain()
    failing(sql)
    shows_nothing(seen(lambda: reconcile.compare(integration)), secrets)


def test_f39_error_in_view_shows_nothing(
    seen: Any, secrets: list[str], integration: Integration, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ArithmeticError

    monkeypatch.setattr(inbox, "store", fail)
    shows_nothing(seen(lambda: post(client, integration, raw(parcel(3, **BUYER)))), secrets)


def test_f39_error_with_keys_by_webhook_shows_nothing(
    seen: Any, secrets: list[str], integration: Integration, failing: Any
) -> None:
    keys = {"action": "integration_credentials", "timestamp": 1, "public_key": "p", "secret_key": "canary-new-secret"}

    def work() -> None:
        failing("INSERT")
        inbox.store(integration, raw(keys), keep_keys=True)

    shows_nothing(seen(work), [*secrets, "canary-new-secret"])


@pytest.mark.parametrize("scheme", ["basic", "oauth2"])
def test_f39_error_in_client_shows_nothing(
    seen: Any, secrets: list[str], integration: Integration, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    buyers_order()
    factories.forget_transaction()
    integration.auth_scheme = scheme
    integration.save()
    fold_all()
    OutboxEntry.objects.update(due_at="2000-01-01T00:00Z", not_before="2000-01-01T00:00Z")

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise Bug

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", fail)
    shows_nothing(seen(push_due), secrets)


def test_f39_error_in_receiver_shows_nothing(seen: Any, secrets: list[str], integration: Integration) -> None:
    from django_sendcloud import signals

    def fail(**kwargs: Any) -> None:
        raise Bug

    inbox.store(integration, raw(parcel(3, **BUYER)))
    signals.webhook_received.connect(fail)
    try:
        shows_nothing(seen(apply.drain), secrets)
    finally:
        signals.webhook_received.disconnect(fail)


def test_f39_invalid_encryption_key_is_not_shown(seen: Any, integration: Integration, sendcloud_settings: Any) -> None:
    sendcloud_settings(ENCRYPTION_KEYS=["canary-encryption-key"])
    keyring.cache_clear()
    shows_nothing(seen(keyring), ["canary-encryption-key"])


class Failing:
    """A wrapper of a connection's statements of which one fails.

    Args:
        number: The statement that fails, counted from 1.
    """

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise OperationalError("the database has gone")
        return execute(sql, params, many, context)


def at_each_statement(work: Callable[[], object], seen: Callable[..., str], secrets: list[str]) -> int:
    """Let each statement of the work fail in turn, and check what is shown. Return how many there are."""

    def failing() -> None:
        with rolled_back(), connection.execute_wrapper(wrapper):
            work()
            raise Bug

    for number in itertools.count(1):
        wrapper = Failing(number)
        shows_nothing(seen(failing, any_frame=True), secrets)
        if wrapper.left > 0:
            return number - 1
    raise AssertionError


@pytest.fixture
def requested() -> Iterator[list[Any]]:
    """Collect the requests whose view raised."""
    found: list[Any] = []

    def note(request: Any, **kwargs: Any) -> None:
        found.append(request)

    got_request_exception.connect(note)
    yield found
    got_request_exception.disconnect(note)


def input_of(request: Any) -> str:
    """Return the input of a request as Django's report and Sentry's event show it."""
    event: dict[str, Any] = {}
    DjangoRequestExtractor(request).extract_into_event(event)
    kept = SafeExceptionReporterFilter().get_post_parameters(request)
    return f"{serialize(event)} {dict(kept)}"


@pytest.mark.parametrize("page", ["add", "change"])
def test_f39_error_in_key_form_shows_nothing(
    seen: Any, requested: list[Any], log_in: Any, integration: Integration, page: str
) -> None:
    """The first statements load the operator's session, before the page itself runs."""
    client, new = log_in("superuser"), ["canary-new-secret", "canary-new-signature-key"]
    url = reverse(f"admin:django_sendcloud_integration_{page}", args=[integration.pk] if page == "change" else [])
    form = {
        "public_key": integration.public_key if page == "change" else "another",
        "new_secret_key": new[0],
        "new_webhook_signature_key": new[1],
        "auth_scheme": "basic",
        "account": integration.account.pk,
    }
    assert at_each_statement(lambda: client.post(url, form), seen, new) > 5
    assert requested
    shows_nothing("".join(map(input_of, requested)), new)


def test_f39_error_in_connect_shows_nothing(
    seen: Any, sandbox: Any, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    monkeypatch.setenv("SENDCLOUD_PUBLIC_KEY", sandbox.public_key)
    monkeypatch.setenv("SENDCLOUD_SECRET_KEY", sandbox.secret_key)

    def connect() -> None:
        call_command("sendcloud_connect", webhook=False, stdout=StringIO())

    assert at_each_statement(connect, seen, [sandbox.secret_key]) > 5


IN_A_SHOP = """
import django, json, sentry_sdk
from sentry_sdk.transport import Transport
from django.test import Client

class Recording(Transport):
    sent = []
    def capture_envelope(self, envelope):
        self.sent += [json.dumps(item.payload.json) for item in envelope.items if item.type == "event"]

# A shop has all of Sentry's integrations.
sentry_sdk.init(
    dsn="https://public@sentry.example/1", transport=Recording, max_request_body_size="always", send_default_pii=True
)
from django_sendcloud.models import Integration
from django_sendcloud.webhooks import inbox, signature
from tests.webhooks.messages import parcel, post, raw

def fail(*args, **kwargs):
    raise ArithmeticError

def gone(*args):
    from django.db import OperationalError
    raise OperationalError("the database has gone")

integration = Integration.objects.get()
secrets = integration.webhook_secrets()
buyer = json.loads('BUYER')
body = raw(parcel(3, **buyer))
if "SEAM" == "store":
    inbox.store = fail
    answer = post(Client(raise_request_exception=False), integration, body)
else:
    from django.db import connection
    with connection.execute_wrapper(gone):
        answer = post(Client(raise_request_exception=False), integration, body)
events = [json.loads(text) for text in Recording.sent]
for event in events:
    for value in (event.get("exception") or {}).get("values", ()):
        value["stacktrace"]["frames"] = [f for f in value["stacktrace"]["frames"] if "/tests/" not in f["abs_path"] and "django/test/" not in f["abs_path"]]
text = json.dumps(events)
unwanted = [*buyer.values(), *secrets, signature.sign(body, secrets[0])]
print(answer.status_code, len(events), [str(each) for each in unwanted if each in text])
"""


@pytest.mark.parametrize(("seam", "status"), [("store", 500), ("lookup", 503)])
@pytest.mark.services("postgresql")
def test_f39_error_in_view_with_sentry_shows_nothing(make_project: Callable[..., Any], seam: str, status: int) -> None:
    """Sentry's integration with Django adds the request, but neither its body nor its signature.

    It reads the body itself where the view has not done so yet.
    """
    project = make_project("postgresql")
    shown = project.run(IN_A_SHOP.replace("BUYER", json.dumps(BUYER)).replace("SEAM", seam))
    assert shown == f"{status} 1 []"
