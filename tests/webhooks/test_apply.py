"""What becomes of a webhook: the right parcel, the right state, whatever order it comes in."""

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
from django_sendcloud.enums import ParcelPhase
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
from django_sendcloud.webhooks import apply, handlers, inbox, parcels
from django_sendcloud.webhooks.phases import STATUSES

from .messages import BEGIN, HOUR, parcel, raw

NOW = dt.datetime.fromtimestamp((BEGIN + 12 * HOUR) / 1000, dt.UTC)


@pytest.fixture
def integration(db: None) -> Integration:
    return Integration.objects.create(remote_id=1, public_key="public", secret_key="secret", name="Shop")


@pytest.fixture
def tell(integration: Integration) -> Callable[..., WebhookEvent]:
    """Receive and apply one webhook."""

    def receive(payload: Any, **values: Any) -> WebhookEvent:
        event, _ = inbox.store(integration, raw(payload))
        assert event is not None
        # As if it had come when Sendcloud says that it was sent.
        WebhookEvent.objects.filter(pk=event.pk).update(received_at=NOW, due_at=NOW, **values)
        apply.drain(now=NOW)
        event.refresh_from_db()
        return event

    return receive


class Undone(Exception):
    pass


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """Nothing of what is written inside remains."""
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
    """Every signal the shop was sent, with its arguments."""
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


# -- which shipment -----------------------------------------------------------------------------------


def test_the_shipment_uuid_decides(integration: Integration, tell: Any) -> None:
    ours, other = shipment(integration), shipment(integration, "ORD-2")
    tell(parcel(shipment_uuid=str(ours.uuid), external_order_id=other.external_order_id, order_number="ORD-2"))
    assert Parcel.objects.get().shipment == ours


def test_then_the_external_ids(integration: Integration, tell: Any) -> None:
    ours, _ = shipment(integration), shipment(integration, "ORD-2")
    tell(parcel(shipment_uuid=str(uuid.uuid4()), external_order_id=ours.external_order_id, order_number="ORD-2"))
    assert Parcel.objects.get().shipment == ours


def test_of_an_order_in_several_shipments_the_shipment_id_decides(integration: Integration, tell: Any) -> None:
    first = shipment(integration, external_order_id="split", external_shipment_id="split-1")
    second = shipment(integration, external_order_id="split", external_shipment_id="split-2")
    tell(parcel(id=1, external_order_id="split", external_shipment_id="split-2", order_number=""))
    assert Parcel.objects.get(remote_id=1).shipment == second
    tell(parcel(id=2, external_order_id="split", order_number=""))
    assert Parcel.objects.get(remote_id=2).shipment is None, "which of the two is not guessed"
    assert first.parcels.count() == 0


def test_then_the_order_number_if_only_one_has_it(integration: Integration, tell: Any) -> None:
    ours = shipment(integration)
    tell(parcel(id=1))
    assert Parcel.objects.get(remote_id=1).shipment == ours
    shipment(integration, external_order_id="a", external_shipment_id="a")
    tell(parcel(id=2))
    assert Parcel.objects.get(remote_id=2).shipment is None


def test_a_known_parcel_keeps_its_shipment(integration: Integration, tell: Any) -> None:
    ours = shipment(integration)
    tell(parcel(3, shipment_uuid=str(ours.uuid)))
    tell(parcel(11, BEGIN + HOUR, order_number="", shipment_uuid=None))
    assert Parcel.objects.get().shipment == ours


def test_another_integrations_shipment_is_not_ours(integration: Integration, tell: Any) -> None:
    other = Integration.objects.create(remote_id=2, public_key="p", secret_key="s")
    foreign = shipment(other)
    tell(parcel(shipment_uuid=str(foreign.uuid)))
    assert Parcel.objects.get().shipment is None


def test_f28_a_parcel_that_comes_before_its_shipment_is_linked_later(integration: Integration, tell: Any) -> None:
    identity = uuid.uuid4()
    event = tell(parcel(shipment_uuid=str(identity)))
    assert event.state == EventState.PROCESSED
    assert Parcel.objects.get().shipment is None
    assert apply.relink_unmatched() == 0
    ours = shipment(integration, uuid=identity)
    assert apply.relink_unmatched() == 1
    assert Parcel.objects.get().shipment == ours


