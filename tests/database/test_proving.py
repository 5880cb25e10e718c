"""The rehearsal: what comes back, what does not, and that the live database is never touched."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lastgood.database.migration import History
from lastgood.effects.databases.folder import read_folder
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.proving import prove_history, prove_pending
from lastgood.effects.databases.runner import down, up
from lastgood.effects.databases.session import Session
from lastgood.effects.databases.sqlite import SqliteSession
from lastgood.errors import Refused

Make = Callable[[dict[str, str]], History]


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[SqliteSession]:
    session = SqliteSession(tmp_path / "p.db", create=True)
    yield session
    session.close()


@pytest.fixture
def pg(postgresql_url: str) -> Iterator[PostgresqlSession]:
    session = PostgresqlSession(postgresql_url)
    yield session
    session.close()


def write(folder: Path, session: Session, files: dict[str, str]) -> History:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)
    return read_folder(folder, session.dialect)


FIRST = {"1_a.up.sql": "CREATE TABLE a (id integer PRIMARY KEY, x text);", "1_a.down.sql": "DROP TABLE a;"}
CASES = [
    ("ALTER TABLE a ADD y text", "ALTER TABLE a DROP COLUMN y", "exact", ""),
    (
        "ALTER TABLE a DROP COLUMN x; ALTER TABLE a ADD y text",
        "ALTER TABLE a DROP COLUMN y",
        "broken",
        "a.x is missing",
    ),
    ("CREATE INDEX i ON a (x)", "SELECT 1", "broken", "does nothing"),
    ("CREATE INDEX i ON a (x)", "-- lastgood:irreversible why not", "irreversible", "why not"),
    ("CREATE TABLE b (z text)", "DROP TABLE c", "broken", "the way back fails"),
    ("CREATE TABLE a (z text)", "DROP TABLE a", "broken", "the way up fails"),
    ("DELETE FROM a WHERE x = '1'", "-- lastgood:empty rows may go", "lossy(1 rows)", "1 rows of"),
    ("UPDATE a SET x = 'z'", "UPDATE a SET x = 'q'", "lossy(2 rows)", "2 rows of"),
    ("ALTER TABLE a RENAME COLUMN x TO y", "ALTER TABLE a RENAME COLUMN y TO x", "exact", ""),
]


@pytest.mark.parametrize("kind", ["lite", "pg"])
@pytest.mark.parametrize(("way_up", "way_back", "verdict", "reason"), CASES)
def test_verdicts_with_the_live_rows(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, way_up: str, way_back: str, verdict: str, reason: str
) -> None:
    session: Session = request.getfixturevalue(kind)
    files = {**FIRST, "2_b.up.sql": way_up, "2_b.down.sql": way_back}
    history = write(tmp_path / "m", session, files)
    up(session, history, to="1")
    session.query("INSERT INTO a (id, x) VALUES (1, '1'), (2, '2')")
    before = session.fingerprint()
    proof = prove_pending(session, history)
    assert proof is not None
    assert (proof.title, proof.versions) == (verdict, ("2",))
    assert any(reason in line for line in proof.reasons) or not reason, proof.reasons
    assert session.fingerprint() == before
    assert session.query("SELECT x FROM a ORDER BY 1") == [("1",), ("2",)]


def test_the_order_of_columns_is_cosmetic(pg: PostgresqlSession, lite: SqliteSession, tmp_path: Path) -> None:
    for session in (lite, pg):
        history = write(
            tmp_path / "m",
            session,
            {
                "1_a.up.sql": "CREATE TABLE a (x text, y text)",
                "1_a.down.sql": "DROP TABLE a",
                "2_b.up.sql": "ALTER TABLE a DROP COLUMN x",
                "2_b.down.sql": "ALTER TABLE a ADD x text",
            },
        )
        up(session, history, to="1")
        proof = prove_pending(session, history)
        assert proof is not None
        assert proof.verdict == "cosmetic"
        assert any("place of column" in reason for reason in proof.reasons)
        session.query("INSERT INTO a (x) VALUES ('kept?')")
        proof = prove_pending(session, history)
        assert proof is not None
        assert proof.title == "lossy(1 rows)"


@pytest.mark.parametrize(
    ("way_up", "verdict"),
    [
        ("ALTER TABLE a DROP CONSTRAINT IF EXISTS first, DROP CONSTRAINT IF EXISTS a_x_check", "cosmetic"),
        ("ALTER TABLE a DROP CONSTRAINT first", "broken"),
    ],
)
def test_the_name_of_a_constraint_is_cosmetic_unless_the_way_up_needs_it(
    pg: PostgresqlSession, tmp_path: Path, way_up: str, verdict: str
) -> None:
    history = write(
        tmp_path / "m",
        pg,
        {
            "1_a.up.sql": "CREATE TABLE a (x int CONSTRAINT first CHECK (x > 0))",
            "1_a.down.sql": "DROP TABLE a",
            "2_b.up.sql": way_up,
            "2_b.down.sql": "ALTER TABLE a ADD CHECK (x > 0)",
        },
    )
    up(pg, history, to="1")
    proof = prove_pending(pg, history)
    assert proof is not None
    assert proof.verdict == verdict


def test_a_proof_is_per_release_and_pinned_to_the_scripts(lite: SqliteSession, tmp_path: Path) -> None:
    files = {
        "1_a.up.sql": "CREATE TABLE a (x)",
        "1_a.down.sql": "-- lastgood:empty the next one drops it",
        "2_b.up.sql": "CREATE TABLE b (x)",
        "2_b.down.sql": "DROP TABLE b; DROP TABLE a",
    }
    history = write(tmp_path / "m", lite, files)
    assert [proof.verdict for proof in prove_history(lite, history)] == ["broken", "broken"]
    (together,) = prove_history(lite, history, [["1", "2"]])
    assert together.verdict == "exact"
    edited = write(tmp_path / "m", lite, {**files, "2_b.down.sql": "DROP TABLE b; DROP TABLE a; -- x"})
    assert prove_history(lite, edited, [["1", "2"]])[0].digest != together.digest


@pytest.mark.parametrize("kind", ["lite", "pg"])
def test_a_whole_history_goes_on_after_what_is_broken(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    session: Session = request.getfixturevalue(kind)
    history = write(
        tmp_path / "m",
        session,
        {
            **FIRST,
            "2_b.up.sql": "CREATE TABLE b (id integer PRIMARY KEY, a integer NOT NULL REFERENCES a (id), ok boolean)",
            "2_b.down.sql": "DROP TABLE nothing",
            "3_c.up.sql": "ALTER TABLE b ADD c text; CREATE INDEX i ON b (c)",
            "3_c.down.sql": "DROP INDEX i; ALTER TABLE b DROP COLUMN c",
            "4_d.up.sql": "DELETE FROM b",
            "4_d.down.sql": "-- lastgood:empty really",
        },
    )
    proofs = prove_history(session, history)
    assert [proof.verdict for proof in proofs] == ["exact", "broken", "exact", "lossy"]


@pytest.mark.parametrize("kind", ["lite", "pg"])
def test_what_refuses_generated_rows_is_proven_without_them(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    session: Session = request.getfixturevalue(kind)
    files = {
        **FIRST,
        "2_b.up.sql": "CREATE TABLE b (x integer CHECK (x IS NULL)); INSERT INTO b SELECT id FROM a",
        "2_b.down.sql": "DROP TABLE b",
        "3_c.up.sql": "ALTER TABLE a ADD c text",
        "3_c.down.sql": "ALTER TABLE a DROP COLUMN c",
        "4_d.up.sql": "DELETE FROM a",
        "4_d.down.sql": "-- lastgood:empty really",
    }
    proofs = prove_history(session, write(tmp_path / "m", session, files))
    assert [proof.verdict for proof in proofs] == ["exact", "exact", "exact", "lossy"], "rows are back for the rest"


def test_a_schema_changed_by_hand_is_no_base_for_a_proof(pg: PostgresqlSession, tmp_path: Path) -> None:
    history = write(
        tmp_path / "m", pg, {**FIRST, "2_b.up.sql": "CREATE TABLE b (x int)", "2_b.down.sql": "DROP TABLE b"}
    )
    up(pg, history, to="1")
    pg.query("CREATE TABLE mine (x int)")
    with pytest.raises(Refused, match=r"table public\.mine is missing"):
        prove_pending(pg, history)


def test_scratch_databases_are_gone_afterwards(pg: PostgresqlSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", pg, {**FIRST, "2_b.up.sql": "broken", "2_b.down.sql": "DROP TABLE b"})
    prove_history(pg, history)
    assert pg.query("SELECT datname FROM pg_database WHERE datname LIKE 'lastgood%'") == []


def test_going_up_again_must_give_the_same_schema(pg: PostgresqlSession, tmp_path: Path) -> None:
    way_up = (
        "DO $$ BEGIN IF EXISTS (SELECT 1 FROM a) THEN CREATE TABLE p (); ELSE CREATE TABLE q (); END IF; END $$;"
        "DELETE FROM a"
    )
    files = {**FIRST, "2_b.up.sql": way_up, "2_b.down.sql": "DROP TABLE IF EXISTS p, q"}
    history = write(tmp_path / "m", pg, files)
    up(pg, history, to="1")
    pg.query("INSERT INTO a (id) VALUES (1)")
    proof = prove_pending(pg, history)
    assert proof is not None
    assert proof.verdict == "broken"
    assert "after going up again, table public.p is missing" in proof.reasons


@pytest.mark.parametrize("kind", ["lite", "pg"])
def test_rows_that_an_update_moved_are_the_same_rows(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Of a large table not all rows are compared, but the same ones each time."""
    session: Session = request.getfixturevalue(kind)
    many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) SELECT i, 'x' FROM n"
    files = {
        "1_a.up.sql": f"CREATE TABLE a (id integer, x text); INSERT INTO a {many}",
        "1_a.down.sql": "DROP TABLE a",
        "2_y.up.sql": "ALTER TABLE a ADD y integer; UPDATE a SET y = 1 WHERE id % 2 = 0",
        "2_y.down.sql": "ALTER TABLE a DROP COLUMN y",
    }
    history = write(tmp_path / "m", session, files)
    up(session, history, to="1")
    proof = prove_pending(session, history)
    assert proof is not None
    assert (proof.verdict, proof.reasons) == ("exact", ())


