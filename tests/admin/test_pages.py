from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from django_sendcloud.conf import conf
from django_sendcloud.crypto import Secret
from django_sendcloud.models import Integration, OutboxEntry, Parcel, ParcelStatus, Shipment, WebhookEvent

from .conftest import Data


@pytest.fixture
def boss(as_role: Callable[[str], Client]) -> Client:
    return as_role("superuser")


def page(client: Client, name: str, *args: Any, **query: str) -> str:
    response = client.get(reverse(f"admin:django_sendcloud_{name}", args=args), query)
    assert response.status_code == 200
    return str(response.content.decode())


def rows(client: Client, model: str, **query: str) -> set[int]:
    response = client.get(reverse(f"admin:django_sendcloud_{model}_changelist"), query)
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


# Session, user, and permissions are read by a superuser in 2; then the page's own.
# Our own: notices (integrations, grouped outbox), count, rows; what a list needs beside stands here.
QUERIES = {
    "integration": 8,
    "outboxentry": 10,
    "shipment": 9,
    "parcel": 8,
    "webhookevent": 7,
    "account": 6,
}


def many(data: Data, number: int) -> None:
    now = timezone.now()
    for n in range(number):
        integration = Integration.objects.create(remote_id=100 + n, public_key="p", secret_key="s", is_active=False)
        key = str(uuid.uuid4())
        shipment = Shipment.objects.create(
            integration=integration,
            order_type="shop.order",
            order_pk=key,
            external_order_id=key,
            external_shipment_id=key,
            status="rejected",
            errors={"city": ["May not be empty."]},
        )
        OutboxEntry.objects.create(
            order_type="shop.order", order_pk=key, integration=integration, state="rejected", error_code="rejected"
        )
        parcel = Parcel.objects.create(integration=integration, shipment=shipment, remote_id=n, status_at=now)
        WebhookEvent.objects.create(integration=integration, digest=f"{n:064}", state="failed", parcel=parcel)


@pytest.mark.parametrize("model", QUERIES)
def test_a_list_costs_the_same_however_long_it_is(
    model: str, boss: Client, data: Data, django_assert_num_queries: Any
) -> None:
    # Of its number nobody knows: neither an attempt, nor a shipment.
    OutboxEntry.objects.create(order_type="shop.order", order_pk=str(uuid.uuid4()), state="dead")
    page(boss, f"{model}_changelist")
    with django_assert_num_queries(QUERIES[model]):
        page(boss, f"{model}_changelist")
    many(data, 12)
    with django_assert_num_queries(QUERIES[model]):
        page(boss, f"{model}_changelist")


