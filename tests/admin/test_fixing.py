"""Fix page: orders with one problem, each with its wrong field, saved through the shop's own admin."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from django_sendcloud.models import EntryState, Integration, OutboxEntry
from django_sendcloud.sync.problems import Problem, columns_of
from django_sendcloud.testing import drain
from django_sendcloud.violations import Violation
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

from .conftest import client_with
from .shop_site import OrderAdmin

pytestmark = pytest.mark.long

FIX = "backoffice:django_sendcloud_outboxentry_fix"
OUTBOX = "/backoffice/django_sendcloud/outboxentry/"
COUNTRY = "payload_invalid:country:country_unknown"


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


@pytest.fixture
def broken(integration: Integration) -> list[Order]:
    """Make two orders with an unknown country, and one without a city."""
    orders = [factories.order(country="XX"), factories.order(country="XY"), factories.order(city="")]
    drain()
    factories.forget_transaction()
    assert OutboxEntry.objects.stuck().count() == 3
    return orders


def entry_of(order: Order) -> OutboxEntry:
    return OutboxEntry.objects.get(order_pk=str(order.pk))


def filled(order: Order, name: str, value: str, before: str) -> dict[str, str]:
    prefix = f"order-{entry_of(order).pk}"
    return {f"{prefix}-{name}": value, f"{prefix}-before": before}


def save(client: Client, *rows: dict[str, str], problem: str = COUNTRY, **more: str) -> Any:
    data: dict[str, str] = {"problem": problem, **more}
    for row in rows:
        data |= row
    return client.post(reverse(FIX), data, follow=True)


def test_fix_page_begins_with_most_common_problem(boss: Client, broken: list[Order]) -> None:
    html = boss.get(reverse(FIX)).content.decode()
    assert "Country is not valid (2)" in html
    assert "City is missing (1)" in html
    assert html.count('name="order-') == 4
    assert re.search(r'value="XX"[^>]*aria-label="Country: ORD-\d+"', html)
    assert "Next problem: City is missing" in html


def test_second_problem_is_named(boss: Client, broken: list[Order], sandbox: Any) -> None:
    """An order whose other field is wrong, too, is not called fixed."""
    order = factories.order(country="XZ", postal_code="")
    drain()
    factories.forget_transaction()
    page = save(boss, filled(order, "country", "NL", "XZ"), filled(broken[0], "country", "BE", "XX"))
    html = page.content.decode()
    assert "1 order is fixed and being sent." in html
    assert "1 order is saved, and has another problem." in html


def test_saved_fields_send_orders(boss: Client, broken: list[Order], sandbox: Any) -> None:
    first, second, third = broken
    rows = [filled(first, "country", "NL", "XX"), filled(second, "country", "BE", "XY")]
    page = save(boss, *rows)
    html = page.content.decode()
    assert "2 orders are fixed and being sent." in html
    assert "City is missing" in html, "the next problem is open"
    drain()
    assert {shipment["country"] for shipment in sandbox.shipments()} == {"NL", "BE"}
    entries = LogEntry.objects.filter(content_type__model="order")
    assert {entry.object_id for entry in entries} == {str(first.pk), str(second.pk)}
    assert {entry.get_change_message() for entry in entries} == {"Changed Country."}
    assert entry_of(third).state == EntryState.REJECTED


def test_last_fix_leads_back(boss: Client, integration: Integration) -> None:
    order = factories.order(country="XX")
    drain()
    factories.forget_transaction()
    back = f"{OUTBOX}?state=stuck"
    page = save(boss, filled(order, "country", "NL", "XX"), back=back)
    assert page.redirect_chain[-1][0] == back


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "evil", "/\\evil.example"]
)
def test_foreign_back_address_is_ignored(boss: Client, broken: list[Order], back: str) -> None:
    html = boss.get(reverse(FIX), {"back": back}).content.decode()
    assert f'name="back" value="{OUTBOX}"' in html
    assert "evil" not in html


def test_wrong_value_is_shown_beside_field(boss: Client, broken: list[Order]) -> None:
    page = save(boss, filled(broken[0], "country", "Netherlands", "XX"), filled(broken[1], "country", "BE", "XY"))
    html = page.content.decode()
    assert "at most 2 characters" in html
    assert "1 order is fixed and being sent." in html
    assert "1 order was not saved" in html
    broken[0].refresh_from_db()
    assert broken[0].country == "XX"


def test_field_changed_meanwhile_is_kept(boss: Client, broken: list[Order]) -> None:
    """The page was open for a day, and a colleague entered another wrong value."""
    row = filled(broken[0], "country", "NL", "XX")
    Order.objects.filter(pk=broken[0].pk).update(country="YY")
    html = save(boss, row).content.decode()
    assert "1 order was changed meanwhile" in html
    assert 'value="YY"' in html
    broken[0].refresh_from_db()
    assert broken[0].country == "YY"


def test_problem_fixed_by_colleague_is_explained(boss: Client, broken: list[Order]) -> None:
    row = filled(broken[2], "city", "Utrecht", "")
    order = Order.objects.get(pk=broken[2].pk)
    order.city = "Delft"
    order.save()
    page = save(boss, row, problem="payload_invalid:city:required")
    assert "No order has this problem any more" in page.content.decode()
    order.refresh_from_db()
    assert order.city == "Delft"


def test_unchanged_form_saves_nothing(boss: Client, broken: list[Order]) -> None:
    html = save(boss, filled(broken[0], "country", "XX", "XX")).content.decode()
    assert "Nothing was changed." in html
    assert not LogEntry.objects.exists()


def test_empty_fix_page_leads_back(boss: Client, integration: Integration) -> None:
    page = boss.get(reverse(FIX), follow=True)
    assert page.redirect_chain[-1][0] == OUTBOX
    assert "There is nothing left to fix." in page.content.decode()


# -- as far as the shop's admin allows ----------------------------------------------------------------


def operator(*codenames: str) -> Client:
    user = User.objects.create_user("operator", is_staff=True)
    return client_with(user, "view_outboxentry", *codenames)


def test_operator_without_order_permission_cannot_edit(broken: list[Order]) -> None:
    client = operator()
    html = client.get(reverse(FIX)).content.decode()
    assert "Country is not valid" in html
    assert 'name="order-' not in html
    save(client, filled(broken[0], "country", "NL", "XX"))
    broken[0].refresh_from_db()
    assert broken[0].country == "XX"


def test_operator_with_view_permission_only_opens(broken: list[Order]) -> None:
    html = operator("view_order").get(reverse(FIX)).content.decode()
    assert 'name="order-' not in html
    assert html.count("Open the order") == 2


def test_fix_page_needs_outbox_permission(broken: list[Order]) -> None:
    user = User.objects.create_user("shopkeeper", is_staff=True)
    client = client_with(user, "change_order")
    assert client.get(reverse(FIX)).status_code == 403
    assert client.post(reverse(FIX), {"problem": COUNTRY}).status_code == 403


def test_fix_page_requires_csrf_token(broken: list[Order]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss"))
    assert client.post(reverse(FIX), {"problem": COUNTRY}).status_code == 403


@pytest.mark.parametrize(
    "limits",
    [
        {"readonly_fields": ["country"]},
        {"fields": ["number"]},
        {"exclude": ["country"]},
        {"has_change_permission": lambda *args: False},
        {"get_queryset": lambda *args: Order.objects.none()},
    ],
)
def test_field_beyond_shops_admin_cannot_be_edited(
    boss: Client, broken: list[Order], monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any]
) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(OrderAdmin, name, value)
    assert 'name="order-' not in boss.get(reverse(FIX)).content.decode()
    save(boss, filled(broken[0], "country", "NL", "XX"))
    broken[0].refresh_from_db()
    assert broken[0].country == "XX"


def test_shops_own_form_validates(boss: Client, broken: list[Order], monkeypatch: pytest.MonkeyPatch) -> None:
    class Strict(forms.ModelForm):  # type: ignore[type-arg]
        coupon = forms.CharField()

        class Meta:
            model = Order
            fields = ["number", "country"]

        def clean_country(self) -> str:
            if self.cleaned_data["country"] == "FR":
                raise ValidationError("We do not ship to France.")
            return str(self.cleaned_data["country"])

    monkeypatch.setattr(OrderAdmin, "form", Strict)
    html = save(boss, filled(broken[0], "country", "FR", "XX")).content.decode()
    assert "We do not ship to France." in html
    save(boss, filled(broken[0], "country", "NL", "XX"))
    broken[0].refresh_from_db()
    assert broken[0].country == "NL"


def test_shops_save_model_is_used(boss: Client, broken: list[Order], monkeypatch: pytest.MonkeyPatch) -> None:
    def save_model(self: Any, request: Any, obj: Any, form: Any, change: bool) -> None:
        obj.city = f"by {request.user}"
        obj.save()

    monkeypatch.setattr(OrderAdmin, "save_model", save_model)
    save(boss, filled(broken[0], "country", "NL", "XX"))
    broken[0].refresh_from_db()
    assert broken[0].city.startswith("by superuser-")


def test_field_of_related_object_is_edited(
    boss: Client, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShopOrder, "admin_fields", {"name": "customer__name"})
    customer = factories.customer(name="")
    orders = [factories.order(customer=customer), factories.order(customer=customer)]
    drain()
    factories.forget_transaction()
    rows = [filled(order, "name", "Jane Doe", "") for order in orders]
    html = save(boss, *rows, problem="payload_invalid:name:required").content.decode()
    assert "2 orders are fixed and being sent." in html
    customer.refresh_from_db()
    assert customer.name == "Jane Doe"
    assert LogEntry.objects.filter(content_type__model="customer").count() == 1


@pytest.mark.parametrize("name", ["nonsense", "customer__nonsense", "nonsense__name", "lines__sku", "number__x"])
def test_unknown_admin_field_leaves_row_without_form(
    boss: Client, broken: list[Order], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(ShopOrder, "admin_fields", {"country": name})
    html = boss.get(reverse(FIX)).content.decode()
    assert 'name="order-' not in html
    assert html.count("Open the order") == 2


def test_problem_of_order_line_leads_to_order(boss: Client, integration: Integration) -> None:
    order = factories.order()
    order.lines.update(weight=-1)
    order.save()
    drain()
    html = boss.get(reverse(FIX)).content.decode()
    assert 'name="order-' not in html
    assert "Open the order" in html


@pytest.mark.long
def test_fifty_orders_take_few_statements(
    boss: Client, integration: Integration, django_assert_max_num_queries: Any
) -> None:
    wrong = {"country": [Violation("country_unknown", {"value": "XX"})]}
    for number in range(52):
        OutboxEntry.objects.create(
            order_type="shop.order",
            order_pk=str(factories.order(country="XX").pk),
            order_number=f"N-{number}",
            state="rejected",
            **columns_of(Problem("payload_invalid", fields=wrong)),
        )
    factories.outbox()
    OutboxEntry.objects.update(state="rejected")
    boss.get(reverse(FIX))
    with django_assert_max_num_queries(25):
        html = boss.get(reverse(FIX)).content.decode()
    assert "The first 50 of 52 orders." in html


def test_pages_lead_to_fix_page(boss: Client, broken: list[Order]) -> None:
    entry = entry_of(broken[0])
    page = boss.get(reverse("backoffice:django_sendcloud_outboxentry_change", args=[entry.pk])).content.decode()
    assert "Fix all with this problem" in page
    overview = boss.get(reverse("backoffice:django_sendcloud_overview_changelist")).content.decode()
    # Two orders with one problem, and one with another.
    assert overview.count(">Fix them<") == overview.count(">Fix it<") == 1
