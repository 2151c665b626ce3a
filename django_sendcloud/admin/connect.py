"""Connecting an integration: asking Sendcloud what a pair of keys opens, and the form that does so."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AdminIntegerFieldWidget, AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..api.results import Integration as RemoteIntegration
from ..conf import SendcloudConfigurationError, conf
from ..enums import AuthScheme
from ..exceptions import AuthenticationError, PermissionDenied
from ..models import Integration
from .explain import Explanation, explain_error
from .failures import FAILURES

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    _ModelForm = forms.ModelForm[Integration]
else:
    _ModelForm = forms.ModelForm

__all__ = ["FAILURES", "Answer", "IntegrationForm", "KeysForm", "ask"]


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What Sendcloud said to a pair of keys."""

    integrations: list[RemoteIntegration] = dataclasses.field(default_factory=list)
    error: Exception | None = None


def ask(integration: Integration) -> Answer:
    """Which integrations these keys open (operation: GET /integrations). Never raises for what Sendcloud does."""
    try:
        with integration.client(retries=0) as client:
            return Answer(client.integrations.list())
    except FAILURES as error:
        return Answer(error=error)


class SecretField(forms.CharField):
    """A secret to be set: shown to nobody, filled in by no browser, and kept as it is when left empty."""

    def __init__(self, *, label: StrOrPromise, help_text: StrOrPromise = "") -> None:
        widget = forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "new-password", "spellcheck": "false", "class": "vTextField"}
        )
        super().__init__(label=label, help_text=help_text, required=False, widget=widget, max_length=500)

    def clean(self, value: Any) -> str:
        secret = str(super().clean(value) or "")
        if any(character.isspace() for character in secret):
            raise ValidationError(_("There is white space inside. Copy it again, on its own."), code="white_space")
        return secret


class KeysForm(forms.Form):
    """Only what is needed to ask Sendcloud, read from the posted form before anything else is looked at."""

    public_key = forms.CharField(max_length=200)
    new_secret_key = SecretField(label="")
    auth_scheme = forms.ChoiceField(choices=[(scheme.value, "") for scheme in AuthScheme])

    def candidate(self, stored: Integration | None) -> Integration | None:
        """The integration as it would be, for asking. ``None``: nothing about its keys changes, or they are missing."""
        if not self.is_valid():
            return None
        data = self.cleaned_data
        secret = data["new_secret_key"] or (stored.secret_key if stored else "")
        if not secret:
            return None
        if stored and not data["new_secret_key"] and _same_keys(stored, data):
            return None
        return Integration(
            remote_id=stored.remote_id if stored else 1,
            public_key=data["public_key"],
            secret_key=secret,
            auth_scheme=data["auth_scheme"],
        )


def _same_keys(stored: Integration, data: dict[str, Any]) -> bool:
    return (stored.public_key, stored.auth_scheme) == (data["public_key"], data["auth_scheme"])


