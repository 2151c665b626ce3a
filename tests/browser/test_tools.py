"""Tasks of a supervisor in a browser, each with its number of clicks: copies, routing, tools, test order."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from django_sendcloud import jobs
from django_sendcloud.core.deployment import current_deployment
from django_sendcloud.models import Account, Integration, PauseReason
from django_sendcloud.sync.worker import push_due
from django_sendcloud.testing import drain
from tests import factories

from .operator import Operator
from .page_audit import findings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


# Their links have no underline, on each of Django's pages.
BREADCRUMBS = [".breadcrumbs"]


class Clicks:
    """An operator's clicks, counted."""

    def __init__(self, operator: Operator) -> None:
        self.operator, self.number = operator, 0

    def press(self, name: str) -> None:
        self.number += 1
        self.operator.press(name)

    def follow(self, name: str) -> None:
        self.number += 1
        self.operator.follow(name)


@pytest.fixture
def clicks(operator: Operator) -> Clicks:
    return Clicks(operator)


def see(operator: Operator, text: str) -> None:
    expect(operator.page.get_by_text(text).first).to_be_visible()


@pytest.fixture
def copied(operator: Operator, sendcloud_settings: Callable[..., None]) -> Integration:
    """Start a copy of the shop with one order waiting."""
    sendcloud_settings(WEBHOOK_BASE_URL="https://shop.example")
    integration = operator.connect()
    Integration.objects.update(deployment=current_deployment())
    sendcloud_settings(WEBHOOK_BASE_URL="https://staging.example")
    factories.order()
    push_due()
    assert not operator.sandbox.shipments()
    return integration


def test_copy_is_decided_in_two_clicks(copied: Integration, operator: Operator, clicks: Clicks) -> None:
    operator.open("overview_changelist")
    see(operator, "This may be a copy of the shop")
    assert findings(operator.page, BREADCRUMBS) == []
    clicks.press("This is a copy…")
    assert findings(operator.page, BREADCRUMBS) == []
    clicks.press("This is a copy")
    see(operator, "is not in use here")
    assert clicks.number == 2
    assert not operator.sandbox.shipments()


def test_mistaken_copy_is_undone_in_two_clicks(copied: Integration, operator: Operator, clicks: Clicks) -> None:
    Integration.objects.get().pause(PauseReason.COPY)
    Integration.objects.update(is_active=False)
    operator.open("integration_change", copied.pk)
    see(operator, "It is not used by this copy of the shop")
    assert findings(operator.page, BREADCRUMBS) == []
    clicks.press("This is the shop that ships…")
    see(operator, "1 order waits and is sent now.")
    clicks.press("This is the shop that ships")
    see(operator, "ships from this deployment")
    assert clicks.number == 2
    drain()
    assert len(operator.sandbox.shipments()) == 1


def test_decision_on_an_old_page_is_explained(copied: Integration, operator: Operator) -> None:
    """Another operator decides meanwhile."""
    operator.open("integration_change", copied.pk)
    Integration.objects.update(deployment=current_deployment(), paused_since=None, paused_reason="")
    operator.press("This is a copy…")
    see(operator, "A colleague has decided meanwhile")
    assert Integration.objects.get().is_active


@pytest.mark.parametrize("generation", ["v2", "v3"])
def test_order_is_tried_in_two_clicks(operator: Operator, clicks: Clicks, generation: str) -> None:
    integration = operator.connect(api_generation=generation)
    operator.open("integration_change", integration.pk)
    clicks.press("Send a test order…")
    assert findings(operator.page, BREADCRUMBS) == []
    clicks.press("Send a test order")
    see(operator, "orders arrive")
    assert clicks.number == 2
    assert not operator.sandbox.shipments()
    assert not operator.sandbox.orders()


def test_orders_are_examined_in_one_click(operator: Operator, clicks: Clicks) -> None:
    operator.connect()
    factories.order(number="2026-0001", country="XX")
    factories.order(number="2026-0002", country="US", postal_code="10001")
    factories.clear_outbox()
    operator.open("overview_changelist")
    clicks.follow("Orders before they are sent")
    see(operator, "1 order would be rejected")
    see(operator, "1 order with advice")
    assert findings(operator.page, BREADCRUMBS) == []
    clicks.follow("2026-0001")
    assert "/shop/order/" in operator.page.url
    assert clicks.number == 2


def test_installation_is_examined_in_two_clicks(operator: Operator, clicks: Clicks) -> None:
    operator.connect()
    jobs.sweep()
    operator.open("overview_changelist")
    clicks.follow("Doctor")
    clicks.press("Check everything")
    expect(operator.page.get_by_role("heading", name="Keys (#1001): in order")).to_be_visible()
    assert clicks.number == 2
    assert findings(operator.page, BREADCRUMBS) == []


def test_bundle_is_downloaded_in_one_click(operator: Operator) -> None:
    operator.connect()
    operator.open("overview_doctor")
    with operator.page.expect_download() as download:
        operator.press("Download support bundle")
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        assert "doctor.json" in archive.namelist()


def test_second_integration_is_routed_from_its_page(operator: Operator, clicks: Clicks) -> None:
    operator.connect()
    other = operator.sandbox.add_integration(shop_name="Abroad")
    second = factories.integration(operator.sandbox, remote_id=other.id, name="Abroad", is_active=False)
    operator.open("integration_change", second.pk)
    operator.page.get_by_label("Countries").fill("de, be")
    operator.page.get_by_label("In use", exact=True).check()
    clicks.press("Save")
    see(operator, "was saved")
    assert clicks.number == 1
    factories.order(number="2026-0001", country="DE")
    drain()
    assert [each["order_number"] for each in operator.sandbox.shipments(other.id)] == ["2026-0001"]


def test_sidebar_counts_open_problems(operator: Operator) -> None:
    operator.connect().pause(PauseReason.PERSON)
    jobs.alert()
    operator.page.goto(operator.url + reverse("backoffice:index"))
    expect(operator.page.get_by_role("link", name="Overview (1)").first).to_be_visible()
    assert Account.objects.exists()
