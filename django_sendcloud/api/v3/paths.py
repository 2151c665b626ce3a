"""The addresses of the contract."""

from __future__ import annotations

import urllib.parse

from ..urls import check_id

__all__ = [
    "AUTH_METADATA",
    "INTEGRATIONS",
    "LOGS",
    "ORDERS",
    "SHIPMENTS",
    "integration",
    "integration_logs",
    "order",
    "service_point_availability",
    "shipment",
    "shipment_cancel",
]

ROOT = "/api/v3"
AUTH_METADATA = f"{ROOT}/user/auth/metadata"
INTEGRATIONS = f"{ROOT}/integrations"
LOGS = f"{ROOT}/integrations/logs"
ORDERS = f"{ROOT}/orders"
SHIPMENTS = f"{ROOT}/shipments"


def integration(integration_id: int) -> str:
    """Return ``/integrations/{id}``."""
    return f"{INTEGRATIONS}/{check_id('integration_id', integration_id)}"


def integration_logs(integration_id: int) -> str:
    """Return ``/integrations/{id}/logs``."""
    return f"{integration(integration_id)}/logs"


def order(id: int) -> str:
    """Return ``/orders/{id}``."""
    return f"{ORDERS}/{check_id('id', id)}"


def service_point_availability(service_point_id: int) -> str:
    """Return ``/service-points/{id}/check-availability``."""
    return f"{ROOT}/service-points/{check_id('service_point_id', service_point_id)}/check-availability"


def shipment(id: str) -> str:
    """Return ``/shipments/{id}``.

    Raises:
        ValueError: the id is no text, or empty.
    """
    if not isinstance(id, str) or not id.strip():
        raise ValueError(f"id must be text that is not empty, got {type(id).__name__}.")
    return f"{SHIPMENTS}/{urllib.parse.quote(id, safe='')}"


def shipment_cancel(id: str) -> str:
    """Return ``/shipments/{id}/cancel``."""
    return f"{shipment(id)}/cancel"
