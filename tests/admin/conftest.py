from __future__ import annotations

import datetime as dt
import functools
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
from django.utils import timezone

from django_sendcloud.models import Integration, OutboxEntry, Parcel, ParcelStatus, Shipment, WebhookEvent
from django_sendcloud.sync.problems import Problem, columns_of
from tests import factories

from .fake import FakeSendcloud

VIEW = ["account", "integration", "outboxentry", "parcel", "shipment", "webhookevent"]
OPERATE = ["push_order", "replay_webhookevent", "test_integration", "pause_integration"]
ROLES: dict[str, list[str] | None] = {
    "staff": [],
    "viewer": [f"view_{name}" for name in VIEW],
    "operator": [f"view_{name}" for name in VIEW] + OPERATE,
    "superuser": None,
}

WEIGHT_ERROR = {"parcel_items[1].weight": [{"code": "too_small", "params": {"limit": "0.001 kg", "value": "0"}}]}


@pytest.fixture
def fake(settings: Any) -> Iterator[FakeSendcloud]:
    server = FakeSendcloud()
    settings.SENDCLOUD = {**settings.SENDCLOUD, "BASE_URL": server.base_url}
    yield server
    server.close()


@pytest.fixture
def connected(db: None, fake: FakeSendcloud) -> Integration:
    return Integration.objects.create(
        remote_id=4001, name="Bike shop", public_key=fake.public_key, secret_key=fake.secret_key
    )


def client_of(role: str, *more: str) -> Client:
    """Return a client logged in as one of ``ROLES``; not logged in for ``anonymous``."""
    if role == "anonymous":
        return Client()
    permissions = ROLES[role]
    user = User.objects.create_user(f"{role}-{uuid.uuid4().hex[:6]}", is_staff=True, is_superuser=permissions is None)
    return client_with(user, *(permissions or []), *more)


def client_with(user: User, *codenames: str) -> Client:
    """Return a client logged in as a user, who gets the named permissions.

    It writes the session itself, in a fifth of the time of ``force_login``.
    """
    if codenames:
        user.user_permissions.add(*permission_keys(codenames))
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    return client


@functools.cache
def permission_keys(codenames: tuple[str, ...]) -> list[int]:
    """Return the primary keys of permissions, which stay the same for all tests."""
    return list(Permission.objects.filter(codename__in=codenames).values_list("pk", flat=True))


@pytest.fixture
def as_role(db: None) -> Callable[..., Client]:
    """Return a function that logs in with a role, and more permissions."""
    return client_of


class Data:
    """One row of everything, in every state an operator may see."""

    def __init__(self, integration: Integration) -> None:
        now = timezone.now()
        self.integration = integration
        self.order = factories.order(customer=factories.customer(name="Canary Person", email="canary@example.com"))
        factories.clear_outbox()
        key = str(self.order.pk)
        self.shipment = Shipment.objects.create(
            integration=integration,
            order_type="shop.order",
            order_pk=key,
            order_number=self.order.number,
            external_order_id=key,
            external_shipment_id=key,
            uuid=uuid.uuid4(),
            status="rejected",
            digest="d" * 64,
            errors=WEIGHT_ERROR,
        )
        self.entry = OutboxEntry.objects.create(
            order_type="shop.order",
            order_pk=key,
            integration=integration,
            state="rejected",
            **columns_of(Problem("rejected", "upsert shipments: refused", WEIGHT_ERROR)),
        )
        self.parcel = Parcel.objects.create(
            integration=integration,
            shipment=self.shipment,
            remote_id=71,
            tracking_number="3SCANAL1",
            tracking_url="https://tracking.example/3SCANAL1",
            order_number=self.order.number,
            carrier="postnl",
            status_id=3,
            status_message="En route to sorting center",
            phase="in_transit",
            status_at=now,
        )
        for number, message in ((1, "Announced"), (3, "En route to sorting center")):
            ParcelStatus.objects.create(
                parcel=self.parcel,
                status_id=number,
                message=message,
                phase="in_transit",
                event_ms=number,
                at=now - dt.timedelta(minutes=10 - number),
            )
        body = json.dumps({"action": "parcel_status_changed", "parcel": {"name": "Canary Person"}})
        self.event = WebhookEvent.objects.create(
            integration=integration,
            digest="a" * 64,
            action="parcel_status_changed",
            state="failed",
            body=body,
            note={"code": "not_applied", "error": "KeyError"},
            due_at=None,
            parcel=self.parcel,
        )

    @property
    def objects(self) -> dict[str, Any]:
        return {
            "integration": self.integration,
            "outboxentry": self.entry,
            "shipment": self.shipment,
            "parcel": self.parcel,
            "webhookevent": self.event,
            "account": self.integration.account,
        }


@pytest.fixture
def data(connected: Integration) -> Data:
    return Data(connected)
