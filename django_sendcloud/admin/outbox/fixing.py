"""Fix page: orders with one problem on one page, each with its wrong field, saved through the shop's own admin."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist, PermissionDenied
from django.db import connections, models, router, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.translation import gettext, ngettext

from ...models import OutboxEntry
from ...orders import OrderRef, keys_by_type
from ...registry import registry
from ...violations import fields_named
from ..actions.action import notify
from ..explanations.causes import Cause, causes, with_causes
from ..explanations.errors import FieldProblem, explain, field_label, fields_of
from ..health import fold_once
from ..permissions import Permissions
from ..ui.links import admin_url, is_own_page
from ..ui.pages import admin_page
from .order_rows import set_order_numbers
from .pushing import held_back, report_held_back

if TYPE_CHECKING:
    from ..base import SendcloudAdmin

__all__ = ["fix_url", "fix_view"]

#: Orders on one page.
ROWS = 50


def fix_url(site: admin.AdminSite, cause: Cause | None = None, back: str = "") -> str:
    """Return the URL of the page, open at a cause, that leads back to a page."""
    query = {"problem": cause.key if cause else "", "back": back}
    shown = urlencode({name: value for name, value in query.items() if value})
    url = admin_url(site, OutboxEntry._meta, None, "fix")
    return f"{url}?{shown}" if url and shown else url


@dataclasses.dataclass(slots=True)
class Row:
    """One order on the page.

    Args:
        entry: Its outbox entry.
        order_url: Page of the order in the shop's admin; ``""`` if the operator may not open it.
        problems: Wrong fields with their texts.
        form: Form of the wrong field; ``None`` if it cannot be changed here.
        target: Object that the form saves: the order, or an object it refers to.
        model_admin: The shop's admin class of the target.
        before: Value of the field when the page was built.
        changed_meanwhile: Whether a colleague changed the field since the operator opened the page.
        is_saved: Whether this request has saved it.
    """

    entry: OutboxEntry
    order_url: str
    problems: list[FieldProblem]
    form: forms.BaseForm | None = None
    target: models.Model | None = None
    model_admin: admin.ModelAdmin[Any] | None = None
    before: str = ""
    changed_meanwhile: bool = False
    is_saved: bool = False

    @property
    def has_others(self) -> bool:
        """Return whether another field of the order is wrong, too."""
        return len(fields_named(self.entry.error_fields)) > 1

    @property
    def field(self) -> Any:
        """Return the bound field, labelled for a screen reader with its order."""
        assert self.form is not None
        (bound,) = self.form
        bound.field.widget.attrs["aria-label"] = f"{bound.label}: {self.entry}"
        return bound


def fix_view(model_admin: SendcloudAdmin[OutboxEntry], request: HttpRequest) -> HttpResponse:
    """Show the orders of one problem with their wrong field, and save those that the operator changed."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    fold_once(request)
    site = model_admin.admin_site
    asked = request.POST.get("problem", request.GET.get("problem", ""))
    found = causes(OutboxEntry.objects.stuck())
    chosen = next((cause for cause in found if cause.key == asked), None)
    back = _back(request) or admin_url(site, OutboxEntry._meta, None, "changelist")
    if asked and chosen is None:
        text = gettext("No order has this problem any more: a colleague has fixed it, or the orders changed.")
        messages.info(request, text)
        return HttpResponseRedirect(fix_url(site, None, back) if found else back)
    if chosen is None:
        chosen = next(iter(found), None)
    if chosen is None:
        messages.success(request, gettext("There is nothing left to fix."))
        return HttpResponseRedirect(back)
    number = found[chosen]
    alike = with_causes(OutboxEntry.objects.stuck(), [chosen.key]).order_by("pk")
    rows = list(_rows(model_admin, request, list(alike[:ROWS]), chosen))
    if request.method == "POST":
        saved, wrong = _save(request, rows)
        _report(request, rows, saved, wrong)
        if not wrong:
            following = _next(found, chosen) if saved == number else chosen
            return HttpResponseRedirect(fix_url(site, following, back) if following else back)
        rows = [row for row in rows if not row.is_saved]
    following = _next(found, chosen)
    explanation = explain(chosen.code)
    context = {
        "cause": chosen,
        "explanation": explanation,
        "causes": [(cause, count, fix_url(site, cause, back)) for cause, count in found.items()],
        "rows": rows,
        "number": number,
        "editable": sum(row.form is not None for row in rows),
        "label": field_label(chosen.field) if chosen.field else "",
        "next_url": fix_url(site, following, back) if following else "",
        "next_cause": following,
        "back": back,
    }
    template = "admin/django_sendcloud/outbox/fixing.html"
    return admin_page(model_admin, request, template, gettext("Fix orders"), context)


