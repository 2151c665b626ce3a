"""System checks: every misconfiguration of a newcomer, named with its fix.

None of them touches the database unless ``check --database`` asks for it, and none prints a secret.
"""

from __future__ import annotations

import difflib
import inspect
import itertools
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import connections, models, router
from django.db.models.constants import LOOKUP_SEP
from django.urls import NoReverseMatch, reverse

from .adapters import OrderAdapter, Watch
from .broker import celery_app
from .conf import AddressError, SendcloudConfigurationError, Settings, conf, is_configured, problems
from .core.crypto import DecryptionError, keyring
from .core.schema import unapplied_migrations
from .enums import ParcelPhase
from .models import OutboxEntry
from .registry import registry
from .sync.record import MAX_KEY_LENGTH

if TYPE_CHECKING:
    from celery import Celery

TAG = "sendcloud"
DOCS = "See https://django-sendcloud.readthedocs.io/en/stable/reference/checks.html#{}"

# Seconds of lease that must be left over once a whole exchange has run into its deadline.
LEASE_MARGIN = 5.0

# Extras of Celery that are not named as the scheme of a broker's address.
EXTRAS = {"rediss": "redis", "sentinel": "redis", "sqla": "sqlalchemy"}

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SENDCLOUD_HOST = "panel.sendcloud.sc"

Check = Callable[..., list[checks.CheckMessage]]


def register() -> None:
    """Register all checks. Called by ``AppConfig.ready``."""
    for check in (check_settings, check_adapters, check_project, check_admin, check_celery, check_sqlite):
        checks.register(check, TAG)
    checks.register(check_deployment, TAG, checks.Tags.security, deploy=True)
    checks.register(check_stored, TAG, checks.Tags.database)


def error_message(number: int, message: str, hint: str, obj: Any = None) -> checks.Error:
    """Return an error of this number. Its hint leads to the documentation."""
    code = f"sendcloud.E{number:03}"
    return checks.Error(message, hint=f"{hint} {DOCS.format(code)}", obj=obj, id=code)


def warning_message(number: int, message: str, hint: str, obj: Any = None) -> checks.Warning:
    """Return a warning of this number. Its hint leads to the documentation."""
    code = f"sendcloud.W{number:03}"
    return checks.Warning(message, hint=f"{hint} {DOCS.format(code)}", obj=obj, id=code)


def info_message(number: int, message: str, hint: str, obj: Any = None) -> checks.Info:
    """Return a piece of advice of this number. Its hint leads to the documentation."""
    code = f"sendcloud.I{number:03}"
    return checks.Info(message, hint=f"{hint} {DOCS.format(code)}", obj=obj, id=code)


def _shown(url: str) -> str:
    """Return an address without its user and password."""
    scheme, slashes, rest = url.partition("//")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}" if slashes else url.rpartition("@")[2]


