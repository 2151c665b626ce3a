"""What comes back: parcels and their history, as Sendcloud's webhooks tell it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..enums import ParcelPhase
from .integration import Integration
from .shipment import Shipment

PHASES = [
    (ParcelPhase.ANNOUNCED.value, _("announced")),
    (ParcelPhase.IN_TRANSIT.value, _("on its way")),
    (ParcelPhase.AWAITING_PICKUP.value, _("ready to be picked up")),
    (ParcelPhase.DELIVERED.value, _("delivered")),
    (ParcelPhase.PROBLEM.value, _("needs attention")),
    (ParcelPhase.RETURNED.value, _("returned")),
    (ParcelPhase.CANCELLED.value, _("cancelled")),
    (ParcelPhase.UNKNOWN.value, _("unknown")),
]


class ParcelQuerySet(models.QuerySet["Parcel"]):
    def outgoing(self) -> ParcelQuerySet:
        return self.filter(is_return=False)

    def unmatched(self) -> ParcelQuerySet:
        """Parcels of no shipment we know: made by hand in Sendcloud's panel, or told of too early."""
        return self.filter(shipment__isnull=True)

    def for_order(self, order: models.Model) -> ParcelQuerySet:
        """The parcels of one order, returns included."""
        from ..adapters import registry

        return self.filter(shipment__order_type=registry.order_type(type(order)), shipment__order_pk=str(order.pk))


class Parcel(models.Model):
    """One parcel at Sendcloud. Its current status is that of the newest news, in Sendcloud's own time."""

    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="parcels", verbose_name=_("integration")
    )
    shipment = models.ForeignKey(
        Shipment, on_delete=models.SET_NULL, null=True, blank=True, related_name="parcels", verbose_name=_("shipment")
    )
    remote_id = models.PositiveBigIntegerField(_("Sendcloud's id"))

    # What it is matched by, in this order, also later.
    shipment_uuid = models.UUIDField(_("shipment UUID"), null=True, blank=True, db_index=True)
    external_order_id = models.CharField(_("external order id"), max_length=255, blank=True)
    external_shipment_id = models.CharField(_("external shipment id"), max_length=255, blank=True)
    order_number = models.CharField(_("order number"), max_length=255, blank=True, db_index=True)

    carrier = models.CharField(_("carrier"), max_length=100, blank=True)
    tracking_number = models.CharField(_("tracking number"), max_length=255, blank=True, db_index=True)
    tracking_url = models.CharField(_("tracking URL"), max_length=1000, blank=True)
    weight = models.DecimalField(_("weight (kg)"), max_digits=10, decimal_places=3, null=True, blank=True)
    labels = models.JSONField(_("labels"), default=dict, blank=True, editable=False)
    is_return = models.BooleanField(_("return"), default=False)
    collo_nr = models.PositiveIntegerField(_("collo"), null=True, blank=True)
    collo_count = models.PositiveIntegerField(_("colli"), null=True, blank=True)

    status_id = models.IntegerField(_("status id"), null=True, blank=True)
    status_message = models.CharField(_("status"), max_length=255, blank=True)
    phase = models.CharField(_("phase"), max_length=20, choices=PHASES, default=ParcelPhase.UNKNOWN.value)
    status_at = models.DateTimeField(_("since"), null=True, blank=True)
    # Total order of news: Sendcloud's milliseconds, then the digest of the body. Only greater ones move the parcel.
    last_event_ms = models.BigIntegerField(default=0, editable=False)
    last_event_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    created_at = models.DateTimeField(_("first seen"), auto_now_add=True)
    updated_at = models.DateTimeField(_("last news"), auto_now=True)

    objects = ParcelQuerySet.as_manager()

    class Meta:
        verbose_name = _("parcel")
        verbose_name_plural = _("parcels")
        constraints = [
            models.UniqueConstraint(fields=["integration", "remote_id"], name="sendcloud_parcel_remote"),
        ]
        permissions = [
            ("assign_parcel", _("Can assign parcels to shipments")),
            ("print_label", _("Can open labels")),
        ]

    def __str__(self) -> str:
        return self.tracking_number or f"#{self.remote_id}"


class ParcelStatus(models.Model):
    """One step of a parcel's journey. Late news adds to the history without moving the parcel back."""

    parcel = models.ForeignKey(Parcel, on_delete=models.CASCADE, related_name="timeline", verbose_name=_("parcel"))
    status_id = models.IntegerField(_("status id"))
    message = models.CharField(_("status"), max_length=255, blank=True)
    phase = models.CharField(_("phase"), max_length=20, choices=PHASES, default=ParcelPhase.UNKNOWN.value)
    # Sendcloud's time of the news, and the carrier's where it is told.
    event_ms = models.BigIntegerField(editable=False)
    at = models.DateTimeField(_("at"))
    carrier_at = models.DateTimeField(_("at the carrier"), null=True, blank=True)
    received_at = models.DateTimeField(_("received at"), auto_now_add=True)

    objects = models.Manager["ParcelStatus"]()

    class Meta:
        verbose_name = _("parcel status")
        verbose_name_plural = _("parcel timeline")
        ordering = ["event_ms", "status_id"]
        constraints = [
            models.UniqueConstraint(fields=["parcel", "event_ms", "status_id"], name="sendcloud_parcelstatus_event"),
        ]
        indexes = [models.Index(fields=["at", "phase"], name="sendcloud_parcelstatus_at")]

    def __str__(self) -> str:
        return self.message or str(self.status_id)
