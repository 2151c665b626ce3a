"""Sendcloud's parcel statuses, and the phase of the journey each belongs to.

Ids and texts: https://sendcloud.dev/docs/tracking/tracking-statuses/. A shop that sees it differently (is a parcel that
is ready to send on its way?) overrides phases in ``SENDCLOUD["PARCEL_PHASES"]``.
"""

from __future__ import annotations

from ..conf import conf
from ..enums import ParcelPhase
from ..models.statuses import STATUSES

_IDS = {message.casefold(): status_id for status_id, (message, _) in STATUSES.items()}


def id_of(message: str) -> int | None:
    """Return the id of a status by its message: API v3 has codes of its own for the same statuses."""
    return _IDS.get(message.casefold())


def phase_of(status_id: int | None) -> ParcelPhase:
    """Return the phase of a status; ``UNKNOWN`` for a status that is not documented."""
    if status_id is None:
        return ParcelPhase.UNKNOWN
    if override := conf().PARCEL_PHASES.get(status_id):
        return ParcelPhase(override)
    return STATUSES.get(status_id, ("", ParcelPhase.UNKNOWN))[1]
