"""Shared parts of outbox entries and shipments: the shop's order, and the payload it would send now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from django.apps import apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...core.transactions import outside_transactions
from ...enums import ApiGeneration
from ...exceptions import RegistrationError
from ...models import Attempt, Integration, OutboxEntry, Shipment
from ...orders import OrderRef, keys_by_type, orders_of_type
from ...payloads import Note, ShipmentPayload, preflight, v3
from ...registry import registry
from ...sync.backends import backend_class
from ...sync.backends.v3 import options_of_shop
from ...sync.preview import preview_stored
from ...violations import Violation
from ..base import SearchedAdmin
from ..explanations.errors import ERRORS, FieldProblem, explain, fields_of
from ..permissions import Permissions
from ..ui.badges import ATTEMPT_TONES, badge
from ..ui.cells import link
from ..ui.pages import admin_page

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = [
    "OrderRowAdmin",
    "api_of",
    "as_json",
    "as_text",
    "attempts_of",
    "kind_of_order",
    "notes_on",
    "set_order_numbers",
]

OrderRowT = TypeVar("OrderRowT", OutboxEntry, Shipment)


def kind_of_order(order_type: str) -> str:
    """Return the shop's name of this order type, the stored type if its model is gone."""
    try:
        return str(apps.get_model(order_type)._meta.verbose_name)
    except (LookupError, ValueError):
        return order_type


def set_order_numbers(entries: Sequence[OutboxEntry]) -> None:
    """Give entries the order number that operators know. Not saved.

    It comes from the entry, a shipment, the order's own field if the adapter names it, or the key. One query, and
    one for each order type that still lacks numbers.
    """
    nameless = {(entry.order_type, entry.order_pk): entry for entry in entries if not entry.order_number}
    if not nameless:
        return
    pushed = Shipment.objects.filter(
        order_type__in={order_type for order_type, _ in nameless}, order_pk__in=[key for _, key in nameless]
    )
    numbers = {
        (order_type, key): number
        for order_type, key, number in pushed.order_by("pk").values_list("order_type", "order_pk", "order_number")
    }
    missing = (OrderRef.stored(*order) for order in nameless if not numbers.get(order))
    for order_type, keys in keys_by_type(missing).items():
        numbers |= {(order_type, key): number for key, number in _numbers_of_orders(order_type, keys).items()}
    for order, entry in nameless.items():
        entry.order_number = numbers.get(order) or f"{kind_of_order(entry.order_type)} {entry.order_pk}"


def _numbers_of_orders(order_type: str, keys: list[str]) -> dict[str, str]:
    """Return order numbers by key, as far as the adapter knows them."""
    adapter = registry.for_order_type(order_type)
    if adapter is None or not adapter.number_field:
        return {}
    orders = orders_of_type(adapter.model._base_manager.all(), order_type, keys)
    return {key: adapter.order_number(order) for key, order in orders.items()}


# Attempts shown of an order.
ATTEMPTS = 10


def attempts_of(order_type: str, order_pk: str) -> list[tuple[Attempt, SafeString, StrOrPromise]]:
    """Return an order's failed attempts, newest first: each with its badge and explanation."""
    found = Attempt.objects.of(OrderRef.stored(order_type, order_pk)).newest_first()[:ATTEMPTS]
    return [
        (
            attempt,
            badge(attempt.get_outcome_display(), ATTEMPT_TONES[attempt.outcome]),
            explain(attempt.code).title if attempt.code else "",
        )
        for attempt in found
    ]


class OrderRowAdmin(SearchedAdmin[OrderRowT]):
    """Admin of rows that stand for an order of the shop."""

    def order_url(self, row: OutboxEntry | Shipment) -> str:
        """Return the page that opens the order; ``""`` if it has none, or none for this operator."""
        return Permissions.of_row(row).order_url(row.ref)

    @admin.display(description=gettext_lazy("order"))
    def order_link(self, row: OrderRowT) -> SafeString:
        kind = kind_of_order(row.order_type)
        number = row.order_number or row.order_pk
        return link(self.order_url(row), number if number.startswith(f"{kind} ") else f"{kind} {number}")

    def get_urls(self) -> list[URLPattern]:
        return [self.path("<path:object_id>/payload/", self.payload_view, "payload"), *super().get_urls()]

    # A request to Sendcloud takes seconds; no transaction may be open meanwhile.
    @outside_transactions
    def payload_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the payload that would be sent now. Nothing is stored."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        row = self.object_or_404(request, object_id)
        if not self.has_payload_permission(request):
            raise PermissionDenied
        context = {"subtitle": str(row), **self._preview(row)}
        template = "admin/django_sendcloud/outbox/payload.html"
        return admin_page(self, request, template, _("What would be sent now"), context, row)

    def _preview(self, row: OrderRowT) -> dict[str, Any]:
        try:
            found = preview_stored(row.ref)
        except RegistrationError as error:
            return {"explanation": ERRORS["adapter_missing"], "detail": str(error)}
        except Exception as error:
            # The shop's own code may raise anything.
            return {"explanation": ERRORS["adapter_error"], "detail": type(error).__name__}
        if found is None:
            return {"nothing": _("The order is gone. What Sendcloud still has of it is deleted there.")}
        if found.problem and not found.payloads and found.is_shippable:
            return {
                "explanation": explain(found.problem),
                "fields": _fields_of(found.notes),
                "detail": found.detail,
            }
        if not found.payloads:
            return {"nothing": _("The order does not belong in Sendcloud now: the adapter says it is not shippable.")}
        return self.previews(row, found.payloads)

    def previews(self, row: OrderRowT, payloads: list[ShipmentPayload]) -> dict[str, Any]:
        """Return the context for these payloads."""
        shown = [as_text(payload, row.integration) for payload in payloads]
        return {"payloads": shown, "notes": notes_on(payloads, row.integration)}


def api_of(integration: Integration | None) -> ApiGeneration:
    """Return the API generation of an integration; before there is one, the generation to be expected."""
    return ApiGeneration(backend_class(integration).generation)


def as_json(payload: ShipmentPayload, integration: Integration | None) -> dict[str, Any]:
    """Return a payload's JSON without the time of the push, as its integration is sent it."""
    payload = payload.stamped(timezone.now())
    if integration is None or api_of(integration) is ApiGeneration.V2:
        return {**payload.to_json(), "updated_at": _("set when it is sent")}
    body = v3.translate(payload, integration.remote_id, options_of_shop()).body
    return {**body, "order_details": {**body["order_details"], "order_updated_at": _("set when it is sent")}}


def as_text(payload: ShipmentPayload, integration: Integration | None) -> str:
    """Return a payload as indented JSON."""
    # A person reads it; what is sent is written digit by digit.
    return json.dumps(as_json(payload, integration), indent=2, ensure_ascii=False, default=float)


def notes_on(payloads: Sequence[ShipmentPayload], integration: Integration | None) -> list[FieldProblem]:
    """Return the notes on payloads, the weightiest first: what is not sent as the shop gives it, and advice."""
    api, options = api_of(integration), options_of_shop()
    return _fields_of(note for payload in payloads for note in preflight(payload, api=api, options=options))


def _fields_of(notes: Iterable[Note]) -> list[FieldProblem]:
    found: dict[str, list[Violation]] = {}
    for note in notes:
        found.setdefault(note.path, []).append(note.violation)
    return fields_of(found)
