"""Cancellation of labels at Sendcloud, on an operator's request."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

from ..conf import SendcloudConfigurationError
from ..enums import ParcelPhase
from ..exceptions import APIError
from ..models import Integration, Parcel, Shipment
from ..models.statuses import ANNOUNCEMENT_FAILED
from ..sync import limiter
from ..sync.backends import Backend, backend_for
from .poll import poll_shipment

__all__ = ["MAX_LABELS", "Cancellations", "cancel_labels", "is_cancellable"]

#: Labels that are cancelled together, at most: each costs a request or two while a person waits.
MAX_LABELS = 20


@dataclasses.dataclass(slots=True)
class Cancellations:
    """The outcome for each parcel.

    Args:
        cancelled: Cancelled by Sendcloud.
        queued: Sendcloud asks the carrier, and decides within 14 days.
        failed: Not cancelled, each with the reason; an unknown outcome may have been applied.
    """

    cancelled: list[Parcel] = dataclasses.field(default_factory=list)
    queued: list[Parcel] = dataclasses.field(default_factory=list)
    failed: list[tuple[Parcel, Exception]] = dataclasses.field(default_factory=list)


def is_cancellable(parcel: Parcel) -> bool:
    """Return whether Sendcloud may still cancel a parcel's label, as far as is known here."""
    return not parcel.is_return and (
        parcel.phase == ParcelPhase.ANNOUNCED.value or parcel.status_id == ANNOUNCEMENT_FAILED
    )


def cancel_labels(parcels: Sequence[Parcel]) -> Cancellations:
    """Cancel the labels of parcels, and ask Sendcloud for their state afterwards.

    Args:
        parcels: At most 20, with their integrations.

    Raises:
        ValueError: There are more.
    """
    if len(parcels) > MAX_LABELS:
        raise ValueError(f"At most {MAX_LABELS} labels can be cancelled together, not {len(parcels)}.")
    found = Cancellations()
    by_integration: dict[Integration, list[Parcel]] = {}
    for parcel in parcels:
        by_integration.setdefault(parcel.integration, []).append(parcel)
    for integration, group in by_integration.items():
        try:
            with backend_for(integration) as backend:
                _cancel(backend, group, found)
        except SendcloudConfigurationError as error:
            found.failed += [(parcel, error) for parcel in group]
    touched = {parcel.shipment_id for parcel in [*found.cancelled, *found.queued]}
    for shipment in Shipment.objects.filter(pk__in={pk for pk in touched if pk is not None}):
        # The webhook says the same a little later.
        with contextlib.suppress(APIError, SendcloudConfigurationError):
            poll_shipment(shipment)
    return found


def _cancel(backend: Backend, parcels: Sequence[Parcel], found: Cancellations) -> None:
    done: set[int] = set()
    for parcel in parcels:
        if parcel.remote_id in done:
            continue  # of the same label request as one before
        try:
            limiter.wait_for_turn(backend.integration.account.pk, "unsafe")
            label = backend.cancel_label(parcel)
        except APIError as error:
            found.failed.append((parcel, error))
            continue
        done |= label.parcel_ids
        mine = [each for each in parcels if each is parcel or each.remote_id in label.parcel_ids]
        (found.queued if label.queued else found.cancelled).extend(mine)
