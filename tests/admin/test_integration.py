from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.admin.integrations import pending_secrets as keeping
from django_sendcloud.admin.integrations.webhook import ADDRESS_PROBLEMS
from django_sendcloud.core.crypto import Secret, keyring
from django_sendcloud.models import Account, Integration, OutboxEntry, Parcel, PauseReason, Shipment, WebhookEvent
from django_sendcloud.sync import limiter
from django_sendcloud.sync.health import mark_sweep
from django_sendcloud.webhooks import selftest

from .conftest import Data
from .fake import FakeSendcloud
from .pages import history, press, said

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


def ticket(response: Any) -> str:
    """Return the page's ticket for its kept secret."""
    found = re.search(r'<input type="hidden" name="kept" value="([^"]+)">', response.content.decode())
    assert found is not None
    return found[1]


def kept_in(client: Client) -> str | None:
    """Return the session's data."""
    return client.session.get("django_sendcloud.entered")


# -- connecting -----------------------------------------------------------------------------------


def test_keys_find_the_only_integration(boss: Client, fake: FakeSendcloud) -> None:
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


def test_keys_of_several_integrations_ask_for_choice(boss: Client, fake: FakeSendcloud) -> None:
    fake.add(4002, "Outlet")
    response = boss.post(reverse(ADD), keys(fake))
    assert list(errors(response)) == ["remote_id"]
    html = response.content.decode()
    assert '<option value="4001">#4001 Bike shop (api)</option>' in html
    assert '<option value="4002">#4002 Outlet (api)</option>' in html
    assert fake.secret_key not in html
    assert "kept for ten minutes" in html

    # The secret key is not entered again.
    chosen = keys(fake, remote_id="4002", new_secret_key="", kept=ticket(response))
    assert boss.post(reverse(ADD), chosen).status_code == 302
    integration = Integration.objects.get()
    assert integration.name == "Outlet"
    assert integration.secret_key.reveal() == fake.secret_key  # type: ignore[union-attr]
    assert kept_in(boss) is None


def test_connected_integration_is_not_offered(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    assert "connected already: #4001 Bike shop" in errors(boss.post(reverse(ADD), keys(fake)))["__all__"][0]
    fake.add(4002, "Outlet")
    assert boss.post(reverse(ADD), keys(fake)).status_code == 302
    assert sorted(Integration.objects.values_list("remote_id", flat=True)) == [4001, 4002]


def test_wrong_id_names_the_possible_ones(boss: Client, fake: FakeSendcloud) -> None:
    (message,) = errors(boss.post(reverse(ADD), keys(fake, remote_id="99")))["remote_id"]
    assert "#99" in message
    assert "#4001 Bike shop" in message


def test_account_without_integrations_is_explained(boss: Client, fake: FakeSendcloud) -> None:
    fake.integrations.clear()
    assert "Make one in Sendcloud's panel" in errors(boss.post(reverse(ADD), keys(fake)))["__all__"][0]


def test_refused_keys_are_not_saved(boss: Client, fake: FakeSendcloud) -> None:
    response = boss.post(reverse(ADD), keys(fake, new_secret_key="canary-wrong-key"))
    assert set(errors(response)) == {"public_key", "new_secret_key"}
    assert "canary-wrong-key" not in response.content.decode()
    assert Integration.objects.count() == 0


def test_oauth2_integration_explains_the_choice(boss: Client, fake: FakeSendcloud) -> None:
    fake.failure = (401, "This integration requires OAuth2 authentication.")
    (message,) = errors(boss.post(reverse(ADD), keys(fake)))["auth_scheme"]
    assert message.startswith("This integration requires OAuth2.")
    assert "Choose OAuth2 as authentication" in message


def test_unreachable_sendcloud_finds_no_integration(boss: Client, fake: FakeSendcloud) -> None:
    fake.close()
    (message,) = errors(boss.post(reverse(ADD), keys(fake)))["__all__"]
    assert message.startswith("Sendcloud could not be reached.")
    assert "ask your developer to make 127.0.0.1" in message
    assert Integration.objects.count() == 0


def test_known_id_is_saved_while_unreachable(boss: Client, fake: FakeSendcloud) -> None:
    fake.failure = (503, "down")
    response = boss.post(reverse(ADD), keys(fake, remote_id="4001"))
    assert response.status_code == 302
    assert "could not be asked whether the keys are right" in said(response)
    assert Integration.objects.get().remote_id == 4001


def test_forbidden_keys_are_not_saved(boss: Client, fake: FakeSendcloud) -> None:
    fake.failure = (403, "Forbidden")
    (message,) = errors(boss.post(reverse(ADD), keys(fake)))["__all__"]
    assert message.startswith("Sendcloud does not allow this with these keys.")
    assert "The keys are right, but do not allow this request." in message


@pytest.mark.parametrize(
    ("failure", "what", "advice"),
    [
        ((404, "Not found."), "The address is not Sendcloud's API.", "check SENDCLOUD['BASE_URL']"),
        ((302, ""), "Sendcloud's address points elsewhere.", "check SENDCLOUD['BASE_URL']"),
        ((429, ""), "Sendcloud asked us to slow down.", "Try again in a little while."),
        ((503, "down"), "Sendcloud had a problem of its own.", "Try again in a little while."),
    ],
)
def test_connection_error_has_its_advice(
    boss: Client, fake: FakeSendcloud, failure: tuple[int, str], what: str, advice: str
) -> None:
    fake.failure = failure
    (message,) = errors(boss.post(reverse(ADD), keys(fake)))["__all__"]
    assert message.startswith(what)
    assert advice in message
    assert "Nothing was saved." in message


def test_unsafe_base_url_is_explained(boss: Client, fake: FakeSendcloud, settings: Any) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "BASE_URL": "http://panel.sendcloud.example/api/v2"}
    (message,) = errors(boss.post(reverse(ADD), keys(fake)))["__all__"]
    assert message.startswith("The shop's settings prevent requests to Sendcloud.")
    assert "Ask your developer to fix it." in message


