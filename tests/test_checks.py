"""Every check: silent where all is right, and loud, with its cure, where it is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, models
from django.test import override_settings

from django_sendcloud import OrderAdapter, checks
from django_sendcloud.adapters import registry, temporarily_registered
from django_sendcloud.models import Integration
from tests import factories
from tests.celery_app import app as celery
from tests.shop.models import Customer, Order, OrderLine, Unrelated

ROOT = Path(__file__).resolve().parent.parent


def run(check: Any, **kwargs: Any) -> dict[str, django_checks.CheckMessage]:
    found = check(None, **kwargs)
    for message in found:
        assert message.hint.endswith(f" See docs/reference/checks.md#{message.id}."), "the cure, and where more stands"
    return {str(message.id).removeprefix("sendcloud."): message for message in found}


class Whole(OrderAdapter[Order]):
    related = {OrderLine: "order", Customer: "orders"}
    changed_at = "modified"

    def get_shipments(self, order: Order) -> Any:
        return []


def adapter(**changes: Any) -> type[OrderAdapter[Order]]:
    return type("Broken", (Whole,), changes)


# -- all of them --------------------------------------------------------------------------------------


def test_every_check_is_documented_under_the_anchor_its_hint_gives() -> None:
    source = Path(checks.__file__).read_text()
    errors = {f"E{int(number):03}" for number in re.findall(r"_error\(\s*(\d+)", source)}
    warnings = {f"W{int(number):03}" for number in re.findall(r"_warning\(\s*(\d+)", source)}
    documented = re.findall(r'<a id="sendcloud\.(\w+)">', (ROOT / "docs/reference/checks.md").read_text())
    assert set(documented) == errors | warnings
    assert len(documented) == len(set(documented))


def test_a_project_that_is_right_hears_nothing(db: None) -> None:
    for check in (checks.check_settings, checks.check_adapters, checks.check_project):
        assert run(check) == {}


# Django 6.1 checks the models against every database.
@pytest.mark.django_db(databases="__all__")
def test_manage_check_is_silent_for_the_test_project(celery_app: Any) -> None:
    integration()
    assert call_command("check", fail_level="WARNING") is None
    assert call_command("check", fail_level="WARNING", databases=["default"]) is None


def test_they_run_with_manage_check(capsys: pytest.CaptureFixture[str]) -> None:
    with override_settings(SENDCLOUD={"BASE_ULR": "x"}), pytest.raises(SystemCheckError) as caught:
        call_command("check", "--tag", "sendcloud")
    assert "sendcloud.E001" in str(caught.value)
    assert "BASE_URL" in str(caught.value)


# -- settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "code", "says"),
    [
        ({"BASE_ULR": "x"}, "E001", "Did you mean 'BASE_URL'?"),
        ({"BATCH_SIZE": 101}, "E001", "between 1 and 100"),
        ({"DEBOUNCE_SECONDS": "1"}, "E001", "must be a number"),
        ("https://panel.sendcloud.sc", "E001", "must be a dict"),
        ({"LEASE_SECONDS": 20.0, "DEADLINE_SECONDS": 20.0}, "E002", "LEASE_SECONDS"),
        ({"ENCRYPTION_KEYS": ["not-a-fernet-key"]}, "E003", "ENCRYPTION_KEYS"),
        ({"DATABASE": "orders"}, "E004", "'orders'"),
        ({"PARCEL_PHASES": {11: "arrived"}}, "E005", "'arrived'"),
        ({"PARCEL_PHASES": {"11": "delivered"}}, "E005", "'11'"),
    ],
)
def test_settings(settings: Any, setting: Any, code: str, says: str) -> None:
    settings.SENDCLOUD = setting
    message = run(checks.check_settings)[code]
    assert says in f"{message.msg} {message.hint}"
    assert message.hint
    assert "not-a-fernet-key" not in f"{message.msg} {message.hint}"


@pytest.mark.parametrize(("lease", "found"), [(12.9, {"E002"}), (13.0, set()), (8.0, {"E002"})])
def test_a_lease_outlives_a_whole_exchange_by_five_seconds(settings: Any, lease: float, found: set[str]) -> None:
    settings.SENDCLOUD = {"DEADLINE_SECONDS": 8, "LEASE_SECONDS": lease}
    assert set(run(checks.check_settings)) == found


def test_a_lease_that_the_check_allows_is_long_enough_to_send(
    integration: Any, sandbox: Any, sendcloud_settings: Any
) -> None:
    """What it forbids is what the engine would do nothing with."""
    from django_sendcloud.sync.pump import pump

    order = factories.order()
    sendcloud_settings(DEADLINE_SECONDS=8.0, LEASE_SECONDS=8.0 + checks.LEASE_MARGIN)
    pump()
    assert sandbox.shipment(str(order.pk))


def test_another_database_needs_a_router(settings: Any) -> None:
    settings.SENDCLOUD = {"DATABASE": "elsewhere"}
    message = run(checks.check_settings)["E006"]
    assert "'elsewhere'" in message.msg
    assert "'default'" in message.msg
    assert "django_sendcloud.routers.SendcloudRouter" in str(message.hint)
    assert "migrate --database elsewhere" in str(message.hint)
    settings.DATABASE_ROUTERS = ["django_sendcloud.routers.SendcloudRouter"]
    assert run(checks.check_settings) == {}


def test_a_router_that_comes_before_ours_is_found_out(settings: Any) -> None:
    settings.SENDCLOUD = {"DATABASE": "elsewhere"}
    ours, all_here = "django_sendcloud.routers.SendcloudRouter", "tests.test_checks.EverythingToDefault"
    settings.DATABASE_ROUTERS = [all_here, ours]
    assert set(run(checks.check_settings)) == {"E006"}
    settings.DATABASE_ROUTERS = [ours, all_here]
    assert run(checks.check_settings) == {}


def test_a_router_that_takes_our_tables_away_from_the_default_is_found_out(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.test_checks.EverythingElsewhere"]
    assert "'elsewhere'" in run(checks.check_settings)["E006"].msg


class EverythingToDefault:
    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


class EverythingElsewhere:
    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "elsewhere"


@pytest.mark.parametrize(
    "check", [checks.check_adapters, checks.check_project, checks.check_celery, checks.check_sqlite, checks.check_deployment]
)  # fmt: skip
def test_settings_that_cannot_be_read_break_no_other_check(settings: Any, check: Any) -> None:
    settings.SENDCLOUD = {"BASE_ULR": "x"}
    check(None)


def test_times_need_a_zone(settings: Any) -> None:
    assert "E022" not in run(checks.check_project)
    settings.USE_TZ = False
    assert "USE_TZ = True" in str(run(checks.check_project)["E022"].hint)


# -- adapters -----------------------------------------------------------------------------------------


def test_no_adapter() -> None:
    former = registry.remove(Order)
    try:
        assert "sendcloud.py" in str(run(checks.check_adapters)["W010"].hint)
    finally:
        registry.add(Order, former)


@pytest.mark.parametrize(
    ("broken", "code", "says"),
    [
        ({"get_shipments": OrderAdapter.get_shipments}, "E011", "get_shipments"),
        ({"changed_at": "modifed"}, "E012", "Did you mean 'modified'?"),
        ({"changed_at": "number"}, "E012", "no DateTimeField"),
        ({"related": {"shop.Nothing": "order"}}, "E013", "shop.Nothing"),
        ({"related": {"nonsense": "order"}}, "E013", "nonsense"),
        ({"related": {OrderLine: "oder"}}, "E013", "Its relations: order"),
        ({"related": {OrderLine: "sku"}}, "E013", "is no relation"),
        ({"related": {Order: "customer"}}, "E013", "leads to shop.Customer"),
        ({"related": {42: "order"}}, "E013", "which is no model"),
        ({"phase_statuses": {"arrived": "x"}}, "E017", "no phase"),
        ({"phase_statuses": {"delivered": "x"}, "status_field": "state"}, "E017", "'state'"),
        ({"queryset": Unrelated.objects.all()}, "E014", "Order.objects"),
        ({"number_field": "nummer"}, "E018", "Did you mean 'number'?"),
        ({"number_field": "customer"}, "E018", "no field of"),
    ],
)
def test_adapters(broken: dict[str, Any], code: str, says: str) -> None:
    # As Django finds it before any receiver is connected: the adapter stands in the registry, and nothing has used it.
    former = registry._adapters[Order]
    made = adapter(**broken)()
    made.model = Order
    registry._adapters[Order] = made
    try:
        found = run(checks.check_adapters)
    finally:
        registry._adapters[Order] = former
    assert set(found) == {code}
    assert says in f"{found[code].msg} {found[code].hint}"


def test_an_adapter_that_is_right() -> None:
    with temporarily_registered(Whole, Order):
        assert run(checks.check_adapters) == {}


@pytest.mark.skipif(not hasattr(models, "CompositePrimaryKey"), reason="Django has them since 5.2")
def test_a_composite_primary_key() -> None:
    class Pair(models.Model):
        pk = models.CompositePrimaryKey("a", "b")
        a = models.IntegerField()
        b = models.IntegerField()

        class Meta:
            app_label = "shop"

    try:
        made = adapter(related={}, changed_at="")()
        made.model = Pair  # type: ignore[assignment]
        assert "E015" in {str(m.id).removeprefix("sendcloud.") for m in checks._check_adapter(made)}
    finally:
        from django.apps import apps

        del apps.all_models["shop"]["pair"]
        apps.clear_cache()


@pytest.mark.parametrize(("length", "found"), [(255, set()), (256, {"E019"})])
def test_a_primary_key_longer_than_an_entry_can_name(length: int, found: set[str]) -> None:
    from django.apps import apps

    class Verbose(models.Model):
        code = models.CharField(primary_key=True, max_length=length)

        class Meta:
            app_label = "shop"

    try:
        made = adapter(related={}, changed_at="")()
        made.model = Verbose  # type: ignore[assignment]
        messages = {str(m.id).removeprefix("sendcloud."): m for m in checks._check_adapter(made)}
        assert set(messages) == found
        for message in messages.values():
            assert "shop.Verbose" in message.msg
            assert "255" in str(message.hint)
    finally:
        del apps.all_models["shop"]["verbose"]
        apps.clear_cache()


class ToAnotherDatabase:
    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model is Order else None


def test_orders_in_another_database() -> None:
    with override_settings(DATABASE_ROUTERS=["tests.test_checks.ToAnotherDatabase"]):
        found = run(checks.check_adapters)
    assert "'elsewhere'" in found["W016"].msg


# -- the project --------------------------------------------------------------------------------------


def test_rest_framework_is_missing(settings: Any) -> None:
    with override_settings(INSTALLED_APPS=[a for a in settings.INSTALLED_APPS if a != "rest_framework"]):
        assert "W020" in run(checks.check_project)


@override_settings(ROOT_URLCONF="rest_framework.urls")
def test_the_webhooks_urls_are_missing() -> None:
    assert "django_sendcloud.urls" in str(run(checks.check_project)["W021"].hint)


@override_settings(ROOT_URLCONF="nowhere.urls")
def test_urls_that_cannot_be_imported() -> None:
    assert "Correct your URLconf" in str(run(checks.check_project)["W021"].hint)


@pytest.fixture
def celery_app(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The shop's Celery app, to be set up wrongly, and put back."""
    from celery import Celery

    from django_sendcloud.schedule import beat_schedule

    app = Celery("shop", broker="redis://127.0.0.1/0", set_as_current=False)
    app.conf.beat_schedule = beat_schedule()
    monkeypatch.setattr(checks, "celery_app", lambda: app)
    return app


