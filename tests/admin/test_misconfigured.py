"""Pages with a wrong setting: each is shown, and names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from django_sendcloud.admin.alerts.misconfigured import explain_misconfiguration
from django_sendcloud.conf import conf
from django_sendcloud.models import OutboxEntry, Overview
from tests import factories
from tests.shop.models import Customer, Order

from .conftest import Data
from .shop_site import OrderAdmin, site

WRONG = {
    "misspelt": ({"BATCH_SISE": 1}, "Did you mean 'BATCH_SIZE'?"),
    "out of bounds": ({"INBOX_DAYS": -1}, "must be between 1 and 36500, not -1."),
    "of another type": ({"SWEEP_SECONDS": "30"}, "must be a number, not '30'."),
    "unknown database": ({"DATABASE": "defualt"}, "is 'defualt', which is not in DATABASES."),
    "secret": ({"ENCRYPTION_KEYS": "canary"}, "SENDCLOUD['ENCRYPTION_KEYS'] must be a list of strings."),
}


@pytest.fixture(params=WRONG.values(), ids=WRONG)
def fault(request: pytest.FixtureRequest, data: Data, settings: Any) -> str:
    """Return what a page has to say of the setting that is wrong."""
    wrong, said = request.param
    settings.SENDCLOUD = {**settings.SENDCLOUD, **wrong}
    return said


def lists_of_ours(data: Data) -> list[str]:
    names = [f"{name}_changelist" for name in data.objects]
    names += ["overview_changelist", "overview_find", "overview_preflight"]
    return [reverse(f"backoffice:django_sendcloud_{name}") for name in names]


def objects_of_ours(data: Data) -> list[str]:
    pages = [(f"{name}_{page}", [obj.pk]) for name, obj in data.objects.items() for page in ("change", "history")]
    pages += [("shipment_payload", [data.shipment.pk]), ("outboxentry_fix", []), ("integration_add", [])]
    return [reverse(f"backoffice:django_sendcloud_{name}", args=args) for name, args in pages]


def named(html: str, fault: str) -> bool:
    said = fault.replace("'", "&#x27;")
    return "prevent requests to Sendcloud" in html and "Ask your developer to fix it." in html and said in html


@pytest.mark.long
def test_wrong_setting_is_named_on_our_pages(as_role: Callable[..., Client], data: Data, fault: str) -> None:
    client = as_role("superuser")
    for url in lists_of_ours(data):
        html = client.get(url, {"q": "nothing"}).content.decode()
        assert named(html, fault), url
        assert "canary" not in html
    for url in objects_of_ours(data):
        assert client.get(url).status_code == 200, url


def test_doctor_works_with_a_wrong_setting(as_role: Callable[..., Client], fault: str) -> None:
    page = as_role("superuser").post(reverse("backoffice:django_sendcloud_overview_doctor"))
    assert "SENDCLOUD has a wrong key or value" in page.content.decode()


def test_wrong_setting_leaves_shops_order_pages(
    as_role: Callable[..., Client], data: Data, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are shown and saved without our parts."""
    monkeypatch.setattr(OrderAdmin, "search_fields", ["number"])
    client = as_role("superuser")
    for url in (
        reverse("backoffice:shop_order_changelist"),
        reverse("backoffice:shop_order_changelist") + "?q=1+2&sendcloud=sent",
        reverse("backoffice:shop_order_change", args=[data.order.pk]),
    ):
        page = client.get(url, follow=True)
        assert page.status_code == 200, url
        html = page.content.decode()
        assert named(html, fault), url
        assert "sendcloud_push" not in html
    form = client.get(url).context["adminform"].form.initial
    saved = client.post(url, {**{name: form[name] for name in form if form[name]}, "city": "Delft", "_continue": "1"})
    assert saved.status_code == 302
    assert Order.objects.get().city == "Delft"


def test_wrong_setting_stops_actions(as_role: Callable[..., Client], data: Data, fault: str) -> None:
    client = as_role("superuser")
    url = reverse("backoffice:django_sendcloud_outboxentry_change", args=[data.entry.pk])
    action = url.replace("/change/", "/action/push_now/")
    assert named(client.post(action, {"confirmed": "yes"}).content.decode(), fault)
    assert OutboxEntry.objects.get().state == "rejected"


@pytest.mark.parametrize(("role", "sees"), [("anonymous", None), ("staff", False), ("viewer", True)])
def test_wrong_setting_is_shown_with_permission(
    as_role: Callable[..., Client], data: Data, settings: Any, role: str, sees: bool | None
) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "SWEEP_SECONDS": "x"}
    client = as_role(role, *([] if sees is None else ["view_parcel"]))
    page = client.get(reverse("backoffice:django_sendcloud_parcel_changelist"))
    assert page.status_code == (302 if sees is None else 200)
    assert ("SWEEP_SECONDS" in page.content.decode()) is bool(sees)


def test_failed_page_keeps_nothing_it_wrote(
    fault: str, rf: RequestFactory, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with ATOMIC_REQUESTS any other failure does."""

    def view(request: HttpRequest) -> HttpResponse:
        factories.customer(name="Half done")
        raise AssertionError(conf())

    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    request = rf.get("/")
    request.user = admin_user
    with transaction.atomic():
        page = explain_misconfiguration(site.get_model_admin(Overview), view)(request)
    assert page.status_code == 200
    assert not Customer.objects.filter(name="Half done").exists()
