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

from .hidden import HiddenDict, HiddenStr

__all__ = [
    "AddressError",
    "AlertSettings",
    "SendcloudConfigurationError",
    "Settings",
    "conf",
    "is_configured",
    "lenient_conf",
    "problems",
]

logger = logging.getLogger("django_sendcloud.conf")


class SendcloudConfigurationError(ImproperlyConfigured):
    """The ``SENDCLOUD`` setting, or what depends on it, cannot work as written."""


class AddressError(SendcloudConfigurationError):
    """An address among the settings cannot be used. The text names the setting, its value and what is wrong."""


def _number(default: float, low: float, high: float) -> Any:
    """Declare a number with its bounds, both allowed."""
    return dataclasses.field(default=default, metadata={"bounds": (low, high)})


def _secret(default: str | tuple[str, ...]) -> Any:
    """Declare a secret, or several: neither a repr, nor an error, nor a report shows its value."""
    return dataclasses.field(default=default, repr=False, metadata={"secret": True})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every key of the ``SENDCLOUD`` dict, with its type, unit and default."""

    # Addresses of Sendcloud
    BASE_URL: str = "https://panel.sendcloud.sc"
    """Sendcloud's root; the sandbox's in development. ``/api/v2`` or ``/api/v3`` at its end is ignored."""
    TOKEN_URL: str = "https://account.sendcloud.com/oauth2/token/"  # noqa: S105 - an address, not a password
    """Address of OAuth2 tokens, for integrations that use OAuth2. Used exactly as it is given."""
    TOKEN_SCOPE: str = "api"  # noqa: S105 - no password either
    """Scopes to ask for with a token, separated by blanks. Empty: none, which grants all the client has."""
    PROXY_URL: str = _secret("")
    """HTTP proxy for requests to Sendcloud, ``http://host:port``. The environment's are not used."""
    PROXY_AUTH: str = _secret("")
    """User and password of the proxy, ``user:password``. Django's error reports hide a setting of this name, and
    would show them in ``PROXY_URL``."""
    CA_BUNDLE: str = ""
    """Path of a file with the certificates to trust instead of the built-in ones."""
    PARTNER_ID: str = ""
    """Value of the ``Sendcloud-Partner-Id`` header (a UUID given by Sendcloud to its partners)."""
    SERVICE_POINT_SCRIPT_URL: str = "https://embed.sendcloud.sc/spp/1.0.0/api.min.js"
    """The script of the service point picker, loaded by the buyer's browser. The sandbox has a stand-in."""
    CONNECT_TIMEOUT_SECONDS: float = _number(3.0, 0.01, 60)
    """Seconds to wait for a connection."""
    READ_TIMEOUT_SECONDS: float = _number(15.0, 0.01, 300)
    """Seconds to wait for the next byte of an answer."""
    DEADLINE_SECONDS: float = _number(20.0, 0.05, 300)
    """Wall clock for one whole exchange, however slowly the server drips."""

    # Secrets
    ENCRYPTION_KEYS: tuple[str, ...] = _secret(())
    """Fernet keys for what is encrypted at rest: the first encrypts, all decrypt. Empty: one from ``SECRET_KEY``."""

    # Orders out
    BATCH_SIZE: int = _number(100, 1, 100)
    """Shipments per upsert request (1 to 100; contract: POST /integrations/{id}/shipments)."""
    CLAIM_SIZE: int = _number(400, 1, 10_000)
    """Outbox entries a worker claims together."""
    DEBOUNCE_SECONDS: float = _number(1.0, 0, 3600)
    """Seconds a change waits for others of the same order before it is pushed."""
    LEASE_SECONDS: float = _number(120.0, 0.1, 3600)
    """Seconds a worker may work on its claim. At least five seconds longer than ``DEADLINE_SECONDS``."""
    QUARANTINE_SECONDS: float = _number(60.0, 0, 3600)
    """Seconds an order waits after an unknown outcome, so that a late request can no longer overtake."""
    CONFIRM_SECONDS: float = _number(3.0, 0, 600)
    """Seconds between the acceptance of an order by API v3 and its confirmation: whether Sendcloud has saved it."""
    SAVE_SECONDS: float = _number(60.0, 0, 3600)
    """Seconds within which API v3 saves an accepted order. One that is not there by then is pushed again."""
    ANY_CURRENCY: bool = False
    """API v3 takes any currency of three letters for this account, beside the documented EUR, GBP and USD."""
    PREFIX_STATES: bool = True
    """Write a state as ISO 3166-2 has it (``IT-RM``) in API v3, and not bare (``RM``)."""
    BACKOFF_MAX_SECONDS: float = _number(900.0, 0.1, 86_400)
    """Upper bound of the random wait between retries."""
    GIVE_UP_HOURS: float = _number(72.0, 0, 8760)
    """No order is dead-lettered for a passing fault before this."""
    UNSAFE_REQUESTS_PER_MINUTE: float = _number(85.0, 0.1, 1e9)
    """POST, PATCH, PUT and DELETE per Sendcloud account, steadily. Sendcloud allows 100 in any 60 seconds."""
    UNSAFE_BURST: int = _number(15, 1, 1e9)
    """Requests in a burst after a pause. With the above, it must stay below Sendcloud's limit."""
    SAFE_REQUESTS_PER_MINUTE: float = _number(850.0, 0.1, 1e9)
    """GET per Sendcloud account, steadily. Sendcloud allows 1,000 in any 60 seconds."""
    SAFE_BURST: int = _number(150, 1, 1e9)
    """Requests in a burst after a pause."""

    # Periodic work
    SWEEP_SECONDS: float = _number(30.0, 0.1, 3600)
    """Seconds between two searches for due work whose notification was lost."""
    DRIFT_SECONDS: float = _number(900.0, 1, 1e9)
    """Seconds between two searches for orders that changed without a signal (adapters with ``changed_at_field``)."""
    RECONCILE_SECONDS: float = _number(86_400.0, 1, 1e9)
    """Seconds between two comparisons of both sides, shipment by shipment."""
    PROBE_SECONDS: float = _number(300.0, 0.1, 86_400)
    """Seconds between two probes of a paused integration, one GET each."""

    POLL_SECONDS: float = _number(21_600.0, 1, 1e9)
    """Seconds between two polls for parcels whose webhooks never came."""

    # Parcels back
    WEBHOOK_BASE_URL: str = ""
    """Scheme and host under which Sendcloud reaches this shop, e.g. ``https://shop.example``."""
    WEBHOOK_MAX_BYTES: int = _number(262_144, 1024, 1 << 30)
    """Webhooks with a longer body are refused (bytes)."""
    INBOX_BODY_DAYS: float = _number(7.0, 0, 36_500)
    """Days for which raw webhook bodies that failed are kept, encrypted. Processed ones are emptied immediately."""
    INBOX_DAYS: float = _number(30.0, 1, 36_500)
    """Days for which inbox rows (without their bodies) are kept: they recognise duplicates."""
    TOMBSTONE_DAYS: float = _number(30.0, 1, 36_500)
    """Days that a shipment deleted at Sendcloud is remembered."""
    SHIPMENT_DAYS: float = _number(0.0, 0, 36_500)
    """Days that a shipment is kept once all its parcels have arrived, with its parcels and their timeline; counted from
    the last update. 0: for ever."""
    ATTEMPT_DAYS: float = _number(14.0, 0, 36_500)
    """Days that failed attempts to push are remembered."""
    PARCEL_PHASES: Mapping[int, str] = dataclasses.field(default_factory=dict)
    """Overrides of the built-in mapping from Sendcloud's status id to a ``ParcelPhase`` value."""

    # Orders that are not on their way
    UNLABELLED_DAYS: float = _number(3.0, 0, 365)
    """Days an order may be at Sendcloud without a parcel before it becomes a task of the operators."""
    UNSCANNED_DAYS: float = _number(3.0, 0, 365)
    """Days a label may go without a scan of the carrier before it becomes a task: it is billed all the same."""
    PICKUP_DAYS: float = _number(5.0, 0, 365)
    """Days a parcel may wait at a service point before it becomes a task. Most carriers return it after a week."""
    DELIVERY_TASK_DAYS: float = _number(60.0, 0, 3650)
    """Days after which such an order is no task any more. Longer than the three above."""

    # Reports
    ALERTS: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Mails to operators: ``recipients``, ``morning``, ``quiet``, ``language``."""
    METRICS_TOKEN: str = _secret("")
    """Token by which a monitor reads the metrics (``Authorization: Bearer …``). Empty: only operators read them."""

    # Deployment
    DATABASE: str = "default"
    """Alias of the database that holds this app's tables; orders must live in it to be recorded atomically."""
    DEPLOYMENT: str = ""
    """Name of this deployment. Empty: its database and ``WEBHOOK_BASE_URL`` identify it. A copy of the database that
    starts elsewhere sends nothing until a person decides which of the two ships."""
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
SECRETS = {name for name, field in FIELDS.items() if field.metadata.get("secret")}


