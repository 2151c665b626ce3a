"""Each mistake in the set-up of a shop with Oscar, and what the check says of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core import checks as django_checks
from django.test import override_settings
from oscar.apps.order import processing
from oscar.core.loading import get_model

from django_sendcloud.contrib.oscar import checks
from django_sendcloud.contrib.oscar.installed import check_installed
from django_sendcloud.core.pipeline import next_on_the_way
from django_sendcloud.registry import registry, temporarily_registered

from ..checked import block, check_pasted, errors_without_app
from .conftest import Shop

Order = get_model("order", "Order")
ROOT = Path(__file__).resolve().parents[3]


def found(check: Any = checks.check_oscar, databases: Any = None, **changes: Any) -> list[django_checks.CheckMessage]:
    with temporarily_registered(type("Wrong", (type(registry[Order]),), changes), Order):
        messages: list[django_checks.CheckMessage] = check(None, databases=databases)
    return messages


def only(messages: list[django_checks.CheckMessage], code: str) -> str:
    assert [message.id for message in messages] == [f"sendcloud.{code}"], messages
    return f"{messages[0].msg} {messages[0].hint}"


def test_documented_shop_has_no_findings(shop: Shop) -> None:
    shop.product_class()
    assert found() == []
    assert found(check_installed) == []
    assert found(checks.check_data, ["default"]) == []
    assert [each for each in django_checks.run_checks() if each.level >= django_checks.ERROR] == []


def test_missing_statuses_are_named() -> None:
    for missing in ((), "Being processed"):
        text = only(found(shippable_statuses=missing), "E082")
        assert "shippable_statuses names no statuses" in text
        assert "'Being processed'" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"shippable_statuses": ("Being procesed", "Complete")},
        {"shippable_statuses": ("Complete", "Being processed"), "phase_statuses": {"in_transit": "Completed"}},
        {"status_beginnings": ("Being-processed",)},
    ],
)
def test_unknown_status_has_suggestion(changes: dict[str, Any]) -> None:
    text = only(found(**changes), "E083")
    assert "no status of OSCAR_ORDER_STATUS_PIPELINE" in text
    assert "Did you mean 'Being processed'?" in text or "Did you mean 'Complete'?" in text
    assert "Packed" in text


def test_unreachable_status_is_named() -> None:
    messages = found(shippable_statuses=("Packed", "Complete"), phase_statuses={"returned": "Cancelled"})
    assert [message.id for message in messages] == ["sendcloud.E083", "sendcloud.W084"]
    assert "no way in OSCAR_ORDER_STATUS_PIPELINE leads there from 'Packed', 'Complete'" in messages[0].msg


def test_empty_pipeline_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order, "pipeline", {})
    assert "which is empty" in only(found(), "E083")
    assert found(phase_statuses={}) == []


def test_status_outside_shippable_ones_is_warned_of() -> None:
    text = only(found(shippable_statuses=("Being processed",)), "W084")
    assert "deleted at Sendcloud" in text


@pytest.mark.parametrize("unit", ["", "gram", "stone"])
def test_weight_unit_is_checked(unit: str) -> None:
    assert repr(unit) in only(found(weight_unit=unit), "E085")


def test_split_by_is_checked() -> None:
    assert "Did you mean 'partner_id'?" in only(found(split_by="partnerid"), "E086")
    assert found(split_by="partner_id") == []
    assert found(split_by="partner_name") == []


class NeedsMore(processing.EventHandler):
    def __init__(self, user: Any, request: Any) -> None:
        super().__init__(user)


class OldStatus(processing.EventHandler):
    def handle_order_status_change(self, order: Any, new_status: Any, reason: str) -> None:  # type: ignore[override]
        """Do nothing: Oscar's own takes no reason."""


