"""What Sendcloud has been told, and has answered."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import ExactCharField
from .integration import Integration
from .outbox import local_order


class ShipmentStatus(models.TextChoices):
    PENDING = "pending", _("not confirmed yet")
    SYNCED = "synced", _("at Sendcloud")
    REJECTED = "rejected", _("refused")
    DELETED = "deleted", _("deleted at Sendcloud")


class ShipmentQuerySet(models.QuerySet["Shipment"]):
    def for_order(self, order: models.Model) -> ShipmentQuerySet:
        """Everything Sendcloud was ever told of one order."""
        from ..adapters import registry

        return self.filter(order_type__in=registry.order_types(order), order_pk=str(order.pk))

    def alive(self) -> ShipmentQuerySet:
        """Those that Sendcloud knows, or may know."""
        return self.exclude(status=ShipmentStatus.DELETED)


class Shipment(models.Model):
    """One shipment at Sendcloud, and how it relates to an order here.

    It survives the order: a deleted order is deleted at Sendcloud from what stands here. It holds no
    personal data.
    """

    integration = models.ForeignKey(
        Integration,
        on_delete=models.CASCADE,
        related_name="shipments",
        verbose_name=_("integration"),
        db_index=False,  # the unique constraint begins with it
    )
    order_type = models.CharField(_("order type"), max_length=100)
    order_pk = ExactCharField(_("order key"), max_length=255)
    order_number = models.CharField(_("order number"), max_length=255, blank=True)
    external_order_id = ExactCharField(_("external order id"), max_length=255)
    external_shipment_id = ExactCharField(_("external shipment id"), max_length=255)
    uuid = models.UUIDField(_("shipment UUID"), null=True, blank=True, db_index=True)

    status = models.CharField(
        _("status"), max_length=10, choices=ShipmentStatus.choices, default=ShipmentStatus.PENDING
    )
    errors = models.JSONField(_("errors"), default=dict, blank=True)
    # SHA-256 of the last content Sendcloud accepted; "" when that is not known.
    digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    # The greatest ``updated_at`` ever sent for it, in seconds since the epoch.
    stamp = models.BigIntegerField(default=0, editable=False)
    told_at = models.DateTimeField(_("last told"), null=True, blank=True)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True)
    created_at = models.DateTimeField(_("first recorded"), auto_now_add=True)
    # The last comparison that saw it at Sendcloud, and how many in a row found it different.
    seen_scan = models.BigIntegerField(default=0, editable=False)
    suspicion = models.PositiveSmallIntegerField(default=0, editable=False)

    objects = ShipmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("shipment")
        verbose_name_plural = _("shipments")
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "external_order_id", "external_shipment_id"], name="sendcloud_shipment_key"
            ),
        ]
        indexes = [
            models.Index(fields=["order_pk", "order_type"], name="sendcloud_shipment_order"),
            models.Index(fields=["order_number"], name="sendcloud_shipment_number"),
            models.Index(fields=["status", "deleted_at"], name="sendcloud_shipment_status"),
            models.Index(fields=["integration", "suspicion"], name="sendcloud_shipment_suspicion"),
            models.Index(fields=["told_at"], name="sendcloud_shipment_told"),
        ]
        permissions = [
            ("view_payload", _("Can see what is sent (personal data)")),
            ("delete_remote_shipment", _("Can delete shipments at Sendcloud")),
        ]

    def __str__(self) -> str:
        order = self.order_number or self.external_order_id
        if self.external_shipment_id in ("", self.external_order_id):
            return order
        return f"{order} / {self.external_shipment_id}"

    def reference(self) -> dict[str, Any]:
        """What Sendcloud is told to know which one is meant (contract: POST …/shipments/delete)."""
        if self.external_shipment_id or self.uuid is None:
            return {"external_order_id": self.external_order_id, "external_shipment_id": self.external_shipment_id}
        # Only where it has to be: an order that was deleted there and told again has another UUID than the one we know,
        # if the answer was lost.
        return {"shipment_uuid": str(self.uuid)}

    def order(self) -> models.Model | None:
        """The shop's order, ``None`` where it is gone."""
        return local_order(self.order_type, self.order_pk)
