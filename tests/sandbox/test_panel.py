"""The panel, as a browser uses it: links and forms over HTTP, and the webhooks that they send to the shop."""

from __future__ import annotations

import base64
import html
import io
import re
from html.parser import HTMLParser
from typing import Any

import pytest
import requests
from pypdf import PdfReader

from django_sendcloud.sandbox import Sandbox
from tests.payloads.builders import full_shipment

from .conftest import Receiver, Shop, order
from .v3.conftest import order as v3_order


class Form:
    """A form of a page, with what is filled in."""

    def __init__(self, action: str, method: str) -> None:
        self.action = action
        self.method = method
        self.fields: dict[str, str] = {}


class Page(HTMLParser):
    """A page as a browser understands it."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.answer = answer
        self.status = answer.status_code
        self.path = answer.url.partition("://")[2].partition("/")[2]
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.words: list[str] = []
        self._tag = ""
        self._select = ""
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._tag = tag
        if tag == "a":
            self.links.append(given["href"])
        elif tag == "form":
            self.forms.append(Form(given["action"], given["method"]))
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option" and ("selected" in given or self._select not in self.forms[-1].fields):
            self.forms[-1].fields[self._select] = given["value"]
        elif tag == "input" and (given.get("type") != "checkbox" or "checked" in given):
            self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._tag not in ("style", "script") and data.strip():
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(self.words).replace("\N{NO-BREAK SPACE}", " ")

    def form(self, action: str) -> Form:
        """Return the form with this end of its address."""
        [form] = [form for form in self.forms if form.action.endswith(action)]
        return form


class Browser:
    """Follows links and sends forms, with the headers browsers send."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.origin = sandbox.origin
        self.session = requests.Session()
        self.session.trust_env = False

    def open(self, path: str) -> Page:
        return Page(self.session.get(self.origin + path, timeout=10))

    def send(self, page: Page, action: str, **fields: str | None) -> Page:
        """Send a form of a page, with some fields filled in differently; ``None`` for a box that is not ticked."""
        form = page.form(action)
        assert form.method == "post"
        filled = {name: value for name, value in {**form.fields, **fields}.items() if value is not None}
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        return Page(self.session.post(self.origin + form.action, filled, headers=headers, timeout=10))


@pytest.fixture
def browser(sandbox: Sandbox) -> Any:
    browser = Browser(sandbox)
    yield browser
    browser.session.close()


@pytest.fixture
def order_page(shop: Shop, browser: Browser) -> Page:
    """Return the page of an order, opened from the list."""
    shop.upsert({**full_shipment().to_json(), "to_service_point": None, "order_number": "A-1042"})
    [link] = [link for link in browser.open("/").links if link.startswith("/orders/")]
    return browser.open(link)


# Orders and parcels


def test_orders_are_listed_and_found(shop: Shop, browser: Browser) -> None:
    assert "No orders yet" in browser.open("/").text
    shop.upsert(
        order("1", order_number="A-1", name="Ada", city="Delft", total_order_value="25.98", currency="EUR"),
        order("2", order_number="A-2", name="Grace", city="Gouda"),
    )
    page = browser.open("/")
    assert "Incoming orders 2" in page.text
    assert page.text.index("A-2") < page.text.index("A-1")
    assert "25.98 EUR" in page.text
    found = browser.open("/?q=dELF").text
    assert "A-1" in found
    assert "A-2" not in found
    assert "No order matches" in browser.open("/?q=nowhere").text


def test_many_orders_have_pages(shop: Shop, browser: Browser) -> None:
    shop.upsert(*(order(str(number), order_number=f"[{number}]") for number in range(60)))
    seen: list[str] = []
    page = browser.open("/")
    assert "1–50 of 60" in page.text
    seen += re.findall(r"\[\d+\]", page.text)
    [older] = [link for link in page.links if "start=" in link]
    page = browser.open(older)
    seen += re.findall(r"\[\d+\]", page.text)
    assert seen == [f"[{number}]" for number in range(59, -1, -1)]


