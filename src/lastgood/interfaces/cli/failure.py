"""Errors as JSON and back: what the HTTP API sends and ``--json`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from lastgood.errors import ConfigError, Failed, LastgoodError, Problem


class Missed(Failed):
    """A deployment that ended, or halted, elsewhere; ``report`` is everything that is known of it."""

    def __init__(self, what: str, *, next: str, report: Mapping[str, Any]) -> None:
        super().__init__(what, next=next)
        self.report = dict(report)


def as_json(error: LastgoodError) -> dict[str, Any]:
    """``{"error": {...}}``, and the report of a deployment that went elsewhere."""
    described: dict[str, Any] = {
        "code": error.code,
        "exit_code": error.exit_code,
        "what": error.what,
        "where": error.where,
        "next": error.next,
    }
    if isinstance(error, ConfigError):
        described["problems"] = [
            {"file": p.file, "line": p.line, "what": p.what, "hint": p.hint, "severity": p.severity}
            for p in error.problems
        ]
    if isinstance(error, Missed):
        return {"error": described, "report": error.report}
    return {"error": described}


def from_json(raw: Mapping[str, Any]) -> LastgoodError:
    """The error that ``describe`` of the HTTP API wrote; one of an unknown code keeps its exit code."""
    code, what = str(raw.get("code", "failed")), str(raw.get("what", "it failed and did not say why"))
    if code == ConfigError.code:
        return ConfigError(tuple(_problem(one) for one in raw.get("problems", ())))
    kind = next((kind for kind in _kinds(LastgoodError) if kind.code == code), LastgoodError)
    error = kind(what, where=raw.get("where"), next=raw.get("next"))
    error.code, error.exit_code = code, int(raw.get("exit_code", kind.exit_code))
    return error


def _problem(raw: Mapping[str, Any]) -> Problem:
    severity: Literal["error", "warning"] = "warning" if raw.get("severity") == "warning" else "error"
    return Problem(str(raw["file"]), int(raw["line"]), str(raw["what"]), raw.get("hint"), severity)


def _kinds(kind: type[LastgoodError]) -> Iterator[type[LastgoodError]]:
    """The classes of ``errors.py`` whose constructor is the plain one, the general before the special."""
    yield kind
    for derived in kind.__subclasses__():
        if derived.__module__ == LastgoodError.__module__ and derived is not ConfigError:
            yield from _kinds(derived)
