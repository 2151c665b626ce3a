"""Many rows in one statement, without a placeholder for each value.

Django's bulk operations write one placeholder per value; for a few hundred rows, parsing those costs more than the
database does. PostgreSQL takes a column as an array; elsewhere Django's own way is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["update", "values_or_arrays"]


def update(rows: Sequence[models.Model], fields: Sequence[str], using: str) -> None:
    """Write these fields of rows that exist, whatever else somebody writes into them meanwhile."""
    if not rows:
        return
    connection = connections[using]
    model = type(rows[0])
    if connection.vendor != "postgresql":
        features = connection.features
        model._default_manager.using(using).bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["id"] if features.supports_update_conflicts_with_target else None,
            update_fields=fields,
        )
        return
    quote = connection.ops.quote_name
    columns = [model._meta.get_field(name) for name in ("id", *fields)]
    names = [quote(str(field.column)) for field in columns]  # type: ignore[union-attr]
    arrays = [f"%s::{_type(field, connection)}[]" for field in columns]
    table = quote(model._meta.db_table)
    sql = (
        f"UPDATE {table} SET {', '.join(f'{name} = new.{name}' for name in names[1:])} "  # noqa: S608
        f"FROM unnest({', '.join(arrays)}) AS new({', '.join(names)}) WHERE {table}.id = new.id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [_column(field, rows, connection) for field in columns])


def values_or_arrays(
    rows: Sequence[models.Model], fields: Sequence[Any], connection: BaseDatabaseWrapper
) -> tuple[str, list[Any]]:
    """What follows ``INSERT INTO table (columns)`` for these rows: ``VALUES``, or a ``SELECT`` from arrays."""
    if connection.vendor != "postgresql":
        row = f"({', '.join(['%s'] * len(fields))})"
        params = [
            field.get_db_prep_save(field.pre_save(each, add=True), connection) for each in rows for field in fields
        ]
        return f"VALUES {', '.join([row] * len(rows))}", params
    chosen, arrays, params, array_params = [], [], [], []
    for field in fields:
        values = _column(field, rows, connection, add=True)
        if values.count(values[0]) == len(values):
            # The same for all: once is enough.
            chosen.append(f"%s::{_type(field, connection)}")
            params.append(values[0])
        else:
            name = connection.ops.quote_name(field.column)
            chosen.append(f"new.{name}")
            arrays.append((f"%s::{_type(field, connection)}[]", name))
            array_params.append(values)
    if not arrays:
        row = f"({', '.join(chosen)})"
        return f"VALUES {', '.join([row] * len(rows))}", params * len(rows)
    source = f"unnest({', '.join(array for array, _ in arrays)}) AS new({', '.join(name for _, name in arrays)})"
    return f"SELECT {', '.join(chosen)} FROM {source}", [*params, *array_params]  # noqa: S608


def _column(field: Any, rows: Sequence[models.Model], connection: BaseDatabaseWrapper, add: bool = False) -> list[Any]:
    return [field.get_db_prep_save(field.pre_save(row, add=add), connection) for row in rows]


def _type(field: Any, connection: BaseDatabaseWrapper) -> str:
    return str(field.rel_db_type(connection) if field.is_relation else field.db_type(connection)).split(" GENERATED")[0]
