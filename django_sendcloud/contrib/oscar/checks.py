"""System checks for shops with Oscar: each mistake of the adapter or the set-up, with its fix."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.template import Engine, Origin, TemplateDoesNotExist, TemplateSyntaxError, engines
from django.template.loader_tags import ExtendsNode

from ...checks import TAG, did_you_mean, error_message, warning_message
from ...conf import conf, is_configured
from ...core.pipeline import reachable
from ...enums import Currency
from ...payloads import kilograms
from ...registry import registry
from .adapter import OscarOrderAdapter
from .installed import APP
from .shop import get_model

__all__ = ["check_data", "check_oscar", "register"]

#: Our templates, each with the tag that does the same in the shop's own.
TEMPLATES = {
    "oscar/dashboard/orders/order_detail.html": "{% load sendcloud %}{% sendcloud_order_panel order %}",
    "oscar/dashboard/orders/order_list.html": "{% load sendcloud_oscar %}{% sendcloud_bulk_actions as actions %}",
    "oscar/customer/order/order_detail.html": "{% load sendcloud %}{% sendcloud_tracking order %}",
    "oscar/customer/anon_order.html": "{% load sendcloud %}{% sendcloud_tracking order %}",
    "oscar/checkout/thank_you.html": "{% load sendcloud %}{% sendcloud_tracking order %}",
}


def register() -> None:
    """Register the checks. Called by ``AppConfig.ready``."""
    checks.register(check_oscar, TAG)
    checks.register(check_data, TAG, checks.Tags.database)


def _adapters() -> list[OscarOrderAdapter]:
    return [adapter for adapter in registry if isinstance(adapter, OscarOrderAdapter)]


def check_oscar(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check for W081, an overridden template, and the adapters (E082 to W088)."""
    found = [*_check_templates()]
    for adapter in _adapters():
        name = f"{type(adapter).__module__}.{type(adapter).__qualname__}"
        found += [*_check_statuses(adapter, name), *_check_weight(adapter, name), *_check_split(adapter, name)]
        found += [*_check_handler(adapter, name)]
    return [*found, *_check_currency()] if _adapters() else found


# -- templates --


def _check_templates() -> Iterator[checks.CheckMessage]:
    try:
        backends: list[Any] = engines.all()
    except ImproperlyConfigured:
        return  # Django's own checks report it
    engine = next((each.engine for each in backends if isinstance(getattr(each, "engine", None), Engine)), None)
    if engine is None:
        return
    for name, tag in TEMPLATES.items():
        if origin := _template_without_us(engine, name, tag):
            yield warning_message(
                81,
                f"The template {origin} replaces {name}, and shows nothing of Sendcloud.",
                f'Begin it with {{% extends "{name}" %}}, or write into it: {tag}',
            )


def _template_without_us(engine: Engine, name: str, tag: str) -> str:
    """Return the file of the template in force if neither it nor one it extends is ours or has our tag."""
    first, skip = "", list[Origin]()
    wanted = tag.rpartition("{% ")[2].split()[0]
    while True:
        try:
            template, origin = engine.find_template(name, skip=skip)
        except (TemplateDoesNotExist, TemplateSyntaxError):
            return first
        if APP.replace(".", "/") in str(origin.name).replace("\\", "/") or wanted in template.source:
            return ""
        first = first or str(origin.name)
        extends = template.nodelist.get_nodes_by_type(ExtendsNode)
        if not extends or str(extends[0].parent_name.token).strip("\"'") != name:  # type: ignore[attr-defined]
            return "" if "/oscar/templates/" in first.replace("\\", "/") else first
        skip.append(origin)


# -- the adapter --


def _check_statuses(adapter: OscarOrderAdapter, name: str) -> Iterator[checks.CheckMessage]:
    pipeline, setting = adapter.model.pipeline, "OSCAR_ORDER_STATUS_PIPELINE"
    known = {*pipeline, *(status for following in pipeline.values() for status in following)}
    if not adapter.shippable_statuses or isinstance(adapter.shippable_statuses, str):
        yield error_message(
            82,
            f"{name}.shippable_statuses names no statuses: no order would be sent.",
            "Name those of paid orders, as a tuple: "
            f"shippable_statuses = ({', '.join(repr(status) for status in sorted(known)) or 'Paid'},).",
            type(adapter),
        )
        return
    if not pipeline:
        if adapter.phase_statuses:
            yield error_message(
                83,
                f"{name}.phase_statuses moves orders along {setting}, which is empty.",
                f'Set it, for instance {setting} = {{"Paid": ("Shipped",), "Shipped": ()}}.',
                type(adapter),
            )
        return
    named = [("shippable_statuses", status) for status in adapter.shippable_statuses]
    named += [("phase_statuses", status) for status in adapter.phase_statuses.values()]
    named += [("status_beginnings", status) for status in adapter.status_beginnings or ()]
    unknown = [(attribute, status) for attribute, status in dict.fromkeys(named) if status not in known]
    for attribute, status in unknown:
        yield error_message(
            83,
            f"{name}.{attribute} has {status!r}, which is no status of {setting}.",
            f"{did_you_mean(str(status), sorted(known))}Its statuses: {', '.join(sorted(known))}.",
            type(adapter),
        )
    if unknown:
        return
    begin = [*adapter.shippable_statuses, *(adapter.status_beginnings or ())]
    for phase, status in adapter.phase_statuses.items():
        if status not in reachable(pipeline, begin):
            yield error_message(
                83,
                f"{name}.phase_statuses[{phase!r}] is {status!r}, and no way in {setting} leads there from "
                f"{', '.join(map(repr, begin))}.",
                f"Add {status!r} to the statuses that may follow one of them.",
                type(adapter),
            )
        if status not in adapter.shippable_statuses:
            yield warning_message(
                84,
                f"{name}.phase_statuses[{phase!r}] is {status!r}, which is not among shippable_statuses: an order that "
                "reaches it without a label is deleted at Sendcloud.",
                f"Add {status!r} to shippable_statuses.",
                type(adapter),
            )


