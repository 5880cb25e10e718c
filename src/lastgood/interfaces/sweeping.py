"""Memory: what refers to itself is looked for while nothing moves, never between a verb and its effect.

Left to itself the interpreter looks through everything that lives whenever enough was made: 200 ms at 10,000 routes,
at a moment nobody chose.
"""

from __future__ import annotations

import asyncio
import gc

from lastgood.operations.deploy import is_resting
from lastgood.operations.loop import Loop

LOOK_S = 2.0
ENOUGH = 20_000
"""Objects made and not freed since the last time."""
TOO_MANY = 3_000_000
"""So many are looked through even while something moves: about 300 MB."""
FULLY_EVERY = 1_800
"""Looks (about an hour) between two times in which also what was kept is looked through."""


async def sweep(loop: Loop) -> None:
    """Take over from the interpreter, for as long as the controller runs."""
    gc.disable()
    turn = 0
    try:
        while True:
            await asyncio.sleep(LOOK_S)
            turn += 1
            made = gc.get_count()[0]
            deployment = loop.state.deployment
            at_rest = deployment is None or is_resting(deployment)
            if made > TOO_MANY or (at_rest and (made > ENOUGH or turn % FULLY_EVERY == 0)):
                sweep_once(fully=turn % FULLY_EVERY == 0)
    finally:
        gc.enable()


def sweep_once(*, fully: bool) -> None:
    """Free what only refers to itself. What stays is not looked through again, but ``fully``."""
    if fully:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
