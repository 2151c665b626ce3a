"""Benchmark of the engine: python -m tests.benchmarks.engine [part ...]

save       what recording adds to ``save()``, against what one healthy ``.delay()`` on Redis adds to it (the
           baseline), and with a broker that refuses or hangs
enqueue    recording a queryset, against the bare INSERT ... SELECT-like upsert it consists of
push       orders a second through one process, without latency and with 300 ms, by each API generation
worker     orders a second through one Celery worker with its default of one process per processor
claim      claiming from a million due entries
reconcile  comparing many shipments, and the memory that takes

Prints figures and goals. Nothing is asserted: they depend on the machine.
"""

from __future__ import annotations

import argparse
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

from .client import NOW as CHANGED
from .client import filled_sandbox
from .environment import (
    ROOT,
    RemoteSandbox,
    django_environment,
    line,
    median,
    percentile,
    resident,
    seconds,
    timed_requests,
)

PARTS = ["save", "enqueue", "push", "worker", "claim", "reconcile"]


# -- save ---------------------------------------------------------------------------------------------


def save() -> None:
    with django_environment() as kind:
        from celery import Celery
        from django.db import connection, transaction
        from django.db.models.signals import post_save
        from django.test.utils import CaptureQueriesContext

        from django_sendcloud.models import Change
        from django_sendcloud.registry import registry
        from django_sendcloud.signals import work_due
        from tests import factories, services
        from tests.shop.models import Order
        from tests.shop.sendcloud import ShopOrder

        del ShopOrder
        print(f"\nsave() of one order, {kind}")
        order = factories.order()
        work_due.disconnect(dispatch_uid="django_sendcloud.notify_workers")

        def once() -> None:
            with transaction.atomic():
                order.save(update_fields=["city", "modified"])

        with CaptureQueriesContext(connection) as queries:
            once()
        adapter = registry.remove(Order)
        with CaptureQueriesContext(connection) as bare:
            once()
        app = None
        if services.available("redis"):
            app = Celery("benchmark", broker=services.URLS["redis"])
            task = app.task(name="nothing", ignore_result=True)(_nothing)
            task.delay(order.pk)

        def notify(instance: Any, **kwargs: Any) -> None:
            transaction.on_commit(lambda: task.delay(instance.pk))

        # In turns, so that a machine that grows faster or slower does so for all of them. The baseline is measured as
        # we are: by what it adds to a save, among whose other work neither finds the processor's caches warm.
        with_us, without, with_delay, delays = [], [], [], []
        for _ in range(80):
            without += [seconds(once) for _ in range(50)]
            registry.add(Order, adapter)
            with_us += [seconds(once) for _ in range(50)]
            registry.remove(Order)
            if app:
                post_save.connect(notify, sender=Order)
                with_delay += [seconds(once) for _ in range(50)]
                post_save.disconnect(notify, sender=Order)
                delays += [seconds(lambda: task.delay(order.pk)) for _ in range(50)]
        registry.add(Order, adapter)
        added = (median(with_us) - median(without)) * 1000
        line("without us, median", f"{median(without) * 1000:.3f} ms")
        line("with us, median", f"{median(with_us) * 1000:.3f} ms", f"SQL statements: +{len(queries) - len(bare)}")
        line("added", f"{added:.3f} ms")
        if app:
            app.control.purge()
            baseline = (median(with_delay) - median(without)) * 1000
            line("added by one healthy .delay(pk) on Redis after commit (baseline)", f"{baseline:.3f} ms")
            line("ratio", f"{added / baseline:.2f}", "goal: at most 0.5")
            line("a .delay(pk) in a loop of nothing else, median", f"{median(delays) * 1000:.3f} ms")
        Change.objects.all().delete()
        _save_with_a_bad_broker(once, median_without=percentile(with_us, 99))


def _nothing(pk: Any) -> None:
    pass


def _save_with_a_bad_broker(once: Any, median_without: float) -> None:
    from django_sendcloud import broker
    from django_sendcloud.signals import work_due
    from tests.celery_app import app

    line("p99 without notification", f"{median_without * 1000:.3f} ms")
    work_due.connect(broker.notify_workers, dispatch_uid="django_sendcloud.notify_workers")
    hung = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: [hung.accept() for _ in range(1000)], daemon=True).start()
    for name, url in (
        ("refused", "redis://127.0.0.1:1/0"),
        ("hung", f"redis://127.0.0.1:{hung.getsockname()[1]}/0"),
    ):
        app.conf.broker_url = url
        taken = [seconds(once) for _ in range(1500)]
        added = (percentile(taken, 99) - median_without) * 1000
        line(f"p99, broker {name}: more", f"{added:.3f} ms", "goal: at most 5 ms, no exception")


