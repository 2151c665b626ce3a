"""View for buyers: the parcels of their own orders, and nothing else."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.urls import path
from rest_framework.permissions import BasePermission

from django_sendcloud.storefront.views import OrderTrackingView
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.shop.models import Order
from tests.storefront.test_tracking import parcel


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
    push_due()
    parcel(order, labels={"a6": "https://panel.example/label"})
    parcel(order, is_return=True)
    return order


def test_buyer_sees_parcels_of_own_order(client: Any, order: Order) -> None:
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


def test_answer_holds_no_internal_fields(client: Any, order: Order) -> None:
    text = json.dumps(client.get(f"/own/{order.pk}/", headers=HEADERS).json())
    for hidden in ("labels", "panel.example", order.customer.name, order.customer.email, order.address, "remote_id"):
        assert hidden not in text


def test_view_refuses_all_by_default(client: Any, order: Order) -> None:
    assert client.get(f"/closed/{order.pk}/", headers=HEADERS).status_code == 404


def test_foreign_order_answers_like_missing_one(client: Any, order: Order) -> None:
    another = client.get(f"/own/{order.pk}/", headers={"X-Email": "joe@example.com"})
    missing = client.get(f"/own/{uuid.uuid4()}/", headers=HEADERS)
    assert another.status_code == missing.status_code == 404
    assert set(another.json()) == set(missing.json())


def test_view_respects_rest_framework_permissions(client: Any, order: Order) -> None:
    assert client.get(f"/forbidden/{order.pk}/", headers=HEADERS).status_code == 403


def test_view_is_read_only(client: Any, order: Order) -> None:
    for method in ("post", "put", "patch", "delete"):
        assert getattr(client, method)(f"/own/{order.pk}/", headers=HEADERS).status_code == 405


def test_answer_uses_the_requests_language(client: Any, order: Order) -> None:
    answer = client.get(f"/own/{order.pk}/", headers={**HEADERS, "Accept-Language": "en"})
    assert answer.json()["parcels"][0]["phase_label"] == "On its way"


def test_endpoint_names_service_point(client: Any, order: Order, chosen: dict[str, Any]) -> None:
    answer = client.get(f"/own/{order.pk}/", headers=HEADERS)
    assert answer.json()["service_point"] == {
        "name": "Primera <Centrum>",
        "street": "Markt",
        "house_number": "12",
        "postal_code": "5611 EB",
        "city": "Eindhoven",
        "country": "NL",
    }
