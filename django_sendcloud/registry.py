"""The adapter of each order model: ``register`` enters it, the engine asks for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.db import models
from django.utils.module_loading import autodiscover_modules

from .adapters import OrderAdapter
from .exceptions import RegistrationError
from .orders import nearest_order_model, order_model_of, registered_models
from .signals import adapter_registered, adapter_unregistered

__all__ = ["Registry", "autodiscover", "register", "registry", "temporarily_registered", "unregister"]

AdapterT = TypeVar("AdapterT", bound=OrderAdapter[Any])


class Registry:
    """The adapter of each order model."""

    def __init__(self) -> None:
        self._adapters: dict[type[models.Model], OrderAdapter[Any]] = {}

    def __iter__(self) -> Iterator[OrderAdapter[Any]]:
        return iter(list(self._adapters.values()))

    def __len__(self) -> int:
        return len(self._adapters)

    def __contains__(self, model: type[models.Model]) -> bool:
        return model in self._adapters

    def __getitem__(self, model: type[models.Model]) -> OrderAdapter[Any]:
        return self._adapters[model]

    def add(self, model: type[models.Model], adapter: OrderAdapter[Any]) -> None:
        """Make ``adapter`` responsible for ``model``.

        Raises:
            RegistrationError: the model is abstract, no model, or has an adapter already.
        """
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
        registered_models.add(model)
        adapter_registered.send(sender=type(adapter), adapter=adapter)

    def remove(self, model: type[models.Model]) -> OrderAdapter[Any]:
        """Remove and return the adapter of ``model``.

        Raises:
            RegistrationError: the model has no adapter.
        """
        try:
            adapter = self._adapters.pop(model)
        except KeyError:
            raise RegistrationError(f"{model._meta.label} has no adapter.") from None
        registered_models.discard(model)
        adapter_unregistered.send(sender=type(adapter), adapter=adapter)
        return adapter

    def for_model(self, model: type[models.Model]) -> OrderAdapter[Any] | None:
        """Return the adapter for instances of ``model``: its own, or that of the nearest model it inherits from."""
        found = nearest_order_model(model)
        return None if found is None else self._adapters[found]

    def for_order_type(self, order_type: str) -> OrderAdapter[Any] | None:
        """Return the adapter behind a stored ``order_type``."""
        label = order_type.partition("@")[0]
        for model, adapter in self._adapters.items():
            if model._meta.label_lower == label:
                return adapter
        return None

    def children(self, adapter: OrderAdapter[Any]) -> list[OrderAdapter[Any]]:
        """Return the adapters of models that inherit from this one's with a table of their own."""
        return [
            other
            for model, other in self._adapters.items()
            if other is not adapter
            and issubclass(model, adapter.model)
            and model._meta.concrete_model is not adapter.model._meta.concrete_model
        ]

    def responsible(self, model: type[models.Model]) -> OrderAdapter[Any]:
        """Return the adapter for instances of ``model``.

        Raises:
            RegistrationError: there is none.
        """
        return self._adapters[order_model_of(model)]


registry = Registry()


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
    """Register another adapter for these models within the block, the former one afterwards. For tests."""
    former = {model: registry.remove(model) for model in order_models if model in registry}
    try:
        register(*order_models)(adapter_class)
        yield registry[order_models[0]]
    finally:
        for model in order_models:
            if model in registry:
                registry.remove(model)
        for model, adapter in former.items():
            registry.add(model, adapter)


def autodiscover() -> None:
    """Import the module ``sendcloud`` of every installed app that has one."""
    autodiscover_modules("sendcloud")
