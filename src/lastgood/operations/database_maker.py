"""What databases bring into a release: a part for each, its scripts in full, and the proof of the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from lastgood.config.configuration import Configuration, Entry, canonical, digest_of
from lastgood.config.model import Database
from lastgood.database.migration import History, history_of, plain_version, record_of
from lastgood.database.proof import Proof
from lastgood.errors import ConfigError, LastgoodError, Problem
from lastgood.operations.configurations import Configurations
from lastgood.operations.makers import Made, Preparation
from lastgood.ports import Repository, Revision

SCHEMA, MIGRATION, PROOF = "schema", "migration", "proof"
"""Kinds of attachments: ``schema:NAME`` lists the versions in order, ``migration:NAME/VERSION`` has the scripts of one,
up and down, and ``proof:NAME`` what the rehearsal of the way back came to."""
_HISTORIES_KEPT = 32


class Schemas(Protocol):
    """What the databases themselves are asked. A reference is what a configuration says at ``url``. Blocks."""

    def read(self, reference: str, files: Mapping[str, bytes], place: str) -> History:
        """The history in the files of a commit; raises ``ConfigError`` with every problem."""
        ...

    def prove(self, reference: str, history: History, *, keep: bool = False, previous: bool = False) -> Proof | None:
        """The proof of what is pending, on a scratch copy; None: nothing is. ``keep``: what is dropped is kept.

        ``previous``: the live release's services are tried on the migrated copy too.
        """
        ...

    def losses(self, reference: str, to: str, *, keep: bool = False) -> tuple[str, ...]:
        """What going down to a version would lose, in words; raises ``Refused`` where there is no way down."""
        ...


def digest_of_database(database: Database, history: History) -> str:
    """The digest of ``database:NAME``: another database or another script is another content."""
    return digest_of(canonical({"url": database.url, "scripts": history.digest}))


@dataclass
class DatabaseMaker:
    """Makes ``database:NAME`` parts; migrations that did not change since the last look are not read again."""

    schemas: Schemas
    kind: str = "database"
    _histories: dict[str, History] = field(default_factory=dict)

    def make(self, configuration: Configuration, revision: Revision, repository: Repository) -> Made:
        """See ``Maker``. The proof is a preparation: a plan and a check do not wait for one."""
        parts: dict[str, str] = {}
        attachments: dict[str, bytes] = {}
        versions: dict[str, str] = {}
        warnings: list[Problem] = []
        preparations: list[Preparation] = []
        problems: list[Problem] = []
        for name, database in configuration.databases.items():
            entry = configuration.entries[f"database:{name}"]
            try:
                history = self._history(database, revision, repository)
            except ConfigError as error:
                problems.extend(error.problems)
                continue
            except LastgoodError as error:
                problems.append(Problem(entry.file, entry.line, f"database {name}: {error.what}", error.next))
                continue
            parts[entry.key] = digest_of_database(database, history)
            versions[name] = plain_version(history.newest)
            attachments |= attachments_of(name, history)
            warnings += _warnings(name, entry, history)
            preparations.append(partial(self._prove, name, database, history))
        if problems:
            raise ConfigError(tuple(problems))
        return Made(
            parts,
            attachments,
            schemas=versions,
            warnings=tuple(warnings),
            preparations=tuple(preparations),
        )

    def _history(self, database: Database, revision: Revision, repository: Repository) -> History:
        folder = database.migrations.removeprefix("./").rstrip("/")
        key = f"{repository.tree_id(revision.oid, folder)}:{folder}:{database.url}"
        if key not in self._histories:
            files = {
                file.path.removeprefix(folder + "/"): file.read() for file in repository.files(revision.oid, folder)
            }
            while len(self._histories) >= _HISTORIES_KEPT:
                self._histories.pop(next(iter(self._histories)))
            self._histories[key] = self.schemas.read(database.url, files, folder)
        return self._histories[key]

    def _prove(self, name: str, database: Database, history: History) -> Mapping[str, bytes]:
        said = {plain_version(m.version): m.breaks for m in history.migrations if m.breaks}
        previous = database.previous_release
        try:
            proof = self.schemas.prove(database.url, history, keep=database.keep_dropped, previous=previous != "ignore")
        except LastgoodError as error:
            told = {"verdict": "unproven", "reasons": [error.what], "where": error.where, "next": error.next}
            return {f"{PROOF}:{name}": canonical({**told, **({"breaks": said} if said else {})})}
        record = record_of_proof(proof) if proof is not None else {"verdict": "applied", "reasons": []}
        found = {plain_version(version): why for version, why in proof.breaks.items()} if proof is not None else {}
        refused = sorted(found.keys() - said.keys()) if previous == "require" else []
        more = {"breaks": {**found, **said}, "unsaid": refused}
        return {f"{PROOF}:{name}": canonical({**record, **{key: value for key, value in more.items() if value}})}


def record_of_proof(proof: Proof) -> dict[str, object]:
    """A proof as JSON values, as a release keeps it."""
    return {
        "verdict": proof.verdict,
        "title": proof.title,
        "reasons": list(proof.reasons),
        "versions": list(proof.versions),
        "digest": proof.digest,
        "lost": dict(proof.lost or {}),
    }


def attachments_of(name: str, history: History) -> dict[str, bytes]:
    """A history as attachments; a migration that two releases share is stored once."""
    record = record_of(history)
    found = {f"{MIGRATION}:{name}/{made['version']}": canonical(made) for made in record["migrations"]}
    versions = [made["version"] for made in record["migrations"]]
    return {**found, f"{SCHEMA}:{name}": canonical({"dialect": record["dialect"], "versions": versions})}


def stored_history(configurations: Configurations, number: int, name: str) -> History | None:
    """The history that a release keeps, None where it has no such database; raises ``Damaged``."""
    listed = configurations.attached(number, SCHEMA).get(f"{SCHEMA}:{name}")
    if listed is None:
        return None
    known = json.loads(listed)
    scripts = configurations.attached(number, MIGRATION)
    migrations = [json.loads(scripts[f"{MIGRATION}:{name}/{version}"]) for version in known["versions"]]
    return history_of({"dialect": known["dialect"], "migrations": migrations})


def stored_verdicts(configurations: Configurations, number: int, name: str) -> dict[str, str]:
    """What the proof of a release came to (``exact``, ``lossy(3 rows)`` ...), for each migration that it was of."""
    stored = configurations.attached(number, PROOF).get(f"{PROOF}:{name}")
    record = json.loads(stored) if stored is not None else {}
    return {plain_version(version): record["title"] for version in record.get("versions", ())}


def files_up_to(history: History, version: str) -> list[str]:
    """The files of the migrations that stay applied when a schema goes down to a version (``""``: none)."""
    versions = [plain_version(migration.version) for migration in history.migrations]
    stay = versions.index(version) + 1 if version in versions else 0
    return [file for migration in history.migrations[:stay] for file in migration.sources]


def _warnings(name: str, entry: Entry, history: History) -> list[Problem]:
    return [Problem(entry.file, entry.line, f"database {name}: {note}", None, "warning") for note in history.notes]
