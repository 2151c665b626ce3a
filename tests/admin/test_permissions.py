"""Permissions of every URL, every action and every form, for every role.

The tests walk the admin sites, so that nothing new can be forgotten: a page, an action or a button that is missing in
the tables here fails ``test_permission_tables_are_complete``.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, resolve, reverse
from pypdf import PdfWriter

from django_sendcloud.admin import SendcloudOrderAdmin
from django_sendcloud.admin.actions.action import Action
from django_sendcloud.admin.integrations.settings import Shown, values_here, values_there
from django_sendcloud.models import Account, Integration, OutboxEntry, Overview, Parcel, Shipment, WebhookEvent
from django_sendcloud.testing import rolled_back
from tests.shop.models import Order

from . import shop_site
from .conftest import Data, client_with
from .fake import FakeSendcloud

MODELS: dict[str, type[Any]] = {
    "integration": Integration,
    "outboxentry": OutboxEntry,
    "shipment": Shipment,
    "parcel": Parcel,
    "webhookevent": WebhookEvent,
    "account": Account,
    "order": Order,
}
NOBODY = {"nobody has this"}

# Permissions that each URL needs for a GET. Every URL of our admin has to be listed.
PAGES: dict[str, dict[str, set[str]]] = {
    "integration": {
        **{page: {"view_integration"} for page in ["changelist", "change", "history", "logs", "settings", "export"]},
        "differences": {"view_integration", "view_shipment"},
        "add": {"add_integration"},
        "delete": NOBODY,  # it has a history: see below
    },
    "account": {
        **{page: {"view_account"} for page in ["changelist", "change", "history"]},
        "add": {"add_account"},
        "delete": NOBODY,  # it has integrations
    },
    "outboxentry": {
        **{page: {"view_outboxentry"} for page in ["changelist", "change", "history", "export"]},
        "payload": {"view_outboxentry", "view_payload"},
        "fix": {"view_outboxentry"},
        "add": NOBODY,
        "delete": NOBODY,
    },
    "shipment": {
        **{page: {"view_shipment"} for page in ["changelist", "change", "history", "export"]},
        "payload": {"view_shipment", "view_payload"},
        "add": NOBODY,
        "delete": NOBODY,
    },
    "parcel": {
        **{page: {"view_parcel"} for page in ["changelist", "change", "history", "export"]},
        "assign": {"view_parcel", "assign_parcel", "view_shipment"},
        "add": NOBODY,
        "delete": NOBODY,
    },
    "webhookevent": {
        **{page: {"view_webhookevent"} for page in ["changelist", "change", "history", "export"]},
        "add": NOBODY,
        "delete": NOBODY,
    },
    "order": {},  # the shop's own pages are the shop's business
}
_PRINT = {"view_parcel", "print_label"}
_PRINT_ORDERS = {"view_order", "view_shipment", "view_outboxentry", "view_parcel", "print_label"}
_CANCEL_OF_ORDERS = {"view_order", "view_shipment", "view_outboxentry", "view_parcel", "cancel_label"}
# Permissions that each action needs, on an object's page and on its list.
ACTIONS: dict[tuple[str, str], set[str]] = {
    ("integration", "test_connection"): {"view_integration", "test_integration"},
    ("integration", "refresh"): {"change_integration"},
    ("integration", "move"): {"change_integration"},
    ("integration", "register_webhook"): {"change_integration"},
    ("integration", "check_address"): {"view_integration", "test_integration"},
    ("integration", "accept_keys"): {"change_integration"},
    ("integration", "disconnect"): {"change_integration"},
    ("integration", "delete_at_sendcloud"): {"view_integration", "delete_remote_integration"},
    ("integration", "pause"): {"view_integration", "pause_integration"},
    ("integration", "resume"): {"view_integration", "pause_integration"},
    ("integration", "test_order"): {"view_integration", "push_order"},
    ("integration", "ships_here"): {"view_integration", "pause_integration"},
    ("integration", "is_a_copy"): {"view_integration", "pause_integration"},
    ("outboxentry", "push_now"): {"view_outboxentry", "push_order"},
    ("outboxentry", "push_all_with_problem"): {"view_outboxentry", "push_order"},
    ("shipment", "push_again"): {"view_shipment", "push_order"},
    ("shipment", "push_all_with_problem"): {"view_shipment", "view_outboxentry", "push_order"},
    ("shipment", "print_labels"): {"view_shipment", "view_parcel", "print_label"},
    ("shipment", "refresh"): {"view_shipment", "push_order"},
    ("shipment", "keep_label"): {"view_shipment", "view_parcel", "cancel_label"},
    ("shipment", "cancel_label"): {"view_shipment", "view_parcel", "cancel_label"},
    ("shipment", "mark_handled"): {"view_shipment", "push_order"},
    ("shipment", "delete_at_sendcloud"): {"view_shipment", "delete_remote_shipment"},
    ("webhookevent", "replay"): {"view_webhookevent", "replay_webhookevent"},
    ("webhookevent", "dismiss"): {"view_webhookevent", "replay_webhookevent"},
    ("parcel", "print_label"): _PRINT,
    ("parcel", "print_return_label"): _PRINT,
    ("parcel", "cancel_label"): {"view_parcel", "cancel_label"},
    ("parcel", "dismiss_parcels"): {"view_parcel", "assign_parcel", "view_shipment"},
    ("parcel", "reopen_parcels"): {"view_parcel", "assign_parcel", "view_shipment"},
    ("order", "sendcloud_push"): {"view_order", "push_order"},
    ("order", "sendcloud_labels"): _PRINT_ORDERS,
    ("order", "sendcloud_keep_label"): _CANCEL_OF_ORDERS,
    ("order", "sendcloud_cancel_label"): _CANCEL_OF_ORDERS,
}
# Actions for an occasion that no object of these tests has: a pause, a copy of the shop, a label conflict, a dead webhook.
# Their own tests use them with permission; here they are refused without it.
OCCASIONAL = {
    ("integration", "test_order"),
    ("integration", "ships_here"),
    ("integration", "is_a_copy"),
    ("integration", "resume"),
    ("shipment", "keep_label"),
    ("shipment", "cancel_label"),
    ("shipment", "mark_handled"),
    ("webhookevent", "dismiss"),
    ("parcel", "print_return_label"),
    ("parcel", "cancel_label"),
    ("parcel", "dismiss_parcels"),
    ("parcel", "reopen_parcels"),
    ("order", "sendcloud_keep_label"),
    ("order", "sendcloud_cancel_label"),
}


@dataclasses.dataclass(frozen=True)
class Form:
    """Form that changes something by a POST, and its permissions."""

    model: str
    page: str
    needs: set[str]
    values: dict[str, Any]
    # Adapts the object or the values to the test.
    prepare: Callable[[Data, dict[str, Any]], None] = lambda data, values: None


def _unassigned(data: Data, values: dict[str, Any]) -> None:
    Parcel.objects.update(shipment=None)
    values |= {"shipment": data.shipment.pk, "number": data.order.number}


def _without_history(data: Data, values: dict[str, Any]) -> None:
    Parcel.objects.all().delete()
    WebhookEvent.objects.all().delete()
    Shipment.objects.all().delete()


def _in_its_account(data: Data, values: dict[str, Any]) -> None:
    values["account"] = data.integration.account.pk


def _as_it_was_shown(data: Data, values: dict[str, Any]) -> None:
    integration = data.integration
    with integration.client() as client:
        there = values_there(client.v2.integrations.get(integration.remote_id))
    values["shown"] = Shown(there, values_here(integration)).sign(integration)


_KEYS = {"auth_scheme": "basic", "public_key": "public-key-0001"}
FORMS = [
    Form("integration", "change", {"change_integration"}, _KEYS, _in_its_account),
    Form("integration", "settings", {"change_integration"}, {"take": "webhook"}, _as_it_was_shown),
    Form("integration", "delete", {"delete_integration", "view_integration"}, {"post": "yes"}, _without_history),
    Form("account", "add", {"add_account"}, {"name": "Another"}),
    Form("account", "change", {"change_account"}, {"name": "Renamed"}),
    Form("parcel", "assign", {"view_parcel", "assign_parcel", "view_shipment"}, {}, _unassigned),
]

# Read-only rows that mirror Sendcloud.
MIRRORS = ["outboxentry", "shipment", "parcel", "webhookevent"]
OURS = [name for name in MODELS if name != "order"]
VIEW_ALL = {f"view_{name}" for name in MODELS}
SPECIAL = {codename for model in MODELS.values() for codename, _ in model._meta.permissions}
EDITING = {f"{verb}_{name}" for verb in ("add", "change", "delete") for name in OURS}
# Permissions of each role. A superuser has all, an anonymous visitor is not even staff.
ROLES: dict[str, set[str] | None] = {
    "anonymous": set(),
    "staff": set(),
    "viewer": VIEW_ALL,
    "who may do everything and see nothing": SPECIAL,
    "editor": VIEW_ALL | EDITING,
    **{f"who sees only {name}": {f"view_{name}"} | SPECIAL for name in MODELS},
    **{f"viewer who has {codename}": VIEW_ALL | {codename} for codename in sorted(SPECIAL)},
    "superuser": None,
}


# The fast tests take one of each kind.
every_role = pytest.mark.parametrize(
    "role",
    [
        pytest.param(role, marks=pytest.mark.long if role.startswith(("who sees only", "viewer who")) else ())
        for role in ROLES
    ],
)


def may(role: str, needs: set[str]) -> bool:
    """Return whether a role has all these permissions. In Django, change implies view."""
    has = ROLES[role]
    if has is None:
        return needs != NOBODY
    return needs <= has | {f"view_{name}" for name in MODELS if f"change_{name}" in has}


def log_in(role: str) -> Client:
    if role == "anonymous":
        return Client()
    user = User.objects.create_user("somebody", is_staff=True, is_superuser=role == "superuser")
    return client_with(user, *(ROLES[role] or ()))


def object_of(model: str, data: Data) -> Any:
    return data.order if model == "order" else data.objects[model]


def site_of(model: str) -> admin.AdminSite:
    return shop_site.site if model == "order" else admin.site


def address(model: str, page: str, data: Data, *more: str) -> str:
    args = [] if page in ("changelist", "add", "export", "fix") else [object_of(model, data).pk, *more]
    return reverse(f"{site_of(model).name}:{MODELS[model]._meta.app_label}_{model}_{page}", args=args)


def button(model: str, name: str, data: Data) -> str:
    """Return the URL that a button of an object's page posts to."""
    return address(model, "sendcloud" if model == "order" else "action", data, name)


