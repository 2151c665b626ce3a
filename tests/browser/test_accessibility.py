"""Accessibility: no violation of WCAG 2.1 A or AA in our pages, and everything works by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from playwright.sync_api import expect

from django_sendcloud import tasks
from django_sendcloud.models import (
    Account,
    Integration,
    OutboxEntry,
    Overview,
    Parcel,
    PauseReason,
    Shipment,
    WebhookEvent,
)
from django_sendcloud.testing import drain
from tests import factories
from tests.shop.models import Order
from tests.webhooks import messages

from .conftest import ExampleShop
from .operator import Operator
from .page_audit import findings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# Parts of Django's own admin, with the reason to skip them.
DJANGOS_OWN = {
    ".breadcrumbs": "Its links have no underline, on each of Django's pages, and on ours as there.",
    "#changelist-search .small": "The link beside “3 results” has no underline.",
}


@pytest.fixture
def busy(operator: Operator) -> Operator:
    """Return an operator with pushed and rejected orders, parcels, and failed webhooks."""
    sandbox = operator.sandbox
    operator.connect()
    tasks.sweep()
    sent = factories.order(number="2026-0001", lines=2)
    factories.order(number="2026-0002", country="XX", lines=2)
    drain()
    for parcel in sandbox.create_label(str(sent.pk), parcels=2):
        sandbox.advance(parcel["id"])
        sandbox.advance(parcel["id"])
    sandbox.send_webhook(None, "parcel_status_changed", messages.parcel(order_number="2026-0099"))
    operator.apply_webhooks()
    sandbox.change_integration(shop_name="Coffee & Tea", service_point_enabled=True, service_point_carriers=["dhl"])
    sent.address = "Markt 1"
    sent.save()
    factories.outbox()
    WebhookEvent.objects.filter(parcel__isnull=False).update(
        state="failed", note={"code": "receiver_failed", "receiver": "shop.mail", "error": "KeyError"}
    )
    return operator


def change(model: type[Any], page: str = "change", **which: Any) -> Callable[[Operator], None]:
    def open_(operator: Operator) -> None:
        row = model.objects.filter(**which).first()
        assert row is not None
        operator.open(f"{model._meta.app_label}:{model._meta.model_name}_{page}", row.pk)

    return open_


def listed(model: type[Any]) -> Callable[[Operator], None]:
    return lambda operator: operator.open(f"{model._meta.app_label}:{model._meta.model_name}_changelist")


def first_steps(operator: Operator) -> None:
    nothing_yet = {"refreshed_at": None, "last_webhook_at": None, "last_success_at": None}
    Integration.objects.update(**nothing_yet, webhook_active=False, webhook_url="")
    WebhookEvent.objects.all().delete()
    change(Integration)(operator)
    expect(operator.page.get_by_role("heading", name="Connecting, step by step")).to_be_visible()


def paused(operator: Operator) -> None:
    Integration.objects.get().pause(PauseReason.CREDENTIALS, "401 Invalid username/password.")
    change(Integration)(operator)


def notice(operator: Operator) -> None:
    Integration.objects.get().pause(PauseReason.CREDENTIALS, "401 Invalid username/password.")
    listed(Shipment)(operator)


def refused_keys(operator: Operator) -> None:
    operator.open("integration_add")
    operator.page.get_by_label("Public key").fill("wrong")
    operator.page.get_by_label("Secret key").fill("wrong too")
    operator.press("Save", exact=True)


def keys_just_tried(operator: Operator) -> None:
    change(Integration)(operator)
    operator.page.get_by_label("Secret key").fill(operator.sandbox.secret_key)
    operator.press("Test connection")
    expect(operator.page.get_by_text("The connection works")).to_be_visible()


def disconnected(operator: Operator) -> None:
    confirmation("Disconnect")(operator)
    operator.press("Disconnect")
    expect(operator.page.get_by_text("It is disconnected")).to_be_visible()


def conflicting_settings(operator: Operator) -> None:
    change(Integration, "settings")(operator)
    operator.sandbox.change_integration(shop_name="Somebody else's")
    operator.page.get_by_label("Name", exact=False).and_(operator.page.get_by_role("textbox")).fill("Mine")
    operator.press("Change at Sendcloud")
    expect(operator.page.get_by_role("alert")).to_contain_text("A colleague was faster")


def wrongly_typed(operator: Operator) -> None:
    confirmation("Delete at Sendcloud")(operator)
    operator.page.get_by_label("To go on, type").fill("something else")
    operator.press("Delete at Sendcloud")
    expect(operator.page.get_by_role("alert").last).to_contain_text("Nothing has been done")


def confirmation(button: str) -> Callable[[Operator], None]:
    def open_(operator: Operator) -> None:
        change(Integration)(operator)
        operator.press(button)

    return open_


def question(model: type[Any], action: str) -> Callable[[Operator], None]:
    def open_(operator: Operator) -> None:
        listed(model)(operator)
        operator.page.locator("#action-toggle").check()
        operator.page.get_by_label("Action:").select_option(action)
        button = "Run" if operator.page.get_by_role("button", name="Run").count() else "Go"
        with operator.page.expect_navigation():
            operator.press(button)

    return open_


def nothing_found(operator: Operator) -> None:
    operator.page.goto(operator.address("shipment_changelist") + "?q=nothing-like-it")


def exactly_found(operator: Operator) -> None:
    operator.page.goto(operator.address("shipment_changelist") + "?q=2026-0001")
    expect(operator.page.get_by_text("Only exact matches of 2026-0001 are shown.")).to_be_visible()


def refused_settings(operator: Operator) -> None:
    change(Integration, "settings")(operator)
    operator.page.get_by_label("Name", exact=False).and_(operator.page.get_by_role("textbox")).fill("")
    operator.press("Change at Sendcloud")


def failing_webhooks(operator: Operator) -> None:
    operator.sandbox.webhook_retry_scale = 1e-6
    operator.sandbox.change_integration(webhook_url=f"{operator.url}/nothing-here/")
    operator.sandbox.send_test_webhook()
    assert operator.sandbox.wait_webhooks()
    change(Integration, "logs")(operator)
    expect(operator.page.get_by_role("heading", name="The address is not there")).to_be_visible()


def unreachable(operator: Operator) -> None:
    operator.sandbox.fail_next(503, times=9)
    change(Integration, "settings")(operator)


def assigning(operator: Operator) -> None:
    change(Parcel, "assign", shipment=None)(operator)
    operator.page.get_by_role("textbox", name="Order number, or the order's").fill("2026-0001")
    operator.press("Search")
    expect(operator.page.get_by_role("radio")).to_have_count(1)


def nothing_connected(operator: Operator) -> None:
    for model in (OutboxEntry, WebhookEvent, Parcel, Shipment, Integration):
        model.objects.all().delete()
    listed(Overview)(operator)


PAGES: dict[str, Callable[[Operator], None]] = {
    "overview": listed(Overview),
    "an overview of nothing": nothing_connected,
    "integrations": listed(Integration),
    "a new integration": lambda operator: operator.open("integration_add"),
    "refused keys": refused_keys,
    "first steps": first_steps,
    "an integration": change(Integration),
    "a paused integration": paused,
    "a notice above a list": notice,
    "an integration with keys that were tried": keys_just_tried,
    "an integration that is disconnected": disconnected,
    "a question": confirmation("Pause"),
    "a dangerous question": confirmation("Disconnect"),
    "a question about shipments": question(Shipment, "delete_at_sendcloud"),
    "a question about the paper": question(Parcel, "print_label"),
    "a question about webhooks": question(WebhookEvent, "replay"),
    "a search that finds nothing": nothing_found,
    "a search that finds what is meant": exactly_found,
    "a question that wants a name": wrongly_typed,
    "settings that a colleague has changed": conflicting_settings,
    "settings": change(Integration, "settings"),
    "refused settings": refused_settings,
    "settings that cannot be had": unreachable,
    "the log": failing_webhooks,
    "outbox": listed(OutboxEntry),
    "a rejected order": change(OutboxEntry, state="rejected"),
    "what would be sent": change(OutboxEntry, "payload", state="pending"),
    "shipments": listed(Shipment),
    "a shipment": change(Shipment, status="synced"),
    "what differs": change(Shipment, "payload", status="synced"),
    "parcels": listed(Parcel),
    "a parcel": change(Parcel, shipment__isnull=False),
    "an unknown parcel": change(Parcel, shipment=None),
    "assigning it": assigning,
    "inbox": listed(WebhookEvent),
    "a webhook": change(WebhookEvent, state="failed"),
    "accounts": listed(Account),
    "an account": change(Account),
    "the shop's orders": listed(Order),
    "the shop's order": change(Order, number="2026-0001"),
    "the shop's rejected order": change(Order, number="2026-0002"),
}


def assert_fine(page: Any, exclude: Sequence[str] = ()) -> None:
    found = findings(page, exclude)
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.exhaustive
def test_admin_pages_are_accessible(name: str, busy: Operator) -> None:
    PAGES[name](busy)
    assert_fine(busy.page, exclude=list(DJANGOS_OWN))


def test_sandbox_panel_is_accessible(busy: Operator) -> None:
    page, sandbox = busy.page, busy.sandbox
    uuid = sandbox.shipments()[0]["shipment_uuid"]
    parcel = sandbox.parcels()[0]["id"]
    sandbox.fail_next(500, match="POST shipments")
    parts = ["", "parcels/", "webhooks/", "requests/", "integrations/", "faults/"]
    for part in [*parts, f"orders/{uuid}/", f"parcels/{parcel}/", "webhooks/1/", "requests/1/", "nothing/"]:
        page.goto(sandbox.panel_url + part)
        assert_fine(page)


@pytest.mark.exhaustive
def test_order_page_is_accessible(example_shop: ExampleShop, browser: Any) -> None:
    example_shop.manage("create_orders", "2", "--seed", "1")
    example_shop.push()
    none_yet, sent = (shipment["external_order_id"] for shipment in example_shop.sandbox.shipments()[-2:])
    for parcel in example_shop.sandbox.create_label(sent, parcels=2):
        example_shop.sandbox.advance(parcel["id"])
    assert example_shop.sandbox.wait_webhooks()
    example_shop.manage("shell", "-c", "from django_sendcloud.testing import drain; drain()")
    with browser.new_context() as context:
        page = context.new_page()
        for order, seen in ((none_yet, "Your parcel has not been sent yet"), (sent, "Track ")):
            page.goto(f"{example_shop.url}/orders/{order}/")
            expect(page.get_by_text(seen).first).to_be_visible()
            assert_fine(page)
        page.goto(f"{example_shop.url}/")
        assert_fine(page)


# -- without a mouse ------------------------------------------------------------------------------


def reached_by_tab(page: Any, scope: str) -> tuple[set[str], set[str]]:
    """Return the controls within an element, and those the Tab key reaches."""
    page.locator(scope).evaluate_all(
        """(scopes) => scopes.flatMap((scope) => [...scope.querySelectorAll("a[href], button, input, select, summary")])
        .filter((element) => element.type !== "hidden" && element.checkVisibility())
        .forEach((element, index) => element.setAttribute("data-stop", index))"""
    )
    there = set(page.locator("[data-stop]").evaluate_all("(all) => all.map((one) => one.dataset.stop)"))
    page.evaluate("document.activeElement.blur()")
    reached: set[str] = set()
    for _ in range(300):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        if stop := page.evaluate("document.activeElement.dataset.stop"):
            reached.add(stop)
            assert page.evaluate(HAS_RING), page.evaluate("document.activeElement.outerHTML")
    return there, reached


# Keyboard users have to see the focus.
HAS_RING = """() => {
  const style = getComputedStyle(document.activeElement);
  const shown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  return shown || style.boxShadow !== "none" || style.textDecorationLine.includes("underline")
    || document.activeElement.matches("input, select, .button, a");
}"""


def test_integration_page_works_by_keyboard(busy: Operator) -> None:
    page = busy.page
    change(Integration)(busy)
    there, reached = reached_by_tab(page, ".sc-panel, .sc-buttons")
    assert len(there) >= 10
    assert reached == there

    button = page.get_by_role("button", name="Test connection")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The connection works")).to_be_visible()
    page.get_by_role("button", name="Pause…").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Pause", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2, name="paused")).to_be_visible()


def test_settings_page_works_by_keyboard(busy: Operator) -> None:
    page = busy.page
    change(Integration, "settings")(busy)
    there, reached = reached_by_tab(page, "#content")
    assert len(there) > 35
    assert reached == there

    page.get_by_role("button", name="Take theirs: Service points").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("This shop now has the same value as Sendcloud.")).to_be_visible()
    page.get_by_label("PostNL").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Sendcloud confirms the change.")).to_be_visible()
    assert busy.sandbox.integration.service_point_carriers == ["dhl", "postnl"]
