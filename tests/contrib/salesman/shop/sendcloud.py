from salesman.core.utils import get_salesman_model

from django_sendcloud import OrderProblem, register
from django_sendcloud.contrib.salesman import SalesmanOrderAdapter


@register(get_salesman_model("Order"))
class ShopOrder(SalesmanOrderAdapter):
    currency = "EUR"

    def get_address(self, order):
        try:
            name, street, postal_code, city, country = order.shipping_address.splitlines()
        except ValueError:
            raise OrderProblem("Write the address in five lines.", field="address") from None
        return {"name": name, "address": street, "postal_code": postal_code, "city": city, "country": country}
