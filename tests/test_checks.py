"""Every check: silent in a correct project, and loud, with the fix, in a wrong one."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, models
from django.db.models import Prefetch
from django.test import override_settings

from django_sendcloud import OrderAdapter, checks, watch
from django_sendcloud.conf import FIELDS, problems
from django_sendcloud.models import Integration
from django_sendcloud.registry import registry, temporarily_registered
from tests import factories
from tests.celery_app import app as celery
from tests.shop.models import Customer, Item, Order, OrderLine, Package, Unrelated

ROOT = Path(__file__).resolve().parent.parent


def run(check: Any, **kwargs: Any) -> dict[str, django_checks.CheckMessage]:
    found = check(None, **kwargs)
    for message in found:
        assert re.search(rf" See https://\S+/reference/checks\.html#{re.escape(message.id)}$", message.hint)
    return {str(message.id).removeprefix("sendcloud."): message for message in found}


class Whole(OrderAdapter[Order]):
    related = {OrderLine: "order", Customer: "orders"}
    changed_at_field = "modified"

    def get_shipments(self, order: Order) -> Any:
        return []


def adapter(**changes: Any) -> type[OrderAdapter[Order]]:
    return type("Broken", (Whole,), changes)


# -- all of them --------------------------------------------------------------------------------------


def test_checks_are_documented_at_their_anchor() -> None:
    package = Path(checks.__file__).parent
    source = "".join(path.read_text() for path in [package / "checks.py", *package.glob("contrib/*/*.py")])
    errors = {f"E{int(number):03}" for number in re.findall(r"error_message\(\s*(\d+)", source)}
    warnings = {f"W{int(number):03}" for number in re.findall(r"warning_message\(\s*(\d+)", source)}
    infos = {f"I{int(number):03}" for number in re.findall(r"info_message\(\s*(\d+)", source)}
    documented = re.findall(r'<a id="sendcloud\.(\w+)">', (ROOT / "docs/reference/checks.md").read_text())
    assert set(documented) == errors | warnings | infos
    assert len(documented) == len(set(documented))


def test_correct_project_has_no_findings(db: None) -> None:
    for check in (checks.check_settings, checks.check_adapters, checks.check_project):
        assert run(check) == {}


# Django 6.1 checks the models against every database.
@pytest.mark.django_db(databases="__all__")
def test_command_check_is_silent_for_tests(celery_app: Any) -> None:
    integration()
    assert call_command("check", fail_level="WARNING") is None
    assert call_command("check", fail_level="WARNING", databases=["default"]) is None


def test_checks_run_with_manage_check(capsys: pytest.CaptureFixture[str]) -> None:
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
        ({"batch_sise": 10}, "E001", "Did you mean 'BATCH_SIZE'?"),
        ({1: 2}, "E001", "'1'"),
        ({"DEBOUNCE_SECONDS": "1"}, "E001", "must be a number"),
        ({"INBOX_DAYS": -1}, "E001", "between 1 and"),
        ({"SWEEP_SECONDS": float("inf")}, "E001", "between 0.1 and"),
        ("https://panel.sendcloud.sc", "E001", "must be a dict"),
        ({"LEASE_SECONDS": 20.0, "DEADLINE_SECONDS": 20.0}, "E002", "LEASE_SECONDS"),
        ({"ENCRYPTION_KEYS": ["not-a-fernet-key"]}, "E003", "ENCRYPTION_KEYS"),
        ({"DATABASE": "orders"}, "E001", "'orders'"),
        ({"PARCEL_PHASES": {11: "arrived"}}, "E005", "'arrived'"),
        ({"PARCEL_PHASES": {"11": "delivered"}}, "E005", "'11'"),
    ],
)
def test_invalid_settings_are_named(settings: Any, setting: Any, code: str, says: str) -> None:
    settings.SENDCLOUD = setting
    message = run(checks.check_settings)[code]
    assert says in f"{message.msg} {message.hint}"
    assert message.hint
    assert "not-a-fernet-key" not in f"{message.msg} {message.hint}"


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if type(field.default) in (int, float)])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), float("-inf")])
def test_impossible_number_is_named(name: str, value: float) -> None:
    """A negative age would let the inbox be emptied, an infinite period no job be due."""
    ((key, text),) = problems({name: value})
    assert key == name
    assert "between" in text or "whole number" in text


@pytest.mark.parametrize(("lease", "found"), [(12.9, {"E002"}), (13.0, set()), (8.0, {"E002"})])
def test_lease_shorter_than_deadline_is_named(settings: Any, lease: float, found: set[str]) -> None:
    settings.SENDCLOUD = {"DEADLINE_SECONDS": 8, "LEASE_SECONDS": lease}
    assert set(run(checks.check_settings)) == found


def test_tasks_shorter_than_threshold_are_named(settings: Any) -> None:
    settings.SENDCLOUD = {"PICKUP_DAYS": 10, "DELIVERY_TASK_DAYS": 10}
    found = run(checks.check_settings)
    assert set(found) == {"W008"}
    assert "SENDCLOUD['PICKUP_DAYS'] is 10" in found["W008"].msg
    settings.SENDCLOUD = {"PICKUP_DAYS": 10, "DELIVERY_TASK_DAYS": 11}
    assert not run(checks.check_settings)


def test_shortest_allowed_lease_can_send(integration: Any, sandbox: Any, sendcloud_settings: Any) -> None:
    """The check forbids what the engine could do nothing with."""
    from django_sendcloud.sync.worker import push_due

    order = factories.order()
    sendcloud_settings(DEADLINE_SECONDS=8.0, LEASE_SECONDS=8.0 + checks.LEASE_MARGIN)
    push_due()
    assert sandbox.shipment(str(order.pk))


def test_other_database_requires_a_router(settings: Any) -> None:
    settings.SENDCLOUD = {"DATABASE": "elsewhere"}
    message = run(checks.check_settings)["E006"]
    assert "'elsewhere'" in message.msg
    assert "'default'" in message.msg
    assert "django_sendcloud.routers.SendcloudRouter" in str(message.hint)
    assert "migrate --database elsewhere" in str(message.hint)
    settings.DATABASE_ROUTERS = ["django_sendcloud.routers.SendcloudRouter"]
    assert run(checks.check_settings) == {}


def test_router_before_ours_is_named(settings: Any) -> None:
    settings.SENDCLOUD = {"DATABASE": "elsewhere"}
    ours, all_here = "django_sendcloud.routers.SendcloudRouter", "tests.test_checks.EverythingToDefault"
    settings.DATABASE_ROUTERS = [all_here, ours]
    assert set(run(checks.check_settings)) == {"E006"}
    settings.DATABASE_ROUTERS = [ours, all_here]
    assert run(checks.check_settings) == {}


def test_router_moving_our_tables_is_named(settings: Any) -> None:
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
def test_unreadable_settings_break_no_other_check(settings: Any, check: Any) -> None:
    settings.SENDCLOUD = {"BASE_ULR": "x"}
    check(None)


def test_naive_times_are_named(settings: Any) -> None:
    assert "E022" not in run(checks.check_project)
    settings.USE_TZ = False
    assert "USE_TZ = True" in str(run(checks.check_project)["E022"].hint)


# -- adapters -----------------------------------------------------------------------------------------


def test_missing_adapter_is_reported() -> None:
    former = registry.remove(Order)
    try:
        assert "sendcloud.py" in str(run(checks.check_adapters)["W010"].hint)
    finally:
        registry.add(Order, former)


@pytest.mark.parametrize(
    ("broken", "code", "says"),
    [
        ({"get_shipments": OrderAdapter.get_shipments}, "E011", "get_fields"),
        ({"get_shipments": OrderAdapter.get_shipments, "get_fields": dict, "get_lines": list}, "E069", "get_item"),
        (
            {
                "get_shipments": OrderAdapter.get_shipments,
                "get_fields": dict,
                "get_item": lambda self, line, quantity: None,
            },
            "E069",
            "get_lines",
        ),
        ({"changed_at_field": "modifed"}, "E012", "Did you mean 'modified'?"),
        ({"changed_at_field": "number"}, "E012", "no DateTimeField"),
        ({"related": {"shop.Nothing": "order"}}, "E013", "shop.Nothing"),
        ({"related": {"nonsense": "order"}}, "E013", "nonsense"),
        ({"related": {OrderLine: "oder"}}, "E013", "Its relations: order"),
        ({"related": {OrderLine: "sku"}}, "E013", "is no relation"),
        ({"related": {Order: "customer"}}, "E013", "leads to shop.Customer"),
        ({"related": {42: "order"}}, "E013", "which is no model"),
        ({"phase_statuses": {"arrived": "x"}}, "E017", "no phase"),
        ({"phase_statuses": {"delivred": "x"}}, "E017", "Did you mean 'delivered'?"),
        ({"phase_statuses": {3: "x"}}, "E017", "3, which is no phase"),
        ({"phase_statuses": {"delivered": "x"}, "status_field": "state"}, "E017", "'state'"),
        ({"phase_statuses": {"delivered": "x"}, "status_field": "statuss"}, "E017", "Did you mean 'status'?"),
        ({"phase_statuses": ["delivered"]}, "E071", "a mapping"),
        ({"phase_statuses": {"delivered": "x"}, "status_beginnings": "paid"}, "E071", "status_beginnings = "),
        ({"phase_statuses": {"delivered": "x"}, "status_beginnings": 3}, "E071", "a collection of statuses"),
        (
            {"phase_statuses": {"delivered": "x"}, "next_status": {"paid": "x"}},
            "E071",
            "next_status(self, order, wanted)",
        ),
        ({"phase_statuses": {"delivered": "x"}, "next_status": lambda self, order: "x"}, "E071", "next_status(order)"),
        ({"on_parcel": lambda self, parcel: None}, "E071", "on_parcel(self, order, parcel, change)"),
        ({"is_shippable": True}, "E071", "it must be a method"),
        ({"related": [OrderLine]}, "E071", "a mapping"),
        ({"related": None}, "E071", "a mapping"),
        ({"queryset": Order.objects}, "E071", "a queryset"),
        ({"queryset": lambda self: Order.objects.all()}, "E071", "is a method"),
        ({"changed_at_field": ["modified"]}, "E071", "the name of a field"),
        ({"status_field": None}, "E071", "the name of a field"),
        ({"auto": "no"}, "E071", "True or False"),
        ({"status_beginnings": ["paid"]}, "W072", "no phase_statuses"),
        ({"next_status": lambda self, order, wanted: None}, "W072", "no phase_statuses"),
        ({"queryset": Unrelated.objects.all()}, "E014", "Order.objects"),
        ({"number_field": "nummer"}, "E018", "Did you mean 'number'?"),
        ({"number_field": "customer"}, "E018", "no field of"),
        ({"queryset": Order.objects.prefetch_related("linez")}, "E061", "Did you mean 'lines'?"),
        ({"queryset": Order.objects.prefetch_related("customer__orderz")}, "E061", "shop.Customer"),
        ({"queryset": Order.objects.prefetch_related(Prefetch("linez", OrderLine.objects.all()))}, "E061", "linez"),
        (
            {"queryset": Order.objects.prefetch_related(Prefetch("lines", OrderLine.objects.select_related("oder")))},
            "E061",
            "Did you mean 'order'?",
        ),
        ({"queryset": Order.objects.select_related("custommer")}, "E061", "Did you mean 'customer'?"),
        ({"queryset": Order.objects.select_related("customer__number")}, "E061", "customer__number"),
        ({"is_shipable": lambda self, order: True}, "W062", "Did you mean 'is_shippable'?"),
        ({"queryset": Order.objects.prefetch_related("lines"), "related": {}}, "W063", "shop.OrderLine"),
        ({"placed_at_field": "created_on"}, "E066", "DateTimeFields: created, modified"),
        ({"related": {OrderLine: watch("order", "quanity")}}, "E067", "Did you mean 'quantity'?"),
        ({"related": {OrderLine: watch("oder", "quantity")}}, "E013", "Its relations: order"),
    ],
)
def test_invalid_adapters_are_named(broken: dict[str, Any], code: str, says: str) -> None:
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


def test_correct_adapter_has_no_findings() -> None:
    with temporarily_registered(Whole, Order):
        assert run(checks.check_adapters) == {}


@pytest.mark.parametrize(
    "fine",
    [
        {"queryset": Order.objects.prefetch_related("lines", "tags", "customer__orders__lines", "packages__items")},
        {"queryset": Order.objects.select_related("customer", "wholesaleorder")},
        {"queryset": Order.objects.prefetch_related(Prefetch("lines", to_attr="cart"), "cart__order")},
        {"get_status": lambda self, order: "paid"},
        {"placed_at_field": "created"},
    ],
)
def test_valid_adapter_has_no_findings(fine: dict[str, Any], django_assert_num_queries: Any, db: None) -> None:
    both = {"related": {OrderLine: "order", Package: "order", Item: "package__order"}}
    with temporarily_registered(adapter(**both | fine), Order), django_assert_num_queries(0):
        assert run(checks.check_adapters) == {}


def test_status_that_is_no_choice_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = [("Open", [("paid", "Paid")]), ("completed", "Completed")]
    monkeypatch.setattr(Order._meta.get_field("status"), "choices", choices)
    for wrong in ({"phase_statuses": {"delivered": "complete"}}, {"status_beginnings": ["complete", "paid"]}):
        made = {"phase_statuses": {"delivered": "completed"}, "related": {OrderLine: "order"}, **wrong}
        with temporarily_registered(adapter(**made), Order):
            found = run(checks.check_adapters)
        assert set(found) == {"W072"}
        assert "Did you mean 'completed'? Its choices: paid, completed." in found["W072"].hint


@pytest.mark.parametrize("attributes", [{"related": [OrderLine]}, {"related": {OrderLine: 3}}, {"related": None}])
def test_unusable_related_stops_no_start(attributes: dict[str, Any]) -> None:
    """The shop starts, so that its checks can say what is wrong."""
    with temporarily_registered(adapter(**attributes), Order):
        assert run(checks.check_adapters)


class FromReplica:
    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model is OrderLine else None


def test_router_that_reads_elsewhere_is_named() -> None:
    routed = override_settings(DATABASE_ROUTERS=["tests.test_checks.FromReplica"])
    with routed, temporarily_registered(adapter(related={OrderLine: "order"}), Order):
        found = run(checks.check_adapters)
    assert "FromReplica reads shop.OrderLine from 'elsewhere'" in found["I064"].msg


def test_cascades_of_database_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django 6.1 can leave them to the database, which sends no signals."""
    monkeypatch.setattr(models, "DB_CASCADE", object(), raising=False)
    monkeypatch.setattr(Order._meta.get_field("customer").remote_field, "on_delete", models.DB_CASCADE)
    monkeypatch.setattr(OrderLine._meta.get_field("order").remote_field, "on_delete", models.DB_CASCADE)
    with temporarily_registered(adapter(related={OrderLine: "order"}), Order):
        found = run(checks.check_adapters)
    assert "shop.Order.customer" in found["W065"].msg
    assert set(found) == {"W065"}, "lines go together with their order, whose deletion is noticed"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("panel.sendcloud.sc", "https://"),
        ("https://", "no host"),
        ("https://panel.sendcloud.sc/api", "not the root"),
        ("https://panel.sendcloud.sc/api/v2/integrations", "not the root"),
        ("https://panel.sendcloud.sc?a=b", "query"),
        ("https://panel.sendcloud.sc:99999", "no address"),
        ("https://[::1", "no address"),
        (" https://panel.sendcloud.sc", "blanks"),
        ("http://panel.sendcloud.sc", "must be https"),
        ("https://jane:canary@panel.sendcloud.sc", "credentials"),
        ("", "absolute https address"),
    ],
)
def test_invalid_base_url_is_named(settings: Any, url: str, says: str) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "BASE_URL": url}
    message = run(checks.check_settings)["E007"]
    assert says in f"{message.msg}{message.hint}"
    assert "canary" not in f"{message.msg}{message.hint}"
    run(checks.check_deployment)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"TOKEN_URL": "account.sendcloud.com/oauth2/token/"}, "TOKEN_URL"),
        ({"WEBHOOK_BASE_URL": "shop.example"}, "WEBHOOK_BASE_URL"),
        ({"WEBHOOK_BASE_URL": "https://[shop"}, "WEBHOOK_BASE_URL"),
        ({"PROXY_URL": "jane:canary@proxy:3128"}, "proxy"),
        ({"CA_BUNDLE": "/no/such/file.pem"}, "ca_bundle"),
        ({"PARTNER_ID": "acme"}, "partner_id"),
    ],
)
def test_unusable_address_is_named(settings: Any, changes: dict[str, str], says: str) -> None:
    """Before the first order finds it out."""
    settings.SENDCLOUD = {**settings.SENDCLOUD, **changes}
    message = run(checks.check_settings)["E007"]
    assert says in message.msg
    assert "canary" not in f"{message.msg}{message.hint}"
    run(checks.check_deployment)


