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
from lastgood.config.merge import Advance, Merge, advance, merged
from lastgood.config.name_checks import check_names
from lastgood.config.parse import Fragment, SourceFile, is_source, parse_file
from lastgood.config.repository_files import ReadFile
from lastgood.config.service_checks import check_judged, check_kept, check_services
from lastgood.errors import ConfigError, Problem, Refused


@dataclass
class Cache:
    """What earlier loads worked out; one per repository, kept by the caller, one thread."""

    fragments: dict[tuple[str, str], Fragment] = field(default_factory=dict)
    routes: dict[str, tuple[Fragment, tuple[Problem, ...]]] = field(default_factory=dict)
    hosts: dict[str, tuple[tuple[Entry, ...], tuple[Problem, ...]]] = field(default_factory=dict)
    context: object = None
    newest: _Newest | None = None

    def fragment(self, file: SourceFile) -> Fragment:
        """What a file says, read and parsed once for each content."""
        key = (file.path, file.blob_id)
        found = self.fragments.get(key)
        if found is None:
            found = self.fragments[key] = _read(file)
        return found

    def trim(self, used: int) -> None:
        """Forget everything once most of it belongs to other revisions."""
        if len(self.fragments) > 2 * used + 1000:
            self.fragments.clear()
            self.routes.clear()
            self.hosts.clear()


def _read(file: SourceFile) -> Fragment:
    try:
        content = file.read()
    except Refused as refused:  # too large, or kept elsewhere: a problem of this file, told beside those of the others
        return Fragment(file.path, (Problem(file.path, 0, refused.what, refused.next),), readable=False)
    return parse_file(file.path, content)


@dataclass(frozen=True)
class Loaded:
    """A configuration without errors, and the warnings about it."""

    configuration: Configuration
    warnings: tuple[Problem, ...]


@dataclass(frozen=True)
class _Newest:
    """The last configuration that was in order, and what it was made of; ``files`` are all that were given, by path."""

    configuration: Configuration
    files: Mapping[str, SourceFile]
    merge: Merge
    texts: Mapping[str, Entry]


def load(files: Sequence[SourceFile], read_file: ReadFile, *, resolves: Resolves, cache: Cache | None = None) -> Loaded:
    """Read, merge and check those of the files for which ``is_source`` holds.

    ``read_file`` looks up other files of the same revision, ``resolves`` says whether a reference to a secret leads to
    a value. Raises ``ConfigError`` with every problem of every file. With a cache the cost follows the change.
    """
    cache = cache if cache is not None else Cache()
    by_path = {file.path: file for file in files}
    step = _step(by_path, cache)
    merge = step.merge if step else merged(cache.fragment(file) for file in files if is_source(file.path))
    scene = Scene.of(merge.told)

    problems = check_names(merge.told if step else merge.fragments.values())
    problems += [problem for fragment in merge.told for problem in fragment.problems]
    problems += _check_routes(merge, scene, step, cache)
    problems += _check_hosts(merge, step, cache)
    problems += check_listeners(merge.told, scene, merge.first_route)
    problems += check_unused(merge.told, scene, merge.uses)
    problems += check_services(merge.told, complete=scene.complete)
    problems += check_kept(merge.told)
    problems += check_judged(merge.told)
    problems += check_secrets(merge.told, resolves)
    texts, wrong = check_files(merge.told, read_file)
    problems += wrong
    cache.trim(len(merge.fragments))

    problems.sort(key=lambda problem: (problem.file, problem.line, problem.what))
    if any(problem.severity == "error" for problem in problems):
        raise ConfigError(tuple(problems))
    project = next(fragment.project for fragment in merge.told if fragment.project)
    entries = {**merge.entries, **texts} if texts else merge.entries
    since = _since(cache.newest, merge, step, texts, entries) if cache.newest else None
    configuration = Configuration(project, entries, merge.on_host, since)
    cache.newest = _Newest(configuration, by_path, merge, texts)
    return Loaded(configuration, tuple(problems))


def _step(by_path: Mapping[str, SourceFile], cache: Cache) -> Advance | None:
    """From the last configuration that was in order, if nothing but routes came and went since."""
    if cache.newest is None:
        return None
    known, said = cache.newest.files, cache.newest.merge.fragments
    others = [file for path, file in by_path.items() if known.get(path) is not file]
    fragments = [cache.fragment(file) for file in others if is_source(file.path)]
    come = [fragment for fragment in fragments if said.get(fragment.file) is not fragment]
    gone = said.keys() - by_path.keys()
    return advance(cache.newest.merge, come, gone)


def _since(
    newest: _Newest, merge: Merge, step: Advance | None, texts: Mapping[str, Entry], entries: Mapping[str, Entry]
) -> Since:
    """What differs from the last configuration: only files that are not the same objects are looked at."""
    touched = {*newest.texts, *texts}
    if step is not None:
        touched |= step.keys
    else:
        old, new = newest.merge.fragments, merge.fragments
        for mine, theirs in ((old, new), (new, old)):
            touched |= {key for path, one in mine.items() if theirs.get(path) is not one for key in one.entries}
    before = newest.configuration.entries
    return Since(
        ref(newest.configuration), frozenset(k for k in touched if not _is_same(before.get(k), entries.get(k)))
    )


def _is_same(one: Entry | None, other: Entry | None) -> bool:
    return one is other or (one is not None and other is not None and one.digest == other.digest)


def _check_routes(merge: Merge, scene: Scene, step: Advance | None, cache: Cache) -> list[Problem]:
    """What is wrong between routes and what they refer to; those that did not change since were in order."""
    context = (scene.listeners, scene.policies, scene.declared, scene.complete, scene.targets)
    if cache.context != context:
        cache.routes.clear()
        cache.context = context
    problems: list[Problem] = []
    for fragment in step.come if step else merge.fragments.values():
        known = cache.routes.get(fragment.file)
        if known is None or known[0] is not fragment:
            found = (*check_targets(fragment, scene), *check_protection(fragment, scene))
            known = cache.routes[fragment.file] = (fragment, found)
        problems += known[1]
    return problems


def _check_hosts(merge: Merge, step: Advance | None, cache: Cache) -> list[Problem]:
    """What is wrong between the routes of a host; those of a host that did not change since were in order."""
    problems: list[Problem] = []
    for host in step.hosts if step else merge.on_host:
        group = merge.on_host.get(host, ())
        if len(group) < 2:
            continue  # a route that is alone on its host has nothing to tie with
        known = cache.hosts.get(host)
        if known is None or (known[0] is not group and not _same_entries(known[0], group)):
            known = cache.hosts[host] = (group, check_host(host, group))
        problems += known[1]
    return problems


def _same_entries(before: tuple[Entry, ...], now: tuple[Entry, ...]) -> bool:
    return len(before) == len(now) and all(map(is_, before, now))  # equal ones may stand on other lines