# -- settings -----------------------------------------------------------------------------------------


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check the settings.

    E001 a key, E002 the lease, E003 an encryption key, E005 the parcel phases, E006 the router, E007 the addresses,
    W008 the days of a delivery's tasks, W009 a password in the address of the proxy.
    """
    found: list[checks.CheckMessage] = [
        error_message(1, f"SENDCLOUD[{key!r}] {text}", "Correct it in your settings.")
        for key, text in problems(getattr(settings, "SENDCLOUD", {}))
    ]
    if found:
        return found
    values = conf()
    if values.LEASE_SECONDS < values.DEADLINE_SECONDS + LEASE_MARGIN:
        found.append(
            error_message(
                2,
                f"SENDCLOUD['LEASE_SECONDS'] is {values.LEASE_SECONDS:g} and DEADLINE_SECONDS is "
                f"{values.DEADLINE_SECONDS:g}: a worker would lose an order before its request can have ended, and "
                "never sends anything.",
                f"Make the lease at least {LEASE_MARGIN:g} seconds longer; the defaults are 120 and 20.",
            )
        )
    try:
        keyring()
    except SendcloudConfigurationError as error:
        found.append(error_message(3, str(error), "Correct SENDCLOUD['ENCRYPTION_KEYS']."))
    if router.db_for_write(OutboxEntry) != values.DATABASE:
        found.append(
            error_message(
                6,
                f"SENDCLOUD['DATABASE'] is {values.DATABASE!r}, but this app's models are routed to "
                f"{router.db_for_write(OutboxEntry)!r}.",
                'Add "django_sendcloud.routers.SendcloudRouter" to DATABASE_ROUTERS, before other routers, and run '
                f"migrate --database {values.DATABASE}.",
            )
        )
    found += _check_addresses(values)
    found += [
        warning_message(
            8,
            f"SENDCLOUD[{name!r}] is {getattr(values, name):g}, and DELIVERY_TASK_DAYS is "
            f"{values.DELIVERY_TASK_DAYS:g}: a delivery leaves the tasks before it becomes one.",
            "Make DELIVERY_TASK_DAYS longer.",
        )
        for name in ("UNLABELLED_DAYS", "UNSCANNED_DAYS", "PICKUP_DAYS")
        if getattr(values, name) >= values.DELIVERY_TASK_DAYS
    ]
    if "@" in values.PROXY_URL:
        found.append(
            warning_message(
                9,
                "SENDCLOUD['PROXY_URL'] has a user and a password, which Django's error pages and mails show.",
                "Move them to SENDCLOUD['PROXY_AUTH'], as \"user:password\", which Django hides.",
            )
        )
    phases = [phase.value for phase in ParcelPhase]
    for status, phase in values.PARCEL_PHASES.items():
        if not isinstance(status, int) or phase not in phases:
            found.append(
                error_message(
                    5,
                    f"SENDCLOUD['PARCEL_PHASES'] maps {status!r} to {phase!r}.",
                    f"Map Sendcloud's status ids (numbers) to one of: {', '.join(phases)}.",
                )
            )
    return found


def _wrong_addresses(values: Settings) -> dict[str, str]:
    """Return the settings whose address is no root of a site, with what is wrong."""
    found = {name: _address_problem(getattr(values, name)) for name in ("BASE_URL", "WEBHOOK_BASE_URL")}
    return {name: problem for name, problem in found.items() if problem and getattr(values, name)}


def _check_addresses(values: Settings) -> Iterator[checks.CheckMessage]:
    """Check the addresses, and what else the client for Sendcloud is made of. Connects to nothing."""
    hints = {
        "BASE_URL": f"Leave it out, or write the root of the API: https://{SENDCLOUD_HOST}.",
        "WEBHOOK_BASE_URL": "Write the scheme and host of the shop, for instance https://shop.example.",
    }
    wrong = _wrong_addresses(values)
    for name, problem in wrong.items():
        yield error_message(7, f"SENDCLOUD[{name!r}] is {_shown(getattr(values, name))!r}: {problem}", hints[name])
    if "BASE_URL" in wrong:
        return
    from .models.connection import check_connection

    try:
        check_connection()
    except AddressError as error:
        yield error_message(7, str(error), "Correct it in your settings.")


def _address_problem(url: str) -> str:
    """Return what keeps an address from being the root of a site; ``""`` if nothing does."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return "it has blanks or other characters that no address has."
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018 - raises if it is no number
    except ValueError:
        return "it is no address."
    if parts.scheme not in ("http", "https"):
        return "it does not begin with https://."
    if not host:
        return "it names no host."
    if parts.query or parts.fragment:
        return "it has a query."
    if host == SENDCLOUD_HOST and parts.path.rstrip("/") not in ("", "/api/v2", "/api/v3"):
        return f"{parts.path!r} is not the root of the API."
    return ""


# -- adapters -----------------------------------------------------------------------------------------


