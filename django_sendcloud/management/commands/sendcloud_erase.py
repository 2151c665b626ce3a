"""``sendcloud_erase``: forget one order, for whoever asks to be forgotten."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...adapters import OrderAdapter, registry
from ...conf import conf
from ...erase import NotErasable, erase
from ...models import Shipment


class Command(BaseCommand):
    help = (
        "Forget orders: delete their shipments at Sendcloud, then their shipments, parcels and webhooks here. The "
        "order itself is the shop's: cancel it or delete it first. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("order", nargs="+", metavar="KEY", help="Primary keys of orders, also of deleted ones.")
        parser.add_argument("--model", metavar="app.Model", help="Their model, where several have an adapter.")
        parser.add_argument("--by-number", action="store_true", help="The keys given are order numbers.")

    def handle(self, *args: Any, **options: Any) -> None:
        adapter = self.adapter(options["model"])
        for key in options["order"]:
            for pk in self.keys(adapter, key) if options["by_number"] else [key]:
                try:
                    erased = erase(adapter, pk)
                except NotErasable as error:
                    raise CommandError(str(error)) from None
                self.stdout.write(
                    f"{key}: forgotten here ({erased.shipments} shipments, {erased.parcels} parcels, {erased.webhooks} "
                    "webhooks), deleted at Sendcloud."
                )
                if erased.parcels:
                    self.stdout.write(
                        "Its parcels had labels: what Sendcloud and the carrier keep of those follows their own rules."
                    )

    def adapter(self, label: str | None) -> OrderAdapter[Any]:
        adapters = [adapter for adapter in registry if label in (None, adapter.model._meta.label)]
        if len(adapters) == 1:
            return adapters[0]
        known = ", ".join(adapter.model._meta.label for adapter in registry) or "none"
        raise CommandError(f"Say which model with --model. Those with an adapter: {known}.")

    def keys(self, adapter: OrderAdapter[Any], number: str) -> list[str]:
        shipments = Shipment.objects.using(conf().DATABASE).filter(
            order_type=adapter.model._meta.label_lower, order_number=number
        )
        found = sorted(set(shipments.values_list("order_pk", flat=True)))
        if not found:
            raise CommandError(f"No order with the number {number} was ever sent to Sendcloud.")
        return found
