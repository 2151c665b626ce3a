"""The shop's model signals, turned into records; the engine's ``work_due``, turned into wake-ups.

Receivers are connected to the models that adapters name, their proxies and their children, and to
nothing else: a receiver without ``sender`` would make every model of the shop pay, and one connected to
the order model alone does not hear the saves of its proxies and children.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.db import connections, models
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save

from .adapters import OrderAdapter, registry
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


def connect() -> None:
    """Listen to the registry, and to the engine's bell. Called once, by ``AppConfig.ready``."""
    celery_app()  # where Django is set up, Celery's current app is the shop's
    work_due.connect(answer_bell, dispatch_uid="django_sendcloud.bell")
    exception_reported.connect(pass_on_report, dispatch_uid="django_sendcloud.reports")
    parcel_status_changed.connect(follow_parcels, dispatch_uid="django_sendcloud.order_status")
    adapter_registered.connect(_adapter_registered, dispatch_uid="django_sendcloud.receivers")
    adapter_unregistered.connect(_adapter_unregistered, dispatch_uid="django_sendcloud.receivers")
    for adapter in registry:
        _adapter_registered(adapter=adapter)


def family(model: type[models.Model]) -> Iterator[type[models.Model]]:
    """The model, its proxies and its children: each of them sends its own signals."""
    for candidate in apps.get_models(include_auto_created=True):
        if issubclass(candidate, model):
            yield candidate


class _OrderReceivers:
    """The receivers of one adapter. Each is a bound method, so they live as long as the adapter is registered."""

    def __init__(self, adapter: OrderAdapter[Any]) -> None:
        self.adapter = adapter
        self.order_type = adapter.model._meta.label_lower
        self.related = _resolvable(adapter)

    def wiring(self) -> Iterator[tuple[Any, Any, Any]]:
        """Each signal, with the receiver for it and the sender to listen to."""
        for model in family(self.adapter.model):
            if registry.for_model(model) not in (self.adapter, None):
                continue  # a child with an adapter of its own
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

    def disconnect(self) -> None:
        for signal, receiver, sender in self.wiring():
            signal.disconnect(receiver, sender=sender)

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
            if issubclass(sender, model):
                pks += self.adapter.related_order_pks(model, instance, using)
        return pks

    def related_pre_save(
        self, *, sender: type[models.Model], instance: models.Model, raw: bool, using: str, **kwargs: Any
    ) -> None:
        """A line that moves to another order changes the order it leaves, too."""
        if raw or instance._state.adding:
            return
        for model, path in self.related.items():
            column = self.adapter.local_column(model, path)
            if column is None or not issubclass(sender, model):
                continue
            before = model._base_manager.using(using).filter(pk=instance.pk).values_list(column, flat=True).first()
            if before is not None and before != getattr(instance, column):
                record(self.order_type, [before], using=using)

    def related_post_save(
        self, *, sender: type[models.Model], instance: models.Model, raw: bool, using: str, **kwargs: Any
    ) -> None:
        if not raw:
            record(self.order_type, self._orders_of(sender, instance, using), using=using)

    def related_pre_delete(
        self, *, sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any
    ) -> None:
        record(self.order_type, self._orders_of(sender, instance, using), using=using)

    def related_m2m_changed(self, *, instance: models.Model, action: str, using: str, **kwargs: Any) -> None:
        if action in ("post_add", "post_remove", "pre_clear"):
            record(self.order_type, self._orders_of(type(instance), instance, using), using=using)


_receivers: dict[OrderAdapter[Any], _OrderReceivers] = {}


def _resolvable(adapter: OrderAdapter[Any]) -> dict[type[models.Model], Any]:
    """``related`` without what cannot be resolved: the system check names that, importing must not fail on it."""
    try:
        return adapter.related_models()
    except (LookupError, ValueError):
        return {}


def _adapter_registered(*, adapter: OrderAdapter[Any], **kwargs: Any) -> None:
    if not adapter.auto or adapter in _receivers:
        return
    _receivers[adapter] = receivers = _OrderReceivers(adapter)
    receivers.connect()


def _adapter_unregistered(*, adapter: OrderAdapter[Any], **kwargs: Any) -> None:
    if receivers := _receivers.pop(adapter, None):
        receivers.disconnect()


__all__ = ["connect", "family"]
