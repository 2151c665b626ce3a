"""The recipe of a marketplace with a Sendcloud account for each partner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_sendcloud.models import Account, PauseReason, Shipment
from django_sendcloud.registry import registry
from django_sendcloud.testing import drain
from tests import factories

from .models import Order, Partner

RECIPE = "marketplace"


@pytest.fixture
def partners(sendcloud: Any, sendcloud_integration: Any) -> dict[str, Partner]:
    """Connect an account for each of two partners."""
    account = Account.objects.create(name="South")
    south = factories.integration(sendcloud.add_integration("South"), account=account)
    return {
        "north": Partner.objects.create(name="North", integration=sendcloud_integration),
        "south": Partner.objects.create(name="South", integration=south),
    }


def sent() -> dict[str, int]:
    rows = Shipment.objects.filter(status="synced")
    return dict(rows.values_list("external_shipment_id", "integration_id"))


def test_partners_ship_their_own_goods(partners: dict[str, Partner], place: Callable[..., Order]) -> None:
    north, south = partners["north"], partners["south"]
    place(MUG={"partner": north}, POT={"partner": south}, CUP={"partner": north})
    assert drain() == []
    assert sent() == {str(north.pk): north.integration_id, str(south.pk): south.integration_id}
    assert len(Shipment.objects.get(external_shipment_id=str(north.pk)).contents) == 2


def test_paused_partner_holds_up_no_other(partners: dict[str, Partner], place: Callable[..., Order]) -> None:
    north, south = partners["north"], partners["south"]
    assert south.integration
    south.integration.pause(PauseReason.PERSON)
    place(MUG={"partner": north}, POT={"partner": south})
    [said] = drain()
    assert "paused" in said
    assert sent() == {str(north.pk): north.integration_id}


@pytest.mark.long
def test_partner_without_account_is_explained(partners: dict[str, Partner], place: Callable[..., Order]) -> None:
    """``None`` would stand for the only integration in use, which may be that of another partner."""
    new = Partner.objects.create(name="New")
    place(MUG={"partner": new})
    place(POT={})
    said = drain()
    assert [each.partition("parcel_items: ")[2] for each in said] == [
        "MUG has no partner with a Sendcloud account.",
        "POT has no partner with a Sendcloud account.",
    ]
    new.integration = partners["south"].integration
    new.save()
    assert len(drain()) == 1
    assert sent() == {str(new.pk): partners["south"].integration_id}


def test_partners_cost_no_further_queries(partners: dict[str, Partner], place: Callable[..., Order]) -> None:
    counts = []
    adapter = registry[Order]
    for number in (2, 8):
        for _ in range(number):
            place(MUG={"partner": partners["north"]}, POT={"partner": partners["south"]})
        with CaptureQueriesContext(connection) as queries:
            for order in adapter.get_queryset():
                for payload in adapter.get_shipments(order):
                    assert adapter.get_package_integration(order, str(payload.external_shipment_id))
        counts.append(len(queries))
    assert counts[0] == counts[1]
