"""``path("sendcloud/", include("django_sendcloud.urls"))``."""

from __future__ import annotations

from django.urls import path

from .admin.orders.backoffice import OrderActionView
from .views import WebhookView, metrics

app_name = "django_sendcloud"

urlpatterns = [
    path("webhooks/<uuid:key>/", WebhookView.as_view(), name="webhook"),
    path("metrics/", metrics, name="metrics"),
    path("orders/<slug:name>/", OrderActionView.as_view(), name="order_action"),
]
