"""Run a build once: in its own process group, into a log, with an end to its patience."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lastgood.effects.processes.identity import MARKER
from lastgood.effects.processes.marked import end_all
from lastgood.errors import Refused

PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "LASTGOOD_ESBUILD",
)
"""Builds read the user's caches and settings (pip, npm, uv), hence HOME; nothing else of ours reaches them."""
TOLD_LINES = 15


def build(
    name: str,
    argv: tuple[str, ...],
    folder: Path,
    scratch: Path,
    log: Path,
    timeout_s: float,
    redact: Callable[[str], str],
) -> None:
    """Run a build in a folder. Raises ``Refused`` with the end of its log when it fails or takes too long."""
    environment = {variable: os.environ[variable] for variable in PASSED_ON if variable in os.environ}
    marker = marker_for(scratch)
    environment |= {MARKER: marker, "TMPDIR": str(scratch), "CI": "true"}
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    started_s = time.monotonic()
    with log.open("wb") as out:
        out.write(f"$ {' '.join(argv)}\n".encode())
        out.flush()
        try:
            child = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                umask=0o022,
            )
        except OSError as error:
            what = f"{name}: the build cannot start: {argv[0]}: {error.strerror}"
            raise Refused(what, where=str(log), next="mend `build`") from None
        try:
            code: int | None = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_all(marker)
            child.wait()
    if code != 0:
        took_s = time.monotonic() - started_s
        how = f"did not end within {timeout_s:g} s" if code is None else f"failed with {code} after {took_s:.1f} s"
        raise Refused(
            f"{name}: the build {how}\n{redact(tail(log))}", where=str(log), next="mend it; nothing was changed"
        )


def marker_for(scratch: Path) -> str:
    """What the processes of a build are known by, also to whoever comes after a controller that was killed."""
    return f"build:{scratch}"


def tail(log: Path, lines: int = TOLD_LINES) -> str:
    """The end of a log, indented."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return "    (its log cannot be read)"
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
