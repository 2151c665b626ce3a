"""Two tenants of one shop, each with a Sendcloud account of its own. Prints what came of it as JSON."""

from __future__ import annotations

import contextlib
import json
import time

import django
from django.core.management import CommandError, call_command

django.setup()

from django.db import connection  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django_tenants.utils import schema_context, tenant_context  # noqa: E402

from django_sendcloud.models import Integration, OutboxEntry, Parcel, Shipment  # noqa: E402
from django_sendcloud.sandbox import Sandbox  # noqa: E402
from django_sendcloud.testing import send_webhook  # noqa: E402
from tests.recipes.tenants.accounts.models import Domain, Tenant  # noqa: E402
from tests.recipes.tenants.shop.models import Order  # noqa: E402


def main() -> dict[str, object]:
    call_command("migrate_schemas", schema_name="public", verbosity=0)
    public = Tenant.objects.create(schema_name="public", name="Public")
    Domain.objects.create(domain="www.example", tenant=public, is_primary=True)
    tenants = [Tenant.objects.create(schema_name=name, name=name) for name in ("north", "south", "west")]
    for tenant in tenants:
        Domain.objects.create(domain=f"{tenant.name}.example", tenant=tenant, is_primary=True)
    result: dict[str, object] = {}
    with Sandbox() as sandbox:
        settings = {"BASE_URL": sandbox.base_url, "TOKEN_URL": sandbox.token_url, "DEBOUNCE_SECONDS": 0.0}
        with override_settings(SENDCLOUD=settings):
            for tenant, remote in zip(
                tenants, [sandbox.get_integration(), sandbox.add_integration("South")], strict=False
            ):
                with tenant_context(tenant):
                    Integration.objects.create(
                        remote_id=remote.id,
                        name=tenant.name,
                        public_key=remote.public_key,
                        secret_key=remote.secret_key,
                    )
                    for number in range(2):
                        Order.objects.create(number=f"{tenant.name}-{number}")
            with tenant_context(tenants[2]), connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE {OutboxEntry._meta.db_table} CASCADE")
            try:
                call_command("ship_tenants")
            except CommandError as error:
                result["said"] = str(error)
            result["there"] = {
                remote.shop_name: sorted(each["order_number"] for each in sandbox.shipments(remote.id))
                for remote in sandbox.integrations
            }
            with tenant_context(tenants[1]):
                integration = Integration.objects.get()
                parcel = {
                    "id": 7,
                    "tracking_number": "3SABC",
                    "shipment_uuid": str(Shipment.objects.filter(order_number="south-0").get().uuid),
                    "status": {"id": 3, "message": "En route to sorting center"},
                }
            update = {"action": "parcel_status_changed", "timestamp": int(time.time() * 1000), "parcel": parcel}
            answers = {}
            for host in ("south.example", "north.example"):
                with schema_context("south"):
                    answers[host] = send_webhook(Client(headers={"host": host}), integration, update).status_code
            result["answers"] = answers
            with contextlib.suppress(CommandError):
                call_command("ship_tenants")
            result["parcels"] = {}
            for tenant in tenants[:2]:
                with tenant_context(tenant):
                    result["parcels"][tenant.name] = Parcel.objects.count()  # type: ignore[index]
    return result


if __name__ == "__main__":
    print(json.dumps(main()))
