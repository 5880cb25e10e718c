"""What is lost is found although tables that were empty are not looked at twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from lastgood.database.migration import History
from lastgood.database.reader import read_history
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.runner import down, status, up
from lastgood.effects.databases.session import Session
from lastgood.errors import Failed, Refused


def history(session: Session, **scripts: str) -> History:
    """``n1_a__up`` is the script of ``1_a.up.sql``."""
    files = {f"{name[1:].replace('__', '.')}.sql": sql.encode() for name, sql in scripts.items()}
    return read_history(files, session.dialect)


def test_names_of_every_kind_are_counted(session: Session) -> None:
    session.execute('CREATE TABLE "my table" (x int)')
    session.execute("CREATE TABLE lower (x int)")
    session.execute("INSERT INTO lower VALUES (1)")
    found = session.counts(["my table", "LOWER", "none"])
    assert {asked: rows for asked, (_, rows) in found.items()} == {"my table": 0, "LOWER": 1}
    assert {name for name, _ in found.values()} <= {column.table for column in session.columns()}
    assert session.counts([]) == {}


def test_a_full_table_between_empty_ones_is_refused_with_all_of_them(session: Session) -> None:
    made = history(session,
        n1_a__up="CREATE TABLE a (x int)", n1_a__down="DROP TABLE a",
        n2_b__up="CREATE TABLE b (x int)", n2_b__down="DROP TABLE b",
        n3_c__up="CREATE TABLE c (x int)", n3_c__down="DROP TABLE c",
    )  # fmt: skip
    up(session, made)
    session.execute("INSERT INTO b VALUES (1), (2)")
    with pytest.raises(Refused, match=r"would lose 2 rows of (public\.)?b; nothing was changed"):
        down(session, made, to="0")
    assert status(session, made).version == "3"
    session.execute("DELETE FROM b")
    assert down(session, made, to="0").came_back
    assert not [column for column in session.columns() if column.table.rpartition(".")[2] in "abc"]


def test_a_table_that_takes_the_name_of_an_empty_one_is_not_taken_for_it(session: Session) -> None:
    made = history(
        session,
        n1_a__up="CREATE TABLE a (x int); CREATE TABLE b (x int); INSERT INTO b VALUES (1)",
        n1_a__down="DROP TABLE a; ALTER TABLE b RENAME TO a; DROP TABLE a",
    )
    up(session, made)
    with pytest.raises(Refused, match=r"would lose 1 rows of (public\.)?b"):
        down(session, made, to="0")


@pytest.fixture
def server(postgresql_url: str) -> Iterator[PostgresqlSession]:
    opened = PostgresqlSession(postgresql_url)
    yield opened
    opened.close()


def test_an_empty_table_of_that_name_in_another_schema_hides_no_rows(server: PostgresqlSession) -> None:
    for sql in ("CREATE TABLE t (x int)", "CREATE SCHEMA s", "CREATE TABLE s.t (x int)", "INSERT INTO s.t VALUES (1)"):
        server.execute(sql)
    made = history(server, n1_a__up="SELECT 1", n1_a__down="SET search_path = s; DROP TABLE t")
    up(server, made)
    with pytest.raises(Refused, match=r"would lose 1 rows of s\.t"):
        down(server, made, to="0")


def test_what_fails_only_at_the_commit_leaves_nothing_and_the_next_run_starts_clean(
    server: PostgresqlSession, postgresql_url: str
) -> None:
    made = history(
        server,
        n1_a__up="CREATE TABLE a (x int PRIMARY KEY, y int REFERENCES a (x) DEFERRABLE INITIALLY DEFERRED)",
        n1_a__down="DROP TABLE a",
        n2_b__up="SET search_path = pg_catalog; SET statement_timeout = 7; INSERT INTO public.a VALUES (1, 2)",
        n2_b__down="DELETE FROM a",
    )
    with pytest.raises(Failed, match="violates foreign key"):
        up(server, made)
    assert [(entry.version, entry.state) for entry in status(server, made).entries] == [
        ("1", "applied"),
        ("2", "pending"),
    ]
    with psycopg.connect(postgresql_url) as other:
        row = other.execute("SELECT count(*) FROM a").fetchone()
    assert row == (0,)
    assert server.query("SELECT current_setting('search_path'), current_setting('statement_timeout')") == [
        ('"$user", public', "15min")
    ]


def test_what_a_trigger_sets_at_the_commit_is_gone_for_the_next_script(server: PostgresqlSession) -> None:
    made = history(
        server,
        n1_a__up="CREATE SCHEMA s; CREATE TABLE a (x int);"
        " CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM set_config('search_path', 's', false); RETURN NULL; END$$;"
        " CREATE CONSTRAINT TRIGGER c AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION f(); INSERT INTO a VALUES (1)",
        n1_a__down="SELECT 1",
        n2_b__up="CREATE TABLE b (x int)",
        n2_b__down="DROP TABLE b",
    )
    up(server, made)
    assert {column.table for column in server.columns()} == {"public.a", "public.b"}


def test_a_name_without_a_schema_is_the_table_that_a_script_would_mean(server: PostgresqlSession) -> None:
    for sql in ("CREATE TABLE t (x int)", "CREATE SCHEMA a", "CREATE TABLE a.t (x int)", "INSERT INTO a.t VALUES (1)"):
        server.execute(sql)
    assert server.counts(["t", "a.t"]) == {"t": ("public.t", 0), "a.t": ("a.t", 1)}
    assert (server.count("t"), server.count("a.t"), server.count("none")) == (0, 1, 0)


def test_what_one_script_sets_does_not_reach_the_next_of_its_transaction(server: PostgresqlSession) -> None:
    made = history(
        server,
        n1_a__up="CREATE TABLE a (x int)",
        n1_a__down="DROP TABLE a",
        n2_s__up="CREATE SCHEMA s",
        n2_s__down="SET search_path = s; DROP SCHEMA s",
    )
    up(server, made)
    assert down(server, made, to="0").came_back


def test_a_script_may_drop_more_tables_than_a_query_has_columns(server: PostgresqlSession) -> None:
    server.execute("CREATE TABLE abcdefghijk (x int)")
    server.execute("INSERT INTO abcdefghijk VALUES (1)")
    names = ["".join(letters) for letters in itertools.product(*zip("abcdefghijk", "ABCDEFGHIJK", strict=True))]
    assert server.counts(names) == dict.fromkeys(names, ("public.abcdefghijk", 1))
