"""Support bundle: a zip with everything a developer needs to help, without secrets and without personal data.

Each file is made of named facts. Nothing is copied from orders, parcels, webhooks or free texts, so nothing has to be
removed from them.
"""

from __future__ import annotations

import dataclasses
import io
import json
import platform
import zipfile
from importlib import metadata
from typing import Any

import django
from django.conf import settings
from django.core import checks
from django.db import connections
from django.db.models import Count
from django.utils import timezone, translation

from ..adapters import OrderAdapter
from ..broker import celery_app
from ..conf import FIELDS, Settings, conf, is_configured, problems
from ..core.schema import unapplied_migrations
from ..models import OutboxEntry
from ..registry import registry
from ..sync.problems import CAUSE
from ..version import __version__
from .doctor import Finding, diagnose
from .figures import figures

__all__ = ["NAME", "support_bundle"]

NAME = "sendcloud-support.zip"

#: Settings shown with their values: numbers, switches and names that are no secret.
_SHOWN = {field.name for field in dataclasses.fields(Settings) if isinstance(field.default, bool | int | float)} | {
    "DATABASE",
    "QUEUE",
}
_PACKAGES = (
    "celery",
    "kombu",
    "djangorestframework",
    "requests",
    "urllib3",
    "cryptography",
    "prometheus_client",
    "pypdf",
)
_CHECKED = ("sendcloud.",)


def support_bundle(found: list[Finding] | None = None) -> bytes:
    """Return the bundle. Takes as long as the doctor.

    Args:
        found: Findings of the doctor; it is asked by default.
    """
    with translation.override("en"):
        found = diagnose() if found is None else found
        files: dict[str, Any] = {
            "doctor.json": [_without_values(finding).as_json() for finding in found],
            "versions.json": _versions(),
            "settings.json": _settings(),
            "project.json": _project(),
            "checks.json": _checks(),
        }
        if is_configured() and not unapplied_migrations():
            files |= {"figures.json": figures().as_json(), "problems.json": _problems()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _README.format(version=__version__, made=timezone.now().isoformat()))
        for name, content in files.items():
            archive.writestr(name, json.dumps(content, indent=2, default=str))
    return buffer.getvalue()


_README = """Support bundle of django-sendcloud {version}, made {made}.

It holds versions, settings without their secrets, the findings of the doctor, figures, and codes of problems. It
holds no keys, no addresses, no orders and no buyers. Look through it before you pass it on.
"""


def _without_values(finding: Finding) -> Finding:
    """Return the finding without a name that the shop wrote itself: a wrong key of the settings may be anything."""
    if finding.code == "settings_wrong" and finding.detail not in FIELDS:
        return dataclasses.replace(finding, detail="?")
    return finding


def _versions() -> dict[str, Any]:
    found: dict[str, Any] = {"django-sendcloud": __version__, "django": django.get_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return {**found, "python": platform.python_version(), "system": platform.system()}


def _settings() -> dict[str, Any]:
    raw = getattr(settings, "SENDCLOUD", {})
    if found := problems(raw):
        return {"wrong": [key for key, _ in found if key in FIELDS]}
    values = conf()
    shown = {
        name: getattr(values, name) if name in _SHOWN else "set" if getattr(values, name) else "not set"
        for name in FIELDS
    }
    return {**shown, "ENCRYPTION_KEYS": len(values.ENCRYPTION_KEYS)}


def _project() -> dict[str, Any]:
    app = celery_app()
    broker = str(app.conf.broker_write_url or app.conf.broker_url or "")
    scheduled = [entry.get("task") for entry in (app.conf.beat_schedule or {}).values() if isinstance(entry, dict)]
    return {
        "adapters": [_adapter(adapter) for adapter in registry],
        "databases": {alias: connections[alias].vendor for alias in settings.DATABASES},
        "database_routers": len(settings.DATABASE_ROUTERS),
        "atomic_requests": {alias: bool(values.get("ATOMIC_REQUESTS")) for alias, values in settings.DATABASES.items()},
        "use_tz": settings.USE_TZ,
        "time_zone": settings.TIME_ZONE,
        "language": settings.LANGUAGE_CODE,
        "debug": settings.DEBUG,
        "celery": {
            "broker": broker.partition(":")[0],
            "eager": bool(app.conf.task_always_eager),
            "scheduled": sorted(str(task) for task in scheduled if str(task).startswith("django_sendcloud.")),
        },
    }


def _adapter(adapter: OrderAdapter[Any]) -> dict[str, Any]:
    own = {name for name in vars(OrderAdapter) if not name.startswith("_") and hasattr(type(adapter), name)}
    return {
        "class": f"{type(adapter).__module__}.{type(adapter).__qualname__}",
        "model": adapter.model._meta.label,
        "overrides": sorted(name for name in own if getattr(type(adapter), name) is not getattr(OrderAdapter, name)),
        "auto": adapter.auto,
    }


def _checks() -> list[dict[str, Any]]:
    # Only their ids: a hint may quote a setting.
    found = checks.run_checks(tags=["sendcloud"])
    return [{"id": each.id, "level": each.level} for each in found if str(each.id).startswith(_CHECKED)]


def _problems() -> list[dict[str, Any]]:
    """Return the causes of problems with numbers: never a value."""
    rows = OutboxEntry.objects.exclude(error_code="").order_by("state", *CAUSE).values_list("state", *CAUSE)
    return [
        {"state": state, "code": code, "field": _plain(field), "rule": _plain(rule), "number": number}
        for state, code, field, rule, number in rows.annotate(number=Count("pk"))
    ]


def _plain(text: object) -> str:
    """Return a name of a field or a code; ``"?"`` for anything else."""
    name = str(text)
    return name if len(name) < 80 and all((c.isalnum() and c.isascii()) or c in "_.[]" for c in name) else "?"
