"""Everything that a test, the command line or the panel does with a sandbox, short of starting it."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..enums import AuthScheme
from .address import Address
from .behaviour import Behaviour
from .failed_webhooks import note_attempt
from .fault_control import FaultControl
from .faults import Faults
from .feedback import Feedback
from .gateway import Gateway
from .merchant import Merchant
from .parcels import Parcel, Parcels
from .parcels.views import parcel_json
from .requestlog import LoggedRequest, RequestLog
from .services import Services
from .store import ANY, SandboxIntegration, Store, StoredOrder
from .store.order import AnyShipment
from .v2.views import shipment_json
from .v3.views import order_json
from .webhooks import DeliveredWebhook, Webhooks

__all__ = ["Control"]


class Control(Address, Behaviour, FaultControl):
    """The contents of a sandbox, and the switches of it. Any thread may call any method.

    Attributes:
        integration: The integration it starts with.
    """

    def __init__(
        self,
        host: str,
        port: int,
        advertised: str | None,
        *,
        public_key: str | None,
        secret_key: str | None,
        integration_id: int,
        shop_name: str,
        auth: str | AuthScheme,
        log_file: str | Path | None,
        max_requests: int | None,
        max_bodies: int,
        webhook_retry_scale: float,
        webhook_timeout: float,
        on_request: Callable[[LoggedRequest], None] | None,
        pause: Callable[[float], None],
    ) -> None:
        Address.__init__(self, host, port, advertised)
        Behaviour.__init__(self)
        self._log = RequestLog(max_requests, max_bodies, log_file, on_request)
        self._store = Store()
        self._webhooks = Webhooks(
            webhook_retry_scale, webhook_timeout, lambda webhook, attempt: note_attempt(self._store, webhook, attempt)
        )
        self._parcels = Parcels(self._store.lock, lambda: self._store.clock())
        self._merchant = Merchant(self._store, self._parcels, Feedback(self._store, self._webhooks), self)
        faults = Faults()
        self._services = Services(self._store, self._parcels, self._merchant, self._log, faults, self)
        self._gateway = Gateway(self._services, pause)
        FaultControl.__init__(self, faults, self._gateway.limits)
        self._ids = itertools.count(integration_id)
        self.integration = self.add_integration(shop_name, auth=auth, public_key=public_key, secret_key=secret_key)

    def reset(self) -> None:
        """Delete orders, parcels, webhooks and requests, end all faults, and accept all keys again.

        Integrations stay, with their keys and settings.
        """
        self._faults.clear()
        self.rate_limits = False
        self.retry_after = None
        self._limits.clear()
        self.closed_service_points.clear()
        self.unknown_service_points.clear()
        self._webhooks.clear()
        self._parcels.clear()
        self._store.forget()
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
        with self._store.lock:
            return list(self._store.integrations.values())

    def get_integration(self, integration_id: int | None = None) -> SandboxIntegration:
        """Return an integration, by default the one it starts with.

        Raises:
            KeyError: No integration has this id.
        """
        return self._store.integrations[self.integration_id if integration_id is None else integration_id]

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
        """Connect another shop, as a merchant does in the panel.

        Args:
            shop_name: Its name.
            auth: Scheme that its keys must use, ``basic`` or ``oauth2``.
            account: Its owner. The keys of an integration reach all integrations of the account.
            public_key: Random by default.
            secret_key: Random by default.
            integration_id: The next free one by default.
            system: Kind of integration.
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
        self._store.add(integration)
        self._merchant.change_integration(integration, settings)
        return integration

    def change_integration(self, integration_id: int | None = None, **settings: Any) -> None:
        """Change settings of an integration, as a merchant does in the panel; the shop gets the webhook."""
        self._merchant.change_integration(self.get_integration(integration_id), settings)

    def delete_integration(self, integration_id: int | None = None) -> None:
        """Delete an integration with its orders, as a merchant does in the panel; the shop gets the webhook."""
        self._merchant.delete_integration(self.get_integration(integration_id))

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
        """Revoke all OAuth2 tokens; clients can get new ones."""
        self._gateway.auth.revoke_tokens()

    @property
    def token_lifetime(self) -> int:
        """Life of a new OAuth2 token in seconds."""
        return self._gateway.auth.token_lifetime

    @token_lifetime.setter
    def token_lifetime(self, seconds: int) -> None:
        self._gateway.auth.token_lifetime = seconds

    # Orders

    def shipments(self, integration_id: int | None = None) -> list[dict[str, Any]]:
        """Return the orders of an integration, by default of all, oldest first, as v2 shows them.

        ``_received_updated_at`` is the ``updated_at`` of the shop, letter by letter.
        """
        with self._store.lock:
            return [_with_stamp(order) for order in self._store.orders(integration_id)]

    def shipment(
        self,
        external_order_id: str,
        external_shipment_id: str | AnyShipment | None = ANY,
        integration_id: int | None = None,
    ) -> dict[str, Any] | None:
        """Return one order as :meth:`shipments` does; ``None`` if it does not exist.

        Args:
            external_order_id: The shop's id of the order.
            external_shipment_id: The shop's id of the shipment, ``None`` for one without; any by default.
            integration_id: Integration to search; all by default.
        """
        with self._store.lock:
            order = self._store.find(integration_id, order_id=external_order_id, shipment_id=external_shipment_id)
            return _with_stamp(order) if order else None

    def orders(self, integration_id: int | None = None) -> list[dict[str, Any]]:
        """Return the orders of an integration, by default of all, oldest first, as v3 shows them.

        ``_came_by`` is the API generation that created the order.
        """
        with self._store.lock:
            return [
                {**order_json(order, self), "_came_by": order.came_by} for order in self._store.orders(integration_id)
            ]

    def order(self, order_id: str, integration_id: int | None = None) -> dict[str, Any] | None:
        """Return the oldest order with the shop's id as :meth:`orders` does; ``None`` if it does not exist."""
        return next((order for order in self.orders(integration_id) if order["order_id"] == order_id), None)

    def save_orders(self) -> None:
        """Save all accepted v3 orders now, whatever ``save_delay`` says."""
        self._store.save_due(everything=True)

    @property
    def unsaved(self) -> list[str]:
        """The shop's ids of the v3 orders that are accepted and not saved yet."""
        with self._store.lock:
            self._store.save_due()
            return [accepted.order_id for accepted in self._store.unsaved.all()]

    def split_order(self, name: str, parts: int = 2) -> list[str]:
        """Split an order, given by its uuid or the shop's id, as a merchant does in the panel.

        Returns:
            The uuids of the parts, which share the shop's ids and number.

        Raises:
            KeyError: The order does not exist.
            ValueError: It has fewer items than parts.
        """
        return [part.uuid for part in self._store.split(self._order(name), parts)]

    def delete_shipment(self, shipment_uuid: str) -> None:
        """Delete an order, as a merchant does in the panel. Sendcloud has no webhook for it.

        Raises:
            KeyError: The order does not exist.
        """
        with self._store.lock:
            self._store.delete(self._order(shipment_uuid))

    def _order(self, name: str) -> StoredOrder:
        """Return an order by its uuid or by the shop's id.

        Raises:
            KeyError: The order does not exist.
        """
        order = self._store.find(uuid=name) or self._store.find(order_id=name)
        if order is None:
            raise KeyError(name)
        return order

    # Parcels

    def create_label(self, shipment: str, parcels: int = 1) -> list[dict[str, Any]]:
        """Make labels for an order, given by its uuid or the shop's id; the shop gets the webhooks.

        Returns:
            The parcels, as v2 shows them.

        Raises:
            KeyError: The order does not exist.
            ValueError: ``parcels`` is less than one, or the order has no address.
        """
        return [self._show(parcel) for parcel in self._merchant.create_label(self._order(shipment), parcels)]

    def set_parcel_status(self, parcel_id: int, status_id: int) -> dict[str, Any]:
        """Set the status of a parcel, known or unknown; the shop gets the webhook. Return the parcel."""
        parcel = self._parcel(parcel_id)
        self._merchant.set_status(parcel, status_id)
        return self._show(parcel)

    def advance(self, parcel_id: int) -> dict[str, Any]:
        """Move a parcel one step along its journey; the shop gets the webhook. Return the parcel."""
        parcel = self._parcel(parcel_id)
        self._merchant.advance(parcel)
        return self._show(parcel)

    def cancel_parcel(self, parcel_id: int) -> tuple[int, str]:
        """Cancel a parcel; the shop gets the webhook. Return the status and message that v2 would answer."""
        status, _, message = self._merchant.cancel(self._parcel(parcel_id))
        return status, message

    def create_return(self, parcel_id: int) -> dict[str, Any]:
        """Make a return label for a parcel; the shop gets the webhooks. Return the parcel that comes back."""
        return self._show(self._merchant.create_return(self._parcel(parcel_id)))

    def parcel(self, parcel_id: int) -> dict[str, Any]:
        """Return a parcel as v2 shows it.

        Raises:
            KeyError: The parcel does not exist.
        """
        return self._show(self._parcel(parcel_id))

    def parcels(self, shipment_uuid: str | None = None) -> list[dict[str, Any]]:
        """Return the parcels of an order, or all, oldest first."""
        found = self._parcels.all() if shipment_uuid is None else self._parcels.of(shipment_uuid)
        return [self._show(parcel) for parcel in found]

    def _parcel(self, parcel_id: int) -> Parcel:
        parcel = self._parcels.get(parcel_id)
        if parcel is None:
            raise KeyError(parcel_id)
        return parcel

    def _show(self, parcel: Parcel) -> dict[str, Any]:
        return parcel_json(parcel, self._merchant.feedback.base_url)

    # Webhooks

    @property
    def webhooks(self) -> list[DeliveredWebhook]:
        """All webhooks, oldest first, delivered or not."""
        return self._webhooks.all()

    @property
    def webhook_retry_scale(self) -> float:
        """Factor for the delays between attempts of a webhook."""
        return self._webhooks.retry_scale

    @webhook_retry_scale.setter
    def webhook_retry_scale(self, scale: float) -> None:
        self._webhooks.retry_scale = scale

    def wait_webhooks(self, timeout: float = 10.0) -> bool:
        """Wait until no webhook is pending, and return whether that happened in time (seconds)."""
        return self._webhooks.wait(timeout)

    def send_test_webhook(self, integration_id: int | None = None) -> DeliveredWebhook | None:
        """Press "Test API Webhook"; ``None`` if the integration has no webhook switched on.

        No publication shows the body that Sendcloud sends then.
        """
        integration = self.get_integration(integration_id)
        return self._merchant.feedback.integration_changed(integration, "test_webhook")

    def send_credentials(self, integration_id: int | None = None) -> DeliveredWebhook | None:
        """Send an integration's keys to the shop, as the connect flow of registered platforms does."""
        return self._merchant.feedback.credentials(self.get_integration(integration_id))

    def send_webhook(
        self, integration_id: int | None, action: str, payload: Mapping[str, Any] | None = None
    ) -> DeliveredWebhook | None:
        """Send a webhook with any payload, signed as usual; ``timestamp`` is added unless the payload has one."""
        return self._merchant.feedback.send(self.get_integration(integration_id), action, payload or {})

    def send_webhook_again(self, number: int) -> None:
        """Send a webhook again.

        Raises:
            KeyError: No webhook has this number.
        """
        webhook = next((webhook for webhook in self.webhooks if webhook.number == number), None)
        if webhook is None:
            raise KeyError(number)
        self._webhooks.send_again(webhook)

    # Logs and the clock

    @property
    def requests(self) -> list[LoggedRequest]:
        """All API requests, oldest first."""
        return self._log.all()

    def count(self, method: str = "", path: str = "") -> int:
        """Return the number of requests by method and end of the path: ``count("POST", "/shipments")``."""
        return self._log.count(method, path)

    @property
    def connection_log(self) -> list[dict[str, Any]]:
        """The merchant's log of failed connections, oldest first: failed webhooks, and reports of shops."""
        with self._store.lock:
            return [dict(entry) for entry in self._store.connection_log]

    @property
    def clock(self) -> Callable[[], datetime]:
        """Function that returns the sandbox's time, in UTC. Replace it to let time pass."""
        return self._store.clock

    @clock.setter
    def clock(self, clock: Callable[[], datetime]) -> None:
        self._store.clock = clock


def _with_stamp(order: StoredOrder) -> dict[str, Any]:
    return {**shipment_json(order), "_received_updated_at": order.shipment["updated_at"]}
