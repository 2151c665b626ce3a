"""Secrets and personal data stay confidential, and encrypted keys stay readable."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from celery import signals as celery_signals
from cryptography.fernet import Fernet
from django.contrib.auth.models import Permission, User
from django.core import serializers
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from django_sendcloud.core.crypto import DecryptionError, Secret
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
from tests.databases import rows_as_text
from tests.webhooks.messages import parcel, post, raw

PERSON = {"name": "Jane Canaryperson", "email": "canary@example.com"}
ADDRESS = "Canarystraat 12"


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


def test_f31_rotation_makes_old_key_superfluous(keys: Any, db: None, sandbox: Any) -> None:
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


def test_f31_wrong_key_loses_nothing(keys: Any, db: None, sandbox: Any) -> None:
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


def test_secret_replaced_during_rotation_is_kept(
    keys: Any, db: None, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.maintenance import rotate_keys as module

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
    """Collect the messages that are sent to the broker."""
    sent: list[str] = []

    def note(body: Any, **kwargs: Any) -> None:
        sent.append(json.dumps(body, default=repr))

    celery_signals.before_task_publish.connect(note)
    yield sent
    celery_signals.before_task_publish.disconnect(note)


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_f31_secrets_and_persons_appear_nowhere(
    sandbox: Any, sendcloud_settings: Any, caplog: pytest.LogCaptureFixture, messages: list[str], client: Client
) -> None:
    """A customer with a distinctive name goes through every fate of an order; no log, table or page shows the name."""
    caplog.set_level(logging.DEBUG)
    integration = factories.integration(sandbox)
    secrets = [sandbox.secret_key]

    def order(**values: Any) -> Any:
        return factories.order(customer=factories.customer(**PERSON), address=ADDRESS, **values)

    # Sent, rejected by the contract, rejected by Sendcloud, unanswered, without valid keys.
    sent = order(number="ORD-1")
    drain()
    order(number="ORD-2", country="XX")
    refused = order(number="ORD-3")
    sandbox.reject_order(str(refused.pk), {"address": ["Not deliverable."]})
    drain()
    sandbox.html_next(times=1)
    order(number="ORD-4")
    drain()
    # Webhooks: a known parcel, an unknown one, broken JSON, an unknown action, and a wrong signature.
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

    # Only the permission to view payloads shows personal data, so this user lacks it.
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
        "tables": rows_as_text(),
    }.items():
        for needle in [*secrets, "Canaryperson", "canary@example.com", ADDRESS]:
            assert needle not in text, f"{needle!r} is in the {where}"


def test_secret_is_pickled_as_ciphertext() -> None:
    secret = Secret("canary-secret")
    dumped = pickle.dumps(secret)
    assert b"canary" not in dumped
    assert pickle.loads(dumped) == secret
    assert not pickle.loads(pickle.dumps(Secret("")))
    assert copy.copy(secret) is secret


def test_fixture_does_not_encrypt_twice(integration: Integration) -> None:
    """``dumpdata`` and ``loaddata``: the keys are readable afterwards, and not in the fixture in clear."""
    integration.secret_key = "canary-secret"
    integration.save()
    dumped = serializers.serialize("json", Integration.objects.all())
    assert "canary" not in dumped
    for _ in range(2):
        Integration.objects.all().delete()
        for each in serializers.deserialize("json", dumped):
            each.save()
        loaded = Integration.objects.get()
        assert loaded.secret_key.reveal() == "canary-secret"
        assert not loaded.previous_secret_key
        dumped = serializers.serialize("json", Integration.objects.all())


def test_assigned_text_is_never_taken_for_ciphertext(integration: Integration) -> None:
    integration.secret_key = "django-sendcloud-encrypted:abc"
    assert integration.secret_key.reveal() == "django-sendcloud-encrypted:abc"