def test_password_of_proxy_belongs_elsewhere(settings: Any) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "PROXY_URL": "http://jane:canary@proxy:3128"}
    message = run(checks.check_settings)["W009"]
    assert "PROXY_AUTH" in message.hint
    assert "canary" not in f"{message.msg}{message.hint}"
    settings.SENDCLOUD = {**settings.SENDCLOUD, "PROXY_URL": "http://proxy:3128", "PROXY_AUTH": "jane:canary"}
    assert "W009" not in run(checks.check_settings)


@pytest.mark.parametrize(
    "url", ["https://panel.sendcloud.sc/", "https://panel.sendcloud.sc/api/v3", "http://[::1]:8000"]
)
def test_valid_base_url_is_accepted(settings: Any, url: str) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "BASE_URL": url}
    assert "E007" not in run(checks.check_settings)


@pytest.mark.skipif(not hasattr(models, "CompositePrimaryKey"), reason="Django has them since 5.2")
def test_composite_primary_key_is_refused() -> None:
    class Pair(models.Model):
        pk = models.CompositePrimaryKey("a", "b")
        a = models.IntegerField()
        b = models.IntegerField()

        class Meta:
            app_label = "shop"

    try:
        made = adapter(related={}, changed_at_field="")()
        made.model = Pair  # type: ignore[assignment]
        assert "E015" in {str(m.id).removeprefix("sendcloud.") for m in checks._check_adapter(made)}
    finally:
        from django.apps import apps

        del apps.all_models["shop"]["pair"]
        apps.clear_cache()


