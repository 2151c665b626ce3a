"""A process of the shop that writes orders as fast as it may: ``python -m tests.chaos.writer SEED DIARY BEGIN``.

All writers write the same few orders, which others gradually replace. So each order has its last change at another
moment of the storm, and no later change hides a fault of that moment.

The writer notes each change in its diary before it makes it, so that the diary has the change even if the process or
its connection dies in the middle.
"""

from __future__ import annotations

import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ORDERS_AT_ONCE = 40
# Orders that others replace, per second.
TURNOVER = 1.5
ORDERS_OF_A_CUSTOMER = 4
PAUSE_SECONDS = 0.15
_NAMESPACE = uuid.UUID("5e9dc10d-0000-4000-8000-000000000000")


def order_pk(number: int) -> uuid.UUID:
    """Return an order's id, the same in each run, so that a deleted order comes back with the id it had."""
    return uuid.uuid5(_NAMESPACE, str(number))


def customer_pk(number: int) -> int:
    """Return the id of an order's customer, always the same for one order."""
    return 1 + number // ORDERS_OF_A_CUSTOMER


# Errors of a server that cannot serve, is lost or shuts down: PostgreSQL's state classes, MariaDB's numbers.
GONE_STATES = ("08", "57")
GONE_NUMBERS = (1053, 1927, 2002, 2003, 2006, 2013, 2055)


def _was_gone(error: Exception) -> bool:
    cause = error.__cause__
    if cause is None or type(error).__name__ == "InterfaceError":
        return True
    if hasattr(cause, "sqlstate"):
        return cause.sqlstate is None or cause.sqlstate.startswith(GONE_STATES)
    return bool(cause.args) and cause.args[0] in GONE_NUMBERS


class RolledBack(Exception):
    """The shop has changed its mind."""


