"""For a shop's own tests: orders that really reach a Sendcloud, and webhooks that really come back, without a worker.

With pytest, ``pytest_plugins = ["django_sendcloud.testing"]`` in the project's ``conftest.py`` gives the fixtures
``sendcloud`` (a :class:`~django_sendcloud.sandbox.Sandbox`) and ``sendcloud_integration``::

    def test_checkout_ships(sendcloud, sendcloud_integration, client):
        client.post("/checkout/", {...})
        drain()
        assert sendcloud.shipments()[0]["city"] == "Eindhoven"
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone

from .models import Integration, OutboxEntry
from .sandbox import Sandbox
from .sync import record
from .sync.fold import fold_all
from .sync.worker import push_due
from .violations import errors_from_json
from .webhooks import apply, signature

if TYPE_CHECKING:
    from django.http import HttpResponse

logger = logging.getLogger("django_sendcloud.testing")

__all__ = ["connect", "drain", "rolled_back", "running_sandbox", "send_webhook"]


@contextlib.contextmanager
def running_sandbox() -> Iterator[Sandbox]:
    """Run a sandbox, and let the ``SENDCLOUD`` setting point to it."""
    ours = {"DEBOUNCE_SECONDS": 0.0, "QUARANTINE_SECONDS": 0.0, "CONFIRM_SECONDS": 0.0}
    with Sandbox() as sandbox:
        at_sandbox = {"BASE_URL": sandbox.base_url, "TOKEN_URL": sandbox.token_url}
        with override_settings(SENDCLOUD={**getattr(settings, "SENDCLOUD", {}), **ours, **at_sandbox}):
            yield sandbox


def connect(sandbox: Sandbox, **values: Any) -> Integration:
    """Connect the sandbox's integration. ``values`` override fields of the :class:`Integration`."""
    return Integration.objects.create(
        **{
            "remote_id": sandbox.integration_id,
            "name": sandbox.integration.shop_name,
            "public_key": sandbox.public_key,
            "secret_key": sandbox.secret_key,
            **values,
        }
    )


@contextlib.contextmanager
def rolled_back(using: str | None = None) -> Iterator[None]:
    """Undo a block's changes of a database, as a ``TestCase`` undoes a test's.

    Requests to Sendcloud, the rate limiter and folds fail inside an atomic block, in tests as in production. The
    transaction of a ``TestCase`` and of pytest-django's ``db`` does not count; nor does this one.
    """
    block = transaction.atomic(using=using)
    block._from_testcase = True  # type: ignore[attr-defined]  # as Django's TestCase marks its own
    with block:
        try:
            yield
        finally:
            transaction.set_rollback(True, using=using)


def drain() -> list[str]:
    """Do what the workers would do now: push all that waits, whenever it is due, and apply the inbox.

    Returns:
        Why orders were not sent, a sentence for each; empty if all went well. They are logged as well, so that pytest
        shows them with a test that fails.
    """
    # A test's transaction never ends, so what it recorded would count as recorded for the next change, too.
    record.forget_transaction()
    fold_all()
    past = timezone.now() - dt.timedelta(seconds=1)
    OutboxEntry.objects.pending().update(due_at=past, not_before=past)
    push_due()
    apply.drain()
    problems = [_problem(entry) for entry in OutboxEntry.objects.exclude(error_code="").order_by("pk")]
    for problem in problems:
        logger.warning("%s", problem)
    return problems


def _problem(entry: OutboxEntry) -> str:
    """Return why an order was not sent."""
    errors = [
        f"{path or 'order'}: {violation}"
        for path, found in errors_from_json(entry.error_fields).items()
        for violation in found
    ]
    reasons = filter(None, [entry.error_code, "; ".join(errors) or entry.error_detail])
    return f"{entry.order_type} {entry.order_number or entry.order_pk} was not sent: {': '.join(reasons)}"


def send_webhook(client: Client, integration: Integration, payload: dict[str, Any]) -> HttpResponse:
    """Post a webhook as Sendcloud does, signed with the integration's key. Return the view's answer."""
    raw = json.dumps(payload).encode()
    secret = integration.webhook_secrets()[0]
    return client.post(  # type: ignore[return-value]
        integration.webhook_path(),
        raw,
        content_type="application/json",
        headers={signature.HEADER: signature.sign(raw, secret)},
    )


try:
    import pytest
except ImportError:  # pragma: no cover - the fixtures are for those who have it
    pass
else:

    @pytest.fixture
    def sendcloud() -> Iterator[Sandbox]:
        """Run a local Sendcloud that the settings point to."""
        with running_sandbox() as sandbox:
            yield sandbox

    @pytest.fixture
    def sendcloud_integration(sendcloud: Sandbox, db: None) -> Integration:
        """Connect the sandbox's integration."""
        return connect(sendcloud)
