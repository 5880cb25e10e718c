"""What people and programs read of one story, as JSON; ``python -m tests.operations.golden`` writes it anew."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from lastgood.operations import reporting
from lastgood.operations.loop import Loop
from lastgood.ports import ProxyState
from lastgood.testing.simulation import Gates, Simulation, at_rest
from tests.invariants.scenes import is_waiting, on_first, played, until
from tests.simulation.scenario import do_deploy, do_rollback, draft

FOLDER = Path(__file__).parent / "golden"
PROXIES = (ProxyState("proxy-1", True, "abc", None), ProxyState("proxy-2", False, None, "bad regex"))


def told() -> dict[str, Any]:
    """Every page, by name: while r2 bakes, after the way back, and where that halted."""
    sim = on_first()
    pages: dict[str, Any] = {}

    async def bakes(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"), confirm_within_s=600.0)
        await until(loop, lambda state: is_waiting(state, "confirm"))
        await asyncio.sleep(5)
        pages["status-baking"] = reporting.status(loop.view(), PROXIES, 0)

    async def back(loop: Loop) -> None:
        await do_rollback(loop, why="too slow")
        await at_rest(loop)
        view = loop.view()
        found = loop.state.deployments[3]
        events = [event for event in sim.pages.events if event.deployment == 3]
        pages["status-back"] = reporting.status(view, PROXIES, 2)
        pages["history"] = reporting.history(view, 20)
        pages["report"] = reporting.report(found, events, (), view)

    played(sim, bakes)
    played(sim, back)
    pages["status-halted"] = _halted()
    return pages


def _halted() -> dict[str, Any]:
    sim: Simulation = on_first()
    found: dict[str, Any] = {}

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await do_rollback(loop)
        await at_rest(loop)
        found.update(reporting.status(loop.view(), (), 0))

    failing = Gates(fail=lambda step, nth: "no answer" if step.id == "shift" and not step.args["percent"] else None)
    played(sim, script, failing)
    return found


def rendered(page: Any) -> str:
    """As it lies on the disk."""
    return json.dumps(page, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, page in told().items():
        (FOLDER / f"{name}.json").write_text(rendered(page))
