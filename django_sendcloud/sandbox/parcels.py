"""Parcels: what an order becomes when a label is made for it, and the journey it then takes."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .countries import COUNTRIES
from .state import UNSTAMPED_LETTER, StoredShipment

__all__ = ["CARRIERS", "STATUSES", "Parcel", "Parcels"]

#: Every status Sendcloud is known to have, by id.
STATUSES: Final[Mapping[int, str]] = {
    1: "Announced",
    3: "En route to sorting center",
    4: "Delivery delayed",
    5: "Sorted",
    6: "Not sorted",
    7: "Being sorted",
    8: "Delivery attempt failed",
    11: "Delivered",
    12: "Awaiting customer pickup",
    13: "Announced: not collected",
    15: "Error collecting",
    22: "Shipment picked up by driver",
    80: "Unable to deliver",
    91: "Parcel en route",
    92: "Driver en route",
    93: "Shipment collected by customer",
    94: "Parcel cancellation failed",
    999: "No label",
    1000: "Ready to send",
    1001: "Being announced",
    1002: "Announcement failed",
    1337: "Unknown status - check carrier track & trace page for more insights",
    1998: "Cancelled upstream",
    1999: "Cancellation requested",
    2000: "Cancelled",
    2001: "Submitting cancellation request",
    62989: "At Customs",
    62990: "At sorting centre",
    62991: "Refused by recipient",
    62992: "Returned to sender",
    62993: "Delivery method changed",
    62994: "Delivery date changed",
    62995: "Delivery address changed",
    62996: "Exception",
    62997: "Address invalid",
}

READY_TO_SEND: Final = 1000
ANNOUNCED: Final = 1
DELIVERED: Final = 11
COLLECTED: Final = 93
CANCELLED: Final = 2000
CANCELLATION_REQUESTED: Final = 1999
ANNOUNCEMENT_FAILED: Final = 1002
RETURNED_TO_SENDER: Final = 62992

_TO_THE_DOOR: Final = (READY_TO_SEND, ANNOUNCED, 22, 3, 7, 5, 91, 92, DELIVERED)
_TO_A_SERVICE_POINT: Final = (READY_TO_SEND, ANNOUNCED, 22, 3, 7, 5, 91, 12, COLLECTED)
_ACROSS_A_BORDER: Final = (READY_TO_SEND, ANNOUNCED, 22, 3, 62990, 62989, 91, 92, DELIVERED)
#: What follows on a status that is not on the parcel's journey.
_DETOURS: Final[Mapping[int, int]] = {
    1001: READY_TO_SEND,
    999: READY_TO_SEND,
    2001: CANCELLATION_REQUESTED,
    CANCELLATION_REQUESTED: CANCELLED,
    1998: CANCELLED,
    4: 91,
    6: 7,
    8: 92,
    12: COLLECTED,
    13: 22,
    15: 22,
    80: RETURNED_TO_SENDER,
    1337: 91,
    62989: 91,
    62990: 91,
    62991: RETURNED_TO_SENDER,
    62993: 91,
    62994: 91,
    62995: 91,
    62996: 91,
    62997: RETURNED_TO_SENDER,
}

_CARRIER_CODES: Final = """
amazon bol bpost brt budbee chronopost cirro colisprive colissimo correos correos_express ctt_express dbschenker
delivengo dhl dhl_2_man_handling dhl_de dhl_ecommerce dhl_express dhl_parcel_gb dhl_parcel_iberia dp dpd dpd_at
dpd_fr dpd_gb dpd_local evri_international fadello fairsenden fedex fedexcrossborder fietskoeriers geodis glovo
gls_de gls_es gls_eu gls_it gls_nl hermes_at hermes_c2c_gb hermes_de hermes_gb hived homerr hurby inpost_es
inpost_gb inpost_it inpost_pl lettresuivie mhi mondial_relay mrw nacex paack parcelforce plx postat
poste_italiane poste_it_delivery postnl postnl_fulfilment postnl_large postnord rjp rjpv2 royal_mail sandd
sendcloud seur skymail spring storeshippers tipsa tnt_it transforce trunkrs ups van_straaten viatim yodel
"""
#: contract: carrier
CARRIERS: Final = frozenset(_CARRIER_CODES.split())
_CARRIER_OF_COUNTRY: Final = {
    "NL": "postnl",
    "BE": "bpost",
    "DE": "dhl_de",
    "AT": "postat",
    "FR": "colissimo",
    "GB": "royal_mail",
    "ES": "correos",
    "IC": "correos",
    "IT": "poste_italiane",
    "SE": "postnord",
    "DK": "postnord",
    "NO": "postnord",
    "PL": "inpost_pl",
}
_CARRIER_NAMES: Final = {"postnl": "PostNL", "bpost": "bpost", "ups": "UPS", "dhl_de": "DHL DE", "dpd": "DPD"}
_CUSTOMS_UNION: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MC MT NL PL PT RO SE SI SK"
_CUSTOMS_FREE: Final = frozenset(_CUSTOMS_UNION.split())
_HOUSE_NUMBER: Final = re.compile(r"\s*(.*?)[\s,]+(\d+\s?[A-Za-z]?(?:[-/]\s?\w+)?)\s*")


@dataclass(slots=True, eq=False)
class Parcel:
    """A parcel with a label.

    Attributes:
        id: Sendcloud's id.
        integration_id: The integration it was made under.
        shipment: What the shop had sent when the label was made. A later change of the order does not reach it.
        shipment_uuid: The shipment it was made of.
        statuses: When which status came, oldest first.
        outgoing_id: Of a return, the parcel that comes back.
    """

    id: int
    integration_id: int
    shipment: Mapping[str, Any] = field(repr=False)
    shipment_uuid: str
    colli_uuid: str
    collo_nr: int
    collo_count: int
    created_at: dt.datetime
    updated_at: dt.datetime
    statuses: list[tuple[dt.datetime, int]] = field(default_factory=list)
    is_return: bool = False
    outgoing_id: int | None = None

    @property
    def status_id(self) -> int:
        """The status it has now."""
        return self.statuses[-1][1]

    @property
    def status_message(self) -> str:
        """The same in Sendcloud's words."""
        return STATUSES.get(self.status_id, "Unknown")

    @property
    def carrier(self) -> str:
        """The code of who carries it: what the buyer chose at checkout, else who is usual in the country."""
        product = (self.shipment.get("checkout_payload") or {}).get("shipping_product") or {}
        chosen = str(product.get("code", "")).partition(":")[0]
        return chosen if chosen in CARRIERS else _CARRIER_OF_COUNTRY.get(self.shipment["country"], "ups")

    @property
    def tracking_number(self) -> str:
        """The carrier's number of it."""
        return f"3S{'RET' if self.is_return else 'BOX'}{self.id:010d}"

    @property
    def journey(self) -> tuple[int, ...]:
        """The statuses it passes through when all goes well."""
        if self.shipment.get("to_service_point") and not self.is_return:
            return _TO_A_SERVICE_POINT
        return _TO_THE_DOOR if self.shipment["country"] in _CUSTOMS_FREE else _ACROSS_A_BORDER

    @property
    def next_status(self) -> int | None:
        """The status that comes next; ``None`` where the journey is over."""
        journey, now = self.journey, self.status_id
        if now in journey:
            following = journey[journey.index(now) + 1 :]
            return following[0] if following else None
        return _DETOURS.get(now)

    @property
    def weight(self) -> str:
        """Its weight in kg, three decimals: a part of what the shop said, or of what its items weigh."""
        return f"{max(_weight(self.shipment) / self.collo_count, 0.001):.3f}"

    def street_and_number(self) -> tuple[str, str]:
        """Return street and house number, which the shop may have sent in one."""
        address, number = self.shipment["address"], self.shipment["house_number"]
        if not number and (match := _HOUSE_NUMBER.fullmatch(address)):
            return match[1], match[2]
        return address, number

    def as_json(self, base_url: str) -> dict[str, Any]:
        """Return it as the API and the webhooks show it (contract: ``ParcelResponseFull``)."""
        shipment = self.shipment
        street, number = self.street_and_number()
        country = COUNTRIES[shipment["country"]]
        label = _label(base_url, self.id)
        carrier = self.carrier
        checkout_name = shipment["shipping_method_checkout_name"]
        customs_type = shipment["customs_shipment_type"]
        tracking = {
            "carrier": carrier,
            "code": self.tracking_number,
            "destination": country.iso_2,
            "lang": "en-gb",
            "type": "parcel",
            "verification": shipment["postal_code"],
        }
        shown: dict[str, Any] = {
            "id": self.id,
            "name": shipment["name"],
            "company_name": shipment["company_name"],
            "address": f"{street} {number}".strip(),
            "address_2": shipment["address_2"],
            "address_divided": {"street": street, "house_number": number},
            "city": shipment["city"],
            "postal_code": shipment["postal_code"],
            "country": country._asdict(),
            "telephone": shipment["telephone"],
            "email": shipment["email"],
            "contract": None,
            "carrier": {"code": carrier},
            "shipment": {
                "id": shipment.get("shipping_method") or UNSTAMPED_LETTER,
                "name": f"{_CARRIER_NAMES.get(carrier, carrier.replace('_', ' ').title())} Standard",
            },
            "shipping_method_checkout_name": checkout_name,
            "date_created": _date(self.created_at),
            "date_updated": _date(self.updated_at),
            "date_announced": _date(self.created_at),
            "tracking_number": self.tracking_number,
            "tracking_url": f"https://tracking.sendcloud.sc/forward?{urllib.parse.urlencode(_encodable(tracking))}",
            "weight": self.weight,
            "label": label,
            "documents": [
                {"type": "label", "size": size, "link": link}
                for size, link in (("a4", label["normal_printer"][0]), ("a6", label["label_printer"]))
            ],
            "status": {"id": self.status_id, "message": self.status_message},
            "data": {},
            "order_number": shipment["order_number"],
            "shipment_uuid": self.shipment_uuid,
            "external_order_id": shipment["external_order_id"],
            "external_shipment_id": shipment["external_shipment_id"] or "",
            "external_reference": None,
            "reference": "0",
            "parcel_items": [_item(item) for item in shipment["parcel_items"] or ()],
            "insured_value": 0,
            "total_insured_value": 0,
            "total_order_value": shipment.get("total_order_value") or "0.00",
            "total_order_value_currency": shipment["currency"] or "EUR",
            "to_state": shipment["to_state"] or "",
            "to_service_point": str(shipment["to_service_point"] or ""),
            "type": "parcel",
            "colli_uuid": self.colli_uuid,
            "collo_nr": self.collo_nr,
            "collo_count": self.collo_count,
            "is_return": self.is_return,
            "awb_tracking_number": None,
            "box_number": None,
            "length": shipment.get("length"),
            "width": shipment.get("width"),
            "height": shipment.get("height"),
            "customs_invoice_nr": shipment["customs_invoice_nr"],
            "customs_shipment_type": customs_type,
            "customs_declaration": {},
            "note": None,
        }
        if customs_type is not None and shipment["customs_invoice_nr"]:
            shown["customs_information"] = {
                "customs_invoice_nr": shipment["customs_invoice_nr"],
                "customs_shipment_type": customs_type,
            }
        return shown


