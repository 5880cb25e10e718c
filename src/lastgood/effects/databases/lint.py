"""What squawk says of PostgreSQL scripts: https://squawkhq.com/docs/rules. An extra; without it nothing is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lastgood.database.migration import Dialect, Script

OURS = ("require-lock-timeout", "require-statement-timeout", "prefer-robust-stmts", "require-timeout-settings")
"""Rules for what the runner does itself: time limits, and running a script once and whole."""
_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark; ``line`` counts from 1 in the script."""

    line: int
    rule: str
    what: str
    help: str = ""

    def __str__(self) -> str:
        """``line 3: Dropping a column may break existing clients. (ban-drop-column)``."""
        return f"line {self.line}: {self.what} ({self.rule})"


def find_squawk() -> str | None:
    """The program, beside our own Python or on the path."""
    beside = Path(sys.executable).with_name("squawk")
    return str(beside) if beside.exists() else shutil.which("squawk")


def remarks(script: Script, dialect: Dialect) -> tuple[Remark, ...]:
    """What it says of one script; nothing for SQLite, without the program, or where it fails."""
    program = find_squawk() if dialect == "postgresql" and script.text.strip() else None
    if program is None:
        return ()
    command = [program, "--reporter", "json", "--exclude", ",".join(OURS), "--stdin-filepath", "script.sql"]
    try:
        done = subprocess.run(command, input=script.text, capture_output=True, text=True, timeout=_LIMIT_S)
        found = json.loads(done.stdout or "[]")
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ()
    return tuple(Remark(int(one["line"]) + 1, one["rule_name"], one["message"], one.get("help") or "") for one in found)
