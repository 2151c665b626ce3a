"""The first page: is everything going out, and if not, what is to be done?"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from django_sendcloud.admin.today import hours, last_day
from django_sendcloud.models import (
    Attempt,
    Integration,
    OutboxEntry,
    Parcel,
    ParcelStatus,
    PauseReason,
    Shipment,
    WebhookEvent,
)
from django_sendcloud.sync.status import mark_sweep
from tests.processes.conftest import fresh_database

from .conftest import Data

PAGE = "admin:django_sendcloud_overview_changelist"


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


@pytest.fixture
def well(connected: Integration) -> Integration:
    """An integration that has nothing to complain of."""
    mark_sweep()
    Integration.objects.update(
        webhook_active=True, webhook_url="https://shop.example/hook", last_webhook_at=timezone.now()
    )
    connected.refresh_from_db()
    return connected


def titles(client: Client) -> list[str]:
    return [str(task.title) for task in client.get(reverse(PAGE)).context["tasks"]]


def shipment(integration: Integration, **values: Any) -> Shipment:
    key = uuid.uuid4().hex
    ids = {"order_type": "shop.order", "order_pk": key, "external_order_id": key, "external_shipment_id": key}
    return Shipment.objects.create(integration=integration, **{"status": "synced", **ids, **values})


# -- where it stands ----------------------------------------------------------------------------------


def test_it_is_the_first_thing_under_sendcloud(boss: Client, well: Integration) -> None:
    (app,) = [
        app for app in boss.get(reverse("admin:index")).context["app_list"] if app["app_label"] == "django_sendcloud"
    ]
    first = app["models"][0]
    assert first["admin_url"] == reverse(PAGE)
    assert first["name"].strip() == "Overview"
    with translation.override("de"):
        (app,) = [
            a
            for a in admin.site.get_app_list(boss.get(reverse(PAGE)).wsgi_request)
            if a["app_label"] == "django_sendcloud"
        ]
        assert app["models"][0]["admin_url"] == reverse(PAGE)


def test_whoever_sees_integrations_sees_it(as_role: Callable[..., Client], well: Integration) -> None:
    assert as_role("viewer").get(reverse(PAGE)).status_code == 200
    assert as_role("staff").get(reverse(PAGE)).status_code == 403
    assert as_role("anonymous").get(reverse(PAGE)).status_code == 302


def test_nothing_is_connected_yet(boss: Client, as_role: Callable[..., Client], db: None) -> None:
    html = boss.get(reverse(PAGE)).content.decode()
    assert "Nothing is connected yet" in html
    assert reverse("admin:django_sendcloud_integration_add") in html
    assert (
        reverse("admin:django_sendcloud_integration_add") not in as_role("viewer").get(reverse(PAGE)).content.decode()
    )


# -- what needs a person ------------------------------------------------------------------------------


def test_all_is_well(boss: Client, well: Integration) -> None:
    assert titles(boss) == []
    assert "Nothing. Everything goes out" in boss.get(reverse(PAGE)).content.decode()


def test_the_most_urgent_comes_first_each_with_its_cure(boss: Client, data: Data) -> None:
    data.integration.pause(PauseReason.CREDENTIALS)
    Integration.objects.create(remote_id=2, name="Outlet", public_key="p", secret_key="s")
    Parcel.objects.create(integration=data.integration, remote_id=99, status_at=timezone.now())
    tasks = boss.get(reverse(PAGE)).context["tasks"]
    assert [str(task.title) for task in tasks] == [
        "Bike shop: Sendcloud refuses the API keys",
        "The periodic work does not run",
        "1 order: Sendcloud refused the order",
        "Outlet: Sendcloud does not report parcels",
        "1 webhook could not be applied",
        "1 parcel belongs to no order",
    ]
    assert tasks[0].post.endswith("/action/resume/")
    assert tasks[2].value == "rejected"
    assert tasks[3].post.endswith("/action/register_webhook/")
    for task in tasks:
        if task.url:
            assert boss.get(task.url).status_code == 200, task.url


def test_links_lead_to_lists_that_show_just_these(boss: Client, data: Data) -> None:
    OutboxEntry.objects.create(order_type="shop.order", order_pk="2", state="dead", error_code="worker_died")
    by_title = {str(task.title): task for task in boss.get(reverse(PAGE)).context["tasks"]}
    page = boss.get(by_title["1 order: Sendcloud refused the order"].url)
    assert [row.pk for row in page.context["cl"].result_list] == [data.entry.pk]
    page = boss.get(by_title["1 webhook could not be applied"].url)
    assert [row.pk for row in page.context["cl"].result_list] == [data.event.pk]


def test_all_orders_with_one_problem_are_pushed_again_with_one_click(boss: Client, data: Data) -> None:
    other = OutboxEntry.objects.create(order_type="shop.order", order_pk="2", state="dead", error_code="worker_died")
    assert boss.post(reverse(PAGE), {"retry": "rejected"}).status_code == 302
    data.entry.refresh_from_db()
    other.refresh_from_db()
    assert (data.entry.state, other.state) == ("pending", "dead")
    assert LogEntry.objects.get().object_id == str(data.entry.pk)


def test_a_click_needs_its_permission_and_a_token(as_role: Callable[..., Client], data: Data) -> None:
    viewer = as_role("viewer")
    assert viewer.post(reverse(PAGE), {"retry": "rejected"}).status_code == 403
    assert [task.post for task in viewer.get(reverse(PAGE)).context["tasks"]] == [""] * len(titles(viewer))
    boss = as_role("superuser")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = boss.cookies
    assert strict.post(reverse(PAGE), {"retry": "rejected"}).status_code == 403
    assert boss.post(reverse(PAGE), {}).status_code == 403
    assert boss.delete(reverse(PAGE)).status_code == 405
    data.entry.refresh_from_db()
    assert data.entry.state == "rejected"


def test_days_without_news_are_noticed_while_orders_go_out(boss: Client, well: Integration) -> None:
    now = timezone.now()
    Integration.objects.update(last_success_at=now, last_webhook_at=now - dt.timedelta(days=3))
    assert titles(boss) == []
    Integration.objects.update(last_webhook_at=now - dt.timedelta(days=5))
    assert titles(boss) == ["Bike shop: no news of parcels for days"]
    Integration.objects.update(last_success_at=now - dt.timedelta(days=5))
    assert titles(boss) == []


def test_what_is_not_in_use_needs_nobody(boss: Client, well: Integration) -> None:
    Integration.objects.update(is_active=False, webhook_active=False)
    assert titles(boss) == []


# -- cards --------------------------------------------------------------------------------------------


def test_a_card_says_how_it_is(boss: Client, data: Data) -> None:
    now = timezone.now()
    shipment(data.integration, told_at=now)
    OutboxEntry.objects.create(order_type="shop.order", order_pk="2", due_at=now - dt.timedelta(hours=2))
    WebhookEvent.objects.create(integration=data.integration, digest="b", action="x", state="received", body="{}")
    (card,) = boss.get(reverse(PAGE)).context["cards"]
    facts = {str(label): value for label, value, _ in card.facts}
    assert facts["pushed today"] == 1
    assert facts["waiting"] == 1
    assert "2\xa0hours ago" in facts["oldest due"]
    assert (facts["to be corrected"], facts["given up"]) == (1, 0)
    assert "just now" in facts["webhooks behind"]
    html = boss.get(reverse(PAGE)).content.decode()
    assert "needs attention" in html


# -- the last day -------------------------------------------------------------------------------------


def test_every_hour_has_its_bar(well: Integration) -> None:
    now = timezone.now()
    for minutes in (0, 0, 61, 60 * 23, 60 * 25):
        shipment(well, told_at=now - dt.timedelta(minutes=minutes))
    shipment(well, told_at=now, status="rejected")
    for outcome in ("refused", "refused", "failed"):
        Attempt.objects.create(order_type="o", order_pk="1", at=now, outcome=outcome)
    parcel = Parcel.objects.create(integration=well, remote_id=1, status_at=now)
    for number, phase in enumerate(["announced", "in_transit", "in_transit"]):
        ParcelStatus.objects.create(parcel=parcel, status_id=number, phase=phase, event_ms=number, at=now)
    rows = {str(row.label): row for row in last_day(now)}
    pushed = rows["pushed"]
    assert len(pushed.bars) == 24
    assert pushed.total == 4
    assert [bar.number for bar in pushed.bars][-2:] in ([1, 2], [0, 2])
    assert pushed.bars[0].number == 1
    assert pushed.bars[-1].height == 10.0
    assert rows["refused"].total == 2
    assert {label: row.total for label, row in rows.items() if label not in ("pushed", "refused")} == {
        "announced": 1,
        "on its way": 2,
    }


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        # Amsterdam's clocks go back at 01:00 UTC: 02 exists twice; in spring it does not exist.
        (dt.datetime(2026, 10, 25, 12, 30, tzinfo=dt.UTC), 2),
        (dt.datetime(2026, 3, 29, 12, 30, tzinfo=dt.UTC), 0),
    ],
)
def test_days_with_an_hour_more_or_less(well: Integration, moment: dt.datetime, count: int) -> None:
    slots = hours(moment)
    assert len(slots) == 24
    assert len({slot.astimezone(dt.UTC) for slot in slots}) == 24
    assert [slot.hour for slot in slots].count(2) == count
    for slot in slots:
        shipment(well, told_at=slot)
    (pushed, *_) = last_day(moment)
    assert [bar.number for bar in pushed.bars] == [1] * 24


def test_the_chart_can_be_read_without_seeing_it(boss: Client, well: Integration) -> None:
    shipment(well, told_at=timezone.now())
    html = boss.get(reverse(PAGE)).content.decode()
    assert '<div class="sc-day" aria-hidden="true">' in html
    _, _, table = html.partition('<table class="sc-hours">')
    table = table.partition("</table>")[0]
    assert table.count("<tr>") == 26
    assert "<td>1</td>" in table


def test_numbers_in_the_drawing_have_points_in_every_language(boss: Client, well: Integration) -> None:
    shipment(well, told_at=timezone.now())
    html = boss.get(reverse(PAGE), headers={"accept-language": "nl"}).content.decode()
    svg = html[html.index("<svg viewBox") : html.index("</svg>", html.index("<svg viewBox"))]
    assert 'x="23.1"' in svg
    assert "," not in svg.split("<title>")[0]


# -- what it costs ------------------------------------------------------------------------------------


def test_it_takes_fifteen_statements_however_much_there_is(as_role: Callable[..., Client], data: Data) -> None:
    viewer = as_role("operator")
    with CaptureQueriesContext(connection) as few:
        viewer.get(reverse(PAGE))
    for number in range(10):
        integration = Integration.objects.create(remote_id=number, name=str(number), public_key="p", secret_key="s")
        for _ in range(5):
            shipment(integration, told_at=timezone.now())
        OutboxEntry.objects.create(
            order_type="shop.order", order_pk=f"x{number}", integration=integration, state="dead", error_code="gone"
        )
    with CaptureQueriesContext(connection) as many:
        viewer.get(reverse(PAGE))
    assert len(many) == len(few) <= 15


@pytest.mark.services("postgresql")
def test_with_much_in_it_no_large_table_is_read_from_end_to_end(tmp_path: Path) -> None:
    with fresh_database("postgresql", tmp_path) as url:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.admin.plans"],
            env={**os.environ, "TEST_DATABASE_URL": url},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["statements"] <= 15
    read = {
        table for plan in found["plans"] for table in ("shipment", "parcelstatus", "attempt") if table in plan["sql"]
    }
    assert read == {"shipment", "parcelstatus", "attempt"}
    assert [plan for plan in found["plans"] if plan["read whole"]] == []
