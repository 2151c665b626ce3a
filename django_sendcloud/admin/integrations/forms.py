"""Form that connects an integration, and the check of its keys at Sendcloud."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AdminIntegerFieldWidget, AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...api.v2 import Integration as RemoteIntegration
from ...conf import SendcloudConfigurationError
from ...enums import ApiGeneration, AuthScheme
from ...exceptions import AuthenticationError, NotFound, PermissionDenied
from ...hidden import HiddenStr
from ...models import Integration
from ...payloads.countries import COUNTRIES, suggest_country
from ...sync.generation import open_keys
from ..explanations.errors import Explanation
from ..explanations.failures import FAILURES, demands_oauth2, explain_failure

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    _ModelForm = forms.ModelForm[Integration]
else:
    _ModelForm = forms.ModelForm

__all__ = ["FAILURES", "SECRETS", "FormContext", "IntegrationForm", "KeyCheck", "KeysForm", "check_keys"]

MAX_PUBLIC_KEY = 200


@dataclasses.dataclass(frozen=True, slots=True)
class KeyCheck:
    """Sendcloud's answer to a pair of keys.

    Args:
        integrations: Integrations that the keys open.
        error: Reason of a failed request.
        swapped: Whether Sendcloud accepts only the swapped keys.
        generation: The API generation proposed for these keys.
    """

    integrations: list[RemoteIntegration] = dataclasses.field(default_factory=list)
    error: Exception | None = None
    swapped: bool = False
    generation: ApiGeneration = ApiGeneration.V2


def check_keys(integration: Integration, generation: ApiGeneration | None = None) -> KeyCheck:
    """Ask Sendcloud for the integrations of these keys (operation: GET /integrations). Never raises for its answer."""
    try:
        # Only a new integration has a choice: `sendcloud_move` changes the generation of another.
        opened = open_keys(integration, generation)
        return KeyCheck(opened.integrations, generation=opened.generation)
    except FAILURES as error:
        return KeyCheck(error=error, swapped=_are_swapped(integration, error))


def _are_swapped(integration: Integration, error: Exception) -> bool:
    if not isinstance(error, AuthenticationError) or demands_oauth2(error):
        return False
    secret = integration.secret_key
    if secret is None or integration.auth_scheme != AuthScheme.BASIC:
        return False
    other_way = Integration(remote_id=1, public_key=secret.reveal(), secret_key=integration.public_key)
    try:
        with other_way.client(retries=0) as client:
            client.v2.integrations.list()
    except FAILURES:
        return False
    return True


@dataclasses.dataclass(frozen=True, slots=True)
class FormContext:
    """Facts about a posted form beside its fields.

    Args:
        key_check: Sendcloud's answer to its keys, requested before the form's transaction. ``None``: not asked.
        kept: Secrets of the previous request, which need no second entry.
        lost: Fields whose kept secret has expired.
        testing: Whether the form only tests the keys and saves nothing.
        shows_what_is_set: Whether the operator may know which keys are set.
    """

    key_check: KeyCheck | None = None
    kept: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lost: Collection[str] = ()
    testing: bool = False
    shows_what_is_set: bool = True


class SecretField(forms.CharField):
    """Write-only secret: never shown, never autofilled, kept if left empty."""

    def __init__(self, *, label: StrOrPromise, help_text: StrOrPromise = "") -> None:
        widget = forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "new-password", "spellcheck": "false", "class": "vTextField"}
        )
        super().__init__(label=label, help_text=help_text, required=False, widget=widget, max_length=500)

    def clean(self, value: Any) -> HiddenStr:
        secret = HiddenStr(super().clean(value) or "")
        if any(character.isspace() for character in secret):
            raise ValidationError(_("There is white space inside. Copy it again, on its own."), code="white_space")
        return secret


class ListField(forms.CharField):
    """Short texts, separated by commas or blanks; cleans to a list without repetitions.

    Args:
        separators: Characters between two texts, besides the comma.
        **kwargs: As for any field.
    """

    def __init__(self, *, separators: str = "", **kwargs: Any) -> None:
        self._separators = separators
        super().__init__(required=False, widget=AdminTextInputWidget(), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        for separator in self._separators:
            text = text.replace(separator, ",")
        return list(dict.fromkeys(part for each in text.split(",") if (part := each.strip())))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial) != self.to_python(data))


class CountriesField(ListField):
    """Codes of countries."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(separators=" ;", **kwargs)

    def clean(self, value: Any) -> list[str]:
        codes = []
        for code in super().clean(value):
            if code.upper() not in COUNTRIES:
                meant = suggest_country(code)
                text = gettext("“%(code)s” is not a country code. Write codes of two letters, such as NL, BE.")
                if meant:
                    text = gettext("“%(code)s” is not a country code. Did you mean %(meant)s?")
                raise ValidationError(text % {"code": code, "meant": meant}, code="country")
            codes.append(code.upper())
        return list(dict.fromkeys(codes))