def admin_of(model: str) -> Any:
    return site_of(model).get_model_admin(MODELS[model])


def buttons_of(model: str) -> list[Action]:
    model_admin = admin_of(model)
    return [*(model_admin.sendcloud_buttons if model == "order" else model_admin.page_actions)]


def list_actions_of(model: str) -> list[Any]:
    model_admin = admin_of(model)
    return [*(model_admin.sendcloud_actions if model == "order" else model_admin.actions or ())]


THERE = {
    "button": {(model, button.name) for model in MODELS for button in buttons_of(model)},
    "list": {(model, action.__name__) for model in MODELS for action in list_actions_of(model)},
}
BUTTONS = [each for each in ACTIONS if each in THERE["button"]]
LISTED = [each for each in ACTIONS if each in THERE["list"]]


@pytest.fixture
def everything(data: Data, fake: FakeSendcloud, settings: Any) -> Data:
    """Return one row of everything, a label included."""
    written = io.BytesIO()
    writer = PdfWriter()
    writer.add_blank_page(300, 400)
    writer.write(written)
    fake.label = written.getvalue()
    # A closed port, which fails immediately.
    settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_BASE_URL": "http://127.0.0.1:9"}
    data.parcel.labels = {"a6": f"{fake.base_url}/labels/label_printer/71"}
    data.parcel.save()
    return data


