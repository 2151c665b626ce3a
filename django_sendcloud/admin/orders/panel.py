"""Panel of one order: its state, its problems with what to do, its shipments and parcels, and the buttons."""

from __future__ import annotations

from typing import Any, Protocol

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext

from ...models import EntryState, Integration, OutboxEntry, Shipment, ShipmentStatus
from ..actions.action import Action
from ..explanations.errors import ERRORS, Explanation, FieldProblem, explain_entry, fields_of
from ..explanations.health import explain_hold, holds_orders
from ..explanations.labels import changed_fields, explain_conflict
from ..explanations.statuses import advice_for
from ..health import fold_once
from ..outbox.admin import due_of, has_problem, is_moving, sent_again
from ..outbox.not_sent import NotSent, why_not_sent
from ..parcels.admin import phase_badge, timeline_of, tracking_link, web_address
from ..ui.badges import SHIPMENT_TONES, badge
from ..ui.cells import ago
from ..ui.links import admin_url
from .history import history_of
from .state import OrderState, order_type_of, ref_of, states_of

__all__ = ["PanelHost", "buttons_of", "panel_of", "state_of"]

# Seconds after which the panel of an order that is being sent refreshes itself.
REFRESH_SECONDS = 3


class PanelHost(Protocol):
    """The page that shows the panel: an admin class, or a page of another back office."""

    admin_site: admin.AdminSite
    sendcloud_buttons: tuple[Action, ...]

    def has_sendcloud_view_permission(self, request: HttpRequest) -> bool: ...
    def has_sendcloud_parcel_permission(self, request: HttpRequest) -> bool: ...
    def has_sendcloud_payload_permission(self, request: HttpRequest) -> bool: ...


def state_of(host: PanelHost, request: HttpRequest, order: models.Model) -> OrderState | None:
    """Return an order's state, ``None`` if no adapter handles it. At most four statements, and those of folding."""
    if not order_type_of(type(order)):
        return None
    fold_once(request)
    ref, with_parcels = ref_of(order), host.has_sendcloud_parcel_permission(request)
    return states_of(ref.order_type, [ref.order_pk], with_parcels=with_parcels)[ref.order_pk]


def buttons_of(host: PanelHost, request: HttpRequest, state: OrderState | None) -> list[Action]:
    """Return the actions that this operator may do with an order in this state."""
    if state is None:
        return []
    return [each for each in host.sendcloud_buttons if each.is_allowed(host, request) and each.offered(state)]


def panel_of(
    host: PanelHost, request: HttpRequest, order: models.Model, state: OrderState | None
) -> dict[str, Any] | None:
    """Return what ``includes/order_panel.html`` shows of an order; ``None`` for a user who may not see it."""
    if not host.has_sendcloud_view_permission(request):
        return None
    if state is None:
        return {"problems": [_Problem(ERRORS["adapter_missing"])]}
    models.prefetch_related_objects(state.parcels, "timeline")
    holder = _held_by(state)
    # The last push of a removed shipment was its removal.
    there = [shipment for shipment in state.shipments if shipment.deleted_at is None]
    last_pushed_at = max((shipment.last_pushed_at for shipment in there if shipment.last_pushed_at), default=None)
    links, may_see_payload = _Links(host, request), host.has_sendcloud_payload_permission(request)
    return {
        "badge": state.badge(),
        "sent_again": sent_again(state.entry) if state.entry is not None else "",
        "refresh": REFRESH_SECONDS if is_moving(state.entry) else 0,
        "why": _why_not_sent(order, state),
        "tone": state.tone,
        "last_sent": ago(last_pushed_at) if last_pushed_at else "",
        "due": _due(state.entry),
        "entry_url": links.url(state.entry),
        "problems": [*_problems_of(state, holder), *_conflicts_of(state)],
        "details_withheld": not may_see_payload,
        "shipments": [
            (shipment, links.url(shipment), badge(shipment.get_status_display(), SHIPMENT_TONES[shipment.status]))
            for shipment in state.shipments
        ],
        "parcels": [
            (
                parcel,
                links.url(parcel),
                tracking_link(parcel),
                phase_badge(parcel),
                timeline_of(parcel),
                advice_for(parcel),
                web_address(parcel.tracking_url),
            )
            for parcel in state.parcels
        ],
        "payloads": links.payloads(state) if may_see_payload else [],
        "history": history_of(order, state),
    }


class _Links:
    """Links to the pages of the admin; none for a user who may not enter it."""

    def __init__(self, host: PanelHost, request: HttpRequest) -> None:
        self._site = host.admin_site
        self._may_enter = self._site.has_permission(request)

    def url(self, obj: models.Model | None, page: str = "change") -> str:
        return admin_url(self._site, obj._meta, obj.pk, page) if obj is not None and self._may_enter else ""

    def payloads(self, state: OrderState) -> list[tuple[str, str]]:
        """Return links to the payloads that would be sent, one for each shipment."""
        rows: list[OutboxEntry | Shipment] = [s for s in state.shipments if s.status != ShipmentStatus.DELETED]
        if not rows and state.entry is not None:
            rows = [state.entry]
        links = []
        for row in rows:
            label = gettext("What would be sent now")
            if len(rows) > 1:
                label = gettext("What would be sent now: %(shipment)s") % {"shipment": row}
            links.append((self.url(row, "payload"), label))
        return [(url, label) for url, label in links if url]


class _Problem:
    """Problem of an order or a shipment, as ``includes/explanation.html`` shows it."""

    def __init__(
        self, explanation: Explanation, fields: list[FieldProblem] | None = None, *, detail: str = "", code: str = ""
    ) -> None:
        self.explanation, self.fields, self.detail, self.code = explanation, fields or [], detail, code


def _problems_of(state: OrderState, holder: Integration | None) -> list[_Problem]:
    entry = state.entry
    if entry is not None and has_problem(entry):
        code, fields = entry.error_code, fields_of(entry.error_fields)
        return [_Problem(explain_entry(entry.state, code), fields, detail=entry.error_detail, code=code)]
    if holder is not None:
        return [_Problem(explain_hold(holder))]
    if entry is not None:
        return []
    rejected = [shipment for shipment in state.shipments if shipment.status == ShipmentStatus.REJECTED]
    return [_Problem(ERRORS["rejected"], fields_of(shipment.errors), code="rejected") for shipment in rejected]


def _conflicts_of(state: OrderState) -> list[_Problem]:
    """Return the labels that do not fit the order, for an operator who may see parcels."""
    in_conflict = [shipment for shipment in state.shipments if shipment.label_conflict and state.with_parcels]
    found = []
    for shipment in in_conflict:
        parcels = [parcel for parcel in state.parcels if parcel.shipment_id == shipment.pk]
        found.append(_Problem(explain_conflict(shipment, parcels), changed_fields(shipment)))
    return found


def _held_by(state: OrderState) -> Integration | None:
    """Return the integration that holds an order, because it is paused or not in use."""
    if state.entry is None or state.entry.state != EntryState.PENDING:
        return None
    integration = state.entry.integration
    return integration if integration is not None and holds_orders(integration) else None


def _due(entry: OutboxEntry | None) -> Any:
    if entry is None or entry.state != EntryState.PENDING or entry.is_leased:
        return ""
    return due_of(entry)


def _why_not_sent(order: models.Model, state: OrderState) -> NotSent | None:
    if state.entry is not None or any(shipment.status != ShipmentStatus.DELETED for shipment in state.shipments):
        return None
    return why_not_sent(order, was_there=bool(state.shipments))
