"""System checks: every misconfiguration a newcomer makes, named with its cure.

None of them touches the database unless ``check --database`` asks for it, and none prints a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import connections, models, router
from django.urls import NoReverseMatch, reverse

from .adapters import OrderAdapter, registry
from .conf import SendcloudConfigurationError, conf, problems
from .crypto import DecryptionError, keyring
from .enums import ParcelPhase
from .models import OutboxEntry
from .schedule import beat_schedule
from .sync.record import MAX_KEY_LENGTH
from .tasks import celery_app

TAG = "sendcloud"
DOCS = "See docs/reference/checks.md#{}."

# Seconds of lease that must be left over once a whole exchange has run into its deadline.
LEASE_MARGIN = 5.0

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SENDCLOUD_HOST = "panel.sendcloud.sc"

Check = Callable[..., list[checks.CheckMessage]]


def register() -> None:
    """Register all checks. Called by ``AppConfig.ready``."""
    for check in (check_settings, check_adapters, check_project, check_celery, check_sqlite):
        checks.register(check, TAG)
    checks.register(check_deployment, TAG, checks.Tags.security, deploy=True)
    checks.register(check_stored, TAG, checks.Tags.database)


def _error(number: int, message: str, hint: str, obj: Any = None) -> checks.Error:
    code = f"sendcloud.E{number:03}"
    return checks.Error(message, hint=f"{hint} {DOCS.format(code)}", obj=obj, id=code)


def _warning(number: int, message: str, hint: str, obj: Any = None) -> checks.Warning:
    code = f"sendcloud.W{number:03}"
    return checks.Warning(message, hint=f"{hint} {DOCS.format(code)}", obj=obj, id=code)


def _shown(url: str) -> str:
    """An address without the user and password that may stand in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _settings_are_readable() -> bool:
    return not problems(getattr(settings, "SENDCLOUD", {}))


