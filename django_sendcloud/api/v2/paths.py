"""The addresses of the contract."""

from __future__ import annotations

__all__ = [
    "INTEGRATIONS",
    "LOGS",
    "PARCELS",
    "check_id",
    "integration",
    "integration_logs",
    "service_point_availability",
    "shipments",
    "shipments_delete",
]

INTEGRATIONS = "/integrations"
LOGS = "/integrations/logs"
PARCELS = "/parcels"


def check_id(integration_id: int) -> int:
    """Return an integration's id.

    Raises:
        ValueError: it is not a positive whole number.
    """
    if not isinstance(integration_id, int) or isinstance(integration_id, bool) or integration_id < 1:
        raise ValueError(
            f"integration_id must be a positive whole number, got {integration_id!r}; "
            "client.integrations.list() tells the ids."
        )
    return integration_id


def integration(integration_id: int) -> str:
    """``/integrations/{id}``."""
    return f"{INTEGRATIONS}/{check_id(integration_id)}"


def shipments(integration_id: int) -> str:
    """``/integrations/{id}/shipments``."""
    return f"{integration(integration_id)}/shipments"


def shipments_delete(integration_id: int) -> str:
    """``/integrations/{id}/shipments/delete``."""
    return f"{shipments(integration_id)}/delete"


def integration_logs(integration_id: int) -> str:
    """``/integrations/{id}/logs``."""
    return f"{integration(integration_id)}/logs"


def service_point_availability(service_point_id: int) -> str:
    """``/service-points/{id}/check-availability``, on the host of the service points.

    Raises:
        ValueError: the id is not a positive whole number.
    """
    if not isinstance(service_point_id, int) or isinstance(service_point_id, bool) or service_point_id < 1:
        raise ValueError(f"service_point_id must be a positive whole number, got {service_point_id!r}.")
    return f"/service-points/{service_point_id}/check-availability"
