"""The ``SENDCLOUD`` setting as one typed, frozen object.

``conf()`` is read late, at every use, and is reset when Django's settings change, so
``override_settings(SENDCLOUD={...})`` works in tests. Nothing is read at import.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

__all__ = ["SendcloudConfigurationError", "Settings", "conf", "conf_while_selling", "problems"]

logger = logging.getLogger("django_sendcloud.conf")


class SendcloudConfigurationError(ImproperlyConfigured):
    """The ``SENDCLOUD`` setting, or what depends on it, cannot work as written."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every key of the ``SENDCLOUD`` dict, with its type, unit and default."""

    # Where Sendcloud is
    BASE_URL: str = "https://panel.sendcloud.sc/api/v2"
    """Root of the API. Point it at the sandbox in development."""
    TOKEN_URL: str = "https://account.sendcloud.com/oauth2/token"  # noqa: S105 - an address, not a password
    """Where OAuth2 tokens come from, for integrations that use OAuth2."""
    PARTNER_ID: str = ""
    """Value of the ``Sendcloud-Partner-Id`` header (a UUID given by Sendcloud to its partners)."""
    SERVICE_POINT_SCRIPT_URL: str = "https://embed.sendcloud.sc/spp/1.0.0/api.min.js"
    """The script of the service point picker, loaded by the buyer's browser. The sandbox has a stand-in."""
    CONNECT_TIMEOUT_SECONDS: float = 3.0
    """How long to wait for a connection."""
    READ_TIMEOUT_SECONDS: float = 15.0
    """How long to wait for the next byte of an answer."""
    DEADLINE_SECONDS: float = 20.0
    """Wall clock for one whole exchange, however slowly the server drips."""

    # Secrets
    ENCRYPTION_KEYS: tuple[str, ...] = ()
    """Fernet keys for what is encrypted at rest: the first encrypts, all decrypt. Empty: one from ``SECRET_KEY``."""

    # How orders flow out
    BATCH_SIZE: int = 100
    """Shipments per upsert request (1 to 100; contract: POST /integrations/{id}/shipments)."""
    CLAIM_SIZE: int = 400
    """Outbox entries a worker takes at once."""
    DEBOUNCE_SECONDS: float = 1.0
    """How long a change waits for others of the same order before it is pushed."""
    LEASE_SECONDS: float = 120.0
    """How long a worker may work on what it claimed. At least five seconds longer than ``DEADLINE_SECONDS``."""
    QUARANTINE_SECONDS: float = 60.0
    """How long an order rests after an outcome nobody knows, so that a late request can no longer overtake."""
    BACKOFF_MAX_SECONDS: float = 900.0
    """Upper bound of the random wait between retries."""
    GIVE_UP_HOURS: float = 72.0
    """Nothing that may heal by itself is given up before this."""
    UNSAFE_REQUESTS_PER_MINUTE: float = 85.0
    """POST, PATCH, PUT and DELETE per Sendcloud account, steadily. Sendcloud allows 100 in any 60 seconds."""
    UNSAFE_BURST: int = 15
    """So many of them at once after a pause. With the above, it must stay below what Sendcloud allows."""
    SAFE_REQUESTS_PER_MINUTE: float = 850.0
    """GET per Sendcloud account, steadily. Sendcloud allows 1,000 in any 60 seconds."""
    SAFE_BURST: int = 150
    """So many of them at once after a pause."""

    # Periodic work
    SWEEP_SECONDS: float = 30.0
    """How often due work is looked for whose wake-up was lost."""
    DRIFT_SECONDS: float = 900.0
    """How often orders are looked for that changed without a signal (adapters with ``changed_at``)."""
    RECONCILE_SECONDS: float = 86_400.0
    """How often both sides are compared, shipment by shipment."""
    PROBE_SECONDS: float = 300.0
    """How often a paused integration is tried with one GET."""

    CATCH_UP_SECONDS: float = 21_600.0
    """How often Sendcloud is asked for parcels whose webhooks never came."""

    # How parcels flow back
    WEBHOOK_BASE_URL: str = ""
    """Scheme and host under which Sendcloud reaches this shop, e.g. ``https://shop.example``."""
    WEBHOOK_MAX_BYTES: int = 262_144
    """Webhooks with a longer body are refused."""
    INBOX_BODY_DAYS: float = 7.0
    """Raw webhook bodies that failed are kept encrypted for this long; processed ones are emptied at once."""
    INBOX_DAYS: float = 30.0
    """Inbox rows (without their bodies) are kept for this long: they are what recognises a duplicate."""
    TOMBSTONE_DAYS: float = 30.0
    """How long a shipment deleted at Sendcloud is remembered."""
    ATTEMPT_DAYS: float = 14.0
    """How long it is remembered which attempts to tell Sendcloud failed."""
    PARCEL_PHASES: Mapping[int, str] = dataclasses.field(default_factory=dict)
    """Overrides of the built-in mapping from Sendcloud's status id to a ``ParcelPhase`` value."""

    # House
    DATABASE: str = "default"
    """Alias of the database that holds this app's tables; orders must live in it to be recorded atomically."""
    QUEUE: str = ""
    """Celery queue for this app's tasks. Empty: the default queue."""
    ADMIN_REGISTER: bool = True
    """``False`` lets a shop bring its own admin classes."""
    EXCEPTION_LOGS: bool = False
    """Report failures on the shop's side to the integration's log in Sendcloud's panel."""

    @property
    def host(self) -> str:
        """The configured API host, for checks on URLs that Sendcloud hands out."""
        from urllib.parse import urlsplit

        return urlsplit(self.BASE_URL).netloc


