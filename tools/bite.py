"""Break the code in small ways; for every invariant a test must notice (``make bite``).

Each table of ``tools/bites/*.toml`` is one mutation: ``old`` (found exactly once in ``file``) becomes ``new`` in a copy
of the sources, and ``tests`` must fail there. The same tests must pass in an unmutated copy first. An ``old`` that is
no longer found is an error: the mutation has to follow the code. ``tools/bite.py WORD`` runs those whose name or file
holds the word.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "benchmarks", "pyproject.toml")
AT_ONCE = 2
LIMIT_S = 300
TEST_LIMIT_S = 20
"""A test that hangs because of a mutation has noticed it, too."""
INVARIANTS = range(1, 15)


@dataclass(frozen=True)
class Bite:
    """One mutation, and the tests that must fail because of it."""

    name: str
    invariant: int
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of it; ``wrong`` is None when the tests noticed."""

    bite: Bite
    took_s: float
    wrong: str | None


def read_bites(folder: Path, words: Sequence[str]) -> list[Bite]:
    """Every mutation of a folder, or those that a word chooses; in the order of the invariants."""
    tables = [raw for path in sorted(folder.glob("*.toml")) for raw in tomllib.loads(path.read_text())["bite"]]
    bites = [Bite(**{**raw, "tests": tuple(raw["tests"])}) for raw in tables]
    chosen = [bite for bite in bites if not words or any(word in f"{bite.name} {bite.file}" for word in words)]
    return sorted(chosen, key=lambda bite: (bite.invariant, bite.name))


def copy_sources(origin: Path, to: Path) -> Path:
    """A copy of what the tests need, in a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="copy-", dir=to))
    for name in COPIED:
        if (origin / name).is_dir():
            shutil.copytree(origin / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(origin / name, folder / name)
    return folder


def run_tests(copy: Path, tests: Iterable[str], *, stop_at_first: bool) -> tuple[int, str]:
    """pytest's exit code and its last lines; the copy's sources come before the installed ones."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider"]
    command += ["--timeout", str(TEST_LIMIT_S), *(["-x"] if stop_at_first else []), *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, f"not over after {LIMIT_S} s"
    return done.returncode, (done.stdout + done.stderr)[-2000:]


def check_unmutated(bites: Sequence[Bite], copy: Path) -> str | None:
    """Why the tests say nothing: they do not pass, or do not run, in a copy without any mutation."""
    probe = "import lastgood.errors as found; print(found.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    where = subprocess.run([sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=False)
    if not where.stdout.startswith(str(copy)):
        return f"the copy is not what is tested, but {where.stdout.strip() or where.stderr}"
    tests = sorted({test for bite in bites for test in bite.tests})
    code, said = run_tests(copy, tests, stop_at_first=False)
    return None if code == 0 else f"without any mutation the tests end with {code}:\n{said}"


def bite_once(bite: Bite, origin: Path) -> Outcome:
    """Apply one mutation to a copy, and see the tests fail."""
    started_s = time.monotonic()
    found = (origin / bite.file).read_text().count(bite.old)
    if found != 1:
        return Outcome(bite, 0.0, f"its old text is found {found} times in {bite.file}: let it follow the code")
    copy = copy_sources(origin, origin.parent)
    try:
        path = copy / bite.file
        path.write_text(path.read_text().replace(bite.old, bite.new))
        compile(path.read_text(), bite.file, "exec")
        code, said = run_tests(copy, bite.tests, stop_at_first=True)
    except SyntaxError as error:
        return Outcome(bite, 0.0, f"it is no Python any more: {error}")
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    wrong = {0: "SURVIVED: no test noticed", 1: None}.get(code, f"pytest ended with {code}: {said}")
    return Outcome(bite, time.monotonic() - started_s, wrong)


def run_all(bites: Sequence[Bite], origin: Path) -> list[Outcome]:
    """All of them, a few at a time, each told when it is over."""
    outcomes = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for outcome in pool.map(lambda bite: bite_once(bite, origin), bites):
            told = "noticed" if outcome.wrong is None else outcome.wrong
            print(f"{outcome.bite.invariant:>2}  {outcome.bite.name:<62} {outcome.took_s:5.1f} s  {told}", flush=True)
            outcomes.append(outcome)
    return outcomes


def main(words: Sequence[str]) -> int:
    """0: every mutation was noticed, and every invariant has one."""
    started_s = time.monotonic()
    bites = read_bites(Path(__file__).with_name("bites"), words)
    folder = Path(tempfile.mkdtemp(prefix="lg-bite-"))
    try:
        origin = copy_sources(ROOT, folder)  # somebody may be editing the sources meanwhile
        if (why := check_unmutated(bites, origin)) is not None:
            print(f"bite: {why}", file=sys.stderr)
            return 1
        outcomes = run_all(bites, origin)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    wrong = [outcome for outcome in outcomes if outcome.wrong is not None]
    bare = [] if words else sorted(set(INVARIANTS) - {bite.invariant for bite in bites})
    print(f"bite: {len(outcomes) - len(wrong)} of {len(outcomes)} noticed in {time.monotonic() - started_s:.0f} s")
    if bare:
        print(f"bite: no mutation for invariant {', '.join(map(str, bare))}", file=sys.stderr)
    return 1 if wrong or bare or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
