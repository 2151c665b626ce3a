"""The entrance of verified webhooks: stored before anything is done with them."""

from __future__ import annotations

from ..models import Integration, WebhookEvent
from ..signals import work_due
from ..silent import SilentBytes, SilentStr
from .credentials import without_keys

__all__ = ["store"]


def store(integration: Integration, raw: bytes, *, keep_keys: bool = False) -> tuple[WebhookEvent | None, bool]:
    """Store one verified body, in one INSERT. A duplicate changes nothing.

    Args:
        integration: The integration it came for.
        raw: The body as it came.
        keep_keys: Keep the keys that an ``integration_credentials`` carries until they are tried. Removed otherwise.

    Returns:
        The event and ``True``; or ``None`` and ``False`` for a duplicate.

    Raises:
        DatabaseError: It could not be stored; Sendcloud should send it again.
    """
    raw = SilentBytes(raw)
    body = SilentStr(raw.decode("utf-8", "surrogateescape"))
    events = WebhookEvent.objects
    event = events.keep(integration, raw, body if keep_keys else SilentStr(without_keys(body)))
    if event is None:
        return None, False
    work_due.send_robust(sender=WebhookEvent, queue="inbox")
    return event, True
