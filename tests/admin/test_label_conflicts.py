"""Labels whose orders were changed or cancelled afterwards: the task, its difference, and both ways out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from django_sendcloud import tasks
from django_sendcloud.admin.parcels.labels import printable
from django_sendcloud.models import Integration, Parcel, Shipment
from django_sendcloud.parcels.poll import poll
from django_sendcloud.sync import limiter
from django_sendcloud.testing import drain
from tests import factories
from tests.shop.models import Order

from .test_orders import boss as boss  # a fixture
from .test_orders import change_page

pytestmark = pytest.mark.long

OVERVIEW = "admin:django_sendcloud_overview_changelist"


@pytest.fixture(params=["v2", "v3"])
def order(request: pytest.FixtureRequest, sandbox: Any, sendcloud_settings: Any) -> Order:
    """Return an order with a label in a sandbox, over each API."""
    factories.integration(sandbox, api_generation=request.param)
    order = factories.order(number="ORD-9", city="Eindhoven")
    settle()
    sandbox.create_label(str(order.pk))
    take_updates()
    return order


def settle() -> None:
    for _ in range(4):
        drain()


def take_updates() -> None:
    """Read the parcels as a poll does, and apply them."""
    for integration in Integration.objects.all():
        poll(integration)
    tasks.apply_inbox()
    settle()


def change(order: Order, **values: Any) -> None:
    for name, value in values.items():
        setattr(order, name, value)
    order.save()
    settle()


def press(client: Client, name: str, **more: Any) -> Any:
    shipment = Shipment.objects.get()
    return client.post(reverse("admin:django_sendcloud_shipment_action", args=[shipment.pk, name]), more)


def confirm(client: Client, name: str) -> Any:
    question = press(client, name).context["question"]
    return press(client, name, confirmed="yes", number="1", criteria=question.criteria)


def text_of(client: Client) -> str:
    shipment = Shipment.objects.get()
    return client.get(reverse("admin:django_sendcloud_shipment_change", args=[shipment.pk])).content.decode()


def test_conflict_is_task_with_difference(boss: Client, order: Order) -> None:
    change(order, city="Utrecht")
    (task,) = [each for each in boss.get(reverse(OVERVIEW)).context["tasks"] if "label" in str(each.title)]
    assert task.title == "1 label does not fit its order any more"
    assert [row.order_number for row in boss.get(task.buttons[0].url).context["cl"].result_list] == ["ORD-9"]
    for page in (text_of(boss), change_page(boss, order)):
        assert "The label does not fit the order any more" in page
        assert "<dt>City" in page
        assert "Utrecht" not in page.split("sc-panel--bad")[1].split("</div>")[0], "values are stored nowhere"
        assert "Keep the label…" in page
        assert "Cancel the label…" in page


def test_cancelled_label_lets_the_change_go(boss: Client, order: Order, sandbox: Any) -> None:
    change(order, city="Utrecht")
    question = press(boss, "cancel_label").context
    assert question["title"] == "Cancel 1 label"
    assert sandbox.parcels()[0]["status"]["id"] == 1000, "it asks first"
    assert confirm(boss, "cancel_label").status_code == 302
    assert sandbox.parcels()[0]["status"]["id"] == 2000
    tasks.apply_inbox()
    settle()
    assert Parcel.objects.get().phase == "cancelled", "its state was asked for"
    shipment = Shipment.objects.get()
    assert (shipment.label_conflict, shipment.delivery) == ("", "cancelled")
    assert "Utrecht" in str(sandbox.shipment(str(order.pk)))
    said = set(LogEntry.objects.values_list("change_message", flat=True))
    assert said == {"Cancelled the label."}
    assert LogEntry.objects.count() == 2, "of the parcel and of the shipment"


def test_cancelled_label_removes_cancelled_order(boss: Client, order: Order, sandbox: Any) -> None:
    change(order, status="cancelled")
    assert "was cancelled, or is not to be shipped" in text_of(boss)
    confirm(boss, "cancel_label")
    tasks.apply_inbox()
    settle()
    assert Shipment.objects.get().status == "deleted"


def test_label_is_cancelled_from_the_order_page(boss: Client, order: Order, sandbox: Any) -> None:
    change(order, city="Utrecht")
    url = reverse("backoffice:shop_order_sendcloud", args=[order.pk, "sendcloud_cancel_label"])
    assert boss.post(url).context["title"] == "Cancel 1 label"
    boss.post(url, {"confirmed": "yes", "number": "1"})
    assert sandbox.parcels()[0]["status"]["id"] == 2000
    assert LogEntry.objects.filter(object_id=str(order.pk), change_message="Cancelled the label.").exists()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (1, "Sendcloud asks the carrier to cancel 1 label."),
        (3, "Sendcloud does not cancel it: it is shipped"),
        (2000, "Sendcloud does not cancel it: it is shipped, cancelled already"),
    ],
)
def test_rejections_of_sendcloud_are_explained(
    boss: Client, order: Order, sandbox: Any, status: int, said: str
) -> None:
    change(order, city="Utrecht")
    # Sendcloud knows it first.
    sandbox.set_parcel_status(sandbox.parcels()[0]["id"], status)
    confirm(boss, "cancel_label")
    assert said in text_of(boss)
    assert Shipment.objects.get().label_conflict == "changed"


def test_old_label_is_not_cancelled(boss: Client, order: Order, sandbox: Any) -> None:
    change(order, city="Utrecht")
    now = sandbox.clock
    sandbox.clock = lambda: now() + dt.timedelta(days=43)
    confirm(boss, "cancel_label")
    assert "older than 42 days" in text_of(boss)
    assert sandbox.parcels()[0]["status"]["id"] == 1000


def test_unreachable_sendcloud_leaves_the_task(boss: Client, order: Order, sandbox: Any) -> None:
    change(order, city="Utrecht")
    sandbox.fail_next(500, times=5, match="cancel")
    confirm(boss, "cancel_label")
    assert LogEntry.objects.get(change_message__startswith="Cancelling").object_id == str(Parcel.objects.get().pk)
    assert Shipment.objects.get().label_conflict == "changed"


def test_label_is_not_cancelled_beyond_the_rate(
    boss: Client, order: Order, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(order, city="Utrecht")
    monkeypatch.setattr(limiter, "acquire", lambda account_pk, kind: 60.0)
    before = len(sandbox.requests)
    confirm(boss, "cancel_label")
    assert len(sandbox.requests) == before
    assert "Orders go out at full speed at the moment" in text_of(boss)
    assert Shipment.objects.get().label_conflict == "changed"


def test_shipped_label_can_only_be_kept(boss: Client, order: Order, sandbox: Any) -> None:
    sandbox.set_parcel_status(sandbox.parcels()[0]["id"], 3)
    take_updates()
    change(order, city="Utrecht")
    page = text_of(boss)
    assert "The carrier has the parcel already" in page
    assert "Cancel the label…" not in page
    answer = press(boss, "cancel_label")
    assert answer.context["title"] == "There is no label to cancel"


def test_kept_label_is_settled_until_next_change(boss: Client, order: Order, sandbox: Any) -> None:
    change(order, city="Utrecht")
    assert not printable(Parcel.objects.all()).exists()
    assert "Changed after the label was made: city" in press(boss, "keep_label").content.decode()
    assert confirm(boss, "keep_label").status_code == 302
    shipment = Shipment.objects.get()
    assert (shipment.label_conflict, shipment.label_differences) == ("", [])
    assert printable(Parcel.objects.all()).exists(), "printed in bulk again"
    assert LogEntry.objects.get().change_message == "Kept the label for the order as it is now."
    change(order, modified=None)
    factories.forget_transaction()
    change(order, city="Utrecht")
    assert Shipment.objects.get().label_conflict == "", "the accepted content"
    change(order, city="Breda")
    assert Shipment.objects.get().label_conflict == "changed"


def test_kept_cancellation_is_asked_again_after_reinstating(boss: Client, order: Order, sandbox: Any) -> None:
    change(order, status="cancelled")
    confirm(boss, "keep_label")
    change(order, status="cancelled")
    assert Shipment.objects.get().label_conflict == ""
    change(order, status="paid")
    change(order, status="cancelled")
    assert Shipment.objects.get().label_conflict == "cancelled"


def test_conflict_that_changed_is_not_kept(boss: Client, order: Order) -> None:
    change(order, city="Utrecht")
    criteria = press(boss, "keep_label").context["question"].criteria
    change(order, city="Breda", address="Markt 1")
    press(boss, "keep_label", confirmed="yes", number="1", criteria=criteria)
    assert Shipment.objects.get().label_differences == ["address", "city"]
    assert "1 order changed again meanwhile, so its label conflict stays open." in text_of(boss)


@pytest.mark.parametrize("name", ["cancel_label", "keep_label"])
def test_settling_needs_permission_and_post(
    as_role: Callable[..., Client], order: Order, sandbox: Any, name: str
) -> None:
    change(order, city="Utrecht")
    client = as_role("operator", "print_label")
    assert press(client, name, confirmed="yes").status_code == 403
    page = text_of(client)
    assert "Cancel the label…" not in page
    assert "Keep the label…" not in page
    allowed = as_role("operator", "cancel_label")
    url = reverse("admin:django_sendcloud_shipment_action", args=[Shipment.objects.get().pk, name])
    assert allowed.get(url).status_code == 405
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = allowed.cookies
    assert careful.post(url, {"confirmed": "yes"}).status_code == 403
    assert Shipment.objects.get().label_conflict == "changed"
    assert sandbox.parcels()[0]["status"]["id"] == 1000
