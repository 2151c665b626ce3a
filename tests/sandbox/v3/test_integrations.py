"""Integrations, their logs, and labelled shipments in v3."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from django_sendcloud.sandbox import Sandbox
from tests.sandbox.conftest import Receiver

from .conftest import Shop, order


def test_integrations_have_new_names(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.change_integration(shop_url="https://shop.example/")
    shown = shop.ask("GET", f"/integrations/{sandbox.integration_id}").json()["data"]
    assert [shown] == shop.ask("GET", "/integrations").json()["data"]
    assert shown.keys() == {
        *("id", "shop_name", "shop_url", "type", "started_failing_at", "last_fetched_at", "created_at", "updated_at"),
        *("service_point_enabled", "service_point_carriers", "webhook_active", "webhook_url", "feedback_type"),
    }
    assert (shown["type"], shown["last_fetched_at"]) == ("api", None)
    shop.upsert(order())
    assert shop.ask("GET", "/integrations").json()["data"][0]["last_fetched_at"]


def test_integrations_are_sorted(shop: Shop, sandbox: Sandbox) -> None:
    moment = sandbox.clock()
    for number, name in enumerate(("B", "A"), start=1):
        sandbox.clock = lambda number=number: moment + dt.timedelta(days=number)
        sandbox.add_integration(name)
    sandbox.add_integration("Foreign", account="another")

    def names(sort: str) -> list[str]:
        return [shown["shop_name"] for shown in shop.ask("GET", "/integrations", params={"sort": sort}).json()["data"]]

    assert names("-created_at") == ["A", "B", "Webshop"]
    assert names("created_at") == names("colour") == names("integration_type") == ["Webshop", "B", "A"]


def test_settings_change_without_answer(shop: Shop, sandbox: Sandbox, receiver: Receiver) -> None:
    path = f"/integrations/{sandbox.integration_id}"
    response = shop.ask("PATCH", path, {"webhook_url": receiver.url, "webhook_active": True})
    assert (response.status_code, response.content) == (204, b"")
    # Webhooks keep the names of v2.
    connected = receiver.next()
    assert connected.action == "integration_connected"
    assert {"system", "last_updated_at"} <= connected.payload["integration"].keys()
    shop.ask("PATCH", path, {"feedback_type": "none", "webhook_active": False, "webhook_url": None})
    shown = shop.ask("GET", path).json()["data"]
    assert (shown["feedback_type"], shown["webhook_url"]) == ("none", None)
    for body in (
        {"webhook_url": ""},
        {"shop_url": None},
        {"service_point_enabled": True},
        {"shop_name": "x" * 251},
        [],
    ):
        shop.errors(400, "PATCH", path, body)
    assert shop.ask("GET", path).json()["data"] == shown
    for method in ("PUT", "POST"):
        assert shop.ask(method, path, {}).status_code == 405


def test_integration_is_deleted(shop: Shop, sandbox: Sandbox) -> None:
    other = sandbox.add_integration()
    assert shop.ask("DELETE", f"/integrations/{other.id}").status_code == 204
    for wrong in (other.id, "x", 0, sandbox.add_integration(account="another").id):
        [error] = shop.errors(404, "GET", f"/integrations/{wrong}")
        assert error["detail"] == "The Integration could not be found with the search criteria given"


# Logs


def test_log_schema_is_closed(shop: Shop, sandbox: Sandbox) -> None:
    path = f"/integrations/{sandbox.integration_id}/logs"
    entry = {"base_url": "https://shop.example", "exception": "no such order", "response": {"body": {"a": 1}}}
    stored = shop.ask("POST", path, entry)
    assert stored.status_code == 201
    assert entry.items() <= stored.json()["data"].items()
    for name in ("integration_id", "user_id", "protected"):
        assert shop.errors(400, "POST", path, {**entry, name: 1}) == [
            {
                "status": "400",
                "code": "extra_forbidden",
                "title": "Extra Forbidden",
                "detail": "Extra inputs are not permitted",
                "source": {"pointer": f"body/{name}"},
            }
        ]
    assert shop.errors(400, "POST", path, {})[0]["source"]["pointer"] == "body/base_url"
    assert len(sandbox.connection_log) == 1


def test_logs_page_by_moment(shop: Shop, sandbox: Sandbox) -> None:
    path = f"/integrations/{sandbox.integration_id}/logs"
    for day in (3, 1, 2, 2):
        created = f"2026-03-0{day}T01:00:00+01:00"
        shop.ask("POST", path, {"base_url": f"https://{day}.example", "created_at": created})
    pages, query = [], {"page_size": "1"}
    while query:
        response = shop.ask("GET", path, params=query)
        pages.append([entry["base_url"][8] for entry in response.json()["data"]])
        link = response.links.get("next", {}).get("url", "")
        query = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    # Entries of one moment share a page, because the cursor is a moment.
    assert pages == [["3"], ["2", "2"], ["1"]]
    assert len(shop.ask("GET", "/integrations/logs").json()["data"]) == 4


# Labelled shipments


def test_shipments_show_labels(shop: Shop, sandbox: Sandbox) -> None:
    other = sandbox.add_integration()
    shop.upsert(order("1", order_number="A"), order("2", order_details__integration={"id": other.id}))
    first, second = sandbox.create_label("1", 2)
    [third] = sandbox.create_label("2")
    sandbox.create_return(first["id"])
    moment = sandbox.clock()
    sandbox.clock = lambda: moment + dt.timedelta(minutes=1)
    sandbox.set_parcel_status(second["id"], 11)

    def found(**query: Any) -> list[list[int]]:
        shown = shop.ask("GET", "/shipments", params=query).json()["data"]
        return [[parcel["id"] for parcel in shipment["parcels"]] for shipment in shown]

    both = [first["id"], second["id"]]
    assert found() == [[third["id"]], both]
    for query in (
        {"order_number": "A"},
        {"integration_id": sandbox.integration_id},
        {"updated_after": moment.isoformat()},
        {"parcel_status": "DELIVERED"},
        {"parcel_status": 11},
        {"ids": first["id"]},
        {"shipment_uuids": first["colli_uuid"]},
        {"tracking_number": second["tracking_number"]},
    ):
        assert found(**query) == [both], query
    assert found(announced_before="2020-01-01T00:00:00Z") == found(external_reference_id="x") == []
    # No filter knows the shop's id of the order; unknown parameters are ignored.
    assert found(order_id="1") == [[third["id"]], both]
    shown = shop.ask("GET", "/shipments", params={"order_number": "A"}).json()["data"][0]
    assert [parcel["status"] for parcel in shown["parcels"]] == [
        {"code": "READY_TO_SEND", "message": "Ready to send"},
        {"code": "DELIVERED", "message": "Delivered"},
    ]


def test_shipment_is_cancelled_with_parcels(shop: Shop, sandbox: Sandbox) -> None:
    shop.upsert(order())
    uuids = [sandbox.create_label("1042", 2)[0]["colli_uuid"] for _ in range(3)]
    announced, under_way = sandbox.parcels()[2], sandbox.parcels()[4]
    sandbox.set_parcel_status(announced["id"], 1)
    sandbox.set_parcel_status(under_way["id"], 3)

    def cancel(uuid: str) -> tuple[int, str]:
        response = shop.ask("POST", f"/shipments/{uuid}/cancel")
        body = response.json()
        return response.status_code, body["data"]["status"] if "data" in body else body["errors"][0]["detail"]

    shown = shop.ask("GET", f"/shipments/{uuids[0]}").json()["data"]
    assert shown in shop.ask("GET", "/shipments").json()["data"]
    shop.errors(404, "GET", "/shipments/x")
    assert cancel(uuids[0]) == (200, "cancelled")
    assert cancel(uuids[0]) == (409, "This shipment is already being cancelled.")
    assert cancel(uuids[1]) == (202, "queued")
    assert cancel(uuids[2]) == (409, "Shipped parcels, or parcels being shipped, cannot be cancelled.")
    assert cancel("x")[0] == 404
    assert [parcel["status"]["id"] for parcel in sandbox.parcels()] == [2000, 2000, 1999, 2000, 3, 1000]


@pytest.mark.parametrize("empty", [True, False])
def test_webhooks_may_lack_references(shop: Shop, sandbox: Sandbox, listening: Receiver, empty: bool) -> None:
    """No publication shows the webhook of a v3 order, so each reference can be missing."""
    shop.upsert(order())
    sandbox.v3_references, sandbox.v3_references_empty = {"order_number"}, empty
    [parcel] = sandbox.create_label("1042")
    shown = listening.next().payload["parcel"]
    assert shown == parcel
    assert shown["order_number"] == "A-1042"
    missing = {"shipment_uuid": None, "external_order_id": "", "external_shipment_id": ""}
    assert {name: shown[name] for name in missing if name in shown} == (missing if empty else {})
