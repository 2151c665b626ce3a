"""Very many hostile webhooks: python -m tests.webhooks.soak [--requests 1000000] [--seed 1] [--processes 2]

Half of them are signed. None may be answered with a 5xx, none that is not signed may be kept, everything that is kept
must be applied or explained, and the memory of a process must not grow. Prints what it saw; the exit code is 0 only if
all of that was so. (The tests run a short one, under Hypothesis: ``test_fuzz.py``.)
"""

from __future__ import annotations

import argparse
import collections
import copy
import json
import logging
import multiprocessing
import os
import random
import sys
import time
from typing import Any

import psutil

GROWTH = 40 * 2**20
ODD: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, -(2**70), 1e308, float("nan"), float("inf"), "", "0", "-0", "9" * 400, "\x00",
    "é", "\ud800", "x" * 5000, [], {}, [[]], {"id": None}, {"id": "11"}, {"id": 2**40}, {"code": 7}, "2026-13-45", "1e400",
    "01-02-2018 21:45:30", "2018-01-01T21:45:30+25:00", "javascript:alert(1)", "00000000-0000-0000-0000-000000000000",
]  # fmt: skip
ACTIONS = [
    "parcel_status_changed", "return_created", "return_delivered", "test_webhook", "integration_credentials",
    "nonsense", "", None, 7,
]  # fmt: skip


def body(chance: random.Random, parcel: dict[str, Any], signed: int) -> bytes:
    """Make a body between a good webhook and noise."""
    kind = chance.random()
    if kind < 0.1:
        return chance.randbytes(chance.randrange(1, 300))
    if kind < 0.15:
        return json.dumps(chance.choice(ODD)).encode()
    if kind < 0.17:
        return b"[" * chance.randrange(1, 20_000)
    payload: dict[str, Any] = json.loads(json.dumps(parcel))
    payload["parcel"]["id"] = chance.randrange(1, 500)
    payload["timestamp"] = signed
    for _ in range(chance.randrange(0, 4)):
        target = chance.choice([payload, payload["parcel"]]) if isinstance(payload.get("parcel"), dict) else payload
        target[chance.choice(sorted(target) or ["x"])] = copy.deepcopy(chance.choice(ODD))
    if chance.random() < 0.2:
        payload["action"] = chance.choice(ACTIONS)
    made = json.dumps(payload).encode()
    if chance.random() < 0.1:
        cut = chance.randrange(len(made))
        made = made[:cut] + chance.randbytes(chance.randrange(3)) + made[cut + chance.randrange(3) :]
    return made or b" "


def run(number: int, seed: int, results: Any) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ.pop("TEST_DATABASE_URL", None)
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import RequestFactory
    from django.urls import resolve

    from django_sendcloud.models import Integration, Parcel, WebhookEvent
    from django_sendcloud.webhooks import apply, signature

    from .messages import parcel

    logging.disable(logging.CRITICAL)
    call_command("migrate", run_syncdb=True, verbosity=0)
    integration = Integration.objects.create(remote_id=1, public_key="p", secret_key="secret")
    chance, process, make = random.Random(seed), psutil.Process(), RequestFactory()
    match, sample = resolve(integration.webhook_path()), parcel()
    seen: collections.Counter[str] = collections.Counter()
    problems: list[str] = []
    baseline = 0
    for done in range(1, number + 1):
        signed = chance.random() < 0.5
        raw = body(chance, sample, done)
        header = (
            signature.sign(raw, "secret")
            if signed
            else chance.choice(["", "0" * 64, "é", signature.sign(raw, "other")])
        )
        request = make.post(
            integration.webhook_path(), raw, content_type="application/json", headers={signature.HEADER: header}
        )
        status = match.func(request, *match.args, **match.kwargs).status_code
        seen[f"{'signed' if signed else 'unsigned'} {status}"] += 1
        if status != (200 if signed else 403):
            problems.append(f"{status} for {raw[:200]!r}")
        if done % 500 == 0 or done == number:
            apply.drain(limit=2000)
            for state, error in WebhookEvent.objects.values_list("state", "error"):
                seen[f"then {state}"] += 1
                if state == "received" or "Applying it failed" in error:
                    problems.append(f"{state}: {error}")
            WebhookEvent.objects.all().delete()
            Parcel.objects.all().delete()
            if not baseline and done >= number // 10:
                baseline = process.memory_info().rss
    growth = process.memory_info().rss - baseline
    if growth > GROWTH:
        problems.append(f"The memory grew by {growth / 2**20:.1f} MiB.")
    results.put((dict(seen), problems[:5], growth))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    begin = time.monotonic()
    share = options.requests // options.processes
    workers = [
        context.Process(target=run, args=(share, options.seed + number, results)) for number in range(options.processes)
    ]
    for worker in workers:
        worker.start()
    total: collections.Counter[str] = collections.Counter()
    problems: list[str] = []
    growth = 0
    for _ in workers:
        seen, found, grown = results.get()
        total.update(seen)
        problems += found
        growth = max(growth, grown)
    for worker in workers:
        worker.join()
    print(f"{share * options.processes:,} requests, seed {options.seed}, in {time.monotonic() - begin:.0f} s")
    for what, number in sorted(total.items()):
        print(f"  {what:<20} {number:>9,}")
    print(f"  memory grew by at most {growth / 2**20:.1f} MiB after the first tenth")
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
