"""Black Friday in a compressed hour: python -m tests.benchmarks.black_friday [--orders 100000] [--seconds 720] [--api v3]

Two shop processes place orders of three lines at a rate with two peaks above Sendcloud's limit. One Celery worker with
beat pushes them over Redis, with the rate limits of a real account. In the middle, Sendcloud is out of reach for a sixth
of the time, and 2 % of the orders are cancelled.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.benchmarks.environment import ROOT, RemoteSandbox, django_environment, line, percentile
from tests.toxic import ToxicProxy

# Requests a second that change something, of one account; and the orders in them. A deletion is a request of its own.
REQUESTS = 85 / 60
CEILING = REQUESTS * 100
WRITERS = 2
# The name of the file that lets the writers begin.
BEGIN = "begin"
# Begin and end of each peak, as parts of the whole time.
PEAKS = ((0.25, 1 / 3), (2 / 3, 0.75))
PEAK_RATE = 300.0
OUTAGE = (0.46, 0.46 + 1 / 6)
CANCELLED = 0.02
# Multiple of the ideal time from which on a drain is an error, not a measurement.
MAX_DRAINS = 20


def in_peak(moment: float, seconds: float) -> bool:
    """Return whether this second of the run lies in a peak."""
    return any(begin * seconds <= moment < end * seconds for begin, end in PEAKS)


def write(number: int, orders: int, seconds: float, folder: Path) -> None:
    """Place this writer's share of the orders, at the rate of the moment, and log each commit."""
    import django

    django.setup()
    from django.db import transaction

    from tests.shop.models import Customer, Order, OrderLine

    peak = PEAK_RATE / WRITERS
    calm_seconds = seconds * (1 - sum(end - begin for begin, end in PEAKS))
    calm = max(0.0, (orders - peak * (seconds - calm_seconds)) / calm_seconds)
    customers = list(Customer.objects.all())
    chance = random.Random(number)
    placed: list[str] = []
    cancelling = 0
    (folder / f"ready-{number}").touch()
    while not (folder / BEGIN).exists():
        time.sleep(0.02)
    with (folder / f"commits-{number}").open("w", buffering=1) as log:
        begin = time.time()
        due = begin
        while (moment := time.time() - begin) < seconds:
            if time.time() < due:
                time.sleep(max(0.0, min(0.05, due - time.time())))
                continue
            due += 1 / (peak if in_peak(moment, seconds) else calm or 0.1)
            with transaction.atomic():
                order = Order.objects.create(number=f"BF-{number}-{len(placed)}", customer=chance.choice(customers))
                OrderLine.objects.bulk_create(OrderLine(order=order, sku=f"SKU-{n}") for n in range(3))
            log.write(f"{time.time():.3f} {order.pk}\n")
            placed.append(str(order.pk))
            wanted = int(orders * CANCELLED)
            if moment > sum(OUTAGE) / 2 * seconds and cancelling < wanted and len(placed) > cancelling:
                # The oldest ones: Sendcloud has them already, so that each costs a request of its own.
                cancelled = Order.objects.get(pk=placed[cancelling])
                cancelled.status = "cancelled"
                cancelled.save()
                cancelling += 1


def moments(paths: Sequence[Path]) -> Iterator[tuple[float, str]]:
    """Yield the moment and the order of each line."""
    for path in paths:
        for row in path.read_text().splitlines():
            moment, _, order = row.partition(" ")
            if order:
                yield float(moment), order


def table_sizes() -> dict[str, tuple[int, int]]:
    """Return rows and bytes of each table of the app."""
    from django.apps import apps
    from django.db import connection

    sizes = {}
    with connection.cursor() as cursor:
        for model in apps.get_app_config("django_sendcloud").get_models():
            table = model._meta.db_table
            cursor.execute("SELECT pg_total_relation_size(%s)", [table])
            sizes[table.removeprefix("django_sendcloud_")] = (model._default_manager.count(), cursor.fetchone()[0])
    return sizes


def measure(orders: int, seconds: float, api: str) -> int:
    """Play the day and print the figures. Return the exit code."""
    from tests import services

    if not (services.available("postgresql") and services.available("redis")):
        print("black_friday: only on PostgreSQL with Redis")
        return 0
    sandbox = RemoteSandbox()
    address = urlsplit(sandbox.base_url)
    with (
        ToxicProxy(address.hostname or "", address.port or 0) as proxy,
        tempfile.TemporaryDirectory() as name,
        django_environment(
            sandbox,
            BASE_URL=f"http://127.0.0.1:{proxy.port}",
            DEBOUNCE_SECONDS=1.0,
            UNSAFE_REQUESTS_PER_MINUTE=85.0,
            UNSAFE_BURST=15,
            SAFE_REQUESTS_PER_MINUTE=850.0,
            SAFE_BURST=150,
        ),
    ):
        try:
            return _play(orders, seconds, api, sandbox, proxy, Path(name))
        finally:
            sandbox.close()


