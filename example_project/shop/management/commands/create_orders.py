"""``create_orders N``: believable orders, through ordinary saves, as a checkout makes them."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from shop.catalogue import BUYERS, PRODUCTS
from shop.models import Customer, Order, OrderLine, Product

# Roughly what a euro costs; good enough for an example.
RATES = {"EUR": Decimal("1"), "GBP": Decimal("0.85"), "USD": Decimal("1.10")}
CURRENCIES = {"GB": "GBP", "US": "USD"}


class Command(BaseCommand):
    help = "Place N shippable orders of many countries, currencies and shapes; fills the catalogue first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", type=int, metavar="N", help="How many orders; 0 only fills the catalogue.")
        parser.add_argument("--seed", type=int, help="The same seed places the same orders.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["number"] < 0:
            raise CommandError(f"N is {options['number']}: give 0 or more.")
        chance = random.Random(options["seed"])
        products = fill_catalogue()
        for _ in range(options["number"]):
            place(chance, products)
        self.stdout.write(self.style.SUCCESS(f"{options['number']} orders placed."))


def fill_catalogue() -> list[Product]:
    """Return the products; create the missing ones."""
    fields = ("name", "description", "price", "weight_grams", "hs_code", "origin_country", "hue")
    for sku, *values in PRODUCTS:
        Product.objects.get_or_create(sku=sku, defaults=dict(zip(fields, values, strict=True)))
    return list(Product.objects.order_by("sku"))


@transaction.atomic
def place(chance: random.Random, products: list[Product]) -> Order:
    """Create one order in one transaction, as the checkout does."""
    name, company, street, house_number, postal_code, city, state, country, phone = chance.choice(BUYERS)
    email = f"{name.split()[0].lower()}@example.com".encode("ascii", "ignore").decode()
    customer = Customer.objects.create(name=name, company=company, email=email, phone=phone)
    currency = CURRENCIES.get(country, "EUR")
    order = Order.objects.create(
        customer=customer,
        currency=currency,
        delivery=chance.choice([Order.Delivery.STANDARD, Order.Delivery.EXPRESS]),
        street=street,
        house_number=house_number,
        postal_code=postal_code,
        city=city,
        state=state,
        country=country,
    )
    for product in chance.sample(products, chance.choice([1, 1, 1, 2, 2, 3, 5])):
        price = (product.price * RATES[currency]).quantize(Decimal("0.01"))
        OrderLine.objects.create(order=order, product=product, quantity=chance.choice([1, 1, 2, 4]), unit_price=price)
    return order
