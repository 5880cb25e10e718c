"""Managed mode with histories by chance: whatever way is gone, no row and no value of the application is lost."""

from __future__ import annotations

import random

import pytest
from tests.support.careful_author import Author, q

from lastgood.database.reader import read_history
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.runner import down, up
from lastgood.effects.databases.session import Session

KEEP = Consent(keep=True)
Rows = dict[tuple[str, int], dict[str, object]]


class Database:
    """A database that an application writes to between the migrations; what stood there at each version."""

    def __init__(self, session: Session, seed: int) -> None:
        self.session, self.author, self.files = session, Author(seed), {}
        self.columns: list[dict[str, list[str]]] = [{}]
        self.rows: list[Rows] = [{}]
        self.schemas = [session.fingerprint()]
        for number in range(1, self.author.chance.randint(3, 7) + 1):
            forward, back = self.author.migration()
            self.files |= {f"{number}_m.up.sql": forward.encode(), f"{number}_m.down.sql": back.encode()}
            self.up()
            for sql in self.author.rows():
                session.execute(sql)
            self.columns.append({t.name: ["id", *t.columns] for t in self.author.tables.values()})
            self.rows.append(self.read(number))
            self.schemas.append(session.fingerprint())

    def up(self) -> None:
        """Everything that is pending."""
        up(self.session, read_history(self.files, self.session.dialect), consent=KEEP)

    def read(self, version: int) -> Rows:
        """The rows that the application of a version sees."""
        found: Rows = {}
        for table, names in self.columns[version].items():
            listed = ", ".join(f"{q(table)}.{q(name)}" for name in names)
            for row in self.session.query(f"SELECT {listed} FROM {q(table)}"):
                found[table, int(row[0])] = dict(zip(names, row, strict=True))
        return found

    def holds(self, version: int) -> None:
        """The schema of a version, and every value that stood there; what was empty may have been filled."""
        assert self.session.fingerprint() == self.schemas[version], version
        now = self.read(version)
        for key, row in self.rows[version].items():
            assert key in now, (version, key)
            assert {n: now[key][n] for n, value in row.items() if value is not None} == {
                n: value for n, value in row.items() if value is not None
            }, (version, key)


def goes_there_and_back(session: Session, seed: int) -> None:
    database = Database(session, seed)
    ways = random.Random(seed)
    newest = len(database.rows) - 1
    for _ in range(2):
        to = ways.randint(0, newest - 1)
        for version in [to] if ways.random() < 0.5 else range(newest - 1, to - 1, -1):
            assert down(session, None, to=str(version), consent=KEEP).came_back
            database.holds(version)
        database.up()
        database.holds(newest)


@pytest.mark.parametrize("seed", range(12))
def test_no_value_is_lost_whatever_way_is_gone(session: Session, seed: int) -> None:
    goes_there_and_back(session, seed)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(100, 140))
def test_no_value_is_lost_in_many_more(session: Session, seed: int) -> None:
    goes_there_and_back(session, seed)