def test_order_page_shows_whole_document(order_page: Page) -> None:
    for value in ("Order A-1042", "Ada Example", "INV-9", "MUG-RED", "colour: red", "nominated_day_delivery", "Open"):
        assert value in order_page.text
    names = set(full_shipment().to_json()) - {"parcel_items", "order_number"}
    assert names <= set(order_page.words)


def test_label_makes_parcels_and_webhooks(
    sandbox: Sandbox, listening: Receiver, browser: Browser, order_page: Page
) -> None:
    after = browser.send(order_page, "/label/", parcels="2")
    # The same page again, and once it says what was done.
    assert (after.path, "2 labels created." in after.text) == (order_page.path, True)
    assert "labels created" not in browser.open(f"/{after.path}").text
    first, second = listening.next(), listening.next()
    for number, received in enumerate((first, second)):
        assert received.action == "parcel_status_changed"
        assert received.signed_with(sandbox.secret_key)
        parcel = received.payload["parcel"]
        assert parcel["status"] == {"id": 1000, "message": "Ready to send"}
        assert (parcel["collo_nr"], parcel["collo_count"]) == (number, 2)
        assert (parcel["order_number"], parcel["external_order_id"], parcel["external_shipment_id"]) == (
            *("A-1042", "1042", "S1"),
        )
        assert parcel["shipment_uuid"] == sandbox.shipment("1042")["shipment_uuid"]
        assert parcel == sandbox.parcel(parcel["id"])
        assert parcel["tracking_number"] in after.text
    assert listening.nothing_more(sandbox)


def test_parcel_travels_step_by_step(sandbox: Sandbox, listening: Receiver, browser: Browser, order_page: Page) -> None:
    browser.send(order_page, "/label/")
    parcel = listening.next().payload["parcel"]
    page = browser.open(f"/parcels/{parcel['id']}/")
    passed = [1000]
    while any(form.action.endswith("/next/") for form in page.forms):
        page = browser.send(page, "/next/")
        received = listening.next()
        assert received.signed_with(sandbox.secret_key)
        status = received.payload["parcel"]["status"]
        assert status["message"] in page.text
        passed.append(status["id"])
    assert passed == [1000, 1, 22, 3, 7, 5, 91, 92, 11]
    # The whole of it stands on the page, and in the list of the order.
    assert [sandbox.parcel(parcel["id"])["status"]["id"]] == [11]
    assert "Delivered" in browser.open(f"/{order_page.path}").text
    assert listening.nothing_more(sandbox)


def test_parcel_takes_any_status(sandbox: Sandbox, listening: Receiver, browser: Browser, order_page: Page) -> None:
    browser.send(order_page, "/label/")
    parcel = listening.next().payload["parcel"]
    page = browser.open(f"/parcels/{parcel['id']}/")
    assert page.form("/status/").fields["status"] == "1000"
    page = browser.send(page, "/status/", status="62989")
    assert listening.next().payload["parcel"]["status"] == {"id": 62989, "message": "At Customs"}
    # Sendcloud makes new statuses without notice.
    page = browser.send(page, "/status/", status="4711")
    assert listening.next().payload["parcel"]["status"]["id"] == 4711
    for wrong in ("", "-1", "x", "1.5", "9999999"):
        assert browser.send(page, "/status/", status=wrong).status == 400
    assert listening.nothing_more(sandbox)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (1000, 2000, "Parcel has been cancelled"),
        (1, 1999, "Parcel cancellation has been queued"),
        (11, 11, "cannot be cancelled"),
        (2000, 2000, "already being cancelled"),
    ],
)
def test_parcel_is_cancelled_while_possible(
    sandbox: Sandbox, listening: Receiver, browser: Browser, order_page: Page, before: int, after: int, says: str
) -> None:
    browser.send(order_page, "/label/")
    parcel = listening.next().payload["parcel"]
    if before != 1000:
        sandbox.set_parcel_status(parcel["id"], before)
        listening.next()
    page = browser.send(browser.open(f"/parcels/{parcel['id']}/"), "/cancel/")
    assert says in page.text
    assert sandbox.parcel(parcel["id"])["status"]["id"] == after
    if after != before:
        received = listening.next()
        assert received.signed_with(sandbox.secret_key)
        assert received.payload["parcel"]["status"]["id"] == after
    assert listening.nothing_more(sandbox)


