"""Labels and unmatched parcels, as the person who packs meets them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from pypdf import PdfReader

from django_sendcloud.models import Integration, Parcel, Shipment
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.test_labels import parcels as parcels  # a fixture

LIST = "admin:django_sendcloud_parcel_changelist"


def select(client: Client, action: str, parcels: list[Parcel]) -> Any:
    return client.post(reverse(LIST), {"action": action, "_selected_action": [parcel.pk for parcel in parcels]})


def said(client: Client) -> str:
    return client.get(reverse(LIST)).content.decode()


@pytest.fixture
def packer(as_role: Callable[..., Client]) -> Client:
    return as_role("viewer", "print_label")


def test_one_label_opens_from_the_parcels_page(packer: Client, parcels: list[Parcel]) -> None:
    url = reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "open_label"])
    page = packer.get(reverse("admin:django_sendcloud_parcel_change", args=[parcels[0].pk])).content.decode()
    assert f'action="{url}"' in page
    answer = packer.post(url)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert "no-store" in answer["Cache-Control"]
    assert parcels[0].tracking_number in PdfReader(io.BytesIO(answer.content)).pages[0].extract_text()
    assert LogEntry.objects.get().object_id == str(parcels[0].pk)


@pytest.mark.parametrize(("action", "sheets"), [("open_label", 6), ("labels_a4_1", 2), ("labels_a4_4", 3)])
def test_many_open_from_the_list(packer: Client, parcels: list[Parcel], action: str, sheets: int) -> None:
    answer = select(packer, action, parcels)
    assert answer["Content-Type"] == "application/pdf"
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == sheets
    assert LogEntry.objects.count() == len(parcels)


@pytest.mark.parametrize("role", ["staff", "viewer", "operator"])
def test_only_with_the_permission(
    as_role: Callable[..., Client], parcels: list[Parcel], role: str, sandbox: Any
) -> None:
    client = as_role(role)
    before = len(sandbox.requests)
    url = reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "open_label"])
    assert client.post(url).status_code == 403
    assert select(client, "open_label", parcels).get("Content-Type") != "application/pdf"
    assert client.get(url).status_code == 405
    assert len(sandbox.requests) == before
    assert not LogEntry.objects.exists()


def test_neither_key_nor_address_reach_the_browser(packer: Client, parcels: list[Parcel], sandbox: Any) -> None:
    url = reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "open_label"])
    sandbox.fail_next(500, times=5, match="label")
    packer.post(url)
    for page in (said(packer), packer.get(reverse("admin:django_sendcloud_parcel_change", args=[parcels[0].pk]))):
        html = page if isinstance(page, str) else page.content.decode()
        assert sandbox.secret_key not in html
        assert "label_printer" not in html
        assert "hash=" not in html


def test_what_is_missing_is_said_and_the_rest_is_printed(packer: Client, parcels: list[Parcel]) -> None:
    Parcel.objects.filter(pk=parcels[1].pk).update(labels={})
    answer = select(packer, "open_label", parcels[:3])
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == 2
    assert "It has no label." in said(packer)


def test_none_at_all_is_said(packer: Client, parcels: list[Parcel]) -> None:
    Parcel.objects.update(labels={})
    assert select(packer, "open_label", parcels[:1]).status_code == 302
    assert "It has no label." in said(packer)
    assert not LogEntry.objects.exists()


def test_more_than_a_hundred_are_refused_before_sendcloud_is_asked(
    packer: Client, parcels: list[Parcel], sandbox: Any, integration: Integration
) -> None:
    Parcel.objects.bulk_create(Parcel(integration=integration, remote_id=10**6 + n) for n in range(101))
    before = len(sandbox.requests)
    packer.post(reverse(LIST), {"action": "open_label", "select_across": "1", "_selected_action": [parcels[0].pk]})
    assert "At most 100 labels" in said(packer)
    assert len(sandbox.requests) == before


# -- parcels that belong to nobody --------------------------------------------------------------------


@pytest.fixture
def stray(integration: Integration, sandbox: Any) -> Parcel:
    factories.order(number="TWICE")
    factories.order(number="TWICE")
    pump()
    return Parcel.objects.create(integration=integration, remote_id=99, order_number="TWICE")


def test_a_stray_parcel_is_assigned_by_a_person(as_role: Callable[..., Client], stray: Parcel) -> None:
    client = as_role("viewer", "assign_parcel")
    url = reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk])
    assert url in client.get(reverse("admin:django_sendcloud_parcel_change", args=[stray.pk])).content.decode()
    first, second = Shipment.objects.order_by("pk")
    page = client.get(url).content.decode()
    assert f'value="{first.pk}"' in page
    assert f'value="{second.pk}"' in page
    answer = client.post(url, {"number": "TWICE", "shipment": second.pk})
    assert answer.status_code == 302
    stray.refresh_from_db()
    assert stray.shipment == second
    assert LogEntry.objects.count() == 1
    assert client.get(url).status_code == 302, "it belongs to somebody now"


def test_another_order_can_be_searched_for(as_role: Callable[..., Client], stray: Parcel) -> None:
    other = factories.order(number="OTHER")
    pump()
    client = as_role("viewer", "assign_parcel")
    url = reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk])
    page = client.get(url, {"number": "OTHER"}).content.decode()
    assert f'value="{Shipment.objects.for_order(other).get().pk}"' in page
    assert "has this number" in client.get(url, {"number": "NOTHING"}).content.decode()


def test_a_shipment_that_was_not_offered_is_refused(
    as_role: Callable[..., Client], stray: Parcel, sandbox: Any
) -> None:
    other = factories.integration(sandbox.add_integration("Other"))
    foreign = Shipment.objects.create(
        integration=other, order_type="shop.order", order_pk="1", external_order_id="TWICE", external_shipment_id="x"
    )
    client = as_role("viewer", "assign_parcel")
    client.post(
        reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk]), {"number": "TWICE", "shipment": foreign.pk}
    )
    stray.refresh_from_db()
    assert stray.shipment is None


def test_assigning_needs_its_permission(as_role: Callable[..., Client], stray: Parcel) -> None:
    client = as_role("operator")
    url = reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk])
    assert client.get(url).status_code == 403
    assert client.post(url, {"shipment": Shipment.objects.first().pk}).status_code == 403
    assert url not in client.get(reverse("admin:django_sendcloud_parcel_change", args=[stray.pk])).content.decode()
