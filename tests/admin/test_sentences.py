"""Violations and notes in the words of the operator."""

from __future__ import annotations

import datetime as dt
import re
import string
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from django_sendcloud.admin.explanations.errors import fields_of
from django_sendcloud.admin.explanations.sentences import ACTIONS, NOTES, note_in_words
from django_sendcloud.admin.explanations.violations import SENTENCES, describe
from django_sendcloud.enums import WebhookAction
from django_sendcloud.exceptions import PayloadError
from django_sendcloud.models import WebhookEvent
from django_sendcloud.parcels import parse
from django_sendcloud.payloads import collect
from django_sendcloud.violations import MESSAGES, Violation, errors_to_json
from django_sendcloud.webhooks import apply
from tests.admin.conftest import Data
from tests.payloads.builders import item, shipment


def described(**values: Any) -> str:
    """Return the operator's text for the only invalid field."""
    with pytest.raises(PayloadError) as refused:
        shipment(**values)
    [[violation]] = refused.value.errors.values()
    return describe(violation)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"city": " "}, "This is missing."),
        ({"city": None}, "This is missing."),
        ({"email": None}, "This is missing."),
        ({"country": "XX"}, "XX is not a country code. It takes two capital letters, such as 'NL'."),
        ({"country": "nl"}, "nl is not a country code. Use NL."),
        ({"currency": "eur"}, "eur is not a currency. Use EUR."),
        ({"currency": "XYZ"}, "Sendcloud does not accept the currency XYZ. It accepts EUR, GBP, USD."),
        (
            {"email": "nobody"},
            "This is not an e-mail address: it needs one @ with something on both sides, and no spaces.",
        ),
        ({"weight": Decimal(0)}, "This is 0, and must be at least 0.001 kg."),
        ({"weight": Decimal("0.1234")}, "This is 0.1234, and may have at most 3 decimals. Round it."),
        ({"weight": Decimal("1234567890.5")}, "1234567890.5 has too many digits. Check it."),
        (
            {"shipping_method_checkout_name": "x" * 101},
            "This has 101 characters, and at most 100 are allowed. Shorten it.",
        ),
        (
            {"weight": 1.5},
            "The shop's own code gives a value here that cannot be sent. Show this to your developer: "
            'A float is not exact; write Decimal("1.5").',
        ),
        (
            {"country": "HK", "postal_code": ""},
            "HK has no postal codes, but Sendcloud requires some text here. Enter 00000.",
        ),
    ],
)
def test_violation_of_payload_is_worded_for_operators(values: Any, text: str) -> None:
    assert described(**values) == text


@pytest.mark.parametrize("code", [*SENTENCES, *MESSAGES])
def test_sentence_uses_only_parameters_of_its_message(code: str) -> None:
    """A placeholder that the code never has would read as an ellipsis."""
    names = [name for _, name, _, _ in string.Formatter().parse(MESSAGES[code]) if name]
    text = describe(Violation(code, dict.fromkeys(names, "7")))
    assert "…" not in text
    assert "%(" not in text


def test_value_with_placeholder_stays_value() -> None:
    text = describe(Violation("country_unknown", {"value": "%(x)s %"}))
    assert text.startswith("%(x)s % is not a country code")


def test_violation_without_stored_parameters_is_worded() -> None:
    assert describe(Violation("country_unknown")).startswith("… is not a country code")
    assert "of_a_newer_version" in describe(Violation("of_a_newer_version"))


def test_violation_is_worded_in_active_language() -> None:
    with translation.override("de"):
        german = described(country="XX")
    assert "XX" in german
    assert "Ländercode" in german


@pytest.mark.parametrize("text", ["", "x", "Carrier says: 100 % wrong", "%(name)s", "line\nline", "{x}"])
def test_remote_text_is_shown_unchanged(text: str) -> None:
    assert describe(Violation("remote", {"text": text})) == text


