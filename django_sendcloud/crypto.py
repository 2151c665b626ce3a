"""Secrets at rest: encrypted in the database, silent everywhere else."""

from __future__ import annotations

import base64
import functools
import hmac
from typing import NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.signals import setting_changed
from django.utils.encoding import force_bytes

from .conf import SendcloudConfigurationError, conf

__all__ = ["DecryptionError", "Secret", "keyring"]


class DecryptionError(SendcloudConfigurationError):
    """A stored secret cannot be read with any of the configured keys."""


def _derived(secret_key: str | bytes) -> Fernet:
    raw = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"django_sendcloud.crypto").derive(
        force_bytes(secret_key)
    )
    return Fernet(base64.urlsafe_b64encode(raw))


@functools.cache
def keyring() -> MultiFernet:
    """The keys in force: the first encrypts, all decrypt.

    ``SENDCLOUD["ENCRYPTION_KEYS"]`` come first; what was encrypted before they were set, with a key
    derived from ``SECRET_KEY`` (or its fallbacks), stays readable.

    Raises:
        SendcloudConfigurationError: a key is not a Fernet key.
    """
    fernets = []
    for number, key in enumerate(conf().ENCRYPTION_KEYS):
        try:
            fernets.append(Fernet(key))
        except ValueError:
            raise SendcloudConfigurationError(
                f"SENDCLOUD['ENCRYPTION_KEYS'][{number}] is not a Fernet key (32 bytes in URL-safe base64). Make one "
                "with: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
            ) from None
    fernets += [_derived(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS) if key]
    return MultiFernet(fernets)


def _reset(*, setting: str, **kwargs: object) -> None:
    if setting in ("SENDCLOUD", "SECRET_KEY", "SECRET_KEY_FALLBACKS"):
        keyring.cache_clear()


setting_changed.connect(_reset, dispatch_uid="django_sendcloud.crypto")


class Secret:
    """A string that has to be asked for.

    It prints as dots in ``str``, ``repr``, tracebacks, templates and logs, cannot be pickled or
    iterated, and is decrypted only when ``reveal()`` is called.
    """

    __slots__ = ("_ciphertext", "_plaintext")

    def __init__(self, plaintext: str) -> None:
        self._plaintext: str | None = plaintext
        self._ciphertext: str | None = None

    @classmethod
    def encrypted(cls, ciphertext: str) -> Secret:
        """Wrap what the database holds, without decrypting it."""
        secret = cls("")
        secret._plaintext, secret._ciphertext = None, ciphertext
        return secret

    def reveal(self) -> str:
        """The secret itself.

        Raises:
            DecryptionError: none of the configured keys fits.
        """
        if self._plaintext is None:
            assert self._ciphertext is not None
            try:
                self._plaintext = keyring().decrypt(self._ciphertext.encode()).decode("utf-8", "surrogateescape")
            except InvalidToken:
                raise DecryptionError(
                    "A stored secret cannot be decrypted: the key it was encrypted with is neither in "
                    "SENDCLOUD['ENCRYPTION_KEYS'] nor derived from SECRET_KEY or SECRET_KEY_FALLBACKS. Put the former "
                    "key back at the end of the list, or enter the credentials again."
                ) from None
        return self._plaintext

    def ciphertext(self) -> str:
        """What may be stored."""
        if self._ciphertext is None:
            assert self._plaintext is not None
            self._ciphertext = keyring().encrypt(self._plaintext.encode("utf-8", "surrogateescape")).decode()
        return self._ciphertext

    def rotated(self) -> Secret:
        """The same secret, encrypted with the first key."""
        return Secret(self.reveal())

    def __bool__(self) -> bool:
        return bool(self._ciphertext) if self._plaintext is None else bool(self._plaintext)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self.reveal().encode("utf-8", "surrogateescape"), other.reveal().encode("utf-8", "surrogateescape")
        )

    __hash__ = None  # type: ignore[assignment]  # a hash would be a fingerprint

    def __repr__(self) -> str:
        return "••••" if self else ""

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret is not to be pickled.")

    def __deepcopy__(self, memo: object) -> Secret:
        return self
