"""What the documents say is what the code does."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from django_sendcloud import adapters, conf, schedule, shipping, signals
from django_sendcloud.payloads import ShipmentPayload

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), f"{document.name} links to {target}"
        if anchor and found.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_examples_can_be_parsed_and_their_imports_exist(document: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django_sendcloud"):
                module = __import__(node.module or "", fromlist=["_"])
                for name in node.names:
                    assert hasattr(module, name.name), f"{document.name}: from {node.module} import {name.name}"


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text()
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \| \S", text, re.MULTILINE))
    assert list(rows) == list(conf.FIELDS)
    for name, shown in rows.items():
        default = getattr(conf.Settings(), name)
        value = ast.literal_eval(shown)
        assert (tuple(value) if isinstance(value, list) else value) == default, name


def test_every_hook_of_the_adapter_is_documented() -> None:
    text = (ROOT / "docs/adapter.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)", text, re.MULTILINE))
    hooks = {
        "get_shipments",
        "is_shippable",
        "get_integration",
        "related",
        "queryset",
        "changed_at",
        "number_field",
        "auto",
    }
    hooks |= {"phase_statuses", "set_order_status"}
    assert documented == hooks
    assert all(hasattr(adapters.OrderAdapter, hook) for hook in hooks)


def test_every_command_and_periodic_task_is_documented() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    commands = {name for name, app in get_commands().items() if app == "django_sendcloud"}
    assert set(re.findall(r"^\| `(sendcloud_\w+)`", text, re.MULTILINE)) == commands
    tasks = {entry["task"].rpartition(".")[2] for entry in schedule.beat_schedule().values()}
    assert tasks <= set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_the_states_of_an_order_are_documented() -> None:
    text = (ROOT / "docs/adapter.md").read_text()
    for state in shipping.SyncState.values:
        assert f'"{state}"' in text


def test_the_readme_adapter_uses_fields_that_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    call = re.search(r"ShipmentPayload\((.*?)parcel_items", readme, re.DOTALL)
    assert call
    fields = set(re.findall(r"^\s+(\w+)=", call[1], re.MULTILINE))
    assert fields
    assert fields <= set(inspect.signature(ShipmentPayload).parameters)


def test_every_signal_is_documented() -> None:
    text = (ROOT / "docs/webhooks.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == set(signals.__all__)
