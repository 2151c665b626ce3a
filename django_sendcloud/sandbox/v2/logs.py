"""Operations on the connection log in v2."""

from __future__ import annotations

from ..http import Response, json_response
from ..request import Refused, Request
from ..services import Services
from .log_checks import INTEGRATION_LOG_FIELDS, integration_log_errors
from .pages import page, slice_list
from .parameters import find_integration
from .views import log_json

__all__ = ["create_log", "list_all_logs", "list_logs"]


def list_all_logs(services: Services, request: Request) -> Response:
    """Answer ``GET /integrations/logs``."""
    return _list(services, request, {found.id for found in services.store.of_account(request.caller.account)})


def list_logs(services: Services, request: Request) -> Response:
    """Answer ``GET /integrations/{id}/logs``."""
    return _list(services, request, {find_integration(services, request).id})


def _list(services: Services, request: Request, integration_ids: set[int]) -> Response:
    with services.store.lock:
        found = [entry for entry in services.store.connection_log if entry["integration_id"] in integration_ids]
    entries, more, cursor = slice_list(services, request, found, lambda entry: int(entry["id"]))
    numbers = [entry["id"] for entry in entries]
    return page(services, request, "results", [log_json(entry) for entry in entries], numbers, more, cursor)


def create_log(services: Services, request: Request) -> Response:
    """Answer ``POST /integrations/{id}/logs``."""
    integration = find_integration(services, request)
    entry = request.json()
    if errors := integration_log_errors(entry, integration.id):
        raise Refused(400, repr(errors))
    known = {name: entry[name] for name in INTEGRATION_LOG_FIELDS if name in entry}
    with services.store.lock:
        services.log.apply(request.logged)
        return json_response(log_json(services.store.note(integration.id, known)), 201)
