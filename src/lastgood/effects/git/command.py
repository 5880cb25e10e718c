"""The user's own ``git``: argument lists only, nothing that asks, nothing that repository content can switch on."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lastgood.errors import Unavailable

LOCAL_TIMEOUT_S = 60.0
REMOTE_TIMEOUT_S = 120.0

# Inherited when we are started from a Git hook or an alias; they would point git at another repository.
_REPOSITORY_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_NAMESPACE",
    "GIT_REPLACE_REF_BASE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_TRACE",
    "GIT_TRACE_CURL",
    "GIT_CURL_VERBOSE",
    "GIT_TRACE_PACKET",
    "GIT_REFLOG_ACTION",
    "GIT_EXTERNAL_DIFF",
)

_SETTINGS = (
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "gc.auto=0",
    "maintenance.auto=false",
)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a git command ended; ``errors`` is its standard error with credentials removed."""

    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        """Standard output, with undecodable bytes kept as the file system does."""
        return os.fsdecode(self.output)


def redacted(text: str) -> str:
    """A message without user names, passwords and query strings in its URLs."""
    text = re.sub(r"(\w[\w+.-]*://)[^/\s'\"]*@", r"\1[redacted]@", text)
    return re.sub(r"(\w[\w+.-]*://[^\s'\"?]*)\?[^\s'\"]*", r"\1?[redacted]", text)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without what redirects git, and with nothing that waits for a person."""
    env = {name: value for name, value in os.environ.items() if name not in _REPOSITORY_VARIABLES}
    env.update(GIT_TERMINAL_PROMPT="0", GIT_NO_REPLACE_OBJECTS="1", GIT_MERGE_AUTOEDIT="no", LC_ALL="C", LANGUAGE="C")
    env.setdefault("SSH_ASKPASS_REQUIRE", "never")
    return {**env, **(extra or {})}


def argv(place: str, arguments: Sequence[str], settings: Sequence[str] = ()) -> list[str]:
    """The full command line for git in a folder (a work tree or a bare repository)."""
    flags = [part for setting in (*_SETTINGS, *settings) for part in ("-c", setting)]
    return ["git", "--no-pager", "--no-optional-locks", "--literal-pathspecs", "-C", place, *flags, *arguments]


def start(place: str, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start git with pipes, in a session of its own: no terminal to ask at, and one group to end."""
    try:
        return subprocess.Popen(
            argv(place, arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise Unavailable("the git command is not installed", next="install git, or add its folder to PATH") from error


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a git command and all it started (ssh, helpers), wait for it, close its pipes; one that ended is left be."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGTERM)  # git removes its lock files on this signal
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(5.0)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def attempt(
    place: str,
    *arguments: str,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout_s: float = LOCAL_TIMEOUT_S,
) -> Ran:
    """Run git to its end, whatever the exit code. Raises ``Unavailable`` when it is missing or takes too long."""
    process = start(place, arguments, env)
    try:
        output, errors = process.communicate(given, timeout_s)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"git {arguments[0]} took longer than {timeout_s:g} s and was stopped",
            where=place,
            next=f"try it by hand: git -C {place} {redacted(' '.join(arguments))}",
        ) from error
    finally:
        end(process)
    return Ran(process.returncode, output, redacted(errors.decode("utf-8", "replace").strip()))


def run(
    place: str,
    *arguments: str,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout_s: float = LOCAL_TIMEOUT_S,
) -> str:
    """Run git and return its output; raises ``Unavailable`` with its own words when it fails."""
    ran = attempt(place, *arguments, given=given, env=env, timeout_s=timeout_s)
    if ran.code:
        raise Unavailable(
            f"git {arguments[0]} failed: {ran.errors or f'exit code {ran.code}'}", where=place, next=_advice(ran.errors)
        )
    return ran.text


def _advice(errors: str) -> str | None:
    if "index.lock" in errors or "cannot lock ref" in errors or ".lock': File exists" in errors:
        return "another git command is at work here; if none is, remove the .lock file it names and try again"
    return None
