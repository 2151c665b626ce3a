"""Read, change and delete integrations. There is no operation that creates one."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final

from ...exceptions import InvalidResponse, PayloadError
from ...payloads.base import Payload, partial_json
from ...payloads.rules import Flag, Text, Texts, WebAddress
from ..requestor import NO_BODY, Call, Requestor
from ..results import Integration, IntegrationSettings
from . import paths

__all__ = ["IntegrationUpdate", "Integrations"]

_NO_CARRIER: Final = (
    "Service points need at least one carrier; pass service_point_carriers=['postnl'] or so along with "
    "service_point_enabled=True."
)


class _Unchanged(Enum):
    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = _Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationUpdate(Payload):
    """All settings of an integration (contract: ``IntegrationUpdate``, of which PUT wants every field).

    ``shop_name`` is marked read-only in the contract, whose text and examples change it: it is sent.

    Args:
        shop_name: The shop's name in Sendcloud's panel, 1 to 250 characters.
        shop_url: The shop's address.
        service_point_enabled: Whether buyers may choose service points.
        service_point_carriers: Of which carriers; at least one where service points are enabled.
        webhook_active: Whether webhooks are sent.
        webhook_url: Where they are sent.

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
        if self.service_point_enabled and not self.service_point_carriers:
            raise PayloadError({"service_point_carriers": [_NO_CARRIER]}, self._subject())

    def _subject(self) -> str:
        return "integration settings"


class Integrations:
    """The operations below ``/integrations``. Reached as ``client.integrations``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(self, ordering: str | None = None) -> builtins.list[Integration]:
        """List all integrations of the account (operation: GET /integrations).

        Args:
            ordering: The field to sort by, with ``-`` in front for descending.

        Raises:
            APIError: it did not end well.
        """
        query = [("ordering", ordering)] if ordering else []
        call = Call(operation="list integrations", method="GET", path=paths.INTEGRATIONS, query=query)
        return self._requestor.read(call, _integrations)

    def get(self, integration_id: int) -> Integration:
        """Read one integration (operation: GET /integrations/{id}).

        Raises:
            NotFound: there is none with this id in the account.
            APIError: it did not end well.
        """
        return self._requestor.read(self._call("get integration", "GET", integration_id), Integration.from_api)

    def update(
        self,
        integration_id: int,
        *,
        shop_name: str | _Unchanged = UNCHANGED,
        shop_url: str | _Unchanged = UNCHANGED,
        service_point_enabled: bool | _Unchanged = UNCHANGED,
        service_point_carriers: Sequence[str] | _Unchanged = UNCHANGED,
        webhook_active: bool | _Unchanged = UNCHANGED,
        webhook_url: str | _Unchanged = UNCHANGED,
    ) -> IntegrationSettings:
        """Change some settings (operation: PATCH /integrations/{id}). What is not passed stays as it is.

        Args:
            integration_id: Sendcloud's id.
            shop_name: The shop's name in Sendcloud's panel, 1 to 250 characters.
            shop_url: The shop's address.
            service_point_enabled: Whether buyers may choose service points; ``True`` needs the carriers too.
            service_point_carriers: Of which carriers.
            webhook_active: Whether webhooks are sent.
            webhook_url: Where they are sent.

        Returns:
            The settings as they are now.

        Raises:
            PayloadError: a setting breaks the contract, or there is nothing to change. Nothing was sent.
            NotFound: there is none with this id in the account.
            RequestRejected: Sendcloud refuses a setting; ``errors`` names it.
            APIError: it did not end well.
        """
        given: Mapping[str, object] = {
            "shop_name": shop_name,
            "shop_url": shop_url,
            "service_point_enabled": service_point_enabled,
            "service_point_carriers": service_point_carriers,
            "webhook_active": webhook_active,
            "webhook_url": webhook_url,
        }
        body = partial_json(IntegrationUpdate, {name: value for name, value in given.items() if value is not UNCHANGED})
        if not body:
            raise PayloadError({"": ["Nothing to change; pass at least one setting."]}, "integration settings")
        if body.get("service_point_enabled") and not body.get("service_point_carriers"):
            raise PayloadError({"service_point_carriers": [_NO_CARRIER]}, "integration settings")
        call = self._call("update integration", "PATCH", integration_id, body)
        return self._requestor.read(call, IntegrationSettings.from_api)

    def replace(self, integration_id: int, settings: IntegrationUpdate) -> IntegrationSettings:
        """Set all settings at once (operation: PUT /integrations/{id}).

        Returns:
            The settings as they are now.

        Raises:
            NotFound: there is none with this id in the account.
            RequestRejected: Sendcloud refuses a setting; ``errors`` names it.
            APIError: it did not end well.
        """
        call = self._call("replace integration", "PUT", integration_id, settings.to_json())
        return self._requestor.read(call, IntegrationSettings.from_api)

    def delete(self, integration_id: int) -> None:
        """Delete an integration, for good (operation: DELETE /integrations/{id}).

        Raises:
            NotFound: there is none with this id in the account.
            APIError: it did not end well.
        """
        self._requestor.send(self._call("delete integration", "DELETE", integration_id))

    def _call(self, operation: str, method: str, integration_id: int, body: object = NO_BODY) -> Call:
        path = paths.integration(integration_id)
        return Call(operation=operation, method=method, path=path, integration_id=integration_id, body=body)


def _integrations(content: object) -> list[Integration]:
    if not isinstance(content, list):
        raise InvalidResponse("an answer that is not a list of integrations")
    return [Integration.from_api(raw) for raw in content]
