"""Tasks of an operator's day with deliveries in a browser, each with its number of clicks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from django_sendcloud.models import Integration, Parcel, Shipment
from django_sendcloud.testing import drain
from tests import factories

from .operator import Operator
from .test_tools import Clicks, see
from .test_tools import clicks as clicks  # a fixture

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture
def labelled(operator: Operator) -> Operator:
    """Return an operator of a shop with three orders that have labels."""
    operator.connect()
    for number in range(3):
        order = factories.order(number=f"2026-{number}")
        drain()
        operator.sandbox.create_label(str(order.pk))
    operator.apply_webhooks()
    drain()
    return operator


def task(page: Any, title: str) -> Any:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=title))


def rows(page: Any) -> Any:
    return page.locator("#result_list tbody tr")


def test_delivery_problem_is_found_in_one_click(labelled: Operator, clicks: Clicks) -> None:
    page = labelled.page
    labelled.sandbox.set_parcel_status(labelled.sandbox.parcels()[1]["id"], 8)
    labelled.apply_webhooks()
    labelled.open("shop:order_changelist")
    expect(rows(page).filter(has_text="Delivery problem")).to_have_count(1)
    expect(rows(page).filter(has_text="Label created")).to_have_count(2)
    clicks.follow("Delivery problem (1)")
    expect(rows(page)).to_have_count(1)
    assert clicks.number == 1


def test_unscanned_label_is_handled_in_three_clicks(labelled: Operator, clicks: Clicks) -> None:
    page = labelled.page
    Shipment.objects.filter(order_number="2026-1").update(delivery_at=timezone.now() - dt.timedelta(days=4))
    labelled.open("overview_changelist")
    found = task(page, "1 shipment has a label that has not been scanned for 3 days")
    found.get_by_role("link", name="Show it").click()
    expect(rows(page)).to_have_count(1)
    rows(page).get_by_role("link").first.click()
    clicks.number = 2
    clicks.press("Mark as handled")
    see(labelled, "1 delivery is marked as handled.")
    assert clicks.number == 3
    labelled.open("overview_changelist")
    expect(task(page, "not scanned")).to_have_count(0)


@pytest.mark.parametrize(("button", "done"), [("Cancel the label", "is cancelled."), ("Keep the label", "is kept.")])
def test_label_conflict_is_settled_in_two_clicks(labelled: Operator, clicks: Clicks, button: str, done: str) -> None:
    order: Any = Shipment.objects.get(order_number="2026-1").order()
    order.city = "Utrecht"
    order.save()
    drain()
    labelled.open("shop:order_change", order.pk)
    see(labelled, "The label does not fit the order any more")
    clicks.press(f"{button}…")
    clicks.press(button)
    see(labelled, done)
    assert clicks.number == 2


def test_queue_is_printed_in_four_clicks(labelled: Operator, clicks: Clicks) -> None:
    page = labelled.page
    labelled.open("parcel_changelist")
    clicks.follow("Ready to print (3)")
    expect(rows(page)).to_have_count(3)
    page.locator("#action-toggle").click()
    page.locator('select[name="action"]').select_option("print_label")
    clicks.number += 2
    page.locator('.actions button[type="submit"]').click()
    expect(page.get_by_role("heading", name="Print 3 labels").first).to_be_visible()
    with page.context.expect_page():
        clicks.press("Print")
    assert clicks.number == 4
    labelled.open("parcel_changelist")
    see(labelled, "Ready to print (0)")
    assert Parcel.objects.filter(printed_at__isnull=False).count() == 3


@pytest.mark.parametrize("width", [1440, 1280])
def test_parcels_list_is_whole(labelled: Operator, width: int) -> None:
    """Also with several integrations, and with the widest badges."""
    page = labelled.page
    other = Integration.objects.create(remote_id=77, name="A shop with a name that is rather long")
    Parcel.objects.create(
        integration=other, remote_id=77, tracking_number="3SABCD1234567890", phase="problem", status_id=80,
        carrier="postnl", status_at=timezone.now() - dt.timedelta(hours=19),
    )  # fmt: skip
    page.set_viewport_size({"width": width, "height": 900})
    labelled.open("parcel_changelist")
    cut = page.evaluate(
        "() => [...document.querySelectorAll('.results')].map((box) => box.scrollWidth - box.clientWidth)"
    )
    assert max(cut) <= 1


def test_lists_are_cards_on_a_phone(labelled: Operator) -> None:
    page = labelled.page
    page.set_viewport_size({"width": 390, "height": 900})
    for name in ("parcel_changelist", "shipment_changelist"):
        labelled.open(name)
        cut = page.evaluate(
            "() => [...document.querySelectorAll('.results')].map((box) => box.scrollWidth - box.clientWidth)"
        )
        assert max(cut) <= 1, name
        filters = page.locator("#changelist-filter").bounding_box()
        table = page.locator("#result_list").bounding_box()
        assert filters["y"] < table["y"], name
