"""Adapter for the orders of django-oscar."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import Prefetch, Q
from django.urls import NoReverseMatch, reverse
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ...adapters import NotShippable, OrderAdapter, ParcelChange, watch, weight_in_kg
from ...conf import conf
from ...core.pipeline import next_on_the_way
from ...enums import Currency, ParcelPhase
from ...exceptions import OrderProblem
from ...models import OutboxEntry, Parcel
from ...payloads import OtherCurrency, ParcelItem, Status
from . import installed
from .shop import get_class, get_model

__all__ = ["OscarOrderAdapter"]

# The adapter also works without its app in INSTALLED_APPS, and nothing else does: a check says so.
installed.register()

# Phases of a parcel that has left the shop. It may arrive before its departure is reported.
GONE = (ParcelPhase.IN_TRANSIT, ParcelPhase.AWAITING_PICKUP, ParcelPhase.DELIVERED)
# Rejected orders that a saved product is looked for in.
MAX_ORDERS = 1000
CENT = Decimal("0.01")
# Name under which the products of a batch have their attributes.
ATTRIBUTES = "sendcloud_attributes"


def _rejected_orders_with(product: Any) -> Any:
    """Return the keys of rejected orders that contain a product: saving the product is the fix of their problem.

    Other orders stay as they are: a change of the catalogue is no change of what was bought.
    """
    order = get_model("order.Order")
    stuck = OutboxEntry.objects.stuck().filter(order_type=order._meta.label_lower)
    keys = list(stuck.values_list("order_pk", flat=True)[:MAX_ORDERS])
    if not keys:
        return []
    lines = get_model("order.Line")._default_manager.filter(order_id__in=keys)
    return lines.filter(Q(product=product) | Q(product__parent=product)).values_list("order_id", flat=True)


class OscarOrderAdapter(OrderAdapter[Any]):
    """Adapter for Oscar's orders. The shop names its statuses and the unit of its weights::

        @register(Order)
        class ShopOrder(OscarOrderAdapter):
            shippable_statuses = ("Being processed", "Complete")
            phase_statuses = {"in_transit": "Complete"}
            weight_unit = "g"

    Everything else can be overridden as in any :class:`~django_sendcloud.OrderAdapter`.
    """

    shippable_statuses: ClassVar[Collection[str]] = ()
    """Statuses of orders that belong in Sendcloud. Needed. Keep those of ``phase_statuses`` among them."""

    cancelled_line_statuses: ClassVar[Collection[str]] = ("Cancelled", "Canceled")
    """Statuses of lines that are not sent."""

    weight_attribute: ClassVar[str] = "weight"
    """Code of the product attribute with the weight of one piece. A child product without one has its parent's."""

    weight_unit: ClassVar[str] = ""
    """Unit of the weights: mg, g, kg, t, oz or lb. Needed."""

    default_weight: ClassVar[Decimal | int | None] = None
    """Weight of a product without one, in the same unit. ``None``: its orders are rejected until it has one."""

    hs_code_attribute: ClassVar[str] = "hs_code"
    """Code of the product attribute with the Harmonised System code, for customs."""

    origin_country_attribute: ClassVar[str] = "origin_country"
    """Code of the product attribute with the country of origin (two letters), for customs."""

    split_by: ClassVar[str] = ""
    """Attribute of an order's lines that makes a package each, such as ``"partner_id"``. Empty: one package."""

    shipping_event: ClassVar[str] = ""
    """Name or code of the shipping event to create when a parcel has left, for the quantities left. Empty: none."""

    placed_at_field = "date_placed"
    number_field = "number"
    site_field = "site"
    related = {
        "order.Line": "order",
        "order.ShippingAddress": "order",
        settings.AUTH_USER_MODEL: watch("orders", "email"),
        "catalogue.Product": _rejected_orders_with,
    }

    # -- loading --

    def get_queryset(self) -> Any:
        """Return all orders with their lines and what of the products is sent, in a constant number of queries."""
        wanted = (self.weight_attribute, self.hs_code_attribute, self.origin_country_attribute)
        values = get_model("catalogue.ProductAttributeValue")._default_manager
        attributes = values.filter(attribute__code__in=wanted).select_related("attribute", "value_option")
        return self.model._base_manager.select_related("user", "site", "shipping_address__country").prefetch_related(
            "lines__product__product_class",
            "lines__product__parent__product_class",
            Prefetch("lines__product__attribute_values", attributes, to_attr=ATTRIBUTES),
            Prefetch("lines__product__parent__attribute_values", attributes, to_attr=ATTRIBUTES),
        )

    # -- orders and their lines --

    def is_shippable(self, order: Any) -> bool | NotShippable | None:
        """Return whether the order has one of the ``shippable_statuses``."""
        if order.status in self.shippable_statuses:
            return True
        return NotShippable("status", format_lazy(_("The order's status is “{status}”."), status=order.status))

    def get_order_url(self, order: Any) -> str:
        """Return the order's page in Oscar's dashboard; its page in Django's admin for a shop without the dashboard."""
        try:
            return reverse("dashboard:order-detail", args=[order.number])
        except NoReverseMatch:
            return super().get_order_url(order)

    def get_fields(self, order: Any) -> Mapping[str, Any]:
        """Return the buyer, the address, and the order's own fields."""
        address = order.shipping_address
        if address is None:
            raise OrderProblem(_("The order has no shipping address."), field="address")
        return {
            "name": address.name,
            "email": order.email or "",
            "telephone": _telephone(address),
            "address": address.line1,
            "address_2": ", ".join(line for line in (address.line2, address.line3) if line),
            "city": address.line4,
            "postal_code": address.postcode,
            "to_state": address.state or None,
            "country": address.country.iso_3166_1_a2,
            "currency": _currency(order.currency),
            "total_order_value": order.total_incl_tax,
            "shipping_method_checkout_name": order.shipping_method[:100],
            "order_status": Status(id=order.status, message=order.status) if order.status else None,
        }

    def get_lines(self, order: Any) -> Iterable[Any]:
        """Return the lines of the order that are neither cancelled nor of a product that needs no shipping."""
        return [
            line
            for line in order.lines.all()
            if line.status not in self.cancelled_line_statuses
            # The class of a deleted product is not known: what was bought is sent.
            and (line.product is None or line.product.is_shipping_required)
        ]

    def package_of(self, order: Any, line: Any) -> str:
        """Return the package of a line: the only one, or that of ``split_by``."""
        if not self.split_by:
            return ""
        value = getattr(line, self.split_by)
        # A partner may be deleted; the line still has its name.
        return str(line.partner_name if value is None else value)

    def get_item(self, line: Any, quantity: int) -> ParcelItem:
        """Return a line as an item, with the price after discounts."""
        return ParcelItem(
            description=line.title,
            quantity=quantity,
            sku=line.partner_sku or line.upc or None,
            product_id=str(line.product_id) if line.product_id else None,
            value=(line.line_price_incl_tax / line.quantity).quantize(CENT, ROUND_HALF_UP),
            weight=self.get_weight(line),
            hs_code=self._text(line, self.hs_code_attribute),
            origin_country=self._text(line, self.origin_country_attribute),
        )

    def get_weight(self, line: Any) -> Decimal | None:
        """Return the weight of one piece of a line in kg; ``None`` if its product is deleted and nothing is known.

        Raises:
            OrderProblem: the product has no weight, or one that is no number.
        """
        value = self.get_attribute(line, self.weight_attribute)
        if value is None:
            value = self.default_weight
        if value is None:
            if line.product is None:
                return None
            raise OrderProblem(
                _("%(sku)s has no weight. Enter the attribute “%(attribute)s” of the product."),
                field="parcel_items",
                params={"sku": line.partner_sku or line.title, "attribute": self.weight_attribute},
            )
        return weight_in_kg(value, self.weight_unit, line.partner_sku or line.title)

    def get_attribute(self, line: Any, code: str) -> Any:
        """Return an attribute of a line's product, its parent's if it has none, ``None`` if neither has one."""
        for product in (line.product, line.product.parent if line.product is not None else None):
            for each in _attributes_of(product):
                if each.attribute.code == code and each.value not in (None, ""):
                    return each.value
        return None

    def _text(self, line: Any, code: str) -> str | None:
        value = self.get_attribute(line, code)
        return str(value).strip() or None if value is not None else None

    # -- the order follows its parcels --

    def get_event_handler(self) -> Any:
        """Return the shop's ``EventHandler``, through which statuses change and shipping events are created."""

        return get_class("order.processing", "EventHandler")(None)

    def next_status(self, order: Any, wanted: Any) -> Any:
        """Return the next status on the shortest way to ``wanted`` along the shop's pipeline, ``None`` without one."""
        return next_on_the_way(order.pipeline, order.status, wanted)

    def set_order_status(self, order: Any, status: Any) -> None:
        """Change the status through the shop's ``EventHandler``: with the lines, the history and the signals."""
        if order.status != status:
            self.get_event_handler().handle_order_status_change(order, status)

    def on_parcel(self, order: Any, parcel: Parcel, change: ParcelChange) -> None:
        """Create the ``shipping_event`` for what has left, once for each parcel."""
        if not self.shipping_event or parcel.is_return or change.phase not in GONE:
            return
        event_type = self._event_type()
        reference = parcel.tracking_number or f"Sendcloud {parcel.remote_id}"
        if order.shipping_events.filter(event_type=event_type, notes=reference).exists():
            return
        if quantities := self._quantities_left(order, event_type, change):
            lines, numbers = list(quantities), list(quantities.values())
            handler = self.get_event_handler()
            handler.handle_shipping_event(order, event_type, lines, numbers, reference=reference)

    def _event_type(self) -> Any:
        types = get_model("order.ShippingEventType")._default_manager
        found = types.filter(name=self.shipping_event).first() or types.filter(code=self.shipping_event).first()
        if found is None:
            raise OrderProblem(
                _("There is no shipping event “%(event)s”. Create it in the dashboard."),
                params={"event": self.shipping_event},
            )
        return found

    def _quantities_left(self, order: Any, event_type: Any, change: ParcelChange) -> dict[Any, int]:
        """Return the lines in a parcel, each with the quantity that no such event has had yet."""
        lines = {str(line.pk): line for line in self.get_lines(order)}
        if any(item.item_id in lines for item in change.items):
            wanted: dict[Any, int] = {}
            for item in change.items:
                if line := lines.get(item.item_id):
                    wanted[line] = wanted.get(line, 0) + item.quantity
        else:
            # Sendcloud names no lines for labels of API v2: the parcel holds its package.
            package = change.shipment.external_shipment_id
            mine = [line for line in lines.values() if str(self.package_of(order, line)) == package]
            wanted = {line: line.quantity for line in mine or lines.values()}
        left = {
            line: min(number, line.quantity - line.shipping_event_quantity(event_type))
            for line, number in wanted.items()
        }
        return {line: number for line, number in left.items() if number > 0}


def _attributes_of(product: Any) -> Any:
    if product is None:
        return ()
    found = getattr(product, ATTRIBUTES, None)
    return product.attribute_values.select_related("attribute", "value_option") if found is None else found


def _telephone(address: Any) -> str:
    """Return the phone number in its international form; one that is not valid as it was entered."""
    number: Any = getattr(address, "phone_number", "")
    if not number:
        return ""
    if getattr(number, "is_valid", lambda: False)():
        return str(number.as_e164)
    return str(getattr(number, "raw_input", "") or number)


def _currency(code: str) -> str:
    """Return the currency; one beyond the contract's three is sent where the settings say that the account takes it."""
    if conf().ANY_CURRENCY and code not in [each.value for each in Currency]:
        return OtherCurrency(code)
    return code
