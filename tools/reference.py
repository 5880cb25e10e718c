"""Write every page of the reference that comes from the code (``make docs``); ``--check`` only compares."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from lastgood.config.reference import reference
from lastgood.interfaces.cli.reference import commands, exit_codes
from lastgood.interfaces.http.app import Control, make_app
from lastgood.interfaces.http.events import Feed
from lastgood.interfaces.http.looks import MachineLooks
from lastgood.operations.verbs import Verbs
from lastgood.settings import Places

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"


def openapi() -> str:
    """``docs/reference/openapi.json``: what the application says of itself; no verb is needed for that."""
    look = MachineLooks(Places(Path("."), Path(".lastgood")))
    control = Control(Feed(), stop=lambda: None, refresh=lambda: None, about=dict, look=look)
    described: dict[str, Any] = make_app(cast(Verbs, None), control).openapi()
    return json.dumps(described, indent=2, sort_keys=True) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "configuration.md": reference,
    "commands.md": commands,
    "exit-codes.md": exit_codes,
    "openapi.json": openapi,
}


def stale(folder: Path) -> dict[str, str]:
    """Each page that is not as the code has it, and the difference."""
    found = {}
    for name, make in PAGES.items():
        path = folder / name
        there, made = path.read_text() if path.exists() else "", make()
        if there != made:
            lines = difflib.unified_diff(there.splitlines(), made.splitlines(), f"docs/reference/{name}", "the code")
            found[name] = "\n".join(lines)
    return found


def main(arguments: list[str]) -> int:
    """Write, or with ``--check`` end with 1 where a page is stale."""
    found = stale(FOLDER)
    if arguments == ["--check"]:
        for difference in found.values():
            print(difference)
        return 1 if found else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in found:
        (FOLDER / name).write_text(PAGES[name]())
        print(f"wrote docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
