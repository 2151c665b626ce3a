"""Many rows in one statement, without a placeholder for each value.

Django's bulk operations write one placeholder per value; for a few hundred rows, parsing those costs more than the
database does. PostgreSQL takes a column as an array; elsewhere Django's own way is used.
"""

from __future__ import annotations

import datetime as dt
import operator
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, Q, Value

__all__ = ["among", "update", "values_or_arrays"]


class _EqualsAny(Func):
    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = models.BooleanField()


def among(field: str, values: Sequence[Any], using: str) -> Q | Func:
    """The condition ``field IN (values)``, for ``filter()``. The values are numbers or text."""
    if connections[using].vendor != "postgresql":
        return Q(**{f"{field}__in": values})
    return _EqualsAny(F(field), Value(array(values)))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_ELEMENTS: Final[dict[type, Callable[[Any], str]]] = {
    int: str,
    str: _quoted,
    bool: str,
    type(None): lambda _: "NULL",
    uuid.UUID: str,
    dt.datetime: lambda moment: f'"{moment.isoformat()}"',
}


def array(values: Sequence[Any]) -> Any:
    """What PostgreSQL is given as an array: its text, where we can write it.

    (To have psycopg write each element takes as long as to have the statement executed.)
    """
    try:
        return f"{{{','.join([_ELEMENTS[type(value)](value) for value in values])}}}"
    except KeyError:
        return list(values)


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
    columns = _Columns(connection)
    assignments = []
    for name in fields:
        field: Any = model._meta.get_field(name)
        assignments.append(f"{connection.ops.quote_name(field.column)} = {columns.add(field, rows)}")
    source = columns.source(also=(model._meta.pk, rows))
    table = connection.ops.quote_name(model._meta.db_table)
    sql = f"UPDATE {table} SET {', '.join(assignments)} FROM {source} WHERE {table}.id = new.id"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, columns.params)


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
    columns = _Columns(connection)
    chosen = ", ".join([columns.add(field, rows, add=True) for field in fields])
    if not columns.arrays:
        return f"VALUES {', '.join([f'({chosen})'] * len(rows))}", columns.params * len(rows)
    return f"SELECT {chosen} FROM {columns.source()}", columns.params  # noqa: S608


class _Columns:
    """PostgreSQL: what is the same for all rows as one parameter, what differs as an array of ``new``."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.arrays: list[tuple[str, str]] = []
        self._same: list[Any] = []
        self._differing: list[Any] = []

    def add(self, field: Any, rows: Sequence[models.Model], *, add: bool = False) -> str:
        """The SQL that stands for this column in each row."""
        if type(field).pre_save is models.Field.pre_save:
            values = list(map(operator.attrgetter(field.attname), rows))
        else:
            values = [field.pre_save(row, add) for row in rows]
        if values.count(values[0]) == len(values):
            self._same.append(field.get_db_prep_save(values[0], self.connection))
            return f"%s::{_type(field, self.connection)}"
        return self._array(field, values)

    def _array(self, field: Any, values: list[Any]) -> str:
        name = self.connection.ops.quote_name(field.column)
        self.arrays.append((f"%s::{_type(field, self.connection)}[]", name))
        if not (isinstance(field, models.CharField) and set(map(type, values)) == {str}):
            values = [field.get_db_prep_save(value, self.connection) for value in values]
        self._differing.append(array(values))
        return f"new.{name}"

    def source(self, also: tuple[Any, Sequence[models.Model]] | None = None) -> str:
        """The arrays as a table."""
        if also is not None:
            field, rows = also
            self._array(field, [row.pk for row in rows])
        return f"unnest({', '.join(v for v, _ in self.arrays)}) AS new({', '.join(n for _, n in self.arrays)})"

    @property
    def params(self) -> list[Any]:
        """In the order of the SQL: what is selected stands before where it is selected from."""
        return [*self._same, *self._differing]


def _type(field: Any, connection: BaseDatabaseWrapper) -> str:
    return str(field.rel_db_type(connection) if field.is_relation else field.db_type(connection)).split(" GENERATED")[0]
