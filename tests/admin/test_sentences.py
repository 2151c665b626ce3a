from __future__ import annotations

import ast
import datetime as dt
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from django_sendcloud.admin.explain import fields_of
from django_sendcloud.admin.sentences import ACTIONS, in_words
from django_sendcloud.enums import WebhookAction
from django_sendcloud.exceptions import PayloadError
from django_sendcloud.models import WebhookEvent
from django_sendcloud.payloads import rules
from django_sendcloud.webhooks import apply, credentials, handlers, parse
from tests.admin.conftest import Data
from tests.payloads.builders import item, shipment

# What stands for a value in a complaint, where any text would not do.
EXAMPLES = {
    "self.kind": "country code",
    "self.cure(text)": "use one of A, B",
    "self.or_none": "; use None where there is none",
    "self._article": "a ParcelItem",
    "self.unit": " kg",
}


def complaint(**values: Any) -> str:
    """What a payload says of the only field that is wrong."""
    with pytest.raises(PayloadError) as refused:
        shipment(**values)
    [[text]] = refused.value.errors.values()
    return text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"city": " "}, "This is missing."),
        ({"city": None}, "This is missing."),
        ({"email": None}, "This is missing."),
        ({"country": "XX"}, "'XX' is no country code. It takes two capital letters, such as 'NL'."),
        ({"country": "nl"}, "'nl' is no country code. Use 'NL'."),
        ({"currency": "eur"}, "'eur' is no currency. Use 'EUR'."),
        ({"email": "nobody"}, "This is no e-mail address: it needs one @ with something on both sides, and no spaces."),
        ({"weight": Decimal(0)}, "This is 0, and must be at least 0.001 kg."),
        ({"weight": Decimal("0.1234")}, "This is 0.1234, and may have at most 3 decimals. Round it."),
        ({"weight": Decimal("1234567890.5")}, "1234567890.5 has too many digits. Check it."),
        (
            {"shipping_method_checkout_name": "x" * 101},
            "This has 101 characters, and 100 at most are possible. Shorten it.",
        ),
        (
            {"weight": 1.5},
            "The shop's own code gives something here that cannot be sent. Show this to the shop's developer: "
            'A float is not exact; write Decimal("1.5").',
        ),
    ],
)
def test_what_a_payload_says_to_developers_is_said_to_operators_in_their_words(values: Any, said: str) -> None:
    assert in_words(complaint(**values)) == said


def test_the_currency_is_told_with_those_that_are_possible() -> None:
    said = in_words(complaint(currency="XYZ"))
    assert said.startswith("Sendcloud does not take the currency 'XYZ'. It takes ")
    assert "EUR" in said
    assert said.endswith(".")


def test_every_complaint_of_the_rules_has_a_sentence() -> None:
    unknown = [text for text in complaints_of_the_rules() if in_words(text) == text]
    assert not unknown, "the operator would read these in English, and in the developer's words"


def complaints_of_the_rules() -> list[str]:
    """Each text that the source of the rules raises a violation with, with an example for each value in it."""
    texts = [text for call in calls(rules, "Violation") for text in texts_of(call.args[0])]
    assert len(texts) > 25
    return texts


def calls(module: ModuleType, *names: str) -> list[ast.Call]:
    assert module.__file__
    tree = ast.parse(Path(module.__file__).read_text())
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def texts_of(node: ast.AST) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(EXAMPLES.get(ast.unparse(part.value), "1") if isinstance(part, ast.FormattedValue)
                            else part.value for part in parts)]  # fmt: skip
        case ast.IfExp(body=one, orelse=other):
            return texts_of(one) + texts_of(other)
        case ast.DictComp(value=value) | ast.List(elts=[value]):
            return texts_of(value)
    return []


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ("This field is required.", "This is missing."),
        ("This field may not be blank.", "This is missing."),
        ("This field may not be null.", "This is missing."),
        ("Ensure this field has no more than 12 characters.", "This is too long: 12 characters at most are possible."),
        ("A valid integer is required.", "This must be a whole number."),
    ],
)
def test_what_sendcloud_says_is_said_in_words_too(theirs: str, said: str) -> None:
    assert in_words(theirs).startswith(said)


