"""What makes the bundle of a function ready to run, once for each version.

``...installing RUNTIME [--limited] [VARIABLE...]``, run by the store of artifacts in the folder of the bundle, with its
output in the log of the build. Python: requirements into ``.packages``, everything compiled to bytecode, because
nothing is written there later. Worker: one module, by esbuild.
"""

from __future__ import annotations

import compileall
import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

from lastgood.config.model import Function
from lastgood.effects.functions.python_runtime import PACKAGES, REQUIREMENTS, interpreter
from lastgood.effects.functions.worker_build import build_worker
from lastgood.errors import LastgoodError

_LIMITED = "--limited"


def build_argv(function: Function) -> tuple[str, ...]:
    """What prepares the bundle of a function."""
    said: list[str] = []
    if function.runtime == "worker":
        said = [*([_LIMITED] if function.limited else []), *sorted(function.environment)]
    return (sys.executable, "-P", "-m", "lastgood.effects.functions.installing", function.runtime, *said)


def install(folder: Path) -> int:
    """Install what the requirements name, if there are any, and compile; the exit code of the installer."""
    if (folder / REQUIREMENTS).is_file():
        uv = shutil.which("uv")
        target = ["--target", str(folder / PACKAGES), "-r", REQUIREMENTS]
        if uv is not None:
            command = [uv, "pip", "install", "--no-progress", "--python", interpreter(), *target]
        else:
            quiet = ["--disable-pip-version-check", "--no-input", "--no-compile", "--root-user-action=ignore"]
            command = [interpreter(), "-I", "-m", "pip", "install", *quiet, *target]
        code = subprocess.run(command, cwd=folder, env={**os.environ, "UV_LINK_MODE": "copy"}).returncode
        if code != 0:
            return code
        shutil.rmtree(folder / PACKAGES / "bin", ignore_errors=True)  # its scripts name an interpreter of the build
    with contextlib.redirect_stdout(io.StringIO()):  # what does not compile is told when it is imported
        compileall.compile_dir(folder, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return 0


def main() -> int:
    """Returns the exit code."""
    try:
        if sys.argv[1] == "worker":
            names = tuple(word for word in sys.argv[2:] if word != _LIMITED)
            build_worker(Path.cwd(), names, limited=_LIMITED in sys.argv)
            return 0
        return install(Path.cwd())
    except LastgoodError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
