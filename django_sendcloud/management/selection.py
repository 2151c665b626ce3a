"""Commands on orders that their options choose."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import router
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from ..adapters import OrderAdapter
from ..registry import registry
from .tables import TablesCommand

__all__ = ["OrdersCommand"]

# Values that are no text.
_VALUES: dict[str, Any] = {"True": True, "False": False, "None": None}


class OrdersCommand(TablesCommand):
    """A command on orders that are chosen by model, key, date or condition."""

    def add_selection(self, parser: CommandParser) -> None:
        """Add the options that choose orders."""
        parser.add_argument("--all", action="store_true", help="All orders of all registered models.")
        parser.add_argument("--model", metavar="app.Model", help="Only orders of this model.")
        parser.add_argument("--since", metavar="DATE", help="Orders modified since then (needs changed_at_field).")
        parser.add_argument("--pk", nargs="+", default=[], help="Orders with these keys.")
        parser.add_argument(
            "--filter",
            metavar="LOOKUP=VALUE",
            nargs="+",
            default=[],
            help="Orders that match all of these, as in a queryset: status=paid placed_at__gte=2026-01-01.",
        )

    def chosen_adapters(self, options: dict[str, Any]) -> list[OrderAdapter[Any]]:
        """Return the adapters of the chosen orders."""
        adapters = self.adapters(options["model"])
        if len(adapters) > 1 and (options["pk"] or options["filter"]):
            known = ", ".join(adapter.model._meta.label for adapter in adapters)
            raise CommandError(f"Say which orders are meant: --model with one of {known}.")
        return adapters

    def adapters(self, label: str | None) -> list[OrderAdapter[Any]]:
        if label is None:
            if not len(registry):
                raise CommandError("No adapter is registered. Write one in a module sendcloud.py of an installed app.")
            return list(registry)
        try:
            adapter = registry.for_model(apps.get_model(label))
        except (LookupError, ValueError):
            raise CommandError(f"--model {label}: there is no such model. Write it as app.Model.") from None
        if adapter is None:
            known = ", ".join(adapter.model._meta.label for adapter in registry)
            raise CommandError(f"--model {label} has no adapter. Registered: {known or 'none'}.")
        return [adapter]

    def orders(self, adapter: OrderAdapter[Any], options: dict[str, Any]) -> QuerySet[Any]:
        """Return the chosen orders of this adapter."""
        # Never from a replica: it may not have them yet.
        orders: QuerySet[Any] = adapter.model._base_manager.using(router.db_for_write(adapter.model))
        if options["pk"]:
            orders = self.filtered(orders, "--pk", {"pk__in": options["pk"]})
        for condition in options["filter"]:
            lookup, equals, value = condition.partition("=")
            if not equals:
                raise CommandError(f"--filter {condition}: write it as lookup=value, for instance status=paid.")
            orders = self.filtered(orders, f"--filter {condition}", {lookup: _VALUES.get(value, value)})
        if options["since"]:
            if not adapter.changed_at_field:
                raise CommandError(
                    f"--since needs the modification field of {adapter.model._meta.label}: set changed_at_field in "
                    f"{type(adapter).__qualname__}."
                )
            orders = orders.filter(**{f"{adapter.changed_at_field}__gte": _moment(options["since"])})
        return orders.distinct() if options["filter"] else orders

    def filtered(self, orders: QuerySet[Any], option: str, condition: dict[str, Any]) -> QuerySet[Any]:
        try:
            return orders.filter(**condition)
        except FieldError as error:
            raise CommandError(f"{option}: {error}") from None
        except (ValidationError, ValueError, TypeError):
            raise CommandError(f"{option}: that is no value for it.") from None


def _moment(text: str) -> dt.datetime:
    try:
        moment = parse_datetime(text)
        if moment is None and (day := parse_date(text)):
            moment = dt.datetime.combine(day, dt.time())
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"--since {text}: write a date as 2026-11-23, or a time as 2026-11-23T14:30.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
