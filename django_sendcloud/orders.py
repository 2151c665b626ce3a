"""The models that are orders, their keys, and the one value that names an order."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeVar

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connections, models, router
from django.utils.connection import ConnectionDoesNotExist

from .exceptions import RegistrationError
from .routers import shop_reads

__all__ = [
    "OrderRef",
    "database_for",
    "database_of",
    "key_field",
    "keys_by_type",
    "keys_of",
    "nearest_order_model",
    "order_model_of",
    "orders_by_key",
    "orders_of_type",
    "own_key",
    "registered_models",
    "stored_key",
    "translate_keys",
]

OrderT = TypeVar("OrderT", bound=models.Model)

registered_models: set[type[models.Model]] = set()
"""The models whose rows are orders: those that have an adapter. The registry of adapters keeps them."""


def nearest_order_model(model: type[models.Model]) -> type[models.Model] | None:
    """Return the registered model of instances of ``model``: itself, or the nearest model it inherits from."""
    return next((ancestor for ancestor in model.__mro__ if ancestor in registered_models), None)


def order_model_of(model: type[models.Model]) -> type[models.Model]:
    """Return the registered model of instances of ``model``.

    Raises:
        RegistrationError: there is none.
    """
    found = nearest_order_model(model)
    if found is None:
        known = ", ".join(sorted(each._meta.label for each in registered_models)) or "none"
        raise RegistrationError(
            f"{model._meta.label} has no Sendcloud adapter. Write one in a module sendcloud.py of an installed "
            f"app and decorate it with @register({model.__name__}). Registered models: {known}."
        )
    return found


@functools.cache
def key_field(model: type[models.Model]) -> models.Field[Any, Any]:
    """Return the field that holds the key itself: a child's key is its parent's."""
    field: Any = model._meta.pk
    while field.remote_field is not None:
        field = field.target_field
    return field  # type: ignore[no-any-return]


def stored_key(model: type[models.Model], pk: Any) -> str:
    """Return a primary key as text, in the form in which the database returns it.

    An instance may bear its key in another form: a UUID in capitals, a number as text, a decimal without its places.
    """
    field = key_field(model)
    try:
        value = field.to_python(pk)
        if isinstance(field, models.DecimalField):
            value = value.quantize(Decimal(1).scaleb(-field.decimal_places))
    except (ValidationError, ValueError, TypeError, ArithmeticError, AttributeError):
        return str(pk)
    return str(value)


def own_key(order: models.Model, model: type[models.Model]) -> Any:
    """Return the primary key that an instance of ``model``, or of a child of it, bears as a row of ``model``.

    A child with a key of its own keeps its parent's key beside it.
    """
    return getattr(order, model._meta.pk.attname)


def keys_of(row: models.Model, model: type[models.Model], using: str) -> list[Any]:
    """Return the primary keys that the row of an instance has as a row of ``model``: one, or none.

    Args:
        row: An instance of ``model``, of a child, or of a parent.
        model: The model.
        using: Alias of their database. It is asked only for a parent's row whose child has a key of its own.
    """
    if isinstance(row, model._meta.concrete_model or model):
        key = own_key(row, model)
        return [] if key is None else [key]
    return translate_keys([row.pk], type(row), model, using)


def translate_keys(keys: Iterable[Any], source: type[models.Model], model: type[models.Model], using: str) -> list[Any]:
    """Return the primary keys of ``model`` for those of a parent or a child of it: without a query if they are equal.

    Args:
        keys: Primary keys of ``source``.
        source: The model that they are keys of.
        model: The model whose keys are wanted.
        using: Alias of their database.
    """
    keys = [key for key in keys if key is not None]
    if not keys or key_field(source) is key_field(model):
        return keys
    is_child = issubclass(source, model._meta.concrete_model or model)
    child, parent = (source, model) if is_child else (model, source)
    rows = child._base_manager.using(using)
    name = parent._meta.pk.attname
    given, wanted = ("pk", name) if is_child else (name, "pk")
    return list(rows.filter(**{f"{given}__in": keys}).values_list(wanted, flat=True))


def database_of(order: models.Model) -> str:
    """Return the alias of the database that an order lives in, also if it was read from a replica of that."""
    model, alias = type(order), order._state.db
    written = router.db_for_write(model, instance=order)
    if alias is None or alias == written:
        return written
    twin = copy.copy(order)
    twin._state.db = written
    with shop_reads():
        is_replica = router.db_for_read(model) == alias or router.allow_relation(order, twin)
    return written if is_replica else alias


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class OrderRef:
    """One order: its model, its database and its key. Equal references name the same order."""

    model: str
    """Label of the registered model, in lower case."""
    database: str
    """Alias of its database; ``""`` for the one that the routers write its model to."""
    key: str
    """Its primary key, as ``stored_key`` writes it."""

    @classmethod
    def of(cls, order: models.Model) -> OrderRef:
        """Return the reference to an order.

        Raises:
            RegistrationError: no adapter is responsible for its model.
        """
        registered = order_model_of(type(order))
        return cls.to(registered, own_key(order, registered), database_of(order))

    @classmethod
    def to(cls, model: type[models.Model], pk: Any, using: str | None = None) -> OrderRef:
        """Return the reference to the order of ``model`` with this key.

        Args:
            model: A model that has an adapter, or inherits from one.
            pk: The primary key, in any form that its field takes.
            using: Alias of the order's database; the one that the routers write its model to by default.

        Raises:
            RegistrationError: no adapter is responsible for ``model``.
        """
        registered = order_model_of(model)
        database = "" if using in (None, router.db_for_write(registered)) else str(using)
        return cls(registered._meta.label_lower, database, stored_key(registered, pk))

    @classmethod
    def stored(cls, order_type: str, order_pk: str) -> OrderRef:
        """Return the reference that these two columns hold."""
        model, _, database = order_type.partition("@")
        return cls(model, database, order_pk)

    @property
    def order_type(self) -> str:
        """Return the stored form of model and database."""
        return f"{self.model}@{self.database}" if self.database else self.model

    @property
    def order_pk(self) -> str:
        """Return the stored form of the key."""
        return self.key

    def __str__(self) -> str:
        return f"{self.order_type} {self.key}"

    def load(self) -> models.Model | None:
        """Return the order, ``None`` if it or its model is gone."""
        try:
            model: Any = apps.get_model(self.model)
            rows = model._base_manager.using(self.database or router.db_for_write(model))
            return rows.filter(pk=self.key).first()  # type: ignore[no-any-return]
        except (LookupError, ValueError, ValidationError, ConnectionDoesNotExist):
            return None

    def resolve(self) -> OrderRef:
        """Return the reference with the key as the database has it: it decides which keys are equal.

        The reference to an order that is gone stays as it is.
        """
        order = self.load()
        return self if order is None else dataclasses.replace(self, key=stored_key(type(order), order.pk))


def keys_by_type(refs: Iterable[OrderRef]) -> dict[str, list[str]]:
    """Return the stored keys of these orders by their stored type, each once."""
    found: dict[str, list[str]] = {}
    for ref in dict.fromkeys(refs):
        found.setdefault(ref.order_type, []).append(ref.order_pk)
    return found


def orders_by_key(
    orders: models.QuerySet[OrderT], keys: Iterable[str], model: type[models.Model] | None = None
) -> dict[str, OrderT]:
    """Return the orders with these stored keys, each by the key it was asked for.

    The database decides which keys are equal: an order that it returns under another text (other case, trailing
    blanks) is the one that was asked for. ``stored_key(order.pk)`` is its own key.

    Args:
        orders: The queryset to load them with.
        keys: Keys as ``stored_key`` writes them. Those that cannot be a key of the model are left out.
        model: The model that they are keys of: that of the queryset by default, or a parent of it.
    """
    model = model or orders.model
    field, name = key_field(model), model._meta.pk.attname
    asked = {}
    for key in keys:
        with contextlib.suppress(ValidationError, ValueError):
            asked[key] = field.to_python(key)
    rows = _load(orders.filter(**{f"{name}__in": list(asked.values())}))
    found = {stored_key(model, own_key(order, model)): order for order in rows}
    missing = [key for key in asked if key not in found]
    if missing and (isinstance(field, models.CharField | models.TextField) or found.keys() - asked.keys()):
        equal = orders.prefetch_related(None).filter(**{f"{name}__in": [asked[key] for key in missing]})
        if list(equal.values_list("pk", flat=True)):
            for key in missing:
                for order in _load(orders.filter(**{name: asked[key]})):
                    found[key] = order
    return {key: found[key] for key in asked if key in found}


def _load(orders: models.QuerySet[OrderT]) -> list[OrderT]:
    try:
        return list(orders)
    except KeyError:
        # Django joins prefetched rows in Python, where keys that are equal for the database are not.
        return list(orders.prefetch_related(None))


def orders_of_type(orders: models.QuerySet[OrderT], order_type: str, keys: Iterable[str]) -> dict[str, OrderT]:
    """Return the orders stored under this name, as ``orders_by_key`` does, from the database that it names.

    None if the shop has removed that database from its settings.
    """
    database = database_for(order_type, orders.model)
    return orders_by_key(orders.using(database), keys) if database in connections else {}


def database_for(order_type: str, model: type[models.Model]) -> str:
    """Return the alias of the database that orders stored under this name are in: never a replica."""
    return OrderRef.stored(order_type, "").database or router.db_for_write(model)
