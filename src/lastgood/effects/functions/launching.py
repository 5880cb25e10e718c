"""How a version of a function is launched: as its activator, which to everybody else is an instance like any other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lastgood.config.model import Function, Health
from lastgood.effects.artifacts.building import tail
from lastgood.effects.functions.activator import ORDER, Order
from lastgood.effects.functions.cron_request import token_of
from lastgood.effects.functions.python_runtime import interpreter, python_argv, server_folder
from lastgood.effects.functions.worker_runtime import worker_argv
from lastgood.effects.functions.wrangler import TOKEN
from lastgood.effects.instances.launch import Launch
from lastgood.ports import ProcessSpec

_BOOT = (
    "import sys; sys.dont_write_bytecode = True; sys.path.append(sys.argv[1]); "
    "from lastgood.effects.functions.activator import main; sys.exit(main())"
)
IDLE_S, LEAVE_S = 60.0, 60.0
"""Of a version that is asked beside its traffic: until its process ends, and then its activator."""


class Activated(Health):
    """Its activator is asked, not the function: to ask the function would wake it."""


_LAST_S = 1.0
"""Of its ``drain`` a Worker keeps so long to end in: it ends at once when it is told to, ``waitUntil`` or not."""


def launch_function(
    version: tuple[str, str],
    function: Function,
    bundle: Path,
    root: Path,
    logs: Path,
    env: Mapping[str, str],
    secret_env: Mapping[str, str],
    *,
    first: bool = True,
) -> Launch:
    """The activator of a version; ``first``: it proves at once that the version starts. Raises ``Unavailable``."""
    order = order_for(version, function, bundle, root, first=first)
    server = server_folder(root)
    return Launch(
        (interpreter(), "-I", "-S", "-c", _BOOT, str(server)),
        bundle,
        logs / "services",
        Activated(),
        {**env, ORDER: json.dumps(asdict(order), sort_keys=True)},
        {**secret_env, **cron_env(root, version, function)},
        function.drain_s,
        function.smoke,
    )


def cron_env(root: Path, version: tuple[str, str], function: Function) -> dict[str, str]:
    """The variable by which a function knows that a request is the clock's; a Worker's crons stand in its bundle."""
    return {TOKEN: token_of(root, *version)} if function.crons or function.runtime == "worker" else {}


@dataclass(frozen=True)
class Launched:
    """Where previews keep what they need: ``root`` for the server's packages, ``logs``; ``environment`` of a function.

    ``environment(name, function)`` is ``(plain, secret)`` and raises ``Unavailable`` for a secret without a value.
    """

    root: Path
    logs: Path
    environment: Callable[[str, Function], tuple[Mapping[str, str], Mapping[str, str]]]
    redact: Callable[[str], str] = str

    def log(self, name: str, digest: str) -> Path:
        """What a version prints, wherever it is asked from."""
        return self.logs / "services" / f"{name}@{digest[:8]}.log"

    def tail(self, log: Path) -> str:
        """Its last lines, without secrets."""
        return self.redact(tail(log))


def launch_preview(
    where: Launched, version: tuple[str, str], function: Function, bundle: Path, port: int
) -> ProcessSpec:
    """The activator of a version that is asked beside its traffic: it leaves when nobody asks any more."""
    name, digest = version
    env, secret_env = where.environment(name, function)
    order = replace(order_for(version, function, bundle, where.root, first=False), idle_s=IDLE_S, leave_s=LEAVE_S)
    return ProcessSpec(
        f"function:{name}@{digest}.{port}",
        (interpreter(), "-I", "-S", "-c", _BOOT, str(server_folder(where.root))),
        str(where.log(name, digest)),
        "instance",
        {**env, ORDER: json.dumps(asdict(order), sort_keys=True), "PORT": str(port)},
        {**secret_env, **cron_env(where.root, version, function)},
        str(bundle),
        restart="never",
        grace_s=function.drain_s,
    )


def order_for(version: tuple[str, str], function: Function, bundle: Path, root: Path, *, first: bool) -> Order:
    """What the activator is to run. Raises ``Unavailable`` for a runtime that is not there."""
    name, digest = version
    is_python = function.runtime == "python"
    argv = python_argv(bundle, server_folder(root)) if is_python else worker_argv(bundle)
    settings: dict[str, Any] = {
        "name": name,
        "version": digest[:12],
        "folder": str(bundle),
        "app": function.app,
        "interface": function.interface,
        "timeout_s": function.timeout_s,
        "concurrency": function.concurrency,
        "memory_mb": function.memory_mb,
        "body_bytes": function.body_mb * 1024 * 1024,
    }
    return Order(
        name,
        digest[:12],
        argv,
        settings,
        idle_s=function.idle_s,
        start_s=function.start_s,
        memory_mb=function.memory_mb,
        tidy=is_python,
        first=first,
        stuck_s=function.timeout_s,
        linger_s=0.0 if is_python else max(0.0, function.drain_s - _LAST_S),
    )