def test_swapped_keys_are_recognised(boss: Client, fake: FakeSendcloud) -> None:
    response = boss.post(reverse(ADD), keys(fake, public_key=fake.secret_key, new_secret_key=fake.public_key))
    assert errors(response) == {
        "public_key": ["This is the secret key: the two are swapped. Enter the public key here."],
        "new_secret_key": ["This is the public key. Enter the secret key here."],
    }
    assert kept_in(boss) is None, "it is wrong for sure"


def test_keys_of_other_integration_are_recognised(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    found = errors(boss.post(reverse(ADD), keys(fake, new_secret_key="canary-wrong")))
    assert found["public_key"] == ["This is the public key of “Bike shop”, which is connected already."]


def test_refused_oauth2_client_is_named(boss: Client, sandbox: Any, sendcloud_settings: Any, db: None) -> None:
    sandbox.integration.auth = "oauth2"
    form = {"public_key": sandbox.public_key, "new_secret_key": "canary-wrong", "auth_scheme": "oauth2"}
    found = errors(boss.post(reverse(ADD), form | {"account": Account.objects.get_or_create(name="main")[0].pk}))
    assert found["public_key"][0].startswith("Sendcloud rejects this client id with its client secret.")
    assert found["new_secret_key"] == ["Or this client secret is wrong. Copy it again from the panel."]


def test_public_key_pasted_with_secret_is_noticed(boss: Client, fake: FakeSendcloud) -> None:
    found = errors(boss.post(reverse(ADD), keys(fake, public_key=f"{fake.public_key}:{fake.secret_key}")))
    assert found["public_key"] == ["There is a colon inside. Copy the public key alone."]
    assert fake.requests == []


def test_saving_leads_to_integration_page(boss: Client, fake: FakeSendcloud) -> None:
    html = boss.get(reverse(ADD)).content.decode()
    assert "_addanother" not in html
    assert "_continue" not in html
    response = boss.post(reverse(ADD), keys(fake), follow=True)
    integration = Integration.objects.get()
    assert response.redirect_chain == [(reverse(CHANGE, args=[integration.pk]), 302)]
    html = response.content.decode()
    assert "Connecting, step by step" in html
    assert "being connected" in html
    response = boss.post(reverse(CHANGE, args=[integration.pk]), keys(fake, new_secret_key=""))
    assert response["Location"] == reverse(CHANGE, args=[integration.pk])
    assert "“Bike shop” was saved." in said(response)


def test_saving_without_view_permission_leads_home(as_role: Callable[..., Client], fake: FakeSendcloud) -> None:
    response = as_role("staff", "add_integration").post(reverse(ADD), keys(fake))
    assert response.status_code == 302
    assert "/change/" not in response["Location"]


@pytest.mark.parametrize("name", ["public_key", "new_secret_key"])
def test_key_with_inner_whitespace_is_refused(name: str, boss: Client, fake: FakeSendcloud) -> None:
    assert list(errors(boss.post(reverse(ADD), keys(fake, **{name: "abc def"})))) == [name]
    assert name == "public_key" or fake.requests == []


def test_key_is_stripped(boss: Client, fake: FakeSendcloud) -> None:
    form = keys(fake, public_key=f" {fake.public_key}\n", new_secret_key=f"{fake.secret_key} ")
    assert boss.post(reverse(ADD), form).status_code == 302
    assert Integration.objects.get().secret_key.reveal() == fake.secret_key  # type: ignore[union-attr]


def test_public_key_as_secret_is_refused(boss: Client, fake: FakeSendcloud) -> None:
    response = boss.post(reverse(ADD), keys(fake, new_secret_key=fake.public_key))
    assert errors(response)["new_secret_key"][0] == "This is the public key."


def test_secret_key_is_required(boss: Client, fake: FakeSendcloud) -> None:
    assert list(errors(boss.post(reverse(ADD), keys(fake, new_secret_key="")))) == ["new_secret_key"]
    assert fake.requests == []


def test_missing_csrf_token_sends_no_request(boss: Client, fake: FakeSendcloud) -> None:
    boss.handler.enforce_csrf_checks = True
    assert boss.post(reverse(ADD), keys(fake)).status_code == 403
    assert fake.requests == []


def test_missing_permission_sends_no_request(
    as_role: Callable[[str], Client], fake: FakeSendcloud, connected: Integration
) -> None:
    operator = as_role("operator")
    assert operator.post(reverse(ADD), keys(fake)).status_code == 403
    assert operator.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="other")).status_code == 403
    assert fake.requests == []


# -- testing keys and keeping them ---------------------------------------------------------------------


