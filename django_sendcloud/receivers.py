"""The shop's model signals, turned into records; the engine's ``work_due``, turned into wake-ups.

Receivers are connected to the models that adapters name, their proxies and their children, and to
nothing else: a receiver without ``sender`` would make every model of the shop pay, and one connected to
the order model alone does not hear the saves of its proxies and children.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.db import DatabaseError, connections, models
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save

from .adapters import OrderAdapter, registry
from .conf import conf
from .models import Integration, OutboxEntry
from .order_status import follow_parcels
from .signals import (
    adapter_registered,
    adapter_unregistered,
    exception_reported,
    parcel_status_changed,
    work_due,
)
from .sync.record import record
from .tasks import answer_bell, celery_app, pass_on_report

logger = logging.getLogger("django_sendcloud.receivers")


def connect() -> None:
    """Listen to the registry, and to the engine's bell. Called once, by ``AppConfig.ready``."""
    celery_app()  # where Django is set up, Celery's current app is the shop's
    work_due.connect(answer_bell, dispatch_uid="django_sendcloud.bell")
    exception_reported.connect(pass_on_report, dispatch_uid="django_sendcloud.reports")
    parcel_status_changed.connect(follow_parcels, dispatch_uid="django_sendcloud.order_status")
    post_save.connect(integration_saved, sender=Integration, dispatch_uid="django_sendcloud.integration")
    adapter_registered.connect(_registry_changed, dispatch_uid="django_sendcloud.receivers")
    adapter_unregistered.connect(_registry_changed, dispatch_uid="django_sendcloud.receivers")
    _registry_changed()


def integration_saved(*, instance: Integration, **kwargs: Any) -> None:
    """What no integration took may have somewhere to go now."""
    OutboxEntry.objects.using(conf().DATABASE).nobodys().wake()
    work_due.send_robust(sender=OutboxEntry, queue="outbox")


def family(model: type[models.Model]) -> Iterator[type[models.Model]]:
    """All models whose instances may stand for a row of this one, each of which sends signals of its own.

    The model itself, its proxies and its children; what it is a proxy of, and that one's other proxies and children;
    and the models that it inherits its table's columns from.
    """
    concrete = model._meta.concrete_model or model
    parents = concrete._meta.get_parent_list()
    for candidate in apps.get_models(include_auto_created=True):
        if issubclass(candidate, concrete) or candidate in parents:
            yield candidate


