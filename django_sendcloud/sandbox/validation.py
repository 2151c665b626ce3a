"""What Sendcloud accepts, written down from its contract and from nothing else.

A check takes a value and returns ``None``, or what is wrong with it in the shape the contract shows:
a list of messages, or for an object its fields' errors, or for a list one entry for each element.
Checks are built once, at import. A batch of a hundred shipments passes through some ten thousand of them.

Where the contract contradicts itself, the reading is: a nullable enum may be null, ``email`` may be
empty (its minimum length is 0), and what only the prose forbids is forbidden.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from ..enums import Currency, CustomsShipmentType, DeliveryMethodType
from .countries import COUNTRIES

__all__ = [
    "INTEGRATION_LOG_FIELDS",
    "INTEGRATION_SETTINGS_FIELDS",
    "SHIPMENT_FIELDS",
    "Check",
    "integration_log_errors",
    "integration_setting_errors",
    "parse_date",
    "parse_moment",
    "shipment_errors",
]

Errors: TypeAlias = "list[Any] | dict[str, Any]"
Check: TypeAlias = "Callable[[Any], Errors | None]"
#: A further rule for a text that has the right length.
Rule: TypeAlias = "Callable[[str], list[str] | None]"

_REQUIRED: Final = ["This field is required."]
_NULL: Final = ["This field may not be null."]
_BLANK: Final = ["This field may not be blank."]
_NO_NUMBER: Final = ["A valid number is required."]
_NO_EMAIL: Final = ["Enter a valid email address."]
_NO_URL: Final = ["Enter a valid URL."]
_NO_MOMENT: Final = [
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ss[.uuuuuu][+HH:MM|-HH:MM|Z]."
]
_MISSING: Final = object()

_MOMENT_PATTERN: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-]\d\d:\d\d))", re.ASCII
)
_EMAIL_PATTERN: Final = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
_DECIMAL_PATTERN: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
# contract: CostsObject.value, which is not anchored.
_COST_PATTERN: Final = re.compile(r"[\d]+(\.[\d]+)?")


# What a value means


def parse_moment(value: object) -> dt.datetime | None:
    """Read an RFC 3339 date-time; ``None`` where it is none. Finer than microseconds is cut off."""
    if not isinstance(value, str) or not (match := _MOMENT_PATTERN.fullmatch(value)):
        return None
    day, time, fraction, offset = match.groups()
    if time.endswith(":60"):  # a leap second, which RFC 3339 allows and Python does not know
        time = f"{time[:-2]}59"
    try:
        moment = dt.datetime.fromisoformat(f"{day}T{time}.{(fraction or '0')[:6]:0<6}{offset or '+00:00'}")
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def parse_date(value: str) -> dt.date | None:
    """Read ``YYYY-MM-DD``; ``None`` where it is no date."""
    try:
        return dt.date.fromisoformat(value) if len(value) == 10 else None
    except ValueError:
        return None


# Building blocks


def _text(least: int = 0, most: int | None = None, *, null: bool = False, also: Rule | None = None) -> Check:
    too_long = [f"Ensure this field has no more than {most} characters."]

    def check(value: Any) -> Errors | None:
        if type(value) is not str:
            if value is None:
                return None if null else _NULL
            return ["Not a valid string."]
        if len(value) < least:
            return _BLANK
        if most is not None and len(value) > most:
            return too_long
        return also(value) if also else None

    return check


def _email(value: str) -> list[str] | None:
    return None if not value or _EMAIL_PATTERN.fullmatch(value) else _NO_EMAIL


def _moment(value: str) -> list[str] | None:
    return _NO_MOMENT if parse_moment(value) is None else None


def _url(value: str) -> list[str] | None:
    try:
        parts = urlsplit(value)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    return None if fine and not re.search(r"\s", value) else _NO_URL


def _number(least: Decimal | None = None) -> Rule:
    too_small = [f"Ensure this value is greater than or equal to {least}."]

    def rule(value: str) -> list[str] | None:
        if not _DECIMAL_PATTERN.fullmatch(value):
            return _NO_NUMBER
        return too_small if least is not None and Decimal(value) < least else None

    return rule


def _cost(value: str) -> list[str] | None:
    return None if _COST_PATTERN.search(value) else _NO_NUMBER


def _one_of(values: Sequence[str]) -> Rule:
    known = frozenset(values)

    def rule(value: str) -> list[str] | None:
        return None if value in known else [f'"{value}" is not a valid choice.']

    return rule


def _integer(least: int | None = None, values: Sequence[int] = (), *, null: bool = False) -> Check:
    def check(value: Any) -> Errors | None:
        # To JSON, 1.0 is the same whole number as 1. A boolean is none.
        if type(value) is not int and not (type(value) is float and value.is_integer()):
            if value is None:
                return None if null else _NULL
            return ["A valid integer is required."]
        if least is not None and value < least:
            return [f"Ensure this value is greater than or equal to {least}."]
        if values and value not in values:
            return [f'"{value}" is not a valid choice.']
        return None

    return check


def _flag(value: Any) -> Errors | None:
    if type(value) is bool:
        return None
    return _NULL if value is None else ["Must be a valid boolean."]


def _object(
    fields: Mapping[str, Check] | None = None,
    required: Sequence[str] = (),
    *,
    null: bool = False,
    every: Check | None = None,
) -> Check:
    """Check an object's fields. Unknown ones are let through, unless ``every`` has an opinion on all values."""
    rules = [(name, name in required, check) for name, check in (fields or {}).items()]

    def check_object(value: Any) -> Errors | None:
        if type(value) is not dict:
            if value is None:
                return None if null else _NULL
            return [f"Invalid data. Expected a dictionary, but got {type(value).__name__}."]
        errors: dict[str, Any] = {}
        for name, needed, check in rules:
            item = value.get(name, _MISSING)
            if item is _MISSING:
                if needed:
                    errors[name] = _REQUIRED
            elif found := check(item):
                errors[name] = found
        if every is not None:
            for name, item in value.items():
                if found := every(item):
                    errors[name] = found
        return errors or None

    return check_object


