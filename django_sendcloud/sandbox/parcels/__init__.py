"""Parcels: orders with labels, on their journeys."""

from __future__ import annotations

from .parcel import UNSTAMPED_LETTER, Parcel
from .parcels import Parcels
from .statuses import STATUSES

__all__ = ["STATUSES", "UNSTAMPED_LETTER", "Parcel", "Parcels"]
