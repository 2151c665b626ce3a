"""Moves between the API generations: no order lost, none doubled, at whatever step the move is interrupted."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_sendcloud import jobs
from django_sendcloud.conf import conf
from django_sendcloud.enums import ApiGeneration
from django_sendcloud.exceptions import ServerError
from django_sendcloud.models import Integration, OutboxEntry, Parcel, PauseReason, Shipment
from django_sendcloud.sync import move as move_module
from django_sendcloud.sync.backends import BACKENDS
from django_sendcloud.sync.move import MoveFailed, begin_move, continue_moves, move, survey
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.shop.models import Order

pytestmark = [pytest.mark.django_db, pytest.mark.long]

Later = Callable[[float], None]
V2, V3 = ApiGeneration.V2, ApiGeneration.V3
OTHER = {"v2": V3, "v3": V2}
both_ways = pytest.mark.parametrize("generation", ["v2", "v3"], indirect=True)


def push() -> None:
    for _ in range(3):
        past = timezone.now() - dt.timedelta(seconds=1)
        factories.outbox().filter(state="pending").update(due_at=past, not_before=past)
        push_due()


def place(number: int = 1, **values: Any) -> list[Order]:
    orders = [factories.order(**values) for _ in range(number)]
    push()
    factories.forget_transaction()
    assert not OutboxEntry.objects.exists()
    return orders


def records(sandbox: Any) -> list[str]:
    """Return the order id of every record at Sendcloud, whichever generation made it."""
    return sorted(order["order_id"] for order in sandbox.orders())


def keys(sandbox: Any) -> set[tuple[str, str | None]]:
    """Return the ids of every record as v2 shows them."""
    return {(each["external_order_id"], each["external_shipment_id"]) for each in sandbox.shipments()}


def writes(sandbox: Any) -> int:
    """Return how many upserts and deletions Sendcloud received."""
    return sum(
        request.method in ("POST", "DELETE") and ("/orders" in request.path or "/shipments" in request.path)
        for request in sandbox.requests
    )


def test_move_adopts_pushed_orders_without_a_push(integration: Integration, sandbox: Any) -> None:
    orders = place(3)
    before = writes(sandbox)
    report = move(integration, V3)
    push()
    assert (report.adopted, report.missing, report.stale, report.foreign) == (3, 0, 0, 0)
    assert records(sandbox) == sorted(str(order.pk) for order in orders)
    assert set(Shipment.objects.values_list("remote_id", flat=True)) == {order["id"] for order in sandbox.orders()}
    assert writes(sandbox) == before
    found = Integration.objects.get()
    assert (found.api_generation, found.is_paused, found.moving_to) == ("v3", False, "")


@pytest.mark.parametrize("generation", ["v3"], indirect=True)
def test_move_back_recreates_orders_under_v2_ids(integration: Integration, sandbox: Any) -> None:
    """Orders made by v3 have no shipment id, by which v2 would update them."""
    place(2)
    assert move(integration, V2).recreated == 2
    push()
    assert len(sandbox.orders()) == len(keys(sandbox)) == 2
    assert Integration.objects.get().api_generation == "v2"


@both_ways
def test_moved_order_is_changed_and_deleted_there(integration: Integration, sandbox: Any, generation: str) -> None:
    changed, deleted = place(2)
    move(integration, OTHER[generation])
    changed.city = "Utrecht"
    changed.save()
    deleted.delete()
    push()
    assert records(sandbox) == [str(changed.pk)]
    assert "Utrecht" in str(sandbox.orders())


@both_ways
def test_move_and_return_keeps_orders_single(integration: Integration, sandbox: Any, generation: str) -> None:
    orders = place(2)
    move(integration, OTHER[generation])
    place(1)
    move(Integration.objects.get(), ApiGeneration(generation))
    push()
    assert len(sandbox.orders()) == len(keys(sandbox)) == len(orders) + 1


@both_ways
def test_changes_during_move_are_pushed_later(integration: Integration, sandbox: Any, generation: str) -> None:
    (order,) = place(1)

    def change(step: str) -> None:
        if step == "adopt":
            factories.forget_transaction()
            order.city = "Utrecht"
            order.save()
            factories.order(number="NEW")
            push_due()

    before = writes(sandbox)
    steps: list[int] = []
    move(integration, OTHER[generation], progress=lambda step: (change(step), steps.append(writes(sandbox)))[0])
    assert steps[:3] == [before] * 3, "no order is pushed during the move"
    push()
    assert len(records(sandbox)) == 2
    assert "Utrecht" in str(sandbox.orders())


@both_ways
def test_missing_order_is_pushed_after_the_move(integration: Integration, sandbox: Any, generation: str) -> None:
    kept, lost = place(2)
    (uuid,) = [each["shipment_uuid"] for each in sandbox.shipments() if each["external_order_id"] == str(lost.pk)]
    sandbox.delete_shipment(uuid)
    report = move(integration, OTHER[generation])
    assert (report.adopted + report.recreated, report.missing, report.names["missing"]) == (1, 1, [lost.number])
    push()
    assert records(sandbox) == sorted([str(kept.pk), str(lost.pk)])


@both_ways
def test_split_order_is_recreated_under_new_ids(integration: Integration, sandbox: Any, generation: str) -> None:
    (order,) = place(1, shipments=2)
    assert len(records(sandbox)) == 2
    report = move(integration, OTHER[generation])
    assert (report.recreated, report.foreign) == (2, 0)
    push()
    assert len(records(sandbox)) == 2
    assert Shipment.objects.filter(status="synced").count() == 2
    order.delete()
    push()
    assert records(sandbox) == []


def test_split_order_with_label_is_left_alone(integration: Integration, sandbox: Any) -> None:
    place(1, shipments=2)
    for shipment in Shipment.objects.all():
        Parcel.objects.create(integration=integration, remote_id=shipment.pk, shipment=shipment)
    before = records(sandbox)
    report = move(integration, V3)
    push()
    assert report.frozen == 2
    assert records(sandbox) == before


def test_order_split_in_panel_is_left_alone(integration: Integration, sandbox: Any) -> None:
    (order,) = place(1, lines=2)
    sandbox.split_order(str(order.pk), 2)
    before = writes(sandbox)
    for report in (survey(integration, V3), move(integration, V3)):
        assert (report.ambiguous, report.names) == (1, {"ambiguous": [order.number]})
    push()
    assert writes(sandbox) == before
    assert records(sandbox) == [str(order.pk)] * 2
    order.delete()
    push()
    assert records(sandbox) == []


@pytest.mark.parametrize("generation", ["v3"], indirect=True)
def test_panel_split_is_recreated_by_v2(integration: Integration, sandbox: Any) -> None:
    """v2 could neither change nor delete the parts, which have other ids: it gets the order in one piece."""
    (order,) = place(1, lines=2)
    sandbox.split_order(str(order.pk), 2)
    assert move(integration, V2).names == {"recreated": [order.number]}
    push()
    assert records(sandbox) == [str(order.pk)]
    order.delete()
    push()
    assert records(sandbox) == []


def test_foreign_order_is_reported_and_kept(integration: Integration, sandbox: Any) -> None:
    place(1)
    Shipment.objects.all().delete()
    report = move(integration, V3)
    assert report.foreign == 1
    assert len(records(sandbox)) == 1


def test_survey_changes_nothing(integration: Integration, sandbox: Any) -> None:
    place(2)
    before = writes(sandbox), list(Shipment.objects.values()), list(Integration.objects.values())
    assert survey(integration, V3).adopted == 2
    assert (writes(sandbox), list(Shipment.objects.values()), list(Integration.objects.values())) == before


@pytest.mark.parametrize("step", ["pause", "drain", "adopt", "switch"])
@both_ways
def test_interrupted_move_continues(
    integration: Integration, sandbox: Any, generation: str, step: str, later: Later
) -> None:
    place(2)
    place(1, shipments=2)

    def kill(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(integration, OTHER[generation], progress=kill)
    later(1000)
    jobs.sweep()
    if step == "pause":
        assert Integration.objects.get().api_generation == generation, "nothing had begun"
        move(Integration.objects.get(), OTHER[generation])
    push()
    integration.refresh_from_db()
    assert (integration.api_generation, integration.is_paused) == (OTHER[generation].value, False)
    assert len(sandbox.orders()) == len(keys(sandbox)) == 4


@both_ways
def test_move_ended_after_deletions_loses_no_order(integration: Integration, sandbox: Any, generation: str) -> None:
    """An operator resumes an interrupted move that has deleted what has other ids in the new generation."""
    place(1, shipments=2)

    def kill(name: str) -> None:
        if name == "switch":
            assert records(sandbox) == []
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(integration, OTHER[generation], progress=kill)
    Integration.objects.get().resume()
    push()
    assert Integration.objects.get().api_generation == generation
    assert len(records(sandbox)) == 2


@both_ways
def test_move_ended_during_deletion_loses_no_order(
    integration: Integration, sandbox: Any, generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends between the deletion and its note."""
    place(1, shipments=2)
    backend = BACKENDS[generation]
    delete = backend.delete

    def kill(self: Any, shipment: Shipment) -> None:
        delete(self, shipment)
        raise KeyboardInterrupt

    monkeypatch.setattr(backend, "delete", kill)
    with pytest.raises(KeyboardInterrupt):
        move(integration, OTHER[generation])
    monkeypatch.undo()
    assert len(records(sandbox)) == 1
    Integration.objects.get().resume()
    push()
    assert len(records(sandbox)) == 2


