"""The documents match the code."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import polib
import pytest
from django.apps import apps
from django.core.management import get_commands

from django_sendcloud import adapters, conf, schedule, signals
from django_sendcloud.models import EntryState, ShipmentStatus
from django_sendcloud.payloads import ShipmentPayload
from django_sendcloud.storefront import tracking as shipping

ROOT = Path(__file__).resolve().parent.parent
ROOT_PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
DOCUMENTS = [*(ROOT / name for name in ROOT_PAGES), *sorted((ROOT / "docs").rglob("*.md"))]
# Texts that are made of several ones, the words of a command, and the name of a group.
EXAMPLES = {
    "12 orders have been waiting for Sendcloud since 10:32",
    "3 orders not going out, 1 integration sends no orders",
    "Webshop is being connected",
    "Country is not valid",
    "should be gone",
    "order gone",
    "Shipping operators",
}


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
def test_python_examples_parse_and_import(document: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django_sendcloud"):
                if node.module == "django_sendcloud.contrib.salesman":
                    pytest.importorskip("salesman")
                module = __import__(node.module or "", fromlist=["_"])
                for name in node.names:
                    assert hasattr(module, name.name), f"{document.name}: from {node.module} import {name.name}"


def test_settings_are_documented_with_defaults() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text()
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \| \S", text, re.MULTILINE))
    assert list(rows) == list(conf.FIELDS)
    for name, shown in rows.items():
        default = getattr(conf.Settings(), name)
        value = ast.literal_eval(shown)
        assert (tuple(value) if isinstance(value, list) else value) == default, name


def test_adapter_hooks_are_documented() -> None:
    text = (ROOT / "docs/adapter.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)", text, re.MULTILINE))
    # The package asks these; a shop overrides the hooks behind them.
    questions = {
        "has_lines",
        "has_own_page",
        "next_recheck",
        "order_number",
        "packages",
        "placed_at",
        "shippable",
        "watched",
    }
    public = {name for name in vars(adapters.OrderAdapter) if not name.startswith("_")}
    assert documented == public - questions - {"get_queryset"}
    assert "`get_queryset()`" in text


def test_commands_and_tasks_are_documented() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    commands = {name for name, app in get_commands().items() if app == "django_sendcloud"}
    assert set(re.findall(r"^\| `(sendcloud_\w+)`", text, re.MULTILINE)) == commands
    tasks = {entry["task"].rpartition(".")[2] for entry in schedule.beat_schedule().values()}
    assert tasks <= set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_glossary_has_models_and_states() -> None:
    text = (ROOT / "docs/glossary.md").read_text()
    terms = [term for cell in re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE) for term in cell.split(", ")]
    repeated = {term for term in terms if terms.count(term) > 1 and term not in ("word", "---")}
    assert repeated == set()
    models = {
        re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model.__name__).lower()
        for model in apps.get_app_config("django_sendcloud").get_models()
    }
    assert models - set(terms) == set()
    assert {*map(str, EntryState.labels), *map(str, ShipmentStatus.labels)} - set(terms) == set()


def test_faults_are_those_of_tests() -> None:
    text = (ROOT / "docs/faults.md").read_text()
    listed = re.findall(r"^\| F(\d+) \|", text, re.MULTILINE)
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    caused = {number.lstrip("0") for number in re.findall(r"^def test_f(\d\d)_", tests, re.MULTILINE)}
    assert sorted(listed) == sorted(caused)


def test_permissions_are_explained() -> None:
    """Django's admin shows operators the names of permissions, code their codenames: the page has both."""
    text = (ROOT / "docs/admin.md").read_text()
    rows = set(re.findall(r"^\| \*([^|]+)\* \| `(\w+)` \|", text, re.MULTILINE))
    models = apps.get_app_config("django_sendcloud").get_models()
    assert {(str(name), codename) for model in models for codename, name in model._meta.permissions} <= rows


def test_order_states_are_documented() -> None:
    text = (ROOT / "docs/adapter.md").read_text()
    for state in shipping.SyncState:
        assert f'"{state}"' in text


def test_readme_adapter_uses_existing_fields() -> None:
    readme = (ROOT / "README.md").read_text()
    call = re.search(r"ShipmentPayload\((.*?)parcel_items", readme, re.DOTALL)
    assert call
    fields = set(re.findall(r"^\s+(\w+)=", call[1], re.MULTILINE))
    assert fields
    assert fields <= set(inspect.signature(ShipmentPayload).parameters)


def test_signals_are_documented() -> None:
    text = (ROOT / "docs/webhooks.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == set(signals.__all__)


def test_site_contains_every_page() -> None:
    """A page outside the index would be found by a search engine only; Sphinx warns of it, this names it sooner."""
    listed = set(re.findall(r"^([\w/-]+)$", (ROOT / "docs/index.md").read_text(), re.MULTILINE))
    pages = {str(path.relative_to(ROOT / "docs").with_suffix("")) for path in (ROOT / "docs").rglob("*.md")}
    generated = {page for page in pages if page.startswith(("reference/python/", "_build/"))}
    assert pages - generated - {"index"} == listed


def test_panel_is_described_by_the_same_paths() -> None:
    """Sendcloud's panel makes keys in one place, and shows the settings of an integration in another."""
    sources = [*DOCUMENTS, *(ROOT / "django_sendcloud").rglob("*.py")]
    # A text in the code may be divided over lines.
    texts = [re.sub(r'"\s*\n\s*f?"', "", path.read_text()) for path in sources]
    path = r"Settings\s+[>›]\s+Integrations(?:\s+[>›]\s+(?:Sendcloud API|[A-Z]\w+))*"
    found = {re.sub(r"\s+", " ", each) for text in texts for each in re.findall(path, text)}
    assert found == {
        "Settings > Integrations",
        "Settings > Integrations > Configure",
        "Settings > Integrations > Sendcloud API",
        "Settings > Integrations > Sendcloud API > Connect",
    }


@pytest.mark.parametrize("page", ["adapter", "admin", "operations", "oscar", "tutorial", "webhooks", "service-points"])
def test_quoted_texts_are_those_of_the_admin(page: str) -> None:
    """An operator who looks for *Send now* must not find *Push now*."""
    catalogue = polib.pofile(str(ROOT / "django_sendcloud/locale/nl/LC_MESSAGES/django.po"))
    texts = [text for entry in catalogue if not entry.obsolete for text in (entry.msgid, entry.msgid_plural)]
    known = re.sub(r"%\(\w+\)[sd]|\{\w*\}", "0", "\n".join(texts)).lower()
    prose = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / f"docs/{page}.md").read_text(), flags=re.DOTALL)
    unknown = set()
    for quoted in re.findall(r"(?<![*\w])\*([^*\n]+(?:\n[^*\n]+)?)\*(?![*\w])", prose):
        for part in re.split(r" · | > ", " ".join(quoted.split())):
            text = re.sub(r"\d+", "0", part.lower().rstrip("…."))
            # Django names its own permissions so.
            if text.strip() and text not in known and not part.startswith("Can ") and part not in EXAMPLES:
                unknown.add(part)
    assert unknown == set()
