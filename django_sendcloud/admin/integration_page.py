"""What an integration's page shows around its fields: how it is, what comes next, what Sendcloud has, what can be done.

One thing stands out at a time: the cure of what is wrong, or the next step of connecting. What is rare or dangerous
stands at the end, the most dangerous last, and what is not possible now is not offered.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import Integration, PauseReason
from ..webhooks.address import reachability
from .at_sendcloud import carrier_name
from .badges import badge
from .base import EMPTY, ago
from .explain import Explanation
from .health import CONNECTING, DEAD, DISCONNECTED, FAILING_THERE, NO_KEYS, NO_KEYS_YET, NOT_IN_USE, REJECTED, Health
from .health import overview as all_healths
from .steps import Step, steps
from .webhook import can_be_asked, is_registered, where_shop_is

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from .integration import IntegrationAdmin

__all__ = ["Button", "IntegrationPage", "counted", "outbox_url"]

#: What each action is about, where it stands among others.
ABOUT: Mapping[str, StrOrPromise] = {
    "pause": _("Nothing is sent until somebody resumes it. Every change is taken down, and sent afterwards."),
    "resume": _("Try again as it is. That also happens by itself every few minutes, unless a person paused it."),
    "accept_keys": _("Only for a shop that is being connected from Sendcloud's side: its keys then come by webhook."),
    "disconnect": _("Nothing is sent any more and the keys are forgotten here. At Sendcloud everything stays."),
    "delete_at_sendcloud": _("It disappears at Sendcloud, with all its incoming orders. This cannot be undone."),
}
MORE = ("pause", "resume", "accept_keys", "disconnect", "delete_at_sendcloud")
ASKS_A_PERSON = Explanation(
    _("Some orders need a person"),
    _("They could not be sent as they are. All others go out."),
    _("Let somebody look at them who may see the outbox."),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Button:
    """Something to press.

    Args:
        label: What it says.
        url: Where it leads, or is posted to.
        post: Whether it is posted.
        emphasis: ``default``, ``quiet`` or ``danger``.
        about: What comes of it.
    """

    label: StrOrPromise
    url: str
    post: bool = False
    emphasis: str = "quiet"
    about: StrOrPromise = ""


class IntegrationPage:
    """One integration, for one person."""

    def __init__(self, model_admin: IntegrationAdmin, request: HttpRequest, integration: Integration) -> None:
        self.admin, self.request, self.integration = model_admin, request, integration
        self.all = all_healths()
        self.health = next(health for each, health in self.all if each.pk == integration.pk)
        self.address = integration.webhook_address(where_shop_is(request))
        self.is_being_connected = self.health.state == CONNECTING
        self.may_change = model_admin.has_change_permission(request, integration)
        self.sees_outbox = request.user.has_perm("django_sendcloud.view_outboxentry")
        self.possible = {
            action.name: action
            for action in model_admin.page_actions
            if action.is_allowed(model_admin, request) and action.offered(integration)
        }

    def context(self) -> dict[str, Any]:
        """For the templates."""
        to_do = self._to_do()
        first, *others = self._explanations()
        return {
            # They have places of their own here.
            "sc_actions": [],
            "health": self.health,
            "since_ago": ago(self.health.since),
            "health_badge": badge(self.health.label, self.health.tone),
            "explanation": first,
            "more_findings": others,
            "cures": self._cures(first),
            "is_being_connected": self.is_being_connected,
            "steps": self._with_buttons(to_do, "quiet" if self._cures(first) else "default"),
            "is_watched": any(step.watched and not step.done for step in to_do),
            "facts": self._facts(),
            # What was entered and not taken comes before all else; then missing keys before what Sendcloud has.
            "form_first": self.request.method == "POST",
            "keys_first": bool(self._cure_by_keys(first)),
            "there": self._there(),
            "asked": ago(self.integration.refreshed_at),
            "there_buttons": self._there_buttons({name for step in to_do if not step.done for name in step.actions}),
            "more": self._more(first),
        }

    # -- how it is --------------------------------------------------------------------------------

    def _explanations(self) -> list[Explanation]:
        found: list[Explanation] = []
        for finding in self.health.findings:
            explanation = finding.explanation
            if explanation in (REJECTED, DEAD) and not self.sees_outbox:
                explanation = ASKS_A_PERSON
            if explanation not in found:
                found.append(explanation)
        # What is wrong with something nobody uses is nobody's business.
        return found if self.integration.is_active else found[:1]

    def _cures(self, explanation: Explanation) -> list[Button]:
        """What to press against the gravest finding: the first one stands out."""
        if button := self._cure_by_keys(explanation):
            return [button]
        if explanation is NOT_IN_USE and self.may_change:
            return [Button(_("Use it"), "#id_is_active", emphasis="default")]
        if self.integration.paused_reason == PauseReason.PERSON and "resume" in self.possible:
            return [self._button("resume", "default")]
        if explanation in (REJECTED, DEAD):
            return [Button(_("Show these orders"), self.outbox_url("stuck"), emphasis="default")]
        if explanation is FAILING_THERE and can_be_asked(self.integration):
            return [self._logs("default")]
        return []

    def _cure_by_keys(self, explanation: Explanation) -> Button | None:
        refused = self.integration.paused_reason == PauseReason.CREDENTIALS
        if self.may_change and (explanation in (NO_KEYS, NO_KEYS_YET, DISCONNECTED) or refused):
            where = "#id_new_secret_key" if self.integration.public_key else "#id_public_key"
            return Button(_("Enter the keys"), where, emphasis="default")
        return None

    def _facts(self) -> list[tuple[StrOrPromise, Any, str]]:
        """Figures that lead to just what they count."""
        facts: list[tuple[StrOrPromise, Any, str]] = []
        if self.is_being_connected and not self.health.backlog.waiting:
            return []
        if self.sees_outbox:
            labels = {"pending": _("waiting"), "rejected": _("to be corrected"), "dead": _("given up")}
            for state, label in labels.items():
                number = counted(self.health, state)
                facts.append((label, number, self.outbox_url(state) if number else ""))
        return [
            *facts,
            (_("last success"), ago(self.integration.last_success_at), ""),
            (_("last webhook"), ago(self.integration.last_webhook_at), ""),
        ]

    def outbox_url(self, state: str) -> str:
        """The outbox's list of what is counted here in a state."""
        return outbox_url(self.admin, self.all, self.integration, state)

    # -- connecting it ----------------------------------------------------------------------------

    def _to_do(self) -> list[Step]:
        found = steps(self.integration, self.address) if self.integration.is_active else []
        if self.is_being_connected or any(not (step.done or step.needs_keys) for step in found):
            return found
        # That keys are missing is said above already.
        return []

    def _with_buttons(self, to_do: list[Step], emphasis: str) -> list[tuple[Step, list[Button]]]:
        """The first thing that can be pressed stands out, unless something else does already."""
        found: list[tuple[Step, list[Button]]] = []
        for step in to_do:
            names = [] if step.done else [name for name in step.actions if name in self.possible]
            found.append((step, [self._button(name, emphasis) for name in names]))
            emphasis = "quiet" if names else emphasis
        return found

    # -- what Sendcloud has -----------------------------------------------------------------------

    def _there(self) -> list[tuple[StrOrPromise, Any]]:
        integration = self.integration
        if integration.refreshed_at is None:
            return []
        rows: list[tuple[StrOrPromise, Any]] = [
            (_("Name"), integration.name or EMPTY),
            (_("Address of the shop"), integration.shop_url or EMPTY),
            (_("News of parcels"), self._news()),
            (_("Service points"), self._service_points()),
        ]
        if integration.is_active and (since := integration.failing_since):
            text = format_html(gettext("Sendcloud reports that it fails, for the first time {ago}."), ago=ago(since))
            rows.append((_("Trouble"), text))
        return rows

    def _news(self) -> Any:
        integration = self.integration
        if not integration.webhook_active or not integration.webhook_url:
            return badge(_("off"), "off")
        if not is_registered(integration, self.address):
            return _with_address(badge(_("to another address"), "warn"), integration.webhook_url)
        notes = [format_html('<small class="sc-note">{}</small>', line) for line in reachability(self.address)]
        return _with_address(badge(_("to this shop"), "good"), self.address, *notes)

    def _service_points(self) -> Any:
        if not self.integration.service_point_enabled:
            return badge(_("off"), "off")
        carriers = ", ".join(carrier_name(str(code)) for code in self.integration.service_point_carriers)
        return carriers or badge(_("on"), "good")

    def _there_buttons(self, elsewhere: set[str]) -> list[Button]:
        found: list[Button] = []
        if can_be_asked(self.integration):
            found += [
                Button(_("Settings at Sendcloud"), self.admin.url("settings", self.integration.pk)),
                self._logs("quiet"),
            ]
        # Who may enter keys tests them where they are entered.
        names = ["register_webhook", "check_address", "refresh", *([] if self.may_change else ["test_connection"])]
        if is_registered(self.integration, self.address):
            names.remove("register_webhook")
        return found + [self._button(name) for name in names if name in self.possible and name not in elsewhere]

    def _logs(self, emphasis: str) -> Button:
        url = self.admin.url("logs", self.integration.pk)
        return Button(_("What Sendcloud says went wrong"), url, emphasis=emphasis)

    # -- what is rare or dangerous ----------------------------------------------------------------

    def _more(self, explanation: Explanation) -> list[Button]:
        above = {button.url for button in self._cures(explanation)}
        found = [self._button(name) for name in MORE if name in self.possible]
        # First it is disconnected, so that nothing goes on at Sendcloud of which nobody knows here.
        if not self.integration.secret_key and self.admin.has_delete_permission(self.request, self.integration):
            about = _("It disappears from the lists here, with the webhooks that came for it. Sendcloud is not told.")
            url = self.admin.url("delete", self.integration.pk)
            found.append(Button(_("Delete here…"), url, emphasis="danger", about=about))
        return [button for button in found if button.url not in above]

    def _button(self, name: str, emphasis: str = "") -> Button:
        action = self.possible[name]
        if not emphasis:
            # Disconnecting asks, too, but can be taken back.
            emphasis = "danger" if name == "delete_at_sendcloud" else "quiet"
        url = self.admin.url("action", self.integration.pk, name)
        return Button(action.label, url, True, emphasis, ABOUT.get(name, ""))


