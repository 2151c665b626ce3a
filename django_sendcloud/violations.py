"""Violated rules as codes with parameters, and their plain English text.

A code is stored, compared and translated; a sentence is made when a person reads it. :data:`MESSAGES`
is the closed list of codes. ``str(violation)`` gives the English text for exceptions and logs; the
admin keeps its own translated table, keyed by the same codes.

Imports nothing of Django.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeAlias

__all__ = [
    "MESSAGES",
    "Errors",
    "Param",
    "Violation",
    "errors_from_json",
    "errors_to_json",
    "fields_named",
    "first_field",
    "remote_errors",
]

#: A parameter: whatever a JSON column keeps unchanged. Decimals are written as text.
Param: TypeAlias = str | int | bool | Sequence[str]

_POSITION = re.compile(r"\[\d+\]")

#: The English text of each code, by :meth:`str.format` with the parameters.
MESSAGES: Final[Mapping[str, str]] = {
    # Texts.
    "required": "May not be empty.",
    "null": "May not be None; it is required.",
    "text_null": "May not be None; use ''.",
    "not_text": "Must be text, not {type}; write str(...).",
    "surrogate": (
        "Holds a lone surrogate at position {position}, which cannot be sent as UTF-8; decode the text with its right "
        "encoding, or remove it."
    ),
    "nul_character": "Holds a NUL character at position {position}; remove it.",
    "too_long": "May have at most {limit} characters, has {length}; shorten it.",
    "id_too_long": "May have at most {limit} characters, has {length}; give the order a shorter id.",
    "hs_code_too_long": (
        "'{value}' has {length} characters without dots and spaces, {limit} at most are possible; look the code up "
        "again, because a shortened code declares other goods."
    ),
    "email": (
        "Must be an e-mail address: one @, something on both sides of it and no white space; use '' where there is "
        "none."
    ),
    "web_address": "Must be an absolute address such as 'https://shop.example/', got '{value}'.",
    # Choices.
    "not_a_choice": "'{value}' is not a {kind} of the contract; use one of {choices}.",
    "country_unknown": (
        "'{value}' is not a country code of the contract; use the two-letter code of ISO 3166-1 in upper case, such as "
        "'NL'."
    ),
    "country_misspelt": "'{value}' is not a country code of the contract; write '{suggestion}'.",
    "currency_misspelt": "'{value}' is not a currency of the contract; write '{suggestion}'.",
    "currency_not_accepted": (
        "'{value}' is not a currency of the contract; convert every amount to one of {choices} with "
        "payloads.convert(amount, rate) and name that currency. Where your account takes '{value}' by API v3, pass "
        "OtherCurrency('{value}')."
    ),
    "postal_code_unused": (
        "May not be empty, though {country} has no postal codes: the contract wants some text. Write '{value}'."
    ),
    # Numbers.
    "not_boolean": "Must be True or False, got {value}.",
    "not_whole": "Must be a whole number (int), got {value}.",
    "quantity_fraction": (
        "Must be a whole number of pieces, got {value}; for goods sold by measure send quantity 1, the price and "
        "weight of the whole line, and the measure in the description."
    ),
    "quantity_too_small": "Must be at least {limit}, got {value}; leave out a line of which nothing is shipped.",
    "integer_too_large": "Must fit into 64 bits.",
    "too_small": "Must be at least {limit}, got {value}.",
    "negative_amount": (
        "May not be negative, got {value}; a discount is no line of its own: spread it over the other lines with "
        "payloads.spread_discount(items, Decimal('{discount}'))."
    ),
    "too_many_decimals": (
        "May have at most {limit} digits behind the point, got {value}; round it the way the shop does, for instance "
        'with .quantize(Decimal("{step}")).'
    ),
    "too_many_digits": "May have at most {limit} characters, got {value}; round it or check it.",
    "not_finite": "Must be a finite number, got {value}.",
    "not_decimal": "Must be a Decimal, got {value}.",
    "decimal_as_text": 'Must be a Decimal, not text; write Decimal("{value}").',
    "decimal_as_float": 'A float is not exact; write Decimal("{value}").',
    # Times.
    "not_datetime": "Must be a datetime, not {type}.",
    "not_date": "Must be a date without a time, not {type}.",
    "naive_time": (
        "Must know its time zone; use django.utils.timezone.make_aware(value), or datetime(..., tzinfo=datetime.UTC)."
    ),
    "time_out_of_range": "Must lie within the years 1 to 9999 in UTC.",
    # Shapes.
    "not_a_list": "Must be a list of {expected}, not {type}.",
    "not_a_mapping": "Must be a mapping, not {type}.",
    "not_a_payload": "Must be a {expected}, not {type}.",
    "not_text_or_none": "Must be text or None, not {type}; write str(...).",
    "key_not_text": "Keys must be text, not {type}; write str(...).",
    "not_json": "JSON cannot hold {type}; use text, numbers, lists and mappings.",
    "too_deep": "May be nested at most {limit} deep.",
    "known_field": "Is a field we know; pass {field}=... itself.",
    # Orders as a whole.
    "stamp_missing": "Is required to send a shipment; use payload.stamped(updated_at).",
    "batch_empty": "Holds no {noun}; pass at least one.",
    "batch_too_large": "May hold at most {limit} {noun}s, holds {length}; split it.",
    "duplicate_order_id": "Is the same as that of [{other}]; send only the newest.",
    "integrations_mixed": "Must be the same for all orders of a batch.",
    "not_an_id": "Must be a positive whole number.",
    "duplicate_in_batch": "Has the same external_order_id and external_shipment_id as [{other}]; send only the newest.",
    "duplicate_shipment": "'{value}' occurs more than once; give each shipment of an order its own id.",
    "service_point_gone": (
        "Service point {id} was chosen on {day} and is not available any more. Let the buyer choose another, or send "
        "the order to an address."
    ),
    "excludes": "Cannot be given together with {other}; keep one of them.",
    "item_id_repeated": "'{value}' occurs more than once; give each line of an order its own item_id.",
    "currency_not_carried": (
        "'{value}' cannot be sent by API {api} here; convert every amount to one of {choices} with "
        "payloads.convert(amount, rate) and name that currency."
    ),
    # Parts of a payload that an API generation cannot carry.
    "currency_missing": "API v3 needs the currency of the amounts; use one of {choices}.",
    "only_v3": "API v2 has no place for {field}; it is not sent.",
    "only_v2": "API v3 has no place for {field}; it is not sent.",
    "shipping_method_not_sent": (
        "API v3 knows shipping options by code, not by the id {value}; it is not sent. Give ship_with."
    ),
    "documents_not_sent": "API v3 has no customs shipment type for documents; the type is not sent.",
    "dimensions_incomplete": "API v3 takes all three dimensions or none, and {missing} is missing; none is sent.",
    "post_number_moved": "API v3 takes a post number without service point as po_box of the address.",
    "image_without_product": "API v3 takes a picture only with a product_id; it is not sent.",
    "zero_weight_not_sent": "API v3 wants a weight above 0; the weight is not sent.",
    "order_status_filled_in": "API v3 requires a status; '{value}' is sent.",
    "payment_status_filled_in": (
        "API v3 requires a status of the payment; '{value}' is sent, and shipping rules may ask for it."
    ),
    "delivery_dates_not_sent": "API v3 takes delivery dates with each line; there is none, so they are not sent.",
    "delivery_dates_moved": "API v3 takes delivery dates with each line; they are sent there.",
    # Advice: Sendcloud takes the order, and its label or its customs clearance may fail later.
    "state_missing": "An address in {country} needs a state or province; give to_state.",
    "state_unknown": "This is no code of a state or province in {country}; write its abbreviation.",
    "territory_has_code": (
        "The postal code belongs to {territory}; write the country code {suggestion} rather than {country}, because "
        "carriers and customs treat it apart."
    ),
    "territory_outside": (
        "The postal code belongs to {territory}, which is in {country} and outside its customs or VAT area; a customs "
        "declaration is needed, and some carriers do not deliver."
    ),
    "northern_ireland": (
        "The postal code belongs to Northern Ireland: goods from the European Union need no customs declaration, those "
        "from Great Britain may; choose a carrier that keeps them apart."
    ),
    "house_number_missing": "Neither the address nor house_number holds a number; many carriers require one.",
    "contact_missing": "The carrier has no way to call the buyer to the service point; give email or telephone.",
    "weight_missing": "A label needs a weight; give that of the shipment or of each line.",
    "customs_lines_missing": "Customs demand a declaration of the goods; give parcel_items.",
    "hs_code_missing": "Customs demand an HS code outside the customs area of the sender.",
    "hs_code_unusual": "An HS code has 6 to 12 digits; customs may refuse this one.",
    "origin_missing": "Customs demand the country of origin outside the customs area of the sender.",
    "description_vague": "Customs refuse descriptions that name no goods; write the material and the kind of goods.",
    "line_weight_missing": "Customs demand the weight of each line.",
    "line_value_zero": "Customs demand a value above 0, also for gifts and free samples.",
    "customs_currency_missing": "Customs demand the currency of the values.",
    "customs_type_missing": "Customs demand the reason of the shipment; give customs_shipment_type.",
    "customs_invoice_missing": "Customs demand the number of the commercial invoice; give customs_invoice_nr.",
    "customs_telephone_missing": "Carriers demand a telephone number of the receiver outside the customs area.",
    "telephone_us": "A telephone number in the United States has 10 digits after the country code.",
    "hs_code_us": "Customs of the United States demand an HS code of 10 digits.",
    # Settings of an integration.
    "nothing_to_change": "Nothing to change; pass at least one field.",
    "carrier_missing": (
        "Service points need at least one carrier; pass service_point_carriers=['postnl'] or so along with "
        "service_point_enabled=True."
    ),
    # The words of others: Sendcloud's answer, and the shop's own code.
    "remote": "{text}",
    "text": "{text}",
    # A %-format with the other parameters.
    "order_problem": "{text}",
}

#: Codes whose field may be ``None`` say so at the end, where the parameter ``optional`` is true.
_OR_NONE: Final = "; use None where there is none."


class _Params(dict[str, str | int]):
    """The parameters as text. A parameter that an older version did not store reads as ``…``."""

    def __missing__(self, key: str) -> str:
        return "…"


@dataclass(frozen=True, slots=True)
class Violation:
    """A violated rule.

    Args:
        code: A key of :data:`MESSAGES`.
        params: The parameters of its text. They hold no personal data. Those of an order's line also name the line:
            ``sku``, or else ``product_id``, or else ``item``, its description.
    """

    code: str
    params: Mapping[str, Param] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """Return the plain English text."""
        template = MESSAGES.get(self.code)
        if template is None:
            return f"Breaks the rule {self.code!r}."
        if self.code == "order_problem":
            return self.in_words(str(self.params.get("text", "")))
        text = template.format_map(_Params({name: _as_text(value) for name, value in self.params.items()}))
        return f"{text.removesuffix('.')}{_OR_NONE}" if self.params.get("optional") else text

    @property
    def line(self) -> str:
        """The line of an order that it is about, for instance ``SKU MUG-RED``; ``""`` elsewhere."""
        return next((f"{label} {self.params[name]}" for name, label in LINE_LABELS.items() if name in self.params), "")

    @property
    def line_name(self) -> str:
        """The name alone of that line, for instance ``MUG-RED``."""
        return next((str(self.params[name]) for name in LINE_LABELS if name in self.params), "")

    def in_words(self, text: str) -> str:
        """Return the shop's own text, or a translation of it, with the parameters; as it stands if it is no format."""
        values = _Params(
            {
                name: value if isinstance(value, int) else _as_text(value)
                for name, value in self.params.items()
                if name != "text"
            }
        )
        try:
            return text % values if values else text
        except (TypeError, ValueError):
            return text

    def with_params(self, params: Mapping[str, Param]) -> Self:
        """Return a copy with more parameters; those it has stay."""
        return type(self)(self.code, {**params, **self.params}) if params else self

    def to_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        params = {name: [*value] if isinstance(value, tuple) else value for name, value in self.params.items()}
        return {"code": self.code, "params": params} if params else {"code": self.code}

    @classmethod
    def from_json(cls, stored: object) -> Self:
        """Read it from a JSON column. Text that stands for itself becomes the code ``text``; nothing raises."""
        if isinstance(stored, cls):
            return stored
        if isinstance(stored, Mapping) and isinstance(code := stored.get("code"), str):
            params = stored.get("params")
            return cls(code, dict(params) if isinstance(params, Mapping) else {})
        return cls("text", {"text": stored if isinstance(stored, str) else str(stored)})


