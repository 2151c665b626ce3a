"""What is stored. One file per concept, its QuerySet beside it."""

from .account import Account
from .attempt import Attempt, AttemptOutcome
from .change import Change
from .integration import Integration, PauseReason
from .outbox import EntryState, OutboxEntry
from .overview import Overview
from .parcel import Parcel, ParcelStatus
from .position import Position
from .report import ExceptionReport
from .scan import Scan
from .shipment import Shipment, ShipmentStatus
from .tally import Tally
from .webhook_event import EventState, WebhookEvent

__all__ = [
    "Account",
    "Attempt",
    "AttemptOutcome",
    "Change",
    "EntryState",
    "EventState",
    "ExceptionReport",
    "Integration",
    "OutboxEntry",
    "Overview",
    "Parcel",
    "ParcelStatus",
    "PauseReason",
    "Position",
    "Scan",
    "Shipment",
    "ShipmentStatus",
    "Tally",
    "WebhookEvent",
]
