"""Operations on integrations in v2."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ..http import Response, json_response
from ..request import Refused, Request
from ..services import Services
from .integration_checks import integration_setting_errors
from .parameters import find_integration

__all__ = ["delete_integration", "get_integration", "list_integrations", "replace_integration", "update_integration"]


def list_integrations(services: Services, request: Request) -> Response:
    """Answer ``GET /integrations``."""
    found = [integration.as_json() for integration in services.store.of_account(request.caller.account)]
    # Django REST framework sorts by several fields and ignores unknown ones.
    for wish in reversed((request.one("ordering") or "").split(",")):
        name = wish.strip().removeprefix("-")
        if found and name in found[0]:
            found.sort(key=functools.partial(_sort_key, name), reverse=wish.strip().startswith("-"))
    return json_response(found)


def get_integration(services: Services, request: Request) -> Response:
    """Answer ``GET /integrations/{id}``."""
    return json_response(find_integration(services, request).as_json())


def replace_integration(services: Services, request: Request) -> Response:
    """Answer ``PUT /integrations/{id}``."""
    return _change(services, request, whole=True)


def update_integration(services: Services, request: Request) -> Response:
    """Answer ``PATCH /integrations/{id}``."""
    return _change(services, request, whole=False)


def _change(services: Services, request: Request, *, whole: bool) -> Response:
    integration = find_integration(services, request)
    changes = request.json()
    with services.store.lock:
        if errors := integration_setting_errors(changes, integration.settings(), whole=whole):
            raise Refused(400, repr(errors))
        services.log.apply(request.logged)
        services.merchant.change_integration(integration, changes)
        return json_response(integration.set_settings())


def delete_integration(services: Services, request: Request) -> Response:
    """Answer ``DELETE /integrations/{id}``."""
    with services.store.lock:
        integration = find_integration(services, request)
        services.log.apply(request.logged)
        services.merchant.delete_integration(integration)
    return Response(204)


def _sort_key(name: str, shown: Mapping[str, Any]) -> tuple[bool, Any]:
    value = shown[name]
    return value is not None, 0 if value is None else value
