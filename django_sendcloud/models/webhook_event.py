"""The inbox: every verified webhook, kept before anything is done with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from ..enums import WebhookAction
from .fields import EncryptedTextField
from .integration import Integration

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

#: What webhooks are about, by their action.
ACTIONS: Mapping[str, StrOrPromise] = {
    WebhookAction.PARCEL_STATUS_CHANGED.value: _("News of a parcel"),
    WebhookAction.RETURN_CREATED.value: _("Return announced"),
    WebhookAction.RETURN_DELIVERED.value: _("Return arrived"),
    WebhookAction.INTEGRATION_CONNECTED.value: _("Integration connected"),
    WebhookAction.INTEGRATION_UPDATED.value: _("Settings changed"),
    WebhookAction.INTEGRATION_DELETED.value: _("Integration deleted"),
    WebhookAction.INTEGRATION_CREDENTIALS.value: _("New keys"),
    WebhookAction.TEST_WEBHOOK.value: _("Test"),
}


class EventState(models.TextChoices):
    RECEIVED = "received", _("waiting")
    PROCESSED = "processed", _("applied")
    UNHEARD = "unheard", _("applied, the shop failed")
    IGNORED = "ignored", _("nothing to do")
    FAILED = "failed", _("failed")


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    def due(self, now: dt.datetime) -> WebhookEventQuerySet:
        return self.filter(state=EventState.RECEIVED, due_at__lte=now)


class WebhookEvent(models.Model):
    """One webhook, as it came. The digest of its body recognises a duplicate."""

    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="events", verbose_name=_("integration")
    )
    digest = models.CharField(max_length=64, editable=False)
    # The raw body, encrypted: it holds personal data. Emptied once applied and told to the shop.
    body = EncryptedTextField(default="", blank=True, editable=False)
    action = models.CharField(_("action"), max_length=100, blank=True)
    event_ms = models.BigIntegerField(null=True, blank=True, editable=False)

    state = models.CharField(_("state"), max_length=10, choices=EventState.choices, default=EventState.RECEIVED)
    due_at = models.DateTimeField(default=timezone.now, editable=False)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    error = models.TextField(_("error"), blank=True)
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

    class Meta:
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
        at = date_format(timezone.localtime(self.received_at), "DATETIME_FORMAT")
        return f"{self.about} ({at})"

    @property
    def about(self) -> StrOrPromise:
        """What it is about, in words: nobody knows before it is read."""
        if self.action:
            return ACTIONS.get(self.action, self.action)
        return _("Not read yet") if self.state == EventState.RECEIVED else _("Unreadable")
