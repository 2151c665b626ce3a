"""Preflight: everything to know about an order before it is sent.

Three kinds of notes: rejections, parts that the API generation cannot carry, and advice by destination. Advice is not
part of the contract: Sendcloud takes the order, and its label or its customs clearance may fail later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ..enums import ApiGeneration, CustomsShipmentType
from ..exceptions import PayloadError
from ..violations import Violation
from . import v2, v3
from .base import collect
from .notes import Note, NoteLevel, note, notes_on_errors
from .parcel_items import ParcelItem
from .shipment import ShipmentPayload
from .territories import customs_area, territory_of

__all__ = ["advise", "examine", "preflight"]

#: Destinations whose addresses need a state (Sendcloud's Parcels API: ``to_state``), and the codes of those with few.
_STATES: Final[dict[str, frozenset[str] | None]] = {
    country: frozenset(codes.split()) if codes else None
    for country, codes in {
        "US": (
            "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH "
            "OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC AS GU MP PR UM VI AA AE AP"
        ),
        "CA": "AB BC MB NB NL NS NT NU ON PE QC SK YT",
        "AU": "ACT NSW NT QLD SA TAS VIC WA",
        "IT": "",
    }.items()
}
_PROVINCE: Final = re.compile(r"[A-Z]{2}")
_HS_CODE: Final = re.compile(r"\d{6,12}")
#: Descriptions that customs refuse because they describe nothing (the EU's Import Control System 2 and US customs).
_VAGUE: Final = frozenset(
    """accessories article articles clothes clothing gift gifts goods item items merchandise miscellaneous n/a order
    parcel part parts present product products sample samples stuff test various""".split()  # noqa: SIM905
)


def preflight(
    payload: ShipmentPayload,
    *,
    api: ApiGeneration = ApiGeneration.V3,
    options: v3.Options | None = None,
    ships_from: str = "",
) -> list[Note]:
    """Return all notes on a payload, the weightiest first.

    Args:
        payload: The payload.
        api: The API generation it would be sent by.
        options: The shop's choices for API v3.
        ships_from: The country it leaves from, as a code of :data:`COUNTRIES`; by default any in the European Union.
    """
    if api is ApiGeneration.V2:
        errors, found = v2.rejections(payload), v2.notes(payload)
    else:
        errors, found = v3.rejections(payload, options or v3.Options()), v3.notes(payload)
    return _sorted([*notes_on_errors(errors), *found, *advise(payload, ships_from=ships_from)])


def examine(
    build: Callable[[], Iterable[ShipmentPayload]],
    *,
    api: ApiGeneration = ApiGeneration.V3,
    options: v3.Options | None = None,
    ships_from: str = "",
) -> list[Note]:
    """Return all notes on an order whose payloads may be invalid: nothing is raised for an invalid payload.

    Args:
        build: Makes the payloads, for instance ``lambda: adapter.get_shipments(order)``. Called again after an error.
        api: See :func:`preflight`.
        options: See :func:`preflight`.
        ships_from: See :func:`preflight`.
    """
    try:
        payloads = collect(lambda: [*build()])
    except PayloadError as error:
        return [*notes_on_errors(error.errors)]
    found = [preflight(payload, api=api, options=options, ships_from=ships_from) for payload in payloads]
    return _sorted([one for notes in found for one in notes])


def advise(payload: ShipmentPayload, *, ships_from: str = "") -> list[Note]:
    """Return advice on a payload by its destination.

    Args:
        payload: The payload.
        ships_from: The country it leaves from, as a code of :data:`COUNTRIES`; by default any in the European Union.
    """
    advice = [*_on_address(payload, ships_from), *_on_weight(payload)]
    start = customs_area(ships_from) if ships_from else "EU"
    if start != customs_area(payload.country, payload.postal_code):
        advice += _on_customs(payload)
    if payload.country == "US" and start != "US":
        advice += _on_united_states(payload)
    return advice


def _sorted(notes: list[Note]) -> list[Note]:
    weight = {level: place for place, level in enumerate(NoteLevel)}
    return sorted(notes, key=lambda one: weight[one.level])


def _advice(path: str, violation: Violation, item: ParcelItem | None = None) -> Note:
    return note(NoteLevel.ADVICE, path, violation, **(item.line if item else {}))


def _on_address(payload: ShipmentPayload, ships_from: str) -> Iterator[Note]:
    country = payload.country
    if country in _STATES:
        if payload.to_state is None:
            yield _advice("to_state", Violation("state_missing", {"country": country}))
        elif not _is_state(country, payload.to_state):
            yield _advice("to_state", Violation("state_unknown", {"country": country}))
    if territory := territory_of(country, payload.postal_code):
        name = territory.name
        if territory.code:
            params = {"territory": name, "suggestion": territory.code, "country": country}
            yield _advice("country", Violation("territory_has_code", params))
        elif name == "Northern Ireland":
            yield _advice("postal_code", Violation("northern_ireland"))
        else:
            yield _advice("postal_code", Violation("territory_outside", {"territory": name, "country": country}))
    if not payload.house_number and not any(character.isdigit() for character in payload.address + payload.address_2):
        yield _advice("house_number", Violation("house_number_missing"))
    has_service_point = payload.to_service_point is not None or payload.carrier_service_point_id is not None
    if has_service_point and not payload.email and not payload.telephone:
        yield _advice("email", Violation("contact_missing"))


def _is_state(country: str, state: str) -> bool:
    code = state.strip().upper().removeprefix(f"{country}-")
    known = _STATES[country]
    return bool(_PROVINCE.fullmatch(code)) if known is None else code in known


def _on_weight(payload: ShipmentPayload) -> Iterator[Note]:
    items = payload.parcel_items or ()
    if payload.weight is None and not (items and all(item.weight for item in items)):
        yield _advice("weight", Violation("weight_missing"))


def _on_customs(payload: ShipmentPayload) -> Iterator[Note]:
    if not payload.parcel_items:
        yield _advice("parcel_items", Violation("customs_lines_missing"))
    for index, item in enumerate(payload.parcel_items or ()):
        path = f"parcel_items[{index}]"
        if not item.hs_code:
            yield _advice(f"{path}.hs_code", Violation("hs_code_missing"), item)
        elif not _HS_CODE.fullmatch(item.hs_code):
            yield _advice(f"{path}.hs_code", Violation("hs_code_unusual"), item)
        if item.origin_country is None:
            yield _advice(f"{path}.origin_country", Violation("origin_missing"), item)
        if len(item.description.strip()) < 3 or item.description.strip().lower() in _VAGUE:
            yield _advice(f"{path}.description", Violation("description_vague"), item)
        if not item.weight:
            yield _advice(f"{path}.weight", Violation("line_weight_missing"), item)
        if not item.value:
            yield _advice(f"{path}.value", Violation("line_value_zero"), item)
    if payload.currency is None:
        yield _advice("currency", Violation("customs_currency_missing"))
    if payload.customs_shipment_type is None:
        yield _advice("customs_shipment_type", Violation("customs_type_missing"))
    elif payload.customs_shipment_type == CustomsShipmentType.COMMERCIAL_GOODS and not payload.customs_invoice_nr:
        yield _advice("customs_invoice_nr", Violation("customs_invoice_missing"))
    if not payload.telephone:
        yield _advice("telephone", Violation("customs_telephone_missing"))


def _on_united_states(payload: ShipmentPayload) -> Iterator[Note]:
    digits = "".join(character for character in payload.telephone if character.isdigit())
    if payload.telephone and len(digits.removeprefix("00").removeprefix("1")) != 10:
        yield _advice("telephone", Violation("telephone_us"))
    for index, item in enumerate(payload.parcel_items or ()):
        if item.hs_code and _HS_CODE.fullmatch(item.hs_code) and len(item.hs_code) < 10:
            yield _advice(f"parcel_items[{index}].hs_code", Violation("hs_code_us"), item)
