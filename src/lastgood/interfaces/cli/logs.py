"""``lastgood logs``: what the controller, the proxies, the supervisor, services, their builds and hooks print."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from lastgood.errors import LastgoodError, UsageError
from lastgood.interfaces.cli.session import Session
from lastgood.settings import Places

LOOK_AGAIN_S = 0.2
_LONGEST_BYTES = 4 * 1024 * 1024
_SERVICE = re.compile(r"([@-][0-9a-f]{8})?\.log$")
"""What a log's name has after its service: the version, or the artifact that was built."""


def logs(
    session: Session,
    who: Annotated[
        str,
        typer.Argument(
            metavar="[WHO]", help="A service, build:SERVICE, hook:SERVICE, controller, proxy-1, supervisor or cli."
        ),
    ] = "controller",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is added, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, max=100_000, help="How many of the last lines.")] = 50,
) -> int:
    """Show the last lines of a log. Stored secrets are taken out.

    A service has a log for each of its versions, in which all instances write; with several of them each line names
    its version.
    """
    clean = _redactor(session.places)
    found, ends = tail(session.places, who, lines, clean)
    session.give(found, found["lines"])
    if follow:
        try:
            for path, line in added(lambda: log_paths(session.places, who), ends):
                session.say([clean(_named(path, line, len(ends) > 1))])
        except KeyboardInterrupt:
            pass
    return 0


def tail(
    places: Places, who: str, lines: int, clean: Callable[[str], str] | None = None
) -> tuple[dict[str, Any], dict[Path, int]]:
    """The last lines as JSON values, and how many bytes each log has up to there."""
    clean = clean or _redactor(places)
    paths = log_paths(places, who)
    shown, ends = [], {}
    for path in paths:
        last, ends[path] = last_lines(path, lines)
        shown += [clean(_named(path, line, len(paths) > 1)) for line in last]
    return {"log": str(paths[-1]), "lines": shown}, ends


def log_paths(places: Places, who: str) -> list[Path]:
    """Where a log lies, the one written last at the end. Raises ``UsageError`` naming those there are."""
    known: dict[str, list[Path]] = {}
    for path in sorted(places.logs.glob("*.log")):
        known[path.name.removesuffix(".log")] = [path]
    supervisor = places.state / "run" / "supervisor.log"
    if supervisor.is_file():
        known["supervisor"] = [supervisor]
    for prefix, folder in (("service:", "services"), ("build:", "builds"), ("hook:", "hooks")):
        for path in sorted((places.logs / folder).glob("*.log"), key=_written_s):
            known.setdefault(prefix + _SERVICE.sub("", path.name), []).append(path)
    for name in [name for name in known if name.startswith("service:")]:
        known.setdefault(name.removeprefix("service:"), known[name])
    if who not in known:
        there = ", ".join(known) or "none yet: lastgood up"
        raise UsageError(f"there is no log of {who!r}", where=str(places.logs), next=f"logs there are: {there}")
    return known[who]


def _written_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _named(path: Path, line: str, several: bool) -> str:
    return f"{path.stem[-8:]} | {line}" if several else line


def last_lines(path: Path, count: int) -> tuple[list[str], int]:
    """The last lines, and how many bytes the log has up to there."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - _LONGEST_BYTES))
        text = file.read(end - file.tell()).decode("utf-8", "replace")
    return (text.splitlines()[-count:] if count else []), end


def added(look: Callable[[], list[Path]], ends: dict[Path, int]) -> Iterator[tuple[Path, str]]:
    """Lines as they are added after ``ends``; of a log that is new from its beginning.

    The supervisor rotates a log by truncating it: then it starts over.
    """
    rests: dict[Path, bytes] = {}
    while True:
        quiet = True
        for path in look():
            ends.setdefault(path, 0)
            found = _more(path, ends, rests)
            quiet = quiet and not found
            *whole, rests[path] = (rests.get(path, b"") + found).split(b"\n")
            yield from ((path, line.decode("utf-8", "replace")) for line in whole)
        if quiet:
            time.sleep(LOOK_AGAIN_S)


def _more(path: Path, ends: dict[Path, int], rests: dict[Path, bytes]) -> bytes:
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) < ends[path]:
                ends[path], rests[path] = 0, b""
            file.seek(ends[path])
            found = file.read(_LONGEST_BYTES)
    except OSError:
        return b""
    ends[path] += len(found)
    return found


def _redactor(places: Places) -> Callable[[str], str]:
    from lastgood.effects.secrets import SecretStore

    store = SecretStore(places.secrets)
    try:
        store.learn_all()
    except LastgoodError:
        pass  # a store that cannot be read gives nothing away; the logs are needed now more than ever
    return store.redactor.redact