def _back(request: HttpRequest) -> str:
    """Return the page that the operator came from, if it is one of this site."""
    url = request.POST.get("back") or request.GET.get("back", "")
    return url if url.startswith("/") and is_own_page(request, url) else ""


def _next(found: dict[Cause, int], chosen: Cause) -> Cause | None:
    """Return the cause after this one, the first one after the last; ``None`` if there is no other."""
    others = list(found)
    following = others[(others.index(chosen) + 1) % len(others)]
    return None if following == chosen else following


def _rows(
    model_admin: SendcloudAdmin[OutboxEntry], request: HttpRequest, entries: list[OutboxEntry], cause: Cause
) -> Iterator[Row]:
    """Yield a row for each entry. The orders of a page are loaded together."""
    set_order_numbers(entries)
    permissions = Permissions.of(model_admin.admin_site, request)
    urls = permissions.order_urls(entry.ref for entry in entries)
    orders = _orders(model_admin.admin_site, request, entries)
    for entry in entries:
        order = orders.get((entry.order_type, entry.order_pk))
        row = Row(entry, urls[entry.ref], fields_of(entry.error_fields))
        if order is not None and cause.field:
            _add_form(model_admin.admin_site, request, row, order, cause.field)
        yield row


def _orders(
    site: admin.AdminSite, request: HttpRequest, entries: list[OutboxEntry]
) -> dict[tuple[str, str], models.Model]:
    """Return the orders of entries that the shop's admin shows to this operator. One query for each order type."""
    found: dict[tuple[str, str], models.Model] = {}
    for order_type, keys in keys_by_type(entry.ref for entry in entries).items():
        adapter = registry.for_order_type(order_type)
        if adapter is None or not site.is_registered(adapter.model):
            continue
        rows = site.get_model_admin(adapter.model).get_queryset(request)
        if database := OrderRef.stored(order_type, "").database:
            if database not in connections:
                # The shop has removed it from its settings.
                continue
            rows = rows.using(database)
        for order in rows.filter(pk__in=keys):
            found[order_type, str(order.pk)] = order
    return found


def _target(order: models.Model, path: str) -> tuple[models.Model, str] | None:
    """Return the object and the name of the field that an order's payload takes a contract field from.

    ``OrderAdapter.admin_fields`` names it; else the field of the same name, if the order has one.
    """
    adapter = registry.for_model(type(order))
    name = adapter.admin_fields.get(path, path) if adapter is not None else path
    target: Any = order
    *relations, field = name.split("__")
    try:
        for relation in relations:
            target = getattr(target, relation)
            if not isinstance(target, models.Model):
                return None
        target._meta.get_field(field)
    except (FieldDoesNotExist, ObjectDoesNotExist, AttributeError):
        return None
    return target, field


def _add_form(site: admin.AdminSite, request: HttpRequest, row: Row, order: models.Model, path: str) -> None:
    """Give a row the form of its wrong field, if the shop's admin lets this operator change it."""
    found = _target(order, path)
    if found is None or not site.is_registered(type(found[0])):
        return
    target, name = found
    shops = site.get_model_admin(type(target))
    if not shops.has_change_permission(request, target):
        return
    posted = request.POST if request.method == "POST" else None
    prefix = f"order-{row.entry.pk}"
    try:
        # Read-only fields, and those outside the shop's fieldsets, are left out of the shop's own form.
        if name not in shops.get_form(request, target, change=True).base_fields:
            return
        made = shops.get_form(request, target, change=True, fields=[name])
        if posted is not None and f"{prefix}-{name}" not in posted:
            posted = None
        form = _only(name, made(posted, instance=target, prefix=prefix))
    except Exception:
        # The shop's own form may need more than one field; the order's page has them all.
        return
    row.form, row.target, row.model_admin = form, target, shops
    row.before = _as_text(form, name)
    seen = request.POST.get(f"{prefix}-before")
    if form.is_bound and seen is not None and seen != row.before:
        row.changed_meanwhile = True
        row.form = _only(name, made(None, instance=target, prefix=prefix))


