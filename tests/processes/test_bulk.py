"""Bulk writes with any characters in order numbers and keys, on each database."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.project import Project

WRITE_AND_READ_BACK = r"""
import datetime as dt, uuid
from django.db import transaction
from django_sendcloud.models import Integration, Shipment
from django_sendcloud.sync.push.settle import _write_pushed

ODD = ['"', "\\", "{}", "{a,b}", "NULL", "null", "'", '\\"', ",", " ", "a\nb", "a\tb", "é漢😀", "%s", "$1", "x" * 255]
STORED = ["status", "errors", "uuid", "order_number", "stamp", "last_pushed_at", "deleted_at"]
integration = Integration.objects.create(remote_id=1, name="x", public_key="a" * 32, secret_key="b" * 32)
noon = dt.datetime(2026, 3, 1, 12, 30, 15, 123456, dt.UTC)


def read(names):
    return {row[0]: row[1:] for row in Shipment.objects.values_list("external_order_id", *names)}


rows = [
    Shipment(
        integration=integration, order_type="shop.order", order_pk=f"{text}{number}"[-255:], order_number=text,
        external_order_id=f"{text}{number}"[-255:], external_shipment_id=f"{number}{text}"[:255], stamp=number,
    )
    for number, text in enumerate(ODD)
]
wanted = {row.external_order_id: (row.order_pk, row.order_number, row.external_shipment_id, row.stamp) for row in rows}
Shipment.objects.bulk_create(rows, ignore_conflicts=True)
rows = list(Shipment.objects.all())
assert len(rows) == len(ODD)
assert read(["order_pk", "order_number", "external_shipment_id", "stamp"]) == wanted

for number, row in enumerate(rows):
    row.status = "rejected" if number % 2 else "synced"
    row.errors = {"name": [row.order_number]} if number % 2 else {}
    row.uuid = None if number % 3 else uuid.UUID(int=number + 1)
    row.order_number = row.order_number[::-1]
    row.stamp = 2**62 - number
    row.last_pushed_at = None if number % 5 else noon + dt.timedelta(days=number)
    row.deleted_at = noon
wanted = {row.external_order_id: tuple(getattr(row, name) for name in STORED) for row in rows}
erased = rows.pop()
wanted.pop(erased.external_order_id)
Shipment.objects.filter(pk=erased.pk).delete()
with transaction.atomic():
    _write_pushed([*rows, erased])
assert read(STORED) == wanted

print("as written")
"""


@pytest.mark.services("postgresql", "mariadb")
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_bulk_write_keeps_every_value(make_project: Callable[..., Project], database: str) -> None:
    assert make_project(database).run(WRITE_AND_READ_BACK) == "as written"


@pytest.mark.services("postgresql")
def test_bulk_write_works_with_server_side_binding(make_project: Callable[..., Project]) -> None:
    project = make_project("postgresql")
    project.database_url += "?server_side_binding=true"
    binds = (
        "from django.db import connection; assert connection.settings_dict['OPTIONS']['server_side_binding'] is True"
    )
    assert project.run(f"{binds}\n{WRITE_AND_READ_BACK}") == "as written"
