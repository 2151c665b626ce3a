"""Service points: the buyer's choice, its stored form, and whether it is still open when the order is sent.

::

    point = form.cleaned_data["service_point"]
    order.service_point = point.to_json() if point else None     # a JSONField of the shop's own order

    ShipmentPayload(..., **service_point_fields(order.service_point))     # in the adapter
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from django.utils import timezone

from ..conf import SendcloudConfigurationError, lenient_conf
from ..core.clock import clock
from ..exceptions import APIError, PayloadError
from ..models import Integration
from ..payloads import COUNTRIES
from ..sync.backends import backend_class, backend_for
from ..sync.limiter import acquire
from ..sync.routing import integration_for
from ..violations import Param, Violation
from .countries import country_name

__all__ = ["ServicePoint", "csp_sources", "service_point_fields"]

logger = logging.getLogger("django_sendcloud.storefront.service_points")

# Sendcloud's ids are 64 bits wide (documentation: Service Points API v3).
MAX_ID = 2**63 - 1
# Lengths of the texts; the picker gives no longer ones.
LENGTHS = {
    "name": 200,
    "carrier": 50,
    "street": 200,
    "house_number": 50,
    "postal_code": 20,
    "city": 100,
    "country": 2,
    "post_number": 50,
}
REQUIRED = ("name", "country")

# Seconds an answer may be waited for: a worker asks this while it builds a batch.
WAIT_SECONDS = 3.0


class _AvailabilityCache:
    """Sendcloud's recent answers about service points, in this process. A failure pauses the questions for a while."""

    KEPT_SECONDS = 86_400.0
    PAUSE_SECONDS = 60.0
    MAX_ANSWERS = 10_000

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._kept_until: dict[int, float] = {}
        self._paused_until = float("-inf")

    def is_available(self, point_id: int) -> bool:
        """Return whether Sendcloud has lately said that the service point is available."""
        return self._kept_until.get(point_id, float("-inf")) > clock.monotonic()

    def keep(self, point_id: int) -> None:
        """Keep the answer that the service point is available."""
        if len(self._kept_until) >= self.MAX_ANSWERS:
            self._kept_until.clear()
        self._kept_until[point_id] = clock.monotonic() + self.KEPT_SECONDS

    @property
    def is_paused(self) -> bool:
        return clock.monotonic() < self._paused_until

    def pause(self) -> None:
        """Ask nothing for a while."""
        self._paused_until = clock.monotonic() + self.PAUSE_SECONDS


