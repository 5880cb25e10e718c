"""What became of functions that run by the clock, in a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class CronFile:
    """See ``operations.crons``: what cannot be read is nothing, what cannot be written is lost."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any]:
        """What was written last."""
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, value: dict[str, Any]) -> None:
        """Replace it; on a full disk the old one stays."""
        temporary = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_text(json.dumps(value, indent=1))
            os.replace(temporary, self._path)
        except OSError:
            pass
