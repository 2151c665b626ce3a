"""An order's panel and its actions on pages that are not Django's admin, and admins that another app registered."""

from __future__ import annotations

import datetime as dt
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core import checks, signing
from django.db import connection
from django.template import Context, Template
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse
from django.utils import timezone
from pypdf import PdfReader

from django_sendcloud import NotShippable, RegistrationError, SendcloudConfigurationError, paused
from django_sendcloud.admin import SendcloudOrderAdmin, extend_order_admin
from django_sendcloud.admin.orders import backoffice, extend
from django_sendcloud.models import Integration, Parcel, ParcelStatus, PauseReason, Shipment
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync.problems import columns_of
from django_sendcloud.testing import drain
from tests import factories
from tests.parcels.test_labels import parcels as parcels  # a fixture
from tests.shop.models import Customer, Order, OrderProxy
from tests.shop.sendcloud import ShopOrder

from .conftest import VIEW, Data, client_with

SEE = [f"view_{name}" for name in VIEW]


@pytest.fixture
def colleague(db: None) -> Callable[..., Client]:
    """Return a client of a user outside Django's admin, with the named permissions."""

    def log_in(*codenames: str, **values: Any) -> Client:
        user = User.objects.create_user(f"colleague-{User.objects.count()}", **values)
        return client_with(user, *codenames)

    return log_in


@pytest.fixture
def worker(colleague: Callable[..., Client]) -> Client:
    return colleague(*SEE, "push_order", "print_label")


def page(client: Client, order: Any, query: str = "") -> str:
    response = client.get(reverse("other_backoffice_order", args=[order.pk]) + query)
    assert response.status_code == 200
    return str(response.content.decode())


def form(html: str, name: str) -> dict[str, str]:
    """Return the hidden fields of a button's form."""
    url = reverse("django_sendcloud:order_action", args=[name])
    found = re.search(rf'<form method="post" action="{url}"[^>]*>(.*?)</form>', html, re.DOTALL)
    assert found, f"no button {name}"
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', found[1]))


def press(client: Client, name: str, **fields: str) -> Any:
    return client.post(reverse("django_sendcloud:order_action", args=[name]), fields)


# -- the panel -------------------------------------------------------------------------------------------


def test_panel_shows_problem_parcels_and_buttons(worker: Client, data: Data) -> None:
    html = page(worker, data.order)
    assert "Fix needed" in html
    assert "This is 0, and must be at least 0.001 kg." in html
    assert "What to do:" in html
    assert "3SCANAL1" in html
    assert html.index("En route to sorting center") < html.index(">Announced "), "the newest step first"
    assert "Push to Sendcloud now" in html
    assert "/static/django_sendcloud/panel.css" in html
    assert "django_sendcloud/admin.css" not in html, "one stylesheet"


def test_panel_links_admin_for_staff_only(colleague: Callable[..., Client], data: Data) -> None:
    allowed = (*SEE, "view_payload")
    url = reverse("admin:django_sendcloud_shipment_change", args=[data.shipment.pk])
    payload = reverse("admin:django_sendcloud_shipment_payload", args=[data.shipment.pk])
    outside = page(colleague(*allowed), data.order)
    assert "Shipment " in outside
    assert "/admin/" not in outside
    inside = page(colleague(*allowed, is_staff=True), data.order)
    assert f'href="{url}"' in inside
    assert f'href="{payload}"' in inside


@pytest.mark.parametrize("codenames", [(), ("view_shipment",), ("view_outboxentry", "view_parcel")])
def test_panel_without_permission_is_empty(
    codenames: tuple[str, ...], colleague: Callable[..., Client], data: Data
) -> None:
    with CaptureQueriesContext(connection) as queries:
        html = page(colleague(*codenames, "push_order"), data.order)
    assert "sc-" not in html
    assert "3SCANAL1" not in html
    assert "panel.css" not in html
    assert "django_sendcloud:" not in html
    assert not [query for query in queries if '"django_sendcloud_' in query["sql"]]


def test_panel_for_anonymous_is_empty(data: Data) -> None:
    assert "sc-" not in page(Client(), data.order)


