"""Orders in v3: batches, saving, lists, changes and deletions."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from django_sendcloud.sandbox import Sandbox
from tests.payloads.builders import full_shipment
from tests.sandbox.conftest import Shop as OldShop
from tests.sandbox.conftest import order as shipment

from .conftest import Shop, order

POINTER = "/data/attributes/[{}]/{}"
CONFLICT = "We are still processing a previous request. Please try again in a moment."
NOT_FOUND = "The order could not be found with the search criteria given"


def pointers(errors: list[dict[str, Any]]) -> list[str]:
    return [error["source"]["pointer"] for error in errors]


def upsert_errors(shop: Shop, *orders: Any) -> list[dict[str, Any]]:
    return shop.errors(400, "POST", "/orders", list(orders))


# Batches


def test_upsert_creates_then_updates(shop: Shop, sandbox: Sandbox) -> None:
    [created] = shop.upsert(order())
    assert created == {"id": created["id"], "order_id": "1042", "order_number": "A-1042"}
    assert re.fullmatch(r"75\d{7}", str(created["id"]))
    [updated] = shop.upsert(order(order_number="B"))
    assert updated == {**created, "order_number": "B"}
    assert [found["order_number"] for found in shop.found()] == ["B"]
    assert [request.items[0].outcome for request in sandbox.requests[:2]] == ["created", "updated"]


def test_upsert_with_older_stamp_wins(shop: Shop) -> None:
    """Nothing documents that v3 skips an equal or older update, so the last request wins."""
    shop.upsert(order())
    shop.upsert(order(order_details__order_updated_at="2020-01-01T00:00:00Z", shipping_address__city="Gouda"))
    assert shop.found()[0]["shipping_address"]["city"] == "Gouda"


def test_upsert_by_sendcloud_id_updates(shop: Shop) -> None:
    first, second = shop.upsert(order("1"), order("2"))
    shop.upsert(order("2", id=str(second["id"]), order_number="B"))
    assert {found["order_id"]: found["order_number"] for found in shop.found()} == {"1": "A-1042", "2": "B"}
    [error] = upsert_errors(shop, order("3", id=str(first["id"])))
    assert error == {
        "status": "400",
        "code": "invalid",
        "detail": "Order id 1 cannot be changed",
        "source": {"pointer": POINTER.format(0, "order_id")},
    }
    [error] = upsert_errors(shop, order("1", id=first["id"]))
    assert (error["detail"], pointers([error])) == ("Input should be a valid string", [POINTER.format(0, "id")])
    assert pointers(upsert_errors(shop, order("1", id="7"))) == [POINTER.format(0, "id")]


def test_batch_with_errors_changes_nothing(shop: Shop, sandbox: Sandbox) -> None:
    bad = order("2")
    bad["order_details"]["order_items"][1]["quantity"] = 0
    del bad["shipping_address"]["city"]
    errors = upsert_errors(shop, order("1"), bad, order("3", order_number=""))
    assert [(error["detail"], error["source"]["pointer"]) for error in errors] == [
        ("Input should be greater than 0", POINTER.format(1, "order_details/order_items/1/quantity")),
        ("Field required", POINTER.format(1, "shipping_address/city")),
        ("String should have at least 1 character", POINTER.format(2, "order_number")),
    ]
    assert {(error["status"], error["code"]) for error in errors} == {("400", "invalid")}
    assert sandbox.orders() == []
    assert [item.outcome for item in sandbox.requests[0].items] == ["refused", "error", "error"]


def test_batch_may_name_only_first_order(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.report_first_error_only = True
    errors = upsert_errors(shop, order("1"), order("2", order_number=""), order("3", order_number=""))
    assert pointers(errors) == [POINTER.format(1, "order_number")]


def test_batch_shape_is_checked(shop: Shop) -> None:
    assert shop.errors(400, "POST", "/orders", {"orders": []}) == [
        {
            "status": "400",
            "code": "non_field_errors",
            "title": "Wrong format",
            "detail": "Wrong request format, expected list of objects",
        }
    ]
    [error] = upsert_errors(shop, *(order(str(number)) for number in range(101)))
    assert (error["detail"], pointers([error])) == (
        "Orders list should have at most 100 items, not 101",
        ["/data/attributes/"],
    )
    assert len(shop.upsert(*(order(str(number)) for number in range(100)))) == 100


def test_unknown_integration_is_item_error(shop: Shop, sandbox: Sandbox) -> None:
    foreign = sandbox.add_integration(account="another")
    for integration_id in (99999, foreign.id):
        [error] = upsert_errors(shop, order("1"), order("2", order_details__integration={"id": integration_id}))
        assert error["detail"] == f"Integration with id {integration_id} does not exist"
        assert pointers([error]) == [POINTER.format(1, "order_details/integration/id")]


def test_batch_may_mix_integrations(shop: Shop, sandbox: Sandbox) -> None:
    other = sandbox.add_integration()
    shop.upsert(order(), order(order_details__integration={"id": other.id}))
    assert [len(sandbox.orders(integration.id)) for integration in sandbox.integrations] == [1, 1]


def test_currency_follows_contract_or_setting(shop: Shop, sandbox: Sandbox) -> None:
    swedish = order(payment_details__total_price={"value": 1, "currency": "SEK"})
    [error] = upsert_errors(shop, swedish)
    assert error["detail"] == "Input should be 'EUR', 'GBP' or 'USD'"
    sandbox.any_currency = True
    assert shop.upsert(swedish)
    [error] = upsert_errors(shop, order(payment_details__total_price={"value": 1, "currency": "E"}))
    assert error["detail"] == "String should have at least 3 characters"


def test_omitted_blocks_are_cleared_or_kept(shop: Shop, sandbox: Sandbox) -> None:
    notes = order(order_details__notes="Ring twice", customer_details={"name": "Ada"})
    shop.upsert(notes)
    shop.upsert(order())
    assert "customer_details" not in shop.found()[0]
    sandbox.omitted_blocks = "kept"
    shop.upsert(notes)
    fewer = order()
    del fewer["order_details"]["order_items"][0]
    shop.upsert(fewer)
    [kept] = shop.found()
    assert (kept["customer_details"], kept["order_details"]["notes"]) == ({"name": "Ada"}, "Ring twice")
    assert [item["name"] for item in kept["order_details"]["order_items"]] == ["Cup"]


# Saving


def test_accepted_order_appears_when_saved(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.save_delay = None
    [accepted] = shop.upsert(order())
    assert (shop.found(), sandbox.orders(), sandbox.unsaved) == ([], [], ["1042"])
    assert shop.errors(404, "GET", f"/orders/{accepted['id']}")[0]["detail"] == NOT_FOUND
    sandbox.save_orders()
    assert [found["id"] for found in shop.found()] == [str(accepted["id"])]
    assert sandbox.unsaved == []


def test_save_delay_passes(shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr("django_sendcloud.sandbox.store.store.time.monotonic", lambda: now)
    sandbox.save_delay = 5
    shop.upsert(order())
    now += 4.9
    assert shop.ids() == []
    now += 0.2
    assert shop.ids() == ["1042"]


def test_update_shows_old_content_until_saved(shop: Shop, sandbox: Sandbox) -> None:
    shop.upsert(order())
    sandbox.save_delay = None
    shop.upsert(order(order_number="B"))
    assert shop.found()[0]["order_number"] == "A-1042"
    sandbox.save_orders()
    assert shop.found()[0]["order_number"] == "B"


def test_conflict_refuses_batch_while_saving(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.save_delay = None
    shop.upsert(order("1"))
    errors = upsert_errors(shop, order("2"), order("1"))
    assert errors == [{"status": "400", "code": "invalid", "detail": CONFLICT, "source": {"pointer": "/data"}}]
    assert [item.outcome for item in sandbox.requests[-1].items] == ["conflict", "conflict"]
    sandbox.save_orders()
    assert shop.ids() == ["1"]
    shop.upsert(order("2"))


def test_conflict_can_be_switched_off(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.save_delay, sandbox.conflict_while_saving = None, False
    [first] = shop.upsert(order())
    [second] = shop.upsert(order(order_number="B"))
    assert first["id"] == second["id"]
    sandbox.save_orders()
    assert [found["order_number"] for found in shop.found()] == ["B"]


def test_conflict_on_demand(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.conflict_next()
    assert upsert_errors(shop, order())[0]["detail"] == CONFLICT
    assert shop.upsert(order())


def test_lost_order_never_appears(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.lose_orders(1)
    shop.upsert(order("1"), order("2"))
    sandbox.save_orders()
    assert shop.ids() == ["2"]


def test_deletion_before_saving_is_not_found(shop: Shop, sandbox: Sandbox) -> None:
    """The worst of the thinkable behaviours is the default: 404, and then the order appears."""
    sandbox.save_delay = None
    [accepted] = shop.upsert(order())
    assert shop.errors(404, "DELETE", f"/orders/{accepted['id']}")[0]["detail"] == NOT_FOUND
    assert sandbox.requests[-1].items[0].external_order_id == "1042"
    sandbox.save_orders()
    assert shop.ids() == ["1042"]


def test_deletion_before_saving_may_cancel(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.save_delay, sandbox.delete_before_save = None, "cancelled"
    [accepted] = shop.upsert(order())
    assert shop.ask("DELETE", f"/orders/{accepted['id']}").status_code == 204
    sandbox.save_orders()
    assert shop.ids() == []


@pytest.mark.parametrize(("effect", "left"), [("not found", []), ("recreated", ["1042"]), ("cancelled", [])])
def test_deletion_during_update(shop: Shop, sandbox: Sandbox, effect: Any, left: list[str]) -> None:
    sandbox.delete_before_save = effect
    [created] = shop.upsert(order())
    sandbox.save_delay = None
    shop.upsert(order(order_number="B"))
    assert shop.ask("DELETE", f"/orders/{created['id']}").status_code == 204
    assert shop.ids() == []
    sandbox.save_orders()
    assert shop.ids() == left


# Reading


def test_answers_differ_from_requests(shop: Shop, sandbox: Sandbox) -> None:
    goods = {"regulation_set": "ADR", "weight_type": "Net", "packaging_type": "Box"}
    sent = order()
    sent["order_details"]["order_items"][0]["dangerous_goods"] = goods
    [created] = shop.upsert(sent)
    shown = shop.ask("GET", f"/orders/{created['id']}").json()["data"]
    assert shown == shop.found()[0]
    assert shown["id"] == str(created["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", shown["created_at"])
    assert shown["order_details"]["order_created_at"] == "2026-03-01T09:30:00.000000+00:00"
    assert "notes" not in shown["order_details"]
    assert shown["payment_details"]["discount_granted"] == {"value": 1.5, "currency": "EUR"}
    assert shown["order_details"]["order_items"][0]["dangerous_goods"] == {
        **goods,
        "regulation_set": "adr",
        "weight_type": "net",
    }
    sandbox.as_documented = True
    shown = shop.found()[0]
    assert shown["payment_details"]["discount_granted"] == {"value": "1.50", "currency": "EUR"}
    assert shown["order_details"]["order_items"][0]["dangerous_goods"] == goods


@pytest.mark.long
def test_list_filters(shop: Shop, sandbox: Sandbox) -> None:
    other = sandbox.add_integration()
    shop.upsert(
        order("a", order_number="X-1", order_details__order_created_at="2026-01-01T23:30:00-01:00"),
        order("A", order_number="X-2", order_details__status={"code": "Open"}),
        order("b", order_details__integration={"id": other.id}, order_details__status={"code": "done"}),
    )
    for query, found in [
        ({}, "bAa"),
        ({"order_id": "A"}, "Aa"),
        ({"order_number": "x-1"}, "a"),
        ({"status": "OPEN"}, "Aa"),
        ({"integration": other.id}, "b"),
        ({"integration": f"{other.id},{sandbox.integration_id}"}, "bAa"),
        ({"order_created_at": "2026-01-02"}, "a"),
        ({"order_created_at_min": "2026-01-03"}, "bA"),
        ({"order_created_at_max": "2026-01-02"}, "a"),
        ({"order_updated_at": "2026-03-02", "order_created_at_max": "2026-02-01"}, "a"),
        ({"sort": "order_number"}, "baA"),
        ({"sort": "-order_created_at", "integration": sandbox.integration_id}, "Aa"),
        ({"sort": "pk"}, "aAb"),
        ({"sort": "colour"}, "bAa"),
        # Unknown parameters are ignored, and everything comes back.
        ({"search": "nothing", "filter[order_id]": "a"}, "bAa"),
    ]:
        assert "".join(shop.ids(**query)) == found, query


def test_list_refuses_foreign_integration(shop: Shop, sandbox: Sandbox) -> None:
    foreign = sandbox.add_integration(account="another")
    for wrong in (foreign.id, "x"):
        assert shop.errors(400, "GET", "/orders", params={"integration": wrong}) == [
            {
                "status": "400",
                "code": "invalid_choice",
                "title": "Invalid Choice",
                "detail": f"Select a valid choice. {wrong} is not one of the available choices.",
                "source": {"parameter": "integration"},
            }
        ]


def walk(shop: Shop, relation: str, query: dict[str, Any]) -> list[list[str]]:
    """Follow the links of a list by their cursors, because the links themselves lead nowhere."""
    pages = []
    while True:
        response = shop.ask("GET", "/orders", params=query)
        pages.append([found["order_id"] for found in response.json()["data"]])
        links = {link["rel"]: link["url"] for link in response.links.values()}
        if relation not in links:
            return pages
        url = urlsplit(links[relation])
        assert url.path == "/v3/orders"
        query = {name: values[0] for name, values in parse_qs(url.query).items()}


def test_pages_lead_both_ways(shop: Shop) -> None:
    shop.upsert(*(order(str(number)) for number in range(5)))
    assert walk(shop, "next", {"page_size": 2}) == [["4", "3"], ["2", "1"], ["0"]]
    assert walk(shop, "next", {"page_size": 2, "sort": "order_number"}) == [["0", "1"], ["2", "3"], ["4"]]
    first = shop.ask("GET", "/orders", params={"page_size": 3})
    cursor = parse_qs(urlsplit(first.links["next"]["url"]).query)["cursor"][0]
    back = shop.ask("GET", "/orders", params={"page_size": 3, "cursor": cursor})
    assert [found["order_id"] for found in back.json()["data"]] == ["1", "0"]
    cursor = parse_qs(urlsplit(back.links["prev"]["url"]).query)["cursor"][0]
    assert shop.ids(page_size=3, cursor=cursor) == ["4", "3", "2"]


def test_page_keeps_its_place(shop: Shop) -> None:
    """Orders that are deleted or created between two pages shift none of the others."""
    created = shop.upsert(*(order(str(number)) for number in range(4)))
    first = shop.ask("GET", "/orders", params={"page_size": 2})
    for result in created[2:]:
        shop.ask("DELETE", f"/orders/{result['id']}")
    shop.upsert(order("4"))
    cursor = parse_qs(urlsplit(first.links["next"]["url"]).query)["cursor"][0]
    assert shop.ids(page_size=2, cursor=cursor) == ["1", "0"]


@pytest.mark.parametrize("cursor", ["", "!", "cj0xJnA9MzAw", "W10=", "WzEsIGZhbHNlXQ==", "W1tudWxsXSwgZmFsc2Vd"])
def test_unknown_cursor_is_not_found(shop: Shop, cursor: str) -> None:
    shop.upsert(order())
    [error] = shop.errors(404, "GET", "/orders", params={"cursor": cursor})
    assert (error["code"], error["detail"]) == ("not_found", "Invalid cursor")


def test_page_size_has_bounds(shop: Shop) -> None:
    for start in (0, 100, 200):
        shop.upsert(*(order(str(start + number)) for number in range(100)))
    sizes = [len(shop.found(page_size=size)) for size in ("", "0", "x", "-1", "7", "200", "201")]
    assert sizes == [100, 100, 100, 100, 7, 200, 200]


def test_labelled_orders_may_leave_list(shop: Shop, sandbox: Sandbox) -> None:
    [created, _] = shop.upsert(order("1"), order("2"))
    sandbox.create_label("1")
    assert shop.ids() == ["2", "1"]
    sandbox.list_labelled_orders = False
    assert shop.ids() == ["2"]
    assert shop.ask("GET", f"/orders/{created['id']}").status_code == 200


# Changing and deleting


def test_patch_changes_only_given_fields(shop: Shop, sandbox: Sandbox) -> None:
    [created] = shop.upsert(order())
    change = {
        "shipping_address": {"city": "Gouda"},
        "order_details": {"order_items": [{"name": "Cup", "quantity": 3}], "notes": "Careful"},
    }
    response = shop.ask("PATCH", f"/orders/{created['id']}", change)
    assert (response.status_code, response.json()) == (200, {"data": created})
    [shown] = shop.found()
    assert (shown["shipping_address"]["city"], shown["shipping_address"]["name"]) == ("Gouda", "Ada Example")
    assert [item["quantity"] for item in shown["order_details"]["order_items"]] == [2, 3]
    assert shown["order_details"]["order_items"][1]["total_price"] == {"value": 4, "currency": "EUR"}


@pytest.mark.parametrize(
    ("change", "detail", "pointer"),
    [
        (
            {"order_details": {"order_items": [{"name": "Plate"}]}},
            "Could not find specified item.",
            "order/order_details/order_items",
        ),
        ({"order_id": "7"}, "Order id 1042 cannot be changed", "order/order_id"),
        ({"order_details": {"notes": 5}}, "Input should be a valid string", "order/order_details/notes"),
        (
            {"order_details": {"integration": {"id": 7}}},
            "Integration cannot be changed",
            "order/order_details/integration/id",
        ),
        ({"order_number": ""}, "String should have at least 1 character", "order/order_number"),
        ([], "Input should be a valid dictionary", "order"),
    ],
)
def test_patch_refuses(shop: Shop, change: Any, detail: str, pointer: str) -> None:
    [created] = shop.upsert(order())
    [before] = shop.found()
    [error] = shop.errors(400, "PATCH", f"/orders/{created['id']}", change)
    assert (error["detail"], error["source"]["pointer"]) == (detail, pointer)
    assert shop.found() == [before]


def test_order_is_deleted_by_id(shop: Shop, sandbox: Sandbox) -> None:
    [first, _] = shop.upsert(order("1"), order("2"))
    path = f"/orders/{first['id']}"
    response = shop.ask("DELETE", path)
    assert (response.status_code, response.content) == (204, b"")
    assert shop.ids() == ["2"]
    for method in ("DELETE", "GET", "PATCH"):
        shop.errors(404, method, path, {} if method == "PATCH" else None)
    assert [
        item.outcome for request in sandbox.requests for item in request.items if item.external_order_id == "1"
    ] == [
        "created",
        "deleted",
    ]
    [again] = shop.upsert(order("1"))
    assert again["id"] != first["id"]


def test_foreign_orders_are_not_found(shop: Shop, sandbox: Sandbox) -> None:
    foreign = sandbox.add_integration(account="another")
    [created] = shop.upsert(order())
    keys = (foreign.public_key, foreign.secret_key)
    for method in ("GET", "DELETE"):
        assert shop.ask(method, f"/orders/{created['id']}", auth=keys).status_code == 404
    assert shop.ask("GET", "/orders", auth=keys).json() == {"data": []}
    for wrong in ("0", "x", "1.5", "9" * 30, created["order_id"]):
        shop.errors(404, "GET", f"/orders/{wrong}")


# One store for both generations


@pytest.fixture
def old_shop(sandbox: Sandbox) -> Any:
    """Return a shop that speaks v2 to the same sandbox."""
    shop = OldShop(sandbox)
    yield shop
    shop.session.close()


def test_v2_order_is_updated_by_v3(shop: Shop, old_shop: OldShop, sandbox: Sandbox) -> None:
    [created] = old_shop.upsert(full_shipment().to_json())
    [shown] = shop.found()
    assert (shown["order_id"], shown["order_details"]["order_items"][0]["sku"]) == ("1042", "MUG-RED")
    [updated] = shop.upsert(order())
    assert str(updated["id"]) == shown["id"]
    [stored] = old_shop.get("shipments")["results"]
    assert stored["shipment_uuid"] == created["shipment_uuid"]
    assert (stored["external_order_id"], stored["external_shipment_id"]) == ("1042", "S1")
    assert [item["description"] for item in stored["parcel_items"]] == ["Mug", "Cup"]
    assert sandbox.order("1042")["_came_by"] == "v2"


def test_v3_order_is_updated_by_v2(shop: Shop, old_shop: OldShop, sandbox: Sandbox) -> None:
    [created] = shop.upsert(order())
    [result] = old_shop.upsert(shipment("1042", None, city="Gouda", updated_at="2026-04-01T00:00:00Z"))
    assert result["status"] == "updated"
    [shown] = shop.found()
    assert (shown["id"], shown["shipping_address"]["city"]) == (str(created["id"]), "Gouda")
    assert sandbox.order("1042")["_came_by"] == "v3"


def test_v3_order_reads_as_shipment(shop: Shop, old_shop: OldShop) -> None:
    shop.upsert(
        order(
            shipping_details={
                "measurement": {
                    "weight": {"value": 2, "unit": "lbs"},
                    "dimension": {"length": 0.3, "width": 0.2, "height": 0.1, "unit": "m"},
                },
                "delivery_indicator": "Express",
            },
            service_point_details={"id": "1000001", "post_number": "77"},
            customs_details={"shipment_type": "gift", "commercial_invoice_number": "I-1"},
        )
    )
    [shown] = old_shop.get("shipments")["results"]
    expected = {
        "name": "Ada Example",
        "address": "Stationsplein",
        "house_number": "1",
        "email": "ada@shop.example",
        "weight": "0.907",
        "length": "30.00",
        "to_service_point": 1000001,
        "to_post_number": "77",
        "customs_shipment_type": 0,
        "customs_invoice_nr": "I-1",
        "shipping_method_checkout_name": "Express",
        "total_order_value": "29.98",
        "currency": "EUR",
        "order_status": {"id": "open", "message": "Open"},
        "payment_status": {"id": "paid", "message": "paid"},
        "shipment_created_at": "2026-03-01T09:30:00.000000Z",
    }
    assert {name: shown[name] for name in expected} == expected
    assert [(item["value"], item["weight"]) for item in shown["parcel_items"]] == [("12.99", "0.350"), ("4", None)]


def test_split_order_shares_its_ids(shop: Shop, sandbox: Sandbox) -> None:
    """The panel splits an order into several records, as a packer does for two boxes."""
    [created] = shop.upsert(order())
    uuids = sandbox.split_order("1042")
    found = shop.found(order_id="1042")
    assert len(set(uuids)) == len(found) == 2
    assert {(part["order_id"], part["order_number"]) for part in found} == {("1042", "A-1042")}
    names = {part["id"]: [item["name"] for item in part["order_details"]["order_items"]] for part in found}
    assert names.pop(str(created["id"])) == ["Mug"]
    assert list(names.values()) == [["Cup"]]
    # An upsert reaches the first part only.
    shop.upsert(order(order_number="B"))
    assert sorted(part["order_number"] for part in shop.found()) == ["A-1042", "B"]
    with pytest.raises(ValueError, match="cannot be split"):
        sandbox.split_order(uuids[1])
