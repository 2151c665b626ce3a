from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest
from salesman.orders.models import BaseOrder, BaseOrderItem


class Product(models.Model):
    name = models.CharField(max_length=100)
    code = models.CharField(max_length=20)
    price = models.DecimalField(max_digits=9, decimal_places=2, default=Decimal("9.95"))

    class Meta:
        abstract = True

    def get_price(self, request: HttpRequest) -> Decimal:
        return self.price


class Mug(Product):
    weight = models.DecimalField(max_digits=6, decimal_places=3, null=True, default=Decimal("0.350"))


class Song(Product):
    requires_shipping = False


if getattr(settings, "SALESMAN_ORDER_MODEL", "").startswith("shop."):

    class ShopOrder(BaseOrder):  # type: ignore[misc]
        gift_note = models.CharField(max_length=100, blank=True)

        class Meta(BaseOrder.Meta):  # type: ignore[misc]
            pass

    class ShopOrderItem(BaseOrderItem):  # type: ignore[misc]
        extra_info: Any = models.CharField(max_length=100, blank=True)

        class Meta(BaseOrderItem.Meta):  # type: ignore[misc]
            pass
