"""The shipments that were pushed, and Sendcloud's answers."""

from __future__ import annotations

from django.db import models
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .base import OrderReference, OrderReferenceQuerySet
from .delivery import PHASES
from .fields import ExactCharField, StorableCharField
from .integration import Integration


class ShipmentStatus(models.TextChoices):
    """State of a shipment, as far as Sendcloud has confirmed it."""

    PENDING = "pending", _("Waiting")
    ACCEPTED = "accepted", _("Sending")
    SYNCED = "synced", _("Sent")
    REJECTED = "rejected", _("Fix needed")
    DELETED = "deleted", _("Removed")


class LabelConflict(models.TextChoices):
    """Reasons why a label does not fit its order any more. An operator decides: nothing is done automatically."""

    CANCELLED = "cancelled", _("cancelled after the label was made")
    CHANGED = "changed", _("changed after the label was made")
    REPLACED = "replaced", _("divided again after the label was made")


class ShipmentQuerySet(OrderReferenceQuerySet["Shipment"]):
    def with_label_conflict(self) -> ShipmentQuerySet:
        """Return the shipments whose label does not fit their order any more."""
        # Positive, because an index finds no row that is unequal to something.
        return self.filter(label_conflict__in=LabelConflict.values)

    def different(self) -> ShipmentQuerySet:
        """Return the shipments that the last comparison found different, without those an operator ignores."""
        return self.filter(mismatches__gt=0).exclude(ignored_stamp__isnull=False, ignored_stamp=F("stamp"))

    def alive(self) -> ShipmentQuerySet:
        """Return the shipments that Sendcloud has, or may have."""
        return self.exclude(status=ShipmentStatus.DELETED)


class Shipment(OrderReference):
    """One shipment at Sendcloud, and how it relates to an order here.

    It survives the order: a worker deletes the shipments of a deleted order at Sendcloud by these rows. It holds no
    personal data.
    """

    integration = models.ForeignKey(
        Integration,
        on_delete=models.CASCADE,
        related_name="shipments",
        verbose_name=_("integration"),
        db_index=False,  # the unique constraint begins with it
    )
    order_number = ExactCharField(_("order number"), max_length=255, blank=True)
    external_order_id = ExactCharField(_("external order id"), max_length=255)
    external_shipment_id = ExactCharField(_("external shipment id"), max_length=255)
    uuid = models.UUIDField(_("shipment UUID"), null=True, blank=True, db_index=True)
    # Sendcloud's id of the order, in API generations that have one.
    remote_id = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    # The parts that Sendcloud may keep when an upsert leaves them out (``payloads.v3.LASTING``), each with whether the
    # last push had it.
    parts = models.JSONField(default=dict, blank=True, editable=False)

    status = models.CharField(
        _("status"), max_length=10, choices=ShipmentStatus.choices, default=ShipmentStatus.PENDING
    )
    errors = models.JSONField(_("errors"), default=dict, blank=True)
    # SHA-256 of the last content Sendcloud accepted; "" when that is not known.
    digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    # The greatest ``updated_at`` ever sent for it, in seconds since the epoch.
    stamp = models.BigIntegerField(default=0, editable=False)
    last_pushed_at = models.DateTimeField(_("last sent"), null=True, blank=True)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True)
    created_at = models.DateTimeField(_("first recorded"), default=timezone.now, editable=False)
    # The last comparison that saw it at Sendcloud, and how many in a row found it different.
    seen_run = models.BigIntegerField(default=0, editable=False)
    # An open task for an operator, and the fields in which the order differs from the label.
    label_conflict = models.CharField(
        _("label conflict"), max_length=10, choices=LabelConflict.choices, blank=True, default=""
    )
    label_differences = models.JSONField(_("differences"), default=list, blank=True)
    # Fingerprints of the fields that the label was made of, or would be made of now.
    label_fields = models.JSONField(default=dict, blank=True, editable=False)
    # The digest of the changed content, or the kind of another conflict: of the open one, and of the one that an
    # operator has accepted.
    label_wanted = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    label_kept = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    # The phase of its least far parcel, "" without one, and the start of it (``parcels.delivery``).
    delivery = models.CharField(_("delivery"), max_length=20, choices=PHASES, blank=True, default="", db_default="")
    delivery_at = models.DateTimeField(_("delivery since"), default=timezone.now, db_default=Now())
    # An operator has seen to it. Each change of the delivery takes this back.
    delivery_handled = models.BooleanField(default=False, db_default=False, editable=False)
    # The lines in it by their ids, each with its pieces, as its label was made of or would be; empty where unknown.
    contents = models.JSONField(default=dict, blank=True, editable=False)
    # The status that parcels have given its order last, "" if they have given none.
    order_status = StorableCharField(max_length=255, blank=True, default="", db_default="", editable=False)
    mismatches = models.PositiveSmallIntegerField(default=0, editable=False)
    # The stamp at which an operator chose to ignore its differences. A newer push ends that.
    ignored_stamp = models.BigIntegerField(null=True, blank=True, editable=False)

    objects = ShipmentQuerySet.as_manager()

    class Meta(OrderReference.Meta):
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
            models.Index(fields=["integration", "mismatches"], name="sendcloud_shipment_mismatches"),
            models.Index(fields=["last_pushed_at"], name="sendcloud_shipment_pushed"),
            models.Index(fields=["delivery", "delivery_at"], name="sendcloud_shipment_delivery"),
            models.Index(fields=["label_conflict"], name="sendcloud_shipment_conflict"),
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
