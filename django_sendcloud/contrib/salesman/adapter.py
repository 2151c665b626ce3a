"""Adapter for the orders of django-salesman."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from salesman.conf import app_settings

from ...adapters import NotShippable, OrderAdapter, watch, weight_in_kg
from ...core.pipeline import Pipeline, next_on_the_way
from ...payloads import ParcelItem, Status
from . import installed

__all__ = ["SalesmanOrderAdapter"]

# The adapter also works without its app in INSTALLED_APPS, and nothing else does: a check says so.
installed.register()

CENT = Decimal("0.01")


class SalesmanOrderAdapter(OrderAdapter[Any]):
    """Adapter for Salesman's orders. The shop names its currency, and reads its addresses, which are free texts::

        @register(get_salesman_model("Order"))
        class ShopOrder(SalesmanOrderAdapter):
            currency = "EUR"

            def get_address(self, order):
                name, street, city = order.shipping_address.splitlines()
                return {"name": name, "address": street, "postal_code": city[:7], "city": city[8:], "country": "NL"}

    Everything else can be overridden as in any :class:`~django_sendcloud.OrderAdapter`.
    """

    currency: ClassVar[str] = ""
    """The currency of the shop's prices, for instance ``"EUR"``. Salesman knows none."""

    shippable_statuses: ClassVar[Collection[str]] = ("PROCESSING", "SHIPPED", "COMPLETED")
    """Statuses of orders that belong in Sendcloud. An order that leaves them, because it is refunded, for instance, is
    deleted there, unless it has a label."""

    weight_attribute: ClassVar[str] = "weight"
    """The attribute of the products with their weight. A product without it is sent without a weight."""
    weight_unit: ClassVar[str] = "kg"
    """The unit of ``weight_attribute``, as :func:`~django_sendcloud.payloads.kilograms` takes it."""

    phase_statuses: ClassVar[Mapping[str, Any]] = {"in_transit": "SHIPPED", "delivered": "COMPLETED"}
    changed_at_field = "date_updated"
    placed_at_field = "date_created"
    number_field = "ref"
    related: ClassVar[Mapping[Any, Any]] = {
        app_settings.SALESMAN_ORDER_ITEM_MODEL: watch("order", "quantity", "total", "product_data", "product_id")
    }

    def get_address(self, order: Any) -> Mapping[str, Any]:
        """Return the fields of the address: ``name``, ``address``, ``postal_code``, ``city`` and ``country`` at least.

        **Needed**: Salesman's addresses are free texts, written as the shop's checkout asks for them. An address that
        cannot be read raises :class:`~django_sendcloud.OrderProblem`, which an operator reads.
        """
        raise NotImplementedError

    def needs_shipping(self, item: Any) -> bool:
        """Return whether a line is sent. Default: the attribute ``requires_shipping`` of its product, or else yes."""
        return bool(getattr(item.product, "requires_shipping", True))

    def get_weight(self, item: Any) -> Decimal | None:
        """Return the weight of one piece in kg, ``None`` if it is unknown.

        Raises:
            OrderProblem: the product has a weight that is no number.
        """
        weight = getattr(item.product, self.weight_attribute, None)
        sku = item.product_data.get("code") or item.name
        return None if weight is None else weight_in_kg(weight, self.weight_unit, sku)

    # -- hooks --

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().select_related("user").prefetch_related("items__product")

    def is_shippable(self, order: Any) -> bool | NotShippable | None:
        if order.status in self.shippable_statuses:
            return True
        reason = format_lazy(_("The order's status is “{status}”."), status=order.status_display)
        return NotShippable(str(order.status).lower(), reason)

    def get_fields(self, order: Any) -> Mapping[str, Any]:
        return {
            "email": order.email or getattr(order.user, "email", ""),
            "order_status": Status(id=str(order.status), message=order.status_display),
            "currency": self.currency or None,
            "total_order_value": order.total,
            **self.get_address(order),
        }

    def get_lines(self, order: Any) -> Iterable[Any]:
        return order.items.all()  # type: ignore[no-any-return]

    def package_of(self, order: Any, line: Any) -> str | int | Mapping[str | int, int] | None:
        return "" if self.needs_shipping(line) else None

    def get_item(self, line: Any, quantity: int) -> ParcelItem:
        # The data of the moment of purchase: the product may be gone, or have another name now.
        product = line.product
        return ParcelItem(
            description=line.name,
            sku=str(line.product_data.get("code") or "") or None,
            product_id=None if line.product_id is None else f"{line.product_type}:{line.product_id}",
            quantity=quantity,
            # With the discounts of the line's modifiers.
            value=(line.total / line.quantity).quantize(CENT, ROUND_HALF_UP),
            weight=self.get_weight(line),
            hs_code=getattr(product, "hs_code", "") or None,
            origin_country=getattr(product, "origin_country", "") or None,
        )

    def next_status(self, order: Any, wanted: Any) -> Any:
        """Return the next status on the shortest way to ``wanted`` that the shop's status enum allows."""
        statuses = app_settings.SALESMAN_ORDER_STATUS
        step = next_on_the_way(_pipeline(statuses, str(order.status)), str(order.status), str(wanted))
        try:
            return None if step is None else statuses.validate_transition(step, order)
        except (ValidationError, KeyError):
            return None


def _pipeline(statuses: Any, present: str) -> Pipeline:
    """Return the transitions of the shop's status enum."""
    # A status without an entry may change to any other.
    found = {status: [*statuses.values] for status in (present, *statuses.values)}
    return found | {str(status): [str(each) for each in after] for status, after in statuses.get_transitions().items()}
