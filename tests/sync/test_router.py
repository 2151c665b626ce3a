"""This app's tables in another database than the default one, by its own router."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections, router
from django.test.utils import CaptureQueriesContext

from django_sendcloud.models import Account, Change, Integration, OutboxEntry, Shipment
from django_sendcloud.routers import SendcloudRouter
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.shop.models import Order

OURS = [Account, Change, Integration, OutboxEntry, Shipment]
THEIRS = [Order, User]


@pytest.fixture
def routed(settings: Any) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "DATABASE": "elsewhere"}
    settings.DATABASE_ROUTERS = ["django_sendcloud.routers.SendcloudRouter"]


def test_router_routes_only_our_models(routed: None) -> None:
    for model in OURS:
        assert (router.db_for_read(model), router.db_for_write(model)) == ("elsewhere", "elsewhere"), model
    for model in THEIRS:
        assert (router.db_for_read(model), router.db_for_write(model)) == ("default", "default"), model


def test_our_tables_are_migrated_only_there(routed: None) -> None:
    for model in OURS:
        assert router.allow_migrate_model("elsewhere", model), model
        assert not router.allow_migrate_model("default", model), model


def test_router_leaves_other_models_alone() -> None:
    """The shop's own routers decide about its models."""
    ours = SendcloudRouter()
    for model in THEIRS:
        assert ours.db_for_read(model) is ours.db_for_write(model) is None
        for alias in ("default", "elsewhere"):
            assert ours.allow_migrate(alias, model._meta.app_label) is None


def test_missing_setting_routes_to_default_database(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["django_sendcloud.routers.SendcloudRouter"]
    for model in OURS:
        assert router.db_for_write(model) == "default"
        assert router.allow_migrate_model("default", model)
        assert not router.allow_migrate_model("elsewhere", model)


def test_invalid_setting_does_not_break_routing(settings: Any, routed: None) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "DEBOUNCE_SECONDS": "soon"}
    assert router.db_for_read(OutboxEntry) == "elsewhere"


@pytest.mark.django_db(transaction=True, databases=["default", "elsewhere"])
@pytest.mark.long
def test_routed_order_is_pushed(routed: None, sandbox: Any, sendcloud_settings: Any) -> None:
    with CaptureQueriesContext(connections["default"]) as here:
        integration = factories.integration(sandbox)
        assert (integration._state.db, integration.account._state.db) == ("elsewhere", "elsewhere")
        order = factories.order()
        assert Change.objects.using("elsewhere").exists()
        factories.outbox()
        push_due()
    assert sandbox.shipment(str(order.pk))
    assert Shipment.objects.get()._state.db == "elsewhere"
    assert not [query["sql"] for query in here if "django_sendcloud" in query["sql"]]
