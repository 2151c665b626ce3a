"""The field that tracks an order in a REST API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ...storefront.tracking import order_shipping
from ...storefront.views import ParcelTrackingSerializer

__all__ = ["TrackingField"]


class TrackingField(serializers.Field):  # type: ignore[type-arg]
    """The parcels and returns of an order, as its buyer may see them. Left out of lists, which would ask for each."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"source": "*", "read_only": True, **kwargs})

    def get_attribute(self, instance: Any) -> Any:
        if isinstance(self.root, serializers.ListSerializer):
            raise serializers.SkipField
        return super().get_attribute(instance)

    def to_representation(self, value: Any) -> dict[str, Any]:
        shipping = order_shipping(value)
        return {
            "parcels": ParcelTrackingSerializer(shipping.parcels, many=True).data,
            "returns": ParcelTrackingSerializer(shipping.returns, many=True).data,
        }
