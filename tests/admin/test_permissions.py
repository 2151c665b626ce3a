"""Nothing is reachable without its permission: every address and every action, as every role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import resolve, reverse

from django_sendcloud.admin.actions import Action
from django_sendcloud.models import Account, Integration, OutboxEntry, Parcel, Shipment, WebhookEvent

from .conftest import Data

MODELS = {
    model._meta.model_name: model for model in (Integration, OutboxEntry, Shipment, Parcel, WebhookEvent, Account)
}
ROLES = ["anonymous", "staff", "viewer", "operator", "superuser"]
SEE = {"viewer", "operator", "superuser"}
NOBODY: set[str] = set()
BOSS = {"superuser"}

# Who gets in with a GET. Every address our admin has must stand here.
PAGES: dict[str, dict[str, set[str]]] = {
    "integration": {"changelist": SEE, "change": SEE, "history": SEE, "add": BOSS, "delete": NOBODY},
    "account": {"changelist": SEE, "change": SEE, "history": SEE, "add": BOSS, "delete": NOBODY},
    "outboxentry": {"changelist": SEE, "change": SEE, "history": SEE, "payload": BOSS, "add": NOBODY, "delete": NOBODY},
    "shipment": {"changelist": SEE, "change": SEE, "history": SEE, "payload": BOSS, "add": NOBODY, "delete": NOBODY},
    "parcel": {"changelist": SEE, "change": SEE, "history": SEE, "add": NOBODY, "delete": NOBODY},
    "webhookevent": {"changelist": SEE, "change": SEE, "history": SEE, "add": NOBODY, "delete": NOBODY},
}
# Who may do it.
ACTIONS: dict[tuple[str, str], set[str]] = {
    ("integration", "test_connection"): {"operator", "superuser"},
    ("integration", "refresh"): BOSS,
    ("integration", "register_webhook"): BOSS,
    ("integration", "accept_keys"): BOSS,
    ("integration", "pause"): {"operator", "superuser"},
    ("integration", "resume"): {"operator", "superuser"},
    ("outboxentry", "push_now"): {"operator", "superuser"},
    ("outboxentry", "push_all_alike"): {"operator", "superuser"},
    ("shipment", "push_again"): {"operator", "superuser"},
    ("webhookevent", "replay"): {"operator", "superuser"},
}


# Those of labels answer with a document: test_labels.py.
LABELS = {("parcel", name) for name in ("open_label", *(f"labels_a4_{position}" for position in (1, 2, 3, 4)))}


def actions_of(model: type[Any]) -> list[Any]:
    model_admin: Any = admin.site.get_model_admin(model)
    return [action for action in model_admin.actions or () if (model._meta.model_name, action.__name__) not in LABELS]


def address(model: str, page: str, data: Data) -> str:
    args = [] if page in ("changelist", "add") else [data.objects[model].pk]
    return reverse(f"admin:django_sendcloud_{model}_{page}", args=args)


def test_the_tables_here_are_complete() -> None:
    pages, actions = {}, set()
    for name, model in MODELS.items():
        model_admin: Any = admin.site.get_model_admin(model)
        names = {pattern.name.rsplit("_", 1)[1] for pattern in model_admin.get_urls() if pattern.name}
        pages[name] = names - {"action", "assign"}  # assign: test_labels.py
        actions |= {(name, a.__name__) for a in (*model_admin.page_actions, *model_admin.actions)}
    assert pages == {name: set(table) for name, table in PAGES.items()}
    assert actions == set(ACTIONS) | LABELS


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("model", "page"), [(model, page) for model, table in PAGES.items() for page in table])
def test_a_page_opens_to_who_may_see_it_and_nobody_else(
    role: str, model: str, page: str, data: Data, as_role: Callable[[str], Client]
) -> None:
    response = as_role(role).get(address(model, page, data))
    if role in PAGES[model][page]:
        assert response.status_code == 200
    elif role == "anonymous":
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/")
    else:
        assert response.status_code == 403


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("model", "name"), ACTIONS)
def test_a_button_works_for_who_may_press_it_and_nobody_else(
    role: str, model: str, name: str, data: Data, as_role: Callable[[str], Client]
) -> None:
    url = reverse(f"admin:django_sendcloud_{model}_action", args=[data.objects[model].pk, name])
    response = as_role(role).post(url, {"confirmed": "yes"})
    entries = LogEntry.objects.filter(content_type__model=model)
    if role in ACTIONS[model, name]:
        assert response.status_code == 302
        assert response["Location"] == address(model, "change", data)
        assert entries.count() == 1
    else:
        assert response.status_code == (302 if role == "anonymous" else 403)
        assert "/login/" in response.get("Location", "/login/")
        assert entries.count() == 0


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("model", "name"),
    [(name, a.__name__) for name, model in MODELS.items() for a in actions_of(model)],
)
def test_an_action_of_a_list_works_for_who_may_do_it_and_nobody_else(
    role: str, model: str, name: str, data: Data, as_role: Callable[[str], Client]
) -> None:
    as_role(role).post(
        address(model, "changelist", data),
        {"action": name, "_selected_action": [data.objects[model].pk], "confirmed": "yes"},
    )
    assert LogEntry.objects.filter(content_type__model=model).count() == int(role in ACTIONS[model, name])


@pytest.mark.parametrize("role", ["viewer", "operator", "superuser"])
def test_buttons_are_shown_to_who_may_press_them(role: str, data: Data, as_role: Callable[[str], Client]) -> None:
    client = as_role(role)
    for model, name in ACTIONS:
        html = client.get(address(model, "change", data)).content.decode()
        url = reverse(f"admin:django_sendcloud_{model}_action", args=[data.objects[model].pk, name])
        offered = name != "resume"  # it is not paused
        assert (f'action="{url}"' in html) == (role in ACTIONS[model, name] and offered), name


@pytest.mark.parametrize(("model", "name"), ACTIONS)
def test_an_action_needs_a_post_and_a_csrf_token(
    model: str, name: str, data: Data, as_role: Callable[[str], Client]
) -> None:
    url = reverse(f"admin:django_sendcloud_{model}_action", args=[data.objects[model].pk, name])
    client = as_role("superuser")
    assert client.get(url).status_code == 405
    client.handler.enforce_csrf_checks = True
    assert client.post(url, {"confirmed": "yes"}).status_code == 403
    assert LogEntry.objects.count() == 0


def test_an_action_that_needs_only_its_own_permission_still_needs_to_see_the_object(
    data: Data, as_role: Callable[..., Client]
) -> None:
    client = as_role("staff", "push_order", "replay_webhookevent", "pause_integration")
    for model, name in (("outboxentry", "push_now"), ("webhookevent", "replay"), ("integration", "pause")):
        url = reverse(f"admin:django_sendcloud_{model}_action", args=[data.objects[model].pk, name])
        assert client.post(url, {"confirmed": "yes"}).status_code == 403
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("page", ["action", "payload"])
def test_who_may_see_nothing_does_not_learn_what_exists(page: str, data: Data, as_role: Callable[..., Client]) -> None:
    client = as_role("staff", "push_order", "view_payload")
    for pk in (data.entry.pk, 10**6):
        url = reverse(f"admin:django_sendcloud_outboxentry_{page}", args=[pk, "push_now"][: 1 + (page == "action")])
        response = client.post(url) if page == "action" else client.get(url)
        assert response.status_code == 403


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("role", ["staff", "viewer", "operator"])
def test_nobody_changes_a_row_without_the_permission_to(
    role: str, model: str, data: Data, as_role: Callable[[str], Client]
) -> None:
    response = as_role(role).post(address(model, "change", data), {"name": "changed", "public_key": "changed"})
    assert response.status_code == 403


@pytest.mark.parametrize("model", ["outboxentry", "shipment", "parcel", "webhookevent"])
def test_what_mirrors_sendcloud_cannot_be_edited_even_by_a_superuser(
    model: str, data: Data, as_role: Callable[[str], Client]
) -> None:
    assert as_role("superuser").post(address(model, "change", data), {"status": "synced"}).status_code == 403


def test_an_integration_with_a_history_cannot_be_deleted_and_one_without_can(
    data: Data, as_role: Callable[[str], Client]
) -> None:
    client = as_role("superuser")
    url = address("integration", "delete", data)
    assert client.post(url, {"post": "yes"}).status_code == 403
    mistake = Integration.objects.create(remote_id=5)
    assert (
        client.post(
            reverse("admin:django_sendcloud_integration_delete", args=[mistake.pk]), {"post": "yes"}
        ).status_code
        == 302
    )
    assert list(Integration.objects.values_list("remote_id", flat=True)) == [4001]


def test_personal_data_needs_its_own_permission(data: Data, as_role: Callable[..., Client]) -> None:
    event, shipment = address("webhookevent", "change", data), address("shipment", "payload", data)
    operator, reader = as_role("operator"), as_role("viewer", "view_payload")
    assert "Canary Person" not in operator.get(event).content.decode()
    assert operator.get(shipment).status_code == 403
    assert "Canary Person" in reader.get(event).content.decode()
    assert "Canary Person" in reader.get(shipment).content.decode()


@pytest.mark.parametrize("page", ["add", "change", "action"])
def test_no_transaction_is_open_while_sendcloud_is_asked(page: str, data: Data) -> None:
    arguments: dict[str, list[Any]] = {"add": [], "change": [1], "action": [1, "refresh"]}
    args = arguments[page]
    view = resolve(reverse(f"admin:django_sendcloud_integration_{page}", args=args)).func
    assert "default" in view._non_atomic_requests  # type: ignore[attr-defined]


def test_actions_are_what_this_test_takes_them_for() -> None:
    for model in MODELS.values():
        assert all(isinstance(action, Action) for action in actions_of(model))
