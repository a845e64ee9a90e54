"""`python -m benchmarks [NAME ...]`: these measurements, or all, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.report import console
from queries.settings import ROOT

NAMES = ("cache_hit", "cold", "stampede", "forecast", "monitoring", "advice", "exports", "walls", "page_load")


def main() -> int:
    """1 when a bound was missed or a measurement failed."""
    chosen = sys.argv[1:] or list(NAMES)
    if unknown := [one for one in chosen if one not in NAMES]:
        console.print(f"there is no measurement {unknown[0]}; choose from {', '.join(NAMES)}")
        return 2
    failed: list[str] = []
    for name in chosen:
        console.rule(name)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=False).returncode:
            failed.append(name)
    console.rule()
    console.print(f"Missed a bound or failed: {', '.join(failed)}" if failed else "Every stated bound holds.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