def test_a_celery_app_that_is_right(celery_app: Any) -> None:
    assert run(checks.check_celery) == {}


def test_no_celery_app(celery_app: Any) -> None:
    celery_app.main = "default"
    celery_app.conf.broker_url = None
    assert set(run(checks.check_celery)) == {"W030"}


def test_no_broker(celery_app: Any) -> None:
    celery_app.conf.broker_url = None
    assert set(run(checks.check_celery)) == {"W031"}


def test_a_broker_nobody_else_sees(celery_app: Any, settings: Any) -> None:
    celery_app.conf.broker_url = "memory://"
    settings.DEBUG = False
    assert set(run(checks.check_celery)) == {"W032"}


def test_a_broker_without_its_package(celery_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    celery_app.conf.broker_url = "nonsense://user:canary@broker.example/0"
    (message,) = run(checks.check_celery).values()
    assert message.id == "sendcloud.W035"
    assert "nonsense" in message.msg
    assert "canary" not in f"{message.msg} {message.hint}"

    def missing() -> None:
        raise ModuleNotFoundError("No module named 'redis'")

    celery_app.conf.broker_url = "redis://127.0.0.1/0"
    monkeypatch.setattr(celery_app, "connection_for_write", missing)
    (message,) = run(checks.check_celery).values()
    assert "No module named 'redis'" in message.msg
    assert 'pip install "celery[redis]"' in str(message.hint)


def test_a_broker_in_memory_is_enough_to_develop_with(celery_app: Any, settings: Any) -> None:
    celery_app.conf.broker_url = "memory://"
    settings.DEBUG = True
    assert run(checks.check_celery) == {}


def test_tasks_that_run_in_place_need_neither_broker_nor_schedule(celery_app: Any) -> None:
    celery_app.conf.update(task_always_eager=True, broker_url=None, beat_schedule={})
    assert run(checks.check_celery) == {}


def test_nothing_is_scheduled(celery_app: Any) -> None:
    celery_app.conf.beat_schedule = {}
    found = run(checks.check_celery)
    assert set(found) == {"W033"}
    assert "beat_schedule()" in str(found["W033"].hint)
    celery_app.conf.beat_scheduler = "django_celery_beat.schedulers:DatabaseScheduler"
    assert run(checks.check_celery) == {}


def test_the_test_projects_own_app_is_found() -> None:
    from django_sendcloud.tasks import celery_app as found

    assert found() is celery


def test_sqlite(settings: Any) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("another database")
    assert run(checks.check_sqlite) == {}
    changed = {**settings.DATABASES, "default": {**settings.DATABASES["default"], "OPTIONS": {}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks.settings, "DATABASES", changed)
        assert set(run(checks.check_sqlite)) == {"W034"}


# -- deployment ---------------------------------------------------------------------------------------

SAFE = {
    "ENCRYPTION_KEYS": ["6ojkI3zSgQMCOMRDZAAGdgo4b1TTUuKhkZS7yVNkbOc="],
    "WEBHOOK_BASE_URL": "https://shop.example",
}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"ENCRYPTION_KEYS": []}, "W040"),
        ({"BASE_URL": "https://sandbox.example/api/v2"}, "W041"),
        ({"BASE_URL": "http://panel.sendcloud.sc/api/v2"}, "E042"),
        ({"BASE_URL": "http://127.0.0.1:8750/api/v2"}, "W041"),
        ({"WEBHOOK_BASE_URL": ""}, "W043"),
        ({"WEBHOOK_BASE_URL": "http://shop.example"}, "W044"),
    ],
)
def test_deployment(settings: Any, changes: dict[str, Any], code: str | None) -> None:
    settings.SENDCLOUD = {**SAFE, **changes}
    assert set(run(checks.check_deployment)) == ({code} if code else set())