@dataclasses.dataclass(frozen=True, slots=True)
class AlertSettings:
    """The keys of ``SENDCLOUD["ALERTS"]``, with their defaults.

    Args:
        recipients: Addresses of the mails. Empty: no mails.
        morning: Hour of the digest, by the clock of the site (``TIME_ZONE``). ``None``: no digest.
        quiet: Hours without mails, from the first until the second: ``(22, 7)``. ``None``: none.
        language: Language of the mails. Empty: ``LANGUAGE_CODE``.
    """

    recipients: tuple[str, ...] = ()
    morning: int | None = 8
    quiet: tuple[int, int] | None = None
    language: str = ""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> AlertSettings:
        values = dict(raw)
        for name in ("recipients", "quiet"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        return cls(**values)

    @classmethod
    def problem(cls, raw: object) -> str | None:
        """Return the problem of a value for ``ALERTS``; ``None`` if there is none."""
        if not isinstance(raw, Mapping):
            return 'must be a dict, such as {"recipients": ["shipping@shop.example"], "morning": 8}'
        names = [field.name for field in dataclasses.fields(cls)]
        for name, value in raw.items():
            if name not in names:
                near = difflib.get_close_matches(str(name), names, n=1)
                return f"has {name!r}, which it does not know. " + (
                    f"Did you mean {near[0]!r}" if near else f"Known: {', '.join(names)}"
                )
            is_list = isinstance(value, list | tuple)
            if name == "recipients" and not (is_list and all(isinstance(each, str) and "@" in each for each in value)):
                return "needs 'recipients' to be a list of mail addresses"
            if name == "morning" and not (value is None or _is_hour(value)):
                return "needs 'morning' to be an hour from 0 to 23, or None"
            is_pair = is_list and len(value) == 2 and all(map(_is_hour, value)) and value[0] != value[1]
            if name == "quiet" and not (value is None or is_pair):
                return "needs 'quiet' to be two different hours from 0 to 23, such as (22, 7), or None"
            if name == "language" and not isinstance(value, str):
                return "needs 'language' to be a code such as \"nl\""
        return None


def _is_hour(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 23


def _type_problem(name: str, value: object) -> str | None:
    default = FIELDS[name].default
    if name == "ENCRYPTION_KEYS":
        if isinstance(value, list | tuple) and all(isinstance(key, str) for key in value):
            return None
        return "must be a list of strings"
    if name == "PARCEL_PHASES":
        return None if isinstance(value, Mapping) else "must be a mapping from status id to phase"
    if name == "ALERTS":
        return AlertSettings.problem(value)
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "must be True or False"
    if isinstance(default, int):
        return None if isinstance(value, int) and not isinstance(value, bool) else "must be a whole number"
    if isinstance(default, float):
        return None if isinstance(value, int | float) and not isinstance(value, bool) else "must be a number"
    return None if isinstance(value, str) else "must be a string"


def problems(raw: object) -> list[tuple[str, str]]:
    """Return the problems of a ``SENDCLOUD`` dict, as (key, sentence with the fix), for the system checks."""
    if not isinstance(raw, Mapping):
        return [("SENDCLOUD", f"must be a dict, not {type(raw).__name__}.")]
    found: list[tuple[str, str]] = []
    for name, value in raw.items():
        if name not in FIELDS:
            near = difflib.get_close_matches(str(name).upper(), FIELDS, n=1)
            fix = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(FIELDS)}."
            found.append((str(name), f"is not a setting of django-sendcloud. {fix}"))
            continue
        if problem := _type_problem(name, value):
            is_private = name in SECRETS or name == "ALERTS"
            shown = "" if is_private else f", not {value!r}"
            found.append((name, f"{problem}{shown}."))
            continue
        if name == "DATABASE" and value not in settings.DATABASES:
            known = ", ".join(map(repr, settings.DATABASES))
            found.append((name, f"is {value!r}, which is not in DATABASES. Use one of: {known}."))
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        low, high = FIELDS[name].metadata["bounds"]
        if not low <= value <= high:
            found.append((name, f"must be between {low:g} and {high:g}, not {value!r}."))
    return found


@functools.cache
def conf() -> Settings:
    """Return the settings in force.

    Raises:
        SendcloudConfigurationError: naming the key, its value and the way to fix it.
    """
    raw = _with_hidden_secrets()
    if found := problems(raw):
        raise SendcloudConfigurationError(" ".join(f"SENDCLOUD[{key!r}] {text}" for key, text in found))
    return Settings(**raw)


def is_configured() -> bool:
    """Return whether the settings can be used."""
    try:
        conf()
    except SendcloudConfigurationError:
        return False
    return True


@functools.cache
def lenient_conf() -> Settings:
    """Return the settings for code that runs within the shop's own requests: an invalid key counts as not set.

    No checkout fails on a typo here. The system checks name it, and the workers refuse to work with it.
    """
    raw = _with_hidden_secrets()
    found = problems(raw)
    if not found:
        return conf()
    for key, text in found:
        logger.error("SENDCLOUD[%r] %s It is ignored while orders are recorded.", key, text)
    wrong = {key for key, _ in found}
    named = raw if isinstance(raw, Mapping) else {}
    return Settings(**HiddenDict((key, value) for key, value in named.items() if str(key) not in wrong))


def _with_hidden_secrets() -> Any:
    """Return the setting with the secrets in it hidden: an error report lists the local variables of every frame."""
    raw = getattr(settings, "SENDCLOUD", {})
    if not isinstance(raw, Mapping):
        return raw
    hidden = HiddenDict(raw)
    for name in hidden.keys() & SECRETS:
        value = hidden[name]
        if isinstance(value, str):
            hidden[name] = HiddenStr(value)
        elif isinstance(value, list | tuple):
            hidden[name] = tuple(HiddenStr(each) if isinstance(each, str) else each for each in value)
    return hidden


def _reset(*, setting: str, **kwargs: object) -> None:
    if setting in ("SENDCLOUD", "DATABASES", "SECRET_KEY", "SECRET_KEY_FALLBACKS"):
        conf.cache_clear()
        lenient_conf.cache_clear()


setting_changed.connect(_reset, dispatch_uid="django_sendcloud.conf")