class Parcels:
    """All parcels. Guarded by the lock it is given.

    Args:
        lock: The state's.
        clock: Tells the time.
    """

    def __init__(self, lock: threading.RLock, clock: Callable[[], dt.datetime]) -> None:
        self._lock = lock
        self._clock = clock
        self._parcels: dict[int, Parcel] = {}
        self._ids = itertools.count(100_001)

    def create(self, shipment: StoredShipment, count: int) -> list[Parcel]:
        """Make labels for a shipment that travels in ``count`` parcels.

        Raises:
            ValueError: there is nothing to make a label for.
        """
        if count < 1:
            raise ValueError(f"A shipment travels in at least one parcel, not in {count}.")
        now, colli = self._clock(), str(uuid.uuid4())
        with self._lock:
            made = [
                Parcel(
                    id=next(self._ids),
                    integration_id=shipment.integration_id,
                    shipment=shipment.fields,
                    shipment_uuid=shipment.uuid,
                    colli_uuid=colli,
                    collo_nr=index,
                    collo_count=count,
                    created_at=now,
                    updated_at=now,
                    statuses=[(now, READY_TO_SEND)],
                )
                for index in range(count)
            ]
            self._parcels.update((parcel.id, parcel) for parcel in made)
        return made

    def create_return(self, outgoing: Parcel) -> Parcel:
        """Make the label with which the receiver sends a parcel back."""
        now = self._clock()
        with self._lock:
            parcel = Parcel(
                id=next(self._ids),
                integration_id=outgoing.integration_id,
                shipment=outgoing.shipment,
                shipment_uuid=outgoing.shipment_uuid,
                colli_uuid=str(uuid.uuid4()),
                collo_nr=0,
                collo_count=1,
                created_at=now,
                updated_at=now,
                statuses=[(now, READY_TO_SEND)],
                is_return=True,
                outgoing_id=outgoing.id,
            )
            self._parcels[parcel.id] = parcel
        return parcel

    def set_status(self, parcel: Parcel, status_id: int) -> None:
        """Let a parcel have a status, any one, a known one or not."""
        with self._lock:
            parcel.updated_at = self._clock()
            parcel.statuses.append((parcel.updated_at, status_id))

    def get(self, parcel_id: int) -> Parcel | None:
        """Return a parcel."""
        return self._parcels.get(parcel_id)

    def remove(self, parcel: Parcel) -> None:
        """Delete a parcel."""
        with self._lock:
            self._parcels.pop(parcel.id, None)

    def all(self) -> list[Parcel]:
        """Return all parcels, oldest first."""
        with self._lock:
            return list(self._parcels.values())

    def of(self, shipment_uuid: str) -> list[Parcel]:
        """Return the parcels of a shipment, oldest first."""
        return [parcel for parcel in self.all() if parcel.shipment_uuid == shipment_uuid]

    def clear(self) -> None:
        """Forget all parcels. Ids go on."""
        with self._lock:
            self._parcels.clear()


