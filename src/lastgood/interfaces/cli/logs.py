"""``lastgood logs``: what the controller, the proxies and the supervisor print."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from lastgood.errors import LastgoodError, UsageError
from lastgood.interfaces.cli.session import Session
from lastgood.settings import Places

LOOK_AGAIN_S = 0.2
_LONGEST_BYTES = 4 * 1024 * 1024


def logs(
    session: Session,
    who: Annotated[str, typer.Argument(metavar="[WHO]", help="controller, proxy-1, supervisor or cli.")] = "controller",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is added, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, max=100_000, help="How many of the last lines.")] = 50,
) -> int:
    """Show the last lines of a log. Stored secrets are taken out."""
    path = log_path(session.places, who)
    clean = _redactor(session.places)
    last, end = last_lines(path, lines)
    session.give({"log": str(path), "lines": [clean(line) for line in last]}, map(clean, last))
    if follow:
        try:
            for line in added(path, end):
                session.say([clean(line)])
        except KeyboardInterrupt:
            pass
    return 0


def log_path(places: Places, who: str) -> Path:
    """Where a log lies. Raises ``UsageError`` naming those there are."""
    known = {path.name.removesuffix(".log"): path for path in sorted(places.logs.glob("*.log"))}
    supervisor = places.state / "run" / "supervisor.log"
    if supervisor.is_file():
        known["supervisor"] = supervisor
    if who not in known:
        there = ", ".join(known) or "none yet: lastgood up"
        raise UsageError(f"there is no log of {who!r}", where=str(places.logs), next=f"logs there are: {there}")
    return known[who]


def last_lines(path: Path, count: int) -> tuple[list[str], int]:
    """The last lines, and how many bytes the log has up to there."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - _LONGEST_BYTES))
        text = file.read(end - file.tell()).decode("utf-8", "replace")
    return (text.splitlines()[-count:] if count else []), end


def added(path: Path, end: int) -> Iterator[str]:
    """Lines as they are added after ``end``; the supervisor rotates a log by truncating it, then it starts over."""
    rest = b""
    while True:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < end:
                end, rest = 0, b""
            file.seek(end)
            found = file.read(_LONGEST_BYTES)
        end += len(found)
        *whole, rest = (rest + found).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
        if not found:
            time.sleep(LOOK_AGAIN_S)


def _redactor(places: Places) -> Callable[[str], str]:
    from lastgood.effects.secrets import SecretStore

    store = SecretStore(places.secrets)
    try:
        store.learn_all()
    except LastgoodError:
        pass  # a store that cannot be read gives nothing away; the logs are needed now more than ever
    return store.redactor.redact