def _play(orders: int, seconds: float, api: str, sandbox: RemoteSandbox, proxy: ToxicProxy, folder: Path) -> int:
    from django_sendcloud.models import Change, OutboxEntry
    from django_sendcloud.sync.fold import fold
    from tests import factories, services

    sandbox.connect(api)
    for _ in range(100):
        factories.customer()
    broker = services.URLS["redis"]
    queue = f"black-friday-{os.getpid()}"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TEST_BROKER_URL": broker,
        "TEST_QUEUE": queue,
        "BLACK_FRIDAY_FOLDER": str(folder),
    }
    print(
        f"\n{orders:,} orders by API {api} in {seconds:.0f} s ({orders / seconds:.0f}/s, peaks of {PEAK_RATE:.0f}/s), Sendcloud takes "
        f"{CEILING:.0f}/s; {seconds / 6:.0f} s of outage, {orders * CANCELLED:.0f} cancellations"
    )
    python = [sys.executable, "-W", "ignore", "-m"]
    celery = [*python, "celery", "-A", "tests.benchmarks.black_friday_app", "worker", "-B", "--loglevel", "ERROR"]
    schedule = ["-s", str(folder / "beat"), "--without-gossip", "--without-mingle", "--concurrency", "2"]
    worker = subprocess.Popen(
        [*celery, *schedule], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    share = ["--orders", str(orders // WRITERS), "--seconds", str(seconds), "--folder", str(folder)]
    writers = [
        subprocess.Popen(
            [*python, "tests.benchmarks.black_friday", "--writer", str(number), *share], cwd=ROOT, env=environment
        )
        for number in range(WRITERS)
    ]
    try:
        # A process takes seconds to start; the day begins for all of them together.
        while len(list(folder.glob("ready-*"))) < WRITERS:
            if any(process.poll() is not None for process in writers):
                print("  A WRITER ENDED before it began")
                return 1
            time.sleep(0.02)
        begin = time.time()
        (folder / BEGIN).touch()
        for moment, act in ((OUTAGE[0], proxy.down), (OUTAGE[1], proxy.clear)):
            time.sleep(max(0.0, begin + moment * seconds - time.time()))
            act()
        for writer in writers:
            writer.wait(seconds + 300)
        ended = time.time()
        while fold():
            pass
        deletions = OutboxEntry.objects.filter(order_pk__in=_cancelled()).count()
        backlog = OutboxEntry.objects.count()
        ideal = (backlog - deletions) / CEILING + deletions / REQUESTS
        last = ended + 60 + MAX_DRAINS * ideal
        while Change.objects.exists() or OutboxEntry.objects.exists():
            if time.time() > last or worker.poll() is not None:
                print(f"  NOT DRAINED: {OutboxEntry.objects.count()} orders are left")
                return 1
            time.sleep(0.25)
        drained = time.time() - ended
        processor = _processor_seconds(worker.pid)
        _report(folder, begin, seconds, processor / (time.time() - begin))
        line("left when the last order was placed; deletions of these", f"{backlog:,}; {deletions:,}")
        line("drained in, against Sendcloud's ceiling", f"{drained:.1f} / {ideal:.1f} s")
    finally:
        for process in (*writers, worker):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in (*writers, worker):
            process.wait(60)
    return 0


def _processor_seconds(pid: int) -> float:
    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _cancelled() -> list[str]:
    from tests.shop.models import Order

    return [str(pk) for pk in Order.objects.filter(status="cancelled").values_list("pk", flat=True)]


def _report(folder: Path, begin: float, seconds: float, processor: float) -> None:
    committed = {order: moment for moment, order in moments(sorted(folder.glob("commits-*")))}
    arrived: dict[str, float] = {}
    for moment, order in moments(sorted(folder.glob("arrivals-*"))):
        arrived[order] = min(moment, arrived.get(order, moment))
    # An outage or a peak also delays the orders after it: calm is the time before the first.
    lags: dict[str, list[float]] = {"calm": [], "peaks and their backlog": [], "outage and its backlog": []}
    for order, at in committed.items():
        part = (at - begin) / seconds
        kind = (
            "calm"
            if part < PEAKS[0][0]
            else "outage and its backlog"
            if OUTAGE[0] <= part < PEAKS[1][0]
            else "peaks and their backlog"
        )
        if order in arrived:
            lags[kind].append(arrived[order] - at)
    line("orders placed, and arrived", f"{len(committed):,} / {len(arrived):,}")
    for kind, values in lags.items():
        if values:
            shown = f"{percentile(values, 50):.2f} / {percentile(values, 99):.2f} s"
            line(f"commit to accepted, median / p99, {kind} ({len(values):,})", shown)
    line("processor time of the worker, part of one core", f"{processor:.0%}")
    for table, (rows, size) in sorted(table_sizes().items(), key=lambda item: -item[1][1]):
        if rows:
            line(f"table {table}: rows", f"{rows:,} / {size / 2**20:.1f} MiB")


def main() -> int:
    """Run the benchmark, or one of its writers."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.black_friday", description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=720.0)
    parser.add_argument("--api", choices=["v2", "v3"], default="v2")
    parser.add_argument("--writer", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.writer is None:
        return measure(options.orders, options.seconds, options.api)
    write(options.writer, options.orders, options.seconds, options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
