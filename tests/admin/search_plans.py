"""PostgreSQL's plans for searches among many rows: ``python -m tests.admin.search_plans`` prints them as JSON.

A process of its own, because it needs a PostgreSQL with many rows, whatever database the tests use. The database
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

ROWS = 10_000
WANTED = 4_567
# Tables that are small in every shop and may be read whole.
SMALL = {"django_sendcloud_integration", "django_sendcloud_outboxentry"}


def fill() -> None:
    from django_sendcloud.models import Integration, Parcel, Shipment, WebhookEvent

    integrations = [Integration.objects.create(remote_id=1 + n, name=str(n)) for n in range(3)]

    def insert(rows: Any) -> None:
        rows = list(rows)
        type(rows[0]).objects.bulk_create(rows, batch_size=5000)

    insert(
        Shipment(
            integration=integrations[number % 3], order_type="shop.order", order_pk=f"key-{number}",
            order_number=f"N-{number}", external_order_id=f"id-{number}", external_shipment_id=f"id-{number}",
            uuid=uuid.UUID(int=number), status="synced",
        )
        for number in range(ROWS)
    )  # fmt: skip
    shipments = list(Shipment.objects.order_by("pk").values_list("pk", flat=True))
    insert(
        Parcel(
            integration=integrations[number % 3], shipment_id=shipments[number], remote_id=10**6 + number,
            tracking_number=f"3S{number}", order_number=f"N-{number}", shipment_uuid=uuid.UUID(int=number),
        )
        for number in range(ROWS)
    )  # fmt: skip
    parcels = list(Parcel.objects.order_by("pk").values_list("pk", flat=True))
    insert(
        WebhookEvent(integration=integrations[0], digest=f"{n:064}", state="processed", body="", parcel_id=parcels[n])
        for n in range(ROWS)
    )


def rows_read(plan: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Return the rows a plan reads of each table, discarded ones included."""
    if table := plan.get("Relation Name"):
        removed = sum(value for key, value in plan.items() if key.startswith("Rows Removed by"))
        if table not in SMALL:
            yield table, int((plan["Actual Rows"] + removed) * plan["Actual Loops"])
    for inner in plan.get("Plans", ()):
        yield from rows_read(inner)


def main() -> None:
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext, setup_test_environment
    from django.urls import reverse

    call_command("migrate", run_syncdb=True, verbosity=0)
    fill()
    setup_test_environment()
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    by_uuid = str(uuid.UUID(int=WANTED))
    searches = {
        "shipment": [f"N-{WANTED}", f"n-{WANTED}", f"id-{WANTED}", f"key-{WANTED}", f"3s{WANTED}", by_uuid],
        "parcel": [f"N-{WANTED}", f"3S{WANTED}", f"id-{WANTED}", str(10**6 + WANTED), by_uuid],
        "webhookevent": [f"N-{WANTED}", f"3S{WANTED}"],
    }
    found = []
    # With PostgreSQL's statistics, and before the first ANALYZE.
    for analyzed in (False, True):
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE" if analyzed else "SELECT 1")
        for name, words in searches.items():
            for word in words:
                with CaptureQueriesContext(connection) as queries:
                    page = client.get(reverse(f"admin:django_sendcloud_{name}_changelist"), {"q": word})
                plans, read = [], 0
                for query in queries.captured_queries:
                    # Queries of the filters' choices are the same without a search.
                    if not query["sql"].startswith(("SELECT", "(SELECT")) or "LIMIT 5000" in query["sql"]:
                        continue
                    with connection.cursor() as cursor:
                        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
                        tables = list(rows_read(cursor.fetchone()[0][0]["Plan"]))
                    plans.append((query["sql"], tables))
                    read += sum(number for _table, number in tables)
                result = page.context["cl"].result_count
                found.append({"list": name, "word": word, "found": result, "read": read, "plans": plans})
    print(json.dumps(found))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    main()
