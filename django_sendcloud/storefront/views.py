"""Endpoint for buyers: the parcels of an order. A base class, closed until the shop opens it."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from .tracking import order_shipping

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


class ServicePointSerializer(serializers.Serializer[Any]):
    """The place where the buyer fetches the parcels. The buyer's own number there is left out."""

    name = serializers.CharField()
    street = serializers.CharField()
    house_number = serializers.CharField()
    postal_code = serializers.CharField()
    city = serializers.CharField()
    country = serializers.CharField()


class OrderTrackingView(GenericAPIView[Any]):
    """``GET``: the parcels, the returns and the service point of one order. Subclass it, and say who may see what::

        class Tracking(OrderTrackingView):
            queryset = Order.objects.all()
            permission_classes = [IsAuthenticated]

            def may_see(self, request, order):
                return order.customer.user_id == request.user.pk

        path("api/orders/<uuid:pk>/tracking/", Tracking.as_view())

    ``lookup_field`` and ``lookup_url_kwarg`` work as in any of REST framework's generic views. An order that the
    user may not see answers as one that does not exist.
    """

    queryset: QuerySet[Model] | None
    serializer_class = ParcelTrackingSerializer

    def may_see(self, request: Request, order: Model) -> bool:
        """Return whether the requesting user may see this order. A subclass decides; the default is no."""
        return False

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return the parcels of the order in the address, and where they are fetched."""
        order = self.get_object()
        if not self.may_see(request, order):
            raise Http404
        shipping = order_shipping(order)
        point = shipping.service_point
        return Response(
            {
                "parcels": self.get_serializer(shipping.parcels, many=True).data,
                "returns": self.get_serializer(shipping.returns, many=True).data,
                "service_point": ServicePointSerializer(point).data if point else None,
            }
        )
