"""The models of the recipes: a shop of today, with partners, releases, downloads and dispatches."""

from __future__ import annotations

from decimal import Decimal

from django.db import models


class Partner(models.Model):
    name = models.CharField(max_length=100)
    integration = models.ForeignKey("django_sendcloud.Integration", on_delete=models.PROTECT, null=True, blank=True)


class Product(models.Model):
    name = models.CharField(max_length=100)
    sku = models.CharField(max_length=50)
    price = models.DecimalField(max_digits=9, decimal_places=2, default=Decimal("9.95"))
    weight_grams = models.PositiveIntegerField(default=350)
    is_download = models.BooleanField(default=False)
    released_at = models.DateTimeField(null=True, blank=True)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, blank=True)


class Order(models.Model):
    number = models.CharField(max_length=50)
    is_paid = models.BooleanField(default=True)
    name = models.CharField(max_length=100, default="Ada Example")
    street = models.CharField(max_length=100, default="Stationsplein 1")
    postal_code = models.CharField(max_length=20, default="1012 AB")
    city = models.CharField(max_length=100, default="Amsterdam")
    country = models.CharField(max_length=2, default="NL")
    placed_at = models.DateTimeField(auto_now_add=True)
    modified_at = models.DateTimeField(auto_now=True)

    def address(self) -> dict[str, str]:
        return {
            "name": self.name,
            "address": self.street,
            "postal_code": self.postal_code,
            "city": self.city,
            "country": self.country,
        }


class Line(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField(default=1)


class Dispatch(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="dispatches")
    parcel = models.BigIntegerField(unique=True)
    carrier = models.CharField(max_length=50)
    tracking_url = models.URLField(blank=True)


class DispatchedLine(models.Model):
    dispatch = models.ForeignKey(Dispatch, on_delete=models.CASCADE, related_name="lines")
    line = models.ForeignKey(Line, on_delete=models.CASCADE)
    quantity = models.PositiveIntegerField()
