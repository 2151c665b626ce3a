"""The panel: pages are GET requests, actions are POST requests followed by a redirect."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from ..control import Control
from ..http import Response
from ..labels import labels_on_a4, labels_on_a6
from ..parcels import Parcel, Parcels
from ..store import Store, StoredOrder
from . import pages
from .actions import Actions
from .errors import InvalidForm, PageNotFound
from .layout import page
from .markup import Markup
from .parts import PAGE, message

__all__ = ["Panel"]

T = TypeVar("T")

_LOCAL_NAMES: Final = re.compile(r"(localhost|127(\.\d+){3}|\[::1\]|[\w-]+\.localhost)(:\d+)?", re.ASCII)


class Panel:
    """Answers a browser."""

    def __init__(self, control: Control, store: Store, parcels: Parcels) -> None:
        self._control = control
        self._store = store
        self._parcels = parcels
        self._actions = Actions(control, store, parcels)
        self._note = ""

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Answer a request.

        Args:
            method: HTTP method.
            path: Path without query.
            query: Query.
            headers: Headers by lower-case names.
            body: The whole body.
        """
        if self._control.local and not _LOCAL_NAMES.fullmatch(headers.get("host", "")):
            # A name of another site may point at this machine.
            return self._page("Not here", message("Not here", "Open the panel as localhost or 127.0.0.1."), 403)
        try:
            if method == "POST":
                if not _same_site(headers):
                    return self._page("Refused", message("Refused", "Another site sent this form."), 403)
                fields = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
                return self._act(path, fields)
            if method in ("GET", "HEAD"):
                options = {name: values[-1] for name, values in parse_qs(query).items()}
                return self._show(path, options, refresh="x-refresh" in headers)
        except PageNotFound:
            pass
        return self._page("Not found", message("Not found", "This page does not exist."), 404)

    def _act(self, path: str, fields: Mapping[str, str]) -> Response:
        try:
            where, self._note = self._actions.act(path.strip("/").split("/"), fields)
        except KeyError:
            raise PageNotFound from None
        except InvalidForm as mistake:
            return self._page("Not done", message("Not done", str(mistake)), 400)
        return Response(303, headers={"Location": where})

    def _show(self, path: str, options: Mapping[str, str], *, refresh: bool) -> Response:
        control = self._control
        start = int(options["start"]) if options.get("start", "").isdecimal() else 0
        note = "" if refresh else self._take_note()

        def listed(
            title: str, section: str, found: Sequence[T], draw: Callable[[Sequence[T], int, int], Markup]
        ) -> Response:
            newest = found[::-1]
            main = draw(newest[start : start + PAGE], len(newest), start)
            return self._page(title, main, section=section, note=note, live=True)

        match path.strip("/").split("/"):
            case [""]:
                return self._page("Incoming orders", self._orders(options, start), section="/", note=note, live=True)
            case ["orders", uuid]:
                order = self._order(uuid)
                main = pages.order(order, self._parcels.of(uuid), self._store.integrations.get(order.integration_id))
                return self._page(order.shipment["order_number"], main, section="/", note=note, live=True)
            case ["parcels"]:
                return listed("Parcels", "/parcels/", self._parcels.all(), pages.parcels)
            case ["parcels", number, ("label.pdf" | "a4.pdf") as name]:
                printed = [self._parcel(number)]
                pdf = labels_on_a6(printed) if name == "label.pdf" else labels_on_a4(printed)
                return Response(200, pdf, "application/pdf")
            case ["parcels", number]:
                parcel = self._parcel(number)
                main = pages.parcel(parcel)
                return self._page(parcel.tracking_number, main, section="/parcels/", note=note, live=True)
            case ["webhooks"]:
                return listed("Webhooks", "/webhooks/", control.webhooks, pages.webhooks)
            case ["webhooks", number]:
                webhook = _one(webhook for webhook in control.webhooks if str(webhook.number) == number)
                main = pages.webhook(webhook)
                return self._page(f"Webhook {number}", main, section="/webhooks/", note=note, live=True)
            case ["requests"]:
                return listed("Requests", "/requests/", control.requests, pages.requests)
            case ["requests", number]:
                request = _one(request for request in control.requests if str(request.number) == number)
                return self._page(f"Request {number}", pages.request(request), section="/requests/", note=note)
            case ["integrations"]:
                main = pages.integrations(control.integrations, control)
                return self._page("Integrations", main, section="/integrations/", note=note)
            case ["faults"]:
                return self._page("Faults", pages.faults(control), section="/faults/", note=note)
        raise PageNotFound

    def _orders(self, options: Mapping[str, str], start: int) -> Markup:
        search = options.get("q", "").strip()
        with self._store.lock:
            found = [order for order in reversed(self._store.orders()) if _matches(order, search)]
        made: dict[str, list[Parcel]] = {}
        for parcel in self._parcels.all():
            made.setdefault(parcel.shipment_uuid, []).append(parcel)
        return pages.orders(found[start : start + PAGE], len(found), search, start, made)

    def _order(self, uuid: str) -> StoredOrder:
        order = self._store.find(uuid=uuid)
        if order is None:
            raise PageNotFound
        return order

    def _parcel(self, number: str) -> Parcel:
        parcel = self._parcels.get(int(number) if number.isdecimal() else 0)
        if parcel is None:
            raise PageNotFound
        return parcel

    def _take_note(self) -> str:
        note, self._note = self._note, ""
        return note

    def _page(
        self, title: str, main: Markup, status: int = 200, *, section: str = "", note: str = "", live: bool = False
    ) -> Response:
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
        body = page(title, section, main, note=note, nonce=nonce, live=live)
        return Response(status, body, "text/html; charset=utf-8", headers)


def _same_site(headers: Mapping[str, str]) -> bool:
    """Return whether the panel itself or a program sent a form, and no page of another site."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return False
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _matches(order: StoredOrder, search: str) -> bool:
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
    fields = order.shipment
    return any(search.casefold() in str(fields[name] or "").casefold() for name in names)


def _one(found: Iterable[T]) -> T:
    for thing in found:
        return thing
    raise PageNotFound
