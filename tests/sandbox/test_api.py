"""The sandbox's API: what Sendcloud does that no schema can say."""

from __future__ import annotations

import ast
import base64
import datetime as dt
import http.client
import json
from typing import Any

import pytest
import requests

from django_sendcloud.sandbox import Sandbox
from tests.payloads.builders import full_shipment

from .conftest import Shop, order

LATER = "2026-03-02T10:00:01Z"


def numbers(page: dict[str, Any]) -> list[str]:
    return [shipment["order_number"] for shipment in page["results"]]


# Upserts


def test_an_upsert_is_applied_only_where_updated_at_differs(shop: Shop, sandbox: Sandbox) -> None:
    [created] = shop.upsert(order(city="Delft", updated_at="2026-03-02T10:00:00Z"))
    assert created["status"] == "created"
    # The same stamp, also where it is written in another way: nothing happens, and nothing says so.
    for stamp in ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00.000000Z", "2026-03-02T12:00:00+02:00"):
        [same] = shop.upsert(order(city="Gouda", updated_at=stamp))
        assert same == {**created, "status": "updated"}
        assert sandbox.shipment("1042")["city"] == "Delft"
        assert sandbox.requests[-1].items[0].outcome == "unchanged"
    [updated] = shop.upsert(order(city="Gouda", updated_at=LATER))
    assert updated == {**created, "status": "updated"}
    assert sandbox.shipment("1042")["city"] == "Gouda"
    # "Differs", not "grows": an older state is taken as readily.
    shop.upsert(order(city="Utrecht", updated_at="2020-01-01T00:00:00Z"))
    assert sandbox.shipment("1042")["city"] == "Utrecht"
    assert len(sandbox.shipments()) == 1


def test_what_is_left_out_of_an_update_is_gone(shop: Shop, sandbox: Sandbox) -> None:
    shop.upsert(order(weight="1.5"))
    shop.upsert(order(updated_at=LATER))
    assert sandbox.shipment("1042")["weight"] is None


def test_a_shipment_twice_in_a_batch_is_one_shipment(shop: Shop, sandbox: Sandbox) -> None:
    first, second, third = shop.upsert(order(city="A"), order(city="B"), order(city="C", updated_at=LATER))
    assert [first["status"], second["status"], third["status"]] == ["created", "updated", "updated"]
    assert first["shipment_uuid"] == second["shipment_uuid"] == third["shipment_uuid"]
    assert [item.outcome for item in sandbox.requests[-1].items] == ["created", "unchanged", "updated"]
    assert [shipment["city"] for shipment in sandbox.shipments()] == ["C"]


def test_a_shipment_without_an_id_of_its_own(shop: Shop, sandbox: Sandbox) -> None:
    without, named = shop.upsert(order("1", None), order("1", "S1"))
    # Null comes back as "".
    assert (without["external_shipment_id"], named["external_shipment_id"]) == ("", "S1")
    assert without["shipment_uuid"] != named["shipment_uuid"]
    [again] = shop.upsert(order("1", None, updated_at=LATER))
    assert again["shipment_uuid"] == without["shipment_uuid"]
    assert sandbox.shipment("1", None)["external_shipment_id"] is None

    # "" is no id, and what is not sent at all is missing.
    absent = order("1")
    del absent["external_shipment_id"]
    empty, missing = shop.upsert(order("1", ""), absent)
    assert empty == {
        "error": {"external_shipment_id": ["This field may not be blank."]},
        "external_order_id": "1",
        "external_shipment_id": "",
        "status": "error",
    }
    assert missing["error"] == {"external_shipment_id": ["This field is required."]}
    assert len(sandbox.shipments()) == 2

    sandbox.external_ids_null = True
    assert shop.upsert(order("1", None, updated_at=LATER))[0]["external_shipment_id"] is None


def test_at_most_a_hundred_shipments_at_once(shop: Shop, sandbox: Sandbox) -> None:
    orders = [order(str(number)) for number in range(101)]
    assert "100" in shop.error(400, "POST", "shipments", orders)
    assert sandbox.shipments() == []
    assert len(shop.upsert(*orders[:100])) == 100
    assert len(sandbox.shipments()) == 100


