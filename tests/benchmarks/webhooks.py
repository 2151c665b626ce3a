"""Benchmark of webhooks: python -m tests.benchmarks.webhooks [--requests 2000]

1. Accepting: requests a second through the view, in Gunicorn with one synchronous worker, against a bare Django view
   that only reads the body (the limit) and against a usual webhook view that verifies and immediately calls
   ``update_or_create`` (the baseline).
2. Latency at 200 requests a second.
3. Applying the accepted events, events a second and SQL statements each.

On PostgreSQL where it runs, on SQLite elsewhere. Prints figures and goals; nothing is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .environment import ROOT, django_environment, line, percentile


@contextlib.contextmanager
def web_server() -> Iterator[int]:
    """Serve the views from one process; the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        # Gunicorn takes over a socket that listens already.
        address = f"fd://{listener.fileno()}"
        command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--workers", "1", "--log-level", "error"]
        server = subprocess.Popen(
            [*command, "--bind", address, "tests.benchmarks.webhooks_app"],
            cwd=ROOT,
            env=os.environ | {"TEST_BROKER_URL": "memory://"},
            pass_fds=[listener.fileno()],
        )
        try:
            yield listener.getsockname()[1]
        finally:
            server.terminate()
            server.wait(10)


def send(port: int, path: str, bodies: list[tuple[bytes, str]], gap: float = 0.0) -> list[float]:
    """Post bodies one after the other; seconds each took."""
    from django_sendcloud.webhooks.signature import HEADER

    taken = []
    for body, signature in bodies:
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", path, body, {HEADER: signature, "Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 200, answer.status
        taken.append(time.perf_counter() - begin)
        if gap:
            time.sleep(max(0.0, begin + gap - time.perf_counter()))
    return taken


def bodies(count: int, first: int, secret: str) -> list[tuple[bytes, str]]:
    from django_sendcloud.webhooks.signature import sign

    sample: dict[str, Any] = json.loads((ROOT / "tests/webhooks/published.json").read_text())
    made = []
    for number in range(count):
        sample["parcel"]["id"] = first + number
        sample["parcel"]["shipment_uuid"] = str(uuid.UUID(int=first + number))
        sample["timestamp"] = 1_790_000_000_000 + number
        body = json.dumps(sample).encode()
        made.append((body, sign(body, secret)))
    return made


def rate(port: int, path: str, all_bodies: list[tuple[bytes, str]], threads: int = 4) -> float:
    shares = [all_bodies[n::threads] for n in range(threads)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda share: send(port, path, share), shares))
    return len(all_bodies) / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    count = parser.parse_args().requests
    with django_environment() as kind:
        from django.db import connection

        from django_sendcloud.models import Integration, Shipment, WebhookEvent
        from django_sendcloud.webhooks import apply

        integration = Integration.objects.create(remote_id=1, public_key="p", secret_key="secret")
        with web_server() as port:
            ours = integration.webhook_path()
            send(port, "/bare/", bodies(50, 1, "secret"))
            send(port, ours, bodies(50, 1, "secret"))
            print(f"\naccepting {count:,} webhooks of 1.4 kB, one process, {kind}")
            limit = rate(port, "/bare/", bodies(count, 1000, "secret"))
            usual = rate(port, "/usual/", bodies(count, 100_000, "secret"))
            kept = rate(port, ours, bodies(count, 200_000, "secret"))
            line("a bare view (limit)", f"{limit:,.0f} /s")
            line("verify and update_or_create at once (baseline)", f"{usual:,.0f} /s")
            line("ours: verified and kept", f"{kept:,.0f} /s", f"x {kept / usual:.2f} of the baseline")
            line("ours / bare", f"{kept / limit:.2f}", "goal: at least 0.2")
            taken: list[float] = []
            shares = [bodies(250, 300_000 + number * 1000, "secret") for number in range(4)]
            threads = [
                threading.Thread(target=lambda share=share: taken.extend(send(port, ours, share, 0.02)))
                for share in shares
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            line("p99 at 200 requests a second", f"{percentile(taken, 99) * 1000:.1f} ms", "goal: within 15 ms")
            line("p50 at 200 requests a second", f"{percentile(taken, 50) * 1000:.1f} ms")

        known = [uuid.UUID(int=number) for number in {*range(200_000, 200_000 + count), *range(300_000, 304_000)}]
        Shipment.objects.bulk_create(
            Shipment(integration=integration, external_order_id=str(n), external_shipment_id=str(n), uuid=n)
            for n in known
        )
        waiting = WebhookEvent.objects.filter(state="received").count()
        statements = 0

        def count_statement(execute: Any, sql: str, *args: Any) -> Any:
            nonlocal statements
            statements += not sql.startswith(("SAVEPOINT", "RELEASE"))
            return execute(sql, *args)

        with connection.execute_wrapper(count_statement):
            begin = time.perf_counter()
            applied = apply.drain(limit=waiting)
            seconds = time.perf_counter() - begin
        print(f"\napplying {applied:,} events of {applied:,} new parcels, one worker, {kind}")
        line("events a second", f"{applied / seconds:,.0f}", "goal: at least 500")
        line("SQL statements an event", f"{statements / applied:.1f}", "goal: at most 6")


if __name__ == "__main__":
    main()
