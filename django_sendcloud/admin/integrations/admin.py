"""Admin of integrations: connection, health and actions."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ...conf import conf
from ...core.crypto import Secret
from ...core.dates import date_and_time
from ...core.deployment import current_deployment
from ...core.hide_post import hide_post
from ...core.transactions import outside_transactions
from ...exceptions import RateLimited
from ...models import Integration, PauseReason, ShipmentStatus
from ...sync import limiter
from ...sync.generation import usual_generation
from ...sync.health import IntegrationHealth
from ...sync.routing import adapters_route, is_routed
from ..actions.action import Question, Rows, action, notify, report_count
from ..actions.history import log
from ..actions.notes import NoteForm, name_of
from ..base import SendcloudAdmin
from ..explanations.failures import FAILURES, explain_failure
from ..explanations.health import LABELS, TONES, explain_health, explain_paused
from ..health import health_of
from ..ui.badges import badge, badge_with
from ..ui.cells import EMPTY, ago, link
from ..ui.humanize import clock_time, without_double_stop
from ..ui.pages import admin_page
from . import pending_secrets
from .copies import is_a_copy, may_be_copy, ships_here
from .differences import differences_page
from .disconnect import delete_at_sendcloud, disconnect
from .failures import report_failure
from .forms import SECRETS, FormContext, IntegrationForm, KeyCheck, KeysForm, check_keys, generation_of
from .logs import page_of_logs
from .move import move
from .page import IntegrationPage, counted, outbox_url
from .send_test_order import test_order
from .settings import SETTINGS, setting_differences, settings_page
from .webhook import accept_keys, check_address, register_webhook

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["IntegrationAdmin"]


_ROUTES = ("for_countries", "for_sites")

#: Lengths of a pause: none, hours, or the morning after.
PAUSE_LENGTHS = [
    ("", _("until an operator resumes it")),
    ("1", _("1 hour")),
    ("4", _("4 hours")),
    ("morning", _("until tomorrow, 8 o'clock")),
    ("24", _("24 hours")),
    ("72", _("3 days")),
]


def _has_keys(integration: Integration) -> bool:
    return bool(integration.public_key and integration.secret_key)


@action(_("Test connection"), permission="test", offered=_has_keys, emphasis="quiet")
def test_connection(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Ask Sendcloud for the integration with the stored keys. Changes nothing."""
    for integration in rows:
        try:
            limiter.wait_for_turn(integration.account_id, "safe")
            with integration.client(retries=0) as client:
                remote = integration.read(client)
        except FAILURES as error:
            report_failure(model_admin, request, integration, error, _("Test the connection"), changes=False)
            continue
        log(request, [integration], _("Tested the connection: it works."))
        model_admin.report(
            request,
            messages.SUCCESS,
            _("The connection works"),
            gettext("Sendcloud knows these keys, and the integration as “%(name)s” (#%(id)s).")
            % {"name": remote.shop_name, "id": remote.id},
            _("It is still paused here: resume it to send what waits.") if integration.is_paused else "",
        )


