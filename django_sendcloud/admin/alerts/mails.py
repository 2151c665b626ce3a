"""Mails to operators.

A mail names problems, integrations and numbers: no order, no buyer and no secret.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.core.mail import EmailMessage
from django.utils import timezone, translation
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...conf import AlertSettings, conf
from ...core.clock import clock
from ...core.interruption import interruptions
from ...models import Alert, Integration, OutboxEntry, Overview
from ...sync.alerts import (
    NO_PERIODIC_WORK,
    ORDERS_WAIT,
    STUCK,
    WEBHOOKS_FAILED,
    Cause,
    alert_settings,
    is_quiet,
    postpone_digest,
    take_digest,
)
from ...sync.health import Code, Finding, Health, Level, pushed_since
from ..explanations import causes as problems
from ..explanations.errors import Explanation, explain_entry
from ..explanations.health import START_WORKER, explain_finding
from ..ui.humanize import clock_time, format_number, without_double_stop
from ..ui.links import admin_url

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["mail_alerts"]

logger = logging.getLogger("django_sendcloud.admin")

_OWN: dict[str, Explanation] = {
    WEBHOOKS_FAILED: Explanation(
        _("Webhooks could not be applied"),
        _("Parcel updates have arrived, and could not be applied or failed in the shop's own code."),
        _("Open the inbox: each says why. Replay them after the cause is fixed."),
    ),
    ORDERS_WAIT: Explanation(
        _("Orders wait without an integration"),
        _("No integration in use takes them."),
        _("Open the overview: it names the reason and the fix."),
    ),
    NO_PERIODIC_WORK: Explanation(
        _("The periodic work does not run"),
        "",
        START_WORKER,
    ),
}
# Findings of orders that wait, and that are no alert, or not yet.
_DELAYS = (Code.UNREACHABLE, Code.RATE_LIMITED, Code.ORDERS_FAILING, Code.KEYS_NEEDED)
# The state of the entries behind a finding.
_STATES: dict[str, str] = {code: state for state, code in STUCK.items()}


def mail_alerts(*, health: Health, causes: Sequence[Cause], **kwargs: Any) -> None:
    """Send mails about new problems, and the digest each morning. Receiver of ``alerts_due``.

    A mail that the server does not accept is tried again by the next run.
    """
    choice = alert_settings()
    if not choice.recipients:
        return
    now = clock.now()
    if is_quiet(choice, now):
        return
    for cause in causes:
        if _take(cause, now) and not _sends(choice, partial(_subject_of, cause), partial(_problems, [cause])):
            Alert.objects.filter(cause=cause.key).update(mailed_at=None)
            # The others would wait for the same server.
            break
    if take_digest(choice, now) and not _sends(
        choice, lambda: _subject_of_digest(health, causes), lambda: _digest(health, causes, now)
    ):
        postpone_digest()


def _take(cause: Cause, now: dt.datetime) -> bool:
    """Return whether this process mails the problem: of several, one does, once."""
    return bool(Alert.objects.filter(cause=cause.key, mailed_at=None).update(mailed_at=now))


def _sends(choice: AlertSettings, subject: Callable[[], str], text: Callable[[], list[str]]) -> bool:
    """Send a mail in the language of the site, and return whether the server accepted it."""
    with translation.override(choice.language or settings.LANGUAGE_CODE), timezone.override(None):
        lines = [*text(), "", gettext("This mail was sent by the shop's Sendcloud app. It names no buyers.")]
        # A line break would let a name write headers of its own.
        message = EmailMessage(" ".join(subject().split()), "\n".join(lines), to=list(choice.recipients))
    try:
        message.send()
    except interruptions():
        raise
    except Exception as error:
        # Only the type: a server's answer quotes addresses.
        logger.error("A mail about problems could not be sent: %s.", type(error).__name__)
        return False
    return True


def _subject_of(cause: Cause) -> str:
    return gettext("Sendcloud: %(problem)s") % {"problem": _title(cause)}


def _subject_of_digest(health: Health, causes: Sequence[Cause]) -> str:
    if not causes:
        if sentence := _what_waits(health):
            return gettext("Sendcloud: %(problem)s") % {"problem": sentence}
        return gettext("Sendcloud: all orders are reaching Sendcloud")
    text = ngettext("Sendcloud: %(number)s open problem", "Sendcloud: %(number)s open problems", len(causes))
    return text % {"number": format_number(len(causes))}


def _what_waits(health: Health) -> str:
    """Return why not all orders are reaching Sendcloud though there is no cause of an alert; ``""`` if they are."""
    if not health.in_use:
        return gettext("No integration is in use")
    number = sum(each.backlog.waiting for each in health.in_use if each.find(*_DELAYS))
    sentence = ngettext("%(number)s order waits for Sendcloud", "%(number)s orders wait for Sendcloud", number)
    return sentence % {"number": format_number(number)} if number else ""


def _explanation(cause: Cause) -> Explanation:
    if own := _OWN.get(cause.code):
        return own
    if state := _STATES.get(cause.code):
        explanation = explain_entry(state, cause.detail)
        return dataclasses.replace(explanation, title=_problem(cause).title) if cause.field else explanation
    # Their level has no words of its own here.
    return explain_finding(Finding(Code(cause.code), Level.ATTENTION, detail=cause.detail))


def _problem(cause: Cause) -> problems.Cause:
    """Return the cause as lists and the fix page know it."""
    return problems.Cause(cause.detail, cause.field, cause.rule)


def _title(cause: Cause) -> str:
    title = str(_explanation(cause).title)
    return f"{cause.integration}: {title}" if cause.integration else title


def _problems(causes: Sequence[Cause]) -> list[str]:
    lines: list[str] = []
    for cause in causes:
        explanation = _explanation(cause)
        facts: list[StrOrPromise] = [explanation.why, explanation.advice]
        if cause.since:
            facts.insert(0, without_double_stop(gettext("Since %(time)s.") % {"time": clock_time(cause.since)}))
        if cause.number:
            what = (
                ngettext("%(number)s webhook.", "%(number)s webhooks.", cause.number)
                if cause.code == WEBHOOKS_FAILED
                else ngettext("%(number)s order.", "%(number)s orders.", cause.number)
            )
            facts.insert(0, what % {"number": format_number(cause.number)})
        lines += [f"* {_title(cause)}", "  " + " ".join(filter(None, map(str, facts)))]
        if url := _url_of(cause):
            lines.append(f"  {url}")
        lines.append("")
    return lines


def _digest(found: Health, causes: Sequence[Cause], now: dt.datetime) -> list[str]:
    waits = _what_waits(found)
    lines = _problems(causes) or [f"{waits}." if waits else gettext("All orders are reaching Sendcloud."), ""]
    pushed = pushed_since(now - dt.timedelta(days=1))
    for each in found.in_use:
        values = {
            "name": each.integration,
            "sent": format_number(pushed.get(each.integration.pk, 0)),
            "waiting": format_number(each.backlog.waiting),
            "rejected": format_number(each.backlog.rejected),
            "dead": format_number(each.backlog.dead),
        }
        text = gettext(
            "%(name)s: sent in the last 24 hours: %(sent)s, waiting: %(waiting)s, fix needed: %(rejected)s, "
            "stopped: %(dead)s."
        )
        lines.append(text % values)
    if url := _overview():
        lines += ["", url]
    return lines


def _url_of(cause: Cause) -> str:
    """Return the address of the orders with a problem, of its integration's page, or of the overview."""
    if cause.code in _STATES:
        query = urlencode({"problem": _problem(cause).key})
        return _url(admin_url(admin.site, OutboxEntry._meta, None, "changelist"), f"?{query}")
    if cause.integration is not None:
        return _url(admin_url(admin.site, Integration._meta, cause.integration.pk))
    return _overview()


def _overview() -> str:
    return _url(admin_url(admin.site, Overview._meta, None, "changelist"))


def _url(path: str, query: str = "") -> str:
    """Return the address of a page; ``""`` if the shop's address is not set."""
    base = conf().WEBHOOK_BASE_URL
    return f"{base.rstrip('/')}{path}{query}" if base and path else ""
