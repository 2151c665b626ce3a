"""The shop's model signals, turned into records; the engine's ``work_due``, turned into notifications.

Receivers are connected to the models that adapters name, their proxies and their children, and to nothing else: a
receiver without ``sender`` would make every model of the shop pay, and one of the order model alone does not receive
the saves of its proxies and children.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, connections, models
from django.db.models.constants import LOOKUP_SEP
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save

from .adapters import OrderAdapter, Watch
from .broker import notify_workers, pass_on_report, remember_app
from .models import Integration, OutboxEntry
from .orders import keys_of, translate_keys
from .registry import registry
from .routers import primary_reads
from .signals import (
    adapter_registered,
    adapter_unregistered,
    exception_reported,
    work_due,
)
from .sync.record import record

logger = logging.getLogger("django_sendcloud.receivers")


def connect() -> None:
    """Connect the receivers of the registry and the engine. Called once, by ``AppConfig.ready``."""
    remember_app()
    work_due.connect(notify_workers, dispatch_uid="django_sendcloud.notify_workers")
    exception_reported.connect(pass_on_report, dispatch_uid="django_sendcloud.reports")
    post_save.connect(integration_saved, sender=Integration, dispatch_uid="django_sendcloud.integration")
    adapter_registered.connect(_registry_changed, dispatch_uid="django_sendcloud.receivers")
    adapter_unregistered.connect(_registry_changed, dispatch_uid="django_sendcloud.receivers")
    _registry_changed()


def integration_saved(*, instance: Integration, **kwargs: Any) -> None:
    """Retry unassigned orders when an integration is saved."""
    OutboxEntry.objects.unassigned().requeue()
    work_due.send_robust(sender=OutboxEntry, queue="outbox")


def signal_senders(model: type[models.Model]) -> Iterator[type[models.Model]]:
    """Yield all models whose instances may stand for a row of this one: each sends signals of its own.

    The model itself, its proxies and its children; what it is a proxy of, and that one's other proxies and children;
    and the models that it inherits its table's columns from.
    """
    concrete = model._meta.concrete_model or model
    parents = concrete._meta.get_parent_list()
    for candidate in apps.get_models(include_auto_created=True):
        if issubclass(candidate, concrete) or candidate in parents:
            yield candidate


class _Related:
    """The way from the rows of one model to the orders that depend on them."""

    def __init__(self, adapter: OrderAdapter[Any], model: type[models.Model], watch: Watch) -> None:
        self.adapter = adapter
        self.model = model
        self.watch = watch
        # A foreign key that the path begins with.
        self.hop: Any = None
        self.rest = ""
        self.first = ""
        # The model at the path's end: that of the orders, or a parent or child of it.
        self.end: type[models.Model] = adapter.model
        # Fields of the row by whose values it belongs to its orders: saving them may move it to another order.
        self.leading: list[Any] = []
        if isinstance(watch.path, str):
            self.first, _, self.rest = watch.path.partition(LOOKUP_SEP)
            with contextlib.suppress(FieldDoesNotExist):
                field: Any = model._meta.get_field(self.first)
                self.hop = field if isinstance(field, models.ForeignKey) else None
                self.leading = _leading(model, field)
                self.end = _end(model, watch.path)
        # The row's fields that matter, under both of their names; None for all.
        self.names: set[str] | None = None
        if watch.fields:
            self.names = {self.first, *watch.fields}
            for name in watch.fields:
                with contextlib.suppress(FieldDoesNotExist):
                    self.names |= _names([model._meta.get_field(name)])
            self.names |= _names(self.leading)

    def concerns(self, sender: type[models.Model]) -> bool:
        """Return whether an instance of ``sender`` may stand for a row of this model."""
        return issubclass(sender, self.model) or issubclass(self.model, sender)

    def may_matter(self, update_fields: frozenset[str] | None) -> bool:
        """Return whether a save of only these fields can change an order."""
        return update_fields is None or self.names is None or not self.names.isdisjoint(update_fields)

    def may_move(self, update_fields: frozenset[str] | None) -> bool:
        """Return whether a save of only these fields can take the row to another order."""
        if callable(self.watch.path):
            return True
        return bool(self.leading) and (update_fields is None or not _names(self.leading).isdisjoint(update_fields))

    def orders_of(self, instance: models.Model, using: str) -> list[Any]:
        """Return primary keys of the orders of a row as the instance has it: no query if its own column is the key."""
        if callable(self.watch.path):
            return self._called(self.watch.path, instance)
        if self.hop is None or not isinstance(instance, self.model._meta.concrete_model or self.model):
            return self.stored_orders(instance, using)
        value = getattr(instance, self.hop.attname)
        if value is None:
            return []
        if not self.rest and self.hop.target_field.primary_key:
            return translate_keys([value], self.end, self.adapter.model, using)
        target = self.hop.remote_field.model
        rows = target._base_manager.using(using).filter(**{self.hop.target_field.name: value})
        return self._keys(rows, f"{self.rest}{LOOKUP_SEP}pk" if self.rest else "pk", using)

    def stored_orders(self, instance: models.Model, using: str) -> list[Any]:
        """Return primary keys of the orders of a row as the database has it."""
        rows = self._stored(instance, using)
        if callable(self.watch.path):
            return [key for row in rows for key in self._called(self.watch.path, row)]
        if self.hop is not None and not self.rest and self.hop.target_field.primary_key:
            return self._keys(rows, self.hop.attname, using)
        return self._keys(rows, f"{self.watch.path}{LOOKUP_SEP}pk", using)

    def watched_as_stored(self, instance: models.Model, using: str) -> dict[str, Any] | None:
        """Return the watched values of a row as the database has them; ``None`` if a save may change others. One query.

        A save changes no relation that other tables hold; and that of a parent's instance changes nothing of the child.
        """
        if self.names is None or not self.watch.fields:
            return None
        try:
            fields: list[Any] = [self.model._meta.get_field(name) for name in self.watch.fields]
        except FieldDoesNotExist:
            return None  # the system check names it
        fields = [field for field in fields if not field.many_to_many] + self.leading
        if not all(field.concrete for field in fields):
            return None
        names = [field.attname for field in fields if isinstance(instance, field.model)]
        return self._stored(instance, using).values(*names).first() if names else {}

    def _stored(self, instance: models.Model, using: str) -> Any:
        """Return the row of an instance as the database has it."""
        rows: Any = self.model._base_manager.using(using)
        return rows.filter(pk__in=keys_of(instance, self.model, using))

    def _keys(self, rows: Any, path: str, using: str) -> list[Any]:
        return translate_keys(rows.values_list(path, flat=True).distinct(), self.end, self.adapter.model, using)

    @staticmethod
    def _called(path: Callable[[Any], Iterable[Any]], instance: models.Model) -> list[Any]:
        # The shop's own code: a replica may not have the row's relations yet.
        with primary_reads():
            return [pk for pk in path(instance) if pk is not None]


def _leading(model: type[models.Model], field: Any) -> list[Any]:
    """Return the fields of a row by whose values it is at the other end of a relation that begins with ``field``."""
    if field.concrete:
        return [] if field.many_to_many else [field]
    generic = getattr(field, "field", None)  # the other end of a GenericRelation
    names = [getattr(generic, f"{name}_field_name", None) for name in ("content_type", "object_id")]
    return [model._meta.get_field(name) for name in names if name]


def _end(model: type[models.Model], path: str) -> type[models.Model]:
    """Return the model that a path of field names ends at."""
    for part in path.split(LOOKUP_SEP):
        model = model._meta.get_field(part).related_model or model
    return model


def _is_forward(field: Any) -> bool:
    """Return whether a relation is declared on this model. Since Django 6.1, a many-to-many field is not concrete."""
    return field.concrete or (field.many_to_many and not field.auto_created)


def _names(fields: Iterable[Any]) -> set[str]:
    return {name for field in fields for name in (field.name, getattr(field, "attname", field.name))}


class _OrderReceivers:
    """The receivers of one adapter."""

    def __init__(self, adapter: OrderAdapter[Any]) -> None:
        self.adapter = adapter
        self.order_type = adapter.model._meta.label_lower
        named = _resolvable(adapter)
        self.related = [_Related(adapter, model, watch) for model, watch in named.items()]
        self.related += [
            _Related(adapter, model, watch)
            for model, watch in _intermediates(adapter, named)
            if not any(issubclass(model, other) for other in named)
        ]
        self._connected: list[tuple[Any, Any, Any]] = []

    def wiring(self) -> Iterator[tuple[Any, Any, Any]]:
        """Yield each signal, with the receiver for it and the sender to listen to."""
        for model in signal_senders(self.adapter.model):
            if registry.for_model(model) not in (self.adapter, None):
                continue  # a child, or a parent, with an adapter of its own
            yield pre_save, self.order_pre_save, model
            yield post_save, self.order_post_save, model
            yield pre_delete, self.order_pre_delete, model
            for field in model._meta.many_to_many:
                yield m2m_changed, self.order_m2m_changed, field.remote_field.through
        for related in self.related:
            for model in signal_senders(related.model):
                yield pre_save, self.related_pre_save, model
                yield post_save, self.related_post_save, model
                yield pre_delete, self.related_pre_delete, model
                for field in model._meta.many_to_many:
                    yield m2m_changed, self.related_m2m_changed, field.remote_field.through

    def connect(self) -> None:
        for signal, receiver, sender in self.wiring():
            signal.connect(receiver, sender=sender, weak=False)
            self._connected.append((signal, receiver, sender))

    def disconnect(self) -> None:
        for signal, receiver, sender in self._connected:
            signal.disconnect(receiver, sender=sender)
        self._connected.clear()

    # -- the order itself -----------------------------------------------------------------------

    def order_pre_save(self, *, instance: models.Model, raw: bool, using: str, **kwargs: Any) -> None:
        """Record the order before it is committed: without a transaction, ``post_save`` runs afterwards."""
        if raw or (instance._state.adding and instance.pk is None) or connections[using].in_atomic_block:
            return
        self._record_order(instance, using, notify=False)

    def order_post_save(self, *, instance: models.Model, raw: bool, using: str, **kwargs: Any) -> None:
        if not raw:
            self._record_order(instance, using)

    def order_pre_delete(self, *, instance: models.Model, using: str, **kwargs: Any) -> None:
        self._record_order(instance, using, is_deletion=True)

    def order_m2m_changed(
        self,
        *,
        instance: models.Model,
        action: str,
        reverse: bool,
        pk_set: Iterable[Any] | None,
        using: str,
        **kwargs: Any,
    ) -> None:
        if not reverse:
            if action in ("post_add", "post_remove", "post_clear"):
                self._record_order(instance, using)
            return
        # After a clearing, no row says which orders it was about.
        if action not in ("post_add", "post_remove", "pre_clear"):
            return
        for field in self.adapter.model._meta.many_to_many:
            if field.remote_field.through is kwargs["sender"] and isinstance(instance, field.related_model):
                near = _near_side(field, instance, pk_set, using)
                record(self.order_type, translate_keys(near, field.model, self.adapter.model, using), using=using)

    def _record_order(self, instance: models.Model, using: str, **options: bool) -> None:
        record(self.order_type, keys_of(instance, self.adapter.model, using), using=using, **options)

    # -- rows that the order depends on ---------------------------------------------------------

    def _record(self, pks: Iterable[Any], using: str, *, notify: bool = True) -> None:
        record(self.order_type, pks, only_related=True, using=using, notify=notify)

    def _orders(self, related: _Related, find: Callable[[], list[Any]]) -> list[Any]:
        """Return what ``find`` returns; nothing if the shop's own code fails in it."""
        try:
            return find()
        except DatabaseError:
            raise  # the shop's transaction is lost, and has to know
        except Exception as error:
            # Within the shop's own request: no checkout fails on it.
            name = type(self.adapter).__qualname__
            logger.error("%s.related[%s] failed: %s.", name, related.model.__name__, type(error).__name__)
            return []

    def related_pre_save(
        self,
        *,
        sender: type[models.Model],
        instance: models.Model,
        raw: bool,
        using: str,
        update_fields: frozenset[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the orders that a row leaves, and without a transaction also those that it will belong to.

        (Without a transaction the row is committed before ``post_save`` runs.)
        """
        before: dict[_Related, dict[str, Any]] = {}
        is_new = instance._state.adding and (instance.pk is None or type(instance)._meta.pk.has_default())
        for related in [] if raw or is_new else self.related:
            if not related.concerns(sender) or not related.may_matter(update_fields):
                continue
            stored = related.watched_as_stored(instance, using) if update_fields is None else None
            if stored is not None and _has(instance, stored):
                before[related] = stored
                continue
            now = self._orders(related, functools.partial(related.orders_of, instance, using))
            if related.may_move(update_fields):
                left = self._orders(related, functools.partial(related.stored_orders, instance, using))
                # Without a foreign key, ``now`` is what the database has as well.
                stays = () if related.hop is None and not callable(related.watch.path) else now
                self._record([pk for pk in left if pk not in stays], using)
            if not connections[using].in_atomic_block:
                self._record(now, using, notify=False)
        if before:
            vars(instance).setdefault(_BEFORE, {})[self] = before
        else:
            vars(instance).get(_BEFORE, {}).pop(self, None)

    def related_post_save(
        self,
        *,
        sender: type[models.Model],
        instance: models.Model,
        raw: bool,
        using: str,
        created: bool = False,
        update_fields: frozenset[str] | None = None,
        **kwargs: Any,
    ) -> None:
        before = vars(instance).get(_BEFORE, {}).pop(self, {})
        for related in [] if raw else self.related:
            # (A receiver of the shop, or the field itself, may have changed a value since.)
            if not related.concerns(sender) or (related in before and _has(instance, before[related])):
                continue
            if created or related.may_matter(update_fields):
                self._record(self._orders(related, functools.partial(related.orders_of, instance, using)), using)

    def related_pre_delete(
        self, *, sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any
    ) -> None:
        for related in self.related:
            if related.concerns(sender):
                self._record(self._orders(related, functools.partial(related.orders_of, instance, using)), using)

    def related_m2m_changed(
        self,
        *,
        sender: type[models.Model],
        instance: models.Model,
        action: str,
        reverse: bool,
        pk_set: Iterable[Any] | None,
        using: str,
        **kwargs: Any,
    ) -> None:
        """Record the orders of rows that are connected with others or disconnected: before they are, and after."""
        if action not in ("post_add", "pre_remove", "pre_clear"):
            return
        for related in self.related:
            for field in related.model._meta.many_to_many:
                if field.remote_field.through is not sender:
                    continue
                if related.names is not None and field.name not in related.names:
                    continue
                target = field.remote_field.model
                if related.watch.path == field.name:
                    # The row is connected with the orders themselves.
                    far = _far_side(field, instance, reverse, pk_set, using)
                    find = functools.partial(translate_keys, far, target, self.adapter.model, using)
                    self._record(self._orders(related, find), using)
                    continue
                rows: Iterable[models.Model] = [instance]
                if reverse:
                    near = _near_side(field, instance, pk_set, using)
                    rows = related.model._base_manager.using(using).filter(pk__in=near)
                for row in rows:
                    self._record(self._orders(related, functools.partial(related.orders_of, row, using)), using)


# Name under which an instance remembers, during its save, the watched values that it seems to leave as they are.
_BEFORE = "_sendcloud_before"


def _has(instance: models.Model, values: Mapping[str, Any]) -> bool:
    return all(getattr(instance, name) == value for name, value in values.items())


def _intermediates(
    adapter: OrderAdapter[Any], named: Mapping[type[models.Model], Watch]
) -> Iterator[tuple[type[models.Model], Watch]]:
    """Yield the models between related rows and their orders, each with the foreign keys that make the connection.

    With ``{Item: "package__order"}``, a package that moves to another order takes its items along.
    """
    for start, watch in named.items():
        if not isinstance(watch.path, str):
            continue
        parts, model, behind = watch.path.split(LOOKUP_SEP), start, ""
        for number, part in enumerate(parts):
            try:
                field: Any = model._meta.get_field(part)
            except FieldDoesNotExist:
                break  # the system check names it
            ahead = field.name if _is_forward(field) else ""
            if number and (keys := tuple(filter(None, (behind, ahead)))):
                yield model, Watch(LOOKUP_SEP.join(parts[number:]), keys)
            if field.many_to_many:
                yield from _through(field, parts[number + 1 :])
            if not isinstance(field.related_model, type) or issubclass(field.related_model, adapter.model):
                break
            # The other end of a reverse relation is a field of the next model.
            behind = "" if _is_forward(field) else getattr(field.remote_field, "name", "")
            model = field.related_model


def _through(field: Any, rest: list[str]) -> Iterator[tuple[type[models.Model], Watch]]:
    """Yield the shop's own model of a many-to-many relation: its rows may be saved and deleted like any other.

    Django's own model of one sends ``m2m_changed`` instead.
    """
    relation = field if _is_forward(field) else field.remote_field
    through = relation.remote_field.through
    if not through._meta.auto_created:
        ends = relation.m2m_field_name(), relation.m2m_reverse_field_name()
        yield through, Watch(LOOKUP_SEP.join([ends[1] if _is_forward(field) else ends[0], *rest]), ends)


def _far_side(field: Any, instance: models.Model, reverse: bool, pk_set: Iterable[Any] | None, using: str) -> list[Any]:
    """Return primary keys of the rows at the field's other end."""
    if reverse:
        return keys_of(instance, field.related_model, using)
    if pk_set is not None:
        return list(pk_set)
    through = field.remote_field.through._base_manager.using(using)
    return list(
        through.filter(**{field.m2m_field_name(): instance}).values_list(field.m2m_reverse_field_name(), flat=True)
    )


def _near_side(field: Any, instance: models.Model, pk_set: Iterable[Any] | None, using: str) -> list[Any]:
    """Return primary keys of the instances of the field's own model, if the change comes from the other end."""
    if pk_set is not None:
        return list(pk_set)
    through = field.remote_field.through._base_manager.using(using)
    return list(
        through.filter(**{field.m2m_reverse_field_name(): instance}).values_list(field.m2m_field_name(), flat=True)
    )


_receivers: dict[OrderAdapter[Any], _OrderReceivers] = {}


def _resolvable(adapter: OrderAdapter[Any]) -> dict[type[models.Model], Watch]:
    """Return ``related`` as far as it can be used: the system check names the rest, importing must not fail on it."""
    try:
        named = adapter.watched()
    except (LookupError, ValueError, AttributeError, TypeError):
        return {}
    return {
        model: watch
        for model, watch in named.items()
        if isinstance(model, type) and (isinstance(watch.path, str) or callable(watch.path))
    }


def _registry_changed(**kwargs: Any) -> None:
    """Connect the receivers of all adapters again: which one is responsible for a model depends on all of them."""
    for receivers in _receivers.values():
        receivers.disconnect()
    _receivers.clear()
    for adapter in registry:
        if adapter.auto:
            _receivers[adapter] = receivers = _OrderReceivers(adapter)
            receivers.connect()


__all__ = ["connect", "signal_senders"]
