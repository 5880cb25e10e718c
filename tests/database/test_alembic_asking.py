"""Revisions of Alembic that ask the database while they run: written down with what they were told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lastgood.database.migration import Dialect, History
from lastgood.effects.databases.folder import read_folder
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.opening import empty_beside, open_session
from lastgood.effects.databases.proving import prove_history
from lastgood.effects.databases.runner import down, up
from lastgood.effects.databases.session import Session
from lastgood.errors import ConfigError, Refused, Unavailable

HEAD = '''"""{name}"""
import sqlalchemy as sa
from alembic import context, op

revision = {name!r}
down_revision = {before!r}
'''
GOODS = """
def upgrade():
    op.create_table("goods", sa.Column("id", sa.Integer, primary_key=True), sa.Column("price", sa.Integer))


def downgrade():
    op.drop_table("goods")
"""
ADDS = """
def upgrade():
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("goods")}
    if "sale" not in columns:
        op.add_column("goods", sa.Column("sale", sa.String(30), server_default="50% off: it's?"))


def downgrade():
    if sa.inspect(op.get_bind()).has_table("goods"):
        op.drop_column("goods", "sale")
"""
READS = """
def upgrade():
    for id, price in op.get_bind().execute(sa.text("SELECT id, price FROM goods WHERE price > :p"), {"p": 100}):
        op.get_bind().execute(sa.text("UPDATE goods SET price = :p WHERE id = :i"), {"p": price // 2, "i": id})
    op.get_bind().execute(sa.text("INSERT INTO goods (id, price) VALUES (:i, :p)"), {"i": 7, "p": 1})


def downgrade():
    op.execute("DELETE FROM goods WHERE id = 7")
"""


@pytest.fixture
def read(session: Session, tmp_path: Path) -> Callable[..., History]:
    def read(*bodies: str) -> History:
        folder = tmp_path / "migrations"
        (folder / "versions").mkdir(parents=True, exist_ok=True)
        (folder / "env.py").write_text("raise SystemExit('env.py must not be run')")
        for number, body in enumerate(bodies):
            name, before = f"r{number}", f"r{number - 1}" if number else None
            (folder / "versions" / f"{name}.py").write_text(HEAD.format(name=name, before=before) + body)
        return read_folder(folder, session.dialect, lambda: empty_beside(session.url))

    return read


def test_what_an_inspector_told_is_written_down(session: Session, read: Callable[..., History]) -> None:
    history = read(GOODS, ADDS)
    script = history.migrations[1].up
    assert [("asked schema" in s.sql, "ADD COLUMN" in s.sql) for s in script.statements] == [
        (True, False),
        (False, True),
    ]
    assert [proof.verdict for proof in prove_history(session, history)] == ["exact", "exact"]
    up(session, history)
    session.execute("INSERT INTO goods (id, price) VALUES (1, 5)")
    assert session.query("SELECT sale FROM goods") == [("50% off: it's?",)]
    done = down(session, None, to="r0", consent=Consent(loss=True))
    assert done.came_back, "by what the database stored: without the revision and without Alembic"


def test_the_same_revisions_give_the_same_scripts(read: Callable[..., History]) -> None:
    assert read(GOODS, ADDS, READS).digest == read(GOODS, ADDS, READS).digest


def test_another_schema_than_the_one_it_was_written_for_is_refused(
    session: Session, read: Callable[..., History]
) -> None:
    history = read(GOODS, ADDS)
    up(session, history, to="r0")
    session.execute("ALTER TABLE goods ADD COLUMN sale varchar(9)")
    with pytest.raises(Refused, match="another schema"):
        up(session, history, consent=Consent(drift=True))
    assert session.query("SELECT count(*) FROM goods") == [(0,)]


def test_rows_that_are_not_those_it_was_written_for_are_refused(session: Session, read: Callable[..., History]) -> None:
    history = read(GOODS, READS)
    up(session, history, to="r0")
    session.execute("INSERT INTO goods VALUES (1, 500)")
    with pytest.raises(Refused, match="depends on rows") as caught:
        up(session, history)
    assert "r1.py:" in (caught.value.where or "")
    assert session.query("SELECT id, price FROM goods") == [(1, 500)]
    session.execute("UPDATE goods SET price = 50")
    assert up(session, history).after == "r1", "the answer is what it was again: no row is above 100"
    assert session.query("SELECT count(*) FROM goods") == [(2,)]


def test_a_revision_that_knows_the_offline_mode_is_not_believed_offline(read: Callable[..., History]) -> None:
    body = READS.replace("    for id", "    if context.is_offline_mode():\n        return\n    for id", 1)
    assert "INSERT INTO goods" in read(GOODS, body).migrations[1].up.text


def test_a_silent_read_is_not_taken_for_an_empty_one(read: Callable[..., History]) -> None:
    body = """
def upgrade():
    if op.get_bind().execute(sa.text("SELECT 1 FROM goods")) is not None:
        op.execute("INSERT INTO goods VALUES (8, 8)")


def downgrade():
    op.execute("DELETE FROM goods WHERE id = 8")
"""
    assert "INSERT INTO goods" in read(GOODS, body).migrations[1].up.text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("b.execute(sa.text('INSERT INTO goods VALUES (1, 1) RETURNING id')).one(); print(b.returning)", "returning"),
        ("sa.inspect(b); b.commit()", "transaction"),
        ("s = Session(b); s.execute(sa.text('SELECT 1')).all(); s.add(Goods(price=3)); s.flush()", "ORM"),
        ("sa.inspect(b).get_columns('nowhere')", "nowhere"),
    ],
)
def test_what_cannot_be_right_elsewhere_is_refused(read: Callable[..., History], line: str, why: str) -> None:
    body = f"""
from sqlalchemy.orm import Session, declarative_base

Base = declarative_base()


class Goods(Base):
    __tablename__ = "goods"
    id = sa.Column(sa.Integer, primary_key=True)
    price = sa.Column(sa.Integer)


def upgrade():
    b = op.get_bind()
    {line}


def downgrade():
    pass
"""
    with pytest.raises(ConfigError, match=why):
        read(GOODS, body)


COUNTS = """
def upgrade():
    with op.get_context().autocommit_block():
        while op.get_bind().execute(sa.text("UPDATE goods SET price = 0 WHERE price IS NULL")).rowcount:
            pass
    op.execute("PRAGMA foreign_keys = ON" if op.get_bind().dialect.name == "sqlite" else "SELECT 1")
    with op.get_context().autocommit_block():
        op.create_index("by_price", "goods", ["price"], postgresql_concurrently=True)


def downgrade():
    sa.inspect(op.get_bind()).get_columns("nowhere")
"""


def test_a_count_of_rows_is_asked_again_and_all_of_it_is_one_transaction(
    session: Session, read: Callable[..., History]
) -> None:
    history = read(GOODS, COUNTS)
    assert history.migrations[1].up.transactional
    up(session, history, to="r0")
    session.execute("INSERT INTO goods (id) VALUES (1)")
    with pytest.raises(Refused, match="depends on rows"):
        up(session, history)
    assert session.query("SELECT price FROM goods") == [(None,)], "the statement that was counted is undone"
    session.execute("UPDATE goods SET price = 1")
    up(session, history)


def test_a_downgrade_that_goes_wrong_is_no_way_back_and_names_its_place(
    session: Session, read: Callable[..., History]
) -> None:
    history = read(GOODS, COUNTS)
    assert "nowhere" in (history.migrations[1].no_way_back or "")
    (_, proof) = prove_history(session, history, rows="none")
    assert (proof.verdict, "nowhere" in proof.reasons[0]) == ("broken", True)


def test_a_base_stands_before_the_first_revision(tmp_path: Path, read: Callable[..., History]) -> None:
    with pytest.raises(ConfigError, match="goods"):
        read(ADDS)
    (tmp_path / "migrations" / "base.sql").write_text("CREATE TABLE goods (id int);")
    assert "ADD COLUMN sale" in read(ADDS).migrations[0].up.text


def test_a_script_of_ones_own_may_ask_too(tmp_path: Path) -> None:
    asked = "-- lastgood:asked rows " + "0" * 64 + "\nSELECT 1;\nCREATE TABLE t (x int);"
    folder = _pairs(tmp_path, asked)
    session = open_session(f"sqlite:///{tmp_path}/t.db", create=True)
    with pytest.raises(Refused, match="depends on rows"):
        up(session, read_folder(folder, "sqlite"))
    session.close()


def test_what_asks_must_fit_one_transaction(tmp_path: Path) -> None:
    asked = "-- lastgood:asked rows " + "0" * 64 + "\nSELECT 1;\nVACUUM;"
    with pytest.raises(ConfigError, match="one transaction cannot hold it"):
        read_folder(_pairs(tmp_path, asked), "sqlite")


def test_a_mark_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mark of a question"):
        read_folder(_pairs(tmp_path, "-- lastgood:asked rows 12ab\nSELECT 1;"), "sqlite")


def _pairs(tmp_path: Path, script: str) -> Path:
    folder = tmp_path / "pairs"
    folder.mkdir()
    (folder / "1_t.up.sql").write_text(script)
    (folder / "1_t.down.sql").write_text("DROP TABLE t;")
    return folder


def test_without_a_server_a_revision_that_asks_postgresql_says_what_it_needs(tmp_path: Path) -> None:
    dialect: Dialect = "postgresql"
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text("")
    (tmp_path / "versions" / "r0.py").write_text(HEAD.format(name="r0", before=None) + ADDS)
    with pytest.raises((ConfigError, Unavailable), match="no server is known"):
        read_folder(tmp_path, dialect)


CATCHES = """
def upgrade():
    try:
        op.drop_column("goods", "nowhere")
    except sa.exc.DBAPIError:
        pass
    op.add_column("goods", sa.Column("sale", sa.Integer))


def downgrade():
    op.drop_column("goods", "sale")
"""


def test_a_failure_that_a_revision_expects_is_not_written_down(session: Session, read: Callable[..., History]) -> None:
    if session.dialect == "postgresql":  # a failure ends its transaction: nothing can go on after it
        with pytest.raises(ConfigError, match="cannot be written down"):
            read(GOODS, CATCHES)
        return
    history = read(GOODS, CATCHES)
    assert "nowhere" not in history.migrations[1].up.text
    assert [proof.verdict for proof in prove_history(session, history)] == ["exact", "exact"]


def test_going_on_after_a_failure_that_rows_may_decide_is_refused(
    session: Session, read: Callable[..., History]
) -> None:
    changes = CATCHES.replace('op.drop_column("goods", "nowhere")', 'op.execute("INSERT INTO goods SELECT 1, 2, 3")')
    with pytest.raises(ConfigError, match="cannot be written down"):
        read(GOODS, changes)