def test_the_inboxs_list_leaves_the_contents_where_they_are(
    boss: Client, data: Data, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(QUERIES["webhookevent"]) as queries:
        page(boss, "webhookevent_changelist")
    (rows_sql,) = [query["sql"] for query in queries if "digest" in query["sql"]]
    assert "body" not in rows_sql


def test_a_shipments_page_costs_the_same_however_much_there_is_to_tell(
    boss: Client, data: Data, django_assert_num_queries: Any
) -> None:
    page(boss, "shipment_change", data.shipment.pk)
    with django_assert_num_queries(9):
        page(boss, "shipment_change", data.shipment.pk)
    for n in range(10):
        parcel = Parcel.objects.create(integration=data.integration, shipment=data.shipment, remote_id=1000 + n)
        for step in range(5):
            ParcelStatus.objects.create(parcel=parcel, status_id=step, event_ms=step, at=timezone.now())
    with django_assert_num_queries(9):
        page(boss, "shipment_change", data.shipment.pk)


def test_no_page_ever_shows_a_secret(boss: Client, data: Data, as_role: Callable[..., Client]) -> None:
    data.integration.replace_secret_key("canary-secret-0002")
    data.integration.webhook_signature_key = Secret("canary-signature-0003")
    data.integration.save()
    secrets = ["canary-secret-0001", "canary-secret-0002", "canary-signature-0003"]
    secrets += [getattr(data.integration, name).ciphertext() for name in ("secret_key", "previous_secret_key")]
    for client in (boss, as_role("operator", "view_payload")):
        for name, obj in data.objects.items():
            for kind, args in (("changelist", []), ("change", [obj.pk]), ("history", [obj.pk])):
                html = page(client, f"{name}_{kind}", *args)
                assert not [secret for secret in secrets if secret in html], (name, kind)
    assert "canary" not in f"{data.integration} {data.integration!r} {data.integration.secret_key!r}"


def test_personal_data_is_only_where_it_was_asked_for(boss: Client, data: Data) -> None:
    event = reverse("admin:django_sendcloud_webhookevent_change", args=[data.event.pk])
    for name, obj in data.objects.items():
        for kind, args in (("changelist", []), ("change", [obj.pk]), ("history", [obj.pk])):
            html = page(boss, f"{name}_{kind}", *args)
            shown = reverse(f"admin:django_sendcloud_{name}_{kind}", args=args) == event
            assert ("Canary Person" in html) == shown, (name, kind)


def test_an_outbox_entry_says_what_happened_to_which_field_and_what_to_do(boss: Client, data: Data) -> None:
    html = page(boss, "outboxentry_change", data.entry.pk)
    assert "Sendcloud refused the order" in html
    assert "Order line 2, weight of one piece" in html
    assert "This is 0, and must be at least 0.001 kg." in html
    assert "What to do:" in html
    assert "upsert shipments: refused" in html, "the technical details are one click away"


def test_the_outbox_says_it_in_short(boss: Client, data: Data) -> None:
    html = page(boss, "outboxentry_changelist")
    assert "needs a correction" in html
    assert "order line 2, weight of one piece: This is 0, and must be at least 0.001 kg." in html


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "waiting"),
        ({"gone": True}, "to be deleted"),
        ({"error_code": "server_error"}, "will be tried again"),
        ({"error_code": "credentials"}, "held up"),
        ({"lease": "x", "not_before": timezone.now() + dt.timedelta(hours=1)}, "being pushed"),
        ({"state": "dead", "error_code": "worker_died"}, "given up"),
    ],
)
def test_the_state_of_an_entry_is_one_word(values: dict[str, Any], words: str, boss: Client) -> None:
    OutboxEntry.objects.create(order_type="shop.order", order_pk="1", **values)
    assert f"</span> {words}</span>" in page(boss, "outboxentry_changelist")


def test_the_outbox_is_filtered_by_state_and_problem(boss: Client, data: Data) -> None:
    dead = OutboxEntry.objects.create(order_type="shop.order", order_pk="1", state="dead", error_code="worker_died")
    waiting = OutboxEntry.objects.create(order_type="shop.order", order_pk="2")
    assert rows(boss, "outboxentry", state="stuck") == {data.entry.pk, dead.pk}
    assert rows(boss, "outboxentry", state="pending") == {waiting.pk}
    assert rows(boss, "outboxentry", state="nonsense") == {data.entry.pk, dead.pk, waiting.pk}
    assert rows(boss, "outboxentry", problem="worker_died") == {dead.pk}
    assert rows(boss, "outboxentry", integration__id__exact=str(data.integration.pk)) == {data.entry.pk}
    html = page(boss, "outboxentry_changelist")
    assert "This order stopped its worker again and again (1)" in html


def test_the_outbox_is_searched_by_order_number_and_key(boss: Client, data: Data) -> None:
    OutboxEntry.objects.create(order_type="shop.order", order_pk="2")
    assert rows(boss, "outboxentry", q=data.order.number.lower()) == {data.entry.pk}
    assert rows(boss, "outboxentry", q=str(data.order.pk)) == {data.entry.pk}
    assert rows(boss, "outboxentry", q="nothing like it") == set()


def test_shipments_are_searched_by_everything_a_person_may_have_in_hand(boss: Client, data: Data) -> None:
    other = Shipment.objects.create(
        integration=data.integration,
        order_type="shop.order",
        order_pk="2",
        external_order_id="b",
        external_shipment_id="b",
    )
    shipment = data.shipment
    for word in (
        shipment.order_number,
        shipment.order_number.lower(),
        shipment.external_order_id,
        str(shipment.uuid),
        str(shipment.uuid).replace("-", "").upper(),
        "3scanal1",
        f"{shipment.order_number} 3SCANAL1",
    ):
        assert rows(boss, "shipment", q=word) == {shipment.pk}, word
    for word in ("not-a-uuid", "'); drop table --", "%", "ä"):
        assert other.pk not in rows(boss, "shipment", q=word)


