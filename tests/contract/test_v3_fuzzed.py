"""The sandbox under generated v3 requests, allowed and forbidden ones."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig

from django_sendcloud.sandbox import Sandbox
from django_sendcloud.sandbox.v3.order_checks import check_order
from tests.payloads.generate import json_values

from .test_v2_fuzzed import CHECKS, derandomized
from .test_v3_answers import full_order
from .v3 import NOT_IMPLEMENTED, patched, wrong_fields

pytestmark = [pytest.mark.long, pytest.mark.exhaustive]

config = SchemathesisConfig.from_dict({"seed": 1, "generation": {"deterministic": True}})


def schema_of(name: str) -> Any:
    contents = patched(name)
    paths = {
        path: {method: item for method, item in methods.items() if (method.upper(), path) not in NOT_IMPLEMENTED}
        for path, methods in contents["paths"].items()
    }
    return schemathesis.openapi.from_dict({**contents, "paths": paths}, config=config)


orders, integrations, shipments = schema_of("orders"), schema_of("integrations"), schema_of("shipments")


def play(case: schemathesis.Case, live: Sandbox, session: requests.Session) -> None:
    case.call_and_validate(live.v3_url, session, checks=CHECKS)


def seldom(case: schemathesis.Case) -> bool:
    """Return whether a case may keep its generated id, which nothing has."""
    return zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode()) % 8 == 0


@orders.parametrize()
@settings(derandomized, max_examples=8)
def test_order_answers_are_documented(case: schemathesis.Case, live: Sandbox, session: requests.Session) -> None:
    if "id" in case.path_parameters and not seldom(case):
        sent = session.post(f"{live.v3_url}/orders", json=[full_order()], timeout=10)
        case.path_parameters["id"] = sent.json()["data"][0]["id"]
    if case.method == "POST" and isinstance(case.body, list):
        for item in case.body:
            if isinstance(item, dict) and isinstance(item.get("order_details"), dict):
                item["order_details"] = {**item["order_details"], "integration": {"id": live.integration_id}}
    play(case, live, session)


@integrations.parametrize()
@settings(derandomized, max_examples=25)
def test_integration_answers_are_documented(case: schemathesis.Case, live: Sandbox, session: requests.Session) -> None:
    if "id" in case.path_parameters and not seldom(case):
        case.path_parameters["id"] = live.add_integration().id if case.method == "DELETE" else live.integration_id
    play(case, live, session)


@shipments.parametrize()
@settings(derandomized, max_examples=25)
def test_shipment_answers_are_documented(case: schemathesis.Case, live: Sandbox, session: requests.Session) -> None:
    if "id" in case.path_parameters and not seldom(case):
        session.post(f"{live.v3_url}/orders", json=[full_order()], timeout=10)
        case.path_parameters["id"] = live.create_label("1042")[0]["colli_uuid"]
    play(case, live, session)


def spoil(draw: st.DrawFn, value: Any) -> Any:
    """Return a value with something else, or nothing, at the end of a random path."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 4)):
            return {**value, key: spoil(draw, value[key])}
        return {name: item for name, item in value.items() if name != key}
    if isinstance(value, list) and value:
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], spoil(draw, value[index]), *value[index + 1 :]]
    return draw(json_values | st.sampled_from(["", "0", "-1", "EUR", "kg", "a@b", 0, 1, 0.5, -1, True]))


@st.composite
def spoilt_orders(draw: st.DrawFn) -> Any:
    """Generate orders, most of them spoilt in several places."""
    value: Any = full_order()
    for _ in range(draw(st.integers(0, 3))):
        value = spoil(draw, value)
    return value


@given(spoilt_orders())
@derandomized
def test_verdict_matches_contract(value: Any) -> None:
    if isinstance(value, dict):
        # JSON Schema does not define the format of this field.
        for item in (value.get("order_details") or {}).get("order_items") or () if _has_items(value) else ():
            if isinstance(item, dict):
                item.pop("image_url", None)
    ours = {str(path[0]) if path else "" for path, _ in check_order(value)}
    assert ours == wrong_fields("batch-order", value)


def _has_items(value: dict[str, Any]) -> bool:
    details = value.get("order_details")
    return isinstance(details, dict) and isinstance(details.get("order_items"), list)


@given(st.lists(spoilt_orders(), min_size=1, max_size=4))
@settings(derandomized, max_examples=50)
def test_batch_names_exactly_the_wrong_orders(live: Sandbox, session: requests.Session, batch: list[Any]) -> None:
    live.reset()
    response = session.post(
        f"{live.v3_url}/orders", json.dumps(batch), headers={"Content-Type": "application/json"}, timeout=10
    )
    assert response.status_code in (201, 400)
    if response.status_code == 201:
        assert not any(check_order(item) for item in batch)
        return
    named = {error["source"]["pointer"].split("/")[3] for error in response.json()["errors"]}
    wrong = {f"[{index}]" for index, item in enumerate(batch) if check_order(item)}
    others = {
        f"[{index}]"
        for index, item in enumerate(batch)
        if f"[{index}]" not in wrong and item["order_details"]["integration"]["id"] != live.integration_id
    }
    assert named == wrong | others
    assert live.orders() == []
