from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

import django_sendcloud
from django_sendcloud import exceptions
from django_sendcloud.admin.explanations.errors import (
    ERRORS,
    FIELDS,
    PAUSES,
    REJECTED,
    TRY_AGAIN,
    explain,
    explain_entry,
    explain_error,
    explain_pause,
    field_label,
    fields_of,
)
from django_sendcloud.models import PauseReason
from django_sendcloud.payloads import CheckoutPayload, CustomsDetails, ParcelItem, ShipmentPayload, Status
from django_sendcloud.payloads.checkout import DeliveryMethodData, ShippingProduct
from django_sendcloud.payloads.customs import Money, TaxNumber, TaxNumbers

AGREED = {
    "adapter_error",
    "adapter_missing",
    "answer_incomplete",
    "credentials",
    "duplicate_shipment",
    "gave_up",
    "gone",
    "integration_unknown",
    "no_answer",
    "no_integration",
    "not_sent",
    "same_ids",
    "payload_invalid",
    "permission",
    "rate_limited",
    "redirected",
    "rejected",
    "server_error",
    "tls",
    "too_many_shipments",
    "unreadable_answer",
    "worker_died",
    "wrong_address",
}


def codes_in_the_engine() -> set[str]:
    """Return all error codes in the engine's source."""
    codes = set()
    for path in (Path(django_sendcloud.__file__).parent / "sync").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            arguments = node.args[:1] if name in ("Problem", "problem") else []
            codes |= {arg.value for arg in arguments if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    return codes - {""}


def test_engine_codes_have_explanations() -> None:
    found = codes_in_the_engine()
    assert {"payload_invalid", "server_error", "worker_died"} <= found, "the search itself has gone blind"
    assert (found | AGREED) - set(ERRORS) == set()


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_explanation_has_title_reason_and_advice(code: str) -> None:
    explanation = explain(code)
    assert str(explanation.title).strip()
    assert not str(explanation.title).endswith(".")
    assert str(explanation.why).endswith(".")
    assert str(explanation.advice).endswith(".")


def test_unknown_code_gets_general_explanation() -> None:
    explanation = explain("from_the_future")
    assert "from_the_future" in str(explanation.why)
    assert explanation.is_transient is False


def test_pause_reasons_have_explanations() -> None:
    assert set(PAUSES) == set(PauseReason.values)
    assert explain_pause("credentials") is ERRORS["credentials"]
    assert "operator" in str(explain_pause("person").why).lower()


@pytest.mark.parametrize(
    "payload",
    [
        ShipmentPayload,
        ParcelItem,
        Status,
        CheckoutPayload,
        ShippingProduct,
        DeliveryMethodData,
        CustomsDetails,
        Money,
        TaxNumbers,
        TaxNumber,
    ],
)
def test_contract_fields_have_labels(payload: type) -> None:
    names = {field.name for field in dataclasses.fields(payload)}
    assert names - set(FIELDS) == set()


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("country", "country"),
        ("parcel_items[2].weight", "order line 3, weight of one piece"),
        ("parcel_items.2.weight", "order line 3, weight of one piece"),
        ("weight", "weight"),
        ("name", "name of the receiver"),
        ("checkout_payload.shipping_product.name", "choice in the checkout, shipping product, name"),
        ("customs_details.tax_numbers.sender[0].name", "customs details, tax numbers, sender 1, kind"),
        ("customs_details.freight_costs.value", "customs details, freight costs, value"),
        ("[17].country", "country"),
        ("", "the order as a whole"),
        ("non_field_errors", "the order as a whole"),
        ("brand_new_field", "brand_new_field"),
    ],
)
def test_field_path_becomes_label(path: str, label: str) -> None:
    assert field_label(path) == label


@pytest.mark.parametrize("stored", [None, [], "text", 3, {}])
def test_stored_errors_of_any_shape_render(stored: object) -> None:
    assert fields_of(stored) == []


def test_single_message_equals_list() -> None:
    (problem,) = fields_of({"city": "Is on strike."})
    assert (problem.label, problem.path, problem.messages) == ("city", "city", ["Is on strike."])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exceptions.AuthenticationError(status=401), "credentials"),
        (exceptions.PermissionDenied(status=403), "permission"),
        (exceptions.NotFound(status=404), "gone"),
        (exceptions.RateLimited(status=429), "rate_limited"),
        (exceptions.RequestNotSent("refused"), "not_sent"),
        (exceptions.TLSError("certificate"), "tls"),
        (exceptions.TransportError("reset"), "no_answer"),
        (exceptions.InvalidResponse("HTML"), "unreadable_answer"),
        (exceptions.ServerError(status=500), "server_error"),
        (exceptions.Redirected(status=302), "redirected"),
        (exceptions.WrongAddress(status=404), "wrong_address"),
        (KeyError("x"), "internal_error"),
    ],
)
def test_request_error_uses_engine_table(error: Exception, code: str) -> None:
    assert explain_error(error).title == ERRORS[code].title


def test_request_error_does_not_promise_retry() -> None:
    assert explain_error(exceptions.ServerError(status=500)).advice == TRY_AGAIN
    assert explain_error(exceptions.TLSError("certificate")).advice == ERRORS["tls"].advice


@pytest.mark.parametrize(
    "error", [exceptions.RequestRejected(status=400), exceptions.PayloadError({"webhook_url": ["x"]})]
)
def test_refused_request_is_not_called_order(error: Exception) -> None:
    assert explain_error(error) is REJECTED


@pytest.mark.parametrize("code", [code for code, explanation in ERRORS.items() if explanation.is_transient])
def test_dead_entry_does_not_promise_retry(code: str) -> None:
    waiting, dead = explain_entry("pending", code), explain_entry("dead", code)
    assert waiting == explain(code)
    assert dead.title == ERRORS["gave_up"].title
    assert str(explain(code).title) in str(dead.why)
    assert not dead.is_transient
    assert "by itself" not in str(dead.advice)


def test_dead_entry_keeps_explanation_for_operator() -> None:
    assert explain_entry("dead", "worker_died") == explain("worker_died")
