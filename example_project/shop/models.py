"""Products, customers and orders, as in any small shop. Nothing here knows of Sendcloud."""

from __future__ import annotations

import secrets
import uuid
from decimal import Decimal

from django.db import models
from django.urls import reverse
from django.utils import timezone


class Product(models.Model):
    sku = models.CharField("SKU", max_length=40, unique=True)
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=300, blank=True)
    price = models.DecimalField(max_digits=10, decimal_places=2, help_text="In euros.")
    weight_grams = models.PositiveIntegerField("weight (g)")
    hs_code = models.CharField("HS code", max_length=12, blank=True)
    origin_country = models.CharField("made in", max_length=2, blank=True, help_text="Two letters, e.g. NL.")
    hue = models.PositiveSmallIntegerField(default=160, help_text="Colour of its picture, 0 to 359.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Customer(models.Model):
    name = models.CharField(max_length=200)
    company = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return self.name


def order_number() -> str:
    """Return a number short enough to read out, without a counter that two checkouts would have to share."""
    letters = "".join(secrets.choice("23456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(6))
    return f"{timezone.localdate():%y%m%d}-{letters}"


class Order(models.Model):
    class Status(models.TextChoices):
        OPEN = "open", "Awaiting payment"
        PAID = "paid", "Paid"
        SHIPPED = "shipped", "Shipped"
        CANCELLED = "cancelled", "Cancelled"

    class Delivery(models.TextChoices):
        STANDARD = "Standard delivery", "Standard delivery"
        EXPRESS = "Express delivery", "Express delivery"
        SERVICE_POINT = "Service point", "Service point"

    # Also the address of its page, so it must not be guessable.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(max_length=20, unique=True, default=order_number)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="orders")
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PAID)
    delivery = models.CharField(max_length=40, choices=Delivery.choices, default=Delivery.STANDARD)
    # Destination instead of the address, as ``ServicePoint.to_json()`` writes it.
    service_point = models.JSONField(null=True, blank=True)
    currency = models.CharField(max_length=3, default="EUR")
    street = models.CharField(max_length=200)
    house_number = models.CharField(max_length=20, blank=True)
    address_2 = models.CharField("apartment, suite", max_length=200, blank=True)
    postal_code = models.CharField(max_length=20)
    city = models.CharField(max_length=100)
    state = models.CharField(max_length=10, blank=True)
    country = models.CharField(max_length=2, default="NL")
    placed_at = models.DateTimeField(auto_now_add=True)
    modified_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-placed_at"]

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        return reverse("shop:order", args=[self.pk])

    @property
    def total(self) -> Decimal:
        return sum((line.total for line in self.lines.all()), Decimal("0.00"))


class OrderLine(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField(default=1)
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        # Always the same, so that an order that has not changed looks the same.
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.product}"

    @property
    def total(self) -> Decimal:
        return self.quantity * self.unit_price
