"""Parcel updates applied as a batch: the result and the shop's signals are the same as one by one."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from django_sendcloud import signals
from django_sendcloud.enums import WebhookAction
from django_sendcloud.models import (
    EventState,
    Integration,
    Parcel,
    ParcelStatus,
    Shipment,
    ShipmentStatus,
    WebhookEvent,
)
from django_sendcloud.parcels import updates
from django_sendcloud.parcels.matching import link_unmatched
from django_sendcloud.parcels.parse import parse
from django_sendcloud.webhooks import apply, handlers, inbox

from .messages import BEGIN, HOUR, parcel, raw
from .test_apply import NOW, undone


@pytest.fixture
def integration(db: None) -> Integration:
    return Integration.objects.create(remote_id=1, public_key="public", secret_key="secret", name="Shop")


@pytest.fixture
def ours(integration: Integration) -> Shipment:
    return Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk="1", order_number="ORD-1", uuid=uuid.uuid4(),
        external_order_id="o", external_shipment_id="s", status=ShipmentStatus.SYNCED,
    )  # fmt: skip


@pytest.fixture
def moves() -> Iterator[list[Any]]:
    """Return the moves that the receiver was called for: parcel, previous status, new status, and the status of the parcel passed."""
    found: list[Any] = []

    def hear(parcel: Parcel, previous_status_id: int | None, status: ParcelStatus | None, **kwargs: Any) -> None:
        found.append((parcel.remote_id, previous_status_id, status and status.status_id, parcel.status_id))

    signals.parcel_status_changed.connect(hear)
    yield found
    signals.parcel_status_changed.disconnect(hear)


def store(integration: Integration, *bodies: dict[str, Any]) -> None:
    for position, body in enumerate(bodies):
        event, _ = inbox.store(integration, raw(body))
        assert event is not None
        received = NOW + dt.timedelta(seconds=position)
        WebhookEvent.objects.filter(pk=event.pk).update(received_at=received, due_at=NOW)


def work_off(at_once: int) -> None:
    while apply.drain(at_once, now=NOW):
        pass


# -- every order, in every grouping -------------------------------------------------------------------

JOURNEY = [(1000, 0), (1, 1), (3, 2), (8, 3), (92, 4), (11, 5)]
# Six events in batches of these sizes.
GROUPS = [(1, 1, 1, 1, 1, 1), (6,), (3, 3), (1, 4, 1), (2, 1, 3)]


@pytest.mark.exhaustive
@pytest.mark.long
def test_f27_720_orders_in_any_grouping_end_alike(integration: Integration, ours: Shipment) -> None:
    """Only one of the six names the shipment; in the end all of them arrive again."""
    store(
        integration,
        *(
            parcel(
                status, BEGIN + hours * HOUR, tracking_number=f"3S{hours}", order_number="",
                shipment_uuid=str(ours.uuid) if hours == 1 else None,
            )
            for status, hours in JOURNEY
        ),
    )  # fmt: skip
    events = []
    for event in WebhookEvent.objects.order_by("received_at"):
        payload = parse(event.body.reveal())
        event.action, event.event_ms = payload["action"], payload["timestamp"]
        event.integration = integration
        events.append((event, handlers.ParcelUpdate.read(payload)))
    ends = set()
    for order, groups in zip(itertools.permutations(events), itertools.cycle(GROUPS), strict=False):
        with undone():
            waiting = list(order)
            for size in groups:
                batch, waiting = waiting[:size], waiting[size:]
                handlers.apply_parcel_events(batch)
            handlers.apply_parcel_events(order)
            found = Parcel.objects.values_list(
                "shipment", "shipment_uuid", "status_id", "status_message", "phase", "status_at", "last_event_ms",
                "versions", "tracking_number",
            ).get()  # fmt: skip
            history = ParcelStatus.objects.values_list("event_ms", "status_id", "message", "phase", "carrier_at")
            ends.add(repr((found, tuple(history))))
            end, steps = found, tuple(history)
    assert len(ends) == 1
    assert end[0] == ours.pk
    assert (end[2], end[8]) == (11, "3S5")
    assert [step[1] for step in steps] == [status for status, _ in JOURNEY]


@pytest.mark.long
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3,), (2, 1), (1, 2)])
def test_f27_equal_times_in_any_order_end_alike(integration: Integration, sizes: tuple[int, ...]) -> None:
    ends = set()
    for order in itertools.permutations([parcel(status, BEGIN) for status in (3, 8, 92)]):
        with undone():
            store(integration, *order)
            for size in sizes:
                assert apply.drain(size, now=NOW) == size
            assert ParcelStatus.objects.count() == 3
            ends.add(repr(Parcel.objects.values_list("status_id", "tracking_number", "versions").get()))
    assert len(ends) == 1
    assert ends.pop().startswith("(92,")


@pytest.mark.long
def test_updates_without_fields_keep_what_is_known(integration: Integration, ours: Shipment) -> None:
    """Issue 11: a full update, then one as documented, without link, carrier, labels; in any order, any grouping."""
    label = {"label_printer": "https://panel.example/a6", "normal_printer": []}
    full = parcel(3, BEGIN, label=label, collo_nr=0, collo_count=1)
    short = parcel(8, BEGIN + HOUR)
    for name in ("tracking_url", "carrier", "is_return", "weight", "tracking_number"):
        del short["parcel"][name]
    erasing = parcel(11, BEGIN + 2 * HOUR, carrier=None, tracking_url="")
    ends = set()
    for order in itertools.permutations([full, short, erasing]):
        for sizes in ((1, 1, 1), (3,), (2, 1)):
            with undone():
                store(integration, *order)
                for size in sizes:
                    assert apply.drain(size, now=NOW) == size
                # (The links to labels have no repr.)
                assert Parcel.objects.get().labels == {"a6": "https://panel.example/a6"}
                ends.add(
                    repr(
                        Parcel.objects.values_list(
                            "status_id", "tracking_url", "carrier", "weight", "versions", "shipment"
                        ).get()
                    )
                )
    (end,) = ends
    assert "(11, 'https://tracking.example/3SABC0001', '', Decimal('1.250')" in end


@pytest.mark.parametrize("number", range(6))
def test_carrier_time_decides_between_equals(integration: Integration, number: int) -> None:
    """For the status and for every other field, whichever of the digests is the greater one."""
    early, late = parcel(92, BEGIN, tracking_number=f"E{number}"), parcel(3, BEGIN, tracking_number=f"L{number}")
    early["carrier_status_change_timestamp"], late["carrier_status_change_timestamp"] = BEGIN - 9000, BEGIN - 2000
    for order in itertools.permutations([early, late]):
        with undone():
            store(integration, *order)
            work_off(50)
            assert Parcel.objects.values_list("status_id", "tracking_number").get() == (3, f"L{number}")


@pytest.mark.long
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3,), (2, 1), (1, 2)])
def test_delivery_is_not_undone_by_earlier_scan(integration: Integration, sizes: tuple[int, ...]) -> None:
    """A depot reports its scan after the delivery, but made it before; the three arrive in every order."""
    scan, delivered = parcel(5, BEGIN + 3 * HOUR), parcel(11, BEGIN + 2 * HOUR)
    scan["carrier_status_change_timestamp"] = BEGIN + HOUR
    delivered["carrier_status_change_timestamp"] = BEGIN + 2 * HOUR
    on_its_way = parcel(92, BEGIN + HOUR)
    ends = set()
    for order in itertools.permutations([scan, delivered, on_its_way]):
        with undone():
            store(integration, *order)
            for size in sizes:
                assert apply.drain(size, now=NOW) == size
            ends.add(Parcel.objects.values_list("status_id", "phase").get())
            assert Parcel.objects.get().timeline.count() == 3, "the history has it all the same"
    assert ends == {(11, "delivered")}


@pytest.mark.long
@pytest.mark.parametrize("status", [5, 8])
def test_repeated_status_has_its_carrier_time(integration: Integration, status: int) -> None:
    """Sendcloud's list repeats the last status, and never names the carrier's time of it."""
    delivered, scan = parcel(11, BEGIN + 2 * HOUR), parcel(status, BEGIN + 3 * HOUR)
    scan["carrier_status_change_timestamp"] = BEGIN + HOUR
    polled = parcel(status, BEGIN + 3 * HOUR + 999, action=WebhookAction.PARCEL_POLLED.value)
    polled["carrier_status_change_timestamp"] = None
    ends = set()
    for order in itertools.permutations([delivered, scan, polled]):
        with undone():
            store(integration, *order)
            work_off(1)
            ends.add(Parcel.objects.values_list("status_id", "phase").get())
    assert ends == {(11, "delivered")}


@pytest.mark.long
@pytest.mark.parametrize("at", [None, BEGIN + 150 * HOUR // 60])
def test_problem_between_two_delivery_reports_counts(integration: Integration, at: int | None) -> None:
    """The carrier's time of a delivery counts, and not that of its report, wherever it is named."""
    polled = parcel(11, BEGIN + 3 * HOUR, action=WebhookAction.PARCEL_POLLED.value)
    polled["carrier_status_change_timestamp"] = None
    delivered, damaged = parcel(11, BEGIN + 2 * HOUR), parcel(62996, BEGIN + 4 * HOUR)
    delivered["carrier_status_change_timestamp"] = BEGIN + 2 * HOUR
    damaged["carrier_status_change_timestamp"] = at
    for order in itertools.permutations([delivered, polled, damaged]):
        with undone():
            store(integration, *order)
            work_off(1)
            assert Parcel.objects.get().phase == "problem"