class IntegrationForm(_ModelForm):
    """Keys in, nothing out. What belongs to Sendcloud (name, address, webhook) is not edited here but asked for."""

    #: What Sendcloud said to these keys, asked before the form's transaction began. ``None``: it was not asked.
    answer: ClassVar[Answer | None] = None

    remote_id = forms.IntegerField(
        label=_("Sendcloud's id"),
        required=False,
        min_value=1,
        widget=AdminIntegerFieldWidget,
        help_text=_("Leave it empty to have it found. It is asked for only where the keys open several integrations."),
    )
    public_key = forms.CharField(
        label=_("Public key"),
        max_length=200,
        widget=AdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    new_secret_key = SecretField(label=_("Secret key"))
    new_webhook_signature_key = SecretField(label=_("Webhook signature key"))
    remove_webhook_signature_key = forms.BooleanField(label=_("Remove the webhook signature key"), required=False)

    class Meta:
        model = Integration
        fields = ["remote_id", "public_key", "auth_scheme", "is_active", "account"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What Sendcloud told of the integration these keys open, and why it could not be asked.
        self.remote: RemoteIntegration | None = None
        self.unchecked: Explanation | None = None
        stored = self.instance if self.instance.pk else None
        if "new_secret_key" in self.fields:
            self.fields["new_secret_key"].required = not (stored and stored.secret_key)
        self._say(
            "new_secret_key",
            _("It is set, and not shown to anybody. Leave this empty to keep it.")
            if stored and stored.secret_key
            else _("It is not set yet. It is stored encrypted, and never shown again."),
        )
        self._say(
            "new_webhook_signature_key",
            _("It is set, and not shown to anybody. Leave this empty to keep it.")
            if stored and stored.webhook_signature_key
            else _("It is not set, as usual: webhooks are then signed with the secret key."),
        )
        if "account" in self.fields:
            # Its default is computed, for which Django would remember the initial value in the page.
            self.fields["account"].show_hidden_initial = False
        if "remove_webhook_signature_key" in self.fields and not (stored and stored.webhook_signature_key):
            del self.fields["remove_webhook_signature_key"]

    def _say(self, name: str, help_text: StrOrPromise) -> None:
        if name in self.fields:
            self.fields[name].help_text = help_text

    def clean_public_key(self) -> str:
        key = str(self.cleaned_data["public_key"])
        if any(character.isspace() for character in key):
            raise ValidationError(_("There is white space inside. Copy it again, on its own."), code="white_space")
        return key

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        stored = self.instance if self.instance.pk else None
        if data.get("new_secret_key") and data["new_secret_key"] == data.get("public_key"):
            self.add_error("new_secret_key", ValidationError(_("This is the public key."), code="public_key"))
        if self.answer is not None and not self.errors:
            if self.answer.error is not None:
                self._not_answered(self.answer.error)
            elif stored:
                self._recognise(stored.remote_id, self.answer.integrations)
            else:
                self._choose(data.get("remote_id"), self.answer.integrations)
        return data

    def _not_answered(self, error: Exception) -> None:
        """Refused keys cannot be saved; those nobody could be asked about can, where the integration is known."""
        explanation = explain_error(error)
        if isinstance(error, AuthenticationError):
            if "demands OAuth2" in str(error):
                text = _("This integration demands OAuth2: choose OAuth2 here.")
                self.add_error("auth_scheme", ValidationError(text, code="oauth2_required"))
                return
            self.add_error(
                "public_key",
                ValidationError(
                    _(
                        "Sendcloud refuses this pair of keys. Compare this one with the public key in Sendcloud's "
                        "panel (Settings > Integrations > Configure). If OAuth2 is switched on there, choose it here."
                    ),
                    code="keys_refused",
                ),
            )
            self.add_error(
                "new_secret_key",
                ValidationError(
                    _("Or this one is wrong: it is shown only once in the panel, make a new pair if it is lost."),
                    code="keys_refused",
                ),
            )
        elif isinstance(error, PermissionDenied | SendcloudConfigurationError | ValueError):
            self.add_error(None, self._sentence(explanation, error, code="refused"))
        elif not self.instance.pk and not self.cleaned_data.get("remote_id"):
            self.add_error(None, self._sentence(explanation, error, code="unreachable"))
        else:
            self.unchecked = explanation

    def _sentence(self, explanation: Explanation, error: Exception, *, code: str) -> ValidationError:
        text = gettext("%(title)s. %(why)s Nothing was saved. (%(detail)s)")
        values = {"title": explanation.title, "why": explanation.why, "detail": str(error)}
        return ValidationError(text, code=code, params=values)

    def _recognise(self, remote_id: int, found: list[RemoteIntegration]) -> None:
        self.remote = next((remote for remote in found if remote.id == remote_id), None)
        if self.remote is None:
            text = gettext("These keys belong to an account without the integration #%(id)s. It has: %(found)s.")
            values = {"id": remote_id, "found": _names(found)}
            self.add_error("public_key", ValidationError(text, code="another_account", params=values))

    def _choose(self, wanted: int | None, found: list[RemoteIntegration]) -> None:
        text: StrOrPromise
        taken = set(Integration.objects.using(conf().DATABASE).values_list("remote_id", flat=True))
        free = [remote for remote in found if remote.id not in taken]
        if wanted is not None:
            self.remote = next((remote for remote in found if remote.id == wanted), None)
            if self.remote is None:
                text = gettext("The keys are right, but do not open the integration #%(id)s. They open: %(found)s.")
                self._offer(free)
                values = {"id": wanted, "found": _names(found)}
                self.add_error("remote_id", ValidationError(text, code="not_found", params=values))
        elif not found:
            text = _("The keys are right, but the account has no integration. Make one in Sendcloud's panel first.")
            self.add_error(None, ValidationError(text, code="none"))
        elif not free:
            text = gettext("The keys are right, but what they open is connected already: %(found)s.")
            self.add_error(None, ValidationError(text, code="all_taken", params={"found": _names(found)}))
        elif len(free) > 1:
            self._offer(free)
            text = _("The keys are right, and open several integrations. Choose one, and enter the secret key again.")
            self.add_error("remote_id", ValidationError(text, code="several"))
        else:
            self.remote = free[0]
            self.cleaned_data["remote_id"] = self.remote.id

    def _offer(self, found: list[RemoteIntegration]) -> None:
        if found and "remote_id" in self.fields:
            choices = [("", "---------"), *((remote.id, _name(remote)) for remote in found)]
            self.fields["remote_id"].widget = forms.Select(choices=choices)


def _name(remote: RemoteIntegration) -> str:
    return f"#{remote.id} {remote.shop_name} ({remote.system})" if remote.system else f"#{remote.id} {remote.shop_name}"


def _names(found: list[RemoteIntegration]) -> str:
    return ", ".join(_name(remote) for remote in found[:10]) or gettext("none")