class KeysForm(forms.Form):
    """Form with the fields needed to ask Sendcloud, read before all others."""

    public_key = forms.CharField(max_length=MAX_PUBLIC_KEY)
    new_secret_key = SecretField(label="")
    auth_scheme = forms.ChoiceField(choices=[(scheme.value, "") for scheme in AuthScheme])
    api = forms.ChoiceField(required=False, choices=[("", ""), *((each.value, "") for each in ApiGeneration)])

    def candidate(
        self, stored: Integration | None, kept: Mapping[str, str] | None = None, *, testing: bool = False
    ) -> Integration | None:
        """Return the integration with the entered keys. ``None`` if the keys are unchanged or missing.

        Args:
            stored: The stored integration.
            kept: Secrets of the previous request.
            testing: Whether to return it even if nothing changed.
        """
        if not self.is_valid():
            return None
        data = self.cleaned_data
        entered = data["new_secret_key"] or (kept or {}).get("new_secret_key", "")
        secret = entered or (stored.secret_key if stored else "")
        if not secret:
            return None
        if stored and not entered and not testing and _same_keys(stored, data):
            return None
        return Integration(
            remote_id=stored.remote_id if stored else 1,
            public_key=data["public_key"],
            secret_key=secret,
            auth_scheme=data["auth_scheme"],
        )


def generation_of(stored: Integration | None, entered: str) -> ApiGeneration | None:
    """Return the API generation to ask by: the stored one, or the operator's choice. ``None``: propose one."""
    if stored is not None:
        return ApiGeneration(stored.api_generation)
    return ApiGeneration(entered) if entered in set(ApiGeneration) else None


def _same_keys(stored: Integration, data: dict[str, Any]) -> bool:
    return (stored.public_key, stored.auth_scheme) == (data["public_key"], data["auth_scheme"])


#: Fields that hold secrets.
SECRETS = ("new_secret_key", "new_webhook_signature_key")


