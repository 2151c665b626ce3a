"""Causes of problems: a code with the field and the rule behind it, so that equal problems are treated together."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext

from ...models import OutboxEntry
from ...violations import first_field
from .errors import explain, field_label

__all__ = ["Cause", "cause_of", "causes", "with_causes"]

# Entries read to find their causes: a shop with more has one cause, or few.
MOST = 5000
_MISSING = frozenset({"required", "null", "text_null"})


@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """A problem of orders that have the same fix.

    Args:
        code: Code of the problem.
        field: Contract path of the first field, without positions; ``""`` if no field is to blame.
        rule: Code of the violated rule.
    """

    code: str
    field: str = ""
    rule: str = ""

    @property
    def key(self) -> str:
        return ":".join((self.code, self.field, self.rule)) if self.field else self.code

    @property
    def title(self) -> str:
        """Name the cause: *Country is not valid*."""
        if not self.field:
            return str(explain(self.code).title)
        values = {"field": capfirst(field_label(self.field))}
        if self.rule in _MISSING:
            return gettext("%(field)s is missing") % values
        return gettext("%(field)s is not valid") % values


def cause_of(code: str, errors: Any) -> Cause:
    """Return the cause of an entry from its code and its field errors."""
    return Cause(code, *first_field(errors))


def causes(entries: QuerySet[OutboxEntry]) -> dict[Cause, list[int]]:
    """Return the causes of these entries with their primary keys, the most common first. One query."""
    found: dict[Cause, list[int]] = {}
    rows = entries.exclude(error_code="").order_by("-pk").values_list("pk", "error_code", "error_fields")[:MOST]
    for pk, code, errors in rows:
        found.setdefault(cause_of(code, errors), []).append(pk)
    return dict(sorted(found.items(), key=lambda each: -len(each[1])))


def with_causes(entries: QuerySet[OutboxEntry], keys: Collection[str]) -> QuerySet[OutboxEntry]:
    """Return the entries with one of these causes, given by :attr:`Cause.key`; a plain code means all of its causes."""
    if not any(":" in key for key in keys):
        return entries.filter(error_code__in=keys)
    codes = {key.partition(":")[0] for key in keys}
    return entries.filter(pk__in=_pks(causes(entries.filter(error_code__in=codes)).items(), keys))


def _pks(found: Iterable[tuple[Cause, list[int]]], keys: Collection[str]) -> list[int]:
    return [pk for cause, pks in found if cause.key in keys or cause.code in keys for pk in pks]
