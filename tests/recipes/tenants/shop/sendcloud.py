from django_sendcloud import OrderAdapter, register

from .models import Order


@register(Order)
class TenantOrder(OrderAdapter[Order]):
    changed_at_field, placed_at_field, number_field = "modified_at", "placed_at", "number"

    def get_fields(self, order):
        return {
            "name": "Ada Example",
            "address": "Stationsplein 1",
            "postal_code": "1012 AB",
            "city": order.city,
            "country": "NL",
            "currency": "EUR",
        }
