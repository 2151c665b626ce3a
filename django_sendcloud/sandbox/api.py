"""Sendcloud's API: which operation an address is, and what it answers.

The first eleven operations are the Integrations API v2, with the statuses, bodies and messages of its
contract. The others are what a shop needs of the parcels and labels APIs.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs

from .auth import Authenticator, Denied
from .desk import Desk
from .faults import GET_TOKEN, Fault, Faults
from .limits import RateLimiter
from .pages import Cursor, InvalidCursor, link
from .parcels import STATUSES, Parcel, Parcels
from .pdf import customs_declarations, labels_on_a4, labels_on_a6
from .requestlog import LoggedItem, LoggedRequest, RequestLog
from .state import SandboxIntegration, State, StoredShipment
from .validation import (
    INTEGRATION_LOG_FIELDS,
    integration_log_errors,
    integration_setting_errors,
    parse_date,
    parse_moment,
)

__all__ = ["OPERATIONS", "Answer", "Api", "Operation"]

ROOT: Final = "/api/v2"
TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105  (an address)
MAX_SHIPMENTS: Final = 100
MAX_IDS: Final = 100

_NO_INTEGRATION: Final = "No Integration matches the given query."
_NO_SHIPMENT: Final = "No ShipmentBlob matches the given query."
_NO_PARCEL: Final = "No Parcel matches the given query."
_NOT_FOUND: Final = "Not found."


@dataclass(slots=True)
class Answer:
    """An answer to a request.

    Attributes:
        cut: Whether the connection is closed in the middle of the body.
    """

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


class Refused(Exception):
    """The request as a whole is not accepted."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


