from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OscarSendcloudConfig(AppConfig):
    name = "django_sendcloud.contrib.oscar"
    label = "sendcloud_oscar"
    verbose_name = _("Sendcloud for Oscar")

    def ready(self) -> None:
        from . import checks, dashboard

        checks.register()
        dashboard.extend()
