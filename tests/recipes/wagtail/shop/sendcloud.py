from django.urls import reverse

from django_sendcloud import OrderAdapter, register
from django_sendcloud.payloads import ParcelItem, grams

from .models import Line, Order


@register(Order)
class ShopOrder(OrderAdapter[Order]):
    related = {Line: "order"}
    queryset = Order.objects.prefetch_related("lines")
    changed_at_field, placed_at_field, number_field = "modified_at", "placed_at", "number"

    def is_shippable(self, order):
        return order.is_paid

    def get_fields(self, order):
        return {
            "name": order.name,
            "address": order.street,
            "postal_code": order.postal_code,
            "city": order.city,
            "country": order.country,
            "currency": "EUR",
        }

    def get_lines(self, order):
        return order.lines.all()

    def get_item(self, line, quantity):
        return ParcelItem(description=line.title, quantity=quantity, value=line.price, weight=grams(line.weight_grams))

    def get_order_url(self, order):
        return reverse("order:inspect", args=[order.pk])
