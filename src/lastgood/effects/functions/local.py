"""The ``Functions`` port on this machine: bundles, kept versions, and activators under the supervisor.

A version that is asked beside its traffic gets an activator of its own, which leaves when nobody asks any more; it is
none of the instances that deployments start and stop.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from lastgood.config.model import Function
from lastgood.effects.functions.asking import ask
from lastgood.effects.functions.launching import Launched, launch_preview
from lastgood.effects.functions.versions import VersionStore
from lastgood.effects.instances.ports import free_port
from lastgood.errors import Failed, Refused, UsageError
from lastgood.ports import (
    ArchiveSource,
    Artifacts,
    BundleFile,
    FunctionAnswer,
    FunctionRequest,
    FunctionVersion,
    MadeOf,
    Processes,
    Recipe,
    Standing,
)

_KEY = re.compile(r"function:(?P<name>[a-z0-9_-]+)@(?P<digest>[0-9a-f]{64})\.(?P<port>\d+)")
_LEFT_OUT = {".git", ".lastgood", ".venv", "node_modules", "__pycache__", ".worker", ".packages"}
_STANDINGS: Mapping[str, Standing] = {"warm": "awake", "starting": "starting", "failed": "failed"}
_ARCHIVES = (".zip", ".whl", ".tar", ".tar.gz", ".tgz", ".tar.xz")
_LOOK_S = 0.02
T = TypeVar("T")


class LocalFunctions:
    """``reach`` gives the supervisor, which it starts where there is none; ``digest_of`` names a version."""

    def __init__(
        self,
        artifacts: Artifacts,
        store: VersionStore,
        reach: Callable[[], Awaitable[Processes]],
        launched: Launched,
        *,
        build_argv: Callable[[Function], tuple[str, ...]],
        digest_of: Callable[[Function, str], str],
    ) -> None:
        self._artifacts, self._store, self._reach, self._launched = artifacts, store, reach, launched
        self._build_argv, self._digest_of = build_argv, digest_of

    def upload(self, name: str, settings: Mapping[str, object], origin: Path) -> FunctionVersion:
        """See ``ports.Functions``."""
        function = Function.model_validate(settings)
        if origin.is_dir():
            files = tuple(_files(origin))
            archive = None
        elif origin.name.endswith(_ARCHIVES) and origin.is_file():
            files, archive = (), ArchiveSource(origin.absolute().as_uri(), _sha256(origin))
        else:
            raise UsageError("a folder or an archive is needed", where=str(origin), next=f"{', '.join(_ARCHIVES)}")
        recipe = Recipe(name, files, archive, self._build_argv(function), function.build_timeout_s)
        bundle = self._artifacts.make(recipe)
        made_of = MadeOf(bundle.digest, bundle.seal)
        digest = self._digest_of(function, recipe.digest)
        awake = self._run(self._awake())
        return self._store.keep(name, digest, settings, made_of, bundle.size_bytes, lambda one: one in awake)

    def versions(self, name: str | None = None) -> tuple[FunctionVersion, ...]:
        """See ``ports.Functions``."""
        names = self._store.names() if name is None else [name]
        return tuple(version for each in names for version in self._store.of(each))

    def find(self, name: str, version: str) -> FunctionVersion:
        """See ``ports.Functions``."""
        return self._store.find(name, version)[0]

    def tag(self, name: str, version: str, tag: str) -> FunctionVersion:
        """See ``ports.Functions``."""
        return self._store.tag(name, version, tag)

    def activate(self, name: str, version: str) -> str:
        """See ``ports.Functions``."""
        chosen, made_of = self._store.find(name, version)
        return f"http://127.0.0.1:{self._run(self._activate(chosen, made_of))}"

    def address(self, name: str, version: str) -> str | None:
        """See ``ports.Functions``."""
        chosen, _ = self._store.find(name, version)
        port = self._run(self._ports()).get((name, chosen.digest))
        return None if port is None else f"http://127.0.0.1:{port}"

    def bundle(self, name: str, version: str) -> Path:
        """The folder that a version runs from. Raises ``Unavailable`` when it is gone."""
        _, made_of = self._store.find(name, version)
        return self._artifacts.find(made_of.digest, made_of.seal).folder

    def observe(self, name: str, version: str) -> Standing:
        """See ``ports.Functions``."""
        chosen, _ = self._store.find(name, version)
        return self._run(self._observe(chosen))

    def invoke(self, name: str, version: str, request: FunctionRequest) -> FunctionAnswer:
        """See ``ports.Functions``."""
        began_s = time.monotonic()
        chosen, made_of = self._store.find(name, version)
        port = self._run(self._activate(chosen, made_of))
        function = Function.model_validate(chosen.settings)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=function.timeout_s + 10)
        try:
            connection.putrequest(request.method, request.path, skip_accept_encoding=True)
            for header, value in request.headers:
                connection.putheader(header, value)
            if request.body:
                connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body or None)
            got = connection.getresponse()
            body = got.read()
        except (OSError, http.client.HTTPException) as error:
            what = f"{name} {chosen.digest[:12]} did not answer: {type(error).__name__}"
            raise Failed(what, next=f"lastgood function logs {name}") from None
        except ValueError as error:
            raise UsageError(f"this is no request: {error}") from None
        finally:
            connection.close()
        took_ms = (time.monotonic() - began_s) * 1000
        return FunctionAnswer(got.status, tuple(got.getheaders()), body, took_ms)

    # --- under the supervisor --------------------------------------------------------------------------------------

    def _run(self, what: Awaitable[T]) -> T:
        async def await_it() -> T:
            return await what

        return asyncio.run(await_it())

    async def _ports(self) -> dict[tuple[str, str], int]:
        processes = await self._reach()
        found = {}
        for state in await processes.list():
            match = _KEY.fullmatch(state.key)
            if match is not None and state.phase == "running":
                found[match["name"], match["digest"]] = int(match["port"])
        return found

    async def _awake(self) -> set[str]:
        return {digest for _, digest in await self._ports()}

    async def _observe(self, version: FunctionVersion) -> Standing:
        port = (await self._ports()).get((version.name, version.digest))
        if port is None:
            return "absent"
        try:
            said = await ask(port)
        except (OSError, TimeoutError, ValueError):
            return "starting"
        return _STANDINGS.get(str(said["state"]), "asleep")

    async def _activate(self, version: FunctionVersion, made_of: MadeOf) -> int:
        """Its port, once it is ready. Raises ``Failed`` and ``Unavailable``."""
        function = Function.model_validate(version.settings)
        port = (await self._ports()).get((version.name, version.digest))
        log = self._launched.log(version.name, version.digest)
        if port is None:
            bundle = self._artifacts.find(made_of.digest, made_of.seal)
            port = free_port()
            spec = launch_preview(self._launched, (version.name, version.digest), function, bundle.folder, port)
            state = await (await self._reach()).start(spec)
            if state.error is not None:
                raise Failed(f"{version.name} does not start: {state.error}", where=str(log))
        give_up_s = time.monotonic() + function.start_s + 5.0
        while time.monotonic() < give_up_s:
            try:
                said = await ask(port, "warm")
            except (OSError, TimeoutError, ValueError):
                said = {"state": "starting", "error": "its activator does not answer"}
            if said["state"] == "warm":
                return port
            if said["state"] == "failed":
                raise Failed(
                    f"{version.name} {version.digest[:12]} does not start: {said['error']}\n{self._launched.tail(log)}",
                    where=str(log),
                    next=f"lastgood function logs {version.name}",
                )
            await asyncio.sleep(_LOOK_S)
        raise Failed(f"{version.name} {version.digest[:12]} is not ready: {said['error']}", where=str(log))


def _files(origin: Path) -> Iterator[BundleFile]:
    """What lies in a folder. Raises ``Refused`` for links: what they point at is no part of a version."""
    for below, folders, names in os.walk(origin):
        folders[:] = sorted(set(folders) - _LEFT_OUT)
        for name in sorted(names + [each for each in folders if Path(below, each).is_symlink()]):
            path = Path(below, name)
            if path.is_symlink():
                raise Refused("links are not taken into a version", where=str(path), next="put the file in its place")
            if not path.is_file():
                raise Refused("only files are taken into a version", where=str(path), next="take it out")
            executable = os.access(path, os.X_OK)
            yield BundleFile(path.relative_to(origin).as_posix(), executable, _sha256(path), path.read_bytes)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
