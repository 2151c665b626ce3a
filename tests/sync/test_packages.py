"""Shipments made of the adapter's single hooks: fields, lines, packages, and an integration for each package."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from django.utils.translation import gettext_lazy

from django_sendcloud import NotShippable, OrderAdapter, OrderProblem
from django_sendcloud.jobs import sweep
from django_sendcloud.models import Account, Integration, OutboxEntry, Parcel, PauseReason, Recheck, Shipment
from django_sendcloud.payloads import ParcelItem
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync.preview import preview_order
from django_sendcloud.sync.worker import push_due
from django_sendcloud.testing import drain
from django_sendcloud.webhooks import inbox
from tests import factories
from tests.shop.models import Customer, Order, OrderLine
from tests.webhooks.messages import BEGIN, parcel, raw

pytestmark = pytest.mark.long


class Composed(OrderAdapter[Order]):
    """The single hooks of an ordinary shop."""

    related = {OrderLine: "order", Customer: "orders"}
    queryset = Order.objects.select_related("customer").prefetch_related("lines")
    number_field = "number"
    placed_at_field = "created"
    # SKU to package; the tests change it.
    packages_by_sku: Mapping[str, Any] = {}

    def is_shippable(self, order: Order) -> bool | NotShippable:
        return order.status != "cancelled"

    def get_fields(self, order: Order) -> Mapping[str, Any]:
        return {
            "name": order.customer.name,
            "address": order.address,
            "postal_code": order.postal_code,
            "city": order.city,
            "country": order.country,
            "currency": "EUR",
            "total_order_value": sum((line.price * line.quantity for line in order.lines.all()), Decimal("5.00")),
        }

    def get_lines(self, order: Order) -> Any:
        return order.lines.all()

    def get_item(self, line: OrderLine, quantity: int) -> ParcelItem:
        return ParcelItem(
            description=line.description, sku=line.sku, quantity=quantity, value=line.price, weight=line.weight
        )

    def package_of(self, order: Order, line: OrderLine) -> Any:
        return self.packages_by_sku.get(line.sku, "")


@pytest.fixture(params=["v2", "v3"])
def generation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shop() -> Iterator[type[Composed]]:
    """Register an adapter of this test's own."""
    shop = type("Shop", (Composed,), {})
    with temporarily_registered(shop, Order):
        yield shop


def make_order(**quantities: int) -> Order:
    """Make an order with a line for each SKU."""
    order = factories.order(lines=0, number="ORD-77")
    for sku, quantity in quantities.items():
        OrderLine.objects.create(order=order, sku=sku, quantity=quantity)
    return order


def touch(order: Order, **values: Any) -> None:
    for name, value in values.items():
        setattr(order, name, value)
    order.save()
    push()


def push() -> None:
    drain()
    drain()  # asks API v3 whether it has saved them


def sent(sandbox: Any) -> dict[str, dict[str, int]]:
    """Return what Sendcloud has: the pieces of each SKU by package, from the sandbox's store."""
    return {
        # API v3 has one id, of both.
        shipment["external_shipment_id"] or shipment["external_order_id"].rpartition("/")[2]: {
            item["sku"]: item["quantity"] for item in shipment["parcel_items"]
        }
        for shipment in sandbox.shipments()
    }


def label(integration: Integration, package: str, number: int = 1) -> None:
    """Report a parcel of a package, as Sendcloud does when its label is made."""
    shipment = Shipment.objects.get(external_shipment_id=package)
    body = parcel(
        1000,
        BEGIN,
        id=number,
        order_number="ORD-77",
        external_order_id=shipment.external_order_id,
        external_shipment_id=package,
        shipment_uuid=str(shipment.uuid) if shipment.uuid else None,
    )
    inbox.store(integration, raw(body))
    drain()


def conflicts() -> dict[str, str]:
    return dict(Shipment.objects.with_label_conflict().values_list("external_shipment_id", "label_conflict"))


# One package


def test_order_in_one_package_uses_the_defaults(integration: Integration, sandbox: Any, shop: type[Composed]) -> None:
    order = make_order(MUG=2, BOX=1)
    push()
    [shipment] = sandbox.shipments()
    assert (shipment["external_order_id"], shipment["order_number"]) == (str(order.pk), "ORD-77")
    assert sent(sandbox) == {str(order.pk): {"MUG": 2, "BOX": 1}}
    assert Decimal(str(shipment["total_order_value"])) == Decimal("34.85")


