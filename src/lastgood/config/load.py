"""The files of a revision -> a configuration, or every problem at once; what did not change is not done again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import is_
from weakref import ref

from lastgood.config.check import (
    Resolves,
    Scene,
    check_listeners,
    check_protection,
    check_secrets,
    check_targets,
    check_unused,
)
from lastgood.config.configuration import Configuration, Entry, Since
from lastgood.config.file_checks import check_files
from lastgood.config.host_checks import check_host
from lastgood.config.name_checks import check_names
from lastgood.config.parse import MAIN_FILE, Fragment, SourceFile, parse_file
from lastgood.config.repository_files import ReadFile
from lastgood.config.service_checks import check_kept, check_services
from lastgood.errors import ConfigError, Problem

_Checked = tuple[Problem, ...]


@dataclass
class Cache:
    """What earlier loads worked out, by content; one per repository, kept by the caller, one thread."""

    fragments: dict[tuple[str, str], Fragment] = field(default_factory=dict)
    routes: dict[tuple[str, str], _Checked] = field(default_factory=dict)
    hosts: dict[str, tuple[tuple[Entry, ...], _Checked]] = field(default_factory=dict)
    context: object = None
    newest: _Newest | None = None

    def trim(self, used: int) -> None:
        """Forget everything once most of it belongs to other revisions."""
        if len(self.fragments) > 2 * used + 1000:
            self.fragments.clear()
            self.routes.clear()
            self.hosts.clear()


@dataclass(frozen=True)
class Loaded:
    """A configuration without errors, and the warnings about it."""

    configuration: Configuration
    warnings: tuple[Problem, ...]


def load(files: Sequence[SourceFile], read_file: ReadFile, *, resolves: Resolves, cache: Cache | None = None) -> Loaded:
    """Read, merge and check the files for which ``is_source`` holds.

    ``read_file`` looks up other files of the same revision, ``resolves`` says whether a reference to a secret leads to
    a value. Raises ``ConfigError`` with every problem of every file. With a cache the cost follows the change.
    """
    cache = cache if cache is not None else Cache()
    by_key = {(file.path, file.blob_id): file for file in files}
    keys = sorted(by_key)
    keys.sort(key=lambda key: key[0] != MAIN_FILE)  # what stands twice stands in the main file first
    known = cache.fragments
    for key in by_key.keys() - known.keys():
        known[key] = parse_file(key[0], by_key[key].read())
    fragments = [known[key] for key in keys]
    told = [fragment for fragment in fragments if not fragment.plain]
    entries: dict[str, Entry] = {}
    for fragment in fragments:
        entries.update(fragment.entries)

    problems = check_names(fragments)
    scene = Scene.of(told)
    problems += [problem for fragment in told for problem in fragment.problems]
    problems += _check_routes(keys, fragments, scene, cache)
    on_host = _on_host(fragments)
    problems += _check_hosts(on_host, cache)
    problems += check_listeners(fragments, scene)
    problems += check_unused(fragments, scene)
    problems += check_services(told, complete=scene.complete)
    problems += check_kept(told)
    problems += check_secrets(told, resolves)
    texts, wrong = check_files(told, read_file)
    problems += wrong
    entries.update(texts)
    cache.trim(len(fragments))

    problems.sort(key=lambda problem: (problem.file, problem.line, problem.what))
    if any(problem.severity == "error" for problem in problems):
        raise ConfigError(tuple(problems))
    project = next(fragment.project for fragment in told if fragment.project)
    since = cache.newest.since(fragments, texts, entries) if cache.newest else None
    configuration = Configuration(project, entries, on_host, since)
    cache.newest = _Newest(configuration, fragments, texts)
    return Loaded(configuration, tuple(problems))


@dataclass(frozen=True)
class _Newest:
    """The last configuration that was in order, and what it was made of."""

    configuration: Configuration
    fragments: list[Fragment]
    texts: Mapping[str, Entry]

    def since(self, fragments: list[Fragment], texts: Mapping[str, Entry], entries: Mapping[str, Entry]) -> Since:
        """What differs from it: only files that are not the same objects are looked at."""
        before, now = {id(one) for one in self.fragments}, {id(one) for one in fragments}
        touched = {key for one in self.fragments if id(one) not in now for key in one.entries}
        touched |= {key for one in fragments if id(one) not in before for key in one.entries}
        touched |= self.texts.keys() | texts.keys()
        old = self.configuration.entries
        changed = frozenset(key for key in touched if not _is_same(old.get(key), entries.get(key)))
        return Since(ref(self.configuration), changed)


def _is_same(one: Entry | None, other: Entry | None) -> bool:
    return one is other or (one is not None and other is not None and one.digest == other.digest)


def _check_routes(keys: list[tuple[str, str]], fragments: list[Fragment], scene: Scene, cache: Cache) -> list[Problem]:
    context = (scene.listeners, scene.policies, scene.declared, scene.complete, scene.targets)
    if cache.context != context:
        cache.routes.clear()
        cache.context = context
    problems: list[Problem] = []
    for key, fragment in zip(keys, fragments, strict=True):
        found = cache.routes.get(key)
        if found is None:
            found = cache.routes[key] = (*check_targets(fragment, scene), *check_protection(fragment, scene))
        problems += found
    return problems


def _on_host(fragments: list[Fragment]) -> dict[str, tuple[Entry, ...]]:
    """The routes of each host pattern. Mostly those of one file, whose tuples stay the same objects."""
    found: dict[str, tuple[Entry, ...]] = {}
    for fragment in fragments:
        for host, entries in fragment.hosts.items():
            found[host] = (*found[host], *entries) if host in found else entries
    return found


def _check_hosts(on_host: Mapping[str, tuple[Entry, ...]], cache: Cache) -> list[Problem]:
    problems: list[Problem] = []
    for host, group in on_host.items():
        if len(group) == 1:
            continue  # a route that is alone on its host has nothing to tie with
        known = cache.hosts.get(host)
        if known is None or (known[0] is not group and not _same_entries(known[0], group)):
            known = cache.hosts[host] = (group, check_host(host, group))
        problems += known[1]
    return problems


def _same_entries(before: tuple[Entry, ...], now: tuple[Entry, ...]) -> bool:
    return len(before) == len(now) and all(map(is_, before, now))  # equal ones may stand on other lines
