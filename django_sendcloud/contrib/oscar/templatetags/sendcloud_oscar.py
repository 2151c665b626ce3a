"""Template tags of the dashboard's pages."""

from __future__ import annotations

from django import template

from ....admin.actions.action import Action
from ..dashboard import bulk_actions
from ..shop import get_model

register = template.Library()


@register.simple_tag(takes_context=True)
def sendcloud_bulk_actions(context: template.Context) -> list[Action]:
    """Return the actions that the user may do with selected orders."""
    return bulk_actions(context["request"], get_model("order.Order"))