def _with_address(label: Any, address: str, *notes: Any) -> Any:
    shown = format_html('{} <code class="sc-copy">{}</code>', label, address)
    for line in notes:
        shown = format_html("{} {}", shown, line)
    return shown


def counted(health: Health, state: str) -> int:
    """How many entries of the outbox are counted for an integration in a state."""
    backlog = health.backlog
    return {
        "pending": backlog.waiting,
        "rejected": backlog.rejected,
        "dead": backlog.dead,
        "stuck": backlog.rejected + backlog.dead,
    }[state]


def outbox_url(
    model_admin: IntegrationAdmin, found: list[tuple[Integration, Health]], integration: Integration, state: str
) -> str:
    """The outbox's list of just what is counted for an integration in a state; ``""`` where there is no such list.

    With the only one in use is also counted what does not know yet where it goes. A list of both there is only where no
    other integration has any.
    """
    query = {"state": state}
    if [each.pk for each, _health in found if each.is_active] != [integration.pk]:
        query["integration__id__exact"] = str(integration.pk)
    elif any(counted(health, state) for each, health in found if each.pk != integration.pk):
        return ""
    try:
        url = reverse(f"{model_admin.admin_site.name}:django_sendcloud_outboxentry_changelist")
    except NoReverseMatch:
        return ""
    return f"{url}?{urlencode(query)}"