class Writer:
    """One process that writes. Its seed and the orders it finds decide its changes."""

    def __init__(self, seed: str, diary: Path, begin: float) -> None:
        self.random = random.Random(seed)
        self.begin = begin
        self.diary = diary.open("a", encoding="utf-8")
        self.products: list[int] = []

    def note(self, what: str, changes: Iterable[tuple[int, int]]) -> None:
        """Note in the diary the numbers of the orders about to change, each with its number of changes."""
        entry = {"time": time.monotonic(), "what": what, "changes": {str(order_pk(n)): c for n, c in changes}}
        self.diary.write(json.dumps(entry) + "\n")
        self.diary.flush()

    def run(self) -> None:
        """Write until the process is ended."""
        from django.db import Error, connection

        connection.execute_wrappers.append(self.watch)
        while True:
            work, weight = self.random.choice(WORKS)
            if self.random.random() < weight:
                try:
                    work(self)
                except RolledBack:
                    pass
                except Error:
                    # The database is gone, or another writer was first: both are expected.
                    connection.close()
            time.sleep(self.random.uniform(0, 2 * PAUSE_SECONDS))

    def watch(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Note each failure of the app's own statements, unless the database itself was gone."""
        from django.db import Error

        try:
            return execute(sql, params, many, context)
        except Error as error:
            if "django_sendcloud_" in sql and not _was_gone(error):
                self.diary.write(json.dumps({"time": time.monotonic(), "failed": f"{error!r}"[:200]}) + "\n")
                self.diary.flush()
            raise

    # -- single orders ----------------------------------------------------------------------------

    def pick(self, count: int = 1) -> list[int]:
        first = int((time.monotonic() - self.begin) * TURNOVER)
        return self.random.sample(range(first, first + ORDERS_AT_ONCE), count)

    def visit(self, number: int) -> str:
        """Change an order at random in the open transaction, and return the kind of change."""
        from shop.models import Order

        order = Order.objects.select_for_update().filter(pk=order_pk(number)).first()
        if order is None:
            self.place(number)
            return "place"
        what = self.random.choice(["address", "address", "line", "line", "cancel", "delete", "pay"])
        if what == "address":
            order.house_number = str(self.random.randrange(10_000))
            order.save()
        elif what == "line":
            line = order.lines.order_by("?").first()
            if line is None or self.random.random() < 0.3:
                order.lines.create(product_id=self.product(), quantity=1, unit_price="5.00")
            else:
                # Saving only the line leaves the order's own time of change as it is.
                line.quantity = self.random.randrange(1, 100)
                line.save()
        elif what == "delete":
            order.delete()
        else:
            order.status = Order.Status.CANCELLED if what == "cancel" else Order.Status.PAID
            order.save()
        return what

    def place(self, number: int) -> None:
        from shop.models import Order

        order = Order.objects.create(**self.fields(number))
        for _ in range(self.random.randrange(1, 4)):
            order.lines.create(product_id=self.product(), quantity=self.random.randrange(1, 9), unit_price="5.00")

    def fields(self, number: int) -> dict[str, Any]:
        from shop.models import Customer

        Customer.objects.get_or_create(pk=customer_pk(number), defaults={"name": "Anna Visser"})
        return {
            "pk": order_pk(number),
            "number": f"C-{number}",
            "customer_id": customer_pk(number),
            "street": "Stadhuisplein",
            "house_number": str(self.random.randrange(10_000)),
            "postal_code": "5611 EM",
            "city": "Eindhoven",
        }

    def product(self) -> int:
        from shop.models import Product

        if not self.products:
            self.products = list(Product.objects.order_by("pk").values_list("pk", flat=True))
        return self.random.choice(self.products)

    # -- changes of a shop -------------------------------------------------------------------------

    def one_order(self) -> None:
        """Change one order in one transaction."""
        from django.db import transaction

        (number,) = self.pick()
        self.note("one", [(number, 1)])
        with transaction.atomic():
            self.visit(number)

    def several_saves(self) -> None:
        """Save an order several times in one transaction, which counts as one change."""
        from django.db import transaction

        (number,) = self.pick()
        self.note("several saves", [(number, 1)])
        with transaction.atomic():
            for _ in range(self.random.randrange(2, 6)):
                self.visit(number)

    def without_transaction(self) -> None:
        """Save an order several times, each in a transaction of its own."""
        from shop.models import Order

        (number,) = self.pick()
        saves = self.random.randrange(1, 4)
        self.note("without transaction", [(number, saves)])
        for _ in range(saves):
            order = Order.objects.filter(pk=order_pk(number)).first()
            if order is not None:
                order.city = self.random.choice(["Eindhoven", "Best", "Veldhoven", "Son"])
                # ``update_fields`` prevents an INSERT of an order that another writer has just deleted.
                order.save(update_fields=["city", "modified_at"])

    def rolled_back(self) -> None:
        """Roll a transaction back, which counts as no change."""
        from django.db import transaction

        numbers = self.pick(3)
        self.note("rolled back", [])
        with transaction.atomic():
            for number in sorted(numbers):
                self.visit(number)
            raise RolledBack

    def savepoint_rolled_back(self) -> None:
        """Roll back a part of a transaction; the rest of it still counts as a change."""
        from django.db import transaction

        (number,) = self.pick()
        self.note("savepoint rolled back", [(number, 1)])
        with transaction.atomic():
            try:
                with transaction.atomic():
                    self.visit(number)
                    raise RolledBack
            except RolledBack:
                self.visit(number)

    def delete_and_recreate(self) -> None:
        """Delete an order and create it again with the same id, in one transaction or in two."""
        from django.db import transaction
        from shop.models import Order

        (number,) = self.pick()
        self.note("delete and recreate", [(number, 2)])
        with transaction.atomic():
            Order.objects.filter(pk=order_pk(number)).delete()
            if self.random.random() < 0.5:
                self.place(number)
                return
        with transaction.atomic():
            self.place(number)

    def customer(self) -> None:
        """Change a customer, and with it all of their orders."""
        from django.db import transaction
        from shop.models import Customer

        (number,) = self.pick()
        first = number - number % ORDERS_OF_A_CUSTOMER
        self.note("customer", [(number, 1) for number in range(first, first + ORDERS_OF_A_CUSTOMER)])
        with transaction.atomic():
            customer = Customer.objects.select_for_update().filter(pk=customer_pk(number)).first()
            if customer is not None:
                customer.phone = f"+31 40 {self.random.randrange(10**7):07d}"
                customer.save()

    def bulk(self) -> None:
        """Update orders in bulk, which sends no signals, and enqueue them explicitly."""
        from django.db import transaction
        from shop.models import Order

        from django_sendcloud import enqueue

        numbers = self.pick(self.random.randrange(5, 20))
        self.note("bulk", [(number, 1) for number in numbers])
        orders = Order.objects.filter(pk__in=[order_pk(number) for number in numbers])
        with transaction.atomic():
            orders.update(status=self.random.choice(["paid", "paid", "shipped", "cancelled"]))
            enqueue(orders)

    def bulk_place(self) -> None:
        from django.db import transaction
        from shop.models import Order

        from django_sendcloud import enqueue

        numbers = self.pick(12)
        self.note("bulk place", [(number, 1) for number in numbers])
        with transaction.atomic():
            pks = [order_pk(number) for number in numbers]
            there = set(Order.objects.filter(pk__in=pks).values_list("pk", flat=True))
            # This shop also accepts orders without lines.
            made = [Order(**self.fields(number)) for number in numbers if order_pk(number) not in there]
            Order.objects.bulk_create(made)
            enqueue(made)

    def bulk_delete(self) -> None:
        from django.db import transaction
        from shop.models import Order

        numbers = self.pick(self.random.randrange(2, 6))
        self.note("bulk delete", [(number, 1) for number in numbers])
        with transaction.atomic():
            Order.objects.filter(pk__in=[order_pk(number) for number in numbers]).delete()


WORKS: list[tuple[Callable[[Writer], None], float]] = [
    (Writer.one_order, 1.0),
    (Writer.one_order, 1.0),
    (Writer.one_order, 1.0),
    (Writer.several_saves, 1.0),
    (Writer.without_transaction, 1.0),
    (Writer.rolled_back, 1.0),
    (Writer.savepoint_rolled_back, 1.0),
    (Writer.delete_and_recreate, 1.0),
    (Writer.customer, 0.5),
    (Writer.bulk, 0.5),
    (Writer.bulk_place, 0.6),
    (Writer.bulk_delete, 0.4),
]


def main() -> None:
    import django

    from . import app  # noqa: F401 - before the setup, so that the shop's signals find it

    django.setup()
    seed, diary, begin = sys.argv[1:]
    Writer(seed, Path(diary), float(begin)).run()


if __name__ == "__main__":
    main()
