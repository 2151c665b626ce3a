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
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.test import Client, override_settings
from django.utils import timezone

from .conf import conf
from .models import Integration, OutboxEntry
from .sandbox import Sandbox
from .sync import record
from .sync.fold import fold_all
from .sync.pump import pump
from .webhooks import apply, signature

if TYPE_CHECKING:
    from django.http import HttpResponse

__all__ = ["connect", "drain", "running_sandbox", "send_webhook"]


@contextlib.contextmanager
def running_sandbox() -> Iterator[Sandbox]:
    """Run a sandbox, and let the ``SENDCLOUD`` setting point to it."""
    ours = {"DEBOUNCE_SECONDS": 0.0, "QUARANTINE_SECONDS": 0.0}
    with Sandbox() as sandbox:
        at_sandbox = {"BASE_URL": sandbox.base_url, "TOKEN_URL": sandbox.token_url}
        with override_settings(SENDCLOUD={**getattr(settings, "SENDCLOUD", {}), **ours, **at_sandbox}):
            yield sandbox


def connect(sandbox: Sandbox, **values: Any) -> Integration:
    """Connect the sandbox's integration. ``values`` override fields of the :class:`Integration`."""
    return Integration.objects.using(conf().DATABASE).create(
        **{
            "remote_id": sandbox.integration_id,
            "name": sandbox.integration.shop_name,
            "public_key": sandbox.public_key,
            "secret_key": sandbox.secret_key,
            **values,
        }
    )


def drain() -> None:
    """Do what the workers would do now: push all that waits, whenever it is due, and apply the inbox."""
    # A test's transaction never ends, so what it recorded would count as recorded for the next change, too.
    record.forget_transaction()
    fold_all()
    past = timezone.now() - dt.timedelta(seconds=1)
    OutboxEntry.objects.using(conf().DATABASE).pending().update(due_at=past, not_before=past)
    pump()
    apply.drain()


def send_webhook(client: Client, integration: Integration, payload: dict[str, Any]) -> HttpResponse:
    """Post a webhook as Sendcloud does, signed with the integration's key. Returns the view's answer."""
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
        """A local Sendcloud that the settings point to."""
        with running_sandbox() as sandbox:
            yield sandbox

    @pytest.fixture
    def sendcloud_integration(sendcloud: Sandbox, db: None) -> Integration:
        """The sandbox's integration, connected."""
        return connect(sendcloud)
