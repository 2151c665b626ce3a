"""The catalogues: complete, sound, compiled, and what a person reads in the admin in each language."""

from __future__ import annotations

import ast
import datetime as dt
import functools
import gettext
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polib
import pytest
from django.core.management import call_command
from django.utils import formats, timezone, translation
from django.utils.html import strip_tags

import django_sendcloud
from django_sendcloud.admin.explanations.errors import explain
from django_sendcloud.admin.ui.cells import ago, time_until
from django_sendcloud.models.delivery import PHASES

PACKAGE = Path(django_sendcloud.__file__).parent
LANGUAGES = ["nl", "de", "fr", "es", "it"]
# A message is known by its context, its singular and its plural.
Key = tuple[str, str, str]

PERCENT = re.compile(r"%(?:\(\w*\))?[#0+-]*\d*(?:\.\d+)?[a-zA-Z]|%%")
BRACES = re.compile(r"\{\w*\}")
# Every integer up to a few hundred meets every rule of these languages; a million has one of its own in some.
NUMBERS = [*range(300), 1_000, 1_000_000, 2_000_000]

pytestmark = pytest.mark.parametrize("language", LANGUAGES)


def po_path(language: str) -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po"


@functools.cache
def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(po_path(language)))


@pytest.fixture
def po(language: str) -> polib.POFile:
    return catalogue(language)


@pytest.fixture
def mo(language: str) -> gettext.GNUTranslations:
    with po_path(language).with_suffix(".mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def messages(file: polib.POFile) -> list[polib.POEntry]:
    return [entry for entry in file if not entry.obsolete]


def key(entry: polib.POEntry) -> Key:
    return entry.msgctxt or "", entry.msgid, entry.msgid_plural or ""


def forms(entry: polib.POEntry) -> dict[int, str]:
    """Return the translations by the number of their form; one without a plural has only the form 0."""
    return {int(n): text for n, text in entry.msgstr_plural.items()} if entry.msgid_plural else {0: entry.msgstr}


def originals(entry: polib.POEntry, number: int, form_of_one: int) -> list[str]:
    """Return the originals a form may translate: the singular form may follow either, any other the plural."""
    if not entry.msgid_plural:
        return [entry.msgid]
    return [entry.msgid, entry.msgid_plural] if number == form_of_one else [entry.msgid_plural]


def plural_rule(catalogue: polib.POFile) -> tuple[int, str]:
    found = re.fullmatch(r"nplurals=(\d+); *plural=(.+?);?", " ".join(catalogue.metadata["Plural-Forms"].split()))
    assert found, catalogue.metadata["Plural-Forms"]
    return int(found[1]), found[2]


@functools.cache
def rule_as_function(rule: str) -> Callable[[int], int]:
    return gettext.c2py(rule)  # type: ignore[attr-defined,no-any-return]


def form_of(catalogue: polib.POFile, number: int) -> int:
    return int(rule_as_function(plural_rule(catalogue)[1])(number))


def placeholders(text: str) -> set[str]:
    return {*PERCENT.findall(text), *BRACES.findall(text)}


# -- the files ---------------------------------------------------------------------------------------


def in_f_strings() -> list[str]:
    """Return where the code translates within an f-string."""
    translating = r"(?:_|n?p?gettext(?:_lazy)?)"
    # Few files have a call behind a brace, or an f-string of several lines: the others need no parsing.
    suspect = re.compile(rf"\{{.*\b{translating}\(|[fF][rR]?(?:\"\"\"|''')")
    return [
        f"{path.relative_to(PACKAGE)}:{call.lineno}"
        for path in PACKAGE.rglob("*.py")
        if suspect.search(text := path.read_text(encoding="utf-8"))
        for string in ast.walk(ast.parse(text))
        if isinstance(string, ast.JoinedStr)
        for call in ast.walk(string)
        if isinstance(call, ast.Call) and re.fullmatch(translating, ast.unparse(call.func).rpartition(".")[2])
    ]


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> set[Key]:
    """Extract the messages of the code by Django's own means, from a copy, apart from the catalogues."""
    assert shutil.which("xgettext"), "xgettext is required here and missing: install gettext"
    # xgettext finds these only since its version 1.0.
    assert in_f_strings() == []
    root = tmp_path_factory.mktemp("extraction")
    shutil.copytree(PACKAGE, root / PACKAGE.name, ignore=shutil.ignore_patterns("locale", "__pycache__"))
    (root / PACKAGE.name / "locale").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root / PACKAGE.name)
        call_command("makemessages", locale=["en"], verbosity=0)
    found = {key(entry) for entry in polib.pofile(str(root / PACKAGE.name / "locale/en/LC_MESSAGES/django.po"))}
    assert len(found) > 100, "the extraction found next to nothing"
    return found


