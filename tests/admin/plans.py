"""How PostgreSQL reads for the overview when there is much: ``python -m tests.admin.plans`` prints it as JSON.

A process of its own, since it needs a PostgreSQL with many rows, whatever database the tests run on.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from typing import Any

ROWS = 40_000
LARGE = {f"django_sendcloud_{name}" for name in ("shipment", "parcel", "parcelstatus", "webhookevent", "attempt")}


def fill() -> None:
    from django.utils import timezone

    from django_sendcloud.models import Attempt, Integration, Parcel, ParcelStatus, Shipment, WebhookEvent

    now = timezone.now()
    integration = Integration.objects.create(remote_id=1, name="Shop", public_key="p", secret_key="s")

    def times() -> Iterator[tuple[int, dt.datetime]]:
        for number in range(ROWS):
            yield number, now - dt.timedelta(minutes=5 * number)

    def insert(rows: Any) -> None:
        rows = list(rows)
        type(rows[0]).objects.bulk_create(rows, batch_size=5000)

    insert(
        Shipment(
            integration=integration,
            order_type="shop.order",
            order_pk=str(number),
            external_order_id=str(number),
            external_shipment_id=str(number),
            status="synced",
            told_at=at,
        )
        for number, at in times()
    )
    shipments = list(Shipment.objects.values_list("pk", flat=True))
    insert(
        Parcel(
            integration=integration,
            shipment_id=shipments[number] if number else None,
            remote_id=number + 1,
            status_at=at,
        )
        for number, at in times()
    )
    parcels = list(Parcel.objects.values_list("pk", flat=True))
    insert(
        ParcelStatus(parcel_id=parcels[number], status_id=3, phase="in_transit", event_ms=number, at=at)
        for number, at in times()
    )
    insert(
        WebhookEvent(integration=integration, digest=f"{number:064}", action="x", state="processed", body="")
        for number, _ in times()
    )
    insert(
        Attempt(integration=integration, order_type="shop.order", order_pk=str(number), at=at, outcome="refused")
        for number, at in times()
    )


def tables(plan: dict[str, Any]) -> Iterator[str]:
    """What a plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for inner in plan.get("Plans", ()):
        yield from tables(inner)


def main() -> None:
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    call_command("migrate", run_syncdb=True, verbosity=0)
    fill()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    with CaptureQueriesContext(connection) as queries:
        assert client.get(reverse("admin:django_sendcloud_overview_changelist")).status_code == 200
    found = []
    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            if query["sql"].startswith("SELECT"):
                cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
                (plan,) = cursor.fetchone()[0]
                found.append({"sql": query["sql"], "read whole": sorted(LARGE & set(tables(plan["Plan"])))})
    print(json.dumps({"statements": len(queries), "plans": found}))


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    main()
