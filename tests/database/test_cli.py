"""``lastgood db`` as people type it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from lastgood.interfaces.cli.app import run
from lastgood.interfaces.cli.session import Surroundings

BASE = {
    "1_a.up.sql": "CREATE TABLE a (x text);",
    "1_a.down.sql": "DROP TABLE a;",
    "2_b.up.sql": "ALTER TABLE a ADD y text;",
    "2_b.down.sql": "ALTER TABLE a DROP COLUMN y;",
}


class Shell:
    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.environment = environment or {}

    def __call__(self, *words: str, code: int = 0) -> str:
        out, err = io.StringIO(), io.StringIO()
        around = Surroundings(io.StringIO(), out, err, self.environment, self.folder, False)
        found = run(["db", *words], around)
        assert found == code, out.getvalue() + err.getvalue()
        return out.getvalue() + err.getvalue()

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "m").mkdir()
    for name, text in BASE.items():
        (tmp_path / "m" / name).write_text(text)
    return Shell(tmp_path)


AT = ("--url", "sqlite:///t.db")
FROM = (*AT, "--migrations", "m")


def test_the_story_up_prove_down(shell: Shell) -> None:
    assert "up 1 a" in shell("up", *FROM, "--create", "--to", "1")
    assert "pending" in shell("status", *FROM)
    assert shell.json("prove", *FROM)["proofs"][0]["verdict"] == "exact"
    for rows in ("generated", "none"):
        assert "2: exact" in shell("prove", *FROM, "--rows", rows)
    assert "up 2 b" in shell("plan", *FROM)
    assert shell.json("up", *FROM)["after"] == "2"
    assert "drops column a.y" in shell("plan", *FROM, "--down", "--to", "1")
    assert "as it was before" in shell("down", *AT, "--to", "0")
    assert [line["what"] for line in shell.json("history", *AT)["log"]] == ["up", "up", "down", "down"]
    assert shell.json("status", *FROM)["version"] == "0"
    assert shell.json("verify", *AT) == {"likeness": None, "differences": []}


def test_refusals_have_their_exit_codes(shell: Shell, tmp_path: Path) -> None:
    assert "which database" in shell("status", code=2)
    assert "--create" in shell("up", *FROM, code=7)
    shell("up", *FROM, "--create")
    assert "is not applied" in shell("down", *AT, "--to", "9", code=4)
    (tmp_path / "m" / "2_b.up.sql").write_text("ALTER TABLE a ADD z text;")
    assert "edited after it was applied" in shell("up", *FROM, code=4)
    assert "edited" in shell("status", *FROM, code=6)
    (tmp_path / "m" / "02_c.up.sql").write_text("SELECT 1")
    assert shell.json("status", *FROM, code=3)["error"]["code"] == "configuration"
    assert "--use other" in shell("down", *AT, "--to", "0", "--use", "other", code=2)


@pytest.mark.parametrize("option", ["--lock-timeout", "--statement-timeout", "--retry-for"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e300"])
def test_a_time_limit_is_a_time(shell: Shell, option: str, value: str) -> None:
    for words in (("up", *FROM, "--create"), ("down", *AT, "--to", "0")):
        assert f"{option} {float(value):g} is no time to wait" in shell(*words, option, value, code=2)
    assert not (shell.folder / "t.db").exists()
    shell("up", *FROM, "--create", "--retry-for", "0")
    shell("down", *AT, "--to", "0", "--lock-timeout", "0", code=2)


def test_a_way_back_that_does_not_come_back_fails(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "m" / "2_b.down.sql").write_text("CREATE TABLE rest (x); ALTER TABLE a DROP COLUMN y")
    shell("up", *FROM, "--create", "--to", "1")
    assert "table rest is left over" in shell("prove", *FROM, code=6)
    shell("up", *FROM)
    assert shell.json("down", *FROM, "--to", "1", code=6)["differences"] == [
        "column rest.x is left over",
        "table rest is left over",
    ]
    assert "the schema is different" in shell("verify", *AT, code=6)


def test_a_password_is_never_shown(shell: Shell) -> None:
    shell.environment = {"DB": "postgresql://u:geheim@127.0.0.1:1/x"}
    assert "geheim" not in shell("status", "--url", "env:DB", code=7)
    assert "geheim" not in shell("status", "--url", "postgresql://u:geheim@127.0.0.1:1/x", code=7)


def test_new_and_adopt(shell: Shell, tmp_path: Path) -> None:
    assert "3_more_things.up.sql" in shell("new", "More things", "--migrations", "m")
    import sqlite3

    with sqlite3.connect(tmp_path / "t.db") as raw:
        raw.executescript("CREATE TABLE a (x text)")
    raw.close()
    assert "at 1" in shell("adopt", *FROM, "--to", "1")
    assert shell.json("up", *FROM, "--to", "2")["after"] == "2"


PROJECT = """\
project: shop
databases:
  main: { url: "sqlite:///data/app.db", migrations: m }
  other: { url: "secret:other_url", migrations: m }
gateway: { listeners: half written
"""


@pytest.fixture
def project(shell: Shell) -> Shell:
    """A project whose gateway is not finished."""
    (shell.folder / "data").mkdir()
    (shell.folder / "deep").mkdir()
    whole = PROJECT.replace("gateway: { listeners: half written\n", "gateway: { listeners: { web: { prt: 1 } } }\n")
    (shell.folder / "lastgood.yaml").write_text(whole)
    return shell


def test_a_database_is_named_as_the_configuration_calls_it_from_any_folder_below(project: Shell) -> None:
    root = project.folder
    project.folder = root / "deep"
    project("up", "main", "--create")
    assert (root / "data/app.db").exists()
    assert project.json("status", "main")["version"] == "2"
    assert "which database?" in project("status", code=2), "there are two"
    assert "`port` is missing" in project("status", "mine", code=3), "it may stand in what cannot be read"
    project("new", "More of it", "--for", "main")
    assert (root / "m/3_more_of_it.up.sql").exists()
    assert "two databases" in project("status", "main", "--url", "sqlite:///x.db", code=2)


def test_the_url_of_a_database_may_be_a_secret_which_is_never_shown(project: Shell) -> None:
    from lastgood.effects.secrets import SecretStore

    assert "lastgood secret set other_url" in project("status", "other", code=7)
    store = SecretStore(project.folder / ".lastgood/secrets")
    store.set("other_url", "postgresql://ada:hunter2-hunter2@127.0.0.1:1/shop")
    said = project("status", "other", code=7)
    assert "postgresql://127.0.0.1/shop: cannot connect" in said
    assert "hunter2" not in said


def test_what_is_put_aside_is_dropped_for_good_only_when_asked(shell: Shell) -> None:
    shell("up", *FROM, "--create")
    (shell.folder / "m/3_free.up.sql").write_text("ALTER TABLE a DROP COLUMN y;")
    (shell.folder / "m/3_free.down.sql").write_text("ALTER TABLE a ADD COLUMN y text;")
    planned = shell("plan", *FROM)
    assert "  drops column a.y\n  locks the file: blocks writes (1 statement)" in planned
    assert shell.json("plan", *FROM)["moves"][0]["locks"] == ["the file: blocks writes (1 statement)"]
    assert "nothing is put aside" in shell("finalize", *AT)
    shell("up", *FROM, "--keep-dropped")
    assert "add --yes" in shell("finalize", *AT, code=4)
    assert "dropped column a.y" in shell("finalize", *AT, "--yes")
    assert "nothing is put aside" in shell("finalize", *AT)
    assert "there was nothing to repair" in shell("repair", *AT)
