"""``path("sendcloud/", include("django_sendcloud.urls"))``."""

from __future__ import annotations

from django.urls import path

from .views import WebhookView

app_name = "django_sendcloud"

urlpatterns = [
    path("webhooks/<uuid:key>/", WebhookView.as_view(), name="webhook"),
]