@pytest.mark.parametrize(
    "changes",
    [
        {"BASE_URL": "http://user:canary@sandbox.example/api/v2"},
        {"BASE_URL": "https://user:canary@sandbox.example/api/v2"},
        {"WEBHOOK_BASE_URL": "http://user:canary@shop.example"},
    ],
)
def test_a_password_in_an_address_is_not_printed(settings: Any, changes: dict[str, Any]) -> None:
    settings.SENDCLOUD = {**SAFE, **changes}
    (message,) = run(checks.check_deployment).values()
    assert ".example" in message.msg
    assert "canary" not in f"{message.msg} {message.hint}"


# -- what is stored -----------------------------------------------------------------------------------


def stored() -> dict[str, django_checks.CheckMessage]:
    return run(checks.check_stored, databases=["default"])


def integration(**values: Any) -> Integration:
    return Integration.objects.create(**{"remote_id": 1, "public_key": "p", "secret_key": "s", **values})


def test_what_is_stored_is_looked_at_only_on_request(django_assert_num_queries: Any) -> None:
    assert run(checks.check_stored) == {}


def test_a_stored_integration_that_is_right(db: None) -> None:
    integration()
    assert stored() == {}


def test_an_integration_out_of_use_is_not_looked_at(db: None) -> None:
    integration(public_key="", secret_key="", is_active=False)
    assert stored() == {}


def test_before_the_first_migration_nothing_is_asked(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", list)
    monkeypatch.setattr(Integration, "objects", None)
    assert stored() == {}


@pytest.mark.parametrize("missing", ["public_key", "secret_key"])
def test_half_a_pair_of_keys(db: None, missing: str) -> None:
    integration(**{missing: ""})
    assert set(stored()) == {"W051"}


def test_a_secret_that_cannot_be_decrypted(db: None) -> None:
    integration()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_sendcloud_integration SET secret_key = 'gAAAAAnonsense'")
    assert set(stored()) == {"E050"}


def test_no_keys(db: None) -> None:
    integration(public_key="", secret_key="")
    assert set(stored()) == {"W051"}


def test_several_integrations_and_an_adapter_that_does_not_choose(db: None) -> None:
    integration()
    integration(remote_id=2)
    assert stored() == {}, "the test shop's adapter chooses"
    with temporarily_registered(Whole, Order):
        assert set(stored()) == {"W052"}
