"""The documentation page of the sandbox is true."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from django_sendcloud.sandbox import Sandbox
from django_sendcloud.sandbox.cli import add_arguments
from django_sendcloud.sandbox.webhooks import FIRST_DELAY, LONGEST_DELAY, RETRIES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sandbox.md").read_text()


def test_page_documents_every_option() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    rows = dict(re.findall(r"^\| `(--[\w-]+)` \| (.+?) \|", PAGE, re.MULTILINE))
    shown = {"False": "off", "None": "none"}
    expected = {
        action.option_strings[0]: shown.get(str(action.default), f"`{action.default}`") for action in parser._actions
    }
    assert rows == {**expected, "--public-key": "fixed", "--secret-key": "fixed"}


def test_examples_run() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(block, namespace)


def test_page_names_exist() -> None:
    rows = re.findall(r"^\| (`.+?) \|", PAGE, re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([a-z_]+)(?:\(.*?\))?`", row)}
    assert len(names) > 30
    with Sandbox() as sandbox:
        assert [name for name in names if not hasattr(sandbox, name)] == []
        faults = {name for name in dir(sandbox) if name.endswith("_next") or name.startswith(("revoke_", "restore_"))}
        assert faults <= names


def test_page_has_numbers_of_webhooks() -> None:
    assert (RETRIES, FIRST_DELAY, LONGEST_DELAY) == (10, 5 * 60, 60 * 60)
    text = " ".join(PAGE.split())
    assert "repeats it ten times: first after 5 minutes, then after twice as long each time, at most an hour" in text