def snapshot() -> dict[str, Any]:
    """Return all that an action could change. A request to Sendcloud changes the limiter."""
    rows = {name: list(model._base_manager.order_by("pk").values()) for name, model in MODELS.items()}
    for account in rows["account"]:
        account |= {"safe_tat": 0, "unsafe_tat": 0}
    return {**rows, "log": LogEntry.objects.count()}


def was_refused(role: str, response: HttpResponse) -> bool:
    if role == "anonymous":
        return response.status_code == 302 and "/login/" in response["Location"]
    return response.status_code == 403


# -- completeness -----------------------------------------------------------------------------------------


def walk(patterns: list[URLPattern | URLResolver], route: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        where = route + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, where)
        else:
            yield where, pattern


def is_ours(route: str, pattern: URLPattern) -> bool:
    module = getattr(pattern.callback, "__module__", "")
    return module.startswith("django_sendcloud") or (
        route.startswith("django_sendcloud/") and pattern.name is not None and "django_sendcloud_" in pattern.name
    )


def test_permission_tables_are_complete() -> None:
    known = {f"django_sendcloud_{model}_{page}" for model in OURS for page in PAGES[model]}
    known |= {f"django_sendcloud_{model}_action" for model in OURS}
    known.add("django_sendcloud_overview_changelist")  # a page of its own: test_overview.py
    # Pages of their own, with tests of their own: test_preview.py, test_doctor.py, test_find.py.
    known.add("django_sendcloud_account_export")  # an address without a page: this list is not exported
    # Of four lists, by POST: test_saved_filters.py.
    known |= {f"django_sendcloud_{model}_filters" for model in ("outboxentry", "shipment", "parcel", "webhookevent")}
    known |= {f"django_sendcloud_overview_{page}" for page in ("preflight", "doctor", "find")}
    shops = {
        f"{model._meta.app_label}_{model._meta.model_name}_{page}"
        for model, model_admin in shop_site.site._registry.items()
        if isinstance(model_admin, SendcloudOrderAdmin)
        for page in ("sendcloud", "changelist", "history")
    }
    for site, expected in ((admin.site, known), (shop_site.site, known | shops)):
        found = {pattern.name for route, pattern in walk(site.get_urls()) if is_ours(route, pattern)}
        found.discard(None)  # a page of the shop that shows its list
        assert found == expected
    registered = {model for model in admin.site._registry if model._meta.app_label == "django_sendcloud"}
    assert registered == {MODELS[name] for name in OURS} | {Overview}
    assert THERE["button"] | THERE["list"] == set(ACTIONS)
    # New integrations are in test_integration.py; one can be deleted only as long as it has no history.
    forms = {(form.model, form.page) for form in FORMS} | {("integration", "add")}
    readable = {
        (model, page)
        for model in OURS
        for page in ("changelist", "history", "logs", "payload", "export", "differences", "fix")
    }
    readable |= {(model, "change") for model in MIRRORS}
    opened = {(model, page) for model in OURS for page, needs in PAGES[model].items() if needs != NOBODY}
    assert opened - readable == forms - {("integration", "delete")}


