"""Template tags for a shop's pages: ``{% load sendcloud %}``, and then

- ``{% sendcloud_tracking order %}``: where an order's parcels are,
- ``{% sendcloud_order_panel order %}``: an order's state, for the staff in any back office,
- ``{% sendcloud_service_points_script %}``: what the service point widget of a checkout needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.db.models import Model
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..conf import SendcloudConfigurationError
from ..enums import ParcelPhase
from ..models.delivery import PHASES
from ..registry import registry

if TYPE_CHECKING:
    from ..storefront.tracking import ParcelTracking

# Django imports every tag library with the first template of a process: the tags import their rooms when they are used.
register = template.Library()

_LABELS = dict(PHASES)


@register.inclusion_tag("django_sendcloud/tracking.html")
def sendcloud_tracking(order: Model, contact: str = "") -> dict[str, Any]:
    """Render the parcels of an order. The page checks whether the visitor may see them.

    Args:
        order: The order.
        contact: Address of a page or ``mailto:`` where buyers reach the shop. By default the adapter's.

    Raises:
        SendcloudConfigurationError: the template has no such order.
    """
    from ..storefront.tracking import order_shipping

    _require_order("sendcloud_tracking", order)
    shipping = order_shipping(order)
    return {
        "contact": contact or registry.responsible(type(order)).contact,
        "service_point": shipping.service_point,
        "parcels": [(parcel, _stations(parcel)) for parcel in [*shipping.parcels, *shipping.returns]],
    }


@register.inclusion_tag("django_sendcloud/order_panel.html", takes_context=True)
def sendcloud_order_panel(context: template.Context, order: Model, nonce: str = "") -> dict[str, Any]:
    """Render an order's state, problems, shipments, parcels and buttons, for the staff. One for each page.

    Users see what their permissions cover, and nothing without. The page checks whether they may see this order.

    Raises:
        SendcloudConfigurationError: the template has no ``request``, or no such order.
    """
    from ..admin.orders.backoffice import panel_context

    _require_order("sendcloud_order_panel", order)
    request = context.get("request")
    if request is None or not hasattr(request, "user"):
        raise SendcloudConfigurationError(
            "{% sendcloud_order_panel %} shows what the user may see, and finds no request with a user in its context. "
            'Add "django.template.context_processors.request" to the context_processors of your templates, and '
            "AuthenticationMiddleware to MIDDLEWARE; render the page with the request."
        )
    return {**panel_context(request, order), "allowed": _nonce_attribute(context, nonce)}


@register.simple_tag(takes_context=True)
def sendcloud_service_points_script(context: template.Context, nonce: str = "") -> SafeString:
    """Write the widget's script and styles, with the page's CSP nonce if it has one.

    It reads the nonce of Django's ``csp`` context processor or of django-csp's middleware.
    """
    allowed = _nonce_attribute(context, nonce)
    return format_html(
        '<link rel="stylesheet" href="{}"{}><script src="{}" defer{}></script>',
        static("django_sendcloud/service_points.css"),
        allowed,
        static("django_sendcloud/service_points.js"),
        allowed,
    )


def _require_order(tag: str, order: object) -> None:
    if not isinstance(order, Model):
        # A variable that the context lacks is empty text.
        raise SendcloudConfigurationError(
            f"{{% {tag} %}} shows an order, and got {type(order).__name__} ({str(order)[:20]!r}): name the variable "
            "that holds the order in this template."
        )


def _nonce_attribute(context: template.Context, nonce: str) -> SafeString | str:
    # A lazy nonce is false until it is used; ``str()`` uses it.
    candidates = (nonce or None, context.get("csp_nonce"), getattr(context.get("request"), "csp_nonce", None))
    found = next((str(candidate) for candidate in candidates if candidate is not None), "")
    return format_html(' nonce="{}"', found) if found else ""


def _stations(parcel: ParcelTracking) -> list[dict[str, Any]]:
    """Return the stations of the journey and the parcel's position; none for an unusual way."""
    from ..storefront.tracking import JOURNEY

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
