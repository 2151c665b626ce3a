"""Applying of webhooks: the right parcel and the right state in every order of arrival."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.dispatch import Signal
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sendcloud import signals
from django_sendcloud.core import interruption
from django_sendcloud.enums import ParcelPhase
from django_sendcloud.maintenance.prune import prune_inbox
from django_sendcloud.models import (
    EventState,
    Integration,
    Parcel,
    ParcelStatus,
    PauseReason,
    Shipment,
    ShipmentStatus,
    WebhookEvent,
)
from django_sendcloud.parcels import updates
from django_sendcloud.parcels.matching import link_unmatched
from django_sendcloud.parcels.statuses import STATUSES
from django_sendcloud.webhooks import apply, claim, follow_ups, handlers, inbox, steps

from .messages import BEGIN, HOUR, parcel, raw

NOW = dt.datetime.fromtimestamp((BEGIN + 12 * HOUR) / 1000, dt.UTC)


@pytest.fixture
def integration(db: None) -> Integration:
    return Integration.objects.create(remote_id=1, public_key="public", secret_key="secret", name="Shop")


@pytest.fixture
def deliver(integration: Integration) -> Callable[..., WebhookEvent]:
    """Receive and apply one webhook."""

    def receive(payload: Any, **values: Any) -> WebhookEvent:
        event, _ = inbox.store(integration, raw(payload))
        assert event is not None
        # The event arrives when Sendcloud says that it was sent.
        WebhookEvent.objects.filter(pk=event.pk).update(received_at=NOW, due_at=NOW, **values)
        apply.drain(now=NOW)
        event.refresh_from_db()
        return event

    return receive


class Undone(Exception):
    pass


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """Roll back all that the block writes."""
    with contextlib.suppress(Undone), transaction.atomic():
        yield
        raise Undone


def shipment(integration: Integration, number: str = "ORD-1", **values: Any) -> Shipment:
    return Shipment.objects.create(
        **{
            "integration": integration,
            "order_type": "shop.order",
            "order_pk": uuid.uuid4().hex,
            "order_number": number,
            "external_order_id": f"id-{number}",
            "external_shipment_id": f"id-{number}",
            "uuid": uuid.uuid4(),
            "status": ShipmentStatus.SYNCED,
            **values,
        }
    )


@pytest.fixture
def heard() -> Iterator[list[tuple[Signal, dict[str, Any]]]]:
    """Return every signal sent to the shop, with its arguments."""
    found: list[tuple[Signal, dict[str, Any]]] = []
    listening = []
    for name in signals.__all__:
        signal = getattr(signals, name)

        def receive(sender: Any, signal: Signal, **kwargs: Any) -> None:
            found.append((signal, {"sender": sender, **kwargs}))

        signal.connect(receive, weak=False)
        listening.append((signal, receive))
    yield found
    for signal, receive in listening:
        signal.disconnect(receive)


def of(heard: list[tuple[Signal, dict[str, Any]]], signal: Signal) -> list[dict[str, Any]]:
    return [kwargs for sent, kwargs in heard if sent is signal]


# -- matching -----------------------------------------------------------------------------------------


def test_shipment_uuid_precedes_other_identifiers(integration: Integration, deliver: Any) -> None:
    ours, other = shipment(integration), shipment(integration, "ORD-2")
    deliver(parcel(shipment_uuid=str(ours.uuid), external_order_id=other.external_order_id, order_number="ORD-2"))
    assert Parcel.objects.get().shipment == ours


def test_external_ids_follow_shipment_uuid(integration: Integration, deliver: Any) -> None:
    ours, _ = shipment(integration), shipment(integration, "ORD-2")
    deliver(parcel(shipment_uuid=str(uuid.uuid4()), external_order_id=ours.external_order_id, order_number="ORD-2"))
    assert Parcel.objects.get().shipment == ours


def test_shipment_id_decides_in_split_order(integration: Integration, deliver: Any) -> None:
    first = shipment(integration, external_order_id="split", external_shipment_id="split-1")
    second = shipment(integration, external_order_id="split", external_shipment_id="split-2")
    deliver(parcel(id=1, external_order_id="split", external_shipment_id="split-2", order_number=""))
    assert Parcel.objects.get(remote_id=1).shipment == second
    deliver(parcel(id=2, external_order_id="split", order_number=""))
    assert Parcel.objects.get(remote_id=2).shipment is None, "which of the two is not guessed"
    assert first.parcels.count() == 0


def test_order_number_is_used_only_if_unique(integration: Integration, deliver: Any) -> None:
    ours = shipment(integration)
    deliver(parcel(id=1))
    assert Parcel.objects.get(remote_id=1).shipment == ours
    shipment(integration, external_order_id="a", external_shipment_id="a")
    deliver(parcel(id=2))
    assert Parcel.objects.get(remote_id=2).shipment is None


def test_known_parcel_keeps_its_shipment(integration: Integration, deliver: Any) -> None:
    ours = shipment(integration)
    deliver(parcel(3, shipment_uuid=str(ours.uuid)))
    deliver(parcel(11, BEGIN + HOUR, order_number="", shipment_uuid=None))
    assert Parcel.objects.get().shipment == ours


def test_shipment_of_other_integration_is_ignored(integration: Integration, deliver: Any) -> None:
    other = Integration.objects.create(remote_id=2, public_key="p", secret_key="s")
    foreign = shipment(other)
    deliver(parcel(shipment_uuid=str(foreign.uuid)))
    assert Parcel.objects.get().shipment is None


def test_f28_parcel_before_its_shipment_is_linked_later(integration: Integration, deliver: Any) -> None:
    identity = uuid.uuid4()
    event = deliver(parcel(shipment_uuid=str(identity)))
    assert event.state == EventState.PROCESSED
    assert Parcel.objects.get().shipment is None
    assert link_unmatched() == 0
    ours = shipment(integration, uuid=identity)
    assert link_unmatched() == 1
    assert Parcel.objects.get().shipment == ours


def test_f28_parcel_of_deleted_order_is_kept(integration: Integration, deliver: Any) -> None:
    ours = shipment(integration, status=ShipmentStatus.DELETED)
    deliver(parcel(shipment_uuid=str(ours.uuid)))
    assert Parcel.objects.get().shipment == ours


def test_returns_are_separate_from_outgoing_parcels(integration: Integration, deliver: Any) -> None:
    ours = shipment(integration)
    deliver(parcel(id=1, shipment_uuid=str(ours.uuid), collo_nr=0, collo_count=2))
    deliver(parcel(id=2, shipment_uuid=str(ours.uuid), collo_nr=1, collo_count=2))
    deliver(parcel(id=3, shipment_uuid=str(ours.uuid), is_return=True))
    assert list(ours.parcels.outgoing().order_by("remote_id").values_list("remote_id", "collo_count")) == [
        (1, 2),
        (2, 2),
    ]
    assert ours.parcels.filter(is_return=True).count() == 1


# -- the state ----------------------------------------------------------------------------------------


def test_parcel_fields_are_stored(integration: Integration, deliver: Any) -> None:
    event = deliver(
        parcel(
            label={"label_printer": "https://panel.example/a6", "normal_printer": ["https://panel.example/a4"]},
            collo_nr=1,
        )
    )
    found = Parcel.objects.get()
    assert event.state == EventState.PROCESSED
    assert event.parcel == found
    assert (found.tracking_number, found.carrier, str(found.weight)) == ("3SABC0001", "postnl", "1.250")
    assert found.tracking_url == "https://tracking.example/3SABC0001"
    assert (found.status_id, found.status_message, found.phase) == (3, "Status 3", "in_transit")
    assert found.labels == {"a6": "https://panel.example/a6", "a4": ["https://panel.example/a4"]}
    assert int(found.status_at.timestamp() * 1000) == BEGIN
    step = found.timeline.get()
    assert int(step.carrier_at.timestamp() * 1000) == BEGIN - 1000


def test_body_is_erased_once_applied(deliver: Any) -> None:
    event = deliver(parcel(name="Jane Canary"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM django_sendcloud_webhookevent WHERE id = %s", [event.pk])
        assert cursor.fetchone() == ("",)


JOURNEY = [(1000, 0), (1, 1), (3, 2), (8, 3), (92, 4), (11, 5)]


def state() -> tuple[Any, ...]:
    found = Parcel.objects.values_list(
        "status_id", "status_message", "phase", "status_at", "last_event_ms", "tracking_number"
    ).get()
    return found, list(ParcelStatus.objects.values_list("event_ms", "status_id", "message", "phase", "carrier_at"))


@pytest.mark.long
def test_f27_updates_in_any_order_end_alike(integration: Integration, deliver: Any) -> None:
    """Going through the inbox is slow, so it runs thirty of the 720 orders; ``test_together`` runs them all."""
    bodies = [parcel(status, BEGIN + hours * HOUR, tracking_number=f"3S{hours}") for status, hours in JOURNEY]
    ends = set()
    for order in itertools.islice(itertools.permutations(bodies), 0, None, 24):
        with undone():
            for position, body in enumerate(order):
                event, _ = inbox.store(integration, raw(body))
                assert event is not None
                WebhookEvent.objects.filter(pk=event.pk).update(
                    received_at=NOW + dt.timedelta(seconds=position), due_at=NOW
                )
                # A duplicate changes nothing and is not stored.
                assert inbox.store(integration, raw(body)) == (None, False)
            assert apply.drain(now=NOW) == len(order)
            ends.add(repr(state()))
    assert len(ends) == 1
    end = ends.pop()
    assert "delivered" in end
    assert "3S5" in end


@pytest.mark.long
def test_f27_equal_times_in_any_order_end_alike(integration: Integration, deliver: Any) -> None:
    bodies = [parcel(status, BEGIN) for status in (3, 8, 92)]
    ends = set()
    for order in itertools.permutations(bodies):
        with undone():
            for body in order:
                deliver(body)
            ends.add(repr(state()))
    assert len(ends) == 1


def test_replayed_old_update_moves_nothing(integration: Integration, deliver: Any, heard: Any) -> None:
    first = deliver(parcel(3, BEGIN))
    deliver(parcel(11, BEGIN + HOUR))
    before = state()
    heard.clear()
    inbox_body = raw(parcel(3, BEGIN)).decode()
    WebhookEvent.objects.filter(pk=first.pk).update(body=inbox_body, state=EventState.RECEIVED, due_at=NOW)
    apply.drain(now=NOW)
    assert state() == before
    assert of(heard, signals.parcel_status_changed) == []


def test_late_update_completes_history_without_signal(deliver: Any, heard: Any) -> None:
    deliver(parcel(11, BEGIN + HOUR))
    heard.clear()
    deliver(parcel(3, BEGIN))
    assert Parcel.objects.get().status_id == 11
    assert [step.status_id for step in Parcel.objects.get().timeline.all()] == [3, 11]
    assert of(heard, signals.parcel_status_changed) == []


@pytest.mark.parametrize("at", [BEGIN, BEGIN // 1000, str(BEGIN), str(BEGIN // 1000), BEGIN / 1000])
def test_f27_seconds_and_milliseconds(deliver: Any, at: Any) -> None:
    event = deliver(parcel() | {"timestamp": at})
    assert event.event_ms == BEGIN


def test_f27_future_time_is_replaced_by_arrival(deliver: Any) -> None:
    event = deliver(parcel(3, BEGIN + 70 * 365 * 24 * HOUR))
    assert event.note == {"code": "time_in_the_future"}
    assert Parcel.objects.get().status_at == NOW
    deliver(parcel(11, BEGIN + 13 * HOUR))
    assert Parcel.objects.get().status_id == 11


@pytest.mark.parametrize("at", [None, "", "yesterday", -1, True, {"a": 1}, 1e400])
def test_unusable_time_is_replaced_by_arrival(deliver: Any, at: Any) -> None:
    if at == float("inf"):
        at = "1e400"
    event = deliver(parcel() | {"timestamp": at})
    assert event.state == EventState.PROCESSED
    assert Parcel.objects.get().status_at == NOW


@pytest.mark.parametrize(
    ("timestamp", "understood"),
    [
        (BEGIN, dt.datetime.fromtimestamp(BEGIN / 1000, dt.UTC)),
        (BEGIN // 1000, dt.datetime.fromtimestamp(BEGIN // 1000, dt.UTC)),
        ("2018-01-01T21:45:30+01:00", dt.datetime(2018, 1, 1, 20, 45, 30, tzinfo=dt.UTC)),
        ("2018-01-01T21:45:30Z", dt.datetime(2018, 1, 1, 21, 45, 30, tzinfo=dt.UTC)),
        ("01-02-2018 21:45:30", dt.datetime(2018, 2, 1, 21, 45, 30, tzinfo=dt.UTC)),
        ("nonsense", None),
        (None, None),
    ],
)
def test_carrier_time_is_read_in_each_format(deliver: Any, timestamp: Any, understood: dt.datetime | None) -> None:
    deliver(parcel() | {"carrier_status_change_timestamp": timestamp})
    assert ParcelStatus.objects.get().carrier_at == understood


def test_known_status_has_phase_and_text(integration: Integration) -> None:
    for number, status_id in enumerate(STATUSES, 1):
        inbox.store(integration, raw(parcel(id=number, status={"id": status_id})))
    apply.drain()
    found = {each.status_id: (each.status_message, each.phase) for each in Parcel.objects.all()}
    assert found == {status_id: (text, phase.value) for status_id, (text, phase) in STATUSES.items()}


def test_unknown_status_is_kept_verbatim(deliver: Any) -> None:
    deliver(parcel(status={"id": 424242, "message": "Eaten by the dog"}))
    found = Parcel.objects.get()
    assert (found.status_id, found.status_message, found.phase) == (424242, "Eaten by the dog", "unknown")


def test_phases_follow_setting(deliver: Any, settings: Any) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "PARCEL_PHASES": {8: "in_transit", 424242: "problem"}}
    deliver(parcel(8))
    assert Parcel.objects.get().phase == ParcelPhase.IN_TRANSIT
    deliver(parcel(424242, BEGIN + HOUR))
    assert Parcel.objects.get().phase == ParcelPhase.PROBLEM


@pytest.mark.parametrize(
    "odd",
    [
        {"tracking_url": "javascript:alert(1)"},
        {"weight": "heavy"},
        {"weight": 1e300},
        {"carrier": None},
        {"carrier": "postnl"},
        {"status": None},
        {"status": {"id": "11"}},
        {"status": {"id": 10**30}},
        {"label": []},
        {"order_number": 17},
        {"order_number": "x" * 1000},
        {"tracking_number": "a\x00b"},
        {"tracking_number": "\ud800"},
        {"collo_nr": -1},
        {"shipment_uuid": "none"},
    ],
)
def test_odd_values_do_not_lose_the_rest(deliver: Any, odd: dict[str, Any]) -> None:
    event = deliver(parcel(**odd))
    assert event.state == EventState.PROCESSED
    found = Parcel.objects.get()
    assert found.tracking_url in ("", "https://tracking.example/3SABC0001")
    assert "\x00" not in found.tracking_number


@pytest.mark.parametrize(
    "broken", [{}, {"parcel": None}, {"parcel": {}}, {"parcel": {"id": "x"}}, {"parcel": {"id": -5}}]
)
def test_update_without_parcel_fails_and_is_shown(deliver: Any, broken: dict[str, Any]) -> None:
    event = deliver({"action": "parcel_status_changed", "timestamp": BEGIN, **broken})
    assert event.state == EventState.FAILED
    assert event.note["code"] in ("no_parcel", "no_parcel_id")
    assert event.body, "kept, to be looked into"


def test_published_webhook_is_applied(integration: Integration) -> None:
    event, _ = inbox.store(integration, Path(__file__).with_name("published.json").read_bytes())
    apply.drain()
    assert event is not None
    event.refresh_from_db()
    assert event.state == EventState.PROCESSED, event.note
    assert Parcel.objects.get().tracking_number


@pytest.mark.long
def test_applying_costs_few_statements(integration: Integration, deliver: Any) -> None:
    ours = shipment(integration)
    for number in range(40):
        inbox.store(integration, raw(parcel(id=number + 1, shipment_uuid=str(ours.uuid))))
    with CaptureQueriesContext(connection) as queries:
        assert apply.drain(now=timezone.now() + dt.timedelta(seconds=1)) == 40
    statements = [q["sql"] for q in queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(statements) / 40 <= 0.6


# -- the other actions --------------------------------------------------------------------------------


def test_first_update_and_each_move_send_signals(integration: Integration, deliver: Any, heard: Any) -> None:
    ours = shipment(integration)
    deliver(parcel(3, shipment_uuid=str(ours.uuid)))
    deliver(parcel(3, BEGIN + 1))
    deliver(parcel(11, BEGIN + HOUR))
    (created,) = of(heard, signals.parcel_created)
    assert (created["sender"], created["shipment"]) == (Parcel, ours)
    moves = of(heard, signals.parcel_status_changed)
    assert [(m["previous_status_id"], m["parcel"].status_id, m["status"].status_id) for m in moves] == [
        (None, 3, 3),
        (3, 11, 11),
    ]
    assert moves[-1]["shipment"] == ours
    received = of(heard, signals.webhook_received)
    assert [r["event"].action for r in received] == ["parcel_status_changed"] * 3
    assert received[0]["payload"]["parcel"]["id"] == 4711


@pytest.mark.parametrize("action", ["integration_updated", "integration_connected"])
def test_changed_integration_is_read_from_sendcloud(
    sandbox: Any, sendcloud_settings: Any, integration: Integration, deliver: Any, heard: Any, action: str
) -> None:
    Integration.objects.update(
        remote_id=sandbox.integration_id, public_key=sandbox.public_key, secret_key=sandbox.secret_key
    )
    event = deliver(
        {"action": action, "timestamp": BEGIN, "integration": {"shop_name": "Lies", "webhook_url": "http://evil"}}
    )
    integration.refresh_from_db()
    assert event.state == EventState.PROCESSED
    assert integration.name == sandbox.integration.shop_name
    assert integration.webhook_url != "http://evil"
    assert len(of(heard, signals.integration_updated)) == 1


def test_deleted_integration_pauses_once_sendcloud_confirms(
    sandbox: Any, sendcloud_settings: Any, integration: Integration, deliver: Any, heard: Any
) -> None:
    Integration.objects.update(
        remote_id=sandbox.integration_id, public_key=sandbox.public_key, secret_key=sandbox.secret_key
    )
    deliver({"action": "integration_deleted", "timestamp": BEGIN})
    integration.refresh_from_db()
    assert not integration.is_paused, "Sendcloud still knows it: whoever sent this was wrong"
    sandbox.fail_next(404, body=b'{"error": {"code": 404, "message": "Integration not found"}}')
    deliver({"action": "integration_deleted", "timestamp": BEGIN + 1})
    integration.refresh_from_db()
    assert integration.paused_reason == PauseReason.GONE
    assert len(of(heard, signals.integration_deleted)) == 1


def test_integration_event_is_retried_while_sendcloud_fails(
    sandbox: Any, sendcloud_settings: Any, integration: Integration, deliver: Any
) -> None:
    Integration.objects.update(
        remote_id=sandbox.integration_id, public_key=sandbox.public_key, secret_key=sandbox.secret_key
    )
    sandbox.stop()
    event = deliver({"action": "integration_updated", "timestamp": BEGIN})
    assert event.state == EventState.RECEIVER_FAILED
    assert event.note["code"] == "sendcloud_not_asked"
    assert event.due_at > NOW
    sandbox.start()
    apply.drain(now=event.due_at + dt.timedelta(seconds=1))
    event.refresh_from_db()
    assert event.state == EventState.PROCESSED


@pytest.mark.parametrize(
    ("action", "member", "signal"),
    [("return_created", "data", signals.return_created), ("return_delivered", "refund", signals.return_delivered)],
)
def test_returns_send_signals(deliver: Any, heard: Any, action: str, member: str, signal: Signal) -> None:
    deliver({"action": action, "timestamp": BEGIN, member: {"id": 9}})
    (call,) = of(heard, signal)
    assert call["data"] == {"id": 9}


def test_unrequested_keys_are_neither_used_nor_kept(
    integration: Integration, deliver: Any, client: Client, django_assert_num_queries: Any
) -> None:
    keys = {"action": "integration_credentials", "timestamp": BEGIN, "public_key": "CanaryP", "secret_key": "CanaryS"}
    event, _ = inbox.store(integration, raw(keys))
    assert event is not None
    assert "Canary" not in event.body.reveal()
    event = deliver(keys | {"timestamp": BEGIN + 1})
    integration.refresh_from_db()
    assert event.state == EventState.IGNORED
    assert integration.secret_key.reveal() == "secret"
    assert "Canary" not in str(event.__dict__) + event.body.reveal()


def test_sendclouds_test_webhook_is_processed(deliver: Any) -> None:
    assert deliver({"action": "test_webhook", "timestamp": BEGIN}).state == EventState.PROCESSED


def test_unknown_action_is_kept_and_shown(deliver: Any, heard: Any) -> None:
    event = deliver({"action": "parcel_sang_a_song", "timestamp": BEGIN})
    assert event.state == EventState.IGNORED
    assert event.action == "parcel_sang_a_song"
    assert event.body
    assert len(of(heard, signals.webhook_received)) == 1


# -- failures -----------------------------------------------------------------------------------------


class Clumsy:
    """A receiver of the shop that fails until its bug is fixed."""

    def __init__(self) -> None:
        self.fixed = False
        self.heard: list[dict[str, Any]] = []

    def hear(self, **kwargs: Any) -> None:
        if not self.fixed:
            raise RuntimeError("Jane Canary lives at Markt 1")
        self.heard.append(kwargs)


@pytest.fixture
def clumsy() -> Iterator[Callable[[Signal], Clumsy]]:
    connected: list[tuple[Signal, Clumsy]] = []

    def connect(signal: Signal) -> Clumsy:
        receiver = Clumsy()
        signal.connect(receiver.hear)
        connected.append((signal, receiver))
        return receiver

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver.hear)


def retried(event: WebhookEvent, times: int = 1) -> WebhookEvent:
    for _ in range(times):
        event.refresh_from_db()
        assert event.due_at is not None
        apply.drain(now=event.due_at)
    event.refresh_from_db()
    return event


def test_f34_receiver_failing_keeps_event_due(deliver: Any, heard: Any, clumsy: Any) -> None:
    clumsy(signals.parcel_status_changed)
    event = deliver(parcel())
    assert event.state == EventState.RECEIVER_FAILED
    assert event.due_at == NOW + dt.timedelta(seconds=30)
    assert event.note["code"] == "receiver_failed"
    assert "Clumsy.hear" in event.note["receiver"]
    assert event.note["error"] == "RuntimeError"
    assert event.note["at"].startswith(__file__)
    assert "Canary" not in str(event.note)
    assert Parcel.objects.get().status_id == 3
    assert len(of(heard, signals.parcel_status_changed)) == 1, "the others heard it"
    assert event.body, "kept until the shop has been notified"


def test_receiver_fixed_hears_event_as_it_was(deliver: Any, clumsy: Any, heard: Any) -> None:
    deliver(parcel(1))
    receiver = clumsy(signals.parcel_status_changed)
    event = deliver(parcel(3, BEGIN + HOUR))
    assert retried(event).state == EventState.RECEIVER_FAILED
    receiver.fixed = True
    heard.clear()
    event = retried(event)
    assert (event.state, event.note, bool(event.body)) == (EventState.PROCESSED, {}, False)
    (call,) = receiver.heard
    assert (call["parcel"].status_id, call["previous_status_id"]) == (3, 1)
    assert (Parcel.objects.count(), ParcelStatus.objects.count()) == (1, 2)
    assert of(heard, signals.webhook_received) == [], "steps that have run do not run again"


def test_receiver_of_creation_fixed_hears_it(deliver: Any, clumsy: Any) -> None:
    receiver = clumsy(signals.parcel_created)
    event = deliver(parcel())
    receiver.fixed = True
    assert retried(event).state == EventState.PROCESSED
    assert [call["parcel"].remote_id for call in receiver.heard] == [Parcel.objects.get().remote_id]


def test_later_event_waits_for_failing_one(integration: Integration, deliver: Any, clumsy: Any) -> None:
    """The receiver is called for the departure before the delivery, although the first receiver call failed."""
    receiver = clumsy(signals.parcel_status_changed)
    first = deliver(parcel(3))
    second = deliver(parcel(11, BEGIN + HOUR))
    other = deliver(parcel(3, id=5))
    assert (second.state, second.attempts) == (EventState.APPLIED, 0)
    assert other.state == EventState.RECEIVER_FAILED, "another parcel does not wait"
    assert Parcel.objects.get(remote_id=4711).status_id == 11, "the parcel itself is up to date"
    receiver.fixed = True
    retried(first)
    mine = [call for call in receiver.heard if call["parcel"].remote_id == 4711]
    assert [(call["parcel"].status_id, call["previous_status_id"]) for call in mine] == [(3, None), (11, 3)]
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {EventState.PROCESSED}


def test_receiver_failing_on_forever_stops_nothing(integration: Integration, deliver: Any, clumsy: Any) -> None:
    """Later events of the parcel go on after a few failures, and the old status is not sent after them."""
    receiver = clumsy(signals.parcel_status_changed)
    first = deliver(parcel(3))
    retried(first, 2)
    receiver.fixed = True
    second = deliver(parcel(11, BEGIN + HOUR))
    assert second.state == EventState.PROCESSED
    assert [call["parcel"].status_id for call in receiver.heard] == [11]
    assert retried(first).state == EventState.PROCESSED
    assert [call["parcel"].status_id for call in receiver.heard] == [11]


@pytest.mark.long
def test_receiver_failing_for_a_day_is_parked(deliver: Any, clumsy: Any) -> None:
    receiver = clumsy(signals.parcel_status_changed)
    event = retried(deliver(parcel()), claim.ATTEMPTS - 1)
    assert (event.state, event.due_at) == (EventState.RECEIVER_FAILED, None)
    apply.drain(now=NOW + dt.timedelta(days=3))
    receiver.fixed = True
    assert inbox.replay(WebhookEvent.objects.all()) == 1
    apply.drain(now=timezone.now() + dt.timedelta(seconds=1))
    assert [call["parcel"].status_id for call in receiver.heard] == [3]
    event.refresh_from_db()
    assert event.state == EventState.PROCESSED


def test_processed_event_is_not_replayed(deliver: Any, heard: Any) -> None:
    event = deliver({"action": "test_webhook", "timestamp": BEGIN})
    assert not event.body
    assert inbox.replay(WebhookEvent.objects.all()) == 0
    event = deliver(parcel())
    WebhookEvent.objects.filter(pk=event.pk).update(body=raw(parcel()).decode())
    heard.clear()
    assert inbox.replay(WebhookEvent.objects.filter(pk=event.pk)) == 1
    apply.drain(now=timezone.now() + dt.timedelta(seconds=1))
    assert of(heard, signals.parcel_status_changed) == of(heard, signals.parcel_created) == []


@pytest.mark.long
def test_receiver_failing_keeps_no_keys(integration: Integration, clumsy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "adopt", lambda *args: "keys_accepted")
    receiver = clumsy(signals.webhook_received)
    keys = {"action": "integration_credentials", "timestamp": BEGIN, "public_key": "p", "secret_key": "Canary"}
    event, _ = inbox.store(integration, raw(keys), keep_keys=True)
    assert event is not None
    apply.drain()
    event.refresh_from_db()
    assert event.state == EventState.RECEIVER_FAILED
    retried(event, claim.ATTEMPTS - 1)
    event.refresh_from_db()
    assert (event.due_at, bool(event.body)) == (None, False)
    receiver.fixed = True
    inbox.replay(WebhookEvent.objects.all())
    apply.drain(now=timezone.now() + dt.timedelta(seconds=1))
    assert "Canary" not in str(receiver.heard)


def test_prune_empties_body_of_failing_event(deliver: Any, clumsy: Any) -> None:
    """The shop is still notified, however long it takes; only the payload is gone."""
    receiver = clumsy(signals.parcel_status_changed)
    event = deliver(parcel())
    prune_inbox(now=NOW + dt.timedelta(days=40))
    event.refresh_from_db()
    assert (event.state, bool(event.body)) == (EventState.RECEIVER_FAILED, False)
    receiver.fixed = True
    assert retried(event).state == EventState.PROCESSED
    assert len(receiver.heard) == 1


@pytest.mark.long
def test_applying_fails_waits_and_gives_up(
    integration: Integration, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> Any:
        raise OperationalError("database is locked")

    monkeypatch.setattr(handlers, "apply_event", fail)
    event = deliver(parcel())
    assert event.state == EventState.RECEIVED
    waits = []
    while event.state == EventState.RECEIVED:
        assert event.due_at is not None
        waits.append(event.due_at)
        event = retried(event)
    assert (event.failures, event.due_at) == (claim.ATTEMPTS, None)
    assert event.note == {"code": "not_applied", "error": "OperationalError"}
    assert waits == sorted(waits)
    assert waits[-1] - NOW > dt.timedelta(hours=8), "longer than Sendcloud itself would try"
    assert event.body


def test_event_failing_halfway_harms_no_other(integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    original = updates._step

    def fail_for_one(parcel: Parcel, *args: Any) -> Any:
        if parcel.remote_id == 2:
            raise RuntimeError
        return original(parcel, *args)

    monkeypatch.setattr(updates, "_step", fail_for_one)
    for number in (1, 2, 3):
        inbox.store(integration, raw(parcel(id=number)))
    apply.drain()
    assert set(Parcel.objects.values_list("remote_id", flat=True)) == {1, 3}
    failed = WebhookEvent.objects.get(state=EventState.RECEIVED)
    assert (failed.attempts, failed.failures) == (0, 1)


# -- workers that die ---------------------------------------------------------------------------------


class Killed(BaseException):
    """The end of a worker: nothing catches it."""


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Let the worker die in a receiver that is called for a parcel."""
    deadly: set[int] = set()
    deaths: list[int] = []

    def hear(parcel: Parcel, **kwargs: Any) -> None:
        if parcel.remote_id in deadly:
            deaths.append(parcel.remote_id)
            raise Killed

    def kill_by(*numbers: int) -> list[int]:
        deadly.clear()
        deadly.update(numbers)
        return deaths

    signals.parcel_status_changed.connect(hear)
    yield kill_by
    signals.parcel_status_changed.disconnect(hear)