FULL_TEXT = {
    "1_f.up.sql": "CREATE VIRTUAL TABLE words USING fts5 (body); CREATE TABLE a (x int)",
    "1_f.down.sql": "DROP TABLE a; DROP TABLE words",
    "2_y.up.sql": "ALTER TABLE a ADD y int",
    "2_y.down.sql": "ALTER TABLE a DROP COLUMN y",
}


def test_the_rows_of_a_virtual_table_are_those_that_it_shows(lite: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", lite, FULL_TEXT)
    up(lite, history, to="1")
    lite.execute("INSERT INTO words VALUES ('hello world')")
    proof = prove_pending(lite, history)
    assert proof is not None
    assert (proof.verdict, proof.reasons) == ("exact", ()), "what it hides has another value each time it is read"
    assert [found.verdict for found in prove_history(lite, history)] == ["exact", "exact"]
    with pytest.raises(Refused) as refused:
        down(lite, history, to="0")
    assert "would lose 1 rows of words; nothing" in refused.value.what, "and not the tables that it is made of"
    assert down(lite, history, to="0", consent=Consent(keep=True)).came_back
    up(lite, history, to="1")
    assert lite.query("SELECT body FROM words WHERE words MATCH 'world'") == [("hello world",)]


ALONE = {
    "1_t.up.sql": "CREATE TABLE t (a int, b int); CREATE TYPE mood AS ENUM ('sad')",
    "1_t.down.sql": "DROP TABLE t; DROP TYPE mood",
    "2_i.up.sql": "ALTER TABLE t ADD c int; CREATE INDEX CONCURRENTLY i ON t (b); VACUUM t; ANALYZE t",
    "2_i.down.sql": "DROP INDEX CONCURRENTLY i; ALTER TABLE t DROP c",
    "3_r.up.sql": "REINDEX INDEX CONCURRENTLY i; CREATE UNIQUE INDEX CONCURRENTLY u ON t (a)",
    "3_r.down.sql": "DROP INDEX CONCURRENTLY u",
    "4_m.up.sql": "ALTER TYPE mood ADD VALUE 'glad'; CREATE TABLE m (x mood DEFAULT 'glad')",
    "4_m.down.sql": "DROP TABLE m; ALTER TYPE mood RENAME TO old; CREATE TYPE mood AS ENUM ('sad'); DROP TYPE old",
}


def test_scripts_that_no_transaction_can_hold_are_proven_on_postgresql(pg: PostgresqlSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", pg, ALONE)
    assert [migration.up.transactional for migration in history.migrations] == [True, False, False, False]
    up(pg, history, to="1")
    pg.query("INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 50) i")
    whole = prove_pending(pg, history)
    assert whole is not None
    assert (whole.verdict, whole.versions, whole.reasons) == ("exact", ("2", "3", "4"), ())
    assert [proof.verdict for proof in prove_history(pg, history)] == ["exact"] * 4
    up(pg, history)  # and with them applied, the copy is built by the same scripts
    later = {**ALONE, "5_d.up.sql": "DROP INDEX CONCURRENTLY u", "5_d.down.sql": "CREATE INDEX CONCURRENTLY u ON t (a)"}
    proof = prove_pending(pg, write(tmp_path / "m", pg, later))
    assert proof is not None
    assert proof.verdict == "broken", "the index was unique"
    assert any("index public.t.u changed" in reason or "u changed from" in reason for reason in proof.reasons)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"2_i.down.sql": "DROP INDEX CONCURRENTLY nothing"}, "the way back fails"),
        ({"2_i.down.sql": "DROP INDEX CONCURRENTLY i"}, "column public.t.c is left over"),
        ({"2_i.up.sql": "ALTER TABLE t ADD c int; CREATE UNIQUE INDEX CONCURRENTLY i ON t (b)"}, "the way up fails"),
    ],
)
def test_of_a_script_without_a_transaction_the_fault_is_found_with_its_place(
    pg: PostgresqlSession, tmp_path: Path, files: dict[str, str], reason: str
) -> None:
    two = {name: sql for name, sql in ALONE.items() if name < "3"}
    up(pg, write(tmp_path / "m", pg, two), to="1")
    pg.query("INSERT INTO t VALUES (1, 1), (2, 1)")
    proof = prove_pending(pg, write(tmp_path / "m", pg, {**two, **files}))
    assert proof is not None
    assert proof.verdict == "broken"
    assert any(reason in said for said in proof.reasons), proof.reasons
    assert "c" not in {column.name for column in pg.columns()}
    assert pg.query("SELECT datname FROM pg_database WHERE datname LIKE 'lastgood%'") == []
