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


def test_connect_stores_keys_and_registers_webhook(connect: Any, sandbox: Any) -> None:
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


def test_repeated_connect_changes_nothing(connect: Any, sandbox: Any) -> None:
    connect("--webhook-url", "https://shop.example")
    before = Integration.objects.values_list("webhook_key", "previous_secret_key_until").get()
    said = connect("--webhook-url", "https://shop.example")
    assert "Updated" in said
    assert "already" in said
    assert Integration.objects.values_list("webhook_key", "previous_secret_key_until").get() == before
    assert sandbox.count("PATCH", "") == 1


def test_webhook_address_defaults_to_the_setting(connect: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(WEBHOOK_BASE_URL="https://from-settings.example")
    connect()
    assert Integration.objects.get().webhook_url.startswith("https://from-settings.example/")


def test_missing_address_connects_without_webhook(connect: Any, sandbox: Any) -> None:
    assert "--webhook-url" in connect()
    assert not sandbox.integration.webhook_active
    assert Integration.objects.count() == 1


def test_unreachable_address_is_named(connect: Any) -> None:
    assert "cannot reach it" in connect("--webhook-url", "http://127.0.0.1:8000")


def test_webhook_option_off_registers_nothing(connect: Any, sandbox: Any) -> None:
    connect("--no-webhook", "--webhook-url", "https://shop.example")
    assert not sandbox.integration.webhook_active


def test_replaced_keys_keep_former_secret_and_resume(connect: Any, sandbox: Any) -> None:
    integration = Integration.objects.create(
        remote_id=sandbox.integration_id, public_key="old", secret_key="old-secret", name="Old"
    )
    integration.pause(PauseReason.CREDENTIALS, "refused")
    said = connect()
    integration.refresh_from_db()
    assert integration.secret_key.reveal() == sandbox.secret_key
    assert "old-secret" in integration.webhook_secrets()
    assert not integration.is_paused
    assert "runs again" in said


def test_integration_paused_by_person_stays_paused(connect: Any, sandbox: Any) -> None:
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


def test_several_integrations_require_a_choice(connect: Any, sandbox: Any) -> None:
    other = sandbox.add_integration("Second shop")
    with pytest.raises(CommandError, match="Second shop"):
        connect()
    assert not Integration.objects.exists()
    connect("--integration-id", str(other.id))
    assert Integration.objects.get().name == "Second shop"


def test_integration_of_other_keys_is_refused(connect: Any) -> None:
    with pytest.raises(CommandError, match="#4711"):
        connect("--integration-id", "4711")


def test_rejected_keys_store_nothing(connect: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDCLOUD_SECRET_KEY", "wrong-secret")
    with pytest.raises(CommandError, match="rejects these keys") as caught:
        connect()
    assert "wrong-secret" not in str(caught.value)
    assert not Integration.objects.exists()


def test_unreachable_sendcloud_stores_nothing(connect: Any, sandbox: Any) -> None:
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
def test_missing_keys_are_named(
    connect: Any, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(CommandError, match=said):
        connect()


def test_invalid_webhook_address_is_refused(connect: Any, sandbox: Any) -> None:
    with pytest.raises(CommandError, match="--webhook-url shop"):
        connect("--webhook-url", "shop")
    assert not Integration.objects.exists()


# -- the API generation ------------------------------------------------------------------------------


def generation() -> str:
    return Integration.objects.get().api_generation


def test_ordinary_account_is_connected_by_v3(connect: Any) -> None:
    assert "API v3" in connect()
    assert generation() == "v3"


def test_partner_account_is_connected_by_v2(connect: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(PARTNER_ID="0b2a4c0e-6b7f-4b7e-9c55-2f3c7bb1a001")
    assert "API v2" in connect()
    assert generation() == "v2"


@pytest.mark.parametrize("status", [403, 404])
def test_keys_without_v3_are_connected_by_v2(connect: Any, sandbox: Any, status: int) -> None:
    sandbox.fail_next(status, match="list integrations")
    assert "API v2" in connect("--no-webhook")
    assert generation() == "v2"


@pytest.mark.parametrize("status", [403, 404])
def test_chosen_closed_v3_is_no_v2(connect: Any, sandbox: Any, status: int) -> None:
    sandbox.fail_next(status, match="list integrations")
    with pytest.raises(CommandError, match="nothing was stored"):
        connect("--api", "v3")
    assert not Integration.objects.exists()


@pytest.mark.parametrize("chosen", ["v2", "v3"])
def test_option_api_chooses_the_generation(connect: Any, chosen: str) -> None:
    connect("--api", chosen)
    assert generation() == chosen


@pytest.mark.parametrize("chosen", ["v2", "v3"])
def test_environment_chooses_the_generation(connect: Any, monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    monkeypatch.setenv("SENDCLOUD_API_GENERATION", chosen)
    connect()
    assert generation() == chosen


def test_invalid_generation_is_named(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDCLOUD_API_GENERATION", "v4")
    with pytest.raises(CommandError, match="SENDCLOUD_API_GENERATION is 'v4': give v2 or v3"):
        connect()
    assert not Integration.objects.exists()


def test_connected_integration_keeps_its_generation(connect: Any) -> None:
    connect("--api", "v2")
    assert "Updated" in connect()
    assert generation() == "v2"


def test_other_generation_asks_for_a_move(connect: Any, sandbox: Any) -> None:
    connect("--api", "v2")
    with pytest.raises(CommandError, match=f"sendcloud_move --to v3 --integration {sandbox.integration_id}"):
        connect("--api", "v3")
    assert generation() == "v2"
