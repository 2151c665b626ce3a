"""Service point picker in the example shop, under its strict Content-Security-Policy."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from .conftest import ExampleShop

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

OPEN = "Choose a service point"
CHANGE = "Change service point"
ADDRESS = {
    "name": "Sam Jansen",
    "email": "sam@example.com",
    "street": "Stadhuisplein",
    "house_number": "1",
    "postal_code": "5611 EM",
    "city": "Eindhoven",
}


@pytest.fixture
def page(browser: Any, example_shop: ExampleShop, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return a page of a new buyer; errors of scripts or of the policy fail the test."""
    context = browser.new_context(**getattr(request, "param", {}))
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.complaints = complaints
    page.goto(f"{example_shop.url}/")
    yield page
    context.close()
    assert complaints == []


def fill(page: Any, country: str = "NL", **fields: str) -> None:
    for name, value in {**ADDRESS, **fields}.items():
        page.fill(f"[name={name}]", value)
    page.select_option("[name=country]", country)
    page.locator("[name^=quantity-]").first.fill("1")


def want_service_point(page: Any) -> None:
    page.select_option("[name=delivery]", "Service point")


def picker(page: Any) -> Any:
    return page.frame_locator("iframe[title='Service points']")


def choose(page: Any, name: str) -> None:
    picker(page).locator("li", has_text=name).get_by_role("button", name="Choose").click()


def choose_nothing(page: Any) -> None:
    want_service_point(page)
    page.get_by_role("button", name=OPEN).click()
    picker(page).get_by_role("button", name="Close").click()


def status(page: Any) -> Any:
    return page.locator("[data-sendcloud-service-point] [role=status]")


def place(page: Any) -> str:
    """Place the order; returns its id."""
    with page.expect_navigation():
        page.get_by_role("button", name="Place order").click()
    assert "/orders/" in page.url, page.inner_text("main")
    return page.url.rstrip("/").rpartition("/")[2]


def test_chosen_point_reaches_sendcloud(page: Any, example_shop: ExampleShop) -> None:
    fill(page)
    assert page.get_by_text(OPEN).is_hidden(), "only who wants a service point is asked for one"
    want_service_point(page)
    page.get_by_role("button", name=OPEN).click()
    # Only the integration's carriers of the buyer's country are offered.
    picker(page).get_by_role("button", name="Choose").first.wait_for()
    assert picker(page).get_by_role("button", name="Choose").count() == 2
    choose(page, "Boekhandel Stadhuisplein")
    page.get_by_role("button", name=CHANGE).wait_for()
    assert page.locator("[data-chosen]").inner_text().split("\n")[0] == "Boekhandel Stadhuisplein"
    assert status(page).inner_text() == "Chosen: Boekhandel Stadhuisplein"

    order = place(page)
    assert "Boekhandel Stadhuisplein" in page.inner_text("main")
    example_shop.push()
    sent = example_shop.sandbox.shipment(order)
    assert sent["to_service_point"] == 1000001
    assert sent["to_post_number"] == ""
    assert sent["shipping_method_checkout_name"] == "Service point"
    # The receiver stays the same.
    assert (sent["name"], sent["address"], sent["city"]) == ("Sam Jansen", "Stadhuisplein", "Eindhoven")


def test_packstation_takes_post_number(page: Any, example_shop: ExampleShop) -> None:
    fill(page, "DE", postal_code="80331", city="München")
    want_service_point(page)
    page.get_by_role("button", name=OPEN).click()
    picker(page).get_by_label("Post number").fill("12345678")
    choose(page, "Packstation 145")
    page.get_by_text("Post number: 12345678").wait_for()
    order = place(page)
    example_shop.push()
    sent = example_shop.sandbox.shipment(order)
    assert (sent["to_service_point"], sent["to_post_number"]) == (1000005, "12345678")


def test_picker_works_by_keyboard(page: Any, example_shop: ExampleShop) -> None:
    fill(page)
    want_service_point(page)
    page.locator("[name=delivery]").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").startswith(OPEN)
    page.keyboard.press("Enter")
    picker(page).get_by_role("button", name="Choose").first.wait_for()
    page.wait_for_function("document.activeElement.tagName === 'IFRAME'")
    page.keyboard.press("Escape")
    page.wait_for_selector("iframe", state="detached")
    # Closed is no failure, and the focus is where it was.
    assert page.evaluate("document.activeElement.textContent").startswith(OPEN)
    assert status(page).inner_text() == ""
    page.keyboard.press("Enter")
    picker(page).locator("li button:focus").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name=CHANGE).wait_for()
    assert page.evaluate("document.activeElement.textContent").endswith(CHANGE)


