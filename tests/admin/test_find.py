"""Search for orders and parcels from every page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from django_sendcloud.models import Integration, OutboxEntry, Parcel, Shipment
from tests import factories
from tests.shop.models import Order

from .conftest import Data
from .shop_site import OrderAdmin

FIND = "backoffice:django_sendcloud_overview_find"


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


@pytest.fixture(autouse=True)
def searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrderAdmin, "search_fields", ["number", "customer__name", "customer__email"])


def find(client: Client, words: str) -> Any:
    return client.get(reverse(FIND), {"q": words})


def order_url(order: Order) -> str:
    return reverse("backoffice:shop_order_change", args=[order.pk])


@pytest.mark.parametrize(
    "words",
    ["3SCANAL1", "3scanal1", " 3S CANAL 1 ", "3s\tcanal1", "Canary Person", "canary@example.com", "CANARY@example.com"],
)
def test_single_order_opens_directly(boss: Client, data: Data, words: str) -> None:
    assert find(boss, words).url == order_url(data.order)


@pytest.mark.parametrize("spell", [str.lower, str.upper, lambda number: f" {number} "])
def test_order_number_opens_order(boss: Client, data: Data, spell: Callable[[str], str]) -> None:
    assert find(boss, spell(data.order.number)).url == order_url(data.order)


def test_unmatched_parcel_opens_directly(boss: Client, connected: Integration) -> None:
    parcel = Parcel.objects.create(integration=connected, remote_id=5, tracking_number="3SLOOSE")
    assert find(boss, "3s loose").url == reverse("backoffice:django_sendcloud_parcel_change", args=[parcel.pk])


def test_several_orders_are_listed(boss: Client, data: Data) -> None:
    other = factories.order(customer=data.order.customer)
    html = find(boss, "canary person").content.decode()
    assert order_url(data.order) in html
    assert order_url(other) in html


def test_order_known_from_outbox_alone_is_found(boss: Client, connected: Integration) -> None:
    order = factories.order(number="OUT-1")
    factories.outbox().update(order_number="OUT-1")
    assert find(boss, "out-1").url == order_url(order)


def test_order_and_loose_parcel_are_both_listed(boss: Client, data: Data) -> None:
    Parcel.objects.create(integration=data.integration, remote_id=9, order_number=data.order.number)
    html = find(boss, data.order.number).content.decode()
    assert "#9" in html
    assert order_url(data.order) in html


@pytest.mark.parametrize(
    "words", ["", "   ", "\0", "nothing-here", "*", "' OR 1=1 --", "x" * 5000, "😀", "%", "a b c d e"]
)
def test_empty_or_odd_search_finds_nothing(boss: Client, data: Data, words: str) -> None:
    page = find(boss, words)
    assert page.status_code == 200
    assert data.order.number not in page.content.decode()


def test_search_text_is_escaped(boss: Client, data: Data) -> None:
    html = find(boss, "<script>alert(1)</script>").content.decode()
    assert "<script>alert(1)" not in html


# -- permissions --------------------------------------------------------------------------------------


def test_search_shows_only_permitted_kinds(as_role: Callable[..., Client], data: Data) -> None:
    client = as_role("staff", "view_parcel")
    page = find(client, "3scanal1")
    assert page.url == reverse("backoffice:django_sendcloud_parcel_change", args=[data.parcel.pk])
    html = find(client, data.order.number + "x").content.decode()
    assert reverse("backoffice:django_sendcloud_shipment_changelist") not in html


def test_name_search_needs_order_permission(as_role: Callable[..., Client], data: Data) -> None:
    page = find(as_role("viewer"), "Canary Person")
    assert page.status_code == 200
    assert str(data.order.pk) not in page.content.decode()


def test_shops_hidden_orders_stay_hidden(boss: Client, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrderAdmin, "get_queryset", lambda *args: Order.objects.none())
    page = find(boss, "3scanal1")
    assert page.status_code == 200
    assert order_url(data.order) not in page.content.decode()


def test_search_without_any_permission_is_refused(as_role: Callable[..., Client], data: Data) -> None:
    assert find(as_role("staff"), "x").status_code == 403
    assert find(as_role("anonymous"), "x").status_code == 302
    assert as_role("superuser").post(reverse(FIND), {"q": "x"}).status_code == 405


# -- everywhere ---------------------------------------------------------------------------------------


@pytest.mark.long
def test_pages_of_ours_have_search(boss: Client, data: Data) -> None:
    pages = [reverse("backoffice:django_sendcloud_overview_changelist"), reverse(FIND)]
    for name, obj in data.objects.items():
        pages.append(reverse(f"backoffice:django_sendcloud_{name}_changelist"))
        pages.append(reverse(f"backoffice:django_sendcloud_{name}_change", args=[obj.pk]))
    pages.append(reverse("backoffice:django_sendcloud_shipment_payload", args=[data.shipment.pk]))
    pages.append(reverse("backoffice:django_sendcloud_outboxentry_fix"))
    for page in pages:
        assert boss.get(page).content.decode().count('aria-label="Orders and parcels"') == 1, page


@pytest.mark.long
def test_lists_find_numbers_with_blanks(boss: Client, data: Data) -> None:
    for name in ("parcel", "shipment", "webhookevent"):
        url = reverse(f"backoffice:django_sendcloud_{name}_changelist")
        assert boss.get(url, {"q": "3s canal 1"}).context["cl"].result_count == 1, name
        assert boss.get(url, {"q": "3s canal þ"}).context["cl"].result_count == 0, name


def test_search_reads_large_tables_by_index(boss: Client, data: Data, django_assert_max_num_queries: Any) -> None:
    assert Shipment.objects.exists()
    assert OutboxEntry.objects.exists()
    find(boss, "nothing-here")
    with django_assert_max_num_queries(24) as queries:
        find(boss, "nothing-here")
    ours = [each["sql"] for each in queries.captured_queries if "django_sendcloud_" in each["sql"]]
    assert not any("LIKE" in sql.upper() for sql in ours)
