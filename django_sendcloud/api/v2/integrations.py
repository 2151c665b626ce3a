"""Read, change and delete integrations. There is no operation that creates one."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from ...exceptions import InvalidResponse
from ...payloads.base import Payload
from ...payloads.rules import Flag, Text, Texts, WebAddress
from ..patch import UNCHANGED, Patch, Unchanged, check_service_points
from ..requestor import NO_BODY, Request, Requestor
from ..results import echo_of
from . import paths
from .logs import Logs
from .results import Integration, IntegrationSettings

__all__ = ["IntegrationPatch", "IntegrationUpdate", "Integrations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationUpdate(Payload):
    """All settings of an integration (contract: ``IntegrationUpdate``, of which PUT wants every field).

    ``shop_name`` is marked read-only in the contract, whose text and examples change it: it is sent.

    Args:
        shop_name: The shop's name in Sendcloud's panel, 1 to 250 characters.
        shop_url: The shop's address.
        service_point_enabled: Let buyers choose service points.
        service_point_carriers: Carriers they may choose from; at least one if service points are enabled.
        webhook_active: Send webhooks.
        webhook_url: Address to send them to.

    Raises:
        PayloadError: a setting breaks the contract. All of them are named.
    """

    shop_name: Annotated[str, Text(1, 250)]
    shop_url: Annotated[str, WebAddress()]
    service_point_enabled: Annotated[bool, Flag()]
    service_point_carriers: Annotated[Sequence[str], Texts()]
    webhook_active: Annotated[bool, Flag()]
    webhook_url: Annotated[str, WebAddress()]

    def __post_init__(self) -> None:
        Payload.__post_init__(self)
        check_service_points(self.to_json())

    @property
    def subject(self) -> str:
        return "integration settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationPatch(Patch):
    """Some settings of an integration (contract: ``IntegrationUpdate``). What is not given stays as it is.

    Args:
        shop_name: The shop's name in Sendcloud's panel, 1 to 250 characters.
        shop_url: The shop's address.
        service_point_enabled: Let buyers choose service points; ``True`` needs the carriers too.
        service_point_carriers: Carriers they may choose from.
        webhook_active: Send webhooks.
        webhook_url: Address to send them to.

    Raises:
        PayloadError: a setting breaks the contract, or there is nothing to change.
    """

    payload: ClassVar[type[Payload]] = IntegrationUpdate

    shop_name: str | Unchanged = UNCHANGED
    shop_url: str | Unchanged = UNCHANGED
    service_point_enabled: bool | Unchanged = UNCHANGED
    service_point_carriers: Sequence[str] | Unchanged = UNCHANGED
    webhook_active: bool | Unchanged = UNCHANGED
    webhook_url: str | Unchanged = UNCHANGED


class Integrations:
    """The operations below ``/integrations``. Reached as ``client.v2.integrations``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    @property
    def logs(self) -> Logs:
        """The log of failed connections that a merchant sees in Sendcloud's panel."""
        return Logs(self._requestor)

    def list(self, ordering: str | None = None) -> builtins.list[Integration]:
        """List all integrations of the account (operation: GET /integrations).

        Args:
            ordering: The field to sort by, with ``-`` in front for descending.

        Raises:
            APIError: it did not end well.
        """
        query = [("ordering", ordering)] if ordering else []
        request = Request(
            operation="list integrations", method="GET", path=paths.INTEGRATIONS, success=[200], query=query
        )
        return self._requestor.read(request, _integrations)

    def get(self, integration_id: int) -> Integration:
        """Read one integration (operation: GET /integrations/{id}).

        Raises:
            NotFound: there is none with this id in the account.
            APIError: it did not end well.
        """
        return self._requestor.read(self._request("get", "GET", integration_id, 200), Integration.from_api)

    def update(self, integration_id: int, settings: IntegrationUpdate) -> IntegrationSettings:
        """Set all settings (operation: PUT /integrations/{id}).

        Returns:
            The settings as they are now.

        Raises:
            NotFound: there is none with this id in the account.
            RequestRejected: Sendcloud rejects a setting; ``errors`` names it.
            APIError: it did not end well.
        """
        return self._change("update", "PUT", integration_id, settings.to_json())

    def patch(self, integration_id: int, settings: IntegrationPatch) -> IntegrationSettings:
        """Set some settings (operation: PATCH /integrations/{id}).

        Returns:
            The settings as they are now.

        Raises:
            NotFound: there is none with this id in the account.
            RequestRejected: Sendcloud rejects a setting; ``errors`` names it.
            APIError: it did not end well.
        """
        return self._change("patch", "PATCH", integration_id, settings.to_json())

    def delete(self, integration_id: int) -> None:
        """Delete an integration, for good (operation: DELETE /integrations/{id}).

        Raises:
            NotFound: there is none with this id in the account.
            APIError: it did not end well.
        """
        self._requestor.send(self._request("delete", "DELETE", integration_id, 204))

    def _change(self, verb: str, method: str, integration_id: int, body: dict[str, Any]) -> IntegrationSettings:
        request = self._request(verb, method, integration_id, 200, body)
        return self._requestor.read(request, echo_of(IntegrationSettings, body))

    def _request(self, verb: str, method: str, integration_id: int, success: int, body: object = NO_BODY) -> Request:
        return Request(
            operation=f"{verb} integration",
            method=method,
            path=paths.integration(integration_id),
            success=[success],
            integration_id=integration_id,
            body=body,
        )


def _integrations(content: object) -> list[Integration]:
    if not isinstance(content, list):
        raise InvalidResponse("an answer that is not a list of integrations")
    return [Integration.from_api(raw) for raw in content]
