"""The stored models. One file per concept, its queryset beside it."""

from .account import Account, ClosedReason
from .alert import Alert
from .attempt import Attempt, AttemptOutcome
from .change import Change
from .checkpoint import Checkpoint
from .drift_mark import DriftMark
from .erased import ErasedKey
from .integration import Integration, PauseReason
from .outbox import EntryState, OutboxEntry
from .overview import Overview
from .parcel import Parcel, ParcelStatus
from .preference import Preference
from .pruned_order import PrunedOrder
from .push_slot import PushSlot
from .recheck import Recheck
from .reconciliation_run import ReconciliationRun
from .report import ExceptionReport
from .shipment import LabelConflict, Shipment, ShipmentStatus
from .webhook_event import EventState, WebhookEvent

__all__ = [
    "Account",
    "Alert",
    "Attempt",
    "AttemptOutcome",
    "Change",
    "Checkpoint",
    "ClosedReason",
    "DriftMark",
    "EntryState",
    "ErasedKey",
    "EventState",
    "ExceptionReport",
    "Integration",
    "LabelConflict",
    "OutboxEntry",
    "Overview",
    "Parcel",
    "ParcelStatus",
    "PauseReason",
    "Preference",
    "PrunedOrder",
    "PushSlot",
    "Recheck",
    "ReconciliationRun",
    "Shipment",
    "ShipmentStatus",
    "WebhookEvent",
]
