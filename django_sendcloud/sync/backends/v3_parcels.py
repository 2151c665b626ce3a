"""Parcels of API v3 in the words of v2, in which webhooks come for both generations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...api.v3.results import Shipment, ShipmentParcel
from ...hidden import HiddenDict, HiddenList, hide

__all__ = ["parcels_in_v2_words"]


def parcels_in_v2_words(shipments: Iterable[Shipment]) -> HiddenList:
    """Return the parcels of these shipments. What v3 does not say is absent: the order's ids, and returns.

    The status has a code of v3 and the same message as in v2.
    """
    return HiddenList(hide(_parcel(shipment, parcel)) for shipment in shipments for parcel in shipment.parcels)


def _parcel(shipment: Shipment, parcel: ShipmentParcel) -> dict[str, Any]:
    carrier = shipment.raw.get("carrier")
    known = {
        "id": parcel.id,
        "order_number": shipment.order_number,
        "carrier": dict(carrier) if isinstance(carrier, Mapping) else None,
        "tracking_number": parcel.tracking_number,
        "tracking_url": parcel.tracking_url,
        "weight": _weight(parcel.raw.get("weight")),
        "label": _label(parcel.raw.get("documents")),
        "date_updated": parcel.updated_at.isoformat() if parcel.updated_at else None,
        "status": {"message": parcel.status.message} if parcel.status else None,
    }
    return HiddenDict({name: value for name, value in known.items() if value})


def _weight(weight: Any) -> Any:
    return weight.get("value") if isinstance(weight, Mapping) and weight.get("unit") == "kg" else None


def _label(documents: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for document in documents if isinstance(documents, list | tuple) else ():
        if isinstance(document, Mapping) and document.get("type") == "label" and document.get("link"):
            size = str(document.get("size", "")).lower()
            found |= {"normal_printer": [document["link"]]} if size == "a4" else {"label_printer": document["link"]}
    return found
