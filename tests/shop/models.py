"""A shop with the shapes that trip integrations up: UUID keys, a proxy, a multi-table child, many-to-many."""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
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


class OwnKeyOrder(Order):
    """A child whose key is not its parent's."""

    code = models.CharField(max_length=20, primary_key=True)


class Stamp(models.Model):
    """A second parent of orders, with keys of its own."""

    stamp = models.BigAutoField(primary_key=True)
    note = models.CharField(max_length=20, default="")


class StampedOrder(Order, Stamp):
    pass


class VipCustomer(Customer):
    level = models.IntegerField(default=1)


class OwnKeyCustomer(Customer):
    code = models.CharField(max_length=20, primary_key=True)


class Ticket(models.Model):
    title = models.CharField(max_length=20)


class TicketOrder(models.Model):
    """An order whose key is another row's."""

    ticket = models.OneToOneField(Ticket, on_delete=models.CASCADE, primary_key=True, related_name="order")


class NumberedItem(models.Model):
    """A row with a key of two fields."""

    pk = models.CompositePrimaryKey("package_id", "position")
    package = models.ForeignKey(Package, on_delete=models.CASCADE)
    position = models.IntegerField()


class Shelf(models.Model):
    """A row between packages and orders, with a relation that packages see from the other end."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, null=True, related_name="shelves")
    packages = models.ManyToManyField(Package, related_name="shelves")


class Gift(models.Model):
    """A row connected with orders by rows that the shop saves itself."""

    orders = models.ManyToManyField(Order, through="Present", related_name="gifts")


class Present(models.Model):
    gift = models.ForeignKey(Gift, on_delete=models.CASCADE)
    order = models.ForeignKey(Order, on_delete=models.CASCADE)


class Remark(models.Model):
    """A row that belongs to a row of any model."""

    # The tables of this app are made before those of apps with migrations.
    content_type = models.ForeignKey("contenttypes.ContentType", on_delete=models.CASCADE, db_constraint=False)
    object_id = models.CharField(max_length=50)
    content_object = GenericForeignKey()


class RemarkedOrder(models.Model):
    remarks = GenericRelation(Remark, related_query_name="order")