def test_cancelling_deletes_failed_announcement(
    sandbox: Sandbox, listening: Receiver, browser: Browser, order_page: Page
) -> None:
    browser.send(order_page, "/label/")
    parcel = listening.next().payload["parcel"]
    sandbox.set_parcel_status(parcel["id"], 1002)
    page = browser.send(browser.open(f"/parcels/{parcel['id']}/"), "/cancel/")
    assert (page.path, "Parcel has been deleted" in page.text) == ("parcels/", True)
    assert browser.open(f"/parcels/{parcel['id']}/").status == 404


def test_return_is_announced_and_travels_back(
    sandbox: Sandbox, listening: Receiver, browser: Browser, order_page: Page
) -> None:
    browser.send(order_page, "/label/")
    outgoing = listening.next().payload["parcel"]
    page = browser.send(browser.open(f"/parcels/{outgoing['id']}/"), "/return/")
    created, status = listening.next(), listening.next()
    assert created.signed_with(sandbox.secret_key)
    assert created.action == "return_created"
    assert created.payload["data"]["order_number"] == "A-1042"
    [item] = created.payload["data"]["items"]
    assert (item["description"], item["quantity"], item["sku"]) == ("Mug", 2, "MUG-RED")
    returned = status.payload["parcel"]
    assert (returned["is_return"], returned["status"]["id"]) == (True, 1000)
    assert returned["shipment_uuid"] == outgoing["shipment_uuid"]
    # A return cannot be returned.
    assert page.path == f"parcels/{returned['id']}/"
    assert not any(form.action.endswith("/return/") for form in page.forms)
    browser.send(page, "/status/", status="11")
    assert listening.next().action == "parcel_status_changed"
    refund = listening.next()
    assert refund.action == "return_delivered"
    assert refund.payload["refund"]["outgoing_parcel"] == outgoing["id"]
    assert refund.payload["refund"]["incoming_parcel"] == returned["id"]
    assert refund.payload["refund"]["total_refund"] == "25.98"
    # The parcel that went out has not moved.
    assert sandbox.parcel(outgoing["id"])["status"]["id"] == 1000
    assert listening.nothing_more(sandbox)


def test_deletion_in_panel_sends_no_webhook(
    sandbox: Sandbox, listening: Receiver, browser: Browser, order_page: Page
) -> None:
    page = browser.send(order_page, "/delete/")
    assert (page.path, "The order is deleted." in page.text) == ("", True)
    assert sandbox.shipments() == []
    assert browser.open(f"/{order_page.path}").status == 404
    assert listening.nothing_more(sandbox)


def test_label_names_receiver(sandbox: Sandbox, shop: Shop, browser: Browser, order_page: Page) -> None:
    page = browser.send(order_page, "/label/")
    [link] = [link for link in page.links if link.startswith("/parcels/") and link != "/parcels/"]
    parcel = browser.open(link)
    [number] = [parcel["id"] for parcel in sandbox.parcels()]
    # The panel's copy needs no keys, the API's does.
    for address, options in [
        (sandbox.origin + next(link for link in parcel.links if link.endswith("label.pdf")), {"auth": None}),
        (sandbox.origin + next(link for link in parcel.links if link.endswith("a4.pdf")), {"auth": None}),
        (sandbox.parcel(number)["label"]["label_printer"], {}),
        *((address, {}) for address in sandbox.parcel(number)["label"]["normal_printer"]),
    ]:
        answer = shop.ask("GET", address, **options)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
        [sheet] = PdfReader(io.BytesIO(answer.content), strict=True).pages
        assert "Ada Example" in sheet.extract_text()
        assert sandbox.parcel(number)["tracking_number"] in sheet.extract_text()
    assert requests.get(sandbox.parcel(number)["label"]["label_printer"], timeout=10).status_code == 401


# Webhooks, requests, integrations, faults


