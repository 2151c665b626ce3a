"""The shop's seam: one class says how an order becomes shipments.

Put it in a module ``sendcloud.py`` of any installed app; it is found there as ``admin.py`` is::

    from django_sendcloud import OrderAdapter, register
    from django_sendcloud.payloads import ParcelItem, grams

    @register(Order)
    class SendcloudOrder(OrderAdapter[Order]):
        related = {OrderLine: "order"}
        queryset = Order.objects.select_related("customer").prefetch_related("lines__product")
        placed_at_field = "placed_at"
        number_field = "number"

        def is_shippable(self, order):
            return order.status == "paid"

        def get_fields(self, order):
            return {"name": order.customer.name, "address": order.street, ...}

        def get_lines(self, order):
            return order.lines.all()

        def get_item(self, line, quantity):
            return ParcelItem(description=line.product.name, quantity=quantity, value=line.price)
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django.apps import apps
from django.db import models
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy

from .core.clock import clock
from .enums import ParcelPhase
from .exceptions import OrderProblem
from .orders import stored_key

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from .models import Integration, Parcel, Shipment

    # A process imports the payloads when it builds the first order.
    from .payloads import ParcelItem, ShipmentPayload

__all__ = [
    "NotShippable",
    "OrderAdapter",
    "PackedItem",
    "ParcelChange",
    "Watch",
    "watch",
    "weight_in_kg",
]

OrderT = TypeVar("OrderT", bound=models.Model)

RelatedPath = str | Callable[[Any], Iterable[Any]]
# The name of a package within its order. ``""`` is that of an order's only one.
PackageId = str | int


class AdapterMistake(TypeError):
    """A hook returns what it must not. The text holds nothing of an order, so that it may be stored and shown."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PackedItem:
    """An item in a parcel, as Sendcloud reports it. ``item_id`` names the order's line where a label was made by v3."""

    description: str = ""
    quantity: int = 1
    sku: str = ""
    product_id: str = ""
    item_id: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ParcelChange:
    """A phase that a parcel has entered.

    Args:
        phase: The phase.
        previous_phase: The phase before, ``None`` for the first one.
        at: When, in Sendcloud's time (UTC).
        carrier_at: When, in the carrier's time (UTC), where Sendcloud names it.
        shipment: The shipment that the parcel belongs to.
        items: What is in the parcel; empty where Sendcloud does not say.
    """

    phase: ParcelPhase
    previous_phase: ParcelPhase | None
    at: dt.datetime
    carrier_at: dt.datetime | None
    shipment: Shipment
    items: tuple[PackedItem, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Watch:
    """The way from a related row to its orders, and the fields of the row that matter to them. Made by ``watch``."""

    path: RelatedPath
    fields: tuple[str, ...] = ()
    """Empty: every save matters."""


def watch(path: RelatedPath, *fields: str) -> Watch:
    """Name the fields of a related model that orders depend on: a save that leaves them as they are records nothing.

    ::

        related = {User: watch("orders", "email", "first_name")}    # a login records nothing

    Args:
        path: The way from the related row to its orders, as in ``related``.
        *fields: Names of fields of the related model. The first field of ``path`` always counts.
    """
    return Watch(path, fields)


@dataclasses.dataclass(frozen=True, slots=True)
class NotShippable:
    """A reason why an order does not belong in Sendcloud. False in a condition.

    ::

        def is_shippable(self, order):
            return order.is_paid or NotShippable("unpaid", "The order is not paid.")
    """

    code: str
    """A short name for programs, such as ``"unpaid"``."""
    reason: StrOrPromise
    """A sentence for the operator. The admin shows it with the order."""

    def __bool__(self) -> bool:
        return False


class OrderAdapter(Generic[OrderT]):
    """The translation of one model's orders into shipments at Sendcloud.

    A worker calls its methods to push an order, so no checkout waits for them. The admin and ``preview_order()`` call
    them in a request, to show what would be sent. Callables in ``related`` run where the shop saves a related row.

    An exception in a method concerns only the order it was called for; the admin shows it with that order. All that
    they read comes from primary databases, never from a replica, also what they follow lazily.
    """

    model: type[OrderT]
    """The order model. Set by ``register``."""

    related: ClassVar[Mapping[type[models.Model] | str, RelatedPath | Watch]] = {}
    """Models whose changes are changes to the order, each with the path from it to the order.

    The path is a field lookup (``"order"``, ``"line__order"``, ``"orders"``) or a callable that takes the
    instance and returns primary keys of orders; ``watch(path, *fields)`` limits it to changes of some fields. The model
    may be given as ``"app.Model"``. A row that moves from one order to another changes both.

    A change to a related row alone never creates a shipment for an order that was placed before its integration was
    connected: see ``placed_at_field``.
    """

    queryset: ClassVar[models.QuerySet[Any] | None] = None
    """How orders are loaded: name here what the hooks read with ``select_related`` and
    ``prefetch_related``, so that a batch costs a constant number of queries. Default: all orders."""

    changed_at_field: ClassVar[str] = ""
    """Name of the order's modification field (``auto_now``), if it has one: orders changed without a
    signal (``QuerySet.update``, ``bulk_create``, raw SQL) are then found by the periodic drift scan."""

    placed_at_field: ClassVar[str] = ""
    """Name of the order's field with the time it was placed. An order from before its integration was connected is not
    sent because something related to it changed, but only if it is saved itself, enqueued or found by the drift scan.
    Without this name the ``created_at`` of its first shipment decides."""

    number_field: ClassVar[str] = ""
    """Name of the order's field with the number people know it by, so that the admin names an order by it also where
    it could not be turned into a shipment. Without it, such an order is shown by its primary key."""

    admin_fields: ClassVar[Mapping[str, str]] = {}
    """The order's fields by the payload's fields they fill, if the names differ, for the admin's page *Fix orders*:
    ``{"address": "street", "email": "customer__email"}``. Operators may change a field there that the shop's own admin
    lets them change. A field of the same name needs no entry."""

    site_field: ClassVar[str] = ""
    """Name of the order's field with the site or sales channel it was placed on, for integrations that take the orders
    of some sites only. The admin's *Sites* of an integration names them by text, or by key."""

    contact: ClassVar[str] = ""
    """Address of a page, or ``mailto:``, where buyers ask about their delivery. ``{% sendcloud_tracking %}`` links to
    it, unless the page names another one."""

    auto: ClassVar[bool] = True
    """``False``: nothing is picked up by signals; call ``enqueue()`` where orders change."""

    phase_statuses: ClassVar[Mapping[str, Any]] = {}
    """The order's own status for each phase of its parcels: ``{"in_transit": "shipped", "delivered": "completed"}``.

    The parcel furthest behind decides. Shipments without a label and announced parcels without an update count too. A
    phase without a status counts as the last one passed. An order never moves back along the way."""

    status_beginnings: ClassVar[Collection[Any] | None] = None
    """The statuses, beside those of ``phase_statuses``, that parcels may move an order out of. An order with any other
    status is left alone: a person has decided so. ``None``: any status of a shippable order that parcels have not
    moved yet."""

    status_field: ClassVar[str] = "status"
    """The order's field that ``phase_statuses`` sets."""

    def next_status(self, order: OrderT, wanted: Any) -> Any:
        """Return the status to set next on the way to ``wanted``, ``None`` to leave the order where it is.

        Override it to walk the shop's own pipeline step by step. Runs in a transaction that has locked the order.
        """
        return wanted

    def on_parcel(self, order: OrderT, parcel: Parcel, change: ParcelChange) -> None:
        """Do what a new phase of a parcel means for the shop, for instance with a return or a partial delivery.

        Called for each phase a parcel of the order enters, in order, in a transaction that has locked the order, and
        again until it succeeds: with the order in the app's database exactly once, otherwise at least once. While it
        fails, the inbox shows the update it fails on.
        """

    def set_order_status(self, order: OrderT, status: Any) -> None:
        """Give the order a status of ``phase_statuses``, if it has another. In a transaction that has locked it.

        Override it where more belongs to a new status than setting ``status_field``.
        """
        if getattr(order, self.status_field) != status:
            setattr(order, self.status_field, status)
            order.save(update_fields=[self.status_field, *([self.changed_at_field] if self.changed_at_field else [])])

    def get_queryset(self) -> models.QuerySet[OrderT]:
        """Return all orders, with what the other hooks read."""
        if self.queryset is not None:
            return self.queryset.all()
        return self.model._base_manager.all()

    def is_shippable(self, order: OrderT) -> bool | NotShippable | None:
        """Return whether the order belongs in Sendcloud now.

        Returns:
            ``True``: it is sent. ``False``, or a ``NotShippable`` with the reason: it is not sent, or deleted at
            Sendcloud if it was. ``None``: leave it alone, neither created, changed, deleted nor rejected (an order of
            before the shop used Sendcloud, say).
        """
        return True

    # -- the shipment of an order --

    def get_fields(self, order: OrderT) -> Mapping[str, Any]:
        """Return the fields of :class:`ShipmentPayload` that hold for each package of the order: all but its items.

        Four have a default: ``external_order_id`` is the primary key, ``order_number`` the field ``number_field`` or
        else the primary key, ``created_at`` the field ``placed_at_field``, ``external_shipment_id`` the package.
        ``total_order_value`` is that of the whole order: of one in several packages, each gets the value of its items.

        Raises:
            OrderProblem: the order cannot be sent, for a reason that the operator reads.
        """
        raise NotImplementedError

    def get_lines(self, order: OrderT) -> Iterable[Any]:
        """Return the shop's lines of the order. Default: none, so that the shipment has no items."""
        return ()

    def get_item(self, line: Any, quantity: int) -> ParcelItem:
        """Return an item of a package: some pieces of a line.

        The item's ``item_id`` is the line's primary key, unless it has one.

        Raises:
            OrderProblem: the line cannot be sent, for a reason that the operator reads.
        """
        raise NotImplementedError

    def get_quantity(self, line: Any) -> int:
        """Return how many pieces of a line were ordered."""
        return line.quantity  # type: ignore[no-any-return]

    def package_of(self, order: OrderT, line: Any) -> PackageId | Mapping[PackageId, int] | None:
        """Return the package that a line goes in. Default: the only one, ``""``.

        Returns:
            The package's id within the order, text or a number. ``{package: quantity}`` for a line that goes in
            several; the pieces that it leaves out are not sent. ``None``: the line is not sent, such as a download.
        """
        return ""

    def get_package_fields(self, order: OrderT, package: str) -> Mapping[str, Any]:
        """Return the fields of one package that differ from ``get_fields``. Default: none.

        Args:
            order: The order.
            package: The package's id, as text.
        """
        return {}

    def get_shipments(self, order: OrderT) -> Iterable[ShipmentPayload]:
        """Return the order's shipments: usually one, several if it is split, at most 100 for an integration.

        The default makes them of the other hooks. Override it to make them in one place. Several must differ in
        ``external_shipment_id``. One that leaves it ``None`` is sent with its ``external_order_id`` there, because a
        shipment without one cannot be deleted by its own ids. ``updated_at`` is filled in when it is sent.

        Raises:
            OrderProblem: the order cannot be sent, for a reason that the operator reads.
        """
        packages = self.packages(order)
        fields = {**self._own_fields(order), **self.get_fields(order)}
        for package, lines in packages.items():
            yield self._shipment(order, package, lines, fields, is_split=len(packages) > 1)

    # -- the order around its shipments --

    def get_integration(self, order: OrderT) -> Integration | None:
        """Return the connected integration that the order goes to.

        ``None``: the only active one; of several, the one whose countries and sites in the admin fit the order.
        """
        return None

    def get_package_integration(self, order: OrderT, package: str) -> Integration | None:
        """Return the connected integration that one package of the order goes to. Default: that of the order.

        Args:
            order: The order.
            package: The package's id, as text; the ``external_shipment_id`` of a shipment from ``get_shipments``,
                ``""`` for one without.
        """
        return self.get_integration(order)

    def recheck_at(self, order: OrderT) -> dt.datetime | None:
        """Return when to check the order again, although nothing changes until then. Default: never.

        For an order that becomes shippable by time. It is asked each time the order is checked; a time that has passed
        means nothing.
        """
        return None

    def get_order_url(self, order: OrderT) -> str:
        """Return the address of the page where an operator opens the order. Default: its page in Django's admin."""
        # A shop may do without Django's admin.
        from django.contrib.admin.utils import quote

        opts = order._meta
        try:
            return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[quote(str(order.pk))])
        except NoReverseMatch:
            return ""

    def get_service_point(self, order: OrderT) -> Mapping[str, Any] | None:
        """Return the buyer's service point as ``ServicePoint.to_json()`` stored it, for the buyer's pages.

        Default: ``None``, which shows none. Sendcloud's updates name only an id.
        """
        return None

    # -- called by this package; a shop overrides the hooks above ----------------------

    def order_number(self, order: OrderT) -> str:
        """Return the order's number by its own field, ``""`` if none is named."""
        return str(getattr(order, self.number_field, "") or "") if self.number_field else ""

    def shippable(self, order: OrderT) -> bool | NotShippable | None:
        """Return the answer of ``is_shippable``; an order of which nothing goes in a package is not shippable."""
        answer = self.is_shippable(order)
        if answer and self.has_lines and not self.packages(order):
            return NotShippable("nothing_to_ship", gettext_lazy("Nothing in the order is to be shipped."))
        return answer

    def packages(self, order: OrderT) -> dict[str, list[tuple[Any, int]]]:
        """Return the packages of the order by id, each with its lines and how many pieces of them it holds.

        Raises:
            AdapterMistake: ``package_of`` returns no package, or more pieces than were ordered.
        """
        if not self.has_lines:
            return {"": []}
        found: dict[str, list[tuple[Any, int]]] = {}
        for line in self.get_lines(order):
            for package, quantity in self._division(order, line).items():
                found.setdefault(str(package), []).append((line, quantity))
        return found

    def next_recheck(self, order: OrderT) -> dt.datetime | None:
        """Return when to check the order again, ``None`` if that is never or has passed.

        Raises:
            AdapterMistake: the adapter returns something else than a time with a zone.
        """
        at: Any = self.recheck_at(order)
        if at is None:
            return None
        if not isinstance(at, dt.datetime) or timezone.is_naive(at):
            given = "one without" if isinstance(at, dt.datetime) else type(at).__name__
            raise AdapterMistake(
                f"{type(self).__qualname__}.recheck_at() must return a datetime with a time zone, not {given}; see "
                "django.utils.timezone.make_aware()."
            )
        return at if at > clock.now() else None

    def placed_at(self, order: OrderT) -> dt.datetime | None:
        """Return when the order was placed by its own field, ``None`` if ``placed_at_field`` names none."""
        value = getattr(order, self.placed_at_field, None) if self.placed_at_field else None
        return value if isinstance(value, dt.datetime) and timezone.is_aware(value) else None

    @property
    def has_lines(self) -> bool:
        """Return whether the adapter names the lines of an order, so that one without any is not shipped."""
        return type(self).get_lines is not OrderAdapter.get_lines

    @property
    def has_own_page(self) -> bool:
        """Return whether the adapter names the page that opens an order."""
        return type(self).get_order_url is not OrderAdapter.get_order_url

    def _division(self, order: OrderT, line: Any) -> Mapping[PackageId, int]:
        """Return how many pieces of a line go in which package."""
        name = f"{type(self).__qualname__}.package_of()"
        wanted: Any = self.package_of(order, line)
        if wanted is None:
            return {}
        ordered = self.get_quantity(line)
        parts = wanted if isinstance(wanted, Mapping) else {wanted: ordered}
        for package, quantity in parts.items():
            if not isinstance(package, str | int) or isinstance(package, bool):
                raise AdapterMistake(
                    f"{name} must return the package's id, text or a number, not {type(package).__name__}."
                )
            if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 0:
                raise AdapterMistake(f"{name} must divide a line into whole numbers of pieces, not {quantity!r}.")
        if isinstance(wanted, Mapping) and sum(parts.values()) > ordered:
            raise AdapterMistake(f"{name} divides {sum(parts.values())} pieces of a line that has {ordered}.")
        return {package: quantity for package, quantity in parts.items() if quantity}

    def _own_fields(self, order: OrderT) -> dict[str, Any]:
        """Return the fields of a shipment that the order's model and the adapter's attributes say."""
        from .payloads.shipment import REQUIRED

        key = stored_key(type(order), order.pk)
        placed = getattr(order, self.placed_at_field, None) if self.placed_at_field else None
        return {
            **dict.fromkeys(REQUIRED),
            "external_order_id": key,
            "order_number": self.order_number(order) or key,
            "created_at": placed,
        }

    def _shipment(
        self,
        order: OrderT,
        package: str,
        lines: Iterable[tuple[Any, int]],
        fields: Mapping[str, Any],
        *,
        is_split: bool,
    ) -> ShipmentPayload:
        """Make the shipment of one package."""
        from .payloads.shipment import FIELDS, ShipmentPayload

        own: dict[str, Any] = {"external_shipment_id": package or None}
        if self.has_lines:
            items = own["parcel_items"] = [self._item(line, quantity) for line, quantity in lines]
            if is_split and fields.get("total_order_value") is not None:
                own["total_order_value"] = sum((item.value * item.quantity for item in items), Decimal(0))
        of_package = self.get_package_fields(order, package)
        for hook, given in (("get_fields", fields), ("get_package_fields", of_package)):
            if unknown := next((name for name in given if name not in FIELDS), None):
                near = difflib.get_close_matches(unknown, FIELDS, n=1)
                meant = f" Did you mean {near[0]!r}?" if near else ""
                raise AdapterMistake(
                    f"{type(self).__qualname__}.{hook}() has {unknown!r}, which is no field of ShipmentPayload.{meant}"
                )
        return ShipmentPayload(**{**fields, **own, **of_package})

    def _item(self, line: Any, quantity: int) -> ParcelItem:
        """Make an item of some pieces of a line."""
        from .payloads import ParcelItem

        item: Any = self.get_item(line, quantity)
        if not isinstance(item, ParcelItem):
            name = f"{type(self).__qualname__}.get_item()"
            raise AdapterMistake(f"{name} must return a ParcelItem, not {type(item).__name__}.")
        key = getattr(line, "pk", None)
        return item if item.item_id is not None or key is None else item.with_item_id(str(key))

    def watched(self) -> dict[type[models.Model], Watch]:
        """Return ``related`` with its models resolved.

        Raises:
            LookupError: a model does not exist.
        """
        return {
            apps.get_model(model) if isinstance(model, str) else model: (
                path if isinstance(path, Watch) else Watch(path)
            )
            for model, path in self.related.items()
        }


def weight_in_kg(weight: object, unit: str, sku: str) -> Decimal:
    """Return the weight of a product in kg, for the ready-made adapters: a shop may keep it as any type.

    Raises:
        OrderProblem: it is no weight in this unit.
    """
    from .payloads import kilograms

    try:
        # A float is as exact as it is shown.
        return kilograms(Decimal(str(weight).strip()), unit)
    except (InvalidOperation, ValueError):
        raise OrderProblem(
            gettext_lazy("The weight of %(sku)s is “%(value)s”, which is not a weight in %(unit)s."),
            field="parcel_items",
            params={"sku": sku, "value": str(weight)[:50], "unit": unit},
        ) from None
