"""Connecting an integration: asking Sendcloud what a pair of keys opens, and the form that does so."""

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

from ..api.results import Integration as RemoteIntegration
from ..conf import SendcloudConfigurationError, conf
from ..enums import AuthScheme
from ..exceptions import AuthenticationError, NotFound, PermissionDenied
from ..models import Integration
from .explain import Explanation
from .failures import FAILURES, demands_oauth2, explain_failure

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    _ModelForm = forms.ModelForm[Integration]
else:
    _ModelForm = forms.ModelForm

__all__ = ["FAILURES", "SECRETS", "Answer", "Entry", "IntegrationForm", "KeysForm", "ask"]

MOST_OF_A_PUBLIC_KEY = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What Sendcloud said to a pair of keys.

    Args:
        integrations: What they open.
        error: Why it did not say so.
        swapped: Whether it refuses them, and accepts them the other way round.
    """

    integrations: list[RemoteIntegration] = dataclasses.field(default_factory=list)
    error: Exception | None = None
    swapped: bool = False


def ask(integration: Integration) -> Answer:
    """Which integrations these keys open (operation: GET /integrations). Never raises for what Sendcloud does."""
    try:
        with integration.client(retries=0) as client:
            return Answer(client.integrations.list())
    except FAILURES as error:
        return Answer(error=error, swapped=_are_swapped(integration, error))


def _are_swapped(integration: Integration, error: Exception) -> bool:
    if not isinstance(error, AuthenticationError) or demands_oauth2(error):
        return False
    secret = integration.secret_key
    if secret is None or integration.auth_scheme != AuthScheme.BASIC:
        return False
    other_way = Integration(remote_id=1, public_key=secret.reveal(), secret_key=integration.public_key)
    try:
        with other_way.client(retries=0) as client:
            client.integrations.list()
    except FAILURES:
        return False
    return True


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """What goes with a posted form beside its fields.

    Args:
        answer: What Sendcloud said to its keys, asked before the form's transaction began. ``None``: it was not asked.
        kept: Secrets that were entered a moment ago, and are not entered again.
        lost: Fields of which the page said that they are kept, and which are not any more.
        testing: Whether the keys are only tried, and nothing is saved.
        tells_what_is_set: Whether the person may know which keys are set.
    """

    answer: Answer | None = None
    kept: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lost: Collection[str] = ()
    testing: bool = False
    tells_what_is_set: bool = True


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

    public_key = forms.CharField(max_length=MOST_OF_A_PUBLIC_KEY)
    new_secret_key = SecretField(label="")
    auth_scheme = forms.ChoiceField(choices=[(scheme.value, "") for scheme in AuthScheme])

    def candidate(
        self, stored: Integration | None, kept: Mapping[str, str] | None = None, *, testing: bool = False
    ) -> Integration | None:
        """The integration as it would be, for asking. ``None``: nothing about its keys changes, or they are missing.

        Args:
            stored: The integration as it is.
            kept: What was entered a moment ago.
            testing: Whether it is asked for even though nothing changes.
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


def _same_keys(stored: Integration, data: dict[str, Any]) -> bool:
    return (stored.public_key, stored.auth_scheme) == (data["public_key"], data["auth_scheme"])


#: The fields that hold secrets.
SECRETS = ("new_secret_key", "new_webhook_signature_key")