@pytest.mark.parametrize(("name", "allowed"), [("sendcloud_push", "push_order"), ("sendcloud_labels", "print_label")])
def test_panel_button_needs_permission(name: str, allowed: str, colleague: Callable[..., Client], data: Data) -> None:
    Parcel.objects.update(labels={"label_printer": "https://panel.example/label.pdf"})
    url = reverse("django_sendcloud:order_action", args=[name])
    others = [each for each in (*SEE, "push_order", "print_label") if each != allowed]
    client = colleague(*others)
    assert url not in page(client, data.order)
    user = User.objects.get(pk=client.session["_auth_user_id"])
    signed = signing.dumps(["shop.order", str(data.order.pk), str(user.pk)], salt=backoffice.SALT)
    assert press(client, name, order=signed).status_code == 403
    assert factories.outbox().get().state == "rejected"
    assert not LogEntry.objects.exists()
    assert url in page(colleague(*others, allowed), data.order)


@pytest.mark.long
def test_panel_takes_constant_queries(worker: Client, data: Data) -> None:
    page(worker, data.order)
    with CaptureQueriesContext(connection) as few:
        page(worker, data.order)
    for n in range(5):
        more = Shipment.objects.create(
            integration=data.integration, order_type="shop.order", order_pk=str(data.order.pk),
            external_order_id="1", external_shipment_id=f"more-{n}", status="synced",
        )  # fmt: skip
        parcel = Parcel.objects.create(integration=data.integration, shipment=more, remote_id=500 + n)
        for step in range(5):
            ParcelStatus.objects.create(parcel=parcel, status_id=step, event_ms=step, at=timezone.now())
    with CaptureQueriesContext(connection) as many:
        html = page(worker, data.order)
    assert len(many) == len(few)
    assert html.count("<h3>") == 6


def test_panel_names_paused_integration(worker: Client, data: Data) -> None:
    factories.outbox().update(state="pending", **columns_of(None))
    data.integration.pause(PauseReason.CREDENTIALS)
    assert "Sendcloud rejects the API keys" in page(worker, data.order)


def test_panel_without_adapter_says_so(colleague: Callable[..., Client], rf: Any, db: None) -> None:
    request = rf.get("/")
    request.user = User.objects.create_superuser("boss")
    html = Template("{% load sendcloud %}{% sendcloud_order_panel order %}").render(
        Context({"request": request, "order": factories.customer()})
    )
    assert "The shop has no adapter for this kind of order" in html
    assert "<form" not in html


@pytest.mark.parametrize("tag", ["sendcloud_order_panel", "sendcloud_tracking"])
@pytest.mark.parametrize("context", [{}, {"order": None}])
def test_tag_without_order_names_variable(tag: str, context: dict[str, Any], rf: Any) -> None:
    """A page whose variable has another name, such as ``object``."""
    template = Template(f"{{% load sendcloud %}}{{% {tag} order %}}")
    with pytest.raises(SendcloudConfigurationError, match="name the variable that holds the order"):
        template.render(Context({"request": rf.get("/"), **context}))


def test_panel_ends_reason_with_one_stop(rf: Any, data: Data) -> None:
    class Later(ShopOrder):
        def is_shippable(self, order: Order) -> NotShippable:
            return NotShippable("unpaid", "The order is not paid.")

    request = rf.get("/")
    request.user = User.objects.create_superuser("boss")
    with paused():
        order = factories.order()
    with temporarily_registered(Later, Order):
        html = Template("{% load sendcloud %}{% sendcloud_order_panel order %}").render(
            Context({"request": request, "order": order})
        )
    assert "The order is not paid.</strong> It is sent automatically" in html


def test_panel_without_request_names_setting(db: None) -> None:
    template = Template("{% load sendcloud %}{% sendcloud_order_panel order %}")
    with pytest.raises(SendcloudConfigurationError, match=r"django\.template\.context_processors\.request"):
        template.render(Context({"order": factories.order()}))


def test_panel_carries_the_nonce(rf: Any, data: Data) -> None:
    request = rf.get("/")
    request.user = User.objects.create_superuser("boss")
    html = Template("{% load sendcloud %}{% sendcloud_order_panel order %}").render(
        Context({"request": request, "order": data.order, "csp_nonce": "abc123"})
    )
    assert html.count('nonce="abc123"') == 2


# -- its actions -----------------------------------------------------------------------------------------


