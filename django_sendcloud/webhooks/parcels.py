"""Applying news of a parcel, in whatever order it comes.

News is ordered by Sendcloud's own time, and by the digest of its body where two times are equal: a total order, so that
every permutation ends in the same state. Older news completes the history and moves nothing; where only it says whose
parcel it is, that is learned from it all the same.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import IntegrityError, connections, transaction
from django.db.models import Q

from ..conf import conf
from ..enums import ParcelPhase
from ..models import Integration, Parcel, ParcelStatus, Shipment, ShipmentStatus
from .parse import ParcelNews, from_milliseconds
from .phases import STATUSES, phase_of

__all__ = ["Applied", "Told", "apply_news", "apply_together", "match", "relink_unmatched"]


@dataclasses.dataclass(slots=True)
class Applied:
    """What news did."""

    parcel: Parcel
    created: bool
    moved: bool
    status: ParcelStatus | None
    previous_status_id: int | None


def apply_news(integration: Integration, news: ParcelNews, event_ms: int, digest: str) -> Applied:
    """Bring a parcel up to date, within the transaction that is open.

    Args:
        integration: Whose parcel it is.
        news: What was told.
        event_ms: When, in Sendcloud's milliseconds.
        digest: Of the body, to order what happened in the same millisecond.
    """
    at = from_milliseconds(event_ms) or dt.datetime.now(dt.UTC)
    values = _values(news, at) | {"last_event_ms": event_ms, "last_event_digest": digest}
    known = Parcel.objects.using(conf().DATABASE).filter(integration=integration, remote_id=news.remote_id)
    parcel = known.select_related("shipment").first()
    if parcel is None:
        try:
            parcel = _create(integration, news, values)
        except IntegrityError:
            parcel = known.select_related("shipment").get()  # another worker was faster, with other news of it
        else:
            return Applied(parcel, True, True, _remember(parcel, news, event_ms, at), None)
    previous = parcel.status_id
    status = _remember(parcel, news, event_ms, at)
    older = Q(last_event_ms__lt=event_ms) | Q(last_event_ms=event_ms, last_event_digest__lt=digest)
    moved = (parcel.last_event_ms, parcel.last_event_digest) < (event_ms, digest) and bool(
        known.filter(older).update(**values)
    )
    if moved:
        for name, value in values.items():
            setattr(parcel, name, value)
    if learned := _learn(parcel, news):
        known.update(**learned)
    if parcel.shipment_id is None:
        link(parcel)
    return Applied(parcel, False, moved, status, previous)


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """News of a parcel, with what orders it among others."""

    integration: Integration
    news: ParcelNews
    event_ms: int
    digest: str


def apply_together(told: Sequence[Told]) -> list[Applied]:
    """Apply news of many parcels in a handful of statements, within the transaction that is open.

    Ends as :func:`apply_news` for one after the other would. Whatever goes wrong goes wrong for all of them: the caller
    then applies each on its own.
    """
    database = conf().DATABASE
    parcels = _locked(told)
    for item in told:
        if (key := _key(item)) not in parcels:
            parcels[key] = Parcel(integration=item.integration, remote_id=item.news.remote_id)
    new = {key for key, parcel in parcels.items() if parcel.pk is None}
    first_seen = {key: parcel.created_at for key, parcel in parcels.items() if key not in new}
    statuses: list[ParcelStatus] = []
    applied: list[Applied] = []
    as_of_then: list[dict[str, Any]] = []
    for item in told:
        parcel, at = parcels[_key(item)], from_milliseconds(item.event_ms) or dt.datetime.now(dt.UTC)
        previous, created = parcel.status_id, _key(item) in new and not any(done.parcel is parcel for done in applied)
        moved = (parcel.last_event_ms, parcel.last_event_digest) < (item.event_ms, item.digest)
        if moved:
            values = _values(item.news, at) | {"last_event_ms": item.event_ms, "last_event_digest": item.digest}
            for name, value in values.items():
                setattr(parcel, name, value)
        _learn(parcel, item.news)
        status = _status(parcel, item.news, item.event_ms, at)
        statuses += [status] if status else []
        applied.append(Applied(parcel, created, moved, status, previous))
        as_of_then.append({name: getattr(parcel, name) for name in (*_FIELDS, *_ORDER)})
    _link_together([parcel for parcel in parcels.values() if parcel.shipment_id is None])
    # In an order all workers share, or two with the same new parcels would wait for each other.
    Parcel.objects.using(database).bulk_create([parcels[key] for key in sorted(new)])
    features = connections[database].features
    if known := [parcel for key, parcel in parcels.items() if key not in new]:
        Parcel.objects.using(database).bulk_create(
            known,
            update_conflicts=True,
            unique_fields=["id"] if features.supports_update_conflicts_with_target else None,
            update_fields=[*_FIELDS, *_ORDER, "shipment", "updated_at"],
        )
    for key, moment in first_seen.items():
        parcels[key].created_at = moment  # auto_now_add took the statement for an INSERT
    for status in statuses:
        status.parcel_id = status.parcel.pk
    ParcelStatus.objects.using(database).bulk_create(statuses, ignore_conflicts=True)
    for done, values in zip(applied, as_of_then, strict=True):
        # The shop is told of each move with the parcel as it was then, not as the last one left it.
        done.parcel = copy.copy(done.parcel)
        for name, value in values.items():
            setattr(done.parcel, name, value)
    return applied


def _key(item: Told) -> tuple[int, int]:
    return item.integration.pk, item.news.remote_id


def _locked(told: Sequence[Told]) -> dict[tuple[int, int], Parcel]:
    """The parcels that are known, locked in an order all workers share."""
    rows = Parcel.objects.using(conf().DATABASE).filter(
        integration__in={item.integration for item in told}, remote_id__in={item.news.remote_id for item in told}
    )
    if connections[conf().DATABASE].features.has_select_for_update:
        rows = rows.select_for_update()
    wanted = {_key(item) for item in told}
    found = {(parcel.integration_id, parcel.remote_id): parcel for parcel in rows.order_by("pk")}
    return {key: parcel for key, parcel in found.items() if key in wanted}


def _link_together(parcels: Sequence[Parcel]) -> None:
    """Find shipments by their UUIDs at once, and those that have none one by one."""
    uuids = {parcel.shipment_uuid for parcel in parcels if parcel.shipment_uuid}
    found: dict[tuple[int, Any], Shipment] = {}
    if uuids:
        rows = Shipment.objects.using(conf().DATABASE).filter(
            integration__in={parcel.integration_id for parcel in parcels}, uuid__in=uuids
        )
        found = {(shipment.integration_id, shipment.uuid): shipment for shipment in rows}
    for parcel in parcels:
        parcel.shipment = found.get((parcel.integration_id, parcel.shipment_uuid)) or match(parcel)


def _create(integration: Integration, news: ParcelNews, values: dict[str, Any]) -> Parcel:
    parcel = Parcel(integration=integration, remote_id=news.remote_id, **values)
    parcel.shipment = match(parcel)
    with transaction.atomic(using=conf().DATABASE):
        parcel.save(force_insert=True, using=conf().DATABASE)
    return parcel


# What the newest news decides, apart from its place in the order of events.
_FIELDS = [
    *(field.name for field in dataclasses.fields(ParcelNews) if field.name not in ("remote_id", "carrier_at")),
    "phase",
    "status_at",
]
_ORDER = ["last_event_ms", "last_event_digest"]
# What says whose parcel it is. Not every news does, and none takes it back.
_IDENTITY = ["shipment_uuid", "external_order_id", "external_shipment_id", "order_number"]


def _values(news: ParcelNews, at: dt.datetime) -> dict[str, Any]:
    values = {field.name: getattr(news, field.name) for field in dataclasses.fields(news) if field.name in _FIELDS}
    for name in _IDENTITY:
        if not values[name]:
            del values[name]
    values["status_message"] = _message(news)
    return values | {"phase": phase_of(news.status_id).value, "status_at": at, "updated_at": dt.datetime.now(dt.UTC)}


def _learn(parcel: Parcel, news: ParcelNews) -> dict[str, Any]:
    """Let a parcel know what no newer news said of whose it is. Returns what it did not know."""
    learned = {name: getattr(news, name) for name in _IDENTITY if getattr(news, name) and not getattr(parcel, name)}
    for name, value in learned.items():
        setattr(parcel, name, value)
    return learned


def _message(news: ParcelNews) -> str:
    known = STATUSES.get(news.status_id or 0, ("", ParcelPhase.UNKNOWN))[0]
    return news.status_message or known


def _status(parcel: Parcel, news: ParcelNews, event_ms: int, at: dt.datetime) -> ParcelStatus | None:
    if news.status_id is None:
        return None
    return ParcelStatus(
        parcel=parcel,
        status_id=news.status_id,
        message=_message(news),
        phase=phase_of(news.status_id).value,
        event_ms=event_ms,
        at=at,
        carrier_at=news.carrier_at,
    )


def _remember(parcel: Parcel, news: ParcelNews, event_ms: int, at: dt.datetime) -> ParcelStatus | None:
    status = _status(parcel, news, event_ms, at)
    if status is not None:
        ParcelStatus.objects.using(conf().DATABASE).bulk_create([status], ignore_conflicts=True)
    return status


def match(parcel: Parcel) -> Shipment | None:
    """The shipment a parcel belongs to: by UUID, else by external ids, else by order number if only one has it."""
    shipments = Shipment.objects.using(conf().DATABASE).filter(integration_id=parcel.integration_id)
    if parcel.shipment_uuid is not None and (found := shipments.filter(uuid=parcel.shipment_uuid).first()):
        return found
    if parcel.external_order_id:
        ours = shipments.filter(external_order_id=parcel.external_order_id)
        if parcel.external_shipment_id:
            ours = ours.filter(external_shipment_id=parcel.external_shipment_id)
        if found := _only(ours):
            return found
    if parcel.order_number:
        return _only(shipments.filter(order_number=parcel.order_number).exclude(status=ShipmentStatus.DELETED))
    return None


def _only(rows: Any) -> Shipment | None:
    """The one there is. Of several none is guessed: a person assigns the parcel."""
    found = list(rows[:2])
    return found[0] if len(found) == 1 else None


def link(parcel: Parcel) -> bool:
    """Connect a parcel with its shipment, if that is known by now."""
    shipment = match(parcel)
    if shipment is None:
        return False
    Parcel.objects.using(conf().DATABASE).filter(pk=parcel.pk, shipment__isnull=True).update(shipment=shipment)
    parcel.shipment = shipment
    return True


def relink_unmatched(limit: int = 500) -> int:
    """Look again for the shipments of parcels that came before them. Returns how many were found."""
    recent = dt.datetime.now(dt.UTC) - dt.timedelta(days=conf().INBOX_DAYS)
    unmatched: Iterable[Parcel] = (
        Parcel.objects.using(conf().DATABASE).unmatched().filter(created_at__gte=recent).order_by("-pk")[:limit]
    )
    return sum(link(parcel) for parcel in unmatched)