@pytest.mark.skipif(
    not shutil.which("xgettext") and os.environ.get("SENDCLOUD_REQUIRE_SERVICES") != "1",
    reason="not installed here: xgettext, which finds the messages of the code",
)
def test_messages_of_code_are_translated(language: str, po: polib.POFile, used: set[Key]) -> None:
    translated = {key(entry) for entry in messages(po) if all(forms(entry).values()) and not entry.fuzzy}
    assert not used - translated, f"{len(used - translated)} messages of the code are not translated"


def test_catalogues_have_the_same_messages(language: str, po: polib.POFile) -> None:
    everywhere = {key(entry) for other in LANGUAGES for entry in messages(catalogue(other))}
    here = [key(entry) for entry in messages(po)]
    assert not everywhere - set(here)
    assert len(here) == len(set(here)), "a message is there twice"


def test_messages_of_catalogue_are_translated(language: str, po: polib.POFile) -> None:
    assert not po.metadata_is_fuzzy
    assert not [entry.msgid for entry in messages(po) if entry.fuzzy]
    missing = [entry.msgid for entry in messages(po) if not all(text.strip() for text in forms(entry).values())]
    assert not missing, f"{len(missing)} messages are not translated"


def test_header_matches_the_catalogue(language: str, po: polib.POFile) -> None:
    assert po.metadata["Language"] == language
    assert po.metadata["Project-Id-Version"] == "django-sendcloud"
    assert po.metadata["Content-Type"] == "text/plain; charset=UTF-8"
    assert "SOME DESCRIPTIVE TITLE" not in po.header
    # Every form the header announces is used by some number, and no number asks for another.
    assert {form_of(po, number) for number in NUMBERS} == set(range(plural_rule(po)[0]))


def test_plural_forms_are_filled(language: str, po: polib.POFile) -> None:
    plurals = [entry for entry in messages(po) if entry.msgid_plural]
    assert plurals
    for entry in plurals:
        assert set(forms(entry)) == set(range(plural_rule(po)[0])), entry.msgid
        assert all(text.strip() for text in forms(entry).values()), entry.msgid


def test_placeholders_survive(language: str, po: polib.POFile) -> None:
    one = form_of(po, 1)
    for entry in messages(po):
        for number, text in forms(entry).items():
            if not text:
                continue  # the tests above report it
            known = [placeholders(original) for original in originals(entry, number, one)]
            assert placeholders(text) in known, (entry.msgid, text)


def test_translations_can_be_filled_in(language: str, po: polib.POFile) -> None:
    """A percent sign or a brace too many is an error only when the message is shown."""
    values: dict[str, Any] = defaultdict(lambda: 1)
    for entry in messages(po):
        for text in forms(entry).values():
            if "python-format" in entry.flags:
                assert "%(" not in text % values, (entry.msgid, text)
            if "python-brace-format" in entry.flags:
                assert "{" not in text.format_map(values), (entry.msgid, text)


def test_white_space_around_messages_survives(language: str, po: polib.POFile) -> None:
    def around(text: str) -> tuple[str, str]:
        return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]

    for entry in messages(po):
        for number, text in forms(entry).items():
            if text:
                original = entry.msgid_plural if entry.msgid_plural and number else entry.msgid
                assert around(text) == around(original), (entry.msgid, text)


