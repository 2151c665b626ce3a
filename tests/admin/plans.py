"""PostgreSQL's plans for the overview of a large shop: ``python -m tests.admin.plans`` prints them as JSON.

A process of its own, because it needs a PostgreSQL with many rows, whatever database the tests use. The database
makes the rows: a million of them would take Python minutes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

# A shop that has shipped for years, some thousands of orders a day.
SHIPMENTS = 1_000_000
PARCELS = 200_000
# Orders waiting after an hour without Sendcloud, and stuck ones.
WAITING, STUCK = 50_000, 500
INTEGRATIONS = 3
# Tables that grow with the shop. (The outbox holds only pending orders: it is counted whole, and once.)
LARGE = {f"django_sendcloud_{name}" for name in ("shipment", "parcel", "webhookevent")}

# One a minute, into the past.
AT = "now() - n * interval '1 minute'"
ROWS = {
    "shipment": (
        SHIPMENTS,
        {
            "integration_id": "ids[1 + n % 3]",
            "order_type": "'shop.order'",
            "order_pk": "n::text",
            "order_number": "n::text",
            "external_order_id": "n::text",
            "external_shipment_id": "n::text",
            "status": "'synced'",
            "remote_id": "''",
            "errors": "'{}'",
            "digest": "''",
            "stamp": "n",
            "last_pushed_at": AT,
            "created_at": AT,
            "seen_run": "0",
            "order_status": "''",
            "mismatches": "0",
            "label_conflict": "''",
            "label_differences": "'[]'",
            "parts": "'{}'",
            "label_fields": "'{}'",
            "delivery": "CASE n % 1000 WHEN 1 THEN 'problem' WHEN 2 THEN '' WHEN 3 THEN 'announced' ELSE 'delivered' END",
            "delivery_at": AT,
            "contents": "'{}'",
        },
    ),
    "parcel": (
        PARCELS,
        {
            "integration_id": "ids[1 + n % 3]",
            "shipment_id": "CASE WHEN n % 1000 > 0 THEN (SELECT min(id) FROM django_sendcloud_shipment) + n END",
            "remote_id": "n",
            "external_order_id": "n::text",
            "external_shipment_id": "n::text",
            "order_number": "n::text",
            "dismissed_by": "''",
            "dismissed_note": "''",
            "carrier": "'postnl'",
            "tracking_number": "n::text",
            "tracking_url": "''",
            "labels": "'{}'",
            "is_return": "false",
            "status_message": "''",
            "phase": "CASE n % 1000 WHEN 1 THEN 'announced' ELSE 'in_transit' END",
            "status_at": AT,
            "last_event_ms": "n",
            "versions": "'{}'",
            "items": "'[]'",
            "created_at": AT,
            "updated_at": AT,
        },
    ),
    "webhookevent": (
        PARCELS,
        {
            "integration_id": "ids[1 + n % 3]",
            "digest": "n::text",
            "dismissed_by": "''",
            "dismissed_note": "''",
            "body": "''",
            "action": "'parcel_status_changed'",
            "state": "CASE n % 2000 WHEN 0 THEN 'received' WHEN 1 THEN 'failed' WHEN 2 THEN 'receiver_failed' ELSE 'processed' END",
            "due_at": AT,
            "attempts": "0",
            "failures": "0",
            "note": "'{}'",
            "follow_ups": "'{}'",
            "is_blocking": "true",
            "received_at": AT,
        },
    ),
    "outboxentry": (
        WAITING + STUCK,
        {
            "integration_id": "ids[1 + n % 3]",
            "order_type": "'shop.order'",
            "order_pk": "n::text",
            "state": f"CASE WHEN n <= {WAITING} THEN 'pending' ELSE 'rejected' END",
            "due_at": "now() - n * interval '0.1 second'",
            "not_before": "now() - n * interval '0.1 second'",
            "error_code": f"CASE WHEN n <= {WAITING} THEN '' ELSE 'rejected' END",
            "error_detail": "''",
            "error_fields": "'{}'",
            "recorded_at": "now()",
            "changed_at": "now()",
        },
    ),
}


def fill() -> None:
    from django.db import connection

    from django_sendcloud.models import Integration

    ids = [
        Integration.objects.create(remote_id=1 + n, name=str(n), public_key="p", secret_key="s").pk
        for n in range(INTEGRATIONS)
    ]
    with connection.cursor() as cursor:
        for name, (number, columns) in ROWS.items():
            values = ", ".join(columns.values()).replace("ids", f"(ARRAY{ids})")
            sql = f"INSERT INTO django_sendcloud_{name} ({', '.join(columns)}) SELECT {values} "
            cursor.execute(f"{sql} FROM generate_series(1, {number}) AS n")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def rows_read(node: dict[str, Any]) -> int:
    """Return the rows a node reads, discarded ones included."""
    removed = sum(value for key, value in node.items() if key.startswith("Rows Removed by"))
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])


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
            if not query["sql"].lstrip("(").startswith("SELECT"):
                continue
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
            (plan,) = cursor.fetchone()[0]
            scans = [node for node in nodes(plan["Plan"]) if node.get("Relation Name", "") in LARGE]
            found.append(
                {
                    "sql": query["sql"],
                    "large": sorted({node["Relation Name"] for node in scans}),
                    "read whole": sorted({n["Relation Name"] for n in scans if n["Node Type"].endswith("Seq Scan")}),
                    "rows": sum(map(rows_read, scans)),
                    "milliseconds": plan["Execution Time"],
                }
            )
    print(json.dumps({"statements": len(queries), "plans": found}))


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    main()
