"""A place in the admin for the page that shows everything at a glance."""

from __future__ import annotations

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .integration import Integration


class Overview(Integration):
    """No table and no permissions of its own: everyone who may see integrations sees it."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("overview")
        # The admin sorts by this name, and this page comes first; the space is not to be seen.
        verbose_name_plural = format_lazy(" {}", _("Overview"))
