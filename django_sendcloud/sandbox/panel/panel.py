"""The panel's addresses: pages are read with GET, everything that changes something is a POST and a redirect."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from ..api import Answer
from ..parcels import STATUSES, Parcel, Parcels
from ..pdf import labels_on_a4, labels_on_a6
from ..state import SandboxIntegration, State, StoredShipment
from ..validation import integration_setting_errors
from . import views
from .markup import Markup

if TYPE_CHECKING:
    from ..sandbox import Sandbox

__all__ = ["Panel"]

T = TypeVar("T")

_LOCAL_NAMES: Final = re.compile(r"(localhost|127(\.\d+){3}|\[::1\]|[\w-]+\.localhost)(:\d+)?", re.ASCII)


class _Missing(Exception):
    """There is no such thing."""


class _Mistake(Exception):
    """What was filled in cannot be."""


class Panel:
    """Answers a person's browser."""

    def __init__(self, sandbox: Sandbox, state: State, parcels: Parcels) -> None:
        self._sandbox = sandbox
        self._state = state
        self._parcels = parcels
        self._note = ""

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a request.

        Args:
            method: HTTP method.
            path: Path without query.
            query: Query.
            headers: By lower-case names.
            body: The whole body.
        """
        if self._sandbox.local and not _LOCAL_NAMES.fullmatch(headers.get("host", "")):
            # Another site's name that was made to point at this machine.
            return self._page("Not here", views.message("Not here", "Open the panel as localhost or 127.0.0.1."), 403)
        try:
            if method == "POST":
                if not _same_site(headers):
                    text = "This was asked for by another site."
                    return self._page("Refused", views.message("Refused", text), 403)
                fields = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
                return self._act(path, fields)
            if method in ("GET", "HEAD"):
                options = {name: values[-1] for name, values in parse_qs(query).items()}
                return self._show(path, options, refresh="x-refresh" in headers)
        except _Missing:
            pass
        return self._page("Not found", views.message("Not found", "There is nothing here (any more)."), 404)

    # Pages

    def _show(self, path: str, options: Mapping[str, str], *, refresh: bool) -> Answer:
        sandbox = self._sandbox
        start = int(options["start"]) if options.get("start", "").isdecimal() else 0
        note = "" if refresh else self._take_note()
        match path.strip("/").split("/"):
            case [""]:
                search = options.get("q", "").strip()
                found = [s for s in reversed(self._state.shipments()) if _found(s, search)]
                shown = found[start : start + views.PAGE]
                made: dict[str, list[Parcel]] = {}
                for parcel in self._parcels.all():
                    made.setdefault(parcel.shipment_uuid, []).append(parcel)
                main = views.orders(shown, len(found), search, start, made)
                return self._page("Incoming orders", main, section="/", note=note, live=True)
            case ["orders", uuid]:
                shipment = self._shipment(uuid)
                integration = self._state.integrations.get(shipment.integration_id)
                main = views.order(shipment, self._parcels.of(uuid), integration)
                return self._page(shipment.fields["order_number"], main, section="/", note=note, live=True)
            case ["parcels"]:
                parcels = self._parcels.all()[::-1]
                main = views.parcels(parcels[start : start + views.PAGE], len(parcels), start)
                return self._page("Parcels", main, section="/parcels/", note=note, live=True)
            case ["parcels", number, ("label.pdf" | "a4.pdf") as name]:
                pages = [self._parcel(number)]
                pdf = labels_on_a6(pages) if name == "label.pdf" else labels_on_a4(pages)
                return Answer(200, pdf, "application/pdf")
            case ["parcels", number]:
                parcel = self._parcel(number)
                main = views.parcel(parcel)
                return self._page(parcel.tracking_number, main, section="/parcels/", note=note, live=True)
            case ["webhooks"]:
                webhooks = sandbox.webhooks[::-1]
                main = views.webhooks(webhooks[start : start + views.PAGE], len(webhooks), start)
                return self._page("Webhooks", main, section="/webhooks/", note=note, live=True)
            case ["webhooks", number]:
                webhook = _one(webhook for webhook in sandbox.webhooks if str(webhook.number) == number)
                main = views.webhook(webhook)
                return self._page(f"Webhook {number}", main, section="/webhooks/", note=note, live=True)
            case ["requests"]:
                requests = sandbox.requests[::-1]
                main = views.requests(requests[start : start + views.PAGE], len(requests), start)
                return self._page("Requests", main, section="/requests/", note=note, live=True)
            case ["requests", number]:
                request = _one(request for request in sandbox.requests if str(request.number) == number)
                return self._page(f"Request {number}", views.request(request), section="/requests/", note=note)
            case ["integrations"]:
                main = views.integrations(sandbox.integrations, sandbox)
                return self._page("Integrations", main, section="/integrations/", note=note)
            case ["faults"]:
                return self._page("Faults", views.faults(sandbox), section="/faults/", note=note)
        raise _Missing

    # Actions

    def _act(self, path: str, fields: Mapping[str, str]) -> Answer:
        """Do something. What it is about has to exist, before anything is done."""
        try:
            where, self._note = self._do(path.strip("/").split("/"), fields)
        except KeyError:
            raise _Missing from None
        except _Mistake as mistake:
            return self._page("Not done", views.message("Not done", str(mistake)), 400)
        return Answer(303, headers={"Location": where})

    def _do(self, path: list[str], fields: Mapping[str, str]) -> tuple[str, str]:
        """Do something; where to go then, and what to say there."""
        sandbox = self._sandbox
        match path:
            case ["orders", uuid, "label"]:
                count = _number(fields.get("parcels", "1"), "Parcels", 1, 100)
                self._shipment(uuid)
                sandbox.create_label(uuid, count)
                return f"/orders/{uuid}/", f"{count} label{'s' if count > 1 else ''} created."
            case ["orders", uuid, "delete"]:
                sandbox.delete_shipment(uuid)
                return "/", "The order is deleted."
            case ["parcels", number, action]:
                return self._do_with_parcel(self._parcel(number), action, fields)
            case ["webhooks", number, "again"]:
                sandbox.send_webhook_again(int(number) if number.isdecimal() else 0)
                return f"/webhooks/{number}/", "The webhook is sent again."
            case ["integrations", "add"]:
                name = fields.get("shop_name", "").strip() or "Another shop"
                return "/integrations/", f"Connected as {sandbox.add_integration(name[:250]).id}."
            case ["integrations", number, action]:
                integration = self._state.integrations.get(int(number) if number.isdecimal() else 0)
                if integration is not None:
                    return "/integrations/", self._do_with_integration(integration, action, fields)
            case ["faults", action]:
                return "/faults/", self._do_with_faults(action, fields)
            case ["reset"]:
                sandbox.reset()
                return "/", "All is forgotten, but for the integrations."
        raise _Missing

    def _do_with_parcel(self, parcel: Parcel, action: str, fields: Mapping[str, str]) -> tuple[str, str]:
        sandbox = self._sandbox
        where = f"/parcels/{parcel.id}/"
        match action:
            case "next":
                sandbox.advance(parcel.id)
                return where, f"{parcel.status_message}."
            case "status":
                status = _number(fields.get("status", ""), "Status", 0, 10**6)
                sandbox.set_parcel_status(parcel.id, status)
                return where, f"{STATUSES.get(status, f'Status {status}')}."
            case "cancel":
                code, said = sandbox.cancel_parcel(parcel.id)
                return "/parcels/" if code == 410 else where, said
            case "return":
                return f"/parcels/{sandbox.create_return(parcel.id)['id']}/", "The return is created."
        raise _Missing

    def _do_with_integration(self, integration: SandboxIntegration, action: str, fields: Mapping[str, str]) -> str:
        sandbox = self._sandbox
        match action:
            case "save":
                self._save(integration, fields)
                return "Saved."
            case "test" | "credentials":
                send = sandbox.send_test_webhook if action == "test" else sandbox.send_credentials
                if send(integration.id) is None:
                    raise _Mistake("The integration has no webhook: give it an address and switch it on.")
                return "The webhook is sent."
            case "revoke":
                sandbox.revoke_credentials(integration.id)
                return "The keys are refused from now on."
            case "restore":
                sandbox.restore_credentials(integration.id)
                return "The keys are accepted again."
            case "delete":
                sandbox.delete_integration(integration.id)
                return "The integration is deleted, with its orders."
        raise _Missing

    def _save(self, integration: SandboxIntegration, fields: Mapping[str, str]) -> None:
        changes: dict[str, Any] = {
            "shop_name": fields.get("shop_name", "").strip(),
            "service_point_enabled": "service_point_enabled" in fields,
            "service_point_carriers": fields.get("service_point_carriers", "").replace(",", " ").split(),
            "webhook_active": "webhook_active" in fields,
        }
        for name in ("shop_url", "webhook_url"):
            if value := fields.get(name, "").strip():
                changes[name] = value
        if errors := integration_setting_errors(changes, integration.settings()):
            raise _Mistake(" ".join(line for lines in errors.values() for line in lines))
        integration.webhook_signature_key = fields.get("webhook_signature_key", "").strip()
        self._sandbox.change_integration(integration.id, **changes)

    def _do_with_faults(self, action: str, fields: Mapping[str, str]) -> str:
        sandbox = self._sandbox
        match action:
            case "set":
                latency = _decimal(fields.get("latency", "0"), "Every answer takes longer")
                sandbox.latency, sandbox.paused = latency, "paused" in fields
                sandbox.rate_limits = "rate_limits" in fields
                sandbox.retry_after = fields.get("retry_after", "").strip() or None
                return "Saved."
            case "next":
                times = _number(fields.get("times", "1"), "Times", 1, 10**6)
                match_field = fields.get("match", "").strip() or None
                apply = "apply" in fields
                match fields.get("kind"):
                    case "answer":
                        status = _number(fields.get("status", "500"), "Status", 400, 599)
                        sandbox.fail_next(status, times, match=match_field, apply=apply)
                    case "drop":
                        sandbox.drop_answer(times, apply, match_field)
                    case "hang":
                        seconds = _decimal(fields.get("seconds", "30"), "Seconds")
                        sandbox.hang_next(seconds, times, "before" if apply else "never", match_field)
                    case "truncate":
                        sandbox.truncate_next(times, match_field)
                    case "html":
                        sandbox.html_next(times, apply=apply, match=match_field)
                    case _:
                        raise _Missing
                return "Switched on."
            case "clear":
                sandbox.clear_faults()
                sandbox.rate_limits = False
                return "All faults are switched off."
        raise _Missing

    # What pages and actions share

    def _shipment(self, uuid: str) -> StoredShipment:
        shipment = self._state.find(shipment_uuid=uuid)
        if shipment is None:
            raise _Missing
        return shipment

    def _parcel(self, number: str) -> Parcel:
        parcel = self._parcels.get(int(number) if number.isdecimal() else 0)
        if parcel is None:
            raise _Missing
        return parcel

    def _take_note(self) -> str:
        note, self._note = self._note, ""
        return note

    def _page(
        self, title: str, main: Markup, status: int = 200, *, section: str = "", note: str = "", live: bool = False
    ) -> Answer:
        nonce = secrets.token_urlsafe(12)
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; "
                "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            ),
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }
        body = views.page(title, section, main, note=note, nonce=nonce, live=live)
        return Answer(status, body, "text/html; charset=utf-8", headers)


def _same_site(headers: Mapping[str, str]) -> bool:
    """Whether a form was sent by the panel itself, or by a program, and not by a page of somebody else."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return False
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _found(shipment: StoredShipment, search: str) -> bool:
    if not search:
        return True
    names = (
        "order_number",
        "external_order_id",
        "external_shipment_id",
        "name",
        "company_name",
        "email",
        "city",
        "postal_code",
    )
    return any(search.casefold() in str(shipment.fields[name] or "").casefold() for name in names)


def _one(found: Iterable[T]) -> T:
    for thing in found:
        return thing
    raise _Missing


def _number(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise _Mistake(f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def _decimal(text: str, name: str) -> float:
    try:
        number = float(text or "0")
    except ValueError:
        number = -1.0
    if not 0 <= number <= 3600:
        raise _Mistake(f"{name} must be a number of seconds from 0 to 3600.")
    return number
