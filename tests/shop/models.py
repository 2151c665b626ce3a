"""A shop with the shapes that trip integrations up: UUID keys, a proxy, a multi-table child, many-to-many."""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.conf import settings
from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=200)
    email = models.CharField(max_length=200, blank=True)


class Tag(models.Model):
    name = models.CharField(max_length=50)


class Order(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(max_length=50)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="orders")
    status = models.CharField(max_length=20, default="paid")
    address = models.TextField(default="Stadhuisplein 10")
    postal_code = models.CharField(max_length=20, default="5611 EM")
    city = models.CharField(max_length=100, default="Eindhoven")
    country = models.CharField(max_length=2, default="NL")
    shipments = models.PositiveIntegerField(default=1)
    integration = models.PositiveIntegerField(null=True, blank=True)
    tags = models.ManyToManyField(Tag, blank=True, related_name="orders")
    created = models.DateTimeField(auto_now_add=True)
    modified = models.DateTimeField(auto_now=True)


class OrderProxy(Order):
    class Meta:
        proxy = True


class WholesaleOrder(Order):
    company = models.CharField(max_length=100, blank=True)


class OrderLine(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    sku = models.CharField(max_length=50, default="SKU-1")
    description = models.CharField(max_length=500, default="Mug")
    quantity = models.PositiveIntegerField(default=1)
    price = models.DecimalField(max_digits=40, decimal_places=2, default=Decimal("9.95"))
    weight = models.DecimalField(max_digits=40, decimal_places=3, default=Decimal("0.250"))


class Unrelated(models.Model):
    """A model no adapter names: its saves and deletes must cost nothing extra."""

    name = models.CharField(max_length=50)


class Bundle(models.Model):
    """Orders that are sent together: a relation that the other model has."""

    name = models.CharField(max_length=50, default="Friday")
    orders = models.ManyToManyField(Order, blank=True, related_name="bundles")


# A collation that ignores case, as MySQL's and MariaDB's do; PostgreSQL has none of its own.
ANY_CASE = "NOCASE" if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3") else None


class CodedOrder(models.Model):
    """An order whose key is text, compared by the database's collation."""

    code = models.CharField(max_length=20, primary_key=True, db_collation=ANY_CASE)
    number = models.CharField(max_length=50, unique=True)
    created = models.DateTimeField(auto_now_add=True)


class CodedLine(models.Model):
    order = models.ForeignKey(CodedOrder, on_delete=models.CASCADE, related_name="lines")
    sku = models.CharField(max_length=50, default="SKU-1")


class CodedNote(models.Model):
    """A row that names its order by another field than the key."""

    order = models.ForeignKey(CodedOrder, on_delete=models.CASCADE, to_field="number", null=True, related_name="notes")


class DecimalOrder(models.Model):
    id = models.DecimalField(max_digits=10, decimal_places=2, primary_key=True)
    number = models.CharField(max_length=50)
    created = models.DateTimeField(auto_now_add=True)


class Package(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, null=True, related_name="packages")


class Item(models.Model):
    """A row two steps away from its order."""

    package = models.ForeignKey(Package, on_delete=models.CASCADE, null=True, related_name="items")
    name = models.CharField(max_length=50, default="Mug")
