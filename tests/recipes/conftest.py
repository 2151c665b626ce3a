from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_sendcloud import unregister
from django_sendcloud.testing import sendcloud as sendcloud  # a fixture
from django_sendcloud.testing import sendcloud_integration as sendcloud_integration  # a fixture

from .models import Line, Order, Product


@pytest.fixture
def recipe(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Register the adapter of the recipe that the test module names."""
    name = f"tests.recipes.{request.module.RECIPE}"
    sys.modules.pop(name, None)
    module = importlib.import_module(name)
    yield module
    unregister(Order)


@pytest.fixture
def place(db: None, recipe: Any) -> Callable[..., Order]:
    """Place an order with a line for each SKU: a product's fields, and ``quantity``."""

    def order(**lines: dict[str, Any]) -> Order:
        placed = Order.objects.create(number=f"R-{Order.objects.count() + 1}")
        for sku, values in lines.items():
            quantity = values.pop("quantity", 1)
            product = Product.objects.create(name=sku.title(), sku=sku, **values)
            Line.objects.create(order=placed, product=product, quantity=quantity)
        return placed

    return order
