"""What can go wrong, sorted by what the caller should do about it.

Every error says what happened, where (``where``: a file and line, a path, a proxy) and what to do next (``next``).
The exit codes are part of the interface (``docs/reference/exit-codes.md``): a number never changes its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class LastgoodError(Exception):
    """A failure the user can act on; anything else that escapes is a defect of ours."""

    exit_code = 1
    code = "failed"

    def __init__(self, what: str, *, where: str | None = None, next: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.next = next

    def __str__(self) -> str:
        """``where: what`` and, on a line of its own, what to do next."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  next: {self.next}" if self.next else head


class UsageError(LastgoodError):
    """The command line does not say something we can do."""

    exit_code = 2
    code = "usage"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration; ``line`` counts from 1, 0 means the whole file.

    A warning refuses nothing.
    """

    file: str
    line: int
    what: str
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """``file:line: what (hint)``, the form editors understand."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        warning = "warning: " if self.severity == "warning" else ""
        return f"{place}: {warning}{self.what}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(LastgoodError):
    """The configuration of a revision is wrong; ``problems`` holds every one of them."""

    exit_code = 3
    code = "configuration"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = sum(problem.severity == "error" for problem in problems)
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
        which = "this problem" if count == 1 else f"these {count} problems"
        self.next = f"mend {which} and commit; nothing was changed"


class Refused(LastgoodError):
    """We could, but we will not: a safety question is open, or there is nothing to do."""

    exit_code = 4
    code = "refused"


class Conflict(LastgoodError):
    """Somebody else is at it: another deployment, another controller."""

    exit_code = 5
    code = "conflict"


class Failed(LastgoodError):
    """The deployment ended somewhere else than asked; the message says where."""

    exit_code = 6
    code = "deployment-failed"


class Rejected(Failed):
    """A proxy refused a configuration (NACK), in its own words."""

    code = "rejected"


class Unavailable(LastgoodError):
    """Something we need is not there: the controller, a proxy, a file, a tool."""

    exit_code = 7
    code = "unavailable"


class Damaged(LastgoodError):
    """The journal does not verify; it is opened read-only."""

    exit_code = 8
    code = "damaged"


class Fenced(LastgoodError):
    """A newer controller has taken over; this one must not act any more."""

    exit_code = 5
    code = "fenced"