@pytest.mark.long
def test_same_problem_after_delivery_counts_again(integration: Integration) -> None:
    """It was lost and found; after its delivery the list says that something has happened to it again."""
    again = parcel(62996, BEGIN + 4 * HOUR, action=WebhookAction.PARCEL_POLLED.value)
    again["carrier_status_change_timestamp"] = None
    bodies = [parcel(62996, BEGIN + HOUR), parcel(11, BEGIN + 2 * HOUR), again]
    for order in itertools.permutations(bodies):
        with undone():
            store(integration, *order)
            work_off(1)
            assert Parcel.objects.get().phase == "problem"


def test_newer_status_after_delivery_moves_parcel(integration: Integration) -> None:
    store(integration, parcel(11, BEGIN), parcel(62992, BEGIN + HOUR))
    work_off(50)
    assert Parcel.objects.get().phase == "returned"


# -- the signals of the shop --------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 2, 3, 50])
def test_signal_is_sent_once_for_each_move(integration: Integration, moves: list[Any], at_once: int) -> None:
    statuses = [3, 3, 8, 3, 11, 11]
    store(integration, *(parcel(status, BEGIN + n * HOUR) for n, status in enumerate(statuses)))
    work_off(at_once)
    assert moves == [(4711, None, 3, 3), (4711, 3, 8, 8), (4711, 8, 3, 3), (4711, 3, 11, 11)]