class IntegrationForm(_ModelForm):
    """Write-only form of the keys. Sendcloud's own settings (name, address, webhook) are read from Sendcloud."""

    form_context: ClassVar[FormContext] = FormContext()

    remote_id = forms.IntegerField(
        label=_("Sendcloud's id"),
        required=False,
        min_value=1,
        widget=AdminIntegerFieldWidget,
        help_text=_("Leave empty to find it automatically. It is needed only if the keys open several integrations."),
    )
    public_key = forms.CharField(
        label=_("Public key"),
        max_length=MAX_PUBLIC_KEY,
        widget=AdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    api = forms.ChoiceField(
        label=_("API"),
        required=False,
        choices=[
            ("", _("Let Sendcloud decide")),
            (ApiGeneration.V3.value, _("v3, for every account")),
            (ApiGeneration.V2.value, _("v2, for certified partners")),
        ],
        help_text=_("Ordinary accounts use v3. You can move the integration to the other API later."),
    )
    new_secret_key = SecretField(label=_("Secret key"))
    new_webhook_signature_key = SecretField(label=_("Webhook signature key"))
    remove_webhook_signature_key = forms.BooleanField(label=_("Remove the webhook signature key"), required=False)

    for_countries = CountriesField(
        label=_("Countries"),
        help_text=_(
            "Only if several integrations are in use: it takes orders to these countries, such as NL, BE. Empty: "
            "orders to any country that no other integration names."
        ),
    )
    for_sites = ListField(
        label=_("Sites"),
        help_text=_(
            "Only if several integrations are in use and the adapter names the order's site: it takes orders of these "
            "sites, separated by commas. Empty: orders of any site that no other integration names."
        ),
    )

    class Meta:
        model = Integration
        fields = ["remote_id", "public_key", "auth_scheme", "is_active", "account", "for_countries", "for_sites"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Sendcloud's integration for these keys, and the error of a failed request.
        self.remote: RemoteIntegration | None = None
        self.unchecked: Explanation | None = None
        # Entered secrets that are usable once all else is right.
        self.entered: dict[str, str] = {}
        stored = self._stored
        has_keys = bool(stored and stored.secret_key)
        if "new_secret_key" in self.fields:
            self.fields["new_secret_key"].required = not has_keys and not self.form_context.kept.get("new_secret_key")
        self._set_help_text(
            "new_secret_key",
            _("Saved. Leave empty to keep the current key.")
            if has_keys
            else _("It is not set yet. It is stored encrypted, and never shown again."),
        )
        self._set_help_text(
            "new_webhook_signature_key",
            _("Saved. Leave empty to keep the current key.")
            if stored and stored.webhook_signature_key
            else _("It is not set, as usual: webhooks are then signed with the secret key."),
        )
        if "account" in self.fields:
            # Django would put the computed default into the page as an initial value.
            self.fields["account"].show_hidden_initial = False
        #: Whether the integration has lost its keys; entering new ones puts it back in use.
        self.connects_again = bool(stored) and not has_keys
        if "is_active" in self.fields and self.connects_again:
            self.initial["is_active"] = True

    @property
    def _stored(self) -> Integration | None:
        return self.instance if self.instance.pk else None

    @property
    def has_new_keys(self) -> bool:
        """Return whether saving would change the keys."""
        return (
            self._stored is None
            or bool(self.entered)
            or not {"public_key", "auth_scheme"}.isdisjoint(self.changed_data)
        )

    @cached_property
    def changed_data(self) -> list[str]:
        """Return the changed fields for the history, kept secrets included."""
        kept = [name for name in SECRETS if name in self.fields and self.form_context.kept.get(name)]
        changed: list[str] = super().changed_data
        return [*changed, *(name for name in kept if name not in changed)]

    def _set_help_text(self, name: str, help_text: StrOrPromise) -> None:
        if name in self.fields:
            unanswered = _("It is never shown. Leave empty to keep the current one.")
            may_see = self.form_context.shows_what_is_set or self._stored is None
            self.fields[name].help_text = help_text if may_see else unanswered

    def show_kept_secrets(self) -> None:
        """Show which secrets are kept for the next request."""
        for name in self.entered:
            self[name].help_text = _(
                "The key you entered is kept for ten minutes and used when you save, unless you enter another "
                "one. To discard it, open this page again."
            )

    def is_valid(self) -> bool:
        """Return whether the form can be saved. A test of keys never is."""
        return super().is_valid() and not self.form_context.testing

    def clean_public_key(self) -> str:
        key = str(self.cleaned_data["public_key"])
        if any(character.isspace() for character in key):
            raise ValidationError(_("There is white space inside. Copy it again, on its own."), code="white_space")
        if ":" in key:
            raise ValidationError(_("There is a colon inside. Copy the public key alone."), code="colon")
        return key

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        for name in SECRETS:
            if name in data and not data[name]:
                data[name] = self.form_context.kept.get(name, "")
                if name in self.form_context.lost:
                    text = _("It had been kept for ten minutes, and is gone by now. Enter it again.")
                    self.add_error(name, ValidationError(text, code="lost"))
        self.entered = {name: data[name] for name in SECRETS if data.get(name)}
        if data.get("new_secret_key") and data["new_secret_key"] == data.get("public_key"):
            del self.entered["new_secret_key"]
            self.add_error("new_secret_key", ValidationError(_("This is the public key."), code="public_key"))
        key_check = self.form_context.key_check
        if key_check is not None and not self.errors:
            if key_check.error is not None:
                self._not_answered(key_check.error, swapped=key_check.swapped)
            elif self._stored:
                self._recognise(self._stored.remote_id, key_check.integrations)
            else:
                self._choose(data.get("remote_id"), key_check.integrations)
        return data

    # -- errors and advice --------------------------------------------------------------------------

    def _not_answered(self, error: Exception, *, swapped: bool) -> None:
        """Refuse rejected keys; accept unchecked ones if the integration is known."""
        explanation = explain_failure(error)
        if demands_oauth2(error):
            text = f"{explanation.title}. {explanation.why} {explanation.advice}"
            self.add_error("auth_scheme", ValidationError(text, code="oauth2_required"))
        elif isinstance(error, AuthenticationError):
            self._rejected(swapped=swapped)
        elif isinstance(error, PermissionDenied | NotFound | SendcloudConfigurationError | ValueError):
            self.add_error(None, self._sentence(explanation, error, code="rejected"))
        elif self.form_context.testing or not (self._stored or self.cleaned_data.get("remote_id")):
            self.add_error(None, self._sentence(explanation, error, code="unreachable"))
        else:
            self.unchecked = explanation

    def _rejected(self, *, swapped: bool) -> None:
        """Guess which key is wrong, because Sendcloud does not say."""
        stored, public_key = self._stored, self.cleaned_data["public_key"]
        same = stored is not None and stored.public_key == public_key
        with_it = Integration.objects.filter(public_key=public_key)
        of_another = (with_it.exclude(pk=stored.pk) if stored else with_it).first()
        found: dict[str, StrOrPromise]
        if self.cleaned_data.get("auth_scheme") == AuthScheme.OAUTH2:
            found = {
                "public_key": _(
                    "Sendcloud rejects this client id with its client secret. Compare it with the one in Sendcloud's "
                    "panel (Settings > Integrations > Configure), and look whether OAuth2 is switched on there. If it "
                    "is not, choose API keys here."
                ),
                "new_secret_key": _("Or this client secret is wrong. Copy it again from the panel."),
            }
        elif swapped:
            del self.entered["new_secret_key"]
            found = {
                "public_key": _("This is the secret key: the two are swapped. Enter the public key here."),
                "new_secret_key": _("This is the public key. Enter the secret key here."),
            }
        elif same and "new_secret_key" in self.entered:
            found = {
                "new_secret_key": _(
                    "Sendcloud rejects it, with the stored public key: one of the two is wrong, most likely this one. "
                    "Copy it again from Sendcloud's panel (Settings > Integrations > Configure). It is shown there "
                    "only once: if it is lost, make a new pair and enter both."
                )
            }
        elif stored is not None and not same and "new_secret_key" not in self.entered:
            found = {
                "new_secret_key": _("Another public key has another secret key. Enter the one that belongs to it, too.")
            }
        elif of_another is not None:
            found = {
                "public_key": gettext("This is the public key of “%(name)s”, which is connected already.")
                % {"name": of_another},
                "new_secret_key": _("This is not the secret key that belongs to it."),
            }
        else:
            found = {
                "public_key": _(
                    "Sendcloud rejects this pair of keys. Compare this one with the public key in Sendcloud's "
                    "panel (Settings > Integrations > Configure). If OAuth2 is switched on there, choose it here."
                ),
                "new_secret_key": _(
                    "Or this one is wrong: it is shown only once in the panel, make a new pair if it is lost."
                ),
            }
        for name, text in found.items():
            self.add_error(name, ValidationError(text, code="keys_rejected"))

    def _sentence(self, explanation: Explanation, error: Exception, *, code: str) -> ValidationError:
        text = gettext("%(title)s. %(why)s %(advice)s Nothing was saved. (%(detail)s)")
        values = {
            "title": explanation.title,
            "why": explanation.why,
            "advice": explanation.advice,
            "detail": str(error),
        }
        return ValidationError(text, code=code, params=values)

    def _recognise(self, remote_id: int, found: list[RemoteIntegration]) -> None:
        self.remote = next((remote for remote in found if remote.id == remote_id), None)
        if self.remote is None:
            text = gettext(
                "These keys belong to an account without the integration #%(id)s. It has: %(found)s. Enter the keys of "
                "this integration, or connect the other one on its own."
            )
            values = {"id": remote_id, "found": _names(found)}
            self.add_error("public_key", ValidationError(text, code="another_account", params=values))

    def _choose(self, wanted: int | None, found: list[RemoteIntegration]) -> None:
        text: StrOrPromise
        taken = set(Integration.objects.values_list("remote_id", flat=True))
        free = [remote for remote in found if remote.id not in taken]
        if wanted is not None:
            self.remote = next((remote for remote in found if remote.id == wanted), None)
            if self.remote is None:
                text = gettext(
                    "The keys are right, but do not open the integration #%(id)s. They open: %(found)s. Choose one of "
                    "these, or leave this empty."
                )
                self._offer(free)
                values = {"id": wanted, "found": _names(found)}
                self.add_error("remote_id", ValidationError(text, code="not_found", params=values))
        elif not found:
            text = _(
                "The keys are right, but the account has no integration. Make one in Sendcloud's panel first: Settings "
                "> Integrations > Sendcloud API > Connect."
            )
            self.add_error(None, ValidationError(text, code="none"))
        elif not free:
            text = gettext(
                "The keys are right, but what they open is connected already: %(found)s. To replace its keys, open it "
                "in the list of integrations."
            )
            self.add_error(None, ValidationError(text, code="all_taken", params={"found": _names(found)}))
        elif len(free) > 1:
            self._offer(free)
            text = _("The keys are right, and open several integrations. Choose the one to connect, and save.")
            self.add_error("remote_id", ValidationError(text, code="several"))
        else:
            self.remote = free[0]
            self.cleaned_data["remote_id"] = self.remote.id

    def _offer(self, found: list[RemoteIntegration]) -> None:
        if found and "remote_id" in self.fields:
            choices = [("", "---------"), *((remote.id, _name(remote)) for remote in found)]
            self.fields["remote_id"].widget = forms.Select(choices=choices)
            self["remote_id"].help_text = _("The integrations that these keys open and that are not connected yet.")


def _name(remote: RemoteIntegration) -> str:
    return f"#{remote.id} {remote.shop_name} ({remote.system})" if remote.system else f"#{remote.id} {remote.shop_name}"


def _names(found: list[RemoteIntegration]) -> str:
    return ", ".join(_name(remote) for remote in found[:10]) or gettext("none")
