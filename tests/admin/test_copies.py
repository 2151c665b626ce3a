"""The operator's decision which of two deployments ships, and its undoing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from django_sendcloud.core.deployment import CopyOfShop, current_deployment
from django_sendcloud.models import Integration, PauseReason
from django_sendcloud.sync.worker import push_due
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def copied(integration: Integration, sendcloud_settings: Any) -> Integration:
    """Connect at https://shop.example, with one order waiting, then start as https://staging.example."""
    sendcloud_settings(WEBHOOK_BASE_URL="https://shop.example")
    Integration.objects.update(
        deployment=current_deployment(), webhook_active=True, webhook_url="https://shop.example/hook/"
    )
    sendcloud_settings(WEBHOOK_BASE_URL="https://staging.example")
    factories.order()
    push_due()
    integration.refresh_from_db()
    return integration


def press(client: Client, integration: Integration, action: str, **data: Any) -> Any:
    url = reverse("admin:django_sendcloud_integration_action", args=[integration.pk, action])
    return client.post(url, {"confirmed": "yes", "number": "1", **data})


def test_copy_is_asked_before_deciding(copied: Integration, as_role: Callable[..., Client]) -> None:
    response = press(as_role("superuser"), copied, "ships_here", confirmed="")
    page = response.content.decode()
    assert "1 order waits and is sent now." in page
    assert "https://shop.example" in page
    assert "https://staging.example" in page
    assert Integration.objects.get().paused_reason == PauseReason.COPY


def test_shop_that_ships_sends_waiting_orders(
    copied: Integration, sandbox: Any, as_role: Callable[..., Client]
) -> None:
    press(as_role("superuser"), copied, "ships_here")
    push_due()
    assert sandbox.shipments()
    assert LogEntry.objects.filter(change_message__contains="this is the shop that ships").exists()


@pytest.mark.long
def test_copy_decision_is_undone_without_loss(
    copied: Integration, sandbox: Any, as_role: Callable[..., Client]
) -> None:
    operator = as_role("superuser")
    press(operator, copied, "is_a_copy")
    assert not Integration.objects.get().is_active
    factories.order()
    push_due()
    assert not sandbox.requests
    page = operator.get(reverse("admin:django_sendcloud_integration_change", args=[copied.pk])).content.decode()
    assert "It is not used by this copy of the shop" in page
    press(operator, copied, "ships_here")
    push_due()
    assert len(sandbox.shipments()) == 2


def test_copy_in_use_again_stays_paused(copied: Integration, sandbox: Any, as_role: Callable[..., Client]) -> None:
    press(as_role("superuser"), copied, "is_a_copy")
    Integration.objects.update(is_active=True)
    push_due()
    assert not sandbox.requests


def test_plain_resume_does_not_decide(copied: Integration, sandbox: Any, as_role: Callable[..., Client]) -> None:
    operator = as_role("superuser")
    data = {"action": "resume", "_selected_action": [copied.pk]}
    response = operator.post(reverse("admin:django_sendcloud_integration_changelist"), data)
    assert "decide on its page which deployment ships" in str(list(get_messages(response.wsgi_request)))
    assert Integration.objects.get().paused_reason == PauseReason.COPY
    assert not sandbox.requests


@pytest.mark.parametrize("action", ["ships_here", "is_a_copy"])
def test_deciding_needs_permission(copied: Integration, as_role: Callable[..., Client], action: str) -> None:
    assert press(as_role("viewer"), copied, action).status_code == 403


def test_copy_changes_nothing_at_sendcloud(copied: Integration, sandbox: Any) -> None:
    with pytest.raises(CopyOfShop):
        copied.change_at_sendcloud(webhook_active=False)
    copied.refresh_from_sendcloud()
    assert {request.method for request in sandbox.requests} == {"GET"}


def test_register_webhook_at_copy_is_refused(copied: Integration, sandbox: Any, as_role: Callable[..., Client]) -> None:
    Integration.objects.update(paused_since=None, paused_reason="")
    response = press(as_role("superuser"), copied, "register_webhook")
    assert "This may be a copy of the shop" in " ".join(map(str, get_messages(response.wsgi_request)))
    assert not [request for request in sandbox.requests if request.method != "GET"]


def test_disconnect_of_copy_leaves_webhook(copied: Integration, sandbox: Any, as_role: Callable[..., Client]) -> None:
    press(as_role("superuser"), copied, "disconnect")
    assert not Integration.objects.get().secret_key
    assert not sandbox.requests


@pytest.mark.parametrize("generation", ["v2", "v3"], indirect=True)
def test_resume_asks_by_own_generation(integration: Integration, sandbox: Any, as_role: Callable[..., Client]) -> None:
    integration.pause(PauseReason.CONFIGURATION)
    press(as_role("superuser"), integration, "resume")
    assert not Integration.objects.get().is_paused
    assert {request.path.split("/")[2] for request in sandbox.requests} == {integration.api_generation}


@pytest.mark.parametrize("action", ["ships_here", "is_a_copy"])
def test_second_decision_changes_nothing(copied: Integration, as_role: Callable[..., Client], action: str) -> None:
    """Two operators decide on pages that show the same question."""
    operator = as_role("superuser")
    press(operator, copied, "ships_here")
    assert "A colleague has decided meanwhile" in press(operator, copied, action, confirmed="").content.decode()
    press(operator, copied, action)
    assert Integration.objects.get().is_active
    assert not Integration.objects.get().is_paused