class IntegrationForm(_ModelForm):
    """Keys in, nothing out. What belongs to Sendcloud (name, address, webhook) is not edited here but asked for."""

    entry: ClassVar[Entry] = Entry()

    remote_id = forms.IntegerField(
        label=_("Sendcloud's id"),
        required=False,
        min_value=1,
        widget=AdminIntegerFieldWidget,
        help_text=_("Leave it empty to have it found. It is asked for only where the keys open several integrations."),
    )
    public_key = forms.CharField(
        label=_("Public key"),
        max_length=MOST_OF_A_PUBLIC_KEY,
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
        # Secrets that are entered and could be used, once all else is right.
        self.entered: dict[str, str] = {}
        stored = self._stored
        has_keys = bool(stored and stored.secret_key)
        if "new_secret_key" in self.fields:
            self.fields["new_secret_key"].required = not has_keys and not self.entry.kept.get("new_secret_key")
        self._say(
            "new_secret_key",
            _("It is set, and not shown to anybody. Leave this empty to keep it.")
            if has_keys
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
        #: Whether it is an integration that has lost its keys. Who enters keys there wants to use it.
        self.connects_again = bool(stored) and not has_keys
        if "is_active" in self.fields and self.connects_again:
            self.initial["is_active"] = True

    @property
    def _stored(self) -> Integration | None:
        return self.instance if self.instance.pk else None

    @property
    def has_new_keys(self) -> bool:
        """Whether saving would change anything about the keys."""
        return (
            self._stored is None
            or bool(self.entered)
            or not {"public_key", "auth_scheme"}.isdisjoint(self.changed_data)
        )

    @cached_property
    def changed_data(self) -> list[str]:
        """What was changed, for the history: also what is not entered again because it was kept."""
        kept = [name for name in SECRETS if name in self.fields and self.entry.kept.get(name)]
        changed: list[str] = super().changed_data
        return [*changed, *(name for name in kept if name not in changed)]

    def _say(self, name: str, help_text: StrOrPromise) -> None:
        if name in self.fields:
            untold = _("It is never shown. Leave this empty to keep the one there is.")
            tells = self.entry.tells_what_is_set or self._stored is None
            self.fields[name].help_text = help_text if tells else untold

    def say_kept(self) -> None:
        """Let the page say which secrets are kept until it comes back."""
        for name in self.entered:
            self[name].help_text = _(
                "The one you entered is kept for ten minutes and used when you save, unless you enter another one. "
                "To forget it, open this page anew."
            )

    def is_valid(self) -> bool:
        """Whether it can be saved. Keys that are only tried never are."""
        return super().is_valid() and not self.entry.testing

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
                data[name] = self.entry.kept.get(name, "")
                if name in self.entry.lost:
                    text = _("It had been kept for ten minutes, and is gone by now. Enter it again.")
                    self.add_error(name, ValidationError(text, code="lost"))
        self.entered = {name: data[name] for name in SECRETS if data.get(name)}
        if data.get("new_secret_key") and data["new_secret_key"] == data.get("public_key"):
            del self.entered["new_secret_key"]
            self.add_error("new_secret_key", ValidationError(_("This is the public key."), code="public_key"))
        answer = self.entry.answer
        if answer is not None and not self.errors:
            if answer.error is not None:
                self._not_answered(answer.error, swapped=answer.swapped)
            elif self._stored:
                self._recognise(self._stored.remote_id, answer.integrations)
            else:
                self._choose(data.get("remote_id"), answer.integrations)
        return data

    # -- what is wrong, and the cure --------------------------------------------------------------

    def _not_answered(self, error: Exception, *, swapped: bool) -> None:
        """Refused keys cannot be saved; those nobody could be asked about can, where the integration is known."""
        explanation = explain_failure(error)
        if demands_oauth2(error):
            text = f"{explanation.title}. {explanation.why} {explanation.cure}"
            self.add_error("auth_scheme", ValidationError(text, code="oauth2_required"))
        elif isinstance(error, AuthenticationError):
            self._refused(swapped=swapped)
        elif isinstance(error, PermissionDenied | NotFound | SendcloudConfigurationError | ValueError):
            self.add_error(None, self._sentence(explanation, error, code="refused"))
        elif self.entry.testing or not (self._stored or self.cleaned_data.get("remote_id")):
            self.add_error(None, self._sentence(explanation, error, code="unreachable"))
        else:
            self.unchecked = explanation

    def _refused(self, *, swapped: bool) -> None:
        """Sendcloud does not say which of the two is wrong; often it can be told from what else is known."""
        stored, public_key = self._stored, self.cleaned_data["public_key"]
        same = stored is not None and stored.public_key == public_key
        with_it = Integration.objects.using(conf().DATABASE).filter(public_key=public_key)
        of_another = (with_it.exclude(pk=stored.pk) if stored else with_it).first()
        found: dict[str, StrOrPromise]
        if self.cleaned_data.get("auth_scheme") == AuthScheme.OAUTH2:
            found = {
                "public_key": _(
                    "Sendcloud refuses this client id with its client secret. Compare it with the one in Sendcloud's "
                    "panel (Settings > Integrations > Configure), and look whether OAuth2 is switched on there. If it "
                    "is not, choose API keys here."
                ),
                "new_secret_key": _("Or this client secret is wrong. Copy it anew from the panel."),
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
                    "Sendcloud refuses it, with the public key of before: one of the two is wrong, most likely this "
                    "one. Copy it anew from Sendcloud's panel (Settings > Integrations > Configure). It is shown there "
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
                    "Sendcloud refuses this pair of keys. Compare this one with the public key in Sendcloud's "
                    "panel (Settings > Integrations > Configure). If OAuth2 is switched on there, choose it here."
                ),
                "new_secret_key": _(
                    "Or this one is wrong: it is shown only once in the panel, make a new pair if it is lost."
                ),
            }
        for name, text in found.items():
            self.add_error(name, ValidationError(text, code="keys_refused"))

    def _sentence(self, explanation: Explanation, error: Exception, *, code: str) -> ValidationError:
        text = gettext("%(title)s. %(why)s %(cure)s Nothing was saved. (%(detail)s)")
        values = {
            "title": explanation.title,
            "why": explanation.why,
            "cure": explanation.cure,
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
        taken = set(Integration.objects.using(conf().DATABASE).values_list("remote_id", flat=True))
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
            self["remote_id"].help_text = _("All that these keys open and that is not connected yet.")


def _name(remote: RemoteIntegration) -> str:
    return f"#{remote.id} {remote.shop_name} ({remote.system})" if remote.system else f"#{remote.id} {remote.shop_name}"


def _names(found: list[RemoteIntegration]) -> str:
    return ", ".join(_name(remote) for remote in found[:10]) or gettext("none")
