from __future__ import annotations

from collections.abc import Iterator

from django_sendcloud import OrderAdapter, register
from django_sendcloud.models import Integration
from django_sendcloud.payloads import ParcelItem, ShipmentPayload, Status

from .models import Customer, Order, OrderLine


@register(Order)
class ShopOrder(OrderAdapter[Order]):
    related = {OrderLine: "order", Customer: "orders"}
    queryset = Order.objects.select_related("customer").prefetch_related("lines")
    changed_at_field = "modified"
    number_field = "number"

    def is_shippable(self, order: Order) -> bool:
        return order.status != "cancelled"

    def get_integration(self, order: Order) -> Integration | None:
        if order.integration is None:
            return None
        return Integration.objects.get(pk=order.integration)

    def get_shipments(self, order: Order) -> Iterator[ShipmentPayload]:
        for number in range(1, order.shipments + 1):
            yield ShipmentPayload(
                external_order_id=str(order.pk),
                external_shipment_id=f"{order.pk}-{number}" if order.shipments > 1 else None,
                order_number=order.number,
                order_status=Status(id=order.status, message=order.status.title()),
                name=order.customer.name,
                email=order.customer.email,
                address=order.address,
                postal_code=order.postal_code,
                city=order.city,
                country=order.country,
                currency="EUR",
                created_at=order.created,
                parcel_items=[
                    ParcelItem(
                        description=line.description,
                        sku=line.sku,
                        quantity=line.quantity,
                        value=line.price,
                        weight=line.weight,
                    )
                    for line in order.lines.all()
                ],
            )
