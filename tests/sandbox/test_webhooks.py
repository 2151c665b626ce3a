"""Webhooks: signed, one after the other, and again as often as Sendcloud tries."""

from __future__ import annotations

import base64
import threading
import time
from typing import Any

import pytest

from django_sendcloud.sandbox import Sandbox
from django_sendcloud.sandbox.v2.log_checks import INTEGRATION_LOG_FIELDS, integration_log_errors

from .conftest import Receiver, Shop, eventually, order

#: The first attempt and ten more.
TRIES = 11


def test_signature_covers_exact_bytes(sandbox: Sandbox, listening: Receiver) -> None:
    sandbox.send_test_webhook()
    received = listening.next()
    assert received.action == "test_webhook"
    assert received.signed_with(sandbox.secret_key)
    assert not received.signed_with("another key")
    received.body += b" "
    assert not received.signed_with(sandbox.secret_key)
    assert received.headers["content-type"] == "application/json"
    # Milliseconds.
    assert len(str(received.payload["timestamp"])) == 13


def test_signature_key_replaces_secret_key(sandbox: Sandbox, listening: Receiver) -> None:
    sandbox.integration.webhook_signature_key = "a key of its own, long enough"
    sandbox.send_test_webhook()
    received = listening.next()
    assert received.signed_with("a key of its own, long enough")
    assert not received.signed_with(sandbox.secret_key)


def test_password_in_address_becomes_header(sandbox: Sandbox, listening: Receiver) -> None:
    address = listening.url.replace("://", "://user:p%40ss@") + "?shop=1"
    sandbox.change_integration(webhook_url=address)
    received = listening.next()
    assert received.path == "/hook?shop=1"
    assert received.headers["authorization"] == f"Basic {base64.b64encode(b'user:p@ss').decode()}"


def test_webhook_repeats_until_accepted(receiver: Receiver) -> None:
    with Sandbox(webhook_retry_scale=1e-6) as sandbox:
        receiver.answers = [500, 404, 302, 204]
        sandbox.change_integration(webhook_url=receiver.url, webhook_active=True)
        received = [receiver.next() for _ in range(4)]
        assert receiver.nothing_more(sandbox)
        # Byte for byte the same: a repetition is known by its body.
        assert len({(each.body, each.headers["sendcloud-signature"]) for each in received}) == 1
        [webhook] = sandbox.webhooks
        assert [outcome for _, outcome in webhook.attempts] == [500, 404, 302, 204]
        assert webhook.state == "delivered"


def test_webhook_fails_after_ten_repetitions(receiver: Receiver) -> None:
    with Sandbox(webhook_retry_scale=1e-6) as sandbox:
        receiver.answers = [500] * TRIES
        sandbox.change_integration(webhook_url=receiver.url, webhook_active=True)
        for _ in range(TRIES):
            receiver.next()
        assert receiver.nothing_more(sandbox)
        [webhook] = sandbox.webhooks
        assert (webhook.state, len(webhook.attempts)) == ("failed", TRIES)
        # The integration says so, until one gets through.
        failing = sandbox.integration.as_json()["failing_since"]
        assert failing is not None
        sandbox.send_webhook_again(webhook.number)
        assert receiver.next().body == webhook.body
        assert receiver.nothing_more(sandbox)
        assert webhook.state == "delivered"
        assert sandbox.integration.as_json()["failing_since"] is None


def given_up(sandbox: Sandbox, url: str) -> dict[str, Any]:
    """Return the entry of the connection log for the one webhook that failed."""
    sandbox.webhook_retry_scale = 1e-6
    sandbox.change_integration(webhook_url=url, webhook_active=True)
    assert sandbox.wait_webhooks()
    [entry] = sandbox.connection_log
    written = {name: value for name, value in entry.items() if name in INTEGRATION_LOG_FIELDS}
    assert integration_log_errors(written, sandbox.integration_id) is None
    return entry