def test_parcels_are_searched_by_tracking_number_order_and_id(boss: Client, data: Data) -> None:
    Parcel.objects.create(integration=data.integration, remote_id=99)
    for word in ("3SCANAL", data.order.number, "71"):
        assert rows(boss, "parcel", q=word) == {data.parcel.pk}
    assert rows(boss, "parcel", q="9" * 30) == set()


def test_parcels_of_no_shipment_can_be_found(boss: Client, data: Data) -> None:
    stray = Parcel.objects.create(integration=data.integration, remote_id=99)
    assert rows(boss, "parcel", matched="no") == {stray.pk}
    assert rows(boss, "parcel", matched="yes") == {data.parcel.pk}
    assert "unknown here" in page(boss, "parcel_changelist")


def test_a_shipment_shows_its_parcels_with_their_timeline(boss: Client, data: Data) -> None:
    html = page(boss, "shipment_change", data.shipment.pk)
    assert html.index("En route to sorting center") < html.index("Announced"), "the newest comes first"
    assert reverse("admin:django_sendcloud_parcel_change", args=[data.parcel.pk]) in html


def test_who_may_not_see_parcels_does_not_see_them_at_the_shipment(data: Data, as_role: Callable[..., Client]) -> None:
    html = page(as_role("staff", "view_shipment"), "shipment_change", data.shipment.pk)
    assert "3SCANAL1" not in html
    assert "still has to be told" not in html


def test_a_tracking_address_is_a_link_only_if_a_browser_may_go_there(boss: Client, data: Data) -> None:
    assert 'href="https://tracking.example/3SCANAL1"' in page(boss, "parcel_change", data.parcel.pk)
    Parcel.objects.update(tracking_url="javascript:alert(1)")
    assert "javascript:alert" not in page(boss, "parcel_change", data.parcel.pk)


def test_what_came_from_outside_is_escaped(boss: Client, data: Data) -> None:
    evil = "<script>alert(1)</script>"
    Parcel.objects.update(status_message=evil, carrier=evil, tracking_number=evil)
    ParcelStatus.objects.update(message=evil)
    Shipment.objects.update(errors={evil: [evil]}, order_number=evil)
    OutboxEntry.objects.update(error_fields={evil: [evil]}, error_detail=evil)
    WebhookEvent.objects.update(action=evil, error=evil)
    event = WebhookEvent.objects.get()
    event.body = Secret(evil)
    event.save()
    Integration.objects.update(name=evil, paused_detail=evil, paused_since=timezone.now(), paused_reason=evil[:20])
    for name, obj in data.objects.items():
        for kind, args in (("changelist", []), ("change", [obj.pk])):
            assert evil not in page(boss, f"{name}_{kind}", *args), (name, kind)


def test_a_webhooks_content_is_laid_out_for_reading(boss: Client, data: Data) -> None:
    assert "&quot;action&quot;: &quot;parcel_status_changed&quot;" in page(boss, "webhookevent_change", data.event.pk)
    for body, words in (("{not json", "{not json"), ("", "not kept any more"), ("\udcff", "?")):
        event = WebhookEvent.objects.get()
        event.body = Secret(body)
        event.save()
        assert words in page(boss, "webhookevent_change", event.pk)


def test_what_would_be_sent_is_built_from_the_order_as_it_is(boss: Client, data: Data) -> None:
    data.order.city = "Utrecht"
    data.order.save()
    for name, row in (("shipment", data.shipment), ("outboxentry", data.entry)):
        response = boss.get(reverse(f"admin:django_sendcloud_{name}_payload", args=[row.pk]))
        assert "&quot;city&quot;: &quot;Utrecht&quot;" in response.content.decode()
        assert "no-store" in response["Cache-Control"]


