from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.models import Account, Integration, OutboxEntry, PauseReason

from .conftest import Data
from .fake import FakeSendcloud

ADD = "admin:django_sendcloud_integration_add"
CHANGE = "admin:django_sendcloud_integration_change"


@pytest.fixture
def boss(as_role: Callable[[str], Client]) -> Client:
    return as_role("superuser")


def keys(fake: FakeSendcloud, **values: Any) -> dict[str, Any]:
    form = {
        "public_key": fake.public_key,
        "new_secret_key": fake.secret_key,
        "auth_scheme": "basic",
        "remote_id": "",
        "new_webhook_signature_key": "",
        "is_active": "on",
    }
    account = Account.objects.get_or_create(name="main")[0].pk
    return form | {"account": account} | values


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200, "it was saved"
    return dict(response.context["adminform"].form.errors)


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def press(client: Client, integration: Integration, name: str, **values: Any) -> Any:
    return client.post(reverse("admin:django_sendcloud_integration_action", args=[integration.pk, name]), values)


# -- connecting -----------------------------------------------------------------------------------


def test_the_only_integration_is_found_by_its_keys(boss: Client, fake: FakeSendcloud) -> None:
    response = boss.post(reverse(ADD), keys(fake))
    assert response.status_code == 302
    integration = Integration.objects.get()
    assert (integration.remote_id, integration.name, integration.shop_url) == (
        4001,
        "Bike shop",
        "https://bikes.example",
    )
    assert integration.secret_key.reveal() == fake.secret_key  # type: ignore[union-attr]
    assert integration.service_point_carriers == ["postnl"]
    assert integration.refreshed_at is not None
    assert "they open “Bike shop” (#4001)" in said(response)


def test_of_several_integrations_one_is_chosen(boss: Client, fake: FakeSendcloud) -> None:
    fake.add(4002, "Outlet")
    response = boss.post(reverse(ADD), keys(fake))
    assert list(errors(response)) == ["remote_id"]
    html = response.content.decode()
    assert '<option value="4001">#4001 Bike shop (api)</option>' in html
    assert '<option value="4002">#4002 Outlet (api)</option>' in html
    assert fake.secret_key not in html

    assert boss.post(reverse(ADD), keys(fake, remote_id="4002")).status_code == 302
    assert Integration.objects.get().name == "Outlet"