def check_adapters(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check that there is an adapter (W010), and each of them (E011 to E019, E061 to W072)."""
    if not len(registry):
        return [
            warning_message(
                10,
                "No Sendcloud adapter is registered: no order will ever be sent.",
                "Write a class that inherits from django_sendcloud.OrderAdapter in a module sendcloud.py of an app in "
                "INSTALLED_APPS, and decorate it with @register(Order).",
            )
        ]
    return [message for adapter in registry for message in _check_adapter(adapter)]


def _check_adapter(adapter: OrderAdapter[Any]) -> Iterator[checks.CheckMessage]:
    cls = type(adapter)
    model = adapter.model
    name = f"{cls.__module__}.{cls.__qualname__}"
    if problems_of_types := [*_check_types(adapter, name)]:
        # The other checks read these attributes.
        yield from problems_of_types
        return
    yield from _check_shipments(adapter, name)
    yield from _check_hooks(adapter, name)
    yield from _check_times(adapter, name)
    if adapter.number_field:
        yield from _check_number_field(adapter, name)
    if adapter.site_field:
        yield from _check_site_field(adapter, name)
    if adapter.phase_statuses:
        yield from _check_phase_statuses(adapter, name)
    else:
        yield from _check_idle_status_attributes(adapter, name)
    yield from _check_related(adapter, name)
    if adapter.queryset is not None and not issubclass(adapter.queryset.model, model):
        yield error_message(
            14,
            f"{name}.queryset is of {adapter.queryset.model._meta.label}, not of {model._meta.label}.",
            f"Begin it with {model.__name__}.objects.",
            cls,
        )
    yield from _check_queryset(adapter, name)
    yield from _check_routers(adapter, name)
    yield from _check_database_deletes(adapter, name)
    if isinstance(model._meta.pk, getattr(models, "CompositePrimaryKey", ())):
        yield error_message(
            15,
            f"{model._meta.label} has a composite primary key, which an outbox entry cannot name.",
            "Register a model with a primary key of one field.",
            cls,
        )
    if (getattr(model._meta.pk, "max_length", None) or 0) > MAX_KEY_LENGTH:
        yield error_message(
            19,
            f"The primary key of {model._meta.label} may have {model._meta.pk.max_length} characters, and an outbox "
            f"entry can name an order by at most {MAX_KEY_LENGTH}: longer ones would not be recorded.",
            f"Limit it to {MAX_KEY_LENGTH} characters.",
            cls,
        )
    if is_configured() and router.db_for_write(model) != conf().DATABASE:
        yield warning_message(
            16,
            f"{model._meta.label} is written to the database {router.db_for_write(model)!r}, and the outbox to "
            f"{conf().DATABASE!r}: no transaction spans both, so a crash at the wrong moment delays a change.",
            "Set SENDCLOUD['DATABASE'] to the alias of the database that holds the orders, and migrate it; or silence "
            "this check if they have to be apart.",
            cls,
        )


def _check_shipments(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    cls = type(adapter)
    if cls.get_shipments is not OrderAdapter.get_shipments:
        return
    if cls.get_fields is OrderAdapter.get_fields:
        yield error_message(
            11,
            f"{name} has neither get_fields() nor get_shipments().",
            "Define get_fields(self, order) and return the fields of ShipmentPayload; or define "
            "get_shipments(self, order) and yield a ShipmentPayload for each shipment of the order.",
            cls,
        )
    elif (cls.get_lines is OrderAdapter.get_lines) != (cls.get_item is OrderAdapter.get_item):
        missing = (
            "get_lines(self, order)" if cls.get_lines is OrderAdapter.get_lines else "get_item(self, line, quantity)"
        )
        yield error_message(
            69,
            f"{name} has only one of get_lines() and get_item().",
            f"Define {missing}: shipments have items with both of them.",
            cls,
        )


# Attributes of an adapter: what each must be, and an example.
_ATTRIBUTES: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "related": (lambda value: isinstance(value, Mapping), "a mapping", 'related = {OrderLine: "order"}'),
    "queryset": (
        lambda value: value is None or isinstance(value, models.QuerySet),
        "a queryset",
        "queryset = Order.objects.all()",
    ),
    "phase_statuses": (
        lambda value: isinstance(value, Mapping),
        "a mapping",
        'phase_statuses = {"delivered": "completed"}',
    ),
    "status_beginnings": (
        lambda value: value is None or (isinstance(value, Collection) and not isinstance(value, str | bytes)),
        "a collection of statuses",
        'status_beginnings = ["paid"]',
    ),
    "changed_at_field": (lambda value: isinstance(value, str), "the name of a field", 'changed_at_field = "modified"'),
    "placed_at_field": (lambda value: isinstance(value, str), "the name of a field", 'placed_at_field = "placed_at"'),
    "number_field": (lambda value: isinstance(value, str), "the name of a field", 'number_field = "number"'),
    "site_field": (lambda value: isinstance(value, str), "the name of a field", 'site_field = "site"'),
    "contact": (
        lambda value: isinstance(value, str),
        "the address of a page, or mailto:",
        'contact = "mailto:help@shop.example"',
    ),
    "status_field": (lambda value: isinstance(value, str), "the name of a field", 'status_field = "status"'),
    "auto": (lambda value: isinstance(value, bool), "True or False", "auto = False"),
}


def _check_types(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    """Check that attributes and methods can be used as they are."""
    for attribute, (fits, what, example) in _ATTRIBUTES.items():
        value = getattr(adapter, attribute)
        if not fits(value):
            shown = "a method" if callable(value) else repr(value)
            yield error_message(
                71, f"{name}.{attribute} is {shown}; it must be {what}.", f"Write: {example}.", type(adapter)
            )
    for method, original in inspect.getmembers(OrderAdapter, inspect.isfunction):
        value = getattr(adapter, method)
        if method.startswith("_"):
            continue
        arguments = list(inspect.signature(original).parameters)
        call = f"def {method}({', '.join(arguments)})"
        if not callable(value):
            yield error_message(
                71, f"{name}.{method} is {value!r}; it must be a method.", f"Write: {call}.", type(adapter)
            )
            continue
        try:
            inspect.signature(value).bind(*arguments[1:])
        except TypeError:
            given = f"{method}{inspect.signature(value)}"
            yield error_message(71, f"{name}.{given} cannot be called.", f"Write: {call}.", type(adapter))
        except ValueError:
            pass  # A built-in that does not say what it takes.


def _check_times(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    if found := _time_problem(adapter, "changed_at_field"):
        yield error_message(12, f"{name}.{found[0]}", found[1], type(adapter))
    if found := _time_problem(adapter, "placed_at_field"):
        yield error_message(66, f"{name}.{found[0]}", found[1], type(adapter))


def _time_problem(adapter: OrderAdapter[Any], attribute: str) -> tuple[str, str] | None:
    """Return what is wrong with an attribute that names a field with a time, and the fix."""
    model, value = adapter.model, getattr(adapter, attribute)
    times = [field.name for field in model._meta.get_fields() if isinstance(field, models.DateTimeField)]
    if not value or value in times:
        return None
    return (
        f"{attribute} is {value!r}, which is no DateTimeField of {model._meta.label}.",
        f"{did_you_mean(value, times)}Its DateTimeFields: {', '.join(times) or 'none'}. "
        f"Leave out {attribute} without one.",
    )


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a question for the name that was likely meant, with a blank behind it; ``""`` if none is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"Did you mean {near[0]!r}? " if near else ""


def _check_hooks(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    hooks = [hook for hook in dir(OrderAdapter) if not hook.startswith("_")]
    own = {each for cls in type(adapter).__mro__ if cls not in OrderAdapter.__mro__ for each in vars(cls)}
    for each in sorted(own):
        near = difflib.get_close_matches(each, hooks, n=1, cutoff=0.9)
        if not each.startswith("_") and near and each not in hooks and near[0] not in own:
            yield warning_message(
                62,
                f"{name} has {each!r}, which nothing calls.",
                f"Did you mean {near[0]!r}? Begin the name with an underscore if it is your own.",
                type(adapter),
            )


# -- relations of the queryset --


def _relations(model: type[models.Model]) -> dict[str, Any]:
    """Return the relations of a model by the attribute of an instance that follows them."""
    found = {}
    for field in model._meta.get_fields():
        if field.is_relation:
            is_reverse = field.auto_created and not field.concrete
            found[str(field.get_accessor_name() if is_reverse else field.name)] = field  # type: ignore[union-attr]
    return found


def _check_queryset(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    """Check the paths of ``select_related`` and ``prefetch_related``, without a query."""
    if adapter.queryset is None:
        return
    for method, path, model, part, names in [*_broken_prefetches(adapter.queryset), *_broken_selects(adapter.queryset)]:
        yield error_message(
            61,
            f"{name}.queryset has {method}({path!r}): {model._meta.label} has no relation {part!r}.",
            f"{did_you_mean(part, names)}Its relations: {', '.join(sorted(names)) or 'none'}.",
            type(adapter),
        )
    named = list(_resolved_related(adapter))
    missing = {
        model
        for path in _own_rows(adapter.queryset)
        for model in path
        if not any(issubclass(model, other) or issubclass(other, model) for other in named)
    }
    for model in sorted(missing, key=lambda model: model._meta.label):
        yield warning_message(
            63,
            f"{name}.queryset prefetches {model._meta.label}, which is not in related: a change to one of its rows "
            "alone is not pushed.",
            f"Add {model.__name__} to related, with the path from it to the order.",
            type(adapter),
        )


_Broken = tuple[str, str, type[models.Model], str, list[str]]


def _walked(
    model: type[models.Model], path: str, known: dict[str, type[models.Model]]
) -> tuple[list[Any], _Broken | None]:
    """Follow a path of ``prefetch_related``: its relations, and where it breaks.

    Args:
        model: The model that it begins at.
        path: The path.
        known: Paths that ``Prefetch(to_attr=…)`` has made, with the models at their ends.
    """
    hops: list[Any] = []
    parts = path.split(LOOKUP_SEP)
    for number, part in enumerate(parts):
        relations = _relations(model)
        if made := known.get(LOOKUP_SEP.join(parts[: number + 1])):
            model = made
            continue
        if part not in relations:
            is_own = hasattr(model, part)  # a property, or an attribute of another package, cannot be followed here
            return hops, None if is_own else ("prefetch_related", path, model, part, list(relations))
        hops.append(relations[part])
        target = relations[part].related_model
        if not (isinstance(target, type) and issubclass(target, models.Model)):
            return hops, None  # a generic foreign key
        model = target
    known[path] = model
    return hops, None


def _prefetches(queryset: models.QuerySet[Any]) -> Iterator[tuple[str, str, models.QuerySet[Any] | None]]:
    """Yield the path of each prefetch, the path of what it makes, and the queryset it is made with."""
    for lookup in queryset._prefetch_related_lookups:  # type: ignore[attr-defined]
        if isinstance(lookup, models.Prefetch):
            yield lookup.prefetch_through, lookup.prefetch_to, lookup.queryset
        else:
            yield lookup, lookup, None


def _broken_prefetches(queryset: models.QuerySet[Any]) -> Iterator[_Broken]:
    known: dict[str, type[models.Model]] = {}
    for path, made, inner in _prefetches(queryset):
        _, broken = _walked(queryset.model, path, known)
        if broken:
            yield broken
        elif path in known:
            known[made] = known[path]
        if inner is not None:
            yield from _broken_prefetches(inner)
            yield from _broken_selects(inner)


def _own_rows(queryset: models.QuerySet[Any]) -> Iterator[list[type[models.Model]]]:
    """Yield the models of prefetched rows that belong to one order: those with a foreign key to it."""
    known: dict[str, type[models.Model]] = {}
    for path, made, _ in _prefetches(queryset):
        hops, _ = _walked(queryset.model, path, known)
        if path in known:
            known[made] = known[path]
        yield [hop.related_model for hop in itertools.takewhile(operator.attrgetter("one_to_many"), hops)]


def _broken_selects(queryset: models.QuerySet[Any]) -> Iterator[_Broken]:
    def broken(model: type[models.Model], chosen: Any, before: str) -> Iterator[_Broken]:
        ends = {str(field.name): field for field in model._meta.get_fields() if field.many_to_one or field.one_to_one}
        for part, inner in chosen.items():
            path = f"{before}{part}"
            target: Any = ends[part].related_model if part in ends else None
            if target is not None:
                yield from broken(target, inner, f"{path}{LOOKUP_SEP}")
            elif part not in queryset.query._filtered_relations:  # type: ignore[attr-defined]
                yield "select_related", path, model, part, list(ends)

    if isinstance(queryset.query.select_related, dict):
        yield from broken(queryset.model, queryset.query.select_related, "")


def _resolved_related(adapter: OrderAdapter[Any]) -> dict[type[models.Model], Watch]:
    """Return ``related`` as far as it names models."""
    try:
        named = adapter.watched()
    except (LookupError, ValueError):
        return {}
    return {model: watched for model, watched in named.items() if isinstance(model, type)}


def _check_routers(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    for model in [adapter.model, *_resolved_related(adapter)]:
        reads, writes = router.db_for_read(model), router.db_for_write(model)
        if reads == writes:
            continue
        deciding = next(
            (each for each in router.routers if getattr(each, "db_for_read", lambda model: None)(model)), None
        )
        yield info_message(
            64,
            f"{type(deciding).__qualname__} reads {model._meta.label} from {reads!r} and writes it to {writes!r}. "
            f"What {name} reads comes from {writes!r}: {reads!r} may lag behind the change that is pushed.",
            "Nothing needs to be done, unless the adapter names a database itself (using()).",
            type(adapter),
        )


def _check_database_deletes(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    by_database = [getattr(models, kind, None) for kind in ("DB_CASCADE", "DB_SET_NULL", "DB_SET_DEFAULT")]
    for model in [adapter.model, *_resolved_related(adapter)]:
        for field in model._meta.concrete_fields:
            target: Any = field.related_model
            if field.remote_field is None or (target and issubclass(target, adapter.model)):
                continue
            on_delete = getattr(field.remote_field, "on_delete", None)
            if on_delete is not None and on_delete in by_database:
                yield warning_message(
                    65,
                    f"{model._meta.label}.{field.name} leaves it to the database what happens when a "
                    f"{target._meta.label} is deleted, which sends no signal: {name} does not notice.",
                    "Use CASCADE or SET_NULL, or call enqueue() for the orders concerned.",
                    type(adapter),
                )


def _check_number_field(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    model = adapter.model
    columns = [field.name for field in model._meta.concrete_fields if not field.is_relation]
    if adapter.number_field not in columns:
        near = difflib.get_close_matches(adapter.number_field, columns, n=1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        yield error_message(
            18,
            f"{name}.number_field is {adapter.number_field!r}, which is no field of {model._meta.label}.",
            f"{meant}Its fields: {', '.join(columns)}. Leave number_field out where there is none.",
            type(adapter),
        )


def _check_site_field(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    names = [field.name for field in adapter.model._meta.get_fields() if getattr(field, "concrete", False)]
    if adapter.site_field not in names:
        yield error_message(
            68,
            f"{name}.site_field is {adapter.site_field!r}, which is no field of {adapter.model._meta.label}.",
            f"{did_you_mean(adapter.site_field, names)}Its fields: {', '.join(names)}. Without one, leave it out.",
            type(adapter),
        )


def _check_phase_statuses(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    phases = [phase.value for phase in ParcelPhase]
    for phase in adapter.phase_statuses:
        if phase not in phases:
            yield error_message(
                17,
                f"{name}.phase_statuses has {phase!r}, which is no phase.",
                f"{did_you_mean(str(phase), phases)}The phases: {', '.join(phases)}.",
                type(adapter),
            )
    names = [field.name for field in adapter.model._meta.concrete_fields]
    try:
        field: Any = adapter.model._meta.get_field(adapter.status_field)
    except FieldDoesNotExist:
        # A property will do: it is read and set as a field is.
        if not hasattr(adapter.model, adapter.status_field):
            yield error_message(
                17,
                f"{name}.status_field is {adapter.status_field!r}, which is no field of {adapter.model._meta.label}.",
                f"{did_you_mean(adapter.status_field, names)}Name the field that phase_statuses sets, or override "
                "set_order_status().",
                type(adapter),
            )
        return
    known = [value for value, _ in getattr(field, "flatchoices", None) or ()]
    for attribute, statuses in (
        ("phase_statuses", adapter.phase_statuses.values()),
        ("status_beginnings", adapter.status_beginnings or ()),
    ):
        for status in statuses:
            if known and status not in known:
                yield warning_message(
                    72,
                    f"{name}.{attribute} has the status {status!r}, which is no choice of "
                    f"{adapter.model._meta.label}.{adapter.status_field}.",
                    f"{did_you_mean(str(status), map(str, known))}Its choices: {', '.join(map(str, known))}.",
                    type(adapter),
                )


def _check_idle_status_attributes(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    """Check for attributes that have no effect without ``phase_statuses``."""
    for attribute in ("status_beginnings", "next_status", "set_order_status"):
        if any(attribute in vars(cls) for cls in type(adapter).__mro__ if cls not in OrderAdapter.__mro__):
            yield warning_message(
                72,
                f"{name} has {attribute} and no phase_statuses: parcels never move the status of an order.",
                'Name the status for each phase, as in phase_statuses = {"delivered": "completed"}.',
                type(adapter),
            )


def _check_related(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    for key, related in adapter.related.items():
        watched = related if isinstance(related, Watch) else Watch(related)
        path = watched.path
        if isinstance(key, str):
            try:
                model: Any = apps.get_model(key)
            except (LookupError, ValueError):
                yield error_message(
                    13,
                    f"{name}.related names the model {key!r}, which does not exist.",
                    'Write it as "app_label.Model", or give the class.',
                    type(adapter),
                )
                continue
        else:
            model = key
        if not (isinstance(model, type) and issubclass(model, models.Model)):
            yield error_message(
                13,
                f"{name}.related has {model!r} as a key, which is no model.",
                'Give the model class, or "app_label.Model".',
                type(adapter),
            )
        elif not callable(path) and not isinstance(path, str):
            yield error_message(
                13,
                f"{name}.related[{model.__name__}] is {path!r}, which is no path.",
                f'Name the relation from {model._meta.label} to {adapter.model._meta.label}, as in "order".',
                type(adapter),
            )
        elif not callable(path) and (problem := _path_problem(adapter, model, path)):
            relations = sorted(field.name for field in model._meta.get_fields() if field.is_relation)
            yield error_message(
                13,
                f"{name}.related[{model.__name__}] is {path!r}: {problem}",
                f"Name the relation from {model._meta.label} to {adapter.model._meta.label}. Its relations: "
                f"{', '.join(relations) or 'none'}.",
                type(adapter),
            )
        else:
            names = [field.name for field in model._meta.get_fields()]
            for field_name in watched.fields:
                if field_name not in names:
                    yield error_message(
                        67,
                        f"{name}.related[{model.__name__}] watches {field_name!r}, which is no field of "
                        f"{model._meta.label}.",
                        f"{did_you_mean(field_name, names)}Its fields: {', '.join(sorted(names))}.",
                        type(adapter),
                    )


def _path_problem(adapter: OrderAdapter[Any], model: type[models.Model], path: str) -> str | None:
    current: Any = model
    for part in path.split("__"):
        try:
            field = current._meta.get_field(part)
        except FieldDoesNotExist:
            return f"{current._meta.label} has no field {part!r}."
        if not field.is_relation or field.related_model is None:
            return f"{current._meta.label}.{part} is no relation."
        current = field.related_model
    if not (issubclass(current, adapter.model) or issubclass(adapter.model, current)):
        return f"it leads to {current._meta.label}."
    try:
        model._base_manager.filter(pk=None).values_list(f"{path}__pk")
    except FieldError:
        return "it cannot be queried."
    return None


# -- the project --------------------------------------------------------------------------------------


def check_project(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check the project: W020 DRF is missing, W021 the webhook URLs are not included, E022 times without a zone."""
    found: list[checks.CheckMessage] = []
    if not settings.USE_TZ:
        found.append(
            error_message(
                22,
                "USE_TZ is False: Sendcloud's times have a zone, and could not be stored.",
                "Set USE_TZ = True. TIME_ZONE stays as it is.",
            )
        )
    if not apps.is_installed("rest_framework"):
        found.append(
            warning_message(
                20,
                "rest_framework is not in INSTALLED_APPS.",
                'Add "rest_framework" to INSTALLED_APPS: the webhook is a view of Django REST framework.',
            )
        )
    try:
        reverse("django_sendcloud:webhook", args=["00000000-0000-0000-0000-000000000000"])
    except NoReverseMatch:
        found.append(
            warning_message(
                21,
                "The webhook's URLs are not included: Sendcloud cannot report parcels to the shop.",
                'Add path("sendcloud/", include("django_sendcloud.urls")) to the urlpatterns of '
                f"{getattr(settings, 'ROOT_URLCONF', 'your ROOT_URLCONF')}.",
            )
        )
    except Exception as error:
        # A URLconf that cannot be imported is for Django's own checks to report.
        found.append(
            warning_message(21, f"The URLs could not be looked at ({type(error).__name__}).", "Correct your URLconf.")
        )
    return found


def check_admin(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check for E070, an order admin to extend that no app registers."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    from .admin.orders.extend import not_extended

    return [
        error_message(
            70,
            f"extend_order_admin({model.__name__}): {model._meta.label} is not registered on the admin site "
            f"{site.name!r}.",
            "Register it with SendcloudOrderAdmin as a base class, or name its admin site: "
            "extend_order_admin(Order, site=...).",
            model,
        )
        for model, site in not_extended()
    ]


def check_celery(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check Celery.

    W030 no app, W031 no broker, W032 one in memory, W033 no periodic sweep, W035 one that needs a package.
    """
    app = celery_app()
    if app.main == "default" and not app.conf.broker_url:
        return [
            warning_message(
                30,
                "There is no Celery app: changes are recorded, and nothing pushes them.",
                "Create a Celery app, and import it in your project's __init__.py "
                "(https://docs.celeryq.dev/en/stable/django/first-steps-with-django.html). Without Celery, run "
                "`manage.py sendcloud_work` and silence this check (SILENCED_SYSTEM_CHECKS).",
            )
        ]
    if app.conf.task_always_eager:
        return []
    found: list[checks.CheckMessage] = []
    broker = app.conf.broker_write_url or app.conf.broker_url
    if isinstance(broker, list | tuple):
        broker = next(iter(broker), "")
    if not broker:
        found.append(
            warning_message(
                31,
                f"The Celery app {app.main!r} has no broker_url: it would try a RabbitMQ on this machine.",
                'Set CELERY_BROKER_URL in your settings (with app.config_from_object("django.conf:settings", '
                'namespace="CELERY")).',
            )
        )
    elif str(broker).startswith("memory://") and not settings.DEBUG:
        found.append(
            warning_message(
                32,
                "Celery's broker is memory://, which no other process can see.",
                "Use Redis or RabbitMQ, or filesystem:// for a trial without a server.",
            )
        )
    elif problem := _transport_problem(app):
        # Not the address: it may hold a password.
        scheme = str(broker).partition(":")[0].partition("+")[0]
        found.append(
            warning_message(
                35,
                f"Celery cannot talk to its broker ({scheme}): {problem}.",
                f'Install what it needs, for instance: pip install "celery[{EXTRAS.get(scheme, scheme)}]".',
            )
        )
    if not is_configured():
        return found
    # The schedule's jobs are the whole engine.
    from .schedule import beat_schedule

    ours = {entry["task"] for entry in beat_schedule().values()}
    scheduled = {entry.get("task") for entry in (app.conf.beat_schedule or {}).values() if isinstance(entry, dict)}
    if "django_sendcloud.sweep" not in scheduled and "django_celery_beat" not in str(app.conf.beat_scheduler):
        found.append(
            warning_message(
                33,
                "The periodic tasks are not scheduled: what failed once, or whose notification was lost, would wait "
                "for its next change.",
                "Merge them into your schedule: app.conf.beat_schedule = {**beat_schedule(), ...}, from "
                f"django_sendcloud.schedule. Tasks: {', '.join(sorted(ours))}.",
            )
        )
    return found


def _transport_problem(app: Celery) -> str:
    """Return why the library for the broker cannot be used; ``""`` if it can. Connects to nothing."""
    try:
        app.connection_for_write().transport  # noqa: B018 - imports the library
    except Exception as error:
        return f"{type(error).__name__}: {error}" if isinstance(error, ImportError) else type(error).__name__
    return ""


def check_sqlite(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check for W034, SQLite with deferred transactions: two processes would lock each other out."""
    if not is_configured():
        return []
    database = settings.DATABASES[conf().DATABASE]
    options = database.get("OPTIONS") or {}
    if (
        connections[conf().DATABASE].vendor != "sqlite"
        or str(options.get("transaction_mode", "")).upper() == "IMMEDIATE"
    ):
        return []
    return [
        warning_message(
            34,
            "SQLite begins its transactions deferred: a worker and the shop would meet 'database is locked'.",
            'Set its OPTIONS to {"transaction_mode": "IMMEDIATE", "timeout": 20}, or use PostgreSQL.',
        )
    ]


# -- deployment ---------------------------------------------------------------------------------------


def check_deployment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check the deployment.

    W040 derived keys, W041 another Sendcloud, E042 unencrypted, W043 and W044 the webhook's address.
    """
    if not is_configured():
        return []
    values = conf()
    found: list[checks.CheckMessage] = []
    if not values.ENCRYPTION_KEYS:
        found.append(
            warning_message(
                40,
                "SENDCLOUD['ENCRYPTION_KEYS'] is not set: credentials are encrypted with a key derived from SECRET_KEY "
                "and are lost when it changes.",
                "Set it to a list of Fernet keys, kept apart from the database's backups.",
            )
        )
    if _wrong_addresses(values):
        return found  # E007 names them.
    base = urlsplit(values.BASE_URL)
    if base.scheme != "https" and base.hostname not in LOOPBACK:
        found.append(
            error_message(
                42,
                f"SENDCLOUD['BASE_URL'] is {_shown(values.BASE_URL)!r}: API keys would travel unencrypted.",
                "Use https.",
            )
        )
    elif base.hostname != SENDCLOUD_HOST:
        found.append(
            warning_message(
                41,
                f"SENDCLOUD['BASE_URL'] is {_shown(values.BASE_URL)!r}: orders do not go to Sendcloud.",
                "Leave it out in production; the default is Sendcloud's address.",
            )
        )
    if not values.WEBHOOK_BASE_URL:
        found.append(
            warning_message(
                43,
                "SENDCLOUD['WEBHOOK_BASE_URL'] is not set: webhook addresses are proposed from the request of the "
                "operator who connects an integration.",
                'Set it to the address under which the shop is reached, for instance "https://shop.example".',
            )
        )
    elif urlsplit(values.WEBHOOK_BASE_URL).scheme != "https":
        found.append(
            warning_message(
                44,
                f"SENDCLOUD['WEBHOOK_BASE_URL'] is {_shown(values.WEBHOOK_BASE_URL)!r}: data would travel unencrypted.",
                "Use https.",
            )
        )
    return found


# -- stored data --------------------------------------------------------------------------------------


def check_stored(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Check the stored integrations.

    E050 an unreadable secret, W051 no keys, W052 several integrations and no get_integration(), W053 no tables.
    """
    from .models import Integration

    if not is_configured() or conf().DATABASE not in (databases or ()):
        return []
    if unapplied_migrations():
        return [
            # No error, which would keep ``migrate`` from running.
            warning_message(
                53,
                "The tables of django_sendcloud are missing or older than its code: orders are not recorded.",
                f"Run migrate --database {conf().DATABASE}, and sendcloud_sync for the orders changed until then.",
            )
        ]
    found: list[checks.CheckMessage] = []
    active = list(Integration.objects.active())
    for integration in active:
        try:
            integration.webhook_secrets()
        except DecryptionError as error:
            found.append(
                error_message(50, f"Integration {integration}: {error}", "Restore the key, or enter the secret again.")
            )
        if not integration.public_key or not integration.secret_key:
            found.append(
                warning_message(
                    51,
                    f"Integration {integration} has no API keys.",
                    "Enter them in the admin, or run sendcloud_connect. They are in Sendcloud's panel under Settings > "
                    "Integrations > Configure.",
                )
            )
    if len(active) > 1 and not any(each.for_countries or each.for_sites for each in active):
        for adapter in registry:
            hooks = ("get_integration", "get_package_integration")
            if all(getattr(type(adapter), hook) is getattr(OrderAdapter, hook) for hook in hooks):
                found.append(
                    warning_message(
                        52,
                        f"{len(active)} integrations are active, and {type(adapter).__qualname__} does not say which "
                        "one an order goes to.",
                        "Define get_integration(self, order); or enter countries or sites in the admin, or switch the "
                        "others off there.",
                        type(adapter),
                    )
                )
    return found
