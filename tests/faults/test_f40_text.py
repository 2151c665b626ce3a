"""F40: a database in a charset of three bytes, and characters of four bytes in every text that comes in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import _administrator, fresh_database, migrate
from tests.project import Project, project_on

pytestmark = pytest.mark.processes

SHOP = """
from django_sendcloud.adapters import register, unregister
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

unregister(Order)

@register(Order)
class Failing(ShopOrder):
    def get_shipments(self, order):
        if order.number == "bad":
            raise ValueError("no stock 🚀 for Jane Canary")
        yield from super().get_shipments(order)
"""
PUSH = (
    SHOP
    + """
from tests import factories
from django_sendcloud.models import OutboxEntry, Shipment
from django_sendcloud.sync.worker import pump

for number in ("good", "bad", "fine"):
    factories.order(number=number)
factories.outbox()
OutboxEntry.objects.update(due_at="2000-01-01T00:00Z", not_before="2000-01-01T00:00Z")
pump()
entry = OutboxEntry.objects.get()
print(Shipment.objects.filter(status="synced").count(), entry.state, entry.error_code, "Canary" in entry.error_detail)
print(entry.error_detail.splitlines()[-1])
"""
)
RECEIVE = """
from tests.webhooks.messages import parcel, raw
from django_sendcloud.models import Integration, Parcel, ParcelStatus, Shipment, WebhookEvent
from django_sendcloud.webhooks import apply, inbox

integration = Integration.objects.get()
ours = Shipment.objects.create(
    integration=integration, order_type="shop.order", order_pk="1", external_order_id="🎁-1",
    external_shipment_id="🎁-1", order_number="ORD-🎁", status="synced",
)
odd = {"status": {"id": 3, "message": "On its way 🚚"}, "tracking_number": "3S🚚", "carrier": {"code": "🚚"}}
bodies = [
    parcel(id=1),
    parcel(id=2, order_number="ORD-🎁", parcel_items=[{"description": "Mug 🎁", "quantity": 1}], **odd),
    {"action": "parcel_sang_🎵", "timestamp": 1},
    parcel(id=3),
]
for body in bodies:
    inbox.store(integration, raw(body))
apply.drain()
apply.drain()
states = sorted(WebhookEvent.objects.values_list("state", flat=True))
second = Parcel.objects.get(remote_id=2)
print(*states, Parcel.objects.count(), second.shipment == ours, second.order_number == "ORD-🎁")
print(second.status_message, second.tracking_number, second.carrier, second.items[0]["description"] == "Mug 🎁", sep="|")
integration.name = "Shop 🛒"
integration.save()
integration.refresh_from_db()
print(integration.name)
"""


@pytest.fixture
def narrow(sandbox: Any, tmp_path: Path) -> Iterator[Project]:
    """Make a project on MariaDB whose tables are in ``utf8mb3``."""
    with fresh_database("mariadb", tmp_path) as url:
        with _administrator("mariadb") as cursor:
            cursor.execute(f"ALTER DATABASE {url.rsplit('/', 1)[1]} CHARACTER SET utf8mb3")
        migrate(url)
        with project_on(url, "", sandbox, tmp_path) as project:
            yield project


@pytest.mark.services("mariadb")
def test_f40_adapter_error_harms_its_own_order_only(narrow: Project) -> None:
    first, second = narrow.run(PUSH).splitlines()
    assert first == "2 rejected adapter_error False"
    assert second == "ValueError", "the adapter's own text may quote the buyer"


@pytest.mark.services("mariadb")
def test_f40_webhook_text_harms_nothing(narrow: Project) -> None:
    first, second, third = narrow.run(RECEIVE, PYTHONIOENCODING="utf-8").splitlines()
    assert first == "ignored processed processed processed 3 True True"
    assert second == "On its way �|3S�|�|True"
    assert third == "Shop �"
