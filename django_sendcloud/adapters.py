"""The shop's seam: one class says how an order becomes shipments.

Put it in a module ``sendcloud.py`` of any installed app; it is found there as ``admin.py`` is::

    from django_sendcloud import OrderAdapter, register
    from django_sendcloud.payloads import ParcelItem, ShipmentPayload

    @register(Order)
    class SendcloudOrder(OrderAdapter[Order]):
        related = {OrderLine: "order"}
        queryset = Order.objects.select_related("customer").prefetch_related("lines__product")

        def is_shippable(self, order):
            return order.status == "paid"

        def get_shipments(self, order):
            yield ShipmentPayload(...)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models, router
from django.db.models.constants import LOOKUP_SEP
from django.utils.module_loading import autodiscover_modules

from .exceptions import RegistrationError
from .payloads import ShipmentPayload
from .signals import adapter_registered, adapter_unregistered

if TYPE_CHECKING:
    from .models import Integration

__all__ = ["OrderAdapter", "autodiscover", "register", "registry", "temporarily_registered", "unregister"]

OrderT = TypeVar("OrderT", bound=models.Model)

RelatedPath = str | Callable[[Any], Iterable[Any]]


class OrderAdapter(Generic[OrderT]):
    """How the orders of one model become shipments at Sendcloud.

    Its methods run in a Celery worker, never in the web request; an exception in one of them concerns
    only the order it was called for, and is shown with it in the admin.
    """

    model: type[OrderT]
    """The order model. Set by ``register``."""

    related: ClassVar[Mapping[type[models.Model] | str, RelatedPath]] = {}
    """Models whose changes are changes to the order, each with the path from it to the order.

    The path is a field lookup (``"order"``, ``"line__order"``, ``"orders"``) or a callable that takes the
    instance and returns primary keys of orders. The model may be given as ``"app.Model"``.
    """

    queryset: ClassVar[models.QuerySet[Any] | None] = None
    """How orders are loaded: name here what ``get_shipments`` reads with ``select_related`` and
    ``prefetch_related``, so that a batch costs a constant number of queries. Default: all orders."""

    changed_at: ClassVar[str] = ""
    """Name of the order's modification field (``auto_now``), if it has one: orders changed without a
    signal (``QuerySet.update``, ``bulk_create``, raw SQL) are then found by the periodic drift scan."""

    number_field: ClassVar[str] = ""
    """Name of the order's field with the number people know it by, so that the admin names an order by it also where
    it could not be turned into a shipment. Without it, such an order is shown by its primary key."""

    auto: ClassVar[bool] = True
    """``False``: nothing is picked up by signals; call ``enqueue()`` where orders change."""

    phase_statuses: ClassVar[Mapping[str, Any]] = {}
    """What the order's own status becomes as its parcels travel, by their phase:
    ``{"in_transit": "shipped", "delivered": "completed"}``. The parcel that is least far decides, and a phase
    that is not named counts as the last one passed. Orders that are not shippable are left alone; those with the
    statuses here should be shippable, or they are deleted at Sendcloud."""

    status_field: ClassVar[str] = "status"
    """The order's field that ``phase_statuses`` sets."""

    def set_order_status(self, order: OrderT, status: Any) -> None:
        """Give the order a status of ``phase_statuses``, if it has another. In a transaction, the row locked.

        Override it where more belongs to it than setting ``status_field``.
        """
        if getattr(order, self.status_field) != status:
            setattr(order, self.status_field, status)
            order.save(update_fields=[self.status_field, *([self.changed_at] if self.changed_at else [])])

    def get_queryset(self) -> models.QuerySet[OrderT]:
        """All orders, with what ``get_shipments`` reads. From the primary database: a replica may lag."""
        if self.queryset is not None:
            return self.queryset.all()
        return self.model._base_manager.all()

    def is_shippable(self, order: OrderT) -> bool:
        """Whether the order belongs in Sendcloud now. ``False``: it is not sent, or deleted there if it was."""
        return True

    def get_shipments(self, order: OrderT) -> Iterable[ShipmentPayload]:
        """The order's shipments: usually one, several where it is split, at most 100.

        Several must differ in ``external_shipment_id``. One that leaves it ``None`` is sent with its
        ``external_order_id`` there, because a shipment without one cannot be deleted by its own ids.
        ``updated_at`` is filled in when it is sent.
        """
        raise NotImplementedError

    def get_integration(self, order: OrderT) -> Integration | None:
        """Which connected integration the order goes to. ``None``: the only active one."""
        return None

    # -- what the rest of the package asks ------------------------------------------------------

    def order_number(self, order: OrderT) -> str:
        """The order's number by its own field, ``""`` where none is named."""
        return str(getattr(order, self.number_field, "") or "") if self.number_field else ""

    def related_models(self) -> dict[type[models.Model], RelatedPath]:
        """``related`` with its models resolved. Raises ``LookupError`` for one that does not exist."""
        from django.apps import apps

        return {
            apps.get_model(model) if isinstance(model, str) else model: path for model, path in self.related.items()
        }

    def related_order_pks(self, model: type[models.Model], instance: models.Model, using: str) -> list[Any]:
        """Primary keys of the orders that ``instance`` belongs to: no query where its own column tells."""
        path = self.related_models()[model]
        if callable(path):
            return [pk for pk in path(instance) if pk is not None]
        if column := self.local_column(model, path):
            pk = getattr(instance, column)
            return [] if pk is None else [pk]
        if instance.pk is None:
            return []
        rows = model._base_manager.using(using).filter(pk=instance.pk)
        return [pk for pk in rows.values_list(f"{path}{LOOKUP_SEP}pk", flat=True).distinct() if pk is not None]

    def local_column(self, model: type[models.Model], path: RelatedPath) -> str | None:
        """The column of ``model`` that holds the order's primary key itself, if ``path`` is such a foreign key."""
        if callable(path):
            return None
        try:
            field = model._meta.get_field(path)
        except FieldDoesNotExist:
            return None
        if not isinstance(field, models.ForeignKey) or not field.target_field.primary_key:
            return None
        return field.attname


