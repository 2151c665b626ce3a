"""``sendcloud_reconcile``: every difference is named, and repaired only when two comparisons agree."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_sendcloud.core import clock as clock_module
from django_sendcloud.models import (
    EntryState,
    Integration,
    OutboxEntry,
    PauseReason,
    ReconciliationRun,
    Shipment,
    ShipmentStatus,
)
from django_sendcloud.sync import reconcile
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.shop.models import Order

pytestmark = pytest.mark.long


def run(*arguments: str) -> tuple[int, Any]:
    out = io.StringIO()
    try:
        call_command("sendcloud_reconcile", "--json", *arguments, stdout=out, stderr=io.StringIO())
    except SystemExit as ended:
        return int(str(ended.code)), json.loads(out.getvalue())["integrations"][0]
    return 0, json.loads(out.getvalue())["integrations"][0]


def listed(*arguments: str) -> Any:
    """Return every difference that is named, as JSON and for people."""
    texts = []
    for form in (["--json"], []):
        out = io.StringIO()
        with contextlib.suppress(SystemExit):
            call_command("sendcloud_reconcile", "--list", *form, *arguments, stdout=out, stderr=io.StringIO())
        texts.append(out.getvalue())
    return json.loads(texts[0])["differences"], texts[1]


@pytest.fixture
def orders(integration: Any, sandbox: Any) -> list[Order]:
    made = [factories.order() for _ in range(5)]
    push_due()
    assert len(sandbox.shipments()) == 5
    # Pushed long ago: a comparison ignores pushes that happen while it runs.
    Shipment.objects.update(last_pushed_at=clock_module.clock.now() - clock_module.dt.timedelta(hours=1))
    factories.clear_outbox()
    return made


def test_equal_sides_report_no_difference(orders: list[Order]) -> None:
    code, report = run()
    assert code == 0
    assert report["seen"] == 5
    assert {report[name] for name in ("unknown", "missing", "stale", "undeleted", "stuck")} == {0}


def test_f29_missing_shipment_is_pushed_after_two_comparisons(orders: list[Order], sandbox: Any) -> None:
    gone = sandbox.shipment(str(orders[0].pk))
    sandbox.delete_shipment(gone["shipment_uuid"])
    code, report = run("--fix")
    assert (code, report["missing"], report["repaired"]) == (1, 1, 0)
    code, report = run("--fix")
    assert (report["missing"], report["repaired"]) == (1, 1)
    push_due()
    assert sandbox.shipment(str(orders[0].pk))
    assert run()[0] == 0


def test_report_alone_pushes_nothing(orders: list[Order], sandbox: Any) -> None:
    sandbox.delete_shipment(sandbox.shipment(str(orders[0].pk))["shipment_uuid"])
    for _ in range(3):
        code, report = run()
        assert (code, report["missing"], report["repaired"]) == (1, 1, 0)
    assert not factories.outbox().exists()


def test_stale_shipment_is_pushed_again(orders: list[Order], sandbox: Any) -> None:
    Shipment.objects.filter(order_pk=str(orders[1].pk)).update(stamp=1)
    for _ in range(2):
        code, report = run("--fix")
        assert (code, report["stale"]) == (1, 1)
    assert report["repaired"] == 1


def test_foreign_shipment_is_counted_and_kept(orders: list[Order], sandbox: Any, integration: Any) -> None:
    remote = sandbox.shipment(str(orders[0].pk))
    with integration.client() as client:
        payload = {k: v for k, v in remote.items() if k in ("name", "address", "city", "postal_code", "country")}
        from django_sendcloud.payloads import ShipmentPayload

        client.v2.shipments.upsert(
            integration.remote_id,
            [
                ShipmentPayload(
                    **payload,
                    external_order_id="by-hand",
                    external_shipment_id="by-hand",
                    order_number="H-1",
                    created_at=clock_module.clock.now(),
                    updated_at=clock_module.clock.now(),
                )
            ],
        )
    for _ in range(3):
        _, report = run("--fix")
        assert report["unknown"] == 1
    assert sandbox.shipment("by-hand")


def test_list_names_every_difference(orders: list[Order], sandbox: Any, integration: Integration) -> None:
    missing, stale, undeleted, unknown, stuck = orders
    sandbox.delete_shipment(sandbox.shipment(str(missing.pk))["shipment_uuid"])
    Shipment.objects.filter(order_pk=str(stale.pk)).update(stamp=1)
    Shipment.objects.filter(order_pk=str(undeleted.pk)).update(status=ShipmentStatus.DELETED)
    Shipment.objects.filter(order_pk=str(unknown.pk)).delete()
    OutboxEntry.objects.create(
        order_type="shop.order",
        order_pk=str(stuck.pk),
        order_number=stuck.number,
        state=EntryState.REJECTED,
        integration=integration,
    )
    found, said = listed()
    assert {(difference["kind"], difference["order_number"]) for difference in found} == {
        ("missing", missing.number),
        ("stale", stale.number),
        ("undeleted", undeleted.number),
        ("unknown", unknown.number),
        ("stuck", stuck.number),
    }
    assert {difference["integration"] for difference in found} == {integration.remote_id}
    for kind, order in (("only here", missing), ("older there", stale), ("should be gone", undeleted)):
        line = next(line for line in said.splitlines() if order.number in line)
        assert kind in line
        assert str(order.pk) in line
        assert "(2 in a row)" in line, "the second comparison found it again"


def test_list_of_equal_sides_is_empty(orders: list[Order]) -> None:
    assert listed()[0] == []


def test_stuck_order_is_a_difference(orders: list[Order], integration: Integration) -> None:
    for order, state in zip(orders, (EntryState.REJECTED, EntryState.DEAD), strict=False):
        OutboxEntry.objects.create(
            order_type="shop.order", order_pk=str(order.pk), state=state, integration=integration
        )
    code, report = run()
    assert (code, report["stuck"]) == (1, 2)


def test_f30_interrupted_comparison_continues_at_its_page(orders: list[Order], sandbox: Any, integration: Any) -> None:
    sandbox.page_size = 2

    def interrupt(run: ReconciliationRun) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconcile.compare(integration, progress=interrupt)
    before = sandbox.count("GET", "/shipments")
    code, report = run()
    assert (code, report["seen"], report["pages"]) == (0, 5, 3)
    assert sandbox.count("GET", "/shipments") - before == 2
    assert ReconciliationRun.objects.count() == 1


def test_failed_page_is_continued_by_next_run(orders: list[Order], sandbox: Any) -> None:
    sandbox.fail_next(500, times=20, match="GET shipments")
    with pytest.raises(CommandError, match="Run it again to go on"):
        run()
    sandbox.clear_faults()
    assert run()[0] == 0


def test_unknown_integration_is_refused(orders: list[Order]) -> None:
    with pytest.raises(CommandError, match="no such active integration"):
        run("--integration", "4711")


def test_table_has_a_row_per_integration(orders: list[Order]) -> None:
    out = io.StringIO()
    call_command("sendcloud_reconcile", stdout=out)
    assert "Webshop" in out.getvalue()
    assert "only here" in out.getvalue()


def outcome(*arguments: str) -> tuple[str, Any]:
    """Return the error it fails with, and the reports it printed before."""
    out = io.StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("sendcloud_reconcile", "--json", *arguments, stdout=out, stderr=io.StringIO())
    return str(failed.value), json.loads(out.getvalue())["integrations"]


@pytest.mark.parametrize("failing", [0, 1])
def test_failing_integration_hides_no_other(
    orders: list[Order], sandbox: Any, integration: Integration, failing: int
) -> None:
    both = [integration, factories.integration(sandbox.add_integration("Other"), name="Other shop")]
    broken, other = both[failing], both[1 - failing]
    sandbox.revoke_credentials(broken.remote_id)
    said, reports = outcome()
    assert str(broken) in said
    assert str(other) not in said
    assert [report["name"] for report in reports] == [str(other)]
    assert reports[0]["seen"] == (5 if other == integration else 0)


def test_paused_integration_is_named_with_reason(orders: list[Order], sandbox: Any, integration: Any) -> None:
    other = factories.integration(sandbox.add_integration("Other"), name="Other shop")
    other.pause(PauseReason.PERSON)
    said, reports = outcome()
    assert said == "Other shop: The integration is paused, or not in use. Run it again to go on."
    assert [report["name"] for report in reports] == ["Webshop"]


def test_vanished_order_is_deleted_at_sendcloud(orders: list[Order], sandbox: Any) -> None:
    vanished = orders[2]
    vanished.lines.all()._raw_delete("default")
    Order.objects.filter(pk=vanished.pk)._raw_delete("default")
    for confirmed in (0, 1):
        code, report = run("--fix")
        assert (code, report["orphaned"], report["confirmed"], report["repaired"]) == (1, 1, confirmed, confirmed)
        assert sandbox.shipment(str(vanished.pk)), "it is deleted by a worker, and never after one comparison"
        assert factories.outbox().count() == confirmed
    push_due()
    assert sandbox.shipment(str(vanished.pk)) is None
    assert run()[0] == 0


def test_vanished_order_is_listed_as_gone(orders: list[Order]) -> None:
    vanished = orders[2]
    vanished.lines.all()._raw_delete("default")
    Order.objects.filter(pk=vanished.pk)._raw_delete("default")
    found, said = listed()
    assert [(each["kind"], each["order_number"]) for each in found] == [("orphaned", vanished.number)]
    assert f"order gone     {vanished.number}" in said
