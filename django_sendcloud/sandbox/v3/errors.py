"""Errors as v3 words them (JSON:API)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..http import Response, json_response
from ..request import Refused

__all__ = ["error", "refuse"]

_CODES: Final[Mapping[int, str]] = {
    401: "authentication_failed",
    403: "forbidden",
    404: "not_found",
}


def error(
    status: int,
    detail: str,
    *,
    code: str = "",
    title: str = "",
    pointer: str | None = None,
    parameter: str | None = None,
) -> dict[str, Any]:
    """Return an error object (contract: ``ErrorObject``).

    Args:
        status: HTTP status.
        detail: Reason in words.
        code: Code; chosen by the status where it is empty.
        title: Short reason; absent where it is empty, as it often is at Sendcloud.
        pointer: Place in the body.
        parameter: Parameter of the query.
    """
    found: dict[str, Any] = {"status": str(status), "code": code or _CODES.get(status, "invalid")}
    if title:
        found["title"] = title
    found["detail"] = detail
    if pointer is not None:
        found["source"] = {"pointer": pointer}
    elif parameter is not None:
        found["source"] = {"parameter": parameter}
    return found


def refuse(path: str, refused: Refused) -> Response:
    """Return the response of a refused request."""
    errors = list(refused.errors) or [
        error(
            refused.status,
            refused.message,
            code=refused.code,
            title=refused.title,
            # A live 401 points at the data, too.
            pointer="/data" if refused.status == 401 else refused.pointer,
            parameter=refused.parameter,
        )
    ]
    return json_response({"errors": errors}, refused.status, refused.headers)