# -- settings -----------------------------------------------------------------------------------------


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """E001 a key, E002 the lease, E003 an encryption key, E004 the database alias, E005 the parcel phases, E006 its
    router.
    """
    found: list[checks.CheckMessage] = [
        _error(1, f"SENDCLOUD[{key!r}] {text}", "Correct it in your settings.")
        for key, text in problems(getattr(settings, "SENDCLOUD", {}))
    ]
    if found:
        return found
    values = conf()
    if values.LEASE_SECONDS < values.DEADLINE_SECONDS + LEASE_MARGIN:
        found.append(
            _error(
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
        found.append(_error(3, str(error), "Correct SENDCLOUD['ENCRYPTION_KEYS']."))
    if values.DATABASE not in settings.DATABASES:
        found.append(
            _error(
                4,
                f"SENDCLOUD['DATABASE'] is {values.DATABASE!r}, which is not in DATABASES.",
                f"Use one of: {', '.join(settings.DATABASES)}.",
            )
        )
    elif router.db_for_write(OutboxEntry) != values.DATABASE:
        found.append(
            _error(
                6,
                f"SENDCLOUD['DATABASE'] is {values.DATABASE!r}, but this app's models are routed to "
                f"{router.db_for_write(OutboxEntry)!r}.",
                'Add "django_sendcloud.routers.SendcloudRouter" to DATABASE_ROUTERS, before other routers, and run '
                f"migrate --database {values.DATABASE}.",
            )
        )
    phases = [phase.value for phase in ParcelPhase]
    for status, phase in values.PARCEL_PHASES.items():
        if not isinstance(status, int) or phase not in phases:
            found.append(
                _error(
                    5,
                    f"SENDCLOUD['PARCEL_PHASES'] maps {status!r} to {phase!r}.",
                    f"Map Sendcloud's status ids (numbers) to one of: {', '.join(phases)}.",
                )
            )
    return found


# -- adapters -----------------------------------------------------------------------------------------


def check_adapters(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """W010 no adapter, and what is wrong with each (E011 to E015, W016, E017 to E019)."""
    if not len(registry):
        return [
            _warning(
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
    if cls.get_shipments is OrderAdapter.get_shipments:
        yield _error(
            11,
            f"{name} has no get_shipments().",
            "Define get_shipments(self, order) and yield a ShipmentPayload for each shipment of the order.",
            cls,
        )
    if adapter.changed_at:
        yield from _check_changed_at(adapter, name)
    if adapter.number_field:
        yield from _check_number_field(adapter, name)
    if adapter.phase_statuses:
        yield from _check_phase_statuses(adapter, name)
    yield from _check_related(adapter, name)
    if adapter.queryset is not None and not issubclass(adapter.queryset.model, model):
        yield _error(
            14,
            f"{name}.queryset is of {adapter.queryset.model._meta.label}, not of {model._meta.label}.",
            f"Begin it with {model.__name__}.objects.",
            cls,
        )
    if isinstance(model._meta.pk, getattr(models, "CompositePrimaryKey", ())):
        yield _error(
            15,
            f"{model._meta.label} has a composite primary key, which an outbox entry cannot name.",
            "Register a model with a primary key of one field.",
            cls,
        )
    if (getattr(model._meta.pk, "max_length", None) or 0) > MAX_KEY_LENGTH:
        yield _error(
            19,
            f"The primary key of {model._meta.label} may have {model._meta.pk.max_length} characters, and an outbox "
            f"entry can name an order by at most {MAX_KEY_LENGTH}: longer ones would not be recorded.",
            f"Limit it to {MAX_KEY_LENGTH} characters.",
            cls,
        )
    if _settings_are_readable() and router.db_for_write(model) != conf().DATABASE:
        yield _warning(
            16,
            f"{model._meta.label} is written to the database {router.db_for_write(model)!r}, and the outbox to "
            f"{conf().DATABASE!r}: no transaction spans both, so a crash at the wrong moment delays a change.",
            "Set SENDCLOUD['DATABASE'] to the alias of the database that holds the orders, and migrate it; or silence "
            "this check if they have to be apart.",
            cls,
        )


def _check_changed_at(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    model = adapter.model
    times = [f.name for f in model._meta.get_fields() if isinstance(f, models.DateTimeField)]
    try:
        field = model._meta.get_field(adapter.changed_at)
    except FieldDoesNotExist:
        field = None
    if not isinstance(field, models.DateTimeField):
        near = difflib.get_close_matches(adapter.changed_at, times, n=1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        yield _error(
            12,
            f"{name}.changed_at is {adapter.changed_at!r}, which is no DateTimeField of {model._meta.label}.",
            f"{meant}Its DateTimeFields: {', '.join(times) or 'none'}. Leave changed_at out where there is none.",
            type(adapter),
        )


def _check_number_field(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    model = adapter.model
    columns = [field.name for field in model._meta.concrete_fields if not field.is_relation]
    if adapter.number_field not in columns:
        near = difflib.get_close_matches(adapter.number_field, columns, n=1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        yield _error(
            18,
            f"{name}.number_field is {adapter.number_field!r}, which is no field of {model._meta.label}.",
            f"{meant}Its fields: {', '.join(columns)}. Leave number_field out where there is none.",
            type(adapter),
        )


def _check_phase_statuses(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    phases = [phase.value for phase in ParcelPhase]
    if unknown := [phase for phase in adapter.phase_statuses if phase not in phases]:
        yield _error(
            17,
            f"{name}.phase_statuses has {unknown[0]!r}, which is no phase.",
            f"The phases: {', '.join(phases)}.",
            type(adapter),
        )
    try:
        adapter.model._meta.get_field(adapter.status_field)
    except FieldDoesNotExist:
        yield _error(
            17,
            f"{name}.status_field is {adapter.status_field!r}, which is no field of {adapter.model._meta.label}.",
            "Name the field that phase_statuses sets, or override set_order_status().",
            type(adapter),
        )


def _check_related(adapter: OrderAdapter[Any], name: str) -> Iterator[checks.CheckMessage]:
    for key, path in adapter.related.items():
        if isinstance(key, str):
            try:
                model: Any = apps.get_model(key)
            except (LookupError, ValueError):
                yield _error(
                    13,
                    f"{name}.related names the model {key!r}, which does not exist.",
                    'Write it as "app_label.Model", or give the class.',
                    type(adapter),
                )
                continue
        else:
            model = key
        if not (isinstance(model, type) and issubclass(model, models.Model)):
            yield _error(
                13,
                f"{name}.related has {model!r} as a key, which is no model.",
                'Give the model class, or "app_label.Model".',
                type(adapter),
            )
        elif not callable(path) and (problem := _path_problem(adapter, model, path)):
            relations = sorted(field.name for field in model._meta.get_fields() if field.is_relation)
            yield _error(
                13,
                f"{name}.related[{model.__name__}] is {path!r}: {problem}",
                f"Name the relation from {model._meta.label} to {adapter.model._meta.label}. Its relations: "
                f"{', '.join(relations) or 'none'}.",
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
    """W020 DRF is missing, W021 the webhook URLs are not included, E022 times without a zone."""
    found: list[checks.CheckMessage] = []
    if not settings.USE_TZ:
        found.append(
            _error(
                22,
                "USE_TZ is False: Sendcloud's times have a zone, and could not be stored.",
                "Set USE_TZ = True. TIME_ZONE stays as it is.",
            )
        )
    if not apps.is_installed("rest_framework"):
        found.append(
            _warning(
                20,
                "rest_framework is not in INSTALLED_APPS.",
                'Add "rest_framework" to INSTALLED_APPS: the webhook is a view of Django REST framework.',
            )
        )
    try:
        reverse("django_sendcloud:webhook", args=["00000000-0000-0000-0000-000000000000"])
    except NoReverseMatch:
        found.append(
            _warning(
                21,
                "The webhook's URLs are not included: Sendcloud cannot tell the shop about parcels.",
                'Add path("sendcloud/", include("django_sendcloud.urls")) to the urlpatterns of '
                f"{getattr(settings, 'ROOT_URLCONF', 'your ROOT_URLCONF')}.",
            )
        )
    except Exception as error:
        # A URLconf that cannot be imported is for Django's own checks to report.
        found.append(
            _warning(21, f"The URLs could not be looked at ({type(error).__name__}).", "Correct your URLconf.")
        )
    return found


def check_celery(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """W030 no Celery app, W031 no broker, W032 one in memory, W033 no periodic sweep, W035 one that needs a package."""
    app = celery_app()
    if app.main == "default" and not app.conf.broker_url:
        return [
            _warning(
                30,
                "There is no Celery app: changes are recorded, and nothing pushes them.",
                "Create a Celery app, and import it in your project's __init__.py "
                "(https://docs.celeryq.dev/en/stable/django/first-steps-with-django.html).",
            )
        ]
    if app.conf.task_always_eager:
        return []
    found: list[checks.CheckMessage] = []
    broker = app.conf.broker_write_url or app.conf.broker_url
    if not broker:
        found.append(
            _warning(
                31,
                f"The Celery app {app.main!r} has no broker_url: it would try a RabbitMQ on this machine.",
                'Set CELERY_BROKER_URL in your settings (with app.config_from_object("django.conf:settings", '
                'namespace="CELERY")).',
            )
        )
    elif str(broker).startswith("memory://") and not settings.DEBUG:
        found.append(
            _warning(
                32,
                "Celery's broker is memory://, which no other process can see.",
                "Use Redis or RabbitMQ, or filesystem:// for a trial without a server.",
            )
        )
    elif problem := _transport_problem(app):
        # Not the address: it may hold a password.
        scheme = str(broker).partition(":")[0]
        found.append(
            _warning(
                35,
                f"Celery cannot talk to its broker ({scheme}): {problem}.",
                f'Install what it needs, for instance: pip install "celery[{scheme}]".',
            )
        )
    if not _settings_are_readable():
        return found
    ours = {entry["task"] for entry in beat_schedule().values()}
    scheduled = {entry.get("task") for entry in (app.conf.beat_schedule or {}).values() if isinstance(entry, dict)}
    if "django_sendcloud.sweep" not in scheduled and "django_celery_beat" not in str(app.conf.beat_scheduler):
        found.append(
            _warning(
                33,
                "The periodic tasks are not scheduled: what failed once, or whose wake-up was lost, would wait "
                "for its next change.",
                "Merge them into your schedule: app.conf.beat_schedule = {**beat_schedule(), ...}, from "
                f"django_sendcloud.schedule. Tasks: {', '.join(sorted(ours))}.",
            )
        )
    return found


def _transport_problem(app: Celery) -> str:
    """Why the library for the broker cannot be used; ``""`` where it can. Connects to nothing."""
    try:
        app.connection_for_write()
    except Exception as error:
        return f"{type(error).__name__}: {error}" if isinstance(error, ImportError) else type(error).__name__
    return ""


def check_sqlite(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """W034 SQLite with deferred transactions: two processes would lock each other out."""
    if not _settings_are_readable() or conf().DATABASE not in settings.DATABASES:
        return []
    database = settings.DATABASES[conf().DATABASE]
    options = database.get("OPTIONS") or {}
    if (
        connections[conf().DATABASE].vendor != "sqlite"
        or str(options.get("transaction_mode", "")).upper() == "IMMEDIATE"
    ):
        return []
    return [
        _warning(
            34,
            "SQLite begins its transactions deferred: a worker and the shop would meet 'database is locked'.",
            'Set its OPTIONS to {"transaction_mode": "IMMEDIATE", "timeout": 20}, or use PostgreSQL.',
        )
    ]


# -- deployment ---------------------------------------------------------------------------------------


def check_deployment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """W040 derived keys, W041 another Sendcloud, E042 unencrypted, W043 and W044 the webhook's address."""
    if not _settings_are_readable():
        return []
    values = conf()
    found: list[checks.CheckMessage] = []
    if not values.ENCRYPTION_KEYS:
        found.append(
            _warning(
                40,
                "SENDCLOUD['ENCRYPTION_KEYS'] is not set: credentials are encrypted with a key derived from SECRET_KEY "
                "and are lost when it changes.",
                "Set it to a list of Fernet keys, kept apart from the database's backups.",
            )
        )
    base = urlsplit(values.BASE_URL)
    if base.scheme != "https" and base.hostname not in LOOPBACK:
        found.append(
            _error(
                42,
                f"SENDCLOUD['BASE_URL'] is {_shown(values.BASE_URL)!r}: API keys would travel unencrypted.",
                "Use https.",
            )
        )
    elif base.hostname != SENDCLOUD_HOST:
        found.append(
            _warning(
                41,
                f"SENDCLOUD['BASE_URL'] is {_shown(values.BASE_URL)!r}: orders do not go to Sendcloud.",
                "Leave it out in production; the default is Sendcloud's address.",
            )
        )
    if not values.WEBHOOK_BASE_URL:
        found.append(
            _warning(
                43,
                "SENDCLOUD['WEBHOOK_BASE_URL'] is not set: webhook addresses are proposed from the request of whoever "
                "connects an integration.",
                'Set it to the address under which the shop is reached, for instance "https://shop.example".',
            )
        )
    elif urlsplit(values.WEBHOOK_BASE_URL).scheme != "https":
        found.append(
            _warning(
                44,
                f"SENDCLOUD['WEBHOOK_BASE_URL'] is {_shown(values.WEBHOOK_BASE_URL)!r}: data would travel unencrypted.",
                "Use https.",
            )
        )
    return found


# -- what is stored -----------------------------------------------------------------------------------


def check_stored(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """E050 an unreadable secret, W051 an integration without keys, W052 several and no get_integration()."""
    from .models import Integration

    if not _settings_are_readable() or conf().DATABASE not in (databases or ()):
        return []
    connection = connections[conf().DATABASE]
    if Integration._meta.db_table not in connection.introspection.table_names():
        return []  # not migrated yet
    found: list[checks.CheckMessage] = []
    active = list(Integration.objects.using(conf().DATABASE).active())
    for integration in active:
        try:
            integration.webhook_secrets()
        except DecryptionError as error:
            found.append(
                _error(50, f"Integration {integration}: {error}", "Restore the key, or enter the secret again.")
            )
        if not integration.public_key or not integration.secret_key:
            found.append(
                _warning(
                    51,
                    f"Integration {integration} has no API keys.",
                    "Enter them in the admin, or run sendcloud_connect. They are in Sendcloud's panel under Settings > "
                    "Integrations.",
                )
            )
    if len(active) > 1:
        for adapter in registry:
            if type(adapter).get_integration is OrderAdapter.get_integration:
                found.append(
                    _warning(
                        52,
                        f"{len(active)} integrations are active, and {type(adapter).__qualname__} does not say which "
                        "one an order goes to.",
                        "Define get_integration(self, order), or switch the others off in the admin.",
                        type(adapter),
                    )
                )
    return found
