"""The password in a database's URL: a wrong one is said to be wrong, and none is ever shown."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from tests.database.test_cli import BASE, Shell
from tests.support.postgresql import PASSWORD

from lastgood.effects.databases.opening import open_session
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.errors import Failed, LastgoodError, Unavailable

WRONG = "falsch-Wort-1379"
VERBS = (("status",), ("up",), ("down", "--to", "0"), ("plan",), ("prove",), ("verify",), ("history",), ("repair",))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "m").mkdir()
    for name, text in BASE.items():
        (tmp_path / "m" / name).write_text(text)
    return Shell(tmp_path)


def test_a_wrong_password_is_said_to_be_wrong_by_every_command(shell: Shell, guarded_url: str) -> None:
    shell.environment["MAIN_URL"] = guarded_url.replace("PASS", WRONG)
    for verb in VERBS:
        folder = () if verb[0] in ("verify", "history", "repair") else ("--migrations", "m")
        for words in (
            (*verb, "--url", "env:MAIN_URL", *folder),
            (*verb, "--url", shell.environment["MAIN_URL"], *folder),
        ):
            for form in ((), ("--json",)):
                said = shell(*words, *form, code=Unavailable.exit_code)
                assert "password authentication failed for user" in said, words
                assert "check server, role and password" in said
                assert WRONG not in said
    assert "guarded_" in guarded_url
    assert not [path for path in shell.folder.rglob("*") if path.is_file() and WRONG.encode() in path.read_bytes()]


def test_the_right_password_is_not_shown_either(shell: Shell, guarded_url: str) -> None:
    url = guarded_url.replace("PASS", PASSWORD)
    said = shell("up", "--url", url, "--migrations", "m") + shell("status", "--url", url, "--migrations", "m", "--json")
    (shell.folder / "m/3_c.up.sql").write_text("CREATE TABLE pg_catalog.c (x int)")
    (shell.folder / "m/3_c.down.sql").write_text("DROP TABLE pg_catalog.c")
    said += shell("up", "--url", url, "--migrations", "m", code=7)
    assert "permission denied" in said
    assert PASSWORD not in said
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT t::text FROM lastgood.log t UNION ALL SELECT t::text FROM lastgood.migrations t"
        )
        assert not [row for row in rows if PASSWORD in row[0]]


def test_a_role_without_rights_is_told_so_by_every_command(shell: Shell, guarded_url: str, postgresql_url: str) -> None:
    shell("up", "--url", postgresql_url, "--migrations", "m", "--to", "1")
    url = guarded_url.replace("PASS", PASSWORD)
    role = url.partition("://")[2].partition(":")[0]
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"REVOKE postgres FROM {role}".encode())
    for verb in (*VERBS, ("finalize", "--yes"), ("adopt",)):
        folder = () if verb[0] in ("verify", "history", "repair", "finalize") else ("--migrations", "m")
        assert "permission denied" in shell(*verb, "--url", url, *folder, code=Unavailable.exit_code), verb


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:gehe@im@127.0.0.1:1/x",
        "postgresql://u:ge/he@im@127.0.0.1:1/x",
        "postgresql://u:ge?he@im@127.0.0.1:1/x",
        "postgresql://u:xy/im@127.0.0.1:1/x",
        "postgresql://u:[im@127.0.0.1:1/x",
        "postgresql://u:50%im@127.0.0.1:1/x",
        "postgresql://u:#im@127.0.0.1:1/x",
        "postgresql:u:im@127.0.0.1:1/x",
        "u:im@127.0.0.1:1/x",
    ],
)
def test_a_password_that_is_not_escaped_is_shown_in_no_part(url: str) -> None:
    with pytest.raises(LastgoodError) as caught:
        open_session(url)
    assert "im" not in str(caught.value).replace("time", "")
    assert caught.value.next


def test_what_is_escaped_is_a_password_and_what_stands_in_the_options_is_none(postgresql_url: str) -> None:
    with pytest.raises(Unavailable, match="Connection refused"):
        open_session("postgresql://u:g%40h%2Fe@127.0.0.1:1/x?application_name=a@b")
    with pytest.raises(Failed, match="cannot be read"):
        open_session("postgresql://u:p@127.0.0.1:1/x?nothing=a")
    opened = PostgresqlSession(postgresql_url + "&application_name=a@b")
    with opened.scratch(with_rows=False, empty=True) as copy:
        with psycopg.connect(copy.url) as connection:
            row = connection.execute("SELECT current_database()").fetchone()
        assert row is not None
        assert row[0].startswith("lastgood_scratch_")
    opened.close()
