"""Checks of an entry of the connection log (contract: IntegrationLog)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .checks import Check, either, integer, moment, obj, text

__all__ = ["INTEGRATION_LOG_FIELDS", "integration_log_errors"]

#: contract: writable fields of IntegrationLog.
INTEGRATION_LOG_FIELDS: Final[Mapping[str, Check]] = {
    "integration_id": integer(1, null=True),
    "user_id": integer(1),
    "base_url": text(1),
    "full_url": text(null=True),
    "method": text(),
    "response_code": integer(0, null=True),
    "response": obj({"headers": obj(null=True), "body": either(text(null=True), obj())}, null=True),
    "request": obj({"headers": either(text(null=True), obj()), "payload": either(text(null=True), obj())}, null=True),
    "created_at": text(also=moment),
    "exception_type": text(null=True),
    # The schema lets it be null, the example of a 400 refuses that.
    "exception": text(),
}

_integration_log: Final = obj(INTEGRATION_LOG_FIELDS, ["base_url"])


def integration_log_errors(value: Any, integration_id: int) -> dict[str, Any] | None:
    """Return the errors of an entry, by field; ``None`` if it has none."""
    errors = _integration_log(value)
    if isinstance(errors, list):
        return {"non_field_errors": errors}
    if not errors and value.get("integration_id") not in (None, integration_id):
        return {"integration_id": ["It is not the integration of the address."]}
    return errors
