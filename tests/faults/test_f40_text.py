"""F40: a database in a charset of three bytes, and characters of four bytes in every text that comes in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_sendcloud.api.v2 import Integration as RemoteIntegration
from django_sendcloud.models import Integration
from tests.databases import _administrator, fresh_database, migrate
from tests.project import Project, project_on

SHOP = """
from django_sendcloud.registry import register, unregister
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
from django_sendcloud.sync.worker import push_due

for number in ("good", "bad", "fine"):
    factories.order(number=number)
factories.outbox()
OutboxEntry.objects.update(due_at="2000-01-01T00:00Z", not_before="2000-01-01T00:00Z")
push_due()
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

OPERATE = """
from django.contrib.auth.models import User
from django.test import RequestFactory
from django_sendcloud.admin.actions.history import log, render_message
from django_sendcloud.models import Account, Integration, Parcel, PauseReason, WebhookEvent
from django_sendcloud.webhooks import apply, inbox
from django.contrib.admin.models import LogEntry

integration = Integration.objects.get()
inbox.store(integration, b"no JSON")
apply.drain()
inbox.dismiss(WebhookEvent.objects.all(), by="jane🎵", note="done 🎵")
event = WebhookEvent.objects.get()
parcel = Parcel.objects.create(integration=integration, remote_id=7, printed_by="jane🎵")
integration.pause(PauseReason.PERSON, "🎵")
Integration.objects.update(paused_by="jane🎵", public_key="🎵")
Account.objects.update(name="ours 🎵")
request = RequestFactory().get("/")
request.user = User.objects.create(username="jane")
log(request, [event], "Dismissed: %(note)s", note="done 🎵")
print(event.dismissed_by, event.dismissed_note, Account.objects.get().name, sep="|")
print(render_message(LogEntry.objects.get().change_message) == "Dismissed: done 🎵")
"""


@pytest.fixture(scope="module")
def narrow_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Make a database of MariaDB whose tables are in ``utf8mb3``, to be copied."""
    with fresh_database("mariadb", tmp_path_factory.mktemp("narrow")) as url:
        with _administrator("mariadb") as cursor:
            cursor.execute(f"ALTER DATABASE {url.rsplit('/', 1)[1]} CHARACTER SET utf8mb3")
        migrate(url)
        yield url


@pytest.fixture
def narrow(narrow_tables: str, sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Make a project on MariaDB whose tables are in ``utf8mb3``."""
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    with (
        fresh_database("mariadb", tmp_path, narrow_tables) as url,
        project_on(url, "", sandbox, tmp_path) as project,
    ):
        yield project


@pytest.mark.processes
@pytest.mark.services("mariadb")
def test_f40_adapter_error_harms_its_own_order_only(narrow: Project) -> None:
    first, second = narrow.run(PUSH).splitlines()
    assert first == "2 rejected adapter_error False"
    assert second == "ValueError", "the adapter's own text may quote the buyer"


@pytest.mark.processes
@pytest.mark.services("mariadb")
def test_f40_webhook_text_harms_nothing(narrow: Project) -> None:
    first, second, third = narrow.run(RECEIVE).splitlines()
    assert first == "ignored processed processed processed 3 True True"
    assert second == "On its way �|3S�|�|True"
    assert third == "Shop �"


@pytest.mark.processes
@pytest.mark.services("mariadb")
def test_f40_text_of_operator_harms_nothing(narrow: Project) -> None:
    first, second = narrow.run(OPERATE).splitlines()
    assert first == "jane�|done �|ours �"
    assert second == "True", "the history has it as it was written"


@pytest.mark.parametrize("text", ["\0", "\ud800", "🎁", "x" * 3000])
def test_f40_settings_of_sendcloud_are_storable(integration: Integration, text: str) -> None:
    """PostgreSQL takes no NUL in JSON either."""
    names = {"shop_name": text, "shop_url": f"https://shop.example/{text}", "system": text, "webhook_url": text}
    answer: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(RemoteIntegration))
    remote = RemoteIntegration(**{**answer, "service_point_carriers": [text], **names})
    integration.save(update_fields=integration.apply_remote(remote))
    integration.refresh_from_db()
    assert integration.shop_url.startswith("https://shop.example/")
    assert len(integration.shop_url) <= 500
    assert len(integration.service_point_carriers) == 1
