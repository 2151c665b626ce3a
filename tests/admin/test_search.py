"""Search for several numbers in the lists, the order admin and the search of every page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_sendcloud.models import Integration, OutboxEntry, Parcel, Shipment, WebhookEvent
from django_sendcloud.registry import registry
from tests import factories
from tests.shop.models import Order

from .shop_site import OrderAdmin

LISTS = ["django_sendcloud_shipment", "django_sendcloud_outboxentry", "django_sendcloud_parcel", "shop_order"]
INBOX = "django_sendcloud_webhookevent"


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


@pytest.fixture(autouse=True)
def searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrderAdmin, "search_fields", ["number", "customer__name"])


@pytest.fixture
def numbered(connected: Integration) -> Callable[..., None]:
    """Return a function that makes an order of each number, with a row in each list."""

    def make(*numbers: str) -> None:
        for number in numbers:
            key = str(factories.order(number=number).pk)
            factories.clear_outbox()
            shipment = Shipment.objects.create(
                integration=connected, order_type="shop.order", order_pk=key, order_number=number,
                external_order_id=key, external_shipment_id=key,
            )  # fmt: skip
            parcel = Parcel.objects.create(
                integration=connected, shipment=shipment, remote_id=10**6 + shipment.pk, order_number=number
            )
            WebhookEvent.objects.create(
                integration=connected, digest=number, action="parcel_status_changed", parcel=parcel
            )
        for order in Order.objects.all():
            OutboxEntry.objects.create(order_type="shop.order", order_pk=str(order.pk), integration=connected)

    return make


def number_of(row: Any) -> str:
    match row:
        case WebhookEvent():
            return str(row.parcel.order_number)
        case OutboxEntry():
            return str(Order.objects.get(pk=row.order_pk).number)
        case Order():
            return row.number
    return str(row.order_number)


def found(client: Client, name: str, words: str) -> set[str]:
    response = client.get(reverse(f"backoffice:{name}_changelist"), {"q": words})
    return {number_of(row) for row in response.context["cl"].queryset}


@pytest.mark.parametrize("name", [*LISTS, INBOX])
@pytest.mark.parametrize(
    "words",
    [
        "1001 1002",
        "1001, 1002",
        "1001,1002",
        "1001;1002",
        "1001\t1002",
        "1001\n1002\r\n",
        " 1001  1002,",
        "1001 1002 4",
        "1001 1002, 4",
    ],
)
def test_several_numbers_are_each_found(boss: Client, numbered: Callable[..., None], name: str, words: str) -> None:
    numbered("1001", "1002", "1003")
    assert found(boss, name, words) == {"1001", "1002"}


@pytest.mark.parametrize("name", [*LISTS, INBOX])
def test_number_with_blank_is_found(boss: Client, numbered: Callable[..., None], name: str) -> None:
    numbered("A 1", "A 2", "A 3", "1")
    assert found(boss, name, "a 1") >= {"A 1"}
    assert found(boss, name, "A 1, A 2") == {"A 1", "A 2"}


@pytest.mark.parametrize("name", LISTS)
def test_number_like_a_list_is_found(boss: Client, numbered: Callable[..., None], name: str) -> None:
    numbered("10 01", "2044")
    assert found(boss, name, "10 01") == {"10 01"}


def test_numbers_of_a_list_ignore_case(boss: Client, numbered: Callable[..., None]) -> None:
    numbered("ORD-1", "ord-2")
    for name in LISTS:
        assert found(boss, name, "ord-1 ORD-2") == {"ORD-1", "ord-2"}, name


def test_word_without_digits_narrows_a_number(boss: Client, numbered: Callable[..., None]) -> None:
    numbered("1001")
    assert found(boss, INBOX, "1001 parcel_status") == {"1001"}
    assert found(boss, INBOX, "1001 return_created") == set()


def test_hint_of_numbers_offers_nothing_wider(boss: Client, numbered: Callable[..., None]) -> None:
    numbered("1001", "1002")
    url = reverse("backoffice:django_sendcloud_shipment_changelist")
    html = boss.get(url, {"q": "1001 1002"}).content.decode()
    assert "Only exact matches of 1001, 1002 are shown.</p>" in html
    assert "Search within longer numbers too" in boss.get(url, {"q": "1001"}).content.decode()


def test_wider_search_keeps_the_other_words(boss: Client, numbered: Callable[..., None]) -> None:
    numbered("1001", "A 1001")
    for words, expected in (("1001 parcel_status", {"1001", "A 1001"}), ("1001 return_created", set())):
        response = boss.get(reverse(f"backoffice:{INBOX}_changelist"), {"q": words})
        wider = boss.get(reverse(f"backoffice:{INBOX}_changelist") + response.context["sc_wider_url"])
        assert {number_of(row) for row in wider.context["cl"].queryset} == expected


@pytest.mark.long
@pytest.mark.parametrize("name", [*LISTS, INBOX])
def test_more_numbers_need_no_more_queries(boss: Client, numbered: Callable[..., None], name: str) -> None:
    numbers = [str(2000 + number) for number in range(30)]
    numbered(*numbers)
    counts = []
    for wanted in (numbers[:2], numbers):
        words = " ".join([*wanted, "nothing-1"])
        assert found(boss, name, words) == set(wanted)
        with CaptureQueriesContext(connection) as queries:
            boss.get(reverse(f"backoffice:{name}_changelist"), {"q": words})
        counts.append(len(queries))
    assert counts[0] >= counts[1]


def test_search_everywhere_lists_several_numbers(boss: Client, numbered: Callable[..., None]) -> None:
    numbered("1001", "1002", "1003")
    page = boss.get(reverse("backoffice:django_sendcloud_overview_find"), {"q": "1001, 1002"})
    for number in ("1001", "1002", "1003"):
        url = reverse("backoffice:shop_order_change", args=[Order.objects.get(number=number).pk])
        assert (url in page.content.decode()) is (number != "1003")


def test_tracking_number_in_blocks_opens_its_order(boss: Client, numbered: Callable[..., None]) -> None:
    """One of its blocks is the number of another order."""
    numbered("999", "1000")
    Parcel.objects.filter(order_number="1000").update(tracking_number="1Z999AA10123")
    page = boss.get(reverse("backoffice:django_sendcloud_overview_find"), {"q": "1Z 999 AA1 0123"})
    assert page.url == reverse("backoffice:shop_order_change", args=[Order.objects.get(number="1000").pk])


def test_long_list_is_cut_between_numbers(boss: Client, numbered: Callable[..., None]) -> None:
    numbered("1001", "10")
    words = " ".join(["1001", *["x-9999"] * 55, "x-99999", "1002"])
    assert words[:400].endswith(" 10")
    page = boss.get(reverse("backoffice:django_sendcloud_overview_find"), {"q": words})
    assert page.url == reverse("backoffice:shop_order_change", args=[Order.objects.get(number="1001").pk])


@pytest.mark.parametrize("words", ["nothing", "1", "9" * 30, "1 2"])
def test_number_field_may_be_a_whole_number(
    boss: Client, numbered: Callable[..., None], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """A text that is no number, or too long a one, is no order number."""
    numbered("1001")
    monkeypatch.setattr(registry[Order], "number_field", "shipments")
    for name in LISTS:
        assert boss.get(reverse(f"backoffice:{name}_changelist"), {"q": words}).status_code == 200
