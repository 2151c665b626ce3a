"""The sandbox as a whole: started, stopped, looked into and set up from Python."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import itertools
import secrets
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from ..enums import AuthScheme
from .api import ROOT, TOKEN_PATH, Answer, Api
from .desk import Desk
from .faults import Apply, Fault, Faults, Garble
from .panel import Panel
from .parcels import Parcel, Parcels
from .requestlog import LoggedRequest, RequestLog
from .server import Server
from .service_points import SCRIPT_PATH
from .service_points import answer as picker
from .state import ANY, SandboxIntegration, State, StoredShipment
from .webhooks import Attempt, DeliveredWebhook, Webhooks

__all__ = ["Sandbox"]

_FIRST_ID: Final = 1001


class Sandbox:
    """A local Sendcloud on a real socket.

    ::

        with Sandbox() as sandbox:
            client = SendcloudClient(
                public_key=sandbox.public_key, secret_key=sandbox.secret_key, base_url=sandbox.base_url
            )

    It can be stopped and started again, on the same port and with all it had stored, as a server does that
    was down for a while. All methods may be called from any thread.

    Args:
        port: Where to listen; 0 for any free port.
        host: On which address. Whoever can reach it can see everything.
        public_key: Public key of the integration it starts with; made up by default.
        secret_key: Its secret key; made up by default.
        integration_id: Its id.
        shop_name: Its name.
        auth: How its keys must be used, ``basic`` or ``oauth2``.
        log_file: Where to write a line of JSON for each request.
        max_requests: How many requests the log keeps at most; all by default.
        max_bodies: How many of the latest requests keep their bodies.
        webhook_retry_scale: What the delays between attempts of a webhook are multiplied with. Sendcloud's first
            one is 5 minutes, so 0.001 makes it 0.3 seconds.
        webhook_timeout: Seconds a shop has to answer a webhook.
        on_request: Called with each request of the API when it has been answered, in the thread that did so.

    Attributes:
        integration: The integration it starts with.
        latency: Seconds every answer takes longer.
        paused: Whether all requests wait for their answers.
        rate_limits: Whether an account is held to its 100 unsafe and 1,000 safe requests in any 60 seconds.
        retry_after: What a 429 says in its Retry-After header; ``None`` for none, as Sendcloud does.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        public_key: str | None = None,
        secret_key: str | None = None,
        integration_id: int = _FIRST_ID,
        shop_name: str = "Webshop",
        auth: str | AuthScheme = AuthScheme.BASIC,
        log_file: str | Path | None = None,
        max_requests: int | None = None,
        max_bodies: int = 1000,
        webhook_retry_scale: float = 1.0,
        webhook_timeout: float = 10.0,
        on_request: Callable[[LoggedRequest], None] | None = None,
    ) -> None:
        self.host = host
        self._port = port
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._log = RequestLog(max_requests, max_bodies, log_file, on_request)
        self._state = State(self._log)
        self._faults = Faults()
        self._webhooks = Webhooks(webhook_retry_scale, webhook_timeout, self._note_webhook)
        self._parcels = Parcels(self._state.lock, lambda: self._state.clock())
        self._desk = Desk(self._state, self._parcels, self._webhooks)
        self._api = Api(self._state, self._parcels, self._desk, self._log, self._faults, self._rest)
        self._panel = Panel(self, self._state, self._parcels)
        self._ids = itertools.count(integration_id)
        self.integration = self.add_integration(shop_name, auth=auth, public_key=public_key, secret_key=secret_key)

    # Life

    def start(self) -> Self:
        """Listen, in a thread of its own.

        Raises:
            OSError: the port is taken.
        """
        if self._server is None:
            self._server = Server(self.host, self._port, self._answer)
            self._port = self._server.port
            self._desk.base_url = self.base_url
            self._api.origin = self.origin
            self._thread = threading.Thread(
                target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="sandbox", daemon=True
            )
            self._thread.start()
            self._webhooks.start()
        return self

    def stop(self) -> None:
        """Listen no more. What is stored stays."""
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join()
            self._server = self._thread = None
        self._webhooks.stop()

    def close(self) -> None:
        """Stop, and close the log file."""
        self.stop()
        self._log.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sandbox {self.origin}>"

    @property
    def port(self) -> int:
        """The port it listens on, 0 before it was first started where any would do."""
        return self._port

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104  (read, not bound to)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self._port}"

    @property
    def base_url(self) -> str:
        """Root of the API: what a shop has in its settings."""
        return f"{self.origin}{ROOT}"

    @property
    def token_url(self) -> str:
        """Where OAuth2 tokens are given out."""
        return f"{self.origin}{TOKEN_PATH}"

    @property
    def service_point_script_url(self) -> str:
        """What stands in for the hosted script of the service point picker."""
        return f"{self.origin}{SCRIPT_PATH}"

    @property
    def closed_service_points(self) -> set[int]:
        """Ids of service points that are there no more, to be added to."""
        return self._api.closed_service_points

    @property
    def panel_url(self) -> str:
        """Where a person looks."""
        return f"{self.origin}/"

    @property
    def local(self) -> bool:
        """Whether it can be reached from this machine only."""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    def reset(self) -> None:
        """Forget shipments, parcels, webhooks and requests, switch all faults off, and accept all keys again.

        Integrations stay, with their keys and settings.
        """
        self._faults.clear()
        self.rate_limits = False
        self.retry_after = None
        self._api.limits.clear()
        self._api.closed_service_points.clear()
        self._webhooks.clear()
        self._parcels.clear()
        self._state.forget()
        self._log.clear()
        self.restore_credentials()

    # Integrations

    @property
    def integration_id(self) -> int:
        """Id of the integration it starts with."""
        return self.integration.id

    @property
    def public_key(self) -> str:
        """Public key of the integration it starts with."""
        return self.integration.public_key

    @property
    def secret_key(self) -> str:
        """Secret key of the integration it starts with."""
        return self.integration.secret_key

    @property
    def client_id(self) -> str:
        """OAuth2 client of the integration it starts with: the public key."""
        return self.integration.client_id

    @property
    def client_secret(self) -> str:
        """OAuth2 secret of the integration it starts with: the secret key."""
        return self.integration.client_secret

    @property
    def integrations(self) -> list[SandboxIntegration]:
        """All integrations of all accounts, oldest first."""
        with self._state.lock:
            return list(self._state.integrations.values())

    def get_integration(self, integration_id: int | None = None) -> SandboxIntegration:
        """Return an integration, by default the one it starts with.

        Raises:
            KeyError: there is none with this id (any more).
        """
        return self._state.integrations[self.integration_id if integration_id is None else integration_id]

    def add_integration(
        self,
        shop_name: str = "Another shop",
        *,
        auth: str | AuthScheme = AuthScheme.BASIC,
        account: str = "main",
        public_key: str | None = None,
        secret_key: str | None = None,
        integration_id: int | None = None,
        system: str = "api",
        **settings: Any,
    ) -> SandboxIntegration:
        """Connect another shop, as a person does in the panel.

        Args:
            shop_name: Its name.
            auth: How its keys must be used, ``basic`` or ``oauth2``.
            account: Whose it is. The keys of an integration reach all integrations of the account.
            public_key: Made up by default.
            secret_key: Made up by default.
            integration_id: The next free one by default.
            system: Which kind of integration.
            settings: ``shop_url``, ``webhook_url``, ``webhook_active``, ``service_point_enabled``,
                ``service_point_carriers``.
        """
        integration = SandboxIntegration(
            id=next(self._ids) if integration_id is None else integration_id,
            shop_name=shop_name,
            public_key=secrets.token_hex(16) if public_key is None else public_key,
            secret_key=secrets.token_hex(16) if secret_key is None else secret_key,
            account=account,
            auth=AuthScheme(auth),
            system=system,
        )
        self._state.add(integration)
        self._desk.change_integration(integration, settings)
        return integration

    def change_integration(self, integration_id: int | None = None, **settings: Any) -> None:
        """Change settings of an integration, as a person does in the panel; the shop is told."""
        self._desk.change_integration(self.get_integration(integration_id), settings)

    def delete_integration(self, integration_id: int | None = None) -> None:
        """Delete an integration with its shipments, as a person does in the panel; the shop is told."""
        self._desk.delete_integration(self.get_integration(integration_id))

    def revoke_credentials(self, integration_id: int | None = None) -> None:
        """Refuse the keys of an integration, by default of all."""
        for integration in self.integrations:
            if integration_id in (None, integration.id):
                integration.revoked = True

    def restore_credentials(self, integration_id: int | None = None) -> None:
        """Accept the keys of an integration again, by default of all."""
        for integration in self.integrations:
            if integration_id in (None, integration.id):
                integration.revoked = False

    def revoke_tokens(self) -> None:
        """Let no OAuth2 token be good any more; new ones are given out."""
        self._api.auth.revoke_tokens()

    @property
    def token_lifetime(self) -> int:
        """Seconds a new OAuth2 token is good for."""
        return self._api.auth.token_lifetime

    @token_lifetime.setter
    def token_lifetime(self, seconds: int) -> None:
        self._api.auth.token_lifetime = seconds

    @property
    def partner_ids(self) -> set[str] | None:
        """The values of ``Sendcloud-Partner-Id`` that are known; ``None`` for any UUID."""
        return self._api.partner_ids

    @partner_ids.setter
    def partner_ids(self, known: set[str] | None) -> None:
        self._api.partner_ids = known

    # What has arrived

    def shipments(self, integration_id: int | None = None) -> list[dict[str, Any]]:
        """Return the shipments of an integration, by default of all, oldest first, as the API shows them.

        ``_received_updated_at`` is the ``updated_at`` the shop sent, letter by letter.
        """
        return [_with_stamp(shipment) for shipment in self._state.shipments(integration_id)]

    def shipment(
        self,
        external_order_id: str,
        external_shipment_id: str | Literal["any"] | None = ANY,
        integration_id: int | None = None,
    ) -> dict[str, Any] | None:
        """Return one shipment as :meth:`shipments` does; ``None`` where there is none.

        Args:
            external_order_id: The shop's id of the order.
            external_shipment_id: The shop's id of the shipment, ``None`` for one that has none; any by default.
            integration_id: Where to look; everywhere by default.
        """
        shipment = self._state.find(
            integration_id, external_order_id=external_order_id, external_shipment_id=external_shipment_id
        )
        return _with_stamp(shipment) if shipment else None

    @property
    def requests(self) -> list[LoggedRequest]:
        """What was asked of the API, oldest first."""
        return self._log.all()

    def count(self, method: str = "", path: str = "") -> int:
        """Count requests by method and by how the path ends: ``count("POST", "/shipments")``."""
        return self._log.count(method, path)

    @property
    def webhook_retry_scale(self) -> float:
        """What the delays between attempts of a webhook are multiplied with."""
        return self._webhooks.retry_scale

    @webhook_retry_scale.setter
    def webhook_retry_scale(self, scale: float) -> None:
        self._webhooks.retry_scale = scale

    @property
    def connection_log(self) -> list[dict[str, Any]]:
        """The log of failed connections that merchants see, oldest first: webhooks given up, and what shops report."""
        with self._state.lock:
            return [dict(entry) for entry in self._state.connection_log]

    @property
    def clock(self) -> Callable[[], dt.datetime]:
        """What tells the sandbox the time, in UTC. Replace it to see what a year does."""
        return self._state.clock

    @clock.setter
    def clock(self, clock: Callable[[], dt.datetime]) -> None:
        self._state.clock = clock

    @property
    def page_size(self) -> int:
        """How many elements a page has."""
        return self._api.page_size

    @page_size.setter
    def page_size(self, size: int) -> None:
        self._api.page_size = size

    @property
    def omit_empty_links(self) -> bool:
        """Whether ``next`` and ``previous`` are left out where there is no page; they are null by default."""
        return self._api.omit_empty_links

    @omit_empty_links.setter
    def omit_empty_links(self, omit: bool) -> None:
        self._api.omit_empty_links = omit

    @property
    def external_ids_null(self) -> bool:
        """Whether results of shipments without an id say null; ``""`` by default."""
        return self._api.external_ids_null

    @external_ids_null.setter
    def external_ids_null(self, null: bool) -> None:
        self._api.external_ids_null = null

    # Faults

    @property
    def latency(self) -> float:
        """Seconds every answer takes longer."""
        return self._faults.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._faults.latency = seconds

    @property
    def paused(self) -> bool:
        """Whether all requests wait for their answers."""
        return not self._faults.answering.is_set()

    @paused.setter
    def paused(self, paused: bool) -> None:
        if paused:
            self._faults.answering.clear()
        else:
            self._faults.answering.set()

    @property
    def rate_limits(self) -> bool:
        """Whether an account is held to its 100 unsafe and 1,000 safe requests in any 60 seconds."""
        return self._api.limits.enabled

    @rate_limits.setter
    def rate_limits(self, enabled: bool) -> None:
        self._api.limits.enabled = enabled

    def set_rate_limits(self, unsafe: int = 100, safe: int = 1000, window: float = 60.0) -> None:
        """Change what an account is held to, in requests and seconds, and switch it on."""
        limits = self._api.limits
        limits.unsafe, limits.safe, limits.window, limits.enabled = unsafe, safe, window, True

    @property
    def retry_after(self) -> float | str | None:
        """What a 429 says in its Retry-After header; ``None`` for none, as Sendcloud does."""
        return self._api.limits.retry_after

    @retry_after.setter
    def retry_after(self, value: float | str | None) -> None:
        self._api.limits.retry_after = value

    def fail_next(
        self,
        status: int = 500,
        times: int = 1,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        match: str | None = None,
        apply: bool = False,
    ) -> None:
        """Answer the next requests with an error.

        Args:
            status: HTTP status.
            times: How many requests.
            body: Taken for HTML where it begins with ``<``.
            headers: Of the answer.
            match: Which requests: a method, the end of a path, or both (``POST shipments``), or an operation of
                the request log (``upsert shipments``); every one by default.
            apply: Whether the request is applied all the same.
        """
        when: Apply = "before" if apply else "never"
        self._faults.add(Fault("answer", times, match, when, status=status, body=body, headers=headers or {}))

    def drop_answer(self, times: int = 1, after_apply: bool = True, match: str | None = None) -> None:
        """Close the connection instead of answering the next requests."""
        self._faults.add(Fault("drop", times, match, "before" if after_apply else "never"))

    def hang_next(self, seconds: float, times: int = 1, apply: Apply = "before", match: str | None = None) -> None:
        """Let the next requests wait for their answers.

        Args:
            seconds: How long.
            times: How many requests.
            apply: When they are applied: ``before`` the wait, ``after`` it (late, when the client may long be
                gone), or ``never``: then the connection is closed in the end.
            match: Which requests, as for :meth:`fail_next`.
        """
        self._faults.add(Fault("hang", times, match, apply, seconds=seconds))

    def truncate_next(self, times: int = 1, match: str | None = None) -> None:
        """Apply the next requests, and break off in the middle of the answer."""
        self._faults.add(Fault("truncate", times, match, "before"))

    def html_next(self, times: int = 1, status: int = 200, apply: bool = True, match: str | None = None) -> None:
        """Answer the next requests with a page of HTML."""
        body = b"<!doctype html><title>Sendcloud</title><h1>We will be right back</h1>"
        self.fail_next(status, times, body, match=match, apply=apply)

    def garble_results(self, how: Garble | None) -> None:
        """Let the results of all upserts come back in another ``order``, with one ``missing``, with a
        ``duplicate``, or with an ``unknown`` one instead of a true one; ``None`` ends it."""
        self._faults.garble = how

    def reject_order(self, external_order_id: str, errors: dict[str, Any] | None) -> None:
        """Refuse an order alone, with these errors, from now on; ``None`` ends it."""
        self._faults.reject(external_order_id, errors)

    def poison_batch(self, external_order_id: str, status: int | None = 400) -> None:
        """Refuse every batch that contains an order from now on; ``None`` ends it."""
        self._faults.poison(external_order_id, status)

    @property
    def faults(self) -> list[Fault]:
        """The faults that still wait for a request."""
        return self._faults.waiting()

    def clear_faults(self) -> None:
        """Switch all faults off, delays and rejections included. Rate limits stay as they are."""
        self._faults.clear()

    # What a person does in the panel

    def create_label(self, shipment: str, parcels: int = 1) -> list[dict[str, Any]]:
        """Make labels for a shipment, named by its uuid or by the order's external id; the shop is told.

        Returns:
            The parcels, as the API shows them.

        Raises:
            KeyError: there is no such shipment.
            ValueError: less than one parcel.
        """
        stored = self._state.find(shipment_uuid=shipment) or self._state.find(external_order_id=shipment)
        if stored is None:
            raise KeyError(shipment)
        return [self._show(parcel) for parcel in self._desk.create_label(stored, parcels)]

    def set_parcel_status(self, parcel_id: int, status_id: int) -> dict[str, Any]:
        """Let a parcel have a status, known or not; the shop is told. Returns the parcel."""
        parcel = self._parcel(parcel_id)
        self._desk.set_status(parcel, status_id)
        return self._show(parcel)

    def advance(self, parcel_id: int) -> dict[str, Any]:
        """Let a parcel take the next step of its journey, if there is one; the shop is told. Returns the parcel."""
        parcel = self._parcel(parcel_id)
        self._desk.advance(parcel)
        return self._show(parcel)

    def cancel_parcel(self, parcel_id: int) -> tuple[int, str]:
        """Cancel a parcel; the shop is told. Returns the status the API would have answered, and why."""
        status, _, message = self._desk.cancel(self._parcel(parcel_id))
        return status, message

    def create_return(self, parcel_id: int) -> dict[str, Any]:
        """Make a return label for a parcel; the shop is told. Returns the parcel that comes back."""
        return self._show(self._desk.create_return(self._parcel(parcel_id)))

    def parcel(self, parcel_id: int) -> dict[str, Any]:
        """Return a parcel as the API shows it.

        Raises:
            KeyError: there is none with this id.
        """
        return self._show(self._parcel(parcel_id))

    def parcels(self, shipment_uuid: str | None = None) -> list[dict[str, Any]]:
        """Return the parcels of a shipment, or all, oldest first."""
        found = self._parcels.all() if shipment_uuid is None else self._parcels.of(shipment_uuid)
        return [self._show(parcel) for parcel in found]

    def send_test_webhook(self, integration_id: int | None = None) -> DeliveredWebhook | None:
        """Press "Test API Webhook"; ``None`` where the integration has no webhook switched on."""
        return self._desk.send_test_webhook(self.get_integration(integration_id))

    def send_credentials(self, integration_id: int | None = None) -> DeliveredWebhook | None:
        """Send an integration's keys to the shop, as the connect flow of registered platforms does."""
        return self._desk.send_credentials(self.get_integration(integration_id))

    def send_webhook(
        self, integration_id: int | None, action: str, payload: Mapping[str, Any] | None = None
    ) -> DeliveredWebhook | None:
        """Send a webhook of your own, signed as any; ``timestamp`` is added where the payload has none."""
        return self._desk.send(self.get_integration(integration_id), action, payload)

    @property
    def webhooks(self) -> list[DeliveredWebhook]:
        """All webhooks, oldest first, delivered or not."""
        return self._webhooks.all()

    def wait_webhooks(self, timeout: float = 10.0) -> bool:
        """Wait until no webhook is pending; whether that came true in time."""
        return self._webhooks.wait(timeout)

    def send_webhook_again(self, number: int) -> None:
        """Send a webhook once more.

        Raises:
            KeyError: there is none with this number.
        """
        webhook = next((webhook for webhook in self.webhooks if webhook.number == number), None)
        if webhook is None:
            raise KeyError(number)
        self._webhooks.send_again(webhook)

    def delete_shipment(self, shipment_uuid: str) -> None:
        """Delete a shipment, as a person does in the panel. The shop is not told: Sendcloud has no webhook for it.

        Raises:
            KeyError: there is no such shipment.
        """
        with self._state.lock:
            stored = self._state.find(shipment_uuid=shipment_uuid)
            if stored is None:
                raise KeyError(shipment_uuid)
            self._state.delete(stored)

    # The inside

    def _answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        if path.startswith(("/api/", "/oauth2/")):
            return self._api.answer(method, path, query, headers, body)
        if method == "GET" and (answer := picker(path, query, self.integrations)):
            return answer
        return self._panel.answer(method, path, query, headers, body)

    def _rest(self, seconds: float) -> None:
        server = self._server
        if server is not None and server.stopping.wait(seconds):
            raise ConnectionAbortedError("the sandbox stops")

    def _parcel(self, parcel_id: int) -> Parcel:
        parcel = self._parcels.get(parcel_id)
        if parcel is None:
            raise KeyError(parcel_id)
        return parcel

    def _show(self, parcel: Parcel) -> dict[str, Any]:
        return parcel.as_json(self.base_url)

    def _note_webhook(self, webhook: DeliveredWebhook, attempt: Attempt) -> None:
        with self._state.lock:
            integration = self._state.integrations.get(webhook.integration_id)
            if integration is None:
                return
            if attempt.fine != (integration.failing_since is None):
                integration.failing_since = None if attempt.fine else self._state.clock()
            if webhook.state == "failed":
                # "If after 10 tries, the call is still failing, Sendcloud will stop trying, and report the issue to
                # your Failed Request logs" (https://sendcloud.dev/api/v2/webhooks).
                self._state.note(integration.id, _log_entry(webhook, attempt))


def _with_stamp(shipment: StoredShipment) -> dict[str, Any]:
    return {**shipment.as_json(), "_received_updated_at": shipment.fields["updated_at"]}


def _log_entry(webhook: DeliveredWebhook, attempt: Attempt) -> dict[str, Any]:
    """A webhook that was given up, for the connection log (contract: ``IntegrationLog``)."""
    target = urlsplit(webhook.url)
    # Without the password that may stand in it.
    place = target._replace(netloc=target.netloc.rpartition("@")[2])
    entry: dict[str, Any] = {
        "base_url": f"{place.scheme}://{place.netloc}",
        "full_url": place.geturl(),
        "method": "POST",
        "request": {"headers": dict(webhook.headers), "payload": webhook.payload},
    }
    if attempt.status is not None:
        return entry | {
            "response_code": attempt.status,
            "response": {"headers": dict(attempt.headers), "body": attempt.body},
            "exception": f"The webhook was answered with HTTP {attempt.status}.",
        }
    return entry | {"exception_type": attempt.exception_type, "exception": attempt.exception}
