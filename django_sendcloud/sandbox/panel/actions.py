"""Actions of the panel's forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..control import Control
from ..parcels import STATUSES, Parcel, Parcels
from ..store import SandboxIntegration, Store
from ..v2.integration_checks import integration_setting_errors
from .errors import InvalidForm, PageNotFound

__all__ = ["Actions"]


class Actions:
    """Does what forms ask for. Each action first finds its object, so that a missing one changes nothing."""

    def __init__(self, control: Control, store: Store, parcels: Parcels) -> None:
        self._control = control
        self._store = store
        self._parcels = parcels

    def act(self, path: list[str], fields: Mapping[str, str]) -> tuple[str, str]:
        """Do what a form asks for.

        Returns:
            The page to show next, and a note for it.

        Raises:
            PageNotFound, KeyError: The form's object does not exist.
            InvalidForm: A field has a value that is not allowed.
        """
        control = self._control
        match path:
            case ["orders", uuid, action]:
                return self._act_on_order(uuid, action, fields)
            case ["parcels", number, action]:
                return self._act_on_parcel(self._parcel(number), action, fields)
            case ["webhooks", number, "again"]:
                control.send_webhook_again(int(number) if number.isdecimal() else 0)
                return f"/webhooks/{number}/", "The webhook is sent again."
            case ["integrations", "add"]:
                name = fields.get("shop_name", "").strip() or "Another shop"
                return "/integrations/", f"Connected as {control.add_integration(name[:250]).id}."
            case ["integrations", number, action]:
                integration = self._store.integrations.get(int(number) if number.isdecimal() else 0)
                if integration is not None:
                    return "/integrations/", self._act_on_integration(integration, action, fields)
            case ["faults", action]:
                return "/faults/", self._act_on_faults(action, fields)
            case ["reset"]:
                control.reset()
                return "/", "Everything but the integrations is deleted."
        raise PageNotFound

    def _act_on_order(self, uuid: str, action: str, fields: Mapping[str, str]) -> tuple[str, str]:
        match action:
            case "label":
                count = _number(fields.get("parcels", "1"), "Parcels", 1, 100)
                try:
                    self._control.create_label(uuid, count)
                except ValueError as error:
                    raise InvalidForm(str(error)) from None
                return f"/orders/{uuid}/", f"{count} label{'s' if count > 1 else ''} created."
            case "split":
                parts = _number(fields.get("parts", "2"), "Parts", 2, 100)
                try:
                    self._control.split_order(uuid, parts)
                except ValueError as error:
                    raise InvalidForm(str(error)) from None
                return "/", f"The order is split into {parts}."
            case "delete":
                self._control.delete_shipment(uuid)
                return "/", "The order is deleted."
        raise PageNotFound

    def _act_on_parcel(self, parcel: Parcel, action: str, fields: Mapping[str, str]) -> tuple[str, str]:
        control = self._control
        where = f"/parcels/{parcel.id}/"
        match action:
            case "next":
                control.advance(parcel.id)
                return where, f"{parcel.status_message}."
            case "status":
                status = _number(fields.get("status", ""), "Status", 0, 10**6)
                control.set_parcel_status(parcel.id, status)
                return where, f"{STATUSES.get(status, f'Status {status}')}."
            case "cancel":
                code, message = control.cancel_parcel(parcel.id)
                return "/parcels/" if code == 410 else where, message
            case "return":
                return f"/parcels/{control.create_return(parcel.id)['id']}/", "The return is created."
        raise PageNotFound

    def _act_on_integration(self, integration: SandboxIntegration, action: str, fields: Mapping[str, str]) -> str:
        control = self._control
        match action:
            case "save":
                self._save(integration, fields)
                return "Saved."
            case "test" | "credentials":
                send = control.send_test_webhook if action == "test" else control.send_credentials
                if send(integration.id) is None:
                    raise InvalidForm("The integration has no webhook: give it an address and switch it on.")
                return "The webhook is sent."
            case "revoke":
                control.revoke_credentials(integration.id)
                return "Sendcloud now refuses the keys."
            case "restore":
                control.restore_credentials(integration.id)
                return "Sendcloud accepts the keys again."
            case "delete":
                control.delete_integration(integration.id)
                return "The integration and its orders are deleted."
        raise PageNotFound

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
            raise InvalidForm(" ".join(line for lines in errors.values() for line in lines))
        integration.webhook_signature_key = fields.get("webhook_signature_key", "").strip()
        self._control.change_integration(integration.id, **changes)

    def _act_on_faults(self, action: str, fields: Mapping[str, str]) -> str:
        control = self._control
        match action:
            case "set":
                latency = _decimal(fields.get("latency", "0"), "Every answer takes longer")
                control.latency, control.paused = latency, "paused" in fields
                control.rate_limits = "rate_limits" in fields
                control.retry_after = fields.get("retry_after", "").strip() or None
                control.certified_partners_only = "partners_only" in fields
                if "save_delay" in fields:
                    control.save_delay = _decimal(fields["save_delay"], "Time until a v3 order is saved")
                return "Saved."
            case "next":
                self._add_fault(fields)
                return "Switched on."
            case "clear":
                control.clear_faults()
                control.rate_limits = False
                return "All faults are switched off."
        raise PageNotFound

    def _add_fault(self, fields: Mapping[str, str]) -> None:
        control = self._control
        times = _number(fields.get("times", "1"), "Times", 1, 10**6)
        match_field = fields.get("match", "").strip() or None
        apply = "apply" in fields
        match fields.get("kind"):
            case "answer":
                status = _number(fields.get("status", "500"), "Status", 400, 599)
                control.fail_next(status, times, match=match_field, apply=apply)
            case "drop":
                control.drop_answer(times, after_apply=apply, match=match_field)
            case "hang":
                seconds = _decimal(fields.get("seconds", "30"), "Seconds")
                control.hang_next(seconds, times, "before" if apply else "never", match_field)
            case "truncate":
                control.truncate_next(times, match_field)
            case "conflict":
                control.conflict_next(times)
            case "lose":
                control.lose_orders(times)
            case "html":
                control.html_next(times, apply=apply, match=match_field)
            case _:
                raise PageNotFound

    def _parcel(self, number: str) -> Parcel:
        parcel = self._parcels.get(int(number) if number.isdecimal() else 0)
        if parcel is None:
            raise PageNotFound
        return parcel


def _number(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise InvalidForm(f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def _decimal(text: str, name: str) -> float:
    try:
        number = float(text or "0")
    except ValueError:
        number = -1.0
    if not 0 <= number <= 3600:
        raise InvalidForm(f"{name} must be a number of seconds from 0 to 3600.")
    return number
