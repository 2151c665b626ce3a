"""Translation of this shop's orders into shipments at Sendcloud. Found by its name, as ``admin.py`` is."""

from collections.abc import Iterator
from typing import Any

from django_sendcloud import NotShippable, OrderAdapter, register, watch
from django_sendcloud.enums import CustomsShipmentType
from django_sendcloud.payloads import ParcelItem, ShipmentPayload, Status, grams
from django_sendcloud.storefront.service_points import service_point_fields

from .models import Customer, Order, OrderLine


@register(Order)
class SendcloudOrder(OrderAdapter[Order]):
    # A customer's other fields do not appear on a shipment.
    related = {OrderLine: "order", Customer: watch("orders", "name", "company", "email", "phone")}
    queryset = Order.objects.select_related("customer").prefetch_related("lines__product")
    changed_at_field = "modified_at"
    # A customer who moves does not send their orders of before this shop used Sendcloud.
    placed_at_field = "placed_at"
    number_field = "number"
    admin_fields = {
        "address": "street",
        "to_state": "state",
        "name": "customer__name",
        "email": "customer__email",
        "telephone": "customer__phone",
    }
    phase_statuses = {"in_transit": Order.Status.SHIPPED}

    def is_shippable(self, order: Order) -> bool | NotShippable:
        if order.status == Order.Status.OPEN:
            return NotShippable("unpaid", "The order is not paid.")
        if order.status == Order.Status.CANCELLED:
            return NotShippable("cancelled", "The order is cancelled.")
        return True

    def get_service_point(self, order: Order) -> dict[str, Any] | None:
        return order.service_point

    def get_shipments(self, order: Order) -> Iterator[ShipmentPayload]:
        yield ShipmentPayload(
            external_order_id=str(order.pk),
            order_number=order.number,
            order_status=Status(id=order.status, message=order.get_status_display()),
            payment_status=Status(id="paid", message="Paid"),
            created_at=order.placed_at,
            name=order.customer.name,
            company_name=order.customer.company,
            email=order.customer.email,
            telephone=order.customer.phone,
            address=order.street,
            house_number=order.house_number,
            address_2=order.address_2,
            postal_code=order.postal_code,
            city=order.city,
            to_state=order.state or None,
            country=order.country,
            currency=order.currency,
            total_order_value=order.total,
            shipping_method_checkout_name=order.delivery,
            **service_point_fields(order.service_point, days=7 if order.status == Order.Status.PAID else None),
            customs_invoice_nr=order.number,
            customs_shipment_type=CustomsShipmentType.COMMERCIAL_GOODS,
            parcel_items=[
                ParcelItem(
                    description=line.product.name,
                    sku=line.product.sku,
                    product_id=str(line.product.pk),
                    quantity=line.quantity,
                    value=line.unit_price,
                    weight=grams(line.product.weight_grams),
                    hs_code=line.product.hs_code or None,
                    origin_country=line.product.origin_country or None,
                )
                for line in order.lines.all()
            ],
        )