def test_permission_tables_match_actions() -> None:
    for model in MODELS:
        assert all(isinstance(action, Action) for action in (*buttons_of(model), *list_actions_of(model)))


# -- every role --------------------------------------------------------------------------------------------


@pytest.mark.long
@every_role
def test_page_opens_only_with_permission(role: str, everything: Data) -> None:
    client = log_in(role)
    Parcel.objects.update(shipment=None)  # something to assign
    for model, pages in PAGES.items():
        for page, needs in pages.items():
            response = client.get(address(model, page, everything))
            if role != "anonymous" and may(role, needs):
                assert response.status_code == 200, (model, page)
            else:
                assert was_refused(role, response), (model, page, response.status_code)


@pytest.mark.long
@every_role
def test_button_works_only_with_permission(role: str, everything: Data, fake: FakeSendcloud) -> None:
    client = log_in(role)
    before = snapshot()
    for model, name in BUTTONS:
        fake.add(everything.integration.remote_id, "Bike shop")  # it may have been deleted
        allowed = role != "anonymous" and may(role, ACTIONS[model, name])
        with rolled_back():
            confirmed = {"confirmed": "yes", "typed": str(object_of(model, everything))}
            response = client.post(button(model, name, everything), confirmed)
            if allowed:
                assert response.status_code in (200, 302), (model, name)
                assert (model, name) in OCCASIONAL or is_logged(object_of(model, everything)), (model, name)
            else:
                assert was_refused(role, response), (model, name, response.status_code)
                assert snapshot() == before, (model, name)