class Registry:
    """Which adapter is responsible for which order model."""

    def __init__(self) -> None:
        self._adapters: dict[type[models.Model], OrderAdapter[Any]] = {}

    def __iter__(self) -> Iterator[OrderAdapter[Any]]:
        return iter(list(self._adapters.values()))

    def __len__(self) -> int:
        return len(self._adapters)

    def add(self, model: type[models.Model], adapter: OrderAdapter[Any]) -> None:
        candidate: object = model
        if not (isinstance(candidate, type) and issubclass(candidate, models.Model)):
            raise RegistrationError(f"@register takes a model class, not {model!r}.")
        if model._meta.abstract:
            raise RegistrationError(
                f"{model.__name__} is abstract: it has no rows. Register the models that inherit from it."
            )
        if taken := self._adapters.get(model):
            raise RegistrationError(
                f"{model._meta.label} already has the adapter {type(taken).__qualname__}. A model has one adapter; "
                "call unregister() first to replace it."
            )
        adapter.model = model
        self._adapters[model] = adapter
        adapter_registered.send(sender=type(adapter), adapter=adapter)

    def remove(self, model: type[models.Model]) -> OrderAdapter[Any]:
        try:
            adapter = self._adapters.pop(model)
        except KeyError:
            raise RegistrationError(f"{model._meta.label} has no adapter.") from None
        adapter_unregistered.send(sender=type(adapter), adapter=adapter)
        return adapter

    def for_model(self, model: type[models.Model]) -> OrderAdapter[Any] | None:
        """The adapter for instances of ``model``: its own, or that of the nearest model it inherits from or proxies."""
        for ancestor in model.__mro__:
            if adapter := self._adapters.get(ancestor):
                return adapter
        return None

    def for_order_type(self, order_type: str) -> OrderAdapter[Any] | None:
        """The adapter behind a stored ``order_type``."""
        label = order_type.partition("@")[0]
        for model, adapter in self._adapters.items():
            if model._meta.label_lower == label:
                return adapter
        return None

    def nearer(self, adapter: OrderAdapter[Any]) -> list[OrderAdapter[Any]]:
        """Adapters of models that inherit from this one's with a table of their own: their rows are theirs."""
        return [
            other
            for model, other in self._adapters.items()
            if other is not adapter
            and issubclass(model, adapter.model)
            and model._meta.concrete_model is not adapter.model._meta.concrete_model
        ]

    def order_type(self, model: type[models.Model]) -> str:
        """What is stored to name the kind of order: the label of the registered model.

        Raises:
            RegistrationError: no adapter is responsible for ``model``.
        """
        adapter = self.for_model(model)
        if adapter is None:
            known = ", ".join(sorted(m._meta.label for m in self._adapters)) or "none"
            raise RegistrationError(
                f"{model._meta.label} has no Sendcloud adapter. Write one in a module sendcloud.py of an installed "
                f"app and decorate it with @register({model.__name__}). Registered models: {known}."
            )
        return str(adapter.model._meta.label_lower)

    def order_types(self, order: models.Model) -> list[str]:
        """What may be stored to name the kind of this order: it may have been read from a replica.

        Raises:
            RegistrationError: no adapter is responsible for it.
        """
        order_type = self.order_type(type(order))
        return [order_type, in_database(order_type, str(order._state.db))]


