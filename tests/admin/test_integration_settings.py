"""Settings page, checklist, and the two ways to end a connection. Sendcloud is the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import signing
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.admin.integrations import settings as at_sendcloud
from django_sendcloud.api.v2.integrations import Integrations
from django_sendcloud.models import Integration, OutboxEntry, Shipment, ShipmentStatus, WebhookEvent
from django_sendcloud.sync import limiter
from django_sendcloud.sync.health import mark_sweep
from django_sendcloud.testing import drain
from tests import factories
from tests.admin.pages import history, press, said

ALIKE = {
    "shop_name": "Coffee",
    "shop_url": "https://coffee.example",
    "service_point_enabled": "on",
    "service_point_carriers": ["postnl", "dhl"],
    "more_carriers": "",
    "webhook_active": "on",
    "webhook_url": "https://coffee.example/hooks/",
}


@pytest.fixture
def connected(integration: Integration, sandbox: Any) -> Integration:
    sandbox.change_integration(
        shop_name="Coffee",
        shop_url="https://coffee.example",
        service_point_enabled=True,
        service_point_carriers=["postnl", "dhl"],
        webhook_url="https://coffee.example/hooks/",
        webhook_active=False,
    )
    sandbox.get_integration().webhook_active = True
    integration.refresh_from_sendcloud()
    return integration


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


def settings_url(integration: Integration) -> str:
    return reverse("admin:django_sendcloud_integration_settings", args=[integration.pk])


def patches(sandbox: Any) -> list[Any]:
    return [json.loads(request.raw) for request in sandbox.requests if request.method == "PATCH"]


class Page:
    """Opened settings page: its posts return the values it showed."""

    def __init__(self, client: Client, integration: Integration) -> None:
        self.client, self.url = client, settings_url(integration)
        self.response = client.get(self.url)
        self.shown = self.response.context["shown"]

    def post(self, **values: Any) -> Any:
        return self.client.post(self.url, {"shown": self.shown, **values})

    def change(self, **values: Any) -> Any:
        return self.post(**{name: value for name, value in (ALIKE | values).items() if value is not None})


def differing(client: Client, integration: Integration) -> dict[str, tuple[str, str]]:
    rows = client.get(settings_url(integration)).context["differences"]
    return {row.key: (row.theirs, row.ours) for row in rows}


# -- both sides ---------------------------------------------------------------------------------------


def test_settings_page_reports_equal_sides(boss: Client, connected: Integration) -> None:
    response = boss.get(settings_url(connected))
    assert response.context["differences"] == []
    assert "Both sides agree" in response.content.decode()


@pytest.mark.long
def test_settings_page_writes_only_the_limiter(
    boss: Client, connected: Integration, sandbox: Any, django_assert_num_queries: Any
) -> None:
    boss.get(settings_url(connected))
    sandbox.change_integration(shop_name="Tea", service_point_carriers=["ups"])
    # Session and user; what was recorded; the integration and its account; the limiter.
    with django_assert_num_queries(7) as queries:
        boss.get(settings_url(connected))
    assert [query["sql"].split()[0] for query in queries].count("UPDATE") == 1


@pytest.mark.long
def test_settings_page_shows_differences_side_by_side(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.change_integration(shop_name="Tea", service_point_carriers=["ups"])
    assert differing(boss, connected) == {"name": ("Tea", "Coffee"), "service_points": ("UPS", "PostNL, DHL")}


@pytest.mark.long
def test_settings_page_takes_one_remote_setting(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.change_integration(shop_name="Tea", service_point_carriers=["ups"])
    assert Page(boss, connected).post(take="service_points").status_code == 302
    connected.refresh_from_db()
    assert connected.service_point_carriers == ["ups"]
    assert connected.name == "Coffee"
    assert not patches(sandbox)
    assert history() == ["Took over from Sendcloud: Service points."]


@pytest.mark.long
def test_settings_page_sends_one_local_setting(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.change_integration(shop_name="Tea", service_point_carriers=["ups"])
    response = Page(boss, connected).post(send="name")
    assert response.status_code == 302
    assert "Sendcloud confirms" in said(response)
    assert sandbox.get_integration().shop_name == "Coffee"
    assert patches(sandbox) == [{"shop_name": "Coffee"}]
    assert differing(boss, connected) == {"service_points": ("UPS", "PostNL, DHL")}, "the other one still differs"


@pytest.mark.parametrize("doing", ["take", "send"])
@pytest.mark.long
def test_difference_settles_only_as_shown(boss: Client, connected: Integration, sandbox: Any, doing: str) -> None:
    sandbox.change_integration(shop_name="Tea")
    page = Page(boss, connected)
    sandbox.change_integration(shop_name="Cocoa")
    assert "“Name” has changed meanwhile" in said(page.post(**{doing: "name"}))
    assert differing(boss, connected) == {"name": ("Cocoa", "Coffee")}
    page = Page(boss, connected)
    Integration.objects.update(name="Lemonade")
    assert "“Name” has changed meanwhile" in said(page.post(**{doing: "name"}))
    assert differing(boss, connected) == {"name": ("Cocoa", "Lemonade")}
    assert not patches(sandbox)
    assert history() == []


def test_empty_address_is_not_offered_to_send(boss: Client, connected: Integration, sandbox: Any) -> None:
    Integration.objects.update(shop_url="")
    page = Page(boss, connected)
    html = page.response.content.decode()
    assert "Take theirs: Address of the shop" in html
    assert "Send ours: Address of the shop" not in html
    assert "replaced but not removed" in said(page.post(send="url"))
    assert not patches(sandbox)


@pytest.mark.long
def test_settings_post_needs_signed_page(boss: Client, connected: Integration, sandbox: Any) -> None:
    other = Integration.objects.create(remote_id=5, public_key=connected.public_key, secret_key=sandbox.secret_key)
    sandbox.change_integration(shop_name="Tea")
    page = Page(boss, connected)
    foreign = signing.dumps([other.pk, {}, {}], salt="django_sendcloud.settings", compress=True)
    for shown in ("", "nonsense", page.shown[:-1], foreign):
        page.shown = shown
        for values in ({"take": "name"}, {"send": "name"}, ALIKE):
            assert "open for too long" in said(page.post(**values))
    connected.refresh_from_db()
    assert connected.name == "Coffee"
    assert not patches(sandbox)


def test_signed_page_expires(
    boss: Client, connected: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(boss, connected)
    monkeypatch.setattr(at_sendcloud, "_PAGE_SECONDS", -1)
    assert "open for too long" in said(page.change(shop_name="Espresso"))
    assert not patches(sandbox)


def test_unknown_setting_changes_nothing(boss: Client, connected: Integration, sandbox: Any) -> None:
    assert Page(boss, connected).post(take="secret_key").status_code == 302
    assert not patches(sandbox)
    assert history() == []


def test_settings_page_explains_failed_request(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.revoke_credentials()
    response = boss.get(settings_url(connected))
    assert response.status_code == 200
    assert "form" not in response.context
    assert response.context["explanation"].advice


def test_settings_page_reports_missing_keys(boss: Client, connected: Integration) -> None:
    Integration.objects.update(secret_key="")
    assert "API keys are missing" in boss.get(settings_url(connected)).content.decode()


# -- changing it there --------------------------------------------------------------------------------


@pytest.mark.long
def test_settings_form_sends_only_changes(boss: Client, connected: Integration, sandbox: Any) -> None:
    response = Page(boss, connected).change(shop_name="Espresso")
    assert response.status_code == 302, response.context["form"].errors
    assert "Sendcloud confirms the change." in said(response)
    assert patches(sandbox) == [{"shop_name": "Espresso"}]
    connected.refresh_from_db()
    assert connected.name == "Espresso"
    assert history() == ["Changed at Sendcloud: Name."]


READ_AS = {
    "en": "Changed at Sendcloud: Name.",
    "nl": "Gewijzigd bij Sendcloud: Naam.",
    "de": "Bei Sendcloud geändert: Name.",
}


@pytest.mark.long
def test_settings_history_renders_in_readers_language(boss: Client, connected: Integration, sandbox: Any) -> None:
    boss.cookies["django_language"] = "nl"
    Page(boss, connected).change(shop_name="Espresso")
    stored = LogEntry.objects.get().change_message
    assert json.loads(stored) == {
        "message": "Changed at Sendcloud: %(what)s.",
        "values": {"what": [{"message": "Name"}]},
    }
    url = reverse("admin:django_sendcloud_integration_history", args=[connected.pk])
    for language, text in READ_AS.items():
        boss.cookies["django_language"] = language
        assert text in boss.get(url).content.decode()


@pytest.mark.long
def test_settings_form_keeps_concurrent_remote_change(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    sandbox.change_integration(service_point_carriers=["ups"], shop_url="https://tea.example")
    response = page.change(shop_name="Espresso")
    assert patches(sandbox) == [{"shop_name": "Espresso"}]
    assert "left as they are there: Address of the shop, Service points." in said(response)
    assert sandbox.get_integration().service_point_carriers == ["ups"]
    assert differing(boss, connected) == {
        "url": ("https://tea.example", "https://coffee.example"),
        "service_points": ("UPS", "PostNL, DHL"),
    }


@pytest.mark.long
def test_settings_form_asks_about_conflicting_change(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    sandbox.change_integration(shop_name="Tea", service_point_carriers=["ups"])
    response = page.change(shop_name="Espresso", shop_url="https://espresso.example")
    assert response.status_code == 200
    assert not patches(sandbox)
    assert [(row.key, row.theirs, row.ours) for row in response.context["conflicts"]] == [("name", "Tea", "Espresso")]
    assert "A colleague was faster" in response.content.decode()
    form = response.context["form"]
    # The form has the operator's values, and Sendcloud's current ones otherwise.
    assert (form["shop_name"].value(), form["shop_url"].value()) == ("Espresso", "https://espresso.example")
    assert form["service_point_carriers"].value() == ["ups"]

    page.shown = response.context["shown"]
    page.change(shop_name="Espresso", shop_url="https://espresso.example", service_point_carriers=["ups"])
    assert patches(sandbox) == [{"shop_name": "Espresso", "shop_url": "https://espresso.example"}]
    assert sandbox.get_integration().service_point_carriers == ["ups"]


@pytest.mark.long
def test_settings_form_skips_values_already_there(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    sandbox.change_integration(shop_name="Espresso")
    assert "so nothing was sent" in said(page.change(shop_name="Espresso"))
    assert "so nothing was sent" in said(Page(boss, connected).change(shop_name="Espresso"))
    assert not patches(sandbox)


@pytest.mark.long
def test_settings_form_sends_only_changes_after_error(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    sandbox.change_integration(service_point_carriers=["ups"])
    response = page.change(shop_name="Espresso", shop_url="nonsense with spaces")
    assert "shop_url" in response.context["form"].errors
    page.shown = response.context["shown"]
    page.change(shop_name="Espresso")
    assert patches(sandbox) == [{"shop_name": "Espresso"}]


@pytest.mark.long
def test_carriers_are_chosen_or_entered_by_code(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    assert page.response.content.decode().count('name="service_point_carriers"') > 20
    response = page.change(service_point_carriers=["postnl"], more_carriers="homerr, quiqup")
    assert response.status_code == 302
    assert sandbox.get_integration().service_point_carriers == ["postnl", "homerr", "quiqup"]
    # An unknown carrier has a box from now on.
    assert 'value="quiqup"' in boss.get(settings_url(connected)).content.decode()


def test_service_points_can_be_switched_off(boss: Client, connected: Integration, sandbox: Any) -> None:
    response = Page(boss, connected).change(service_point_enabled=None, service_point_carriers=[])
    assert response.status_code == 302
    assert sandbox.get_integration().service_point_enabled is False


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"service_point_carriers": []}, "service_point_carriers"),
        ({"webhook_url": ""}, "webhook_url"),
        ({"webhook_url": "not an address"}, "webhook_url"),
        ({"shop_url": ""}, "shop_url"),
        ({"shop_name": ""}, "shop_name"),
        ({"shop_name": "x" * 251}, "shop_name"),
        ({"service_point_carriers": ["nonsense"]}, "service_point_carriers"),
    ],
)
def test_invalid_settings_are_refused_before_sending(
    boss: Client, connected: Integration, sandbox: Any, changes: dict[str, Any], field: str
) -> None:
    response = Page(boss, connected).change(**changes)
    assert response.status_code == 200
    assert field in response.context["form"].errors
    assert not patches(sandbox)


def test_settings_rejection_shows_at_its_field(boss: Client, connected: Integration, sandbox: Any) -> None:
    message = "{'shop_url': ['Enter a valid URL.']}"
    body = {"error": {"code": 400, "message": message, "request": "api/v2/integrations"}}
    page = Page(boss, connected)
    sandbox.fail_next(400, body=json.dumps(body).encode(), match="PATCH")
    response = page.change(shop_url="https://x.example")
    assert response.status_code == 200
    assert len(patches(sandbox)) == 1
    assert response.context["form"].errors == {"shop_url": ["Enter a valid URL."]}
    connected.refresh_from_db()
    assert connected.shop_url == "https://coffee.example"
    assert history() == ["Sendcloud rejected the change: Address of the shop."]


def confirmation_fails(sandbox: Any) -> None:
    """Let Sendcloud make the change and fail the read that confirms it."""
    original = Integrations.patch

    def patch(self: Integrations, integration_id: int, settings: Any) -> Any:
        answer = original(self, integration_id, settings)
        sandbox.fail_next(403)
        return answer

    sandbox.patch.setattr(Integrations, "patch", patch)


@pytest.mark.parametrize("trouble", [lambda sandbox: sandbox.drop_answer(match="PATCH"), confirmation_fails])
@pytest.mark.long
def test_broken_change_is_recorded_as_unknown(
    boss: Client, connected: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Any], None]
) -> None:
    page = Page(boss, connected)
    sandbox.patch = monkeypatch
    trouble(sandbox)
    response = page.change(shop_name="Espresso")
    assert sandbox.get_integration().shop_name == "Espresso"
    assert "It may have been done all the same" in said(response)
    (entry,) = history()
    assert entry.startswith("Change at Sendcloud (Name): the result is unknown.")
    page.shown = response.context["shown"]
    assert "so nothing was sent" in said(page.change(shop_name="Espresso"))


def test_failed_change_is_recorded(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    sandbox.fail_next(403, match="PATCH")
    response = page.change(shop_name="Espresso")
    assert "Sendcloud does not allow this with these keys" in said(response)
    assert "may have been" not in said(response)
    assert history() == ["Change at Sendcloud (Name): it was not done. Sendcloud does not allow this with these keys."]


def test_unexpected_confirmation_is_reported(boss: Client, connected: Integration, sandbox: Any) -> None:
    original = Integration.apply_remote

    def otherwise(self: Integration, *args: Any) -> Any:
        fields = original(self, *args)
        self.name = "Something else"
        return fields

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Integration, "apply_remote", otherwise)
        response = Page(boss, connected).change(shop_name="Espresso")
    assert "reports a different value for: Name." in said(response)


def test_settings_page_is_read_only_for_viewers(
    as_role: Callable[..., Client], connected: Integration, sandbox: Any
) -> None:
    viewer = as_role("viewer")
    sandbox.change_integration(shop_name="Tea")
    page = Page(viewer, connected)
    html = page.response.content.decode()
    assert "Tea" in html
    assert "Take theirs:" not in html
    assert 'name="shop_name"' not in html
    assert page.shown not in html
    for data in ({"take": "name"}, {"send": "name"}, ALIKE):
        assert page.post(**data).status_code == 403
    assert not patches(sandbox)
    connected.refresh_from_db()
    assert connected.name == "Coffee"


def test_settings_change_respects_spent_limit(
    boss: Client, connected: Integration, sandbox: Any, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "acquire", lambda account_pk, kind: 60.0 if kind == "unsafe" else 0.0)
    response = Page(boss, connected).change(shop_name="Espresso")
    assert "try again in a minute" in said(response)
    assert not patches(sandbox)


# -- step by step -------------------------------------------------------------------------------------


@pytest.mark.long
def test_checklist_leads_from_nothing_to_connected(boss: Client, integration: Integration, sandbox: Any) -> None:
    page = reverse("admin:django_sendcloud_integration_change", args=[integration.pk])

    def done() -> list[bool]:
        return [step.done for step, _url in boss.get(page).context["steps"]]

    assert done() == [False] * 5
    assert "Connecting, step by step" in boss.get(page).content.decode()
    press(boss, integration, "refresh")
    assert done() == [True, False, False, False, False]
    mark_sweep()
    assert done()[1]
    press(boss, integration, "register_webhook", confirmed="yes")
    assert done()[2]
    sandbox.send_test_webhook()
    Integration.objects.update(last_webhook_at=timezone.now())
    factories.order()
    drain()
    assert done() == []
    assert "Connecting, step by step" not in boss.get(page).content.decode()


def test_checklist_button_needs_permission(as_role: Callable[..., Client], integration: Integration) -> None:
    page = reverse("admin:django_sendcloud_integration_change", args=[integration.pk])

    def buttons(role: str) -> list[str]:
        return [str(button.label) for _step, found in as_role(role).get(page).context["steps"] for button in found]

    assert buttons("superuser") == [
        "Ask Sendcloud",
        "Register webhook…",
        "Check the webhook address",
        "Send a test order…",
    ]
    assert buttons("operator") == ["Check the webhook address", "Send a test order…"]
    assert buttons("viewer") == []


@pytest.mark.long
def test_checklist_highlights_next_step(boss: Client, integration: Integration) -> None:
    page = reverse("admin:django_sendcloud_integration_change", args=[integration.pk])

    def outstanding() -> list[str]:
        steps = boss.get(page).context["steps"]
        return [str(button.label) for _step, found in steps for button in found if button.emphasis == "default"]

    assert outstanding() == ["Ask Sendcloud"]
    press(boss, integration, "refresh")
    assert outstanding() == ["Register webhook…"], "what somebody else has to do does not hold one up"
    html = boss.get(page).content.decode()
    assert html.count('<li class="sc-steps__step sc-steps__step--done">') == 1
    folded = html.partition('sc-steps__step--done">')[2].partition("</li>")[0]
    assert folded.strip().startswith("<details><summary><strong>Keys")


def test_checklist_counts_unread_test_webhook(boss: Client, integration: Integration) -> None:
    page = reverse("admin:django_sendcloud_integration_change", args=[integration.pk])
    assert "press “Test API webhook”" in boss.get(page).content.decode()
    WebhookEvent.objects.create(integration=integration, digest="a" * 64)
    html = boss.get(page).content.decode()
    assert "A webhook has arrived (<time" in html
    assert "waits for a worker to read it" in html


# -- ending it ----------------------------------------------------------------------------------------


@pytest.mark.long
def test_disconnect_forgets_keys_and_keeps_remote(boss: Client, connected: Integration, sandbox: Any) -> None:
    order = factories.order()
    drain()
    factories.forget_transaction()
    assert "keys are forgotten here" in press(boss, connected, "disconnect").content.decode()
    connected.refresh_from_db()
    assert connected.is_active, "it asks first"
    response = press(boss, connected, "disconnect", confirmed="yes")
    assert "reports no more parcels" in said(response)
    connected.refresh_from_db()
    assert not connected.is_active
    assert not connected.secret_key
    assert connected.public_key == ""
    assert sandbox.get_integration().webhook_active is False
    assert sandbox.shipment(str(order.pk)) is not None
    assert Shipment.objects.get().status == ShipmentStatus.SYNCED
    # Nothing is sent any more; changed orders wait.
    before = len(sandbox.requests)
    order.save()
    drain()
    assert len(sandbox.requests) == before
    assert factories.outbox().count() == 1


def test_disconnect_works_while_sendcloud_is_unreachable(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.revoke_credentials()
    response = press(boss, connected, "disconnect", confirmed="yes")
    assert "Switch it off in its panel" in said(response)
    connected.refresh_from_db()
    assert not connected.secret_key
    assert history() == [
        "Switch the webhook off: it was not done. Sendcloud rejects the API keys.",
        "Disconnected: its keys are forgotten here.",
    ]


def test_disconnect_with_spent_limit_changes_nothing(
    boss: Client, connected: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep the keys, because the webhook could not be switched off without them."""
    monkeypatch.setattr(limiter, "acquire", lambda account_pk, kind: 60.0)
    assert "Nothing was changed" in said(press(boss, connected, "disconnect", confirmed="yes"))
    connected.refresh_from_db()
    assert connected.secret_key
    assert connected.is_active
    assert sandbox.get_integration().webhook_active is True
    assert history() == []


