"""Many ask, few questions are put, and no answer is older than who asked for it."""

from __future__ import annotations

import asyncio

from lastgood.effects.instances.sharing import Shared


class Source:
    """Counts how often it is asked; answers when let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.fails = False

    async def __call__(self) -> int:
        self.asked += 1
        mine = self.asked
        await self.gate.wait()
        if self.fails:
            raise ConnectionError
        return mine


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_meanwhile_shares_the_next_answer() -> None:
    source = Source()
    shared = Shared(source)
    first = asyncio.create_task(shared.ask())
    await settled()
    later = [asyncio.create_task(shared.ask()) for _ in range(50)]
    await settled()
    assert source.asked == 1
    source.gate.set()
    assert await first == 1
    assert await asyncio.gather(*later) == [2] * 50
    assert await shared.ask() == 3


async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    source = Source()
    shared = Shared(source)
    impatient, patient = asyncio.create_task(shared.ask()), asyncio.create_task(shared.ask())
    await settled()
    impatient.cancel()
    await settled()
    source.gate.set()
    assert await patient == 1
    assert impatient.cancelled()


async def test_what_goes_wrong_goes_wrong_for_all_who_share_it_and_for_nobody_later() -> None:
    source = Source()
    source.fails = True
    shared = Shared(source)
    together = [asyncio.create_task(shared.ask()) for _ in range(3)]
    await settled()
    source.gate.set()
    assert [type(each) for each in await asyncio.gather(*together, return_exceptions=True)] == [ConnectionError] * 3
    source.fails = False
    assert await shared.ask() == 2