def test_item_ids_default_to_the_lines(shop: type[Composed], integration: Integration) -> None:
    order = make_order(MUG=2, BOX=1)
    [payload] = preview_order(order).payloads
    assert [item.item_id for item in payload.parcel_items or ()] == [str(line.pk) for line in order.lines.all()]


def test_adapter_without_lines_sends_fields(integration: Integration, sandbox: Any, shop: Any) -> None:
    shop.get_lines = OrderAdapter.get_lines
    order = make_order(MUG=2)
    push()
    assert sent(sandbox) == {str(order.pk): {}}


def test_order_without_lines_is_not_shipped(integration: Integration, sandbox: Any, shop: Any) -> None:
    order = make_order(MUG=1)
    push()
    order.lines.all().delete()
    push()
    assert sent(sandbox) == {}
    assert not factories.outbox().exists()


@pytest.mark.parametrize(
    ("missing", "given"),
    [("city", {}), ("city", {"city": ""}), ("country", {"country": None}), ("address", {"address": " "})],
)
def test_missing_field_is_named(
    integration: Integration, sandbox: Any, shop: Any, missing: str, given: dict[str, Any]
) -> None:
    fields = shop.get_fields

    def get_fields(self: Any, order: Order) -> dict[str, Any]:
        found = {**fields(self, order)}
        del found[missing]
        return {**found, **given}

    shop.get_fields = get_fields
    make_order(MUG=1)
    push()
    entry = factories.outbox().get()
    assert (entry.error_code, list(entry.error_fields)) == ("payload_invalid", [missing])


@pytest.mark.parametrize(
    ("hook", "answer", "said"),
    [
        ("get_fields", {"adress": "Markt 1"}, "get_fields() has 'adress', which is no field of ShipmentPayload. Did"),
        ("get_package_fields", {"weigth": 1}, "get_package_fields() has 'weigth'"),
        ("get_item", None, "get_item() must return a ParcelItem, not NoneType."),
        ("package_of", 1.5, "package_of() must return the package's id, text or a number, not float."),
        ("package_of", {"a": 3}, "package_of() divides 3 pieces of a line that has 2."),
        ("package_of", {"a": -1}, "package_of() must divide a line into whole numbers of pieces, not -1."),
        ("package_of", {"a": Decimal("0.5")}, "package_of() must divide a line into whole numbers"),
        ("get_shipments", ["a"], "get_shipments() must yield ShipmentPayload objects, not str."),
        ("recheck_at", dt.datetime(2030, 1, 1), "recheck_at() must return a datetime with a time zone"),
        ("recheck_at", "tomorrow", "recheck_at() must return a datetime with a time zone, not str"),
    ],
)
def test_mistake_in_a_hook_is_named(
    integration: Integration, sandbox: Any, shop: Any, hook: str, answer: Any, said: str
) -> None:
    setattr(shop, hook, lambda self, *args: answer)
    make_order(MUG=2)
    push()
    entry = factories.outbox().get()
    assert entry.error_code == "adapter_error"
    assert said in entry.error_detail


# Several packages


def test_lines_divide_into_packages(integration: Integration, sandbox: Any, shop: Any) -> None:
    shop.packages_by_sku = {"MUG": {"north": 1, "south": 2}, "BOX": "south", "MP3": None, "TEA": 7}
    make_order(MUG=3, BOX=1, MP3=1, TEA=4)
    push()
    assert sent(sandbox) == {"north": {"MUG": 1}, "south": {"MUG": 2, "BOX": 1}, "7": {"TEA": 4}}


def test_package_gets_the_value_of_its_items(integration: Integration, shop: Any) -> None:
    shop.packages_by_sku = {"MUG": {"north": 1, "south": 2}}
    shop.get_package_fields = lambda self, order, package: {"telephone": f"+31 {package}"}
    north, south = preview_order(make_order(MUG=3)).payloads
    assert (north.total_order_value, south.total_order_value) == (Decimal("9.95"), Decimal("19.90"))
    assert (north.telephone, south.telephone) == ("+31 north", "+31 south")


def test_emptied_package_is_deleted(integration: Integration, sandbox: Any, shop: Any) -> None:
    shop.packages_by_sku = {"MUG": "north", "BOX": "south"}
    order = make_order(MUG=1, BOX=1)
    push()
    shop.packages_by_sku = {"MUG": "south", "BOX": "south"}
    touch(order)
    assert sent(sandbox) == {"south": {"MUG": 1, "BOX": 1}}


def test_order_without_packages_is_deleted(integration: Integration, sandbox: Any, shop: Any) -> None:
    order = make_order(MUG=1)
    push()
    shop.packages_by_sku = {"MUG": None}
    touch(order)
    assert sent(sandbox) == {}
    assert not factories.outbox().exists()


