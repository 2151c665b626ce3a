"""All benchmarks, one after the other: python -m benchmarks [client|engine|webhooks ...]"""

from __future__ import annotations

import os
import platform
import subprocess
import sys

NAMES = ["client", "engine", "webhooks"]


def main() -> int:
    wanted = sys.argv[1:] or NAMES
    if unknown := set(wanted) - set(NAMES):
        print(f"Unknown: {', '.join(sorted(unknown))}. There are: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    )
    failed = 0
    for name in wanted:
        print(f"\n{'=' * 20} {name} {'=' * 20}", flush=True)
        failed |= subprocess.run([sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"], check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