@pytest.mark.parametrize("name", ["disconnect", "delete_at_sendcloud"])
def test_disconnect_names_the_orders_its_page_counts(boss: Client, connected: Integration, name: str) -> None:
    other = Integration.objects.create(remote_id=7, is_active=False)
    states = ["pending"] * 3 + ["rejected"] * 2 + ["dead"]
    for number, state in enumerate(states):
        # One of each has no integration yet, which counts for the only one in use.
        owner = None if state not in states[:number] else connected
        OutboxEntry.objects.create(order_type="shop.order", order_pk=str(number), state=state, integration=owner)
    OutboxEntry.objects.create(order_type="shop.order", order_pk="x", integration=other)
    html = press(boss, connected, name).content.decode()
    assert "3 orders still have to be sent" in html
    assert "3 orders need a fix, or are stopped." in html


@pytest.mark.long
def test_remote_deletion_asks_with_its_own_consequences(boss: Client, connected: Integration, sandbox: Any) -> None:
    factories.order()
    drain()
    question = press(boss, connected, "delete_at_sendcloud").content.decode()
    assert "cannot be undone" in question
    assert "with it 1 shipment it has there" in question
    assert connected.remote_id in {integration.id for integration in sandbox.integrations}
    assert "type <strong>Coffee</strong>" in question
    for typed in ("", "Tea"):
        response = press(boss, connected, "delete_at_sendcloud", confirmed="yes", typed=typed)
        assert "Nothing has been done" in response.content.decode()
    assert connected.remote_id in {integration.id for integration in sandbox.integrations}
    response = press(boss, connected, "delete_at_sendcloud", confirmed="yes", typed=" coffee ")
    assert "is deleted at Sendcloud" in said(response)
    assert connected.remote_id not in {integration.id for integration in sandbox.integrations}
    connected.refresh_from_db()
    assert not connected.is_active
    assert not connected.secret_key
    assert Shipment.objects.get().status == ShipmentStatus.DELETED
    assert "Deleted at Sendcloud" in LogEntry.objects.latest("pk").change_message


