"""Payload page and comparison with Sendcloud, over a real socket."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse
from django.utils import timezone

from django_sendcloud.admin.shipments.comparison import compare
from django_sendcloud.enums import CustomsShipmentType
from django_sendcloud.models import Integration, Shipment
from django_sendcloud.payloads import ParcelItem, ShipmentPayload, Status
from django_sendcloud.testing import drain
from tests import factories


@pytest.fixture
def boss(as_role: Callable[[str], Client]) -> Client:
    return as_role("superuser")


@pytest.fixture
def pushed_shipment(integration: Integration) -> Shipment:
    """Return a pushed order."""
    factories.order(lines=2, customer=factories.customer(name="Canary Person"))
    drain()
    return Shipment.objects.get(status="synced")


def url(row: Any) -> str:
    return reverse(f"admin:django_sendcloud_{row._meta.model_name}_payload", args=[row.pk])


def page(client: Client, row: Any) -> str:
    response = client.get(url(row))
    assert response.status_code == 200
    return str(response.content.decode())


def different(html: str) -> dict[str, tuple[str, str]]:
    """Return the fields shown as different, with both values."""
    shown = html.partition("<details")[0]
    rows = re.findall(r"<code>([^<]+)</code></th>(.*?)</tr>", shown, re.S)
    return {path: tuple(re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", cells, re.S))
            for path, cells in rows}  # type: ignore[misc]  # fmt: skip


@pytest.mark.long
def test_pushed_order_has_no_difference(boss: Client, pushed_shipment: Shipment) -> None:
    html = page(boss, pushed_shipment)
    assert "Sendcloud has exactly this" in html
    assert different(html) == {}
    assert re.search(r"<details><summary>\d\d fields are the same", html), "folded away"
    assert "Canary Person" in html
    assert '"updated_at": "set when it is sent"' in html.replace("&quot;", '"')
    assert "does not report" not in html


@pytest.mark.long
def test_comparison_shows_changed_fields(boss: Client, pushed_shipment: Shipment) -> None:
    order: Any = pushed_shipment.order()
    order.city = "Utrecht"
    order.save()
    line = order.lines.order_by("pk").last()
    line.weight = Decimal("0.5")
    line.save()
    order.lines.order_by("pk").first().delete()
    html = page(boss, pushed_shipment)
    assert different(html) == {
        "city": ("Eindhoven", "Utrecht"),
        "parcel_items[0].sku": ("SKU-0", "SKU-1"),
        "parcel_items[0].weight": ("0.25", "0.5"),
        **{
            f"parcel_items[1].{name}": (value, "empty")
            for name, value in
            {"description": "Mug", "quantity": "1", "sku": "SKU-1", "value": "9.95", "weight": "0.25"}.items()
        },
    }  # fmt: skip
    assert "Order line 2, price of one piece" in html
    assert "At Sendcloud" in html
    drain()
    assert different(page(boss, pushed_shipment)) == {}


def test_comparison_shows_remote_change(boss: Client, pushed_shipment: Shipment, sandbox: Any) -> None:
    remote = pushed_shipment.integration.client()
    with remote as client:
        payload = ShipmentPayload(
            external_order_id=pushed_shipment.external_order_id, external_shipment_id=pushed_shipment.external_shipment_id,
            order_number=pushed_shipment.order_number, created_at=timezone.now(), name="Somebody Else", address="Elsewhere 1",
            postal_code="1234 AB", city="Eindhoven", country="NL",
            parcel_items=[ParcelItem(description="Mug", quantity=1, value=Decimal(1), weight=Decimal(1))],
        ).stamped(timezone.now() + dt.timedelta(days=1))  # fmt: skip
        assert client.v2.shipments.upsert(pushed_shipment.integration.remote_id, [payload])[0].ok
    html = page(boss, pushed_shipment)
    assert different(html)["name"] == ("Somebody Else", "Canary Person")
    assert "so it has been changed there since" in html


@pytest.mark.long
def test_comparison_sends_one_request(boss: Client, pushed_shipment: Shipment, sandbox: Any) -> None:
    for _ in range(5):
        factories.order()
    drain()
    sandbox.page_size = 2
    before = len(sandbox.requests)
    page(boss, pushed_shipment)
    (request,) = sandbox.requests[before:]
    assert (request.method, request.path) == ("GET", f"/api/v2/integrations/{sandbox.integration_id}/shipments")
    assert f"external_order_ids={pushed_shipment.external_order_id}" in request.query


def test_comparison_finds_old_shipment(boss: Client, pushed_shipment: Shipment, sandbox: Any) -> None:
    long_ago = timezone.now() - dt.timedelta(days=800)
    Shipment.objects.update(created_at=long_ago)
    sandbox.clock = lambda: timezone.now() + dt.timedelta(days=400)
    assert "Sendcloud has exactly this" in page(boss, pushed_shipment)


@pytest.mark.long
def test_split_order_compares_each_shipment(boss: Client, integration: Integration) -> None:
    order = factories.order(shipments=2)
    drain()
    first, second = Shipment.objects.order_by("external_shipment_id")
    for shipment in (first, second):
        html = page(boss, shipment)
        assert "Sendcloud has exactly this" in html
        assert "Another shipment of this order" in html
    order.shipments = 1
    order.save()
    assert "The order has no such shipment any more" in page(boss, second)


def test_comparison_shows_missing_shipment_as_new(boss: Client, pushed_shipment: Shipment, sandbox: Any) -> None:
    sandbox.delete_shipment(str(pushed_shipment.uuid))
    html = page(boss, pushed_shipment)
    assert "Sendcloud does not have this shipment" in html
    assert "Canary Person" in html
    assert '<details class="sc-more" open>' in html


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (lambda sandbox: sandbox.revoke_credentials(), "Sendcloud rejects the API keys"),
        (lambda sandbox: sandbox.stop(), "Sendcloud could not be reached"),
        (lambda sandbox: sandbox.fail_next(500), "Sendcloud had a problem of its own"),
        (lambda sandbox: sandbox.truncate_next(), "Sendcloud"),
    ],
)
def test_comparison_without_answer_shows_ours(
    boss: Client, pushed_shipment: Shipment, sandbox: Any, trouble: Callable[[Any], None], words: str
) -> None:
    trouble(sandbox)
    html = page(boss, pushed_shipment)
    assert words in html
    assert "there is nothing to compare" in html
    assert "Canary Person" in html
    assert '<details class="sc-more" open>' in html
    assert "sc-comparison" not in html
    assert sandbox.secret_key not in html


def test_invalid_order_is_explained_without_request(boss: Client, pushed_shipment: Shipment, sandbox: Any) -> None:
    order: Any = pushed_shipment.order()
    order.country = "XX"
    order.save()
    before = len(sandbox.requests)
    html = page(boss, pushed_shipment)
    assert "Invalid data" in html
    order.delete()
    assert "The order is gone" in page(boss, pushed_shipment)
    assert len(sandbox.requests) == before


def test_outbox_payload_sends_no_request(boss: Client, pushed_shipment: Shipment, sandbox: Any) -> None:
    order: Any = pushed_shipment.order()
    order.save()
    before = len(sandbox.requests)
    assert "Canary Person" in page(boss, factories.outbox().get())
    assert len(sandbox.requests) == before


@pytest.mark.long
def test_payload_page_checks_permission_first(
    as_role: Callable[..., Client], pushed_shipment: Shipment, sandbox: Any
) -> None:
    before = len(sandbox.requests)
    for role in ("staff", "viewer", "operator"):
        assert as_role(role).get(url(pushed_shipment)).status_code == 403
    assert as_role("staff", "view_payload").get(url(pushed_shipment)).status_code == 403
    assert len(sandbox.requests) == before
    assert "Canary Person" in page(as_role("viewer", "view_payload"), pushed_shipment)


@pytest.mark.long
def test_payload_page_is_read_only_and_uncached(boss: Client, pushed_shipment: Shipment, sandbox: Any) -> None:
    order: Any = pushed_shipment.order()
    order.lines.create(sku="more")
    factories.forget_transaction()
    before = Shipment.objects.values().get(), list(factories.outbox().values())
    with CaptureQueriesContext(connection) as queries:
        response = boss.get(url(pushed_shipment))
    assert "no-store" in response["Cache-Control"]
    assert (Shipment.objects.values().get(), list(factories.outbox().values())) == before
    writes = [query["sql"] for query in queries if not query["sql"].startswith("SELECT")]
    assert len(writes) == 1, "the rate limiter"
    assert boss.post(url(pushed_shipment)).status_code == 405
    assert not LogEntry.objects.exists()
    assert "default" in resolve(url(pushed_shipment)).func._non_atomic_requests  # type: ignore[attr-defined]


# -- the comparison itself --------------------------------------------------------------------------------

OURS = {
    **ShipmentPayload(
        external_order_id="1", external_shipment_id="1", order_number="N-1", name="A", address="B", postal_code="0123",
        city="C", country="NL", created_at=dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC), weight=Decimal("1.5"),
        order_status=Status(id="paid", message="Paid"), customs_shipment_type=CustomsShipmentType.GIFT,
        parcel_items=[ParcelItem(description="Mug", quantity=2, value=Decimal("9.9"), weight=Decimal("0.1"),
                                 properties={"size": "L"})],
    ).stamped(dt.datetime(2026, 5, 2, tzinfo=dt.UTC)).to_json()
}  # fmt: skip


def theirs(**changes: Any) -> dict[str, Any]:
    """Return Sendcloud's answer to ``OURS``."""
    answer = {**OURS, "created_at": "2001-01-01T00:00:00Z", "updated_at": "2002-02-02T00:00:00Z"}
    answer |= {"shipment_created_at": OURS["created_at"], "shipment_uuid": "u", "allowed_shipping_methods": [8]}
    return answer | changes


