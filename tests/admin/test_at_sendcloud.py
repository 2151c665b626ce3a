"""An integration's settings at Sendcloud, the way to green, and the two ways to end it. Sendcloud is the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.core import signing
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.admin import at_sendcloud
from django_sendcloud.api.v2.integrations import Integrations
from django_sendcloud.models import Account, Integration, OutboxEntry, Shipment, ShipmentStatus, WebhookEvent
from django_sendcloud.sync.status import mark_sweep
from django_sendcloud.testing import drain
from tests import factories

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


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def press(client: Client, integration: Integration, name: str, **values: Any) -> Any:
    return client.post(reverse("admin:django_sendcloud_integration_action", args=[integration.pk, name]), values)


def patches(sandbox: Any) -> list[Any]:
    return [json.loads(request.raw) for request in sandbox.requests if request.method == "PATCH"]


class Page:
    """The page of the settings as it was opened: what is done with it comes back with what it showed then."""

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


def history() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


# -- both sides ---------------------------------------------------------------------------------------


def test_both_sides_agree(boss: Client, connected: Integration) -> None:
    response = boss.get(settings_url(connected))
    assert response.context["differences"] == []
    assert "Both sides agree" in response.content.decode()


def test_the_page_reads_little_and_writes_nothing_but_the_limit(
    boss: Client, connected: Integration, sandbox: Any, django_assert_num_queries: Any
) -> None:
    boss.get(settings_url(connected))
    sandbox.change_integration(shop_name="Tea", service_point_carriers=["ups"])
    # Session and user; what was recorded; the integration and its account; the limiter.
    with django_assert_num_queries(6) as queries:
        boss.get(settings_url(connected))
    assert [query["sql"].split()[0] for query in queries].count("UPDATE") == 1


def test_what_differs_is_shown_side_by_side(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.change_integration(shop_name="Tea", service_point_carriers=["ups"])
    assert differing(boss, connected) == {"name": ("Tea", "Coffee"), "service_points": ("UPS", "PostNL, DHL")}


def test_theirs_is_taken_one_setting_at_a_time(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.change_integration(shop_name="Tea", service_point_carriers=["ups"])
    assert Page(boss, connected).post(take="service_points").status_code == 302
    connected.refresh_from_db()
    assert connected.service_point_carriers == ["ups"]
    assert connected.name == "Coffee"
    assert not patches(sandbox)
    assert history() == ["Took over from Sendcloud: Service points."]


def test_ours_is_sent_one_setting_at_a_time(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.change_integration(shop_name="Tea", service_point_carriers=["ups"])
    response = Page(boss, connected).post(send="name")
    assert response.status_code == 302
    assert "Sendcloud confirms" in said(response)
    assert sandbox.get_integration().shop_name == "Coffee"
    assert patches(sandbox) == [{"shop_name": "Coffee"}]
    assert differing(boss, connected) == {"service_points": ("UPS", "PostNL, DHL")}, "the other one still differs"


@pytest.mark.parametrize("doing", ["take", "send"])
def test_a_difference_is_settled_as_it_was_shown_or_not_at_all(
    boss: Client, connected: Integration, sandbox: Any, doing: str
) -> None:
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


def test_what_sendcloud_does_not_let_one_remove_is_not_offered(
    boss: Client, connected: Integration, sandbox: Any
) -> None:
    Integration.objects.update(shop_url="")
    page = Page(boss, connected)
    html = page.response.content.decode()
    assert "Take theirs: Address of the shop" in html
    assert "Send ours: Address of the shop" not in html
    assert "replaced but not removed" in said(page.post(send="url"))
    assert not patches(sandbox)


def test_who_posts_no_page_or_another_one_changes_nothing(boss: Client, connected: Integration, sandbox: Any) -> None:
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


def test_a_page_is_not_good_for_ever(
    boss: Client, connected: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(boss, connected)
    monkeypatch.setattr(at_sendcloud, "_PAGE_SECONDS", -1)
    assert "open for too long" in said(page.change(shop_name="Espresso"))
    assert not patches(sandbox)


def test_a_setting_that_does_not_exist_is_left_alone(boss: Client, connected: Integration, sandbox: Any) -> None:
    assert Page(boss, connected).post(take="secret_key").status_code == 302
    assert not patches(sandbox)
    assert history() == []


def test_sendcloud_cannot_be_asked(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.revoke_credentials()
    response = boss.get(settings_url(connected))
    assert response.status_code == 200
    assert "form" not in response.context
    assert response.context["explanation"].cure


def test_without_keys_the_page_says_that_they_are_missing(boss: Client, connected: Integration) -> None:
    Integration.objects.update(secret_key="")
    assert "It has no API keys" in boss.get(settings_url(connected)).content.decode()


# -- changing it there --------------------------------------------------------------------------------


def test_only_what_was_changed_is_sent_and_sendcloud_confirms(
    boss: Client, connected: Integration, sandbox: Any
) -> None:
    response = Page(boss, connected).change(shop_name="Espresso")
    assert response.status_code == 302, response.context["form"].errors
    assert "Sendcloud confirms the change." in said(response)
    assert patches(sandbox) == [{"shop_name": "Espresso"}]
    connected.refresh_from_db()
    assert connected.name == "Espresso"
    assert history() == ["Changed at Sendcloud: Name."]


def test_history_is_written_in_the_sites_language(boss: Client, connected: Integration, sandbox: Any) -> None:
    boss.cookies["django_language"] = "nl"
    Page(boss, connected).change(shop_name="Espresso")
    assert history() == ["Changed at Sendcloud: Name."]


def test_what_a_colleague_changed_meanwhile_is_left_alone_and_told(
    boss: Client, connected: Integration, sandbox: Any
) -> None:
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


def test_where_both_changed_the_same_the_person_decides(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    sandbox.change_integration(shop_name="Tea", service_point_carriers=["ups"])
    response = page.change(shop_name="Espresso", shop_url="https://espresso.example")
    assert response.status_code == 200
    assert not patches(sandbox)
    assert [(row.key, row.theirs, row.ours) for row in response.context["conflicts"]] == [("name", "Tea", "Espresso")]
    assert "Somebody was faster" in response.content.decode()
    form = response.context["form"]
    # What the person wants stands in the form, and of all else what Sendcloud has by now.
    assert (form["shop_name"].value(), form["shop_url"].value()) == ("Espresso", "https://espresso.example")
    assert form["service_point_carriers"].value() == ["ups"]

    page.shown = response.context["shown"]
    page.change(shop_name="Espresso", shop_url="https://espresso.example", service_point_carriers=["ups"])
    assert patches(sandbox) == [{"shop_name": "Espresso", "shop_url": "https://espresso.example"}]
    assert sandbox.get_integration().service_point_carriers == ["ups"]


def test_what_sendcloud_has_already_is_not_sent_again(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    sandbox.change_integration(shop_name="Espresso")
    assert "so nothing was sent" in said(page.change(shop_name="Espresso"))
    assert "so nothing was sent" in said(Page(boss, connected).change(shop_name="Espresso"))
    assert not patches(sandbox)


def test_after_a_mistake_only_what_was_changed_is_sent(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    sandbox.change_integration(service_point_carriers=["ups"])
    response = page.change(shop_name="Espresso", shop_url="nonsense with spaces")
    assert "shop_url" in response.context["form"].errors
    page.shown = response.context["shown"]
    page.change(shop_name="Espresso")
    assert patches(sandbox) == [{"shop_name": "Espresso"}]


def test_carriers_are_chosen_from_boxes_or_given_by_code(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    assert page.response.content.decode().count('name="service_point_carriers"') > 20
    response = page.change(service_point_carriers=["postnl"], more_carriers="homerr, quiqup")
    assert response.status_code == 302
    assert sandbox.get_integration().service_point_carriers == ["postnl", "homerr", "quiqup"]
    # One that we do not know has a box from now on.
    assert 'value="quiqup"' in boss.get(settings_url(connected)).content.decode()


def test_service_points_are_switched_off(boss: Client, connected: Integration, sandbox: Any) -> None:
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
def test_what_cannot_be_is_said_before_anything_is_sent(
    boss: Client, connected: Integration, sandbox: Any, changes: dict[str, Any], field: str
) -> None:
    response = Page(boss, connected).change(**changes)
    assert response.status_code == 200
    assert field in response.context["form"].errors
    assert not patches(sandbox)


def test_what_sendcloud_refuses_stands_beside_its_field(boss: Client, connected: Integration, sandbox: Any) -> None:
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
    assert history() == ["Sendcloud refused the change: Address of the shop."]


def confirmation_fails(sandbox: Any) -> None:
    """Sendcloud makes the change, and does not say afterwards what it has."""
    original = Integrations.update

    def update(self: Integrations, integration_id: int, **changes: Any) -> Any:
        answer = original(self, integration_id, **changes)
        sandbox.fail_next(403)
        return answer

    sandbox.patch.setattr(Integrations, "update", update)


@pytest.mark.parametrize("trouble", [lambda sandbox: sandbox.drop_answer(match="PATCH"), confirmation_fails])
def test_a_change_that_broke_off_may_have_been_made_and_the_history_knows(
    boss: Client, connected: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Any], None]
) -> None:
    page = Page(boss, connected)
    sandbox.patch = monkeypatch
    trouble(sandbox)
    response = page.change(shop_name="Espresso")
    assert sandbox.get_integration().shop_name == "Espresso"
    assert "It may have been done all the same" in said(response)
    (entry,) = history()
    assert entry.startswith("Change at Sendcloud (Name): nobody knows whether it was done.")
    page.shown = response.context["shown"]
    assert "so nothing was sent" in said(page.change(shop_name="Espresso"))


def test_a_change_that_surely_failed_is_in_the_history_too(boss: Client, connected: Integration, sandbox: Any) -> None:
    page = Page(boss, connected)
    sandbox.fail_next(403, match="PATCH")
    response = page.change(shop_name="Espresso")
    assert "Sendcloud does not allow this to these keys" in said(response)
    assert "may have been" not in said(response)
    assert history() == ["Change at Sendcloud (Name): it was not done. Sendcloud does not allow this to these keys."]


def test_what_sendcloud_says_otherwise_is_told(boss: Client, connected: Integration, sandbox: Any) -> None:
    original = Integration.apply_remote

    def otherwise(self: Integration, *args: Any) -> Any:
        fields = original(self, *args)
        self.name = "Something else"
        return fields

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Integration, "apply_remote", otherwise)
        response = Page(boss, connected).change(shop_name="Espresso")
    assert "says something else of: Name." in said(response)


def test_who_may_only_look_sees_both_sides_and_changes_nothing(
    as_role: Callable[..., Client], connected: Integration, sandbox: Any
) -> None:
    viewer = as_role("viewer")
    sandbox.change_integration(shop_name="Tea")
    page = Page(viewer, connected)
    html = page.response.content.decode()
    assert "Tea" in html
    assert "Take theirs" not in html
    assert 'name="shop_name"' not in html
    assert page.shown not in html
    for data in ({"take": "name"}, {"send": "name"}, ALIKE):
        assert page.post(**data).status_code == 403
    assert not patches(sandbox)
    connected.refresh_from_db()
    assert connected.name == "Coffee"


def test_at_full_speed_nothing_is_squeezed_in(
    boss: Client, connected: Integration, sandbox: Any, sendcloud_settings: Any
) -> None:
    Account.objects.update(unsafe_tat=int((timezone.now().timestamp() + 3600) * 1_000_000))
    response = Page(boss, connected).change(shop_name="Espresso")
    assert "try again in a minute" in said(response)
    assert not patches(sandbox)


# -- step by step -------------------------------------------------------------------------------------


def test_the_steps_lead_from_nothing_to_green(boss: Client, integration: Integration, sandbox: Any) -> None:
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


def test_a_step_has_a_button_only_for_who_may_press_it(
    as_role: Callable[..., Client], integration: Integration
) -> None:
    page = reverse("admin:django_sendcloud_integration_change", args=[integration.pk])

    def buttons(role: str) -> list[str]:
        return [str(button.label) for _step, found in as_role(role).get(page).context["steps"] for button in found]

    assert buttons("superuser") == ["Ask Sendcloud", "Register webhook…", "Check the address"]
    assert buttons("operator") == ["Check the address"]
    assert buttons("viewer") == []


def test_the_next_step_stands_out_and_what_is_done_is_folded(boss: Client, integration: Integration) -> None:
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


def test_a_test_that_arrived_shows_before_anybody_has_read_it(boss: Client, integration: Integration) -> None:
    page = reverse("admin:django_sendcloud_integration_change", args=[integration.pk])
    assert "press “Test API webhook”" in boss.get(page).content.decode()
    WebhookEvent.objects.create(integration=integration, digest="a" * 64)
    html = boss.get(page).content.decode()
    assert "A webhook has arrived (<time" in html
    assert "waits for a worker to read it" in html


# -- ending it ----------------------------------------------------------------------------------------


def test_disconnecting_forgets_the_keys_here_and_keeps_everything_there(
    boss: Client, connected: Integration, sandbox: Any
) -> None:
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
    # Nothing is sent any more; what changes waits.
    before = len(sandbox.requests)
    order.save()
    drain()
    assert len(sandbox.requests) == before
    assert factories.outbox().count() == 1


def test_disconnecting_works_when_sendcloud_cannot_be_told(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.revoke_credentials()
    response = press(boss, connected, "disconnect", confirmed="yes")
    assert "Switch the webhook off in its panel" in said(response)
    connected.refresh_from_db()
    assert not connected.secret_key
    assert history() == [
        "Switch the webhook off: it was not done. Sendcloud refuses the API keys.",
        "Disconnected: its keys are forgotten here.",
    ]


def test_disconnecting_at_full_speed_says_that_nothing_was_done(
    boss: Client, connected: Integration, sandbox: Any
) -> None:
    """Without its keys, nobody could switch the webhook off later."""
    Account.objects.update(unsafe_tat=int((timezone.now().timestamp() + 3600) * 1_000_000))
    assert "Nothing was changed" in said(press(boss, connected, "disconnect", confirmed="yes"))
    connected.refresh_from_db()
    assert connected.secret_key
    assert connected.is_active
    assert sandbox.get_integration().webhook_active is True
    assert history() == []


@pytest.mark.parametrize("name", ["disconnect", "delete_at_sendcloud"])
def test_who_ends_it_is_told_of_just_the_orders_that_its_page_counts(
    boss: Client, connected: Integration, name: str
) -> None:
    other = Integration.objects.create(remote_id=7, is_active=False)
    states = ["pending"] * 3 + ["rejected"] * 2 + ["dead"]
    for number, state in enumerate(states):
        # One of each waits for nobody yet, and so does the only one in use.
        owner = None if state not in states[:number] else connected
        OutboxEntry.objects.create(order_type="shop.order", order_pk=str(number), state=state, integration=owner)
    OutboxEntry.objects.create(order_type="shop.order", order_pk="x", integration=other)
    html = press(boss, connected, name).content.decode()
    assert "3 orders still have to be sent" in html
    assert "3 orders need a person" in html


def test_deleting_at_sendcloud_is_another_thing_and_says_so(boss: Client, connected: Integration, sandbox: Any) -> None:
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


def test_deleting_at_sendcloud_that_fails_changes_nothing_here(
    boss: Client, connected: Integration, sandbox: Any
) -> None:
    sandbox.fail_next(403)
    response = press(boss, connected, "delete_at_sendcloud", confirmed="yes", typed="Coffee")
    assert "may have been" not in said(response)
    connected.refresh_from_db()
    assert connected.is_active
    assert connected.secret_key
    assert history() == ["Delete at Sendcloud: it was not done. Sendcloud does not allow this to these keys."]


def test_a_deletion_that_broke_off_may_have_been_done(boss: Client, connected: Integration, sandbox: Any) -> None:
    sandbox.drop_answer(match="DELETE")
    response = press(boss, connected, "delete_at_sendcloud", confirmed="yes", typed="Coffee")
    assert "It may have been done all the same" in said(response)
    connected.refresh_from_db()
    assert connected.secret_key, "so that one can try again"
    assert history()[0].startswith("Delete at Sendcloud: nobody knows whether it was done.")


def test_deleting_at_sendcloud_needs_its_own_permission(
    as_role: Callable[..., Client], connected: Integration, sandbox: Any
) -> None:
    changer = as_role("viewer", "change_integration")
    assert press(changer, connected, "delete_at_sendcloud", confirmed="yes").status_code == 403
    deleter = as_role("viewer", "delete_remote_integration")
    response = press(deleter, connected, "delete_at_sendcloud", confirmed="yes", typed="Coffee")
    assert response.status_code == 302
    assert not sandbox.integrations
