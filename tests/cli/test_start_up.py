"""What most people type most often imports nothing that takes long: told by what is loaded, not by a clock."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController

HEAVY = ("pydantic", "fastapi", "starlette", "uvicorn", "httpx", "grpc", "envoy", "google", "pygit2", "rich", "yaml",
         "asyncio", "sqlite3")  # fmt: skip
LOOK = """
import sys
from lastgood.__main__ import main
sys.argv[0] = "lastgood"
try:
    main()
except SystemExit as end:
    loaded = sorted({name.partition(".")[0] for name in sys.modules})
    print(end.code or 0, *loaded, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("deploy", "--help"), ("--version",), ("status",), ("history",), ("rollback", "-m", "x")],
    ids=" ".join,
)
def test_the_fast_path(project: Project, controller: RecordedController, arguments: tuple[str, ...]) -> None:
    controller.says = {
        "GET /v1/status": recorded.status(),
        "GET /v1/history": {"releases": [], "deployments": []},
        "POST /v1/rollback": recorded.rollback_answer(),
        "GET /v1/deployments/d32": recorded.report(recorded.went_back()),
    }
    ran = subprocess.run(
        [sys.executable, "-c", LOOK, *arguments], cwd=project.root, capture_output=True, text=True, timeout=30
    )
    code, *loaded = ran.stderr.split()
    assert code == "0", ran.stderr
    assert "typer" in loaded
    assert sorted(set(loaded) & set(HEAVY)) == []


def test_a_migration_by_hand_loads_no_http_no_other_driver_and_no_other_command(project: Project) -> None:
    folder = project.root / "m"
    folder.mkdir()
    (folder / "1_a.up.sql").write_text("CREATE TABLE a (x integer)")
    words = ("db", "up", "--create", "--url", f"sqlite:///{project.root}/t.db", "--migrations", str(folder))
    look = LOOK.replace('name.partition(".")[0] ', "name ")
    ran = subprocess.run(
        [sys.executable, "-c", look, *words], cwd=project.root, capture_output=True, text=True, timeout=30
    )
    code, *loaded = ran.stderr.split()
    assert code == "0", ran.stderr
    unwanted = {"http", "email", "ssl", "psycopg", "alembic", "sqlalchemy", "sqlglot", "lastgood.interfaces.cli.deploy"}
    assert sorted(set(loaded) & (unwanted | (set(HEAVY) - {"sqlite3"}))) == []