# -- enqueue ------------------------------------------------------------------------------------------


def enqueue() -> None:
    with django_environment() as kind:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        from django_sendcloud import enqueue
        from tests import factories
        from tests.shop.models import Order

        count = 50_000
        print(f"\nenqueue() of {count:,} orders, {kind}")
        customer = factories.customer()
        Order.objects.bulk_create(
            (Order(number=str(number), customer=customer) for number in range(count)), batch_size=2000
        )
        for what in ("new", "again"):
            with CaptureQueriesContext(connection) as queries:
                enqueue(Order.objects.none())
            taken = seconds(lambda: enqueue(Order.objects.all()))
            line(f"{what}: per order", f"{taken / count * 1e6:.1f} µs", "goal: at most 30 µs")
        with CaptureQueriesContext(connection) as queries:
            enqueue(Order.objects.all()[:10_000])
        line("statements for 10,000 orders", str(len(queries)), "goal: one per 1,000 or fewer, and those that read")


# -- push ---------------------------------------------------------------------------------------------


def push(latency: float = 0.0, count: int = 20_000, api: str = "v2") -> None:
    sandbox = RemoteSandbox("--latency", str(latency))
    try:
        with django_environment(sandbox, CONNECT_TIMEOUT_SECONDS=5.0, READ_TIMEOUT_SECONDS=15.0) as kind:
            from django.db import connection
            from django.utils import timezone

            from django_sendcloud import enqueue as enqueue_orders
            from django_sendcloud.models import Change, Shipment
            from django_sendcloud.sync import worker as sync_worker
            from tests.shop.models import Order

            print(
                f"\n{count:,} orders with three lines each through one process by API {api}, {kind}, "
                f"latency {latency * 1000:.0f} ms"
            )
            sandbox.connect(api)
            pks = _place_orders(count, kind)
            baseline = _baseline(pks[: count // 4])
            enqueue_orders(Order.objects.all())
            Change.objects.update(due_at=timezone.now())
            statements = 0

            def count_statement(execute: Any, *args: Any) -> Any:
                nonlocal statements
                statements += 1
                return execute(*args)

            before = resident()
            with connection.execute_wrapper(count_statement), timed_requests() as requests:
                begin, processor = time.perf_counter(), time.process_time()
                _until_settled(sync_worker)
                settled, processor = time.perf_counter() - begin, time.process_time() - processor
            taken = requests["POST"][-1] - begin
            assert set(Shipment.objects.values_list("status", flat=True)) == {"synced"}
            assert Shipment.objects.count() == count
            line("orders a second, until all are accepted", f"{count / taken:,.0f}", "goal at 300 ms: at least 190")
            line("orders a second, until all are settled", f"{count / settled:,.0f}")
            line("processor time an order", f"{processor / count * 1000:.2f} ms")
            share = processor / count * 142
            line("share of one core at Sendcloud's ceiling, 142 a second", f"{share:.0%}", "goal: at most 35 %")
            line("a loop of adapter and client, without the engine (baseline)", f"{baseline:,.0f}")
            line("ratio", f"{count / taken / baseline:.2f}")
            line("SQL statements an order", f"{statements / count:.4f}", "goal: at most 0.15")
            line("upsert requests an order", f"{len(requests['POST']) / count:.4f}", "goal: at most 0.0102")
            if requests["GET"]:
                line("requests to verify an order", f"{len(requests['GET']) / count:.4f}", "goal: at most 0.01")
            line("resident memory grew by", f"{resident() - before:.1f} MiB")
    finally:
        sandbox.close()


def _place_orders(count: int, kind: str) -> list[Any]:
    """Create orders as a shop's bulk import does, without signals, and return their primary keys."""
    from django.db import connection

    from tests import factories
    from tests.shop.models import Order, OrderLine

    customer = factories.customer()
    orders = [Order(number=str(number), customer=customer) for number in range(count)]
    Order.objects.bulk_create(orders, batch_size=2000)
    OrderLine.objects.bulk_create(
        (OrderLine(order=order, sku=f"SKU-{n}") for order in orders for n in range(3)), batch_size=5000
    )
    if kind == "postgresql":
        # The statistics of a shop's tables are up to date in its database.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    return [order.pk for order in orders]


def _baseline(pks: list[Any]) -> float:
    """Return orders a second of a loop that reads, translates and sends orders, and keeps no record of it."""
    return len(pks) / seconds(lambda: _send_by_hand(pks))


def _send_by_hand(pks: list[Any]) -> None:
    from django_sendcloud.models import Integration, Shipment
    from django_sendcloud.registry import registry
    from django_sendcloud.sync.backends import Item, backend_for
    from tests.shop.models import Order

    adapter = registry.for_model(Order)
    with backend_for(Integration.objects.get()) as backend:
        for begin in range(0, len(pks), 100):
            orders = adapter.get_queryset().filter(pk__in=pks[begin : begin + 100])
            payloads = [payload for order in orders for payload in adapter.get_shipments(order)]
            backend.upsert([Item(payload.stamped(CHANGED), Shipment()) for payload in payloads])


def _until_settled(sync_worker: Any) -> None:
    """Push until nothing is left. By API v3, an accepted order is left until it is seen saved."""
    from django_sendcloud.models import Change, OutboxEntry

    while Change.objects.exists() or OutboxEntry.objects.exists():
        sync_worker.push_due(600.0)
        time.sleep(0.02)


# -- worker -------------------------------------------------------------------------------------------


def worker(count: int = 20_000, warm_up: int = 2_000, latency: float = 0.0, api: str = "v2") -> None:
    sandbox = RemoteSandbox("--latency", str(latency))
    try:
        with django_environment(sandbox, CONNECT_TIMEOUT_SECONDS=5.0, READ_TIMEOUT_SECONDS=15.0) as kind:
            from django_sendcloud import enqueue as enqueue_orders
            from django_sendcloud.broker import PUSH, celery_app, publish
            from django_sendcloud.models import Change, OutboxEntry, Shipment
            from django_sendcloud.signals import work_due
            from tests import services
            from tests.shop.models import Order

            processes = os.cpu_count() or 1
            print(
                f"\n{count:,} orders with three lines each through one Celery worker, {processes} processes "
                f"(its default: one per processor) by API {api}, {kind}"
            )
            if kind == "sqlite" or not services.available("redis"):
                print("  only on PostgreSQL with Redis")
                return
            # The timer starts with the notifications below, so no earlier one may reach the worker.
            work_due.disconnect(dispatch_uid="django_sendcloud.notify_workers")
            sandbox.connect(api)
            pks = _place_orders(count + warm_up, kind)
            baseline = _baseline(pks[: count // 4])
            broker = services.URLS["redis"]
            celery_app().conf.broker_url = broker
            celery_app().control.purge()
            command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "tests.celery_app", "worker"]
            quiet = ["--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
            environment = {**os.environ, "TEST_BROKER_URL": broker, "PYTHONPATH": str(ROOT)}
            child = subprocess.Popen([*command, *quiet], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
            try:
                for begin, end in ((0, warm_up), (warm_up, warm_up + count)):
                    enqueue_orders(Order.objects.filter(pk__in=pks[begin:end]))
                    # One notification for each process, as from as many web processes.
                    started = time.perf_counter()
                    for _ in range(processes):
                        publish(PUSH)
                    while Change.objects.exists() or OutboxEntry.objects.exists():
                        assert child.poll() is None, "the worker has ended"
                        time.sleep(0.02)
                    taken = time.perf_counter() - started
            finally:
                child.terminate()
                child.wait(30)
            assert Shipment.objects.count() == count + warm_up
            line("orders a second", f"{count / taken:,.0f}", "goal of two at 1 s: at least 190")
            line("one process in a loop without the engine (baseline)", f"{baseline:,.0f}")
            line("ratio, a process", f"{count / taken / baseline / processes:.2f}")
    finally:
        sandbox.close()


# -- claim --------------------------------------------------------------------------------------------


def _insert(model: Any, count: int, **columns: str) -> None:
    """Insert rows numbered ``n`` from 1, of SQL expressions and of the model's own defaults."""
    from django.db import connection

    values, parameters = dict(columns), []
    for field in model._meta.concrete_fields:
        if field.primary_key or field.column in values or (field.null and not field.has_default()):
            continue
        values[field.column] = "%s"
        parameters.append(field.get_db_prep_save(field.get_default(), connection))
    names = ", ".join(values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({names}) SELECT {', '.join(values.values())} "
            f"FROM generate_series(1, {count}) n",
            parameters,
        )


def claim(count: int = 1_000_000) -> None:
    with django_environment() as kind:
        from django.db import connection

        from django_sendcloud.conf import conf
        from django_sendcloud.models import OutboxEntry
        from django_sendcloud.sync.claim import claim as take

        if kind == "sqlite":
            print("\nclaim: only on PostgreSQL")
            return
        size = conf().CLAIM_SIZE
        print(f"\nclaims of {size}, {kind}")
        for rows in (1_000, count):
            OutboxEntry.objects.all().delete()
            _insert(
                OutboxEntry,
                rows,
                order_type="'shop.order'",
                order_pk="n::text",
                version="1",
                due_at="now() - n * interval '1 ms'",
                not_before="now() - interval '1 hour'",
                recorded_at="now()",
                changed_at="now()",
            )
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE django_sendcloud_outboxentry")
            gc.collect()
            before = resident()
            taken = []
            in_flight: list[list[int]] = []
            for _ in range(400 if rows > 1000 else 2):
                begin = time.perf_counter()
                entries = take(size, is_deletion=False).entries
                taken.append(time.perf_counter() - begin)
                assert len(entries) == size
                # Entries are settled four claims later, as if four workers were claiming.
                in_flight.append([entry.pk for entry in entries])
                if len(in_flight) > 4:
                    OutboxEntry.objects.filter(pk__in=in_flight.pop(0)).delete()
            line(f"{rows:,} due: p99 of a claim", f"{percentile(taken, 99) * 1000:.1f} ms", "goal: within 25 ms")
            line(f"{rows:,} due: median", f"{median(taken) * 1000:.1f} ms")
            line(f"{rows:,} due: resident memory grew by", f"{resident() - before:.1f} MiB", "goal: within 20 MiB")


# -- reconcile ----------------------------------------------------------------------------------------


def reconcile(count: int = 100_000) -> None:
    with filled_sandbox(count) as (base_url, public_key, secret_key, integration_id):
        there = SimpleNamespace(base_url=base_url)
        with django_environment(there) as kind:
            from django.db import connection

            from django_sendcloud.models import Integration, Shipment
            from django_sendcloud.sync import reconcile
            from tests import factories

            if kind == "sqlite":
                print("\nreconcile: only on PostgreSQL")
                return
            print(f"\nreconcile of {count:,} shipments, {kind}")
            integration = Integration.objects.create(
                remote_id=integration_id, name="Benchmark", public_key=public_key, secret_key=secret_key
            )
            customer = factories.customer()
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO shop_order (id, number, customer_id, status, address, postal_code, city, country, "
                    "shipments, created, modified) SELECT md5(n::text)::uuid, 'A-' || n, %s, 'paid', 'Markt 1', "
                    "'5611 EM', 'Eindhoven', 'NL', 1, now(), now() FROM generate_series(0, %s) n",
                    [customer.pk, count - 1],
                )
                # The same rows as a push of these orders would have written.
                _insert(
                    Shipment,
                    count,
                    integration_id=str(integration.pk),
                    order_type="'shop.order'",
                    order_pk="md5((n - 1)::text)::uuid::text",
                    order_number="'A-' || n - 1",
                    external_order_id="(n - 1)::text",
                    external_shipment_id="(n - 1)::text",
                    status="'synced'",
                    digest="repeat('0', 64)",
                    stamp=str(int(CHANGED.timestamp())),
                    last_pushed_at="now() - interval '1 hour'",
                    created_at=f"'{CHANGED.isoformat()}'",
                )
                cursor.execute("ANALYZE")
            assert Shipment.objects.count() == count
            gc.collect()
            before = highest = resident()

            def progress(run: Any) -> None:
                nonlocal highest
                if run.pages % 100 == 0:
                    highest = max(highest, resident())

            begin_at = time.perf_counter()
            run = reconcile.compare(integration, progress=progress)
            taken = time.perf_counter() - begin_at
            differences = run.missing + run.stale + run.unknown + run.undeleted + run.orphaned
            assert (run.seen, differences) == (count, 0), vars(run)
            line("shipments a second", f"{count / taken:,.0f}")
            line("resident memory grew by at most", f"{highest - before:.1f} MiB", "goal: at most 80 MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="which; all by default")
    parser.add_argument("--shipments", type=int, default=100_000, help="how many are reconciled (%(default)s)")
    parser.add_argument("--latency", type=float, default=None, help=argparse.SUPPRESS)
    parser.add_argument(
        "--api", choices=["v2", "v3"], default=None, help="push by this API (of one part: v2; of all: both)"
    )
    options = parser.parse_args()
    if len(options.part) == 1:
        part = options.part[0]
        if part == "push":
            push(options.latency or 0.0, 20_000 if not options.latency else 6_000, options.api or "v2")
        elif part == "worker":
            # An even number of claims: with an odd one, a process waits for the other's last claim.
            worker(
                4_000 if options.latency else 20_000,
                400 if options.latency else 2_000,
                options.latency or 0.0,
                options.api or "v2",
            )
        elif part == "reconcile":
            reconcile(options.shipments)
        else:
            globals()[part]()
        return
    for part in options.part or PARTS:
        latencies = {"push": ([], ["--latency", "0.3"]), "worker": ([], ["--latency", "1"])}
        apis = [options.api] if options.api else ["v2", "v3"]
        variants = [[*latency, "--api", api] for api in apis for latency in latencies.get(part, ())]
        for extra in variants or [[]]:
            if part == "reconcile":
                extra = ["--shipments", str(options.shipments)]
            command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.engine", part, *extra]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
