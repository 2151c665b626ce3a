"""The first page: is everything going out, and if not, what is to be done?"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ..conf import conf
from ..models import EventState, Integration, OutboxEntry, Overview, Parcel, WebhookEvent
from ..sync.status import sweep_age
from .badges import badge
from .base import EMPTY, SendcloudAdmin, ago
from .explain import explain
from .health import ATTENTION, DEAD, PAUSED, REJECTED, WAITING, Health, overview
from .outbox import retry
from .today import HOURS, by_hour, last_day, pushed_since

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["OverviewAdmin"]

# Seconds without a sweep after which nobody can be running it.
SWEEP_LATE = 300.0
# Days without news of any parcel, while orders go out, after which somebody should look.
SILENT_DAYS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """Something that needs a person.

    Args:
        urgency: The smaller, the sooner.
        title: What happened.
        text: Why, and what to do.
        url: Where to look.
        label: What the link says, if not simply *Open*.
        post: Where the one-click cure is posted to; ``""`` where there is none, or it is not this person's to press.
        button: What its button says.
        value: Posted with it, as ``retry``.
    """

    urgency: int
    title: StrOrPromise
    text: StrOrPromise
    url: str = ""
    label: StrOrPromise = ""
    post: str = ""
    button: StrOrPromise = ""
    value: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """One integration at a glance."""

    integration: Integration
    health: Health
    badge: str
    url: str
    facts: list[tuple[StrOrPromise, Any, str]]


class OverviewAdmin(SendcloudAdmin[Overview]):
    """One page, and nothing to add, change or delete."""

    # -- who may see it -------------------------------------------------------------------------

    def has_view_permission(self, request: HttpRequest, obj: Overview | None = None) -> bool:
        return request.user.has_perm("django_sendcloud.view_integration")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        return [self.path("", self.changelist_view, "changelist")]

    # -- the page -------------------------------------------------------------------------------

    @method_decorator(csrf_protect)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._retry(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        now = timezone.now()
        found = overview()
        inbox = _inbox()
        rows = last_day(now)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Overview"),
            "opts": self.opts,
            "media": self.media,
            "cards": self._cards(found, inbox, now),
            "tasks": sorted(self._tasks(request, found, inbox, now), key=lambda task: task.urgency),
            "rows": rows,
            "hours": HOURS,
            "times": [bar.hour for bar in rows[0].bars],
            "table": by_hour(rows),
            "connect_url": self._url(Integration, "add")
            if request.user.has_perm("django_sendcloud.add_integration")
            else "",
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/django_sendcloud/overview.html", context)

    def _retry(self, request: HttpRequest) -> HttpResponse:
        """Push all orders that need a person because of the same problem."""
        code = request.POST.get("retry", "")
        if not code or not self.has_push_permission(request):
            raise PermissionDenied
        retry(request, OutboxEntry.objects.using(conf().DATABASE).stuck().filter(error_code=code))
        return HttpResponseRedirect(request.path)

    def _cards(
        self, found: list[tuple[Integration, Health]], inbox: dict[tuple[int, str], _Waiting], now: dt.datetime
    ) -> list[Card]:
        midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
        pushed = pushed_since(midnight)
        cards = []
        for integration, health in found:
            backlog = health.backlog
            unread = inbox.get((integration.pk, EventState.RECEIVED.value))
            facts: list[tuple[StrOrPromise, Any, str]] = [
                (_("pushed today"), pushed.get(integration.pk, 0), ""),
                (_("waiting"), backlog.waiting, self._url(OutboxEntry, state="pending")),
                (_("oldest due"), ago(backlog.oldest_due), ""),
                (_("to be corrected"), backlog.rejected, self._url(OutboxEntry, state="rejected")),
                (_("given up"), backlog.dead, self._url(OutboxEntry, state="dead")),
                (
                    _("webhooks behind"),
                    ago(unread.oldest) if unread else EMPTY,
                    self._url(WebhookEvent) if unread else "",
                ),
                (_("last webhook"), ago(integration.last_webhook_at), ""),
                (_("last success"), ago(integration.last_success_at), ""),
            ]
            cards.append(Card(integration, health, badge(health.label, health.tone), self.url_of(integration), facts))
        return cards

    # -- what needs a person --------------------------------------------------------------------

    def _tasks(
        self,
        request: HttpRequest,
        found: list[tuple[Integration, Health]],
        inbox: dict[tuple[int, str], _Waiting],
        now: dt.datetime,
    ) -> list[Task]:
        tasks = [task for integration, health in found for task in self._of_integration(request, integration, health)]
        tasks += self._of_orders(request)
        tasks += self._of_webhooks(request, found, inbox, now)
        age = sweep_age()
        if found and (age is None or age > max(SWEEP_LATE, 10 * conf().SWEEP_SECONDS)):
            tasks.append(
                Task(
                    10,
                    _("The periodic work does not run"),
                    _(
                        "What failed once is not tried again, and nothing that was missed is found. Let the shop's "
                        "developer start Celery beat with our schedule."
                    ),
                )
            )
        return tasks

    def _of_integration(self, request: HttpRequest, integration: Integration, health: Health) -> list[Task]:
        if not integration.is_active:
            return []
        tasks = []
        for finding in health.findings:
            explanation = finding.explanation
            # Orders have tasks of their own, one for each problem; what heals needs nobody.
            if finding.state not in (PAUSED, ATTENTION) and not (finding.state == WAITING and not explanation.heals):
                continue
            if explanation in (REJECTED, DEAD):
                continue
            paused = finding.state == PAUSED
            tasks.append(
                Task(
                    0 if paused else 20,
                    f"{integration}: {explanation.title}",
                    f"{explanation.why} {explanation.cure}",
                    self.url_of(integration),
                    "",
                    self._action(integration, "resume") if paused and self.has_pause_permission(request) else "",
                    _("Resume"),
                )
            )
        return tasks

    def _of_orders(self, request: HttpRequest) -> list[Task]:
        stuck = OutboxEntry.objects.using(conf().DATABASE).stuck().order_by().values_list("error_code")
        tasks = []
        for code, number in stuck.annotate(number=Count("pk")).order_by("-number"):
            explanation = explain(code)
            sentence = ngettext("%(number)d order: %(problem)s", "%(number)d orders: %(problem)s", number)
            tasks.append(
                Task(
                    30,
                    sentence % {"number": number, "problem": explanation.title},
                    f"{explanation.why} {explanation.cure}",
                    self._url(OutboxEntry, state="stuck", problem=code),
                    "",
                    reverse(f"{self.admin_site.name}:django_sendcloud_overview_changelist")
                    if code and self.has_push_permission(request)
                    else "",
                    _("Push all again"),
                    code,
                )
            )
        return tasks

    def _of_webhooks(
        self,
        request: HttpRequest,
        found: list[tuple[Integration, Health]],
        inbox: dict[tuple[int, str], _Waiting],
        now: dt.datetime,
    ) -> list[Task]:
        tasks = []
        for integration, _health in found:
            if not integration.is_active or integration.is_paused or not integration.webhook_path():
                continue
            page = self.url_of(integration)
            if not integration.webhook_active or not integration.webhook_url:
                may = request.user.has_perm("django_sendcloud.change_integration")
                tasks.append(
                    Task(
                        40,
                        gettext("%(name)s: Sendcloud does not report parcels") % {"name": integration},
                        _("Its webhook is not registered, so tracking numbers and deliveries do not arrive."),
                        page,
                        "",
                        self._action(integration, "register_webhook") if may else "",
                        _("Register webhook…"),
                    )
                )
            elif _is_silent(integration, now):
                tasks.append(
                    Task(
                        50,
                        gettext("%(name)s: no news of parcels for days") % {"name": integration},
                        _(
                            "Orders go out, but no webhook has come for a while. Look whether labels are made, and "
                            "what Sendcloud's log says of the webhook address."
                        ),
                        f"{page.removesuffix('change/')}logs/" if page else "",
                        _("What Sendcloud says went wrong"),
                    )
                )
        failed = sum(waiting.number for (_, state), waiting in inbox.items() if state == EventState.FAILED)
        if failed:
            sentence = ngettext(
                "%(number)d webhook could not be applied", "%(number)d webhooks could not be applied", failed
            )
            text = _("Each says why. Once the cause is mended, replay them.")
            url = self._url(WebhookEvent, state__exact=EventState.FAILED.value)
            tasks.append(Task(60, sentence % {"number": failed}, text, url))
        unmatched = Parcel.objects.using(conf().DATABASE).filter(shipment__isnull=True).count()
        if unmatched:
            sentence = ngettext(
                "%(number)d parcel belongs to no order", "%(number)d parcels belong to no order", unmatched
            )
            text = _(
                "Made by hand at Sendcloud, or for an order number that several orders have. Assign them, or let "
                "them be."
            )
            tasks.append(Task(70, sentence % {"number": unmatched}, text, self._url(Parcel, matched="no")))
        return tasks

    # -- addresses ------------------------------------------------------------------------------

    def _action(self, integration: Integration, name: str) -> str:
        try:
            return reverse(f"{self.admin_site.name}:django_sendcloud_integration_action", args=[integration.pk, name])
        except NoReverseMatch:
            return ""

    def _url(self, model: type[Any], page: str = "changelist", **query: str) -> str:
        try:
            url = reverse(f"{self.admin_site.name}:{model._meta.app_label}_{model._meta.model_name}_{page}")
        except NoReverseMatch:
            return ""
        return f"{url}?{urlencode(query)}" if query else url


@dataclasses.dataclass(frozen=True, slots=True)
class _Waiting:
    number: int
    oldest: dt.datetime


def _inbox() -> dict[tuple[int, str], _Waiting]:
    """What waits or failed in the inbox, by integration and state. One statement."""
    rows = (
        WebhookEvent.objects.using(conf().DATABASE)
        .filter(state__in=(EventState.RECEIVED, EventState.FAILED))
        .order_by()
        .values_list("integration", "state")
        .annotate(number=Count("pk"), oldest=Min("received_at"))
    )
    return {(integration, state): _Waiting(number, oldest) for integration, state, number, oldest in rows}


def _is_silent(integration: Integration, now: dt.datetime) -> bool:
    since = integration.last_webhook_at or integration.created_at
    working = integration.last_success_at is not None and now - integration.last_success_at < dt.timedelta(days=1)
    return working and now - since > dt.timedelta(days=SILENT_DAYS)
