"""The translation of a payload to an order of API v3, and its notes.

::

    order = translate(payload.stamped(now), integration_id=7)
    order.body          # the contract's JSON, numbers as Decimal
    notes(payload)      # everything API v3 cannot carry, or takes elsewhere

A key is left out where the contract has no way to write its absence; a text that may be empty is written as ``""``,
so that an upsert clears it. Parts that cannot be cleared so are listed by :meth:`Order.parts`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from ..enums import Currency, CustomsShipmentType
from ..exceptions import PayloadError
from ..violations import Errors, Violation
from .address import Address
from .customs import CustomsDetails, Money, TaxNumber
from .notes import Note, NoteLevel, note
from .parcel_items import ParcelItem
from .rules import EXACT, Moment, OtherCurrency, not_carried
from .shipment import ShipmentPayload, Status

__all__ = [
    "LASTING",
    "Options",
    "Order",
    "check",
    "domain_path",
    "left_in",
    "notes",
    "order_id_of",
    "parts_of",
    "read",
    "rejections",
    "shipment_keys",
    "translate",
]

#: The status that connectors send for an order without one (contract: required).
NO_ORDER_STATUS: Final = "unfulfilled"
#: The status of a payment without one (contract: required).
NO_PAYMENT_STATUS: Final = "unspecified"

_SHIPMENT_TYPES: Final = {
    CustomsShipmentType.GIFT: "gift",
    CustomsShipmentType.COMMERCIAL_GOODS: "commercial_goods",
    CustomsShipmentType.COMMERCIAL_SAMPLE: "commercial_sample",
    CustomsShipmentType.RETURNED_GOODS: "returned_goods",
}
_COSTS: Final = ("discount_granted", "insurance_costs", "freight_costs", "other_costs")
_PRICES: Final = ("subtotal_price", "estimated_shipping_price", "estimated_tax_price")
_DIMENSIONS: Final = ("length", "width", "height")
_moment: Final = Moment().dump
#: Parts of an order outside its items that are left out where the shop has none. The contract (POST /orders) does not
#: say that an upsert without them clears them.
LASTING: Final = (
    "billing_address",
    "billing_address.email",
    "customer_details.email",
    "customs_details.commercial_invoice_number",
    "customs_details.export_type",
    "customs_details.shipment_type",
    *(f"customs_details.tax_numbers.{holder}" for holder in ("sender", "receiver", "importer_of_record")),
    "order_details.notes",
    "order_details.tags",
    "order_details.status.message",
    *(f"payment_details.{name}" for name in (*_PRICES, *_COSTS)),
    "payment_details.invoice_date",
    "payment_details.is_cash_on_delivery",
    "payment_details.status.message",
    *(f"service_point_details.{name}" for name in ("id", "carrier_service_point_id", "post_number")),
    "shipping_address.email",
    "shipping_address.po_box",
    "shipping_details.is_local_pickup",
    "shipping_details.measurement.dimension",
    "shipping_details.measurement.weight",
    "shipping_details.ship_with",
    "shipping_details.ship_with.properties.contract_id",
)
#: Parts that the contract lets be null or empty.
_EMPTY: Final[Mapping[str, Any]] = {
    "customs_details.commercial_invoice_number": "",
    "order_details.notes": "",
    "order_details.status.message": "",
    "order_details.tags": [],
    "payment_details.status.message": "",
    **{f"payment_details.{name}": None for name in (*_COSTS, "invoice_date", "is_cash_on_delivery")},
    "shipping_address.po_box": None,
    "shipping_details.is_local_pickup": None,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices of a shop and its account.

    Args:
        any_currency: The account takes any ISO 4217 code, not only the documented EUR, GBP and USD.
        prefix_states: Write a state as ISO 3166-2 has it, ``IT-RM``; ``False`` writes it bare, ``RM``.
    """

    any_currency: bool = False
    prefix_states: bool = True


