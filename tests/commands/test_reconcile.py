"""``sendcloud_reconcile``: every difference is named, and mended only when two comparisons agree."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_sendcloud import clock as clock_module
from django_sendcloud.models import EntryState, Integration, OutboxEntry, PauseReason, Scan, Shipment, ShipmentStatus
from django_sendcloud.sync import reconcile
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.shop.models import Order


def run(*arguments: str) -> tuple[int, Any]:
    out = io.StringIO()
    try:
        call_command("sendcloud_reconcile", "--json", *arguments, stdout=out, stderr=io.StringIO())
    except SystemExit as ended:
        return int(str(ended.code)), json.loads(out.getvalue())["integrations"][0]
    return 0, json.loads(out.getvalue())["integrations"][0]


def listed(*arguments: str) -> Any:
    """Every difference that is named, as JSON and for people."""
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
    pump()
    assert len(sandbox.shipments()) == 5
    # Told long ago: what is told while a comparison runs is none of its business.
    Shipment.objects.update(told_at=clock_module.clock.now() - clock_module.dt.timedelta(hours=1))
    factories.clear_outbox()
    return made


def test_both_sides_agree(orders: list[Order]) -> None:
    code, report = run()
    assert code == 0
    assert report["seen"] == 5
    assert {report[name] for name in ("unknown", "missing", "stale", "undead", "rejected")} == {0}


def test_f29_missing_there_is_told_again_after_two_scans(orders: list[Order], sandbox: Any) -> None:
    gone = sandbox.shipment(str(orders[0].pk))
    sandbox.delete_shipment(gone["shipment_uuid"])
    code, report = run("--fix")
    assert (code, report["missing"], report["repaired"]) == (1, 1, 0)
    code, report = run("--fix")
    assert (report["missing"], report["repaired"]) == (1, 1)
    pump()
    assert sandbox.shipment(str(orders[0].pk))
    assert run()[0] == 0


def test_without_fix_nothing_is_told(orders: list[Order], sandbox: Any) -> None:
    sandbox.delete_shipment(sandbox.shipment(str(orders[0].pk))["shipment_uuid"])
    for _ in range(3):
        code, report = run()
        assert (code, report["missing"], report["repaired"]) == (1, 1, 0)
    assert not factories.outbox().exists()


def test_stale_there(orders: list[Order], sandbox: Any) -> None:
    Shipment.objects.filter(order_pk=str(orders[1].pk)).update(stamp=1)
    for _ in range(2):
        code, report = run("--fix")
        assert (code, report["stale"]) == (1, 1)
    assert report["repaired"] == 1


def test_made_by_hand_there_is_counted_and_never_deleted(orders: list[Order], sandbox: Any, integration: Any) -> None:
    remote = sandbox.shipment(str(orders[0].pk))
    with integration.client() as client:
        payload = {k: v for k, v in remote.items() if k in ("name", "address", "city", "postal_code", "country")}
        from django_sendcloud.payloads import ShipmentPayload

        client.shipments(integration.remote_id).upsert(
            [
                ShipmentPayload(
                    **payload,
                    external_order_id="by-hand",
                    external_shipment_id="by-hand",
                    order_number="H-1",
                    created_at=clock_module.clock.now(),
                    updated_at=clock_module.clock.now(),
                )
            ]
        )
    for _ in range(3):
        _, report = run("--fix")
        assert report["unknown"] == 1
    assert sandbox.shipment("by-hand")


def test_every_difference_is_named(orders: list[Order], sandbox: Any, integration: Integration) -> None:
    missing, stale, undead, unknown, rejected = orders
    sandbox.delete_shipment(sandbox.shipment(str(missing.pk))["shipment_uuid"])
    Shipment.objects.filter(order_pk=str(stale.pk)).update(stamp=1)
    Shipment.objects.filter(order_pk=str(undead.pk)).update(status=ShipmentStatus.DELETED)
    Shipment.objects.filter(order_pk=str(unknown.pk)).delete()
    OutboxEntry.objects.create(
        order_type="shop.order",
        order_pk=str(rejected.pk),
        order_number=rejected.number,
        state=EntryState.REJECTED,
        integration=integration,
    )
    found, said = listed()
    assert {(difference["kind"], difference["order_number"]) for difference in found} == {
        ("missing", missing.number),
        ("stale", stale.number),
        ("undead", undead.number),
        ("unknown", unknown.number),
        ("rejected", rejected.number),
    }
    assert {difference["integration"] for difference in found} == {integration.remote_id}
    for kind, order in (("only here", missing), ("older there", stale), ("should be gone", undead)):
        line = next(line for line in said.splitlines() if order.number in line)
        assert kind in line
        assert str(order.pk) in line
        assert "(2 in a row)" in line, "the second comparison found it again"


def test_where_both_agree_nothing_is_named(orders: list[Order]) -> None:
    assert listed()[0] == []


def test_a_refused_order_is_a_difference(orders: list[Order], integration: Integration) -> None:
    OutboxEntry.objects.create(
        order_type="shop.order", order_pk=str(orders[0].pk), state=EntryState.DEAD, integration=integration
    )
    code, report = run()
    assert (code, report["rejected"]) == (1, 1)


def test_f30_it_goes_on_where_it_was_interrupted(orders: list[Order], sandbox: Any, integration: Any) -> None:
    sandbox.page_size = 2

    def interrupt(scan: Scan) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconcile.scan(integration, progress=interrupt)
    before = sandbox.count("GET", "/shipments")
    code, report = run()
    assert (code, report["seen"], report["pages"]) == (0, 5, 3)
    assert sandbox.count("GET", "/shipments") - before == 2
    assert Scan.objects.count() == 1


def test_sendcloud_fails_and_the_next_run_goes_on(orders: list[Order], sandbox: Any) -> None:
    sandbox.fail_next(500, times=20, match="GET shipments")
    with pytest.raises(CommandError, match="Run it again to go on"):
        run()
    sandbox.clear_faults()
    assert run()[0] == 0


def test_an_unknown_integration(orders: list[Order]) -> None:
    with pytest.raises(CommandError, match="no such active integration"):
        run("--integration", "4711")


def test_the_table_has_a_row_for_each_integration(orders: list[Order]) -> None:
    out = io.StringIO()
    call_command("sendcloud_reconcile", stdout=out)
    assert "Webshop" in out.getvalue()
    assert "only here" in out.getvalue()


def outcome(*arguments: str) -> tuple[str, Any]:
    """What it fails with, and the reports it printed before."""
    out = io.StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("sendcloud_reconcile", "--json", *arguments, stdout=out, stderr=io.StringIO())
    return str(failed.value), json.loads(out.getvalue())["integrations"]


@pytest.mark.parametrize("failing", [0, 1])
def test_one_that_fails_is_named_and_hides_no_other(
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


def test_one_that_is_paused_is_named_with_the_reason(orders: list[Order], sandbox: Any, integration: Any) -> None:
    other = factories.integration(sandbox.add_integration("Other"), name="Other shop")
    other.pause(PauseReason.PERSON)
    said, reports = outcome()
    assert said == "Other shop: The integration is paused, or not in use. Run it again to go on."
    assert [report["name"] for report in reports] == ["Webshop"]


def test_an_order_that_vanished_without_a_signal(orders: list[Order], sandbox: Any) -> None:
    vanished = orders[2]
    vanished.lines.all()._raw_delete("default")
    Order.objects.filter(pk=vanished.pk)._raw_delete("default")
    for confirmed in (0, 1):
        code, report = run("--fix")
        assert (code, report["orphaned"], report["confirmed"], report["repaired"]) == (1, 1, confirmed, confirmed)
        assert sandbox.shipment(str(vanished.pk)), "it is told by a worker, and never after one comparison"
        assert factories.outbox().count() == confirmed
    pump()
    assert sandbox.shipment(str(vanished.pk)) is None
    assert run()[0] == 0


def test_an_order_that_vanished_is_listed_as_gone(orders: list[Order]) -> None:
    vanished = orders[2]
    vanished.lines.all()._raw_delete("default")
    Order.objects.filter(pk=vanished.pk)._raw_delete("default")
    found, said = listed()
    assert [(each["kind"], each["order_number"]) for each in found] == [("orphaned", vanished.number)]
    assert f"order gone     {vanished.number}" in said
