"""The part ``database:NAME`` as the release engine moves it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lastgood.database.migration import NOTHING, History
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.execution import explain
from lastgood.effects.databases.runner import Consent, Outcome, down, up, version_of
from lastgood.effects.databases.session import Session, SqlFailure
from lastgood.errors import Failed, Unavailable, UsageError
from lastgood.release.observed import Fact
from lastgood.release.step import Step


class DatabaseDriver:
    """Observes a schema's version and moves it with ``migrate_up`` and ``migrate_down``.

    Facts, both stable: ``schema``, the newest applied version (``""`` for none), and ``applied``, all of them in the
    order of applying. ``args`` of a step: ``to`` (``""``: undo all), ``release`` (a number), ``accept_loss``.
    ``open_session`` is called for each operation, so that a password is read anew; ``history`` gets the step and gives
    the scripts of its release. The way down needs none: the database has them.
    """

    def __init__(
        self, name: str, open_session: Callable[[], Session], history: Callable[[Step], History | None]
    ) -> None:
        self._part = f"database:{name}"
        self._open = open_session
        self._history = history

    async def observe(self) -> Sequence[Fact]:
        """The version of the schema; ``Unavailable`` when the database does not answer."""
        return await asyncio.to_thread(self._observe)

    def _observe(self) -> Sequence[Fact]:
        session = self._open()
        try:
            applied = Books(session).applied()
        except SqlFailure as failure:
            known = explain(failure, session.place)
            raise Unavailable(known.what, where=known.where, next=known.next) from None
        finally:
            session.close()
        newest = version_of(applied)
        return (
            Fact(self._part, "schema", "" if newest == NOTHING else newest),
            Fact(self._part, "applied", [row.version for row in applied]),
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
        consent = Consent(loss=bool(step.args.get("accept_loss")), use="stored")
        if step.verb == "migrate_up":
            history = self._history(step)
            if history is None:
                raise Failed(f"the scripts of {self._part} are not in the release", next="deploy its revision again")
            return _told(up(session, history, to=to, consent=consent, release=release))
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


def _told(outcome: Outcome) -> Mapping[str, Any]:
    return {
        "before": outcome.before,
        "after": outcome.after,
        "moved": [f"{move.direction} {move.migration.label}" for move in outcome.done],
        "resumed": outcome.resumed,
        "likeness": outcome.comparison.likeness if outcome.comparison else None,
    }