@pytest.mark.long
def test_panel_push_returns_to_page(worker: Client, integration: Integration, sandbox: Any) -> None:
    order = factories.order()
    drain()
    sent = sandbox.count("POST", "/shipments")
    answer = press(worker, "sendcloud_push", **form(page(worker, order, "?tab=2"), "sendcloud_push"))
    assert answer["Location"] == reverse("other_backoffice_order", args=[order.pk]) + "?tab=2"
    drain()
    assert sandbox.count("POST", "/shipments") == sent + 1
    assert LogEntry.objects.get().object_id == str(order.pk)
    assert "1 order is being pushed." in page(worker, order)


@pytest.mark.long
def test_panel_labels_open_document(worker: Client, parcels: list[Parcel]) -> None:
    assert parcels[0].shipment
    order = parcels[0].shipment.order()
    answer = press(worker, "sendcloud_labels", **form(page(worker, order), "sendcloud_labels"))
    assert answer["Content-Type"] == "application/pdf"
    assert len(PdfReader(io.BytesIO(answer.content)).pages) >= 1


def test_panel_asks_before_label_is_cancelled(
    colleague: Callable[..., Client], parcels: list[Parcel], sandbox: Any
) -> None:
    """The question belongs to no admin; its answer names the order again, and leads back to the page."""
    assert parcels[0].shipment
    order, client = parcels[0].shipment.order(), colleague(*SEE, "cancel_label")
    fields = form(page(client, order), "sendcloud_cancel_label")
    asked = press(client, "sendcloud_cancel_label", **fields)
    html = asked.content.decode()
    assert f'href="{fields["next"]}"' in html
    assert "/admin/" not in html
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))
    assert not LogEntry.objects.exists()
    answer = press(client, "sendcloud_cancel_label", **hidden)
    assert answer["Location"] == fields["next"]
    assert LogEntry.objects.filter(change_message="Cancelled the label.").exists()


@pytest.mark.parametrize(
    "forged",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:///evil.example", ""],
)
def test_forged_next_leads_home(forged: str, worker: Client, data: Data) -> None:
    fields = form(page(worker, data.order), "sendcloud_push") | {"next": forged}
    answer = press(worker, "sendcloud_push", **fields)
    assert answer.status_code == 302
    assert answer["Location"] == "/"


def test_panel_action_refuses_get(worker: Client, data: Data) -> None:
    fields = form(page(worker, data.order), "sendcloud_push")
    answer = worker.get(reverse("django_sendcloud:order_action", args=["sendcloud_push"]), fields)
    assert answer.status_code == 405
    assert factories.outbox().get().state == "rejected"


def test_panel_action_needs_csrf_token(worker: Client, data: Data) -> None:
    fields = form(page(worker, data.order), "sendcloud_push")
    worker.handler.enforce_csrf_checks = True
    without = {name: value for name, value in fields.items() if name != "csrfmiddlewaretoken"}
    assert press(worker, "sendcloud_push", **without).status_code == 403
    assert press(worker, "sendcloud_push", **fields).status_code == 302


def test_panel_signature_fits_user_and_order(worker: Client, colleague: Callable[..., Client], data: Data) -> None:
    """A page shows a user their orders; the signature of another user's page, or a changed one, opens none."""
    fields = form(page(worker, data.order), "sendcloud_push")
    other = colleague(*SEE, "push_order")
    assert press(other, "sendcloud_push", **fields).status_code == 403
    assert press(Client(), "sendcloud_push", **fields).status_code == 403
    for forged in ("", "nonsense", fields["order"][:-1], "x" + fields["order"]):
        assert press(worker, "sendcloud_push", **fields | {"order": forged}).status_code == 403
    assert factories.outbox().get().state == "rejected"
    assert press(worker, "sendcloud_push", **fields).status_code == 302
    assert factories.outbox().get().state == "pending"


