"""What services bring into a release: a part for each, made of its code and of all that its process gets to see."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from lastgood.config.configuration import Configuration, Entry, canonical, digest_of
from lastgood.config.model import Service
from lastgood.errors import ConfigError, LastgoodError, Problem
from lastgood.operations.code_changes import code_of
from lastgood.operations.makers import Made, Preparation
from lastgood.ports import (
    ARTIFACT,
    ArchiveSource,
    Artifacts,
    BundleFile,
    MadeOf,
    Recipe,
    Repository,
    Revision,
    TreeFile,
)

_MOVING = {"strategy", "depends_on", "smoke", "hooks", "start_timeout_s"}
_ORIGIN = {"source", "archive", "build", "build_timeout_s"}
_EXECUTABLE = 0o100755
_SOURCES_KEPT = 32


def version_of(service: Service, artifact: str) -> str:
    """The digest that names a version: another one means that its processes are started anew.

    How a version takes over, and where its code was found, are no part of it.
    """
    seen = service.model_dump(mode="json", exclude=_MOVING | _ORIGIN)
    return digest_of(canonical({"artifact": artifact, "settings": seen}))


@dataclass
class ServiceMaker:
    """Makes ``service:NAME`` parts; sources that did not change since the last look are not read again."""

    artifacts: Artifacts
    kind: str = "service"
    _sources: dict[str, tuple[BundleFile, ...]] = field(default_factory=dict)

    def make(self, configuration: Configuration, revision: Revision, repository: Repository) -> Made:
        """See ``Maker``. Nothing is fetched or built: that is its preparation, for a deployment."""
        parts: dict[str, str] = {}
        attachments: dict[str, bytes] = {}
        preparations: list[Preparation] = []
        problems: list[Problem] = []
        services = configuration.services
        for name, service in services.items():
            entry = configuration.entries[f"service:{name}"]
            recipe = self._recipe(name, service, entry, revision, repository, problems)
            parts[entry.key] = version_of(service, recipe.digest)
            preparations.append(partial(self._prepare, recipe))
            attachments |= code_of(recipe)
        if problems:
            raise ConfigError(tuple(problems))
        return Made(
            parts,
            attachments,
            instances={name: service.instances for name, service in services.items()},
            keep_old_s={
                name: service.strategy.keep_old_s(configuration.bake.for_s) for name, service in services.items()
            },
            preparations=tuple(preparations),
        )

    def _prepare(self, recipe: Recipe) -> Mapping[str, bytes]:
        bundle = self.artifacts.make(recipe)
        return {f"{ARTIFACT}:{recipe.name}": MadeOf(bundle.digest, bundle.seal).to_json()}

    def _recipe(
        self,
        name: str,
        service: Service,
        entry: Entry,
        revision: Revision,
        repository: Repository,
        problems: list[Problem],
    ) -> Recipe:
        archive = ArchiveSource(service.archive.url, service.archive.sha256) if service.archive else None
        files: tuple[BundleFile, ...] = ()
        if service.source is not None:
            try:
                files = self._files(service.source.removeprefix("./").rstrip("/"), revision, repository)
            except LastgoodError as error:
                what = f"service {name}: {error.where or service.source}: {error.what}"
                problems.append(Problem(entry.file, entry.line, what, error.next))
        return Recipe(name, files, archive, service.build, service.build_timeout_s)

    def _files(self, folder: str, revision: Revision, repository: Repository) -> tuple[BundleFile, ...]:
        tree = repository.tree_id(revision.oid, folder)
        key = f"{tree}:{folder}"
        if tree is None or key not in self._sources:
            while len(self._sources) >= _SOURCES_KEPT:
                self._sources.pop(next(iter(self._sources)))
            self._sources[key] = tuple(bundle_files(repository.files(revision.oid, folder), folder))
        return self._sources[key]


def bundle_files(files: Sequence[TreeFile], folder: str) -> Iterator[BundleFile]:
    """Links and submodules are refused by whoever reads them."""
    for file in files:
        content = file.read()
        path = file.path.removeprefix(folder + "/")
        yield BundleFile(path, file.mode == _EXECUTABLE, hashlib.sha256(content).hexdigest(), file.read)
