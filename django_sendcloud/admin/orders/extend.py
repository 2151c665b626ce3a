"""Panel, column, filter and actions for an order admin that another app registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db import models

from ...exceptions import RegistrationError
from .mixin import SendcloudOrderAdmin

__all__ = ["extend_order_admin", "not_extended"]

# Order models by site, for every later registration of them.
_extended: dict[admin.AdminSite, list[type[models.Model]]] = {}


def extend_order_admin(*order_models: type[models.Model], site: admin.AdminSite | None = None) -> None:
    """Extend the admin of an order model that another app registers, as ``SendcloudOrderAdmin`` would::

        # shop/admin.py
        extend_order_admin(Order)

    It does not matter which of both happens first, nor whether the model is registered again.

    Args:
        *order_models: The order models.
        site: The admin site. Default: Django's own.

    Raises:
        RegistrationError: one is no model, or abstract.
    """
    site = admin.site if site is None else site
    for model in order_models:
        candidate: object = model
        if not (isinstance(candidate, type) and issubclass(candidate, models.Model)) or model._meta.abstract:
            raise RegistrationError(f"extend_order_admin() takes the order's model class, not {model!r}.")
        if site not in _extended:
            _extended[site] = []
            _follow_registrations(site)
        if model not in _extended[site]:
            _extended[site].append(model)
        _extend(site, model)


def not_extended() -> list[tuple[type[models.Model], admin.AdminSite]]:
    """Return the models with their sites that no app has registered."""
    return [(model, site) for site, waiting in _extended.items() for model in waiting if not site.is_registered(model)]


def _extend(site: admin.AdminSite, model: type[models.Model]) -> None:
    if not site.is_registered(model):
        return
    own: type[Any] = type(site.get_model_admin(model))
    if issubclass(own, SendcloudOrderAdmin):
        return
    site.unregister(model)
    extended = type(own.__name__, (SendcloudOrderAdmin, own), {"__module__": own.__module__, "__doc__": own.__doc__})
    site.register(model, extended)


def _follow_registrations(site: admin.AdminSite) -> None:
    """Extend what is registered later, too: the order of ``INSTALLED_APPS`` decides whose ``admin.py`` comes first."""
    register: Callable[..., None] = site.register

    def register_and_extend(*args: Any, **options: Any) -> None:
        register(*args, **options)
        for model in _extended[site]:
            _extend(site, model)

    site.register = register_and_extend  # type: ignore[method-assign]