# Labels


def test_labelled_goods_leave_other_packages(integration: Integration, sandbox: Any, shop: Any) -> None:
    """Two of three mugs are in a parcel: whatever the shop says now, one is left for the other package."""
    shop.packages_by_sku = {"MUG": {"first": 2, "rest": 1}}
    order = make_order(MUG=3, BOX=1)
    push()
    label(integration, "first")
    shop.packages_by_sku = {"MUG": "rest", "BOX": "rest"}
    touch(order)
    assert sent(sandbox) == {"first": {"MUG": 2}, "rest": {"MUG": 1, "BOX": 1}}
    assert conflicts() == {"first": "replaced"}


def test_division_around_label_makes_no_conflict(integration: Integration, sandbox: Any, shop: Any) -> None:
    shop.packages_by_sku = {"MUG": "first", "BOX": "rest"}
    order = make_order(MUG=3, BOX=2)
    push()
    label(integration, "first")
    shop.packages_by_sku = {"MUG": "first", "BOX": {"rest": 1, "last": 1}}
    touch(order)
    assert sent(sandbox) == {"first": {"MUG": 3}, "rest": {"BOX": 1}, "last": {"BOX": 1}}
    assert conflicts() == {}


@pytest.mark.long
def test_renamed_package_offers_nothing_again(integration: Integration, sandbox: Any, shop: Any) -> None:
    shop.packages_by_sku = {"MUG": "first"}
    order = make_order(MUG=3)
    push()
    label(integration, "first")
    shop.packages_by_sku = {"MUG": "other"}
    touch(order)
    assert sent(sandbox) == {"first": {"MUG": 3}}
    assert conflicts() == {"first": "replaced"}
    shop.packages_by_sku = {"MUG": "first"}
    touch(order)
    assert conflicts() == {}


def test_taken_back_from_label_is_a_conflict(integration: Integration, sandbox: Any, shop: Any) -> None:
    """The shop wants one mug elsewhere that is in the parcel: it stays there, and an operator is asked."""
    shop.packages_by_sku = {"MUG": "first"}
    order = make_order(MUG=3)
    push()
    label(integration, "first")
    shop.packages_by_sku = {"MUG": {"first": 2, "second": 1}}
    touch(order)
    assert sent(sandbox) == {"first": {"MUG": 3}}
    assert conflicts() == {"first": "replaced"}


def test_reduced_order_conflicts_with_its_label(integration: Integration, sandbox: Any, shop: Any) -> None:
    shop.packages_by_sku = {"MUG": {"first": 2}}
    order = make_order(MUG=2)
    push()
    label(integration, "first")
    order.lines.update(quantity=1)
    shop.packages_by_sku = {"MUG": {"first": 1}}
    touch(order)
    assert Shipment.objects.get().label_differences == ["parcel_items", "total_order_value"]


def test_more_pieces_go_in_the_other_package(integration: Integration, sandbox: Any, shop: Any) -> None:
    shop.packages_by_sku = {"MUG": {"first": 2}}
    order = make_order(MUG=2)
    push()
    label(integration, "first")
    order.lines.update(quantity=5)
    shop.packages_by_sku = {"MUG": {"second": 5}}
    touch(order)
    assert sent(sandbox) == {"first": {"MUG": 2}, "second": {"MUG": 3}}


@pytest.mark.long
def test_cancelled_label_gives_its_goods_back(integration: Integration, sandbox: Any, shop: Any) -> None:
    shop.packages_by_sku = {"MUG": "first"}
    order = make_order(MUG=3)
    push()
    label(integration, "first")
    shop.packages_by_sku = {"MUG": "other"}
    inbox.store(integration, raw(parcel(2000, BEGIN + 1000, id=1, order_number="ORD-77")))
    drain()
    touch(order)
    assert sent(sandbox) == {"other": {"MUG": 3}}


def test_reduced_package_has_its_own_sums(integration: Integration, sandbox: Any, shop: Any) -> None:
    shop.packages_by_sku = {"MUG": {"first": 2}}
    shop.get_package_fields = lambda self, order, package: {"weight": Decimal("1.250")} if package == "rest" else {}
    order = make_order(MUG=5)
    push()
    label(integration, "first")
    shop.packages_by_sku = {"MUG": "rest"}
    touch(order)
    [payload] = preview_order(order).payloads
    assert (payload.total_order_value, payload.weight) == (Decimal("34.85"), Decimal("0.750"))


# An integration for each package