@pytest.mark.parametrize("text", ["", "x", "Carrier says: 100 % wrong", "%(name)s", "line\nline"])
def test_a_complaint_that_nobody_knows_is_shown_as_it_is(text: str) -> None:
    assert in_words(text) == text


def test_a_value_that_looks_like_a_placeholder_stays_a_value() -> None:
    assert in_words("'%(x)s %' is not a country code of the contract; use it.").startswith("'%(x)s %' is no country")


def test_a_complaint_is_said_in_the_language_of_who_reads_it() -> None:
    text = complaint(country="XX")
    with translation.override("de"):
        german = in_words(text)
    assert "XX" in german
    assert "Ländercode" in german


def test_the_day_a_service_point_was_chosen_is_written_as_one_writes_days() -> None:
    text = "Service point 7 was chosen on 2026-03-02 and is not available any more. Let the buyer choose another."
    assert in_words(text).startswith("Service point 7, chosen on March 2, 2026, is not")
    with translation.override("nl"):
        assert "2 maart 2026" in in_words(text)


def test_the_complaint_as_it_came_stays_at_hand() -> None:
    with pytest.raises(PayloadError) as refused:
        item(quantity=0)
    [quantity] = fields_of(refused.value.errors)
    assert quantity.messages == ["This is 0, and must be at least 1."]
    assert quantity.said == ["Must be at least 1, got 0."]


# -- webhooks ---------------------------------------------------------------------------------------------------------


def test_every_note_on_a_webhook_has_a_sentence() -> None:
    unknown = [text for text in notes_on_webhooks() if in_words(text) == text and text != "A test: it arrived."]
    assert not unknown, "the operator would read these in English"


def notes_on_webhooks() -> list[str]:
    """Each text that the source of the webhooks leaves on an event, with an example for each value in it."""
    texts = [text for call in calls(parse, "ParseError") for text in texts_of(call.args[0])]
    for call in calls(handlers, "Outcome"):
        for value in [*call.args[1:], *(keyword.value for keyword in call.keywords if keyword.arg == "note")]:
            texts += texts_of(value)
    for call in calls(apply, "_try_later"):
        texts += texts_of(call.args[1])
    for module in (handlers, credentials):
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            match node:
                case ast.Assign(targets=[ast.Name(id="note")], value=value):
                    texts += texts_of(value)
                case ast.Assign(targets=[ast.Tuple(elts=[_, ast.Name(id="note")])], value=ast.Tuple(elts=[_, value])):
                    texts += [text for text in texts_of(value) if text]
                case ast.Return(value=ast.Constant(value=str(text))) if text.endswith("."):
                    texts.append(text)
    assert len(texts) >= 12, texts
    return texts


def test_every_action_of_a_webhook_has_a_name() -> None:
    assert set(ACTIONS) == set(WebhookAction)


@pytest.mark.parametrize(
    ("state", "note", "heading", "words"),
    [
        ("failed", "There is no parcel in it.", "It could not be applied", "It names no parcel"),
        ("received", "Applying it failed: OperationalError.", "It could not be applied yet", "Next try: "),
        ("processed", "A test: it arrived.", "What became of it", "A test: it arrived."),
        (
            "unheard",
            "A receiver of the shop failed: KeyError.",
            "It was applied, but the shop's own code failed on it",
            "it was applied, and then",
        ),
    ],
)
def test_the_page_of_a_webhook_says_what_became_of_it(
    state: str, note: str, heading: str, words: str, admin_client: Client, data: Data
) -> None:
    due = timezone.now() + dt.timedelta(hours=1)
    WebhookEvent.objects.update(state=state, error=note, due_at=due)
    html = admin_client.get(
        reverse("admin:django_sendcloud_webhookevent_change", args=[data.event.pk])
    ).content.decode()
    assert f"<h2>{heading}</h2>" in html
    assert words.casefold() in html.casefold()
    assert ("then replay it" in html) is (state in ("failed", "unheard"))


def test_a_webhook_is_found_by_what_it_is_about(admin_client: Client, data: Data) -> None:
    url = reverse("admin:django_sendcloud_webhookevent_changelist")
    for word, found in (("news", True), ("parcel_status", True), ("return", False)):
        rows = admin_client.get(url, {"q": word}).context["cl"].result_list
        assert bool(rows) is found, word
