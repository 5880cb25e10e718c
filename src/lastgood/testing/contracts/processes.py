"""What every ``Processes`` has to do. Run each clause of ``CLAUSES`` in a new world."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lastgood.errors import Failed, LastgoodError, Unavailable, UsageError
from lastgood.ports import Processes, ProcessSpec, ProcessState

PATIENCE_S = 10.0


@dataclass(frozen=True)
class ProcessWorld:
    """The port, and hands to make things happen: ``crash(key)`` kills a process, ``lose_answer()`` makes the next
    ``start`` take effect without an answer. ``folder`` is for logs.
    """

    processes: Processes
    folder: Path
    crash: Callable[[str], None]
    lose_answer: Callable[[], None]

    def spec(self, key: str, *argv: str) -> ProcessSpec:
        """A process that runs until it is stopped, unless other arguments are given."""
        return ProcessSpec(key, argv or ("sleep", "1000"), log_path=str(self.folder / f"{key}.log"), grace_s=2.0)

    async def state(self, key: str) -> ProcessState | None:
        """What is said of a key; None: it is not listed."""
        return next((state for state in await self.processes.list() if state.key == key), None)

    async def until(self, key: str, holds: Callable[[ProcessState], bool]) -> ProcessState:
        """The first state of a key of which the condition holds."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                state = await self.state(key)
                if state is not None and holds(state):
                    return state
                await asyncio.sleep(0.01)


async def _error(kind: type[LastgoodError], call: Awaitable[Any]) -> LastgoodError:
    try:
        result = await call
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected, not {result!r}")


async def what_is_started_is_listed_with_its_pid(world: ProcessWorld) -> None:
    """Key, group, pid and log path come back."""
    answer = await world.processes.start(replace(world.spec("a"), group="proxy"))
    listed = await world.state("a")
    assert listed is not None
    assert (listed.key, listed.group, listed.phase) == ("a", "proxy", "running")
    assert listed.pid == answer.pid is not None
    assert listed.log_path == str(world.folder / "a.log")


async def the_same_start_again_changes_nothing(world: ProcessWorld) -> None:
    """Idempotent by key, however often and however close together."""
    answers = await asyncio.gather(*(world.processes.start(world.spec("a")) for _ in range(5)))
    assert len({answer.pid for answer in answers}) == 1
    assert len(await world.processes.list()) == 1


async def other_secret_values_do_not_restart(world: ProcessWorld) -> None:
    """A rotated secret is used from the next start on; it does not end a process that serves."""
    first = await world.processes.start(replace(world.spec("a"), secret_env={"TOKEN": "one-secret"}))
    again = await world.processes.start(replace(world.spec("a"), secret_env={"TOKEN": "two-secret"}))
    assert again.pid == first.pid


async def another_spec_replaces(world: ProcessWorld) -> None:
    """One process before, another one after, never two keys."""
    first = await world.processes.start(world.spec("a"))
    second = await world.processes.start(world.spec("a", "sleep", "2000"))
    assert second.pid != first.pid
    assert [state.pid for state in await world.processes.list()] == [second.pid]


async def stop_ends_it_and_again_is_harmless(world: ProcessWorld) -> None:
    """True when there was one, False when there was none."""
    await world.processes.start(world.spec("a"))
    assert await world.processes.stop("a") is True
    assert await world.processes.stop("a") is False
    assert await world.processes.list() == ()


async def a_program_that_is_not_there_is_refused_and_not_kept(world: ProcessWorld) -> None:
    """The error names the program and the key."""
    error = await _error(Failed, world.processes.start(world.spec("a", "/does-not-exist")))
    assert "/does-not-exist" in error.what
    assert error.where == "a"
    assert await world.processes.list() == ()


async def a_key_that_cannot_be_a_file_name_is_refused(world: ProcessWorld) -> None:
    """Before anything is started."""
    for key in ("", "../a", "a b", ".a", "a/b", "x" * 161):
        assert "a key has" in (await _error(UsageError, world.processes.start(replace(world.spec("a"), key=key)))).what
        assert "a key has" in (await _error(UsageError, world.processes.stop(key))).what
    assert await world.processes.list() == ()


