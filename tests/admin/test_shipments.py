"""Operator's requests about single shipments at Sendcloud: refresh and delete. Sendcloud is the sandbox."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.models import Integration, Parcel, PauseReason, Shipment, ShipmentStatus
from django_sendcloud.sync import limiter
from django_sendcloud.testing import drain
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order


@pytest.fixture
def order(integration: Integration) -> Order:
    order = factories.order(number="ORD-1")
    drain()
    forget_transaction()
    return order


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


def press(client: Client, name: str, **values: Any) -> str:
    page = reverse("admin:django_sendcloud_shipment_action", args=[Shipment.objects.get().pk, name])
    response = client.post(page, values)
    if response.status_code == 200:
        return str(response.content.decode())
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def delete(client: Client) -> str:
    return press(client, "delete_at_sendcloud", confirmed="yes")


def refresh(client: Client) -> str:
    return press(client, "refresh", confirmed="yes")


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let orders use the whole rate of the account."""
    monkeypatch.setattr(limiter, "acquire", lambda account_pk, kind: 60.0)


@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("request_of", [refresh, delete])
def test_request_without_room_is_not_sent(
    boss: Client, order: Order, sandbox: Any, request_of: Callable[[Client], str]
) -> None:
    before = len(sandbox.requests)
    said = request_of(boss)
    assert "Orders go out at full speed at the moment" in said
    assert "try again in a minute" in said
    assert len(sandbox.requests) == before
    assert not factories.outbox().exists()
    assert Shipment.objects.get().status == ShipmentStatus.SYNCED


def deletes(sandbox: Any) -> int:
    return int(sandbox.count(path="/shipments/delete"))


def test_fixed_order_shows_no_old_error(boss: Client, order: Order, integration: Integration) -> None:
    """Its page said why it was rejected until the worker had sent it."""
    Order.objects.filter(pk=order.pk).update(country="XX")
    order.refresh_from_db()
    order.save()
    drain()
    page = reverse("admin:django_sendcloud_shipment_change", args=[Shipment.objects.get().pk])
    assert "country" in boss.get(page).content.decode().lower()
    assert "Fix needed" in boss.get(page).content.decode()
    forget_transaction()
    order.country = "NL"
    order.save()
    html = boss.get(page).content.decode()
    assert "Fix needed" not in html
    assert "What to do" not in html
    assert "A change of this order is still to be sent to Sendcloud." in html
    integration.pause(PauseReason.PERSON, by="ann")
    assert "Paused by ann" in boss.get(page).content.decode()


def test_deleted_order_is_not_linked(boss: Client, order: Order) -> None:
    row = Shipment.objects.get()
    page = reverse("backoffice:django_sendcloud_shipment_change", args=[row.pk])
    link = f'href="/backoffice/shop/order/{row.order_pk}/change/"'
    assert link in boss.get(page).content.decode()
    order.delete()
    assert link not in boss.get(page).content.decode()


# -- deleting -----------------------------------------------------------------------------------------


@pytest.mark.long
def test_remote_delete_keeps_order(boss: Client, order: Order, sandbox: Any) -> None:
    assert "comes back as soon as it changes" in press(boss, "delete_at_sendcloud")
    assert sandbox.shipment(str(order.pk)) is not None, "it asks first"
    assert "1 shipment is deleted" in delete(boss)
    assert sandbox.shipment(str(order.pk)) is None
    assert Shipment.objects.get().status == ShipmentStatus.DELETED
    assert not factories.outbox().exists()
    assert LogEntry.objects.latest("pk").change_message == "Deleted at Sendcloud."
    drain()
    assert sandbox.shipment(str(order.pk)) is None, "nothing brings it back by itself"
    order.save()
    drain()
    assert sandbox.shipment(str(order.pk)) is not None, "a change does"


