"""One date format per language, on every page, in every mail, and for buyers."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.template import Context, Template
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format

import django_sendcloud
from django_sendcloud.core.dates import clock_time
from django_sendcloud.models import Integration, Parcel, ParcelStatus, Shipment
from django_sendcloud.sync.worker import push_due
from tests import factories

PACKAGE = Path(django_sendcloud.__file__).parent
# A moment of no other year, so that no format leaves anything out.
MOMENT = dt.datetime(2024, 3, 5, 16, 7, tzinfo=dt.UTC)
# The sandbox is a program of its own, in English.
SOURCES = [
    path
    for path in PACKAGE.rglob("*")
    if path.suffix in (".py", ".html", ".txt") and not {"sandbox", "dates.py"} & set(path.relative_to(PACKAGE).parts)
]


def test_templates_use_one_format() -> None:
    used = {
        name
        for path in SOURCES
        for name in re.findall(r"\|(?:date|time)\b(?::[\"']([^\"']*)[\"'])?", path.read_text("utf-8"))
        if path.suffix != ".py"
    }
    assert used <= {"DATETIME_FORMAT", "TIME_FORMAT"}
    assert "DATETIME_FORMAT" in used


def test_code_formats_dates_by_helper() -> None:
    pattern = re.compile(r"\bdate_format\(|\btime_format\(|SHORT_DATE|strftime|\blocalize\(")
    assert [path for path in SOURCES if pattern.search(path.read_text("utf-8"))] == [], "use core.dates"


@pytest.mark.parametrize("language", ["en", "nl", "de", "fr", "es", "it"])
def test_pages_write_moments_alike(language: str, integration: Integration, as_role: Callable[..., Client]) -> None:
    """The timeline is ours, and the cells of the table are Django's."""
    order = factories.order()
    push_due()
    shipment = Shipment.objects.get()
    Shipment.objects.update(last_pushed_at=MOMENT, created_at=MOMENT)
    parcel = Parcel.objects.create(integration=integration, shipment=shipment, remote_id=1, status_at=MOMENT)
    Parcel.objects.update(created_at=MOMENT)
    ParcelStatus.objects.create(parcel=parcel, status_id=3, phase="in_transit", event_ms=1, at=MOMENT)
    client = as_role("superuser")
    with translation.override(language):
        expected = date_format(timezone.localtime(MOMENT), "DATETIME_FORMAT")
        assert clock_time(MOMENT) == expected
        pages = [Template("{% load sendcloud %}{% sendcloud_tracking order %}").render(Context({"order": order}))]
        for name, row in (("parcel", parcel), ("shipment", shipment)):
            url = reverse(f"admin:django_sendcloud_{name}_change", args=[row.pk])
            pages.append(client.get(url, headers={"accept-language": language}).content.decode())
    for page in pages:
        assert expected in page
        short = re.findall(r"\b0?5[./-]0?3[./-](?:20)?24\b|\b0?3[./-]0?5[./-](?:20)?24\b", page)
        assert not short, short
