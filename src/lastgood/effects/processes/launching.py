"""Start one process: its own session, its output straight into its log, nothing inherited."""

from __future__ import annotations

import os
import subprocess

from lastgood.effects.processes.identity import MARKER
from lastgood.process import ProcessSpec


class LaunchError(Exception):
    """The process could not be started; the message says why, without values of its environment."""


def launch(spec: ProcessSpec, marker: str) -> subprocess.Popen[bytes]:
    """Returns once the program has been executed (not: once it is ready). Raises ``LaunchError``.

    It gets no death signal: it outlives us. It writes its log itself, for the same reason.
    """
    log = _open_log(spec.log_path)
    try:
        return subprocess.Popen(
            spec.argv,
            env={**spec.env, **spec.secret_env, MARKER: marker},
            cwd=spec.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o022,  # ours is 0o077; what it writes may be meant for others
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise LaunchError(_why(spec, error)) from None  # the cause's text may quote the environment
    finally:
        os.close(log)


def _open_log(path: str) -> int:
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # O_APPEND: after a truncation the process goes on at the new end. O_NONBLOCK: never wait for a FIFO's reader.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        log = os.open(path, flags, 0o600)
    except OSError as error:
        raise LaunchError(f"cannot write its log {path}: {error.strerror}") from None
    os.set_blocking(log, True)
    return log


def _why(spec: ProcessSpec, error: Exception) -> str:
    program = spec.argv[0]
    if not isinstance(error, OSError):
        return f"cannot start {program}: its arguments or environment are not valid text"
    if spec.cwd is not None and not os.path.isdir(spec.cwd):
        return f"cannot start {program}: its directory {spec.cwd} is not there"
    searched = "" if "/" in program else f" (searched in PATH: {spec.env.get('PATH', os.defpath)})"
    return f"cannot start {program}: {error.strerror or type(error).__name__}{searched}"
