"""Model fields."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import IContains, IExact, IStartsWith, Lookup
from django.db.models.query_utils import DeferredAttribute
from django.db.models.sql.compiler import SQLCompiler

from ..core.crypto import Secret
from ..hidden import HiddenStr, hide

if TYPE_CHECKING:
    _TextField = models.TextField[Secret | str | None, Secret | None]
    _PlainTextField = models.TextField[str, str]
    _CharField = models.CharField[str, str]
    _JSONField = models.JSONField
    _Lookup = Lookup[Any]
else:
    _TextField = _PlainTextField = models.TextField
    _CharField = models.CharField
    _JSONField = models.JSONField
    _Lookup = Lookup


def storable(text: str, *, narrow: bool = False) -> str:
    """Return text that a database takes: without NUL characters and lone surrogates.

    Args:
        text: The text.
        narrow: The column's character set has no characters of four bytes (``utf8mb3``): replace these.
    """
    text = text.encode("utf-8", "replace").decode().replace("\0", "�")
    return "".join("�" if each > "\uffff" else each for each in text) if narrow and not text.isascii() else text


@functools.cache
def _is_narrow(alias: str, database: str, table: str, column: str) -> bool:
    """Return whether a column of MySQL or MariaDB holds no characters of four bytes."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT character_set_name FROM information_schema.columns "
            "WHERE table_schema = %s AND table_name = %s AND column_name = %s",
            [database, table, column],
        )
        row = cursor.fetchone()
    return row is not None and row[0] is not None and row[0] != "utf8mb4"


class _Storable:
    """A mixin for fields of text that comes from outside: a character that the column lacks harms nothing."""

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        value = super().get_db_prep_value(value, connection, prepared)  # type: ignore[misc]
        if not isinstance(value, str) or (value.isascii() and "\0" not in value):
            return value
        field: Any = self
        narrow = connection.vendor == "mysql" and _is_narrow(
            connection.alias, str(connection.settings_dict["NAME"]), field.model._meta.db_table, field.column
        )
        return storable(value, narrow=narrow)


class StorableCharField(_Storable, _CharField):
    """Short text that every database takes."""


class StorableTextField(_Storable, _PlainTextField):
    """Text that every database takes."""


class ExactCharField(_CharField):
    """Text that is compared exactly. MySQL and MariaDB would take ``a``, ``A``, ``ä`` and ``a `` for the same key."""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters: dict[str, Any] = {**super().db_parameters(connection)}
        if connection.vendor == "mysql":
            mariadb = connection.mysql_is_mariadb  # type: ignore[attr-defined]
            # (``utf8mb4_bin`` ignores trailing blanks.)
            parameters["collation"] = "utf8mb4_nopad_bin" if mariadb else "utf8mb4_0900_bin"
        return parameters


class HiddenJSONField(_JSONField):
    """JSON that shows in no report: neither its value, nor the parameters of a statement that writes it."""

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        return hide(super().from_db_value(value, expression, connection))

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        found = super().get_db_prep_value(hide(value), connection, prepared)
        return HiddenStr(found) if isinstance(found, str) else found


class _AnyCase(_Lookup):
    """A lookup that ignores case, also in a column that is compared exactly."""

    def process_lhs(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, lhs: Any = None) -> Any:
        sql, params = super().process_lhs(compiler, connection, lhs)
        # MySQL leaves it to the collation whether case matters.
        return (f"{sql} COLLATE utf8mb4_general_ci" if connection.vendor == "mysql" else sql), params


@ExactCharField.register_lookup
class _AnyCaseIsExactly(_AnyCase, IExact):
    pass


@ExactCharField.register_lookup
class _AnyCaseContains(_AnyCase, IContains):
    pass


@ExactCharField.register_lookup
class _AnyCaseStartsWith(_AnyCase, IStartsWith):
    pass


class _SecretAttribute(DeferredAttribute):
    """Wraps whatever is assigned, so that a secret is never a bare string on an instance."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        if value is not None and not isinstance(value, Secret):
            value = Secret(str(value))
        instance.__dict__[self.field.attname] = value


# Marks what is encrypted already, in fixtures: without it, loading one would encrypt it again.
_IN_FIXTURE = "django-sendcloud-encrypted:"


class EncryptedTextField(_TextField):
    """Text that is encrypted in the database and wrapped in a ``Secret`` in Python.

    A plain ``str`` may be assigned; what is loaded is a ``Secret`` that decrypts on ``reveal()``.
    It cannot be searched, ordered or serialised to fixtures in the clear.
    """

    descriptor_class = _SecretAttribute

    def from_db_value(self, value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> Secret | None:
        return None if value is None else Secret.encrypted(value) if value else Secret("")

    def to_python(self, value: Any) -> Secret | None:
        if value is None or isinstance(value, Secret):
            return value
        text = str(value)
        return Secret.encrypted(text.removeprefix(_IN_FIXTURE)) if text.startswith(_IN_FIXTURE) else Secret(text)

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        secret = value if isinstance(value, Secret) else Secret(str(value))
        return secret.ciphertext() if secret else ""

    def value_to_string(self, obj: models.Model) -> str:
        stored = self.get_prep_value(self.value_from_object(obj))
        return f"{_IN_FIXTURE}{stored}" if stored else ""