_DEFAULT: Final = Options()


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Order:
    """An order of API v3. Holds personal data; its ``repr`` shows only the id.

    Args:
        body: The contract's JSON (``order``), numbers as Decimal.
    """

    body: Mapping[str, Any]

    def parts(self) -> list[str]:
        """Return the paths of the parts that the order has and that its absence from another upsert may not clear."""
        return left_in(self.body, LASTING)

    def emptied(self, parts: Collection[str]) -> Order:
        """Return a copy that empties parts it does not have, where the contract has a way to write that.

        The other ones can only be cleared with the order: look again after the save (see :func:`left_in`), and where
        one is still there, delete the order and create it again.

        Args:
            parts: The parts to empty.
        """
        body = dict(self.body)
        for path in parts:
            if path in _EMPTY:
                _fill(body, path.split("."), _EMPTY[path])
        return dataclasses.replace(self, body=body)

    def __repr__(self) -> str:
        return f"<Order: {self.body['order_id']!r}>"


def _fill(block: dict[str, Any], steps: Sequence[str], value: Any) -> None:
    """Put a value where a block has none. Blocks on the way are copied: the original shares them."""
    name, *rest = steps
    if not rest:
        block.setdefault(name, value)
    elif isinstance(inner := block.get(name), dict):
        block[name] = {**inner}
        _fill(block[name], rest, value)


def translate(payload: ShipmentPayload, integration_id: int, options: Options = _DEFAULT) -> Order:
    """Return the order of API v3 that a payload stands for.

    Args:
        payload: The payload; ``order_updated_at`` is left out until it is stamped.
        integration_id: Sendcloud's id of the integration.
        options: The choices of the shop.

    Raises:
        PayloadError: API v3 cannot carry the payload.
    """
    check(payload, options)
    return Order(_body(payload, integration_id, options))


def parts_of(payload: ShipmentPayload, options: Options = _DEFAULT) -> list[str]:
    """Return the parts of a payload's order (see :meth:`Order.parts`), without translating its items."""
    return left_in(_body(payload, 0, options, items=()), LASTING)


def check(payload: ShipmentPayload, options: Options = _DEFAULT) -> None:
    """Reject a payload that API v3 cannot carry.

    Raises:
        PayloadError: a field cannot be sent by API v3.
    """
    if errors := rejections(payload, options):
        raise PayloadError(errors, payload.subject)


def rejections(payload: ShipmentPayload, options: Options = _DEFAULT) -> Errors:
    """Return the errors that keep a payload from being sent by API v3; empty where there are none."""
    if payload.currency is None:
        choices = sorted(currency.value for currency in Currency)
        return {"currency": [Violation("currency_missing", {"choices": choices})]}
    if isinstance(payload.currency, OtherCurrency) and not options.any_currency:
        return {"currency": [not_carried(payload.currency, "v3")]}
    return {}


def notes(payload: ShipmentPayload) -> list[Note]:
    """Return a note for everything that API v3 will not show as the payload has it."""
    return [*_notes_on_shipment(payload), *_notes_on_items(payload)]


def left_in(order: Mapping[str, Any], parts: Iterable[str]) -> list[str]:
    """Return those of the parts that an order has.

    Args:
        order: The contract's JSON (``order``), one's own or Sendcloud's answer.
        parts: Paths, of :data:`LASTING`.
    """
    return [path for path in parts if _has(order, path)]


def _has(order: Any, path: str) -> bool:
    for step in path.split("."):
        if not isinstance(order, dict | Mapping) or (order := order.get(step)) is None:
            return False
    return order not in ("", [], {})


def order_id_of(external_order_id: str, external_shipment_id: str = "") -> str:
    """Return the ``order_id`` of a shipment.

    An order in one shipment keeps its id, so that both API generations mean the same order. A shipment with an id of
    its own becomes an order of its own, ``{order}/{shipment}``, because API v3 knows no shipments of an order.
    """
    if external_shipment_id in ("", external_order_id):
        return external_order_id
    return f"{external_order_id}/{external_shipment_id}"


def shipment_keys(order_id: str) -> list[tuple[str, str]]:
    """Return the keys that an ``order_id`` may stand for: the inverse of :func:`order_id_of`.

    An id may hold slashes of its own, so that the text alone does not decide; the stored shipments do.

    Returns:
        Pairs of order id and shipment id (``""`` where the order has one shipment), the whole id first, then each
        division at a slash.
    """
    divisions = [match.start() for match in re.finditer("/", order_id)]
    pairs = [(order_id[:at], order_id[at + 1 :]) for at in divisions]
    return [(order_id, ""), *[(order, shipment) for order, shipment in pairs if order and shipment]]


