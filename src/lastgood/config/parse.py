"""One file -> its entries, with every problem that the file alone shows.

A fragment depends on nothing but the file's path and bytes, so that it can be kept by their content address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from pydantic import ValidationError

from lastgood.config import model
from lastgood.config.configuration import SECTIONS, Entry, make_entry
from lastgood.config.order import parse_path
from lastgood.config.route_checks import check_route
from lastgood.config.section_checks import check_section
from lastgood.config.values import NAME_PATTERN, PATTERN_WORDS
from lastgood.config.words import say, unknown_key
from lastgood.config.yaml_tree import Place, line_at, place_at, read_tree, shorten
from lastgood.errors import Problem

MAIN_FILE = "lastgood.yaml"
FOLDER = "lastgood.d/"
_NAME = re.compile(NAME_PATTERN)
_NAMED = {"upstreams": "upstream", "services": "service", "functions": "function", "databases": "database"}
_GATEWAY_NAMED = {"listeners": "listener", "policies": "policy"}
_NOTHING: Place = (0, None)


class SourceFile(Protocol):
    """A file of a revision: path from the root with ``/``, content address, and how to get its bytes when needed."""

    @property
    def path(self) -> str:
        """From the root of the repository."""
        ...

    @property
    def blob_id(self) -> str:
        """Equal ids mean equal bytes."""
        ...

    @property
    def read(self) -> Callable[[], bytes]:
        """Gets the bytes."""
        ...


def is_source(path: str) -> bool:
    """Whether a path of the repository belongs to the configuration: ``lastgood.yaml`` or ``lastgood.d/*.yaml``.

    ``*.yml`` counts, so that a file which nobody would read is refused and not overlooked.
    """
    inside = path.removeprefix(FOLDER)
    return path == MAIN_FILE or (inside != path and "/" not in inside and inside.endswith((".yaml", ".yml")))


@dataclass(frozen=True)
class Fragment:
    """What one file says.

    ``entries`` are the valid ones by key, ``routes`` of them apart, and in ``shared`` those that need checks with other
    sections or files (all but routes and upstreams). ``lines`` has the line of every key the file declares, invalid
    ones included (what is wrong inside is still no unknown name), ``places`` the lines inside of each entry. ``hosts``
    has the routes of each host pattern, ``targets`` and ``uses`` are the names its routes refer to;
    ``upstreams``, ``services``, ``functions`` and ``declares`` (listeners, policies) what others may refer to.
    """

    file: str
    problems: tuple[Problem, ...]
    readable: bool = True
    project: str | None = None
    entries: Mapping[str, Entry] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    routes: tuple[Entry, ...] = ()
    hosts: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    targets: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    upstreams: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    declares: frozenset[str] = frozenset()
    shared: tuple[Entry, ...] = ()

    @cached_property
    def plain(self) -> bool:
        """Whether it holds routes and nothing else, and nothing is wrong with it: of thousands of files nearly all."""
        return self.readable and not self.problems and len(self.routes) == len(self.lines)

    def line(self, key: str, *path: str | int) -> int:
        """The line of a node inside an entry, or of the last one on the way to it."""
        return line_at(self.places.get(key, _NOTHING), path)


def parse_file(path: str, content: bytes) -> Fragment:
    """Everything one file says and everything that is wrong with it. Never raises for what a user wrote."""
    if path.endswith(".yml"):
        return Fragment(path, (Problem(path, 0, "files of lastgood.d/ end in .yaml", "rename it"),), readable=False)
    tree, problems = read_tree(path, content)
    if tree is None:
        return Fragment(path, problems, readable=False)
    if tree.data is None:
        severity: Any = "error" if path == MAIN_FILE else "warning"
        return Fragment(path, (*problems, Problem(path, 0, "the file is empty", severity=severity)))
    if not isinstance(tree.data, dict):
        what = "a configuration is a mapping (key: value), here it is " + (
            "a list" if isinstance(tree.data, list) else "a text"
        )
        return Fragment(path, (*problems, Problem(path, 1, what)), readable=False)
    reader = _Reader(path, list(problems))
    reader.root(tree.data, tree.place)
    return reader.fragment()


class _Reader:
    """Collects a file's entries; one problem does not keep it from finding the next."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self.project: str | None = None
        self.entries: dict[str, Entry] = {}
        self.lines: dict[str, int] = {}
        self.places: dict[str, Place] = {}

    def root(self, data: dict[str, Any], place: Place) -> None:
        known = [model_field.alias or name for name, model_field in model.Root.model_fields.items()]
        for key, value in data.items():
            below = place_at(place, (key,))
            if key not in known:
                self._unknown(key, below, "", known)
            elif key == "project":
                self._project(value, below)
            elif key == "gateway":
                self._gateway(value, below)
            elif key in _NAMED:
                self._named(_NAMED[key], key, value, below)
            elif key == "bake":
                self._section("bake:bake", value if value is not None else {}, below, "bake", skip_default=True)

    def fragment(self) -> Fragment:
        routes = tuple(entry for entry in self.entries.values() if entry.kind == "route")
        values: list[model.Route] = [entry.value for entry in routes]
        return Fragment(
            file=self.file,
            problems=tuple(self.problems),
            project=self.project,
            entries=self.entries,
            lines=self.lines,
            places=self.places,
            routes=routes,
            hosts=_on_host(routes),
            targets=frozenset(name for route in values for name, _ in route.targets),
            uses=frozenset(name for route in values for name in route.use or ()),
            upstreams=self._names("upstream:"),
            services=self._names("service:"),
            functions=self._names("function:"),
            declares=frozenset(key for key in self.lines if key.startswith(("listener:", "policy:"))),
            shared=tuple(entry for entry in self.entries.values() if entry.kind not in ("route", "upstream")),
        )

    def _names(self, kind: str) -> frozenset[str]:
        return frozenset(key.removeprefix(kind) for key in self.lines if key.startswith(kind))

    def _unknown(self, key: str, place: Place, where: str, known: list[str]) -> None:
        if not where and key in model.Gateway.model_fields:
            hint = f"it belongs under gateway: `gateway.{key}`"
            self.problems.append(Problem(self.file, place[0], f"unknown key `{key}`", hint))
        elif key != "<<":  # a merge key is a problem already
            self.problems.append(unknown_key(self.file, place[0], where, key, known))

    def _project(self, value: Any, place: Place) -> None:
        self.lines["project"] = place[0]
        self.project = ""
        if isinstance(value, str) and _NAME.match(value):
            self.project = value
        else:
            what = f"project: {PATTERN_WORDS[NAME_PATTERN]} is needed"
            self.problems.append(Problem(self.file, place[0], what, None if value is None else "quote a number"))

    def _mapping(self, value: Any, place: Place, where: str) -> dict[str, Any]:
        if value is None:  # a heading without anything below it
            return {}
        if isinstance(value, dict):
            return value
        self.problems.append(Problem(self.file, place[0], f"{where}: a mapping (key: value) is needed"))
        return {}

    def _gateway(self, value: Any, place: Place) -> None:
        settings: dict[str, Any] = {}
        for key, inner in self._mapping(value, place, "gateway").items():
            below = place_at(place, (key,))
            if key in _GATEWAY_NAMED:
                self._named(_GATEWAY_NAMED[key], key, inner, below)
            elif key == "routes":
                self._routes(inner, below)
            elif key in model.Gateway.model_fields:
                settings[key] = inner
                self.lines[f"gateway.{key}"] = below[0]
            else:
                self._unknown(key, below, "gateway: ", list(model.Gateway.model_fields))
        if settings:
            self._section("gateway:gateway", settings, place, "gateway", skip_default=True)

    def _named(self, kind: str, heading: str, value: Any, place: Place) -> None:
        for name, inner in self._mapping(value, place, heading).items():
            below = place_at(place, (name,))
            if not _NAME.match(name):
                what = f"{heading}: {PATTERN_WORDS[NAME_PATTERN]} is needed, not {shorten(name)!r}"
                self.problems.append(Problem(self.file, below[0], what))
                continue
            self._section(f"{kind}:{name}", inner, below, f"{kind} {name}")

    def _routes(self, value: Any, place: Place) -> None:
        if value is None:
            return
        if not isinstance(value, list):
            self.problems.append(Problem(self.file, place[0], "routes: a list is needed, each route after a -"))
            return
        for index, inner in enumerate(value):
            below = place_at(place, (index,))
            name = inner.get("name") if isinstance(inner, dict) else None
            named = isinstance(name, str) and _NAME.match(name)
            key = f"route:{name}" if named else f"route:#{index + 1}"
            if key in self.lines:
                what = f"there are two routes {name}, the first in line {self.lines[key]}"
                self.problems.append(Problem(self.file, below[0], what, "every name is used once"))
                continue
            self._section(key, inner, below, f"route {name}" if named else f"route {index + 1}")

    def _section(self, key: str, raw: Any, place: Place, subject: str, *, skip_default: bool = False) -> None:
        """Validate one section; a valid one becomes an entry, and its name counts either way."""
        kind = key.partition(":")[0]
        if kind != "gateway" and "#" not in key:
            self.lines[key] = place[0]
        self.places[key] = place
        try:
            value = SECTIONS[kind].model_validate(raw, by_alias=True, by_name=False)
        except ValidationError as error:
            details = error.errors(include_url=False)
            found = say(details, SECTIONS[kind], raw, file=self.file, place=place, subject=subject)
            self.problems += found or [Problem(self.file, place[0], f"{subject} is wrong")]
            return
        if isinstance(value, model.Route):
            self.problems += check_route(value, self.file, place)
        else:
            self.problems += check_section(value, subject, self.file, place)
        entry = make_entry(key, value, file=self.file, line=place[0])
        if not (skip_default and entry.content == b"{}"):
            self.entries[key] = entry


def _on_host(routes: tuple[Entry, ...]) -> dict[str, tuple[Entry, ...]]:
    found: dict[str, tuple[Entry, ...]] = {}
    for entry in routes:
        if _has_shape(entry.value):
            for host in dict.fromkeys(entry.value.match.host):
                found[host] = (*found.get(host, ()), entry)
    return found


def _has_shape(route: model.Route) -> bool:
    try:
        parse_path(route.match.path)
    except ValueError:
        return False
    return True
