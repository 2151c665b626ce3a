from django_sendcloud import OrderAdapter, register
from django_sendcloud.enums import ParcelPhase
from django_sendcloud.payloads import ParcelItem, grams

from .models import Dispatch, Line, Order

# It may arrive before its departure is reported.
GONE = (ParcelPhase.IN_TRANSIT, ParcelPhase.AWAITING_PICKUP, ParcelPhase.DELIVERED)


@register(Order)
class ShopOrder(OrderAdapter[Order]):
    related = {Line: "order"}
    queryset = Order.objects.prefetch_related("lines__product")
    changed_at_field, placed_at_field, number_field = "modified_at", "placed_at", "number"

    def is_shippable(self, order):
        return order.is_paid

    def get_fields(self, order):
        return {**order.address(), "currency": "EUR"}

    def get_lines(self, order):
        return order.lines.all()

    def get_item(self, line, quantity):
        return ParcelItem(
            description=line.product.name,
            sku=line.product.sku,
            quantity=quantity,
            value=line.product.price,
            weight=grams(line.product.weight_grams),
        )

    def on_parcel(self, order, parcel, change):
        if change.phase not in GONE:
            return
        dispatch, is_new = Dispatch.objects.get_or_create(
            parcel=parcel.remote_id,
            defaults={"order": order, "carrier": parcel.carrier, "tracking_url": parcel.tracking_url},
        )
        if is_new:
            lines = {line.product.sku: line for line in order.lines.select_related("product")}
            for item in change.items:
                if item.sku in lines:
                    dispatch.lines.create(line=lines[item.sku], quantity=item.quantity)
