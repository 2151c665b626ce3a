"""Badges: a symbol and a word, so that colour alone never carries the meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.html import format_html

from ...enums import ParcelPhase
from ...models import AttemptOutcome, EntryState, EventState, ShipmentStatus

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["ATTEMPT_TONES", "ENTRY_TONES", "EVENT_TONES", "PHASE_TONES", "SHIPMENT_TONES", "badge", "badge_with"]

SYMBOLS = {"good": "✓", "busy": "…", "warn": "!", "bad": "✕", "off": "–"}

ENTRY_TONES: Mapping[str, str] = {
    EntryState.PENDING.value: "busy",
    EntryState.REJECTED.value: "bad",
    EntryState.DEAD.value: "bad",
}
ATTEMPT_TONES: Mapping[str, str] = {
    AttemptOutcome.SENT.value: "good",
    AttemptOutcome.REJECTED.value: "bad",
    AttemptOutcome.FAILED.value: "warn",
}
SHIPMENT_TONES: Mapping[str, str] = {
    ShipmentStatus.PENDING.value: "busy",
    ShipmentStatus.ACCEPTED.value: "busy",
    ShipmentStatus.SYNCED.value: "good",
    ShipmentStatus.REJECTED.value: "bad",
    ShipmentStatus.DELETED.value: "off",
}
EVENT_TONES: Mapping[str, str] = {
    EventState.RECEIVED.value: "busy",
    EventState.APPLIED.value: "busy",
    EventState.PROCESSED.value: "good",
    EventState.RECEIVER_FAILED.value: "warn",
    EventState.IGNORED.value: "off",
    EventState.DISMISSED.value: "off",
    EventState.FAILED.value: "bad",
}
PHASE_TONES: Mapping[str, str] = {
    ParcelPhase.ANNOUNCED.value: "busy",
    ParcelPhase.IN_TRANSIT.value: "busy",
    ParcelPhase.AWAITING_PICKUP.value: "warn",
    ParcelPhase.DELIVERED.value: "good",
    ParcelPhase.PROBLEM.value: "bad",
    ParcelPhase.RETURNED.value: "warn",
    ParcelPhase.CANCELLED.value: "off",
    ParcelPhase.UNKNOWN.value: "off",
}


def badge_with(label: SafeString, title: StrOrPromise, detail: object = "") -> SafeString:
    """Return a badge with an explanation below, for a cell of a list."""
    if not title and not detail:
        return label
    return format_html('{}<div class="sc-why">{} <small>{}</small></div>', label, title, detail)


def badge(text: StrOrPromise, tone: str) -> SafeString:
    """Return a badge. ``tone`` is one of ``good``, ``busy``, ``warn``, ``bad``, ``off``."""
    return format_html(
        '<span class="sc-badge sc-badge--{}"><span aria-hidden="true">{}</span> {}</span>', tone, SYMBOLS[tone], text
    )
