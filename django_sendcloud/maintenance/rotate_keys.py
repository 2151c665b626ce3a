"""Rotation of the keys: all stored secrets, encrypted again with the first one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.db import models

from ..core.crypto import Secret, keyring
from ..models.fields import EncryptedTextField

__all__ = ["Rotated", "rotate"]

CHUNK = 500


@dataclasses.dataclass(slots=True)
class Rotated:
    """The result for the stored secrets."""

    done: int = 0
    unreadable: list[str] = dataclasses.field(default_factory=list)
    """Rows that none of the keys fits, as ``integration 3: secret_key``."""


def rotate() -> Rotated:
    """Encrypt every stored secret with the first key of ``SENDCLOUD["ENCRYPTION_KEYS"]``.

    Afterwards the other keys are not needed any more. Safe to interrupt, to repeat, and to run while the shop works:
    a secret that is replaced meanwhile stays as it is, and is encrypted with the first key anyway.

    Raises:
        SendcloudConfigurationError: a key is not a Fernet key.
    """
    result = Rotated()
    for model, field in _encrypted_fields():
        rows = model._default_manager
        stored = rows.exclude(**{field.attname: ""}).order_by("pk").values_list("pk", field.attname)
        for pk, secret in stored.iterator(chunk_size=CHUNK):
            try:
                fresh = Secret.encrypted(keyring().rotate(secret.ciphertext()).decode())
            except InvalidToken:
                result.unreadable.append(f"{model._meta.verbose_name} {pk}: {field.attname}")
                continue
            result.done += rows.filter(**{"pk": pk, field.attname: secret}).update(**{field.attname: fresh})
    return result


def _encrypted_fields() -> Iterator[tuple[type[models.Model], EncryptedTextField]]:
    for model in apps.get_app_config("django_sendcloud").get_models():
        for field in model._meta.local_concrete_fields:  # a proxy has none of its own
            if isinstance(field, EncryptedTextField):
                yield model, field
