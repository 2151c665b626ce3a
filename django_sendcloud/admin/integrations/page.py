"""Panels of an integration's page: health, next step, Sendcloud's settings, actions.

One thing stands out at a time: the solution of a problem, or the next step of connecting. Rare and dangerous actions
stand at the end, and impossible ones are hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...models import Integration, PauseReason, Shipment
from ...models.carriers import carrier_name
from ...sync.health import Code, Finding, Health, IntegrationHealth, Level, pushed_since, start_of_day
from ...webhooks.address import reachability
from ..base import SendcloudAdmin
from ..explanations.errors import Explanation
from ..explanations.health import ASKS_OPERATOR, LABELS, TONES, explain_finding
from ..health import health_of
from ..permissions import Permissions
from ..ui.badges import badge
from ..ui.buttons import Button
from ..ui.cells import EMPTY, ago
from ..ui.humanize import format_number, sent_today
from ..ui.links import admin_url
from .checklist import Step, steps
from .copies import may_be_copy
from .webhook import has_usable_keys, is_registered, shop_root_url

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["IntegrationPage", "counted", "outbox_url"]

#: Description of each rare action.
ABOUT: Mapping[str, StrOrPromise] = {
    "pause": _("Stops sending until you resume. New orders are kept and sent then."),
    "resume": _(
        "Resumes with the present keys. Also tried automatically every few minutes, unless an operator paused it."
    ),
    "test_order": _("An order is made at Sendcloud, seen there, and deleted again. No label is made."),
    "ships_here": _("This deployment sends orders through it from now on. The other deployment must not."),
    "is_a_copy": _("It is not used here. Nothing changes at Sendcloud or in the deployment that ships."),
    "move": _("Change between API v2 and v3. You see a report first. No order is lost or sent twice."),
    "accept_keys": _("Only for a shop that is being connected from Sendcloud's side: its keys then come by webhook."),
    "disconnect": _("Stops sending and deletes the keys here. Everything at Sendcloud stays."),
    "delete_at_sendcloud": _("It disappears at Sendcloud, with all its incoming orders. This cannot be undone."),
}
COPY = (("ships_here", "default"), ("is_a_copy", "quiet"))
RARE_ACTIONS = (
    "test_order",
    "ships_here",
    "is_a_copy",
    "pause",
    "resume",
    "move",
    "accept_keys",
    "disconnect",
    "delete_at_sendcloud",
)


class IntegrationPage:
    """Panels of one integration, for one operator."""

    def __init__(
        self, model_admin: SendcloudAdmin[Integration], request: HttpRequest, integration: Integration
    ) -> None:
        self.admin, self.request, self.integration = model_admin, request, integration
        self.all = health_of(request)
        self.health = self.all.of(integration)
        self.address = integration.webhook_address(shop_root_url(request))
        self.is_being_connected = self.health.level == Level.CONNECTING
        self.may_change = model_admin.has_change_permission(request, integration)
        self.sees_outbox = request.user.has_perm("django_sendcloud.view_outboxentry")
        self.possible = {
            action.name: action
            for action in model_admin.page_actions
            if action.is_allowed(model_admin, request) and action.offered(integration)
        }

    def context(self) -> dict[str, Any]:
        """Return the template context."""
        to_do = self._to_do()
        above = {name for step in to_do if not step.done for name in step.actions}
        first = self.health.findings[0]
        explanation, *others = self._explanations()
        tone = TONES[self.health.level]
        return {
            # The panels place the actions themselves.
            "sc_actions": [],
            "health": self.health,
            "health_tone": tone,
            "since_ago": ago(self.health.since),
            "health_badge": badge(LABELS[self.health.level], tone),
            "explanation": explanation,
            "more_findings": others,
            "buttons": self._remedies(first),
            "is_being_connected": self.is_being_connected,
            "steps": self._with_buttons(to_do, "quiet" if self._remedies(first) else "default"),
            "is_watched": any(step.watched and not step.done for step in to_do),
            "facts": self._facts(),
            # Rejected input comes first, then missing keys, then Sendcloud's settings.
            "form_first": self.request.method == "POST",
            "keys_first": bool(self._keys_button(first)),
            "at_sendcloud": self._at_sendcloud(),
            "asked": ago(self.integration.refreshed_at),
            "at_sendcloud_buttons": self._at_sendcloud_buttons(above),
            "rare_actions": self._rare_actions(first, above),
        }

    # -- health -----------------------------------------------------------------------------------

    def _explanations(self) -> list[Explanation]:
        found: list[Explanation] = []
        for finding in self.health.findings:
            explanation = explain_finding(finding, self.integration)
            if finding.code in (Code.REJECTED, Code.DEAD) and not self.sees_outbox:
                explanation = ASKS_OPERATOR
            if explanation not in found:
                found.append(explanation)
        # Problems of an unused integration are not shown.
        return found if self.integration.is_active else found[:1]

    def _remedies(self, finding: Finding) -> list[Button]:
        """Return the actions against the gravest finding; the first one stands out."""
        if button := self._keys_button(finding):
            return [button]
        if may_be_copy(self.integration):
            return [self._button(name, style) for name, style in COPY if name in self.possible]
        if finding.code == Code.NOT_IN_USE and self.may_change:
            return [Button(_("Use it"), "#id_is_active", emphasis="default")]
        if self.integration.paused_reason == PauseReason.PERMISSION and "move" in self.possible:
            return [self._button("move", "default")]
        if self.integration.paused_reason == PauseReason.PERSON and "resume" in self.possible:
            return [self._button("resume", "default")]
        if finding.code in (Code.REJECTED, Code.DEAD) and self.sees_outbox:
            return [Button(_("Show these orders"), self.outbox_url("stuck"), emphasis="default")]
        if finding.code == Code.FAILING_THERE and has_usable_keys(self.integration):
            return [self._logs("default")]
        return []

    def _keys_button(self, finding: Finding) -> Button | None:
        rejected = self.integration.paused_reason == PauseReason.CREDENTIALS
        if self.may_change and (finding.code in (Code.KEYS_MISSING, Code.KEYS_NEEDED, Code.DISCONNECTED) or rejected):
            where = "#id_new_secret_key" if self.integration.public_key else "#id_public_key"
            return Button(_("Enter the keys"), where, emphasis="default")
        return None

    def _facts(self) -> list[tuple[StrOrPromise, Any, str]]:
        """Return figures that link to what they count."""
        facts: list[tuple[StrOrPromise, Any, str]] = []
        if self.is_being_connected and not self.health.backlog.waiting:
            return []
        if self.sees_outbox:
            labels = {"pending": _("waiting"), "rejected": _("fix needed"), "dead": _("stopped")}
            for state, label in labels.items():
                number = counted(self.health, state)
                facts.append((label, number, self.outbox_url(state) if number else ""))
        if Permissions.of(self.admin.admin_site, self.request).may_see(Shipment):
            number = pushed_since(start_of_day(self.all.now)).get(self.integration.pk, 0)
            query = urlencode(
                {"integration__id__exact": self.integration.pk, "age": "today", "status__exact": "synced"}
            )
            url = admin_url(self.admin.admin_site, Shipment._meta, None, "changelist")
            facts.append((sent_today(), format_number(number), f"{url}?{query}" if url else ""))
        return [
            *facts,
            (_("last success"), ago(self.integration.last_success_at), ""),
            (_("last webhook"), ago(self.integration.last_webhook_at), ""),
        ]

    def outbox_url(self, state: str) -> str:
        """Return the outbox list of the counted entries in a state."""
        return outbox_url(self.admin, self.all, self.integration, state)

    # -- connecting it ----------------------------------------------------------------------------

    def _to_do(self) -> list[Step]:
        found = steps(self.integration, self.address) if self.integration.is_active else []
        if self.is_being_connected or any(not (step.done or step.needs_keys) for step in found):
            return found
        # The health above already reports missing keys.
        return []

    def _with_buttons(self, to_do: list[Step], emphasis: str) -> list[tuple[Step, list[Button]]]:
        """Mark the first button, unless another one stands out already."""
        found: list[tuple[Step, list[Button]]] = []
        for step in to_do:
            names = [] if step.done else [name for name in step.actions if name in self.possible]
            found.append((step, [self._button(name, emphasis) for name in names]))
            emphasis = "quiet" if names else emphasis
        return found

    # -- state at Sendcloud -----------------------------------------------------------------------

    def _at_sendcloud(self) -> list[tuple[StrOrPromise, Any]]:
        integration = self.integration
        if integration.refreshed_at is None:
            return []
        rows: list[tuple[StrOrPromise, Any]] = [
            (_("Name"), integration.name or EMPTY),
            (_("Address of the shop"), integration.shop_url or EMPTY),
            (_("Parcel updates"), self._updates()),
            (_("Service points"), self._service_points()),
        ]
        if integration.is_active and (since := integration.failing_since):
            text = format_html(gettext("Sendcloud reports that it fails, for the first time {ago}."), ago=ago(since))
            rows.append((_("Trouble"), text))
        return rows

    def _updates(self) -> Any:
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

    def _at_sendcloud_buttons(self, elsewhere: set[str]) -> list[Button]:
        found: list[Button] = []
        if has_usable_keys(self.integration):
            found += [
                Button(_("Settings at Sendcloud"), self.admin.url("settings", self.integration.pk)),
                self._logs("quiet"),
            ]
        if self.integration.secret_key and Permissions.of(self.admin.admin_site, self.request).may_see(Shipment):
            found.append(Button(_("Differences"), self.admin.url("differences", self.integration.pk)))
        # Operators who may enter keys test them in the form.
        names = ["register_webhook", "check_address", "refresh", *([] if self.may_change else ["test_connection"])]
        if is_registered(self.integration, self.address):
            names.remove("register_webhook")
        return found + [self._button(name) for name in names if name in self.possible and name not in elsewhere]

    def _logs(self, emphasis: str) -> Button:
        url = self.admin.url("logs", self.integration.pk)
        return Button(_("Failed requests at Sendcloud"), url, emphasis=emphasis)

    # -- rare and dangerous actions ---------------------------------------------------------------

    def _rare_actions(self, finding: Finding, elsewhere: set[str]) -> list[Button]:
        above = {button.url for button in self._remedies(finding)}
        found = [self._button(name) for name in RARE_ACTIONS if name in self.possible and name not in elsewhere]
        # Disconnect first, so that nothing goes on unseen at Sendcloud.
        if not self.integration.secret_key and self.admin.has_delete_permission(self.request, self.integration):
            about = _("It disappears from the lists here, with its webhooks. Nothing changes at Sendcloud.")
            url = self.admin.url("delete", self.integration.pk)
            found.append(Button(_("Delete here…"), url, emphasis="danger", about=about))
        return [button for button in found if button.url not in above]

    def _button(self, name: str, emphasis: str = "") -> Button:
        action = self.possible[name]
        if not emphasis:
            # Disconnecting asks, too, but can be undone.
            emphasis = "danger" if name == "delete_at_sendcloud" else "quiet"
        url = self.admin.url("action", self.integration.pk, name)
        return Button(action.label, url, post=True, emphasis=emphasis, about=ABOUT.get(name, ""))


def _with_address(label: Any, address: str, *notes: Any) -> Any:
    shown = format_html('{} <code class="sc-copy">{}</code>', label, address)
    for line in notes:
        shown = format_html("{} {}", shown, line)
    return shown


def counted(health: IntegrationHealth, state: str) -> int:
    """Return the number of outbox entries of an integration in a state."""
    backlog = health.backlog
    return {
        "pending": backlog.waiting,
        "rejected": backlog.rejected,
        "dead": backlog.dead,
        "stuck": backlog.rejected + backlog.dead,
    }[state]


def outbox_url(
    model_admin: SendcloudAdmin[Integration],
    found: Health,
    integration: Integration,
    state: str,
) -> str:
    """Return the outbox list of an integration's entries in a state; ``""`` if there is none.

    Entries without an integration count for the only one in use. A list of both exists only if no other integration
    has entries.
    """
    query = {"state": state}
    if [each.integration.pk for each in found.in_use] != [integration.pk]:
        query["integration__id__exact"] = str(integration.pk)
    elif any(counted(each, state) for each in found.integrations if each.integration.pk != integration.pk):
        return ""
    try:
        url = reverse(f"{model_admin.admin_site.name}:django_sendcloud_outboxentry_changelist")
    except NoReverseMatch:
        return ""
    return f"{url}?{urlencode(query)}"