@pytest.fixture
def partner(sandbox: Any, integration: Integration, generation: str) -> Integration:
    """Connect an integration of another account."""
    account = Account.objects.create(name="partner")
    return factories.integration(sandbox.add_integration("Partner"), account=account, api_generation=generation)


def use_partner(shop: Any, integration: Integration, partner: Integration | None) -> None:
    shop.packages_by_sku = {"MUG": "ours", "BOX": "theirs"}
    shop.get_package_integration = lambda self, order, package: partner if package == "theirs" else integration


def synced() -> dict[str, int]:
    rows = Shipment.objects.filter(status="synced")
    return dict(rows.values_list("external_shipment_id", "integration_id"))


def test_packages_go_to_their_integrations(
    integration: Integration, partner: Integration, sandbox: Any, shop: Any
) -> None:
    use_partner(shop, integration, partner)
    make_order(MUG=1, BOX=1)
    push()
    assert synced() == {"ours": integration.pk, "theirs": partner.pk}
    assert not factories.outbox().exists()


@pytest.mark.long
def test_paused_partner_holds_only_its_packages(
    integration: Integration, partner: Integration, sandbox: Any, shop: Any, later: Callable[[float], None]
) -> None:
    use_partner(shop, integration, partner)
    partner.pause(PauseReason.PERSON)
    order = make_order(MUG=1, BOX=1)
    push()
    assert synced() == {"ours": integration.pk}
    entry = factories.outbox().get()
    assert (entry.error_code, entry.integration) == ("paused", None)
    # A change of our package does not wait for the partner, and what waits is not looked at all the time.
    shop.packages_by_sku = {"MUG": "ours", "BOX": "theirs", "TEA": "ours"}
    OrderLine.objects.create(order=order, sku="TEA", quantity=1)
    factories.outbox()
    later(5)
    push_due()
    assert Shipment.objects.get(external_shipment_id="ours").contents.keys() == {
        str(line.pk) for line in order.lines.exclude(sku="BOX")
    }
    partner.refresh_from_db()
    partner.resume()
    push_due()
    assert Shipment.objects.get(external_shipment_id="theirs").last_pushed_at, "the resumption makes it due"
    push()
    assert synced() == {"ours": integration.pk, "theirs": partner.pk}
    assert not factories.outbox().exists()


def test_package_without_integration_holds_no_other(
    integration: Integration, partner: Integration, sandbox: Any, shop: Any
) -> None:
    use_partner(shop, integration, None)
    make_order(MUG=1, BOX=1)
    push()
    assert synced() == {"ours": integration.pk}
    assert factories.outbox().get().error_code == "integration_unknown"
    use_partner(shop, integration, partner)
    push()
    assert synced() == {"ours": integration.pk, "theirs": partner.pk}
    assert not factories.outbox().exists()


def test_package_without_integration_stays_there(
    integration: Integration, partner: Integration, sandbox: Any, shop: Any
) -> None:
    """It is not clear where the package belongs now, so it is neither deleted where it is nor a conflict."""
    use_partner(shop, integration, partner)
    order = make_order(MUG=1, BOX=1)
    push()
    label(partner, "theirs")
    use_partner(shop, integration, None)
    touch(order, city="Utrecht")
    assert synced() == {"ours": integration.pk, "theirs": partner.pk}
    assert conflicts() == {}
    Parcel.objects.all().delete()
    touch(order, city="Delft")
    assert synced() == {"ours": integration.pk, "theirs": partner.pk}


def test_refused_keys_hold_only_their_packages(
    integration: Integration, partner: Integration, sandbox: Any, shop: Any
) -> None:
    use_partner(shop, integration, partner)
    partner.public_key = "wrong"
    partner.save()
    make_order(MUG=1, BOX=1)
    push()
    assert synced() == {"ours": integration.pk}
    partner.refresh_from_db()
    assert partner.is_paused
    assert factories.outbox().get().error_code in ("credentials", "paused")


def test_moved_package_is_deleted_there(
    integration: Integration, partner: Integration, sandbox: Any, shop: Any
) -> None:
    use_partner(shop, integration, partner)
    order = make_order(MUG=1, BOX=1)
    push()
    use_partner(shop, integration, integration)
    touch(order)
    assert synced() == {"ours": integration.pk, "theirs": integration.pk}
    assert Shipment.objects.get(integration=partner).status == "deleted"


# Problems in the shop's words


