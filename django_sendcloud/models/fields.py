"""Model fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query_utils import DeferredAttribute

from ..crypto import Secret

if TYPE_CHECKING:
    _TextField = models.TextField[Secret | str | None, Secret | None]
    _CharField = models.CharField[str, str]
else:
    _TextField = models.TextField
    _CharField = models.CharField


class ExactCharField(_CharField):
    """Text that is compared to the letter. MySQL and MariaDB would take ``a``, ``A`` and ``ä`` for the same key."""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters: dict[str, Any] = {**super().db_parameters(connection)}
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters


class _SecretAttribute(DeferredAttribute):
    """Wraps whatever is assigned, so that a secret is never a bare string on an instance."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = self.field.to_python(value)


class EncryptedTextField(_TextField):
    """Text that is encrypted in the database and wrapped in a ``Secret`` in Python.

    A plain ``str`` may be assigned; what is loaded is a ``Secret`` that decrypts on ``reveal()``.
    It cannot be searched, ordered or serialised to fixtures in the clear.
    """

    descriptor_class = _SecretAttribute

    def from_db_value(self, value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> Secret | None:
        return None if value is None else Secret.encrypted(value) if value else Secret("")

    def to_python(self, value: Any) -> Secret | None:
        return value if value is None or isinstance(value, Secret) else Secret(str(value))

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        secret = value if isinstance(value, Secret) else Secret(str(value))
        return secret.ciphertext() if secret else ""

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""
