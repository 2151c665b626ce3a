"""The operator's journeys through the admin, in a real browser, with a real sandbox."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from django_sendcloud import tasks
from django_sendcloud.models import Integration, OutboxEntry, Parcel, Shipment, WebhookEvent
from django_sendcloud.sync.fold import fold_all
from django_sendcloud.testing import drain
from tests import factories
from tests.shop.models import Order

from .operator import Operator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def step(page: Any, title: str) -> Any:
    return page.locator("li.sc-steps__step").filter(has=page.locator("strong", has_text=title))


def test_connecting_leads_from_nothing_to_green(operator: Operator, settings: Any) -> None:
    page, sandbox = operator.page, operator.sandbox
    operator.open("integration_changelist")
    expect(page.get_by_role("status")).to_contain_text("No Sendcloud integration is connected and in use")

    # A key with one letter too few is named, and nothing is stored.
    operator.open("integration_add")
    page.get_by_label("Public key").fill(sandbox.public_key)
    page.get_by_label("Secret key").fill(sandbox.secret_key[:-1])
    operator.press("Save", exact=True)
    expect(page.locator(".field-public_key")).to_contain_text("Sendcloud rejects this pair of keys.")
    expect(page.get_by_label("Secret key")).to_have_value("")
    assert not Integration.objects.exists()

    # The right one is tried, and then saved without entering it once more.
    page.get_by_label("Secret key").fill(sandbox.secret_key)
    operator.press("Test connection")
    expect(page.get_by_text("save to use these keys")).to_be_visible()
    assert not Integration.objects.exists()
    operator.press("Save", exact=True)
    expect(
        page.get_by_text(f"Sendcloud confirms the keys: they open “Webshop” (#{sandbox.integration_id}).")
    ).to_be_visible()
    expect(step(page, "Keys")).to_contain_text("done")
    for title in ("Worker and schedule", "Webhook", "Test", "First order"):
        expect(step(page, title)).to_contain_text("to do")
    assert sandbox.secret_key not in page.content()

    tasks.sweep()
    step(page, "Webhook").get_by_role("button", name="Register webhook…").click()
    operator.press("Register webhook", exact=True)
    expect(page.get_by_text("Sendcloud confirms: parcels are reported to")).to_be_visible()
    expect(step(page, "Worker and schedule")).to_contain_text("done")
    expect(step(page, "Webhook")).to_contain_text("done")
    assert sandbox.integration.webhook_url.startswith(operator.url)

    # The shop checks its webhook through the network. Sendcloud's test webhook is unread.
    sandbox.wait_webhooks()
    WebhookEvent.objects.all().delete()
    page.reload()
    settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_BASE_URL": operator.url}
    step(page, "Test").get_by_role("button", name="Check the webhook address").click()
    expect(page.get_by_text("recognised the signature, and proved to be this shop")).to_be_visible()
    assert not WebhookEvent.objects.exists()
    expect(step(page, "Test")).to_contain_text("to do")

    # In Sendcloud's panel, the test is one button.
    panel = page.context.new_page()
    panel.goto(f"{sandbox.panel_url}integrations/")
    panel.get_by_role("button", name="Send test webhook").click()
    expect(panel.locator("main")).to_be_visible()
    panel.close()
    operator.apply_webhooks()
    operator.follow("Refresh this page")
    expect(step(page, "Test")).to_contain_text("done")
    step(page, "Test").locator("summary").click()
    expect(step(page, "Test")).to_contain_text("A webhook has arrived and was understood")

    factories.order()
    drain()
    page.reload()
    expect(page.get_by_role("heading", name="Connecting, step by step")).to_have_count(0)
    expect(page.get_by_role("heading", level=2, name="working")).to_be_visible()


def test_orders_are_pushed(operator: Operator) -> None:
    page = operator.page
    operator.connect()
    customer = factories.customer(name="Sam Jansen")
    operator.open("shop:order_add")
    page.get_by_label("Number").fill("2026-0001")
    page.get_by_label("Customer").select_option(str(customer.pk))
    operator.press("Save", exact=True)
    expect(page.get_by_text("was added successfully")).to_be_visible()

    # Recorded and not pushed yet: that is a worker's job.
    order = Order.objects.get()
    operator.open("outboxentry_changelist")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    assert operator.sandbox.shipment(str(order.pk)) is None

    drain()
    page.reload()
    expect(page.locator("#result_list tbody tr")).to_have_count(0)
    operator.open("shipment_changelist")
    expect(page.get_by_role("row", name="2026-0001")).to_contain_text("Sent")
    assert operator.sandbox.shipment(str(order.pk))["name"] == "Sam Jansen"

    # The same in the list of the shop's own orders.
    operator.open("shop:order_changelist")
    expect(page.locator("#result_list tbody tr")).to_contain_text("Sent")


def test_rejected_order_is_fixed(operator: Operator) -> None:
    page = operator.page
    operator.connect()
    good, bad = factories.order(), factories.order(number="2026-0002", country="XX")
    drain()
    assert operator.sandbox.shipment(str(good.pk))
    assert operator.sandbox.shipment(str(bad.pk)) is None

    operator.open("overview_changelist")
    task = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="1 order:"))
    expect(task).to_contain_text("Fix it in the order or product")
    task.get_by_role("link", name="Show it").click()
    row = page.locator("#result_list tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("country", ignore_case=True)
    row.get_by_role("link").first.click()
    expect(page.locator(".sc-panel--bad")).to_contain_text("Country")
    expect(page.locator(".sc-panel--bad")).to_contain_text("What to do:")

    # From there to the shop's own order, and back to the queue.
    operator.follow("Open the order")
    expect(page.get_by_role("region", name="Sendcloud")).to_contain_text("Fix needed")
    page.get_by_label("Country").fill("BE")
    page.get_by_label("Postal code").fill("1000")
    operator.press("Save and continue editing")
    drain()
    page.reload()
    expect(page.get_by_role("region", name="Sendcloud")).to_contain_text("Sent")
    assert operator.sandbox.shipment(str(bad.pk))["country"] == "BE"
    operator.open("overview_changelist")
    expect(page.get_by_role("heading", name="1 order:")).to_have_count(0)


def test_save_and_push_sends_fix(operator: Operator) -> None:
    page = operator.page
    operator.connect()
    order = factories.order(country="XX")
    drain()
    operator.open("shop:order_change", order.pk)
    page.get_by_label("Country").fill("BE")
    page.get_by_label("Postal code").fill("1000")
    operator.press("Save and push to Sendcloud now")
    expect(page.get_by_text("1 order is being pushed.")).to_be_visible()
    expect(page.get_by_label("Country")).to_have_value("BE")
    panel = page.locator("#sc-order")
    expect(panel).to_contain_text("To be sent again")
    expect(panel).not_to_contain_text("country code")
    if folder := os.environ.get("ADMIN_PICTURES"):
        page.screenshot(path=f"{folder}/fixed.png", full_page=True)
    drain()
    expect(page.get_by_role("region", name="Sendcloud")).to_contain_text("Sent"), "without a reload"
    assert operator.sandbox.shipment(str(order.pk))["country"] == "BE"


def test_outage_is_shown_beside_rejected_order(operator: Operator) -> None:
    """An outage is announced everywhere, also while a rejected order is the only task."""
    page = operator.page
    integration = operator.connect()
    factories.order(country="XX")
    drain()
    now = timezone.now()
    for _ in range(12):
        factories.order()
    fold_all()
    waiting = OutboxEntry.objects.filter(state="pending")
    ahead = now + dt.timedelta(minutes=1)
    waiting.update(error_code="not_sent", failing_since=now - dt.timedelta(minutes=5), due_at=ahead, not_before=ahead)
    Integration.objects.filter(pk=integration.pk).update(last_success_at=now - dt.timedelta(minutes=6))
    for url in ("overview_changelist", "outboxentry_changelist", "shop:order_changelist"):
        operator.open(url)
        strip = page.locator("#sc-incidents")
        expect(strip).to_contain_text("Sendcloud cannot be reached (since")
        expect(strip).to_contain_text("12 orders wait. Next try:")
    page.goto(operator.url + reverse("backoffice:index"))
    expect(page.locator("#sc-incidents")).to_contain_text("Sendcloud cannot be reached (since")
    if folder := os.environ.get("ADMIN_PICTURES"):
        page.screenshot(path=f"{folder}/index.png")
        operator.open("overview_changelist")
        page.screenshot(path=f"{folder}/overview.png", full_page=True)
        operator.open("shop:order_changelist")
        page.screenshot(path=f"{folder}/orders.png", full_page=True)
        operator.open("outboxentry_changelist")
        page.screenshot(path=f"{folder}/outbox.png", full_page=True)
    operator.open("overview_changelist")
    Integration.objects.filter(pk=integration.pk).update(last_success_at=timezone.now())
    waiting.delete()
    expect(page.locator("#sc-incidents")).not_to_contain_text("Sendcloud cannot be reached", timeout=40_000)


def test_label_is_printed(operator: Operator) -> None:
    page, sandbox = operator.page, operator.sandbox
    operator.connect()
    order = factories.order()
    drain()
    sandbox.create_label(str(order.pk))
    operator.apply_webhooks()
    parcel = Parcel.objects.get()

    operator.open("parcel_changelist")
    page.get_by_role("link", name=str(parcel)).first.click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    assert sandbox.v2_url not in page.content()

    # The document comes from our server.
    seen: list[str] = []
    page.context.on("request", lambda request: seen.append(request.url))
    label = page.locator("form", has=page.get_by_role("button", name="Label", exact=True))
    token = label.locator("[name=csrfmiddlewaretoken]").input_value()
    action = operator.url + str(label.get_attribute("action"))
    answer = page.request.post(action, form={"csrfmiddlewaretoken": token}, headers={"Referer": page.url})
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body().startswith(b"%PDF")
    with page.context.expect_page() as beside:
        operator.press("Label", exact=True)
    expect(beside.value).to_have_url(action)
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    assert seen
    assert not [url for url in seen if url.startswith(sandbox.origin)]


def test_key_is_replaced(operator: Operator) -> None:
    page, sandbox = operator.page, operator.sandbox
    integration = operator.connect()
    former = sandbox.secret_key
    sandbox.revoke_credentials()
    factories.order()
    drain()
    operator.open("integration_changelist")
    strip = page.get_by_role("status").filter(has_text="Sendcloud rejects the API keys")
    expect(strip).to_be_visible()
    strip.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=2, name="paused")).to_be_visible()

    sandbox.restore_credentials()
    sandbox.integration.secret_key = "a-brand-new-secret-0123456789"
    operator.follow("Enter the keys")
    page.get_by_label("Secret key").fill(sandbox.integration.secret_key)
    operator.press("Save", exact=True)
    expect(page.get_by_text("It runs again, beginning with what waited.")).to_be_visible()
    expect(page.get_by_text("webhooks signed with the former secret key are accepted, too")).to_be_visible()
    assert former not in page.content()
    drain()
    assert len(sandbox.shipments()) == 1

    # A webhook that Sendcloud had signed before still counts.
    before = WebhookEvent.objects.count()
    sandbox.integration.secret_key = former
    sandbox.send_test_webhook()
    operator.apply_webhooks()
    assert WebhookEvent.objects.count() == before + 1
    assert {webhook.state for webhook in sandbox.webhooks} == {"delivered"}
    integration.refresh_from_db()
    assert not integration.is_paused


def test_settings_are_compared_and_changed(operator: Operator) -> None:
    page, sandbox = operator.page, operator.sandbox
    integration = operator.connect()
    operator.open("integration_change", integration.pk)
    operator.follow("Settings at Sendcloud")
    expect(page.get_by_role("heading", name="Both sides agree")).to_be_visible()

    page.get_by_label("Buyers may choose a service point").check()
    page.get_by_label("PostNL").check()
    operator.press("Change at Sendcloud")
    expect(page.get_by_text("Sendcloud confirms the change.")).to_be_visible()
    assert sandbox.integration.service_point_enabled
    assert sandbox.integration.service_point_carriers == ["postnl"]

    # Two settings change in Sendcloud's panel without an update to the shop.
    sandbox.change_integration(shop_name="Coffee", service_point_carriers=["dhl"])
    page.reload()
    expect(page.get_by_role("heading", name="2 settings differ")).to_be_visible()
    expect(page.get_by_role("row", name="Service points")).to_contain_text("PostNL")
    expect(page.get_by_role("row", name="Service points")).to_contain_text("DHL")
    operator.press("Send ours: Name")
    expect(page.get_by_text("Sendcloud confirms the change.")).to_be_visible()
    expect(page.get_by_role("heading", name="One setting differs")).to_be_visible()
    operator.press("Take theirs: Service points")
    expect(page.get_by_role("heading", name="Both sides agree")).to_be_visible()
    assert sandbox.integration.shop_name == "Webshop"
    integration.refresh_from_db()
    assert integration.service_point_carriers == ["dhl"]

    # A colleague changes a setting while the page is open.
    sandbox.change_integration(shop_name="Tea")
    page.get_by_label("Name", exact=False).and_(page.get_by_role("textbox")).fill("Cocoa")
    operator.press("Change at Sendcloud")
    expect(page.get_by_role("heading", name="A colleague was faster: nothing was sent")).to_be_visible()
    assert sandbox.integration.shop_name == "Tea"
    operator.press("Change at Sendcloud")
    expect(page.get_by_text("Sendcloud confirms the change.")).to_be_visible()
    assert sandbox.integration.shop_name == "Cocoa"


def test_payload_is_compared_with_sendcloud(operator: Operator) -> None:
    page = operator.page
    operator.connect()
    order = factories.order(address="Stadhuisplein 10")
    drain()
    order.address = "Markt 1"
    order.save()
    operator.open("shipment_change", Shipment.objects.get().pk)
    operator.follow("What would be sent now")
    expect(page.get_by_role("heading", name="One field differs from what Sendcloud has")).to_be_visible()
    changed = page.get_by_role("row", name="address")
    expect(changed.first).to_contain_text("Stadhuisplein 10")
    expect(changed.first).to_contain_text("Markt 1")

    same = page.locator("details", has_text="fields are the same")
    expect(same.get_by_role("row", name="Eindhoven")).to_be_hidden()
    same.locator("summary").click()
    expect(same.get_by_role("row", name="Eindhoven")).to_be_visible()
    assert factories.outbox().count() == 1, "looking sends nothing"
