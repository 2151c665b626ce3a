from __future__ import annotations

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class SalesmanSendcloudConfig(AppConfig):
    name = "django_sendcloud.contrib.salesman"
    label = "sendcloud_salesman"
    verbose_name = _("Sendcloud for Salesman")

    def ready(self) -> None:
        from salesman.conf import app_settings
        from salesman.core.utils import get_salesman_model

        from . import checks

        checks.register()
        if apps.is_installed("salesman.admin") and app_settings.SALESMAN_ADMIN_REGISTER:
            from ...admin import extend_order_admin

            extend_order_admin(get_salesman_model("Order"))
