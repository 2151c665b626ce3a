"""Parcels and their timeline, as Sendcloud reports them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..enums import ParcelPhase
from ..orders import OrderRef
from .base import DatabaseManager, DatabaseQuerySet, Dismissible, SendcloudModel
from .carriers import carrier_name
from .delivery import PHASES
from .fields import ExactCharField, HiddenJSONField, StorableCharField
from .integration import Integration
from .shipment import Shipment


class ParcelQuerySet(DatabaseQuerySet["Parcel"]):
    def outgoing(self) -> ParcelQuerySet:
        return self.filter(is_return=False)

    def unmatched(self) -> ParcelQuerySet:
        """Return the parcels of no known shipment: made by hand at Sendcloud, or reported before their shipment."""
        return self.filter(shipment__isnull=True)

    def needing_assignment(self) -> ParcelQuerySet:
        """Return the parcels that an operator still has to assign or dismiss."""
        return self.unmatched().filter(dismissed_at__isnull=True)

    def for_order(self, order: models.Model) -> ParcelQuerySet:
        """Return the parcels of one order, returns included.

        Raises:
            RegistrationError: no adapter is responsible for its model.
        """
        ref = OrderRef.of(order)
        return self.filter(shipment__order_type=ref.order_type, shipment__order_pk=ref.order_pk)


class Parcel(Dismissible):
    """One parcel at Sendcloud. Each field holds what the newest update that mentions it says, in Sendcloud's time."""

    integration = models.ForeignKey(
        Integration,
        on_delete=models.CASCADE,
        related_name="parcels",
        verbose_name=_("integration"),
        db_index=False,  # the unique constraint begins with it
    )
    shipment = models.ForeignKey(
        Shipment, on_delete=models.SET_NULL, null=True, blank=True, related_name="parcels", verbose_name=_("shipment")
    )
    remote_id = models.PositiveBigIntegerField(_("Sendcloud's id"))

    # The keys that match it to a shipment, in this order.
    shipment_uuid = models.UUIDField(_("shipment UUID"), null=True, blank=True, db_index=True)
    external_order_id = ExactCharField(_("external order id"), max_length=255, blank=True)
    external_shipment_id = ExactCharField(_("external shipment id"), max_length=255, blank=True)
    order_number = ExactCharField(_("order number"), max_length=255, blank=True, db_index=True)

    carrier = StorableCharField(_("carrier"), max_length=100, blank=True)
    tracking_number = StorableCharField(_("tracking number"), max_length=255, blank=True, db_index=True)
    tracking_url = StorableCharField(_("tracking URL"), max_length=1000, blank=True)
    weight = models.DecimalField(_("weight (kg)"), max_digits=10, decimal_places=3, null=True, blank=True)
    # Their addresses hold a hash that opens them.
    labels = HiddenJSONField(_("labels"), default=dict, blank=True, editable=False)
    is_return = models.BooleanField(_("return"), default=False)
    collo_nr = models.PositiveIntegerField(_("collo"), null=True, blank=True)
    collo_count = models.PositiveIntegerField(_("colli"), null=True, blank=True)
    colli_uuid = models.UUIDField(null=True, blank=True, editable=False)
    # Its items: a list of ``{description, quantity, sku, product_id, item_id}``.
    items = HiddenJSONField(_("items"), default=list, blank=True, editable=False)

    status_id = models.IntegerField(_("status id"), null=True, blank=True)
    status_message = StorableCharField(_("status"), max_length=255, blank=True)
    phase = models.CharField(_("phase"), max_length=20, choices=PHASES, default=ParcelPhase.UNKNOWN.value)
    status_at = models.DateTimeField(_("since"), null=True, blank=True)
    # Sendcloud's time of the newest update, in milliseconds.
    last_event_ms = models.BigIntegerField(default=0, editable=False)
    # The update that each field comes from: ``{version: [field, ...]}``, usually one version for all of them.
    versions = models.JSONField(default=dict, blank=True, editable=False)
    created_at = models.DateTimeField(_("first seen"), auto_now_add=True)
    updated_at = models.DateTimeField(_("last update"), auto_now=True)
    # The last time an operator opened its label here, and their user name.
    printed_at = models.DateTimeField(_("printed"), null=True, blank=True)
    printed_by = StorableCharField(_("printed by"), max_length=255, blank=True, default="", db_default="")

    objects = ParcelQuerySet.as_manager()

    class Meta(Dismissible.Meta):
        verbose_name = _("parcel")
        verbose_name_plural = _("parcels")
        constraints = [
            models.UniqueConstraint(fields=["integration", "remote_id"], name="sendcloud_parcel_remote"),
        ]
        indexes = [models.Index(fields=["phase", "status_at"], name="sendcloud_parcel_phase")]
        permissions = [
            ("assign_parcel", _("Can assign parcels to shipments")),
            ("print_label", _("Can print labels")),
            ("cancel_label", _("Can cancel labels, or keep them for a changed order")),
        ]

    def __str__(self) -> str:
        return self.tracking_number or f"#{self.remote_id}"

    @property
    def carrier_name(self) -> str:
        """Return the carrier's name as people write it; ``""`` if the carrier is unknown."""
        return carrier_name(self.carrier)


class ParcelStatus(SendcloudModel):
    """One step of a parcel's journey. A late update adds a step without moving the parcel back."""

    parcel = models.ForeignKey(
        Parcel,
        on_delete=models.CASCADE,
        related_name="timeline",
        verbose_name=_("parcel"),
        db_index=False,  # the unique constraint begins with it
    )
    status_id = models.IntegerField(_("status id"))
    message = StorableCharField(_("status"), max_length=255, blank=True)
    phase = models.CharField(_("phase"), max_length=20, choices=PHASES, default=ParcelPhase.UNKNOWN.value)
    # Sendcloud's time of the update, and the carrier's where the update names it.
    event_ms = models.BigIntegerField(editable=False)
    at = models.DateTimeField(_("at"))
    carrier_at = models.DateTimeField(_("at the carrier"), null=True, blank=True)
    received_at = models.DateTimeField(_("received at"), auto_now_add=True)

    objects = DatabaseManager["ParcelStatus"]()

    class Meta(SendcloudModel.Meta):
        verbose_name = _("parcel status")
        verbose_name_plural = _("parcel timeline")
        ordering = ["event_ms", "status_id"]
        constraints = [
            models.UniqueConstraint(fields=["parcel", "event_ms", "status_id"], name="sendcloud_parcelstatus_event"),
        ]

    def __str__(self) -> str:
        return self.message or str(self.status_id)
