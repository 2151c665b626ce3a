"""An integration's settings at Sendcloud: theirs beside ours, and changed there, not here."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.widgets import AdminTextInputWidget, AdminURLFieldWidget
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..api.results import Integration as RemoteIntegration
from ..conf import conf
from ..exceptions import PayloadError, RequestRejected
from ..models import Integration
from ..sync import limiter
from .actions import log
from .connect import FAILURES
from .explain import explain_error
from .sentences import in_words

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from .integration import IntegrationAdmin

__all__ = ["settings_page"]

#: Settings that belong together: service points cannot be switched on without carriers.
SETTINGS: dict[str, tuple[StrOrPromise, tuple[str, ...]]] = {
    "name": (_("Name"), ("shop_name",)),
    "url": (_("Address of the shop"), ("shop_url",)),
    "service_points": (_("Service points"), ("service_point_enabled", "service_point_carriers")),
    "webhook": (_("Webhook"), ("webhook_active", "webhook_url")),
}

#: Carriers with service points, by Sendcloud's codes. No operation lists them, so others can be entered by code.
CARRIERS = {
    "bpost": "bpost",
    "brt": "BRT",
    "chronopost": "Chronopost",
    "colisprive": "Colis Privé",
    "colissimo": "Colissimo",
    "correos": "Correos",
    "ctt_express": "CTT Express",
    "dhl": "DHL",
    "dhl_de": "DHL (DE)",
    "dhl_express": "DHL Express",
    "dhl_parcel_iberia": "DHL Parcel Iberia",
    "dpd": "DPD",
    "dpd_at": "DPD (AT)",
    "dpd_fr": "DPD (FR)",
    "dpd_gb": "DPD (GB)",
    "gls_de": "GLS (DE)",
    "gls_es": "GLS (ES)",
    "gls_it": "GLS (IT)",
    "gls_nl": "GLS (NL)",
    "hermes_de": "Hermes (DE)",
    "homerr": "Homerr",
    "inpost_es": "InPost (ES)",
    "inpost_gb": "InPost (GB)",
    "inpost_it": "InPost (IT)",
    "inpost_pl": "InPost (PL)",
    "mondial_relay": "Mondial Relay",
    "mrw": "MRW",
    "postat": "Österreichische Post",
    "poste_italiane": "Poste Italiane",
    "postnl": "PostNL",
    "seur": "SEUR",
    "ups": "UPS",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """Settings that are otherwise there than here.

    Args:
        key: Which, as in ``SETTINGS``.
        label: In human words.
        theirs: What Sendcloud has, as text.
        ours: What is stored here, as text.
    """

    key: str
    label: StrOrPromise
    theirs: str
    ours: str


def values_there(remote: RemoteIntegration) -> dict[str, Any]:
    """Sendcloud's settings under the contract's names, with nothing where it says null."""
    return {
        "shop_name": remote.shop_name or "",
        "shop_url": remote.shop_url or "",
        "service_point_enabled": bool(remote.service_point_enabled),
        "service_point_carriers": list(remote.service_point_carriers or ()),
        "webhook_active": bool(remote.webhook_active),
        "webhook_url": remote.webhook_url or "",
    }


def values_here(integration: Integration) -> dict[str, Any]:
    """The same, as they are stored here."""
    return {
        "shop_name": integration.name,
        "shop_url": integration.shop_url,
        "service_point_enabled": integration.service_point_enabled,
        "service_point_carriers": list(integration.service_point_carriers),
        "webhook_active": integration.webhook_active,
        "webhook_url": integration.webhook_url,
    }


def differences(integration: Integration, remote: RemoteIntegration) -> list[Difference]:
    """What differs there and here, each with both sides."""
    here, there = values_here(integration), values_there(remote)
    return [
        Difference(key, label, _text(there, names), _text(here, names))
        for key, (label, names) in SETTINGS.items()
        if any(_plain(here[name]) != _plain(there[name]) for name in names)
    ]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be sent to make one of the other: only settings that differ, with those they belong to."""
    found: dict[str, Any] = {}
    for _label, names in SETTINGS.values():
        if any(_plain(before[name]) != _plain(after[name]) for name in names):
            found |= {name: after[name] for name in names if _can_be_sent(name, after[name])}
    return found


