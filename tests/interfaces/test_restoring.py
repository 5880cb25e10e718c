"""What could not be restored is told, and tried again until it can."""

from __future__ import annotations

import asyncio

from lastgood.errors import Unavailable
from lastgood.interfaces.restoring import Restoring


async def test_it_is_tried_again_until_it_works_and_told_once() -> None:
    left = [Unavailable("it cannot be read", where="file:/k.pem")] * 3
    said: list[str] = []

    async def restore() -> None:
        if left:
            raise left.pop()

    restoring = Restoring(restore, said.append)
    await restoring.once()
    assert restoring.why == "file:/k.pem: it cannot be read"
    await asyncio.wait_for(restoring.keep_trying(lambda: False, pause_s=0.001), 5)
    assert (restoring.why, left) == (None, [])
    assert said == [
        "what was served could not be restored: file:/k.pem: it cannot be read",
        "what was served is restored",
    ]


async def test_a_deployment_that_moves_is_not_disturbed() -> None:
    tries = 0

    async def restore() -> None:
        nonlocal tries
        tries += 1
        raise Unavailable("no")

    restoring = Restoring(restore, lambda _: None)
    await restoring.once()
    trying = asyncio.create_task(restoring.keep_trying(lambda: True, pause_s=0.001))
    await asyncio.sleep(0.05)
    trying.cancel()
    assert tries == 1
