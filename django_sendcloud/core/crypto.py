"""Secrets at rest: encrypted in the database, hidden everywhere else."""

from __future__ import annotations

import base64
import functools
import hmac
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.encoding import force_bytes

from ..conf import SendcloudConfigurationError, conf
from ..hidden import HiddenBytes, HiddenStr

# ``cryptography`` is imported with the first secret: most processes start without one.
if TYPE_CHECKING:
    from cryptography.fernet import Fernet, MultiFernet

__all__ = ["DecryptionError", "Secret", "keyring"]


class DecryptionError(SendcloudConfigurationError):
    """A stored secret cannot be read with any of the configured keys."""


def _derived(secret_key: str | bytes) -> Fernet:
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    raw = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"django_sendcloud.core.crypto").derive(
        force_bytes(secret_key)
    )
    return Fernet(base64.urlsafe_b64encode(raw))


@functools.cache
def keyring() -> MultiFernet:
    """Return the keys in force: the first encrypts, all decrypt.

    ``SENDCLOUD["ENCRYPTION_KEYS"]`` come first; what was encrypted before they were set, with a key
    derived from ``SECRET_KEY`` (or its fallbacks), stays readable.

    Raises:
        SendcloudConfigurationError: a key is not a Fernet key.
    """
    from cryptography.fernet import Fernet, MultiFernet

    fernets = []
    for number, key in enumerate(conf().ENCRYPTION_KEYS):
        try:
            fernets.append(Fernet(str(key)))
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


setting_changed.connect(_reset, dispatch_uid="django_sendcloud.core.crypto")


class Secret:
    """A string that has to be asked for.

    It prints as dots in ``str``, ``repr``, tracebacks, templates and logs, is pickled as its
    ciphertext, cannot be iterated, and is decrypted only when ``reveal()`` is called.
    """

    __slots__ = ("_ciphertext", "_plaintext")

    def __init__(self, plaintext: str) -> None:
        self._plaintext: HiddenStr | None = HiddenStr(plaintext)
        self._ciphertext: str | None = None

    @classmethod
    def encrypted(cls, ciphertext: str) -> Secret:
        """Wrap what the database holds, without decrypting it."""
        secret = cls("")
        secret._plaintext, secret._ciphertext = None, ciphertext
        return secret

    def reveal(self) -> HiddenStr:
        """Return the secret itself.

        Raises:
            DecryptionError: none of the configured keys fits.
        """
        if self._plaintext is None:
            from cryptography.fernet import InvalidToken

            assert self._ciphertext is not None
            try:
                raw = HiddenBytes(keyring().decrypt(self._ciphertext.encode()))
                self._plaintext = HiddenStr(raw.decode("utf-8", "surrogateescape"))
            except InvalidToken:
                raise DecryptionError(
                    "A stored secret cannot be decrypted: the key it was encrypted with is neither in "
                    "SENDCLOUD['ENCRYPTION_KEYS'] nor derived from SECRET_KEY or SECRET_KEY_FALLBACKS. Put the former "
                    "key back at the end of the list, or enter the credentials again."
                ) from None
        return self._plaintext

    def ciphertext(self) -> str:
        """Return the text to store."""
        if self._ciphertext is None:
            assert self._plaintext is not None
            self._ciphertext = keyring().encrypt(self._plaintext.encode("utf-8", "surrogateescape")).decode()
        return self._ciphertext

    def rotated(self) -> Secret:
        """Return the same secret, encrypted with the first key."""
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

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """Return the ciphertext to pickle: a cache, a session or a message holds no more than the database does."""
        return (Secret.encrypted, (self.ciphertext(),)) if self else (Secret, ("",))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self
