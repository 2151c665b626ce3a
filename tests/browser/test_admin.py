"""The operator's journeys through the admin, in a real browser, with a real sandbox behind."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from django_sendcloud import tasks
from django_sendcloud.models import Integration, Parcel, Shipment, WebhookEvent
from django_sendcloud.testing import drain
from tests import factories
from tests.shop.models import Order

from .office import Office

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def step(page: Any, title: str) -> Any:
    return page.locator("li.sc-steps__step").filter(has=page.locator("strong", has_text=title))


def test_from_nothing_to_green(office: Office, settings: Any) -> None:
    page, sandbox = office.page, office.sandbox
    office.open("integration_changelist")
    expect(page.get_by_role("status")).to_contain_text("No Sendcloud integration is connected and in use")

    # A key with one letter too few is named, and nothing is stored.
    office.open("integration_add")
    page.get_by_label("Public key").fill(sandbox.public_key)
    page.get_by_label("Secret key").fill(sandbox.secret_key[:-1])
    office.press("Save", exact=True)
    expect(page.locator(".field-public_key")).to_contain_text("Sendcloud refuses this pair of keys.")
    expect(page.get_by_label("Secret key")).to_have_value("")
    assert not Integration.objects.exists()

    # The right one is tried, and then saved without entering it once more.
    page.get_by_label("Secret key").fill(sandbox.secret_key)
    office.press("Test connection")
    expect(page.get_by_text("save to use these keys")).to_be_visible()
    assert not Integration.objects.exists()
    office.press("Save", exact=True)
    expect(
        page.get_by_text(f"Sendcloud confirms the keys: they open “Webshop” (#{sandbox.integration_id}).")
    ).to_be_visible()
    expect(step(page, "Keys")).to_contain_text("done")
    for title in ("Worker and schedule", "Webhook", "Test", "First order"):
        expect(step(page, title)).to_contain_text("to do")
    assert sandbox.secret_key not in page.content()

    tasks.sweep()
    step(page, "Webhook").get_by_role("button", name="Register webhook…").click()
    office.press("Register webhook", exact=True)
    expect(page.get_by_text("Sendcloud confirms: parcels are reported to")).to_be_visible()
    expect(step(page, "Worker and schedule")).to_contain_text("done")
    expect(step(page, "Webhook")).to_contain_text("done")
    assert sandbox.integration.webhook_url.startswith(office.url)

    # The shop tries the way in by itself, through the network. What Sendcloud sent when it was registered is not read yet.
    sandbox.wait_webhooks()
    WebhookEvent.objects.all().delete()
    page.reload()
    settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_BASE_URL": office.url}
    step(page, "Test").get_by_role("button", name="Check the address").click()
    expect(page.get_by_text("recognised the signature, and proved to be this shop")).to_be_visible()
    assert not WebhookEvent.objects.exists()
    expect(step(page, "Test")).to_contain_text("to do")

    # In Sendcloud's panel, the test is one button.
    panel = page.context.new_page()
    panel.goto(f"{sandbox.panel_url}integrations/")
    panel.get_by_role("button", name="Send test webhook").click()
    expect(panel.locator("main")).to_be_visible()
    panel.close()
    office.hear()
    office.follow("Look again")
    expect(step(page, "Test")).to_contain_text("done")
    step(page, "Test").locator("summary").click()
    expect(step(page, "Test")).to_contain_text("A webhook has arrived and was understood")

    factories.order()
    drain()
    page.reload()
    expect(page.get_by_role("heading", name="Connecting, step by step")).to_have_count(0)
    expect(page.get_by_role("heading", level=2, name="working")).to_be_visible()


def test_orders_go_out(office: Office) -> None:
    page = office.page
    office.connect()
    customer = factories.customer(name="Sam Jansen")
    office.open("shop:order_add")
    page.get_by_label("Number").fill("2026-0001")
    page.get_by_label("Customer").select_option(str(customer.pk))
    office.press("Save", exact=True)
    expect(page.get_by_text("was added successfully")).to_be_visible()

    # Taken down, and not sent yet: that is a worker's business.
    order = Order.objects.get()
    office.open("outboxentry_changelist")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    assert office.sandbox.shipment(str(order.pk)) is None

    drain()
    page.reload()
    expect(page.locator("#result_list tbody tr")).to_have_count(0)
    office.open("shipment_changelist")
    expect(page.get_by_role("row", name="2026-0001")).to_contain_text("at Sendcloud")
    assert office.sandbox.shipment(str(order.pk))["name"] == "Sam Jansen"

    # The same in the list of the shop's own orders.
    office.open("shop:order_changelist")
    expect(page.locator("#result_list tbody tr")).to_contain_text("at Sendcloud")


def test_a_rejected_order_is_mended(office: Office) -> None:
    page = office.page
    office.connect()
    good, bad = factories.order(), factories.order(number="2026-0002", country="XX")
    drain()
    assert office.sandbox.shipment(str(good.pk))
    assert office.sandbox.shipment(str(bad.pk)) is None

    office.open("overview_changelist")
    task = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="1 order:"))
    expect(task).to_contain_text("correct", ignore_case=True)
    task.get_by_role("link", name="Show them").click()
    row = page.locator("#result_list tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("country", ignore_case=True)
    row.get_by_role("link").first.click()
    expect(page.locator(".sc-panel--bad")).to_contain_text("Country")
    expect(page.locator(".sc-panel--bad")).to_contain_text("What to do:")

    # From there to the shop's own order, and back into the line.
    office.follow("Open the order")
    expect(page.get_by_role("region", name="Sendcloud")).to_contain_text("needs a correction")
    page.get_by_label("Country").fill("BE")
    page.get_by_label("Postal code").fill("1000")
    office.press("Save and continue editing")
    drain()
    page.reload()
    expect(page.get_by_role("region", name="Sendcloud")).to_contain_text("at Sendcloud")
    assert office.sandbox.shipment(str(bad.pk))["country"] == "BE"
    office.open("overview_changelist")
    expect(page.get_by_role("heading", name="1 order:")).to_have_count(0)


def test_what_was_just_corrected_is_saved_and_pushed_by_one_button(office: Office) -> None:
    page = office.page
    office.connect()
    order = factories.order(country="XX")
    drain()
    office.open("shop:order_change", order.pk)
    page.get_by_label("Country").fill("BE")
    page.get_by_label("Postal code").fill("1000")
    office.press("Save and push to Sendcloud now")
    expect(page.get_by_text("1 order is being pushed.")).to_be_visible()
    expect(page.get_by_label("Country")).to_have_value("BE")
    drain()
    assert office.sandbox.shipment(str(order.pk))["country"] == "BE"


def test_a_label_is_printed(office: Office) -> None:
    page, sandbox = office.page, office.sandbox
    office.connect()
    order = factories.order()
    drain()
    sandbox.create_label(str(order.pk))
    office.hear()
    parcel = Parcel.objects.get()

    office.open("parcel_changelist")
    page.get_by_role("link", name=str(parcel)).first.click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    assert sandbox.base_url not in page.content()

    # The document comes from our server.
    seen: list[str] = []
    page.context.on("request", lambda request: seen.append(request.url))
    label = page.locator("form", has=page.get_by_role("button", name="Label", exact=True))
    token = label.locator("[name=csrfmiddlewaretoken]").input_value()
    action = office.url + str(label.get_attribute("action"))
    answer = page.request.post(action, form={"csrfmiddlewaretoken": token}, headers={"Referer": page.url})
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body().startswith(b"%PDF")
    with page.context.expect_page() as beside:
        office.press("Label", exact=True)
    expect(beside.value).to_have_url(action)
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    assert seen
    assert not [url for url in seen if url.startswith(sandbox.origin)]


def test_a_key_is_replaced(office: Office) -> None:
    page, sandbox = office.page, office.sandbox
    integration = office.connect()
    former = sandbox.secret_key
    sandbox.revoke_credentials()
    factories.order()
    drain()
    office.open("integration_changelist")
    expect(page.get_by_role("status")).to_contain_text("Sendcloud refuses the API keys")
    page.get_by_role("status").get_by_role("link").click()
    expect(page.get_by_role("heading", level=2, name="paused")).to_be_visible()

    sandbox.restore_credentials()
    sandbox.integration.secret_key = "a-brand-new-secret-0123456789"
    office.follow("Enter the keys")
    page.get_by_label("Secret key").fill(sandbox.integration.secret_key)
    office.press("Save", exact=True)
    expect(page.get_by_text("It runs again, beginning with what waited.")).to_be_visible()
    expect(page.get_by_text("webhooks signed with the former secret key are accepted, too")).to_be_visible()
    assert former not in page.content()
    drain()
    assert len(sandbox.shipments()) == 1

    # A webhook that Sendcloud had signed before still counts.
    before = WebhookEvent.objects.count()
    sandbox.integration.secret_key = former
    sandbox.send_test_webhook()
    office.hear()
    assert WebhookEvent.objects.count() == before + 1
    assert {webhook.state for webhook in sandbox.webhooks} == {"delivered"}
    integration.refresh_from_db()
    assert not integration.is_paused


def test_settings_at_sendcloud(office: Office) -> None:
    page, sandbox = office.page, office.sandbox
    integration = office.connect()
    office.open("integration_change", integration.pk)
    office.follow("Settings at Sendcloud")
    expect(page.get_by_role("heading", name="Both sides agree")).to_be_visible()

    page.get_by_label("Buyers may choose a service point").check()
    page.get_by_label("PostNL").check()
    office.press("Change at Sendcloud")
    expect(page.get_by_text("Sendcloud confirms the change.")).to_be_visible()
    assert sandbox.integration.service_point_enabled
    assert sandbox.integration.service_point_carriers == ["postnl"]

    # Somebody changes two settings in Sendcloud's panel, and the shop has not heard of it yet.
    sandbox.change_integration(shop_name="Coffee", service_point_carriers=["dhl"])
    page.reload()
    expect(page.get_by_role("heading", name="2 settings differ")).to_be_visible()
    expect(page.get_by_role("row", name="Service points")).to_contain_text("PostNL")
    expect(page.get_by_role("row", name="Service points")).to_contain_text("DHL")
    office.press("Send ours: Name")
    expect(page.get_by_text("Sendcloud confirms the change.")).to_be_visible()
    expect(page.get_by_role("heading", name="One setting differs")).to_be_visible()
    office.press("Take theirs: Service points")
    expect(page.get_by_role("heading", name="Both sides agree")).to_be_visible()
    assert sandbox.integration.shop_name == "Webshop"
    integration.refresh_from_db()
    assert integration.service_point_carriers == ["dhl"]

    # While the page is open, a colleague is faster.
    sandbox.change_integration(shop_name="Tea")
    page.get_by_label("Name", exact=False).and_(page.get_by_role("textbox")).fill("Cocoa")
    office.press("Change at Sendcloud")
    expect(page.get_by_role("heading", name="Somebody was faster: nothing was sent")).to_be_visible()
    assert sandbox.integration.shop_name == "Tea"
    office.press("Change at Sendcloud")
    expect(page.get_by_text("Sendcloud confirms the change.")).to_be_visible()
    assert sandbox.integration.shop_name == "Cocoa"


def test_what_would_be_sent_beside_what_sendcloud_has(office: Office) -> None:
    page = office.page
    office.connect()
    order = factories.order(address="Stadhuisplein 10")
    drain()
    order.address = "Markt 1"
    order.save()
    office.open("shipment_change", Shipment.objects.get().pk)
    office.follow("What would be sent now")
    expect(page.get_by_role("heading", name="One field differs from what Sendcloud has")).to_be_visible()
    changed = page.get_by_role("row", name="address")
    expect(changed.first).to_contain_text("Stadhuisplein 10")
    expect(changed.first).to_contain_text("Markt 1")

    same = page.locator("details", has_text="fields are the same")
    expect(same.get_by_role("row", name="Eindhoven")).to_be_hidden()
    same.locator("summary").click()
    expect(same.get_by_role("row", name="Eindhoven")).to_be_visible()
    assert factories.outbox().count() == 1, "looking sends nothing"
