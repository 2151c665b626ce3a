"""An endpoint for the shop's customers: where the parcels of an order are. Built on, never open by itself."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from .shipping import order_shipping

__all__ = ["OrderTrackingView", "ParcelTrackingSerializer"]


class TrackingStepSerializer(serializers.Serializer[Any]):
    """One step of a parcel's journey."""

    at = serializers.DateTimeField()
    phase = serializers.CharField()
    phase_label = serializers.CharField(help_text="In the language of the request.")
    message = serializers.CharField(help_text="The status in Sendcloud's words, in English.")


class ParcelTrackingSerializer(serializers.Serializer[Any]):
    """A parcel, as its receiver may see it: no name, no address, no label, no id that can be counted up."""

    carrier = serializers.CharField()
    tracking_number = serializers.CharField()
    tracking_url = serializers.CharField()
    phase = serializers.CharField()
    phase_label = serializers.CharField(help_text="In the language of the request.")
    is_return = serializers.BooleanField()
    timeline = TrackingStepSerializer(many=True)


class OrderTrackingView(GenericAPIView[Any]):
    """``GET``: the parcels and returns of one order. Subclass it, and say who may see what::

        class Tracking(OrderTrackingView):
            queryset = Order.objects.all()
            permission_classes = [IsAuthenticated]

            def may_see(self, request, order):
                return order.customer.user_id == request.user.pk

        path("api/orders/<uuid:pk>/tracking/", Tracking.as_view())

    ``lookup_field`` and ``lookup_url_kwarg`` work as in any of REST framework's generic views. An order that
    somebody may not see answers as one that does not exist.
    """

    queryset: QuerySet[Model] | None
    serializer_class = ParcelTrackingSerializer

    def may_see(self, request: Request, order: Model) -> bool:
        """Whether whoever asks may see this order. Nobody may, until a subclass says otherwise."""
        return False

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The parcels of the order in the address."""
        order = self.get_object()
        if not self.may_see(request, order):
            raise Http404
        shipping = order_shipping(order)
        return Response(
            {
                "parcels": self.get_serializer(shipping.parcels, many=True).data,
                "returns": self.get_serializer(shipping.returns, many=True).data,
            }
        )
