"""Ending a connection: on this side only, or at Sendcloud as well. Two different things, with two different buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..exceptions import NotFound
from ..models import Integration, OutboxEntry, Shipment, ShipmentStatus
from ..sync import limiter
from .actions import Question, Rows, action, log
from .connect import FAILURES
from .explain import explain_error

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from .integration import IntegrationAdmin

__all__ = ["delete_at_sendcloud", "disconnect"]


def _is_connected(integration: Integration) -> bool:
    return integration.is_active or bool(integration.secret_key)


def _waiting(integration: Integration) -> list[StrOrPromise]:
    number = OutboxEntry.objects.using(conf().DATABASE).filter(integration=integration).count()
    if not number:
        return []
    text = ngettext(
        "%(number)d order waits for this integration, and will wait until another one takes it.",
        "%(number)d orders wait for this integration, and will wait until another one takes them.",
        number,
    )
    return [text % {"number": number}]


def _ask_disconnect(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> Question:
    integration = rows.get()
    return Question(
        [
            _("Nothing is sent to it any more, and its keys are forgotten here."),
            _("Sendcloud is asked to stop reporting parcels to this shop."),
            _("What was shipped stays as it is, there and here. Enter the keys again to connect it anew."),
        ],
        _waiting(integration),
    )


@action(_("Disconnect…"), permission="change", ask=_ask_disconnect, offered=_is_connected, emphasis="danger")
def disconnect(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Stop using an integration, and forget its keys. At Sendcloud it stays."""
    integration = rows.get()
    told = False
    if integration.webhook_active and integration.secret_key and not limiter.acquire(integration.account.pk, "unsafe"):
        try:
            integration.change_at_sendcloud(webhook_active=False)
            told = True
        except FAILURES as error:
            messages.warning(
                request,
                gettext("Sendcloud could not be told to stop reporting parcels (%(why)s). Switch it off in its panel.")
                % {"why": explain_error(error).title},
            )
    _forget(integration)
    log(request, [integration], gettext("Disconnected: its keys are forgotten here."))
    text = gettext("“%(name)s” is disconnected.") % {"name": integration}
    messages.success(
        request, f"{text} {gettext('Sendcloud confirms that it reports no more parcels.')}" if told else text
    )


def _ask_delete(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> Question:
    integration = rows.get()
    number = integration.shipments.exclude(status=ShipmentStatus.DELETED).count()
    at_sendcloud = ngettext(
        "The integration disappears from Sendcloud's panel, and with it %(number)d shipment it has there.",
        "The integration disappears from Sendcloud's panel, and with it %(number)d shipments it has there.",
        number,
    )
    return Question(
        [
            at_sendcloud % {"number": number},
            _("Its keys stop working, everywhere they are used."),
            _("What happened so far stays readable here."),
        ],
        [
            _("This cannot be undone. To stop using it here and keep it there, choose Disconnect instead."),
            *_waiting(integration),
        ],
    )


@action(
    _("Delete at Sendcloud…"),
    permission="delete_remote",
    ask=_ask_delete,
    offered=lambda integration: bool(integration.secret_key),
    emphasis="danger",
)
def delete_at_sendcloud(model_admin: IntegrationAdmin, request: HttpRequest, rows: Rows) -> None:
    """Delete an integration at Sendcloud (operation: DELETE /integrations/{id}), and stop using it here."""
    integration = rows.get()
    if limiter.acquire(integration.account.pk, "unsafe"):
        messages.warning(request, gettext("Orders go out at full speed at the moment. Please try again in a minute."))
        return
    try:
        with integration.client(retries=0) as client:
            client.integrations.delete(integration.remote_id)
    except NotFound:
        pass  # somebody was faster
    except FAILURES as error:
        explanation = explain_error(error)
        model_admin.report(request, messages.ERROR, explanation.title, explanation.why, explanation.cure, f"({error})")
        return
    with transaction.atomic(using=conf().DATABASE):
        _forget(integration, webhook_active=False, webhook_url="")
        Shipment.objects.using(conf().DATABASE).filter(integration=integration).exclude(
            status=ShipmentStatus.DELETED
        ).update(status=ShipmentStatus.DELETED, deleted_at=timezone.now(), digest="", errors={})
    log(request, [integration], gettext("Deleted at Sendcloud."))
    messages.success(request, gettext("“%(name)s” is deleted at Sendcloud.") % {"name": integration})


def _forget(integration: Integration, **more: Any) -> None:
    values = {"is_active": False, "public_key": "", "secret_key": "", "previous_secret_key": "", **more}
    values |= {"previous_secret_key_until": None, "webhook_signature_key": "", "keys_by_webhook_until": None}
    Integration.objects.using(conf().DATABASE).filter(pk=integration.pk).update(**values)
    integration.refresh_from_db(using=conf().DATABASE)
