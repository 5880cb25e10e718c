"""Where a database stands beside a checkout, and what has to run to get somewhere else. Refuses; never guesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lastgood.database.migration import NOTHING, History, Migration, Script, VersionKey, version_key
from lastgood.errors import Refused

State = Literal["applied", "applying", "reverting"]
Shown = Literal["applied", "pending", "ahead", "edited", "half applied", "half reverted"]


@dataclass(frozen=True)
class Applied:
    """A migration as the database itself remembers it: with its scripts, so that any build can go back.

    ``seq`` is the order of applying. ``before`` and ``after`` are digests of the schema's images, where one was taken.
    """

    seq: int
    migration: Migration
    state: State = "applied"
    before: str | None = None
    after: str | None = None
    release: str | None = None
    adopted_from: str | None = None

    @property
    def version(self) -> str:
        """The version as it was written when it was applied."""
        return self.migration.version


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``db status``."""

    version: str
    name: str
    state: Shown
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """One migration to run in one direction. ``seq`` is set for what the database knows already."""

    direction: Literal["up", "down"]
    migration: Migration

    @property
    def script(self) -> Script:
        """What runs; nothing where a migration that did nothing has no down."""
        if self.direction == "up":
            return self.migration.up
        return self.migration.down or Script("", (), self.migration.up.source)


def edits(applied: Applied, history: History | None) -> str | None:
    """What was changed in the files of an applied migration since, or None."""
    now = history.find(applied.version) if history else None
    if now is None:
        return None
    then = applied.migration
    if now.up.digest != then.up.digest:
        return f"{now.up.source} was edited after it was applied"
    if (now.down.digest if now.down else None) != (then.down.digest if then.down else None):
        what = "removed" if now.down is None else "added" if then.down is None else "edited"
        source = now.down.source if now.down else then.down.source if then.down else now.up.source
        return f"the down script of {then.label} was {what} after it was applied ({source})"
    return None


def entries(history: History | None, applied: Sequence[Applied]) -> tuple[Entry, ...]:
    """Every migration that the checkout or the database knows, applied ones first in the order of applying."""
    found = []
    for row in applied:
        detail = edits(row, history)
        state: Shown = "edited" if detail else "applied"
        if history is not None and history.find(row.version) is None:
            state, detail = "ahead", "not in this checkout; its scripts are stored in the database"
        if row.state != "applied":
            state = "half applied" if row.state == "applying" else "half reverted"
        found.append(Entry(row.version, row.migration.name, state, detail or ""))
    known = {version_key(row.version) for row in applied}
    pending = [m for m in (history.migrations if history else ()) if version_key(m.version) not in known]
    return (*found, *(Entry(m.version, m.name, "pending", m.no_way_back or "") for m in pending))


def plan_up(
    history: History, applied: Sequence[Applied], to: str | None = None, *, out_of_order: bool = False
) -> tuple[Move, ...]:
    """What ``up`` has to run. Raises ``Refused`` for edited files, an unknown version, what would come out of order."""
    _refuse_edited(applied, history)
    done = {version_key(row.version) for row in applied}
    wanted = list(history.migrations)
    if to is not None:
        target = history.find(to)
        if target is None:
            raise Refused(f"no migration has the version {to}", next=f"the newest one is {history.newest}")
        wanted = wanted[: wanted.index(target) + 1]
    pending = [migration for migration in wanted if version_key(migration.version) not in done]
    keyed = [(version_key(row.version), row) for row in applied]
    for migration in pending if keyed and not out_of_order else ():
        later = _applied_after(version_key(migration.version), history.places, keyed)
        if later is not None:
            raise Refused(
                f"{migration.label} is not applied, but {later.migration.label} which comes after it is",
                where=migration.up.source,
                next="give it a new version after the applied ones, or say --out-of-order if the order does not matter",
            )
    return tuple(Move("up", migration) for migration in pending)


def _applied_after(
    mine: VersionKey, place: Mapping[VersionKey, int], applied: Sequence[tuple[VersionKey, Applied]]
) -> Applied | None:
    for key, row in applied:
        if key in place and place[key] > place[mine]:
            return row
        if key not in place and key[0] == mine[0] == 0 and key > mine:
            return row
    return None


def plan_down(
    history: History | None, applied: Sequence[Applied], to: str, *, use: Literal["stored", "checkout"] | None = None
) -> tuple[Move, ...]:
    """What ``down --to`` has to run, newest first, by the scripts that the database stored when it went up.

    ``use`` settles which script counts where the checkout has another one. Raises ``Refused`` for edited files, and
    for a migration with no way back: absent, empty or no-op down scripts are never stepped over.
    """
    rows = sorted(applied, key=lambda row: row.seq)
    if version_key(to) == version_key(NOTHING):
        reverted = rows
    else:
        places = [i for i, row in enumerate(rows) if version_key(row.version) == version_key(to)]
        if not places:
            known = f"the newest applied one is {rows[-1].version}" if rows else "none is applied"
            raise Refused(f"the migration {to} is not applied", next=f"{known}; 0 means to undo all")
        reverted = rows[places[0] + 1 :]
    if use is None:
        _refuse_edited(reverted, history)
    moves = []
    for row in reversed(reverted):
        now = history.find(row.version) if history and use == "checkout" else None
        migration = now or row.migration
        if migration.no_way_back:
            raise Refused(
                f"{migration.label} cannot be undone: {migration.no_way_back}",
                where=migration.up.source,
                next="write its down script and say --use checkout, or go back no further than "
                f"--to {row.version}; nothing was changed",
            )
        moves.append(Move("down", migration))
    return tuple(moves)


def _refuse_edited(applied: Sequence[Applied], history: History | None) -> None:
    for row in applied:
        if what := edits(row, history):
            raise Refused(
                what,
                next="restore the file as it was applied and put the change into a new migration; "
                "on the way down, --use stored runs what was applied and --use checkout what the file says now",
            )
