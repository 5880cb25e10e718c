"""From a revision to a draft of a release: read, parse, check, digest. Blocks; called on a thread, off the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lastgood.config.configuration import SECTIONS, Configuration, Entry
from lastgood.config.digests import Digests
from lastgood.config.load import Cache, Loaded, load
from lastgood.config.parse import is_source
from lastgood.config.repository_files import RepositoryItem
from lastgood.errors import ConfigError, Problem
from lastgood.operations.deploy import Draft
from lastgood.operations.derive import GATEWAY_KINDS
from lastgood.operations.makers import Maker, Preparation, attachment_digest, together
from lastgood.ports import Repository, Revision, SourceFile
from lastgood.release.moves import moves_of
from lastgood.release.release import GATEWAY

MAIN_FILE, MORE_FILES = "lastgood.yaml", "lastgood.d"

_ELSEWHERE: dict[int, Literal["link", "submodule"]] = {0o120000: "link", 0o160000: "submodule"}
"""Modes of what is in a tree and lies elsewhere."""


@dataclass(frozen=True)
class Drafted:
    """A draft, the configuration it was made of, warnings, and files whose changes are not committed.

    ``contents`` are the bytes of everything it names, by digest, for the journal's store.
    """

    draft: Draft
    configuration: Configuration
    contents: Mapping[str, bytes] = field(repr=False)
    warnings: tuple[Problem, ...]
    uncommitted: tuple[str, ...] = ()
    preparations: tuple[Preparation, ...] = ()

    def prepared(self) -> Drafted:
        """Ready to be deployed: everything is fetched and built. Blocks; raises what a preparation raises."""
        made = {key: content for prepare in self.preparations for key, content in prepare().items()}
        attached = {key: (attachment_digest(key, content), content) for key, content in made.items()}
        entries = {**self.draft.entries, **{key: digest for key, (digest, _) in attached.items()}}
        contents = {**self.contents, **dict(attached.values())}
        return replace(self, draft=replace(self.draft, entries=entries), contents=contents, preparations=())


@dataclass
class Drafting:
    """Makes drafts of one repository's revisions; what did not change since the last one is not read again."""

    repository: Repository
    resolves: Callable[[str], bool]
    makers: Sequence[Maker] = ()
    why_private: Callable[[str], str | None] = lambda path: None
    _cache: Cache = field(default_factory=Cache)
    _gateway: Digests = field(default_factory=Digests)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def draft(self, text: str, branch: str | None = None) -> Drafted:
        """What a revision would release; ``branch`` is where it is known to come from. Uncommitted files are not asked.

        Raises ``ConfigError`` with every problem, ``UsageError`` or ``Unavailable`` for the revision.
        """
        revision = self.repository.resolve(text)
        with self._one_at_a_time:
            return self._draft(revision, branch)

    def _draft(self, revision: Revision, branch: str | None) -> Drafted:
        loaded = self._load(revision)
        configuration = loaded.configuration
        self._refuse_what_nothing_moves(configuration)
        self._refuse_private_sockets(configuration)
        made = together([maker.make(configuration, revision, self.repository) for maker in self.makers])
        attached = {key: (attachment_digest(key, content), content) for key, content in made.attachments.items()}
        branch = branch or revision.branch or self._branch_at(revision)
        draft = Draft(
            project=configuration.project,
            revision=revision.oid,
            subject=revision.subject,
            branch=branch,
            parts={GATEWAY: self._gateway_digest(configuration), **made.parts},
            entries={key: entry.digest for key, entry in configuration.entries.items()}
            | {key: digest for key, (digest, _) in attached.items()},
            schemas=made.schemas,
            bake_s=configuration.bake.for_s,
            hold_back=configuration.bake.hold_back,
            measured=bool(configuration.bake.objectives),
            instances=made.instances,
            keep_old_s=made.keep_old_s,
            moves=moves_of(configuration),
        )
        contents = {**contents_of(configuration), **dict(attached.values())}
        warnings = (*loaded.warnings, *made.warnings)
        return Drafted(draft, configuration, contents, warnings, preparations=made.preparations)

    def load(self, revision: Revision) -> Loaded:
        """The checked configuration of a commit."""
        with self._one_at_a_time:
            return self._load(revision)

    def _load(self, revision: Revision) -> Loaded:
        files = self._files(revision.oid)
        return load(files, lambda path: self._item(revision.oid, path), resolves=self.resolves, cache=self._cache)

    def _item(self, oid: str, path: str) -> RepositoryItem | None:
        files = self.repository.files(oid, path)
        if not files:
            return None
        if files[0].path != path:
            return RepositoryItem("folder")
        file = files[0]
        return RepositoryItem(_ELSEWHERE.get(file.mode, "file"), file.size(), file.read)

    def _files(self, oid: str) -> list[SourceFile]:
        main = self.repository.files(oid, MAIN_FILE)
        more = self.repository.files(oid, MORE_FILES)
        if more and more[0].path == MORE_FILES:
            what = "it is not a folder (links and submodules are not followed)"
            raise ConfigError((Problem(MORE_FILES, 0, what, "make it a folder of files, or take it out"),))
        odd = [file.path for file in (*main, *more) if file.mode in _ELSEWHERE and is_source(file.path)]
        if odd:
            what = "links and submodules are not followed"
            raise ConfigError(tuple(Problem(path, 0, what, "commit the file itself") for path in odd))
        return [*main, *more]

    def _branch_at(self, revision: Revision) -> str | None:
        head = self.repository.head()
        return head.branch if head.oid == revision.oid else None

    def _gateway_digest(self, configuration: Configuration) -> str:
        """The content digest of the gateway."""
        elsewhere = tuple(f"{kind}:" for kind in SECTIONS if kind not in GATEWAY_KINDS)
        mine = {key: entry.digest for key, entry in configuration.entries.items() if not key.startswith(elsewhere)}
        return self._gateway.of(mine)

    def draft_and_look(self, text: str) -> Drafted:
        """The same, with the files whose changes the revision lacks."""
        drafted = self.draft(text)
        return replace(drafted, uncommitted=self.uncommitted(drafted))

    def uncommitted(self, drafted: Drafted) -> tuple[str, ...]:
        """Files of the configuration and of services that are changed and not committed, if it is checked out."""
        if self.repository.head().oid != drafted.draft.revision:
            return ()
        services, functions = drafted.configuration.services, drafted.configuration.functions
        sources = [service.source for service in services.values() if service.source is not None]
        sources = sorted([*sources, *(function.source for function in functions.values())])
        return tuple(change.path for change in self.repository.uncommitted([MAIN_FILE, MORE_FILES, *sources]))

    def _refuse_private_sockets(self, configuration: Configuration) -> None:
        """No route may lead to the proxies' admin pages or to the controller."""
        problems = []
        for name, upstream in configuration.upstreams.items():
            for endpoint in upstream.endpoints:
                why = self.why_private(endpoint.removeprefix("unix:")) if endpoint.startswith("unix:") else None
                if why is not None:
                    entry = configuration.entries[f"upstream:{name}"]
                    what = f"upstream {name}: {endpoint} {why}"
                    problems.append(Problem(entry.file, entry.line, what, "name a socket of your own, outside of it"))
        if problems:
            raise ConfigError(tuple(problems))

    def _refuse_what_nothing_moves(self, configuration: Configuration) -> None:
        movable = {maker.kind for maker in self.makers}
        problems = [
            Problem(entry.file, entry.line, f"{entry.kind} {entry.name} cannot be deployed yet", "take it out")
            for entry in (configuration.entries[key] for key in configuration.others)
            if entry.kind in ("service", "function", "database") and entry.kind not in movable
        ]
        if problems:
            raise ConfigError(tuple(problems))


def contents_of(configuration: Configuration) -> dict[str, bytes]:
    """The bytes of every entry by digest, for the journal's store."""
    entries: Sequence[Entry] = list(configuration.entries.values())
    return {entry.digest: entry.content for entry in entries}
