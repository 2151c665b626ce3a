"""python -m tests.chaos [--seed N] [--seconds 60] [--writers 3] [--workers 3] [--api …] [--database …] [--broker …] [--runs N]"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time

from .history import Broken, story
from .run import Options, Outcome, run


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description="The example shop under a storm of faults."
    )
    parser.add_argument("--seed", type=int, help="of the first run, each further one has the next; by default any")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long it storms (default: %(default)g)")
    parser.add_argument("--writers", type=int, default=3, help="processes that write orders (default: %(default)d)")
    parser.add_argument("--workers", type=int, default=3, help="Celery workers (default: %(default)d)")
    parser.add_argument("--api", choices=["v2", "v3"], default="v2")
    parser.add_argument("--database", choices=["postgresql", "mariadb"], default="postgresql")
    parser.add_argument("--broker", choices=["redis", "rabbitmq"], default="redis")
    parser.add_argument("--runs", type=int, default=1, help="how many, one after the other (default: %(default)d)")
    chosen = parser.parse_args(arguments)
    # A run that is ended from outside still removes everything it has created.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    first = random.randrange(1_000_000) if chosen.seed is None else chosen.seed
    failed = []
    for seed in range(first, first + chosen.runs):
        options = Options(
            seed, chosen.seconds, chosen.writers, chosen.workers, chosen.database, chosen.broker, chosen.api
        )
        if not play(options):
            failed.append(seed)
    if chosen.runs > 1:
        print(f"\n{chosen.runs} runs, {len(failed)} failed{': ' + ', '.join(map(str, failed)) if failed else ''}")
    return 1 if failed else 0


def play(options: Options) -> bool:
    """Play one run, print its events as they happen, and return whether all rules hold."""
    print(
        f"Seed {options.seed}: {options.seconds:g} s, {options.writers} writers, {options.workers} workers, "
        f"API {options.api}, {options.database}, {options.broker}",
        flush=True,
    )
    begin = time.monotonic()
    outcome = run(options, lambda line: print(line, flush=True))
    print(f"\nSeed {options.seed}, {time.monotonic() - begin:.0f} s in all")
    for name, value in outcome.table:
        print(f"  {name:<36} {value}")
    if not outcome.broken:
        print("  All rules hold.", flush=True)
        return True
    print(f"\n{len(outcome.broken)} times a rule is broken:")
    for broken in outcome.broken[:10]:
        show(outcome, broken)
    print(f"\nTo play the same schedule again: --seed {options.seed}", flush=True)
    return False


def show(outcome: Outcome, broken: Broken) -> None:
    print(f"\n* {broken}")
    for line in story(outcome.history, broken.order, outcome.begin) if broken.order else ():
        print(f"    {line}")


if __name__ == "__main__":
    sys.exit(main())