def test_what_cannot_be_sent_is_explained_where_it_would_be_shown(boss: Client, data: Data) -> None:
    data.order.country = "XX"
    data.order.save()
    html = page(boss, "shipment_payload", data.shipment.pk)
    assert "The order cannot be sent as it is" in html
    assert "Country" in html
    data.order.status = "cancelled"
    data.order.save()
    assert "not shippable" in page(boss, "shipment_payload", data.shipment.pk)
    data.order.delete()
    assert "The order is gone" in page(boss, "shipment_payload", data.shipment.pk)


def test_an_adapter_that_fails_is_explained_where_its_work_would_be_shown(boss: Client, data: Data) -> None:
    from django_sendcloud import OrderAdapter
    from django_sendcloud.adapters import temporarily_registered
    from tests.shop.models import Order

    class Broken(OrderAdapter[Order]):
        auto = False

        def get_shipments(self, order: Order) -> Any:
            raise KeyError("weight")

    with temporarily_registered(Broken, Order):
        html = page(boss, "shipment_payload", data.shipment.pk)
    assert "The shop&#x27;s own code failed" in html
    assert "KeyError" in html


def test_an_order_of_a_model_that_is_gone_is_shown_by_its_stored_type(boss: Client, data: Data) -> None:
    OutboxEntry.objects.update(order_type="former.order")
    assert "former.order" in page(boss, "outboxentry_change", data.entry.pk)


def test_the_order_is_linked_where_the_shop_has_a_page_for_it(boss: Client, data: Data) -> None:
    from tests.shop.models import Order

    assert "Open the order" not in page(boss, "outboxentry_change", data.entry.pk)
    url = f"/admin/shop/order/{data.order.pk}/change/"
    admin.site.register(Order)
    try:
        _reload_urls()
        assert url in page(boss, "outboxentry_change", data.entry.pk)
    finally:
        admin.site.unregister(Order)
        _reload_urls()


def _reload_urls() -> None:
    import importlib

    from django.urls import clear_url_caches

    import tests.urls

    importlib.reload(tests.urls)
    clear_url_caches()


def test_a_paused_integration_is_announced_on_every_list(boss: Client, data: Data) -> None:
    from django_sendcloud.models import PauseReason

    data.integration.pause(PauseReason.GONE)
    for name in data.objects:
        html = page(boss, f"{name}_changelist")
        assert "Bike shop: Sendcloud does not know this integration any more" in html


def test_a_shop_without_an_integration_is_told_so_on_every_list(boss: Client) -> None:
    assert "No Sendcloud integration is connected and in use" in page(boss, "outboxentry_changelist")


def test_an_account_is_renamed_without_touching_the_limiter(boss: Client, data: Data) -> None:
    account = data.integration.account
    boss.post(reverse("admin:django_sendcloud_account_change", args=[account.pk]), {"name": "Germany"})
    account.refresh_from_db()
    assert account.name == "Germany"
    assert LogEntry.objects.count() == 1


def test_an_account_that_waits_says_for_how_long(boss: Client, data: Data) -> None:
    account = data.integration.account
    account.blocked_until = timezone.now() + dt.timedelta(minutes=10)
    account.save()
    assert "asked to wait" in page(boss, "account_changelist")


def test_pages_work_in_another_language(boss: Client, data: Data) -> None:
    with translation.override("nl"):
        for name, obj in data.objects.items():
            boss.get(reverse(f"admin:django_sendcloud_{name}_change", args=[obj.pk]), headers={"accept-language": "nl"})


def test_a_shop_may_bring_its_own_classes(settings: Any) -> None:
    from django_sendcloud import admin as ours

    settings.SENDCLOUD = {**settings.SENDCLOUD, "ADMIN_REGISTER": False}
    assert conf().ADMIN_REGISTER is False
    assert ours._wanted() is False
    settings.SENDCLOUD = {"NONSENSE": 1}
    assert ours._wanted() is True, "the system checks speak of broken settings, not an import that fails"
    site = admin.AdminSite(name="own")
    ours.register(site)
    assert len(site._registry) == 7
