"""``sendcloud_erase``: erase one order, for a buyer who asks for it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q

from ...adapters import OrderAdapter
from ...maintenance.erase import Erased, NotErasable, erase
from ...models import Shipment
from ...orders import OrderRef
from ...registry import registry
from ..tables import TablesCommand


class Command(TablesCommand):
    help = (
        "Forget orders: delete their shipments at Sendcloud, then their shipments, parcels and webhooks here. The "
        "order itself is the shop's: cancel it or delete it first. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("order", nargs="+", metavar="KEY", help="Primary keys of orders, also of deleted ones.")
        parser.add_argument("--model", metavar="app.Model", help="Their model, where several have an adapter.")
        parser.add_argument(
            "--database", metavar="ALIAS", help="Their database, where it is not the one their model is written to."
        )
        parser.add_argument("--by-number", action="store_true", help="The keys given are order numbers.")

    def handle(self, *args: Any, **options: Any) -> None:
        adapter = self.adapter(options["model"])
        for key in options["order"]:
            refs = (
                self.by_number(adapter, key)
                if options["by_number"]
                else [OrderRef.to(adapter.model, key, options["database"])]
            )
            for ref in refs:
                try:
                    erased = erase(ref)
                except NotErasable as error:
                    raise CommandError(str(error)) from None
                self.report(key, erased)

    def report(self, key: str, erased: Erased) -> None:
        numbers = f"{erased.shipments} shipments, {erased.parcels} parcels, {erased.webhooks} webhooks"
        if erased == Erased(0, 0, 0):
            self.stdout.write(f"{key}: nothing of it is stored here ({numbers}).")
            return
        self.stdout.write(f"{key}: forgotten here ({numbers}), deleted at Sendcloud.")
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

    def by_number(self, adapter: OrderAdapter[Any], number: str) -> list[OrderRef]:
        label = adapter.model._meta.label_lower
        shipments = Shipment.objects.filter(
            Q(order_type=label) | Q(order_type__startswith=f"{label}@"), order_number=number
        )
        found = sorted({shipment.ref for shipment in shipments})
        if not found:
            raise CommandError(f"No order with the number {number} was ever sent to Sendcloud.")
        return found
