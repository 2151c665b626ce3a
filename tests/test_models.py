"""The tables of the app."""

from __future__ import annotations

from pathlib import Path

from django.apps import apps
from django.core.management import call_command

from django_sendcloud.models import Account, Integration


def test_constraint_needs_no_index_beside_it() -> None:
    """Every index costs each write, and one that a unique constraint begins with already is never needed."""
    repeated = []
    for model in apps.get_app_config("django_sendcloud").get_models():
        first = {constraint.fields[0] for constraint in model._meta.total_unique_constraints}
        indexes = [index.fields for index in model._meta.indexes if len(index.fields) == 1]
        single = {field.name for field in model._meta.local_fields if field.db_index} | {name for [name] in indexes}
        repeated += [f"{model.__name__}.{name}" for name in sorted(first & single)]
    assert repeated == []


def test_fixture_with_natural_keys_can_be_loaded(integration: Integration, tmp_path: Path) -> None:
    fixture = str(tmp_path / "sendcloud.json")
    options = {"use_natural_foreign_keys": True, "use_natural_primary_keys": True, "verbosity": 0}
    call_command("dumpdata", "django_sendcloud.account", "django_sendcloud.integration", output=fixture, **options)
    Integration.objects.all().delete()
    Account.objects.all().delete()
    call_command("loaddata", fixture, verbosity=0)
    assert Integration.objects.get().account.name == integration.account.name
