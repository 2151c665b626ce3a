"""The base of this app's models: its database, and the order that a row is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self, TypeVar

from django.db import connections, models
from django.db.models import Count, Value
from django.utils.translation import gettext_lazy as _

from ..conf import lenient_conf
from ..orders import OrderRef
from .fields import ExactCharField, StorableCharField

ModelT = TypeVar("ModelT", bound=models.Model)


class DatabaseQuerySet(models.QuerySet[ModelT]):
    """A queryset on ``SENDCLOUD["DATABASE"]``, whatever a database router says of reads."""

    def __init__(
        self,
        model: type[ModelT] | None = None,
        query: Any = None,
        using: str | None = None,
        hints: dict[str, models.Model] | None = None,
    ) -> None:
        super().__init__(model, query, using or lenient_conf().DATABASE, hints)

    def insert_or_update(
        self, rows: Iterable[ModelT], *, update_fields: Collection[str], unique_fields: Collection[str] = ("id",)
    ) -> None:
        """Insert rows in one statement, and update these fields of those that exist."""
        has_targets = connections[self.db].features.supports_update_conflicts_with_target
        self.bulk_create(
            rows,
            update_conflicts=True,
            # MySQL and MariaDB look at every unique key, and take no target.
            unique_fields=unique_fields if has_targets else None,
            update_fields=update_fields,
        )


class DatabaseManager(models.Manager[ModelT]):
    """The manager of a model without queries of its own."""

    def get_queryset(self) -> DatabaseQuerySet[ModelT]:
        return DatabaseQuerySet(self.model, using=self._db, hints=self._hints)  # type: ignore[attr-defined]


def count_in_one_statement(rows: Mapping[str, models.QuerySet[Any]]) -> dict[str, int]:
    """Return the number of rows of each queryset, in one statement.

    Args:
        rows: Querysets by name, all of this app's database. Each is counted alone, by its own index.
    """
    counts = [
        each.order_by().annotate(_name=Value(name)).values("_name").annotate(_number=Count("pk"))
        for name, each in rows.items()
    ]
    found = {row["_name"]: row["_number"] for row in counts[0].union(*counts[1:], all=True)} if counts else {}
    return {name: found.get(name, 0) for name in rows}


class SendcloudModel(models.Model):
    """A model of this app. Its ``Meta`` inherits from this one's."""

    class Meta:
        abstract = True
        # Django follows foreign keys with the base manager, and a plain one would ask the routers.
        base_manager_name = "objects"


class Dismissible(SendcloudModel):
    """A row that an operator can dismiss with a note, because nothing is left to do about it."""

    dismissed_at = models.DateTimeField(_("dismissed at"), null=True, blank=True, editable=False)
    dismissed_by = StorableCharField(
        _("dismissed by"), max_length=150, blank=True, default="", db_default="", editable=False
    )
    dismissed_note = StorableCharField(_("note"), max_length=200, blank=True, default="", db_default="", editable=False)

    class Meta(SendcloudModel.Meta):
        abstract = True


class OrderReferenceQuerySet(DatabaseQuerySet[ModelT]):
    """A queryset of rows that are about orders."""

    def of(self, ref: OrderRef) -> Self:
        """Return the rows of one order."""
        return self.filter(order_type=ref.order_type, order_pk=ref.order_pk)

    def for_order(self, order: models.Model) -> Self:
        """Return the rows of one order.

        Raises:
            RegistrationError: no adapter is responsible for its model.
        """
        return self.of(OrderRef.of(order))


class OrderReference(SendcloudModel):
    """A row that is about an order of the shop. It may outlive the order, so it is no foreign key."""

    order_type = models.CharField(_("order type"), max_length=100)
    order_pk = ExactCharField(_("order key"), max_length=255)

    class Meta(SendcloudModel.Meta):
        abstract = True

    def __str__(self) -> str:
        return str(self.ref)

    @property
    def ref(self) -> OrderRef:
        """Return the order that the row is about."""
        return OrderRef.stored(self.order_type, self.order_pk)

    def order(self) -> models.Model | None:
        """Return the shop's order, ``None`` if it is gone."""
        return self.ref.load()
