"""One connected Sendcloud integration."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..core.clock import clock
from ..core.crypto import Secret
from ..core.deployment import current_deployment
from ..core.dispatch import ReceiverFailed, dispatch
from ..enums import ApiGeneration, AuthScheme
from .account import Account, main_account
from .base import DatabaseQuerySet, SendcloudModel
from .fields import EncryptedTextField, StorableCharField, StorableTextField, storable

if TYPE_CHECKING:
    from django.dispatch import Signal

    from ..api import SendcloudClient
    from ..api.v2 import Integration as RemoteIntegration


class PauseReason(models.TextChoices):
    """A reason why nothing is sent to an integration. Everything for it stays queued meanwhile."""

    PERSON = "person", _("paused by an operator")
    CREDENTIALS = "credentials", _("the API keys are rejected")
    PERMISSION = "permission", _("Sendcloud does not allow these keys to send orders")
    GONE = "gone", _("Sendcloud does not know this integration any more")
    CONFIGURATION = "configuration", _("the connection to Sendcloud is not set up safely")
    COPY = "copy", _("this may be a copy of the shop")
    MOVE = "move", _("it is being moved to another API")

    @property
    def waits_for_person(self) -> bool:
        """Whether only a person may resume; the others are probed."""
        return self in (PauseReason.PERSON, PauseReason.COPY, PauseReason.MOVE)


# Tried again after five minutes at first, after five hours in the end.
MAX_RELAPSES = 6


class IntegrationQuerySet(DatabaseQuerySet["Integration"]):
    def active(self) -> IntegrationQuerySet:
        """Return the integrations that the shop uses, paused or not."""
        return self.filter(is_active=True)

    def running(self) -> IntegrationQuerySet:
        """Return the integrations that requests may be sent to now."""
        return self.active().filter(paused_since__isnull=True)


class Integration(SendcloudModel):
    """One Sendcloud integration this shop ships through.

    There is no operation that creates one: a merchant makes it in Sendcloud's panel
    (Settings > Integrations > Sendcloud API) and pastes its keys here.
    """

    remote_id = models.PositiveBigIntegerField(_("Sendcloud's id"), unique=True, validators=[MinValueValidator(1)])
    name = StorableCharField(_("name"), max_length=250, blank=True)
    shop_url = StorableCharField(_("shop URL"), max_length=500, blank=True)
    account = models.ForeignKey(
        Account,
        on_delete=models.PROTECT,
        default=main_account,
        related_name="integrations",
        verbose_name=_("account"),
    )
    is_active = models.BooleanField(
        _("in use"),
        default=True,
        help_text=_("New orders may go to it. Nothing is sent through an integration that is not in use."),
    )

    # Orders it takes, where several are in use (``sync.routing``)
    for_countries = models.JSONField(_("countries"), default=list, blank=True)
    for_sites = models.JSONField(_("sites"), default=list, blank=True)

    # Requests to it
    api_generation = models.CharField(
        _("API generation"),
        max_length=2,
        choices=[(ApiGeneration.V2.value, "v2"), (ApiGeneration.V3.value, "v3")],
        default=ApiGeneration.V2.value,
    )
    auth_scheme = models.CharField(
        _("authentication"),
        max_length=10,
        choices=[(AuthScheme.BASIC.value, _("API keys (Basic)")), (AuthScheme.OAUTH2.value, _("OAuth2"))],
        default=AuthScheme.BASIC.value,
    )
    public_key = StorableCharField(_("public key"), max_length=200, blank=True)
    secret_key = EncryptedTextField(_("secret key"), blank=True, default="")
    previous_secret_key = EncryptedTextField(_("previous secret key"), blank=True, default="", editable=False)
    previous_secret_key_until = models.DateTimeField(
        _("previous secret key accepted until"), null=True, blank=True, editable=False
    )
    webhook_signature_key = EncryptedTextField(
        _("webhook signature key"),
        blank=True,
        default="",
        help_text=_("Only where Sendcloud asks for one; otherwise webhooks are signed with the secret key."),
    )

    # Webhooks from it
    webhook_key = models.UUIDField(_("key in the webhook address"), default=uuid.uuid4, unique=True, editable=False)
    # Until then keys may come by webhook: an operator has opened the window.
    keys_by_webhook_until = models.DateTimeField(
        _("keys accepted by webhook until"), null=True, blank=True, editable=False
    )
    webhook_url = StorableCharField(_("webhook URL at Sendcloud"), max_length=500, blank=True)
    webhook_active = models.BooleanField(_("webhook active at Sendcloud"), default=False)
    service_point_enabled = models.BooleanField(_("service points enabled"), default=False)
    service_point_carriers = models.JSONField(_("service point carriers"), default=list, blank=True)

    # Facts that Sendcloud last reported
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True, editable=False)
    refreshed_at = models.DateTimeField(_("refreshed at"), null=True, blank=True, editable=False)

    # Its health here
    paused_since = models.DateTimeField(_("paused since"), null=True, blank=True, editable=False)
    paused_reason = models.CharField(
        _("paused because"), max_length=20, choices=PauseReason.choices, blank=True, editable=False
    )
    paused_detail = StorableTextField(_("details"), blank=True, editable=False)
    # The operator who paused it, and the end of the pause, if they gave one.
    paused_by = StorableCharField(_("paused by"), max_length=150, blank=True, editable=False)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True, editable=False)
    probe_at = models.DateTimeField(_("tried again at"), null=True, blank=True, editable=False)
    # The reason of the pause that a probe ended, and how often the same pause came back without a success in between.
    resumed_from = models.CharField(max_length=20, blank=True, default="", editable=False)
    relapses = models.PositiveSmallIntegerField(default=0, editable=False)
    last_success_at = models.DateTimeField(_("last successful push"), null=True, blank=True, editable=False)
    last_webhook_at = models.DateTimeField(_("last webhook"), null=True, blank=True, editable=False)
    # All parcels that changed until then are known here.
    parcels_seen_until = models.DateTimeField(_("parcels known until"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("connected at"), auto_now_add=True)
    # The API generation it moves to (``sync.move``), empty unless a move has begun.
    moving_to = models.CharField(max_length=2, blank=True, default="", editable=False)
    # The deployment it was connected in. A copy of the database elsewhere must not ship (``sync.deployment_guard``).
    deployment = models.JSONField(default=current_deployment, editable=False)

    objects = IntegrationQuerySet.as_manager()

    class Meta(SendcloudModel.Meta):
        verbose_name = _("integration")
        verbose_name_plural = _("integrations")
        permissions = [
            ("test_integration", _("Can test the connection to Sendcloud")),
            ("pause_integration", _("Can pause and resume an integration")),
            ("delete_remote_integration", _("Can delete integrations at Sendcloud")),
            ("view_credentials", _("Can see which keys are set")),
        ]

    def __str__(self) -> str:
        return self.name or f"#{self.remote_id}"

    @property
    def is_paused(self) -> bool:
        return self.paused_since is not None

    def client(self, **options: Any) -> SendcloudClient:
        """Return a client with this integration's credentials. Cheap to make; close it, or use it in a ``with``.

        Its requests raise :class:`~django_sendcloud.core.transactions.InsideTransaction` inside an atomic block, and
        those that change something raise :class:`~django_sendcloud.core.deployment.CopyOfShop` in another deployment.

        Raises:
            SendcloudConfigurationError: the keys are missing, or cannot be decrypted.
            AddressError: an address among the settings cannot be used.
        """
        # The client takes as long to import as Django, and most processes send nothing.
        from .connection import client_of

        return client_of(
            str(self),
            scheme=self.auth_scheme,
            public_key=self.public_key,
            secret_key=self.secret_key,
            deployment=self.deployment,
            options=options,
        )

    def webhook_secrets(self, now: dt.datetime | None = None) -> list[str]:
        """Return every key a webhook may be signed with now, most likely first; never an empty one."""
        now = now or timezone.now()
        candidates = [self.webhook_signature_key, self.secret_key]
        if self.previous_secret_key_until and now < self.previous_secret_key_until:
            candidates.append(self.previous_secret_key)
        return [secret.reveal() for secret in candidates if secret]

    def replace_secret_key(self, secret_key: str, *, overlap: dt.timedelta = dt.timedelta(days=1)) -> None:
        """Set another secret key; webhooks signed with the present one are accepted for ``overlap`` longer."""
        if self.secret_key:
            self.previous_secret_key = self.secret_key
            self.previous_secret_key_until = timezone.now() + overlap
        self.secret_key = Secret(secret_key)

    def webhook_path(self) -> str:
        """Return the path of this integration's webhook address, ``""`` if the app's URLs are not included."""
        try:
            # Below i18n_patterns, the address would be another for each language.
            with translation.override(settings.LANGUAGE_CODE):
                return reverse("django_sendcloud:webhook", args=[self.webhook_key])
        except NoReverseMatch:
            return ""

    def webhook_address(self, base: str = "") -> str:
        """Return the address that Sendcloud reports parcels to, ``""`` if ``django_sendcloud.urls`` is not included.

        Args:
            base: Where the shop is reached (``https://shop.example``); ``SENDCLOUD["WEBHOOK_BASE_URL"]`` by default.
        """
        base, path = (base or conf().WEBHOOK_BASE_URL).rstrip("/"), self.webhook_path()
        return f"{base}{path}" if base and path else ""

    #: Settings that can be changed at Sendcloud, by the contract's names, with the fields that hold them here.
    SETTINGS = {
        "shop_name": "name",
        "shop_url": "shop_url",
        "service_point_enabled": "service_point_enabled",
        "service_point_carriers": "service_point_carriers",
        "webhook_active": "webhook_active",
        "webhook_url": "webhook_url",
    }
    #: Facts that only Sendcloud knows.
    FACTS = ("failing_since", "refreshed_at")
    REMOTE_FIELDS = (*SETTINGS.values(), *FACTS)

    def apply_remote(self, remote: RemoteIntegration, settings: Collection[str] = tuple(SETTINGS)) -> tuple[str, ...]:
        """Take over what Sendcloud says of this integration. Does not save.

        Args:
            remote: What it says.
            settings: Which of ``SETTINGS`` to take over, all by default. The others stay as they are here.

        Returns:
            The fields that have been set, for ``update_fields``.
        """
        there = {
            "shop_name": self._fitting("name", remote.shop_name) or self.name,
            "shop_url": self._fitting("shop_url", remote.shop_url),
            "service_point_enabled": bool(remote.service_point_enabled),
            "service_point_carriers": [storable(carrier) for carrier in remote.service_point_carriers or ()],
            "webhook_active": bool(remote.webhook_active),
            "webhook_url": self._fitting("webhook_url", remote.webhook_url),
        }
        taken = {field: there[setting] for setting, field in self.SETTINGS.items() if setting in settings}
        for field, value in taken.items():
            setattr(self, field, value)
        self.failing_since = remote.failing_since
        self.refreshed_at = timezone.now()
        return (*taken, *self.FACTS)

    def _fitting(self, field: str, text: str | None) -> str:
        """Return a text of Sendcloud's as its column takes it."""
        column: Any = self._meta.get_field(field)
        return storable(text or "")[: column.max_length]

    def refresh_from_sendcloud(self) -> None:
        """Ask Sendcloud for this integration's settings and store them (operation: GET /integrations/{id}).

        Raises:
            APIError: it could not be asked.
            SendcloudConfigurationError: the keys are missing, or an address among the settings cannot be used.
            InsideTransaction: a database of this thread is in an atomic block.
        """
        with self.client() as client:
            remote = self.read(client)
        self.save(update_fields=self.apply_remote(remote))

    def change_at_sendcloud(self, **changes: Any) -> None:
        """Change settings at Sendcloud (operation: PATCH /integrations/{id}), then store what it confirmed of these.

        Settings that were not sent stay as they are here, also where Sendcloud has others by now.

        Args:
            **changes: ``shop_name``, ``shop_url``, ``service_point_enabled``, ``service_point_carriers``,
                ``webhook_active``, ``webhook_url``.

        Raises:
            PayloadError: a value breaks the contract. Nothing is sent.
            APIError: it was rejected, or could not be asked. Nothing is stored.
            SendcloudConfigurationError: the keys are missing, an address among the settings cannot be used, or this
                deployment may be a copy of the shop.
            InsideTransaction: a database of this thread is in an atomic block.
        """
        from .connection import patch

        with self.client() as client:
            patch(client, self.api_generation, self.remote_id, changes)
            remote = self.read(client)
        self.save(update_fields=self.apply_remote(remote, changes))

    def read(self, client: SendcloudClient) -> RemoteIntegration:
        """Ask Sendcloud for this integration, under the names of v2 (operation: GET /integrations/{id}).

        Args:
            client: A client of this integration's.

        Raises:
            APIError: it could not be asked.
            InsideTransaction: a database of this thread is in an atomic block.
        """
        from .connection import read

        return read(client, self.api_generation, self.remote_id)

    def pause(self, reason: PauseReason, detail: str = "", *, by: str = "", until: dt.datetime | None = None) -> bool:
        """Stop talking to this integration. Return whether it was running until now.

        The first reason stands until it is resumed, except that a person's pause replaces any other. Each time it is
        paused for the same reason without having worked since a probe resumed it, it is tried again half as often, and
        the operator is not alarmed again.

        Args:
            reason: Reason of the pause.
            detail: More of it: an error, or an operator's own words.
            by: Operator who paused it.
            until: Time at which a worker resumes it; ``None`` if only an operator does.
        """
        from ..signals import integration_paused

        now = clock.now()
        relapse = reason != PauseReason.PERSON and self.resumed_from == reason.value
        relapses = min(self.relapses + 1, MAX_RELAPSES) if relapse else 0
        probe_at = now + dt.timedelta(seconds=conf().PROBE_SECONDS * 2**relapses)
        values: dict[str, Any] = {
            "paused_since": now,
            "paused_reason": reason.value,
            "paused_detail": detail[:2000],
            "paused_by": by[:150],
            "paused_until": until,
            "probe_at": None if reason.waits_for_person else probe_at,
            "relapses": relapses,
        }
        rows = Integration.objects.filter(pk=self.pk)
        if reason != PauseReason.PERSON:
            rows = rows.filter(paused_since__isnull=True)
        changed = bool(rows.update(**values))
        self.refresh_from_db(fields=list(values))
        if changed and not relapse:
            self._send(integration_paused, reason=reason.value)
        return changed

    def resume(self, *, by_probe: bool = False) -> bool:
        """Resume the integration. Return whether it was paused. Its waiting orders become due now.

        Args:
            by_probe: No person has decided so: a harmless request succeeded, and pushes may still fail. A decision that
                a person has made since then is kept.
        """
        from ..signals import integration_resumed
        from .outbox import OutboxEntry

        values: dict[str, Any] = {
            # (MySQL assigns from left to right: what is read stands before what is written.)
            "resumed_from": F("paused_reason") if by_probe else "",
            "relapses": F("relapses") if by_probe else 0,
            "paused_since": None,
            "paused_reason": "",
            "paused_detail": "",
            "paused_by": "",
            "paused_until": None,
            "probe_at": None,
        }
        if not by_probe:
            # A person who resumes it during a move decides to stay with the old API.
            values["moving_to"] = ""
        if self.paused_reason == PauseReason.COPY and not by_probe:
            # A person decides that this deployment is the one that ships.
            values["deployment"] = current_deployment()
        rows = Integration.objects.filter(pk=self.pk, paused_since__isnull=False)
        if by_probe:
            rows = rows.filter(paused_since=self.paused_since)
        changed = bool(rows.update(**values))
        self.refresh_from_db(fields=list(values))
        if changed:
            waits = Q(integration_id=self.pk) | (Q(integration=None) & ~Q(error_code=""))
            OutboxEntry.objects.filter(waits).requeue()
            if not self.relapses:
                self._send(integration_resumed)
        return changed

    def _send(self, signal: Signal, **extra: str) -> None:
        # A failure is logged, and stops neither the others nor the caller.
        with contextlib.suppress(ReceiverFailed):
            dispatch(signal, Integration, integration=self, **extra)
