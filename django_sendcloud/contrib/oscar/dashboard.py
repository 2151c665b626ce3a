"""Oscar's dashboard: an entry for the overview, and actions on selected orders."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator

from ...admin.actions.action import Action
from ...admin.actions.atomic import with_actions_outside
from ...admin.orders.actions import LABELS, PUSH
from ...admin.orders.backoffice import BackOffice
from .shop import get_class

__all__ = ["Dashboard", "bulk_actions", "extend"]

OVERVIEW = "admin:django_sendcloud_overview_changelist"


class Dashboard(BackOffice):
    """Oscar's dashboard as a place for actions on orders."""

    confirmation_template = "oscar/dashboard/orders/sendcloud_confirmation.html"
    checkbox_name = "selected_order"


def extend() -> None:
    """Add the overview to the dashboard's navigation, and the actions to its list of orders."""
    _extend_navigation()
    _extend_list(get_class("dashboard.orders.views", "OrderListView"))


def _extend_navigation() -> None:
    menu = getattr(settings, "OSCAR_DASHBOARD_NAVIGATION", None)
    # An entry that the shop wrote itself stays where it is.
    if isinstance(menu, list) and not any(OVERVIEW in str(entry) for entry in menu):
        menu.append({"label": "Sendcloud", "icon": "fas fa-truck", "url_name": OVERVIEW, "access_fn": may_see_overview})


def may_see_overview(user: Any, *args: Any) -> bool:
    """Return whether the navigation shows this user the overview, a page of Django's admin."""
    try:
        reverse(OVERVIEW)
    except NoReverseMatch:
        return False
    return bool(user.is_staff and user.has_perm("django_sendcloud.view_integration"))


def _extend_list(view: Any) -> None:
    actions = view.actions or ()
    names = [each.name for each in (PUSH, LABELS) if each.name not in actions]
    # A name without an object stands for the view's method of this name.
    view.actions = {**actions, **dict.fromkeys(names)} if isinstance(actions, dict) else (*actions, *names)
    for each in (PUSH, LABELS):
        setattr(view, each.name, _method(each))
    ours = {PUSH.name, LABELS.name}
    view.dispatch = method_decorator(functools.partial(with_actions_outside, names=lambda: ours))(view.dispatch)


def _method(action: Action) -> Callable[..., HttpResponse | None]:
    def run(view: Any, request: HttpRequest, orders: Any) -> HttpResponse | None:
        return action(Dashboard(view.model), request, orders)

    run.__name__ = action.name
    return run


def bulk_actions(request: HttpRequest, model: Any) -> list[Action]:
    """Return the actions that this user may do with selected orders."""
    dashboard = Dashboard(model)
    return [each for each in (PUSH, LABELS) if each.is_allowed(dashboard, request)]
