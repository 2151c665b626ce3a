from django.utils import timezone

from django_sendcloud import OrderAdapter, register
from django_sendcloud.payloads import ParcelItem, grams

from .models import Line, Order


def preordered_until(order, line):
    released_at = line.product.released_at
    return released_at if released_at and released_at > order.placed_at else None


@register(Order)
class PreOrder(OrderAdapter[Order]):
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

    def package_of(self, order, line):
        release = preordered_until(order, line)
        if release is None:
            return "now"
        # Each release has a package of its own, so that none is added to one that has a label.
        return release.date().isoformat() if release <= timezone.now() else None

    def recheck_at(self, order):
        releases = [preordered_until(order, line) for line in order.lines.all()]
        return min((at for at in releases if at and at > timezone.now()), default=None)