@pytest.mark.parametrize(("length", "found"), [(255, set()), (256, {"E019"})])
def test_long_primary_key_is_refused(length: int, found: set[str]) -> None:
    from django.apps import apps

    class Verbose(models.Model):
        code = models.CharField(primary_key=True, max_length=length)

        class Meta:
            app_label = "shop"

    try:
        made = adapter(related={}, changed_at_field="")()
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


def test_orders_in_other_database_are_reported() -> None:
    with override_settings(DATABASE_ROUTERS=["tests.test_checks.ToAnotherDatabase"]):
        found = run(checks.check_adapters)
    assert "'elsewhere'" in found["W016"].msg


# -- the project --------------------------------------------------------------------------------------


def test_missing_rest_framework_is_named(settings: Any) -> None:
    with override_settings(INSTALLED_APPS=[a for a in settings.INSTALLED_APPS if a != "rest_framework"]):
        assert "W020" in run(checks.check_project)


@override_settings(ROOT_URLCONF="rest_framework.urls")
def test_missing_urls_are_named() -> None:
    assert "django_sendcloud.urls" in str(run(checks.check_project)["W021"].hint)


@override_settings(ROOT_URLCONF="nowhere.urls")
def test_broken_urlconf_is_named() -> None:
    assert "Correct your URLconf" in str(run(checks.check_project)["W021"].hint)