@dataclass(slots=True)
class Call:
    """A request that has been understood so far."""

    request: LoggedRequest
    parameters: Mapping[str, str]
    query: Mapping[str, list[str]]
    caller: SandboxIntegration
    body: bytes
    content_type: str

    def json(self) -> Any:
        """Read the body. None at all is an empty object, whatever its type: the contract requires no body.

        Raises:
            Refused: it is no JSON.
        """
        if not self.body:
            return {}
        kind = self.content_type.partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, f'Unsupported media type "{kind}" in request.')
        try:
            return json.loads(self.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Refused(400, f"JSON parse error - {error}") from None

    def one(self, name: str) -> str | None:
        """Return a value of the query, the last one where there are several."""
        return self.query[name][-1] if name in self.query else None


Handler: TypeAlias = "Callable[[Api, Call], Answer]"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a contract.

    Attributes:
        method: HTTP method.
        path: The path as the contract writes it, with parameters in braces.
        name: What it is called in the request log.
        root: What comes before the path.
    """

    method: str
    path: str
    name: str
    handler: Handler
    root: str = ROOT

    def pattern(self) -> re.Pattern[str]:
        """Return what its address looks like. A slash at the end is taken as it comes."""
        return re.compile(self.root + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path) + "/?")


class Api:
    """Answers requests.

    Attributes:
        page_size: How many elements a page has.
        omit_empty_links: Whether ``next`` and ``previous`` are left out where there is no page, as the
            contract's schema would have it; else they are null, as its sibling for parcels shows them.
        external_ids_null: Whether results of shipments without an id say null instead of ``""``.
        partner_ids: The values of ``Sendcloud-Partner-Id`` that are known; ``None`` for any UUID.
        closed_service_points: Those that are there no more; all others are.
        rest: Waits some seconds, or less when the server stops.
    """

    def __init__(
        self,
        state: State,
        parcels: Parcels,
        desk: Desk,
        log: RequestLog,
        faults: Faults,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self.page_size = 100
        self.omit_empty_links = False
        self.external_ids_null = False
        self.partner_ids: set[str] | None = None
        self.rest = rest
        self.closed_service_points: set[int] = set()
        self.auth = Authenticator(state)
        self.limits = RateLimiter()
        self.origin = ""
        self._state = state
        self._parcels = parcels
        self._desk = desk
        self._log = log
        self._faults = faults

    # From a request to its answer

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        """Answer a request; ``None`` means to close the connection without a word.

        Args:
            method: HTTP method.
            path: Path without query.
            query: Query.
            headers: By lower-case names.
            body: The whole body.
        """
        request = self._log.begin(method, path, query, headers, body)
        operation, parameters = _route(method, path)
        asks_for_token = method == "POST" and path.rstrip("/") == TOKEN_PATH
        request.operation = GET_TOKEN if asks_for_token else operation.name if operation else ""
        if parameters.get("id", "").isdecimal() and "/integrations/" in path:
            request.integration_id = int(parameters["id"])
        answer: Answer | None = None
        try:
            if self._faults.latency:
                self.rest(self._faults.latency)
            while not self._faults.answering.is_set():
                self.rest(0.05)
            fault = self._faults.take(method, path, request.operation)
            if fault is None:
                answer = self._process(request, operation, parameters, headers, body)
            else:
                answer = self._suffer(fault, request, operation, parameters, headers, body)
        finally:
            self._log.finish(request, answer.status if answer else None)
        return answer

    def _suffer(
        self,
        fault: Fault,
        request: LoggedRequest,
        operation: Operation | None,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer | None:
        request.fault = fault.kind
        answer = None
        if fault.apply == "before":
            answer = self._process(request, operation, parameters, headers, body)
        if fault.kind == "hang":
            self.rest(fault.seconds)
        if fault.apply == "after":
            answer = self._process(request, operation, parameters, headers, body)
        match fault.kind:
            case "answer":
                kind = "text/html; charset=utf-8" if fault.body.lstrip().startswith(b"<") else "application/json"
                return Answer(fault.status, fault.body, kind, fault.headers)
            case "truncate" if answer is not None:
                answer.cut = True
                return answer
            case "hang":
                return answer
        return None

    def _process(
        self,
        request: LoggedRequest,
        operation: Operation | None,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        try:
            if request.operation == GET_TOKEN:
                return self._token(request, headers, body)
            if operation is None:
                raise Refused(*_no_operation(request.method, request.path))
            if request.method == "GET" and body:
                raise Refused(403, "A GET request must not have a body.")
            caller = self._authenticate(request, headers)
            if not self.limits.allows(caller.account, request.method):
                retry_after = self.limits.retry_after
                return Answer(429, headers={} if retry_after is None else {"Retry-After": str(retry_after)})
            self._check_partner(headers.get("sendcloud-partner-id"))
            query = parse_qs(request.query, keep_blank_values=True)
            call = Call(request, parameters, query, caller, body, headers.get("content-type", ""))
            return operation.handler(self, call)
        except Refused as refused:
            # The address without its first slash, as in the contract's examples.
            error = {"code": refused.status, "request": request.path.lstrip("/"), "message": refused.message}
            return _json({"error": error}, refused.status, refused.headers)

    def _authenticate(self, request: LoggedRequest, headers: Mapping[str, str]) -> SandboxIntegration:
        try:
            caller = self.auth.integration(headers.get("authorization", ""))
        except Denied as denied:
            raise Refused(401, str(denied), {"WWW-Authenticate": 'Basic realm="api"'}) from None
        if request.integration_id is None:
            request.integration_id = caller.id
        return caller

    def _check_partner(self, partner: str | None) -> None:
        if partner is None:
            return
        known = self.partner_ids is None or partner in self.partner_ids
        if not known or _uuid(partner) is None:
            raise Refused(400, "Sendcloud-Partner-Id: Invalid partner id.")

    def _token(self, request: LoggedRequest, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            token = self.auth.issue(headers.get("authorization", ""), body.decode("utf-8", "replace"))
        except Denied as denied:
            status = 401 if str(denied) == "invalid_client" else 400
            return _json({"error": str(denied), "error_description": "The request is not accepted."}, status)
        request.integration_id = token.integration_id
        content = {
            "access_token": token.value,
            "expires_in": self.auth.token_lifetime,
            "scope": "api",
            "token_type": "bearer",
        }
        return _json(content, headers={"Cache-Control": "no-store"})

    # Integrations

    def list_integrations(self, call: Call) -> Answer:
        """``GET /integrations``."""
        found = [integration.as_json() for integration in self._state.of_account(call.caller.account)]
        # As with Django REST framework: the last field counts least, unknown fields are passed over.
        for wish in reversed((call.one("ordering") or "").split(",")):
            name = wish.strip().removeprefix("-")
            if found and name in found[0]:
                found.sort(key=functools.partial(_sort_key, name), reverse=wish.strip().startswith("-"))
        return _json(found)

    def get_integration(self, call: Call) -> Answer:
        """``GET /integrations/{id}``."""
        return _json(self._integration(call).as_json())

    def replace_integration(self, call: Call) -> Answer:
        """``PUT /integrations/{id}``."""
        return self._change_integration(call, whole=True)

    def update_integration(self, call: Call) -> Answer:
        """``PATCH /integrations/{id}``."""
        return self._change_integration(call, whole=False)

    def _change_integration(self, call: Call, *, whole: bool) -> Answer:
        integration = self._integration(call)
        changes = call.json()
        with self._state.lock:
            if errors := integration_setting_errors(changes, integration.settings(), whole=whole):
                raise Refused(400, repr(errors))
            self._log.apply(call.request)
            self._desk.change_integration(integration, changes)
            return _json(integration.told())

    def delete_integration(self, call: Call) -> Answer:
        """``DELETE /integrations/{id}``."""
        with self._state.lock:
            integration = self._integration(call)
            self._log.apply(call.request)
            self._desk.delete_integration(integration)
        return Answer(204)

    # Shipments

    def list_shipments(self, call: Call) -> Answer:
        """``GET /integrations/{id}/shipments``."""
        integration = self._integration(call)
        today = self._state.clock().date()
        first = _date(call, "start_date") or _a_year_before(today)
        last = _date(call, "end_date") or dt.date.max
        order_ids, shipment_ids = (
            set(call.query[name]) if name in call.query else None
            for name in ("external_order_ids", "external_shipment_ids")
        )
        order_number = call.one("order_number")
        sender_address = _whole_number(call, "sender_address")
        if call.one("shipping_rules") not in (None, "true", "false", "True", "False", "1", "0"):
            raise Refused(400, repr({"shipping_rules": ["Must be a valid boolean."]}))

        def wanted(shipment: StoredShipment) -> bool:
            order_id, shipment_id = shipment.key
            return (
                first <= shipment.created_at.date() <= last
                and (order_ids is None or order_id in order_ids)
                and (shipment_ids is None or shipment_id in shipment_ids)
                and (order_number is None or shipment.fields["order_number"] == order_number)
                and (sender_address is None or shipment.sender_address == sender_address)
            )

        cursor = _cursor(call)
        position, back = (cursor.position, cursor.back) if cursor else (None, False)
        results, numbers, more = self._state.page(integration.id, wanted, self.page_size, position, back=back)
        return self._page(call, "results", results, numbers, more, cursor)

    def upsert_shipments(self, call: Call) -> Answer:
        """``POST /integrations/{id}/shipments``."""
        integration = self._integration(call)
        items = call.json()
        if not isinstance(items, list):
            kind = "dict" if isinstance(items, dict) else type(items).__name__
            raise Refused(400, repr({"non_field_errors": [f'Expected a list of items but got type "{kind}".']}))
        if len(items) > MAX_SHIPMENTS:
            raise Refused(400, f"A maximum of {MAX_SHIPMENTS} orders can be sent at once, got {len(items)}.")
        if (status := self._faults.poisoned(items)) is not None:
            if status >= 500:
                return Answer(status, b"<html><body><h1>Server Error (500)</h1></body></html>", "text/html")
            raise Refused(status, "The batch could not be processed.")
        with self._state.lock:
            if integration.id not in self._state.integrations:
                raise Refused(404, _NO_INTEGRATION)
            accepted = [item for item in items if self._rejection(item) is None]
            stored = iter(self._state.upsert(integration.id, accepted, call.request))
            results = [
                next(stored) if (errors := self._rejection(item)) is None else State.refuse(item, errors, call.request)
                for item in items
            ]
        if self.external_ids_null:
            for result in results:
                result["external_shipment_id"] = result["external_shipment_id"] or None
        return _json(self._faults.garbled(results))

    def _rejection(self, item: Any) -> dict[str, Any] | None:
        return self._faults.rejection(item.get("external_order_id")) if isinstance(item, dict) else None

    def delete_shipment(self, call: Call) -> Answer:
        """``POST /integrations/{id}/shipments/delete``."""
        integration = self._integration(call)
        fields = call.json()
        fields = fields if isinstance(fields, dict) else {}
        order_id, shipment_id = fields.get("external_order_id"), fields.get("external_shipment_id")
        pair = isinstance(order_id, str) and isinstance(shipment_id, str)
        shipment_uuid = _uuid(fields.get("shipment_uuid"))
        # The contract's "oneOf": this or that, and not both.
        if pair == (shipment_uuid is not None):
            if not pair and "shipment_uuid" in fields:
                raise Refused(400, "Must be a valid UUID.")
            raise Refused(400, "Missing shipment_uuid or the pair external_order_id and external_shipment_id")
        with self._state.lock:
            self._log.apply(call.request)
            shipment = self._state.find(
                integration.id,
                shipment_uuid=shipment_uuid,
                external_order_id=order_id,
                external_shipment_id=shipment_id,
            )
            if shipment is None:
                call.request.items.append(LoggedItem(order_id or "", shipment_id, None, "not found"))
                raise Refused(404, _NO_SHIPMENT)
            call.request.items.append(LoggedItem(*shipment.key, None, "deleted"))
            self._state.delete(shipment)
        return Answer(204)

    # The merchant's connection log

    def list_all_logs(self, call: Call) -> Answer:
        """``GET /integrations/logs``."""
        return self._logs(call, {integration.id for integration in self._state.of_account(call.caller.account)})

    def list_logs(self, call: Call) -> Answer:
        """``GET /integrations/{id}/logs``."""
        return self._logs(call, {self._integration(call).id})

    def create_log(self, call: Call) -> Answer:
        """``POST /integrations/{id}/logs``."""
        integration = self._integration(call)
        entry = call.json()
        if errors := integration_log_errors(entry, integration.id):
            raise Refused(400, repr(errors))
        known = {name: entry[name] for name in INTEGRATION_LOG_FIELDS if name in entry}
        with self._state.lock:
            self._log.apply(call.request)
            return _json(_shown_log(self._state.note(integration.id, known)), 201)

    def _logs(self, call: Call, integration_ids: set[int]) -> Answer:
        with self._state.lock:
            found = [entry for entry in self._state.connection_log if entry["integration_id"] in integration_ids]
        entries, more, cursor = self._slice(call, found, lambda entry: int(entry["id"]))
        numbers = [entry["id"] for entry in entries]
        return self._page(call, "results", [_shown_log(entry) for entry in entries], numbers, more, cursor)

    # Parcels and labels

    def list_parcels(self, call: Call) -> Answer:
        """``GET /parcels``."""
        ids = _ids(call)
        status = _whole_number(call, "parcel_status")
        updated, announced = (_moment(call, name) for name in ("updated_after", "announced_after"))
        tracking_number, order_number = call.one("tracking_number"), call.one("order_number")
        if call.one("external_reference") is not None:
            ids = set()  # no parcel of the sandbox has one

        def wanted(parcel: Parcel) -> bool:
            return (
                (ids is None or parcel.id in ids)
                and (status is None or parcel.status_id == status)
                and (updated is None or parcel.updated_at > updated)
                and (announced is None or parcel.created_at > announced)
                and (tracking_number is None or parcel.tracking_number == tracking_number)
                and (order_number is None or parcel.shipment["order_number"] == order_number)
            )

        found = [parcel for parcel in self._parcels.all() if self._owns(call, parcel) and wanted(parcel)]
        parcels, more, cursor = self._slice(call, found, lambda parcel: parcel.id)
        shown = [parcel.as_json(self._desk.base_url) for parcel in parcels]
        return self._page(call, "parcels", shown, [parcel.id for parcel in parcels], more, cursor)

    def get_parcel(self, call: Call) -> Answer:
        """``GET /parcels/{id}``."""
        return _json({"parcel": self._parcel(call, "id").as_json(self._desk.base_url)})

    def cancel_parcel(self, call: Call) -> Answer:
        """``POST /parcels/{id}/cancel``."""
        with self._state.lock:
            parcel = self._parcel(call, "id")
            self._log.apply(call.request)
            status, state, message = self._desk.cancel(parcel)
        return _json({"status": state, "message": message}, status)

    def return_portal_url(self, call: Call) -> Answer:
        """``GET /parcels/{id}/return_portal_url``."""
        parcel = self._parcel(call, "id")
        return _json({"url": f"{self.origin}/parcels/{parcel.id}/"})

    def check_service_point(self, call: Call) -> Answer:
        """``GET /service-points/{id}/check-availability``. Sendcloud has another host for it."""
        number = call.parameters["id"]
        if not number.isdecimal():
            raise Refused(404, _NOT_FOUND)
        return _json(int(number) not in self.closed_service_points)

    def parcel_statuses(self, call: Call) -> Answer:
        """``GET /parcels/statuses``."""
        return _json([{"id": key, "message": message} for key, message in STATUSES.items()])

    def get_label(self, call: Call) -> Answer:
        """``GET /labels/{parcel_id}``."""
        label = self._parcel(call, "parcel_id").as_json(self._desk.base_url)["label"]
        return _json({"label": label, "customs_declaration": {}})

    def create_labels(self, call: Call) -> Answer:
        """``POST /labels``."""
        body = call.json()
        label = body.get("label") if isinstance(body, dict) else None
        ids = label.get("parcels") if isinstance(label, dict) else None
        if not isinstance(ids, list) or not ids or not all(type(key) is int for key in ids):
            raise Refused(400, repr({"label": {"parcels": ["A list of parcel ids is required."]}}))
        for key in ids:
            self._parcel_by_id(call, key)
        address = f"{self._desk.base_url}/labels"
        chosen = f"ids={','.join(map(str, ids))}"
        links = [f"{address}/normal_printer?{chosen}&start_from={place}" for place in range(4)]
        return _json({"label": {"normal_printer": links, "label_printer": f"{address}/label_printer?{chosen}"}})

    def normal_printer(self, call: Call) -> Answer:
        """``GET /labels/normal_printer/{parcel_id}`` and ``GET /labels/normal_printer?ids=``."""
        place = _whole_number(call, "start_from") or 0
        if not 0 <= place <= 3:
            raise Refused(400, repr({"start_from": ["Must be 0, 1, 2 or 3."]}))
        return Answer(200, labels_on_a4(self._chosen(call), place), "application/pdf")

    def label_printer(self, call: Call) -> Answer:
        """``GET /labels/label_printer/{parcel_id}`` and ``GET /labels/label_printer?ids=``."""
        return Answer(200, labels_on_a6(self._chosen(call)), "application/pdf")

    def customs_declaration(self, call: Call) -> Answer:
        """``GET /customs_declaration/normal_printer/{parcel_id}`` and ``…/normal_printer?ids=``."""
        return Answer(200, customs_declarations(self._chosen(call)), "application/pdf")

    def metadata(self, call: Call) -> Answer:
        """``GET /api/v3/user/auth/metadata``: which integration the keys belong to."""
        return _json({"data": {"user_id": 1, "integration_id": call.caller.id}})

    # What operations share

    def _integration(self, call: Call) -> SandboxIntegration:
        text = call.parameters["id"]
        integration = self._state.integrations.get(int(text)) if _is_id(text) else None
        if integration is None or integration.account != call.caller.account:
            raise Refused(404, _NO_INTEGRATION)
        return integration

    def _owns(self, call: Call, parcel: Parcel) -> bool:
        integration = self._state.integrations.get(parcel.integration_id)
        return integration is not None and integration.account == call.caller.account

    def _parcel(self, call: Call, parameter: str) -> Parcel:
        text = call.parameters[parameter]
        return self._parcel_by_id(call, int(text) if _is_id(text) else 0)

    def _parcel_by_id(self, call: Call, parcel_id: int) -> Parcel:
        parcel = self._parcels.get(parcel_id)
        if parcel is None or not self._owns(call, parcel):
            raise Refused(404, _NO_PARCEL)
        return parcel

    def _chosen(self, call: Call) -> list[Parcel]:
        if "parcel_id" in call.parameters:
            return [self._parcel(call, "parcel_id")]
        if not (ids := _ids(call)):
            raise Refused(400, repr({"ids": ["This field is required."]}))
        return [self._parcel_by_id(call, key) for key in sorted(ids)]

    def _slice(
        self, call: Call, found: Sequence[Any], number: Callable[[Any], int]
    ) -> tuple[list[Any], bool, Cursor | None]:
        """Return the page of a short list that a cursor asks for, and whether there is more in its direction."""
        cursor = _cursor(call)
        if cursor is not None and cursor.back:
            before = [element for element in found if number(element) < cursor.position]
            return before[-self.page_size :], len(before) > self.page_size, cursor
        after = [element for element in found if cursor is None or number(element) > cursor.position]
        return after[: self.page_size], len(after) > self.page_size, cursor

    def _page(
        self,
        call: Call,
        name: str,
        elements: list[Any],
        numbers: list[int],
        more: bool,
        cursor: Cursor | None,
    ) -> Answer:
        back = cursor is not None and cursor.back
        edge = cursor.position if cursor else 0
        first, last = (numbers[0], numbers[-1]) if numbers else (edge + (not back), edge - back)
        following = Cursor(last) if more or back else None
        preceding = Cursor(first, back=True) if (more if back else cursor is not None) else None
        address = f"{self.origin}{call.request.path}"
        page: dict[str, Any] = {
            "next": link(address, call.query, following),
            "previous": link(address, call.query, preceding),
            name: elements,
        }
        if self.omit_empty_links:
            page = {key: value for key, value in page.items() if value is not None}
        return _json(page)


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(content).encode(), headers=headers or {})


def _refuse_constant(name: str) -> None:
    raise ValueError(f"Out of range float values are not JSON compliant: {name}")


def _sort_key(name: str, shown: Mapping[str, Any]) -> tuple[bool, Any]:
    value = shown[name]
    return value is not None, 0 if value is None else value


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


def _uuid(value: Any) -> str | None:
    """Return an UUID in lower case; ``None`` where it is none, or is written as only Python would read it."""
    if not isinstance(value, str):
        return None
    try:
        found = str(uuid.UUID(value))
    except ValueError:
        return None
    return found if found == value.lower() else None


def _shown_log(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry without what is write-only in the contract."""
    return {name: value for name, value in entry.items() if name not in ("integration_id", "user_id")}


def _a_year_before(day: dt.date) -> dt.date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)