def test_testing_keys_saves_nothing(boss: Client, fake: FakeSendcloud) -> None:
    response = boss.post(reverse(ADD), keys(fake, _test="Test connection"))
    assert errors(response) == {}
    html = response.content.decode()
    assert "The connection works" in html
    assert "save to use these keys" in html
    assert not Integration.objects.exists()
    assert fake.secret_key not in html
    # And saved without entering them again.
    assert boss.post(reverse(ADD), keys(fake, new_secret_key="", kept=ticket(response))).status_code == 302
    assert Integration.objects.get().secret_key.reveal() == fake.secret_key  # type: ignore[union-attr]


@pytest.mark.long
def test_testing_new_keys_keeps_stored_ones(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    url, former = reverse(CHANGE, args=[connected.pk]), fake.secret_key
    response = boss.post(url, keys(fake, new_secret_key="canary-wrong", _test="1"))
    assert list(errors(response)) == ["new_secret_key"]
    fake.secret_key = "canary-secret-0002"
    response = boss.post(url, keys(fake, _test="1"))
    assert "The connection works" in response.content.decode()
    connected.refresh_from_db()
    assert connected.secret_key.reveal() == former  # type: ignore[union-attr]
    assert history() == [
        "Test the connection: it failed. Sendcloud rejects the API keys.",
        "Tested the connection: it works.",
    ]
    assert boss.post(url, keys(fake, new_secret_key="", kept=ticket(response))).status_code == 302
    connected.refresh_from_db()
    assert connected.webhook_secrets() == ["canary-secret-0002", former]
    assert history()[-1] == "Changed Secret key."


def test_testing_uses_stored_keys_if_empty(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    url = reverse(CHANGE, args=[connected.pk])
    html = boss.post(url, keys(fake, new_secret_key="", _test="1")).content.decode()
    assert "The connection works" in html
    assert "save to use these keys" not in html
    fake.close()
    found = errors(boss.post(url, keys(fake, new_secret_key="", _test="1")))
    assert found["__all__"][0].startswith("Sendcloud could not be reached.")


def test_enter_key_saves(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    """Press the first button of the form, as a browser does."""
    html = boss.get(reverse(CHANGE, args=[connected.pk])).content.decode()
    form = html.partition('id="integration_form"')[2].partition("</form>")[0]
    assert re.findall(r'type="submit"[^>]*name="(\w+)"', form) == ["_save", "_test"]


def test_kept_secret_is_encrypted_in_session(boss: Client, fake: FakeSendcloud) -> None:
    fake.add(4002, "Outlet")
    response = boss.post(reverse(ADD), keys(fake, new_webhook_signature_key="canary-signature-1"))
    assert "canary" not in str(dict(boss.session.items()))
    assert "canary" not in response.content.decode()
    token = kept_in(boss)
    assert token is not None
    assert "canary" in keyring().decrypt(token.encode()).decode()
    chosen = keys(fake, remote_id="4002", new_secret_key="", kept=ticket(response))
    assert boss.post(reverse(ADD), chosen).status_code == 302
    assert Integration.objects.get().webhook_secrets() == ["canary-signature-1", fake.secret_key]


@pytest.mark.long
def test_reopened_page_forgets_kept_secret(boss: Client, fake: FakeSendcloud) -> None:
    response = boss.post(reverse(ADD), keys(fake, _test="1"))
    boss.get(reverse(ADD))
    assert kept_in(boss) is None
    fake.requests.clear()
    response = boss.post(reverse(ADD), keys(fake, new_secret_key="", kept=ticket(response)))
    assert errors(response)["new_secret_key"] == ["This field is required."]
    assert fake.requests == []


@pytest.mark.parametrize("how", ["expired", "another user", "another form", "no ticket", "made up"])
@pytest.mark.long
def test_kept_secret_is_bound_and_expires(
    how: str,
    boss: Client,
    as_role: Callable[..., Client],
    fake: FakeSendcloud,
    connected: Integration,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, former = reverse(CHANGE, args=[connected.pk]), fake.secret_key
    response = boss.post(url, keys(fake, new_secret_key="canary-other", _test="1"))
    given, client = ticket(response), boss
    if how == "expired":
        monkeypatch.setattr(keeping, "KEPT_SECONDS", -1)
    elif how == "another user":
        client = as_role("superuser")
        session = client.session
        session["django_sendcloud.entered"] = kept_in(boss)
        session.save()
    elif how == "another form":
        fake.add(4002, "Outlet")
        other = Integration.objects.create(remote_id=4002, public_key=fake.public_key, secret_key=fake.secret_key)
        url = reverse(CHANGE, args=[other.pk])
    elif how == "no ticket":
        given = ""
    else:
        given = "made-up.new_secret_key"
    fake.requests.clear()
    response = client.post(url, keys(fake, new_secret_key="", kept=given))
    connected.refresh_from_db()
    assert connected.secret_key.reveal() == former  # type: ignore[union-attr]
    assert fake.requests == []
    if how != "no ticket":
        # The page promised to keep the secret, so it must not go on without.
        gone = ["It had been kept for ten minutes, and is gone by now. Enter it again."]
        assert errors(response)["new_secret_key"] == gone
        response = client.post(url, keys(fake, new_secret_key="", kept=given, public_key="another", _test="1"))
        assert errors(response)["new_secret_key"] == gone
        assert fake.requests == [], "nobody is asked with a key that was not meant"


# -- changing -------------------------------------------------------------------------------------


def test_empty_secret_key_keeps_stored_one(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    response = boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="", is_active=""))
    assert response.status_code == 302
    connected.refresh_from_db()
    assert connected.is_active is False
    assert connected.secret_key.reveal() == fake.secret_key  # type: ignore[union-attr]
    assert connected.previous_secret_key_until is None
    assert fake.requests == [], "nothing about the keys changed"


def test_new_secret_key_keeps_former_for_day(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    former, fake.secret_key = fake.secret_key, "canary-secret-0002"
    assert boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake)).status_code == 302
    connected.refresh_from_db()
    assert connected.webhook_secrets() == ["canary-secret-0002", former]
    assert connected.webhook_secrets(timezone.now() + dt.timedelta(hours=25)) == ["canary-secret-0002"]
    entry = LogEntry.objects.get()
    assert entry.get_change_message() == "Changed Secret key."
    assert "canary" not in entry.change_message
    page = boss.get(reverse(CHANGE, args=[connected.pk])).content.decode()
    assert "former secret key are accepted, too" in page


def test_refused_new_secret_key_changes_nothing(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    response = boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="canary-wrong"))
    (message,) = errors(response)["new_secret_key"]
    assert "one of the two is wrong, most likely this one" in message
    connected.refresh_from_db()
    assert connected.secret_key.reveal() == fake.secret_key  # type: ignore[union-attr]


def test_new_public_key_needs_its_secret(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    fake.public_key = "public-key-0002"
    found = errors(boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="", public_key="another")))
    assert found == {
        "new_secret_key": ["Another public key has another secret key. Enter the one that belongs to it, too."]
    }


