"""The poll for parcels whose webhooks never came, because the shop was down for longer than Sendcloud retries.

What Sendcloud's list answers enters the inbox, as a webhook does: one applier, one order of locks. It counts as an
update of the time at which Sendcloud last changed the parcel, never of this machine's time.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..core.clock import clock
from ..core.interruption import interruptions
from ..core.retry import retry_transient
from ..enums import WebhookAction
from ..exceptions import PermissionDenied
from ..hidden import HiddenBytes, HiddenDict, HiddenList, HiddenStr
from ..models import Integration, Parcel, Shipment, WebhookEvent
from ..signals import work_due
from ..sync import limiter
from ..sync.backends import backend_class
from ..sync.deployment_guard import pause_if_copy
from .matching import order_ids
from .parse import KEYS, ParcelUpdate, ParseError, identity, moment
from .statuses import id_of

__all__ = ["poll", "poll_all", "poll_shipment"]

logger = logging.getLogger("django_sendcloud.webhooks")

# Asked for again, so that nothing slips between two rounds.
OVERLAP = dt.timedelta(hours=1)
# Sendcloud's list may lag a little behind its webhooks: for a parcel without a time of its last change.
MARGIN = dt.timedelta(seconds=60)
# Sendcloud watches a parcel for six weeks.
TRACKED_FOR = dt.timedelta(days=42)


def poll_all() -> int:
    """Poll every running integration, each on its own.

    Returns:
        How many of them failed: they are to be polled again soon.
    """
    failed = 0
    running = Integration.objects.running().select_related("account")
    integrations: list[Integration] = retry_transient(lambda: list(running))
    for integration in integrations:
        if pause_if_copy(integration):
            continue
        try:
            poll(integration)
        except interruptions():
            raise
        except PermissionDenied:
            # The next round asks again; nothing is gained by asking in a minute.
            logger.warning(
                "Integration %s could not be polled: its keys do not open Sendcloud's parcels (by OAuth2: the scope "
                "read:parcel). Parcels are updated by webhooks alone.",
                integration,
            )
        except Exception as error:
            failed += 1
            logger.warning("Integration %s could not be polled: %s.", integration, type(error).__name__)
    return failed


def poll(integration: Integration, now: dt.datetime | None = None) -> int:
    """Ask for all parcels that changed since the last time, and store their updates.

    After an interruption, the next poll asks for the same again. Parcels of other integrations of the account are left
    alone.

    Args:
        integration: The integration.
        now: The time, for tests; the database's by default.

    Returns:
        How many updates entered the inbox.

    Raises:
        APIError: Sendcloud could not be asked.
        SendcloudConfigurationError: The keys are missing, or cannot be read.
    """
    begin = now or _database_time()
    since = max(begin - TRACKED_FOR, (integration.parcels_seen_until or integration.created_at) - OVERLAP)
    count = 0
    rate = limiter.AccountLimiter(integration.account.pk)
    with backend_class(integration)(integration, rate, retries=2) as backend:
        for parcels in backend.parcel_pages(since):
            count += retry_transient(functools.partial(_keep, integration, parcels, begin))
    seen = Integration.objects.filter(pk=integration.pk)
    retry_transient(lambda: seen.update(parcels_seen_until=begin))
    return count


def poll_shipment(shipment: Shipment, now: dt.datetime | None = None) -> int:
    """Ask for the parcels of one shipment's order, for an operator, and store their updates.

    Args:
        shipment: The shipment.
        now: The time, for tests; the database's by default.

    Returns:
        How many updates entered the inbox.

    Raises:
        RateLimited: The rate limit leaves no room now, or Sendcloud says so.
        APIError: Sendcloud could not be asked.
        SendcloudConfigurationError: The keys are missing, or cannot be read.
    """
    if not shipment.order_number:
        return 0
    begin, integration = now or _database_time(), shipment.integration
    rate = limiter.AccountLimiter(integration.account.pk, limiter.OPERATOR_WAIT_SECONDS)
    with backend_class(integration)(integration, rate) as backend:
        found = backend.parcels_of(shipment)
    return _keep(integration, found, begin)


def _database_time() -> dt.datetime:
    clock.synchronize()
    return clock.now()


def _keep(integration: Integration, parcels: HiddenList, asked: dt.datetime) -> int:
    """Store the updates of parcels that are ours and say something new, each on its own. Safe to repeat."""
    events = WebhookEvent.objects
    for parcel in parcels:
        _number_status(parcel)
    known = _known(integration, (parcel.get("id") for parcel in parcels))
    is_ours = _ownership(integration, parcels)
    kept = 0
    for parcel in parcels:
        try:
            update = ParcelUpdate.read({"parcel": parcel})
        except ParseError:
            continue
        stored = known.get(update.remote_id)
        if stored is None and not is_ours(parcel):
            continue
        if stored is not None and _is_unchanged(stored, update):
            continue
        body = _body(parcel, asked, with_status=stored is None or stored.status_id != update.status_id)
        kept += events.keep(integration, HiddenBytes(body.encode()), body) is not None
    if kept:
        work_due.send_robust(sender=WebhookEvent, queue="inbox")
    return kept


def _number_status(parcel: HiddenDict) -> None:
    """Give a status of API v3 the id that v2 has for it; one with another message stays without."""
    status = parcel.get("status")
    if not isinstance(status, dict) or "id" in status:
        return
    number = id_of(str(status.get("message", "")))
    if number is not None:
        parcel["status"] = HiddenDict({**status, "id": number})


def _body(parcel: HiddenDict, asked: dt.datetime, *, with_status: bool) -> HiddenStr:
    """Return what is stored of a polled parcel: the fields that are read, and nothing about the buyer."""
    changed = moment(parcel.get("date_updated"))
    if changed is None:
        event_ms = int((asked - MARGIN).timestamp() * 1000)
    else:
        # It is named to the second, so that changes within that second are a part of what was polled; and without a
        # time zone. What was polled was so when it was asked, at the latest.
        event_ms = min(int(changed.timestamp() * 1000) + 999, int(asked.timestamp() * 1000))
    shown = HiddenDict({key: parcel[key] for key in KEYS if key in parcel and (with_status or key != "status")})
    shown = HiddenDict({"action": WebhookAction.PARCEL_POLLED.value, "timestamp": event_ms, "parcel": shown})
    return HiddenStr(json.dumps(shown, sort_keys=True))


def _known(integration: Integration, remote_ids: Iterable[Any]) -> dict[int, Parcel]:
    ids = {remote_id for remote_id in remote_ids if isinstance(remote_id, int)}
    rows = Parcel.objects.filter(integration=integration, remote_id__in=ids)
    return {parcel.remote_id: parcel for parcel in rows}


def _is_unchanged(parcel: Parcel, update: ParcelUpdate) -> bool:
    return update.status_id in (None, parcel.status_id) and all(
        getattr(parcel, name) == value for name, value in update.fields.items()
    )


def _ownership(integration: Integration, parcels: Sequence[HiddenDict]) -> Callable[[HiddenDict], bool]:
    """Return a test for parcels that belong to this integration: by shipment UUID, order id or order number.

    A return has no shipment UUID. A number that another integration of the account has as well proves nothing.
    """
    uuids = {str(parcel["shipment_uuid"]) for parcel in parcels if parcel.get("shipment_uuid")}
    ids = {each for parcel in parcels for each in order_ids(str(parcel.get("external_order_id") or ""))}
    numbers = {str(parcel["order_number"]) for parcel in parcels if parcel.get("order_number")}
    shipments = Shipment.objects
    of_account = shipments.filter(integration__account=integration.account)
    ours = shipments.filter(integration=integration)
    wanted = {identity(each) for each in uuids} - {None}
    known_uuids = {str(uuid) for uuid in ours.filter(uuid__in=wanted).values_list("uuid", flat=True)}
    owners: dict[tuple[str, str], set[int]] = {}
    for field, values in (("external_order_id", ids), ("order_number", numbers)):
        for value, owner in of_account.filter(**{f"{field}__in": values}).values_list(field, "integration"):
            owners.setdefault((field, value), set()).add(owner)

    def is_ours(parcel: HiddenDict) -> bool:
        if str(parcel.get("shipment_uuid")).lower() in known_uuids:
            return True
        names = [("external_order_id", each) for each in order_ids(str(parcel.get("external_order_id") or ""))]
        names.append(("order_number", str(parcel.get("order_number"))))
        return any(owners.get(name) == {integration.pk} for name in names)

    return is_ours