def test_what_is_connected_already_is_not_offered(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    assert "connected already: #4001 Bike shop" in errors(boss.post(reverse(ADD), keys(fake)))["__all__"][0]
    fake.add(4002, "Outlet")
    assert boss.post(reverse(ADD), keys(fake)).status_code == 302
    assert sorted(Integration.objects.values_list("remote_id", flat=True)) == [4001, 4002]


def test_an_id_that_the_keys_do_not_open_is_named_with_those_they_do(boss: Client, fake: FakeSendcloud) -> None:
    (message,) = errors(boss.post(reverse(ADD), keys(fake, remote_id="99")))["remote_id"]
    assert "#99" in message
    assert "#4001 Bike shop" in message


def test_an_account_without_integrations_says_so(boss: Client, fake: FakeSendcloud) -> None:
    fake.integrations.clear()
    assert "Make one in Sendcloud's panel" in errors(boss.post(reverse(ADD), keys(fake)))["__all__"][0]


def test_refused_keys_are_not_saved_and_both_are_named(boss: Client, fake: FakeSendcloud) -> None:
    response = boss.post(reverse(ADD), keys(fake, new_secret_key="canary-wrong-key"))
    assert set(errors(response)) == {"public_key", "new_secret_key"}
    assert "canary-wrong-key" not in response.content.decode()
    assert Integration.objects.count() == 0


def test_an_integration_that_demands_oauth2_says_where_to_choose_it(boss: Client, fake: FakeSendcloud) -> None:
    fake.failure = (401, "This integration requires OAuth2 authentication.")
    assert "choose OAuth2 here" in errors(boss.post(reverse(ADD), keys(fake)))["auth_scheme"][0]


def test_what_cannot_be_asked_cannot_be_found(boss: Client, fake: FakeSendcloud) -> None:
    fake.close()
    (message,) = errors(boss.post(reverse(ADD), keys(fake)))["__all__"]
    assert message.startswith("Sendcloud could not be reached.")
    assert Integration.objects.count() == 0


def test_a_known_id_is_saved_also_when_sendcloud_is_out_of_reach(boss: Client, fake: FakeSendcloud) -> None:
    fake.failure = (503, "down")
    response = boss.post(reverse(ADD), keys(fake, remote_id="4001"))
    assert response.status_code == 302
    assert "could not be asked whether the keys are right" in said(response)
    assert Integration.objects.get().remote_id == 4001


def test_forbidden_keys_are_not_saved(boss: Client, fake: FakeSendcloud) -> None:
    fake.failure = (403, "Forbidden")
    assert "Sendcloud does not allow this" in errors(boss.post(reverse(ADD), keys(fake)))["__all__"][0]


@pytest.mark.parametrize("name", ["public_key", "new_secret_key"])
def test_a_key_with_white_space_inside_is_refused_before_anybody_is_asked(
    name: str, boss: Client, fake: FakeSendcloud
) -> None:
    assert list(errors(boss.post(reverse(ADD), keys(fake, **{name: "abc def"})))) == [name]
    assert name == "public_key" or fake.requests == []


def test_white_space_around_a_key_is_dropped(boss: Client, fake: FakeSendcloud) -> None:
    form = keys(fake, public_key=f" {fake.public_key}\n", new_secret_key=f"{fake.secret_key} ")
    assert boss.post(reverse(ADD), form).status_code == 302
    assert Integration.objects.get().secret_key.reveal() == fake.secret_key  # type: ignore[union-attr]


def test_the_public_key_is_no_secret_key(boss: Client, fake: FakeSendcloud) -> None:
    response = boss.post(reverse(ADD), keys(fake, new_secret_key=fake.public_key))
    assert errors(response)["new_secret_key"][0] == "This is the public key."


def test_a_secret_key_is_needed(boss: Client, fake: FakeSendcloud) -> None:
    assert list(errors(boss.post(reverse(ADD), keys(fake, new_secret_key="")))) == ["new_secret_key"]
    assert fake.requests == []


def test_without_a_csrf_token_sendcloud_is_not_asked(boss: Client, fake: FakeSendcloud) -> None:
    boss.handler.enforce_csrf_checks = True
    assert boss.post(reverse(ADD), keys(fake)).status_code == 403
    assert fake.requests == []


def test_without_the_permission_sendcloud_is_not_asked(
    as_role: Callable[[str], Client], fake: FakeSendcloud, connected: Integration
) -> None:
    operator = as_role("operator")
    assert operator.post(reverse(ADD), keys(fake)).status_code == 403
    assert operator.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="other")).status_code == 403
    assert fake.requests == []


# -- changing -------------------------------------------------------------------------------------


def test_an_empty_secret_key_keeps_the_one_there_is(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    response = boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="", is_active=""))
    assert response.status_code == 302
    connected.refresh_from_db()
    assert connected.is_active is False
    assert connected.secret_key.reveal() == fake.secret_key  # type: ignore[union-attr]
    assert connected.previous_secret_key_until is None
    assert fake.requests == [], "nothing about the keys changed"


def test_a_new_secret_key_is_checked_and_the_former_one_accepted_for_a_day(
    boss: Client, fake: FakeSendcloud, connected: Integration
) -> None:
    former, fake.secret_key = fake.secret_key, "canary-secret-0002"
    assert boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake)).status_code == 302
    connected.refresh_from_db()
    assert connected.webhook_secrets() == ["canary-secret-0002", former]
    assert connected.webhook_secrets(timezone.now() + dt.timedelta(hours=25)) == ["canary-secret-0002"]
    entry = LogEntry.objects.get()
    assert entry.get_change_message() == "Changed Secret key."
    assert "canary" not in entry.change_message
    page = boss.get(reverse(CHANGE, args=[connected.pk])).content.decode()
    assert "former secret key are accepted until" in page


def test_a_new_secret_key_that_is_refused_changes_nothing(
    boss: Client, fake: FakeSendcloud, connected: Integration
) -> None:
    response = boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="canary-wrong"))
    assert set(errors(response)) == {"public_key", "new_secret_key"}
    connected.refresh_from_db()
    assert connected.secret_key.reveal() == fake.secret_key  # type: ignore[union-attr]


def test_keys_of_another_account_are_told_apart(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    fake.secret_key = "canary-secret-0002"
    fake.integrations.clear()
    fake.add(5001, "Somebody else's")
    (message,) = errors(boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake)))["public_key"]
    assert "without the integration #4001" in message


def test_right_keys_end_the_pause_for_wrong_ones(
    boss: Client, fake: FakeSendcloud, connected: Integration, django_capture_on_commit_callbacks: Any
) -> None:
    connected.pause(PauseReason.CREDENTIALS, "401")
    fake.secret_key = "canary-secret-0002"
    with django_capture_on_commit_callbacks(execute=True):
        boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake))
    connected.refresh_from_db()
    assert not connected.is_paused


