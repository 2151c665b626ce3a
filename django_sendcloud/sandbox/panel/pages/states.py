"""Badges for the states of parcels, orders, webhooks and requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...parcels import Parcel
from ...requestlog import LoggedRequest
from ...webhooks import DeliveredWebhook
from ..markup import Markup, tag
from ..parts import spaced

__all__ = ["order_state", "parcel_state", "request_state", "webhook_state"]

_GOOD: Final = {11, 12, 93}
_BAD: Final = {4, 6, 8, 13, 15, 80, 94, 1002, 1998, 1999, 2000, 2001, 62989, 62991, 62992, 62996, 62997}


def parcel_state(parcel: Parcel) -> Markup:
    kind = "good" if parcel.status_id in _GOOD else "bad" if parcel.status_id in _BAD else "busy"
    return tag("span", {"class": f"badge {kind}"}, parcel.status_message)


def order_state(made: Sequence[Parcel]) -> Markup:
    outgoing = [parcel for parcel in made if not parcel.is_return]
    if not outgoing:
        return tag("span", {"class": "badge"}, "Ready to process")
    more = tag("span", {"class": "quiet"}, f"+{len(outgoing) - 3}") if len(outgoing) > 3 else None
    return spaced([*map(parcel_state, outgoing[:3]), more])


def webhook_state(webhook: DeliveredWebhook) -> Markup:
    kind = {"delivered": "good", "failed": "bad"}.get(webhook.state, "busy")
    return tag("span", {"class": f"badge {kind}"}, webhook.state)


def request_state(request: LoggedRequest) -> Markup:
    if request.status is None:
        text = "no answer" if request.finished else "waiting"
        return tag("span", {"class": "badge bad" if request.finished else "badge busy"}, text)
    return tag("span", {"class": "badge good" if request.status < 400 else "badge bad"}, request.status)
