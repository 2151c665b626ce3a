from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SendcloudConfig(AppConfig):
    name = "django_sendcloud"
    label = "django_sendcloud"
    verbose_name = _("Sendcloud")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, receivers, registry

        checks.register()
        registry.autodiscover()
        receivers.connect()