availability_cache = _AvailabilityCache()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServicePoint:
    """A service point as the buyer chose it.

    All but ``chosen_at`` came through the buyer's browser: show it, send it to Sendcloud, and decide nothing by it
    that costs money.

    Args:
        id: Sendcloud's id. It has a limited lifetime, hence :meth:`is_old`.
        name: Name.
        carrier: The carrier's code, for instance ``postnl``.
        street: Street, without number.
        house_number: House number.
        postal_code: Postal code.
        city: City.
        country: Country code of two letters.
        post_number: The buyer's own number, which a DHL Packstation needs.
        chosen_at: Time at which the form was accepted.

    Raises:
        ValueError: a value cannot be one. The sentence names the field, and not the value.
    """

    id: int
    name: str
    carrier: str = ""
    street: str = ""
    house_number: str = ""
    postal_code: str = ""
    city: str = ""
    country: str
    post_number: str = ""
    chosen_at: dt.datetime = dataclasses.field(default_factory=timezone.now)

    def __post_init__(self) -> None:
        if not isinstance(self.id, int) or isinstance(self.id, bool) or not 0 < self.id <= MAX_ID:
            raise ValueError("id must be a positive whole number.")
        for name, length in LENGTHS.items():
            value = getattr(self, name)
            if not isinstance(value, str) or len(value) > length or not value.isprintable():
                raise ValueError(f"{name} must be printable text of at most {length} characters.")
        for name in REQUIRED:
            if not getattr(self, name).strip():
                raise ValueError(f"{name} is missing.")
        if self.country not in COUNTRIES:
            raise ValueError("country must be one of the contract's, in capitals.")
        if not isinstance(self.chosen_at, dt.datetime) or self.chosen_at.tzinfo is None:
            raise ValueError("chosen_at must be a time that knows its zone.")

    def __str__(self) -> str:
        return f"{self.name}, {self.address}" if self.address else self.name

    @property
    def address(self) -> str:
        """Its address in one line."""
        lines = (f"{self.street} {self.house_number}", f"{self.postal_code} {self.city}")
        return ", ".join(line.strip() for line in lines if line.strip())

    @property
    def country_name(self) -> str:
        """Its country in the language in force."""
        return country_name(self.country)

    def is_old(self, days: float = 7, now: dt.datetime | None = None) -> bool:
        """Return whether it was chosen so long ago that it should be asked for again before it is used."""
        return (now or timezone.now()) - self.chosen_at > dt.timedelta(days=days)

    def to_json(self) -> dict[str, Any]:
        """Return what a ``JSONField`` can hold."""
        return {**dataclasses.asdict(self), "chosen_at": self.chosen_at.isoformat()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> Self | None:
        """Return what :meth:`to_json` wrote; ``None`` for nothing. Unknown keys are ignored.

        Raises:
            ValueError: it is something else.
        """
        if not stored:
            return None
        if not isinstance(stored, Mapping):
            raise ValueError("A service point is stored as a mapping.")
        names = [field.name for field in dataclasses.fields(cls)]
        values = {name: stored[name] for name in names if name in stored}
        if missing := [name for name in ("id", *REQUIRED, "chosen_at") if name not in values]:
            raise ValueError(f"{missing[0]} is missing.")
        if not isinstance(values["chosen_at"], str):
            raise ValueError("chosen_at must be a time.")
        values["chosen_at"] = dt.datetime.fromisoformat(values["chosen_at"])
        return cls(**values)


def service_point_fields(
    stored: Mapping[str, Any] | ServicePoint | None, *, days: float | None = 7, integration: Integration | None = None
) -> dict[str, Any]:
    """Return the payload's fields for a stored service point: ``ShipmentPayload(..., **service_point_fields(...))``.

    A choice that is old is asked for at Sendcloud first. Only a clear no stops the order: without an answer it is
    sent as it is.

    Args:
        stored: What the order holds; ``None`` or empty for an order that goes to the buyer's address.
        days: From which age on Sendcloud is asked. ``None`` for never: once there is a label, nothing can be changed.
        integration: Whose keys to ask with; by default the one in use that takes orders to its country.

    Raises:
        PayloadError: the service point is gone. The order waits, with this sentence, until it changes.
        ValueError: what is stored is no service point.
    """
    point = stored if isinstance(stored, ServicePoint) else ServicePoint.from_json(stored)
    if point is None:
        return {}
    old = days is not None and point.is_old(days)
    if old and _is_available(point, integration or integration_for(point.country)) is False:
        params: dict[str, Param] = {"id": point.id, "day": f"{point.chosen_at:%Y-%m-%d}"}
        raise PayloadError({"to_service_point": [Violation("service_point_gone", params)]})
    return {"to_service_point": point.id, "to_post_number": point.post_number}


def csp_sources() -> dict[str, str]:
    """Return the sources a Content-Security-Policy must allow for the picker, by directive."""
    script = _origin(lenient_conf().SERVICE_POINT_SCRIPT_URL)
    # Sendcloud's script shows a frame of another host; whatever stands in for it shows its own.
    hosted = script == "https://embed.sendcloud.sc"
    return {"script-src": script, "frame-src": "https://servicepoints.sendcloud.sc" if hosted else script}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_available(point: ServicePoint, integration: Integration | None) -> bool | None:
    """Ask Sendcloud; ``None`` where no answer can be had soon."""
    if availability_cache.is_available(point.id):
        return True
    if integration is None or availability_cache.is_paused:
        return None
    if acquire(integration.account.pk, backend_class(integration).service_point_check):
        return None
    settings = lenient_conf()
    try:
        with backend_for(
            integration,
            connect_timeout=min(WAIT_SECONDS, settings.CONNECT_TIMEOUT_SECONDS),
            deadline=min(WAIT_SECONDS, settings.DEADLINE_SECONDS),
        ) as backend:
            available = backend.is_service_point_available(point.id)
    except (APIError, SendcloudConfigurationError) as error:
        availability_cache.pause()
        logger.warning("Service point %s could not be checked: %s.", point.id, type(error).__name__)
        return None
    if available:
        # A no is not kept: it stops the order, so the question comes again only after a change.
        availability_cache.keep(point.id)
    return available
