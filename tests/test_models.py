"""The tables of the app."""

from __future__ import annotations

from django.apps import apps


def test_no_index_repeats_a_constraint() -> None:
    """Every index costs each write, and one that a unique constraint begins with already is never needed."""
    repeated = []
    for model in apps.get_app_config("django_sendcloud").get_models():
        first = {constraint.fields[0] for constraint in model._meta.total_unique_constraints}
        indexes = [index.fields for index in model._meta.indexes if len(index.fields) == 1]
        single = {field.name for field in model._meta.local_fields if field.db_index} | {name for [name] in indexes}
        repeated += [f"{model.__name__}.{name}" for name in sorted(first & single)]
    assert repeated == []