#: Paths of an order's JSON and the payload's field they come from, the longest first.
_PATHS: Final = (
    ("order_details.order_items", "parcel_items"),
    ("order_details.order_created_at", "created_at"),
    ("order_details.order_updated_at", "updated_at"),
    ("order_details.status", "order_status"),
    ("order_details.notes", "notes"),
    ("order_details.tags", "tags"),
    ("payment_details.total_price.currency", "currency"),
    ("payment_details.total_price", "total_order_value"),
    ("payment_details.status", "payment_status"),
    *((f"payment_details.{name}", f"customs_details.{name}") for name in _COSTS),
    ("payment_details", ""),
    ("customs_details.commercial_invoice_number", "customs_invoice_nr"),
    ("customs_details.shipment_type", "customs_shipment_type"),
    ("customs_details.export_type", "customs_export_type"),
    ("customs_details.tax_numbers.importer_of_record", "customs_details.tax_numbers.importer_of_records"),
    ("customer_details.phone_number", "telephone"),
    ("customer_details", ""),
    ("shipping_address.po_box", "to_post_number"),
    ("shipping_address", ""),
    ("shipping_details.delivery_indicator", "shipping_method_checkout_name"),
    ("shipping_details.is_local_pickup", "is_local_pickup"),
    ("shipping_details.ship_with.properties", "ship_with"),
    ("shipping_details.ship_with", "ship_with"),
    ("shipping_details.measurement.weight", "weight"),
    ("shipping_details.measurement.dimension", ""),
    ("service_point_details.carrier_service_point_id", "carrier_service_point_id"),
    ("service_point_details.post_number", "to_post_number"),
    ("service_point_details.id", "to_service_point"),
    ("service_point_details", ""),
    ("order_id", "external_order_id"),
)
_NAMES: Final = {
    "address_line_1": "address",
    "address_line_2": "address_2",
    "country_code": "country",
    "phone_number": "telephone",
    "state_province_code": "to_state",
    "code": "id",
}
_ITEM_NAMES: Final = {
    "name": "description",
    "description": "details",
    "unit_price": "value",
    "total_price": "value",
    "measurement": "weight",
    "country_of_origin": "origin_country",
}
_ITEM: Final = re.compile(r"parcel_items\[\d+\]")


def domain_path(path: str) -> str:
    """Return the field of a payload that a path of an order's JSON comes from, for Sendcloud's field errors.

    Args:
        path: For instance ``order_details.order_items[0].unit_price.value``.

    Returns:
        For instance ``parcel_items[0].value``; an unknown path unchanged.
    """
    for theirs, ours in _PATHS:
        if path == theirs or path.startswith((f"{theirs}.", f"{theirs}[")):
            rest = path[len(theirs) :].removeprefix(".")
            path = ours + rest if rest.startswith("[") else f"{ours}.{rest}".strip(".") if rest else ours
            break
    if item := _ITEM.match(path):
        name, *rest_of = path[item.end() :].removeprefix(".").split(".")
        if name in ("unit_price", "total_price", "measurement"):
            rest_of = []
        elif name == "delivery_dates":
            return f"{item[0]}.{(rest_of or ['deliver_at'])[0]}"
        return ".".join(filter(None, [item[0], _ITEM_NAMES.get(name, name), *rest_of]))
    *above, last = path.split(".")
    if last in ("value", "unit") and above in (["weight"], ["total_order_value"]):
        return above[0]
    tax_number = "tax_numbers" in path
    return path if tax_number else ".".join([*above, _NAMES.get(last, last)])


#: Leaves of an order's JSON that repeat another, or say nothing of the order.
_REPEATED: Final = re.compile(
    r"id|created_at|modified_at|customer_details\..*|order_details\.integration\..*|.*\.unit|shipping_details\.ship_with\.type"
    r"|order_details\.order_items\[\d+\]\.total_price\..*|(?!payment_details\.total_price\.|payment_details\.\w+_costs\."
    r"|payment_details\.discount_granted\.).*\.currency"
)
_STEP: Final = re.compile(r"[^.\[\]]+")


