"""The example shop's addresses, and a checkout that an order's id can be chosen for."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from shop.models import Customer, Order, Product

CUSTOMER = 1_000_000


class CheckoutError(Exception):
    """The shop's own code fails at the end of a checkout."""


@csrf_exempt
@require_POST
def checkout(request: HttpRequest, pk: uuid.UUID, fate: str) -> HttpResponse:
    """Place an order in the request's own transaction, and fail after it if that is its fate.

    What it reads comes from the primary database: the replica is empty.
    """
    order = Order.objects.create(
        pk=pk, number=f"B-{pk.hex[:12]}", customer=Customer.objects.using("default").get(pk=CUSTOMER), street="Stadhuisplein",
        house_number="10", postal_code="5611 EM", city="Eindhoven",
    )  # fmt: skip
    order.lines.create(product=Product.objects.using("default").earliest("pk"), quantity=2, unit_price="5.00")
    if fate == "fails":
        raise CheckoutError
    return HttpResponse(status=201)


urlpatterns = [
    path("checkout/<uuid:pk>/<slug:fate>/", checkout),
    path("", include("example.urls")),
]