def test_compiled_catalogue_matches_source(language: str, po: polib.POFile, mo: gettext.GNUTranslations) -> None:
    """As ``msgfmt`` does it: a message without a translation, or a doubtful one, is left out."""
    written: dict[Any, str] = {}
    for entry in messages(po):
        if entry.fuzzy or not any(forms(entry).values()):
            continue
        name = f"{entry.msgctxt}\x04{entry.msgid}" if entry.msgctxt else entry.msgid
        written |= {(name, n): text for n, text in forms(entry).items()} if entry.msgid_plural else {name: entry.msgstr}
    compiled = {name: text for name, text in mo._catalog.items() if name != ""}  # type: ignore[attr-defined]
    assert compiled == written, "compile the catalogue again: msgfmt -o django.mo django.po"
    for field in ("Language", "Plural-Forms", "Content-Type"):
        assert mo.info()[field.lower()] == po.metadata[field]


# -- at run time -------------------------------------------------------------------------------------


def translated(po: polib.POFile, msgid: str) -> str:
    """Return the catalogue's words that differ from the English ones."""
    entry = po.find(msgid)
    assert entry is not None, msgid
    assert entry.msgstr, f"not translated: {msgid}"
    assert entry.msgstr != msgid
    return str(entry.msgstr)


def test_phases_are_translated(language: str, po: polib.POFile) -> None:
    with translation.override("en"):
        english = {value: str(label) for value, label in PHASES}
    with translation.override(language):
        assert {value: str(label) for value, label in PHASES} == {
            value: translated(po, label) for value, label in english.items()
        }


@pytest.mark.parametrize("code", ["rejected", "credentials", "gave_up"])
def test_explanation_is_translated(language: str, code: str, po: polib.POFile) -> None:
    explanation = explain(code)
    with translation.override("en"):
        english = [str(text) for text in (explanation.title, explanation.why, explanation.advice)]
    with translation.override(language):
        assert [str(text) for text in (explanation.title, explanation.why, explanation.advice)] == [
            translated(po, text) for text in english
        ]


def test_explanation_of_unknown_code_is_translated(language: str, po: polib.POFile) -> None:
    with translation.override(language):
        words = translated(po, "The problem is known as “%(code)s”, which this version has no words for.")
        assert str(explain("nobody_knows").why) == words % {"code": "nobody_knows"}


def test_plural_is_translated(language: str, po: polib.POFile) -> None:
    singular, plural = "%(number)d integration is paused now.", "%(number)d integrations are paused now."
    entry = po.find(singular)
    assert entry is not None
    for number in (0, 1, 2, 5, 21, 1_000_000):
        with translation.override(language):
            words = translation.ngettext(singular, plural, number)
        assert words == forms(entry)[form_of(po, number)]
        assert words not in (singular, plural)


MARCH = {"nl": "maart", "de": "März", "fr": "mars", "es": "marzo", "it": "Marzo"}
AGE = {"nl": "3 dagen geleden", "de": "vor 3 Tagen", "fr": "il y a 3 jours", "es": "hace 3 días", "it": "3 giorni fa"}
WAIT = {"nl": "over 3 dagen", "de": "in 3 Tagen", "fr": "dans 3 jours", "es": "dentro de 3 días", "it": "tra 3 giorni"}


def test_date_is_translated(language: str, po: polib.POFile) -> None:
    sentence = "Until %(until)s, webhooks signed with the former secret key are accepted, too."
    with translation.override(language):
        date = formats.date_format(dt.date(2026, 3, 5), "DATE_FORMAT")
        assert MARCH[language] in date
        assert translation.gettext(sentence) % {"until": date} == translated(po, sentence) % {"until": date}


def test_ages_are_declined(language: str) -> None:
    """German has its units in the dative here, which Django's own are not."""
    days = dt.timedelta(days=3, hours=1)
    with translation.override(language):
        past, future = ago(timezone.now() - days), time_until(timezone.now() + days)
    assert strip_tags(past).replace("\xa0", " ") == AGE[language]
    assert strip_tags(future).replace("\xa0", " ") == WAIT[language]
