"""How a Python function is run: the bare interpreter, its own packages, and uvicorn from where we have it.

Nothing of our other packages is in its reach: what it imports comes from its folder, its requirements and the standard
library. Requirements lie in the bundle (``PACKAGES``), installed once when it was made.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from lastgood.errors import Unavailable

PACKAGES = ".packages"
REQUIREMENTS = "requirements.txt"
_SERVER = ("uvicorn", "h11", "click", "typing_extensions")
_FASTER = ("httptools",)
"""What the server takes where it is installed."""
_BOOT = (
    "import sys; sys.dont_write_bytecode = True; sys.path += sys.argv[1:3]; "
    "from lastgood.effects.functions.host import main; sys.exit(main())"
)


def interpreter() -> str:
    """The interpreter that our own virtual environment was made from."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def server_folder(root: Path) -> Path:
    """A folder with links to the server's packages and nothing else; made once. Raises ``Unavailable``."""
    folder = root / f"server-{sys.version_info.major}.{sys.version_info.minor}"
    links = {"lastgood": Path(__file__).resolve().parents[2]}
    for name in (*_SERVER, *_FASTER):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            if name in _FASTER:
                continue
            raise Unavailable(
                f"functions in Python need {name}, which is not installed", next=f"pip install {name}"
            ) from None
        top = next((p for p in (name, f"{name}.py") if Path(str(found.locate_file(p))).exists()), name)
        links[top] = Path(str(found.locate_file(top)))
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name, target in links.items():
            link = folder / name
            if link.is_symlink() and Path(os.readlink(link)) == target:
                continue
            temporary = folder / f".{name}.{os.getpid()}"
            temporary.symlink_to(target)
            os.replace(temporary, link)
    except OSError as error:
        raise Unavailable(
            f"cannot be written: {error.strerror}", where=str(folder), next="make room, or mend its owner"
        ) from None
    return folder


def python_argv(bundle: Path, server: Path) -> list[str]:
    """What runs a bundle; the rest is told in the settings."""
    return [interpreter(), "-u", "-I", "-S", "-c", _BOOT, str(bundle / PACKAGES), str(server)]
