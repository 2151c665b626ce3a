"""System checks for shops with Salesman: each mistake of the adapter, with its fix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks
from salesman.conf import app_settings

from ...checks import TAG, did_you_mean, error_message
from ...conf import conf, is_configured
from ...enums import Currency
from ...payloads import OtherCurrency, kilograms
from ...registry import registry
from .adapter import SalesmanOrderAdapter

__all__ = ["check_salesman", "register"]


def register() -> None:
    """Register the checks. Called by ``AppConfig.ready``."""
    checks.register(check_salesman, TAG)


def check_salesman(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check the adapters: E090 no address, E091 no valid currency, E092 an unknown status, E093 an unknown unit."""
    adapters = [adapter for adapter in registry if isinstance(adapter, SalesmanOrderAdapter)]
    return [message for adapter in adapters for message in _check(adapter)]


def _check(adapter: SalesmanOrderAdapter) -> Iterator[checks.CheckMessage]:
    cls = type(adapter)
    name = f"{cls.__module__}.{cls.__qualname__}"
    hooks = ("get_address", "get_fields", "get_shipments")
    if all(getattr(cls, hook) is getattr(SalesmanOrderAdapter, hook) for hook in hooks):
        yield error_message(
            90,
            f"{name} has no get_address(): Salesman's addresses are free texts.",
            "Define get_address(self, order) and return name, address, postal_code, city and country.",
            cls,
        )
    if all(getattr(cls, hook) is getattr(SalesmanOrderAdapter, hook) for hook in hooks[1:]):
        yield from _check_currency(adapter, name)
    known = [str(status) for status in app_settings.SALESMAN_ORDER_STATUS.values]
    named = [
        *(("shippable_statuses", status) for status in adapter.shippable_statuses),
        *(("phase_statuses", status) for status in adapter.phase_statuses.values()),
        *(("status_beginnings", status) for status in adapter.status_beginnings or ()),
    ]
    for attribute, status in named:
        if str(status) not in known:
            yield error_message(
                92,
                f"{name}.{attribute} has {str(status)!r}, which is no status of SALESMAN_ORDER_STATUS.",
                f"{did_you_mean(str(status), known)}Its statuses: {', '.join(known)}.",
                cls,
            )
    try:
        kilograms(1, adapter.weight_unit)
    except ValueError as error:
        yield error_message(93, f"{name}.weight_unit: {error}", "Name the unit of your products' weights.", cls)


def _check_currency(adapter: SalesmanOrderAdapter, name: str) -> Iterator[checks.CheckMessage]:
    accepted, currency = [each.value for each in Currency], adapter.currency
    if not currency:
        yield error_message(
            91, f"{name} has no currency.", 'Name the currency of your prices: currency = "EUR".', type(adapter)
        )
        return
    if currency in accepted or not is_configured():
        return
    if isinstance(currency, OtherCurrency) and conf().ANY_CURRENCY:
        return
    yield error_message(
        91,
        f"{name}.currency is {str(currency)!r}: Sendcloud documents {', '.join(accepted)}, and orders in another "
        "currency are rejected here before they are sent.",
        f"{did_you_mean(currency.upper(), accepted)}If your account takes it by API v3, write currency = "
        f"OtherCurrency({str(currency)!r}) and set SENDCLOUD['ANY_CURRENCY'] = True. Otherwise, convert the amounts in "
        "get_fields() and get_item().",
        type(adapter),
    )
