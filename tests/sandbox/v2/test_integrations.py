"""Integrations and their connection log in v2."""

from __future__ import annotations

import ast
import datetime as dt
from typing import Any

import pytest

from django_sendcloud.sandbox import Sandbox

from ..conftest import Shop, order


def test_integrations_are_sorted(shop: Shop, sandbox: Sandbox) -> None:
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


def test_settings_change_singly_or_together(shop: Shop, sandbox: Sandbox) -> None:
    before = shop.get("")
    assert (before["shop_url"], before["webhook_url"], before["webhook_active"]) == (None, None, False)
    sandbox.clock = lambda: dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    some = shop.ask("PATCH", "", {"service_point_carriers": ["ups"], "service_point_enabled": True})
    assert some.status_code == 200
    assert some.json()["last_updated_at"] == "2030-01-01T00:00:00.000000Z"
    # An address that was never set is absent, because the answer to a change may not have it null.
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


def test_put_needs_all_settings(shop: Shop) -> None:
    error = ast.literal_eval(shop.error(400, "PUT", "", {"webhook_active": False}))
    assert error == {
        "settings": [
            "service_point_enabled: This field is required.",
            "service_point_carriers: This field is required.",
        ]
    }


def test_deleted_integration_takes_its_contents(shop: Shop, sandbox: Sandbox) -> None:
    other = sandbox.add_integration()
    path = f"/integrations/{other.id}"
    shop.ask("POST", f"{path}/shipments", [order()])
    shop.ask("POST", f"{path}/logs", {"base_url": "https://shop.example"})
    assert shop.ask("DELETE", path).status_code == 204
    assert shop.ask("DELETE", path).status_code == 404
    assert shop.error(401, "GET", "/integrations", auth=(other.public_key, other.secret_key))
    assert (sandbox.shipments(), sandbox.connection_log) == ([], [])


def test_connection_log_takes_reports(shop: Shop, sandbox: Sandbox) -> None:
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
