"""Credentials, limits, scopes and faults: common to both generations, worded for v3."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from django_sendcloud.sandbox import Sandbox
from tests.sandbox.conftest import Shop as OldShop
from tests.sandbox.conftest import order as shipment

from .conftest import Shop, order


def test_wrong_keys_are_refused(shop: Shop, sandbox: Sandbox) -> None:
    for auth in (("wrong", "wrong"), (sandbox.public_key, "wrong")):
        [error] = shop.errors(401, "GET", "/orders", auth=auth)
        assert error == {
            "status": "401",
            "code": "authentication_failed",
            "detail": "Invalid username/password.",
            "source": {"pointer": "/data"},
        }


def test_unknown_addresses_are_refused(shop: Shop) -> None:
    assert shop.errors(404, "GET", "/nothing")[0]["code"] == "not_found"
    response = shop.ask("PUT", "/orders")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, POST")
    assert "errors" in response.json()
    assert shop.errors(403, "GET", "/orders", {"a": 1})[0]["code"] == "forbidden"
    headers = {"Content-Type": "text/plain"}
    assert shop.errors(415, "POST", "/orders", data="[]", headers=headers)[0]["code"] == "invalid"


def test_limits_are_shared_by_generations(shop: Shop, sandbox: Sandbox) -> None:
    old_shop = OldShop(sandbox)
    sandbox.set_rate_limits(unsafe=2, safe=2)
    assert old_shop.upsert(shipment())
    assert shop.upsert(order("2"))
    response = shop.ask("POST", "/orders", [order("3")])
    assert (response.status_code, response.content) == (429, b"")
    assert old_shop.ask("POST", "shipments", [shipment()]).status_code == 429
    old_shop.session.close()


@pytest.fixture
def bearer(sandbox: Sandbox) -> Any:
    """Return a function that gets a token for scopes, as headers."""
    modern = sandbox.add_integration(auth="oauth2")

    def get(scope: str | None) -> dict[str, str]:
        form = {"grant_type": "client_credentials"} | ({} if scope is None else {"scope": scope})
        response = requests.post(sandbox.token_url, form, auth=(modern.client_id, modern.client_secret), timeout=10)
        assert response.status_code == 200, response.text
        return {"Authorization": f"Bearer {response.json()['access_token']}"}

    return get


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("api", (200, 201)),
        (None, (200, 201)),
        ("read:order write:order", (200, 201)),
        ("read:order", (200, 403)),
        ("read:integration", (403, 403)),
    ],
)
def test_scopes_limit_tokens(sandbox: Sandbox, bearer: Any, scope: str | None, statuses: tuple[int, int]) -> None:
    headers, url = bearer(scope), f"{sandbox.v3_url}/orders"
    read = requests.get(url, headers=headers, timeout=10)
    write = requests.post(url, json=[order()], headers=headers, timeout=10)
    assert (read.status_code, write.status_code) == statuses


def test_scopes_must_be_granted(sandbox: Sandbox) -> None:
    modern = sandbox.add_integration(auth="oauth2")
    sandbox.oauth_scopes = {"read:order", "write:order"}
    form = {"grant_type": "client_credentials", "scope": "api"}
    keys = (modern.client_id, modern.client_secret)
    refused = requests.post(sandbox.token_url, form, auth=keys, timeout=10)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    del form["scope"]
    assert requests.post(sandbox.token_url, form, auth=keys, timeout=10).json()["scope"] == "read:order write:order"


def test_partner_id_is_checked(shop: Shop, sandbox: Sandbox) -> None:
    known = "6b436cb2-65a4-482c-9d25-38be7868ff00"
    sandbox.partner_ids = {known}
    assert shop.ask("GET", "/orders", headers={"Sendcloud-Partner-Id": known}).status_code == 200
    [error] = shop.errors(400, "GET", "/orders", headers={"Sendcloud-Partner-Id": "me"})
    assert "partner" in error["detail"]


def test_v2_shipments_can_be_for_partners(shop: Shop, sandbox: Sandbox) -> None:
    old_shop = OldShop(sandbox)
    sandbox.certified_partners_only = True
    assert "permission" in old_shop.error(403, "POST", "shipments", [shipment()])
    assert sandbox.shipments() == []
    partner = {"Sendcloud-Partner-Id": "6b436cb2-65a4-482c-9d25-38be7868ff00"}
    assert old_shop.ask("POST", "shipments", [shipment()], headers=partner).status_code == 200
    assert old_shop.get("shipments")["results"]
    assert shop.upsert(order("2"))
    old_shop.session.close()


# Faults


def test_fault_by_verb_hits_generations(shop: Shop, sandbox: Sandbox) -> None:
    old_shop = OldShop(sandbox)
    sandbox.fail_next(503, times=2, match="upsert")
    assert shop.ask("GET", "/orders").status_code == 200
    assert shop.ask("POST", "/orders", [order()]).status_code == 503
    assert old_shop.ask("POST", "shipments", [shipment()]).status_code == 503
    assert (sandbox.orders(), sandbox.faults) == ([], [])
    old_shop.session.close()


def test_lost_answer_applies_order(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.drop_answer()
    with pytest.raises(requests.ConnectionError):
        shop.ask("POST", "/orders", [order()])
    assert shop.ids() == ["1042"]
    sandbox.html_next(match="delete")
    response = shop.ask("DELETE", f"/orders/{shop.found()[0]['id']}")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert shop.ids() == []


def test_rejected_order_is_named(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.reject_order("2", {"shipping_address/postal_code": ["No such postal code"]})
    [error] = shop.errors(400, "POST", "/orders", [order("1"), order("2")])
    assert error["detail"] == "No such postal code"
    assert error["source"]["pointer"] == "/data/attributes/[1]/shipping_address/postal_code"
    assert sandbox.orders() == []


def test_poisoned_batch_names_nothing(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.poison_batch("2")
    [error] = shop.errors(400, "POST", "/orders", [order("1"), order("2")])
    assert "source" not in error
    assert shop.upsert(order("1"))
    sandbox.poison_batch("2", 500)
    assert shop.ask("POST", "/orders", [order("2")]).status_code == 500


@pytest.mark.parametrize(
    ("how", "ids"),
    [("missing", ["1", "2"]), ("duplicate", ["1", "2", "3", "1"]), ("unknown", ["an unknown order", "2", "3"])],
)
def test_results_can_be_garbled(shop: Shop, sandbox: Sandbox, how: Any, ids: list[str]) -> None:
    sandbox.garble_results(how)
    assert [result["order_id"] for result in shop.upsert(order("1"), order("2"), order("3"))] == ids
    assert len(sandbox.orders()) == 3


def test_metadata_identifies_keys(shop: Shop, sandbox: Sandbox) -> None:
    assert shop.ask("GET", "/user/auth/metadata").json() == {
        "data": {"user_id": 1, "integration_id": sandbox.integration_id}
    }