@pytest.mark.parametrize("at_once", [1, 50])
def test_late_update_moves_nothing_and_is_silent(integration: Integration, moves: list[Any], at_once: int) -> None:
    store(integration, parcel(92, BEGIN + HOUR), parcel(3, BEGIN), parcel(11, BEGIN + 2 * HOUR))
    work_off(at_once)
    assert moves == [(4711, None, 92, 92), (4711, 92, 11, 11)]
    assert [step.status_id for step in Parcel.objects.get().timeline.all()] == [3, 92, 11]


def test_receiver_is_given_the_stored_parcel(integration: Integration, ours: Shipment) -> None:
    given: list[Parcel] = []

    def hear(parcel: Parcel, **kwargs: Any) -> None:
        given.append(parcel)

    store(integration, parcel(3, id=1), parcel(3, id=2))
    work_off(50)
    Parcel.objects.filter(remote_id=1).update(created_at=NOW)
    signals.parcel_status_changed.connect(hear)
    try:
        store(integration, parcel(11, BEGIN + HOUR, id=1), parcel(11, BEGIN + HOUR, id=3))
        work_off(50)
    finally:
        signals.parcel_status_changed.disconnect(hear)
    assert len(given) == 2
    for passed in given:
        kept = Parcel.objects.get(pk=passed.pk)
        assert passed.shipment == kept.shipment == ours
        for field in Parcel._meta.concrete_fields:
            assert getattr(passed, field.attname) == getattr(kept, field.attname), field.attname
        passed.save()
    assert Parcel.objects.count() == 3, "to save it changes that parcel, and makes no other"


# -- the parcel's shipment ----------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 50])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        {"shipment_uuid": "…"},
        {"external_order_id": "o", "external_shipment_id": "s"},
        {"external_order_id": "o"},
        {"order_number": "ORD-1"},
    ],
)
def test_single_update_naming_the_shipment_suffices(
    integration: Integration, ours: Shipment, said: dict[str, str], late: bool, at_once: int
) -> None:
    nothing = {"shipment_uuid": None, "order_number": "", "external_order_id": None, "external_shipment_id": ""}
    said = {name: str(ours.uuid) if value == "…" else value for name, value in said.items()}
    bodies = [parcel(3, BEGIN, **(nothing | said)), parcel(11, BEGIN + HOUR, **nothing)]
    store(integration, *(reversed(bodies) if late else bodies))
    work_off(at_once)
    found = Parcel.objects.get()
    assert found.shipment == ours
    assert found.status_id == 11


@pytest.mark.parametrize("at_once", [1, 50])
def test_f28_identifier_is_kept_until_shipment_appears(integration: Integration, at_once: int) -> None:
    identity = uuid.uuid4()
    store(
        integration,
        parcel(11, BEGIN + HOUR, order_number=""),
        parcel(3, BEGIN, order_number="", shipment_uuid=str(identity)),
        parcel(12, BEGIN + HOUR // 2, order_number=""),
    )
    work_off(at_once)
    assert Parcel.objects.get().shipment is None
    shipment = Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk="1", external_order_id="o", uuid=identity
    )
    assert link_unmatched() == 1
    assert Parcel.objects.get().shipment == shipment


