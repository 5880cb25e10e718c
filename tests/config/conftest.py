from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from lastgood.config.diff import diff, loosens
from lastgood.config.load import Cache, Loaded, load
from lastgood.config.repository_files import RepositoryItem
from lastgood.errors import ConfigError, Problem

GOOD = """\
project: shop
gateway:
  listeners:
    web: { port: 8080 }
  policies:
    office: { ip: { allow: [10.0.0.0/8] } }
    fair: { rate_limit: { requests: 100, per: minute } }
  routes:
    - name: catalog
      match: { host: shop.example, path: /catalog/* }
      to: legacy
      use: [office, fair]
upstreams:
  legacy: { endpoints: ["127.0.0.1:9001"] }
"""


@dataclass(frozen=True)
class File:
    path: str
    blob_id: str
    read: Callable[[], bytes]


def _item(content: bytes | str | None) -> RepositoryItem:
    if content is None:
        return RepositoryItem("folder")
    if isinstance(content, str):
        return RepositoryItem("link")
    return RepositoryItem("file", len(content), lambda: content)


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def source_file() -> Callable[..., File]:
    def make(path: str, content: bytes, reads: list[str] | None = None) -> File:
        def read() -> bytes:
            if reads is not None:
                reads.append(path)
            return content

        return File(path, hashlib.sha256(content).hexdigest(), read)

    return make


@pytest.fixture
def read(source_file: Callable[..., File]) -> Callable[..., Loaded]:
    """Load texts by path; ``repository`` holds other files (bytes), folders (None) and links (text)."""

    def read(
        texts: Mapping[str, str] | str,
        repository: Mapping[str, bytes | str | None] | None = None,
        *,
        secrets: Callable[[str], bool] = lambda _: True,
        cache: Cache | None = None,
    ) -> Loaded:
        texts = {"lastgood.yaml": texts} if isinstance(texts, str) else texts
        files = [source_file(path, text.encode()) for path, text in texts.items()]
        known = repository or {}
        return load(
            files,
            lambda path: _item(known[path]) if path in known else None,
            resolves=secrets,
            cache=cache,
        )

    return read


@pytest.fixture
def problems(read: Callable[..., Loaded]) -> Callable[..., tuple[Problem, ...]]:
    """Every problem of texts that must not load, or the warnings of those that do."""

    def problems(*args: Any, **options: Any) -> tuple[Problem, ...]:
        try:
            return read(*args, **options).warnings
        except ConfigError as error:
            return error.problems

    return problems


@pytest.fixture
def shop(read: Callable[..., Loaded]) -> Callable[..., Any]:
    """A configuration of plain data: routes, and policies, listeners, upstreams by name."""

    def shop(
        routes: list[dict[str, Any]] | None = None,
        policies: dict[str, Any] | None = None,
        listeners: dict[str, Any] | None = None,
        repository: Mapping[str, bytes | str | None] | None = None,
        **more: Any,
    ) -> Any:
        data = {
            "project": "shop",
            "gateway": {
                "listeners": listeners or {"web": {"port": 8080}},
                "policies": policies or {},
                "routes": [{"to": "legacy", **route} for route in routes or []],
            },
            "upstreams": {"legacy": {"endpoints": ["127.0.0.1:9001"]}, "cat": {"endpoints": ["127.0.0.1:9002"]}},
            **more,
        }
        return read(yaml.safe_dump(data), repository).configuration

    return shop


@pytest.fixture
def mirrored() -> Callable[..., list[tuple[str, str | None]]]:
    """Texts and effects of a difference; the difference back must have the opposite effects on the same subjects."""
    flip = {"loosens": "tightens", "tightens": "loosens"}

    def mirrored(old: Any, new: Any) -> list[tuple[str, str | None]]:
        forth, back = diff(old, new), diff(new, old)
        effects = Counter((change.subject, change.effect) for change in forth if change.effect)
        assert effects == Counter((change.subject, flip[change.effect]) for change in back if change.effect)
        assert bool(forth) == bool(back) == (old != new)
        assert loosens(forth) == any(change.effect == "loosens" for change in forth)
        return [(change.text, change.effect) for change in forth]

    return mirrored
