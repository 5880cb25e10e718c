"""How a command line ends: every error becomes a message and an exit code here, and nowhere else."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lastgood.errors import LastgoodError, UsageError
from lastgood.interfaces.cli.failure import as_json
from lastgood.interfaces.cli.session import Session, Surroundings
from lastgood.interfaces.cli.verb import ReaderGone

DEFECT = 70
INTERRUPTED = 130
BROKEN_PIPE = 141
MOVING = ("deploy", "rollback", "promote", "abort", "retry")
"""Commands of which nobody knows, where they are interrupted before their answer, whether they have begun anything."""


@dataclass
class End:
    """What the command returned, or what its error means."""

    code: int | None = None


@contextmanager
def ending(arguments: Sequence[str], around: Surroundings) -> Iterator[End]:
    """Run a command line inside; afterwards ``code`` is set."""
    end = End()
    try:
        yield end
        around.stdout.flush()
    except LastgoodError as error:
        end.code = _tell(error, arguments, around)
    except KeyboardInterrupt:
        if arguments and arguments[0] in MOVING:
            around.stderr.write("interrupted; if it had begun it goes on: lastgood status\n")
        end.code = INTERRUPTED
    except (BrokenPipeError, ReaderGone):
        # Whoever read our output has seen enough; without this Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        end.code = BROKEN_PIPE
    except Exception as error:
        usage = _usage(error)
        end.code = _tell(usage or _defect(error, around), arguments, around)
        if type(error).__name__ == "Abort":
            end.code = INTERRUPTED


def _tell(error: LastgoodError, arguments: Sequence[str], around: Surroundings) -> int:
    session = Session(around, around.as_json or "--json" in arguments)
    try:
        if session.as_json:
            session.give(as_json(error), ())
        else:
            _say(error, session)
    except BrokenPipeError:
        pass
    return error.exit_code


def _say(error: LastgoodError, session: Session) -> None:
    first, *more = error.what.split("\n")
    session.note(f"error: {error.where}: {first}" if error.where else f"error: {first}")
    for line in more:
        session.note(f"  {line}")
    if error.next:
        session.note(f"  next: {error.next}")


def _usage(error: Exception) -> UsageError | None:
    """What the command line's parser did not understand. By its methods: its classes are private to it."""
    if type(error).__name__ == "Abort":
        return UsageError("interrupted")
    told = getattr(error, "format_message", None)
    if told is None or not hasattr(error, "exit_code"):
        return None
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "lastgood"
    if path.endswith("secret set"):  # what is too much here may be the value
        return UsageError("a value is never given on the command line", next=f"{path} NAME < FILE")
    words = " ".join(str(told()).split()).rstrip(".")
    return UsageError(words, next=f"{path} --help")


def _defect(error: Exception, around: Surroundings) -> LastgoodError:
    """Anything else is a fault of ours: one line for the user, the rest for whoever mends it."""
    told = LastgoodError(
        f"a defect of lastgood: {type(error).__name__}",
        next="please report it; what runs is not touched by this, lastgood status shows it",
    )
    told.code, told.exit_code = "defect", DEFECT
    path = _write_traceback(error, around)
    if path is not None:
        told.where = str(path)
    return told


def _write_traceback(error: Exception, around: Surroundings) -> Path | None:
    """Into the project's ``cli.log``, without the values of secrets; None where there is no such place."""
    import traceback

    from lastgood.settings import find_places

    text = "".join(traceback.format_exception(error))
    try:
        places = find_places(around.folder, around.state, around.environment)
        path = places.logs / "cli.log"
        if not places.logs.is_dir():
            return None
        from lastgood.effects.secrets import SecretStore

        store = SecretStore(places.secrets)
        store.learn_all()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "a") as log:
            log.write(json.dumps({"process": os.getpid()}) + "\n" + store.redactor.redact(text))
        return path
    except (LastgoodError, OSError):
        return None