def test_webhook_pages_show_attempts(sandbox: Sandbox, listening: Receiver, browser: Browser) -> None:
    listening.answers = [503]
    sandbox.send_test_webhook()
    listening.next()
    while not sandbox.webhooks[-1].attempts:
        sandbox.wait_webhooks(0.01)
    number = sandbox.webhooks[-1].number
    page = browser.open(f"/webhooks/{number}/")
    assert f"Webhook {number}: test_webhook" in page.text
    assert "503" in page.text
    assert "pending" in page.text
    page = browser.send(browser.open("/webhooks/"), f"/{number}/again/")
    assert "sent again" in page.text
    assert listening.next().action == "test_webhook"
    assert listening.nothing_more(sandbox)
    assert "delivered" in browser.open(f"/webhooks/{number}/").text


def test_request_pages_hide_keys(shop: Shop, sandbox: Sandbox, browser: Browser) -> None:
    shop.upsert(order(), order("2", country="XX"))
    page = browser.open("/requests/")
    assert "1 created, 1 error" in page.text
    [link] = [link for link in page.links if re.fullmatch(r"/requests/\d+/", link)]
    page = browser.open(link)
    assert "upsert shipments" in page.text
    assert '"external_order_id": "1042"' in page.text
    credentials = base64.b64encode(":".join(shop.keys).encode()).decode()
    assert sandbox.secret_key not in page.answer.text
    assert credentials not in page.answer.text


def test_integration_is_set_up_and_deleted(sandbox: Sandbox, receiver: Receiver, browser: Browser) -> None:
    page = browser.open("/integrations/")
    assert sandbox.secret_key in page.text
    mistake = browser.send(page, "/save/", webhook_active="on")
    assert (mistake.status, "Webhook URL required" in mistake.text) == (400, True)
    settings = {
        "shop_name": "Café",
        "shop_url": "https://shop.example/",
        "webhook_active": "on",
        "webhook_url": receiver.url,
        "webhook_signature_key": "sixteen characters",
    }
    page = browser.send(page, "/save/", **settings)
    connected = receiver.next()
    assert (connected.action, connected.signed_with("sixteen characters")) == ("integration_connected", True)
    assert connected.payload["integration"]["shop_name"] == "Café"
    # The form shows the saved values next time.
    assert settings.items() <= page.form("/save/").fields.items()
    page = browser.send(page, "/test/")
    assert receiver.next().action == "test_webhook"
    page = browser.send(page, "/credentials/")
    # The webhook with the keys is signed with the secret key in it, because the shop has none yet.
    sent = receiver.next()
    assert (sent.action, sent.signed_with(sent.payload["secret_key"])) == ("integration_credentials", True)
    assert sent.payload["secret_key"] == sandbox.secret_key
    page = browser.send(page, "/save/", webhook_active=None)
    assert not sandbox.integration.webhook_active
    assert "no webhook" in browser.send(page, "/test/").text
    page = browser.send(page, "/save/", webhook_active="on")
    assert receiver.next().action == "integration_updated"
    page = browser.send(page, "/delete/")
    assert receiver.next().action == "integration_deleted"
    assert sandbox.integrations == []
    page = browser.send(page, "/add/", shop_name="New shop")
    assert [integration.shop_name for integration in sandbox.integrations] == ["New shop"]


def test_keys_are_refused_and_accepted_again(shop: Shop, browser: Browser) -> None:
    page = browser.send(browser.open("/integrations/"), "/revoke/")
    assert shop.ask("GET", "/integrations").status_code == 401
    browser.send(page, "/restore/")
    assert shop.ask("GET", "/integrations").status_code == 200


