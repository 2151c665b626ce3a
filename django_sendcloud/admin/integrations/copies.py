"""Actions that settle which of two deployments ships: the shop itself, or a copy of its database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...conf import conf
from ...core.deployment import current_deployment, deployment_differences
from ...models import Integration, PauseReason
from ...sync.health import health
from ..actions.action import Question, Rows, action, notify
from ..actions.history import log

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from ..base import SendcloudAdmin

__all__ = ["is_a_copy", "may_be_copy", "ships_here"]

PARTS = {
    "name": _("name of the deployment"),
    "database": _("database"),
    "address": _("address of the shop"),
    "server": _("database server"),
}


def may_be_copy(integration: Integration) -> bool:
    """Return whether the integration was connected in another deployment than this one."""
    return bool(deployment_differences(integration.deployment))


def _name_differences(integration: Integration) -> Iterator[str]:
    for part, (there, here) in sorted(deployment_differences(integration.deployment).items()):
        values = {"part": PARTS.get(part, part), "there": there, "here": here}
        yield (
            gettext("It was connected in a deployment with the %(part)s %(there)s. This deployment has %(here)s.")
            % values
        )


def _decided(integration: Integration) -> str:
    """Return a note that this deployment ships already, for a page that was open for long."""
    text = gettext("A colleague has decided meanwhile: “%(name)s” ships from this deployment. Nothing was changed.")
    return text % {"name": integration}


def _waiting(integration: Integration) -> int:
    """Return the number of orders that are sent once this deployment ships."""
    found = health(fold=True)
    others = [each for each in found.in_use if each.integration.pk != integration.pk]
    return found.of(integration).backlog.waiting + (0 if others else found.unassigned.waiting)


def _ask_ships_here(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> Question:
    integration = rows.get()
    if not may_be_copy(integration):
        return Question([], [_decided(integration)])
    consequences: list[StrOrPromise] = [_("From now on this deployment sends orders through the integration.")]
    if waiting := _waiting(integration):
        sentence = ngettext(
            "%(number)d order waits and is sent now.", "%(number)d orders wait and are sent now.", waiting
        )
        consequences.append(sentence % {"number": waiting})
    return Question(
        consequences,
        [
            *_name_differences(integration),
            _("If the other deployment still runs, both would send: take the integration out of use there."),
        ],
    )


@action(_("This is the shop that ships…"), permission="pause", ask=_ask_ships_here, offered=may_be_copy)
def ships_here(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> None:
    """Make this deployment the one that ships. Also undoes *This is a copy*."""
    integration = rows.get()
    if not may_be_copy(integration):
        messages.warning(request, _decided(integration))
        return
    integration.deployment, integration.is_active = current_deployment(), True
    # Orders that found no integration in use are tried again once it is saved.
    integration.save(using=conf().DATABASE, update_fields=["deployment", "is_active"])
    if integration.paused_reason == PauseReason.COPY:
        integration.resume()
    log(request, [integration], _("Decided: this is the shop that ships."))
    notify("outbox")
    text = gettext("“%(name)s” ships from this deployment. Waiting orders are sent now.") % {"name": integration}
    if integration.is_paused:
        text = gettext("“%(name)s” ships from this deployment. It is still paused for another reason.") % {
            "name": integration
        }
    messages.success(request, text)


def _ask_is_a_copy(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> Question:
    if not may_be_copy(rows.get()):
        return Question([], [_decided(rows.get())])
    return Question(
        [
            _("This deployment sends nothing through the integration any more."),
            _("Nothing changes at Sendcloud, and the deployment that ships is not affected."),
            _("“This is the shop that ships” undoes it. Orders placed meanwhile are kept and sent then."),
        ],
        [*_name_differences(rows.get())],
    )


@action(
    _("This is a copy…"),
    permission="pause",
    ask=_ask_is_a_copy,
    offered=lambda integration: integration.is_active and may_be_copy(integration),
    emphasis="quiet",
)
def is_a_copy(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> None:
    """Take the integration out of use here, because another deployment ships."""
    integration = rows.get()
    if not may_be_copy(integration):
        messages.warning(request, _decided(integration))
        return
    integration.pause(PauseReason.COPY)
    Integration.objects.filter(pk=integration.pk).update(is_active=False)
    log(request, [integration], _("Decided: this is a copy of the shop."))
    text = gettext("“%(name)s” is not in use here: this deployment is a copy, and sends nothing.") % {
        "name": integration
    }
    messages.success(request, text)
