"""Catching up with parcels whose webhooks never came: the shop was down for longer than Sendcloud tries.

What ``GET /parcels`` says is the state of the moment it is asked, so it is applied as news of that moment, through the
same guard as webhooks: it moves what is older, and nothing that a webhook told later.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import logging

from django.db import transaction
from django.utils import timezone

from .api import Parcel as RemoteParcel
from .conf import SendcloudConfigurationError, conf
from .exceptions import APIError
from .models import Integration, Parcel, Shipment
from .sync import limiter
from .webhooks import handlers
from .webhooks.parcels import Applied, apply_news
from .webhooks.parse import ParcelNews, ParseError

__all__ = ["catch_up", "catch_up_all", "catch_up_shipment"]

logger = logging.getLogger("django_sendcloud.webhooks")

# Asked for again, so that nothing slips between two rounds.
OVERLAP = dt.timedelta(hours=1)
# What was read may be a little behind what a webhook says at the same time.
MARGIN = dt.timedelta(seconds=60)
# Read of Sendcloud's list to find the parcels of one order.
MOST_PAGES = 3
# Sendcloud watches a parcel for six weeks.
LONGEST = dt.timedelta(days=42)


def catch_up_all() -> int:
    """Catch up every running integration; one that cannot be asked is left for the next time."""
    total = 0
    for integration in Integration.objects.using(conf().DATABASE).running().select_related("account"):
        try:
            total += catch_up(integration)
        except (APIError, SendcloudConfigurationError) as error:
            logger.warning("Parcels of integration %s could not be asked: %s.", integration, type(error).__name__)
    return total


def catch_up(integration: Integration, now: dt.datetime | None = None) -> int:
    """Ask for all parcels that changed since the last time (operation: GET /parcels), and apply what is news.

    Interrupted, the next round asks for the same again. Parcels of other integrations of the account are left alone.

    Args:
        integration: Which one.
        now: The time, for tests.

    Returns:
        How many parcels had news.

    Raises:
        APIError: Sendcloud could not be asked.
    """
    begin = now or timezone.now()
    since = max(begin - LONGEST, (integration.parcels_seen_until or integration.created_at) - OVERLAP)
    count = 0
    with integration.client(limiter=limiter.AccountLimiter(integration.account.pk)) as client:
        for page in client.parcels.pages(updated_after=since):
            count += _apply(integration, page.results, begin - MARGIN)
    Integration.objects.using(conf().DATABASE).filter(pk=integration.pk).update(parcels_seen_until=begin)
    return count


def catch_up_shipment(shipment: Shipment, now: dt.datetime | None = None) -> int:
    """Ask for the parcels of one shipment's order (operation: GET /parcels), and apply what is news.

    Args:
        shipment: Whose parcels.
        now: The time, for tests.

    Returns:
        How many parcels had news.

    Raises:
        APIError: Sendcloud could not be asked.
        SendcloudConfigurationError: the keys are missing, or cannot be read.
    """
    if not shipment.order_number:
        return 0
    begin, integration = now or timezone.now(), shipment.integration
    with integration.client(limiter=limiter.AccountLimiter(integration.account.pk), retries=0) as client:
        pages = client.parcels.pages(order_number=shipment.order_number)
        found = [parcel for page in itertools.islice(pages, MOST_PAGES) for parcel in page.results]
    return _apply(integration, found, begin - MARGIN)


def _apply(integration: Integration, found: list[RemoteParcel], at: dt.datetime) -> int:
    database = conf().DATABASE
    news: list[tuple[ParcelNews, str]] = []
    for remote in found:
        try:
            item = ParcelNews.read({"parcel": dict(remote.raw)})
        except ParseError:
            continue
        news.append((item, hashlib.sha256(f"{item.remote_id}:{item.status_id}".encode()).hexdigest()))
    known = {
        parcel.remote_id: parcel
        for parcel in Parcel.objects.using(database).filter(
            integration=integration, remote_id__in=[item.remote_id for item, _ in news]
        )
    }
    ours = set(
        Shipment.objects.using(database)
        .filter(integration=integration, uuid__in=[item.shipment_uuid for item, _ in news if item.shipment_uuid])
        .values_list("uuid", flat=True)
    )
    applied: list[Applied] = []
    with transaction.atomic(using=database):
        for item, digest in news:
            parcel = known.get(item.remote_id)
            if parcel is None and item.shipment_uuid not in ours:
                continue
            if parcel is not None and _same(parcel, item):
                continue
            applied.append(apply_news(integration, item, int(at.timestamp() * 1000), digest))
    for done in applied:
        for follow_up in handlers.news_for_the_shop(done):
            try:
                follow_up()
            except handlers.ReceiverFailed as error:
                logger.error("A receiver of the shop failed: %s.", error)
    return sum(done.moved for done in applied)


def _same(parcel: Parcel, news: ParcelNews) -> bool:
    return (parcel.status_id, parcel.tracking_number) == (news.status_id, news.tracking_number)
