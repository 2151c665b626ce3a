"""What customers may ask for: their own orders' parcels, and nothing that is not theirs to know."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.urls import path
from rest_framework.permissions import BasePermission

from django_sendcloud.rest import OrderTrackingView
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.shop.models import Order
from tests.test_shipping import parcel


class Closed(OrderTrackingView):
    queryset = Order.objects.all()


class Own(OrderTrackingView):
    queryset = Order.objects.select_related("customer")

    def may_see(self, request: Any, order: Order) -> bool:
        return bool(order.customer.email == request.headers.get("X-Email"))


class Never(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return False


class Forbidden(Own):
    permission_classes = [Never]


urlpatterns = [
    path("closed/<uuid:pk>/", Closed.as_view()),
    path("own/<uuid:pk>/", Own.as_view()),
    path("forbidden/<uuid:pk>/", Forbidden.as_view()),
]
HEADERS = {"X-Email": "jane@example.com"}


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def order(integration: Any) -> Order:
    order = factories.order()
    pump()
    parcel(order, labels={"a6": "https://panel.example/label"})
    parcel(order, is_return=True)
    return order


def test_the_parcels_of_ones_own_order(client: Any, order: Order) -> None:
    answer = client.get(f"/own/{order.pk}/", headers=HEADERS)
    assert answer.status_code == 200
    content = answer.json()
    (shown,) = content["parcels"]
    assert set(shown) == {
        "carrier", "tracking_number", "tracking_url", "phase", "phase_label", "is_return", "timeline",
    }  # fmt: skip
    assert shown["tracking_number"] == "3SABC1"
    assert set(shown["timeline"][0]) == {"at", "phase", "phase_label", "message"}
    assert [p["tracking_number"] for p in content["returns"]] == ["3SABC2"]


def test_nothing_that_is_nobodys_business(client: Any, order: Order) -> None:
    text = json.dumps(client.get(f"/own/{order.pk}/", headers=HEADERS).json())
    for hidden in ("labels", "panel.example", order.customer.name, order.customer.email, order.address, "remote_id"):
        assert hidden not in text


def test_nobody_may_see_anything_until_the_shop_says_so(client: Any, order: Order) -> None:
    assert client.get(f"/closed/{order.pk}/", headers=HEADERS).status_code == 404


def test_anothers_order_answers_as_one_that_does_not_exist(client: Any, order: Order) -> None:
    another = client.get(f"/own/{order.pk}/", headers={"X-Email": "joe@example.com"})
    missing = client.get(f"/own/{uuid.uuid4()}/", headers=HEADERS)
    assert another.status_code == missing.status_code == 404
    assert set(another.json()) == set(missing.json())


def test_permissions_of_rest_framework_count_too(client: Any, order: Order) -> None:
    assert client.get(f"/forbidden/{order.pk}/", headers=HEADERS).status_code == 403


def test_it_only_reads(client: Any, order: Order) -> None:
    for method in ("post", "put", "patch", "delete"):
        assert getattr(client, method)(f"/own/{order.pk}/", headers=HEADERS).status_code == 405


def test_in_the_language_of_the_request(client: Any, order: Order) -> None:
    answer = client.get(f"/own/{order.pk}/", headers={**HEADERS, "Accept-Language": "en"})
    assert answer.json()["parcels"][0]["phase_label"] == "on its way"
