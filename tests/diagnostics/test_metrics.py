"""Metrics: figures in Prometheus' format, for those with the token or the permission."""

from __future__ import annotations

import sys
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from prometheus_client.parser import text_string_to_metric_families

from django_sendcloud.models import Integration, OutboxEntry
from django_sendcloud.sync.health import mark_sweep

pytestmark = pytest.mark.django_db


def read(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def get(integration: Integration, sendcloud_settings: Any, client: Client) -> Any:
    sendcloud_settings(METRICS_TOKEN="a-token")

    def get_(token: str = "a-token") -> Any:
        return client.get(reverse("django_sendcloud:metrics"), headers={"Authorization": f"Bearer {token}"})

    return get_


def test_metrics_count_orders_by_state(get: Any, integration: Integration) -> None:
    for state in ("pending", "rejected", "rejected", "dead"):
        OutboxEntry.objects.create(
            integration=integration, order_type="shop.order", order_pk=uuid.uuid4().hex, state=state
        )
    mark_sweep()
    response = get()
    assert response["Content-Type"].startswith("text/plain")
    found, name = read(response.content.decode()), str(integration.remote_id)
    assert found["sendcloud_orders", name, "due"] == 1
    assert found["sendcloud_orders", name, "rejected"] == 2
    assert found["sendcloud_orders", name, "dead"] == 1
    assert found["sendcloud_health", name, "attention"] == 1
    assert found["sendcloud_sweep_age_seconds",] < 60
    assert found["sendcloud_requests_left", str(integration.account_id), "unsafe"] > 0


@pytest.mark.parametrize("token", ["", "another", "a-token-", "é"])
def test_wrong_token_reads_nothing(get: Any, token: str) -> None:
    response = get(token)
    assert response.status_code == 401
    assert b"sendcloud_orders" not in response.content


def test_empty_token_opens_nothing(get: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(METRICS_TOKEN="")
    assert get("").status_code == 401


def test_operator_reads_metrics_with_log_in(integration: Integration, log_in: Any) -> None:
    url = reverse("django_sendcloud:metrics")
    assert log_in("viewer").get(url).status_code == 200
    assert log_in("staff").get(url).status_code == 401


def test_metrics_take_few_statements(get: Any, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(5):
        assert get().status_code == 200


def test_missing_package_is_named(get: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    response = get()
    assert response.status_code == 501
    assert b"django-sendcloud[metrics]" in response.content


def test_metrics_accept_no_post(get: Any, client: Client) -> None:
    assert client.post(reverse("django_sendcloud:metrics")).status_code == 405
