"""Words for error codes: title, reason, and what to do.

The engine stores codes; this module alone turns them into sentences. An unknown code gets an honest general answer.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...models import EntryState, PauseReason
from ...sync.outcomes import reaction_to
from ...violations import Violation, errors_from_json
from .violations import describe

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = [
    "ERRORS",
    "FIELDS",
    "LOGGED",
    "PAUSES",
    "Explanation",
    "FieldProblem",
    "explain",
    "explain_entry",
    "explain_error",
    "explain_log",
    "explain_pause",
    "field_label",
    "fields_of",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """Explanation of one problem.

    Args:
        title: Problem in a few words.
        why: Cause.
        advice: What the operator can do, or what happens automatically.
        is_transient: Whether it is retried automatically.
    """

    title: StrOrPromise
    why: StrOrPromise
    advice: StrOrPromise
    is_transient: bool = False


_AGAIN = _("No action needed: it is retried automatically, at growing intervals, for at least three days.")

#: All codes of ``OutboxEntry.error_code``.
ERRORS: Mapping[str, Explanation] = {
    "payload_invalid": Explanation(
        _("Invalid data"),
        _("Sendcloud would reject this order's data, so we did not send it. Other orders are not affected."),
        _("Fix it in the order or product. Saving sends it again."),
    ),
    "rejected": Explanation(
        _("Sendcloud rejected the order"),
        _("Sendcloud rejects this order's data. Other orders are not affected."),
        _("Fix it in the order or product. Saving sends it again."),
    ),
    "deletion_rejected": Explanation(
        _("Sendcloud rejected the deletion"),
        _("The shop does not ship this order any more, but Sendcloud keeps it. Other orders are not affected."),
        _("Check the order in Sendcloud, and cancel its label if it has one. Then push the order again."),
    ),
    "order_problem": Explanation(
        _("The shop cannot send this order"),
        _("The order breaks a rule of the shop itself, so it was not sent. Other orders are not affected."),
        _("Fix it in the order or product. Saving sends it again."),
    ),
    "adapter_error": Explanation(
        _("The shop's own code failed on this order"),
        _("The adapter that turns an order into a shipment raised an error, so there was nothing to send."),
        _(
            "Show the technical details to your developer. After the fix, push the order again, or all with "
            "this problem."
        ),
    ),
    "adapter_slow": Explanation(
        _("The shop's own code was slow with this order"),
        _("The adapter needed more than five seconds to make a shipment of the order. Other orders waited."),
        _("Ask your developer to check what the adapter waits for with this order."),
        is_transient=True,
    ),
    "no_shipments": Explanation(
        _("The order has nothing to send"),
        _("The adapter says that the order is to be shipped, but makes no shipment of it."),
        _("Check that the order has lines. If it must not be shipped, ask your developer to make the adapter say so."),
    ),
    "too_many_shipments": Explanation(
        _("The order has too many shipments"),
        _("Sendcloud takes at most 100 shipments in a request, and the adapter made more of this one order."),
        _("Divide the order, or ask your developer to check how the adapter splits orders."),
    ),
    "duplicate_shipment": Explanation(
        _("Two shipments of the order have the same id"),
        _("Sendcloud identifies shipments by their ids; of two with the same ids only one would remain."),
        _("Ask your developer to give each shipment of an order its own external_shipment_id."),
    ),
    "same_ids": Explanation(
        _("Another order has the same id at Sendcloud"),
        _("Two orders share their external ids. Sendcloud would keep only one of them, so this one is on hold."),
        _(
            "If the other order is about to be deleted, this one follows automatically. Otherwise ask your "
            "developer to give every order its own id."
        ),
    ),
    "no_integration": Explanation(
        _("There is no integration to send it to"),
        _("No Sendcloud integration is connected and in use, or the one this order belongs to is not in use."),
        _("Connect an integration, or mark it as in use. Waiting orders are then sent automatically."),
        is_transient=True,
    ),
    "integration_unknown": Explanation(
        _("It is not clear which integration the order belongs to"),
        _("Several integrations are in use, and none fits this order best by its countries and sites."),
        _("Enter countries or sites on the integrations' pages, or leave only one integration in use."),
        is_transient=True,
    ),
    "adapter_missing": Explanation(
        _("The shop has no adapter for this kind of order"),
        _("The code that turned these orders into shipments is not there any more, or has not been deployed yet."),
        _("Ask your developer to register an adapter for it. The orders wait until then."),
        is_transient=True,
    ),
    "credentials": Explanation(
        _("Sendcloud rejects the API keys"),
        _(
            "The public key or the secret key is wrong, was replaced or revoked in Sendcloud's panel, or the "
            "integration has been switched to OAuth2."
        ),
        _(
            "Copy both keys from Sendcloud's panel (Settings > Integrations > Configure) into the "
            "integration here. No order is lost: all wait and are sent afterwards."
        ),
    ),
    "permission": Explanation(
        _("Sendcloud does not allow this with these keys"),
        _(
            "The keys are right, but do not allow this request. API v2 takes orders from Sendcloud's certified "
            "partners only."
        ),
        _(
            "Move the integration to API v3, which every account may use. If you have a partner id, ask your developer "
            "to set PARTNER_ID. Orders are kept meanwhile."
        ),
    ),
    "gone": Explanation(
        _("Sendcloud does not know this integration any more"),
        _("It was deleted in Sendcloud's panel, or the keys belong to another account."),
        _(
            "If it was deleted on purpose, take it out of use here and connect another. Otherwise check its id and "
            "its keys, then resume it."
        ),
    ),
    "paused": Explanation(
        _("The integration is paused"),
        _("Nothing is sent to it during the pause. Its page says why."),
        _("No action needed for this order: it is sent as soon as the integration is resumed."),
        is_transient=True,
    ),
    "rate_limited": Explanation(
        _("Sendcloud asked us to slow down"),
        _("More requests were made with this Sendcloud account than it allows in a minute, by this shop or others."),
        _("No action needed: sending continues automatically as soon as Sendcloud allows it."),
        is_transient=True,
    ),
    "not_sent": Explanation(
        _("Sendcloud could not be reached"),
        _("The connection could not be made: the network, DNS or Sendcloud itself did not answer."),
        _AGAIN,
        is_transient=True,
    ),
    "no_answer": Explanation(
        _("Sendcloud did not answer in time"),
        _("The connection broke or took too long after sending, so it is unknown whether the order arrived."),
        _("No action needed: it is sent again automatically after a pause, and cannot arrive twice."),
        is_transient=True,
    ),
    "server_error": Explanation(
        _("Sendcloud had a problem of its own"),
        _("Its server answered with an error. The shop did not cause it."),
        _AGAIN,
        is_transient=True,
    ),
    "unreadable_answer": Explanation(
        _("Sendcloud's answer could not be read"),
        _("Something other than Sendcloud's usual answer came back: an error page, or only part of an answer."),
        _("No action needed: it is sent again automatically after a pause, and cannot arrive twice."),
        is_transient=True,
    ),
    "answer_incomplete": Explanation(
        _("Sendcloud's answer did not mention this order"),
        _("The request was answered, but the answer does not say what became of this order."),
        _("No action needed: it is sent again automatically after a pause, and cannot arrive twice."),
        is_transient=True,
    ),
    "not_confirmed": Explanation(
        _("Sendcloud accepted this order but has not saved it"),
        _("The order was accepted, but Sendcloud still does not have it after the time this usually takes."),
        _("No action needed: it is sent again automatically after a pause, and cannot arrive twice."),
        is_transient=True,
    ),
    "processing": Explanation(
        _("Sendcloud was still busy with this order"),
        _("An earlier change of the same order is still being worked on there."),
        _("No action needed: it is sent again in a few seconds."),
        is_transient=True,
    ),
    "tls": Explanation(
        _("The connection to Sendcloud is not trustworthy"),
        _(
            "The server that answered could not prove that it is Sendcloud (its certificate is invalid), so neither "
            "keys nor orders were sent."
        ),
        _("Ask your developer to check the server's certificates, its clock, and any proxy in between; then resume."),
    ),
    "redirected": Explanation(
        _("Sendcloud's address points elsewhere"),
        _("The server answered with a redirect. The keys are never sent along, so nothing was sent."),
        _("Ask your developer to check SENDCLOUD['BASE_URL']; then resume the integration."),
    ),
    "wrong_address": Explanation(
        _("The address is not Sendcloud's API"),
        _("The address that the shop has for Sendcloud leads somewhere else, or cannot be used. The details name it."),
        _("Ask your developer to check SENDCLOUD['BASE_URL']."),
    ),
    "worker_died": Explanation(
        _("This order stopped its worker again and again"),
        _("Each time it was to be pushed, the worker ended without an error: usually out of memory, or killed."),
        _("Look at the order (is it enormous?) and at the worker's log. Then push it again."),
    ),
    "gave_up": Explanation(
        _("Stopped after many attempts"),
        _("It has failed for days, so it is not retried any more."),
        _("After the cause is fixed, push it again, or all with this problem."),
    ),
    "internal_error": Explanation(
        _("Something unexpected went wrong here"),
        _("An error that should not be possible stopped the push. It is in the worker's log."),
        _("It is retried automatically. If the problem persists, please report it with the technical details."),
        is_transient=True,
    ),
}

#: Rejection of an operator's request.
REJECTED = Explanation(
    _("Sendcloud rejects this"),
    _("Sendcloud's reason stands at the end of this message."),
    _("Nothing was changed. Fix the named fields, and try again."),
)
TRY_AGAIN = _("Nothing was changed as far as is known. Try again in a little while.")

#: All reasons of a pause.
PAUSES: Mapping[str, Explanation] = {
    PauseReason.PERSON.value: Explanation(
        _("Paused by an operator"),
        _("An operator paused it. New orders are kept; nothing is sent."),
        _("Resume it when you are ready. Waiting orders are sent then."),
    ),
    PauseReason.CREDENTIALS.value: ERRORS["credentials"],
    PauseReason.PERMISSION.value: ERRORS["permission"],
    PauseReason.GONE.value: ERRORS["gone"],
    PauseReason.COPY.value: Explanation(
        _("This may be a copy of the shop"),
        _("It was connected in another deployment: its database or its address is another one here. Nothing is sent."),
        _("Press “This is the shop that ships” or “This is a copy”. Until then orders are kept and not sent."),
    ),
    PauseReason.MOVE.value: Explanation(
        _("It is being moved to another API"),
        _("It waits for the orders that workers have claimed, and compares those at Sendcloud. Nothing is sent."),
        _("Wait until the move has ended. If it was interrupted, start it again, or resume to stay with the old API."),
    ),
    PauseReason.CONFIGURATION.value: Explanation(
        _("The connection to Sendcloud is not set up safely"),
        _("The server's certificate is invalid, or Sendcloud's address points elsewhere, so nothing was sent."),
        _("Ask your developer to read the details, fix the cause and test the connection; then resume."),
    ),
}


_CERTIFICATE = Explanation(
    _("The shop's certificate is not valid"),
    _("Sendcloud called the shop, and the shop could not prove that this is its address."),
    _("Ask your developer to renew the certificate, and to check that it is sent with its whole chain."),
)
_UNREACHABLE = Explanation(
    _("The shop could not be reached"),
    _("The host name does not resolve or the port is closed, seen from Sendcloud."),
    _("Check that the webhook address can be opened from the internet, and that no firewall keeps Sendcloud out."),
)
_TOO_SLOW = Explanation(
    _("The shop did not answer in time"),
    _("Sendcloud called the shop and waited in vain."),
    _("Ask your developer whether the server was overloaded or restarting at that time."),
)
_REJECTED_THERE = Explanation(
    _("The shop did not accept the request"),
    _(
        "The signature did not match the keys that are entered here, or something in front of the shop asks for a "
        "login."
    ),
    _("Enter the keys of this integration again, and keep logins and firewalls away from the webhook address."),
)
_NOT_THERE = Explanation(
    _("The address is not there"),
    _("The shop answered that it does not know the address that Sendcloud called."),
    _("Register the webhook again, so that Sendcloud has the address of this shop."),
)
_MOVED = Explanation(
    _("The address points elsewhere"),
    _("The shop answered with a redirect, and Sendcloud does not follow it."),
    _("Register the webhook with the address the shop really has: https, and the right host name."),
)
_SHOP_FAILED = Explanation(
    _("The shop had a problem of its own"),
    _("The shop's server answered Sendcloud with an error."),
    _("Ask your developer to look into the server's log at that time."),
)
_SOMETHING = Explanation(
    _("A request failed"),
    _("Sendcloud logged it, and gives no more than the technical details."),
    _("If parcels are missing here, show the technical details to your developer or to Sendcloud's support."),
)

#: Errors in Sendcloud's connection log, by the last name of the exception's type.
LOGGED: Mapping[str, Explanation] = {
    "SSLError": _CERTIFICATE,
    "ConnectionError": _UNREACHABLE,
    "ConnectionRefusedError": _UNREACHABLE,
    "MaxRetryError": _UNREACHABLE,
    "NewConnectionError": _UNREACHABLE,
    "Timeout": _TOO_SLOW,
    "ConnectTimeout": _TOO_SLOW,
    "ReadTimeout": _TOO_SLOW,
    "TooManyRedirects": _MOVED,
}


def explain_log(exception_type: str, status: int | None) -> Explanation:
    """Explain an entry of Sendcloud's connection log; in general terms if it is unknown.

    Args:
        exception_type: Python path of the exception, for instance ``requests.exceptions.SSLError``; ``""`` if none.
        status: HTTP status of the shop's answer, ``None`` if none.
    """
    if known := LOGGED.get(exception_type.rpartition(".")[2]):
        return known
    match status:
        case 401 | 403 | 407 | 511:
            return _REJECTED_THERE
        case 404 | 410:
            return _NOT_THERE
        case 408 | 504 | 524:
            return _TOO_SLOW
        case 495 | 496 | 525 | 526:
            return _CERTIFICATE
        case 521 | 522 | 523:
            return _UNREACHABLE
        case int() if 300 <= status < 400:
            return _MOVED
        case int() if status >= 500:
            return _SHOP_FAILED
    return _SOMETHING


def explain(code: str) -> Explanation:
    """Explain an error code; in general terms if it is unknown."""
    return ERRORS.get(code) or Explanation(
        _("It did not work"),
        _("The problem is known as “%(code)s”, which this version has no words for.") % {"code": code},
        _("Read the technical details, or show them to your developer. Then push it again."),
    )


def explain_pause(reason: str) -> Explanation:
    """Explain a pause; in general terms if its reason is unknown."""
    return PAUSES.get(reason) or explain(reason)


def explain_entry(state: str, code: str) -> Explanation:
    """Explain an outbox entry: a dead-lettered one is not retried, whatever its code says."""
    found = explain(code)
    if state != EntryState.DEAD or not found.is_transient:
        return found
    stopped = ERRORS["gave_up"]
    return Explanation(
        stopped.title,
        format_lazy(_("{why} The last problem: {problem}."), why=stopped.why, problem=found.title),
        stopped.advice,
    )


def explain_error(error: Exception) -> Explanation:
    """Explain an error of an operator's request, by the table the engine uses."""
    code = reaction_to(error).problem.code
    if code in ("rejected", "payload_invalid"):
        return REJECTED
    explanation = explain(code)
    # The engine retries automatically, an operator has to.
    return dataclasses.replace(explanation, advice=TRY_AGAIN) if explanation.is_transient else explanation


