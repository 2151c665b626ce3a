"""Operations on integrations in v3."""

from __future__ import annotations

from typing import Any, Final

from ..http import Response, json_response
from ..request import Refused, Request
from ..services import Services
from ..store import SandboxIntegration
from .checks import boolean, choice, list_of, nullable, obj, text, url
from .errors import error
from .views import integration_json

__all__ = ["delete_integration", "find_integration", "get_integration", "list_integrations", "update_integration"]

#: Fields to sort by, and their names in answers.
_SORTS: Final = {
    "integration_type": "type",
    "created_at": "created_at",
    "updated_at": "updated_at",
    "last_fetch": "last_fetched_at",
    "failing_since": "started_failing_at",
}

#: contract: integration-model
_check_settings: Final = obj(
    {
        "shop_name": text(1, 250),
        "shop_url": url,
        "service_point_enabled": boolean,
        "service_point_carriers": list_of(text()),
        "webhook_active": boolean,
        "webhook_url": nullable(url),
        "feedback_type": choice(["eager", "delayed", "none"]),
    }
)


def list_integrations(services: Services, request: Request) -> Response:
    """Answer ``GET /integrations``. All integrations come on one page."""
    found = [integration_json(integration) for integration in services.store.of_account(request.caller.account)]
    wish = request.one("sort") or ""
    if name := _SORTS.get(wish.removeprefix("-")):
        found.sort(key=lambda shown: shown[name] or "", reverse=wish.startswith("-"))
    return json_response({"data": found})


def get_integration(services: Services, request: Request) -> Response:
    """Answer ``GET /integrations/{id}``."""
    return json_response({"data": integration_json(find_integration(services, request))})


def update_integration(services: Services, request: Request) -> Response:
    """Answer ``PATCH /integrations/{id}``. The answer has no body."""
    with services.store.lock:
        integration = find_integration(services, request)
        changes = request.json()
        if errors := [_error(path, message) for path, message in _check_settings(changes, ())]:
            raise Refused(400, "", errors=errors)
        after: dict[str, Any] = {**integration.settings(), **changes}
        if after["webhook_active"] and not after["webhook_url"]:
            raise Refused(400, "Webhook URL required when enable webhook is set to true", title="Invalid")
        if after["service_point_enabled"] and not after["service_point_carriers"]:
            raise Refused(400, "At least one carrier is required when service points are enabled", title="Invalid")
        services.log.apply(request.logged)
        services.merchant.change_integration(integration, changes)
    return Response(204)


def delete_integration(services: Services, request: Request) -> Response:
    """Answer ``DELETE /integrations/{id}``."""
    with services.store.lock:
        integration = find_integration(services, request)
        services.log.apply(request.logged)
        services.merchant.delete_integration(integration)
    return Response(204)


def find_integration(services: Services, request: Request) -> SandboxIntegration:
    """Return the integration of the path.

    Raises:
        Refused: It does not exist, or another account owns it.
    """
    number = request.parameters["id"]
    is_id = number.isascii() and number.isdecimal() and len(number) < 20
    integration = services.store.integrations.get(int(number)) if is_id else None
    if integration is None or integration.account != request.caller.account:
        message = "The Integration could not be found with the search criteria given"
        raise Refused(404, message, title="Not Found")
    return integration


def _error(path: tuple[str | int, ...], message: str) -> dict[str, Any]:
    return error(400, message, title="Invalid", pointer="/".join(map(str, ("body", *path))))
