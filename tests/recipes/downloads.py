from django_sendcloud import OrderAdapter, register
from django_sendcloud.payloads import ParcelItem, grams

from .models import Line, Order


@register(Order)
class MixedOrder(OrderAdapter[Order]):
    related = {Line: "order"}
    queryset = Order.objects.prefetch_related("lines__product")
    changed_at_field, placed_at_field, number_field = "modified_at", "placed_at", "number"

    def is_shippable(self, order):
        return order.is_paid

    def get_fields(self, order):
        goods = [line for line in order.lines.all() if not line.product.is_download]
        value = sum(line.product.price * line.quantity for line in goods)
        return {**order.address(), "currency": "EUR", "total_order_value": value}

    def get_lines(self, order):
        return order.lines.all()

    def package_of(self, order, line):
        return None if line.product.is_download else ""

    def get_item(self, line, quantity):
        return ParcelItem(
            description=line.product.name,
            sku=line.product.sku,
            quantity=quantity,
            value=line.product.price,
            weight=grams(line.product.weight_grams),
        )