@pytest.fixture
def celery_app(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Yield the shop's Celery app, to be set up wrongly, and restore it."""
    from celery import Celery

    from django_sendcloud.schedule import beat_schedule

    app = Celery("shop", broker="redis://127.0.0.1/0", set_as_current=False)
    app.conf.beat_schedule = beat_schedule()
    monkeypatch.setattr(checks, "celery_app", lambda: app)
    return app


def test_correct_celery_app_has_no_findings(celery_app: Any) -> None:
    assert run(checks.check_celery) == {}


def test_missing_celery_app_is_named(celery_app: Any) -> None:
    celery_app.main = "default"
    celery_app.conf.broker_url = None
    assert set(run(checks.check_celery)) == {"W030"}


def test_missing_broker_is_named(celery_app: Any) -> None:
    celery_app.conf.broker_url = None
    assert set(run(checks.check_celery)) == {"W031"}


def test_memory_broker_is_named(celery_app: Any, settings: Any) -> None:
    celery_app.conf.broker_url = "memory://"
    settings.DEBUG = False
    assert set(run(checks.check_celery)) == {"W032"}


def test_memory_broker_in_list_is_named(celery_app: Any, settings: Any) -> None:
    celery_app.conf.broker_url = ["memory://", "memory://"]
    settings.DEBUG = False
    assert set(run(checks.check_celery)) == {"W032"}


@pytest.mark.parametrize(
    ("url", "extra"),
    [
        ("sqla+postgresql://shop:canary@db/shop", "sqlalchemy"),
        (["sqs://key:canary@", "sqs://key:canary@"], "sqs"),
        ("mongodb://shop:canary@db/shop", "mongodb"),
    ],
)
def test_broker_without_package_names_extra(
    celery_app: Any, monkeypatch: pytest.MonkeyPatch, url: Any, extra: str
) -> None:
    """Celery imports some of these libraries with the first message only."""
    for name in ("sqlalchemy", "botocore", "pymongo"):
        monkeypatch.setitem(sys.modules, name, None)
    celery_app.conf.broker_url = url
    (message,) = run(checks.check_celery).values()
    assert message.id == "sendcloud.W035"
    assert f'"celery[{extra}]"' in str(message.hint)
    assert "canary" not in f"{message.msg} {message.hint}"


def test_broker_without_package_is_named(celery_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_memory_broker_passes_with_debug(celery_app: Any, settings: Any) -> None:
    celery_app.conf.broker_url = "memory://"
    settings.DEBUG = True
    assert run(checks.check_celery) == {}


def test_eager_tasks_require_no_broker(celery_app: Any) -> None:
    celery_app.conf.update(task_always_eager=True, broker_url=None, beat_schedule={})
    assert run(checks.check_celery) == {}


def test_missing_schedule_is_named(celery_app: Any) -> None:
    celery_app.conf.beat_schedule = {}
    found = run(checks.check_celery)
    assert set(found) == {"W033"}
    assert "beat_schedule()" in str(found["W033"].hint)
    celery_app.conf.beat_scheduler = "django_celery_beat.schedulers:DatabaseScheduler"
    assert run(checks.check_celery) == {}


def test_celery_app_of_project_is_found() -> None:
    from django_sendcloud.broker import celery_app as found

    assert found() is celery


def test_sqlite_without_immediate_is_named(settings: Any) -> None:
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
def test_deploy_checks_name_each_problem(settings: Any, changes: dict[str, Any], code: str | None) -> None:
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
def test_password_in_address_is_hidden(settings: Any, changes: dict[str, Any]) -> None:
    settings.SENDCLOUD = {**SAFE, **changes}
    (message,) = run(checks.check_deployment).values()
    assert ".example" in message.msg
    assert "canary" not in f"{message.msg} {message.hint}"


# -- stored data --------------------------------------------------------------------------------------


def stored() -> dict[str, django_checks.CheckMessage]:
    return run(checks.check_stored, databases=["default"])


def integration(**values: Any) -> Integration:
    return Integration.objects.create(**{"remote_id": 1, "public_key": "p", "secret_key": "s", **values})


def test_database_checks_run_only_on_request(django_assert_num_queries: Any) -> None:
    assert run(checks.check_stored) == {}


def test_correct_integration_has_no_findings(db: None) -> None:
    integration()
    assert stored() == {}


def test_unused_integration_is_skipped(db: None) -> None:
    integration(public_key="", secret_key="", is_active=False)
    assert stored() == {}


def test_unmigrated_database_is_not_queried(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "unapplied_migrations", lambda: ["0001_initial"])
    monkeypatch.setattr(Integration, "objects", None)
    assert set(stored()) == {"W053"}


@pytest.mark.parametrize("missing", ["public_key", "secret_key"])
def test_missing_half_of_keys_is_named(db: None, missing: str) -> None:
    integration(**{missing: ""})
    assert set(stored()) == {"W051"}


def test_undecryptable_secret_is_named(db: None) -> None:
    integration()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_sendcloud_integration SET secret_key = 'gAAAAAnonsense'")
    assert set(stored()) == {"E050"}


def test_missing_keys_are_named(db: None) -> None:
    integration(public_key="", secret_key="")
    assert set(stored()) == {"W051"}


def test_ambiguous_integrations_are_named(db: None) -> None:
    integration()
    integration(remote_id=2)
    assert stored() == {}, "the test shop's adapter chooses"
    with temporarily_registered(Whole, Order):
        assert set(stored()) == {"W052"}