def item(**changes: Any) -> list[dict[str, Any]]:
    return [{**OURS["parcel_items"][0], **changes}]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shipment_created_at": "2026-05-01T14:00:00+02:00"},
        {"weight": 1.5},
        {"weight": "1.500"},
        {"address_2": None, "to_state": ""},
        {"customs_shipment_type": str(OURS["customs_shipment_type"])},
        {"parcel_items": item(value="9.90", weight="0.100", quantity="2")},
        {"parcel_items": item(remote_extra="whatever", hs_code="", id=77)},
        {"customs_details": {"discount_granted": None, "tax_numbers": {"sender": []}}},
    ],
)
def test_comparison_ignores_spelling(changes: dict[str, Any]) -> None:
    found = compare(OURS, theirs(**changes))
    assert found.different == []
    assert len(found.equal) >= 10


@pytest.mark.parametrize(
    ("changes", "path", "other", "mine"),
    [
        ({"postal_code": "123"}, "postal_code", "123", "0123"),
        ({"name": "a"}, "name", "a", "A"),
        ({"weight": "1.501"}, "weight", "1.501", "1.5"),
        ({"weight": "heavy"}, "weight", "heavy", "1.5"),
        ({"address_2": "B"}, "address_2", "B", ""),
        ({"city": ""}, "city", "", "C"),
        ({"order_status": None}, "order_status.id", "", "paid"),
        ({"shipment_created_at": "2026-05-01T12:00:01Z"}, "created_at", "2026-05-01T12:00:01Z", OURS["created_at"]),
        ({"shipment_created_at": "nonsense"}, "created_at", "nonsense", OURS["created_at"]),
        ({"parcel_items": item(properties={"size": "M"})}, "parcel_items[0].properties.size", "M", "L"),
        ({"parcel_items": item() + item(sku="S")}, "parcel_items[1].sku", "S", ""),
        ({"parcel_items": []}, "parcel_items[0].description", "", "Mug"),
        ({"checkout_payload": {"sender_address_id": 5}}, "checkout_payload.sender_address_id", "5", ""),
        (
            {"customs_details": {"tax_numbers": {"sender": [{"value": "1.0"}]}}},
            "customs_details.tax_numbers.sender[0].value",
            "1.0",
            "",
        ),
    ],
)
def test_comparison_finds_real_difference(changes: dict[str, Any], path: str, other: str, mine: str) -> None:
    found = {field.path: (field.theirs, field.ours) for field in compare(OURS, theirs(**changes)).different}
    assert found[path] == (other, mine)


