"""Webhook of an integration: its registration, its check, and keys by webhook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...conf import SendcloudConfigurationError, conf
from ...core.dates import clock_time
from ...models import Integration, PauseReason
from ...sync import limiter
from ...webhooks import selftest
from ...webhooks.address import reachability
from ...webhooks.credentials import WINDOW
from ..actions.action import Question, Rows, action
from ..actions.history import log
from ..base import SendcloudAdmin
from ..explanations.errors import Explanation
from ..explanations.failures import FAILURES
from ..ui.cells import EMPTY
from .failures import report_failure

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["accept_keys", "check_address", "has_usable_keys", "is_registered", "register_webhook", "shop_root_url"]

#: Pauses during which Sendcloud rejects these keys.
_REJECTED = (PauseReason.CREDENTIALS, PauseReason.GONE, PauseReason.CONFIGURATION)


def has_usable_keys(integration: Integration) -> bool:
    """Return whether the stored keys can be used for a request."""
    return bool(integration.public_key and integration.secret_key) and integration.paused_reason not in _REJECTED


def shop_root_url(request: HttpRequest) -> str:
    """Return this shop's root URL: as configured, or as requested."""
    return conf().WEBHOOK_BASE_URL or request.build_absolute_uri("/")


def is_registered(integration: Integration, address: str) -> bool:
    """Return whether Sendcloud sends webhooks to this address, as far as is known."""
    return bool(address) and integration.webhook_active and integration.webhook_url == address


# -- registering it -----------------------------------------------------------------------------------

NO_ADDRESS = _(
    "There is no webhook address: the shop's URLs do not include django_sendcloud.urls. Ask your developer to add it."
)


