"""Verification that a webhook comes from Sendcloud.

The header ``Sendcloud-Signature`` is the HMAC-SHA256 of the raw body in hexadecimal, keyed with the integration's
secret key or its webhook signature key (https://sendcloud.dev/api/v2/webhooks).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

HEADER = "Sendcloud-Signature"

# A SHA-256 digest in hexadecimal. Anything longer is not looked at.
LENGTH = 64


def sign(raw: bytes, secret: str) -> str:
    """Return the signature of a body, as Sendcloud makes it."""
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def verify(raw: bytes, signature: str | None, secrets: Iterable[str]) -> bool:
    """Return whether one of the secrets made this signature.

    Compares in constant time, and every secret, whatever came before. An empty secret verifies nothing.

    Args:
        raw: The body, byte for byte as it came: serialised again, it may differ.
        signature: The header; ``None`` where it is missing.
        secrets: The keys that are valid now.
    """
    given = (signature or "").strip().lower().encode("utf-8", "replace")
    if len(given) != LENGTH:
        return False
    matches = [hmac.compare_digest(sign(raw, secret).encode(), given) for secret in secrets if secret]
    return any(matches)
