"""Panel and actions for the pages of a back office that is not Django's admin."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import get_script_prefix, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.csrf import csrf_protect

from ...core.transactions import outside_transactions
from ...orders import OrderRef
from ..actions.action import Action
from ..ui.links import is_own_page
from .actions import CANCEL_LABEL, KEEP_LABEL, LABELS, PUSH, OrderPermissions
from .panel import buttons_of, panel_of, state_of
from .state import order_type_of

if TYPE_CHECKING:
    from django.db.models.options import Options

__all__ = ["BackOffice", "OrderActionView", "panel_context"]

SALT = "django_sendcloud.order_panel"
# Age of a page after which its buttons ask to reload it.
MAX_AGE = dt.timedelta(days=1)


class BackOffice(OrderPermissions):
    """Stand-in for the admin class of an order model, for actions on other pages.

    Its queryset has all orders: the page itself decides which of them a user may see.
    """

    sendcloud_buttons: tuple[Action, ...] = (PUSH, LABELS, KEEP_LABEL, CANCEL_LABEL)
    #: Template of the question before an action on several orders.
    confirmation_template = "django_sendcloud/confirmation.html"
    #: Name of the list's checkboxes.
    checkbox_name = "selected"
    media = forms.Media()

    def __init__(
        self, model: type[models.Model], *, page_url: str = "", hidden_fields: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Stand in for the admin class of an order model.

        Args:
            model: The order model.
            page_url: Address of the page with the button.
            hidden_fields: Fields that the form of a question sends again.
        """
        self.page_url, self.hidden_fields = page_url, hidden_fields
        self.model = model
        self.opts: Options[Any] = model._meta
        # Its pages are linked to where they exist.
        self.admin_site = admin.site if apps.is_installed("django.contrib.admin") else admin.AdminSite()

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Return all orders."""
        return self.model._default_manager.all()


def panel_context(request: HttpRequest, order: models.Model) -> dict[str, Any]:
    """Return what ``django_sendcloud/order_panel.html`` shows this user of an order: nothing without permission."""
    office = BackOffice(type(order))
    state = state_of(office, request, order) if office.has_sendcloud_view_permission(request) else None
    panel = panel_of(office, request, order, state)
    buttons = buttons_of(office, request, state)
    return {
        "sc_order": panel,
        "sc_actions": [(each, reverse("django_sendcloud:order_action", args=[each.name])) for each in buttons],
        "sc_hidden": [("order", _signed(request, order)), ("next", request.get_full_path())] if buttons else [],
    }


def _signed(request: HttpRequest, order: models.Model) -> str:
    """Return the order's reference, signed for this user, to whom a page of the shop has shown this order."""
    ref = OrderRef.of(order)
    return signing.dumps([ref.order_type, ref.order_pk, str(request.user.pk)], salt=SALT)


# Fetching labels takes seconds; no transaction may be open meanwhile. The permissions answer for the log-in.
@method_decorator([outside_transactions, csrf_protect, login_not_required], name="dispatch")
class OrderActionView(View):
    """Action of a button on an order's panel.

    Needs the same permissions as in the admin. The signature in the form stands for access to the order: it was made
    for this user by a page that showed them this very order.
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        """Run the action, and return to the page that has the button."""
        pressed = next((each for each in BackOffice.sendcloud_buttons if each.name == name), None)
        if pressed is None:
            raise Http404
        url = request.POST.get("next", "")
        back = HttpResponseRedirect(url if is_own_page(request, url) else get_script_prefix())
        try:
            signed = signing.loads(request.POST.get("order", ""), salt=SALT, max_age=MAX_AGE)
        except signing.SignatureExpired:
            messages.warning(request, _("The page was too old, so nothing was done. Please press the button again."))
            return back
        except signing.BadSignature:
            raise PermissionDenied from None
        order_type, key, user = signed
        if user != str(request.user.pk):
            raise PermissionDenied
        order = OrderRef.stored(order_type, key).load()
        if order is None or not order_type_of(type(order)):
            raise Http404
        rows = type(order)._base_manager.using(order._state.db).filter(pk=order.pk)
        office = BackOffice(
            type(order), page_url=back.url, hidden_fields=[("order", request.POST["order"]), ("next", back.url)]
        )
        return pressed(office, request, rows, page_of=order) or back