def _date(call: Call, name: str) -> dt.date | None:
    if (text := call.one(name)) is None:
        return None
    if (day := parse_date(text)) is None:
        raise Refused(400, repr({name: ["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]}))
    return day


def _moment(call: Call, name: str) -> dt.datetime | None:
    if (text := call.one(name)) is None:
        return None
    # A plus sign that was not encoded arrives as a space.
    if (moment := parse_moment(re.sub(r" (?=\d\d:\d\d$)", "+", text))) is None:
        raise Refused(400, repr({name: ["Enter a valid date/time."]}))
    return moment


def _whole_number(call: Call, name: str) -> int | None:
    if (text := call.one(name)) is None:
        return None
    if not _is_id(text.removeprefix("-")):
        raise Refused(400, repr({name: ["A valid integer is required."]}))
    return int(text)


def _ids(call: Call) -> set[int] | None:
    if (text := call.one("ids")) is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > MAX_IDS or not all(map(_is_id, parts)):
        raise Refused(400, repr({"ids": [f"Give at most {MAX_IDS} ids, separated by commas."]}))
    return set(map(int, parts))


def _cursor(call: Call) -> Cursor | None:
    if (text := call.one("cursor")) is None:
        return None
    try:
        return Cursor.read(text)
    except InvalidCursor:
        raise Refused(404, "Invalid cursor") from None


#: Everything the sandbox answers; the first eleven are the Integrations API v2.
OPERATIONS: Final[Sequence[Operation]] = (
    Operation("GET", "/integrations", "list integrations", Api.list_integrations),
    Operation("GET", "/integrations/{id}", "get integration", Api.get_integration),
    Operation("PUT", "/integrations/{id}", "replace integration", Api.replace_integration),
    Operation("PATCH", "/integrations/{id}", "update integration", Api.update_integration),
    Operation("DELETE", "/integrations/{id}", "delete integration", Api.delete_integration),
    Operation("GET", "/integrations/{id}/shipments", "list shipments", Api.list_shipments),
    Operation("POST", "/integrations/{id}/shipments", "upsert shipments", Api.upsert_shipments),
    Operation("POST", "/integrations/{id}/shipments/delete", "delete shipment", Api.delete_shipment),
    Operation("GET", "/integrations/logs", "list logs", Api.list_all_logs),
    Operation("GET", "/integrations/{id}/logs", "list logs", Api.list_logs),
    Operation("POST", "/integrations/{id}/logs", "create log", Api.create_log),
    Operation("GET", "/parcels", "list parcels", Api.list_parcels),
    Operation("GET", "/parcels/statuses", "list parcel statuses", Api.parcel_statuses),
    Operation("GET", "/parcels/{id}", "get parcel", Api.get_parcel),
    Operation("POST", "/parcels/{id}/cancel", "cancel parcel", Api.cancel_parcel),
    Operation("GET", "/parcels/{id}/return_portal_url", "get return portal url", Api.return_portal_url),
    Operation("GET", "/service-points/{id}/check-availability", "check service point", Api.check_service_point),
    Operation("POST", "/labels", "create labels", Api.create_labels),
    Operation("GET", "/labels/normal_printer", "get labels", Api.normal_printer),
    Operation("GET", "/labels/label_printer", "get labels", Api.label_printer),
    Operation("GET", "/labels/{parcel_id}", "get label", Api.get_label),
    Operation("GET", "/labels/normal_printer/{parcel_id}", "get labels", Api.normal_printer),
    Operation("GET", "/labels/label_printer/{parcel_id}", "get labels", Api.label_printer),
    Operation("GET", "/customs_declaration/normal_printer", "get customs declarations", Api.customs_declaration),
    Operation(
        "GET", "/customs_declaration/normal_printer/{parcel_id}", "get customs declarations", Api.customs_declaration
    ),
    Operation("GET", "/user/auth/metadata", "get metadata", Api.metadata, root="/api/v3"),
)

# What is written out comes before what has a parameter in its place.
_ROUTES: Final = [
    (operation, operation.pattern())
    for operation in sorted(OPERATIONS, key=lambda operation: operation.path.count("{"))
]


def _route(method: str, path: str) -> tuple[Operation | None, dict[str, str]]:
    for operation, pattern in _ROUTES:
        if operation.method == method and (match := pattern.fullmatch(path)):
            return operation, match.groupdict()
    return None, {}


def _no_operation(method: str, path: str) -> tuple[int, str, dict[str, str]]:
    allowed = sorted({operation.method for operation, pattern in _ROUTES if pattern.fullmatch(path)})
    if allowed and method != "HEAD":
        return 405, f'Method "{method}" not allowed.', {"Allow": ", ".join(allowed)}
    return 404, _NOT_FOUND, {}
