"""Functions that only say their settings: the ``Functions`` port in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lastgood.config.configuration import canonical, digest_of
from lastgood.errors import Failed, Refused, UsageError
from lastgood.ports import FunctionAnswer, FunctionRequest, FunctionVersion, Standing
from lastgood.ports.functions import refuse_odd


class FakeFunctions:
    """Versions, and the traffic of a platform that moves it itself.

    A version whose files contain ``cannot start`` does not start; all others answer 200 with the path.

    ``kept`` is how many versions of a name stay. ``started`` are digests, one for each start.
    """

    def __init__(self, kept: int = 100) -> None:
        self.kept = kept
        self.started: list[str] = []
        self._versions: dict[tuple[str, str], FunctionVersion] = {}
        self._broken: set[str] = set()
        self._standing: dict[tuple[str, str], Standing] = {}
        self._shares: dict[str, Mapping[str, float]] = {}
        self._asked = 0
        self._moment_s = 0.0

    def upload(self, name: str, settings: Mapping[str, object], origin: Path) -> FunctionVersion:
        """See ``ports.Functions``."""
        files = sorted(path for path in origin.rglob("*") if path.is_symlink() or path.is_file())
        if any(path.is_symlink() for path in files):
            raise Refused("links are not taken into a version", where=str(origin), next="put the file in its place")
        held = {str(path.relative_to(origin)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        digest = digest_of(canonical({"files": held, "settings": dict(settings)}))
        if any(b"cannot start" in path.read_bytes() for path in files):
            self._broken.add(digest)
        known = self._versions.get((name, digest))
        self._moment_s += 1.0
        tags = known.tags if known else ()
        made = FunctionVersion(name, digest, self._moment_s, dict(settings), tags, sum(p.stat().st_size for p in files))
        self._versions[name, digest] = made
        for old in self.versions(name)[self.kept :]:
            if not old.tags and self._standing.get((name, old.digest), "absent") == "absent":
                del self._versions[name, old.digest]
        return made

    def versions(self, name: str | None = None) -> tuple[FunctionVersion, ...]:
        """See ``ports.Functions``."""
        found = [each for each in self._versions.values() if name in (None, each.name)]
        return tuple(sorted(found, key=lambda each: (each.name, -each.at_s)))

    def find(self, name: str, version: str) -> FunctionVersion:
        """See ``ports.Functions``."""
        mine = self.versions(name)
        found = [each for each in mine if version in each.tags]
        found = found or [each for each in mine if len(version) >= 4 and each.digest.startswith(version)]
        if version == "latest" and not found:
            found = list(mine[:1])
        if len(found) != 1:
            there = ", ".join(each.digest[:12] for each in mine)
            raise UsageError(f"{name} has no version {version!r}", next=f"versions: {there}")
        return found[0]

    def tag(self, name: str, version: str, tag: str) -> FunctionVersion:
        """See ``ports.Functions``."""
        chosen = self.find(name, version)
        for each in self.versions(name):
            rest = set(each.tags) - {tag} | ({tag} if each.digest == chosen.digest else set())
            self._versions[name, each.digest] = replace(each, tags=tuple(sorted(rest)))
        return self._versions[name, chosen.digest]

    def activate(self, name: str, version: str) -> str:
        """See ``ports.Functions``."""
        chosen = self.find(name, version)
        if chosen.digest in self._broken:
            self._standing[name, chosen.digest] = "failed"
            raise Failed(f"{name} {chosen.digest[:12]} does not start", next="read its log")
        if self._standing.get((name, chosen.digest)) != "awake":
            self.started.append(chosen.digest)
        self._standing[name, chosen.digest] = "awake"
        return str(self.address(name, chosen.digest))

    def address(self, name: str, version: str) -> str | None:
        """See ``ports.Functions``."""
        chosen = self.find(name, version)
        awake = self.observe(name, version) == "awake"
        return f"http://functions.example/{name}/{chosen.digest}" if awake else None

    def observe(self, name: str, version: str) -> Standing:
        """See ``ports.Functions``."""
        return self._standing.get((name, self.find(name, version).digest), "absent")

    def invoke(self, name: str, version: str, request: FunctionRequest) -> FunctionAnswer:
        """See ``ports.Functions``."""
        self.activate(name, version)
        said = (("content-type", "text/plain"), ("x-version", self.find(name, version).digest))
        return FunctionAnswer(200, said, request.path.encode(), 1.0)

    def shift(self, name: str, shares: Mapping[str, float]) -> None:
        """See ``ports.FunctionTraffic``."""
        refuse_odd(shares)
        for digest in shares:
            self.activate(name, digest)
        self._shares[name] = dict(shares)

    def shares(self, name: str) -> Mapping[str, float]:
        """See ``ports.FunctionTraffic``."""
        return self._shares.get(name, {})

    def ask(self, name: str, request: FunctionRequest) -> FunctionAnswer:
        """See ``ports.FunctionTraffic``; drawn in turn, so that every hundred requests keep the shares."""
        shares = self.shares(name)
        if not shares:
            raise UsageError(f"{name} has no version with traffic", next="shift it to one")
        self._asked += 37
        first, *other = shares
        digest = first if self._asked % 100 < shares[first] else other[0]
        return self.invoke(name, digest, request)