def _can_be_sent(name: str, value: Any) -> bool:
    """An address that is not given is left out: the contract allows neither null nor an empty one."""
    return bool(value) or name not in ("shop_url", "webhook_url", "shop_name")


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def _text(values: Mapping[str, Any], names: Collection[str]) -> str:
    if "service_point_enabled" in names:
        if not values["service_point_enabled"]:
            return gettext("off")
        return ", ".join(carrier_name(code) for code in values["service_point_carriers"]) or gettext("on")
    if "webhook_active" in names:
        address = values["webhook_url"] or gettext("no address")
        return address if values["webhook_active"] else gettext("off (%(address)s)") % {"address": address}
    return next(str(values[name]) for name in names) or gettext("not set")


def carrier_name(code: str) -> str:
    """What people call a carrier; its code where we do not know."""
    return CARRIERS.get(code, code)


class SettingsForm(forms.Form):
    """Everything Sendcloud lets one change of an integration (operation: PATCH /integrations/{id})."""

    shop_name = forms.CharField(
        label=_("Name"),
        max_length=250,
        widget=AdminTextInputWidget,
        help_text=_("As it is shown in Sendcloud's panel."),
    )
    shop_url = forms.URLField(
        label=_("Address of the shop"), required=False, assume_scheme="https", widget=AdminURLFieldWidget
    )
    service_point_enabled = forms.BooleanField(label=_("Buyers may choose a service point"), required=False)
    service_point_carriers = forms.MultipleChoiceField(
        label=_("Of these carriers"), required=False, widget=forms.CheckboxSelectMultiple
    )
    more_carriers = forms.CharField(
        label=_("Other carriers"),
        required=False,
        widget=AdminTextInputWidget(attrs={"spellcheck": "false"}),
        help_text=_("Sendcloud's codes, separated by commas."),
    )
    webhook_active = forms.BooleanField(label=_("Sendcloud reports what becomes of parcels"), required=False)
    webhook_url = forms.URLField(
        label=_("To this address"), required=False, assume_scheme="https", widget=AdminURLFieldWidget
    )

    def __init__(self, remote: RemoteIntegration, address: str, data: Any = None) -> None:
        self.there = values_there(remote)
        super().__init__(data, initial=self.there)
        others = [code for code in self.there["service_point_carriers"] if code not in CARRIERS]
        choices = [*CARRIERS.items(), *((code, code) for code in others)]
        self.fields["service_point_carriers"].choices = choices  # type: ignore[attr-defined]
        if address:
            self.fields["webhook_url"].help_text = _("This shop takes webhooks at %(url)s.") % {"url": address}

    def clean_more_carriers(self) -> list[str]:
        return [code.strip() for code in self.cleaned_data["more_carriers"].split(",") if code.strip()]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        chosen = data.get("service_point_carriers", []) + data.get("more_carriers", [])
        if data.get("service_point_enabled") and not chosen and "more_carriers" in data:
            text = _("Choose at least one carrier: service points cannot be switched on without.")
            self.add_error("service_point_carriers", ValidationError(text, code="required"))
        if data.get("webhook_active") and not data.get("webhook_url") and "webhook_url" not in self.errors:
            text = _("Say where to, or switch it off.")
            self.add_error("webhook_url", ValidationError(text, code="required"))
        for name in ("shop_url", "webhook_url"):
            if self.there[name] and not data.get(name) and name not in self.errors:
                text = _("Sendcloud has an address here, and lets it be replaced but not removed.")
                self.add_error(name, ValidationError(text, code="required"))
        data["service_point_carriers"] = list(dict.fromkeys(chosen))
        return data

    def changes(self) -> dict[str, Any]:
        """What has to be sent to Sendcloud."""
        return changes(self.there, {name: self.cleaned_data[name] for name in self.there})

    def refused(self, error: PayloadError | RequestRejected) -> bool:
        """Put what was refused beside its field. Returns whether there was a field for any of it."""
        found = False
        for path, problems in error.errors.items():
            name = path.partition("[")[0].partition(".")[0]
            found |= name in self.fields
            sentences = [ValidationError(in_words(text)) for text in problems]
            self.add_error(name if name in self.fields else None, sentences)
        return found


# -- the page -----------------------------------------------------------------------------------------

#: Which of our fields hold the contract's settings, where they have another name.
_FIELDS = {"shop_name": "name"}