def test_faults_are_switched_on_and_off(shop: Shop, sandbox: Sandbox, browser: Browser) -> None:
    page = browser.open("/faults/")
    page = browser.send(page, "/next/", kind="answer", status="503", times="1", match="POST shipments", apply="on")
    assert "POST shipments" in page.text
    assert shop.ask("GET", "shipments").status_code == 200
    assert shop.ask("POST", "shipments", [order()]).status_code == 503
    assert len(sandbox.shipments()) == 1
    assert shop.ask("POST", "shipments", [order()]).status_code == 200
    page = browser.send(page, "/next/", kind="html")
    assert shop.ask("GET", "shipments").text.startswith("<!doctype html>")
    page = browser.send(page, "/next/", kind="drop", times="5")
    with pytest.raises(requests.ConnectionError):
        shop.ask("GET", "shipments")
    page = browser.send(page, "/clear/")
    assert shop.ask("GET", "shipments").status_code == 200
    page = browser.send(page, "/set/", rate_limits="on", retry_after="7", latency="0")
    assert (sandbox.rate_limits, sandbox.retry_after) == (True, "7")
    assert "rate_limits" in page.form("/set/").fields
    for wrong in ("-1", "x", "nan", "inf", "1e9"):
        assert browser.send(page, "/set/", latency=wrong).status == 400
    browser.send(page, "/reset/")
    assert (sandbox.shipments(), sandbox.rate_limits) == ([], False)


# Safety


POSTS = ["/orders/{uuid}/label/", "/orders/{uuid}/delete/", "/parcels/{parcel}/cancel/", "/integrations/{id}/delete/"]
POSTS += ["/integrations/add/", "/faults/next/", "/reset/"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ],
    ids=str,
)
def test_other_sites_cannot_post(shop: Shop, sandbox: Sandbox, headers: dict[str, str]) -> None:
    [created] = shop.upsert(order())
    [parcel] = sandbox.create_label("1042")
    for path in POSTS:
        path = path.format(uuid=created["shipment_uuid"], parcel=parcel["id"], id=sandbox.integration_id)
        answer = requests.post(sandbox.origin + path, {"kind": "drop"}, headers=headers, timeout=10)
        assert answer.status_code == 403
    assert len(sandbox.shipments()) == len(sandbox.parcels()) == len(sandbox.integrations) == 1
    assert (sandbox.parcel(parcel["id"])["status"]["id"], sandbox.faults) == (1000, [])


def test_reading_changes_nothing(shop: Shop, sandbox: Sandbox, browser: Browser) -> None:
    [created] = shop.upsert(order())
    [parcel] = sandbox.create_label("1042")
    for path in POSTS:
        path = path.format(uuid=created["shipment_uuid"], parcel=parcel["id"], id=sandbox.integration_id)
        assert browser.open(path).status == 404
    assert sandbox.parcel(parcel["id"])["status"]["id"] == 1000


def test_local_panel_needs_local_name(sandbox: Sandbox) -> None:
    def status(host: str) -> int:
        return requests.get(sandbox.panel_url, headers={"Host": host}, timeout=10).status_code

    # The owner of another name can make it point here.
    assert {status(name) for name in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "")} == {403}
    assert {status(name) for name in (f"localhost:{sandbox.port}", "127.0.0.1", "shop.localhost:1", "[::1]")} == {200}


def test_pages_escape_order_contents(shop: Shop, browser: Browser, sandbox: Sandbox) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    item = {"description": attack, "quantity": 1, "value": "1", "properties": {attack: attack}}
    # JSON may hold half a character.
    half = "\ud800"
    shop.upsert(order(name=attack, order_number=attack, city=half, parcel_items=[item]))
    shop.ask("POST", f"/integrations/{attack}/shipments")
    sandbox.create_label("1042")
    pages = ["/", f"/?q={requests.utils.quote(attack)}", "/parcels/", "/requests/", "/integrations/", "/faults/"]
    for path in [*pages, *(link for page in pages for link in browser.open(page).links)]:
        page = browser.open(path)
        if page.answer.headers["Content-Type"] == "application/pdf":
            continue
        assert page.status == 200, path
        assert "<script>alert" not in page.answer.text
        assert "<img" not in page.answer.text
        policy = page.answer.headers["Content-Security-Policy"]
        [nonce] = set(re.findall(r"'nonce-([^']+)'", policy))
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        # Our own script and style are let through by a nonce, and that is another one each time.
        assert set(re.findall(r'<(?:script|style) nonce="([^"]+)"', page.answer.text)) == {html.escape(nonce)}
        assert nonce not in browser.open(path).answer.text