def test_old_page_asks_to_press_again(worker: Client, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = form(page(worker, data.order), "sendcloud_push")
    monkeypatch.setattr(backoffice, "MAX_AGE", dt.timedelta(seconds=-1))
    answer = press(worker, "sendcloud_push", **fields)
    assert answer["Location"] == reverse("other_backoffice_order", args=[data.order.pk])
    assert "The page was too old" in page(worker, data.order)
    assert factories.outbox().get().state == "rejected"


def test_panel_action_unknown_returns_404(worker: Client, data: Data) -> None:
    fields = form(page(worker, data.order), "sendcloud_push")
    assert press(worker, "delete_everything", **fields).status_code == 404
    data.order.delete()
    assert press(worker, "sendcloud_push", **fields).status_code == 404


def test_panel_actions_run_outside_transactions() -> None:
    found = resolve(reverse("django_sendcloud:order_action", args=["sendcloud_push"]))
    assert "default" in found.func._non_atomic_requests  # type: ignore[attr-defined]


WITHOUT_ADMIN = """
import django
from django.conf import settings
from tests import settings as ours
values = {name: value for name, value in vars(ours).items() if name.isupper()}
values["INSTALLED_APPS"] = [app for app in values["INSTALLED_APPS"] if app != "django.contrib.admin"]
values["ROOT_URLCONF"] = "django_sendcloud.urls"
settings.configure(**values)
django.setup()
from django.template import Context, Template
from django.test import RequestFactory
from django.contrib.auth.models import AnonymousUser
from django_sendcloud.admin.actions.history import log
from tests.shop.models import Order
request = RequestFactory().get("/")
request.user = AnonymousUser()
log(request, [Order()], "Pushed.")
html = Template("{% load sendcloud %}{% sendcloud_order_panel order %}").render(
    Context({"request": request, "order": Order()}))
print(f"<{html.strip()}>")
"""


@pytest.mark.long
def test_panel_works_without_djangos_admin() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ADMIN],
        capture_output=True,
        text=True,
        env={**os.environ},
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "<>", done.stderr


# -- admins that another app registered ------------------------------------------------------------------


@pytest.fixture
def site() -> Iterator[admin.AdminSite]:
    made = admin.AdminSite(name="theirs")
    yield made
    extend._extended.pop(made, None)


class TheirAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["number"]


def extended(site: admin.AdminSite, model: Any = Order) -> bool:
    return isinstance(site.get_model_admin(model), SendcloudOrderAdmin)


@pytest.mark.parametrize("first", ["registered", "extended"])
def test_order_admin_is_extended(first: str, site: admin.AdminSite, rf: Any) -> None:
    """``INSTALLED_APPS`` decides which of both comes first."""
    steps: list[Callable[[], Any]] = [
        lambda: site.register(Order, TheirAdmin),
        lambda: extend_order_admin(Order, site=site),
    ]
    for step in steps if first == "registered" else reversed(steps):
        step()
    found = site.get_model_admin(Order)
    assert isinstance(found, SendcloudOrderAdmin)
    assert isinstance(found, TheirAdmin)
    request = rf.get("/")
    request.user = User(is_superuser=True, is_active=True)
    assert found.get_list_display(request) == ["number", "sendcloud_state"]
    assert type(found).__name__ == "TheirAdmin"


def test_later_registration_is_extended_again(site: admin.AdminSite) -> None:
    site.register([Order, OrderProxy], TheirAdmin)
    extend_order_admin(Order, OrderProxy, site=site)
    extend_order_admin(Order, site=site)
    site.unregister(Order)
    site.register(Order, list_per_page=7)
    site.register(Customer)
    assert extended(site)
    assert extended(site, OrderProxy)
    assert site.get_model_admin(Order).list_per_page == 7
    assert not extended(site, Customer)


def test_own_mixin_is_not_extended_twice(site: admin.AdminSite) -> None:
    class Own(SendcloudOrderAdmin, admin.ModelAdmin):
        pass

    extend_order_admin(Order, site=site)
    site.register(Order, Own)
    assert type(site.get_model_admin(Order)) is Own


@pytest.mark.parametrize("wrong", ["shop.Order", None, type("Plain", (), {})])
def test_extending_no_model_is_refused(wrong: Any, site: admin.AdminSite) -> None:
    with pytest.raises(RegistrationError, match="takes the order's model class"):
        extend_order_admin(wrong, site=site)


def test_order_without_admin_is_reported(db: None, site: admin.AdminSite) -> None:
    extend_order_admin(Order, site=site)
    found = [each for each in checks.run_checks(tags=["sendcloud"]) if each.id == "sendcloud.E070"]
    assert [each.msg for each in found] == [
        "extend_order_admin(Order): shop.Order is not registered on the admin site 'theirs'."
    ]
    site.register(Order, TheirAdmin)
    assert not [each for each in checks.run_checks(tags=["sendcloud"]) if each.id == "sendcloud.E070"]


def test_default_site_is_extended(rf: Any) -> None:
    extend_order_admin(Customer)
    try:
        admin.site.register(Customer)
        assert extended(admin.site, Customer)
    finally:
        admin.site.unregister(Customer)
        extend._extended[admin.site].remove(Customer)
