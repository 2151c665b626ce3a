"""Actions that end a connection: here only, or at Sendcloud, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...conf import conf
from ...exceptions import NotFound, RateLimited
from ...models import Integration, Shipment, ShipmentStatus
from ...sync import limiter
from ...sync.health import health
from ..actions.action import Question, Rows, action
from ..actions.history import log
from ..explanations.failures import FAILURES, RATE_LIMIT_REACHED, explain_failure
from .copies import may_be_copy
from .failures import report_failure
from .webhook import has_usable_keys

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from ..base import SendcloudAdmin

__all__ = ["delete_at_sendcloud", "disconnect"]


def _is_connected(integration: Integration) -> bool:
    return integration.is_active or bool(integration.secret_key)


def _waiting(integration: Integration) -> list[StrOrPromise]:
    """Describe the future of waiting orders, with the figures of the integration's page."""
    backlog = health().of(integration).backlog
    sentences = []
    if backlog.waiting:
        text = ngettext(
            "%(number)d order still has to be sent, and waits until another integration takes it.",
            "%(number)d orders still have to be sent, and wait until another integration takes them.",
            backlog.waiting,
        )
        sentences.append(text % {"number": backlog.waiting})
    if stuck := backlog.rejected + backlog.dead:
        text = ngettext(
            "%(number)d order needs a fix, or is stopped.",
            "%(number)d orders need a fix, or are stopped.",
            stuck,
        )
        sentences.append(text % {"number": stuck})
    return [*sentences]


# -- here only ----------------------------------------------------------------------------------------


def _ask_disconnect(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> Question:
    integration = rows.get()
    if may_be_copy(integration):
        return Question(
            [
                _("This deployment forgets the keys, and sends nothing to it."),
                _("Nothing changes at Sendcloud, because another deployment may ship through it."),
            ],
            _waiting(integration),
        )
    stays_on = integration.webhook_active and not has_usable_keys(integration)
    return Question(
        [
            _("Nothing is sent to it any more, and its keys are forgotten here."),
            _("Sendcloud cannot be asked to stop reporting parcels to this shop: switch the webhook off in its panel.")
            if stays_on
            else _("Sendcloud is asked to stop reporting parcels to this shop."),
            _("Shipments stay as they are, there and here. Enter the keys again to reconnect it."),
        ],
        _waiting(integration),
    )


@action(_("Disconnect…"), permission="change", ask=_ask_disconnect, offered=_is_connected, emphasis="danger")
def disconnect(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> None:
    """Stop using an integration and forget its keys. It stays at Sendcloud."""
    integration = rows.get()
    confirmed = False
    if integration.webhook_active and integration.secret_key and not may_be_copy(integration):
        try:
            limiter.wait_for_turn(integration.account.pk, "unsafe")
        except RateLimited:
            # Without keys the webhook could not be switched off later.
            messages.warning(request, RATE_LIMIT_REACHED)
            return
        try:
            integration.change_at_sendcloud(webhook_active=False)
            confirmed = True
        except FAILURES as error:
            title = explain_failure(error, integration).title
            text = gettext("The webhook could not be switched off at Sendcloud (%(why)s). Switch it off in its panel.")
            messages.warning(request, text % {"why": title})
            log(request, [integration], _("Switch the webhook off: it was not done. %(problem)s."), problem=title)
    _forget(integration)
    log(request, [integration], _("Disconnected: its keys are forgotten here."))
    sentences = [gettext("“%(name)s” is disconnected.") % {"name": integration}]
    if confirmed:
        sentences.append(gettext("Sendcloud confirms that it reports no more parcels."))
    messages.success(request, " ".join(sentences))


# -- at Sendcloud, too --------------------------------------------------------------------------------


def _ask_delete(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> Question:
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
            _("The history stays readable here."),
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
    offered=has_usable_keys,
    emphasis="danger",
    typed=str,
)
def delete_at_sendcloud(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> None:
    """Delete an integration at Sendcloud (operation: DELETE /integrations/{id}) and stop using it here."""
    integration = rows.get()
    try:
        limiter.wait_for_turn(integration.account.pk, "unsafe")
        with integration.client(retries=0) as client:
            client.v2.integrations.delete(integration.remote_id)
    except NotFound:
        pass  # deleted meanwhile
    except FAILURES as error:
        report_failure(model_admin, request, integration, error, _("Delete at Sendcloud"))
        return
    with transaction.atomic(using=conf().DATABASE):
        _forget(integration, webhook_active=False, webhook_url="")
        Shipment.objects.filter(integration=integration).exclude(status=ShipmentStatus.DELETED).update(
            status=ShipmentStatus.DELETED, deleted_at=timezone.now(), digest="", errors={}
        )
    log(request, [integration], _("Deleted at Sendcloud."))
    messages.success(request, gettext("“%(name)s” is deleted at Sendcloud.") % {"name": integration})


def _forget(integration: Integration, **more: Any) -> None:
    values: dict[str, Any] = {
        "is_active": False,
        "public_key": "",
        "secret_key": "",
        "previous_secret_key": "",
        "previous_secret_key_until": None,
        "webhook_signature_key": "",
        "keys_by_webhook_until": None,
        # A deleted integration needs no pause.
        "paused_since": None,
        "paused_reason": "",
        "paused_detail": "",
        "paused_by": "",
        "paused_until": None,
        "probe_at": None,
        **more,
    }
    Integration.objects.filter(pk=integration.pk).update(**values)
    integration.refresh_from_db(using=conf().DATABASE)
