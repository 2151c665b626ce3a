"""All operations of v3."""

from __future__ import annotations

from typing import Final

from ..router import Api, Operation
from . import integrations, logs, metadata, orders, service_points, shipments
from .errors import refuse

__all__ = ["API"]

_READ_INTEGRATION: Final = "read:integration"
_WRITE_INTEGRATION: Final = "write:integration"
_READ_ORDER: Final = "read:order"
_WRITE_ORDER: Final = "write:order"

API: Final = Api(
    "/api/v3",
    (
        # The Orders API
        Operation("POST", "/orders", "upsert orders", orders.upsert_orders, _WRITE_ORDER),
        Operation("GET", "/orders", "list orders", orders.list_orders, _READ_ORDER),
        Operation("GET", "/orders/{id}", "get order", orders.get_order, _READ_ORDER),
        Operation("PATCH", "/orders/{id}", "update order", orders.update_order, _WRITE_ORDER),
        Operation("DELETE", "/orders/{id}", "delete order", orders.delete_order, _WRITE_ORDER),
        # The Integrations API
        Operation("GET", "/integrations", "list integrations", integrations.list_integrations, _READ_INTEGRATION),
        Operation("GET", "/integrations/{id}", "get integration", integrations.get_integration, _READ_INTEGRATION),
        Operation(
            "PATCH", "/integrations/{id}", "update integration", integrations.update_integration, _WRITE_INTEGRATION
        ),
        Operation(
            "DELETE", "/integrations/{id}", "delete integration", integrations.delete_integration, _WRITE_INTEGRATION
        ),
        Operation("GET", "/integrations/logs", "list logs", logs.list_all_logs, _READ_INTEGRATION),
        Operation("GET", "/integrations/{id}/logs", "list logs", logs.list_logs, _READ_INTEGRATION),
        Operation("POST", "/integrations/{id}/logs", "create log", logs.create_log, _WRITE_INTEGRATION),
        # The parts of other APIs that a shop needs
        Operation("GET", "/shipments", "list labelled shipments", shipments.list_shipments, "read:parcel"),
        Operation("GET", "/shipments/{id}", "get labelled shipment", shipments.get_shipment, "read:parcel"),
        Operation("POST", "/shipments/{id}/cancel", "cancel shipment", shipments.cancel_shipment, "write:parcel"),
        Operation(
            "POST",
            "/service-points/{service_point_id}/check-availability",
            "check service point",
            service_points.check_availability,
        ),
        Operation("GET", "/user/auth/metadata", "get metadata", metadata.get_metadata),
    ),
    refuse,
)
