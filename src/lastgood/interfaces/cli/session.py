"""One run of the command line: where it was started, how it speaks, and whom it asks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from lastgood.errors import Unavailable
from lastgood.interfaces.cli.client import Controller, find_controller
from lastgood.interfaces.cli.text import escaped, painted
from lastgood.settings import Places, find_places


@dataclass
class Surroundings:
    """What a command line is given by whoever starts it. ``interactive``: a person sees it and can answer."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environment: Mapping[str, str]
    folder: Path
    interactive: bool
    state: str | None = None
    as_json: bool = False

    @classmethod
    def real(cls) -> Surroundings:
        """Those of this process."""
        interactive = sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()
        return cls(sys.stdin, sys.stdout, sys.stderr, os.environ, Path.cwd(), interactive)


@dataclass
class Session:
    """What every command works with."""

    around: Surroundings
    as_json: bool = False
    state: str | None = None
    _half_line: bool = field(default=False, init=False)

    @cached_property
    def places(self) -> Places:
        """The project's places. Raises ``Unavailable`` outside of one."""
        return find_places(self.around.folder, self.state, self.around.environment)

    @property
    def controller(self) -> Controller:
        """The project's controller. Raises ``NotRunning`` where there never was one."""
        return find_controller(self.places)

    @property
    def can_ask(self) -> bool:
        """Whether a person is there to answer a question."""
        return self.around.interactive and not self.as_json

    @property
    def person(self) -> str:
        """Who does it, for the journal."""
        import pwd

        try:
            return f"{pwd.getpwuid(os.getuid()).pw_name} (cli)"
        except KeyError:
            return f"uid {os.getuid()} (cli)"

    def give(self, value: Mapping[str, Any], lines: Iterable[str]) -> None:
        """The result: the value with ``--json``, else the lines."""
        if self.as_json:
            print(json.dumps(value, indent=2), file=self.around.stdout, flush=True)
        else:
            self.say(lines)

    def give_to(self, output: Path | None, value: Mapping[str, Any], lines: Iterable[str]) -> None:
        """The same, into a file where one is named. Raises ``Unavailable`` where it cannot be written."""
        if output is None:
            self.give(value, lines)
            return
        text = json.dumps(value, indent=2) if self.as_json else "\n".join(lines)
        self.write(output, text + "\n")

    def write(self, path: Path, text: str) -> None:
        """A file that was asked for. Raises ``Unavailable`` where it cannot be written."""
        try:
            (self.around.folder / path).write_text(text)
        except OSError as error:
            raise Unavailable(f"cannot be written: {error.strerror}", where=str(path)) from error
        self.note(f"written to {path}")

    def say(self, lines: Iterable[str]) -> None:
        """Lines for a person; nothing with ``--json``, whose only output is the result."""
        if not self.as_json:
            for line in lines:
                self._write(self.around.stdout, line)

    def note(self, line: str) -> None:
        """Something beside the result."""
        self._write(self.around.stderr, line)

    def ask(self, question: str) -> bool:
        """Yes or no; nothing but a clear yes is one. Only where :attr:`can_ask`."""
        self.around.stdout.write(f"{escaped(question)} [y/N] ")
        self.around.stdout.flush()
        return self.around.stdin.readline().strip().lower() in ("y", "yes")

    def _write(self, stream: TextIO, line: str) -> None:
        clean = escaped(line)
        print(painted(clean) if self._is_coloured(stream) else clean, file=stream, flush=True)

    def _is_coloured(self, stream: TextIO) -> bool:
        """https://no-color.org: a NO_COLOR that is not empty."""
        plain = self.around.environment.get("NO_COLOR") or self.around.environment.get("TERM") == "dumb"
        return stream.isatty() and not plain


def without_nothing(values: Mapping[str, Any]) -> dict[str, Any]:
    """A request's body: what was not said is left to the controller's defaults."""
    return {name: value for name, value in values.items() if value is not None}


def joined(words: Sequence[str]) -> str:
    """A command line to show."""
    import shlex

    return shlex.join(words)
