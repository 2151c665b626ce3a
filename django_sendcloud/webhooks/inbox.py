"""Keeping a verified webhook before anything is done with it."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib

from django.db import IntegrityError, connections, transaction

from ..conf import conf
from ..crypto import Secret
from ..models import Integration, WebhookEvent
from ..signals import work_due
from .credentials import without_keys

__all__ = ["store"]

# Due at once for whoever looks, however wrong the clock of this machine is.
AT_ONCE = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def store(integration: Integration, raw: bytes, *, keep_keys: bool = False) -> tuple[WebhookEvent | None, bool]:
    """Keep one verified body: one INSERT, nothing else. A body that is there already changes nothing.

    Args:
        integration: Whose webhook it is.
        raw: The body as it came.
        keep_keys: Keep the keys that an ``integration_credentials`` carries until they are tried. Removed otherwise.

    Returns:
        The event and ``True``; or ``None`` and ``False`` for a duplicate.

    Raises:
        DatabaseError: it could not be kept; Sendcloud should send it again.
    """
    database = conf().DATABASE
    digest = hashlib.sha256(raw).hexdigest()
    body = raw.decode("utf-8", "surrogateescape")
    event = WebhookEvent(
        integration=integration,
        digest=digest,
        body=Secret(body if keep_keys else without_keys(body)),
        due_at=AT_ONCE,
    )
    # In a transaction that is not ours, a duplicate must not spoil more than its own statement.
    inside = connections[database].in_atomic_block
    try:
        with transaction.atomic(using=database) if inside else contextlib.nullcontext():
            event.save(force_insert=True, using=database)
    except IntegrityError:
        if not WebhookEvent.objects.using(database).filter(integration=integration, digest=digest).exists():
            raise
        return None, False
    work_due.send_robust(sender=WebhookEvent, queue="inbox")
    return event, True
