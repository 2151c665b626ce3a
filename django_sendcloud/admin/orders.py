"""What outbox entries and shipments share: the shop's order behind them, and what would be sent for it now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from django.apps import apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..exceptions import PayloadError, RegistrationError
from ..models import OutboxEntry, Shipment
from ..sync import build
from .base import SendcloudAdmin, admin_url, link
from .explain import ERRORS, fields_of

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["OrderAdmin", "kind_of_order"]

OrderRowT = TypeVar("OrderRowT", OutboxEntry, Shipment)


def kind_of_order(order_type: str) -> str:
    """What the shop calls this kind of order, the stored type where its model is gone."""
    try:
        return str(apps.get_model(order_type)._meta.verbose_name)
    except (LookupError, ValueError):
        return order_type


class OrderAdmin(SendcloudAdmin[OrderRowT]):
    """For rows that stand for an order of the shop."""

    def order_url(self, row: OrderRowT) -> str:
        """The order's own admin page, ``""`` where the shop has none."""
        try:
            return admin_url(self.admin_site, apps.get_model(row.order_type)._meta, row.order_pk)
        except (LookupError, ValueError):
            return ""

    @admin.display(description=gettext_lazy("order"))
    def order_link(self, row: OrderRowT) -> SafeString:
        number = getattr(row, "order_number", "") or row.order_pk
        return link(self.order_url(row), f"{kind_of_order(row.order_type)} {number}")

    def get_urls(self) -> list[URLPattern]:
        return [self.path("<path:object_id>/payload/", self.payload_view, "payload"), *super().get_urls()]

    def payload_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What would be sent for this order now. Built anew, shown, and not stored."""
        row = self.object_or_404(request, object_id)
        if not self.has_payload_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("What would be sent now"),
            "subtitle": str(row),
            "opts": self.opts,
            "original": row,
            "media": self.media,
            **_preview(row),
        }
        return TemplateResponse(request, "admin/django_sendcloud/payload.html", context)


def _preview(row: OutboxEntry | Shipment) -> dict[str, Any]:
    order = row.order()
    if order is None:
        return {"nothing": _("The order is gone. What Sendcloud still has of it is deleted there.")}
    now = timezone.now()
    try:
        payloads = [payload.stamped(now).to_json() for payload in build.preview(order)]
    except PayloadError as error:
        return {"explanation": ERRORS["payload_invalid"], "fields": fields_of(error.errors)}
    except RegistrationError as error:
        return {"explanation": ERRORS["adapter_missing"], "detail": str(error)}
    except Exception as error:
        # The shop's own code, so it may be anything.
        return {"explanation": ERRORS["adapter_error"], "detail": f"{type(error).__name__}: {error}"}
    if not payloads:
        return {"nothing": _("The order does not belong in Sendcloud now: the adapter says it is not shippable.")}
    for payload in payloads:
        payload["updated_at"] = _("set when it is sent")
    return {"payloads": [json.dumps(payload, indent=2, ensure_ascii=False) for payload in payloads]}
