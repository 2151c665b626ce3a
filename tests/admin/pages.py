"""Buttons of an integration's page, and the messages and histories that follow."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from django_sendcloud.admin.actions.history import render_message
from django_sendcloud.models import Integration


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def history() -> list[str]:
    return [render_message(entry.get_change_message()) for entry in LogEntry.objects.order_by("pk")]


def press(client: Client, integration: Integration, name: str, **values: Any) -> Any:
    return client.post(reverse("admin:django_sendcloud_integration_action", args=[integration.pk, name]), values)