def test_links_lead_somewhere(
    shop: Shop, sandbox: Sandbox, listening: Receiver, browser: Browser, order_page: Page
) -> None:
    browser.send(order_page, "/label/", parcels="2")
    sandbox.create_return(sandbox.parcels()[0]["id"])
    shop.upsert(*(order(str(number)) for number in range(60)))
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = browser.session.get(sandbox.origin + path, timeout=10)
        assert answer.status_code == 200, path
        if answer.headers["Content-Type"].startswith("text/html"):
            waiting += Page(answer).links
    kinds = {re.sub(r"[\da-f-]{36}|\d+", "N", path) for path in seen}
    assert kinds == {
        *("/", "/?start=N", "/orders/N/", "/parcels/", "/parcels/N/", "/parcels/N/label.pdf", "/parcels/N/aN.pdf"),
        *("/webhooks/", "/webhooks/N/", "/requests/", "/requests/N/", "/integrations/", "/faults/"),
    }


def test_head_has_no_body(sandbox: Sandbox) -> None:
    answer = requests.head(sandbox.panel_url, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 1000


# Both generations


def test_orders_show_their_generation(shop: Shop, sandbox: Sandbox, browser: Browser) -> None:
    shop.upsert(order("1", order_number="OLD-1"))
    requests.post(f"{sandbox.v3_url}/orders", json=[v3_order("2", order_number="NEW-1")], auth=shop.keys, timeout=10)
    text = browser.open("/").text
    assert "NEW-1 v3" in text
    assert "OLD-1 v2" in text
    # An update by the other generation does not hide where an order came from.
    requests.post(f"{sandbox.v3_url}/orders", json=[v3_order("1", order_number="OLD-2")], auth=shop.keys, timeout=10)
    assert "OLD-2 v2" in browser.open("/").text
    [link] = [link for link in browser.open("/?q=OLD-2").links if link.startswith("/orders/")]
    page = browser.open(link)
    for words in ("Came by v2", "Last changed by v3", "Ada Example", "shipping_address", "Mug"):
        assert words in page.text


def test_order_is_split_in_panel(sandbox: Sandbox, browser: Browser, shop: Shop) -> None:
    requests.post(f"{sandbox.v3_url}/orders", json=[v3_order()], auth=shop.keys, timeout=10)
    [link] = [link for link in browser.open("/").links if link.startswith("/orders/")]
    page = browser.send(browser.open(link), "/split/", parts="2")
    assert "The order is split into 2." in page.text
    assert "A-1042 1 of 2" in page.text
    assert "A-1042 2 of 2" in page.text
    # A part has one item, so that it cannot be split further.
    assert not [form for form in browser.open(link).forms if form.action.endswith("/split/")]
    assert len(sandbox.orders()) == 2


def test_label_needs_an_address(sandbox: Sandbox, browser: Browser, shop: Shop) -> None:
    sent = v3_order()
    del sent["shipping_address"]
    requests.post(f"{sandbox.v3_url}/orders", json=[sent], auth=shop.keys, timeout=10)
    [link] = [link for link in browser.open("/").links if link.startswith("/orders/")]
    page = browser.send(browser.open(link), "/label/", parcels="1")
    assert (page.status, "The order has no address." in page.text) == (400, True)


def test_faults_of_v3_are_switched(sandbox: Sandbox, browser: Browser, shop: Shop) -> None:
    page = browser.open("/faults/")
    page = browser.send(page, "/faults/set/", save_delay="3600", partners_only="on")
    assert (sandbox.save_delay, sandbox.certified_partners_only) == (3600, True)
    browser.send(page, "/faults/next/", kind="conflict")

    def upsert(order_id: str) -> int:
        sent = [v3_order(order_id)]
        return requests.post(f"{sandbox.v3_url}/orders", json=sent, auth=shop.keys, timeout=10).status_code

    assert [upsert("1"), upsert("1")] == [400, 201]
    assert sandbox.unsaved == ["1"]
    browser.send(page, "/faults/next/", kind="lose")
    assert upsert("2") == 201
    assert sandbox.unsaved == ["1"]
