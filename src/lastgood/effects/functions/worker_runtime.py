"""How a Workers project is run: the real workerd, on a socket it inherits; and where workerd and esbuild are found."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from lastgood.errors import Unavailable

BUILT = ".worker"
"""Where the bundle holds the one module and the configuration that were made of the project."""
CONFIG = "config.capnp"
CRONS = "crons.json"
_WHERE = ".cache/lastgood/npm"
_MACHINES = {"x86_64": ("linux-64", "linux-x64"), "aarch64": ("linux-arm64", "linux-arm64")}


def find_workerd() -> str:
    """The runtime: ``LASTGOOD_WORKERD``, PATH, or our cache of npm packages. Raises ``Unavailable``."""
    name = f"@cloudflare/workerd-{_MACHINES.get(platform.machine(), ('?', '?'))[0]}"
    return _find("workerd", "LASTGOOD_WORKERD", f"{name}/bin/workerd")


def find_esbuild() -> str:
    """What bundles: ``LASTGOOD_ESBUILD``, PATH, or our cache of npm packages. Raises ``Unavailable``."""
    name = f"@esbuild/{_MACHINES.get(platform.machine(), ('?', '?'))[1]}"
    return _find("esbuild", "LASTGOOD_ESBUILD", f"{name}/bin/esbuild")


def _find(program: str, variable: str, package_path: str) -> str:
    named = os.environ.get(variable)
    if named:
        return named
    modules = [Path.home() / _WHERE / "node_modules"]
    on_path = shutil.which(program)
    if on_path is not None:
        real = Path(on_path).resolve()
        modules[:0] = [parent for parent in real.parents if parent.name == "node_modules"]
        if real.read_bytes()[:4] == b"\x7fELF":
            return str(real)
    for folder in modules:
        if (folder / package_path).is_file():
            return str(folder / package_path)  # the program itself: npm's wrapper would start Node.js first
    raise Unavailable(
        f"{program} is not installed, which functions with `runtime: worker` need",
        where=str(Path.home() / _WHERE),
        next=f"npm install --prefix ~/{_WHERE} workerd esbuild (or set {variable})",
    )


def worker_argv(bundle: Path) -> list[str]:
    """What runs a bundle."""
    config = str(bundle / BUILT / CONFIG)
    return [find_workerd(), "serve", config, "--socket-fd=http={fd}", "--control-fd={ready}"]
