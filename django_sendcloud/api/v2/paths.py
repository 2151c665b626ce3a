"""The addresses of the contract."""

from __future__ import annotations

from ..urls import check_id

__all__ = [
    "INTEGRATIONS",
    "LOGS",
    "PARCELS",
    "integration",
    "integration_logs",
    "parcel_cancel",
    "service_point_availability",
    "shipments",
    "shipments_delete",
]

ROOT = "/api/v2"
INTEGRATIONS = f"{ROOT}/integrations"
LOGS = f"{ROOT}/integrations/logs"
PARCELS = f"{ROOT}/parcels"


def integration(integration_id: int) -> str:
    """Return ``/integrations/{id}``."""
    return f"{INTEGRATIONS}/{check_id('integration_id', integration_id)}"


def shipments(integration_id: int) -> str:
    """Return ``/integrations/{id}/shipments``."""
    return f"{integration(integration_id)}/shipments"


def shipments_delete(integration_id: int) -> str:
    """Return ``/integrations/{id}/shipments/delete``."""
    return f"{shipments(integration_id)}/delete"


def integration_logs(integration_id: int) -> str:
    """Return ``/integrations/{id}/logs``."""
    return f"{integration(integration_id)}/logs"


def parcel_cancel(parcel_id: int) -> str:
    """Return ``/parcels/{id}/cancel``."""
    return f"{PARCELS}/{check_id('parcel_id', parcel_id)}/cancel"


def service_point_availability(service_point_id: int) -> str:
    """Return ``/service-points/{id}/check-availability``, on the host of the service points."""
    return f"{ROOT}/service-points/{check_id('service_point_id', service_point_id)}/check-availability"