class OldShipping(processing.EventHandler):
    def handle_shipping_event(self, order: Any, event_type: Any, lines: Any, line_quantities: Any) -> None:
        """Do nothing: Oscar's own takes more."""


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (NeedsMore, "cannot be made with EventHandler(None) (TypeError)"),
        (OldStatus, "OldStatus.handle_order_status_change() does not take (order, status)"),
        (OldShipping, "OldShipping.handle_shipping_event() does not take (order, event_type, lines"),
    ],
)
def test_other_signature_of_handler_is_named(handler: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_sendcloud.contrib.oscar.adapter.get_class", lambda module, name: handler)
    text = only(found(), "E087")
    assert said in text
    assert "get_event_handler(self)" in text
    assert found(phase_statuses={}, shipping_event="") == [], "what is not called need not fit"


def test_currency_beyond_contract_is_warned_of() -> None:
    with override_settings(OSCAR_DEFAULT_CURRENCY="SEK"):
        assert "'SEK'" in only(found(), "W088")
        with override_settings(SENDCLOUD={"ANY_CURRENCY": True}):
            assert found() == []


def test_missing_attribute_has_suggestion(shop: Shop) -> None:
    shop.product_class().attributes.filter(code="weight").update(code="weigth")
    text = only(found(checks.check_data, ["default"]), "W089")
    assert "Did you mean 'weigth'?" in text
    assert found(checks.check_data, ["default"], default_weight=1) == []
    assert found(checks.check_data, None) == [], "without --database, no query"


def test_unknown_shipping_event_has_suggestion(shop: Shop) -> None:
    shop.product_class()
    text = only(found(checks.check_data, ["default"], shipping_event="Shiped"), "W089")
    assert "Did you mean 'Shipped'?" in text
    assert found(checks.check_data, ["default"], shipping_event="shipped") == [], "its code"


def test_order_of_apps_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = list(apps.get_app_configs())
    ours = apps.get_app_config("sendcloud_oscar")
    others = [each for each in configs if each is not ours]
    for present, said in (
        ([*others, ours], "comes behind oscar"),
        (others, "is not in INSTALLED_APPS: the dashboard has no panel"),
        ([ours], "oscar is not"),
    ):
        monkeypatch.setattr(apps, "get_app_configs", lambda present=present: present)
        text = only(found(check_installed), "E080")
        assert said in text
        assert 'in front of "oscar.config.Shop"' in text


def test_forgotten_app_is_named() -> None:
    """The check runs also where the app, which registers the others, is not installed."""
    done = errors_without_app("oscar")
    assert done.stdout.strip() == "['sendcloud.E080']", done.stderr


def test_documented_settings_make_a_shop(tmp_path: Path) -> None:
    """The README's settings and the page's, one after the other, below those of a shop with Oscar."""
    settings = [
        "from tests.contrib.oscar.settings import *",
        'INSTALLED_APPS = [app for app in INSTALLED_APPS if "django_sendcloud" not in app and app != "rest_framework"]',
        block("README.md", "yourproject/settings.py"),
        block("docs/oscar.md", "yourproject/settings.py"),
    ]
    done = check_pasted(tmp_path, settings)
    assert done.returncode == 0, done.stderr


EMPTY = """
import django
django.setup()
from django_sendcloud.contrib.oscar.checks import check_data
print(check_data(None, databases=["default"]))
"""


def test_empty_database_can_be_migrated() -> None:
    """``migrate`` runs the checks of the database first, and dies with what they raise."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EMPTY],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.contrib.oscar.settings"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr


def overriding(folder: Path, name: str, text: str) -> Any:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return override_settings(TEMPLATES=[{**settings.TEMPLATES[0], "DIRS": [str(folder)]}])


@pytest.mark.parametrize("name", checks.TEMPLATES)
def test_overridden_template_is_named(name: str, tmp_path: Path) -> None:
    with overriding(tmp_path, name, "<p>The shop's own</p>"):
        text = only(found(), "W081")
    assert str(tmp_path / name) in text
    assert checks.TEMPLATES[name] in text


@pytest.mark.parametrize("name", checks.TEMPLATES)
def test_overridden_template_may_extend_or_have_tag(name: str, tmp_path: Path) -> None:
    for text in (f'{{% extends "{name}" %}}', f"<p>{checks.TEMPLATES[name]}</p>"):
        with overriding(tmp_path, name, text):
            assert found() == []


def test_way_along_pipeline_is_shortest() -> None:
    pipeline = {"A": ("B", "C"), "B": ("D",), "C": ("E",), "D": ("F",), "E": (), "F": ("A",)}
    assert next_on_the_way(pipeline, "A", "F") == "B"
    assert next_on_the_way(pipeline, "A", "E") == "C"
    assert next_on_the_way(pipeline, "E", "A") is None
    assert next_on_the_way(pipeline, "unknown", "A") is None
    assert next_on_the_way({}, "A", "B") is None
    assert next_on_the_way(pipeline, "F", "B") == "A"