def in_database(order_type: str, alias: str) -> str:
    """What is stored to name orders that live in another database than the router sends their model to."""
    return f"{order_type}@{alias}"


def database_of(order_type: str, model: type[models.Model]) -> str:
    """Alias of the database that orders stored under this name are in: the primary one, as a replica may lag."""
    return order_type.partition("@")[2] or router.db_for_write(model)


def keys_of(model: type[models.Model], stored: Iterable[str]) -> list[Any]:
    """Stored keys as the model's own, without those that cannot be the key of an existing order."""
    keys = []
    for key in stored:
        try:
            keys.append(model._meta.pk.to_python(key))
        except (ValidationError, ValueError):
            continue
    return keys


registry = Registry()

AdapterT = TypeVar("AdapterT", bound=OrderAdapter[Any])


def register(*order_models: type[models.Model]) -> Callable[[type[AdapterT]], type[AdapterT]]:
    """Make the decorated ``OrderAdapter`` responsible for the given order model (or several alike).

    Raises:
        RegistrationError: a model is abstract, no model, or has an adapter already.
    """
    if not order_models:
        raise RegistrationError("@register needs the order model: @register(Order).")

    def decorate(adapter_class: type[AdapterT]) -> type[AdapterT]:
        candidate: object = adapter_class
        if not (isinstance(candidate, type) and issubclass(candidate, OrderAdapter)):
            raise RegistrationError(f"@register decorates subclasses of OrderAdapter, not {adapter_class!r}.")
        for model in order_models:
            registry.add(model, adapter_class())
        return adapter_class

    return decorate


def unregister(*order_models: type[models.Model]) -> None:
    """Undo ``register``. What is queued for these models waits until an adapter is there again.

    Raises:
        RegistrationError: a model has no adapter.
    """
    for model in order_models:
        registry.remove(model)


@contextlib.contextmanager
def temporarily_registered(
    adapter_class: type[OrderAdapter[Any]], *order_models: type[models.Model]
) -> Iterator[OrderAdapter[Any]]:
    """For tests: another adapter for these models within the block, the former one afterwards."""
    former = {model: registry.remove(model) for model in order_models if model in registry._adapters}
    try:
        register(*order_models)(adapter_class)
        yield registry._adapters[order_models[0]]
    finally:
        for model in order_models:
            if model in registry._adapters:
                registry.remove(model)
        for model, adapter in former.items():
            registry.add(model, adapter)


def autodiscover() -> None:
    """Import the module ``sendcloud`` of every installed app that has one."""
    autodiscover_modules("sendcloud")