def test_worker_killed_after_commit_loses_nothing(
    integration: Integration, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty updates are applied and committed, then the worker dies before it notifies the shop of any."""
    for number in range(1, 21):
        inbox.store(integration, raw(parcel(11, id=number)))

    def die(*args: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(follow_ups, "run_due", die)
        with pytest.raises(Killed):
            apply.drain(now=NOW)
    assert Parcel.objects.filter(status_id=11).count() == 20
    assert of(heard, signals.parcel_status_changed) == []
    apply.drain(now=NOW)
    assert len(of(heard, signals.parcel_status_changed)) == 20
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {EventState.PROCESSED}


@pytest.mark.long
def test_f34_receiver_that_kills_is_isolated_and_parked(integration: Integration, dying: Any, heard: Any) -> None:
    for number in (1, 2, 3):
        inbox.store(integration, raw(parcel(3, BEGIN + number, id=number)))
    deaths = dying(2)
    now = NOW
    for _ in range(40):
        with contextlib.suppress(Killed):
            apply.drain(now=now)
        now += dt.timedelta(seconds=121)
    received = [kwargs["parcel"].remote_id for kwargs in of(heard, signals.parcel_created)]
    assert {1, 3} <= set(received)
    assert deaths == [2] * claim.ATTEMPTS
    killer = WebhookEvent.objects.get(state=EventState.RECEIVER_FAILED)
    assert (killer.parcel.remote_id, killer.note, killer.due_at) == (2, {"code": "worker_died"}, None)
    assert WebhookEvent.objects.filter(state=EventState.PROCESSED).count() == 2


@pytest.mark.long
def test_f34_slow_receivers_lose_nothing(integration: Integration, later: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """F34: a hundred receiver calls of seven seconds each, in tasks that end after four minutes: each runs once."""
    received: list[int] = []

    def hear(parcel: Parcel, **kwargs: Any) -> None:
        later(7)
        received.append(parcel.remote_id)

    for number in range(1, 101):
        inbox.store(integration, raw(parcel(11, BEGIN + number, id=number)))
    signals.parcel_status_changed.connect(hear)
    try:
        tasks = 0
        while WebhookEvent.objects.exclude(state=EventState.PROCESSED).exists():
            apply.drain()
            tasks += 1
            assert tasks < 10
    finally:
        signals.parcel_status_changed.disconnect(hear)
    assert received == list(range(1, 101))
    assert tasks > 1
    assert set(WebhookEvent.objects.values_list("attempts", flat=True)) == {0}


def test_time_limit_in_receiver_counts_once(
    integration: Integration, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TimeIsUp(Exception):
        pass

    monkeypatch.setattr(interruption, "_kinds", [TimeIsUp])

    def hear(parcel: Parcel, **kwargs: Any) -> None:
        if parcel.remote_id == 2 and limited:
            raise TimeIsUp

    limited = [True]
    for number in (1, 2, 3):
        inbox.store(integration, raw(parcel(3, BEGIN + number, id=number)))
    signals.parcel_status_changed.connect(hear)
    try:
        with pytest.raises(TimeIsUp):
            apply.drain(now=NOW)
        attempts = dict(WebhookEvent.objects.values_list("parcel__remote_id", "attempts"))
        assert attempts == {1: 0, 2: 1, 3: 0}
        limited.clear()
        apply.drain(now=NOW + dt.timedelta(seconds=121))
    finally:
        signals.parcel_status_changed.disconnect(hear)
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {EventState.PROCESSED}


@pytest.mark.long
def test_together_and_one_by_one_end_alike(integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = shipment(integration)
    bodies = [
        parcel(status, BEGIN + hours * HOUR, id=number, shipment_uuid=str(ours.uuid) if number % 2 else None)
        for number in (1, 2, 3)
        for status, hours in ((92, 4), (1000, 0), (11, 5), (3, 2), (3, 2))
    ]

    def live() -> tuple[Any, ...]:
        calls: list[tuple[str, int, int | None]] = []

        def hear(signal: Signal, parcel: Parcel, **kwargs: Any) -> None:
            calls.append(
                ("created" if signal is signals.parcel_created else "moved", parcel.remote_id, parcel.status_id)
            )

        for signal in (signals.parcel_created, signals.parcel_status_changed):
            signal.connect(hear)
        with undone():
            for position, body in enumerate(bodies):
                event, _ = inbox.store(integration, raw(body))
                if event is not None:
                    received = NOW + dt.timedelta(seconds=position)
                    WebhookEvent.objects.filter(pk=event.pk).update(received_at=received, due_at=NOW)
            apply.drain(now=NOW)
            end = (
                list(Parcel.objects.order_by("remote_id").values_list("remote_id", "status_id", "phase", "shipment")),
                list(ParcelStatus.objects.order_by("parcel__remote_id", "event_ms").values_list("parcel__remote_id", "status_id")),
                list(WebhookEvent.objects.order_by("received_at").values_list("state", "action", "event_ms", "attempts")),
            )  # fmt: skip
        for signal in (signals.parcel_created, signals.parcel_status_changed):
            signal.disconnect(hear)
        return (*end, [(kind, number) for kind, number, _ in calls])

    together = live()
    monkeypatch.setattr(apply, "_apply_together", lambda *args, **options: set())
    assert live() == together
    assert together[3]


def test_replay_applies_what_is_still_kept(integration: Integration, deliver: Any) -> None:
    failed = deliver({"action": "parcel_status_changed", "timestamp": BEGIN})
    applied = deliver(parcel())
    assert inbox.replay(WebhookEvent.objects.all()) == 1
    failed.refresh_from_db()
    applied.refresh_from_db()
    assert (failed.state, applied.state) == (EventState.RECEIVED, EventState.PROCESSED)


def test_dismissed_event_is_replayed_from_its_body(integration: Integration, deliver: Any) -> None:
    event = deliver({"action": "parcel_status_changed", "timestamp": BEGIN})
    assert event.state == EventState.FAILED
    assert inbox.dismiss(WebhookEvent.objects.all(), "admin", "made by hand") == 1
    event.refresh_from_db()
    assert (event.state, event.dismissed_by, event.dismissed_note) == ("dismissed", "admin", "made by hand")
    assert inbox.replay(WebhookEvent.objects.all()) == 1
    event.refresh_from_db()
    assert (event.state, event.dismissed_at, event.dismissed_note) == (EventState.RECEIVED, None, "")


@pytest.mark.long
def test_dismissed_event_runs_only_its_follow_ups(deliver: Any, clumsy: Any) -> None:
    receiver = clumsy(signals.parcel_status_changed)
    event = retried(deliver(parcel()), claim.ATTEMPTS - 1)
    assert inbox.dismiss(WebhookEvent.objects.all(), "admin", "") == 1
    receiver.fixed = True
    apply.drain(now=timezone.now() + dt.timedelta(days=1))
    assert receiver.heard == []
    assert inbox.replay(WebhookEvent.objects.all()) == 1
    apply.drain(now=timezone.now() + dt.timedelta(seconds=1))
    event.refresh_from_db()
    assert (event.state, len(receiver.heard)) == (EventState.PROCESSED, 1)


def test_event_still_retried_cannot_be_dismissed(deliver: Any, clumsy: Any) -> None:
    clumsy(signals.parcel_status_changed)
    event = deliver(parcel())
    assert event.state == EventState.RECEIVER_FAILED
    assert inbox.dismiss(WebhookEvent.objects.all(), "admin", "") == 0


def test_prune_empties_then_deletes_except_waiting_events(integration: Integration, deliver: Any) -> None:
    failed = deliver({"action": "parcel_status_changed", "timestamp": BEGIN})
    waiting, _ = inbox.store(integration, raw(parcel()))
    assert waiting is not None
    WebhookEvent.objects.update(received_at=NOW)
    prune_inbox(NOW + dt.timedelta(days=6))
    failed.refresh_from_db()
    assert failed.body
    prune_inbox(NOW + dt.timedelta(days=8))
    failed.refresh_from_db()
    assert not failed.body
    prune_inbox(NOW + dt.timedelta(days=31))
    assert WebhookEvent.objects.get() == waiting


def test_replay_ignores_this_machines_clock(
    integration: Integration, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A web machine that is an hour ahead does not delay what it replays: a worker goes by the database's clock."""
    event = deliver({"action": "parcel_status_changed", "timestamp": BEGIN})
    now = timezone.now()
    with monkeypatch.context() as patched:
        patched.setattr(timezone, "now", lambda: now + dt.timedelta(hours=1))
        inbox.replay(WebhookEvent.objects.all())
    assert list(WebhookEvent.objects.due(now)) == [event]
