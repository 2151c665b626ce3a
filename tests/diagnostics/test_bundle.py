"""Support bundle: useful, and without any planted secret or personal data."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import django
import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.urls import reverse

from django_sendcloud.core.clock import clock
from django_sendcloud.diagnostics.bundle import support_bundle
from django_sendcloud.models import Integration, OutboxEntry, Parcel, Shipment, WebhookEvent
from django_sendcloud.sync.problems import Problem, columns_of
from django_sendcloud.violations import Violation
from tests import factories

pytestmark = pytest.mark.django_db

CANARY = "canary"


@pytest.fixture
def planted(integration: Integration, sendcloud_settings: Any, settings: Any) -> list[str]:
    """Put secrets and personal data wherever a text can be, and return them."""
    key = Fernet.generate_key().decode()
    settings.SECRET_KEY = "canary-secret-key"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"OPTIONS": {"password": "canary-mail"}}}
    else:
        settings.EMAIL_HOST_PASSWORD = "canary-mail"
    sendcloud_settings(
        ENCRYPTION_KEYS=[key],
        PROXY_URL="",
        PARTNER_ID="canary-partner",
        DEPLOYMENT="",
        METRICS_TOKEN="canary-token",
        WEBHOOK_BASE_URL="https://canary.example",
        ALERTS={"recipients": ["canary@alerts.example"]},
    )
    integration.public_key, integration.name = "canary-public", "Canary shop"
    integration.replace_secret_key("canary-secret")
    integration.for_sites, integration.shop_url = ["canary-site"], "https://canary.example"
    integration.paused_detail = "canary-detail"
    integration.save()
    order = factories.order(number="CANARY-1042", customer=factories.customer(name="Canary", email="canary@x.example"))
    factories.clear_outbox()
    wrong: dict[str, list[object]] = {
        "country": [Violation("country_unknown", {"value": "canary"})],
        "canary street 1": [Violation("canary code!")],
        "name": ["Canary"],
    }
    for first in [*wrong][:2]:
        OutboxEntry.objects.create(
            integration=integration,
            order_type="shop.order",
            order_pk=f"{order.pk}{first}",
            order_number="CANARY-1042",
            state="rejected",
            **columns_of(Problem("payload_invalid", "canary@x.example", {first: wrong[first], **wrong})),
        )
    Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk="1", order_number="CANARY-1", external_order_id="c"
    )
    Parcel.objects.create(integration=integration, remote_id=1, tracking_number="CANARY123")
    WebhookEvent.objects.create(
        integration=integration, digest="x", state="failed", body='{"name": "canary"}', received_at=clock.now()
    )
    return [key, CANARY, str(order.pk), settings.SECRET_KEY]


def read(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_bundle_holds_no_planted_value(planted: list[str]) -> None:
    files = read(support_bundle())
    whole = "\n".join(files.values()).lower()
    for secret in planted:
        assert secret.lower() not in whole
    assert "127.0.0.1" not in whole


def test_bundle_names_what_support_needs(planted: list[str], integration: Integration) -> None:
    files = {name: json.loads(text) for name, text in read(support_bundle()).items() if name.endswith(".json")}
    assert files["figures.json"]["integrations"][0]["id"] == integration.remote_id
    assert files["figures.json"]["integrations"][0]["orders"]["rejected"] == 2
    problem = {"state": "rejected", "code": "payload_invalid", "number": 1}
    assert files["problems.json"] == [
        {**problem, "field": "?", "rule": "?"},
        {**problem, "field": "country", "rule": "country_unknown"},
    ]
    assert files["settings.json"]["ENCRYPTION_KEYS"] == 1
    assert files["settings.json"]["METRICS_TOKEN"] == "set"
    assert files["settings.json"]["BATCH_SIZE"] == 100
    assert files["versions.json"]["celery"]
    assert files["project.json"]["adapters"][0]["model"] == "shop.Order"
    assert {row["check"] for row in files["doctor.json"]} >= {"keys", "webhook", "broker"}


def test_bundle_of_broken_settings_holds_no_value(planted: list[str], settings: Any) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "BASE_URL": 3, "canary": "canary"}
    assert CANARY not in "\n".join(read(support_bundle()).values()).lower()


def test_command_writes_the_bundle(planted: list[str], tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    with pytest.raises(SystemExit):
        call_command("sendcloud_doctor", "--bundle", str(path), stdout=io.StringIO())
    assert "doctor.json" in read(path.read_bytes())


def test_page_hands_out_the_bundle(planted: list[str], log_in: Any) -> None:
    url = reverse("admin:django_sendcloud_overview_doctor")
    response = log_in("operator").post(url, {"bundle": "1"})
    assert response["Content-Type"] == "application/zip"
    assert CANARY not in "\n".join(read(response.content).values()).lower()
    assert log_in("viewer").post(url, {"bundle": "1"}).status_code == 403
