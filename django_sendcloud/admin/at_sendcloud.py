"""An integration's settings at Sendcloud: theirs beside ours, and changed there, not here.

A page shows what was true when it was made, and a colleague may change something in Sendcloud's panel meanwhile. So
what was shown comes back with what the person did, signed: sent is only what the person changed, and what has moved
since is said and left alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..api.results import Integration as RemoteIntegration
from ..conf import conf
from ..exceptions import PayloadError, RequestRejected
from ..models import Integration
from ..sync import limiter
from .failures import AT_FULL_SPEED, FAILURES, explain_failure, note, report_failure
from .sentences import in_words

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from .integration import IntegrationAdmin

__all__ = ["carrier_name", "differences", "settings_page"]

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
    """Settings that differ between there and here.

    Args:
        key: Which, as in ``SETTINGS``.
        label: In human words.
        theirs: What Sendcloud has, as text.
        ours: What is stored here, as text.
        can_be_sent: Whether Sendcloud takes ours: it lets an address be replaced, but not be removed.
    """

    key: str
    label: StrOrPromise
    theirs: str
    ours: str
    can_be_sent: bool


Values = Mapping[str, Any]


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
    return {name: getattr(integration, field) for name, field in Integration.SETTINGS.items()}


def differing(one: Values, other: Values) -> list[str]:
    """The keys of ``SETTINGS`` in which these differ."""
    return [
        key
        for key, (_label, names) in SETTINGS.items()
        if any(_plain(one[name]) != _plain(other[name]) for name in names)
    ]


def differences(integration: Integration, remote: RemoteIntegration) -> list[Difference]:
    """What differs there and here, each with both sides."""
    here, there = values_here(integration), values_there(remote)
    return [
        Difference(key, SETTINGS[key][0], text_of(key, there), text_of(key, here), _can_be_sent(key, here, there))
        for key in differing(here, there)
    ]


def to_send(key: str, values: Values) -> dict[str, Any]:
    """What has to be sent for a setting: an address that is not given is left out, as the contract wants it."""
    return {name: values[name] for name in SETTINGS[key][1] if values[name] or name not in _NEVER_EMPTY}


_NEVER_EMPTY = ("shop_name", "shop_url", "webhook_url")


NOT_REMOVED = _("Sendcloud has an address here, and lets it be replaced but not removed.")


def _can_be_sent(key: str, here: Values, there: Values) -> bool:
    return all(here[name] or not there[name] for name in SETTINGS[key][1] if name in _NEVER_EMPTY)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def text_of(key: str, values: Values) -> str:
    """A setting in human words."""
    names = SETTINGS[key][1]
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


class _Address(forms.URLInput):
    """An address to be changed, without Django's link to what it is now: nobody reads a webhook in a browser."""

    def __init__(self) -> None:
        super().__init__(attrs={"class": "vURLField", "spellcheck": "false"})


class SettingsForm(forms.Form):
    """Everything Sendcloud lets one change of an integration (operation: PATCH /integrations/{id}).

    Args:
        there: What Sendcloud has, as the page shows it.
        address: Where this shop takes webhooks.
        data: What was posted.
        initial: What to show where it is not what Sendcloud has.
    """

    shop_name = forms.CharField(
        label=_("Name"),
        max_length=250,
        widget=AdminTextInputWidget,
        help_text=_("As it is shown in Sendcloud's panel."),
    )
    shop_url = forms.URLField(label=_("Address of the shop"), required=False, assume_scheme="https", widget=_Address)
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
    webhook_url = forms.URLField(label=_("To this address"), required=False, assume_scheme="https", widget=_Address)

    def __init__(self, there: Values, address: str, data: Any = None, initial: Values | None = None) -> None:
        self.there = there
        super().__init__(data, initial={**there, **(initial or {})})
        known = [*there["service_point_carriers"], *self.initial["service_point_carriers"]]
        others = [code for code in dict.fromkeys(known) if code not in CARRIERS]
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
                self.add_error(name, ValidationError(NOT_REMOVED, code="required"))
        data["service_point_carriers"] = list(dict.fromkeys(chosen))
        return data

    def wanted(self) -> dict[str, Any]:
        """All settings as the person wants them."""
        return {name: self.cleaned_data[name] for name in self.there}

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

_SALT = "django_sendcloud.settings"
# A page that is left open for longer shows what nobody remembers.
_PAGE_SECONDS = 24 * 3600

CHANGED_MEANWHILE = _("%(what)s has changed meanwhile, so nothing was done. Look again: below stands what it is now.")


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """Both sides as the page showed them."""

    there: Values
    here: Values

    def sign(self, integration: Integration) -> str:
        """For the form, to come back with it."""
        return signing.dumps([integration.pk, self.there, self.here], salt=_SALT, compress=True)

    @classmethod
    def read(cls, signed: str, integration: Integration) -> Shown | None:
        """What came back; ``None`` where it is not ours, of another integration, or too old."""
        try:
            pk, there, here = signing.loads(signed, salt=_SALT, max_age=_PAGE_SECONDS)
        except (signing.BadSignature, ValueError):
            return None
        return cls(there, here) if pk == integration.pk else None


def settings_page(model_admin: IntegrationAdmin, request: HttpRequest, integration: Integration) -> HttpResponse:
    """Show both sides; take theirs, send ours, or change them there."""
    if request.method == "POST" and not model_admin.has_change_permission(request, integration):
        raise PermissionDenied
    remote = _read(integration)
    if isinstance(remote, Exception):
        explanation = explain_failure(remote, integration)
        return _render(model_admin, request, integration, explanation=explanation, detail=str(remote))
    page = _Page(model_admin, request, integration, remote)
    return page.changed() if request.method == "POST" else page.show(SettingsForm(page.now.there, page.address))


