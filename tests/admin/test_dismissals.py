"""Dismissals of parcels without an order and of dead webhooks, and suggestions of an order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.admin.actions.history import render_message
from django_sendcloud.models import EventState, Integration, Parcel, Shipment, WebhookEvent
from django_sendcloud.parcels.matching import suggested

from .conftest import Data

NOTE = "=cmd|'made by hand'"


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    client = as_role("superuser")
    User.objects.filter(is_superuser=True).update(username="anna")
    return client


@pytest.fixture
def unmatched(connected: Integration) -> Parcel:
    return Parcel.objects.create(integration=connected, remote_id=7, tracking_number="3SORPHAN", order_number="#1001")


def shipment(integration: Integration, number: str, **values: Any) -> Shipment:
    values = {"external_order_id": number, "external_shipment_id": number} | values
    return Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk=number, order_number=number, **values
    )


def press(client: Client, obj: Any, name: str, **data: str) -> Any:
    url = reverse(f"admin:django_sendcloud_{obj._meta.model_name}_action", args=[obj.pk, name])
    return client.post(url, data, follow=True)


def listed(client: Client, matched: str) -> int:
    url = reverse("admin:django_sendcloud_parcel_changelist")
    return int(client.get(url, {"matched": matched}).context["cl"].result_count)


@pytest.mark.long
def test_dismissed_parcel_is_no_task(boss: Client, unmatched: Parcel) -> None:
    overview = reverse("admin:django_sendcloud_overview_changelist")
    assert "1 parcel belongs to no order" in boss.get(overview).content.decode()
    assert "Note for your colleagues" in press(boss, unmatched, "dismiss_parcels").content.decode()
    html = press(boss, unmatched, "dismiss_parcels", confirmed="yes", number="1", note="sample").content.decode()
    assert "1 parcel is dismissed." in html
    assert "By anna" in html
    assert "m.." not in html, "p.m. ends with a full stop itself"
    assert "“sample”" in html
    assert "belongs to no order" not in boss.get(overview).content.decode()
    assert (listed(boss, "no"), listed(boss, "dismissed")) == (0, 1)
    assert render_message(LogEntry.objects.get().change_message) == "Dismissed. “sample”"


@pytest.mark.long
def test_dismissal_can_be_taken_back(boss: Client, unmatched: Parcel) -> None:
    press(boss, unmatched, "dismiss_parcels", confirmed="yes", number="1")
    press(boss, unmatched, "reopen_parcels")
    unmatched.refresh_from_db()
    assert (unmatched.dismissed_at, unmatched.dismissed_by, unmatched.dismissed_note) == (None, "", "")
    assert (listed(boss, "no"), listed(boss, "dismissed")) == (1, 0)


def test_matched_parcel_cannot_be_dismissed(boss: Client, data: Data) -> None:
    html = press(boss, data.parcel, "dismiss_parcels", confirmed="yes", number="1").content.decode()
    data.parcel.refresh_from_db()
    assert data.parcel.dismissed_at is None
    assert "0 parcels are dismissed." in html


def test_parcel_matched_meanwhile_is_left_out(boss: Client, unmatched: Parcel, data: Data) -> None:
    """The page was open while an update linked the parcel."""
    url = reverse("admin:django_sendcloud_parcel_changelist")
    chosen = {"action": "dismiss_parcels", "_selected_action": [unmatched.pk, data.parcel.pk]}
    assert "1 is left out" in boss.post(url, chosen).content.decode()
    unmatched.shipment = data.shipment
    unmatched.save()
    boss.post(url, chosen | {"confirmed": "yes", "number": "1", "note": ""})
    assert not Parcel.objects.filter(dismissed_at__isnull=False).exists()


def test_second_operator_keeps_first_note(boss: Client, unmatched: Parcel) -> None:
    Parcel.objects.update(dismissed_at=timezone.now(), dismissed_by="bert", dismissed_note="sample")
    press(boss, unmatched, "dismiss_parcels", confirmed="yes", number="1", note="other")
    unmatched.refresh_from_db()
    assert (unmatched.dismissed_by, unmatched.dismissed_note) == ("bert", "sample")


@pytest.mark.parametrize("name", ["dismiss_parcels", "reopen_parcels"])
def test_dismissal_needs_assign_permission(as_role: Callable[..., Client], unmatched: Parcel, name: str) -> None:
    assert press(as_role("operator"), unmatched, name, confirmed="yes", number="1").status_code == 403
    assert press(as_role("operator", "assign_parcel"), unmatched, name, confirmed="yes", number="1").status_code == 200


# -- suggestions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["#1001", "1001 ", "ord-1001", "ORD 1001", "1001-2", "№1001", "x1001"])
def test_similar_number_is_suggested(connected: Integration, number: str) -> None:
    wanted = shipment(connected, "ORD-1001" if "1001" in number else "")
    parcel = Parcel.objects.create(integration=connected, remote_id=8, order_number=number)
    shipment(connected, "ORD-2002")
    assert suggested(parcel) == [wanted]


@pytest.mark.parametrize("number", ["", "#", "1", "  ", "%", "ABC"])
def test_vague_number_suggests_nothing(connected: Integration, number: str) -> None:
    shipment(connected, "ORD-1001")
    assert suggested(Parcel(integration=connected, remote_id=8, order_number=number)) == []


def test_other_integration_is_not_suggested(connected: Integration, unmatched: Parcel) -> None:
    other = Integration.objects.create(remote_id=4002, name="Other", public_key="p", secret_key="s")
    shipment(other, "1001")
    assert suggested(unmatched) == []


def test_suggestion_assigns_with_one_click(boss: Client, connected: Integration, unmatched: Parcel) -> None:
    wanted = shipment(connected, "ORD-1001")
    html = boss.get(reverse("admin:django_sendcloud_parcel_change", args=[unmatched.pk])).content.decode()
    assert "Assign to ORD-1001" in html
    url = reverse("admin:django_sendcloud_parcel_assign", args=[unmatched.pk])
    boss.post(url, {"number": "ORD-1001", "shipment": str(wanted.pk)})
    unmatched.refresh_from_db()
    assert unmatched.shipment == wanted


# -- webhooks -----------------------------------------------------------------------------------------


def test_dismissed_webhook_counts_no_more(boss: Client, data: Data) -> None:
    overview = reverse("admin:django_sendcloud_overview_changelist")
    assert "1 webhook could not be applied" in boss.get(overview).content.decode()
    html = press(boss, data.event, "dismiss", confirmed="yes", number="1", note=NOTE).content.decode()
    assert "1 webhook is dismissed." in html
    assert "made by hand" in html
    assert "could not be applied" not in boss.get(overview).content.decode()
    data.event.refresh_from_db()
    assert (data.event.state, data.event.dismissed_by) == (EventState.DISMISSED, "anna")


def test_dismissed_webhook_can_be_replayed(boss: Client, data: Data) -> None:
    press(boss, data.event, "dismiss", confirmed="yes", number="1")
    press(boss, data.event, "replay", confirmed="yes", number="1")
    data.event.refresh_from_db()
    assert (data.event.state, data.event.dismissed_at) == (EventState.RECEIVED, None)


def test_webhook_replayed_meanwhile_stays(boss: Client, data: Data) -> None:
    WebhookEvent.objects.update(state=EventState.RECEIVED, due_at=timezone.now())
    html = press(boss, data.event, "dismiss", confirmed="yes", number="1").content.decode()
    assert "0 webhooks are dismissed." in html
    assert WebhookEvent.objects.get().state == EventState.RECEIVED


def test_webhook_dismissal_needs_replay_permission(as_role: Callable[..., Client], data: Data) -> None:
    assert press(as_role("viewer"), data.event, "dismiss", confirmed="yes", number="1").status_code == 403
