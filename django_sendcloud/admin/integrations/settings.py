"""Page of an integration's settings at Sendcloud: compared with ours, and changed there.

A colleague may change a setting in Sendcloud's panel while the page is open. The form therefore returns the signed
values it showed: the page sends only what the operator changed, and reports what changed at Sendcloud meanwhile.
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
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...api.v2 import Integration as RemoteIntegration
from ...exceptions import PayloadError, RequestRejected
from ...models import Integration
from ...models.carriers import CARRIERS, carrier_name
from ...sync import limiter
from ...violations import Violation
from ..actions.history import log
from ..explanations.failures import FAILURES, explain_failure
from ..explanations.violations import describe
from ..ui.humanize import quoted
from ..ui.pages import admin_page
from .failures import report_failure
from .webhook import shop_root_url

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from ..base import SendcloudAdmin

__all__ = ["setting_differences", "settings_page"]

#: Settings that change together: service points need carriers.
SETTINGS: dict[str, tuple[StrOrPromise, tuple[str, ...]]] = {
    "name": (_("Name"), ("shop_name",)),
    "url": (_("Address of the shop"), ("shop_url",)),
    "service_points": (_("Service points"), ("service_point_enabled", "service_point_carriers")),
    "webhook": (_("Webhook"), ("webhook_active", "webhook_url")),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One setting that differs between Sendcloud and the shop.

    Args:
        key: Key in ``SETTINGS``.
        label: Name for operators.
        theirs: Sendcloud's value, as text.
        ours: Stored value, as text.
        can_be_sent: Whether Sendcloud takes ours: an address can be replaced there, not removed.
    """

    key: str
    label: StrOrPromise
    theirs: str
    ours: str
    can_be_sent: bool


Values = Mapping[str, Any]


def values_there(remote: RemoteIntegration) -> dict[str, Any]:
    """Return Sendcloud's settings under the contract's names, with empty values for null."""
    return {
        "shop_name": remote.shop_name or "",
        "shop_url": remote.shop_url or "",
        "service_point_enabled": bool(remote.service_point_enabled),
        "service_point_carriers": list(remote.service_point_carriers or ()),
        "webhook_active": bool(remote.webhook_active),
        "webhook_url": remote.webhook_url or "",
    }


def values_here(integration: Integration) -> dict[str, Any]:
    """Return the stored settings in the same form."""
    return {name: getattr(integration, field) for name, field in Integration.SETTINGS.items()}


def differing(one: Values, other: Values) -> list[str]:
    """Return the keys of ``SETTINGS`` whose values differ."""
    return [
        key
        for key, (_label, names) in SETTINGS.items()
        if any(_plain(one[name]) != _plain(other[name]) for name in names)
    ]


def setting_differences(integration: Integration, remote: RemoteIntegration) -> list[Difference]:
    """Return all differences, each with both values."""
    here, there = values_here(integration), values_there(remote)
    return [
        Difference(key, SETTINGS[key][0], text_of(key, there), text_of(key, here), _can_be_sent(key, here, there))
        for key in differing(here, there)
    ]


def to_send(key: str, values: Values) -> dict[str, Any]:
    """Return the fields to send for a setting; the contract wants empty addresses left out."""
    return {name: values[name] for name in SETTINGS[key][1] if values[name] or name not in _NEVER_EMPTY}


_NEVER_EMPTY = ("shop_name", "shop_url", "webhook_url")


NOT_REMOVED = _("Sendcloud has an address here, and lets it be replaced but not removed.")


def _can_be_sent(key: str, here: Values, there: Values) -> bool:
    return all(here[name] or not there[name] for name in SETTINGS[key][1] if name in _NEVER_EMPTY)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def text_of(key: str, values: Values) -> str:
    """Return a setting's value as operators read it."""
    names = SETTINGS[key][1]
    if "service_point_enabled" in names:
        if not values["service_point_enabled"]:
            return gettext("off")
        return ", ".join(carrier_name(code) for code in values["service_point_carriers"]) or gettext("on")
    if "webhook_active" in names:
        address = values["webhook_url"] or gettext("no address")
        return address if values["webhook_active"] else gettext("off (%(address)s)") % {"address": address}
    return next(str(values[name]) for name in names) or gettext("not set")


class _Address(forms.URLInput):
    """URL input without Django's link to the current value: a webhook is not read in a browser."""

    def __init__(self) -> None:
        super().__init__(attrs={"class": "vURLField", "spellcheck": "false"})


class SettingsForm(forms.Form):
    """Form of all settings that Sendcloud lets change (operation: PATCH /integrations/{id}).

    Args:
        there: Sendcloud's settings as the page shows them.
        address: URL of this shop's webhook.
        data: Posted data.
        initial: Initial values that differ from Sendcloud's.
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
        """Return all settings as the operator wants them."""
        return {name: self.cleaned_data[name] for name in self.there}

    def attach(self, error: PayloadError | RequestRejected) -> bool:
        """Attach rejections to their fields. Return whether any of them had a field."""
        found = False
        for path, problems in error.errors.items():
            name = path.partition("[")[0].partition(".")[0]
            found |= name in self.fields
            sentences = [ValidationError(describe(Violation.from_json(problem))) for problem in problems]
            self.add_error(name if name in self.fields else None, sentences)
        return found


# -- the page -----------------------------------------------------------------------------------------

_SALT = "django_sendcloud.settings"
# Values of a page that was open for longer are too old to act on.
_PAGE_SECONDS = 24 * 3600

CHANGED_MEANWHILE = _("%(what)s has changed meanwhile, so nothing was done. See below for the current value.")


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """Both sides as the page showed them."""

    there: Values
    here: Values

    def sign(self, integration: Integration) -> str:
        """Return the signed values for the form."""
        return signing.dumps([integration.pk, self.there, self.here], salt=_SALT, compress=True)

    @classmethod
    def read(cls, signed: str, integration: Integration) -> Shown | None:
        """Return the values a form sent back; ``None`` if forged, of another integration, or too old."""
        try:
            pk, there, here = signing.loads(signed, salt=_SALT, max_age=_PAGE_SECONDS)
        except (signing.BadSignature, ValueError):
            return None
        return cls(there, here) if pk == integration.pk else None


def settings_page(
    model_admin: SendcloudAdmin[Integration], request: HttpRequest, integration: Integration
) -> HttpResponse:
    """Show both sides; take theirs, send ours, or change Sendcloud's."""
    if request.method == "POST" and not model_admin.has_change_permission(request, integration):
        raise PermissionDenied
    remote = _read(integration)
    if isinstance(remote, Exception):
        explanation = explain_failure(remote, integration)
        return _render(model_admin, request, integration, explanation=explanation, detail=str(remote))
    page = _Page(model_admin, request, integration, remote)
    return page.changed() if request.method == "POST" else page.show(SettingsForm(page.now.there, page.address))


