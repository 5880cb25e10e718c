"""The parts ``database:NAME`` as the release engine moves them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lastgood.database.migration import NOTHING, History, plain_version
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.execution import explain
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.runner import Outcome, down, up
from lastgood.effects.databases.session import Session, SqlFailure
from lastgood.errors import Failed, Unavailable, UsageError
from lastgood.release.observed import Fact
from lastgood.release.step import Step


class DatabaseDriver:
    """Observes a schema's version and moves it with ``migrate_up`` and ``migrate_down``.

    Facts, both stable: ``schema``, the newest version that is applied or half applied (``""`` for none), and
    ``applied``, all that are wholly applied, in their order; versions as ``plain_version`` writes them.
    ``args`` of a step: ``to`` (``""``: undo all), ``release`` (a number), ``accept_loss``.
    ``open_session`` is called for each operation, so that a password is read anew; ``history`` gets the step and gives
    the scripts of its release. The way down needs none: the database has them.
    """

    def __init__(
        self,
        name: str,
        open_session: Callable[[], Session],
        history: Callable[[Step], History | None],
        keeps: Callable[[Step], bool] = lambda step: False,
        proven: Callable[[Step], Mapping[str, str]] = lambda step: {},
    ) -> None:
        """``keeps``: whether what a step's scripts drop is kept; ``proven``: what was proven of them, by version."""
        self._keeps, self._proven = keeps, proven
        self._part = f"database:{name}"
        self._open = open_session
        self._history = history

    async def observe(self) -> Sequence[Fact]:
        """The version of the schema; ``Unavailable`` when the database does not answer."""
        return await asyncio.to_thread(self._observe)

    def _observe(self) -> Sequence[Fact]:
        session = self._open()
        try:
            found = [(plain_version(version), state) for version, state in Books(session).versions()]
        except SqlFailure as failure:
            known = explain(failure, session.place)
            raise Unavailable(known.what, where=known.where, next=known.next) from None
        finally:
            session.close()
        return (
            Fact(self._part, "schema", found[-1][0] if found else ""),
            Fact(self._part, "applied", [version for version, state in found if state == "applied"]),
        )

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """Bring the schema to ``args["to"]``. The same again finds nothing to do, or goes on where a kill stopped it.

        A cancelled call interrupts the running statement and waits for its rollback. Raises ``Failed`` when the schema
        came back as something else than it was.
        """
        session = await asyncio.to_thread(self._open)
        work = asyncio.ensure_future(asyncio.to_thread(self._move, session, step))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            session.cancel()
            await asyncio.wait([work])
            raise
        finally:
            session.close()

    def _move(self, session: Session, step: Step) -> Mapping[str, Any]:
        to = str(step.args.get("to") or NOTHING)
        release = f"r{step.args['release']}" if "release" in step.args else None
        consent = Consent(loss=bool(step.args.get("accept_loss")), keep=self._keeps(step), use="stored")
        if step.verb == "migrate_up":
            history = self._history(step)
            if history is None:
                raise Failed(f"the scripts of {self._part} are not in the release", next="deploy its revision again")
            return _told(up(session, history, to=to, consent=consent, release=release, proven=self._proven(step)))
        if step.verb != "migrate_down":
            raise UsageError(f"a database cannot {step.verb}")
        outcome = down(session, None, to=to, consent=consent, release=release)
        if not outcome.came_back and outcome.comparison is not None:
            raise Failed(
                f"the schema went down to {to}, but is not what it was before: {outcome.comparison.names()}",
                where=session.place,
                next="mend it by hand; lastgood db verify shows what differs",
            )
        return _told(outcome)


OpenNamed = Callable[[str, Step | None], Session]
"""Opens the database of a name: the one that a step's release means, or (None) the one in use."""


class DatabasesDriver:
    """Moves every ``database:NAME`` by a :class:`DatabaseDriver` of its own.

    ``names`` gives the databases in use. A look ends after ``patience_s``: a database that does not answer is unknown,
    and holds up no way back.
    """

    def __init__(
        self,
        names: Callable[[], Sequence[str]],
        open_named: OpenNamed,
        history: Callable[[Step], History | None],
        keeps: Callable[[Step], bool] = lambda step: False,
        proven: Callable[[Step], Mapping[str, str]] = lambda step: {},
        *,
        patience_s: float = 1.0,
    ) -> None:
        self._names, self._open, self._history, self._patience_s = names, open_named, history, patience_s
        self._keeps, self._proven = keeps, proven

    async def observe(self) -> Sequence[Fact]:
        """The versions of all schemas; ``Unavailable`` when one of them does not answer in time."""
        looks = [self._of(name, None).observe() for name in self._names()]
        try:
            async with asyncio.timeout(self._patience_s):
                return [fact for facts in await asyncio.gather(*looks) for fact in facts]
        except TimeoutError:
            what = f"a database did not answer within {self._patience_s:g} s"
            raise Unavailable(what, next="lastgood db status NAME") from None

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """See :meth:`DatabaseDriver.perform`."""
        return await self._of(step.part.partition(":")[2], step).perform(step, key)

    def _of(self, name: str, step: Step | None) -> DatabaseDriver:
        return DatabaseDriver(name, lambda: self._open(name, step), self._history, self._keeps, self._proven)


def _told(outcome: Outcome) -> Mapping[str, Any]:
    return {
        "before": outcome.before,
        "after": outcome.after,
        "moved": [f"{move.direction} {move.migration.label}" for move in outcome.done],
        "resumed": outcome.resumed,
        "likeness": outcome.comparison.likeness if outcome.comparison else None,
    }
