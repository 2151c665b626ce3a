"""``sendcloud_connect``: from a pair of keys to a connected integration, and every way not to get there."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_sendcloud.models import Integration, PauseReason

pytestmark = pytest.mark.django_db


@pytest.fixture
def connect(sandbox: Any, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command with the sandbox's keys in the environment; returns what it said."""
    monkeypatch.setenv("SENDCLOUD_PUBLIC_KEY", sandbox.public_key)
    monkeypatch.setenv("SENDCLOUD_SECRET_KEY", sandbox.secret_key)
    monkeypatch.delenv("SENDCLOUD_INTEGRATION_ID", raising=False)

    def run(*arguments: str) -> str:
        out = io.StringIO()
        call_command("sendcloud_connect", *arguments, stdout=out, stderr=out)
        return out.getvalue()

    return run


def test_finds_stores_and_registers(connect: Any, sandbox: Any) -> None:
    said = connect("--webhook-url", "https://shop.example/")
    integration = Integration.objects.get()
    assert integration.remote_id == sandbox.integration_id
    assert integration.name == sandbox.integration.shop_name
    assert integration.secret_key.reveal() == sandbox.secret_key
    assert integration.webhook_url == f"https://shop.example{integration.webhook_path()}"
    assert sandbox.integration.webhook_active
    assert sandbox.integration.webhook_url == integration.webhook_url
    assert "Connected" in said
    assert integration.webhook_url in said
    assert sandbox.secret_key not in said


def test_repeated_it_changes_nothing_and_says_so(connect: Any, sandbox: Any) -> None:
    connect("--webhook-url", "https://shop.example")
    before = Integration.objects.values_list("webhook_key", "previous_secret_key_until").get()
    said = connect("--webhook-url", "https://shop.example")
    assert "Updated" in said
    assert "already" in said
    assert Integration.objects.values_list("webhook_key", "previous_secret_key_until").get() == before
    assert sandbox.count("PATCH", "") == 1


def test_the_webhook_address_of_the_settings_is_the_default(connect: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(WEBHOOK_BASE_URL="https://from-settings.example")
    connect()
    assert Integration.objects.get().webhook_url.startswith("https://from-settings.example/")


def test_without_an_address_it_connects_and_says_what_is_missing(connect: Any, sandbox: Any) -> None:
    assert "--webhook-url" in connect()
    assert not sandbox.integration.webhook_active
    assert Integration.objects.count() == 1


def test_an_address_sendcloud_cannot_reach_is_named(connect: Any) -> None:
    assert "cannot reach it" in connect("--webhook-url", "http://127.0.0.1:8000")


def test_no_webhook_on_request(connect: Any, sandbox: Any) -> None:
    connect("--no-webhook", "--webhook-url", "https://shop.example")
    assert not sandbox.integration.webhook_active


def test_replacing_the_keys_keeps_the_former_for_webhooks_and_resumes(connect: Any, sandbox: Any) -> None:
    integration = Integration.objects.create(
        remote_id=sandbox.integration_id, public_key="old", secret_key="old-secret", name="Old"
    )
    integration.pause(PauseReason.CREDENTIALS, "refused")
    said = connect()
    integration.refresh_from_db()
    assert integration.secret_key.reveal() == sandbox.secret_key
    assert "old-secret" in integration.webhook_secrets()
    assert not integration.is_paused
    assert "running again" in said


def test_what_a_person_paused_stays_paused(connect: Any, sandbox: Any) -> None:
    integration = Integration.objects.create(remote_id=sandbox.integration_id, public_key="a", secret_key="b")
    integration.pause(PauseReason.PERSON)
    assert "stays so" in connect()
    integration.refresh_from_db()
    assert integration.is_paused


def test_oauth2(connect: Any, sandbox: Any) -> None:
    sandbox.integration.auth = "oauth2"
    with pytest.raises(CommandError, match="--auth oauth2"):
        connect()
    connect("--auth", "oauth2")
    assert Integration.objects.get().auth_scheme == "oauth2"


def test_several_integrations_are_named_and_one_is_chosen(connect: Any, sandbox: Any) -> None:
    other = sandbox.add_integration("Second shop")
    with pytest.raises(CommandError, match="Second shop"):
        connect()
    assert not Integration.objects.exists()
    connect("--integration-id", str(other.id))
    assert Integration.objects.get().name == "Second shop"


def test_an_integration_the_keys_do_not_open(connect: Any) -> None:
    with pytest.raises(CommandError, match="#4711"):
        connect("--integration-id", "4711")


def test_refused_keys(connect: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDCLOUD_SECRET_KEY", "wrong-secret")
    with pytest.raises(CommandError, match="refuses these keys") as caught:
        connect()
    assert "wrong-secret" not in str(caught.value)
    assert not Integration.objects.exists()


def test_sendcloud_is_down(connect: Any, sandbox: Any) -> None:
    sandbox.stop()
    with pytest.raises(CommandError, match="nothing was stored"):
        connect()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SENDCLOUD_PUBLIC_KEY", "", "SENDCLOUD_PUBLIC_KEY"),
        ("SENDCLOUD_SECRET_KEY", "", "SENDCLOUD_SECRET_KEY"),
        ("SENDCLOUD_INTEGRATION_ID", "abc", "SENDCLOUD_INTEGRATION_ID is 'abc'"),
    ],
)
def test_what_is_missing_is_named(
    connect: Any, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(CommandError, match=said):
        connect()


def test_a_webhook_address_that_is_none(connect: Any, sandbox: Any) -> None:
    with pytest.raises(CommandError, match="--webhook-url shop"):
        connect("--webhook-url", "shop")
    assert not Integration.objects.exists()
