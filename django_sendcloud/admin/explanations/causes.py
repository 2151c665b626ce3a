"""Causes of problems in words, and the orders that share them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count, Q, QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext

from ...models import OutboxEntry
from ...sync import problems
from ...sync.health import pushed_again
from ...sync.problems import CAUSE
from .errors import explain, field_label

__all__ = ["Cause", "cause_of", "causes", "with_causes"]

_MISSING = frozenset({"required", "null", "text_null"})


class Cause(problems.Cause):
    """A cause that operators can read."""

    __slots__ = ()

    @property
    def title(self) -> str:
        """Name the cause: *Country is not valid*."""
        if not self.field:
            return str(explain(self.code).title)
        values = {"field": capfirst(field_label(self.field))}
        if self.rule in _MISSING:
            return gettext("%(field)s is missing") % values
        return gettext("%(field)s is not valid") % values


def cause_of(entry: OutboxEntry) -> Cause:
    return Cause(entry.error_code, entry.error_field, entry.error_rule)


def causes(entries: QuerySet[OutboxEntry]) -> dict[Cause, int]:
    """Return the causes that these entries have now with their numbers, the most common first. One query."""
    rows = entries.exclude(pushed_again()).filter(error_code__gt="").values_list(*CAUSE)
    return {Cause(*cause): number for *cause, number in rows.annotate(number=Count("pk")).order_by("-number", *CAUSE)}


def with_causes(entries: QuerySet[OutboxEntry], keys: Iterable[str]) -> QuerySet[OutboxEntry]:
    """Return the entries that have one of these causes now, given by :attr:`Cause.key`."""
    wanted = Q(pk__in=())
    for key in keys:
        wanted |= Q(*zip(CAUSE, Cause.of_key(key), strict=True))
    return entries.exclude(pushed_again()).filter(wanted)
