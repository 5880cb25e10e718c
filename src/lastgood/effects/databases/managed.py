"""The databases of a configuration: by the references that it names them with, as the operations ask of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from lastgood.database.migration import NOTHING, Dialect, History
from lastgood.database.proof import Proof
from lastgood.effects.databases.folder import read_committed
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.opening import dialect_of, empty_beside, located, open_session
from lastgood.effects.databases.proving import prove_pending
from lastgood.effects.databases.runner import preview, verify
from lastgood.effects.databases.session import Limits, Session
from lastgood.errors import Refused

TryOn = Callable[[Session], Sequence[str]]
"""Tries something on a scratch copy, and says what does not work there."""


def _nothing_wrong(copy: Session) -> Sequence[str]:
    return ()


def _nobody(urls: Collection[str]) -> TryOn:
    return _nothing_wrong


class ManagedDatabases:
    """Opens, reads and proves. A reference is a ``sqlite:`` URL or names a secret; it is read anew each time."""

    def __init__(
        self, resolve: Callable[[str], str], root: Path, try_previous: Callable[[Collection[str]], TryOn] = _nobody
    ) -> None:
        """``root``: the folder that relative paths of SQLite files begin at.

        ``try_previous`` gets the reference and the URL of a database, and gives what tries the live release on a copy.
        """
        self._resolve, self._root, self._try_previous = resolve, root, try_previous

    def url(self, reference: str) -> str:
        """The URL itself, password and all: for nobody to print."""
        return located(reference if reference.startswith("sqlite:") else self._resolve(reference), self._root)

    def dialect(self, reference: str) -> Dialect:
        """Which SQL it speaks; raises ``UsageError`` or what resolving raises."""
        return dialect_of(self.url(reference))

    def open(self, reference: str, limits: Limits | None = None) -> Session:
        """A session; ``Unavailable`` where there is no database. None is ever made: a typo would be an empty one."""
        return open_session(self.url(reference), limits)

    def read(self, reference: str, files: Mapping[str, bytes], place: str) -> History:
        """The history in the files of a commit; raises ``ConfigError`` with every problem."""
        url = self.url(reference)
        return read_committed(files, dialect_of(url), place, partial(empty_beside, url))

    def prove(self, reference: str, history: History, *, keep: bool = False, previous: bool = False) -> Proof | None:
        """The proof of what is pending, on a scratch copy; None: nothing is. Raises ``Unavailable``, ``Refused``.

        ``previous``: the live release's services are tried on the migrated copy too.
        """
        session = self.open(reference)
        try:
            try_on = self._try_previous({reference, self.url(reference)}) if previous else _nothing_wrong
            return prove_pending(session, history, keep=keep, try_on=try_on)
        finally:
            session.close()

    def losses(self, reference: str, to: str, *, keep: bool = False) -> tuple[str, ...]:
        """What going down to a version would lose, in words, with the rows that stand there now.

        Raises ``Refused`` where a migration has no way back or the schema was changed by hand, ``Unavailable``.
        """
        session = self.open(reference)
        try:
            found = preview(session, None, "down", to or NOTHING, Consent(use="stored", keep=keep))
            drift = verify(session)
            if drift is not None and drift.likeness == "different":
                raise Refused(
                    f"the schema was changed by hand: {drift.names()}",
                    where=session.place,
                    next="lastgood rollback without --with-schema leaves the schema alone; or undo that change",
                )
            return tuple(str(loss) for loss in found.rows)
        finally:
            session.close()