def test_comparison_reads_bad_numbers_as_text() -> None:
    def customs(value: str) -> dict[str, Any]:
        return {"customs_details": {"tax_numbers": {"sender": [{"value": value}]}}}

    assert compare(OURS | customs("1.0"), theirs(**customs("1.00"))).different


def test_comparison_separates_unanswered_fields() -> None:
    answer = theirs()
    del answer["parcel_items"], answer["weight"]
    found = compare({**OURS, "brand_new": "field"}, answer)
    assert found.different == []
    unanswered = {field.path for field in found.unanswered}
    assert unanswered >= {"weight", "brand_new", "parcel_items[0].description"}
    assert not unanswered & {field.path for field in found.equal}


@pytest.mark.parametrize("nonsense", [{}, {"parcel_items": "x"}, {"parcel_items": [None, 5]}, {"name": ["a", {}]}])
def test_comparison_accepts_any_answer(nonsense: dict[str, Any]) -> None:
    found = compare(OURS, nonsense)
    assert found.different or found.unanswered


# -- API v3 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", ["v3"], indirect=True)
@pytest.mark.long
def test_v3_order_is_compared_under_our_names(boss: Client, pushed_shipment: Shipment) -> None:
    html = page(boss, pushed_shipment)
    assert "Sendcloud has exactly this" in html
    assert '"order_updated_at": "set when it is sent"' in html.replace("&quot;", '"')
    order: Any = pushed_shipment.order()
    order.city = "Utrecht"
    order.save()
    assert set(different(page(boss, pushed_shipment))) == {"city"}


