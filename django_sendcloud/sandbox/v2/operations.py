"""All operations of v2, and the form of its errors."""

from __future__ import annotations

from typing import Final

from ..http import Response, json_response
from ..request import Refused
from ..router import Api, Operation
from . import integrations, labels, logs, parcels, shipments

__all__ = ["API"]


def _refuse(path: str, refused: Refused) -> Response:
    # The contract's examples show the path without its first slash.
    error = {"code": refused.status, "request": path.lstrip("/"), "message": refused.message}
    return json_response({"error": error}, refused.status, refused.headers)


API: Final = Api(
    "/api/v2",
    (
        # The Integrations API
        Operation("GET", "/integrations", "list integrations", integrations.list_integrations),
        Operation("GET", "/integrations/{id}", "get integration", integrations.get_integration),
        Operation("PUT", "/integrations/{id}", "replace integration", integrations.replace_integration),
        Operation("PATCH", "/integrations/{id}", "update integration", integrations.update_integration),
        Operation("DELETE", "/integrations/{id}", "delete integration", integrations.delete_integration),
        Operation("GET", "/integrations/{id}/shipments", "list shipments", shipments.list_shipments),
        Operation(
            "POST", "/integrations/{id}/shipments", "upsert shipments", shipments.upsert_shipments, for_partners=True
        ),
        Operation("POST", "/integrations/{id}/shipments/delete", "delete shipment", shipments.delete_shipment),
        Operation("GET", "/integrations/logs", "list logs", logs.list_all_logs),
        Operation("GET", "/integrations/{id}/logs", "list logs", logs.list_logs),
        Operation("POST", "/integrations/{id}/logs", "create log", logs.create_log),
        # The parts of the parcels, labels and service points APIs that a shop needs
        Operation("GET", "/parcels", "list parcels", parcels.list_parcels),
        Operation("GET", "/parcels/statuses", "list parcel statuses", parcels.list_statuses),
        Operation("GET", "/parcels/{id}", "get parcel", parcels.get_parcel),
        Operation("POST", "/parcels/{id}/cancel", "cancel parcel", parcels.cancel_parcel),
        Operation("GET", "/parcels/{id}/return_portal_url", "get return portal url", parcels.return_portal_url),
        Operation("GET", "/service-points/{id}/check-availability", "check service point", parcels.check_service_point),
        Operation("POST", "/labels", "create labels", labels.create_labels),
        Operation("GET", "/labels/normal_printer", "get labels", labels.print_on_a4),
        Operation("GET", "/labels/label_printer", "get labels", labels.print_on_a6),
        Operation("GET", "/labels/{parcel_id}", "get label", labels.get_label),
        Operation("GET", "/labels/normal_printer/{parcel_id}", "get labels", labels.print_on_a4),
        Operation("GET", "/labels/label_printer/{parcel_id}", "get labels", labels.print_on_a6),
        Operation(
            "GET", "/customs_declaration/normal_printer", "get customs declarations", labels.get_customs_declaration
        ),
        Operation(
            "GET",
            "/customs_declaration/normal_printer/{parcel_id}",
            "get customs declarations",
            labels.get_customs_declaration,
        ),
    ),
    _refuse,
)
