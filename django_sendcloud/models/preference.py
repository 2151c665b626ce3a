"""Preferences of operators: the paper of labels, and saved filters of lists."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from .base import DatabaseManager, SendcloudModel
from .fields import ExactCharField, HiddenJSONField

__all__ = ["PRINTING", "Preference"]

#: Name of the paper and the order of labels, as ``{"layout": str, "sorting": str}``.
PRINTING = "printing"


class Preference(SendcloudModel):
    """One row per operator and name, under the key of their user, who may live in another database."""

    user_key = ExactCharField(_("user key"), max_length=255)
    name = models.CharField(max_length=50)
    value = HiddenJSONField(default=dict)

    objects = DatabaseManager["Preference"]()

    class Meta(SendcloudModel.Meta):
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user_key", "name"], name="sendcloud_preference_user")]

    def __str__(self) -> str:
        return f"{self.user_key} {self.name}"

    @classmethod
    def of(cls, user: Any, name: str) -> Any:
        """Return what a user chose; ``None`` if they chose nothing yet."""
        return cls.objects.filter(user_key=str(user.pk), name=name).values_list("value", flat=True).first()

    @classmethod
    def keep(cls, user: Any, name: str, value: Any) -> None:
        """Store what a user chose. The last choice wins."""
        cls.objects.update_or_create(user_key=str(user.pk), name=name, defaults={"value": value})