def _list(each: Check, *, null: bool = False) -> Check:
    def check(value: Any) -> Errors | None:
        if type(value) is not list:
            if value is None:
                return None if null else _NULL
            return [f'Expected a list of items but got type "{type(value).__name__}".']
        errors = [each(item) for item in value]
        return [error or {} for error in errors] if any(errors) else None

    return check


def _either(*checks: Check) -> Check:
    """Let through what one of the checks lets through; else the first one's words."""

    def check(value: Any) -> Errors | None:
        errors = [check(value) for check in checks]
        return errors[0] if all(errors) else None

    return check


# contract: ShipmentBlobOrderCreate and what it nests

_status: Final = _object({"id": _text(1), "message": _text(1)}, ["id", "message"], null=True)

_parcel_item: Final = _object(
    {
        "description": _text(1),
        "hs_code": _text(0, 12),
        # Sendcloud's own shop integrations send "" where the origin is unknown.
        "origin_country": _text(null=True, also=_one_of(["", *COUNTRIES])),
        "product_id": _text(),
        "properties": _object(every=_text(null=True)),
        "quantity": _integer(1),
        "sku": _text(),
        "value": _text(also=_number()),
        "weight": _text(null=True, also=_number()),
        "mid_code": _text(null=True),
        "material_content": _text(null=True),
        "intended_use": _text(null=True),
    },
    ["description", "quantity", "value"],
)

_checkout_payload: Final = _object(
    {
        "sender_address_id": _integer(),
        # Only the prose says what a shipping product needs.
        "shipping_product": _object(
            {"code": _text(1), "name": _text(1), "selected_functionalities": _object()},
            ["code", "name", "selected_functionalities"],
        ),
        # Only the prose names the types.
        "delivery_method_type": _text(1, also=_one_of([*DeliveryMethodType])),
        "delivery_method_data": _object(
            {
                "delivery_date": _text(also=_moment),
                "formatted_delivery_date": _text(1),
                "parcel_handover_date": _text(also=_moment),
            },
            ["delivery_date", "formatted_delivery_date", "parcel_handover_date"],
        ),
    },
    ["sender_address_id", "shipping_product", "delivery_method_type"],
)

_costs: Final = _object({"value": _text(null=True, also=_cost), "currency": _text(null=True)}, null=True)

_tax_number: Final = _object({name: _text(null=True) for name in ("name", "country_code", "value")})

_customs_details: Final = _object(
    {
        "discount_granted": _costs,
        "insurance_costs": _costs,
        "freight_costs": _costs,
        "other_costs": _costs,
        "tax_numbers": _object(
            {name: _list(_tax_number) for name in ("sender", "receiver", "importer_of_records")}, null=True
        ),
    },
    null=True,
)

_dimension: Final = _text(0, 10, null=True, also=_number())

#: contract: ShipmentBlobOrderCreate, its fields in the document's order.
SHIPMENT_FIELDS: Final[Mapping[str, Check]] = {
    "address": _text(1),
    "address_2": _text(),
    "city": _text(1),
    "company_name": _text(),
    "country": _text(also=_one_of([*COUNTRIES])),
    "created_at": _text(also=_moment),
    "currency": _text(1, null=True, also=_one_of([*Currency])),
    "customs_invoice_nr": _text(),
    "customs_shipment_type": _integer(values=[*CustomsShipmentType], null=True),
    "email": _text(also=_email),
    "external_order_id": _text(1),
    "external_shipment_id": _text(1, null=True),
    "house_number": _text(),
    "name": _text(1),
    "order_number": _text(1),
    "order_status": _status,
    "parcel_items": _list(_parcel_item, null=True),
    "payment_status": _status,
    "postal_code": _text(1),
    "shipping_method": _integer(null=True),
    "shipping_method_checkout_name": _text(0, 100),
    "telephone": _text(),
    "to_post_number": _text(),
    "to_service_point": _integer(null=True),
    "to_state": _text(1, null=True),
    "total_order_value": _text(null=True, also=_number()),
    "updated_at": _text(also=_moment),
    # Only the prose names the smallest weight.
    "weight": _text(0, 10, null=True, also=_number(Decimal("0.001"))),
    "checkout_payload": _checkout_payload,
    "width": _dimension,
    "height": _dimension,
    "length": _dimension,
    "customs_details": _customs_details,
}

