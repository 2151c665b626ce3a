"""What a shop's pages show: ``{% load sendcloud %}``, and then

- ``{% sendcloud_tracking order %}``: where an order's parcels are,
- ``{% sendcloud_service_points_script %}``: what the service point widget of a checkout needs.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.db.models import Model
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..enums import ParcelPhase
from ..models.parcel import PHASES
from ..shipping import JOURNEY, ParcelTracking, order_shipping

register = template.Library()

_LABELS = dict(PHASES)


@register.inclusion_tag("django_sendcloud/tracking.html")
def sendcloud_tracking(order: Model) -> dict[str, Any]:
    """Render the parcels of an order. Whether the visitor may see the order is the page's business."""
    shipping = order_shipping(order)
    return {"parcels": [(parcel, _stations(parcel)) for parcel in [*shipping.parcels, *shipping.returns]]}


@register.simple_tag(takes_context=True)
def sendcloud_service_points_script(context: template.Context, nonce: str = "") -> SafeString:
    """Write the widget's script and styles, with the page's CSP nonce where there is one.

    The nonce is found where Django's ``csp`` context processor and django-csp's middleware put it.
    """
    # A lazy nonce is false until it is used; text makes it be used.
    candidates = (nonce or None, context.get("csp_nonce"), getattr(context.get("request"), "csp_nonce", None))
    found = next((str(candidate) for candidate in candidates if candidate is not None), "")
    allowed = format_html(' nonce="{}"', found) if found else ""
    return format_html(
        '<link rel="stylesheet" href="{}"{}><script src="{}" defer{}></script>',
        static("django_sendcloud/service_points.css"),
        allowed,
        static("django_sendcloud/service_points.js"),
        allowed,
    )


def _stations(parcel: ParcelTracking) -> list[dict[str, Any]]:
    """The stations of the journey, and how far the parcel has come; none for one that left the usual way."""
    way = list(JOURNEY)
    if parcel.phase == ParcelPhase.AWAITING_PICKUP:
        way.insert(2, ParcelPhase.AWAITING_PICKUP)
    if parcel.phase not in way:
        return []
    reached = way.index(parcel.phase)
    return [
        {
            "label": _LABELS[phase.value],
            "done": index < reached or (phase == ParcelPhase.DELIVERED and index == reached),
            "current": index == reached,
        }
        for index, phase in enumerate(way)
    ]
