"""Imports of a process that sets Django up: each start of a shop, a worker or a command pays for them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent

TAG_LIBRARIES = ("sendcloud", "sendcloud_admin")

BARE = """
import json, sys, threading
from django.conf import settings
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages",
        "django.contrib.sessions", "django.contrib.staticfiles", *{apps},
    ],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    TEMPLATES=[{{"BACKEND": "django.template.backends.django.DjangoTemplates"}}],
    SECRET_KEY="a-key-for-tests", USE_TZ=True, ROOT_URLCONF="",
)
{before}
import django
django.setup()
{after}
"""


def run(after: str, *, apps: tuple[str, ...] = ("django_sendcloud",), before: str = "") -> Any:
    """Set a bare project up in a process of its own, and return what the code printed, read as JSON."""
    names = ("DJANGO_SETTINGS_MODULE", "CELERY_BROKER_URL")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BARE.format(apps=apps, before=before, after=after)],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def modules(*apps: str) -> set[str]:
    return set(run("print(json.dumps(list(sys.modules)))", apps=apps))


@pytest.fixture(scope="module")
def added() -> set[str]:
    """Return the modules that this package adds to a bare project."""
    return modules("django_sendcloud") - modules()


def test_start_imports_no_other_package(added: set[str]) -> None:
    """Neither ``requests`` nor ``cryptography``, Celery, DRF or ``pypdf``, nor more of Django."""
    packages = {name.partition(".")[0] for name in added} - sys.stdlib_module_names
    assert packages - {"django"} == {"django_sendcloud"}
    assert {name for name in added if name.startswith("django.")} <= {"django.db.models.sql.compiler"}


def test_start_imports_few_own_modules(added: set[str]) -> None:
    """Neither the client nor the payloads, the engine, the tasks or a page of the admin."""
    rooms = {name.split(".")[1] for name in added if name.startswith("django_sendcloud.")}
    assert rooms == {
        *("adapters", "admin", "apps", "broker", "checks", "conf", "core", "enums", "exceptions", "models"),
        *("orders", "receivers", "registry", "routers", "signals", "hidden", "sync", "version", "violations"),
    }
    inside = {name for name in added if name.startswith(("django_sendcloud.admin.", "django_sendcloud.sync."))}
    assert inside == {
        "django_sendcloud.admin.alerts",
        "django_sendcloud.admin.alerts.sidebar",
        "django_sendcloud.admin.ui",
        "django_sendcloud.admin.ui.humanize",
        "django_sendcloud.sync.record",
    }
    assert "django_sendcloud.models.connection" not in added


def test_first_template_imports_tag_libraries_alone() -> None:
    """Django imports the tag libraries of all apps with the first template, also where no page of ours uses one."""
    code = """
from django.template import Template
before = set(sys.modules)
Template("{% load sendcloud %}")
print(json.dumps([name for name in set(sys.modules) - before if name.startswith("django_sendcloud.")]))
"""
    names = {"django_sendcloud.templatetags", *(f"django_sendcloud.templatetags.{each}" for each in TAG_LIBRARIES)}
    assert set(run(code)) == names


def test_admin_page_is_imported_on_demand() -> None:
    code = """
from django.contrib import admin
from django_sendcloud.models import Integration
before = "django_sendcloud.admin.integrations.admin" in sys.modules
found = admin.site.get_model_admin(Integration)
from django_sendcloud.admin import IntegrationAdmin
print(json.dumps([before, isinstance(found, IntegrationAdmin), found.opts.model_name, len(admin.site.check(None))]))
"""
    assert run(code) == [False, True, "integration", 0]


def test_used_registry_holds_pages_themselves() -> None:
    """Other packages extend ``type()`` of what the registry holds, and do so while they go through it."""
    code = """
from django.contrib import admin
ours = [model for model in admin.site._registry if model._meta.app_label == "django_sendcloud"]
admin.site.get_urls()
for model, page in admin.site._registry.items():
    page.list_display
again = admin.AdminSite(name="again")
for model in ours:
    again.register(model, type("Extended", (type(admin.site.get_model_admin(model)),), {}))
other = admin.AdminSite(name="other")
from django_sendcloud.admin import register
register(other)
for model, page in other._registry.items():
    page.list_display
print(json.dumps([sorted(type(site.get_model_admin(model)).__name__ for model in ours) for site in (admin.site, other)]))
"""
    names = ["Account", "Integration", "Outbox", "Overview", "Parcel", "Shipment", "WebhookEvent"]
    assert run(code) == [[f"{name}Admin" for name in names]] * 2


@pytest.mark.parametrize("apps", [("shop_pages", "django_sendcloud"), ("django_sendcloud", "shop_pages")])
def test_documented_class_replaces_ours(apps: tuple[str, ...], tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/admin.md").read_text(), re.DOTALL)
    [block] = [block for block in blocks if "unregister" in block]
    (tmp_path / "shop_pages").mkdir()
    (tmp_path / "shop_pages/__init__.py").touch()
    (tmp_path / "shop_pages/admin.py").write_text(block)
    code = """
from django.contrib import admin
from django_sendcloud.models import Shipment
admin.site.get_urls()
pages = [page for model, page in admin.site._registry.items() if model._meta.app_label == "django_sendcloud"]
print(json.dumps([len(pages), str(admin.site.get_model_admin(Shipment)), admin.site.get_model_admin(Shipment).list_per_page]))
"""
    found = run(code, apps=apps, before=f"sys.path.insert(0, {str(tmp_path)!r})")
    assert found == [7, "django_sendcloud.MyShipmentAdmin", 200]


def test_first_notification_imports_celery_in_thread() -> None:
    """A checkout does not wait for an import, and neither does Celery load the engine."""
    code = """
threads = set()
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("celery", "kombu"):
            threads.add(threading.current_thread().name)
sys.meta_path.insert(0, Finder())
from django_sendcloud.broker import notify_workers, outbox_notifier
notify_workers(queue="outbox")
sent = outbox_notifier.wait_until_sent(60)
print(json.dumps([sent, sorted(threads), "django_sendcloud.sync.push" in sys.modules]))
"""
    assert run(code) == [True, ["sendcloud-notifier"], False]


def test_shop_app_is_known_in_threads() -> None:
    """Celery keeps its current app per thread: the one of the thread that sets Django up is remembered."""
    code = """
from django_sendcloud.broker import celery_app
found = []
thread = threading.Thread(target=lambda: found.append(celery_app().main))
thread.start()
thread.join()
print(json.dumps(found))
"""
    assert run(code, before="from celery import Celery\napp = Celery('shop')") == ["shop"]


def test_eager_shop_runs_unimported_task() -> None:
    code = """
from django_sendcloud.broker import notify_workers
imported = "django_sendcloud.tasks" in sys.modules
from django_sendcloud.sync import worker
ran_in = []
worker.push_due = lambda: ran_in.append(threading.current_thread().name)
notify_workers(queue="outbox")
print(json.dumps([imported, ran_in]))
"""
    before = "from celery import Celery\napp = Celery('shop')\napp.conf.task_always_eager = True"
    assert run(code, before=before) == [False, ["MainThread"]]
