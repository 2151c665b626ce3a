"""Orders that were erased, so that nothing of them comes back with a late webhook."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models
from django.utils import timezone

from .base import DatabaseQuerySet, SendcloudModel


class ErasedKeyQuerySet(DatabaseQuerySet["ErasedKey"]):
    def remember(self, integration_id: int, keys: Iterable[tuple[str, Any]]) -> None:
        """Remember keys of an erased order, as digests.

        Args:
            integration_id: The integration it belonged to.
            keys: Pairs of the key's field on a parcel (``remote_id``, ``shipment_uuid``, ``external_order_id``,
                ``order_number``) and its value.
        """
        digests = {_digest(integration_id, field, value) for field, value in keys if value}
        self.bulk_create([ErasedKey(digest=digest) for digest in sorted(digests)], ignore_conflicts=True)

    def among(self, updates: Iterable[tuple[int, Mapping[str, Any]]]) -> list[bool]:
        """Return for each update of a parcel whether its order was erased. Costs one query.

        An order number alone decides only where an update has no other key: a shop may use a number again.

        Args:
            updates: Pairs of an integration's primary key and the keys of a parcel.
        """
        wanted: list[set[str]] = []
        for integration_id, keys in updates:
            named = {field: value for field, value in keys.items() if value}
            if named.keys() & {"shipment_uuid", "external_order_id"}:
                named.pop("order_number", None)
            wanted.append({_digest(integration_id, field, value) for field, value in named.items()})
        known = set(self.filter(digest__in=set().union(*wanted)).values_list("digest", flat=True)) if wanted else set()
        return [bool(digests & known) for digests in wanted]


class ErasedKey(SendcloudModel):
    """The digest of one key of an erased order."""

    digest = models.CharField(max_length=64, unique=True)
    erased_at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = ErasedKeyQuerySet.as_manager()

    class Meta(SendcloudModel.Meta):
        default_permissions = ()

    def __str__(self) -> str:
        return self.digest


def _digest(integration_id: int, field: str, value: Any) -> str:
    return hashlib.sha256(f"{integration_id}:{field}:{value}".encode("utf-8", "replace")).hexdigest()
