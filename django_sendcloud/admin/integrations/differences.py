"""Page of the last comparison with Sendcloud: each difference, with *Send again* and *Ignore*."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ... import jobs
from ...conf import conf
from ...models import Integration, ReconciliationRun, Shipment, ShipmentStatus
from ...sync import reconcile
from ..actions.action import notify, report_count
from ..actions.history import log
from ..outbox.pushing import push_orders
from ..permissions import Permissions
from ..ui.cells import ago
from ..ui.pages import admin_page

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from ..base import SendcloudAdmin

__all__ = ["KINDS", "differences_page"]

#: Differences on one page.
ROWS = 200
#: Kinds of differences in an operator's words: the difference, and what *Send again* does about it.
KINDS: Mapping[str, tuple[StrOrPromise, StrOrPromise]] = {
    "missing": (_("Missing at Sendcloud"), _("The order is sent again.")),
    "stale": (_("Older at Sendcloud"), _("The order is sent again, as it is now.")),
    "undeleted": (_("Deleted here, still at Sendcloud"), _("It is deleted at Sendcloud again.")),
    "orphaned": (_("Its order is gone, still at Sendcloud"), _("It is deleted at Sendcloud.")),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One difference.

    Args:
        shipment: The shipment.
        url: Its page; ``""`` if the operator may not open it.
        title: The difference.
        effect: Result of sending it again.
        is_confirmed: Whether two comparisons in a row found it.
    """

    shipment: Shipment
    url: str
    title: StrOrPromise
    effect: StrOrPromise
    is_confirmed: bool


def differences_page(
    model_admin: SendcloudAdmin[Integration], request: HttpRequest, integration: Integration
) -> HttpResponse:
    """Show the last comparison of an integration, and act on chosen differences."""
    permissions = Permissions.of(model_admin.admin_site, request)
    if not permissions.may_see(Shipment):
        raise PermissionDenied
    if request.method == "POST":
        if not model_admin.has_push_permission(request):
            raise PermissionDenied
        _press(request, integration)
        return HttpResponseRedirect(request.path)
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    runs = ReconciliationRun.objects.filter(integration=integration)
    last = runs.filter(finished_at__isnull=False).order_by("-finished_at").first()
    current = runs.filter(finished_at__isnull=True).order_by("pk").last()
    rows: list[Row] = []
    number = 0
    if last is not None:
        number = Shipment.objects.different().filter(integration=integration).count()
        for shipment, kind in itertools.islice(reconcile.different_shipments(integration, last), ROWS):
            title, effect = KINDS[kind]
            is_confirmed = shipment.mismatches >= reconcile.RUNS_TO_ACT
            vars(shipment)["_permissions"] = permissions
            rows.append(Row(shipment, permissions.url(shipment), title, effect, is_confirmed))
    ignored = list(_ignored(integration).order_by("pk")[:ROWS])
    context = {
        "subtitle": str(integration),
        "last": last,
        "finished": ago(last.finished_at) if last is not None else "",
        "current": current,
        "rows": rows,
        "number": number,
        "ignored": [(shipment, permissions.url(shipment)) for shipment in ignored],
        "may_act": model_admin.has_push_permission(request),
        "may_compare": integration.is_active and not integration.is_paused and current is None,
    }
    template = "admin/django_sendcloud/integrations/differences.html"
    return admin_page(model_admin, request, template, gettext("Differences from Sendcloud"), context, integration)


def _ignored(integration: Integration) -> QuerySet[Shipment]:
    return Shipment.objects.filter(integration=integration, mismatches__gt=0, ignored_stamp=F("stamp"))


def _press(request: HttpRequest, integration: Integration) -> None:
    """Do what the pressed button says with the chosen shipments."""
    pressed = request.POST.get("do", "")
    if pressed == "compare":
        _compare(request, integration)
        return
    chosen = {int(pk) for pk in request.POST.getlist("shipment") if pk.isdecimal() and len(pk) < 19}
    if not chosen:
        messages.warning(request, gettext("Choose at least one difference."))
        return
    if pressed == "count":
        rows = list(_ignored(integration).filter(pk__in=chosen))
        Shipment.objects.filter(pk__in=[row.pk for row in rows]).update(ignored_stamp=None)
        log(request, rows, _("Stopped ignoring its difference from Sendcloud."))
        sentence = ngettext("%(number)d difference counts again.", "%(number)d differences count again.", len(rows))
        report_count(request, len(rows), sentence % {"number": len(rows)})
        return
    # A newer comparison, or a colleague, may have settled some meanwhile.
    rows = list(Shipment.objects.different().filter(integration=integration, pk__in=chosen))
    if pressed == "send":
        _send(request, rows)
    elif pressed == "ignore":
        Shipment.objects.filter(pk__in=[row.pk for row in rows]).update(ignored_stamp=F("stamp"))
        log(request, rows, _("Ignored its difference from Sendcloud."))
        sentence = ngettext("%(number)d difference is ignored.", "%(number)d differences are ignored.", len(rows))
        report_count(request, len(rows), sentence % {"number": len(rows)})
    else:
        raise PermissionDenied
    if settled := len(chosen) - len(rows):
        sentence = ngettext(
            "%(number)d is left out: it is not a difference any more.",
            "%(number)d are left out: they are not differences any more.",
            settled,
        )
        messages.info(request, sentence % {"number": settled})


def _send(request: HttpRequest, rows: list[Shipment]) -> None:
    mine = Shipment.objects.filter(pk__in=[row.pk for row in rows])
    with transaction.atomic(using=conf().DATABASE):
        # A push skips known content, and a deletion what counts as deleted.
        mine.filter(status=ShipmentStatus.DELETED).update(status=ShipmentStatus.PENDING)
        mine.update(digest="", mismatches=0)
        push_orders(request, mine, lambda shipment: shipment.ref, _("Pushed again."))


def _compare(request: HttpRequest, integration: Integration) -> None:
    if not reconcile.request_comparison(integration):
        messages.info(request, gettext("It is being compared already, or cannot be compared now."))
        return
    jobs.schedule_now("reconcile")
    notify("reconcile")
    log(request, [integration], _("Asked for a comparison with Sendcloud."))
    messages.success(request, gettext("A worker compares both sides now. This page shows how far it is."))
