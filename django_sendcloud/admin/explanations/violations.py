"""Violated rules in the words and the language of the operator, by code."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...core.dates import day
from ...violations import Violation

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["FOR_THE_DEVELOPER", "SENTENCES", "describe"]

FOR_THE_DEVELOPER = _(
    "The shop's own code gives a value here that cannot be sent. Show this to your developer: %(complaint)s"
)
_MISSING = _("This is missing.")
_TOO_LONG = _("This has %(length)s characters, and at most %(limit)s are allowed. Shorten it.")
_TOO_SMALL = _("This is %(value)s, and must be at least %(limit)s.")
_NOT_A_CHOICE = _("%(value)s is not possible here. Use one of these: %(choices)s.")
_NO_COUNTRY = _("%(value)s is not a country code. It takes two capital letters, such as 'NL'.")

#: The text of each code that an operator can do something about. Any other code is for the developer.
SENTENCES: Mapping[str, StrOrPromise] = {
    "required": _MISSING,
    "null": _MISSING,
    "text_null": _MISSING,
    "too_long": _TOO_LONG,
    "id_too_long": _TOO_LONG,
    "hs_code_too_long": _(
        "%(value)s has %(length)s digits, and at most %(limit)s are allowed. Look the HS code up again: a shortened "
        "code declares other goods."
    ),
    "email": _("This is not an e-mail address: it needs one @ with something on both sides, and no spaces."),
    "web_address": _("This is not a web address, which begins with https://."),
    "not_a_choice": _NOT_A_CHOICE,
    "country_unknown": _NO_COUNTRY,
    "country_misspelt": _("%(value)s is not a country code. Use %(suggestion)s."),
    "currency_misspelt": _("%(value)s is not a currency. Use %(suggestion)s."),
    "currency_not_accepted": _("Sendcloud does not accept the currency %(value)s. It accepts %(choices)s."),
    "postal_code_unused": _("%(country)s has no postal codes, but Sendcloud requires some text here. Enter %(value)s."),
    "quantity_fraction": _(
        "This is %(value)s, and must be a whole number of pieces. For goods sold by measure use 1, and put the measure "
        "into the description."
    ),
    "quantity_too_small": _TOO_SMALL,
    "too_small": _TOO_SMALL,
    "negative_amount": _(
        "This is %(value)s, and a price cannot be negative. A discount has to be spread over the other lines."
    ),
    "too_many_decimals": _("This is %(value)s, and may have at most %(limit)s decimals. Round it."),
    "too_many_digits": _("%(value)s has too many digits. Check it."),
    "duplicate_shipment": _("%(value)s occurs more than once."),
    "duplicate_in_batch": _(
        "Another order has the same ids, and Sendcloud would keep only one of them. Ids must differ."
    ),
    "service_point_gone": _(
        "Service point %(id)s, chosen on %(day)s, is not available any more. Ask the buyer to choose "
        "another, or send the order to an address."
    ),
    "carrier_missing": _("Service points need at least one carrier."),
    "currency_not_carried": _("Sendcloud does not accept the currency %(value)s. It accepts %(choices)s."),
    "currency_missing": _("The currency is missing. Use one of these: %(choices)s."),
    # Parts that an API generation cannot carry.
    "only_v3": _("Not sent: this integration uses API v2, which does not have it."),
    "only_v2": _("Not sent: this integration uses API v3, which does not have it."),
    "shipping_method_not_sent": _("Not sent: API v3 knows shipping options by code, not by the number %(value)s."),
    "documents_not_sent": _("Not sent: API v3 has no shipment type for documents."),
    "dimensions_incomplete": _("Not sent: API v3 takes length, width and height together or not at all."),
    "post_number_moved": _("Sent as the P.O. box of the address, because there is no service point."),
    "image_without_product": _("Not sent: Sendcloud shows a picture only if there is a product id."),
    "zero_weight_not_sent": _("Not sent: the weight must be above 0."),
    "order_status_filled_in": _("There is no status, so “%(value)s” is sent."),
    "payment_status_filled_in": _("There is no payment status, so “%(value)s” is sent. Shipping rules may ask for it."),
    "delivery_dates_moved": _("Sent with each order line."),
    "delivery_dates_not_sent": _("Not sent: API v3 takes delivery dates with order lines, and there are none."),
    # Advice.
    "state_missing": _("An address in %(country)s needs a state or province."),
    "state_unknown": _("This is not a state or province in %(country)s. Use its abbreviation."),
    "territory_has_code": _("The postal code belongs to %(territory)s. Use the country code %(suggestion)s."),
    "territory_outside": _(
        "The postal code belongs to %(territory)s. A customs declaration is needed, and some carriers do not deliver."
    ),
    "northern_ireland": _(
        "The postal code belongs to Northern Ireland, which has customs rules of its own. Check the carrier."
    ),
    "house_number_missing": _("The address has no house number. Many carriers require one."),
    "contact_missing": _("The carrier needs an e-mail address or a telephone number to notify the buyer."),
    "weight_missing": _("A label needs a weight: of the shipment, or of each order line."),
    "customs_lines_missing": _("Customs need to know the goods, and the order has no lines."),
    "hs_code_missing": _("Customs need an HS code."),
    "hs_code_unusual": _("An HS code has 6 to 12 digits. Customs may refuse this one."),
    "origin_missing": _("Customs need the country of origin."),
    "description_vague": _("Customs refuse descriptions that name no goods. Name the material and the kind of goods."),
    "line_weight_missing": _("Customs need the weight of each order line."),
    "line_value_zero": _("Customs need a value above 0, also for gifts and samples."),
    "customs_currency_missing": _("Customs need the currency of the values."),
    "customs_type_missing": _("Customs need the reason for the shipment."),
    "customs_invoice_missing": _("Customs need the number of the commercial invoice."),
    "customs_telephone_missing": _("Carriers need the receiver's telephone number for customs."),
    "telephone_us": _("A telephone number in the United States has 10 digits after the country code."),
    "hs_code_us": _("Customs in the United States need an HS code of 10 digits."),
}


def describe(violation: Violation) -> str:
    """Return the text of a violation in the active language.

    Sendcloud's own words are translated where Django or its REST framework, which Sendcloud is made with, know them.
    """
    if violation.code in ("remote", "text"):
        text = str(violation.params.get("text", ""))
        return gettext(text) if text else ""
    if violation.code == "order_problem":
        text = str(violation.params.get("text", ""))
        return violation.in_words(gettext(text)) if text else ""
    sentence = SENTENCES.get(violation.code, FOR_THE_DEVELOPER)
    values: defaultdict[str, str] = defaultdict(lambda: "…", complaint=str(violation))
    for name, value in violation.params.items():
        values[name] = _day(value) if name == "day" else ", ".join(value) if isinstance(value, list) else str(value)
    return str(sentence) % values


def _day(value: object) -> str:
    try:
        return day(dt.date.fromisoformat(str(value)))
    except ValueError:
        return str(value)
