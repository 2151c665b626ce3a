"""What is secret stays secret, and what was encrypted stays readable."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from celery import signals as celery_signals
from cryptography.fernet import Fernet
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from django_sendcloud.crypto import DecryptionError
from django_sendcloud.models import (
    EntryState,
    EventState,
    Integration,
    OutboxEntry,
    Parcel,
    PauseReason,
    Shipment,
    WebhookEvent,
)
from django_sendcloud.testing import drain
from django_sendcloud.webhooks import inbox
from tests import factories
from tests.webhooks.messages import parcel, post, raw

PERSON = {"name": "Jane Canaryperson", "email": "canary@example.com"}
ADDRESS = "Canarystraat 12"


def stored() -> str:
    """Everything in the app's tables, as a dump of the database would have it."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith("django_sendcloud"):
                cursor.execute(f"SELECT * FROM {table}")
                found += [repr(row) for row in cursor.fetchall()]
    return "\n".join(found)


# -- keys ---------------------------------------------------------------------------------------------


@pytest.fixture
def keys(settings: Any, sendcloud_settings: Any) -> Any:
    def use(*keys: str) -> None:
        sendcloud_settings(ENCRYPTION_KEYS=list(keys))

    return use


def rotate() -> str:
    out = io.StringIO()
    call_command("sendcloud_rotate_keys", stdout=out)
    return out.getvalue()


def test_f31_after_a_rotation_the_old_key_is_not_needed_any_more(keys: Any, db: None, sandbox: Any) -> None:
    """Everything that was encrypted with an old key is readable with the new one alone, and the shop goes on."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    keys(old)
    integration = factories.integration(sandbox, webhook_signature_key="signature", previous_secret_key="former")
    inbox.store(integration, raw(parcel()))
    order = factories.order()
    keys(new, old)
    said = rotate()
    assert "4 stored secrets are encrypted with the first key." in said
    assert "not needed any more" in said
    keys(new)
    integration.refresh_from_db()
    assert integration.secret_key.reveal() == sandbox.secret_key
    assert integration.webhook_signature_key.reveal() == "signature"
    assert integration.previous_secret_key.reveal() == "former"
    drain()
    assert sandbox.shipment(str(order.pk)) is not None
    assert Parcel.objects.exists()
    assert "4 stored" not in rotate(), "the body of an applied webhook is forgotten"


def test_f31_with_the_wrong_key_the_cure_is_named_and_nothing_is_lost(keys: Any, db: None, sandbox: Any) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    keys(old)
    integration = factories.integration(sandbox)
    keys(new)
    integration.refresh_from_db()
    with pytest.raises(DecryptionError, match="ENCRYPTION_KEYS") as excinfo:
        integration.secret_key.reveal()
    with pytest.raises(CommandError, match=f"integration {integration.pk}: secret_key"):
        rotate()
    order = factories.order()
    drain()
    assert not sandbox.requests
    integration.refresh_from_db()
    assert integration.paused_reason == PauseReason.CREDENTIALS
    assert factories.outbox().get().state == EntryState.PENDING
    assert sandbox.secret_key not in f"{excinfo.value}{integration.paused_detail}"
    keys(new, old)
    integration.refresh_from_db()
    integration.resume()
    drain()
    assert sandbox.shipment(str(order.pk)) is not None


def test_a_secret_that_is_replaced_during_a_rotation_is_kept(
    keys: Any, db: None, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud import rotate as module

    integration = factories.integration(sandbox)
    keys(Fernet.generate_key().decode())
    ring = module.keyring()

    class Busy:
        def rotate(self, token: Any) -> bytes:
            Integration.objects.filter(pk=integration.pk).update(secret_key="replaced")
            return ring.rotate(token)

    monkeypatch.setattr(module, "keyring", Busy)
    rotate()
    integration.refresh_from_db()
    assert integration.secret_key.reveal() == "replaced"


# -- a canary -----------------------------------------------------------------------------------------


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """Whatever is sent to the broker."""
    sent: list[str] = []

    def note(body: Any, **kwargs: Any) -> None:
        sent.append(json.dumps(body, default=repr))

    celery_signals.before_task_publish.connect(note)
    yield sent
    celery_signals.before_task_publish.disconnect(note)


@pytest.mark.django_db(transaction=True)
def test_f31_no_secret_and_no_person_in_logs_messages_pages_or_tables(
    sandbox: Any, sendcloud_settings: Any, caplog: pytest.LogCaptureFixture, messages: list[str], client: Client
) -> None:
    """A customer with a name to look for goes through all that can happen to an order; then it is looked for."""
    caplog.set_level(logging.DEBUG)
    integration = factories.integration(sandbox)
    secrets = [sandbox.secret_key]

    def order(**values: Any) -> Any:
        return factories.order(customer=factories.customer(**PERSON), address=ADDRESS, **values)

    # Sent, refused by the contract, refused by Sendcloud, unanswered, without keys.
    sent = order(number="ORD-1")
    drain()
    order(number="ORD-2", country="XX")
    refused = order(number="ORD-3")
    sandbox.reject_order(str(refused.pk), {"address": ["Not deliverable."]})
    drain()
    sandbox.html_next(times=1)
    order(number="ORD-4")
    drain()
    # Home comes a parcel, one that is nobody's, one that cannot be read, and one that nobody signed.
    uuid = sandbox.shipment(str(sent.pk))["shipment_uuid"]
    post(client, integration, raw(parcel(shipment_uuid=uuid, **PERSON, address=ADDRESS)))
    post(client, integration, raw(parcel(id=5, order_number="?", **PERSON, address=ADDRESS)))
    post(client, integration, b'{"name": "Jane Canaryperson", "email": "canary@example.com", ')
    post(client, integration, raw({"action": "unheard_of", **PERSON}))
    post(client, integration, raw(parcel(**PERSON)), signature="0" * 64)
    drain()
    sandbox.revoke_credentials()
    sent.save()
    drain()
    assert Shipment.objects.exists()
    assert Parcel.objects.count() == 2
    assert WebhookEvent.objects.filter(state=EventState.FAILED).exists()
    assert factories.outbox().filter(state=EntryState.REJECTED).exists()

    # Who may see payloads sees persons: that is what the permission is for. Nobody else does.
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.exclude(codename="view_payload"))
    watcher = Client()
    watcher.force_login(staff)
    pages = ""
    for model in (Integration, OutboxEntry, Shipment, Parcel, WebhookEvent):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        addresses = [reverse(f"{name}_changelist")]
        for pk in model._default_manager.values_list("pk", flat=True):
            addresses += [reverse(f"{name}_change", args=[pk]), reverse(f"{name}_history", args=[pk])]
        for address in addresses:
            answer = watcher.get(address)
            assert answer.status_code == 200, address
            pages += answer.content.decode()

    assert messages
    assert caplog.text
    for where, text in {
        "logs": caplog.text,
        "messages": "\n".join(messages),
        "pages": pages,
        "tables": stored(),
    }.items():
        for needle in [*secrets, "Canaryperson", "canary@example.com", ADDRESS]:
            assert needle not in text, f"{needle!r} is in the {where}"