def _read(integration: Integration) -> RemoteIntegration | Exception:
    limiter.acquire(integration.account.pk, "safe")
    try:
        with integration.client(retries=0) as client:
            return client.integrations.get(integration.remote_id)
    except FAILURES as error:
        return error


class _Page:
    """The page as it stands now, and what a person does with it."""

    def __init__(
        self, model_admin: IntegrationAdmin, request: HttpRequest, integration: Integration, remote: RemoteIntegration
    ) -> None:
        self.model_admin, self.request, self.integration, self.remote = model_admin, request, integration, remote
        self.address = integration.webhook_address(model_admin.base(request))
        self.now = Shown(values_there(remote), values_here(integration))

    def show(
        self, form: SettingsForm, shown: Shown | None = None, conflicts: list[Difference] | None = None
    ) -> HttpResponse:
        """The page; ``shown`` is what its form goes back to, where that is not what there is now."""
        return _render(
            self.model_admin,
            self.request,
            self.integration,
            form=form,
            shown=(shown or self.now).sign(self.integration),
            conflicts=conflicts or [],
            differences=differences(self.integration, self.remote),
        )

    def again(self) -> HttpResponse:
        """The page once more, with all there is to say."""
        return HttpResponseRedirect(self.request.path)

    def changed(self) -> HttpResponse:
        """A person has changed something, or settled a difference."""
        post = self.request.POST
        shown = Shown.read(post.get("shown", ""), self.integration)
        if shown is None:
            text = gettext("The page was open for too long, so nothing was done. Below stands what there is now.")
            messages.warning(self.request, text)
            return self.again()
        for doing, settle in (("take", self._take), ("send", self._send)):
            if doing in post:
                if post[doing] in SETTINGS:
                    self._settle(post[doing], shown, settle)
                return self.again()
        return self._change(shown, SettingsForm(shown.there, self.address, post))

    # -- one difference ---------------------------------------------------------------------------

    def _settle(self, key: str, shown: Shown, settle: Callable[[str], None]) -> None:
        if key in differing(shown.there, self.now.there) or key in differing(shown.here, self.now.here):
            messages.warning(self.request, CHANGED_MEANWHILE % {"what": f"“{SETTINGS[key][0]}”"})
        else:
            settle(key)

    def _take(self, key: str) -> None:
        label, names = SETTINGS[key]
        taken = {Integration.SETTINGS[name]: self.now.there[name] for name in names}
        Integration.objects.using(conf().DATABASE).filter(pk=self.integration.pk).update(**taken)
        note(self.request, self.integration, _("Took over from Sendcloud: %(what)s."), what=label)
        messages.success(self.request, gettext("This shop has it now as Sendcloud has."))

    def _send(self, key: str) -> None:
        if _can_be_sent(key, self.now.here, self.now.there):
            self._tell([key], self.now.here, None)
        else:
            messages.warning(self.request, NOT_REMOVED)

    # -- the form ---------------------------------------------------------------------------------

    def _change(self, shown: Shown, form: SettingsForm) -> HttpResponse:
        if not form.is_valid():
            return self.show(form, shown)
        wanted, there = form.wanted(), self.now.there
        theirs = differing(shown.there, there)
        # What Sendcloud has by now as the person wants it needs nobody any more.
        ours = [key for key in differing(shown.there, wanted) if key in differing(there, wanted)]
        if conflicts := [key for key in ours if key in theirs]:
            values = {name: wanted[name] for key in ours for name in SETTINGS[key][1]}
            rows = [
                Difference(key, SETTINGS[key][0], text_of(key, there), text_of(key, wanted), True) for key in conflicts
            ]
            return self.show(SettingsForm(there, self.address, initial=values), conflicts=rows)
        if theirs:
            labels = ", ".join(str(SETTINGS[key][0]) for key in theirs)
            text = ngettext(
                "This was changed at Sendcloud meanwhile, and is left as it is there: %(what)s.",
                "These were changed at Sendcloud meanwhile, and are left as they are there: %(what)s.",
                len(theirs),
            )
            messages.warning(self.request, text % {"what": labels})
        if not ours:
            messages.info(
                self.request, gettext("You changed nothing that Sendcloud does not have, so nothing was sent.")
            )
            return self.again()
        return self.again() if self._tell(ours, wanted, form) else self.show(form, shown)

    def _tell(self, keys: list[str], values: Values, form: SettingsForm | None) -> bool:
        """Have Sendcloud change these, and say what it confirms. ``False``: it did not, and the page says why."""
        if limiter.acquire(self.integration.account.pk, "unsafe"):
            messages.warning(self.request, AT_FULL_SPEED)
            return False
        labels = [SETTINGS[key][0] for key in keys]
        try:
            self.integration.change_at_sendcloud(**{n: v for key in keys for n, v in to_send(key, values).items()})
        except FAILURES as error:
            if form and isinstance(error, PayloadError | RequestRejected) and form.refused(error):
                note(self.request, self.integration, _("Sendcloud refused the change: %(what)s."), what=labels)
            else:
                doing = _("Change at Sendcloud (%(what)s)")
                report_failure(self.model_admin, self.request, self.integration, error, doing, what=labels)
            return False
        note(self.request, self.integration, _("Changed at Sendcloud: %(what)s."), what=labels)
        confirmed = values_here(self.integration)
        otherwise = [str(SETTINGS[key][0]) for key in keys if key in differing(confirmed, values)]
        if otherwise:
            text = gettext("Sendcloud accepted it, but says something else of: %(what)s. What it says stands below.")
            messages.warning(self.request, text % {"what": ", ".join(otherwise)})
        else:
            messages.success(self.request, gettext("Sendcloud confirms the change."))
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
