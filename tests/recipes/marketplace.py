from django_sendcloud import OrderAdapter, OrderProblem, register, watch
from django_sendcloud.payloads import ParcelItem, grams

from .models import Line, Order, Partner


@register(Order)
class MarketplaceOrder(OrderAdapter[Order]):
    related = {Line: "order", Partner: watch("product__line__order", "integration")}
    queryset = Order.objects.prefetch_related("lines__product__partner__integration")
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
        partner = line.product.partner
        if partner is None or partner.integration is None:
            message = "%(sku)s has no partner with a Sendcloud account."
            raise OrderProblem(message, field="parcel_items", params={"sku": line.product.sku})
        return partner.pk

    def get_package_integration(self, order, package):
        partners = {str(line.product.partner_id): line.product.partner for line in order.lines.all()}
        return partners[package].integration
