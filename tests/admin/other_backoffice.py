"""Back office that is not Django's admin: a page of the shop's own for each order."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path

from tests.shop.models import Order


def order_page(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return render(request, "tests/other_backoffice.html", {"order": get_object_or_404(Order, pk=pk)})


urlpatterns: list[Any] = [path("orders/<uuid:pk>/", order_page, name="other_backoffice_order")]
