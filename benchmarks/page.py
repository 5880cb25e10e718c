"""docs/benchmarks.md gets its tables from the last results, so that no figure is copied by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def rewrite(page: str, kept: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, with the last table of each benchmark between its marks (``<!-- NAME -->``, ``<!-- /NAME -->``)."""
    for name, result in kept.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        when = (
            f"{result['at'][:10]}, {result['took_s']:.0f} s, load average {result['load_average_before']:.1f} before it"
        )
        if pace := result.get("pace_ms"):
            when += f", the machine's pace {pace[0]:.1f} ms before and {pace[1]:.1f} after"
        block = f"{begin}\n{result['markdown']}\nMeasured {when}, at {result['commit']}: {result['machine']}.\n{end}"
        page = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _, block=block: block, page, flags=re.DOTALL)  # type: ignore[misc]
    return page