FIELDS = {field.name: field for field in dataclasses.fields(Settings)}

# (lower bound, upper bound), both allowed.
_RANGES: dict[str, tuple[float, float]] = {
    "BATCH_SIZE": (1, 100),
    "CLAIM_SIZE": (1, 10_000),
    "DEBOUNCE_SECONDS": (0, 3600),
    "LEASE_SECONDS": (0.1, 3600),
    "QUARANTINE_SECONDS": (0, 3600),
    "CONNECT_TIMEOUT_SECONDS": (0.01, 60),
    "READ_TIMEOUT_SECONDS": (0.01, 300),
    "DEADLINE_SECONDS": (0.05, 300),
    "UNSAFE_REQUESTS_PER_MINUTE": (0.1, 1e9),
    "UNSAFE_BURST": (1, 1e9),
    "SAFE_REQUESTS_PER_MINUTE": (0.1, 1e9),
    "SAFE_BURST": (1, 1e9),
    "WEBHOOK_MAX_BYTES": (1024, 1 << 30),
}


def _type_problem(name: str, value: object) -> str | None:
    default = FIELDS[name].default
    if name == "ENCRYPTION_KEYS":
        if isinstance(value, list | tuple) and all(isinstance(key, str) for key in value):
            return None
        return "must be a list of strings"
    if name == "PARCEL_PHASES":
        return None if isinstance(value, Mapping) else "must be a mapping from status id to phase"
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "must be True or False"
    if isinstance(default, int):
        return None if isinstance(value, int) and not isinstance(value, bool) else "must be a whole number"
    if isinstance(default, float):
        return None if isinstance(value, int | float) and not isinstance(value, bool) else "must be a number"
    return None if isinstance(value, str) else "must be a string"


def problems(raw: object) -> list[tuple[str, str]]:
    """What is wrong with a ``SENDCLOUD`` dict, as (key, sentence with the cure). Used by the system checks."""
    if not isinstance(raw, Mapping):
        return [("SENDCLOUD", f"must be a dict, not {type(raw).__name__}.")]
    found: list[tuple[str, str]] = []
    for name, value in raw.items():
        if name not in FIELDS:
            near = difflib.get_close_matches(str(name), FIELDS, n=1)
            cure = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(FIELDS)}."
            found.append((str(name), f"is not a setting of django-sendcloud. {cure}"))
            continue
        if problem := _type_problem(name, value):
            # A key could hold a secret, so its value is not repeated.
            shown = "" if name == "ENCRYPTION_KEYS" else f", not {value!r}"
            found.append((name, f"{problem}{shown}."))
            continue
        low, high = _RANGES.get(name, (float("-inf"), float("inf")))
        if isinstance(value, int | float) and not low <= value <= high:
            found.append((name, f"must be between {low:g} and {high:g}, not {value!r}."))
    return found


@functools.cache
def conf() -> Settings:
    """The settings in force.

    Raises:
        SendcloudConfigurationError: naming the key, its value and the cure.
    """
    raw = getattr(settings, "SENDCLOUD", {})
    if found := problems(raw):
        raise SendcloudConfigurationError(" ".join(f"SENDCLOUD[{key!r}] {text}" for key, text in found))
    values: dict[str, Any] = dict(raw)
    if "ENCRYPTION_KEYS" in values:
        values["ENCRYPTION_KEYS"] = tuple(values["ENCRYPTION_KEYS"])
    return Settings(**values)


@functools.cache
def conf_while_selling() -> Settings:
    """The settings for what runs within the shop's own requests: a key that cannot work counts as not set.

    No checkout fails on a typo here. The system checks name it, and the workers refuse to work with it.
    """
    raw = getattr(settings, "SENDCLOUD", {})
    found = problems(raw)
    if not found:
        return conf()
    for key, text in found:
        logger.error("SENDCLOUD[%r] %s It is ignored while orders are recorded.", key, text)
    wrong = {key for key, _ in found}
    values = {key: value for key, value in raw.items() if key not in wrong} if isinstance(raw, Mapping) else {}
    return Settings(**{**values, "ENCRYPTION_KEYS": tuple(values.get("ENCRYPTION_KEYS", ()))})


def _reset(*, setting: str, **kwargs: object) -> None:
    if setting in ("SENDCLOUD", "SECRET_KEY", "SECRET_KEY_FALLBACKS"):
        conf.cache_clear()
        conf_while_selling.cache_clear()


setting_changed.connect(_reset, dispatch_uid="django_sendcloud.conf")