def _read(integration: Integration) -> RemoteIntegration | Exception:
    try:
        limiter.wait_for_turn(integration.account.pk, "safe")
        with integration.client(retries=0) as client:
            return integration.read(client)
    except FAILURES as error:
        return error


class _Page:
    """The page as it stands now, and the operator's request to it."""

    def __init__(
        self,
        model_admin: SendcloudAdmin[Integration],
        request: HttpRequest,
        integration: Integration,
        remote: RemoteIntegration,
    ) -> None:
        self.model_admin, self.request, self.integration, self.remote = model_admin, request, integration, remote
        self.address = integration.webhook_address(shop_root_url(request))
        self.now = Shown(values_there(remote), values_here(integration))

    def show(
        self, form: SettingsForm, shown: Shown | None = None, conflicts: list[Difference] | None = None
    ) -> HttpResponse:
        """Render the page; ``shown`` are the values its form returns to, if not today's."""
        return _render(
            self.model_admin,
            self.request,
            self.integration,
            form=form,
            shown=(shown or self.now).sign(self.integration),
            conflicts=conflicts or [],
            differences=setting_differences(self.integration, self.remote),
        )

    def again(self) -> HttpResponse:
        """Render the page again with its messages."""
        return HttpResponseRedirect(self.request.path)

    def changed(self) -> HttpResponse:
        """Handle a changed setting or a settled difference."""
        post = self.request.POST
        shown = Shown.read(post.get("shown", ""), self.integration)
        if shown is None:
            text = gettext("The page was open for too long, so nothing was done. See below for the current values.")
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
            messages.warning(self.request, CHANGED_MEANWHILE % {"what": quoted(SETTINGS[key][0])})
        else:
            settle(key)

    def _take(self, key: str) -> None:
        label, names = SETTINGS[key]
        taken = {Integration.SETTINGS[name]: self.now.there[name] for name in names}
        Integration.objects.filter(pk=self.integration.pk).update(**taken)
        log(self.request, [self.integration], _("Took over from Sendcloud: %(what)s."), what=label)
        messages.success(self.request, gettext("This shop now has the same value as Sendcloud."))

    def _send(self, key: str) -> None:
        if _can_be_sent(key, self.now.here, self.now.there):
            self._apply([key], self.now.here, None)
        else:
            messages.warning(self.request, NOT_REMOVED)

    # -- the form ---------------------------------------------------------------------------------

    def _change(self, shown: Shown, form: SettingsForm) -> HttpResponse:
        if not form.is_valid():
            return self.show(form, shown)
        wanted, there = form.wanted(), self.now.there
        theirs = differing(shown.there, there)
        # Settings that Sendcloud already has as wanted need no request.
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
        return self.again() if self._apply(ours, wanted, form) else self.show(form, shown)

    def _apply(self, keys: list[str], values: Values, form: SettingsForm | None) -> bool:
        """Send these settings and report what Sendcloud confirms. Return ``False`` if it failed; the page says why."""
        labels = [SETTINGS[key][0] for key in keys]
        try:
            limiter.wait_for_turn(self.integration.account.pk, "unsafe")
            self.integration.change_at_sendcloud(**{n: v for key in keys for n, v in to_send(key, values).items()})
        except FAILURES as error:
            if form and isinstance(error, PayloadError | RequestRejected) and form.attach(error):
                log(self.request, [self.integration], _("Sendcloud rejected the change: %(what)s."), what=labels)
            else:
                doing = _("Change at Sendcloud (%(what)s)")
                report_failure(self.model_admin, self.request, self.integration, error, doing, what=labels)
            return False
        log(self.request, [self.integration], _("Changed at Sendcloud: %(what)s."), what=labels)
        confirmed = values_here(self.integration)
        otherwise = [str(SETTINGS[key][0]) for key in keys if key in differing(confirmed, values)]
        if otherwise:
            text = gettext("Sendcloud accepted it, but reports a different value for: %(what)s. See below.")
            messages.warning(self.request, text % {"what": ", ".join(otherwise)})
        else:
            messages.success(self.request, gettext("Sendcloud confirms the change."))
        return True


def _render(
    model_admin: SendcloudAdmin[Integration], request: HttpRequest, integration: Integration, **context: Any
) -> HttpResponse:
    form = context.get("form")
    context = {
        "subtitle": str(integration),
        "media": model_admin.media + (form.media if form else forms.Media()),
        "may_change": model_admin.has_change_permission(request, integration),
        **context,
    }
    template = "admin/django_sendcloud/integrations/settings.html"
    return admin_page(model_admin, request, template, gettext("Settings at Sendcloud"), context, integration)
