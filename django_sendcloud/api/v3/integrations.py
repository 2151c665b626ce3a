"""Read, change and delete integrations. Merchants make them in Sendcloud's panel: no operation creates one."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

from ...enums import FeedbackType
from ...exceptions import InvalidResponse
from ...payloads.base import Payload
from ...payloads.rules import NULL, Choice, Flag, Text, Texts, WebAddress
from ..patch import UNCHANGED, Patch, Unchanged
from ..requestor import NO_BODY, Request, Requestor
from . import paths
from .logs import Logs
from .orders import data_of
from .results import Integration

__all__ = ["SORT_FIELDS", "IntegrationPatch", "Integrations"]

#: Fields a list can be sorted by (documentation: GET /integrations).
SORT_FIELDS: Final = ("integration_type", "created_at", "updated_at", "last_fetch", "failing_since")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings(Payload):
    """The rules of an integration's settings (contract: ``integration-model``)."""

    shop_name: Annotated[str, Text(1, 250)]
    shop_url: Annotated[str, WebAddress()]
    service_point_enabled: Annotated[bool, Flag()]
    service_point_carriers: Annotated[Sequence[str], Texts()]
    webhook_active: Annotated[bool, Flag()]
    webhook_url: Annotated[str | None, WebAddress(none=NULL)]
    feedback_type: Annotated[str, Choice("feedback type", FeedbackType)]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationPatch(Patch):
    """Some settings of an integration (contract: ``integration-model``). What is not given stays as it is.

    Args:
        shop_name: The shop's name in Sendcloud's panel, 1 to 250 characters.
        shop_url: The shop's address.
        service_point_enabled: Let buyers choose service points; ``True`` needs the carriers too.
        service_point_carriers: Carriers they may choose from.
        webhook_active: Send webhooks.
        webhook_url: Address to send them to; ``None`` for none.
        feedback_type: Moment Sendcloud reports an order as shipped.

    Raises:
        PayloadError: a setting breaks the contract, or there is nothing to change.
    """

    payload: ClassVar[type[Payload]] = _Settings

    shop_name: str | Unchanged = UNCHANGED
    shop_url: str | Unchanged = UNCHANGED
    service_point_enabled: bool | Unchanged = UNCHANGED
    service_point_carriers: Sequence[str] | Unchanged = UNCHANGED
    webhook_active: bool | Unchanged = UNCHANGED
    webhook_url: str | Unchanged | None = UNCHANGED
    feedback_type: FeedbackType | str | Unchanged = UNCHANGED


class Integrations:
    """The operations below ``/integrations``. Reached as ``client.v3.integrations``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    @property
    def logs(self) -> Logs:
        """The log of failed connections that a merchant sees in Sendcloud's panel."""
        return Logs(self._requestor)

    def list(self, sort: str | None = None) -> builtins.list[Integration]:
        """List all integrations of the account (operation: GET /integrations).

        Args:
            sort: One of :data:`SORT_FIELDS`, with ``-`` in front for descending.

        Raises:
            ValueError: it is none of them.
            APIError: it did not end well.
        """
        if sort is not None and sort.removeprefix("-") not in SORT_FIELDS:
            raise ValueError(f"sort must be one of {', '.join(SORT_FIELDS)}, with or without '-', got {sort!r}.")
        request = Request(
            operation="list integrations",
            method="GET",
            path=paths.INTEGRATIONS,
            success=[200],
            query=[("sort", sort)] if sort else [],
        )
        return self._requestor.read(request, _integrations)

    def get(self, integration_id: int) -> Integration:
        """Read one integration (operation: GET /integrations/{id}).

        Raises:
            NotFound: there is none with this id in the account.
            APIError: it did not end well.
        """
        request = self._request("get integration", "GET", integration_id, 200)
        return self._requestor.read(request, lambda content: Integration.from_api(data_of(content)))

    def patch(self, integration_id: int, settings: IntegrationPatch) -> None:
        """Set some settings (operation: PATCH /integrations/{id}). The answer is empty: read the integration again.

        Raises:
            NotFound: there is none with this id in the account.
            RequestRejected: Sendcloud rejects a setting; ``errors`` names it.
            APIError: it did not end well.
        """
        self._requestor.send(self._request("patch integration", "PATCH", integration_id, 204, settings.to_json()))

    def delete(self, integration_id: int) -> None:
        """Delete an integration, for good (operation: DELETE /integrations/{id}).

        Raises:
            NotFound: there is none with this id in the account.
            APIError: it did not end well.
        """
        self._requestor.send(self._request("delete integration", "DELETE", integration_id, 204))

    def _request(
        self, operation: str, method: str, integration_id: int, success: int, body: object = NO_BODY
    ) -> Request:
        return Request(
            operation=operation,
            method=method,
            path=paths.integration(integration_id),
            success=[success],
            integration_id=integration_id,
            body=body,
            resource="integration",
        )


def _integrations(content: Any) -> list[Integration]:
    data = data_of(content)
    if not isinstance(data, list):
        raise InvalidResponse("an answer that is not a list of integrations")
    return [Integration.from_api(raw) for raw in data]