def _ask_webhook(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> Question:
    integration = rows.get()
    address = integration.webhook_address(shop_root_url(request))
    if not address:
        return Question([], [NO_ADDRESS])
    consequences: list[StrOrPromise] = [
        _("From now on Sendcloud reports what becomes of parcels to %(url)s.") % {"url": address}
    ]
    if integration.webhook_url and integration.webhook_url != address:
        former = {"url": integration.webhook_url}
        consequences.append(_("It replaces the address Sendcloud has now, %(url)s.") % former)
    return Question(consequences, reachability(address))


@action(
    _("Register webhook…"),
    permission="change",
    ask=_ask_webhook,
    offered=lambda integration: (
        bool(integration.webhook_path()) and integration.is_active and has_usable_keys(integration)
    ),
)
def register_webhook(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> None:
    """Register the webhook address at Sendcloud and switch it on."""
    integration = rows.get()
    address = integration.webhook_address(shop_root_url(request))
    if not address:
        messages.error(request, NO_ADDRESS)
        return
    try:
        limiter.wait_for_turn(integration.account_id, "unsafe")
        integration.change_at_sendcloud(webhook_active=True, webhook_url=address)
    except FAILURES as error:
        report_failure(model_admin, request, integration, error, _("Register the webhook"))
        return
    log(request, [integration], _("Registered the webhook at Sendcloud."))
    if is_registered(integration, address):
        messages.success(request, gettext("Sendcloud confirms: parcels are reported to %(url)s.") % {"url": address})
    else:
        text = gettext("Sendcloud accepted it, but says that webhooks go to: %(url)s.")
        messages.warning(request, text % {"url": integration.webhook_url or EMPTY})


# -- trying it ----------------------------------------------------------------------------------------

#: Obstacles of the shop's call to itself, by ``selftest.Outcome.problem``.
ADDRESS_PROBLEMS: Mapping[str, Explanation] = {
    "unreachable": Explanation(
        _("The webhook address does not answer"),
        _("The host name does not resolve or the port is closed, seen from your server."),
        _(
            "Open the address in a browser from another network: “405 Method Not Allowed” is the right "
            "answer there. With that answer, Sendcloud gets through, and only the shop cannot reach itself. "
            "Otherwise ask your developer to open the port."
        ),
    ),
    "certificate": Explanation(
        _("The certificate of the webhook address is not valid"),
        _(
            "The server that answered has no valid certificate for this address, so Sendcloud would not talk "
            "to it either."
        ),
        _("Ask your developer to renew the certificate, and to check that it is sent with its whole chain."),
    ),
    "too_slow": Explanation(
        _("The webhook address did not answer in time"),
        _("The connection was made, and then nothing came, or only a part."),
        _(
            "Look whether the server is overloaded. A server with one process only, as in development, cannot answer "
            "itself; then only Sendcloud's own test shows whether it works."
        ),
    ),
    "redirected": Explanation(
        _("The webhook address points elsewhere"),
        _("The answer was a redirect, and Sendcloud does not follow it."),
        _("Ask your developer to set the shop's real address: https, and the right host name."),
    ),
    "signature": Explanation(
        _("The shop answered, and did not recognise the signature"),
        _("Something in between changes the request, or another server of the shop has other keys."),
        _(
            "Ask your developer to pass on the body and the header Sendcloud-Signature unchanged, and to use "
            "the same database and ENCRYPTION_KEYS on all servers."
        ),
    ),
    "closed": Explanation(
        _("Something in front of the shop rejects the request"),
        _("Something answered before the shop itself did: a login, a firewall, or a protection against robots."),
        _("Ask your developer to open the webhook address to the public. Its signature protects it."),
    ),
    "not_there": Explanation(
        _("There is no such address in the shop"),
        _("The server that answered does not know the address, or not this integration."),
        _(
            "Ask your developer to check that the host name leads to this shop, and that its URLs include "
            "django_sendcloud.urls."
        ),
    ),
    "failed": Explanation(
        _("The shop's server answered with an error"),
        _("The address leads to a server that could not do its work."),
        _("Ask your developer to look into the server's log."),
    ),
    "somebody_else": Explanation(
        _("Another server answers at the webhook address"),
        _("The answer was no error, but did not come from this shop: an older server, a parking page, another shop."),
        _("Ask your developer to check where the host name leads."),
    ),
}
ADDRESS_UNKNOWN = Explanation(
    _("It is not clear where the shop is reached"),
    _("The shop calls only addresses that are certainly its own."),
    _(
        "Ask your developer to set SENDCLOUD['WEBHOOK_BASE_URL'], for instance to https://shop.example, "
        "and register the webhook."
    ),
)


@action(
    _("Check the webhook address"),
    permission="test",
    offered=lambda integration: bool(integration.secret_key and integration.webhook_path()),
    emphasis="quiet",
)
def check_address(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> None:
    """Call the webhook's address as Sendcloud does. Changes nothing and does not count as an update."""
    integration = rows.get()
    address = selftest.own_address(integration)
    try:
        problem = selftest.run(integration, address) if address else None
    except SendcloudConfigurationError as error:
        report_failure(model_admin, request, integration, error, _("Check the webhook address"), changes=False)
        return
    if problem is None or problem.problem:
        found = ADDRESS_PROBLEMS[problem.problem] if problem else ADDRESS_UNKNOWN
        detail = (
            f"({address}: HTTP {problem.status})" if problem and problem.status else f"({address})" if address else ""
        )
        model_admin.report(request, messages.ERROR, found.title, found.why, found.advice, detail)
        log(request, [integration], _("Checked the webhook address: %(problem)s."), problem=found.title)
        return
    log(request, [integration], _("Checked the webhook address: it works."))
    model_admin.report(
        request,
        messages.SUCCESS,
        _("The webhook address works"),
        gettext("The shop was called at %(url)s, recognised the signature, and proved to be this shop.")
        % {"url": address},
        *reachability(address),
        _("Sendcloud's own test shows whether Sendcloud gets through as well."),
    )


# -- keys by webhook ----------------------------------------------------------------------------------


def _ask_for_keys(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> Question:
    minutes = int(WINDOW.total_seconds() // 60)
    return Question(
        [
            _("For %(minutes)d minutes, keys for this integration are accepted by webhook.") % {"minutes": minutes},
            _("They are used only once Sendcloud itself has accepted them. The former ones then stop being used."),
        ],
        [_("Do this only while you connect the shop from Sendcloud's side. Otherwise enter the keys here.")],
    )


def _window_is_closed(integration: Integration) -> bool:
    until = integration.keys_by_webhook_until
    return until is None or until <= timezone.now()


@action(
    _("Accept keys by webhook…"),
    permission="change",
    ask=_ask_for_keys,
    offered=lambda integration: (
        bool(integration.webhook_path()) and integration.is_active and _window_is_closed(integration)
    ),
    emphasis="quiet",
)
def accept_keys(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> None:
    """Accept ``integration_credentials`` for a while."""
    integration = rows.get()
    until = timezone.now() + WINDOW
    Integration.objects.filter(pk=integration.pk).update(keys_by_webhook_until=until)
    log(request, [integration], _("Accepts keys by webhook for a while."))
    text = gettext("Until %(time)s, keys are accepted by webhook.")
    messages.success(request, text % {"time": clock_time(until)})