class _OrderReceivers:
    """The receivers of one adapter."""

    def __init__(self, adapter: OrderAdapter[Any]) -> None:
        self.adapter = adapter
        self.order_type = adapter.model._meta.label_lower
        self.related = _resolvable(adapter)
        self._connected: list[tuple[Any, Any, Any]] = []

    def wiring(self) -> Iterator[tuple[Any, Any, Any]]:
        """Each signal, with the receiver for it and the sender to listen to."""
        for model in family(self.adapter.model):
            if registry.for_model(model) not in (self.adapter, None):
                continue  # a child, or a parent, with an adapter of its own
            yield pre_save, self.order_pre_save, model
            yield post_save, self.order_post_save, model
            yield pre_delete, self.order_pre_delete, model
            for field in model._meta.many_to_many:
                yield m2m_changed, self.order_m2m_changed, field.remote_field.through
        for related in self.related:
            for model in family(related):
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
        """Without a transaction the order is committed before ``post_save`` runs, so it is noted beforehand as well."""
        if raw or (instance._state.adding and instance.pk is None) or connections[using].in_atomic_block:
            return
        record(self.order_type, [instance.pk], ring=False, using=using)

    def order_post_save(self, *, instance: models.Model, raw: bool, using: str, **kwargs: Any) -> None:
        if not raw:
            record(self.order_type, [instance.pk], using=using)

    def order_pre_delete(self, *, instance: models.Model, using: str, **kwargs: Any) -> None:
        record(self.order_type, [instance.pk], gone=True, using=using)

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
                record(self.order_type, [instance.pk], using=using)
        elif action in ("post_add", "post_remove"):
            record(self.order_type, pk_set or (), using=using)
        elif action == "pre_clear":
            # After the clearing nothing tells any more which orders it was about.
            through, model = kwargs["sender"], self.adapter.model
            for field in model._meta.many_to_many:
                if field.remote_field.through is through and isinstance(instance, field.related_model):
                    rows = through._base_manager.using(using).filter(**{field.m2m_reverse_field_name(): instance})
                    record(self.order_type, rows.values_list(field.m2m_field_name(), flat=True), using=using)

    # -- what the order depends on --------------------------------------------------------------

    def _orders_of(self, sender: type[models.Model], instance: models.Model, using: str) -> list[Any]:
        pks: list[Any] = []
        for model in self.related:
            if issubclass(sender, model) or issubclass(model, sender):
                try:
                    pks += self.adapter.related_order_pks(model, instance, using)
                except DatabaseError:
                    raise  # the shop's transaction is lost, and has to hear of it
                except Exception as error:
                    # The shop's own code, within its own request: no checkout fails on it.
                    name = type(self.adapter).__qualname__
                    logger.error("%s.related[%s] failed: %s.", name, model.__name__, type(error).__name__)
        return pks

    def related_pre_save(
        self, *, sender: type[models.Model], instance: models.Model, raw: bool, using: str, **kwargs: Any
    ) -> None:
        """A line that moves to another order changes the order it leaves, too.

        And without a transaction the line is committed before ``post_save`` runs, so it is noted beforehand as well.
        """
        if raw or instance._state.adding:
            return
        for model, path in self.related.items():
            column = self.adapter.local_column(model, path)
            if column is None or not issubclass(sender, model):
                continue
            before = model._base_manager.using(using).filter(pk=instance.pk).values_list(column, flat=True).first()
            if before is not None and before != getattr(instance, column):
                record(self.order_type, [before], using=using)
        if not connections[using].in_atomic_block:
            record(self.order_type, self._orders_of(sender, instance, using), ring=False, using=using)

    def related_post_save(
        self, *, sender: type[models.Model], instance: models.Model, raw: bool, using: str, **kwargs: Any
    ) -> None:
        if not raw:
            record(self.order_type, self._orders_of(sender, instance, using), using=using)

    def related_pre_delete(
        self, *, sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any
    ) -> None:
        record(self.order_type, self._orders_of(sender, instance, using), using=using)

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
        """Rows of a related model are put together with others, or taken apart: before they are, and after."""
        if action not in ("post_add", "pre_remove", "pre_clear"):
            return
        for model, path in self.related.items():
            for field in model._meta.many_to_many:
                if field.remote_field.through is not sender:
                    continue
                target = field.remote_field.model
                if path == field.name and isinstance(target, type) and issubclass(target, self.adapter.model):
                    # The orders themselves are what it is put together with.
                    pks = _far_side(field, instance, reverse, pk_set, using)
                    record(self.order_type, pks, using=using)
                elif not reverse:
                    record(self.order_type, self._orders_of(type(instance), instance, using), using=using)
                else:
                    rows = model._base_manager.using(using).filter(pk__in=_near_side(field, instance, pk_set, using))
                    record(
                        self.order_type, [pk for row in rows for pk in self._orders_of(model, row, using)], using=using
                    )


def _far_side(field: Any, instance: models.Model, reverse: bool, pk_set: Iterable[Any] | None, using: str) -> list[Any]:
    """Primary keys of what instances of the field's own model are being put together with, or taken apart from."""
    if reverse:
        return [instance.pk]
    if pk_set is not None:
        return list(pk_set)
    through = field.remote_field.through._base_manager.using(using)
    return list(
        through.filter(**{field.m2m_field_name(): instance}).values_list(field.m2m_reverse_field_name(), flat=True)
    )


def _near_side(field: Any, instance: models.Model, pk_set: Iterable[Any] | None, using: str) -> list[Any]:
    """Primary keys of the instances of the field's own model, where it is changed from the other end."""
    if pk_set is not None:
        return list(pk_set)
    through = field.remote_field.through._base_manager.using(using)
    return list(
        through.filter(**{field.m2m_reverse_field_name(): instance}).values_list(field.m2m_field_name(), flat=True)
    )


_receivers: dict[OrderAdapter[Any], _OrderReceivers] = {}


def _resolvable(adapter: OrderAdapter[Any]) -> dict[type[models.Model], Any]:
    """``related`` without what cannot be resolved: the system check names that, importing must not fail on it."""
    try:
        return adapter.related_models()
    except (LookupError, ValueError):
        return {}


def _registry_changed(**kwargs: Any) -> None:
    """Wire all adapters anew: who is responsible for a model depends on all of them, and not on their order."""
    for receivers in _receivers.values():
        receivers.disconnect()
    _receivers.clear()
    for adapter in registry:
        if adapter.auto:
            _receivers[adapter] = receivers = _OrderReceivers(adapter)
            receivers.connect()


__all__ = ["connect", "family"]