def test_order_problem_rejects_that_order_alone(integration: Integration, sandbox: Any, shop: Any) -> None:
    def get_item(self: Any, line: OrderLine, quantity: int) -> ParcelItem:
        if line.sku == "BAD":
            raise OrderProblem("%(sku)s has no weight.", field="parcel_items", params={"sku": line.sku})
        return Composed.get_item(self, line, quantity)

    shop.get_item = get_item
    make_order(BAD=1)
    good = make_order(MUG=1)
    push()
    assert list(sent(sandbox)) == [str(good.pk)]
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code, entry.error_detail) == ("rejected", "order_problem", "")
    assert entry.error_fields == {
        "parcel_items": [{"code": "order_problem", "params": {"sku": "BAD", "text": "%(sku)s has no weight."}}]
    }


def test_order_problem_is_gone_after_a_change(integration: Integration, sandbox: Any, shop: Any) -> None:
    def is_shippable(self: Any, order: Order) -> bool:
        if not order.address:
            raise OrderProblem("The address has no street.", field="address")
        return True

    shop.is_shippable = is_shippable
    order = make_order(MUG=1)
    touch(order, address="")
    assert factories.outbox().get().error_code == "order_problem"
    touch(order, address="Markt 1")
    assert not factories.outbox().exists()
    assert list(sent(sandbox)) == [str(order.pk)]


def test_order_problem_refuses_a_parameter_named_text() -> None:
    with pytest.raises(ValueError, match="'text'"):
        OrderProblem("%(text)s", params={"text": "x"})


@pytest.mark.parametrize("value", [Decimal("1.50"), dt.date(2026, 11, 29), gettext_lazy("Order"), Order, 1.5])
def test_order_problem_keeps_any_parameter(integration: Integration, sandbox: Any, shop: Any, value: Any) -> None:
    """It is stored as JSON: one that JSON lacks must not fail the batch."""

    def get_fields(self: Any, order: Order) -> Any:
        raise OrderProblem("Wrong: %(value)s", params={"value": value})

    shop.get_fields = get_fields
    make_order(MUG=1)
    assert [said.rpartition("order: ")[2] for said in drain()] == [f"Wrong: {value}"]


@pytest.mark.parametrize("field", [None, 5, ("address",)])
def test_order_problem_keeps_any_field(integration: Integration, sandbox: Any, shop: Any, field: Any) -> None:
    def get_fields(self: Any, order: Order) -> Any:
        raise OrderProblem("Wrong", field=field)

    shop.get_fields = get_fields
    make_order(MUG=1)
    assert drain() == [f"shop.order ORD-77 was not sent: order_problem: {field or 'order'}: Wrong"]


def test_order_whose_first_hook_fails_is_named(integration: Integration, sandbox: Any, shop: Any) -> None:
    def is_shippable(self: Any, order: Order) -> Any:
        raise OrderProblem("Wrong")

    shop.is_shippable = is_shippable
    make_order(MUG=1)
    assert drain() == ["shop.order ORD-77 was not sent: order_problem: order: Wrong"]


@pytest.mark.parametrize("message", ["100 % wrong", "%(sku)s and %", "%(other)s", "%d", "", "{x}"])
def test_order_problem_odd_message_is_readable(message: str) -> None:
    assert isinstance(str(OrderProblem(message, params={"sku": "MUG"})), str)
    assert str(OrderProblem(message)) == message


# Time


def test_order_is_checked_again_then(
    integration: Integration, sandbox: Any, shop: Any, later: Callable[[float], None]
) -> None:
    release = timezone.now() + dt.timedelta(hours=1)
    shop.recheck_at = lambda self, order: release
    shop.is_shippable = lambda self, order: timezone.now() >= release or NotShippable("preorder", "Not out yet.")
    order = make_order(MUG=1)
    push()
    sweep()
    assert sent(sandbox) == {}
    assert not factories.outbox().exists(), "it is no backlog"
    shop.is_shippable = lambda self, order: True
    later(3600)
    sweep()
    push()
    assert list(sent(sandbox)) == [str(order.pk)]
    assert not Recheck.objects.exists()


def test_last_recheck_replaces_the_one_before(integration: Integration, sandbox: Any, shop: Any) -> None:
    first, second = (timezone.now() + dt.timedelta(days=days) for days in (1, 2))
    shop.recheck_at = lambda self, order: first
    order = make_order(MUG=1)
    push()
    shop.recheck_at = lambda self, order: second
    touch(order)
    assert Recheck.objects.get().at == second


def test_past_recheck_is_none(integration: Integration, sandbox: Any, shop: Any) -> None:
    shop.recheck_at = lambda self, order: timezone.now() - dt.timedelta(seconds=1)
    make_order(MUG=1)
    push()
    assert not Recheck.objects.exists()
    assert not OutboxEntry.objects.exists()
