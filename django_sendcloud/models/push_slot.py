"""The processes that may push for an account at the same time."""

from __future__ import annotations

from django.db import models

from .account import Account
from .base import DatabaseManager, SendcloudModel


class PushSlot(SendcloudModel):
    """One of the places for processes that push for an account (``sync.slots``)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.PositiveSmallIntegerField()
    until = models.DateTimeField()
    lease = models.CharField(max_length=32, default="")

    objects = DatabaseManager["PushSlot"]()

    class Meta(SendcloudModel.Meta):
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["account", "number"], name="sendcloud_push_slot")]

    def __str__(self) -> str:
        return f"{self.account} {self.number}"