def test_saving_does_not_undo_what_a_worker_wrote_meanwhile(
    boss: Client, fake: FakeSendcloud, connected: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.admin.integration import IntegrationAdmin

    save_model = IntegrationAdmin.save_model

    def paused_meanwhile(self: Any, request: Any, obj: Any, form: Any, change: bool) -> None:
        Integration.objects.get(pk=obj.pk).pause(PauseReason.GONE, "404")
        save_model(self, request, obj, form, change)

    monkeypatch.setattr(IntegrationAdmin, "save_model", paused_meanwhile)
    boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="", is_active=""))
    connected.refresh_from_db()
    assert (connected.is_active, connected.paused_reason) == (False, "gone")


def test_the_webhook_signature_key_is_set_kept_and_removed(
    boss: Client, fake: FakeSendcloud, connected: Integration
) -> None:
    url = reverse(CHANGE, args=[connected.pk])
    boss.post(url, keys(fake, new_secret_key="", new_webhook_signature_key="canary-signature-1"))
    connected.refresh_from_db()
    assert connected.webhook_secrets()[0] == "canary-signature-1"
    boss.post(url, keys(fake, new_secret_key=""))
    connected.refresh_from_db()
    assert connected.webhook_secrets()[0] == "canary-signature-1"
    boss.post(url, keys(fake, new_secret_key="", remove_webhook_signature_key="on"))
    connected.refresh_from_db()
    assert connected.webhook_secrets() == [fake.secret_key]


def test_two_integrations_in_use_are_pointed_out(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    fake.add(4002, "Outlet")
    assert "get_integration()" in said(boss.post(reverse(ADD), keys(fake)))


# -- buttons --------------------------------------------------------------------------------------


def test_a_working_connection_is_confirmed(boss: Client, connected: Integration) -> None:
    assert "as “Bike shop” (#4001)" in said(press(boss, connected, "test_connection"))
    assert LogEntry.objects.get().change_message == "Tested the connection: it works."


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ((401, "no"), "Sendcloud refuses the API keys"),
        ((403, "no"), "Sendcloud does not allow this to these keys"),
        ((404, "No Integration matches the given query."), "Sendcloud does not know this integration any more"),
        ((429, ""), "Sendcloud asked us to slow down"),
        ((500, "oops"), "Sendcloud had a problem of its own"),
        ((302, ""), "Sendcloud's address points elsewhere"),
    ],
)
def test_a_failing_connection_is_explained(
    failure: tuple[int, str], words: str, boss: Client, fake: FakeSendcloud, connected: Integration
) -> None:
    fake.failure = failure
    message = said(press(boss, connected, "test_connection"))
    assert words.replace("'", "&#x27;") in message
    assert fake.secret_key not in message
    assert LogEntry.objects.get().change_message == "Tested the connection: it failed."