def read(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order's JSON under the field names of a payload, to compare it with another.

    Args:
        order: The contract's JSON (``order``), one's own or Sendcloud's answer. Unknown fields keep their path.
    """
    found: dict[str, Any] = {}
    for path, value in _leaves(order, ""):
        if not _REPEATED.fullmatch(path):
            name = domain_path(path)
            if name.removesuffix(".value") in _PRICES:
                name = name.removesuffix(".value")
            steps = _STEP.findall(name)
            _put(found, [int(step) if step.isdecimal() and len(step) < 9 else step for step in steps], value)
    return found


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def _put(place: Any, steps: Sequence[str | int], value: Any) -> None:
    """Put a value into nested mappings and lists, making those that are missing."""
    for step, following in itertools.zip_longest(steps, steps[1:]):
        last = following is None
        inner: Any = value if last else [] if isinstance(following, int) else {}
        if isinstance(place, list):
            if not isinstance(step, int) or step > len(place):
                return
            if step == len(place):
                place.append(inner)
        elif last or step not in place:
            place[step] = inner
        place = place[step]
        if not last and not isinstance(place, dict | list):
            return


def _body(
    payload: ShipmentPayload, integration_id: int, options: Options, items: Iterable[ParcelItem] | None = None
) -> dict[str, Any]:
    items = payload.parcel_items or () if items is None else items
    body: dict[str, Any] = {
        "order_id": order_id_of(*payload.key),
        "order_number": payload.order_number,
        "order_details": _order_details(payload, integration_id, items),
        "payment_details": _payment_details(payload),
    }
    if customs := _customs_details(payload):
        body["customs_details"] = customs
    body["customer_details"] = _customer_details(payload)
    if payload.billing_address is not None:
        body["billing_address"] = _address(payload.billing_address, options)
    body["shipping_address"] = _address(payload, options)
    if payload.to_post_number and not _has_service_point(payload):
        body["shipping_address"]["po_box"] = payload.to_post_number
    body["shipping_details"] = _shipping_details(payload)
    if _has_service_point(payload):
        body["service_point_details"] = _service_point(payload)
    return body


def _order_details(payload: ShipmentPayload, integration_id: int, items: Iterable[ParcelItem]) -> dict[str, Any]:
    details: dict[str, Any] = {
        "integration": {"id": integration_id},
        "status": _status(payload.order_status, NO_ORDER_STATUS),
        "order_created_at": _moment(payload.created_at),
    }
    if payload.updated_at is not None:
        details["order_updated_at"] = _moment(payload.updated_at)
    details["order_items"] = [_item(item, payload) for item in items]
    if payload.notes is not None:
        details["notes"] = payload.notes
    if payload.tags is not None:
        details["tags"] = [*payload.tags]
    return details


def _status(status: Status | None, default: str) -> dict[str, str]:
    return {"code": default} if status is None else {"code": status.id, "message": status.message}


def _item(item: ParcelItem, payload: ShipmentPayload) -> dict[str, Any]:
    line: dict[str, Any] = {"name": item.description, "quantity": item.quantity}
    optional = {
        "item_id": item.item_id,
        "product_id": item.product_id,
        "variant_id": item.variant_id,
        "image_url": item.image_url if item.product_id else None,
        "description": item.details,
        "sku": item.sku,
        "hs_code": item.hs_code,
        "country_of_origin": item.origin_country,
        "ean": item.ean,
        "mid_code": item.mid_code,
        "material_content": item.material_content,
        "intended_use": item.intended_use,
    }
    line |= {name: value for name, value in optional.items() if value is not None}
    if item.properties is not None:
        line["properties"] = {name: value for name, value in item.properties.items() if value is not None}
    line["unit_price"] = _price(item.value, payload)
    line["total_price"] = _price(_total(item), payload)
    if item.weight:
        line["measurement"] = {"weight": _weight(item.weight)}
    if dates := _delivery_dates(item, payload):
        line["delivery_dates"] = dates
    if item.dangerous_goods is not None:
        line["dangerous_goods"] = item.dangerous_goods.to_json()
    return line


def _delivery_dates(item: ParcelItem, payload: ShipmentPayload) -> dict[str, str]:
    chosen = payload.checkout_payload.delivery_method_data if payload.checkout_payload else None
    dates: dict[str, dt.datetime | None] = {"handover_at": item.handover_at, "deliver_at": item.deliver_at}
    if chosen is not None:
        dates["handover_at"] = dates["handover_at"] or chosen.parcel_handover_date
        dates["deliver_at"] = dates["deliver_at"] or chosen.delivery_date
    return {name: _moment(value) for name, value in dates.items() if value is not None}


def _total(item: ParcelItem) -> Decimal:
    return EXACT.multiply(item.value, Decimal(item.quantity))


def _price(value: Decimal, payload: ShipmentPayload) -> dict[str, Any]:
    return {"value": value, "currency": str(payload.currency)}


def _weight(value: Decimal) -> dict[str, Any]:
    return {"value": value, "unit": "kg"}


def _payment_details(payload: ShipmentPayload) -> dict[str, Any]:
    total = payload.total_order_value
    if total is None:
        total = Decimal(0)
        for item in payload.parcel_items or ():
            total = EXACT.add(total, _total(item))
    details: dict[str, Any] = {"total_price": _price(total, payload)}
    for name in _PRICES:
        if (amount := getattr(payload, name)) is not None:
            details[name] = _price(amount, payload)
    details["status"] = _status(payload.payment_status, NO_PAYMENT_STATUS)
    if payload.is_cash_on_delivery is not None:
        details["is_cash_on_delivery"] = payload.is_cash_on_delivery
    if payload.invoice_date is not None:
        details["invoice_date"] = payload.invoice_date.isoformat()
    for name in _COSTS if payload.customs_details else ():
        if (costs := getattr(payload.customs_details, name)) is not None and costs.value is not None:
            details[name] = _costs(costs, payload)
    return details


def _costs(costs: Money, payload: ShipmentPayload) -> dict[str, Any]:
    """Write costs: unlike a price, the contract has their value as text."""
    written = costs.to_json()
    return {"value": written["value"], "currency": written.get("currency") or str(payload.currency)}


def _customs_details(payload: ShipmentPayload) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if payload.customs_invoice_nr:
        details["commercial_invoice_number"] = payload.customs_invoice_nr
    kind = payload.customs_shipment_type
    if kind is not None and (name := _SHIPMENT_TYPES.get(CustomsShipmentType(kind))):
        details["shipment_type"] = name
    if payload.customs_export_type is not None:
        details["export_type"] = payload.customs_export_type
    if numbers := _tax_numbers(payload.customs_details):
        details["tax_numbers"] = numbers
    return details


def _tax_numbers(customs: CustomsDetails | None) -> dict[str, Any]:
    if customs is None or customs.tax_numbers is None:
        return {}
    numbers = customs.tax_numbers
    holders: dict[str, Sequence[TaxNumber]] = {
        "sender": numbers.sender,
        "receiver": numbers.receiver,
        "importer_of_record": numbers.importer_of_records,
    }
    return {name: [number.to_json() for number in held] for name, held in holders.items() if held}


def _customer_details(payload: ShipmentPayload) -> dict[str, str]:
    details = {"name": payload.name, "phone_number": payload.telephone}
    return details | ({"email": payload.email} if payload.email else {})


def _address(address: Address | ShipmentPayload, options: Options) -> dict[str, Any]:
    state = address.to_state or ""
    if state and options.prefix_states and not state.upper().startswith(f"{address.country}-"):
        state = f"{address.country}-{state}"
    written = {
        "name": address.name,
        "company_name": address.company_name,
        "address_line_1": address.address,
        "address_line_2": address.address_2,
        "house_number": address.house_number,
        "postal_code": address.postal_code,
        "city": address.city,
        "state_province_code": state,
        "country_code": address.country,
        "phone_number": address.telephone,
    }
    # The contract's format has no empty address.
    return written | ({"email": address.email} if address.email else {})


def _shipping_details(payload: ShipmentPayload) -> dict[str, Any]:
    details: dict[str, Any] = {"delivery_indicator": payload.shipping_method_checkout_name}
    if payload.is_local_pickup is not None:
        details["is_local_pickup"] = payload.is_local_pickup
    measurement: dict[str, Any] = {}
    if payload.weight is not None:
        measurement["weight"] = _weight(payload.weight)
    if None not in (sizes := [getattr(payload, name) for name in _DIMENSIONS]):
        measurement["dimension"] = dict(zip(_DIMENSIONS, sizes, strict=True)) | {"unit": "cm"}
    if measurement:
        details["measurement"] = measurement
    if payload.ship_with is not None:
        details["ship_with"] = {"type": "shipping_option_code", "properties": payload.ship_with.to_json()}
    return details


def _has_service_point(payload: ShipmentPayload) -> bool:
    return payload.to_service_point is not None or payload.carrier_service_point_id is not None


def _service_point(payload: ShipmentPayload) -> dict[str, str]:
    if payload.to_service_point is not None:
        point = {"id": str(payload.to_service_point)}
    else:
        point = {"carrier_service_point_id": payload.carrier_service_point_id or ""}
    return point | ({"post_number": payload.to_post_number} if payload.to_post_number else {})


def _notes_on_shipment(payload: ShipmentPayload) -> Iterator[Note]:
    not_sent, changed = NoteLevel.NOT_SENT, NoteLevel.CHANGED
    if payload.order_status is None:
        yield note(changed, "order_status", Violation("order_status_filled_in", {"value": NO_ORDER_STATUS}))
    if payload.payment_status is None:
        yield note(changed, "payment_status", Violation("payment_status_filled_in", {"value": NO_PAYMENT_STATUS}))
    if payload.shipping_method is not None and payload.ship_with is None:
        yield note(
            not_sent, "shipping_method", Violation("shipping_method_not_sent", {"value": payload.shipping_method})
        )
    if payload.customs_shipment_type == CustomsShipmentType.DOCUMENTS:
        yield note(not_sent, "customs_shipment_type", Violation("documents_not_sent"))
    missing = [name for name in _DIMENSIONS if getattr(payload, name) is None]
    for name in _DIMENSIONS if 0 < len(missing) < 3 else ():
        if name not in missing:
            yield note(not_sent, name, Violation("dimensions_incomplete", {"missing": missing}))
    if payload.to_post_number and not _has_service_point(payload):
        yield note(changed, "to_post_number", Violation("post_number_moved"))
    yield from _notes_on_checkout(payload)
    for path, extra in (("extra", payload.extra), *_extras_of_customs(payload.customs_details)):
        for name in extra:
            yield note(not_sent, f"{path}.{name}", Violation("only_v2", {"field": name}))


def _notes_on_checkout(payload: ShipmentPayload) -> Iterator[Note]:
    checkout = payload.checkout_payload
    if checkout is None:
        return
    for name in ("sender_address_id", "shipping_product", "delivery_method_type", *checkout.extra):
        yield note(NoteLevel.NOT_SENT, f"checkout_payload.{name}", Violation("only_v2", {"field": name}))
    if checkout.delivery_method_data is not None:
        level = NoteLevel.CHANGED if payload.parcel_items else NoteLevel.NOT_SENT
        violation = Violation("delivery_dates_moved" if payload.parcel_items else "delivery_dates_not_sent")
        yield note(level, "checkout_payload.delivery_method_data", violation)


def _extras_of_customs(customs: CustomsDetails | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if customs is not None:
        yield "customs_details.extra", customs.extra


def _notes_on_items(payload: ShipmentPayload) -> Iterator[Note]:
    for index, item in enumerate(payload.parcel_items or ()):
        path = f"parcel_items[{index}]"
        line = item.line
        if item.image_url is not None and not item.product_id:
            yield note(NoteLevel.NOT_SENT, f"{path}.image_url", Violation("image_without_product"), **line)
        if item.weight is not None and not item.weight:
            yield note(NoteLevel.NOT_SENT, f"{path}.weight", Violation("zero_weight_not_sent"), **line)
        for name in item.extra:
            yield note(NoteLevel.NOT_SENT, f"{path}.extra.{name}", Violation("only_v2", {"field": name}), **line)
