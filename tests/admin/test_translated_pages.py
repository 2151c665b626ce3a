"""Headings of the admin's pages, in each language."""

from __future__ import annotations

import html.parser
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from tests.test_translations import LANGUAGES

from .conftest import Data


class Headings(html.parser.HTMLParser):
    """Texts of a page's headings, columns and labels."""

    TAGS = frozenset({"title", "h1", "h2", "h3", "th", "legend", "label", "summary"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.TAGS:
            self._open.append((tag, []))

    def handle_data(self, data: str) -> None:
        for _tag, texts in self._open:
            texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            text = " ".join("".join(self._open.pop()[1]).split()).removesuffix(":")
            if text:
                self.found.append(text)


# Page, whose page it is, and a few of the headings that English readers find there.
PAGES = [
    ("overview_changelist", "", ["Overview", "To do", "The last 24 hours", "As a table", "Hour"]),
    ("integration_changelist", "", ["Fix needed", "Stopped", "Last success", "Last webhook"]),
    ("integration_add", "", ["Keys", "Secret key", "Authentication", "In use"]),
    ("integration_change", "integration", ["Connecting, step by step", "Keys", "At Sendcloud"]),
    ("integration_settings", "integration", ["Settings at Sendcloud", "Change at Sendcloud", "Setting", "Here"]),
    ("integration_logs", "integration", ["Failed requests at Sendcloud", "Technical details"]),
    ("outboxentry_changelist", "", ["Order", "Due", "By problem"]),
    ("outboxentry_change", "outboxentry", ["Sendcloud rejected the order", "Recorded at"]),
    ("outboxentry_payload", "outboxentry", ["What would be sent now"]),
    ("shipment_changelist", "", ["Parcels", "Last sent", "Select shipment to view"]),
    ("shipment_change", "shipment", ["Sendcloud rejected the order", "Parcels", "Order number", "First recorded"]),
    ("shipment_payload", "shipment", ["What would be sent now", "Sendcloud does not have this shipment"]),
    ("parcel_changelist", "", ["Tracking number", "Carrier", "Since"]),
    ("parcel_change", "parcel", ["Timeline", "Belongs to", "Weight (kg)", "Last update"]),
    ("webhookevent_changelist", "", ["Received", "Parcel"]),
    ("webhookevent_change", "webhookevent", ["It could not be applied", "Content", "Belongs to", "Processed at"]),
    ("account_changelist", "", ["Integrations", "Speed"]),
    ("account_change", "account", ["Speed"]),
]


# A heading that no catalogue translates is English in every language, so one language finds nearly all.
@pytest.mark.parametrize(
    "languages",
    [pytest.param(LANGUAGES[:1], id="Dutch"), pytest.param(LANGUAGES[1:], id="others", marks=pytest.mark.long)],
)
@pytest.mark.parametrize(("name", "owner", "english"), PAGES, ids=[name for name, _owner, _english in PAGES])
def test_admin_page_has_no_english_headings(
    languages: list[str], name: str, owner: str, english: list[str], as_role: Callable[..., Client], data: Data
) -> None:
    url = reverse(f"admin:django_sendcloud_{name}", args=[data.objects[owner].pk] if owner else [])
    boss = as_role("superuser")

    def headings(wanted: str) -> list[str]:
        response = boss.get(url, headers={"accept-language": wanted})
        assert response.status_code == 200
        assert response.headers["Content-Language"] == wanted
        return Headings(response.content.decode()).found

    assert set(english) <= set(headings("en")), "the page has other headings now: choose others here"
    for language in languages:
        left = [heading for heading in headings(language) if heading in english]
        assert not left, f"left in English for {language}: {left}"
