"""The inbox: every verified webhook and every polled update, stored before anything is done with it."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, connections, models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..core.dates import date_and_time
from ..enums import WebhookAction
from .base import DatabaseQuerySet, Dismissible
from .fields import EncryptedTextField, StorableCharField
from .integration import Integration

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from .parcel import Parcel

#: The subject of a webhook by its action.
ACTIONS: Mapping[str, StrOrPromise] = {
    WebhookAction.PARCEL_STATUS_CHANGED.value: _("Parcel update"),
    WebhookAction.PARCEL_POLLED.value: _("Polled update of a parcel"),
    WebhookAction.PARCEL_LINKED.value: _("Parcel found its order"),
    WebhookAction.SHIPMENT_DELETED.value: _("A shipment of its order was deleted"),
    WebhookAction.RETURN_CREATED.value: _("Return announced"),
    WebhookAction.RETURN_DELIVERED.value: _("Return arrived"),
    WebhookAction.INTEGRATION_CONNECTED.value: _("Integration connected"),
    WebhookAction.INTEGRATION_UPDATED.value: _("Settings changed"),
    WebhookAction.INTEGRATION_DELETED.value: _("Integration deleted"),
    WebhookAction.INTEGRATION_CREDENTIALS.value: _("New keys"),
    WebhookAction.TEST_WEBHOOK.value: _("Test"),
}


class EventState(models.TextChoices):
    """The progress of an event: applied to the parcel, and made known to the shop, are two states."""

    RECEIVED = "received", _("waiting")
    APPLIED = "applied", _("applied, shop code pending")
    PROCESSED = "processed", _("applied")
    RECEIVER_FAILED = "receiver_failed", _("applied, shop code failed")
    IGNORED = "ignored", _("nothing to do")
    FAILED = "failed", _("failed")
    DISMISSED = "dismissed", _("dismissed")


#: Applied events whose follow-ups have not all run.
AWAITING_FOLLOW_UPS = (EventState.APPLIED, EventState.RECEIVER_FAILED)

# Due for every worker, whatever the clocks of the machines say.
IMMEDIATELY = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


class WebhookEventQuerySet(DatabaseQuerySet["WebhookEvent"]):
    def due(self, now: dt.datetime) -> WebhookEventQuerySet:
        """Return the events to apply."""
        return self.filter(state=EventState.RECEIVED, due_at__lte=now)

    def dead(self) -> WebhookEventQuerySet:
        """Return the failed events that no worker tries again."""
        return self.filter(state__in=(EventState.FAILED, EventState.RECEIVER_FAILED), due_at__isnull=True)

    def with_due_follow_ups(self, now: dt.datetime) -> WebhookEventQuerySet:
        """Return the applied events whose follow-ups are due, at most the oldest of each parcel.

        A later event of a parcel waits for the earlier ones, also for one that a worker has claimed.
        """
        earlier = self.model._base_manager.filter(
            Q(event_ms__lt=OuterRef("event_ms")) | Q(event_ms=OuterRef("event_ms"), pk__lt=OuterRef("pk")),
            parcel=OuterRef("parcel"),
            state__in=AWAITING_FOLLOW_UPS,
            due_at__isnull=False,
            is_blocking=True,
        )
        return self.filter(~Exists(earlier), state__in=AWAITING_FOLLOW_UPS, due_at__lte=now)

    def keep(self, integration: Integration, raw: bytes, body: str) -> WebhookEvent | None:
        """Store one body, in one INSERT.

        Args:
            integration: The integration that the body concerns.
            raw: The body as it came. Its digest recognises a duplicate.
            body: The text to store.

        Returns:
            The event, or ``None`` for a duplicate.

        Raises:
            DatabaseError: It could not be stored.
        """
        digest = hashlib.sha256(raw).hexdigest()
        event = WebhookEvent(integration=integration, digest=digest, body=body, due_at=IMMEDIATELY)
        # In a caller's transaction, a duplicate must not spoil more than its own statement.
        inside = connections[self.db].in_atomic_block
        try:
            with transaction.atomic(using=self.db) if inside else contextlib.nullcontext():
                event.save(force_insert=True, using=self.db)
        except IntegrityError:
            if not self.filter(integration=integration, digest=digest).exists():
                raise
            return None
        return event

    def follow(self, parcel: Parcel, action: WebhookAction, changes: Sequence[Mapping[str, Any]] = ()) -> WebhookEvent:
        """Let the order of a parcel follow it, though no webhook has come.

        Args:
            parcel: A parcel that is linked to a shipment.
            action: Reason, one of our own actions.
            changes: The phases that the order has not followed yet, as JSON.
        """
        return self.create(
            integration_id=parcel.integration_id,
            digest=hashlib.sha256(uuid.uuid4().bytes).hexdigest(),
            action=action.value,
            event_ms=parcel.last_event_ms,
            state=EventState.APPLIED,
            due_at=IMMEDIATELY,
            parcel=parcel,
            follow_ups={"steps": ["order"], "changes": list(changes)},
        )


class WebhookEvent(Dismissible):
    """One webhook, as it came. The digest of its body recognises a duplicate."""

    integration = models.ForeignKey(
        Integration,
        on_delete=models.CASCADE,
        related_name="events",
        verbose_name=_("integration"),
        db_index=False,  # the unique constraint begins with it
    )
    digest = models.CharField(max_length=64, editable=False)
    # The raw body, encrypted: it holds personal data. Emptied once all follow-ups have run.
    body = EncryptedTextField(default="", blank=True, editable=False)
    action = StorableCharField(_("action"), max_length=100, blank=True)
    event_ms = models.BigIntegerField(null=True, blank=True, editable=False)

    state = models.CharField(_("state"), max_length=15, choices=EventState.choices, default=EventState.RECEIVED)
    # ``None``: nothing is left to do, or nothing until a person replays it.
    due_at = models.DateTimeField(default=timezone.now, null=True, editable=False)
    # Claims without an answer so far: a worker that dies counts as well.
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    failures = models.PositiveIntegerField(_("failures"), default=0)
    # A code with its parameters, as ``{"code": "receiver_failed", "receiver": ..., "error": ..., "at": ...}``.
    note = models.JSONField(_("note"), default=dict, blank=True, editable=False)
    # The steps that have not run yet, with what they need to know of the moment the event was applied.
    follow_ups = models.JSONField(default=dict, blank=True, editable=False)
    # Later events of its parcel wait until its follow-ups have run.
    is_blocking = models.BooleanField(default=True, editable=False)
    received_at = models.DateTimeField(_("received at"), default=timezone.now)
    processed_at = models.DateTimeField(_("processed at"), null=True, blank=True)
    parcel = models.ForeignKey(
        "django_sendcloud.Parcel",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="events",
        verbose_name=_("parcel"),
    )

    objects = WebhookEventQuerySet.as_manager()

    class Meta(Dismissible.Meta):
        verbose_name = _("webhook")
        verbose_name_plural = _("inbox")
        constraints = [
            models.UniqueConstraint(fields=["integration", "digest"], name="sendcloud_webhookevent_digest"),
        ]
        indexes = [
            models.Index(fields=["state", "due_at"], name="sendcloud_webhookevent_due"),
            models.Index(fields=["received_at"], name="sendcloud_webhookevent_age"),
        ]
        permissions = [("replay_webhookevent", _("Can replay webhooks"))]

    def __str__(self) -> str:
        return f"{self.about} ({date_and_time(self.received_at)})"

    @property
    def is_dead(self) -> bool:
        """Return whether it failed and no worker tries it again."""
        return self.state in (EventState.FAILED, EventState.RECEIVER_FAILED) and self.due_at is None

    @property
    def about(self) -> StrOrPromise:
        """Return the subject in words: unknown until the body is read."""
        if self.action:
            return ACTIONS.get(self.action, self.action)
        return _("Not read yet") if self.state == EventState.RECEIVED else _("Unreadable")
