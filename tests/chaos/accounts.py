"""The two Sendcloud accounts of a run, and the one that an order belongs to."""

from __future__ import annotations

import uuid
from typing import Any

__all__ = ["ACCOUNTS", "account_of", "get_integration"]

ACCOUNTS = ("main", "second")


def account_of(order: object) -> str:
    """Return the account of an order by its primary key, so that a deleted order has one, too."""
    return ACCOUNTS[uuid.UUID(str(order)).int % len(ACCOUNTS)]


def get_integration(adapter: Any, order: Any) -> Any:
    """Return the integration that an order goes to. A hook of the shop's adapter."""
    from django_sendcloud.models import Integration

    return Integration.objects.get(account__name=account_of(order.pk))