def test_an_unreachable_sendcloud_is_explained(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    fake.close()
    assert "Sendcloud could not be reached" in said(press(boss, connected, "test_connection"))


def test_keys_that_can_no_longer_be_decrypted_are_explained(
    boss: Client, connected: Integration, settings: Any
) -> None:
    settings.SECRET_KEY = "another-secret-key-altogether-0123456789-0123456789"
    boss = Client()
    from django.contrib.auth.models import User

    boss.force_login(User.objects.get(is_superuser=True))
    assert "cannot be decrypted" in said(press(boss, connected, "test_connection"))
    assert boss.get(reverse(CHANGE, args=[connected.pk])).status_code == 200


def test_refreshing_takes_over_what_sendcloud_says(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    fake.integrations[4001]["shop_name"] = "Bike shop Eindhoven"
    press(boss, connected, "refresh")
    connected.refresh_from_db()
    assert connected.name == "Bike shop Eindhoven"


def test_registering_the_webhook_asks_first_and_then_sends_the_address(
    boss: Client, fake: FakeSendcloud, connected: Integration
) -> None:
    address = f"http://testserver{connected.webhook_path()}"
    page = press(boss, connected, "register_webhook")
    assert page.status_code == 200
    assert address in page.content.decode()
    assert "cannot reach it" in page.content.decode(), "testserver is no name of the internet"
    assert fake.requests == []

    response = press(boss, connected, "register_webhook", confirmed="yes")
    assert response.status_code == 302
    assert ("PATCH", "/api/v2/integrations/4001", {"webhook_active": True, "webhook_url": address}) in fake.requests
    connected.refresh_from_db()
    assert (connected.webhook_active, connected.webhook_url) == (True, address)
    assert "Sendcloud confirms" in said(response)
    assert "Sendcloud has it" in boss.get(reverse(CHANGE, args=[connected.pk])).content.decode()


def test_the_configured_address_goes_before_that_of_the_request(
    boss: Client, fake: FakeSendcloud, connected: Integration, settings: Any
) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_BASE_URL": "https://shop.example/"}
    page = press(boss, connected, "register_webhook").content.decode()
    assert f"https://shop.example{connected.webhook_path()}" in page
    assert "cannot reach it" not in page


def test_a_refused_webhook_is_reported_and_nothing_stored(
    boss: Client, fake: FakeSendcloud, connected: Integration
) -> None:
    fake.failure = (400, "{'settings': ['webhook_url: Enter a valid URL.']}")
    message = said(press(boss, connected, "register_webhook", confirmed="yes"))
    assert "Enter a valid URL" in message
    connected.refresh_from_db()
    assert connected.webhook_active is False
    assert LogEntry.objects.count() == 0


def test_a_spent_rate_limit_is_respected(
    boss: Client, fake: FakeSendcloud, connected: Integration, settings: Any
) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "UNSAFE_REQUESTS_PER_MINUTE": 0.1, "UNSAFE_BURST": 1}
    press(boss, connected, "register_webhook", confirmed="yes")
    fake.requests.clear()
    assert "try again in a minute" in said(press(boss, connected, "register_webhook", confirmed="yes"))
    assert fake.requests == []


def test_pausing_asks_first_and_resuming_makes_all_due(boss: Client, connected: Integration) -> None:
    later = timezone.now() + dt.timedelta(hours=1)
    entry = OutboxEntry.objects.create(order_type="shop.order", order_pk="1", integration=connected, due_at=later)
    page = press(boss, connected, "pause")
    assert page.status_code == 200
    connected.refresh_from_db()
    assert not connected.is_paused

    press(boss, connected, "pause", confirmed="yes")
    connected.refresh_from_db()
    assert connected.paused_reason == "person"
    html = boss.get(reverse(CHANGE, args=[connected.pk])).content.decode()
    assert "Paused by a person" in html

    press(boss, connected, "resume")
    connected.refresh_from_db()
    entry.refresh_from_db()
    assert not connected.is_paused
    assert entry.due_at <= timezone.now()
    assert list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True)) == ["Paused.", "Resumed."]


# -- secrets --------------------------------------------------------------------------------------


def test_the_secret_fields_are_write_only(boss: Client, data: Data) -> None:
    html = boss.get(reverse(CHANGE, args=[data.integration.pk])).content.decode()
    field = html[html.index('name="new_secret_key"') - 40 :][:400]
    assert 'type="password"' in field
    assert 'autocomplete="new-password"' in field
    assert "value=" not in field.split(">")[0]
    assert "Leave this empty to keep it" in html


def test_viewers_learn_only_whether_a_secret_is_set(as_role: Callable[[str], Client], data: Data) -> None:
    html = as_role("viewer").get(reverse(CHANGE, args=[data.integration.pk])).content.decode()
    assert "canary" not in html
    assert 'type="password"' not in html
    assert html.count("> set<") == 1
    assert html.count("> not set<") == 1


# -- with the whole sandbox ---------------------------------------------------------------------------


def test_connecting_testing_and_registering_work_against_the_sandbox(
    boss: Client, db: None, sandbox: Any, sendcloud_settings: Any
) -> None:
    account = Account.objects.get_or_create(name="main")[0].pk
    form = {"public_key": sandbox.public_key, "new_secret_key": sandbox.secret_key, "auth_scheme": "basic"}
    assert boss.post(reverse(ADD), {**form, "account": account, "is_active": "on"}).status_code == 302
    integration = Integration.objects.get()
    assert integration.remote_id == sandbox.integration_id
    assert "The connection works" in said(press(boss, integration, "test_connection"))
    press(boss, integration, "register_webhook", confirmed="yes")
    integration.refresh_from_db()
    assert integration.webhook_active is True
    assert integration.webhook_url == f"http://testserver{integration.webhook_path()}"


def test_settings_that_sendcloud_has_left_half_done_do_not_stop_a_change_here(
    boss: Client, fake: FakeSendcloud, connected: Integration
) -> None:
    Integration.objects.update(service_point_enabled=True, service_point_carriers=[])
    assert (
        boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="", is_active="")).status_code == 302
    )
    connected.refresh_from_db()
    assert connected.is_active is False
