"""Integrations: connecting them, how they are, and what can be done about it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

from ..conf import conf
from ..crypto import Secret
from ..models import Integration, PauseReason
from ..sync import limiter
from ..webhooks.address import reachability
from ..webhooks.credentials import WINDOW
from .actions import Question, Rows, action, log, ring, tell
from .at_sendcloud import settings_page
from .badges import badge, badge_with
from .base import EMPTY, SendcloudAdmin, ago, link
from .connect import FAILURES, Answer, IntegrationForm, KeysForm, ask
from .explain import explain_error
from .health import Health, overview
from .leaving import delete_at_sendcloud, disconnect
from .logs import page_of_logs
from .steps import Step, steps

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["IntegrationAdmin"]


def _failed(model_admin: IntegrationAdmin, request: HttpRequest, error: Exception) -> None:
    explanation = explain_error(error)
    model_admin.report(request, messages.ERROR, explanation.title, explanation.why, explanation.cure, f"({error})")


@action(_("Test connection"), permission="test")
def test_connection(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Ask Sendcloud for the integration, and say what is wrong if that fails. Changes nothing."""
    for integration in rows:
        limiter.acquire(integration.account_id, "safe")
        try:
            with integration.client(retries=0) as client:
                remote = client.integrations.get(integration.remote_id)
        except FAILURES as error:
            _failed(model_admin, request, error)
            log(request, [integration], gettext("Tested the connection: it failed."))
            continue
        log(request, [integration], gettext("Tested the connection: it works."))
        model_admin.report(
            request,
            messages.SUCCESS,
            _("The connection works"),
            gettext("Sendcloud knows these keys, and the integration as “%(name)s” (#%(id)s).")
            % {"name": remote.shop_name, "id": remote.id},
            _("It is still paused here: resume it to send what waits.") if integration.is_paused else "",
        )