def test_failed_webhook_enters_connection_log(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.answers = [500] * (TRIES - 1) + [404]
    entry = given_up(sandbox, receiver.url.replace("://", "://user:secret@"))
    assert entry["integration_id"] == sandbox.integration_id
    assert (entry["method"], entry["response_code"]) == ("POST", 404)
    assert (entry["base_url"], entry["full_url"]) == (receiver.url.removesuffix("/hook"), receiver.url)
    assert entry["request"]["payload"]["action"] == "integration_connected"
    assert entry["response"]["headers"]["Content-Length"] == "0"
    assert "Authorization" not in entry["request"]["headers"]
    # Sending it again succeeds, and the log keeps its entry.
    sandbox.send_webhook_again(1)
    assert sandbox.wait_webhooks()
    assert len(sandbox.connection_log) == 1


def test_connection_log_names_library_errors(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.close()
    entry = given_up(sandbox, receiver.url)
    assert entry["exception_type"] == "requests.exceptions.ConnectionError"
    assert "refused" in entry["exception"]
    assert "response_code" not in entry


def test_single_failure_is_not_logged(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.answers = [500]
    sandbox.change_integration(webhook_url=receiver.url, webhook_active=True)
    [webhook] = sandbox.webhooks
    eventually(lambda: webhook.attempts)
    assert sandbox.connection_log == []


def test_delays_grow_to_an_hour(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.answers = [500] * 7
    sandbox.change_integration(webhook_url=receiver.url, webhook_active=True)
    [webhook] = sandbox.webhooks
    for number, minutes in enumerate((5, 10, 20, 40, 60, 60), start=1):
        before = time.monotonic()
        receiver.next()
        eventually(lambda number=number: len(webhook.attempts) == number)
        eventually(lambda before=before: webhook.due > before + 1)
        assert before + minutes * 60 - 1 <= webhook.due <= time.monotonic() + minutes * 60
        # The next attempt is made by hand.
        sandbox.send_webhook_again(webhook.number)
    assert webhook.state == "pending"


def test_closed_port_counts_as_failure(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.close()
    sandbox.change_integration(webhook_url=receiver.url, webhook_active=True)
    [webhook] = sandbox.webhooks
    eventually(lambda: webhook.attempts)
    assert "refused" in str(webhook.attempts[0][1])
    assert webhook.state == "pending"


def test_integrations_do_not_delay_each_other(shop: Shop, sandbox: Sandbox, listening: Receiver) -> None:
    other = sandbox.add_integration(webhook_url=f"{listening.url}/other", webhook_active=True)
    assert listening.next().path == "/hook/other"
    shop.upsert(order())
    listening.answering.clear()
    [parcel] = sandbox.create_label("1042")
    for _ in range(5):
        sandbox.advance(parcel["id"])
    assert listening.next().payload["parcel"]["status"]["id"] == 1000
    # The first one is still without an answer.
    sandbox.send_test_webhook(other.id)
    assert listening.next().path == "/hook/other"
    listening.answering.set()
    received = [listening.next().payload for _ in range(5)]
    assert [payload["parcel"]["status"]["id"] for payload in received] == [1, 22, 3, 7, 5]
    times = [payload["timestamp"] for payload in received]
    assert times == sorted(set(times))
    assert listening.nothing_more(sandbox)


def test_inactive_webhook_sends_nothing(shop: Shop, sandbox: Sandbox, listening: Receiver) -> None:
    sandbox.change_integration(webhook_active=False)
    shop.upsert(order())
    sandbox.create_label("1042")
    assert sandbox.send_test_webhook() is None
    assert listening.nothing_more(sandbox)
    sandbox.change_integration(webhook_active=True)
    # Connected only once.
    assert listening.next().action == "integration_updated"


def test_changes_by_api_send_webhooks(shop: Shop, sandbox: Sandbox, listening: Receiver) -> None:
    shop.ask("PATCH", "", {"shop_name": "New"})
    received = listening.next()
    assert received.action == "integration_updated"
    assert received.payload["integration"]["shop_name"] == "New"
    assert received.payload["integration"]["webhook_url"] == listening.url
    # No address was given, and null would not be allowed.
    assert "shop_url" not in received.payload["integration"]
    # A change to the same values sends nothing.
    shop.ask("PATCH", "", {"shop_name": "New"})
    shop.ask("DELETE", "")
    assert listening.next().action == "integration_deleted"
    assert listening.nothing_more(sandbox)


def senders(sandbox: Sandbox) -> list[threading.Thread]:
    """Return the threads that send this sandbox's webhooks; other sandboxes have their own."""
    return list(sandbox._webhooks._threads)


def join_all(threads: list[threading.Thread]) -> None:
    assert threads
    eventually(lambda: not any(thread.is_alive() for thread in threads))


def test_stop_keeps_pending_webhooks(sandbox: Sandbox, listening: Receiver) -> None:
    listening.answering.clear()
    sandbox.send_test_webhook()
    sandbox.send_test_webhook()
    listening.next()
    working = senders(sandbox)
    sandbox.stop()
    listening.answering.set()
    # The old thread does not continue with the next webhook.
    join_all(working)
    first, second = sandbox.webhooks[-2:]
    assert (first.state, second.state, second.attempts) == ("delivered", "pending", [])
    # Started again, it goes on where it was.
    sandbox.start()
    assert listening.next().body == second.body
    assert listening.nothing_more(sandbox)


def test_restart_ends_old_deliveries(sandbox: Sandbox, listening: Receiver) -> None:
    listening.answering.clear()
    sandbox.send_test_webhook()
    listening.next()
    working = senders(sandbox)
    sandbox.stop()
    sandbox.start()
    listening.answering.set()
    join_all(working)
    assert listening.nothing_more(sandbox)


def test_wrong_address_is_refused_early(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="http"):
        sandbox.change_integration(webhook_url="ftp://shop.example", webhook_active=True)