def test_f28_a_parcel_of_a_deleted_order_is_kept(integration: Integration, tell: Any) -> None:
    ours = shipment(integration, status=ShipmentStatus.DELETED)
    tell(parcel(shipment_uuid=str(ours.uuid)))
    assert Parcel.objects.get().shipment == ours


def test_several_parcels_of_a_shipment_and_returns_apart(integration: Integration, tell: Any) -> None:
    ours = shipment(integration)
    tell(parcel(id=1, shipment_uuid=str(ours.uuid), collo_nr=0, collo_count=2))
    tell(parcel(id=2, shipment_uuid=str(ours.uuid), collo_nr=1, collo_count=2))
    tell(parcel(id=3, shipment_uuid=str(ours.uuid), is_return=True))
    assert list(ours.parcels.outgoing().order_by("remote_id").values_list("remote_id", "collo_count")) == [
        (1, 2),
        (2, 2),
    ]
    assert ours.parcels.filter(is_return=True).count() == 1


# -- the state ----------------------------------------------------------------------------------------


def test_what_is_told_of_a_parcel(integration: Integration, tell: Any) -> None:
    event = tell(
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


def test_the_body_is_forgotten_once_it_is_applied(tell: Any) -> None:
    event = tell(parcel(name="Jane Canary"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM django_sendcloud_webhookevent WHERE id = %s", [event.pk])
        assert cursor.fetchone() == ("",)


JOURNEY = [(1000, 0), (1, 1), (3, 2), (8, 3), (92, 4), (11, 5)]


def state() -> tuple[Any, ...]:
    found = Parcel.objects.values_list(
        "status_id", "status_message", "phase", "status_at", "last_event_ms", "tracking_number"
    ).get()
    return found, list(ParcelStatus.objects.values_list("event_ms", "status_id", "message", "phase", "carrier_at"))


def test_f27_whatever_order_they_came_in_the_end_is_the_same(integration: Integration, tell: Any) -> None:
    """Through the inbox, so only thirty of the 720 orders; all of them are in test_together."""
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
                # A duplicate changes nothing, and is not even kept.
                assert inbox.store(integration, raw(body)) == (None, False)
            assert apply.drain(now=NOW) == len(order)
            ends.add(repr(state()))
    assert len(ends) == 1
    end = ends.pop()
    assert "delivered" in end
    assert "3S5" in end


def test_f27_equal_times_have_an_order_all_the_same(integration: Integration, tell: Any) -> None:
    bodies = [parcel(status, BEGIN) for status in (3, 8, 92)]
    ends = set()
    for order in itertools.permutations(bodies):
        with undone():
            for body in order:
                tell(body)
            ends.add(repr(state()))
    assert len(ends) == 1


def test_replayed_old_news_moves_nothing(integration: Integration, tell: Any, heard: Any) -> None:
    first = tell(parcel(3, BEGIN))
    tell(parcel(11, BEGIN + HOUR))
    before = state()
    heard.clear()
    inbox_body = raw(parcel(3, BEGIN)).decode()
    WebhookEvent.objects.filter(pk=first.pk).update(body=inbox_body, state=EventState.RECEIVED, due_at=NOW)
    apply.drain(now=NOW)
    assert state() == before
    assert of(heard, signals.parcel_status_changed) == []


def test_late_news_completes_the_history_and_tells_nobody(tell: Any, heard: Any) -> None:
    tell(parcel(11, BEGIN + HOUR))
    heard.clear()
    tell(parcel(3, BEGIN))
    assert Parcel.objects.get().status_id == 11
    assert [step.status_id for step in Parcel.objects.get().timeline.all()] == [3, 11]
    assert of(heard, signals.parcel_status_changed) == []


@pytest.mark.parametrize("at", [BEGIN, BEGIN // 1000, str(BEGIN), str(BEGIN // 1000), BEGIN / 1000])
def test_f27_seconds_and_milliseconds(tell: Any, at: Any) -> None:
    event = tell(parcel() | {"timestamp": at})
    assert event.event_ms == BEGIN


def test_f27_a_time_in_the_far_future_does_not_win_for_ever(tell: Any) -> None:
    event = tell(parcel(3, BEGIN + 70 * 365 * 24 * HOUR))
    assert "future" in event.error
    assert Parcel.objects.get().status_at == NOW
    tell(parcel(11, BEGIN + 13 * HOUR))
    assert Parcel.objects.get().status_id == 11


@pytest.mark.parametrize("at", [None, "", "yesterday", -1, True, {"a": 1}, 1e400])
def test_without_a_usable_time_the_arrival_counts(tell: Any, at: Any) -> None:
    if at == float("inf"):
        at = "1e400"
    event = tell(parcel() | {"timestamp": at})
    assert event.state == EventState.PROCESSED
    assert Parcel.objects.get().status_at == NOW


@pytest.mark.parametrize(
    ("told", "understood"),
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
def test_the_carriers_time_in_all_its_formats(tell: Any, told: Any, understood: dt.datetime | None) -> None:
    tell(parcel() | {"carrier_status_change_timestamp": told})
    assert ParcelStatus.objects.get().carrier_at == understood


@pytest.mark.parametrize("status_id", STATUSES)
def test_every_known_status_has_a_phase_and_a_text(tell: Any, status_id: int) -> None:
    text, phase = STATUSES[status_id]
    tell(parcel(status={"id": status_id}))
    found = Parcel.objects.get()
    assert (found.status_message, found.phase) == (text, phase.value)


def test_an_unknown_status_is_kept_word_for_word(tell: Any) -> None:
    tell(parcel(status={"id": 424242, "message": "Eaten by the dog"}))
    found = Parcel.objects.get()
    assert (found.status_id, found.status_message, found.phase) == (424242, "Eaten by the dog", "unknown")


def test_phases_can_be_set_otherwise(tell: Any, settings: Any) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "PARCEL_PHASES": {8: "in_transit", 424242: "problem"}}
    tell(parcel(8))
    assert Parcel.objects.get().phase == ParcelPhase.IN_TRANSIT
    tell(parcel(424242, BEGIN + HOUR))
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
def test_odd_values_are_no_reason_to_lose_the_rest(tell: Any, odd: dict[str, Any]) -> None:
    event = tell(parcel(**odd))
    assert event.state == EventState.PROCESSED
    found = Parcel.objects.get()
    assert found.tracking_url in ("", "https://tracking.example/3SABC0001")
    assert "\x00" not in found.tracking_number


@pytest.mark.parametrize(
    "broken", [{}, {"parcel": None}, {"parcel": {}}, {"parcel": {"id": "x"}}, {"parcel": {"id": -5}}]
)
def test_news_of_no_parcel_fails_and_is_shown(tell: Any, broken: dict[str, Any]) -> None:
    event = tell({"action": "parcel_status_changed", "timestamp": BEGIN, **broken})
    assert event.state == EventState.FAILED
    assert event.error
    assert event.body, "kept, to be looked into"


def test_the_published_webhook(integration: Integration) -> None:
    event, _ = inbox.store(integration, Path(__file__).with_name("published.json").read_bytes())
    apply.drain()
    assert event is not None
    event.refresh_from_db()
    assert event.state == EventState.PROCESSED, event.error
    assert Parcel.objects.get().tracking_number


def test_applying_costs_few_statements(integration: Integration, tell: Any) -> None:
    ours = shipment(integration)
    for number in range(20):
        inbox.store(integration, raw(parcel(id=number + 1, shipment_uuid=str(ours.uuid))))
    with CaptureQueriesContext(connection) as queries:
        assert apply.drain(now=timezone.now() + dt.timedelta(seconds=1)) == 20
    statements = [q["sql"] for q in queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(statements) / 20 <= 1


# -- the other actions --------------------------------------------------------------------------------


def test_the_first_news_and_every_move_are_told(integration: Integration, tell: Any, heard: Any) -> None:
    ours = shipment(integration)
    tell(parcel(3, shipment_uuid=str(ours.uuid)))
    tell(parcel(3, BEGIN + 1))
    tell(parcel(11, BEGIN + HOUR))
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
def test_a_changed_integration_is_asked_for_and_the_body_not_believed(
    sandbox: Any, sendcloud_settings: Any, integration: Integration, tell: Any, heard: Any, action: str
) -> None:
    Integration.objects.update(
        remote_id=sandbox.integration_id, public_key=sandbox.public_key, secret_key=sandbox.secret_key
    )
    event = tell(
        {"action": action, "timestamp": BEGIN, "integration": {"shop_name": "Lies", "webhook_url": "http://evil"}}
    )
    integration.refresh_from_db()
    assert event.state == EventState.PROCESSED
    assert integration.name == sandbox.integration.shop_name
    assert integration.webhook_url != "http://evil"
    assert len(of(heard, signals.integration_updated)) == 1


def test_a_deleted_integration_rests_once_sendcloud_confirms(
    sandbox: Any, sendcloud_settings: Any, integration: Integration, tell: Any, heard: Any
) -> None:
    Integration.objects.update(
        remote_id=sandbox.integration_id, public_key=sandbox.public_key, secret_key=sandbox.secret_key
    )
    tell({"action": "integration_deleted", "timestamp": BEGIN})
    integration.refresh_from_db()
    assert not integration.is_paused, "Sendcloud still knows it: whoever sent this was wrong"
    sandbox.fail_next(404, body=b'{"error": {"code": 404, "message": "Integration not found"}}')
    tell({"action": "integration_deleted", "timestamp": BEGIN + 1})
    integration.refresh_from_db()
    assert integration.paused_reason == PauseReason.GONE
    assert len(of(heard, signals.integration_deleted)) == 1


def test_sendcloud_cannot_be_asked_and_the_event_is_tried_again(
    sandbox: Any, sendcloud_settings: Any, integration: Integration, tell: Any
) -> None:
    Integration.objects.update(
        remote_id=sandbox.integration_id, public_key=sandbox.public_key, secret_key=sandbox.secret_key
    )
    sandbox.stop()
    event = tell({"action": "integration_updated", "timestamp": BEGIN})
    assert event.state == EventState.RECEIVED
    assert event.due_at > NOW
    sandbox.start()
    apply.drain(now=event.due_at + dt.timedelta(seconds=1))
    event.refresh_from_db()
    assert event.state == EventState.PROCESSED


@pytest.mark.parametrize(
    ("action", "member", "signal"),
    [("return_created", "data", signals.return_created), ("return_delivered", "refund", signals.return_delivered)],
)
def test_returns_are_told(tell: Any, heard: Any, action: str, member: str, signal: Signal) -> None:
    tell({"action": action, "timestamp": BEGIN, member: {"id": 9}})
    (told,) = of(heard, signal)
    assert told["data"] == {"id": 9}


def test_keys_by_webhook_are_not_taken_and_not_kept(
    integration: Integration, tell: Any, client: Client, django_assert_num_queries: Any
) -> None:
    keys = {"action": "integration_credentials", "timestamp": BEGIN, "public_key": "CanaryP", "secret_key": "CanaryS"}
    event, _ = inbox.store(integration, raw(keys))
    assert event is not None
    assert "Canary" not in event.body.reveal()
    event = tell(keys | {"timestamp": BEGIN + 1})
    integration.refresh_from_db()
    assert event.state == EventState.IGNORED
    assert integration.secret_key.reveal() == "secret"
    assert "Canary" not in str(event.__dict__) + event.body.reveal()


def test_the_test_webhook(tell: Any) -> None:
    assert tell({"action": "test_webhook", "timestamp": BEGIN}).state == EventState.PROCESSED


def test_an_unknown_action_is_kept_and_shown(tell: Any, heard: Any) -> None:
    event = tell({"action": "parcel_sang_a_song", "timestamp": BEGIN})
    assert event.state == EventState.IGNORED
    assert event.action == "parcel_sang_a_song"
    assert event.body
    assert len(of(heard, signals.webhook_received)) == 1


# -- what goes wrong ----------------------------------------------------------------------------------


class Clumsy:
    """A receiver of the shop that fails until it is mended."""

    def __init__(self) -> None:
        self.mended = False
        self.heard: list[dict[str, Any]] = []

    def hear(self, **kwargs: Any) -> None:
        if not self.mended:
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


def replayed(event: WebhookEvent) -> WebhookEvent:
    assert apply.replay(WebhookEvent.objects.filter(pk=event.pk)) == 1
    apply.drain(now=timezone.now() + dt.timedelta(seconds=1))
    event.refresh_from_db()
    return event


def test_a_receiver_of_the_shop_that_fails_loses_nothing_and_is_named(tell: Any, heard: Any, clumsy: Any) -> None:
    clumsy(signals.parcel_status_changed)
    event = tell(parcel())
    assert event.state == EventState.UNHEARD
    assert "Clumsy.hear" in event.error
    assert "RuntimeError" in event.error
    assert "Canary" not in event.error
    assert Parcel.objects.get().status_id == 3
    assert len(of(heard, signals.parcel_status_changed)) == 1, "the others heard it"
    assert event.body, "it is kept, so that the shop can be told again"


def test_what_the_shop_failed_to_hear_is_told_again_as_it_was_then(tell: Any, clumsy: Any) -> None:
    tell(parcel(1))
    receiver = clumsy(signals.parcel_status_changed)
    event = tell(parcel(3, BEGIN + HOUR))
    assert event.state == EventState.UNHEARD
    assert replayed(event).state == EventState.UNHEARD, "it fails still"
    receiver.mended = True
    event = replayed(event)
    assert (event.state, event.error, bool(event.body)) == (EventState.PROCESSED, "", False)
    (told,) = receiver.heard
    assert (told["parcel"].status_id, told["previous_status_id"]) == (3, 1)
    assert (Parcel.objects.count(), ParcelStatus.objects.count()) == (1, 2)


def test_a_parcel_whose_making_the_shop_failed_to_hear_of_is_told_of_again(tell: Any, clumsy: Any) -> None:
    receiver = clumsy(signals.parcel_created)
    event = tell(parcel())
    receiver.mended = True
    assert replayed(event).state == EventState.PROCESSED
    assert [told["parcel"].remote_id for told in receiver.heard] == [Parcel.objects.get().remote_id]


def test_several_that_are_replayed_together_are_told_each(integration: Integration, tell: Any, clumsy: Any) -> None:
    receiver = clumsy(signals.parcel_status_changed)
    for number in (1, 2, 3):
        tell(parcel(3, id=number))
    receiver.mended = True
    assert apply.replay(WebhookEvent.objects.all()) == 3
    apply.drain(now=timezone.now() + dt.timedelta(seconds=1))
    assert sorted(told["parcel"].remote_id for told in receiver.heard) == [1, 2, 3]
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {EventState.PROCESSED}


def test_old_news_is_not_told_again(tell: Any, clumsy: Any) -> None:
    receiver = clumsy(signals.parcel_status_changed)
    event = tell(parcel(3))
    receiver.mended = True
    tell(parcel(11, BEGIN + HOUR))
    receiver.heard.clear()
    assert replayed(event).state == EventState.PROCESSED
    assert receiver.heard == []
    assert Parcel.objects.get().status_id == 11


def test_what_nobody_failed_to_hear_is_not_told_twice(tell: Any, heard: Any, clumsy: Any) -> None:
    event = tell({"action": "test_webhook", "timestamp": BEGIN})
    assert not event.body
    assert apply.replay(WebhookEvent.objects.all()) == 0
    event = tell(parcel())
    event.body = event.body.__class__(raw(parcel()).decode())
    event.save()
    heard.clear()
    replayed(event)
    assert of(heard, signals.parcel_status_changed) == of(heard, signals.parcel_created) == []


def test_keys_are_not_kept_for_a_shop_that_failed_to_hear_of_them(
    integration: Integration, clumsy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "adopt", lambda *args: "Sendcloud accepts these keys; they are in use.")
    clumsy(signals.integration_updated)
    keys = {"action": "integration_credentials", "timestamp": BEGIN, "public_key": "p", "secret_key": "s"}
    event, _ = inbox.store(integration, raw(keys), keep_keys=True)
    assert event is not None
    apply.drain()
    event.refresh_from_db()
    assert event.state == EventState.UNHEARD
    assert not event.body


def test_what_the_shop_failed_to_hear_is_kept_no_longer_than_a_failure(tell: Any, clumsy: Any) -> None:
    clumsy(signals.parcel_status_changed)
    event = tell(parcel())
    apply.prune(now=NOW + dt.timedelta(days=8))
    event.refresh_from_db()
    assert (event.state, bool(event.body)) == (EventState.UNHEARD, False)


def test_a_failure_that_may_heal_is_tried_again_with_growing_waits_and_given_up_in_the_end(
    integration: Integration, tell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> Any:
        raise OperationalError("database is locked")

    monkeypatch.setattr(handlers, "handle", fail)
    event = tell(parcel())
    assert event.state == EventState.RECEIVED
    waits = []
    for _ in range(20):
        event.refresh_from_db()
        if event.state == EventState.FAILED:
            break
        waits.append(event.due_at)
        apply.drain(now=event.due_at)
    assert event.attempts == apply.ATTEMPTS
    assert waits == sorted(waits)
    assert waits[-1] - NOW > dt.timedelta(hours=8), "longer than Sendcloud itself would try"
    assert event.body


def test_one_that_fails_harms_no_other(integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    original = parcels._status

    def fail_for_one(parcel: Parcel, *args: Any) -> Any:
        # In the middle of its writes: what it wrote must not remain either.
        if parcel.remote_id == 2:
            raise RuntimeError
        return original(parcel, *args)

    monkeypatch.setattr(parcels, "_status", fail_for_one)
    for number in (1, 2, 3):
        inbox.store(integration, raw(parcel(id=number)))
    apply.drain()
    assert set(Parcel.objects.values_list("remote_id", flat=True)) == {1, 3}
    assert WebhookEvent.objects.get(state=EventState.RECEIVED).attempts == 1


def test_together_and_one_by_one_end_alike(integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = shipment(integration)
    bodies = [
        parcel(status, BEGIN + hours * HOUR, id=number, shipment_uuid=str(ours.uuid) if number % 2 else None)
        for number in (1, 2, 3)
        for status, hours in ((92, 4), (1000, 0), (11, 5), (3, 2), (3, 2))
    ]

    def live() -> tuple[Any, ...]:
        told: list[tuple[str, int, int | None]] = []

        def hear(signal: Signal, parcel: Parcel, **kwargs: Any) -> None:
            told.append(
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
        return (*end, [(kind, number) for kind, number, _ in told])

    together = live()
    monkeypatch.setattr(apply, "_apply_together", lambda *args: {})
    assert live() == together
    assert together[3]


def test_replay_applies_what_is_still_kept(integration: Integration, tell: Any) -> None:
    failed = tell({"action": "parcel_status_changed", "timestamp": BEGIN})
    applied = tell(parcel())
    assert apply.replay(WebhookEvent.objects.all()) == 1
    failed.refresh_from_db()
    applied.refresh_from_db()
    assert (failed.state, applied.state) == (EventState.RECEIVED, EventState.PROCESSED)


def test_pruning_empties_bodies_then_deletes_and_never_what_waits(integration: Integration, tell: Any) -> None:
    failed = tell({"action": "parcel_status_changed", "timestamp": BEGIN})
    waiting, _ = inbox.store(integration, raw(parcel()))
    assert waiting is not None
    WebhookEvent.objects.update(received_at=NOW)
    apply.prune(NOW + dt.timedelta(days=6))
    failed.refresh_from_db()
    assert failed.body
    apply.prune(NOW + dt.timedelta(days=8))
    failed.refresh_from_db()
    assert not failed.body
    apply.prune(NOW + dt.timedelta(days=31))
    assert WebhookEvent.objects.get() == waiting