def test_shipment_assigned_by_operator_stays(integration: Integration, ours: Shipment) -> None:
    store(integration, parcel(3, order_number=""), parcel(3, id=2, order_number=""))
    work_off(50)
    Parcel.objects.filter(remote_id=4711).update(shipment=ours)
    Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk="2", order_number="ORD-2", external_order_id="2"
    )
    store(integration, *(parcel(11, BEGIN + HOUR, id=number, order_number="ORD-2") for number in (4711, 2)))
    work_off(50)
    assert Parcel.objects.get(remote_id=4711).shipment == ours


# -- events that fail ---------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        raw({"action": "parcel_status_changed", "timestamp": BEGIN}),
        raw(parcel(id="--5")),
        raw(parcel(id=None)),
    ],
    ids=["not json", "no parcel", "odd id", "no id"],
)
def test_unreadable_event_fails_alone(integration: Integration, bad: bytes, place: int) -> None:
    bodies = [raw(parcel(id=1)), raw(parcel(id=2))]
    bodies.insert(place, bad)
    for body in bodies:
        inbox.store(integration, body)
    assert apply.drain() == 3
    assert set(Parcel.objects.values_list("remote_id", flat=True)) == {1, 2}
    failed = WebhookEvent.objects.get(state=EventState.FAILED)
    assert failed.body.reveal() == bad.decode()
    assert WebhookEvent.objects.filter(state=EventState.PROCESSED).count() == 2


def test_parcel_created_meanwhile_repeats_the_batch(
    integration: Integration, moves: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, in another order than the other worker's, both workers would wait for each other."""
    original, looked = updates._locked, []

    def look(found: Any) -> Any:
        known = original(found)
        if not looked:
            Parcel.objects.create(integration=integration, remote_id=2)
        looked.append(len(known))
        return known

    def one_by_one(*args: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(updates, "_locked", look)
    monkeypatch.setattr(handlers, "apply_event", one_by_one)
    store(integration, *(parcel(3, BEGIN + number, id=4 - number) for number in (1, 2, 3)))
    assert apply.drain(now=NOW) == 3
    assert len(looked) == 2
    assert [move[0] for move in moves] == [3, 2, 1], "received once"
    assert set(WebhookEvent.objects.values_list("state", "attempts")) == {(EventState.PROCESSED, 0)}


def test_unforeseen_error_stops_no_other_event(integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    original = handlers.ParcelUpdate.read

    def read(payload: dict[str, Any]) -> Any:
        if payload["parcel"]["id"] == 2:
            raise ArithmeticError("Jane Canary")
        return original(payload)

    monkeypatch.setattr(handlers.ParcelUpdate, "read", read)
    store(integration, *(parcel(id=number) for number in (1, 2, 3)))
    assert apply.drain(now=NOW) == 3
    assert set(Parcel.objects.values_list("remote_id", flat=True)) == {1, 3}
    waiting = WebhookEvent.objects.get(state=EventState.RECEIVED)
    assert waiting.due_at > NOW
    assert waiting.note == {"code": "not_applied", "error": "ArithmeticError"}


def test_failing_follow_up_stops_no_other_event(
    integration: Integration, moves: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Integration) -> None:
        raise OSError("Jane Canary")

    with monkeypatch.context() as patch:
        patch.setattr(Integration, "refresh_from_sendcloud", fail)
        store(integration, {"action": "integration_updated", "timestamp": BEGIN}, parcel(id=1), parcel(id=2))
        apply.drain(now=NOW)
    assert [move[0] for move in moves] == [1, 2]
    waiting = WebhookEvent.objects.get(state=EventState.RECEIVER_FAILED)
    assert waiting.action == "integration_updated"
    assert waiting.due_at is not None
    assert waiting.due_at > NOW, "it is tried again"
    assert waiting.note == {"code": "follow_up_failed", "step": "integration_updated", "error": "OSError"}


def test_f31_bodies_survive_key_rotation(integration: Integration, settings: Any) -> None:
    """Bodies kept under an old key are read with it; without it they wait, with the reason, until it is back."""
    old, new = "6ojkI3zSgQMCOMRDZAAGdgo4b1TTUuKhkZS7yVNkbOc=", "d7xpQ1F0Tn9kqjY0g3m2m2h1l8mJ5S6bq6u9c0v1w2E="

    def keys(*keys: str) -> None:
        settings.SENDCLOUD = {**settings.SENDCLOUD, "ENCRYPTION_KEYS": list(keys)}

    keys(old)
    store(integration, parcel(id=1))
    keys(new, old)
    store(integration, parcel(id=2))
    keys(new)
    apply.drain(now=NOW)
    assert Parcel.objects.get().remote_id == 2
    waiting = WebhookEvent.objects.get(state=EventState.RECEIVED)
    assert waiting.note == {"code": "not_decryptable"}
    keys(new, old)
    apply.drain(now=waiting.due_at)
    assert Parcel.objects.count() == 2