def test_remote_delete_accepts_missing_shipment(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.delete_shipment(sandbox.shipment(str(order.pk))["shipment_uuid"])
    assert "1 shipment is deleted" in delete(boss)
    assert Shipment.objects.get().status == ShipmentStatus.DELETED


def test_remote_delete_waits_for_worker(boss: Client, order: Order, sandbox: Any) -> None:
    order.save()
    factories.outbox().update(lease="a worker", not_before=timezone.now() + dt.timedelta(minutes=2))
    assert "being pushed at the moment" in delete(boss)
    assert not deletes(sandbox)
    assert factories.outbox().get().lease == "a worker"


@pytest.mark.long
def test_remote_delete_keeps_pending_change(boss: Client, order: Order, sandbox: Any) -> None:
    order.save()
    delete(boss)
    assert sandbox.shipment(str(order.pk)) is None
    entry = factories.outbox().get()
    assert entry.lease == ""
    drain()
    assert sandbox.shipment(str(order.pk)) is not None


@pytest.mark.long
def test_remote_delete_keeps_concurrent_change(
    boss: Client, order: Order, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.api.v2.shipments import Shipments

    original = Shipments.delete

    def meanwhile(self: Shipments, integration_id: int, **which: Any) -> Any:
        forget_transaction()
        order.save()
        return original(self, integration_id, **which)

    monkeypatch.setattr(Shipments, "delete", meanwhile)
    delete(boss)
    assert factories.outbox().get().lease == ""
    drain()
    assert sandbox.shipment(str(order.pk)) is not None


@pytest.mark.long
def test_remote_delete_without_answer_quarantines_order(
    boss: Client, order: Order, sandbox: Any, sendcloud_settings: Any
) -> None:
    """Check the quarantine: the request may arrive late, so the order is not pushed before."""
    sendcloud_settings(QUARANTINE_SECONDS=60.0)
    sandbox.drop_answer(times=1, after_apply=True)
    delete(boss)
    assert Shipment.objects.get().status == ShipmentStatus.SYNCED
    entry = factories.outbox().get()
    assert entry.in_doubt
    assert entry.lease == ""
    assert entry.not_before > timezone.now() + dt.timedelta(seconds=50)
    drain()
    assert sandbox.shipment(str(order.pk)) is not None


def test_refused_remote_delete_changes_nothing(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.revoke_credentials()
    assert "ORD-1: " in delete(boss)
    assert Shipment.objects.get().status == ShipmentStatus.SYNCED
    assert not factories.outbox().exists()
    assert LogEntry.objects.get().change_message == "Deleting at Sendcloud failed.", "history knows that it was tried"


def test_broken_remote_delete_is_recorded(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.drop_answer(times=1, after_apply=True)
    delete(boss)
    assert (
        LogEntry.objects.get().change_message
        == "Deleting at Sendcloud was interrupted: Sendcloud may have received it."
    )


def test_remote_delete_needs_permission(as_role: Callable[..., Client], order: Order, sandbox: Any) -> None:
    page = reverse("admin:django_sendcloud_shipment_action", args=[Shipment.objects.get().pk, "delete_at_sendcloud"])
    assert as_role("operator").post(page, {"confirmed": "yes"}).status_code == 403
    assert not deletes(sandbox)
    assert as_role("viewer", "delete_remote_shipment").post(page, {"confirmed": "yes"}).status_code == 302
    assert deletes(sandbox) == 1


@pytest.mark.long
def test_remote_delete_limits_selection(boss: Client, integration: Integration, sandbox: Any) -> None:
    for number in range(21):
        factories.order(number=str(number))
    drain()
    chosen = list(Shipment.objects.values_list("pk", flat=True))
    for name in ("delete_at_sendcloud", "refresh"):
        before = len(sandbox.requests)
        response = boss.post(
            reverse("admin:django_sendcloud_shipment_changelist"),
            {"action": name, ACTION_CHECKBOX_NAME: chosen, "confirmed": "yes"},
        )
        assert "At most 20 are possible at a time, and this would be 21." in " ".join(
            str(m) for m in get_messages(response.wsgi_request)
        )
        assert len(sandbox.requests) == before


# -- looking again ------------------------------------------------------------------------------------


def test_refresh_keeps_equal_shipment(boss: Client, order: Order, sandbox: Any) -> None:
    assert "1 is unchanged at Sendcloud." in refresh(boss)
    assert not factories.outbox().exists()


@pytest.mark.long
def test_refresh_pushes_missing_shipment(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.delete_shipment(sandbox.shipment(str(order.pk))["shipment_uuid"])
    assert "does not have ORD-1 any more" in refresh(boss)
    drain()
    assert sandbox.shipment(str(order.pk)) is not None


@pytest.mark.long
def test_refresh_replaces_other_version(boss: Client, order: Order, sandbox: Any) -> None:
    Shipment.objects.update(stamp=1)
    assert "another version of ORD-1" in refresh(boss)
    drain()
    assert "1 is unchanged at Sendcloud." in refresh(boss)


@pytest.mark.long
def test_refresh_settles_reappeared_shipment(boss: Client, order: Order, sandbox: Any) -> None:
    order.delete()
    Shipment.objects.update(status=ShipmentStatus.DELETED)
    factories.clear_outbox()
    assert "is there again" in refresh(boss)
    drain()
    assert sandbox.shipments() == []
    assert "1 is unchanged at Sendcloud." in refresh(boss)


def test_refresh_asks_first(boss: Client, order: Order, sandbox: Any) -> None:
    before = len(sandbox.requests)
    html = press(boss, "refresh")
    assert "Refresh 1 shipment from Sendcloud" in html
    assert "are sent again as they are now" in html
    assert len(sandbox.requests) == before


def test_refresh_does_not_call_rejected_lost(boss: Client, integration: Integration, sandbox: Any) -> None:
    order = factories.order(number="ORD-1")
    factories.clear_outbox()
    Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk=str(order.pk), order_number="ORD-1",
        external_order_id=str(order.pk), external_shipment_id=str(order.pk), status="rejected",
        errors={"city": [{"code": "required"}]},
    )  # fmt: skip
    said = refresh(boss)
    assert "Sendcloud does not have ORD-1 yet: it has never accepted it." in said
    assert "any more" not in said
    assert not factories.outbox().exists(), "it would only be rejected again"


@pytest.mark.long
def test_refresh_takes_over_missed_parcels(boss: Client, order: Order, sandbox: Any) -> None:
    (parcel,) = sandbox.create_label(str(order.pk))
    sandbox.advance(parcel["id"])
    other = factories.order(number="OTHER")
    drain()
    sandbox.create_label(str(other.pk))
    assert not Parcel.objects.exists(), "no webhook is registered"
    shipment = Shipment.objects.get(order_number="ORD-1")
    page = reverse("admin:django_sendcloud_shipment_action", args=[shipment.pk, "refresh"])
    response = boss.post(page, {"confirmed": "yes"})
    assert "1 parcel has an update." in [str(m) for m in get_messages(response.wsgi_request)]
    drain()
    known = Parcel.objects.get()
    assert (known.shipment, known.tracking_number) == (shipment, parcel["tracking_number"])
    assert known.labels
    (asked,) = [request for request in sandbox.requests if request.path.endswith("/parcels")]
    assert "order_number=ORD-1" in asked.query, "of this order only"
    boss.post(page, {"confirmed": "yes"})
    drain()
    assert Parcel.objects.count() == 1


def test_failed_refresh_is_explained_and_recorded(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.revoke_credentials()
    assert "ORD-1: Sendcloud rejects the API keys" in refresh(boss)
    assert LogEntry.objects.get().change_message == "Refreshing from Sendcloud failed."
    assert not factories.outbox().exists()