def _date(moment: dt.datetime) -> str:
    """Write a moment as parcels do: the day first, no time zone."""
    return moment.astimezone(dt.UTC).strftime("%d-%m-%Y %H:%M:%S")


def _label(base_url: str, parcel_id: int) -> dict[str, Any]:
    return {
        "label_printer": f"{base_url}/labels/label_printer/{parcel_id}",
        "normal_printer": [f"{base_url}/labels/normal_printer/{parcel_id}?start_from={place}" for place in range(4)],
    }


def _encodable(values: Mapping[str, str]) -> dict[str, bytes]:
    # JSON can hold half a surrogate pair, an URL cannot.
    return {name: value.encode(errors="replace") for name, value in values.items()}


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item as parcels show it: the value a number, unknowns left out (contract: ``parcel-item``)."""
    names = (
        "description",
        "quantity",
        "sku",
        "product_id",
        "properties",
        "mid_code",
        "material_content",
        "intended_use",
    )
    shown = {name: item[name] for name in names if item.get(name) is not None}
    return {
        **shown,
        "hs_code": item.get("hs_code") or "",
        "weight": item.get("weight") or "0.001",
        "value": float(item["value"]),
        "origin_country": item.get("origin_country") or None,
    }


def _weights(shipment: Mapping[str, Any]) -> Iterator[float]:
    if shipment.get("weight"):
        yield float(shipment["weight"])
        return
    for item in shipment["parcel_items"] or ():
        yield float(item.get("weight") or 0) * item["quantity"]


def _weight(shipment: Mapping[str, Any]) -> float:
    return sum(_weights(shipment))