def settings_page(model_admin: IntegrationAdmin, request: HttpRequest, integration: Integration) -> HttpResponse:
    """Show both sides; take theirs, send ours, or change them there."""
    if request.method == "POST" and not model_admin.has_change_permission(request, integration):
        raise PermissionDenied
    remote = _read(integration)
    if isinstance(remote, Exception):
        return _render(model_admin, request, integration, explanation=explain_error(remote), detail=str(remote))
    address = integration.webhook_address(model_admin.base(request))
    form = SettingsForm(remote, address)
    if request.method == "POST":
        if "take" in request.POST:
            _take(request, integration, remote, request.POST["take"])
            return HttpResponseRedirect(request.path)
        if "send" in request.POST:
            here = values_here(integration)
            wanted = {name: here[name] for name in _names(request.POST["send"]) if _can_be_sent(name, here[name])}
            if _change(model_admin, request, integration, wanted, None):
                return HttpResponseRedirect(request.path)
        else:
            form = SettingsForm(remote, address, request.POST)
            if form.is_valid() and _change(model_admin, request, integration, form.changes(), form):
                return HttpResponseRedirect(request.path)
    return _render(
        model_admin, request, integration, form=form, remote=remote, differences=differences(integration, remote)
    )


def _read(integration: Integration) -> RemoteIntegration | Exception:
    limiter.acquire(integration.account.pk, "safe")
    try:
        with integration.client(retries=0) as client:
            return client.integrations.get(integration.remote_id)
    except FAILURES as error:
        return error


def _names(key: str) -> tuple[str, ...]:
    if key == "all":
        return tuple(name for _label, names in SETTINGS.values() for name in names)
    return SETTINGS[key][1] if key in SETTINGS else ()


def _take(request: HttpRequest, integration: Integration, remote: RemoteIntegration, key: str) -> None:
    there = values_there(remote)
    taken = {_FIELDS.get(name, name): there[name] for name in _names(key)}
    if not taken:
        return
    Integration.objects.using(conf().DATABASE).filter(pk=integration.pk).update(**taken)
    log(request, [integration], gettext("Took over from Sendcloud: %(what)s.") % {"what": ", ".join(sorted(taken))})
    messages.success(request, gettext("This shop has it now as Sendcloud has."))


def _change(
    model_admin: IntegrationAdmin,
    request: HttpRequest,
    integration: Integration,
    wanted: Mapping[str, Any],
    form: SettingsForm | None,
) -> bool:
    """Have Sendcloud change it, and say what it confirms. ``False``: it was refused, and the page says why."""
    if not wanted:
        messages.info(request, gettext("Nothing differs, so nothing was sent."))
        return True
    if limiter.acquire(integration.account.pk, "unsafe"):
        messages.warning(request, gettext("Orders go out at full speed at the moment. Please try again in a minute."))
        return False
    try:
        integration.change_at_sendcloud(**wanted)
    except FAILURES as error:
        if not (form and isinstance(error, PayloadError | RequestRejected) and form.refused(error)):
            explanation = explain_error(error)
            model_admin.report(
                request, messages.ERROR, explanation.title, explanation.why, explanation.cure, f"({error})"
            )
        return False
    what = ", ".join(sorted(wanted))
    log(request, [integration], gettext("Changed at Sendcloud: %(what)s.") % {"what": what})
    confirmed = values_here(integration)
    otherwise = [name for name, value in wanted.items() if _plain(confirmed[name]) != _plain(value)]
    if otherwise:
        labels = ", ".join(capfirst(str(SettingsForm.base_fields[name].label)) for name in otherwise)
        text = gettext("Sendcloud accepted it, but says otherwise of: %(what)s. What it says stands below.")
        messages.warning(request, text % {"what": labels})
    else:
        messages.success(request, gettext("Sendcloud confirms the change."))
    return True


def _render(
    model_admin: IntegrationAdmin, request: HttpRequest, integration: Integration, **context: Any
) -> HttpResponse:
    form = context.get("form")
    return TemplateResponse(
        request,
        "admin/django_sendcloud/settings.html",
        {
            **model_admin.admin_site.each_context(request),
            "title": gettext("Settings at Sendcloud"),
            "subtitle": str(integration),
            "opts": model_admin.opts,
            "original": integration,
            "media": model_admin.media + (form.media if form else forms.Media()),
            "may_change": model_admin.has_change_permission(request, integration),
            **context,
        },
    )