def test_integrations_have_their_shipments_for_themselves(shop: Shop, sandbox: Sandbox) -> None:
    other = sandbox.add_integration()
    [mine] = shop.upsert(order())
    [theirs] = shop.ask("POST", f"/integrations/{other.id}/shipments", [order()]).json()
    assert (theirs["status"], theirs["shipment_uuid"] != mine["shipment_uuid"]) == ("created", True)
    by_uuid = {"shipment_uuid": theirs["shipment_uuid"]}
    assert shop.ask("POST", "shipments/delete", by_uuid).status_code == 404
    assert len(sandbox.shipments(other.id)) == 1


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"country": "XX"}, {"country": ['"XX" is not a valid choice.']}),
        ({"weight": "-1"}, {"weight": ["Ensure this value is greater than or equal to 0.001."]}),
        ({"weight": 1.5}, {"weight": ["Not a valid string."]}),
        ({"name": ""}, {"name": ["This field may not be blank."]}),
        ({"weight": f"0.{'1' * 35}"}, {"weight": ["Ensure this field has no more than 10 characters."]}),
        (
            {"shipping_method_checkout_name": "x" * 101},
            {"shipping_method_checkout_name": ["Ensure this field has no more than 100 characters."]},
        ),
        ({"email": "nobody"}, {"email": ["Enter a valid email address."]}),
        ({"currency": "CHF"}, {"currency": ['"CHF" is not a valid choice.']}),
        (
            {"parcel_items": [{"description": "Mug", "quantity": 1, "value": "1"}, {"hs_code": "1" * 13}]},
            # An entry for each of the items, an empty one where nothing is wrong.
            {
                "parcel_items": [
                    {},
                    {
                        "description": ["This field is required."],
                        "hs_code": ["Ensure this field has no more than 12 characters."],
                        "quantity": ["This field is required."],
                        "value": ["This field is required."],
                    },
                ]
            },
        ),
        (
            {"name": "", "city": None},
            {"name": ["This field may not be blank."], "city": ["This field may not be null."]},
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_a_bad_shipment_is_refused_alone_and_by_field(
    shop: Shop, sandbox: Sandbox, changes: dict[str, Any], errors: dict[str, Any]
) -> None:
    good, bad, other = shop.upsert(order("1"), order("2", **changes), order("3"))
    assert bad == {"error": errors, "external_order_id": "2", "external_shipment_id": "S1", "status": "error"}
    assert (good["status"], other["status"]) == ("created", "created")
    assert [shipment["external_order_id"] for shipment in sandbox.shipments()] == ["1", "3"]


# Lists


def test_pages_lead_forth_and_back(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.page_size = 2
    shop.upsert(*(order(str(number), order_number=str(number)) for number in range(5)))
    address, forth = "shipments", []
    while address:
        page = shop.get(address)
        forth.append(numbers(page))
        last, address = address, page["next"]
    assert forth == [["0", "1"], ["2", "3"], ["4"]]
    address, back = last, []
    while address:
        page = shop.get(address)
        back.append(numbers(page))
        address = page["previous"]
    assert back == [["4"], ["2", "3"], ["0", "1"]]
    # A cursor is what Sendcloud's are: a query in base64.
    cursor = requests.utils.unquote(shop.get("shipments")["next"].partition("cursor=")[2])
    assert base64.b64decode(cursor) == b"p=2"


def test_a_page_holds_its_place_while_the_list_changes(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.page_size = 2
    created = shop.upsert(*(order(str(number), order_number=str(number)) for number in range(4)))
    first = shop.get("shipments")
    for result in created[:2]:
        sandbox.delete_shipment(result["shipment_uuid"])
    shop.upsert(order("4", order_number="4"))
    second = shop.get(first["next"])
    assert numbers(second) == ["2", "3"]
    assert numbers(shop.get(second["next"])) == ["4"]


def test_a_link_keeps_the_filters(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.page_size = 1
    shop.upsert(*(order(str(number), order_number=str(number)) for number in range(4)))
    page = shop.get("shipments", external_order_ids=["1", "3"])
    assert (numbers(page), numbers(shop.get(page["next"]))) == (["1"], ["3"])
    assert shop.get(page["next"])["next"] is None


def test_empty_links_can_be_left_out(shop: Shop, sandbox: Sandbox) -> None:
    assert shop.get("shipments") == {"next": None, "previous": None, "results": []}
    sandbox.omit_empty_links = True
    assert shop.get("shipments") == {"results": []}


@pytest.mark.parametrize("cursor", ["", "!", "cD0x.", "eA==", "cD14", "cj0yJnA9MQ==", "cD0tMQ=="])
def test_a_cursor_that_was_never_given_out(shop: Shop, cursor: str) -> None:
    for path in ("shipments", "logs", "/integrations/logs", "/parcels"):
        assert shop.error(404, "GET", path, params={"cursor": cursor}) == "Invalid cursor"


def test_filters_of_shipments(shop: Shop, sandbox: Sandbox) -> None:
    checkout = full_shipment().to_json()["checkout_payload"]
    shop.upsert(
        order("1", "S1", order_number="A"),
        order("1", "S2", order_number="B"),
        order("2", "S1", order_number="C", checkout_payload={**checkout, "sender_address_id": 77}),
        order("3", None, order_number="D"),
    )
    for query, found in [
        ({}, "ABCD"),
        ({"external_order_ids": "1"}, "AB"),
        ({"external_order_ids": ["1", "3"]}, "ABD"),
        ({"external_order_ids": "1,3"}, ""),
        ({"external_shipment_ids": "S1"}, "AC"),
        ({"external_order_ids": "1", "external_shipment_ids": ["S1", "S9"]}, "A"),
        ({"order_number": "C"}, "C"),
        ({"order_number": "c"}, ""),
        ({"sender_address": 77}, "C"),
        ({"shipping_rules": "true"}, "ABCD"),
        ({"colour": "red"}, "ABCD"),
    ]:
        assert "".join(numbers(shop.get("shipments", **query))) == found, query


def test_a_list_of_shipments_goes_back_a_year_unless_asked(shop: Shop, sandbox: Sandbox) -> None:
    # What counts is when Sendcloud got it, not when the shop says it was.
    for day in (dt.date(2025, 3, 1), dt.date(2025, 3, 2), dt.date(2026, 3, 1)):
        now = dt.datetime.combine(day, dt.time(12), dt.UTC)
        sandbox.clock = lambda now=now: now
        shop.upsert(order(str(day), order_number=str(day), created_at="2001-01-01T00:00:00Z"))
    sandbox.clock = lambda: dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    assert numbers(shop.get("shipments")) == ["2025-03-02", "2026-03-01"]
    assert numbers(shop.get("shipments", start_date="2025-03-01")) == ["2025-03-01", "2025-03-02", "2026-03-01"]
    assert numbers(shop.get("shipments", start_date="2025-03-02", end_date="2025-03-02")) == ["2025-03-02"]
    assert numbers(shop.get("shipments", end_date="2025-03-01")) == []


def test_integrations_in_the_order_asked_for(shop: Shop, sandbox: Sandbox) -> None:
    for name in ("B", "C", "A"):
        sandbox.add_integration(name)
    sandbox.add_integration("Of somebody else", account="another")

    def names(**query: str) -> list[str]:
        return [integration["shop_name"] for integration in shop.get("/integrations", **query)]

    assert names() == ["Webshop", "B", "C", "A"]
    assert names(ordering="shop_name") == ["A", "B", "C", "Webshop"]
    assert names(ordering="-shop_name") == ["Webshop", "C", "B", "A"]
    assert names(ordering="webhook_active,-id") == ["A", "C", "B", "Webshop"]
    assert names(ordering="colour") == ["Webshop", "B", "C", "A"]


# Deletes


def test_a_shipment_is_deleted_by_its_uuid_or_by_its_ids(shop: Shop, sandbox: Sandbox) -> None:
    first, _, _ = shop.upsert(order("1", "S1"), order("2", "S1"), order("3", None))
    by_uuid = {"shipment_uuid": first["shipment_uuid"].upper()}
    assert shop.ask("POST", "shipments/delete", by_uuid).status_code == 204
    by_ids = {"external_order_id": "2", "external_shipment_id": "S1"}
    assert shop.ask("POST", "shipments/delete", by_ids).status_code == 204
    assert [shipment["external_order_id"] for shipment in sandbox.shipments()] == ["3"]
    for gone in (by_uuid, by_ids):
        assert shop.error(404, "POST", "shipments/delete", gone) == "No ShipmentBlob matches the given query."
    assert [item.outcome for request in sandbox.requests[1:] for item in request.items] == [
        *("deleted", "deleted", "not found", "not found")
    ]


def test_without_an_id_of_its_own_a_shipment_is_deleted_by_uuid_only(shop: Shop, sandbox: Sandbox) -> None:
    [created] = shop.upsert(order("1", None))
    missing = "Missing shipment_uuid or the pair external_order_id and external_shipment_id"
    no_uuid = "Must be a valid UUID."
    ids = {"external_order_id": "1", "external_shipment_id": "S1"}
    for body, message in [
        ({"external_order_id": "1"}, missing),
        ({"external_order_id": "1", "external_shipment_id": None}, missing),
        ({"external_order_id": 1, "external_shipment_id": "S1"}, missing),
        ({}, missing),
        ([], missing),
        ("text", missing),
        # Both at once: the contract has "oneOf".
        ({"shipment_uuid": created["shipment_uuid"], **ids}, missing),
        ({"shipment_uuid": None}, no_uuid),
        ({"shipment_uuid": 5}, no_uuid),
        ({"shipment_uuid": "1042"}, no_uuid),
        ({"shipment_uuid": created["shipment_uuid"].replace("-", "")}, no_uuid),
        ({"shipment_uuid": f"{{{created['shipment_uuid']}}}"}, no_uuid),
    ]:
        assert shop.error(400, "POST", "shipments/delete", body) == message, body
    # "" is not the same as none.
    shop.error(404, "POST", "shipments/delete", {"external_order_id": "1", "external_shipment_id": ""})
    assert len(sandbox.shipments()) == 1
    assert shop.ask("POST", "shipments/delete", {"shipment_uuid": created["shipment_uuid"]}).status_code == 204
    # An id that is no UUID does no harm where the pair is complete.
    shop.upsert(order("1", "S1"))
    assert shop.ask("POST", "shipments/delete", {"shipment_uuid": None, **ids}).status_code == 204


def test_a_deleted_shipment_can_come_back_as_another(shop: Shop) -> None:
    [first] = shop.upsert(order())
    shop.ask("POST", "shipments/delete", {"shipment_uuid": first["shipment_uuid"]})
    # Also with the updated_at it had.
    [second] = shop.upsert(order())
    assert second["status"] == "created"
    assert second["shipment_uuid"] != first["shipment_uuid"]


# Refusals


def test_errors_of_the_address(shop: Shop, sandbox: Sandbox) -> None:
    foreign = sandbox.add_integration(account="another")
    missing = "No Integration matches the given query."
    for integration_id in (foreign.id, 999_999, 0, "abc", "1.5", "%31", "1" * 30):
        for path in ("", "/shipments", "/logs"):
            assert shop.error(404, "GET", f"/integrations/{integration_id}{path}") == missing
    for path in ("/", "/integration", "/integrations/1001/orders", "/integrations/1001/shipments/x"):
        assert shop.error(404, "GET", path) == "Not found."
    answer = shop.ask("DELETE", "shipments")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
    # With or without a slash at the end, as Sendcloud's own examples have it.
    assert shop.get(f"/integrations/{sandbox.integration_id}/shipments/")["results"] == []


def test_errors_of_the_body(shop: Shop, sandbox: Sandbox) -> None:
    assert "JSON parse error" in shop.error(
        400, "POST", "shipments", data="{", headers={"Content-Type": "application/json"}
    )
    for constant in ("NaN", "Infinity", "-Infinity"):
        body = json.dumps([order()]).replace('"NL"', constant)
        assert "JSON" in shop.error(400, "POST", "shipments", data=body, headers={"Content-Type": "application/json"})
    deep = "[" * 100_000
    assert "JSON" in shop.error(400, "POST", "shipments", data=deep, headers={"Content-Type": "application/json"})
    assert "Unsupported media type" in shop.error(415, "POST", "shipments", data="a=b", headers={"Content-Type": "x/y"})
    # A GET must not have one.
    assert shop.ask("GET", "shipments", {"a": 1}).status_code == 403
    assert sandbox.shipments() == []


def test_a_body_too_large_is_refused_unread(sandbox: Sandbox) -> None:
    for headers, status in [
        ({"Content-Length": str(21 * 1024 * 1024)}, 413),
        ({"Content-Length": "-1"}, 400),
        ({"Transfer-Encoding": "chunked"}, 411),
    ]:
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
        connection.putrequest("POST", "/api/v2/integrations")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()


def test_errors_of_the_credentials(shop: Shop, sandbox: Sandbox) -> None:
    def says(authorization: str | None) -> str:
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = requests.get(f"{sandbox.base_url}/integrations", headers=headers, timeout=10)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="api"'
        assert answer.json()["error"].keys() == {"code", "request", "message"}
        return answer.json()["error"]["message"]

    def basic(user: str, password: str) -> str:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    wrong = "Invalid username/password."
    assert says(None) == "Authentication credentials were not provided."
    assert says(basic(sandbox.public_key, "wrong")) == wrong
    assert says(basic("wrong", sandbox.secret_key)) == wrong
    assert says(basic("", "")) == wrong
    assert says(basic("é", "é")) == wrong
    for broken in ("Basic", "Basic !", "Basic bm9jb2xvbg==", "Basic /w=="):
        assert "Invalid basic header" in says(broken)
    assert says("Digest abc") == "Invalid authentication scheme."
    assert says("Bearer abc") == "Invalid or expired token."
    sandbox.revoke_credentials()
    assert says(basic(*shop.keys)) == "User inactive or deleted."
    sandbox.restore_credentials()
    assert shop.get("/integrations")


def test_the_keys_of_an_integration_reach_all_of_its_account(shop: Shop, sandbox: Sandbox) -> None:
    other, foreign = sandbox.add_integration(), sandbox.add_integration(account="another")
    assert [found["id"] for found in shop.get("/integrations")] == [sandbox.integration_id, other.id]
    assert shop.get(f"/integrations/{other.id}")["id"] == other.id
    keys = foreign.public_key, foreign.secret_key
    answer = shop.ask("GET", "/integrations", auth=keys)
    assert [found["id"] for found in answer.json()] == [foreign.id]


def test_a_partner_id_is_checked_where_there_is_one(shop: Shop, sandbox: Sandbox) -> None:
    known, other = "6b436cb2-65a4-482c-9d25-38be7868ff00", "39874b59-2a68-4a3d-8e00-aeb9e0540d00"

    def status(partner: str) -> int:
        return shop.ask("GET", "/integrations", headers={"Sendcloud-Partner-Id": partner}).status_code

    assert (status(known), status(other), status("me")) == (200, 200, 400)
    sandbox.partner_ids = {known}
    assert (status(known), status(other)) == (200, 400)


# OAuth2


def token_of(sandbox: Sandbox, auth: tuple[str, str] | None, status: int = 200, **form: str) -> dict[str, Any]:
    fields = {"grant_type": "client_credentials", "scope": "api"} | form
    answer = requests.post(sandbox.token_url, fields, auth=auth, timeout=10)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_way_of_a_token(shop: Shop, sandbox: Sandbox) -> None:
    modern = sandbox.add_integration(auth="oauth2")
    client = (modern.client_id, modern.client_secret)
    token = token_of(sandbox, client)
    assert token == {
        "access_token": token["access_token"],
        "expires_in": 3600,
        "scope": "api",
        "token_type": "bearer",
    }
    bearer = {"Authorization": f"Bearer {token['access_token']}"}

    def status(headers: dict[str, str]) -> int:
        return requests.get(f"{sandbox.base_url}/integrations/{modern.id}", headers=headers, timeout=10).status_code

    assert status(bearer) == 200
    # Who has switched it on cannot go back in through the old door.
    assert "OAuth2" in shop.error(401, "GET", "/integrations", auth=client)
    sandbox.revoke_tokens()
    assert status(bearer) == 401
    # The slash at the end is the contract's.
    assert requests.post(f"{sandbox.token_url}/", {"grant_type": "client_credentials"}, auth=client, timeout=10).ok
    sandbox.token_lifetime = 0
    expired = token_of(sandbox, client)
    assert expired["expires_in"] == 0
    assert status({"Authorization": f"Bearer {expired['access_token']}"}) == 401


def test_who_gets_no_token(sandbox: Sandbox) -> None:
    modern = sandbox.add_integration(auth="oauth2")
    client = (modern.client_id, modern.client_secret)
    nobody = {"error": "invalid_client", "error_description": "The request is not accepted."}
    assert token_of(sandbox, None, 401) == nobody
    assert token_of(sandbox, (modern.client_id, "wrong"), 401) == nobody
    # An integration with Basic auth has no client.
    assert token_of(sandbox, (sandbox.client_id, sandbox.client_secret), 401) == nobody
    assert token_of(sandbox, client, 400, grant_type="password")["error"] == "unsupported_grant_type"
    assert token_of(sandbox, client, 400, scope="everything")["error"] == "invalid_scope"
    sandbox.revoke_credentials(modern.id)
    assert token_of(sandbox, client, 401) == nobody


# Settings of an integration


def test_settings_are_changed_one_by_one_or_all_at_once(shop: Shop, sandbox: Sandbox) -> None:
    before = shop.get("")
    assert (before["shop_url"], before["webhook_url"], before["webhook_active"]) == (None, None, False)
    sandbox.clock = lambda: dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    some = shop.ask("PATCH", "", {"service_point_carriers": ["ups"], "service_point_enabled": True})
    assert some.status_code == 200
    assert some.json()["last_updated_at"] == "2030-01-01T00:00:00.000000Z"
    # What was never set is not mentioned: in an answer to a change an address may not be null.
    assert "shop_url" not in some.json()
    everything = {
        "shop_name": "New",
        "shop_url": "https://shop.example/",
        "service_point_enabled": False,
        "service_point_carriers": [],
        "webhook_active": False,
        "webhook_url": "https://user:pass@shop.example/hook",
    }
    assert shop.ask("PUT", "", everything).status_code == 200
    changed = shop.get("")
    assert {name: changed[name] for name in everything} == everything
    assert (changed["id"], changed["system"]) == (before["id"], before["system"])


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"webhook_active": None}, {"settings": ["webhook_active: This field may not be null."]}),
        ({"webhook_url": ""}, {"settings": ["webhook_url: This field may not be blank."]}),
        ({"webhook_url": "ftp://shop.example"}, {"settings": ["webhook_url: Enter a valid URL."]}),
        ({"webhook_active": "yes"}, {"settings": ["webhook_active: Must be a valid boolean."]}),
        (
            {"webhook_active": True},
            {"settings": ["webhook_url: Webhook URL required when enable webhook is set to true"]},
        ),
        (
            {"service_point_enabled": True},
            {"settings": ["service_point_carriers: At least one carrier is required when service points are enabled."]},
        ),
        ({"service_point_carriers": ["ups", 1]}, {"settings": ["service_point_carriers: Not a valid string."]}),
        ({"shop_name": ""}, {"shop_name": ["This field may not be blank."]}),
        ({"shop_name": "x" * 251}, {"shop_name": ["Ensure this field has no more than 250 characters."]}),
        ({"shop_url": "shop"}, {"shop_url": ["Enter a valid URL."]}),
    ],
    ids=repr,
)
def test_wrong_settings_change_nothing(
    shop: Shop, sandbox: Sandbox, change: dict[str, Any], errors: dict[str, Any]
) -> None:
    before = shop.get("")
    for method in ("PUT", "PATCH"):
        whole = {"service_point_enabled": False, "service_point_carriers": [], "webhook_active": False}
        body = {**(whole if method == "PUT" else {}), "shop_name": "Changed", **change}
        assert ast.literal_eval(shop.error(400, method, "", body)) == errors
    assert shop.get("") == before


