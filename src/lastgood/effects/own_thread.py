"""A blocking call on a thread of its own, for what may take as long as somebody else likes.

The loop's own threads are few, and a rollback needs them; a call that hangs must neither take one of those nor keep the
process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def on_own_thread(call: Callable[[], T]) -> T:
    """What it returns or raises. Cancelled, its end is waited for by nobody."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, problem: BaseException | None) -> None:
        if came.done():
            return
        if problem is not None:
            came.set_exception(problem)
        else:
            came.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, problem = None, None
        try:
            result = call()
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=run, name="asking", daemon=True).start()
    return await came
