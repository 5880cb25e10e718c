"""The controller's HTTP API over its Unix socket, with the standard library alone: it has to start in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from lastgood.errors import LastgoodError, Unavailable, UsageError
from lastgood.interfaces.cli.failure import from_json
from lastgood.settings import Places

LOOK_S = 10.0
MOVE_S = 20.0
DRAFT_S = 120.0
REHEARSE_S = 1800.0
"""Reading a large revision for the first time may take this long."""


class NotRunning(Unavailable):
    """There is no controller to ask."""


class NoAnswer(Unavailable):
    """There is a controller, or was a moment ago, and it did not answer in time."""


class Controller:
    """Asks the controller whose socket this is. Raises what it refuses with, ``NotRunning``, ``NoAnswer``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, path: str, timeout_s: float = LOOK_S, **query: str | int) -> dict[str, Any]:
        """``GET``: nothing changes, so that it may be asked again."""
        return self._ask("GET", path + ("?" + urlencode(query) if query else ""), None, timeout_s)

    def post(self, path: str, body: Mapping[str, Any], timeout_s: float = MOVE_S) -> dict[str, Any]:
        """``POST``: without an answer it may have been done all the same."""
        return self._ask("POST", path, json.dumps(dict(body)).encode(), timeout_s)

    def deployment(self, number: int) -> dict[str, Any]:
        """Everything that is known of a deployment."""
        return self.get(f"/v1/deployments/{quote(f'd{number}')}")

    def events(self, deployment: int, after: int = 0) -> Iterator[dict[str, Any]]:
        """The journal's events of a deployment, as they come, until the controller closes the stream."""
        from lastgood.interfaces.cli.unix_http import Connection

        with self._speaking(None):
            connection = Connection(str(self.path), None)
            connection.request("GET", f"/v1/events?after={after}&deployment={deployment}")
            answer = connection.getresponse()
            if answer.status != 200:
                _refuse(answer.status, answer.read())
            while line := answer.readline():
                yield json.loads(line)

    def _ask(self, method: str, path: str, body: bytes | None, timeout_s: float) -> dict[str, Any]:
        from lastgood.interfaces.cli.unix_http import Connection

        with self._speaking(timeout_s):
            connection = Connection(str(self.path), timeout_s)
            headers = {"content-type": "application/json"} if body is not None else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
        if answer.status != 200:
            _refuse(answer.status, content)
        found = _json(content)
        if not isinstance(found, dict):
            raise LastgoodError("the controller's answer makes no sense", where=path, next="lastgood logs controller")
        return found

    @contextmanager
    def _speaking(self, timeout_s: float | None) -> Iterator[None]:
        from lastgood.interfaces.cli.unix_http import HungUp

        try:
            yield
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning("no controller is running", where=str(self.path), next="lastgood up") from error
        except TimeoutError as error:
            what = f"the controller did not answer within {timeout_s:g} s; it may have done what it was asked"
            raise NoAnswer(what, where=str(self.path), next="lastgood status; lastgood logs controller") from error
        except (OSError, HungUp) as error:
            what = "the controller hung up before it had answered; it may have done what it was asked"
            raise NoAnswer(what, where=str(self.path), next="lastgood status; lastgood logs controller") from error


def find_controller(places: Places) -> Controller:
    """The controller of a project, running or not. Raises ``NotRunning`` where there never was one."""
    if not (places.state / "run").is_dir():
        raise NotRunning("no controller is running", where=str(places.state), next="lastgood up")
    from lastgood.bootstrap import api_socket

    try:
        return Controller(api_socket(places))
    except OSError as error:
        what = f"the state directory cannot be used: {error.strerror or error}"
        raise Unavailable(what, where=str(places.state), next="lastgood doctor") from error


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _refuse(status: int, content: bytes) -> None:
    raw = _json(content)
    if isinstance(raw, dict) and isinstance(raw.get("error"), dict):
        raise from_json(raw["error"])
    if status == 422 and isinstance(raw, dict):
        wrong = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in raw.get("detail", ())]
        raise UsageError("; ".join(wrong) or "the controller does not understand this", next="lastgood --help")
    raise LastgoodError(f"the controller failed (HTTP {status})", next="lastgood logs controller")
