"""A storefront, and the page of an order."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from django_sendcloud import order_shipping

from .forms import CheckoutForm
from .models import Order, Product


def storefront(request: HttpRequest) -> HttpResponse:
    form = CheckoutForm(request.POST or None, products=list(Product.objects.all()))
    if request.method == "POST" and form.is_valid():
        return redirect(form.place())
    return render(request, "shop/storefront.html", {"form": form}, status=200 if not form.errors else 422)


def order(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    placed = get_object_or_404(Order.objects.select_related("customer").prefetch_related("lines__product"), pk=pk)
    return render(request, "shop/order.html", {"order": placed, "shipping": order_shipping(placed)})


@require_POST
def cancel(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Cancel the order: possible until a parcel is on its way."""
    placed = get_object_or_404(Order, pk=pk)
    if not order_shipping(placed).parcels:
        placed.status = Order.Status.CANCELLED
        placed.save()
    return redirect(placed)
