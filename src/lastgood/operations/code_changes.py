"""What differs in code and migrations between two releases, by what is kept beside their configurations. Pure.

A release keeps ``code:NAME``, the files that a service or function was made of, and ``migration:NAME/VERSION``.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping

from lastgood.config.change import Change, Kind
from lastgood.config.configuration import canonical
from lastgood.ports.artifacts import Recipe

CODE, MIGRATION = "code", "migration"
NAMED = 4
"""How many files are named of each kind of change."""
Kept = Mapping[str, bytes | str]
"""Attachments by key: the contents of ``code``, of others anything that differs where they do."""


def code_of(recipe: Recipe) -> dict[str, bytes]:
    """The attachment of a service or function: its files, by path."""
    files = {file.path: file.sha256[:16] + ("x" if file.executable else "") for file in recipe.files}
    return {f"{CODE}:{recipe.name}": canonical(files)}


def code_changes(before: Kept, after: Kept, owners: Container[str]) -> tuple[Change, ...]:
    """A change for each service and function that both have with other files, and for each migration.

    ``owners`` holds ``function:NAME`` where a name is a function's.
    """
    return (*_code(before, after, owners), *_migrations(before, after))


def _code(before: Kept, after: Kept, owners: Container[str]) -> Iterator[Change]:
    for key in sorted(before.keys() & after.keys()):
        kind, _, name = key.partition(":")
        if kind != CODE or before[key] == after[key]:
            continue
        owner = "function" if f"function:{name}" in owners else "service"
        told = "; ".join(_files(json.loads(before[key]), json.loads(after[key])))
        yield Change(f"{owner}:{name}", "changed", f"{owner} {name}", f"{owner} {name}: {told}")


def _files(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    changed = sorted(path for path in before.keys() & after.keys() if before[path] != after[path])
    for paths, what in (
        (changed, "changed"),
        (sorted(after.keys() - before.keys()), "new"),
        (sorted(before.keys() - after.keys()), "gone"),
    ):
        if paths:
            more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
            yield f"{', '.join(paths[:NAMED])}{more} {'is' if len(paths) == 1 else 'are'} {what}"


def _migrations(before: Kept, after: Kept) -> Iterator[Change]:
    """Of a database that both have; a new one is told as a whole."""
    mine, theirs = ({key for key in kept if key.startswith(f"{MIGRATION}:")} for kept in (after, before))
    both = {_database(key) for key in mine} & {_database(key) for key in theirs}
    for key in sorted(mine | theirs):
        name, version = _database(key), key.partition("/")[2]
        if name not in both or before.get(key) == after.get(key):
            continue
        kind: Kind = "added" if key not in theirs else "removed" if key not in mine else "changed"
        told = {"added": "is new", "removed": "is gone", "changed": "is another one"}[kind]
        yield Change(f"database:{name}", kind, f"database {name}", f"database {name}: migration {version} {told}")


def is_migration(change: Change) -> bool:
    """Whether a change is one of :func:`code_changes` that tells of a migration."""
    return change.part.startswith("database:") and change.text.startswith(f"{change.subject}: migration ")


def _database(key: str) -> str:
    return key.partition(":")[2].partition("/")[0]