# -- fields ------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class FieldProblem:
    """Problem of one field.

    Args:
        label: Name for operators.
        path: Contract path.
        messages: Complaints in the operator's words.
        said: Original complaints.
    """

    label: str
    path: str
    messages: list[str]
    said: list[str]


#: Names of the contract's fields. ``parent.name`` goes before ``name`` where it differs.
FIELDS: Mapping[str, StrOrPromise] = {
    "address": _("address"),
    "address_2": _("second address line"),
    "checkout_payload": _("choice in the checkout"),
    "city": _("city"),
    "code": _("code"),
    "company_name": _("company"),
    "country": _("country"),
    "country_code": _("country"),
    "created_at": _("date of the order"),
    "currency": _("currency"),
    "customs_details": _("customs details"),
    "customs_invoice_nr": _("customs invoice number"),
    "customs_shipment_type": _("customs shipment type"),
    "delivery_date": _("delivery date"),
    "delivery_method_data": _("delivery date chosen"),
    "delivery_method_type": _("kind of delivery"),
    "description": _("description"),
    "discount_granted": _("discount"),
    "email": _("e-mail address"),
    "external_order_id": _("order id"),
    "external_shipment_id": _("shipment id"),
    "extra": _("additional fields"),
    "formatted_delivery_date": _("delivery date in words"),
    "freight_costs": _("freight costs"),
    "height": _("height"),
    "house_number": _("house number"),
    "hs_code": _("HS code"),
    "id": _("id"),
    "importer_of_records": _("importer of record"),
    "insurance_costs": _("insurance costs"),
    "intended_use": _("intended use"),
    "length": _("length"),
    "material_content": _("material"),
    "message": _("text"),
    "mid_code": _("manufacturer's code (MID)"),
    "name": _("name of the receiver"),
    "order_number": _("order number"),
    "order_status": _("status of the order"),
    "origin_country": _("country of origin"),
    "other_costs": _("other costs"),
    "parcel_handover_date": _("date of handover to the carrier"),
    "parcel_items": _("order lines"),
    "payment_status": _("status of the payment"),
    "postal_code": _("postal code"),
    "product_id": _("product id"),
    "properties": _("properties"),
    "quantity": _("quantity"),
    "receiver": _("receiver"),
    "selected_functionalities": _("delivery options"),
    "sender": _("sender"),
    "sender_address_id": _("sender address"),
    "shipping_method": _("shipping method"),
    "shipping_method_checkout_name": _("delivery method chosen in the checkout"),
    "shipping_product": _("shipping product"),
    "shipping_product.name": _("name"),
    "sku": _("SKU"),
    "tax_numbers": _("tax numbers"),
    "tax_numbers.name": _("kind"),
    "telephone": _("telephone number"),
    "to_post_number": _("post number"),
    "to_service_point": _("service point"),
    "to_state": _("state or province"),
    "total_order_value": _("total value of the order"),
    "updated_at": _("time of the last change"),
    "value": _("value"),
    "weight": _("weight"),
    "width": _("width"),
    "parcel_items.value": _("price of one piece"),
    "parcel_items.weight": _("weight of one piece"),
    "billing_address": _("billing address"),
    "carrier_service_point_id": _("service point"),
    "customs_export_type": _("kind of export"),
    "dangerous_goods": _("dangerous goods"),
    "deliver_at": _("delivery date"),
    "details": _("details"),
    "ean": _("EAN"),
    "estimated_shipping_price": _("shipping costs"),
    "estimated_tax_price": _("tax"),
    "handover_at": _("date of handover to the carrier"),
    "image_url": _("picture"),
    "invoice_date": _("date of the invoice"),
    "is_cash_on_delivery": _("cash on delivery"),
    "is_local_pickup": _("local pickup"),
    "item_id": _("id"),
    "notes": _("notes"),
    "ship_with": _("shipping option"),
    "subtotal_price": _("subtotal"),
    "tags": _("tags"),
    "variant_id": _("id of the variant"),
    # Settings of an integration.
    "service_point_carriers": _("service point carriers"),
    "service_point_enabled": _("service points"),
    "shop_name": _("name of the shop"),
    "shop_url": _("address of the shop"),
    "webhook_active": _("webhook switched on"),
    "webhook_url": _("webhook address"),
}

