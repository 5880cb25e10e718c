"""What may be asked of the supervisor: one JSON object on a line, one answered on a line.

``{"op": "start", "spec": {...}}``, ``stop`` (``key``, ``grace_s`` or null), ``restart`` (``key``,
``pid``), ``list`` (``key``: only that one),
``ping``, ``shutdown`` (``keep``). An ``epoch`` in a request that changes something is compared with the highest one
seen: a controller that was frozen and comes back after another one took over is refused (``fenced``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from lastgood.effects.processes.entry import Reply
from lastgood.effects.processes.keeper import Keeper
from lastgood.effects.processes.records import BadSpec, check_grace, check_key, replace_file, spec_from_json

PROTOCOL = 1


class Requests:
    """Answers lines. ``leave`` is called after the answer to ``shutdown``."""

    def __init__(self, keeper: Keeper, leave: Callable[[], None]) -> None:
        self._keeper = keeper
        self._leave = leave
        self._leaving = False
        self._epoch = _read_epoch(keeper.run.epoch_path)

    def handle(self, line: bytes, reply: Reply) -> None:
        """Answer a line, perhaps later; never raises for what is in it, and quotes nothing of it."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise BadSpec("a request is a JSON object")
            self._dispatch(request, reply)
        except BadSpec as error:
            reply({"ok": False, "error": "bad-request", "message": str(error)})
        except (ValueError, KeyError, TypeError, RecursionError):
            reply({"ok": False, "error": "bad-request", "message": "not a request that this supervisor knows"})

    def _dispatch(self, request: dict[str, Any], reply: Reply) -> None:
        operation = request["op"]
        if operation == "ping":
            reply({"ok": True, "pid": os.getpid(), "protocol": PROTOCOL, "epoch": self._epoch})
        elif operation == "list":
            reply({"ok": True, "processes": self._keeper.states(request.get("key"))})
        elif operation not in ("start", "stop", "restart", "shutdown"):
            raise BadSpec("op is start, stop, restart, list, ping or shutdown")
        elif self._passes_fence(request.get("epoch", 0), reply):
            self._change(operation, request, reply)

    def _change(self, operation: str, request: dict[str, Any], reply: Reply) -> None:
        if operation == "start":
            if self._leaving:
                reply({"ok": False, "error": "leaving", "message": "everything is being stopped"})
            else:
                self._keeper.start(spec_from_json(request["spec"]), reply)
        elif operation == "stop":
            check_key(request["key"])
            grace_s = request.get("grace_s")
            if grace_s is not None:
                check_grace(grace_s)
            self._keeper.stop(request["key"], grace_s, reply)
        elif operation == "restart":
            check_key(request["key"])
            if not isinstance(request["pid"], int) or isinstance(request["pid"], bool):
                raise BadSpec("pid is a whole number")
            self._keeper.restart(request["key"], request["pid"], reply)
        else:
            if not isinstance(request["keep"], bool):
                raise BadSpec("keep is true or false")
            self._shut_down(request["keep"], reply)

    def _passes_fence(self, epoch: Any, reply: Reply) -> bool:
        if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 0:
            raise BadSpec("epoch is a whole number")
        if 0 < epoch < self._epoch:
            reply({"ok": False, "error": "fenced", "message": f"epoch {epoch} was replaced by {self._epoch}"})
            return False
        if epoch > self._epoch:
            self._epoch = epoch
            try:
                replace_file(self._keeper.run.epoch_path, f"{epoch}\n".encode())
            except OSError as error:
                self._keeper.say(f"cannot save the epoch: {error.strerror}")
        return True

    def _shut_down(self, keep: bool, reply: Reply) -> None:
        self._leaving = True
        keys = [] if keep else list(self._keeper.entries)
        left = set(keys)

        def leave(answer: dict[str, Any]) -> None:
            reply(answer)
            self._leave()

        def stopped(key: str, answer: dict[str, Any]) -> None:
            left.discard(key)
            if not answer["ok"]:
                self._leaving = False
                reply(answer)  # it goes on watching what cannot be ended
            elif not left and self._leaving:
                leave({"ok": True})

        if not keys:
            leave({"ok": True})
        for key in keys:
            self._keeper.stop(key, None, lambda answer, key=key: stopped(key, answer))  # type: ignore[misc]


def _read_epoch(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0