@pytest.mark.long
@every_role
def test_list_action_works_only_with_permission(role: str, everything: Data) -> None:
    client = log_in(role)
    before = snapshot()
    for model, name in LISTED:
        chosen = {"action": name, "_selected_action": [object_of(model, everything).pk], "confirmed": "yes"}
        with rolled_back():
            client.post(address(model, "changelist", everything), chosen)
            if role != "anonymous" and may(role, ACTIONS[model, name]):
                assert (model, name) in OCCASIONAL or is_logged(object_of(model, everything)), (model, name)
            else:
                assert snapshot() == before, (model, name)


@every_role
@pytest.mark.long
def test_form_works_only_with_permission(role: str, everything: Data) -> None:
    client = log_in(role)
    for form in FORMS:
        with rolled_back():
            values = dict(form.values)
            form.prepare(everything, values)
            before = snapshot()
            response = client.post(address(form.model, form.page, everything), values)
            where = (form.model, form.page, response.status_code)
            if role != "anonymous" and may(role, form.needs):
                assert response.status_code == 302, where
                assert snapshot() != before, where
                assert snapshot()["log"] == before["log"] + 1, where
            else:
                assert was_refused(role, response), where
                assert snapshot() == before, where


def is_logged(obj: Any) -> bool:
    """Return whether Django's log has it exactly once, with user and object."""
    found = LogEntry.objects.filter(object_id=str(obj.pk), content_type__model=obj._meta.model_name)
    return [bool(entry.change_message and entry.user_id) for entry in found] == [True]


@every_role
@pytest.mark.long
def test_buttons_show_only_with_permission(role: str, everything: Data) -> None:
    client = log_in(role)
    pages = {model: client.get(address(model, "change", everything)) for model in MODELS}
    for model, name in BUTTONS:
        # None is paused.
        allowed = role != "anonymous" and may(role, ACTIONS[model, name]) and name != "resume"
        html = pages[model].content.decode()
        shown = f'action="{button(model, name, everything)}"' in html
        if (model, name) == ("order", "sendcloud_push") and may(role, {"change_order"}):
            # Operators who can save the order push by saving.
            assert not shown
            shown = 'name="_sendcloud_push"' in html
        if name == "test_connection" and allowed and may(role, {"change_integration"}):
            # Operators who may enter keys test them in the form.
            shown = not shown and 'name="_test"' in pages[model].content.decode()
        assert shown == allowed or ((model, name) in OCCASIONAL and not shown), (model, name)


@every_role
@pytest.mark.long
def test_actions_show_only_with_permission(role: str, everything: Data) -> None:
    client = log_in(role)
    pages = {model: client.get(address(model, "changelist", everything)) for model in MODELS}
    for model, name in LISTED:
        allowed = role != "anonymous" and may(role, ACTIONS[model, name])
        shown = f'<option value="{name}"' in pages[model].content.decode()
        assert shown == allowed or ((model, name) in OCCASIONAL and not shown), (model, name)


# -- only by a POST with a token -----------------------------------------------------------------------------


def addresses(data: Data) -> list[str]:
    """Return all our URLs."""
    pages = [address(model, page, data) for model, table in PAGES.items() for page in table]
    return [*pages, *(button(model, name, data) for model, name in BUTTONS)]


@pytest.mark.long
def test_get_changes_nothing(everything: Data) -> None:
    client = log_in("superuser")
    before = snapshot()
    for url in addresses(everything):
        response = client.get(url, {"confirmed": "yes", "action": "pause", "_selected_action": "1", "post": "yes"})
        assert response.status_code in (200, 302, 403, 405), url
        assert snapshot() == before, url


