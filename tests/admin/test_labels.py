"""Labels and unmatched parcels, as the person who packs meets them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from pypdf import PdfReader

from django_sendcloud.admin.parcel import ParcelAdmin
from django_sendcloud.models import Integration, Parcel, Shipment
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.test_labels import parcels as parcels  # a fixture

LIST = "admin:django_sendcloud_parcel_changelist"


def select(client: Client, parcels: list[Parcel], layout: str = "a6", **more: Any) -> Any:
    """Ask for labels on the list, and confirm: as somebody does who has chosen the paper."""
    chosen = {"action": "open_label", "_selected_action": [parcel.pk for parcel in parcels], **more}
    return client.post(reverse(LIST), {**chosen, "confirmed": "yes", "layout": layout})


def asked(client: Client, parcels: list[Parcel]) -> Any:
    return client.post(reverse(LIST), {"action": "open_label", "_selected_action": [each.pk for each in parcels]})


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


@pytest.mark.parametrize(("layout", "sheets"), [("a6", 6), ("a4_1", 2), ("a4_4", 3)])
def test_many_open_from_the_list(packer: Client, parcels: list[Parcel], layout: str, sheets: int) -> None:
    answer = select(packer, parcels, layout)
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
    assert select(client, parcels).get("Content-Type") != "application/pdf"
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
    page = asked(packer, parcels[:3])
    assert page.context["title"] == "Print 2 labels"
    assert "1 is left out: it has no label." in page.content.decode()
    answer = select(packer, parcels[:3])
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == 2
    Parcel.objects.filter(pk=parcels[1].pk).update(labels={"normal_printer": []})
    answer = select(packer, parcels[:3])
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == 2
    assert f"No label for {parcels[1]}: It has no label." in said(packer)


def test_none_at_all_is_said(packer: Client, parcels: list[Parcel]) -> None:
    Parcel.objects.update(labels={})
    page = asked(packer, parcels[:1])
    assert "1 is left out: it has no label." in page.content.decode()
    assert 'type="submit" class="button default' not in page.content.decode(), "there is nothing to confirm"
    assert select(packer, parcels[:1]).status_code == 302
    assert "There is no label yet" in said(packer)
    assert not LogEntry.objects.exists()


def test_more_than_a_hundred_are_refused_before_sendcloud_is_asked(
    packer: Client, parcels: list[Parcel], sandbox: Any, integration: Integration
) -> None:
    Parcel.objects.bulk_create(
        Parcel(integration=integration, remote_id=10**6 + n, labels={"a6": "x"}) for n in range(101)
    )
    before = len(sandbox.requests)
    packer.post(reverse(LIST), {"action": "open_label", "select_across": "1", "_selected_action": [parcels[0].pk]})
    assert "At most 100 can be done at once, and this would be 107." in said(packer)
    assert len(sandbox.requests) == before


def test_the_paper_is_chosen_once_and_a_sheet_goes_on_where_the_last_ended(
    packer: Client, parcels: list[Parcel]
) -> None:
    def chosen_beforehand() -> str:
        html = asked(packer, parcels[:1]).content.decode()
        (found,) = re.findall(r'name="layout" value="(\w+)"[^>]* checked', html)
        return str(found)

    assert chosen_beforehand() == "a6"
    select(packer, parcels[:3], "a4_2")
    assert chosen_beforehand() == "a4_1", "three labels fill the sheet that began at its second place"
    select(packer, parcels[:1], "a4_1")
    assert chosen_beforehand() == "a4_2"
    packer.post(reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "open_label"]))
    assert chosen_beforehand() == "a4_2", "one label from its own page is no sheet"
    select(packer, parcels[:1], "a6")
    assert chosen_beforehand() == "a6"


def test_a_document_opens_beside_the_page(packer: Client, parcels: list[Parcel]) -> None:
    page = packer.get(reverse("admin:django_sendcloud_parcel_change", args=[parcels[0].pk])).content.decode()
    url = reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "open_label"])
    assert f'action="{url}" target="_blank"' in page
    assert '<form method="post" target="_blank">' in asked(packer, parcels).content.decode()


def test_labels_of_shipments_are_those_that_go_on_a_box(packer: Client, parcels: list[Parcel]) -> None:
    url = reverse("admin:django_sendcloud_shipment_changelist")
    shipments = list(Shipment.objects.filter(parcels__isnull=False).distinct())
    chosen = {"action": "open_labels", "_selected_action": [shipment.pk for shipment in shipments]}
    Parcel.objects.filter(pk=parcels[0].pk).update(is_return=True)
    Parcel.objects.filter(pk=parcels[1].pk).update(phase="cancelled")
    page = packer.post(url, chosen)
    assert page.context["title"] == f"Print {len(parcels) - 2} labels"
    answer = packer.post(url, {**chosen, "confirmed": "yes", "layout": "a6"})
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == len(parcels) - 2
    printed = Shipment.objects.filter(parcels__in=parcels[2:]).distinct()
    logged = LogEntry.objects.filter(content_type__model="shipment").values_list("object_id", flat=True)
    assert set(logged) == {str(shipment.pk) for shipment in printed}
    one = printed[0]
    button = reverse("admin:django_sendcloud_shipment_action", args=[one.pk, "open_labels"])
    assert (
        f'action="{button}" target="_blank"'
        in packer.get(reverse("admin:django_sendcloud_shipment_change", args=[one.pk])).content.decode()
    )
    assert packer.post(button)["Content-Type"] == "application/pdf"


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
    for shipment in (first, second):
        assert f"order key {shipment.order_pk}" in page, "what tells them apart"
        assert f'href="{reverse("admin:django_sendcloud_shipment_change", args=[shipment.pk])}"' in page
    assert page.count("first told ") == 2
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


def test_who_was_slower_is_told_so_and_nothing_is_written_down(
    as_role: Callable[..., Client], stray: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = as_role("viewer", "assign_parcel")
    url = reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk])
    first, second = Shipment.objects.order_by("pk")
    original = ParcelAdmin._candidates

    def meanwhile(self: ParcelAdmin, parcel: Parcel, number: str) -> Any:
        Parcel.objects.filter(pk=parcel.pk).update(shipment=first)
        return original(self, parcel, number)

    monkeypatch.setattr(ParcelAdmin, "_candidates", meanwhile)
    client.post(url, {"number": "TWICE", "shipment": second.pk})
    stray.refresh_from_db()
    assert stray.shipment == first
    assert "belongs to a shipment already" in said(client)
    assert not LogEntry.objects.exists()


def test_assigning_needs_its_permission(as_role: Callable[..., Client], stray: Parcel) -> None:
    client = as_role("operator")
    url = reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk])
    assert as_role("staff", "view_parcel", "assign_parcel").get(url).status_code == 403, "it shows shipments"
    assert client.get(url).status_code == 403
    assert client.post(url, {"shipment": Shipment.objects.first().pk}).status_code == 403
    assert url not in client.get(reverse("admin:django_sendcloud_parcel_change", args=[stray.pk])).content.decode()
