"""Tasks of an operator's day in a browser, each with the number of its clicks."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from playwright.sync_api import expect

from django_sendcloud.models import Integration, OutboxEntry, Parcel
from django_sendcloud.testing import drain
from tests import factories

from .operator import Operator

COUNT = "sessionStorage.clicks = Number(sessionStorage.clicks || 0) + 1"
CLICKS = f"addEventListener('click', (event) => {{ if (event.isTrusted) {COUNT} }}, true);"


def count_clicks(page: Any) -> None:
    """Count every click from now on, across pages."""
    page.add_init_script(CLICKS)


def clicks(page: Any) -> int:
    return int(page.evaluate("Number(sessionStorage.clicks || 0)"))


def test_twelve_orders_take_four_clicks(operator: Operator) -> None:
    """Three problems of four orders: from the overview, through the fix page, and back."""
    page = operator.page
    operator.connect()
    for number in range(4):
        factories.order(country="XX", number=f"A-{number}")
        factories.order(city="", number=f"B-{number}")
        factories.order(postal_code="", number=f"C-{number}")
    drain()
    factories.forget_transaction()
    assert OutboxEntry.objects.stuck().count() == 12
    count_clicks(page)
    operator.open("overview_changelist")
    page.get_by_role("link", name="Fix them").first.click()
    for _problem in range(3):
        fields = page.locator(".sc-fix input:not([type=hidden])")
        expect(fields).to_have_count(4)
        label = fields.first.get_attribute("aria-label")
        value = "NL" if label.startswith("Country") else "Utrecht" if label.startswith("City") else "3511 AB"
        # The keyboard fills the fields.
        fields.first.focus()
        for index in range(4):
            page.keyboard.press("Control+A")
            page.keyboard.type(value)
            if index < 3:
                page.keyboard.press("Tab")
                while page.evaluate("document.activeElement.tagName") != "INPUT":
                    page.keyboard.press("Tab")
        page.get_by_role("button", name="Save and send").click()
        expect(page.get_by_text("4 orders are fixed and being sent.")).to_be_visible()
    expect(page.get_by_role("heading", name="Overview").first).to_be_visible()
    assert clicks(page) <= 6
    assert clicks(page) == 4
    drain()
    assert not OutboxEntry.objects.exists()
    assert len(operator.sandbox.shipments()) == 12


def test_parcel_is_found_in_one_click(operator: Operator) -> None:
    page = operator.page
    integration = operator.connect()
    Parcel.objects.create(integration=integration, remote_id=1, tracking_number="3SFIND1", status_at=timezone.now())
    count_clicks(page)
    operator.open("integration_changelist")
    page.get_by_role("searchbox", name="Order number, tracking number").focus()
    page.keyboard.type("3s find 1")
    operator.press("Find")
    expect(page.get_by_role("heading", name="3SFIND1").first).to_be_visible()
    assert clicks(page) == 1


def test_orphan_is_dismissed_in_two_clicks(operator: Operator) -> None:
    page = operator.page
    integration = operator.connect()
    parcel = Parcel.objects.create(integration=integration, remote_id=1, tracking_number="3SORPHAN")
    count_clicks(page)
    operator.open("parcel_change", parcel.pk)
    operator.press("Dismiss…")
    page.get_by_role("textbox", name="Note for your colleagues").fill("a sample")
    operator.press("Dismiss")
    expect(page.get_by_text("1 parcel is dismissed.")).to_be_visible()
    assert clicks(page) == 2
    parcel.refresh_from_db()
    assert parcel.dismissed_note == "a sample"


def test_timed_pause_takes_three_clicks(operator: Operator) -> None:
    page = operator.page
    integration = operator.connect(last_success_at=timezone.now())
    count_clicks(page)
    operator.open("integration_change", integration.pk)
    operator.press("Pause…")
    page.get_by_role("radio", name="4 hours", exact=True).click()
    operator.press("Pause", exact=True)
    expect(page.get_by_text("Sending resumes automatically").first).to_be_visible()
    assert clicks(page) == 3
    paused = Integration.objects.get(pk=integration.pk)
    assert paused.paused_until is not None
    assert paused.paused_by == "operator-0"


def test_tracking_link_is_copied_in_one_click(operator: Operator) -> None:
    page = operator.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    integration = operator.connect()
    url = "https://tracking.example/3SCOPY?a=1&b=2"
    parcel = Parcel.objects.create(integration=integration, remote_id=1, tracking_number="3SCOPY", tracking_url=url)
    count_clicks(page)
    operator.open("parcel_change", parcel.pk)
    operator.press("Copy tracking link")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == url
    assert clicks(page) == 1
