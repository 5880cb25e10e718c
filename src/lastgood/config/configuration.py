"""A configuration that passed every check: what the other rooms get to see.

It is a set of entries, each with the digest of its meaning (comments and layout do not count), so that two
configurations are compared, stored and compiled by what differs and not by their size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import ReferenceType

from lastgood.config import model

SECTIONS: Mapping[str, type[model.Section]] = {
    "listener": model.Listener,
    "policy": model.Policy,
    "route": model.Route,
    "upstream": model.Upstream,
    "service": model.Service,
    "function": model.Function,
    "database": model.Database,
    "bake": model.Bake,
    "gateway": model.Gateway,
}
"""Kinds of entries. ``gateway`` holds only the gateway's own settings; ``file`` entries are text and have no model."""


def is_entry(key: str) -> bool:
    """Whether a key names an entry, and not something else that is kept with a release."""
    kind = key.partition(":")[0]
    return kind in SECTIONS or kind == "file"


def canonical(value: Any) -> bytes:
    """The bytes a digest is taken of: JSON, keys sorted, no white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(content: bytes) -> str:
    """Hex SHA-256, the one digest of this product."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One named thing of a configuration.

    ``key`` is ``KIND:NAME`` (``route:catalog``, ``policy:fair``, ``file:keys/jwks.json``, ``bake:bake``);
    ``content`` its canonical JSON (YAML keys, defaults left out), ``file`` and ``line`` where it was written.
    """

    key: str
    value: Any
    content: bytes
    digest: str
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def kind(self) -> str:
        """The part of the key before the colon."""
        return self.key.partition(":")[0]

    @property
    def name(self) -> str:
        """The part of the key after the colon."""
        return self.key.partition(":")[2]


def make_entry(key: str, value: model.Section | str, *, file: str = "", line: int = 0) -> Entry:
    """An entry with its canonical content and digest; a ``str`` value is the text of a ``file:`` entry."""
    if isinstance(value, str):
        content = canonical(value)
    else:
        content = canonical(value.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    return Entry(key, value, content, digest_of(key.encode() + b"\0" + content), file, line)


def read_entry(key: str, content: bytes) -> Entry:
    """The entry that :func:`make_entry` wrote as ``content``: how a release comes back without Git."""
    kind = key.partition(":")[0]
    raw = json.loads(content)
    value = raw if kind == "file" else SECTIONS[kind].model_validate(raw)
    return Entry(key, value, content, digest_of(key.encode() + b"\0" + content))


@dataclass(frozen=True, slots=True)
class Since:
    """What differs from a configuration that was read before: of thousands of entries mostly a few."""

    configuration: ReferenceType[Configuration]
    changed: frozenset[str]


@dataclass(frozen=True)
class Configuration:
    """Everything a revision says. ``entries`` maps keys to entries; order has no meaning."""

    project: str
    entries: Mapping[str, Entry]
    known_hosts: Mapping[str, tuple[Entry, ...]] | None = field(default=None, repr=False, compare=False)
    since: Since | None = field(default=None, repr=False, compare=False)

    @cached_property
    def on_host(self) -> Mapping[str, tuple[Entry, ...]]:
        """The routes by host pattern, each as it is written."""
        if self.known_hosts is not None:
            return self.known_hosts
        found: dict[str, tuple[Entry, ...]] = {}
        for key, entry in self.entries.items():
            if key.startswith("route:"):
                for host in entry.value.match.host:
                    found[host] = (*found[host], entry) if host in found else (entry,)
        return found

    def of_kind(self, kind: str) -> dict[str, Any]:
        """``{name: value}`` of all entries of a kind, sorted by name."""
        among = self.entries if kind == "route" else self.others
        keys = sorted(key for key in among if key.startswith(kind + ":"))
        return {key.partition(":")[2]: self.entries[key].value for key in keys}

    @cached_property
    def others(self) -> list[str]:
        """The keys of all but routes, of which there may be thousands: they are gone through once, not once a kind."""
        return [key for key in self.entries if not key.startswith("route:")]

    @cached_property
    def listeners(self) -> dict[str, model.Listener]:
        """Where requests arrive, by name."""
        return self.of_kind("listener")

    @cached_property
    def policies(self) -> dict[str, model.Policy]:
        """Rules, by name."""
        return self.of_kind("policy")

    @cached_property
    def routes(self) -> dict[str, model.Route]:
        """Where requests go, by name."""
        return self.of_kind("route")

    @cached_property
    def upstreams(self) -> dict[str, model.Upstream]:
        """What answers and is not run by us, by name."""
        return self.of_kind("upstream")

    @cached_property
    def services(self) -> dict[str, model.Service]:
        """Code that we run, by name."""
        return self.of_kind("service")

    @cached_property
    def functions(self) -> dict[str, model.Function]:
        """Code that runs only while somebody asks, by name."""
        return self.of_kind("function")

    @cached_property
    def databases(self) -> dict[str, model.Database]:
        """Schemas that move with the release, by name."""
        return self.of_kind("database")

    @cached_property
    def files(self) -> dict[str, str]:
        """Text of the repository's files that policies name with ``repo:``, by path."""
        return self.of_kind("file")

    @property
    def bake(self) -> model.Bake:
        """How a release earns its verdict."""
        entry = self.entries.get("bake:bake")
        return entry.value if entry else model.Bake()

    @property
    def gateway(self) -> model.Gateway:
        """The gateway's own settings; its listeners, policies and routes are entries of their own."""
        entry = self.entries.get("gateway:gateway")
        return entry.value if entry else model.Gateway()


def is_next_to(one: Configuration, other: Configuration) -> bool:
    """Whether either was made from the other, so that what differs is known without a look at all entries."""
    return any(new.since is not None and new.since.configuration() is old for old, new in ((one, other), (other, one)))


def changed_keys(old: Configuration, new: Configuration) -> set[str]:
    """Keys of entries that differ, are new or are gone. What both share is the same object, mostly: hence the shape."""
    for one, other in ((old, new), (new, old)):
        if one.since is not None and one.since.configuration() is other:
            return set(one.since.changed)
    before, after = old.entries, new.entries
    others = [key for key, entry in after.items() if before.get(key) is not entry]
    added = sum(key not in before for key in others)
    changed = {key for key in others if key not in before or before[key].digest != after[key].digest}
    if len(before) + added == len(after):
        return changed
    return changed | (before.keys() - after.keys())
