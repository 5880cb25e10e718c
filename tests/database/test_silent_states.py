"""The wrong states that other migration tools reach without a word, from the same files: here each is refused.

Each test is one cell of a table that was made by running those tools; the layout is that of the tool.
"""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lastgood.interfaces.cli.app import run
from lastgood.interfaces.cli.session import Surroundings

TABLE = "CREATE TABLE goods (id integer PRIMARY KEY)"
REVISION = "from alembic import op\nrevision, down_revision = {name!r}, {before!r}\n"


@dataclass
class Tool:
    """Files of one tool, and ``lastgood db`` run on them as a person runs it."""

    folder: Path

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / "m" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def db(self, *words: str, code: int = 0) -> str:
        out, err = io.StringIO(), io.StringIO()
        around = Surroundings(io.StringIO(), out, err, {}, self.folder, False)
        found = run(["db", *words], around)
        assert found == code, (found, out.getvalue(), err.getvalue())
        return out.getvalue() + err.getvalue()

    def up(self) -> None:
        self.db("up", "--create", *FROM)

    def tables(self) -> set[str]:
        with closing(sqlite3.connect(self.folder / "t.db")) as raw:
            found = raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'lastgood*'")
            return {row[0] for row in found}

    def states(self) -> list[tuple[str, str]]:
        found: Any = json.loads(self.db("status", "--json", *FROM, code=self.health()))
        return [(entry["version"], entry["state"]) for entry in found["migrations"]]

    def health(self) -> int:
        out = io.StringIO()
        return run(["db", "status", *FROM], Surroundings(io.StringIO(), out, out, {}, self.folder, False))


FROM = ("--url", "sqlite:///t.db", "--migrations", "m")


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return Tool(tmp_path)


def test_alembic_a_down_that_fails_half_way_on_sqlite_leaves_no_half_of_it(tool: Tool) -> None:
    body = (
        "def upgrade():\n    op.execute('CREATE TABLE goods (id integer)')\n"
        "    op.execute('CREATE TABLE more (id integer)')\n"
        "def downgrade():\n    op.execute('DROP TABLE goods')\n    op.execute('DROP TABLE absent')\n"
    )
    tool.write({"env.py": "", "versions/a1.py": REVISION.format(name="a1", before=None) + body})
    tool.up()
    assert "no such table: absent" in tool.db("down", "--to", "0", *FROM, code=6)
    assert (tool.tables(), tool.states()) == ({"goods", "more"}, [("a1", "applied")])


def test_yoyo_a_down_file_that_is_absent_is_no_way_back(tool: Tool) -> None:
    tool.write({"1_goods.up.sql": TABLE})
    tool.up()
    assert "cannot be undone: it has no down script" in tool.db("down", "--to", "0", *FROM, code=4)
    assert (tool.tables(), tool.states()) == ({"goods"}, [("1", "applied")])


def test_alembic_a_downgrade_that_is_pass_moves_no_version(tool: Tool) -> None:
    body = f"def upgrade():\n    op.execute({TABLE!r})\ndef downgrade():\n    pass\n"
    tool.write({"env.py": "", "versions/a1.py": REVISION.format(name="a1", before=None) + body})
    tool.up()
    assert "its down script does nothing" in tool.db("down", "--to", "0", *FROM, code=4)
    assert (tool.tables(), tool.states()) == ({"goods"}, [("a1", "applied")])


def test_dbmate_a_down_block_that_is_empty_is_no_way_back(tool: Tool) -> None:
    tool.write({"1_goods.sql": f"-- migrate:up\n{TABLE};\n\n-- migrate:down\n"})
    tool.up()
    assert "its down script does nothing" in tool.db("down", "--to", "0", *FROM, code=4)
    assert (tool.tables(), tool.states()) == ({"goods"}, [("1", "applied")])


@pytest.mark.parametrize("layout", ["dbmate", "yoyo"])
def test_the_file_of_the_newest_one_gone_takes_back_the_newest_and_not_the_one_before(tool: Tool, layout: str) -> None:
    more = "CREATE TABLE more (id integer)"
    if layout == "dbmate":
        mine = "-- migrate:up\n{};\n-- migrate:down\nDROP TABLE {};\n"
        tool.write({"1_goods.sql": mine.format(TABLE, "goods"), "2_more.sql": mine.format(more, "more")})
        gone = ["2_more.sql"]
    else:
        tool.write({"1_goods.up.sql": TABLE, "1_goods.down.sql": "DROP TABLE goods"})
        tool.write({"2_more.up.sql": more, "2_more.down.sql": "DROP TABLE more"})
        gone = ["2_more.up.sql", "2_more.down.sql"]
    tool.up()
    for name in gone:
        (tool.folder / "m" / name).unlink()
    assert tool.states() == [("1", "applied"), ("2", "ahead")]
    tool.db("down", "--to", "1", *FROM)
    assert (tool.tables(), tool.states()) == ({"goods"}, [("1", "applied")])


def test_dbmate_two_files_with_one_version_are_refused_and_neither_counts_as_applied(tool: Tool) -> None:
    mine = "-- migrate:up\n{};\n-- migrate:down\nDROP TABLE {};\n"
    tool.write({"1_goods.sql": mine.format(TABLE, "goods")})
    tool.up()
    tool.write({"1_more.sql": mine.format("CREATE TABLE more (id integer)", "more")})
    for words in (("up",), ("status",), ("down", "--to", "0")):
        assert "1 is also the version of" in tool.db(*words, *FROM, code=3)
    assert tool.tables() == {"goods"}


def test_dbmate_a_table_with_rows_is_not_dropped_without_a_word(tool: Tool) -> None:
    tool.write({"1_goods.sql": f"-- migrate:up\n{TABLE};\n-- migrate:down\nDROP TABLE goods;\n"})
    tool.up()
    with closing(sqlite3.connect(tool.folder / "t.db")) as raw, raw:
        raw.execute("INSERT INTO goods VALUES (1), (2)")
    said = tool.db("down", "--to", "0", *FROM, code=4)
    assert "2 rows of goods" in said
    assert "--accept-loss" in said
    assert tool.states() == [("1", "applied")]
    tool.db("down", "--to", "0", "--accept-loss", *FROM)
    assert tool.tables() == set()
