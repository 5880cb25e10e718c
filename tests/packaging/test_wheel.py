"""``pip install .`` into a fresh environment: the command works there, from what was installed and nothing else."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "lastgood"
JOURNAL = """
import pathlib, lastgood
from lastgood.effects.journal.sqlite import SqliteJournal
SqliteJournal(pathlib.Path("journal.db")).close()
print(pathlib.Path(lastgood.__file__).parent)
"""

pytestmark = pytest.mark.slow


def ran(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run([*map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with lastgood in it; what it depends on comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("fresh")
    pip = (sys.executable, "-m", "pip")
    ran(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, ROOT, cwd=folder)
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    wheel = next(folder.glob("lastgood-*.whl"))
    ran(*pip, "--python", folder / "venv", "install", "--no-deps", "--no-index", wheel, cwd=folder)
    packages = next((folder / "venv").glob("lib/python3*/site-packages"))
    # A folder named in a .pth file is searched, and its own .pth files (our editable install) are not.
    (packages / "dependencies.pth").write_text(f"{Path(typer.__file__).parents[1]}\n")
    return folder / "venv"


def test_the_command_works(installed: Path, tmp_path: Path) -> None:
    command = installed / "bin" / "lastgood"
    assert "rollback" in ran(command, "--help", cwd=tmp_path)
    ran(command, "init", "shop", cwd=tmp_path)
    assert "no problem" in ran(command, "check", cwd=tmp_path / "shop")


def test_everything_that_is_no_code_is_there_too(installed: Path, tmp_path: Path) -> None:
    found = Path(ran(installed / "bin" / "python", "-c", JOURNAL, cwd=tmp_path).strip())
    assert found.is_relative_to(installed), "that is not what was installed"
    assert (found / "py.typed").is_file()
    assert (found / "effects" / "journal" / "migrations" / "0001_journal.up.sql").is_file()
    ours = {path.relative_to(SOURCES) for path in SOURCES.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    theirs = {path.relative_to(found) for path in found.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert ours - theirs == set()