def test_failed_remote_deletion_changes_nothing_here(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.fail_next(403)
    response = press(boss, connected, "delete_at_sendcloud", confirmed="yes", typed="Coffee")
    assert "may have been" not in said(response)
    connected.refresh_from_db()
    assert connected.is_active
    assert connected.secret_key
    assert history() == ["Delete at Sendcloud: it was not done. Sendcloud does not allow this with these keys."]


def test_broken_remote_deletion_is_recorded_as_unknown(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.drop_answer(match="DELETE")
    response = press(boss, connected, "delete_at_sendcloud", confirmed="yes", typed="Coffee")
    assert "It may have been done all the same" in said(response)
    connected.refresh_from_db()
    assert connected.secret_key, "so that one can try again"
    assert history()[0].startswith("Delete at Sendcloud: the result is unknown.")


def test_remote_deletion_needs_its_permission(
    as_role: Callable[..., Client], connected: Integration, sandbox: Any
) -> None:
    changer = as_role("viewer", "change_integration")
    assert press(changer, connected, "delete_at_sendcloud", confirmed="yes").status_code == 403
    deleter = as_role("viewer", "delete_remote_integration")
    response = press(deleter, connected, "delete_at_sendcloud", confirmed="yes", typed="Coffee")
    assert response.status_code == 302
    assert not sandbox.integrations
