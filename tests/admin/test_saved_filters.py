"""Filters that operators save for themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from django_sendcloud.admin.lists.saved_filters import MAX_FILTERS
from django_sendcloud.models import Preference

LIST = "admin:django_sendcloud_parcel_changelist"
FILTERS = "admin:django_sendcloud_parcel_filters"
pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


def save(client: Client, name: str, query: str, model: str = "parcel") -> str:
    answer = client.post(reverse(f"admin:django_sendcloud_{model}_filters"), {"name": name, "query": query})
    assert answer.status_code == 302
    return str(answer["Location"])


def shown(client: Client, query: str = "", model: str = "parcel") -> list[tuple[str, str, bool]]:
    response = client.get(reverse(f"admin:django_sendcloud_{model}_changelist") + query)
    found: list[tuple[str, str, bool]] = response.context["sc_filters"]
    return found


def test_saved_filter_leads_to_its_list(boss: Client) -> None:
    html = boss.get(reverse(LIST) + "?phase__exact=problem&age=day&p=1").content.decode()
    assert 'name="query" value="age=day&amp;phase__exact=problem"' in html
    location = save(boss, "  Late   <b> ", "phase__exact=problem&age=day&q=jane@example.com&p=3")
    assert location == reverse(LIST) + "?age=day&phase__exact=problem"
    html = boss.get(location).content.decode()
    assert '<a href="?age=day&amp;phase__exact=problem" aria-current="true">Late &lt;b&gt;</a>' in html
    assert "Save this filter" not in html
    assert shown(boss) == [("Late <b>", "age=day&phase__exact=problem", False)]
    assert "Save this filter" not in boss.get(reverse(LIST)).content.decode(), "nothing is filtered"
    assert "jane" not in str(Preference.objects.values_list("value", flat=True).get())


def test_filters_belong_to_user_and_list(boss: Client, as_role: Callable[..., Client]) -> None:
    save(boss, "Mine", "age=day")
    other = as_role("staff", "view_parcel", "view_shipment")
    assert shown(other) == []
    other.post(reverse(FILTERS), {"remove": "Mine"})
    assert len(shown(boss)) == 1
    assert shown(boss, model="shipment") == []


def test_filter_is_replaced_and_removed(boss: Client) -> None:
    save(boss, "A", "age=day")
    save(boss, "B", "age=week")
    save(boss, "A", "age=month")
    assert [name_and_query[:2] for name_and_query in shown(boss)] == [("A", "age=month"), ("B", "age=week")]
    answer = boss.post(reverse(FILTERS), {"remove": "A", "query": "age=year", "name": ""})
    assert answer["Location"] == reverse(LIST) + "?age=month"
    assert [name for name, *_ in shown(boss)] == ["B"]


@pytest.mark.parametrize(("name", "query"), [("", "age=day"), (" ", "age=day"), ("A", ""), ("A", "q=jane")])
def test_nameless_and_empty_filters_are_refused(boss: Client, name: str, query: str) -> None:
    save(boss, name, query)
    html = boss.get(reverse(LIST)).content.decode()
    assert ("give it a name" if query.startswith("age") else "choose one first") in html
    assert shown(boss) == []


@pytest.mark.long
def test_saved_filters_are_limited(boss: Client) -> None:
    for number in range(MAX_FILTERS + 1):
        save(boss, str(number), f"carrier={number}")
    assert len(shown(boss)) == MAX_FILTERS
    assert boss.get(reverse(LIST) + "?age=day").context["sc_unsaved"] == ""
    boss.get(reverse(LIST))
    save(boss, "x" * 500, "carrier=x")
    html = boss.get(reverse(LIST)).content.decode()
    assert "The filter is not saved: you have 20 already. Remove one first." in html
    assert len(shown(boss)) == MAX_FILTERS


def test_removed_filter_is_not_removed_again(boss: Client) -> None:
    """A second tab still shows it."""
    save(boss, "A", "age=day")
    for _ in range(2):
        boss.post(reverse(FILTERS), {"remove": "A"})
    html = boss.get(reverse(LIST)).content.decode()
    assert html.count("The filter “A” is removed.") == 1
    assert "There is no filter “A” any more." in html


def test_saving_needs_permission_post_and_token(boss: Client, as_role: Callable[..., Client]) -> None:
    assert as_role("staff", "view_shipment").post(reverse(FILTERS), {"name": "A"}).status_code == 403
    assert boss.get(reverse(FILTERS)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(is_superuser=True))
    assert strict.post(reverse(FILTERS), {"name": "A", "query": "age=day"}).status_code == 403
    assert not Preference.objects.exists()
