"""Bodies as Sendcloud sends them."""

from __future__ import annotations

import json
from typing import Any

from django_sendcloud.webhooks import signature

HOUR = 3_600_000
BEGIN = 1_790_000_000_000


def parcel(
    status_id: int = 3, at: int = BEGIN, *, action: str = "parcel_status_changed", **values: Any
) -> dict[str, Any]:
    """Return a parcel's update; ``values`` override fields of the parcel."""
    return {
        "action": action,
        "timestamp": at,
        "carrier_status_change_timestamp": at - 1000,
        "parcel": {
            "id": 4711,
            "tracking_number": "3SABC0001",
            "tracking_url": "https://tracking.example/3SABC0001",
            "carrier": {"code": "postnl"},
            "order_number": "ORD-1",
            "weight": "1.250",
            "is_return": False,
            "status": {"id": status_id, "message": f"Status {status_id}"},
            **values,
        },
    }


def raw(payload: Any) -> bytes:
    return json.dumps(payload).encode()


def post(client: Any, integration: Any, body: bytes, **changes: Any) -> Any:
    """Post a body with a good signature, or with other headers."""
    secret = integration.webhook_secrets()[0]
    headers = {signature.HEADER: changes.pop("signature", signature.sign(body, secret)), **changes.pop("headers", {})}
    headers = {name: value for name, value in headers.items() if value is not None}
    return client.post(
        changes.pop("path", integration.webhook_path()),
        body,
        content_type="application/json",
        headers=headers,
        **changes,
    )
