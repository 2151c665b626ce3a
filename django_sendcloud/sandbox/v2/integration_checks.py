"""Checks of an integration's settings (contract: IntegrationUpdate)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .checks import REQUIRED, Check, flag, list_of, obj, text, url

__all__ = ["INTEGRATION_SETTINGS_FIELDS", "integration_setting_errors"]

#: contract: writable fields of IntegrationUpdate. ``shop_name`` is read-only in the schema, not in text and examples.
INTEGRATION_SETTINGS_FIELDS: Final[Mapping[str, Check]] = {
    "shop_name": text(1, 250),
    "shop_url": text(1, also=url),
    "service_point_enabled": flag,
    "service_point_carriers": list_of(text(1)),
    "webhook_active": flag,
    "webhook_url": text(1, also=url),
}

_integration_settings: Final = obj(INTEGRATION_SETTINGS_FIELDS)
#: Fields whose errors Sendcloud reports together, under ``settings``.
_GROUPED: Final = frozenset({"service_point_enabled", "service_point_carriers", "webhook_active", "webhook_url"})


def integration_setting_errors(
    value: Any, current: Mapping[str, Any], *, whole: bool = False
) -> dict[str, list[str]] | None:
    """Return the errors of a change of settings, by field; ``None`` if it has none.

    Args:
        value: Body of the request.
        current: Settings before the change.
        whole: Whether the body must name all settings (PUT). The name and addresses that were never set are optional.
    """
    errors = _integration_settings(value)
    if isinstance(errors, list):
        return {"non_field_errors": errors}
    found: dict[str, Any] = dict(errors or {})
    if whole:
        needed = [name for name in INTEGRATION_SETTINGS_FIELDS if name != "shop_name" and current[name] is not None]
        found |= {name: REQUIRED for name in needed if name not in value}
    if not found:
        after = {**current, **value}
        if after["webhook_active"] and not after["webhook_url"]:
            found["webhook_url"] = ["Webhook URL required when enable webhook is set to true"]
        if after["service_point_enabled"] and not after["service_point_carriers"]:
            found["service_point_carriers"] = ["At least one carrier is required when service points are enabled."]
    found_by_field: dict[str, list[str]] = {}
    for name, problem in found.items():
        for line in _lines(problem):
            if name in _GROUPED:
                found_by_field.setdefault("settings", []).append(f"{name}: {line}")
            else:
                found_by_field.setdefault(name, []).append(line)
    return found_by_field or None


def _lines(errors: Any) -> list[str]:
    if isinstance(errors, str):
        return [errors]
    return [line for error in (errors.values() if isinstance(errors, dict) else errors) for line in _lines(error)]