@pytest.mark.parametrize("generation", ["v2", "v3"], indirect=True)
@pytest.mark.long
def test_preview_notes_parts_that_are_not_sent(boss: Client, pushed_shipment: Shipment, generation: str) -> None:
    from django_sendcloud.registry import temporarily_registered
    from tests.shop import sendcloud as shop
    from tests.shop.models import Order

    class WithNotes(shop.ShopOrder):
        def get_shipments(self, order: Order) -> Any:
            (payload,) = super().get_shipments(order)
            yield dataclasses.replace(payload, notes="Ring", width=3, length=None, height=None)

    with temporarily_registered(WithNotes, Order):
        html = page(boss, pushed_shipment)
    by_v2 = "this integration uses API v2, which does not have it"
    by_v3 = "API v3 takes length, width and height together or not at all"
    assert (by_v2 in html, by_v3 in html) == (generation == "v2", generation == "v3")


@pytest.mark.parametrize("generation", ["v3"], indirect=True)
@pytest.mark.parametrize("as_documented", [True, False])
@pytest.mark.long
def test_v3_order_with_all_fields_compares_equal(
    boss: Client, integration: Integration, sandbox: Any, as_documented: bool
) -> None:
    """Live answers differ from the documents: costs are numbers, times have microseconds, enums are in lower case."""
    from django_sendcloud.registry import temporarily_registered
    from tests.payloads.test_v3 import everything
    from tests.shop import sendcloud as shop
    from tests.shop.models import Order

    class WithAll(shop.ShopOrder):
        def get_shipments(self, order: Order) -> Any:
            (payload,) = super().get_shipments(order)
            yield dataclasses.replace(
                everything(), external_order_id=payload.external_order_id, external_shipment_id=None
            )

    sandbox.as_documented = as_documented
    with temporarily_registered(WithAll, Order):
        factories.order()
        drain()
        html = page(boss, Shipment.objects.get())
    assert different(html) == {}
    assert "Sendcloud has exactly this" in html
