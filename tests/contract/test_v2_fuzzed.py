"""The sandbox under whatever the OpenAPI document lets machines think of, what it forbids included."""

from __future__ import annotations

import ast
import functools
import json
import zlib
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from django_sendcloud.sandbox import Sandbox
from tests.payloads.contract import schema as schema_of
from tests.payloads.generate import instances, json_values

from .v2 import patched, wrong_fields

pytestmark = [pytest.mark.long, pytest.mark.exhaustive]

config = SchemathesisConfig.from_dict({"seed": 1, "generation": {"deterministic": True}})
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance, content_type_conformance]

schema = schemathesis.openapi.from_dict(patched(), config=config)
derandomized = settings(derandomize=True, suppress_health_check=list(HealthCheck))


# Answers


@schema.parametrize()
@settings(derandomized, max_examples=25)
def test_answers_are_documented(case: schemathesis.Case, live: Sandbox, session: requests.Session) -> None:
    # Nothing is found out about an operation where there is no integration: most cases are led to one.
    chance = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode()) % 8
    if "id" in case.path_parameters and chance:
        case.path_parameters["id"] = live.add_integration().id if case.method == "DELETE" else live.integration_id
    case.call_and_validate(live.v2_url, session, checks=CHECKS)


# Verdicts


@functools.cache
def valid(name: str) -> st.SearchStrategy[Any]:
    return instances(schema_of(name))


@st.composite
def values(draw: st.DrawFn, name: str) -> Any:
    """Generate values of a schema, most of them spoilt somewhere."""
    value = draw(valid(name))
    for _ in range(draw(st.integers(0, 3))):
        value = spoil(draw, value)
    return value


def spoil(draw: st.DrawFn, value: Any) -> Any:
    """Go down a random path, and at its end put something else, or leave something out."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 3)):
            return {**value, key: spoil(draw, value[key])}
        return {name: item for name, item in value.items() if name != key}
    if isinstance(value, list) and value:
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], spoil(draw, value[index]), *value[index + 1 :]]
    return draw(json_values | st.sampled_from(["", "0", "-1", "0.0005", "1.5.5", "NL", "a@b", "x" * 101, 1.0, 0.5]))


@pytest.fixture(scope="module")
def post(live: Sandbox, session: requests.Session) -> Any:
    def send(path: str, body: Any) -> requests.Response:
        address = f"{live.v2_url}/integrations/{live.integration_id}/{path}"
        return session.post(address, json.dumps(body), headers={"Content-Type": "application/json"}, timeout=10)

    return send


@given(st.lists(values("ShipmentBlobOrderCreate"), min_size=1, max_size=4))
@derandomized
def test_shipment_errors_match_contract(post: Any, batch: list[Any]) -> None:
    answer = post("shipments", batch)
    assert answer.status_code == 200
    assert [set(result.get("error", {})) for result in answer.json()] == [
        wrong_fields("ShipmentBlobOrderCreate", item) for item in batch
    ]


@given(values("IntegrationLog"))
@derandomized
def test_log_errors_match_contract(post: Any, entry: Any) -> None:
    if isinstance(entry, dict):
        # Read-only fields are ignored, and the integration must be the one of the address.
        entry = {name: value for name, value in entry.items() if name not in ("id", "protected", "integration_id")}
    answer = post("logs", entry)
    wrong = wrong_fields("IntegrationLog", entry)
    assert answer.status_code == (400 if wrong else 201)
    if wrong:
        assert set(ast.literal_eval(answer.json()["error"]["message"])) == wrong