def _check_weight(adapter: OscarOrderAdapter, name: str) -> Iterator[checks.CheckMessage]:
    if type(adapter).get_weight is not OscarOrderAdapter.get_weight:
        return
    try:
        kilograms(1, adapter.weight_unit)
    except ValueError:
        yield error_message(
            85,
            f"{name}.weight_unit is {adapter.weight_unit!r}, which is no unit.",
            f'Name the unit of the attribute {adapter.weight_attribute!r}: "mg", "g", "kg", "t", "oz" or "lb".',
            type(adapter),
        )


def _check_split(adapter: OscarOrderAdapter, name: str) -> Iterator[checks.CheckMessage]:
    line = get_model("order.Line")
    fields = {attribute for field in line._meta.concrete_fields for attribute in (field.name, field.attname)}
    if adapter.split_by and not hasattr(line, adapter.split_by) and adapter.split_by not in fields:
        yield error_message(
            86,
            f"{name}.split_by is {adapter.split_by!r}, which is no attribute of {line._meta.label}.",
            f"{did_you_mean(adapter.split_by, sorted(fields))}Its fields: {', '.join(sorted(fields))}.",
            type(adapter),
        )


def _check_handler(adapter: OscarOrderAdapter, name: str) -> Iterator[checks.CheckMessage]:
    """Check that the shop's ``EventHandler`` takes what we call it with. Calls nothing but its constructor."""
    wanted: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {}
    if adapter.phase_statuses and type(adapter).set_order_status is OscarOrderAdapter.set_order_status:
        wanted["handle_order_status_change"] = ("order, status", (None, ""), {})
    if adapter.shipping_event and type(adapter).on_parcel is OscarOrderAdapter.on_parcel:
        given = "order, event_type, lines, line_quantities, reference=..."
        wanted["handle_shipping_event"] = (given, (None, None, [], []), {"reference": ""})
    if not wanted:
        return
    try:
        handler = adapter.get_event_handler()
    except Exception as error:
        # The shop's own code may raise anything.
        yield error_message(
            87,
            f"{name}: the shop's EventHandler cannot be made with EventHandler(None) ({type(error).__name__}).",
            "Give its arguments defaults, as Oscar's own has, or override get_event_handler(self) in the adapter.",
            type(adapter),
        )
        return
    for method, (given, args, options) in wanted.items():
        try:
            inspect.signature(getattr(handler, method)).bind(*args, **options)
        except (AttributeError, TypeError):
            yield error_message(
                87,
                f"{name}: {type(handler).__module__}.{type(handler).__qualname__}.{method}() does not take ({given}).",
                "Let it take **kwargs, as Oscar's own does, or override get_event_handler(self) in the adapter.",
                type(adapter),
            )


def _check_currency() -> Iterator[checks.CheckMessage]:
    default = getattr(settings, "OSCAR_DEFAULT_CURRENCY", "")
    accepted = [each.value for each in Currency]
    if default and default not in accepted and is_configured() and not conf().ANY_CURRENCY:
        yield warning_message(
            88,
            f"OSCAR_DEFAULT_CURRENCY is {default!r}: Sendcloud documents {', '.join(accepted)}, and orders in another "
            "currency are rejected here before they are sent.",
            "Set SENDCLOUD['ANY_CURRENCY'] = True if your account takes it by API v3, or convert the amounts in "
            "get_fields() and get_item().",
        )


# -- stored data --


def check_data(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Check the shop's data: W089 a weight attribute or a shipping event that does not exist."""
    found: list[checks.CheckMessage] = []
    for adapter in _adapters():
        attributes = get_model("catalogue.ProductAttribute")._default_manager
        types = get_model("order.ShippingEventType")._default_manager
        # The first migrate runs this check before it creates the tables.
        if attributes.db not in (databases or ()) or not (_has_table(attributes) and _has_table(types)):
            continue
        name = f"{type(adapter).__module__}.{type(adapter).__qualname__}"
        codes = set(attributes.values_list("code", flat=True))
        needs_weight = adapter.default_weight is None and type(adapter).get_weight is OscarOrderAdapter.get_weight
        if needs_weight and adapter.weight_attribute not in codes:
            found.append(
                _missing(name, "weight_attribute", adapter.weight_attribute, "code of a product attribute", codes)
            )
        names = {each for row in types.values_list("name", "code") for each in row}
        if adapter.shipping_event and adapter.shipping_event not in names:
            found.append(_missing(name, "shipping_event", adapter.shipping_event, "shipping event type", names))
    return found


def _has_table(manager: Any) -> bool:
    return manager.model._meta.db_table in connections[manager.db].introspection.table_names()


def _missing(name: str, attribute: str, value: str, what: str, known: Iterable[str]) -> checks.CheckMessage:
    there = sorted(known)
    return warning_message(
        89,
        f"{name}.{attribute} is {value!r}, which is no {what} in the database.",
        f"{did_you_mean(value, there)}There are: {', '.join(there) or 'none yet'}. Create it in the dashboard, or name "
        "another.",
    )
