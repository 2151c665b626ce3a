"""A problem that operators are alarmed of once."""

from __future__ import annotations

from django.db import models

from .base import DatabaseManager, SendcloudModel
from .fields import StorableTextField
from .integration import Integration


class Alert(SendcloudModel):
    """A problem that was found and is not solved yet; its row disappears with it (``sync.alerts``)."""

    # Digest of what follows up to the integration: MySQL's unique index ends before such texts do.
    cause = models.CharField(max_length=64, unique=True)
    code = models.CharField(max_length=50)
    detail = models.CharField(max_length=100, blank=True)
    field = StorableTextField(blank=True)
    rule = StorableTextField(blank=True)
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, null=True, related_name="+")
    began_at = models.DateTimeField()
    # A problem that vanishes for a moment is not a new one.
    seen_at = models.DateTimeField()
    # Empty until a mail about it was accepted.
    mailed_at = models.DateTimeField(null=True, blank=True)

    objects = DatabaseManager["Alert"]()

    class Meta(SendcloudModel.Meta):
        default_permissions = ()

    def __str__(self) -> str:
        return ":".join(filter(None, (self.code, self.detail, self.field, self.rule)))
