"""Causes of problems: counted, listed and pushed together, however many orders there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from django_sendcloud.models import EntryState, Integration, OutboxEntry, Shipment
from django_sendcloud.sync.alerts import causes as alerts
from django_sendcloud.sync.health import health
from django_sendcloud.sync.problems import Cause, Problem, columns_of
from django_sendcloud.violations import Violation

from .conftest import Data

OVERVIEW = "admin:django_sendcloud_overview_changelist"
OUTBOX = "admin:django_sendcloud_outboxentry_changelist"
FIX = "admin:django_sendcloud_outboxentry_fix"
COUNTRY, CITY = "payload_invalid:country:country_unknown", "payload_invalid:city:required"
# More than were ever read to find their causes.
MANY = 5_001


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


def wrong(number: int, field: str = "", rule: str = "", **values: Any) -> list[OutboxEntry]:
    """Make rejected entries with the same wrong field."""
    first = OutboxEntry.objects.count()
    cause = columns_of(Problem("payload_invalid", fields={field: [Violation(rule)]} if field else {}))
    values = {"order_type": "shop.order", "state": EntryState.REJECTED, **cause, **values}
    return OutboxEntry.objects.bulk_create(
        OutboxEntry(order_pk=str(first + n), order_number=f"A-{first + n}", **values) for n in range(number)
    )


def problems(client: Client) -> list[str]:
    """Return the choices of the outbox's filter by problem."""
    html = client.get(reverse(OUTBOX)).content.decode()
    return [strip_tags(link) for link in re.findall(r"<a[^>]*\?problem=[^>]*>\s*[^<]*</a>", html)]


def listed(client: Client, problem: str) -> int:
    return int(client.get(reverse(OUTBOX), {"problem": problem}).context["cl"].result_count)


def ask(client: Client, *rows: OutboxEntry) -> Any:
    return client.post(
        reverse(OUTBOX), {"action": "push_all_with_problem", "_selected_action": [row.pk for row in rows]}
    ).context


def read(client: Client, url: str, **query: str) -> tuple[int, str]:
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(reverse(url), query)
    assert answer.status_code == 200
    return len(queries), answer.content.decode()


@pytest.mark.long
def test_causes_are_exact_at_any_size(boss: Client, integration: Integration) -> None:
    """The oldest orders have another problem than all the newer ones."""
    (first, _) = wrong(2, "country", "country_unknown", integration=integration)
    newest = wrong(1, "city", "required", integration=integration)[0]
    few = [read(boss, OVERVIEW)[0], read(boss, OUTBOX)[0], read(boss, FIX, problem=CITY)[0]]
    wrong(MANY - 1, "city", "required", integration=integration)

    statements, html = read(boss, OVERVIEW)
    assert statements == few[0] <= 15
    assert "5,001 orders: City is missing" in html
    assert "2 orders: Country is not valid" in html
    assert read(boss, OUTBOX)[0] == few[1]
    assert problems(boss) == [f"City is missing ({MANY})", "Country is not valid (2)"]
    assert [listed(boss, CITY), listed(boss, COUNTRY)] == [MANY, 2]
    statements, html = read(boss, FIX, problem=CITY)
    assert statements <= few[2] + 1, "one for the numbers of a page"
    assert f"The first 50 of {MANY} orders." in html
    assert ask(boss, newest)["title"] == f"Push {MANY} orders now"
    assert ask(boss, newest, first)["title"] == f"Push {MANY + 2} orders now"
    assert {(each.field, each.number) for each in alerts(health())} >= {("city", MANY), ("country", 2)}


def test_cause_without_field_names_no_other(boss: Client, db: None) -> None:
    whole = wrong(1)[0]
    wrong(2, "country", "country_unknown")
    assert problems(boss) == ["Country is not valid (2)", "Invalid data (1)"]
    assert listed(boss, "payload_invalid") == 1
    assert ask(boss, whole)["title"] == "Push 1 order now"


def test_changed_order_has_no_problem(boss: Client, db: None) -> None:
    """Its cause is kept until the next attempt, as its other errors are."""
    wrong(1, "country", "country_unknown")
    changed = wrong(1, "country", "country_unknown", state=EntryState.PENDING)[0]
    assert problems(boss) == ["Country is not valid (1)"]
    assert listed(boss, COUNTRY) == 1
    assert ask(boss, changed) is None, "nothing is left to do"
    page = boss.get(reverse("admin:django_sendcloud_outboxentry_change", args=[changed.pk])).content.decode()
    assert "Push all with the same problem" not in page


def test_waiting_problem_is_listed(boss: Client, db: None) -> None:
    wrong(1, state=EntryState.PENDING, failing_since=timezone.now(), **columns_of(Problem("not_sent")))
    assert [listed(boss, "not_sent"), listed(boss, COUNTRY)] == [1, 0]


@pytest.mark.long
def test_shipments_ask_for_own_problems(boss: Client, data: Data) -> None:
    """Orders of another type may have the same keys."""
    key = data.shipment.order_pk
    other, same = (
        Shipment.objects.create(
            integration=data.integration, order_type="shop.other", order_pk=each, external_order_id=f"other {each}"
        )
        for each in ("other", key)
    )
    weight = columns_of(Problem("rejected", fields=data.entry.error_fields))
    OutboxEntry.objects.create(order_type="shop.other", order_pk="other", state="rejected", **weight)
    (strange,) = wrong(1, "country", "country_unknown", order_type="shop.other")
    OutboxEntry.objects.filter(pk=strange.pk).update(order_pk=key)
    url = reverse("admin:django_sendcloud_shipment_changelist")
    form = {"action": "push_all_with_problem", "_selected_action": [data.shipment.pk, other.pk]}
    assert boss.post(url, form).context["title"] == "Push 2 orders now"
    boss.post(url, form | {"confirmed": "yes"})
    assert list(OutboxEntry.objects.filter(state="rejected")) == [strange]
    logged = set(LogEntry.objects.filter(content_type__model="shipment").values_list("object_id", flat=True))
    assert logged == {str(data.shipment.pk), str(other.pk)}, same


@pytest.mark.parametrize("cause", [Cause("gone"), Cause("rejected", "country", "remote"), Cause("rejected", "a:b", "")])
def test_cause_is_read_from_its_key(cause: Cause) -> None:
    assert Cause.of_key(cause.key) == cause


def test_cause_of_long_path_is_storable(db: None) -> None:
    (entry,) = wrong(1, "x" * 300, "y" * 90)
    entry.full_clean()
    assert (len(entry.error_field), len(entry.error_rule)) == (200, 50)