_OPTIONAL: Final = frozenset(
    {
        "shipping_method",
        "total_order_value",
        "weight",
        "checkout_payload",
        "width",
        "height",
        "length",
        "customs_details",
    }
)

_shipment: Final = _object(SHIPMENT_FIELDS, [name for name in SHIPMENT_FIELDS if name not in _OPTIONAL])


def shipment_errors(value: Any) -> dict[str, Any] | None:
    """Return what is wrong with one shipment of a batch, by field; ``None`` where it is fine."""
    errors = _shipment(value)
    return {"non_field_errors": errors} if isinstance(errors, list) else errors


# contract: IntegrationUpdate

#: contract: IntegrationUpdate, what can be written. ``shop_name`` is read-only by the schema, changeable by the text.
INTEGRATION_SETTINGS_FIELDS: Final[Mapping[str, Check]] = {
    "shop_name": _text(1, 250),
    "shop_url": _text(1, also=_url),
    "service_point_enabled": _flag,
    "service_point_carriers": _list(_text(1)),
    "webhook_active": _flag,
    "webhook_url": _text(1, also=_url),
}

_integration_settings: Final = _object(INTEGRATION_SETTINGS_FIELDS)
#: Which of them Sendcloud reports together, under the name ``settings``.
_GROUPED: Final = frozenset({"service_point_enabled", "service_point_carriers", "webhook_active", "webhook_url"})


def integration_setting_errors(
    value: Any, current: Mapping[str, Any], *, whole: bool = False
) -> dict[str, list[str]] | None:
    """Return what is wrong with a change of settings; ``None`` where it is fine.

    Args:
        value: The request's body.
        current: The settings as they are.
        whole: Whether all of them have to be there (PUT), but for the name and for addresses that never were set.
    """
    errors = _integration_settings(value)
    if isinstance(errors, list):
        return {"non_field_errors": errors}
    found: dict[str, Any] = dict(errors or {})
    if whole:
        needed = [name for name in INTEGRATION_SETTINGS_FIELDS if name != "shop_name" and current[name] is not None]
        found |= {name: _REQUIRED for name in needed if name not in value}
    if not found:
        after = {**current, **value}
        if after["webhook_active"] and not after["webhook_url"]:
            found["webhook_url"] = ["Webhook URL required when enable webhook is set to true"]
        if after["service_point_enabled"] and not after["service_point_carriers"]:
            found["service_point_carriers"] = ["At least one carrier is required when service points are enabled."]
    answer: dict[str, list[str]] = {}
    for name, problem in found.items():
        for line in _lines(problem):
            if name in _GROUPED:
                answer.setdefault("settings", []).append(f"{name}: {line}")
            else:
                answer.setdefault(name, []).append(line)
    return answer or None


def _lines(errors: Any) -> list[str]:
    if isinstance(errors, str):
        return [errors]
    return [line for error in (errors.values() if isinstance(errors, dict) else errors) for line in _lines(error)]


# contract: IntegrationLog

#: contract: IntegrationLog, what can be written.
INTEGRATION_LOG_FIELDS: Final[Mapping[str, Check]] = {
    "integration_id": _integer(1, null=True),
    "user_id": _integer(1),
    "base_url": _text(1),
    "full_url": _text(null=True),
    "method": _text(),
    "response_code": _integer(0, null=True),
    "response": _object({"headers": _object(null=True), "body": _either(_text(null=True), _object())}, null=True),
    "request": _object(
        {"headers": _either(_text(null=True), _object()), "payload": _either(_text(null=True), _object())}, null=True
    ),
    "created_at": _text(also=_moment),
    "exception_type": _text(null=True),
    # The schema lets it be null, the document's own example of a 400 refuses that.
    "exception": _text(),
}

_integration_log: Final = _object(INTEGRATION_LOG_FIELDS, ["base_url"])


def integration_log_errors(value: Any, integration_id: int) -> dict[str, Any] | None:
    """Return what is wrong with an entry of the connection log; ``None`` where it is fine."""
    errors = _integration_log(value)
    if isinstance(errors, list):
        return {"non_field_errors": errors}
    if not errors and value.get("integration_id") not in (None, integration_id):
        return {"integration_id": ["It is not the integration of the address."]}
    return errors
