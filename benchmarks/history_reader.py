"""Run by the Python that has a product installed: its Alembic environment as a record (JSON on standard output).

``python history_reader.py SOURCES NAME PACKAGE FOLDER DIALECT URL MENDS [MODELS [AFTER TABLES]]``: ``SOURCES`` is
where ``lastgood`` stands, ``NAME`` what the package is called on PyPI, and ``MODELS`` (``module:metadata``) make the
schema that the first revision begins with. ``MENDS`` (JSON: ``{file: [[text, other text], ...]}``) says what to change
in revisions that go wrong as they were published, so that those after them can be proven; without one the history ends
before them. After the revision ``AFTER`` the application has to be started once; ``TABLES`` (a file of SQL) is what it
makes then.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import logging
import re
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path


def base(models: str, dialect: str) -> str:
    """The tables of a module's metadata, as SQL; or a file of SQL, ``{dialect}`` in its name."""
    from sqlalchemy.dialects import registry
    from sqlalchemy.schema import CreateTable

    if models.endswith(".sql"):
        return Path(models.format(dialect=dialect)).read_text()
    module, _, name = models.partition(":")
    metadata = getattr(importlib.import_module(module), name).metadata
    known = registry.load(dialect)()
    return "".join(f"{str(CreateTable(table).compile(dialect=known)).strip()};\n" for table in metadata.sorted_tables)


def mended(folder: Path, file: str, mends: dict[str, list[list[str]]]) -> bool:
    """Whether there is a mend for a revision, which then is made."""
    found = mends.pop(file, None)
    for path in folder.rglob(file) if found else ():
        text = path.read_text()
        for old, new in found or ():
            assert old in text, f"{file} has no {old!r}"
            text = text.replace(old, new)
        path.write_text(text)
    return found is not None


def launched(folder: Path, after: str, tables: Path) -> None:
    """A step after a revision that makes ``tables``, as the application does when it is started."""
    text = tables.read_text()
    up = [statement.strip() for statement in text.split(";\n") if statement.strip()]
    down = [f"DROP TABLE {name}" for name in reversed(re.findall(r"(?m)^CREATE TABLE (\w+)", text))]
    down += [f"DROP TYPE {name}" for name in re.findall(r"(?m)^CREATE TYPE (\w+)", text)]
    found = {"upgrade": up, "downgrade": down}
    for path in (folder / "versions").glob("*.py"):
        path.write_text(re.sub(rf"(?m)^(down_revision = )['\"]{after}['\"]", r"\1'launch'", path.read_text()))
    head = f'from alembic import op\nrevision, down_revision = "launch", {after!r}\n'
    body = [f"def {name}():\n    for sql in {sqls!r}:\n        op.execute(sql)\n" for name, sqls in found.items()]
    (folder / "versions" / "launch.py").write_text(head + "".join(body))


def cut(folder: Path, file: Path, dialect: str) -> int:
    """Take a revision out, and all after it; how many those are."""
    from alembic.script import ScriptDirectory

    own = folder / "versions" / dialect
    place = own if own.is_dir() else folder / "versions"
    directory = ScriptDirectory(str(folder), version_locations=[str(place)])
    paths = [Path(str(revision.path)).name for revision in directory.walk_revisions()]  # the newest first
    gone = paths[: paths.index(file.name) + 1]
    for name in gone:
        (place / name).unlink()
    return len(gone)


def main(
    sources: str,
    name: str,
    package: str,
    folder: str,
    dialect: str,
    url: str,
    mends: str,
    models: str = "",
    *launch: str,
) -> None:
    """See above; the record has ``problems`` where the history ends too early, and what was ``mended``."""
    sys.path.insert(0, sources)
    after, tables = launch or ("", "")
    from lastgood.database.migration import record_of
    from lastgood.effects.databases.folder import read_folder
    from lastgood.effects.databases.opening import empty_beside
    from lastgood.errors import ConfigError

    logging.disable(logging.CRITICAL)
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"{package} is not installed"
    assert spec.submodule_search_locations is not None
    found: dict[str, object] = {
        "base": base(models, dialect) if models else "",
        "version": importlib.metadata.version(name),
    }
    with tempfile.TemporaryDirectory() as copy, contextlib.redirect_stdout(sys.stderr):
        shutil.copytree(Path(spec.submodule_search_locations[0], folder), copy, dirs_exist_ok=True)
        if found["base"]:
            Path(copy, "base.sql").write_text(str(found["base"]))
        if after:
            launched(Path(copy), after, Path(tables))
        known: dict[str, list[list[str]]] = json.loads(mends)
        wrong: list[str] = []
        left_out = 0
        while "history" not in found:
            try:
                history = read_folder(
                    Path(copy), "sqlite" if dialect == "sqlite" else "postgresql", partial(empty_beside, url)
                )
                found["history"] = record_of(history)
            except ConfigError as error:
                first = error.problems[0]  # what comes after it was not tried
                said = f"{Path(first.file).name}:{first.line}: {first.what}"
                if mended(Path(copy), Path(first.file).name, known):
                    wrong.append(said)
                else:
                    left_out += cut(Path(copy), Path(first.file), dialect)
                    found["problems"] = [said]
        found |= {"mended": wrong, "left_out": left_out}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
