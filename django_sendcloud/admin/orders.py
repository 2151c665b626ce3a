"""What outbox entries and shipments share: the shop's order behind them, and what would be sent for it now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from django.apps import apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..adapters import registry
from ..conf import conf
from ..exceptions import PayloadError, RegistrationError
from ..models import Attempt, OutboxEntry, Shipment
from ..payloads import ShipmentPayload
from ..sync import build
from ..sync.fold import put_in
from .badges import ATTEMPT_TONES, badge
from .base import SearchedAdmin, link
from .explain import ERRORS, explain, fields_of

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["OrderAdmin", "as_json", "as_text", "attempts_of", "kind_of_order", "know_numbers", "make_due"]

OrderRowT = TypeVar("OrderRowT", OutboxEntry, Shipment)


def kind_of_order(order_type: str) -> str:
    """What the shop calls this kind of order, the stored type where its model is gone."""
    try:
        return str(apps.get_model(order_type)._meta.verbose_name)
    except (LookupError, ValueError):
        return order_type


def know_numbers(entries: Sequence[OutboxEntry]) -> None:
    """Let entries bear the number people know their orders by, also where no attempt has found it out. Not saved.

    Else it is the number of a shipment, else of the order itself where its adapter names the field, else the key. One
    query for all of them, and one for each kind of order that is still without.
    """
    nameless = {(entry.order_type, entry.order_pk): entry for entry in entries if not entry.order_number}
    if not nameless:
        return
    told = Shipment.objects.using(conf().DATABASE).filter(
        order_type__in={order_type for order_type, _ in nameless}, order_pk__in=[key for _, key in nameless]
    )
    numbers = {
        (order_type, key): number
        for order_type, key, number in told.order_by("pk").values_list("order_type", "order_pk", "order_number")
    }
    missing: dict[str, list[str]] = {}
    for order_type, key in nameless:
        if not numbers.get((order_type, key)):
            missing.setdefault(order_type, []).append(key)
    for order_type, keys in missing.items():
        numbers |= {(order_type, key): number for key, number in _numbers_of_orders(order_type, keys).items()}
    for order, entry in nameless.items():
        entry.order_number = numbers.get(order) or f"{kind_of_order(entry.order_type)} {entry.order_pk}"


def _numbers_of_orders(order_type: str, keys: list[str]) -> dict[str, str]:
    """The numbers of the shop's orders by key, as far as their adapter knows them."""
    adapter = registry.for_order_type(order_type)
    if adapter is None or not adapter.number_field:
        return {}
    pk = adapter.model._meta.pk
    valid = []
    for key in keys:
        try:
            valid.append(pk.to_python(key))
        except (ValueError, ValidationError):
            continue  # of another model of this name, in former times
    orders = adapter.model._base_manager.filter(pk__in=valid)
    return {str(order.pk): adapter.order_number(order) for order in orders}


# Shown of an order's attempts: the newest.
ATTEMPTS = 10


def attempts_of(order_type: str, order_pk: str) -> list[tuple[Attempt, SafeString, StrOrPromise]]:
    """An order's attempts that did not simply work, newest first: each with its badge and what it means."""
    found = Attempt.objects.using(conf().DATABASE).of_order(order_type, order_pk)[:ATTEMPTS]
    return [
        (
            attempt,
            badge(attempt.get_outcome_display(), ATTEMPT_TONES[attempt.outcome]),
            explain(attempt.code).title if attempt.code else "",
        )
        for attempt in found
    ]


def make_due(order_type: str, order_pks: list[str]) -> None:
    """Let these orders be pushed at once, whatever they wait for. Wakes nobody: ``ring`` does."""
    put_in(order_type, order_pks)
    OutboxEntry.objects.using(conf().DATABASE).filter(order_type=order_type, order_pk__in=order_pks).retry()


class OrderAdmin(SearchedAdmin[OrderRowT]):
    """For rows that stand for an order of the shop."""

    def order_url(self, row: OrderRowT) -> str:
        """The order's own admin page, ``""`` where the shop has none, or none for this person."""
        try:
            model = apps.get_model(row.order_type)
        except (LookupError, ValueError):
            return ""
        return self.seen_by(row).url_by_key(model, row.order_pk)

    @admin.display(description=gettext_lazy("order"))
    def order_link(self, row: OrderRowT) -> SafeString:
        kind = kind_of_order(row.order_type)
        number = row.order_number or row.order_pk
        return link(self.order_url(row), number if number.startswith(f"{kind} ") else f"{kind} {number}")

    def get_urls(self) -> list[URLPattern]:
        return [self.path("<path:object_id>/payload/", self.payload_view, "payload"), *super().get_urls()]

    # Where Sendcloud is asked, it may take its time, and no transaction may be open meanwhile.
    @transaction.non_atomic_requests
    def payload_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What would be sent for this order now. Built anew, shown, and not stored."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        row = self.object_or_404(request, object_id)
        if not self.has_payload_permission(request):
            raise PermissionDenied
        vars(request)["current_app"] = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("What would be sent now"),
            "subtitle": str(row),
            "opts": self.opts,
            "original": row,
            "media": self.media,
            **self._preview(row),
        }
        return TemplateResponse(request, "admin/django_sendcloud/payload.html", context)

    def _preview(self, row: OrderRowT) -> dict[str, Any]:
        order = row.order()
        if order is None:
            return {"nothing": _("The order is gone. What Sendcloud still has of it is deleted there.")}
        try:
            payloads = build.preview(order)
        except PayloadError as error:
            return {"explanation": ERRORS["payload_invalid"], "fields": fields_of(error.errors)}
        except RegistrationError as error:
            return {"explanation": ERRORS["adapter_missing"], "detail": str(error)}
        except Exception as error:
            # The shop's own code, so it may be anything.
            return {"explanation": ERRORS["adapter_error"], "detail": f"{type(error).__name__}: {error}"}
        if not payloads:
            return {"nothing": _("The order does not belong in Sendcloud now: the adapter says it is not shippable.")}
        return self.previews(row, payloads)

    def previews(self, row: OrderRowT, payloads: list[ShipmentPayload]) -> dict[str, Any]:
        """What the page shows of what would be sent: here, all of it as it is."""
        return {"payloads": [as_text(payload) for payload in payloads]}


def as_json(payload: ShipmentPayload) -> dict[str, Any]:
    """A payload as it would be sent, but for the time it is stamped with then."""
    return {**payload.stamped(timezone.now()).to_json(), "updated_at": _("set when it is sent")}


def as_text(payload: ShipmentPayload) -> str:
    """A payload as it would be sent, laid out for a person."""
    return json.dumps(as_json(payload), indent=2, ensure_ascii=False)