@action(_("Refresh from Sendcloud"), permission="change")
def refresh(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Take over what Sendcloud says of it now."""
    for integration in rows:
        limiter.acquire(integration.account_id, "safe")
        try:
            integration.refresh_from_sendcloud()
        except FAILURES as error:
            _failed(model_admin, request, error)
            continue
        log(request, [integration], gettext("Refreshed from Sendcloud."))
        messages.success(request, gettext("This is what Sendcloud says of “%(name)s” now.") % {"name": integration})


def _base(request: HttpRequest) -> str:
    return conf().WEBHOOK_BASE_URL or request.build_absolute_uri("/")


def _ask_webhook(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> Question:
    integration = rows.get()
    address = integration.webhook_address(_base(request))
    if not address:
        return Question(
            [],
            [
                _(
                    "There is no address to give: the shop's URLs do not include django_sendcloud.urls. Let the "
                    "shop's developer add it."
                )
            ],
        )
    consequences: list[StrOrPromise] = [
        _("From now on Sendcloud reports what becomes of parcels to %(url)s.") % {"url": address}
    ]
    if integration.webhook_url and integration.webhook_url != address:
        former = {"url": integration.webhook_url}
        consequences.append(_("That replaces the address Sendcloud has now, %(url)s.") % former)
    return Question(consequences, reachability(address))


@action(
    _("Register webhook…"),
    permission="change",
    ask=_ask_webhook,
    offered=lambda integration: bool(integration.webhook_path()),
)
def register_webhook(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Give Sendcloud the address to report parcels to, and switch it on."""
    integration = rows.get()
    address = integration.webhook_address(_base(request))
    if not address:
        messages.error(request, gettext("The shop's URLs do not include django_sendcloud.urls."))
        return
    if limiter.acquire(integration.account_id, "unsafe"):
        messages.warning(request, gettext("Orders go out at full speed at the moment. Please try again in a minute."))
        return
    try:
        integration.change_at_sendcloud(webhook_active=True, webhook_url=address)
    except FAILURES as error:
        _failed(model_admin, request, error)
        return
    log(request, [integration], gettext("Registered the webhook at Sendcloud."))
    if integration.webhook_active and integration.webhook_url == address:
        messages.success(request, gettext("Sendcloud confirms: parcels are reported to %(url)s.") % {"url": address})
    else:
        text = gettext("Sendcloud accepted it, but says that webhooks go to: %(url)s.")
        messages.warning(request, text % {"url": integration.webhook_url or EMPTY})


def _ask_pause(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> Question:
    return Question(
        [
            _("Nothing is sent to Sendcloud for it until somebody resumes it."),
            _("The shop goes on selling; every change of an order is taken down and sent afterwards."),
            _("Parcels' webhooks are still taken in."),
        ]
    )


@action(
    _("Pause…"),
    permission="pause",
    ask=_ask_pause,
    offered=lambda integration: integration.paused_reason != PauseReason.PERSON,
    emphasis="danger",
)
def pause(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Stop sending until a person resumes it."""
    integrations = list(rows)
    number = 0
    for integration in integrations:
        number += integration.pause(PauseReason.PERSON)
    log(request, integrations, gettext("Paused."))
    sentence = ngettext("%(number)d integration is paused now.", "%(number)d integrations are paused now.", number)
    tell(request, number, sentence % {"number": number})


@action(_("Resume"), permission="pause", offered=lambda integration: integration.is_paused)
def resume(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Send again, beginning with what waited."""
    integrations = list(rows)
    number = 0
    for integration in integrations:
        number += integration.resume()
    log(request, integrations, gettext("Resumed."))
    ring("outbox")
    sentence = ngettext(
        "%(number)d integration is running again.", "%(number)d integrations are running again.", number
    )
    tell(request, number, sentence % {"number": number})


def _ask_for_keys(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> Question:
    minutes = int(WINDOW.total_seconds() // 60)
    return Question(
        [
            _("For %(minutes)d minutes, keys for this integration are accepted by webhook.") % {"minutes": minutes},
            _("They are used only once Sendcloud itself has accepted them. The former ones then stop being used."),
        ],
        [_("Do this only while you connect the shop from Sendcloud's side. Otherwise enter the keys here.")],
    )


@action(
    _("Accept keys by webhook…"),
    permission="change",
    ask=_ask_for_keys,
    offered=lambda integration: bool(integration.webhook_path()),
)
def accept_keys(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Open the window for ``integration_credentials``."""
    integration = rows.get()
    until = timezone.now() + WINDOW
    Integration.objects.using(conf().DATABASE).filter(pk=integration.pk).update(keys_by_webhook_until=until)
    log(request, [integration], gettext("Accepts keys by webhook for a while."))
    text = gettext("Keys are accepted by webhook until %(time)s.")
    messages.success(request, text % {"time": timezone.localtime(until).strftime("%H:%M")})


class IntegrationChangeList(ChangeList):
    """Knows how each integration on the page is doing: counted once for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        health = {integration.pk: health for integration, health in overview()}
        for integration in self.result_list:
            integration.health = health.get(integration.pk)


class IntegrationAdmin(SendcloudAdmin[Integration]):
    """Credentials can be set and replaced, never seen. What belongs to Sendcloud is shown, and changed only there."""

    form = IntegrationForm
    list_display = ["integration", "health_and_reason", "waiting", "stuck", "pushed", "heard"]
    list_display_links = ["integration"]
    list_select_related = ["account"]
    search_fields = ["name", "shop_url"]
    ordering = ["-is_active", "pk"]
    actions = [pause, resume]
    page_actions = (
        test_connection,
        refresh,
        register_webhook,
        accept_keys,
        pause,
        resume,
        disconnect,
        delete_at_sendcloud,
    )
    panel_template = "admin/django_sendcloud/includes/integration_panel.html"
    readonly_fields = [
        "secret_state",
        "signature_state",
        "name",
        "shop_url",
        "system",
        "webhook_active",
        "webhook_url",
        "service_points",
        "failing_since",
        "last_fetch",
        "last_updated_at",
        "refreshed_at",
        "created_at",
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return IntegrationChangeList

    # -- who may do what ------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_change_permission(self, request: HttpRequest, obj: Integration | None = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Integration | None = None) -> bool:
        """Only what was connected by mistake: what has a history is taken out of use instead."""
        if obj is None or not admin.ModelAdmin.has_delete_permission(self, request, obj):
            return False
        return not (obj.shipments.exists() or obj.parcels.exists() or obj.events.exists())

    # -- the form -------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Integration | None = None) -> Any:
        if obj is None:
            description = _(
                "You find both keys in Sendcloud's panel: Settings > Integrations > Sendcloud API > Connect, give it a "
                "name, Save. Sendcloud is asked at once whether they are right."
            )
            keys = ["public_key", "new_secret_key", "auth_scheme", "remote_id"]
            more = ["new_webhook_signature_key", "account", "is_active"]
            return [
                (_("Keys"), {"fields": keys, "description": description}),
                (_("More"), {"fields": more, "classes": ["collapse"]}),
            ]
        if self.has_change_permission(request, obj):
            keys = ["auth_scheme", "public_key", "new_secret_key", "new_webhook_signature_key"]
            if obj.webhook_signature_key:
                keys.append("remove_webhook_signature_key")
        else:
            keys = ["auth_scheme", "public_key", "secret_state", "signature_state"]
        there = ["name", "shop_url", "system", "webhook_active", "webhook_url", "service_points"]
        times = ["failing_since", "last_fetch", "last_updated_at", "refreshed_at", "created_at"]
        return [
            (_("Use"), {"fields": ["is_active", "account"]}),
            (_("Keys"), {"fields": keys}),
            (
                _("At Sendcloud"),
                {"fields": [*there, *times], "description": _("What Sendcloud said of it when it was last asked.")},
            ),
        ]

    def get_form(
        self, request: HttpRequest, obj: Integration | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.answer = vars(request).get("sendcloud_answer")
        return form

    @transaction.non_atomic_requests
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, extra_context)

    @transaction.non_atomic_requests
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return super().change_view(request, object_id, form_url, extra_context)

    @method_decorator(sensitive_post_parameters("new_secret_key", "new_webhook_signature_key"))
    @method_decorator(csrf_protect)
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "POST":
            # Before Django opens the transaction: Sendcloud may take its time, and nobody shall wait for a lock.
            vars(request)["sendcloud_answer"] = self._ask_sendcloud(request, object_id)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _ask_sendcloud(self, request: HttpRequest, object_id: str | None) -> Answer | None:
        stored = self.get_object(request, unquote(object_id)) if object_id else None
        allowed = self.has_change_permission(request, stored) if object_id else self.has_add_permission(request)
        if not allowed or (object_id and stored is None):
            return None
        candidate = KeysForm(request.POST).candidate(stored)
        return None if candidate is None else ask(candidate)

    def save_model(self, request: HttpRequest, obj: Integration, form: Any, change: bool) -> None:
        changed = {name for name in form.changed_data if name in {"auth_scheme", "public_key", "is_active", "account"}}
        if secret := form.cleaned_data.get("new_secret_key"):
            obj.replace_secret_key(secret)
            changed |= {"secret_key", "previous_secret_key", "previous_secret_key_until"}
        if signature_key := form.cleaned_data.get("new_webhook_signature_key"):
            obj.webhook_signature_key = Secret(signature_key)
            changed.add("webhook_signature_key")
        elif form.cleaned_data.get("remove_webhook_signature_key"):
            obj.webhook_signature_key = Secret("")
            changed.add("webhook_signature_key")
        if form.remote is not None:
            obj.apply_remote(form.remote)
            changed |= set(Integration.REMOTE_FIELDS)
        # Workers write into this row, too: what was not changed here is not written back.
        obj.save(using=conf().DATABASE, update_fields=changed if change else None)
        self._after_saving(request, obj, form, change)

    def _after_saving(self, request: HttpRequest, obj: Integration, form: IntegrationForm, change: bool) -> None:
        if form.unchecked is not None:
            title = _("It was saved, but Sendcloud could not be asked whether the keys are right")
            self.report(request, messages.WARNING, title, form.unchecked.title, _("Test the connection later."))
        elif form.remote is not None:
            text = gettext("Sendcloud confirms the keys: they open “%(name)s” (#%(id)s).")
            messages.success(request, text % {"name": form.remote.shop_name, "id": form.remote.id})
            if obj.paused_reason in (PauseReason.CREDENTIALS, PauseReason.GONE):
                transaction.on_commit(obj.resume, using=conf().DATABASE)
                messages.success(request, gettext("It runs again, beginning with what waited."))
        others = Integration.objects.using(conf().DATABASE).active().exclude(pk=obj.pk)
        if obj.is_active and (not change or "is_active" in form.changed_data) and others.exists():
            messages.warning(
                request,
                gettext(
                    "Several integrations are in use now: the adapter's get_integration() must say which one an order "
                    "goes to."
                ),
            )
        ring("outbox")

    def base(self, request: HttpRequest) -> str:
        """Where Sendcloud reaches this shop: as it is set, or as this person did."""
        return _base(request)

    def panel(self, request: HttpRequest, obj: Integration) -> dict[str, Any]:
        health = next(health for integration, health in overview() if integration.pk == obj.pk)
        address = obj.webhook_address(_base(request))
        backlog = health.backlog
        return {
            "steps": [
                (step, self.url("action", obj.pk, step.button) if step.button and self._may_do(request, step) else "")
                for step in steps(obj, address)
            ]
            if obj.is_active
            else [],
            "health": health,
            "health_badge": badge(health.label, health.tone),
            "more_findings": health.findings[1:],
            "facts": [
                (_("waiting"), backlog.waiting, self._outbox_url(obj, "pending")),
                (_("to be corrected"), backlog.rejected, self._outbox_url(obj, "rejected")),
                (_("given up"), backlog.dead, self._outbox_url(obj, "dead")),
                (_("last success"), ago(obj.last_success_at), ""),
                (_("last webhook"), ago(obj.last_webhook_at), ""),
            ],
            "address": address,
            "warnings": reachability(address) if address else [],
            "registered": bool(address) and obj.webhook_active and obj.webhook_url == address,
            "sc_links": [
                (self.url("settings", obj.pk), _("Settings at Sendcloud")),
                (self.url("logs", obj.pk), _("What Sendcloud says went wrong")),
            ],
            "former_key_until": _still(obj.previous_secret_key_until),
        }

    def _may_do(self, request: HttpRequest, step: Step) -> bool:
        return any(a.name == step.button and a.is_allowed(self, request) for a in self.page_actions)

    def _outbox_url(self, obj: Integration, state: str) -> str:
        try:
            url = reverse(f"{self.admin_site.name}:django_sendcloud_outboxentry_changelist")
        except NoReverseMatch:
            return ""
        return f"{url}?{urlencode({'state': state})}"

    # -- its other pages -------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        return [
            self.path("<path:object_id>/settings/", self.settings_view, "settings"),
            self.path("<path:object_id>/logs/", self.logs_view, "logs"),
            *super().get_urls(),
        ]

    # Sendcloud may take its time, and no transaction may be open meanwhile.
    @transaction.non_atomic_requests
    @method_decorator(csrf_protect)
    def settings_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Its settings at Sendcloud beside those here, and changing them there."""
        return settings_page(self, request, self.object_or_404(request, unquote(object_id)))

    # Sendcloud may take its time, and no transaction may be open meanwhile.
    @transaction.non_atomic_requests
    def logs_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What Sendcloud says went wrong, one page of it, as it is there now."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        integration = self.object_or_404(request, unquote(object_id))
        cursor = request.GET.get("cursor", "")
        may_see_contents = self.has_payload_permission(request)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("What Sendcloud says went wrong"),
            "subtitle": str(integration),
            "opts": self.opts,
            "original": integration,
            "media": self.media,
            "is_first_page": not cursor,
            "failing_since": integration.failing_since,
            **page_of_logs(integration, cursor, with_contents=may_see_contents),
        }
        return TemplateResponse(request, "admin/django_sendcloud/logs.html", context)

    # -- columns --------------------------------------------------------------------------------

    @admin.display(description=_("integration"), ordering="name")
    def integration(self, row: Integration) -> str:
        return str(row)

    @admin.display(description=_("health"))
    def health_and_reason(self, row: Integration) -> Any:
        health = _health(row)
        if health is None:
            return EMPTY
        since = ago(health.since) if health.since else ""
        return badge_with(badge(health.label, health.tone), health.explanation.title, since)

    @admin.display(description=_("waiting"))
    def waiting(self, row: Integration) -> Any:
        health = _health(row)
        return link(self._outbox_url(row, "pending"), health.backlog.waiting) if health else EMPTY

    @admin.display(description=_("need a person"))
    def stuck(self, row: Integration) -> Any:
        health = _health(row)
        return link(self._outbox_url(row, "stuck"), health.backlog.rejected + health.backlog.dead) if health else EMPTY

    @admin.display(description=_("last success"), ordering="last_success_at")
    def pushed(self, row: Integration) -> Any:
        return ago(row.last_success_at)

    @admin.display(description=_("last webhook"), ordering="last_webhook_at")
    def heard(self, row: Integration) -> Any:
        return ago(row.last_webhook_at)

    @admin.display(description=_("secret key"))
    def secret_state(self, row: Integration) -> SafeString:
        return _set_or_not(row.secret_key)

    @admin.display(description=_("webhook signature key"))
    def signature_state(self, row: Integration) -> SafeString:
        return _set_or_not(row.webhook_signature_key)

    @admin.display(description=_("service points"))
    def service_points(self, row: Integration) -> Any:
        if not row.service_point_enabled:
            return _("off")
        return ", ".join(str(carrier) for carrier in row.service_point_carriers) or EMPTY


def _health(integration: Integration) -> Health | None:
    return vars(integration).get("health")


def _still(until: dt.datetime | None) -> dt.datetime | None:
    return until if until and until > timezone.now() else None


def _set_or_not(secret: object) -> SafeString:
    return badge(_("set"), "good") if secret else badge(_("not set"), "off")
