"""Times that people wait for: from an order's commit to Sendcloud, and of the start of a process.

``python -m tests.benchmarks.latency [commit|start ...]``
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from .environment import ROOT, django_environment, line, median, percentile

PARTS = ["commit", "start"]
# Seconds between the orders of a pair or a series.
GAPS = (0.05, 0.1, 0.2, 0.5, 1.0)
LATENCY = 0.02
# After these seconds the worker is idle again, and the account's rate has room.
REST = 3.0
WAIT = 60.0
RUNS = 10


def commit(api: str) -> None:
    from django_sendcloud.conf import Settings
    from django_sendcloud.sandbox import Sandbox
    from tests import services

    if not services.available("redis"):
        print("\nfrom commit to Sendcloud: only with Redis")
        return
    os.environ["TEST_BROKER_URL"] = services.URLS["redis"]
    os.environ["TEST_QUEUE"] = f"latency-{uuid.uuid4().hex[:12]}"
    # The tests' settings have other values of these.
    names = ("DEBOUNCE_SECONDS", "UNSAFE_REQUESTS_PER_MINUTE", "UNSAFE_BURST", "SAFE_REQUESTS_PER_MINUTE", "SAFE_BURST")
    defaults = {name: getattr(Settings(), name) for name in names}
    with Sandbox() as sandbox, django_environment(sandbox, **defaults) as kind, tempfile.TemporaryDirectory() as folder:
        from tests import factories

        sandbox.latency = LATENCY
        factories.integration(sandbox, api_generation=api)
        command = [
            *(sys.executable, "-W", "ignore", "-m", "celery", "-A", "tests.celery_app", "worker", "--concurrency", "2"),
            *("--loglevel", "ERROR", "--without-gossip", "--without-mingle", "-B", "-s", str(Path(folder) / "beat")),
        ]
        worker = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
        )
        try:
            customer = factories.customer()
            _waits(sandbox, [_place(customer)])
            print(
                f"\nfrom commit to Sendcloud by API {api}, idle worker, default settings, {LATENCY * 1000:.0f} ms, {kind}"
            )
            _report("single orders", [_series(sandbox, customer, 1, 0.0) for _ in range(RUNS)])
            for gap in GAPS:
                pairs = [_series(sandbox, customer, 2, gap) for _ in range(RUNS // 5)]
                _report(f"pairs, {gap} s apart", pairs)
            for gap in GAPS:
                _report(f"series of eight, {gap} s apart", [_series(sandbox, customer, 8, gap) for _ in range(2)])
        finally:
            worker.terminate()
            worker.wait(30)


def _place(customer: Any) -> tuple[str, float]:
    from django.db import transaction

    from tests import factories

    with transaction.atomic():
        order = factories.order(customer=customer, lines=3)
    return str(order.pk), time.monotonic()


def _series(sandbox: Any, customer: Any, count: int, gap: float) -> list[float]:
    """Place orders and return the seconds of each."""
    time.sleep(REST)
    placed = []
    for number in range(count):
        if number:
            time.sleep(gap)
        placed.append(_place(customer))
    return _waits(sandbox, placed)


def _waits(sandbox: Any, placed: list[tuple[str, float]]) -> list[float]:
    """Wait for the orders' first requests and return the seconds since their commits.

    Raises:
        AssertionError: one does not arrive.
    """
    end = time.monotonic() + WAIT
    while True:
        arrived: dict[str, float] = {}
        for request in sandbox.requests:
            for item in request.items:
                arrived.setdefault(item.external_order_id, request.time)
        if all(key in arrived for key, _ in placed):
            return [arrived[key] - moment for key, moment in placed]
        assert time.monotonic() < end, "an order did not arrive"
        time.sleep(0.02)


def _report(text: str, runs: list[list[float]]) -> None:
    values = [value for run in runs for value in run]
    shown = f"{median(values):.2f} / {percentile(values, 99):.2f} s"
    line(f"{text}, median / p99 of {len(values)}", shown, "goal: at most 0.3 / 2 s")


# -- start --------------------------------------------------------------------------------------------

SETUP = """
import resource, time
begin, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                    "django.contrib.messages", "django.contrib.sessions", "django.contrib.staticfiles", {apps}],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    SECRET_KEY="benchmark", USE_TZ=True, ROOT_URLCONF="",
)
{imports}
django.setup()
{after}
print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_utime - used)
"""


def start() -> None:
    print(f"\nimport and django.setup(), elapsed / user time, medians of {RUNS} new processes, in turns")
    # A shop with Celery and DRF has them loaded without us.
    others = "import celery, rest_framework.views, requests"
    pages = "from django.contrib import admin; admin.site.get_urls()"
    ours = "import django_sendcloud"
    variants = {
        "a project with Django's default apps (baseline)": ("", "", ""),
        "the same with this package": ('"django_sendcloud",', ours, ""),
        "baseline with Celery, DRF and requests": ('"rest_framework",', others, ""),
        "the same with this package, and these": ('"rest_framework", "django_sendcloud",', f"{others}\n{ours}", ""),
        "baseline and the admin's URLs": ("", "", pages),
        "the same with this package, and the URLs": ('"django_sendcloud",', ours, pages),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    for number in range(RUNS + 1):
        # In turns, so that a busy moment hits each of them.
        for name, (apps, imports, after) in variants.items():
            code = SETUP.format(apps=apps, imports=imports, after=after)
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            if number:  # the first writes the bytecode
                elapsed, used = map(float, done.stdout.split())
                taken[name].append((elapsed, used))
    times = {name: [median(column) * 1000 for column in zip(*runs, strict=True)] for name, runs in taken.items()}
    for name, (elapsed, used) in times.items():
        line(name, f"{elapsed:.0f} / {used:.0f} ms")
    names = list(times)
    for text, baseline, goal in (
        ("added to Django's default apps", 0, "goal: at most 60 ms"),
        ("added to Celery, DRF and requests", 2, ""),
        ("added by the first page of the admin as well", 4, ""),
    ):
        (before, used_before), (after_us, used) = times[names[baseline]], times[names[baseline + 1]]
        line(text, f"{after_us - before:.0f} / {used - used_before:.0f} ms", goal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="which; all by default")
    parser.add_argument("--api", choices=["v2", "v3"], default=None, help="push by this API; both by default")
    options = parser.parse_args()
    for part in options.part or PARTS:
        if part == "start":
            start()
        elif options.api:
            commit(options.api)
        else:
            for api in ("v2", "v3"):
                command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.latency", "commit", "--api", api]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
