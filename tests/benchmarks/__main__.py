"""All benchmarks, one after the other: python -m tests.benchmarks [client|engine|latency|webhooks|black_friday ...]

The options of a benchmark follow its name, and then it is the only one: black_friday --orders 10000 --seconds 90.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys

NAMES = ["client", "engine", "latency", "webhooks", "black_friday"]


def main() -> int:
    begin = next((at for at, word in enumerate(sys.argv) if word.startswith("-")), len(sys.argv))
    wanted, options = sys.argv[1:begin] or NAMES, sys.argv[begin:]
    if options and len(wanted) != 1:
        print("Options need the name of one benchmark before them.", file=sys.stderr)
        return 2
    if unknown := set(wanted) - set(NAMES):
        print(f"Unknown: {', '.join(sorted(unknown))}. There are: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    )
    failed = 0
    for name in wanted:
        print(f"\n{'=' * 20} {name} {'=' * 20}", flush=True)
        failed |= subprocess.run(
            [sys.executable, "-W", "ignore", "-m", f"tests.benchmarks.{name}", *options], check=False
        ).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