def test_all_settings_means_all(shop: Shop) -> None:
    error = ast.literal_eval(shop.error(400, "PUT", "", {"webhook_active": False}))
    assert error == {
        "settings": [
            "service_point_enabled: This field is required.",
            "service_point_carriers: This field is required.",
        ]
    }


def test_a_deleted_integration_is_gone_with_all_it_had(shop: Shop, sandbox: Sandbox) -> None:
    other = sandbox.add_integration()
    path = f"/integrations/{other.id}"
    shop.ask("POST", f"{path}/shipments", [order()])
    shop.ask("POST", f"{path}/logs", {"base_url": "https://shop.example"})
    assert shop.ask("DELETE", path).status_code == 204
    assert shop.ask("DELETE", path).status_code == 404
    assert shop.error(401, "GET", "/integrations", auth=(other.public_key, other.secret_key))
    assert (sandbox.shipments(), sandbox.connection_log) == ([], [])


# The merchant's connection log


def test_the_connection_log(shop: Shop, sandbox: Sandbox) -> None:
    other = sandbox.add_integration()
    entry = {"base_url": "https://shop.example", "exception": "no such order", "user_id": 5, "protected": True}
    stored = shop.ask("POST", "logs", entry).json()
    assert stored["protected"] is False
    # "created_at" is now, where it was not said.
    assert abs(dt.datetime.fromisoformat(stored["created_at"]) - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    shop.ask(
        "POST", f"/integrations/{other.id}/logs", {"base_url": "https://other.example", "integration_id": other.id}
    )
    assert [found["base_url"] for found in shop.get("logs")["results"]] == ["https://shop.example"]
    assert len(shop.get("/integrations/logs")["results"]) == 2
    assert [found["integration_id"] for found in sandbox.connection_log] == [sandbox.integration_id, other.id]
    foreign = sandbox.add_integration(account="another")
    answer = shop.ask("GET", "/integrations/logs", auth=(foreign.public_key, foreign.secret_key))
    assert answer.json()["results"] == []
    for body, field in [
        ({}, "base_url"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": "x", "response_code": -1}, "response_code"),
        ({"base_url": "x", "exception": None}, "exception"),
        ({"base_url": "x", "created_at": "today"}, "created_at"),
        ({"base_url": "x", "integration_id": other.id}, "integration_id"),
    ]:
        assert ast.literal_eval(shop.error(400, "POST", "logs", body)).keys() == {field}


# Rate limits


def test_rate_limits_are_the_accounts_and_can_be_switched_on(shop: Shop, sandbox: Sandbox) -> None:
    other, foreign = sandbox.add_integration(), sandbox.add_integration(account="another")

    def status(method: str, keys: tuple[str, str] = shop.keys) -> int:
        return shop.ask(method, "/integrations/1", auth=keys).status_code

    assert {status("DELETE") for _ in range(110)} == {404}
    sandbox.rate_limits = True
    assert {status("DELETE") for _ in range(100)} == {404}
    # All methods that change something, and all keys of the account, count together …
    assert status("PATCH") == status("DELETE", (other.public_key, other.secret_key)) == 429
    # … reading and other accounts do not.
    assert status("GET") == status("DELETE", (foreign.public_key, foreign.secret_key)) == 404
    sandbox.rate_limits = False
    assert status("DELETE") == 404


def test_a_429_says_nothing_unless_told_to(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.set_rate_limits(unsafe=0, safe=1)
    assert shop.ask("GET", "/integrations").status_code == 200
    refused = shop.ask("GET", "/integrations")
    assert (refused.status_code, refused.content, refused.headers.get("Retry-After")) == (429, b"", None)
    for value in (30, "Wed, 21 Oct 2026 07:28:00 GMT"):
        sandbox.retry_after = value
        assert shop.ask("GET", "/integrations").headers["Retry-After"] == str(value)


def test_what_is_refused_does_not_count_and_a_window_passes(shop: Shop, sandbox: Sandbox) -> None:
    def statuses(number: int) -> list[int]:
        return [shop.ask("GET", "/integrations").status_code for _ in range(number)]

    sandbox.set_rate_limits(safe=1, window=3600)
    assert statuses(3) == [200, 429, 429]
    sandbox.set_rate_limits(safe=2, window=3600)
    assert statuses(2) == [200, 429]
    # As if the time had passed.
    sandbox.set_rate_limits(safe=2, window=0)
    assert statuses(1) == [200]
    sandbox.set_rate_limits(safe=2, window=3600)
    assert statuses(2) == [200, 429]


# Whose keys they are


def test_metadata_says_whose_keys_they_are(shop: Shop, sandbox: Sandbox) -> None:
    answer = shop.ask("GET", f"{sandbox.origin}/api/v3/user/auth/metadata")
    assert answer.json() == {"data": {"user_id": 1, "integration_id": sandbox.integration_id}}
