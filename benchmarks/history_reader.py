"""Run by the Python that has a product installed: its Alembic environment as a record (JSON on standard output).

``python history_reader.py SOURCES NAME PACKAGE FOLDER DIALECT URL [MODELS]``: ``SOURCES`` is where ``lastgood`` stands,
``NAME`` what the package is called on PyPI, and ``MODELS`` (``module:metadata``) make the schema that the first
revision begins with.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import logging
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


def main(sources: str, name: str, package: str, folder: str, dialect: str, url: str, models: str = "") -> None:
    """See above; the record has ``problems`` instead where the history cannot be read."""
    sys.path.insert(0, sources)
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
        try:
            history = read_folder(
                Path(copy), "sqlite" if dialect == "sqlite" else "postgresql", partial(empty_beside, url)
            )
            found["history"] = record_of(history)
        except ConfigError as error:
            found["problems"] = [f"{Path(p.file).name}:{p.line}: {p.what}" for p in error.problems]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