def _only(name: str, form: forms.BaseForm) -> forms.BaseForm:
    """Return the form with one field: those that the shop's form declares come with every choice of fields."""
    form.fields = {name: form.fields[name]}
    return form


def _as_text(form: Any, name: str) -> str:
    """Return the stored value of a form's field as the page has it, for comparison."""
    value = form.fields[name].prepare_value(form.get_initial_for_field(form.fields[name], name))
    return "" if value is None else str(value)


def _save(request: HttpRequest, rows: list[Row]) -> tuple[int, int]:
    """Save the changed forms through the shop's admin classes. Return how many orders, and how many were refused."""
    saved = wrong = 0
    done: dict[tuple[type[models.Model], Any], Any] = {}
    for row in rows:
        form: Any = row.form
        if row.changed_meanwhile:
            wrong += 1
            continue
        if form is None or not form.is_bound or not form.has_changed():
            continue
        target, shops = row.target, row.model_admin
        assert target is not None
        assert shops is not None
        key = (type(target), target.pk)
        value = next(iter(form)).value()
        if key in done:
            # Two orders of one customer: the first row has saved the field for both.
            row.is_saved = done[key] == value
            row.changed_meanwhile = not row.is_saved
            saved, wrong = saved + row.is_saved, wrong + row.changed_meanwhile
            continue
        try:
            if not form.is_valid():
                wrong += 1
                continue
            with transaction.atomic(using=router.db_for_write(type(target), instance=target)):
                obj = shops.save_form(request, form, change=True)
                shops.save_model(request, obj, form, change=True)
                shops.save_related(request, form, formsets=[], change=True)
                shops.log_change(request, obj, shops.construct_change_message(request, form, []))
        except forms.ValidationError as error:
            form.add_error(None, error)
            wrong += 1
            continue
        done[key] = value
        row.is_saved = True
        saved += 1
    if saved:
        notify("outbox")
    return saved, wrong


def _report(request: HttpRequest, rows: list[Row], saved: int, wrong: int) -> None:
    more = sum(row.is_saved and row.has_others for row in rows)
    if fixed := saved - more:
        pushed = OutboxEntry.objects.filter(pk__in=[r.entry.pk for r in rows if r.is_saved and not r.has_others])
        held = held_back(request, pushed)
        sentence = ngettext(
            "%(number)d order is fixed and being sent.", "%(number)d orders are fixed and being sent.", fixed
        )
        if held:
            sentence = ngettext("%(number)d order is fixed.", "%(number)d orders are fixed.", fixed)
        messages.success(request, sentence % {"number": fixed})
        report_held_back(request, held)
    if more:
        sentence = ngettext(
            "%(number)d order is saved, and has another problem.",
            "%(number)d orders are saved, and have other problems.",
            more,
        )
        messages.warning(request, sentence % {"number": more})
    changed = sum(row.changed_meanwhile for row in rows)
    if changed:
        sentence = ngettext(
            "%(number)d order was changed meanwhile. Its value is shown as it is now; nothing was overwritten.",
            "%(number)d orders were changed meanwhile. Their values are shown as they are now; nothing was "
            "overwritten.",
            changed,
        )
        messages.warning(request, sentence % {"number": changed})
    if wrong - changed:
        sentence = ngettext(
            "%(number)d order was not saved: see below.",
            "%(number)d orders were not saved: see below.",
            wrong - changed,
        )
        messages.error(request, sentence % {"number": wrong - changed})
    if not saved and not wrong:
        messages.info(request, gettext("Nothing was changed."))
