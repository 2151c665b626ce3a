"""Single shipments at Sendcloud, by a person's wish: looked up again, or deleted. Sendcloud is the sandbox."""

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

from django_sendcloud.models import Integration, Parcel, Shipment, ShipmentStatus
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


def deletes(sandbox: Any) -> int:
    return int(sandbox.count(path="/shipments/delete"))


# -- deleting -----------------------------------------------------------------------------------------


def test_a_shipment_is_deleted_there_and_its_order_stays(boss: Client, order: Order, sandbox: Any) -> None:
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


def test_what_was_gone_already_is_as_good(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.delete_shipment(sandbox.shipment(str(order.pk))["shipment_uuid"])
    assert "1 shipment is deleted" in delete(boss)
    assert Shipment.objects.get().status == ShipmentStatus.DELETED


def test_a_worker_that_has_it_in_hand_is_not_disturbed(boss: Client, order: Order, sandbox: Any) -> None:
    order.save()
    factories.outbox().update(lease="a worker", not_before=timezone.now() + dt.timedelta(minutes=2))
    assert "being pushed at the moment" in delete(boss)
    assert not deletes(sandbox)
    assert factories.outbox().get().lease == "a worker"


def test_a_change_that_waits_is_told_afterwards(boss: Client, order: Order, sandbox: Any) -> None:
    order.save()
    delete(boss)
    assert sandbox.shipment(str(order.pk)) is None
    entry = factories.outbox().get()
    assert entry.lease == ""
    drain()
    assert sandbox.shipment(str(order.pk)) is not None


def test_a_change_during_the_deletion_is_told_afterwards(
    boss: Client, order: Order, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.api.v2.shipments import Shipments

    original = Shipments.delete

    def meanwhile(self: Shipments, **which: Any) -> Any:
        forget_transaction()
        order.save()
        return original(self, **which)

    monkeypatch.setattr(Shipments, "delete", meanwhile)
    delete(boss)
    assert factories.outbox().get().lease == ""
    drain()
    assert sandbox.shipment(str(order.pk)) is not None


def test_an_answer_that_never_came_leaves_doubt_that_is_settled(
    boss: Client, order: Order, sandbox: Any, sendcloud_settings: Any
) -> None:
    """The request may arrive late, so nothing is told of the order before it can no longer land."""
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


def test_refused_it_is_explained_and_nothing_changed(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.revoke_credentials()
    assert "ORD-1: " in delete(boss)
    assert Shipment.objects.get().status == ShipmentStatus.SYNCED
    assert not factories.outbox().exists()
    assert LogEntry.objects.get().change_message == "Deleting at Sendcloud failed.", "history knows that it was tried"


def test_what_broke_off_is_in_the_history_as_such(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.drop_answer(times=1, after_apply=True)
    delete(boss)
    assert LogEntry.objects.get().change_message == "Deleting at Sendcloud broke off: it may have arrived."


def test_it_has_a_permission_of_its_own(as_role: Callable[..., Client], order: Order, sandbox: Any) -> None:
    page = reverse("admin:django_sendcloud_shipment_action", args=[Shipment.objects.get().pk, "delete_at_sendcloud"])
    assert as_role("operator").post(page, {"confirmed": "yes"}).status_code == 403
    assert not deletes(sandbox)
    assert as_role("viewer", "delete_remote_shipment").post(page, {"confirmed": "yes"}).status_code == 302
    assert deletes(sandbox) == 1


def test_not_more_at_once_than_a_person_waits_for(boss: Client, integration: Integration, sandbox: Any) -> None:
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
        assert "At most 20 can be done at once, and this would be 21." in " ".join(
            str(m) for m in get_messages(response.wsgi_request)
        )
        assert len(sandbox.requests) == before


# -- looking again ------------------------------------------------------------------------------------


def test_what_is_as_it_was_told_is_left_alone(boss: Client, order: Order, sandbox: Any) -> None:
    assert "1 is as it was told." in refresh(boss)
    assert not factories.outbox().exists()


def test_what_is_missing_there_is_pushed_again(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.delete_shipment(sandbox.shipment(str(order.pk))["shipment_uuid"])
    assert "does not have ORD-1 any more" in refresh(boss)
    drain()
    assert sandbox.shipment(str(order.pk)) is not None


def test_another_version_there_is_replaced(boss: Client, order: Order, sandbox: Any) -> None:
    Shipment.objects.update(stamp=1)
    assert "another version of ORD-1" in refresh(boss)
    drain()
    assert "1 is as it was told." in refresh(boss)


def test_what_was_deleted_and_is_there_again_is_settled(boss: Client, order: Order, sandbox: Any) -> None:
    order.delete()
    Shipment.objects.update(status=ShipmentStatus.DELETED)
    factories.clear_outbox()
    assert "is there again" in refresh(boss)
    drain()
    assert sandbox.shipments() == []
    assert "1 is as it was told." in refresh(boss)


def test_it_asks_first_since_it_may_push(boss: Client, order: Order, sandbox: Any) -> None:
    before = len(sandbox.requests)
    html = press(boss, "refresh")
    assert "Refresh 1 shipment from Sendcloud" in html
    assert "is pushed again as it is now" in html
    assert len(sandbox.requests) == before


def test_what_sendcloud_never_accepted_it_is_not_said_to_have_lost(
    boss: Client, integration: Integration, sandbox: Any
) -> None:
    order = factories.order(number="ORD-1")
    factories.clear_outbox()
    Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk=str(order.pk), order_number="ORD-1",
        external_order_id=str(order.pk), external_shipment_id=str(order.pk), status="rejected",
        errors={"city": ["May not be empty."]},
    )  # fmt: skip
    said = refresh(boss)
    assert "Sendcloud does not have ORD-1 yet: it has never accepted it." in said
    assert "any more" not in said
    assert not factories.outbox().exists(), "it would only be refused again"


def test_it_takes_over_parcels_whose_webhooks_never_came(boss: Client, order: Order, sandbox: Any) -> None:
    (parcel,) = sandbox.create_label(str(order.pk))
    sandbox.advance(parcel["id"])
    other = factories.order(number="OTHER")
    drain()
    sandbox.create_label(str(other.pk))
    assert not Parcel.objects.exists(), "no webhook is registered"
    shipment = Shipment.objects.get(order_number="ORD-1")
    page = reverse("admin:django_sendcloud_shipment_action", args=[shipment.pk, "refresh"])
    response = boss.post(page, {"confirmed": "yes"})
    assert "There is news of 1 parcel." in [str(m) for m in get_messages(response.wsgi_request)]
    known = Parcel.objects.get()
    assert (known.shipment, known.tracking_number) == (shipment, parcel["tracking_number"])
    assert known.labels
    (asked,) = [request for request in sandbox.requests if request.path.endswith("/parcels")]
    assert "order_number=ORD-1" in asked.query, "of this order only"
    boss.post(page, {"confirmed": "yes"})
    assert Parcel.objects.count() == 1


def test_a_refresh_that_failed_is_explained_and_in_the_history(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.revoke_credentials()
    assert "ORD-1: Sendcloud refuses the API keys" in refresh(boss)
    assert LogEntry.objects.get().change_message == "Refreshing from Sendcloud failed."
    assert not factories.outbox().exists()
