"""``sendcloud_sync``: record and push, what was asked for and nothing else."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_sendcloud.registry import temporarily_registered
from tests import factories
from tests.shop.models import Order, OrderLine, Unrelated
from tests.shop.sendcloud import ShopOrder


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sendcloud_sync", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def orders(integration: Any) -> list[Order]:
    made = [factories.order() for _ in range(5)]
    factories.clear_outbox()
    return made


def test_option_all_records_and_pushes_every_order(orders: list[Order], sandbox: Any) -> None:
    assert "5 orders recorded" in run("--all")
    assert len(sandbox.shipments()) == 5
    assert not factories.outbox().exists()


def test_repeated_sync_costs_no_upsert(orders: list[Order], sandbox: Any) -> None:
    run("--all")
    factories.forget_transaction()
    before = len(sandbox.requests)
    run("--all")
    assert len(sandbox.requests) == before
    assert not factories.outbox().exists()


def test_option_since_selects_changed_orders(orders: list[Order], sandbox: Any) -> None:
    import datetime as dt

    from django.utils import timezone

    Order.objects.filter(pk__in=[order.pk for order in orders[:3]]).update(
        modified=timezone.now() - dt.timedelta(days=9)
    )
    since = (timezone.now() - dt.timedelta(days=2)).date().isoformat()
    assert "2 orders recorded" in run("--since", since)
    assert len(sandbox.shipments()) == 2


def test_option_pk_selects_orders(orders: list[Order], sandbox: Any) -> None:
    run("--pk", str(orders[0].pk), str(orders[1].pk))
    assert {s["external_order_id"] for s in sandbox.shipments()} == {str(orders[0].pk), str(orders[1].pk)}


def test_record_only_leaves_pushing_to_workers(orders: list[Order], sandbox: Any) -> None:
    run("--all", "--no-push")
    assert factories.outbox().count() == 5
    assert not sandbox.requests


def test_sync_without_options_pushes_due_orders(integration: Any, sandbox: Any) -> None:
    order = factories.order()
    run()
    assert sandbox.shipment(str(order.pk))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "shop.Nothing"], "there is no such model"),
        (["--model", "shop.Unrelated"], "has no adapter"),
        (["--since", "yesterday"], "yesterday"),
        (["--filter", "status"], "write it as lookup=value"),
        (["--filter", "colour=red"], "Cannot resolve keyword 'colour'"),
        (["--filter", "pk=nobody"], "no value for it"),
        (["--pk", "nobody"], "no value for it"),
    ],
)
def test_bad_arguments_are_explained(orders: list[Order], arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)
    assert not factories.outbox().exists()


def test_option_filter_takes_queryset_lookups(orders: list[Order], sandbox: Any) -> None:
    Order.objects.filter(pk=orders[0].pk).update(city="Gent")
    Order.objects.filter(pk=orders[1].pk).update(city="Gent", country="BE")
    assert "2 orders recorded" in run("--filter", "city=Gent")
    factories.forget_transaction()
    assert "1 order recorded" in run("--filter", "city=Gent", "country=BE", "--no-push")


def test_filter_across_lines_records_orders_once(orders: list[Order], sandbox: Any) -> None:
    for number in range(3):
        OrderLine.objects.create(order=orders[0], sku=f"MANY-{number}")
    factories.clear_outbox()
    assert "1 order recorded" in run("--filter", "lines__sku__startswith=MANY-")


def test_several_order_models_require_a_choice(orders: list[Order]) -> None:
    with (
        temporarily_registered(ShopOrder, Unrelated),
        pytest.raises(CommandError, match=r"--model with one of shop\.Order, shop\.Unrelated"),
    ):
        run("--filter", "pk=1")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_shows_rate_and_time_left(orders: list[Order], sandbox: Any) -> None:
    screen = Terminal()
    call_command("sendcloud_sync", "--all", stdout=screen, stderr=screen)
    shown = screen.getvalue()
    assert "5/5 recorded" in shown
    assert "5/5 settled" in shown
    assert "/s  0 s left" in shown
    assert "█" * 30 in shown


def test_file_output_has_no_progress(orders: list[Order]) -> None:
    assert "\r" not in run("--all")


def test_interrupted_sync_completes_when_repeated(
    orders: list[Order], sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.management.commands import sendcloud_sync

    def interrupt(**kwargs: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sendcloud_sync, "push_due", interrupt)
        with pytest.raises(SystemExit) as ended:
            run("--all")
    assert ended.value.code == 130
    assert factories.outbox().count() == 5
    factories.forget_transaction()
    run("--all")
    assert len(sandbox.shipments()) == 5
    assert not factories.outbox().exists()


def test_due_orders_are_pushed_without_waiting(integration: Any, sandbox: Any, sendcloud_settings: Any) -> None:
    due = factories.order()
    factories.outbox()
    sendcloud_settings(DEBOUNCE_SECONDS=5)
    factories.forget_transaction()
    later = factories.order()
    # It was pushed a moment ago, or failed.
    factories.outbox().filter(order_pk=str(later.pk)).update(error_code="server_error")
    begin = time.monotonic()
    said = run("--due")
    assert time.monotonic() - begin < 3
    assert sandbox.shipment(str(due.pk))
    assert sandbox.shipment(str(later.pk)) is None
    assert "1 orders settled" in said
    assert "1 wait for later, 0 need a fix or are stopped" in said
    assert "recorded" not in said


def test_unpushed_due_orders_are_reported(integration: Any, sandbox: Any) -> None:
    factories.order()
    factories.order(country="XX")
    sandbox.fail_next(500, times=100)
    said = run("--due")
    assert sandbox.count("POST", "/shipments") == 1, "once"
    assert "1 wait for later, 1 need a fix or are stopped" in said


def test_sync_waits_for_the_debounce(integration: Any, sandbox: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(DEBOUNCE_SECONDS=0.5)
    order = factories.order()
    assert "1 orders settled" in run()
    assert sandbox.shipment(str(order.pk))
