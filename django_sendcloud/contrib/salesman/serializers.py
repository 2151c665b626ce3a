"""Salesman's serializer of an order, with its tracking.

Salesman decides who reads an order in its REST API: its buyer, a guest with its token, the staff.
"""

from __future__ import annotations

from salesman.orders.serializers import OrderSerializer as SalesmanOrderSerializer

from .tracking import TrackingField

__all__ = ["OrderSerializer"]


class OrderSerializer(SalesmanOrderSerializer):
    """Salesman's order with a field ``tracking``.

    ::

        SALESMAN_ORDER_SERIALIZER = "django_sendcloud.contrib.salesman.serializers.OrderSerializer"
    """

    tracking = TrackingField()

    class Meta(SalesmanOrderSerializer.Meta):
        fields = [*SalesmanOrderSerializer.Meta.fields, "tracking"]
        read_only_fields = fields
