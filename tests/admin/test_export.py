"""Export of lists as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from django_sendcloud.admin.lists import export
from django_sendcloud.admin.lists.export import cell
from django_sendcloud.models import Parcel

from .conftest import Data

LISTS = ["account", "integration", "outboxentry", "parcel", "shipment", "webhookevent"]


def exported(client: Client, name: str, **query: str) -> list[list[str]]:
    answer: Any = client.get(reverse(f"admin:django_sendcloud_{name}_export"), query)
    assert answer.status_code == 200
    assert answer.streaming
    assert answer["Content-Disposition"].startswith(f'attachment; filename="{name}-20')
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("name", LISTS)
def test_list_exports_its_rows(as_role: Callable[..., Client], data: Data, name: str) -> None:
    header, row = exported(as_role("viewer"), name)
    assert len(header) == len(row)
    assert all(header)
    html = as_role("viewer").get(reverse(f"admin:django_sendcloud_{name}_changelist")).content.decode()
    assert reverse(f"admin:django_sendcloud_{name}_export") in html


@pytest.mark.parametrize("name", LISTS)
def test_export_needs_view_permission(as_role: Callable[..., Client], data: Data, name: str) -> None:
    url = reverse(f"admin:django_sendcloud_{name}_export")
    assert as_role("staff").get(url).status_code == 403
    assert as_role("anonymous").get(url).status_code == 302
    assert as_role("superuser").post(url).status_code == 405


@pytest.mark.parametrize("name", LISTS)
def test_export_holds_no_personal_data(as_role: Callable[..., Client], data: Data, name: str) -> None:
    text = str(exported(as_role("superuser"), name))
    assert "Canary" not in text
    assert "canary@" not in text
    assert data.integration.public_key not in text


@pytest.mark.long
def test_export_follows_filters_and_search(as_role: Callable[..., Client], data: Data) -> None:
    Parcel.objects.create(integration=data.integration, remote_id=2, tracking_number="OTHER", phase="delivered")
    client = as_role("viewer")
    assert len(exported(client, "parcel")) == 3
    assert [row[0] for row in exported(client, "parcel", phase__exact="delivered")[1:]] == ["OTHER"]
    assert [row[0] for row in exported(client, "parcel", q="3scanal1")[1:]] == ["3SCANAL1"]
    assert exported(client, "parcel", q="nothing")[1:] == []
    html = client.get(reverse("admin:django_sendcloud_parcel_changelist"), {"q": "OTHER"}).content.decode()
    assert f"{reverse('admin:django_sendcloud_parcel_export')}?q=OTHER" in html


@pytest.mark.long
def test_export_reads_all_pages_in_portions(
    as_role: Callable[..., Client],
    data: Data,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
) -> None:
    monkeypatch.setattr(export, "PORTION", 50)
    rows = [Parcel(integration=data.integration, remote_id=n, tracking_number=f"T{n}") for n in range(100, 260)]
    Parcel.objects.bulk_create(rows)
    client = as_role("viewer")
    with django_assert_max_num_queries(30):
        assert len(exported(client, "parcel")) == 162


@pytest.mark.parametrize("bad", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "\u00a0=1"])
def test_formula_becomes_text(as_role: Callable[..., Client], data: Data, bad: str) -> None:
    Parcel.objects.update(tracking_number=bad)
    assert exported(as_role("viewer"), "parcel")[1][0] == f"'{bad}"


def test_angle_brackets_of_note_stay(as_role: Callable[..., Client], data: Data) -> None:
    note = "ask <Jane>: 5<6 & 7>6"
    Parcel.objects.update(dismissed_note=note)
    assert exported(as_role("viewer"), "parcel")[1][-1] == note


@pytest.mark.parametrize("value", ["3SABC", "1-2", "a=b", "", "0001"])
def test_plain_text_stays(value: str) -> None:
    assert cell(value) == value


@pytest.mark.parametrize("query", [{"nonsense": "1"}, {"integration__id__exact": "x"}, {"o": "99"}])
def test_export_of_broken_link_leads_to_list(as_role: Callable[..., Client], data: Data, query: dict[str, str]) -> None:
    answer = as_role("viewer").get(reverse("admin:django_sendcloud_parcel_export"), query)
    assert answer.status_code in (200, 302)


def test_export_speaks_readers_language(as_role: Callable[..., Client], data: Data) -> None:
    client = as_role("viewer")
    answer: Any = client.get(reverse("admin:django_sendcloud_parcel_export"), headers={"Accept-Language": "nl"})
    assert b"Onderweg" in b"".join(answer.streaming_content)