@action(_("Ask Sendcloud"), permission="change", offered=_has_keys, emphasis="quiet")
def refresh(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Read the integration at Sendcloud. Stored settings are compared and kept."""
    for integration in rows:
        try:
            limiter.wait_for_turn(integration.account_id, "safe")
            with integration.client(retries=0) as client:
                remote = integration.read(client)
        except FAILURES as error:
            report_failure(model_admin, request, integration, error, _("Ask Sendcloud"), changes=False)
            continue
        is_new = integration.refreshed_at is None
        fields = integration.apply_remote(remote) if is_new else integration.apply_remote(remote, ())
        integration.save(using=conf().DATABASE, update_fields=fields)
        log(request, [integration], _("Asked Sendcloud what it has."))
        if found := setting_differences(integration, remote):
            text = ngettext(
                "Sendcloud was asked just now. One setting differs there: %(what)s. Compare it under “Settings at "
                "Sendcloud”.",
                "Sendcloud was asked just now. %(number)d settings differ there: %(what)s. Compare them under "
                "“Settings at Sendcloud”.",
                len(found),
            )
            what = ", ".join(str(SETTINGS[row.key][0]) for row in found)
            messages.warning(request, text % {"number": len(found), "what": what})
        else:
            text = gettext("Sendcloud was asked just now: this is what it has of “%(name)s”.")
            messages.success(request, text % {"name": integration})


def _not_in_use(integration: Integration) -> str:
    return gettext("“%(name)s” is not in use: nothing is sent through it.") % {"name": integration}


class PauseForm(NoteForm):
    """Form of a pause: its length, and its reason."""

    until = forms.ChoiceField(label=_("How long"), choices=PAUSE_LENGTHS, widget=forms.RadioSelect, required=False)

    field_order = ["until", "note"]

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request, until="")

    def end(self) -> dt.datetime | None:
        """Return the end of the pause; ``None`` if only an operator ends it."""
        choice = self.cleaned_data["until"] if self.is_valid() else ""
        if choice == "morning":
            return timezone.localtime().replace(hour=8, minute=0, second=0, microsecond=0) + dt.timedelta(days=1)
        return timezone.now() + dt.timedelta(hours=int(choice)) if choice else None


def _ask_pause(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> Question:
    return Question(
        [
            _("Stops sending until you resume. New orders are kept and sent then."),
            _("The shop goes on selling; changes of orders are recorded and sent afterwards."),
            _("Parcel updates still arrive."),
        ],
        form=PauseForm(request),
    )


@action(
    _("Pause…"),
    permission="pause",
    ask=_ask_pause,
    offered=lambda integration: integration.is_active and not integration.is_paused and _has_keys(integration),
    emphasis="quiet",
)
def pause(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Stop sending until an operator resumes it, or its time is over."""
    number = 0
    form = PauseForm(request)
    until = form.end()
    for integration in rows:
        if not integration.is_active:
            messages.warning(request, _not_in_use(integration))
            continue
        if integration.paused_reason == PauseReason.PERSON:
            # A colleague's pause, with its reason, stands.
            explanation = explain_paused(integration)
            model_admin.report(request, messages.WARNING, f"{integration}: {explanation.title}", explanation.why)
            continue
        number += integration.pause(PauseReason.PERSON, form.text, by=name_of(request), until=until)
        if until is None:
            log(request, [integration], _("Paused."))
        else:
            log(request, [integration], _("Paused until %(time)s."), time=until)
    sentence = ngettext("%(number)d integration is paused now.", "%(number)d integrations are paused now.", number)
    if number and until is not None:
        resumes = gettext("Sending resumes automatically: %(time)s.") % {"time": clock_time(until)}
        sentence += " " + without_double_stop(resumes)
    if number:
        report_count(request, number, sentence % {"number": number})


@action(
    _("Resume"),
    permission="pause",
    offered=lambda integration: (
        integration.is_active and integration.is_paused and _has_keys(integration) and not may_be_copy(integration)
    ),
)
def resume(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Send again, waiting orders first."""
    number = running = 0
    for integration in rows:
        if not integration.is_active:
            messages.warning(request, _not_in_use(integration))
            continue
        if not integration.is_paused:
            running += 1
            continue
        if may_be_copy(integration):
            text = gettext("“%(name)s” may be used by a copy of the shop: decide on its page which deployment ships.")
            messages.warning(request, text % {"name": integration})
            continue
        if integration.paused_reason != PauseReason.PERSON:
            # The cause of the pause may still be there.
            try:
                limiter.wait_for_turn(integration.account_id, "safe")
                with integration.client(retries=0) as client:
                    integration.read(client)
            except FAILURES as error:
                report_failure(model_admin, request, integration, error, _("Resume"), changes=False)
                continue
        number += integration.resume()
        log(request, [integration], _("Resumed."))
    if not number and not running:
        return
    notify("outbox")
    sentence = ngettext(
        "%(number)d integration is running again.", "%(number)d integrations are running again.", number
    )
    report_count(request, number, sentence % {"number": number})


class IntegrationChangeList(ChangeList):
    """List of integrations that reads all healths together."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = health_of(request)
        healths = {each.integration.pk: each for each in found.integrations}
        for integration in self.result_list:
            integration.health = healths.get(integration.pk)
            integration.all_healths = found


class IntegrationAdmin(SendcloudAdmin[Integration]):
    """Admin of integrations. Credentials are write-only; Sendcloud's own settings are read-only."""

    form = IntegrationForm
    list_display = ["integration", "health_and_reason", "waiting", "rejected", "dead", "last_push", "last_webhook"]
    list_display_links = ["integration"]
    exported = ("name", "remote_id", "account", "is_active", "paused_since", "paused_reason", "last_success_at")
    list_select_related = ["account"]
    search_fields = ["name", "shop_url"]
    ordering = ["-is_active", "pk"]
    actions = [pause, resume]
    page_actions = (
        test_connection,
        refresh,
        register_webhook,
        check_address,
        accept_keys,
        test_order,
        move,
        ships_here,
        is_a_copy,
        pause,
        resume,
        disconnect,
        delete_at_sendcloud,
    )
    panel_template = "admin/django_sendcloud/integrations/panel.html"
    readonly_fields = ["secret_state", "signature_state"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return IntegrationChangeList

    def get_list_display(self, request: HttpRequest) -> Any:
        """Hide the outbox figures from operators who may not see the outbox."""
        columns = super().get_list_display(request)
        if request.user.has_perm("django_sendcloud.view_outboxentry"):
            return columns
        return [name for name in columns if name not in ("waiting", "rejected", "dead")]

    # -- permissions ----------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_change_permission(self, request: HttpRequest, obj: Integration | None = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Integration | None = None) -> bool:
        """Return whether it can be deleted: without shipments at Sendcloud and without parcels."""
        if obj is None or not admin.ModelAdmin.has_delete_permission(self, request, obj):
            return False
        return not (obj.shipments.exclude(status=ShipmentStatus.DELETED).exists() or obj.parcels.exists())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Count the related rows, which are its own history and need no permission, instead of listing them."""
        _all, counts, _needed, protected = super().get_deleted_objects(objs, request)
        return [str(obj) for obj in objs], counts, set(), protected

    def has_credentials_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may see which keys are set, and since when. Secrets stay hidden."""
        return request.user.has_perm("django_sendcloud.view_credentials")

    # -- the form -------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Integration | None = None) -> Any:
        if obj is None:
            where = _(
                "You find both keys in Sendcloud's panel: Settings > Integrations > Sendcloud API > Connect, "
                "give it a name, Save. Sendcloud checks them immediately."
            )
            keys = ["public_key", "new_secret_key", "auth_scheme", "api", "remote_id"]
            more = ["new_webhook_signature_key", "account", "is_active", *_ROUTES]
            return [
                (_("Keys"), {"fields": keys, "description": where}),
                (_("Rarely needed"), {"fields": more, "classes": ["collapse"]}),
            ]
        may_see = self.has_credentials_permission(request)
        description: StrOrPromise = self._rotation(obj) if may_see else self._overlap
        if not self.has_change_permission(request, obj):
            seen = ["auth_scheme", "public_key", "secret_state", "signature_state"]
            shown = [(_("Keys"), {"fields": seen, "description": description})] if may_see else []
            return [*shown, (_("Use"), {"fields": ["is_active", *_ROUTES, "account"]})]
        keys = ["public_key", "new_secret_key", "auth_scheme"]
        more = ["new_webhook_signature_key", "account"]
        if obj.webhook_signature_key or not may_see:
            more.insert(1, "remove_webhook_signature_key")
        return [
            (_("Keys"), {"fields": keys, "description": description}),
            (_("Use"), {"fields": ["is_active", *_ROUTES]}),
            (_("Rarely needed"), {"fields": more, "classes": ["collapse"]}),
        ]

    _overlap: StrOrPromise = _(
        "To replace the keys, enter the new ones. Webhooks signed with the former secret key are accepted for one more "
        "day, so that nothing is lost."
    )

    def _rotation(self, obj: Integration) -> StrOrPromise:
        """Describe the state of the keys."""
        sentences: list[StrOrPromise] = []
        if not obj.secret_key:
            sentences.append(_("You find both keys in Sendcloud's panel: Settings > Integrations > Configure."))
        elif until := _still(obj.previous_secret_key_until):
            text = gettext("Until %(until)s, webhooks signed with the former secret key are accepted, too.")
            sentences.append(text % {"until": until})
        else:
            sentences.append(self._overlap)
        if until := _still(obj.keys_by_webhook_until):
            sentences.append(gettext("Until %(time)s, keys are accepted by webhook.") % {"time": until})
        return " ".join(map(str, sentences))

    def get_form(
        self, request: HttpRequest, obj: Integration | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        may_see = self.has_credentials_permission(request)
        form.form_context = vars(request).get("sendcloud_form_context") or FormContext(shows_what_is_set=may_see)
        return form

    @outside_transactions
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, extra_context)

    @outside_transactions
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return super().change_view(request, object_id, form_url, extra_context)

    @method_decorator(csrf_protect)
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "POST":
            # Before Django opens the transaction: a slow Sendcloud must not hold a lock.
            vars(request)["sendcloud_form_context"] = self._form_context(request, object_id)
        else:
            pending_secrets.forget(request)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _form_context(self, request: HttpRequest, object_id: str | None) -> FormContext:
        """Return the operator's input, kept secrets, and Sendcloud's answer to them."""
        stored = self.get_object(request, unquote(object_id)) if object_id else None
        allowed = self.has_change_permission(request, stored) if object_id else self.has_add_permission(request)
        if not allowed or (object_id and stored is None):
            return FormContext()
        ticket, testing = request.POST.get("kept", ""), "_test" in request.POST
        kept = pending_secrets.load(request, object_id or "", ticket)
        lost = [] if kept else pending_secrets.field_names(ticket)
        key_check: KeyCheck | None = None
        if "new_secret_key" not in lost or request.POST.get("new_secret_key"):
            candidate = KeysForm(request.POST).candidate(stored, kept, testing=testing)
            if candidate is not None:
                try:
                    if stored is not None:
                        limiter.wait_for_turn(stored.account.pk, "safe")
                except RateLimited as error:
                    key_check = KeyCheck(error=error)
                else:
                    key_check = check_keys(candidate, generation_of(stored, request.POST.get("api", "")))
        return FormContext(key_check, kept, lost, testing, self.has_credentials_permission(request))

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Integration | None = None,
    ) -> HttpResponse:
        form = context["adminform"].form
        if request.method == "POST" and isinstance(form, IntegrationForm):
            # Nothing was saved; the secret is kept so that it need not be entered twice.
            context["sc_ticket"] = pending_secrets.store(request, str(obj.pk) if obj else "", form.entered)
            form.show_kept_secrets()
            if form.form_context.testing:
                self._report_test(request, obj, form)
        # Saving always leads to the integration's page; deleting is among the rare actions.
        context |= {"show_save_and_continue": False, "show_save_and_add_another": False, "show_delete": False}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _report_test(self, request: HttpRequest, obj: Integration | None, form: IntegrationForm) -> None:
        works = form.remote is not None and not form.errors
        if obj is not None and form.form_context.key_check is not None:
            error = form.form_context.key_check.error
            if works:
                log(request, [obj], _("Tested the connection: it works."))
            else:
                problem = explain_failure(error).title if error else _("The keys do not open this integration")
                log(request, [obj], _("Test the connection: it failed. %(problem)s."), problem=problem)
        if works and form.remote is not None:
            self.report(
                request,
                messages.SUCCESS,
                _("The connection works"),
                gettext("Sendcloud knows these keys, and the integration as “%(name)s” (#%(id)s).")
                % {"name": form.remote.shop_name, "id": form.remote.id},
                _("Nothing has been saved yet: save to use these keys.") if form.has_new_keys else "",
                _("It is still paused here: resume it to send what waits.") if obj and obj.is_paused else "",
            )

    def save_model(self, request: HttpRequest, obj: Integration, form: Any, change: bool) -> None:
        changed = {
            name
            for name in form.changed_data
            if name in {"auth_scheme", "public_key", "is_active", "account", *_ROUTES}
        }
        if form.connects_again:
            changed.add("is_active")
        if secret := form.cleaned_data.get("new_secret_key"):
            obj.replace_secret_key(secret)
            # A person who enters keys here says that this deployment ships.
            obj.deployment = current_deployment()
            changed |= {"deployment", "secret_key", "previous_secret_key", "previous_secret_key_until"}
        if signature_key := form.cleaned_data.get("new_webhook_signature_key"):
            obj.webhook_signature_key = Secret(signature_key)
            changed.add("webhook_signature_key")
        elif form.cleaned_data.get("remove_webhook_signature_key"):
            obj.webhook_signature_key = Secret("")
            changed.add("webhook_signature_key")
        if form.remote is not None:
            # An operator compares settings that are stored here.
            is_new = obj.refreshed_at is None or form.connects_again
            changed |= set(obj.apply_remote(form.remote) if is_new else obj.apply_remote(form.remote, ()))
        if not change:
            key_check, chosen = form.form_context.key_check, generation_of(None, form.cleaned_data.get("api", ""))
            proposed = key_check.generation if key_check and key_check.error is None else usual_generation()
            obj.api_generation = (chosen or proposed).value
            others = list(Integration.objects.active())
            if obj.is_active and others and not (adapters_route() or is_routed([obj, *others])):
                # A second one must not stop the orders of the first.
                obj.is_active = False
                vars(request)["sendcloud_not_in_use"] = others[0]
        # Workers write into this row, too, so only changed fields are saved.
        obj.save(using=conf().DATABASE, update_fields=changed if change else None)
        pending_secrets.forget(request)
        self._after_saving(request, obj, form, change)

    def _after_saving(self, request: HttpRequest, obj: Integration, form: IntegrationForm, change: bool) -> None:
        if form.unchecked is not None:
            title = _("It was saved, but Sendcloud could not be asked whether the keys are right")
            self.report(request, messages.WARNING, title, f"{form.unchecked.title}.", _("Test the connection later."))
        elif form.remote is not None:
            text = gettext("Sendcloud confirms the keys: they open “%(name)s” (#%(id)s).")
            messages.success(request, text % {"name": form.remote.shop_name, "id": form.remote.id})
            entered = form.has_new_keys and obj.paused_reason == PauseReason.COPY and not may_be_copy(obj)
            if entered or obj.paused_reason in (PauseReason.CREDENTIALS, PauseReason.GONE):
                transaction.on_commit(obj.resume, using=conf().DATABASE)
                messages.success(request, gettext("It runs again, beginning with what waited."))
        else:
            messages.success(request, gettext("“%(name)s” was saved.") % {"name": obj})
        others = list(Integration.objects.active().exclude(pk=obj.pk))
        if other := vars(request).get("sendcloud_not_in_use"):
            text = gettext(
                "It is not in use yet, because orders go to “%(name)s”. Enter the countries or sites it is for, and "
                "mark it as in use; or mark the other as not in use."
            )
            messages.warning(request, text % {"name": other})
        elif obj.is_active and others and not (adapters_route() or is_routed([obj, *others])):
            messages.warning(
                request,
                gettext(
                    "Several integrations are in use now, and nothing says which one an order goes to: orders wait. "
                    "Enter countries or sites, or let the adapter's get_integration() choose."
                ),
            )
        notify("outbox")

    def response_add(self, request: HttpRequest, obj: Integration, post_url_continue: str | None = None) -> Any:
        """Redirect to its page, which shows the next step."""
        return self._to_its_page(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Integration) -> Any:
        """Redirect to its page."""
        return self._to_its_page(request, obj) or super().response_change(request, obj)

    def _to_its_page(self, request: HttpRequest, obj: Integration) -> HttpResponse | None:
        if "_popup" in request.POST or not self.has_view_or_change_permission(request, obj):
            return None
        return HttpResponseRedirect(self.url("change", obj.pk))

    def panel(self, request: HttpRequest, obj: Integration) -> dict[str, Any]:
        return IntegrationPage(self, request, obj).context()

    # -- its other pages -------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        pages = super().get_urls()
        for page in pages:
            if (page.name or "").endswith(("_add", "_change")):
                page.callback = hide_post(page.callback, *SECRETS)
        return [
            self.path("<path:object_id>/settings/", self.settings_view, "settings"),
            self.path("<path:object_id>/logs/", self.logs_view, "logs"),
            self.path("<path:object_id>/differences/", self.differences_view, "differences"),
            *pages,
        ]

    @method_decorator(csrf_protect)
    def differences_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the last comparison with Sendcloud, and act on its differences."""
        return differences_page(self, request, self.object_or_404(request, unquote(object_id)))

    # A request to Sendcloud takes seconds; no transaction may be open meanwhile.
    @outside_transactions
    @method_decorator(csrf_protect)
    def settings_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show its settings at Sendcloud beside the stored ones, and change them there."""
        return settings_page(self, request, self.object_or_404(request, unquote(object_id)))

    # A request to Sendcloud takes seconds; no transaction may be open meanwhile.
    @outside_transactions
    def logs_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show one page of Sendcloud's connection log."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        integration = self.object_or_404(request, unquote(object_id))
        cursor = request.GET.get("cursor", "")
        may_see_contents = self.has_payload_permission(request)
        context = {
            "subtitle": str(integration),
            "is_first_page": not cursor,
            "failing_since": integration.failing_since,
            "failing_ago": ago(integration.failing_since),
            **page_of_logs(integration, cursor, with_contents=may_see_contents),
        }
        template = "admin/django_sendcloud/integrations/logs.html"
        return admin_page(self, request, template, gettext("Failed requests at Sendcloud"), context, integration)

    # -- columns --------------------------------------------------------------------------------

    @admin.display(description=_("integration"), ordering="name")
    def integration(self, row: Integration) -> str:
        return str(row)

    @admin.display(description=_("health"))
    def health_and_reason(self, row: Integration) -> Any:
        found = _health(row)
        if found is None:
            return EMPTY
        since = ago(found.since) if found.since else ""
        return badge_with(badge(LABELS[found.level], TONES[found.level]), explain_health(found).title, since)

    @admin.display(description=_("waiting"))
    def waiting(self, row: Integration) -> Any:
        return self._counted(row, "pending")

    @admin.display(description=_("fix needed"))
    def rejected(self, row: Integration) -> Any:
        return self._counted(row, "rejected")

    @admin.display(description=_("stopped"))
    def dead(self, row: Integration) -> Any:
        return self._counted(row, "dead")

    def _counted(self, row: Integration, state: str) -> Any:
        found = _health(row)
        if found is None:
            return EMPTY
        number = counted(found, state)
        return link(outbox_url(self, vars(row)["all_healths"], row, state), number) if number else number

    @admin.display(description=_("last success"), ordering="last_success_at")
    def last_push(self, row: Integration) -> Any:
        return ago(row.last_success_at)

    @admin.display(description=_("last webhook"), ordering="last_webhook_at")
    def last_webhook(self, row: Integration) -> Any:
        return ago(row.last_webhook_at)

    @admin.display(description=_("secret key"))
    def secret_state(self, row: Integration) -> SafeString:
        return _set_or_not(row.secret_key)

    @admin.display(description=_("webhook signature key"))
    def signature_state(self, row: Integration) -> SafeString:
        return _set_or_not(row.webhook_signature_key)


def _health(integration: Integration) -> IntegrationHealth | None:
    return vars(integration).get("health")


def _still(until: dt.datetime | None) -> str:
    """Return a future moment for reading; ``""`` if it is past."""
    if until is None or until <= timezone.now():
        return ""
    return date_and_time(until)


def _set_or_not(secret: object) -> SafeString:
    return badge(_("set"), "good") if secret else badge(_("not set"), "off")
