"""Incident strip: what stops or delays all orders, shown above every page of ours and of the shop's orders."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import Error
from django.http import HttpRequest
from django.utils.connection import ConnectionDoesNotExist
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...conf import SendcloudConfigurationError, conf
from ...models import Integration, OutboxEntry, PauseReason
from ...sync.health import Code, Finding, Health, IntegrationHealth
from ..explanations.failures import explain_failure
from ..explanations.health import START_WORKER, explain_finding
from ..health import health_of
from ..permissions import Permissions
from ..ui.humanize import clock_time, format_number, quoted, without_double_stop
from ..ui.links import admin_url

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Incident", "incidents"]

# A shorter wait for the rate limit is part of normal work.
RATE_LIMITED_AFTER = dt.timedelta(seconds=90)
#: Findings that stop or delay all orders of an integration, each with its tone.
TONES = {
    Code.PAUSED: "bad",
    Code.KEYS_MISSING: "bad",
    Code.NO_WORKER: "bad",
    Code.UNREACHABLE: "bad",
    Code.RATE_LIMITED: "warn",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Incident:
    """One line of the strip.

    Args:
        tone: ``bad`` or ``warn``.
        title: Problem, with its start.
        text: Number of waiting orders, next attempt, and advice.
        url: Page that helps; ``""`` if the operator may not open it.
    """

    tone: str
    title: StrOrPromise
    text: StrOrPromise
    url: str = ""

    @property
    def heading(self) -> str:
        """Return the title as a sentence."""
        return f"{str(self.title).removesuffix('.')}."


def incidents(site: admin.AdminSite, request: HttpRequest) -> list[Incident]:
    """Return the incidents this operator may see, the gravest first."""
    if not request.user.has_perm("django_sendcloud.view_integration"):
        return []
    try:
        conf()
        found = list(_incidents(Permissions.of(site, request), site, request, health_of(request)))
    except SendcloudConfigurationError as error:
        # The shop's own pages are shown all the same.
        explained = explain_failure(error)
        return [Incident("bad", explained.title, f"{explained.advice} {error}")]
    except (Error, ConnectionDoesNotExist):
        # The tables may be older than the code.
        return []
    return sorted(found, key=lambda incident: incident.tone != "bad")


def _incidents(
    permissions: Permissions, site: admin.AdminSite, request: HttpRequest, found: Health
) -> Iterator[Incident]:
    if not found.in_use:
        yield _nothing_in_use(site, request, found)
        return
    sees_orders = permissions.may_see(OutboxEntry)
    several = len(found.in_use) > 1
    for each in found.in_use:
        for finding in each.findings:
            if finding.code in TONES and not _is_short(finding, found.now):
                yield _incident(each, finding, found.now, permissions, named=several, sees_orders=sees_orders)
    if found.is_sweep_late and not any(each.find(Code.NO_WORKER) for each in found.in_use):
        age = found.sweep_age
        title: StrOrPromise = _("The periodic work has never run")
        if age is not None:
            moment = clock_time(found.now - dt.timedelta(seconds=age))
            title = gettext("The periodic work has not run since %(time)s") % {"time": moment}
        yield Incident("warn", title, START_WORKER)


def _is_short(finding: Finding, now: dt.datetime) -> bool:
    if finding.code != Code.RATE_LIMITED:
        return False
    return not finding.number or finding.until is None or finding.until - now < RATE_LIMITED_AFTER


def _incident(
    health: IntegrationHealth,
    finding: Finding,
    now: dt.datetime,
    permissions: Permissions,
    *,
    named: bool,
    sees_orders: bool,
) -> Incident:
    explanation = explain_finding(finding, health.integration)
    title = str(explanation.title)
    if finding.since is not None:
        title = gettext("%(problem)s (since %(time)s)") % {"problem": title, "time": clock_time(finding.since)}
    if named:
        title = f"{health.integration}: {title}"
    sentences: list[Any] = []
    if sees_orders and finding.number:
        sentence = ngettext("%(number)s order waits.", "%(number)s orders wait.", finding.number)
        sentences.append(sentence % {"number": format_number(finding.number)})
    # Without a worker, the time of the next attempt passes by.
    if finding.until is not None and finding.until > now and finding.detail != PauseReason.PERSON:
        sentences.append(gettext("Next try: %(time)s.") % {"time": clock_time(finding.until)})
    if finding.detail == PauseReason.PERSON and health.integration.paused_detail:
        sentences.append(quoted(health.integration.paused_detail))
    sentences.append(explanation.advice)
    text = without_double_stop(" ".join(str(sentence) for sentence in sentences))
    return Incident(TONES[finding.code], title, text, permissions.url(health.integration))


def _nothing_in_use(site: admin.AdminSite, request: HttpRequest, found: Health) -> Incident:
    may_add = request.user.has_perm("django_sendcloud.add_integration")
    page = "changelist" if found.integrations or not may_add else "add"
    return Incident(
        "bad",
        _("No Sendcloud integration is connected and in use"),
        _("Changed orders are recorded, and sent once an integration is in use."),
        admin_url(site, Integration._meta, None, page),
    )
