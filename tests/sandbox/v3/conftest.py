"""A shop that speaks v3, and orders for it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from django_sendcloud.sandbox import Sandbox

_ORDER: dict[str, Any] = {
    "order_id": "1042",
    "order_number": "A-1042",
    "order_details": {
        "integration": {"id": 1001},
        "status": {"code": "open", "message": "Open"},
        "order_created_at": "2026-03-01T10:30:00+01:00",
        "order_updated_at": "2026-03-02T10:00:00Z",
        "order_items": [
            {
                "item_id": "L1",
                "name": "Mug",
                "quantity": 2,
                "unit_price": {"value": 12.99, "currency": "EUR"},
                "total_price": {"value": 25.98, "currency": "EUR"},
                "measurement": {"weight": {"value": 350, "unit": "g"}},
                "sku": "MUG-RED",
            },
            {"item_id": "L2", "name": "Cup", "quantity": 1, "total_price": {"value": 4, "currency": "EUR"}},
        ],
    },
    "payment_details": {
        "total_price": {"value": 29.98, "currency": "EUR"},
        "status": {"code": "paid"},
        "discount_granted": {"value": "1.50", "currency": "EUR"},
    },
    "shipping_address": {
        "name": "Ada Example",
        "address_line_1": "Stationsplein",
        "house_number": "1",
        "postal_code": "2611 AA",
        "city": "Delft",
        "country_code": "NL",
        "email": "ada@shop.example",
    },
}


def order(order_id: str = "1042", **changes: Any) -> dict[str, Any]:
    """Return an order as a shop sends it. Names of changes are paths with two underscores between their parts."""
    made = copy.deepcopy(_ORDER) | {"order_id": order_id}
    for path, value in changes.items():
        *parents, name = path.split("__")
        place = made
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return made


class Shop:
    """Sends v3 requests to a sandbox with the keys of its first integration."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (sandbox.public_key, sandbox.secret_key)

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Send a request."""
        return self.session.request(method, f"{self.sandbox.v3_url}{path}", json=body, timeout=10, **options)

    def upsert(self, *orders: Any) -> list[dict[str, Any]]:
        """Send a batch that is accepted, and return its results."""
        response = self.ask("POST", "/orders", list(orders))
        assert response.status_code == 201, response.text
        return response.json()["data"]

    def found(self, **query: Any) -> list[dict[str, Any]]:
        """Return the orders of a list."""
        response = self.ask("GET", "/orders", params=query)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def ids(self, **query: Any) -> list[str]:
        """Return the shop's ids of the orders of a list."""
        return [found["order_id"] for found in self.found(**query)]

    def errors(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> list[dict[str, Any]]:
        """Send a request that is refused, and return the errors."""
        response = self.ask(method, path, body, **options)
        assert response.status_code == status, response.text
        return response.json()["errors"]


@pytest.fixture
def shop(sandbox: Sandbox) -> Iterator[Shop]:
    """Return a shop that speaks v3."""
    shop = Shop(sandbox)
    yield shop
    shop.session.close()
