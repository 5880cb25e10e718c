"""``python -m benchmarks [NAME...] [--smoke]``: measure, print the tables, keep the samples in results/latest.json."""

from __future__ import annotations

import argparse
import importlib
import json
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import machine, page
from benchmarks.table import FULL, SMOKE, Table

NAMES = (
    "shift",
    "revert",
    "probe",
    "command",
    "restart",
    "services",
    "strategies",
    "packages",
    "shield",
    "fleet",
    "swap",
    "functions",
    "rollbacks",
    "databases",
    "histories",
    "migrators",
    "peers",
    "judgement",
    "healthy",
    "live",
    "judging",
)
RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> None:
    """Measure what was named, or everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], metavar="NAME", help=" ".join(NAMES))
    parser.add_argument("--smoke", action="store_true", help="see that they run, in a minute; the figures say nothing")
    parser.add_argument("--times", type=int, metavar="N", help="how often each change is made, in place of the usual")
    parser.add_argument(
        "--page", action="store_true", help="measure nothing; put the last tables into docs/benchmarks.md"
    )
    asked = parser.parse_args()
    if asked.page:
        page.PAGE.write_text(page.rewrite(page.PAGE.read_text(), json.loads(RESULTS.read_text())))
        return
    size = SMOKE if asked.smoke else FULL
    if asked.times:
        size = replace(size, shifts=asked.times, changes=asked.times)
    print(machine.described(), flush=True)
    for name in asked.names or NAMES:
        began_s = time.monotonic()
        load_before, pace_before = machine.load_average(), machine.pace_ms()
        table: Table = importlib.import_module(f"benchmarks.{name}").run(size)
        took_s = time.monotonic() - began_s
        keep(table, took_s, load_before, (pace_before, machine.pace_ms()))
        print(f"\n{table.markdown()}\n({took_s:.0f} s; load average {load_before:.1f} before it)", flush=True)


def keep(table: Table, took_s: float, load_before: float, pace: tuple[float, float], results: Path = RESULTS) -> None:
    """Write a table's samples beside those of the other benchmarks' last runs."""
    results.parent.mkdir(exist_ok=True)
    kept = json.loads(results.read_text()) if results.exists() else {}
    kept[table.name] = {
        "machine": machine.described(),
        "commit": machine.commit(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "took_s": round(took_s, 1),
        "load_average_before": load_before,
        "pace_ms": [round(one, 1) for one in pace],
        "markdown": table.markdown(),
        "raw": table.raw,
    }
    results.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