_PARTS = re.compile(r"[^.\[\]/]+")
_WHOLE = frozenset({"non_field_errors", "__all__", "detail"})
_HOLDERS_OF_TAX_NUMBERS = frozenset({"sender", "receiver", "importer_of_records"})


def field_label(path: str) -> str:
    """Name a field path: ``parcel_items[2].weight`` is *order line 3, weight of one piece*."""
    words: list[str] = []
    parent = ""
    for part in _PARTS.findall(path):
        if part in _WHOLE:
            continue
        if not part.isdecimal():
            words.append(str(FIELDS.get(f"{parent}.{part}") or FIELDS.get(part, part)))
            parent = "tax_numbers" if part in _HOLDERS_OF_TAX_NUMBERS else part
        elif parent == "parcel_items":
            words[-1] = gettext("order line %(number)d") % {"number": int(part) + 1}
        elif words:
            words[-1] = f"{words[-1]} {int(part) + 1}"
        # A leading number is a position in a batch, which means nothing to an operator.
    return ", ".join(words) or gettext("the order as a whole")


def fields_of(errors: Any) -> list[FieldProblem]:
    """Return field errors ready to be shown. Takes any value a JSON column may hold, and fails on none."""
    return [
        FieldProblem(
            _label(path, violations), path, [describe(one) for one in violations], [str(one) for one in violations]
        )
        for path, violations in errors_from_json(errors).items()
    ]


def _label(path: str, violations: Iterable[Violation]) -> str:
    label = field_label(path)
    line = next((one.line_name for one in violations if one.line_name), "")
    return f"{label} ({line})" if line else label
