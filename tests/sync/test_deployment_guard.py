"""Copies of the shop's database: they send nothing until a person says which of the two ships (F41)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import dj_database_url
import pymysql
import pytest
from django.core.management import call_command
from django.db.utils import ConnectionHandler

from django_sendcloud import jobs
from django_sendcloud.conf import conf
from django_sendcloud.core import deployment
from django_sendcloud.core.deployment import current_deployment, deployment_differences
from django_sendcloud.models import Integration, PauseReason
from django_sendcloud.sync.worker import push_due
from tests import factories, services

pytestmark = pytest.mark.django_db


@pytest.fixture
def copied(integration: Integration, sendcloud_settings: Any) -> Integration:
    """Connect at https://shop.example, then start as https://staging.example."""
    sendcloud_settings(WEBHOOK_BASE_URL="https://shop.example")
    Integration.objects.update(deployment=current_deployment())
    sendcloud_settings(WEBHOOK_BASE_URL="https://staging.example")
    return integration


def reason() -> str:
    return Integration.objects.get().paused_reason


def test_f41_copy_sends_nothing_until_resumed(copied: Integration, sandbox: Any) -> None:
    order = factories.order()
    push_due()
    assert not sandbox.requests
    assert reason() == PauseReason.COPY
    assert "https://shop.example there, https://staging.example here" in Integration.objects.get().paused_detail
    assert factories.outbox().get().order_pk == str(order.pk), "the change is kept"
    Integration.objects.get().resume()
    push_due()
    assert sandbox.shipment(str(order.pk)) is not None
    assert reason() == ""


@pytest.mark.parametrize("job", ["poll", "reconcile", "push", "sweep", "probe"])
def test_f41_job_of_copy_makes_no_request(copied: Integration, sandbox: Any, job: str) -> None:
    factories.order()
    getattr(jobs, job)()
    assert not sandbox.requests


def test_f41_other_database_counts_as_copy(integration: Integration, sandbox: Any) -> None:
    Integration.objects.update(deployment={"database": "postgresql://db.internal/shop"})
    factories.order()
    push_due()
    assert not sandbox.requests
    assert reason() == PauseReason.COPY


def test_f41_probe_never_resumes_a_copy(copied: Integration, sandbox: Any, later: Callable[[float], None]) -> None:
    factories.order()
    push_due()
    later(conf().PROBE_SECONDS * 1000)
    jobs.probe()
    assert reason() == PauseReason.COPY
    assert not sandbox.requests


def test_f41_person_paused_copy_is_stopped_again(copied: Integration, sandbox: Any) -> None:
    Integration.objects.get().pause(PauseReason.PERSON)
    Integration.objects.get().resume()
    factories.order()
    push_due()
    assert reason() == PauseReason.COPY
    assert not sandbox.requests


def test_connecting_again_makes_this_the_site(
    copied: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.order()
    push_due()
    monkeypatch.setenv("SENDCLOUD_PUBLIC_KEY", sandbox.public_key)
    monkeypatch.setenv("SENDCLOUD_SECRET_KEY", sandbox.secret_key)
    call_command("sendcloud_connect", "--no-webhook", verbosity=0)
    push_due()
    assert sandbox.shipments()


def test_process_without_address_is_the_same_site(sendcloud_settings: Any, integration: Integration) -> None:
    sendcloud_settings(WEBHOOK_BASE_URL="https://shop.example")
    with_address = current_deployment()
    sendcloud_settings(WEBHOOK_BASE_URL="")
    assert deployment_differences(with_address) == {}
    sendcloud_settings(WEBHOOK_BASE_URL="https://SHOP.example/")
    assert deployment_differences(with_address) == {}


def test_named_site_survives_a_moved_database(sendcloud_settings: Any, integration: Integration, sandbox: Any) -> None:
    sendcloud_settings(DEPLOYMENT="production", WEBHOOK_BASE_URL="https://shop.example")
    Integration.objects.update(deployment=current_deployment())
    sendcloud_settings(DEPLOYMENT="production", WEBHOOK_BASE_URL="https://new.example")
    factories.order()
    push_due()
    assert sandbox.shipments()
    sendcloud_settings(DEPLOYMENT="staging")
    factories.order()
    push_due()
    assert len(sandbox.shipments()) == 1


def test_fingerprint_holds_no_password(db: None) -> None:
    assert "password" not in str(current_deployment())
    assert set(current_deployment()) <= {"database", "address", "server"}


@pytest.mark.services("postgresql", "mariadb")
@pytest.mark.parametrize(("service", "identity"), [("postgresql", r"\d+"), ("mariadb", r"\S{20,}")])
def test_local_server_is_part_of_fingerprint(monkeypatch: pytest.MonkeyPatch, service: str, identity: str) -> None:
    """Two machines have the same address of a local database, and servers of their own."""
    pymysql.install_as_MySQLdb()
    address = dj_database_url.parse(services.URLS[service])
    handler = ConnectionHandler({"default": address})
    monkeypatch.setattr(deployment, "connections", handler)
    monkeypatch.setattr(deployment, "_identity", functools.cache(deployment._identity.__wrapped__))
    try:
        assert re.fullmatch(identity, deployment.current_deployment().get("server", ""))
        handler["default"].settings_dict["HOST"] = "db.example"
        assert "server" not in deployment.current_deployment(), "the host's name is enough"
    finally:
        handler["default"].close()