def test_point_is_required_and_survives_errors(page: Any, example_shop: ExampleShop) -> None:
    fill(page, email="")
    want_service_point(page)
    with page.expect_navigation():
        page.get_by_role("button", name="Place order").click()
    assert "Choose a service point." in page.locator(".field-service_point").inner_text()
    page.get_by_role("button", name=OPEN).click()
    choose(page, "Pakketautomaat Stationsplein")
    page.get_by_role("button", name=CHANGE).wait_for()
    with page.expect_navigation():
        page.get_by_role("button", name="Place order").click()  # the e-mail address is still missing
    assert "Pakketautomaat Stationsplein" in page.locator("[data-chosen]").inner_text()
    page.fill("[name=email]", "sam@example.com")
    order = place(page)
    example_shop.push()
    assert example_shop.sandbox.shipment(order)["to_service_point"] == 1000002
    # Both refused forms were answered 422, which a browser reports.
    assert len(page.complaints) == 2
    assert all("422" in complaint for complaint in page.complaints)
    page.complaints.clear()


def test_country_change_clears_point(page: Any, example_shop: ExampleShop) -> None:
    fill(page)
    want_service_point(page)
    page.get_by_role("button", name=OPEN).click()
    choose(page, "Boekhandel Stadhuisplein")
    page.get_by_role("button", name=CHANGE).wait_for()
    page.select_option("[name=country]", "BE")
    page.get_by_role("button", name=OPEN).wait_for()
    assert status(page).inner_text() == "Your address is in another country now. Choose a service point there."
    assert page.input_value("[name=service_point]") == ""

    page.select_option("[name=country]", "NL")
    page.get_by_role("button", name=OPEN).click()
    choose(page, "Boekhandel Stadhuisplein")
    page.get_by_role("button", name=CHANGE).wait_for()
    page.select_option("[name=delivery]", "Standard delivery")
    assert page.locator(".field-service_point").is_hidden()
    order = place(page)
    example_shop.push()
    assert example_shop.sandbox.shipment(order)["to_service_point"] is None


def test_picker_loads_only_on_request(page: Any, example_shop: ExampleShop) -> None:
    def foreign() -> list[str]:
        urls = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
        return [url for url in urls if not url.startswith(example_shop.url)]

    assert foreign() == []
    choose_nothing(page)
    assert foreign()[0] == example_shop.sandbox.service_point_script_url


def test_picker_uses_csp_nonce(page: Any, example_shop: ExampleShop) -> None:
    policy = f"script-src 'nonce-n0nce' 'strict-dynamic'; frame-src {example_shop.sandbox.origin}"

    class WithNonce(http.server.BaseHTTPRequestHandler):
        """The same shop under another policy."""

        def do_GET(self) -> None:
            answer = requests.get(f"{example_shop.url}{self.path}", timeout=10)
            body = answer.content.replace(b"<script ", b'<script nonce="n0nce" ')
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Security-Policy", policy)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), WithNonce) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        choose_nothing(page)
        script = page.locator(f"script[src='{example_shop.sandbox.service_point_script_url}']")
        assert script.evaluate("(element) => element.nonce") == "n0nce"
        page.goto("about:blank")
        server.shutdown()


def test_failed_picker_is_reported_and_retried(page: Any, example_shop: ExampleShop) -> None:
    script = example_shop.sandbox.service_point_script_url
    page.route(script, lambda route: route.abort())
    want_service_point(page)
    page.get_by_role("button", name=OPEN).click()
    page.get_by_text("The service points could not be shown.").wait_for()
    page.unroute(script)
    page.get_by_role("button", name=OPEN).click()
    picker(page).get_by_role("button", name="Close").click()
    assert status(page).inner_text() == ""
    assert len(page.complaints) == 2  # messages of the browser and our script
    page.complaints.clear()


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_checkout_works_without_javascript(page: Any, example_shop: ExampleShop) -> None:
    hint = page.locator("noscript")
    assert "needs JavaScript" in (hint.text_content() or "")
    assert hint.bounding_box() is not None
    assert page.get_by_text(OPEN).is_hidden()
    fill(page)
    order = place(page)
    example_shop.push()
    assert example_shop.sandbox.shipment(order)["to_service_point"] is None


def test_picker_uses_the_key_of_its_country(page: Any) -> None:
    """Another integration takes the orders to Germany, and none with service points those to Belgium."""
    page.evaluate(
        """() => {
          const routes = { DE: { api_key: "abroad", carriers: "dhl_de" }, BE: {} };
          document.querySelector("[data-sendcloud-service-point]").dataset.routes = JSON.stringify(routes);
          window.sendcloud = { servicePoints: { open: (options, chosen, failed) => {
            window.opened = options;
            failed(["Closed"]);
          } } };
        }"""
    )
    want_service_point(page)
    found = {}
    for country in ("NL", "DE"):
        fill(page, country)
        page.get_by_role("button", name=OPEN).click()
        found[country] = page.evaluate("window.opened.apiKey")
    assert found["DE"] == "abroad"
    assert found["NL"] not in ("", "abroad")
    fill(page, "BE")
    page.evaluate("window.opened = null")
    page.get_by_role("button", name=OPEN).click()
    assert "could not be shown" in status(page).inner_text()
    assert page.evaluate("window.opened") is None
