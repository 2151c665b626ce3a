"""Fixtures of the shop with Oscar. Its tests run in a process of their own: see ``tests/contrib/test_oscar.py``."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

if os.environ.get("DJANGO_SETTINGS_MODULE") != "tests.contrib.oscar.settings":
    collect_ignore_glob = ["test_*.py"]
else:
    pytest_plugins = ["django_sendcloud.testing"]


class Shop:
    """A catalogue, buyers and orders, made through Oscar."""

    def __init__(self) -> None:
        from oscar.core.loading import get_class, get_model
        from oscar.test import factories

        self.model, self.classed, self.factories = get_model, get_class, factories
        self.classes: dict[bool, Any] = {}
        country = get_model("address", "Country").objects
        self.country = country.create(
            iso_3166_1_a2="NL", iso_3166_1_a3="NLD", printable_name="Netherlands", is_shipping_country=True
        )
        get_model("order", "ShippingEventType").objects.create(name="Shipped")

    def _apply(self, basket: Any, offer: Any, voucher: Any, buyer: Any) -> None:
        applicator = self.classed("offer.applicator", "Applicator")()
        if offer is not None:
            applicator.apply_offers(basket, [offer])
        if voucher is not None:
            basket.vouchers.add(voucher)
            applicator.apply(basket, buyer)

    def offer(self, condition: tuple[str, Any], benefit: tuple[str, Any], **values: Any) -> Any:
        """Make an offer for all products, of types and values of Oscar's conditions and benefits."""
        make, (if_, number), (then, value) = self.factories, condition, benefit
        everything = make.RangeFactory(includes_all_products=True)
        return make.ConditionalOfferFactory(
            condition=make.ConditionFactory(range=everything, type=if_, value=number),
            benefit=make.BenefitFactory(range=everything, type=then, value=value, max_affected_items=None),
            **values,
        )

    def voucher(self, *benefit: Any) -> Any:
        """Make a voucher with a benefit for any order."""
        voucher = self.factories.VoucherFactory(code="CODE")
        voucher.offers.add(self.offer(("Count", 1), benefit, offer_type="Voucher"))
        return voucher

    def product_class(self, requires_shipping: bool = True) -> Any:
        if requires_shipping not in self.classes:
            made = self.model("catalogue", "ProductClass").objects.create(
                name=f"Things {requires_shipping}", requires_shipping=requires_shipping, track_stock=False
            )
            for code, kind in (("weight", "float"), ("hs_code", "text"), ("origin_country", "text")):
                made.attributes.create(name=code, code=code, type=kind)
            self.classes[requires_shipping] = made
        return self.classes[requires_shipping]

    def product(self, title: str = "Mug", *, price: str = "9.95", partner: Any = None, **values: Any) -> Any:
        """Make a product; values beyond its fields are attributes."""
        parent, requires_shipping = values.pop("parent", None), values.pop("requires_shipping", True)
        structure = values.pop("structure", "child" if parent else "standalone")
        product = self.model("catalogue", "Product")(
            title=title, structure=structure, parent=parent, upc=f"UPC-{self.model('catalogue', 'Product').objects.count()}",
            product_class=None if parent else self.product_class(requires_shipping),
        )  # fmt: skip
        product.save()
        for code, value in values.items():
            setattr(product.attr, code, value)
        product.save()
        if structure != "parent":
            if partner is None:
                partner, _ = self.model("partner", "Partner").objects.get_or_create(name="Warehouse")
            product.stockrecords.create(
                partner=partner,
                partner_sku=f"SKU-{title}",
                price_currency="EUR",
                price=Decimal(price),
                num_in_stock=100,
            )
        return product

    def usual_product(self) -> Any:
        found = self.model("catalogue", "Product").objects.filter(title="Usual mug").first()
        return found or self.product("Usual mug", weight=250.0)

    def address(self, **values: Any) -> Any:
        given = {
            "first_name": "Sam", "last_name": "Jansen", "line1": "Stadhuisplein 10", "line2": "3rd floor",
            "line4": "Eindhoven", "postcode": "5611 EM", "country": self.country, "phone_number": "+31201234567",
        }  # fmt: skip
        return self.model("order", "ShippingAddress").objects.create(**given | values)

    def order(
        self, *lines: tuple[Any, int], status: str = "Being processed", address: Any = True, **values: Any
    ) -> Any:
        """Place an order of products with quantities, through Oscar's ``OrderCreator``."""
        basket = self.factories.create_basket(empty=True)
        for product, quantity in lines or [(self.usual_product(), 1)]:
            basket.add_product(product, quantity)
        buyer = values.pop("user", None)
        self._apply(basket, values.pop("offer", None), values.pop("voucher", None), buyer or AnonymousUser())
        if basket.has_shipping_discounts:
            repository = self.classed("shipping.repository", "Repository")()
            values["shipping_method"] = repository.apply_shipping_offer(
                basket, values["shipping_method"], basket.shipping_discounts[0]["offer"]
            )
        address = self.address() if address is True else address
        if buyer is None:
            values.setdefault("guest_email", "sam@example.com")
        number = f"2026-{self.model('order', 'Order').objects.count() + 1:04}"
        return self.factories.create_order(
            number=number,
            basket=basket,
            status=status,
            shipping_address=address,
            user=buyer or AnonymousUser(),
            **values,
        )


@pytest.fixture
def shop(db: None) -> Shop:
    return Shop()


@pytest.fixture
def move(sendcloud: Any, sendcloud_integration: Any, client: Any) -> Callable[[int], None]:
    """Move a parcel one step at Sendcloud, and let its webhook reach the shop."""
    from django_sendcloud.testing import drain, send_webhook

    moments = itertools.count(int(time.time() * 1000), 60_000)

    def step(parcel: int, *, times: int = 1) -> None:
        for _ in range(times):
            sendcloud.advance(parcel)
            update = {"action": "parcel_status_changed", "timestamp": next(moments), "parcel": sendcloud.parcel(parcel)}
            assert send_webhook(client, sendcloud_integration, update).status_code == 200
        drain()

    return step