def test_new_keys_keep_stored_settings(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    connected.refresh_from_sendcloud()
    fake.integrations[4001]["shop_name"] = "Renamed there"
    fake.secret_key = "canary-secret-0002"
    assert boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake)).status_code == 302
    connected.refresh_from_db()
    assert connected.name == "Bike shop"


def test_keys_of_other_account_are_distinguished(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    fake.secret_key = "canary-secret-0002"
    fake.integrations.clear()
    fake.add(5001, "Somebody else's")
    (message,) = errors(boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake)))["public_key"]
    assert "without the integration #4001" in message


def test_valid_keys_end_credentials_pause(
    boss: Client, fake: FakeSendcloud, connected: Integration, django_capture_on_commit_callbacks: Any
) -> None:
    connected.pause(PauseReason.CREDENTIALS, "401")
    fake.secret_key = "canary-secret-0002"
    with django_capture_on_commit_callbacks(execute=True):
        boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake))
    connected.refresh_from_db()
    assert not connected.is_paused


def test_saving_keeps_concurrent_worker_writes(
    boss: Client, fake: FakeSendcloud, connected: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.admin.integrations.admin import IntegrationAdmin

    save_model = IntegrationAdmin.save_model

    def paused_meanwhile(self: Any, request: Any, obj: Any, form: Any, change: bool) -> None:
        Integration.objects.get(pk=obj.pk).pause(PauseReason.GONE, "404")
        save_model(self, request, obj, form, change)

    monkeypatch.setattr(IntegrationAdmin, "save_model", paused_meanwhile)
    boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="", is_active=""))
    connected.refresh_from_db()
    assert (connected.is_active, connected.paused_reason) == (False, "gone")


def test_signature_key_is_set_kept_and_removed(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
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


def test_second_integration_is_used_if_adapter_routes(
    boss: Client, fake: FakeSendcloud, connected: Integration
) -> None:
    fake.integrations[4002] = {**fake.integrations[4001], "id": 4002, "shop_name": "Outlet"}
    boss.post(reverse(ADD), keys(fake))
    assert Integration.objects.active().count() == 2


# -- buttons --------------------------------------------------------------------------------------


def test_working_connection_is_confirmed(boss: Client, connected: Integration) -> None:
    assert "as “Bike shop” (#4001)" in said(press(boss, connected, "test_connection"))
    assert LogEntry.objects.get().change_message == "Tested the connection: it works."


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ((401, "no"), "Sendcloud rejects the API keys"),
        ((403, "no"), "Sendcloud does not allow this with these keys"),
        ((404, "No Integration matches the given query."), "Sendcloud does not know this integration any more"),
        ((429, ""), "Sendcloud asked us to slow down"),
        ((500, "oops"), "Sendcloud had a problem of its own"),
        ((302, ""), "Sendcloud's address points elsewhere"),
    ],
)
def test_failing_connection_is_explained(
    failure: tuple[int, str], words: str, boss: Client, fake: FakeSendcloud, connected: Integration
) -> None:
    fake.failure = failure
    message = said(press(boss, connected, "test_connection"))
    assert words.replace("'", "&#x27;") in message
    assert fake.secret_key not in message
    assert history() == [f"Test the connection: it failed. {words}."]