def test_remote_text_is_translated_where_known() -> None:
    """Sendcloud is made with Django's REST framework, whose catalogues have its texts."""
    with translation.override("de"):
        assert (
            describe(Violation("remote", {"text": "This field is required."}))
            == "Dieses Feld ist zwingend erforderlich."
        )


def test_day_of_service_point_is_localized() -> None:
    violation = Violation("service_point_gone", {"id": 7, "day": "2026-03-02"})
    assert describe(violation).startswith("Service point 7, chosen on March 2, 2026, is not")
    with translation.override("nl"):
        assert "2 maart 2026" in describe(violation)
    assert "chosen on soon" in describe(Violation("service_point_gone", {"id": 7, "day": "soon"}))


def test_field_problem_keeps_english_text() -> None:
    with pytest.raises(PayloadError) as refused:
        item(quantity=0)
    [quantity] = fields_of(refused.value.errors)
    assert quantity.messages == ["This is 0, and must be at least 1."]
    assert quantity.said == ["Must be at least 1, got 0; leave out a line of which nothing is shipped."]


def test_field_problem_names_the_line() -> None:
    with pytest.raises(PayloadError) as refused:
        collect(lambda: shipment(parcel_items=[item(), item(sku="RED", quantity=0)]))
    [problem] = fields_of(errors_to_json(refused.value.errors))
    assert problem.label == "order line 2, quantity (RED)"


# -- webhooks ---------------------------------------------------------------------------------------------------------


def test_webhook_notes_have_texts() -> None:
    """Each code that the webhooks' source puts into a note, with an example for each parameter."""
    folder = Path(apply.__file__).parent
    source = "".join(path.read_text() for path in [*folder.glob("*.py"), Path(parse.__file__)])
    codes = {*re.findall(r'"code": "(\w+)"', source), *re.findall(r'ParseError\("(\w+)"\)', source)}
    codes |= set(re.findall(r'return "(keys_\w+)"', source))
    assert codes == set(NOTES)
    parameters = {"receiver": "shop.hear", "error": "KeyError", "hook": "on_parcel", "why": "timeout", "at": "a.py:1"}
    for code in codes:
        words = note_in_words({"code": code, **parameters})
        assert words != code
        assert "%" not in words
    assert note_in_words({}) == ""


def test_webhook_actions_have_names() -> None:
    assert set(ACTIONS) == set(WebhookAction)


@pytest.mark.parametrize(
    ("state", "note", "heading", "words"),
    [
        ("failed", {"code": "no_parcel"}, "It could not be applied", "It names no parcel"),
        ("received", {"code": "not_applied", "error": "OperationalError"}, "It could not be applied yet", "Next try: "),
        ("processed", {"code": "test"}, "Result", "A test: it arrived."),
        (
            "receiver_failed",
            {"code": "receiver_failed", "receiver": "shop.hear", "error": "KeyError", "at": "shop.py:7"},
            "It was applied, but the shop's own code failed on it",
            "it was applied, and then",
        ),
    ],
)
def test_webhook_page_shows_result(
    state: str, note: dict[str, str], heading: str, words: str, admin_client: Client, data: Data
) -> None:
    due = timezone.now() + dt.timedelta(hours=1)
    WebhookEvent.objects.update(state=state, note=note, due_at=None if state in ("failed", "processed") else due)
    html = admin_client.get(
        reverse("admin:django_sendcloud_webhookevent_change", args=[data.event.pk])
    ).content.decode()
    assert f"<h2>{heading}</h2>" in html
    assert words.casefold() in html.casefold()
    assert ("then replay it" in html) is (state in ("failed", "receiver_failed"))


@pytest.mark.long
def test_webhook_is_found_by_action(admin_client: Client, data: Data) -> None:
    url = reverse("admin:django_sendcloud_webhookevent_changelist")
    for word, found in (("update", True), ("parcel_status", True), ("return", False)):
        rows = admin_client.get(url, {"q": word}).context["cl"].result_list
        assert bool(rows) is found, word
