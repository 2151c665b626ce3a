"""Stored things as v3 shows them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from ..behaviour import Behaviour
from ..moments import parse_moment
from ..store import SandboxIntegration, StoredOrder

__all__ = ["integration_json", "log_json", "moment_json", "order_json"]

_COSTS: Final = ("discount_granted", "insurance_costs", "freight_costs", "other_costs")
_SHOP_TIMES: Final = ("order_created_at", "order_updated_at")
_LOWERED: Final = frozenset(
    {
        "regulation_set",
        "unit_of_measurement",
        "commodity_regulated_level_code",
        "transportation_mode",
        "adr_packing_group_letter",
        "weight_type",
    }
)


def moment_json(moment: dt.datetime) -> str:
    """Return a moment as v3 writes it: UTC, with microseconds and an offset."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def order_json(order: StoredOrder, behaviour: Behaviour) -> dict[str, Any]:
    """Return an order (contract: ``order``). Fields that the shop did not send are absent."""
    document = order.document
    shown: dict[str, Any] = {
        "id": str(order.id),
        "created_at": moment_json(order.created_at),
        "modified_at": moment_json(order.updated_at),
        **document,
    }
    details = dict(document["order_details"])
    for name in _SHOP_TIMES:
        if (moment := parse_moment(details.get(name))) is not None:
            details[name] = moment_json(moment)
    shown["order_details"] = details
    if not behaviour.as_documented:
        details["order_items"] = [_live_item(item) for item in details["order_items"]]
        payment = document["payment_details"]
        shown["payment_details"] = payment | {name: _live_cost(payment[name]) for name in _COSTS if payment.get(name)}
    return shown


def _live_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item as live responses show it: enums of dangerous goods in lower case."""
    goods = item.get("dangerous_goods")
    if not goods:
        return dict(item)
    lowered = {name: value.lower() if name in _LOWERED and value else value for name, value in goods.items()}
    return {**item, "dangerous_goods": lowered}


def _live_cost(cost: Mapping[str, Any]) -> dict[str, Any]:
    """Return costs as live responses show them: the value as a number."""
    try:
        return {**cost, "value": None if cost.get("value") is None else float(cost["value"])}
    except ValueError:
        return dict(cost)


def integration_json(integration: SandboxIntegration) -> dict[str, Any]:
    """Return an integration (contract: ``integration-response-model``)."""
    shown: dict[str, Any] = {"id": integration.id, "shop_name": integration.shop_name}
    # The schema lets the address of the webhook be null, and not the one of the shop.
    if integration.shop_url is not None:
        shown["shop_url"] = integration.shop_url
    return shown | {
        "type": integration.system,
        "started_failing_at": moment_json(integration.failing_since) if integration.failing_since else None,
        "last_fetched_at": moment_json(integration.last_fetch) if integration.last_fetch else None,
        "created_at": moment_json(integration.created_at),
        "updated_at": moment_json(integration.last_updated_at),
        "service_point_enabled": integration.service_point_enabled,
        "service_point_carriers": list(integration.service_point_carriers),
        "webhook_active": integration.webhook_active,
        "webhook_url": integration.webhook_url,
        "feedback_type": integration.feedback_type,
    }


def log_json(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of the connection log (contract: ``integration-log``)."""
    return {name: value for name, value in entry.items() if name != "user_id"} | {"additional_data": ""}