async def what_crashes_is_restarted_and_counted(world: ProcessWorld) -> None:
    """Another pid, one restart more, the exit code kept."""
    first = await world.processes.start(world.spec("a"))
    world.crash("a")
    state = await world.until("a", lambda state: state.pid not in (None, first.pid))
    assert (state.phase, state.restarts, state.last_exit) == ("running", 1, -9)


async def what_does_not_answer_is_restarted_and_counted(world: ProcessWorld) -> None:
    """Another pid, one restart and one hang more; the next end by itself is a restart and no hang."""
    first = await world.processes.start(world.spec("a"))
    assert first.pid is not None
    assert await world.processes.restart("a", first.pid) is True
    state = await world.until("a", lambda state: state.phase == "running" and state.pid != first.pid)
    assert (state.restarts, state.hangs, state.last_exit) == (1, 1, -15)
    world.crash("a")
    state = await world.until("a", lambda state: state.restarts == 2)
    assert state.hangs == 1


async def only_the_process_that_was_meant_is_restarted(world: ProcessWorld) -> None:
    """A request that comes late, or twice, ends nothing; what runs once at most is not run again."""
    first = await world.processes.start(world.spec("a"))
    assert first.pid is not None
    assert await world.processes.restart("a", first.pid) is True
    state = await world.until("a", lambda state: state.phase == "running" and state.pid != first.pid)
    assert await world.processes.restart("a", first.pid) is False
    assert await world.processes.restart("b", first.pid) is False
    once = await world.processes.start(replace(world.spec("once"), restart="never"))
    assert once.pid is not None
    assert await world.processes.restart("once", once.pid) is False
    assert [each.pid for each in await world.processes.list()] == [state.pid, once.pid]
    error = await _error(UsageError, world.processes.restart("../a", 1))
    assert "a key has" in error.what


async def a_stop_overtakes_a_restart(world: ProcessWorld) -> None:
    """Who is asked to end while it is being restarted does not come back."""
    first = await world.processes.start(world.spec("a"))
    assert first.pid is not None
    assert await world.processes.restart("a", first.pid) is True
    assert await world.processes.stop("a") is True
    assert await world.processes.list() == ()


async def a_crash_loop_shows(world: ProcessWorld) -> None:
    """Start is answered as soon as it is executed; the list tells the rest."""
    await world.processes.start(world.spec("a", "false"))
    state = await world.until("a", lambda state: state.restarts >= 2)
    assert state.last_exit == 1


async def never_restarted_stays_listed_and_is_not_run_again(world: ProcessWorld) -> None:
    """At most once: until the key is stopped, start only says how it ended."""
    spec = replace(world.spec("a", "false"), restart="never")
    await world.processes.start(spec)
    state = await world.until("a", lambda state: state.phase == "exited")
    assert (state.last_exit, state.pid, state.restarts) == (1, None, 0)
    assert (await world.processes.start(spec)).phase == "exited"
    assert await world.processes.stop("a") is True


async def a_lost_answer_is_repeated_without_harm(world: ProcessWorld) -> None:
    """A time-out says nothing of whether it took effect; the same call again finds out."""
    world.lose_answer()
    await _error(Unavailable, world.processes.start(world.spec("a")))
    answer = await world.processes.start(world.spec("a"))
    assert [state.pid for state in await world.processes.list()] == [answer.pid]


CLAUSES: tuple[Callable[[ProcessWorld], Awaitable[None]], ...] = (
    what_is_started_is_listed_with_its_pid,
    the_same_start_again_changes_nothing,
    other_secret_values_do_not_restart,
    another_spec_replaces,
    stop_ends_it_and_again_is_harmless,
    a_program_that_is_not_there_is_refused_and_not_kept,
    a_key_that_cannot_be_a_file_name_is_refused,
    what_crashes_is_restarted_and_counted,
    what_does_not_answer_is_restarted_and_counted,
    only_the_process_that_was_meant_is_restarted,
    a_stop_overtakes_a_restart,
    a_crash_loop_shows,
    never_restarted_stays_listed_and_is_not_run_again,
    a_lost_answer_is_repeated_without_harm,
)
