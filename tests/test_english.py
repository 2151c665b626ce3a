"""Prose by the rules of ``tests/english.py``, in every folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import english


def folder_of(path: Path) -> str:
    return path.parent.relative_to(english.ROOT).as_posix()


FILES: dict[str, list[Path]] = {}
for found in (*english.python_files(), *english.pages(), *english.catalogues(), *english.scripts()):
    FILES.setdefault(folder_of(found), []).append(found)


def findings(folder: str) -> list[english.Finding]:
    return [finding for path in FILES.get(folder, ()) for finding in english.search(path)]


@pytest.mark.parametrize("folder", sorted(FILES))
def test_folder_follows_the_rules(folder: str) -> None:
    found = findings(folder)
    assert not found, "\n".join(f"{path}:{line}: {rule}: {text}" for path, line, rule, text in found)


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ('"""What the client costs."""', "clause"),
        ("# Nobody waits for it.\n", "clause"),
        ("# Where it is due.\n", "clause"),
        ('def f():\n    """The address."""', "imperative verb"),
        ('def f():\n    """Answers a request."""', "imperative verb"),
        ('class A:\n    """A parcel and its news."""', '"news" is retired'),
        ("# The order was told.\n", '"told" is retired'),
        ("# Seconds between two looks.\n", '"two looks" is retired'),
        ("# Two lines: the worker rings\n# by itself.\n", '"by itself" is retired'),
        ("def test_a_worker_pushes():\n    pass", 'not "a"'),
        ("def test_one_two_three_four_five_six_seven_eight():\n    pass", 'not "one"'),
        ("def test_worker_two_three_four_five_six_seven_eight():\n    pass", "at most 7 words, not 8"),
        ("def test_f06_the_worker_is_killed():\n    pass", 'not "the"'),
        ('one = "it\'s \\" one"  # What is due.\n', "clause"),
    ],
)
def test_violation_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, rule: str) -> None:
    monkeypatch.setattr(english, "ROOT", tmp_path)
    path = tmp_path / "test_sample.py"
    path.write_text(source)
    assert any(rule in finding.rule for finding in english.search(path))


@pytest.mark.parametrize(
    "source",
    [
        '"""Public signals."""',
        'def f():\n    """Return whether the lease has ended."""',
        'class A:\n    @property\n    def url(self):\n        """The address of the webhook."""',
        "# full jitter keeps workers from retrying in step\n",
        'def test_f06_killed_worker_loses_nothing():\n    """A worker is killed between the POST and settling."""',
        '"""``tell()`` is the name of a method of files."""',
        "# noqa: S101\n",
        "# A worker looks whether it is saved.\n",
        'one = "# What is due."\nmany = """\n# What is "due".\n"""\n',
    ],
)
def test_good_prose_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr(english, "ROOT", tmp_path)
    path = tmp_path / "test_sample.py"
    path.write_text(source)
    assert english.search(path) == []


@pytest.mark.parametrize("message", ["Nobody answers", "That replaces it.", "%(order)s was told anew"])
def test_message_violation_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    monkeypatch.setattr(english, "ROOT", tmp_path)
    catalogue = tmp_path / "django.po"
    catalogue.write_text(f'msgid ""\nmsgstr ""\n\nmsgid "What to do"\nmsgstr ""\n\nmsgid "{message}"\nmsgstr ""\n')
    found = english.search(catalogue)
    assert found
    assert {finding.line for finding in found} == {7}


def test_page_ignores_code_and_link_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(english, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# Pushing\n\nPush `tell()` ([there](news.md)).\n\n```python\n# What is told\n```\n\nWhat is told.\n"
    )
    assert [(finding.line, finding.text) for finding in english.search(page)] == [
        (9, "What is told."),
        (9, "What is told."),
    ]


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("def plan_wake():\n    pass", "wake"),
        ("class Doorbell:\n    pass", "Doorbell"),
        ("def wait(patience):\n    pass", "patience"),
        ("PATIENCE_SECONDS = 1", "PATIENCE"),
        ("self.told = 1", "told"),
        ("def next_look():\n    pass", "look"),
        ("class DueLooks:\n    pass", "Looks"),
        ('logger.error("Nobody was there for %s.", order)', "Nobody"),
    ],
)
def test_retired_name_or_text_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, word: str) -> None:
    monkeypatch.setattr(english, "ROOT", tmp_path)
    (path := tmp_path / "django_sendcloud" / "sample.py").parent.mkdir()
    path.write_text(f"{source}\n")
    (found,) = english.search(path)
    assert f'"{word}" is retired' in found.rule


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Makefile", "# What takes longest"),
        ("Makefile", "chaos: ## Take the pictures anew"),
        ("page.html", "{% comment %}Where a theme is dark.{% endcomment %}"),
        ("page.css", "/* Nobody sees it */"),
        ("page.js", "  // What is shown"),
        ("ci.yml", "      # Somebody pushes a tag."),
    ],
)
def test_comment_of_script_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str) -> None:
    monkeypatch.setattr(english, "ROOT", tmp_path)
    (path := tmp_path / name).write_text(f"{line}\n")
    assert english.search(path)