def test_unreachable_sendcloud_is_explained(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    fake.close()
    assert "Sendcloud could not be reached" in said(press(boss, connected, "test_connection"))


def test_undecryptable_keys_are_explained(boss: Client, connected: Integration, settings: Any) -> None:
    settings.SECRET_KEY = "another-secret-key-altogether-0123456789-0123456789"
    boss = Client()
    from django.contrib.auth.models import User

    boss.force_login(User.objects.get(is_superuser=True))
    assert "cannot be decrypted" in said(press(boss, connected, "test_connection"))
    assert boss.get(reverse(CHANGE, args=[connected.pk])).status_code == 200


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let orders use the whole rate of the account."""
    monkeypatch.setattr(limiter, "acquire", lambda account_pk, kind: 60.0)


@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("name", ["test_connection", "refresh", "resume"])
def test_button_without_room_sends_no_request(
    boss: Client, fake: FakeSendcloud, connected: Integration, name: str
) -> None:
    if name == "resume":
        connected.pause(PauseReason.CREDENTIALS)
    assert "Orders go out at full speed at the moment" in said(press(boss, connected, name))
    assert fake.requests == []
    assert Integration.objects.get().is_paused == (name == "resume")


@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("page", ["settings", "logs"])
def test_page_without_room_sends_no_request(
    boss: Client, fake: FakeSendcloud, connected: Integration, page: str
) -> None:
    html = boss.get(reverse(f"admin:django_sendcloud_integration_{page}", args=[connected.pk])).content.decode()
    assert "other requests of this shop use the whole rate" in html
    assert fake.requests == []


@pytest.mark.usefixtures("no_room")
def test_keys_are_not_tested_beyond_the_rate(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    html = boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake, _test="1")).content.decode()
    assert "asked us to slow down" in html
    assert fake.requests == []


def test_first_refresh_takes_over_remote_settings(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    fake.integrations[4001]["shop_name"] = "Bike shop Eindhoven"
    press(boss, connected, "refresh")
    connected.refresh_from_db()
    assert connected.name == "Bike shop Eindhoven"


def test_later_refresh_reports_differences(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    press(boss, connected, "refresh")
    fake.integrations[4001] |= {"shop_name": "Bike shop Eindhoven", "failing_since": "2026-05-02T10:00:00Z"}
    assert "One setting differs there: Name." in said(press(boss, connected, "refresh"))
    connected.refresh_from_db()
    assert connected.name == "Bike shop"
    assert connected.failing_since is not None, "what only Sendcloud knows is not a setting"
    fake.integrations[4001] |= {"shop_name": "Bike shop", "failing_since": None}
    assert "this is what it has of “Bike shop”" in said(press(boss, connected, "refresh"))
    connected.refresh_from_db()
    assert connected.failing_since is None
    fake.failure = (401, "no")
    press(boss, connected, "refresh")
    assert history() == ["Asked Sendcloud what it has."] * 3 + [
        "Ask Sendcloud: it failed. Sendcloud rejects the API keys."
    ]


def test_register_webhook_asks_and_sends_address(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
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
    html = boss.get(reverse(CHANGE, args=[connected.pk])).content.decode()
    assert html.count("Register webhook") == 0


def test_configured_address_goes_before_requested_one(
    boss: Client, fake: FakeSendcloud, connected: Integration, settings: Any
) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_BASE_URL": "https://shop.example/"}
    page = press(boss, connected, "register_webhook").content.decode()
    assert f"https://shop.example{connected.webhook_path()}" in page
    assert "cannot reach it" not in page


def test_refused_webhook_registration_stores_nothing(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    fake.failure = (400, "{'settings': ['webhook_url: Enter a valid URL.']}")
    message = said(press(boss, connected, "register_webhook", confirmed="yes"))
    assert "Enter a valid URL" in message
    connected.refresh_from_db()
    assert connected.webhook_active is False
    assert history() == ["Register the webhook: it was not done. Sendcloud rejects this."]


def test_register_webhook_keeps_other_differences(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    connected.refresh_from_sendcloud()
    fake.integrations[4001]["shop_name"] = "Renamed there"
    press(boss, connected, "register_webhook", confirmed="yes")
    connected.refresh_from_db()
    assert (connected.webhook_active, connected.name) == (True, "Bike shop")


def test_spent_rate_limit_is_respected(
    boss: Client, fake: FakeSendcloud, connected: Integration, settings: Any
) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "UNSAFE_REQUESTS_PER_MINUTE": 0.1, "UNSAFE_BURST": 1}
    press(boss, connected, "register_webhook", confirmed="yes")
    fake.requests.clear()
    assert "try again in a minute" in said(press(boss, connected, "register_webhook", confirmed="yes"))
    assert fake.requests == []


def test_pause_asks_and_resume_makes_due(boss: Client, connected: Integration) -> None:
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
    assert "Paused by superuser-" in html

    press(boss, connected, "resume")
    connected.refresh_from_db()
    entry.refresh_from_db()
    assert not connected.is_paused
    assert entry.due_at <= timezone.now()
    assert list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True)) == ["Paused.", "Resumed."]


# -- secrets --------------------------------------------------------------------------------------


def test_secret_fields_are_write_only(boss: Client, data: Data) -> None:
    html = boss.get(reverse(CHANGE, args=[data.integration.pk])).content.decode()
    field = html[html.index('name="new_secret_key"') - 40 :][:400]
    assert 'type="password"' in field
    assert 'autocomplete="new-password"' in field
    assert "value=" not in field.split(">")[0]
    assert "Leave empty to keep the current key" in html


def test_key_state_needs_permission(as_role: Callable[..., Client], data: Data) -> None:
    data.integration.replace_secret_key("canary-secret-0002")
    data.integration.save()
    url = reverse(CHANGE, args=[data.integration.pk])
    html = as_role("viewer", "view_credentials").get(url).content.decode()
    assert "canary" not in html
    assert 'type="password"' not in html
    assert html.count("> set<") == 1
    assert html.count("> not set<") == 1
    assert "former secret key are accepted, too" in html
    assert data.integration.public_key in html
    html = as_role("viewer").get(url).content.decode()
    assert "> set<" not in html
    assert "secret key" not in html.lower()
    assert data.integration.public_key not in html


@pytest.mark.long
def test_changing_keys_reveals_no_key_state(as_role: Callable[..., Client], data: Data) -> None:
    url, shown = reverse(CHANGE, args=[data.integration.pk]), set()
    changer = as_role("viewer", "change_integration")
    for key in ("", "canary-signature-1"):
        data.integration.webhook_signature_key = Secret(key)
        data.integration.replace_secret_key("canary-secret-0002")
        data.integration.save()
        html = changer.get(url).content.decode()
        assert "are accepted, too" not in html
        assert "Saved. Leave empty" not in html
        assert "It is not set" not in html
        shown.add(re.sub(r'value="[^"]{32,}"', "", html))
    assert len(shown) == 1, "the page is the same, whatever is set"
    assert "Saved. Leave empty" in as_role("superuser").get(url).content.decode()


# -- the page -------------------------------------------------------------------------------------


def page_of(client: Client, integration: Integration) -> Any:
    return client.get(reverse(CHANGE, args=[integration.pk]))


def labels(buttons: Any) -> list[str]:
    return [str(button.label) for button in buttons]


def offered(client: Client, integration: Integration) -> dict[str, list[str]]:
    """Return the buttons of the page: against problems, for connecting, at Sendcloud, and rare ones."""
    context = page_of(client, integration).context
    return {
        "buttons": labels(context["buttons"]),
        "steps": [label for _step, buttons in context["steps"] for label in labels(buttons)],
        "there": labels(context["at_sendcloud_buttons"]),
        "more": labels(context["rare_actions"]),
    }


@pytest.fixture
def working(data: Data) -> Integration:
    """Return a completely connected integration."""
    integration = data.integration
    integration.refresh_from_sendcloud()
    now = timezone.now()
    Integration.objects.update(
        last_success_at=now,
        last_webhook_at=now,
        webhook_active=True,
        webhook_url=f"http://testserver{integration.webhook_path()}",
    )
    mark_sweep()
    OutboxEntry.objects.all().delete()
    integration.refresh_from_db()
    return integration


def test_working_integration_offers_each_action_once(boss: Client, working: Integration) -> None:
    assert offered(boss, working) == {
        "buttons": [],
        "steps": [],
        "there": [
            "Settings at Sendcloud",
            "Failed requests at Sendcloud",
            "Differences",
            "Check the webhook address",
            "Ask Sendcloud",
        ],
        "more": [
            "Send a test order…",
            "Pause…",
            "Move to another API…",
            "Accept keys by webhook…",
            "Disconnect…",
            "Delete at Sendcloud…",
        ],
    }
    html = page_of(boss, working).content.decode()
    assert html.count(working.webhook_url) == 1, "what Sendcloud has stands there once"
    assert html.count("sc-button--danger") == 1
    for jargon in ("Last fetch", "System", "Failing since"):
        assert jargon not in html


def test_switched_off_webhook_stands_out(boss: Client, working: Integration) -> None:
    Integration.objects.update(webhook_active=False)
    context = page_of(boss, working).context
    assert [step.title for step, _buttons in context["steps"] if not step.done] == ["Webhook"]
    (button,) = [button for _step, buttons in context["steps"] for button in buttons]
    assert (str(button.label), button.emphasis) == ("Register webhook…", "default")
    assert "Not everything is in place" in page_of(boss, working).content.decode()


def test_open_keys_window_is_shown(boss: Client, working: Integration) -> None:
    press(boss, working, "accept_keys", confirmed="yes")
    assert "keys are accepted by webhook." in page_of(boss, working).content.decode()
    assert "Accept keys by webhook…" not in offered(boss, working)["more"]


def test_carriers_are_shown_by_name(boss: Client, working: Integration) -> None:
    Integration.objects.update(service_point_enabled=True, service_point_carriers=["postnl", "dhl_de", "acme_gb"])
    assert "PostNL, DHL (DE), Acme GB" in page_of(boss, working).content.decode()


def test_operator_pause_offers_resume(boss: Client, working: Integration) -> None:
    working.pause(PauseReason.PERSON)
    found = offered(boss, working)
    assert found["buttons"] == ["Resume"]
    assert "Pause…" not in found["more"]
    assert "Resume" not in found["more"]


def test_credentials_pause_offers_new_keys(boss: Client, working: Integration) -> None:
    working.pause(PauseReason.CREDENTIALS, "401")
    found = offered(boss, working)
    assert found == {
        "buttons": ["Enter the keys"],
        "steps": [],
        "there": ["Differences", "Check the webhook address", "Ask Sendcloud"],
        "more": ["Resume", "Accept keys by webhook…", "Disconnect…"],
    }
    html = page_of(boss, working).content.decode()
    assert 'href="#id_new_secret_key"' in html
    assert html.index('id="id_new_secret_key"') < html.index('id="sc-there"'), (
        "the fields come before what is less urgent"
    )


@pytest.mark.long
def test_disconnected_integration_offers_only_reconnecting(boss: Client, working: Integration) -> None:
    press(boss, working, "disconnect", confirmed="yes")
    assert offered(boss, working) == {"buttons": ["Enter the keys"], "steps": [], "there": [], "more": []}
    html = page_of(boss, working).content.decode()
    assert "It is disconnected" in html
    assert re.search(r'name="is_active"[^>]* checked', html), "who enters keys wants to use it"


def test_disconnected_integration_reconnects_by_keys(boss: Client, fake: FakeSendcloud, working: Integration) -> None:
    press(boss, working, "disconnect", confirmed="yes")
    fake.integrations[4001]["shop_name"] = "Renamed meanwhile"
    assert boss.post(reverse(CHANGE, args=[working.pk]), keys(fake)).status_code == 302
    working.refresh_from_db()
    assert working.is_active
    assert working.secret_key.reveal() == fake.secret_key  # type: ignore[union-attr]
    assert working.name == "Renamed meanwhile"


def test_disconnect_ends_pause(boss: Client, working: Integration) -> None:
    working.pause(PauseReason.CREDENTIALS, "401")
    press(boss, working, "disconnect", confirmed="yes")
    working.refresh_from_db()
    assert not working.is_paused


def test_rejected_input_comes_first(boss: Client, fake: FakeSendcloud, working: Integration) -> None:
    response = boss.post(reverse(CHANGE, args=[working.pk]), keys(fake, new_secret_key="canary-wrong"))
    html = response.content.decode()
    assert html.index('id="id_new_secret_key"') < html.index('id="sc-health"') < html.index('id="sc-there"')


@pytest.mark.long
def test_figures_match_their_lists(boss: Client, data: Data) -> None:
    OutboxEntry.objects.create(order_type="shop.order", order_pk="of nobody yet", state="rejected")

    def lists(integration: Integration) -> dict[str, tuple[int, int | None]]:
        """Return each figure with its text and the length of its list."""
        found: dict[str, tuple[int, int | None]] = {}
        for label, number, url in page_of(boss, integration).context["facts"]:
            if isinstance(number, int) and number:
                found[str(label)] = number, boss.get(url).context["cl"].result_count if url else None
        return found

    assert lists(data.integration) == {"fix needed": (2, 2)}
    other = Integration.objects.create(remote_id=5, public_key="p", secret_key="s", is_active=False)
    assert lists(data.integration) == {"fix needed": (2, 2)}
    OutboxEntry.objects.create(order_type="shop.order", order_pk="of the other", state="rejected", integration=other)
    assert lists(data.integration) == {"fix needed": (2, None)}, "there is no list of both"
    assert lists(other) == {"fix needed": (1, 1)}
    Integration.objects.update(is_active=True)
    assert lists(data.integration) == {"fix needed": (1, 1)}
    html = boss.get(reverse("admin:django_sendcloud_integration_changelist")).content.decode()
    assert f"?state=rejected&amp;integration__id__exact={other.pk}" in html


def test_outbox_figures_need_permission(as_role: Callable[..., Client], data: Data) -> None:
    client = as_role("staff", "view_integration")
    response = page_of(client, data.integration)
    html = response.content.decode()
    assert "outboxentry" not in html
    assert "fix needed" not in html
    assert "Some orders need a fix" in html, "that all is well would be a lie"
    assert response.context["buttons"] == []
    columns = client.get(reverse("admin:django_sendcloud_integration_changelist")).content.decode()
    assert "outboxentry" not in columns
    assert "column-rejected" not in columns
    assert "column-dead" not in columns
    assert "column-waiting" not in columns


@pytest.mark.long
def test_integration_page_takes_constant_queries(
    boss: Client, working: Integration, django_assert_num_queries: Any
) -> None:
    page_of(boss, working)
    # Session and user; what was recorded; the integration; the sidebar's count of alerts; all integrations and the outbox; the
    # sweep; today's pushes; whether it has shipments; accounts to choose from; its account.
    with django_assert_num_queries(11):
        page_of(boss, working)
    for number in range(20):
        OutboxEntry.objects.create(order_type="shop.order", order_pk=str(number), integration=working)
        Integration.objects.create(remote_id=100 + number, is_active=False)
    with django_assert_num_queries(11):
        page_of(boss, working)


@pytest.mark.long
def test_integration_with_only_webhooks_is_deletable(boss: Client, data: Data) -> None:
    url = reverse("admin:django_sendcloud_integration_delete", args=[data.integration.pk])
    assert "Delete here…" not in offered(boss, data.integration)["more"]
    assert boss.get(url).status_code == 403
    Parcel.objects.all().delete()
    Shipment.objects.update(status="deleted")
    assert WebhookEvent.objects.exists()
    assert "Delete here…" not in offered(boss, data.integration)["more"], "it is disconnected first"
    press(boss, data.integration, "disconnect", confirmed="yes")
    assert offered(boss, data.integration)["more"] == ["Delete here…"]
    assert boss.get(url).status_code == 200
    boss.post(url, {"post": "yes"})
    assert not Integration.objects.exists()


# -- the webhook's address --------------------------------------------------------------------------


def test_working_webhook_address_is_confirmed(
    boss: Client, connected: Integration, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_BASE_URL": "https://shop.example"}
    called: list[str] = []
    monkeypatch.setattr(selftest, "run", lambda integration, url: called.append(url) or selftest.Outcome())
    message = said(press(boss, connected, "check_address"))
    assert called == [f"https://shop.example{connected.webhook_path()}"]
    assert "The webhook address works" in message
    assert "own test shows whether Sendcloud gets through as well." in message
    assert history() == ["Checked the webhook address: it works."]


@pytest.mark.parametrize("problem", ADDRESS_PROBLEMS)
def test_webhook_obstacle_is_explained(
    problem: str, boss: Client, connected: Integration, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_BASE_URL": "https://shop.example"}
    monkeypatch.setattr(selftest, "run", lambda integration, url: selftest.Outcome(problem, 599))
    message = html.unescape(said(press(boss, connected, "check_address")))
    expected = ADDRESS_PROBLEMS[problem]
    assert all(str(text) in message for text in (expected.title, expected.why, expected.advice))
    assert "HTTP 599" in message
    assert history() == [f"Checked the webhook address: {expected.title}."]


def test_address_check_calls_only_trusted_host(
    boss: Client, fake: FakeSendcloud, connected: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that neither the request's host nor an entered address is called."""
    monkeypatch.setattr(selftest, "run", lambda integration, url: pytest.fail("it was called"))
    Integration.objects.update(webhook_active=True, webhook_url=f"http://10.0.0.1:8080{connected.webhook_path()}")
    assert "It is not clear where the shop is reached" in said(press(boss, connected, "check_address"))


def test_address_check_without_keys_is_explained(boss: Client, connected: Integration, settings: Any) -> None:
    """A page of a moment ago still offers it."""
    settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_BASE_URL": "https://shop.example"}
    Integration.objects.update(secret_key="")
    assert "API keys are missing." in said(press(boss, connected, "check_address"))


def test_address_check_works_with_undecryptable_keys(boss: Client, connected: Integration, settings: Any) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_BASE_URL": "https://shop.example"}
    Integration.objects.update(secret_key=Secret.encrypted("nonsense"))
    assert "The stored keys cannot be read any more" in said(press(boss, connected, "check_address"))


# -- notices and accounts ---------------------------------------------------------------------------


@pytest.mark.long
def test_missing_integration_notice_links_to_form(
    as_role: Callable[..., Client], boss: Client, fake: FakeSendcloud
) -> None:
    outbox = reverse("admin:django_sendcloud_outboxentry_changelist")
    link = f'<a href="{reverse(ADD)}">No Sendcloud integration is connected and in use.</a>'
    assert link in boss.get(outbox).content.decode()
    assert link not in as_role("viewer").get(outbox).content.decode()
    Integration.objects.create(remote_id=1, is_active=False)
    listed = f'<a href="{reverse("admin:django_sendcloud_integration_changelist")}">No Sendcloud'
    assert listed in as_role("viewer").get(outbox).content.decode()


def test_account_shows_remaining_rate_limit(
    as_role: Callable[..., Client],
    boss: Client,
    connected: Integration,
    settings: Any,
    django_assert_num_queries: Any,
) -> None:
    limits = {"UNSAFE_REQUESTS_PER_MINUTE": 85, "UNSAFE_BURST": 15, "SAFE_REQUESTS_PER_MINUTE": 850, "SAFE_BURST": 150}
    settings.SENDCLOUD = {**settings.SENDCLOUD, **limits}
    account = connected.account
    url = reverse("admin:django_sendcloud_account_change", args=[account.pk])
    page = boss.get(url).content.decode()
    assert "15 of 15 requests may go out immediately, then 85 a minute." in page
    assert "150 of 150 requests may go out immediately, then 850 a minute." in page
    assert "The last request went through." in page
    assert f'href="{reverse(CHANGE, args=[connected.pk])}">Bike shop</a>' in page
    # Session and user, what was recorded, the account, the sidebar's count of alerts, the limiter, its integrations.
    with django_assert_num_queries(7):
        boss.get(url)
    for _ in range(15):
        limiter.acquire(account.pk, "unsafe")
    Account.objects.update(failures=4)
    page = boss.get(url).content.decode()
    assert "used up" in page
    assert "0 of 15 requests may go out immediately" in page
    assert "The last 2 requests failed. After" in page
    assert "Bike shop" not in as_role("staff", "view_account").get(url).content.decode()


# -- with the whole sandbox ---------------------------------------------------------------------------


def test_connecting_works_against_sandbox(boss: Client, db: None, sandbox: Any, sendcloud_settings: Any) -> None:
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


def test_incomplete_remote_settings_allow_change(boss: Client, fake: FakeSendcloud, connected: Integration) -> None:
    Integration.objects.update(service_point_enabled=True, service_point_carriers=[])
    assert (
        boss.post(reverse(CHANGE, args=[connected.pk]), keys(fake, new_secret_key="", is_active="")).status_code == 302
    )
    connected.refresh_from_db()
    assert connected.is_active is False


def test_resume_with_wrong_keys_stays_paused(boss: Client, connected: Integration, fake: FakeSendcloud) -> None:
    connected.pause(PauseReason.CREDENTIALS)
    fake.failure = (401, "Invalid username/password.")
    response = press(boss, connected, "resume")
    connected.refresh_from_db()
    assert connected.is_paused
    messages = [str(message) for message in get_messages(response.wsgi_request)]
    assert not any("running again" in message for message in messages)
    assert "Sendcloud rejects the API keys" in messages[0]
    fake.failure = None
    press(boss, connected, "resume")
    connected.refresh_from_db()
    assert not connected.is_paused