@pytest.mark.long
def test_post_without_token_changes_nothing(everything: Data, fake: FakeSendcloud) -> None:
    client = log_in("superuser")
    client.handler.enforce_csrf_checks = True
    before, asked = snapshot(), len(fake.requests)
    for url in addresses(everything):
        response = client.post(url, {"confirmed": "yes", "post": "yes", "name": "changed", "take": "all"})
        assert response.status_code in (403, 405), url
        assert snapshot() == before, url
    for model, name in LISTED:
        chosen = {"action": name, "_selected_action": [object_of(model, everything).pk], "confirmed": "yes"}
        assert client.post(address(model, "changelist", everything), chosen).status_code == 403
        assert snapshot() == before, (model, name)
    assert len(fake.requests) == asked, "nor is Sendcloud asked"


@pytest.mark.parametrize(("model", "name"), BUTTONS)
def test_buttons_are_posted(model: str, name: str, everything: Data) -> None:
    assert log_in("superuser").get(button(model, name, everything)).status_code == 405


# -- other refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["action", "payload"])
def test_forbidden_object_does_not_reveal_existence(page: str, data: Data, as_role: Callable[..., Client]) -> None:
    client = as_role("staff", "push_order", "view_payload")
    for pk in (data.entry.pk, 10**6):
        url = reverse(f"admin:django_sendcloud_outboxentry_{page}", args=[pk, "push_now"][: 1 + (page == "action")])
        response = client.post(url) if page == "action" else client.get(url)
        assert response.status_code == 403


@pytest.mark.parametrize("model", OURS)
@pytest.mark.parametrize("role", ["staff", "viewer", "operator"])
def test_row_change_needs_permission(role: str, model: str, data: Data, as_role: Callable[[str], Client]) -> None:
    response = as_role(role).post(address(model, "change", data), {"name": "changed", "public_key": "changed"})
    assert response.status_code == 403


@pytest.mark.parametrize("model", MIRRORS)
def test_mirrored_rows_are_read_only_for_superuser(model: str, data: Data, as_role: Callable[[str], Client]) -> None:
    assert as_role("superuser").post(address(model, "change", data), {"status": "synced"}).status_code == 403


def test_integration_deletion_needs_empty_history(data: Data, as_role: Callable[[str], Client]) -> None:
    client = as_role("superuser")
    url = address("integration", "delete", data)
    assert client.post(url, {"post": "yes"}).status_code == 403
    mistake = Integration.objects.create(remote_id=5)
    # Webhooks and deleted shipments do not prevent deletion.
    WebhookEvent.objects.create(integration=mistake, digest="b" * 64)
    Shipment.objects.create(integration=mistake, order_type="shop.order", order_pk="1", status="deleted")
    assert (
        client.post(
            reverse("admin:django_sendcloud_integration_delete", args=[mistake.pk]), {"post": "yes"}
        ).status_code
        == 302
    )
    assert list(Integration.objects.values_list("remote_id", flat=True)) == [4001]


@pytest.mark.long
def test_personal_data_needs_permission(data: Data, as_role: Callable[..., Client]) -> None:
    event, shipment = address("webhookevent", "change", data), address("shipment", "payload", data)
    operator, reader = as_role("operator"), as_role("viewer", "view_payload")
    assert "Canary Person" not in operator.get(event).content.decode()
    assert operator.get(shipment).status_code == 403
    assert "Canary Person" in reader.get(event).content.decode()
    assert "Canary Person" in reader.get(shipment).content.decode()


@pytest.mark.parametrize("page", ["add", "change", "action"])
def test_requests_run_outside_transactions(page: str, data: Data) -> None:
    arguments: dict[str, list[Any]] = {"add": [], "change": [1], "action": [1, "refresh"]}
    args = arguments[page]
    view = resolve(reverse(f"admin:django_sendcloud_integration_{page}", args=args)).func
    assert "default" in view._non_atomic_requests  # type: ignore[attr-defined]