def test_move_waits_for_claimed_orders(integration: Integration, sandbox: Any, later: Later) -> None:
    factories.order()
    entry = factories.outbox().get()
    OutboxEntry.objects.update(lease="a worker", not_before=timezone.now() + dt.timedelta(seconds=3600))
    with pytest.raises(MoveFailed, match="1 orders are still claimed by workers"):
        move(integration, V3, wait_seconds=5)
    assert Integration.objects.get().api_generation == "v2"
    later(3700)
    entry.refresh_from_db()
    move(Integration.objects.get(), V3, wait_seconds=5)
    push()
    assert len(records(sandbox)) == 1


@pytest.mark.parametrize("generation", ["v3"], indirect=True)
def test_move_waits_for_orders_being_saved(
    integration: Integration, sandbox: Any, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """v2 would not find a cancelled order that v3 has accepted, and it would appear after its deletion."""
    sandbox.save_delay = None
    order = factories.order()
    factories.outbox()
    push_due()
    factories.forget_transaction()
    order.delete()

    def sleep(seconds: float) -> None:
        later(seconds)
        sandbox.save_orders()

    monkeypatch.setattr("django_sendcloud.core.clock.clock.sleep", sleep)
    move(integration, V2)
    push()
    sandbox.save_orders()
    assert records(sandbox) == []
    assert Integration.objects.get().api_generation == "v2"


@pytest.mark.parametrize("generation", ["v3"], indirect=True)
def test_move_waits_for_unanswered_order(
    integration: Integration, sandbox: Any, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was lost, and v3 saves the order only after the quarantine."""
    sandbox.save_delay = None
    sandbox.drop_answer(times=1, after_apply=True)
    order = factories.order()
    push_due()
    assert OutboxEntry.objects.get().in_doubt
    factories.forget_transaction()
    order.delete()
    slept = 0.0

    def sleep(seconds: float) -> None:
        nonlocal slept
        slept += seconds
        later(seconds)
        if slept > conf().SAVE_SECONDS - 5:
            sandbox.save_orders()

    monkeypatch.setattr("django_sendcloud.core.clock.clock.sleep", sleep)
    move(integration, V2, wait_seconds=600)
    push()
    sandbox.save_orders()
    assert records(sandbox) == []


def test_resumed_integration_is_not_switched(integration: Integration, sandbox: Any) -> None:
    place(1)

    def resume(step: str) -> None:
        if step == "switch":
            Integration.objects.get().resume()

    with pytest.raises(MoveFailed, match="resumed during the move"):
        move(integration, V3, progress=resume)
    assert Integration.objects.get().api_generation == "v2"


def test_person_paused_integration_stays_paused(integration: Integration, sandbox: Any) -> None:
    place(1)
    integration.pause(PauseReason.PERSON)
    move(integration, V3)
    found = Integration.objects.get()
    assert (found.api_generation, found.paused_reason) == ("v3", PauseReason.PERSON)


def test_rejected_keys_change_nothing(integration: Integration, sandbox: Any) -> None:
    sandbox.revoke_credentials()
    with pytest.raises(Exception, match="rejected"):
        move(integration, V3)
    assert not Integration.objects.get().is_paused


def test_operator_moves_without_waiting(integration: Integration, sandbox: Any) -> None:
    place(1)
    begin_move(integration, V3)
    assert Integration.objects.get().paused_reason == PauseReason.MOVE
    jobs.sweep()
    assert Integration.objects.get().api_generation == "v3"


def test_failed_move_is_tried_again(
    integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch, later: Later
) -> None:
    place(1)
    begin_move(integration, V3)

    def fail(*args: Any, **options: Any) -> Any:
        raise ServerError(status=503)

    with monkeypatch.context() as patched:
        patched.setattr(move_module, "move", fail)
        continue_moves()
    continue_moves()
    assert Integration.objects.get().api_generation == "v2", "not before its time"
    later(move_module.RETRY_SECONDS + 1)
    continue_moves()
    assert Integration.objects.get().api_generation == "v3"


def test_forbidden_v2_is_fixed_by_the_move(integration: Integration, sandbox: Any) -> None:
    sandbox.certified_partners_only = True
    order = factories.order()
    push()
    assert Integration.objects.get().paused_reason == PauseReason.PERMISSION
    move(Integration.objects.get(), V3)
    push()
    assert records(sandbox) == [str(order.pk)]


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sendcloud_move", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_command_reports_and_moves(integration: Integration, sandbox: Any) -> None:
    place(2)
    said = command("--to", "v3", "--dry-run")
    assert "2  found with the content that was pushed last" in said
    assert "Nothing was changed" in said
    assert Integration.objects.get().api_generation == "v2"
    assert "uses API v3 now" in command("--to", "v3")
    with pytest.raises(CommandError, match="uses v3 already"):
        command("--to", "v3")


def test_command_asks_for_one_of_several(integration: Integration, sandbox: Any) -> None:
    factories.integration(sandbox, remote_id=77, name="Second")
    with pytest.raises(CommandError, match="#77 “Second”"):
        command("--to", "v3")
