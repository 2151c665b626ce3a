"""Moving an integration to another API in the admin, and choosing the API when connecting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from django_sendcloud import jobs
from django_sendcloud.models import Integration, PauseReason
from django_sendcloud.sync import limiter
from django_sendcloud.sync.worker import push_due
from tests import factories

from .fake import FakeSendcloud


@pytest.fixture
def boss(as_role: Callable[[str], Client]) -> Client:
    return as_role("superuser")


def action(integration: Integration, name: str) -> str:
    return reverse("admin:django_sendcloud_integration_action", args=[integration.pk, name])


def page(client: Client, integration: Integration) -> str:
    return client.get(reverse("admin:django_sendcloud_integration_change", args=[integration.pk])).content.decode()


@pytest.mark.long
def test_move_reports_first_and_then_moves(boss: Client, integration: Integration, sandbox: Any) -> None:
    order = factories.order()
    push_due()
    question = boss.post(action(integration, "move"))
    assert "1 order stays as it is." in question.content.decode()
    assert Integration.objects.get().api_generation == "v2"
    boss.post(action(integration, "move"), {"confirmed": "yes", "number": "1"})
    assert Integration.objects.get().paused_reason == PauseReason.MOVE
    assert "It is being moved to another API" in page(boss, integration)
    jobs.sweep()
    moved = Integration.objects.get()
    assert (moved.api_generation, moved.is_paused) == ("v3", False)
    assert [each["order_id"] for each in sandbox.orders()] == [str(order.pk)]


def test_move_is_not_surveyed_beyond_the_rate(
    boss: Client, integration: Integration, sandbox: Any, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator waits a few seconds for the question, not a minute."""
    waits = [60.0]
    monkeypatch.setattr(limiter, "acquire", lambda account_pk, kind: waits.pop() if waits else 0.0)
    assert "Sendcloud could not be asked" in boss.post(action(integration, "move")).content.decode()
    assert sandbox.requests == []


@pytest.mark.long
def test_missing_permission_offers_the_move(boss: Client, integration: Integration, sandbox: Any) -> None:
    sandbox.certified_partners_only = True
    factories.order()
    push_due()
    assert Integration.objects.get().paused_reason == PauseReason.PERMISSION
    for shown in (page(boss, integration), boss.get(reverse("admin:django_sendcloud_overview_changelist"))):
        html = shown if isinstance(shown, str) else shown.content.decode()
        assert "Move to " in html
        assert action(integration, "move") in html


def test_resume_ends_a_move(boss: Client, integration: Integration, sandbox: Any) -> None:
    boss.post(action(integration, "move"), {"confirmed": "yes", "number": "1"})
    boss.post(action(integration, "resume"))
    jobs.sweep()
    found = Integration.objects.get()
    assert (found.api_generation, found.is_paused, found.moving_to) == ("v2", False, "")


def test_unreachable_sendcloud_is_said_before_a_move(boss: Client, integration: Integration, sandbox: Any) -> None:
    sandbox.fail_next(500, 10)
    question = boss.post(action(integration, "move")).content.decode()
    assert "Sendcloud could not be asked" in question
    assert not Integration.objects.get().is_paused


@pytest.mark.parametrize(("chosen", "generation"), [("", "v3"), ("v2", "v2"), ("v3", "v3")])
def test_new_integration_gets_the_chosen_api(
    boss: Client, fake: FakeSendcloud, db: None, chosen: str, generation: str
) -> None:
    account = Integration._meta.get_field("account").get_default()
    form = {
        "public_key": fake.public_key,
        "new_secret_key": fake.secret_key,
        "auth_scheme": "basic",
        "api": chosen,
        "remote_id": "",
        "is_active": "on",
        "account": account,
    }
    response = boss.post(reverse("admin:django_sendcloud_integration_add"), form)
    assert response.status_code == 302
    assert Integration.objects.get().api_generation == generation
