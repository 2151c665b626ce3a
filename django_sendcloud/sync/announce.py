"""Writing shipments down before Sendcloud hears of them for the first time.

What may come to exist there must be deletable from here, even if the worker dies right after sending.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connections

from ..conf import conf
from ..models import Shipment
from .bulk import values_or_arrays

__all__ = ["announce"]

Key = tuple[int, str, str]

_KEY = ("integration_id", "external_order_id", "external_shipment_id")
_OWNER = ("order_type", "order_pk")


def key_of(shipment: Shipment) -> Key:
    """What makes a shipment unique at Sendcloud."""
    return shipment.integration_id, shipment.external_order_id, shipment.external_shipment_id


def announce(shipments: Sequence[Shipment]) -> dict[Key, Shipment]:
    """Insert these shipments, except where there is one with the same key.

    Returns:
        What is there now for each key: the new one, or the one that was there, which may be another order's.
    """
    database = conf().DATABASE
    connection = connections[database]
    if connection.features.can_return_rows_from_bulk_insert:
        owners = _insert_returning(shipments)
    else:
        Shipment.objects.using(database).bulk_create(shipments, ignore_conflicts=True)
        rows = Shipment.objects.using(database).filter(
            integration__in={shipment.integration_id for shipment in shipments},
            external_order_id__in={shipment.external_order_id for shipment in shipments},
        )
        owners = {(row[0], row[1], row[2]): (row[3], row[4:]) for row in rows.values_list(*_KEY, "pk", *_OWNER)}

    found: dict[Key, Shipment] = {}
    taken: dict[int, Key] = {}
    for shipment in shipments:
        key = key_of(shipment)
        if key not in owners:
            continue
        pk, owner = owners[key]
        if tuple(owner) == (shipment.order_type, shipment.order_pk):
            shipment.pk = pk
            shipment._state.adding = False
            found[key] = shipment
        else:
            taken[pk] = key
    if taken:
        for pk, shipment in Shipment.objects.using(database).in_bulk(taken).items():
            found[taken[pk]] = shipment
    return found


def _insert_returning(shipments: Sequence[Shipment]) -> dict[Key, tuple[int, tuple[str, ...]]]:
    """One statement that inserts, and tells for each key what is there."""
    connection = connections[conf().DATABASE]
    quote = connection.ops.quote_name
    fields = [field for field in Shipment._meta.concrete_fields if not field.primary_key]
    table = quote(Shipment._meta.db_table)
    source, params = values_or_arrays(shipments, fields, connection)
    # An assignment that changes nothing, so that the row that is there is returned as well.
    keep = f"stamp = {table}.stamp"
    if connection.vendor == "mysql":
        conflict = f"ON DUPLICATE KEY UPDATE {keep}"
    else:
        conflict = f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {keep}"
    sql = (
        f"INSERT INTO {table} ({', '.join(quote(str(field.column)) for field in fields)}) "
        f"{source} {conflict} RETURNING {', '.join(('id', *_KEY, *_OWNER))}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {(row[1], row[2], row[3]): (row[0], row[4:]) for row in cursor.fetchall()}
