"""Alembic environments, rendered as pairs of SQL."""

from pathlib import Path

import pytest

from lastgood.effects.databases.folder import read_folder
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.proving import prove_history
from lastgood.effects.databases.runner import down, up
from lastgood.effects.databases.sqlite import SqliteSession
from lastgood.errors import ConfigError, Unavailable

HEAD = '''"""{doc}"""
import sqlalchemy as sa
from alembic import op, context

revision = {revision!r}
down_revision = {down!r}
'''
FIRST = """
def upgrade():
    op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
    op.bulk_insert(sa.table("users", sa.column("name", sa.String)), [{"name": "it's; me"}])


def downgrade():
    op.drop_table("users")
"""
SECOND = """
def upgrade():
    with op.batch_alter_table("users") as batch:
        batch.add_column(sa.Column("email", sa.String))
    op.create_index("by_email", "users", ["email"])


def downgrade():
    op.drop_index("by_email")
    op.drop_column("users", "email")
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text("raise SystemExit('env.py must not be run')")
    revision(tmp_path, "aa11", None, FIRST, "make users")
    revision(tmp_path, "bb22", "aa11", SECOND, "add mail")
    return tmp_path


def revision(folder: Path, name: str, before: object, body: str, doc: str = "x") -> None:
    (folder / "versions" / f"{name}.py").write_text(HEAD.format(doc=doc, revision=name, down=before) + body)


def test_revisions_become_migrations_oldest_first(environment: Path) -> None:
    history = read_folder(environment, "sqlite")
    assert [m.label for m in history.migrations] == ["aa11 make_users", "bb22 add_mail"]
    assert all(proof.verdict == "exact" for proof in _proofs(history, environment))


def _proofs(history: object, folder: Path) -> tuple:  # type: ignore[type-arg]
    session = SqliteSession(folder / "t.db", create=True)
    try:
        return prove_history(session, history)  # type: ignore[arg-type]
    finally:
        session.close()


def test_an_environment_is_run_and_undone_on_postgresql(environment: Path, postgresql_url: str) -> None:
    session = PostgresqlSession(postgresql_url)
    history = read_folder(environment, "postgresql")
    assert up(session, history, to="aa11").after == "aa11"
    assert session.query("SELECT name FROM users") == [("it's; me",)]
    assert up(session, history).after == "bb22"
    assert down(session, None, to="aa11").came_back
    session.close()


def test_pass_is_a_down_that_does_nothing_and_raise_is_irreversible(environment: Path) -> None:
    revision(
        environment, "cc33", "bb22", "def upgrade():\n    op.execute('DROP TABLE users')\ndef downgrade():\n    pass\n"
    )
    revision(
        environment,
        "dd44",
        "cc33",
        "def upgrade():\n    op.execute('DROP TABLE x')\ndef downgrade():\n"
        "    raise NotImplementedError('gone for good')\n",
    )
    history = read_folder(environment, "sqlite")
    assert "does nothing" in (history.migrations[2].no_way_back or "")
    assert history.migrations[3].irreversible == "gone for good"


def test_a_revision_that_goes_wrong_is_refused_by_name_and_line(environment: Path) -> None:
    revision(
        environment,
        "cc33",
        "bb22",
        "def upgrade():\n    op.get_bind().execute(sa.text('SELECT x FROM y')).all()\ndef downgrade():\n    pass\n",
    )
    with pytest.raises(ConfigError) as caught:
        read_folder(environment, "sqlite")
    (problem,) = caught.value.problems
    assert problem.file.endswith("cc33.py")
    assert problem.line == 8
    assert "cannot be written down as SQL" in problem.what


def test_branches_and_a_merge_come_in_an_order_that_works(environment: Path) -> None:
    body = "def upgrade():\n    op.execute('CREATE TABLE {0} (x int)')\n"
    body += "def downgrade():\n    op.execute('DROP TABLE {0}')\n"
    revision(environment, "c1", "bb22", body.format("c1"))
    revision(environment, "c2", "bb22", body.format("c2"))
    revision(environment, "m9", ("c1", "c2"), "def upgrade():\n    pass\ndef downgrade():\n    pass\n")
    history = read_folder(environment, "sqlite")
    names = [m.version for m in history.migrations]
    assert names[:2] == ["aa11", "bb22"]
    assert names[-1] == "m9"
    assert history.migrations[-1].no_way_back is None


def test_each_dialect_may_have_a_folder_of_its_own(environment: Path) -> None:
    for dialect in ("sqlite", "postgresql"):
        (environment / "versions" / dialect).mkdir()
    (environment / "versions" / "aa11.py").rename(environment / "versions" / "sqlite" / "aa11.py")
    (environment / "versions" / "bb22.py").unlink()
    assert [m.version for m in read_folder(environment, "sqlite").migrations] == ["aa11"]
    with pytest.raises(Unavailable, match="no revision was found"):
        read_folder(environment, "postgresql")


def test_what_cannot_be_imported_and_a_missing_parent_are_told(environment: Path) -> None:
    revision(environment, "cc33", "nowhere", FIRST)
    with pytest.raises(ConfigError, match="nowhere"):
        read_folder(environment, "sqlite")
    revision(environment, "cc33", "bb22", "import no_such_application\n" + FIRST)
    with pytest.raises(Unavailable, match="no_such_application"):
        read_folder(environment, "sqlite")
