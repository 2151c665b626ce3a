"""Operations on the connection log in v3."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Final
from urllib.parse import urlencode

from ..http import Response, json_response
from ..moments import parse_moment
from ..request import Refused, Request
from ..services import Services
from .checks import Check, Error, date_time, integer, nullable, obj, text
from .errors import error
from .integrations import find_integration
from .pages import page_size
from .views import log_json, moment_json

__all__ = ["create_log", "list_all_logs", "list_logs"]


def _text_or_object(value: Any, path: tuple[str | int, ...]) -> Any:
    """Check text, an object, or null."""
    if value is not None and type(value) is not str and type(value) is not dict:
        yield path, "Input should be a valid string"


_object_or_null: Final = nullable(obj())

#: contract: integration-log-create
_FIELDS: Final[dict[str, Check]] = {
    "base_url": text(1),
    "full_url": nullable(text()),
    "method": nullable(text()),
    "response_code": nullable(integer(0)),
    "response": nullable(obj({"headers": _object_or_null, "body": _text_or_object})),
    "request": nullable(obj({"headers": _text_or_object, "payload": _text_or_object})),
    "created_at": nullable(date_time),
    "exception_type": nullable(text()),
    "exception": nullable(text()),
}
_check_entry: Final = obj(_FIELDS, ["base_url"], closed=True)


def list_all_logs(services: Services, request: Request) -> Response:
    """Answer ``GET /integrations/logs``."""
    return _list(services, request, {found.id for found in services.store.of_account(request.caller.account)})


def list_logs(services: Services, request: Request) -> Response:
    """Answer ``GET /integrations/{id}/logs``."""
    return _list(services, request, {find_integration(services, request).id})


def _list(services: Services, request: Request, integration_ids: set[int]) -> Response:
    """Return a page of entries, newest first. The cursor is the moment of the last entry of the page before."""
    before = _cursor(request)
    with services.store.lock:
        found = [entry for entry in services.store.connection_log if entry["integration_id"] in integration_ids]
    dated = sorted(
        ((_moment(entry), entry) for entry in found), key=lambda pair: (pair[0], pair[1]["id"]), reverse=True
    )
    after = [pair for pair in dated if before is None or pair[0] < before]
    size = page_size(request, 25, 100)
    page = after[:size]
    # Entries of one moment must not be parted, because the cursor is a moment.
    while page and len(page) < len(after) and after[len(page)][0] == page[-1][0]:
        page.append(after[len(page)])
    headers = {}
    if len(page) < len(after):
        query = urlencode({**request.query, "cursor": [moment_json(page[-1][0])]}, doseq=True)
        address = f"{services.origin}{request.logged.path.removeprefix('/api')}"
        headers["Link"] = f'<{address}?{query}>; rel="next"'
    return json_response({"data": [log_json(entry) for _, entry in page]}, headers=headers)


def _moment(entry: dict[str, Any]) -> dt.datetime:
    return parse_moment(entry["created_at"]) or dt.datetime.min.replace(tzinfo=dt.UTC)


def _cursor(request: Request) -> dt.datetime | None:
    if (text := request.one("cursor")) is None:
        return None
    # A plus sign that was not encoded arrives as a space.
    if (moment := parse_moment(re.sub(r" (?=\d\d:\d\d$)", "+", text))) is None:
        raise Refused(400, "Input should be a valid datetime", title="Invalid", parameter="cursor")
    return moment


def create_log(services: Services, request: Request) -> Response:
    """Answer ``POST /integrations/{id}/logs``. Unknown fields are refused."""
    integration = find_integration(services, request)
    entry = request.json()
    if errors := [_error(found) for found in _check_entry(entry, ())]:
        raise Refused(400, "", errors=errors)
    # A request may have these null, an answer may not.
    entry = {name: value for name, value in entry.items() if value is not None or name not in ("method", "created_at")}
    with services.store.lock:
        services.log.apply(request.logged)
        return json_response({"data": log_json(services.store.note(integration.id, entry))}, 201)


def _error(found: Error) -> dict[str, Any]:
    path, message = found
    pointer = "/".join(map(str, ("body", *path)))
    if message == "Extra inputs are not permitted":
        return error(400, message, code="extra_forbidden", title="Extra Forbidden", pointer=pointer)
    return error(400, message, title="Invalid", pointer=pointer)