#: The parameters that name an order's line, the best first, and their English label.
LINE_LABELS: Final[Mapping[str, str]] = {"sku": "SKU", "product_id": "product", "item": "item"}

#: Field path (``parcel_items[2].weight``) to its violations.
Errors: TypeAlias = dict[str, list[Violation]]


def errors_to_json(errors: Mapping[str, Iterable[object]]) -> dict[str, list[dict[str, Any]]]:
    """Return field errors as they are stored. Text that stands for itself becomes the code ``text``."""
    return {path: [Violation.from_json(found).to_json() for found in violations] for path, violations in errors.items()}


def remote_errors(errors: Mapping[str, Iterable[str]]) -> Errors:
    """Return the field errors that Sendcloud worded, as violations with the code ``remote``."""
    return {path: [Violation("remote", {"text": text}) for text in texts] for path, texts in errors.items()}


def first_field(stored: object) -> tuple[str, str]:
    """Return the first field of stored errors, without positions, and the rule it violates; empty if none is named."""
    for path, violations in errors_from_json(stored).items():
        # Errors of the order as a whole name no field.
        if path and violations:
            return _POSITION.sub("", path), violations[0].code
    return "", ""


def fields_named(stored: object) -> set[str]:
    """Return the fields of stored errors, without positions."""
    return {_POSITION.sub("", path) for path, violations in errors_from_json(stored).items() if path and violations}


def errors_from_json(stored: object) -> Errors:
    """Read stored field errors. Whatever else a JSON column may hold is read as text, and nothing raises."""
    if not isinstance(stored, Mapping):
        return {}
    return {
        str(path): [Violation.from_json(one) for one in (found if isinstance(found, list | tuple) else [found])]
        for path, found in stored.items()
    }


def _as_text(value: Param) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(map(str, value)) if isinstance(value, Sequence) else str(value)
