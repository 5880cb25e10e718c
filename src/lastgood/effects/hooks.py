"""Hooks of services and functions (``hook:NAME``) as the engine moves them: a command in its folder, or a URL.

What a hook is comes from the configuration of the release the step names, so that a rollback runs the hooks of the
version that is left and never those of another. The steps are described in ``release.strategies.hooks``.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lastgood.config.configuration import Configuration
from lastgood.config.model import Hook
from lastgood.effects.hook_output import TOLD_CHARACTERS, HookOutput
from lastgood.effects.instances.launch import Launch
from lastgood.effects.own_thread import on_own_thread
from lastgood.effects.processes.identity import MARKER
from lastgood.effects.processes.marked import end_all
from lastgood.errors import Failed, LastgoodError, Unavailable
from lastgood.release.observed import Fact
from lastgood.release.step import Step

LAST_WORDS_S = 1.0
"""How long the end of a hook's output is waited for after the hook itself has ended."""
LaunchFor = Callable[[str, int], Launch]
"""``(service, release)`` to the folder and environment of its version. Blocks."""


class HookDriver:
    """Runs and asks hooks. A command gets the environment of its service and what the hook is about."""

    def __init__(
        self,
        configuration_of: Callable[[int], Configuration],
        launch_for: LaunchFor,
        logs: Path,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._configuration_of = configuration_of
        self._launch_for = launch_for
        self._logs = logs
        self._redact = redact

    async def observe(self) -> Sequence[Fact]:
        """Nothing: no plan depends on what a hook once said."""
        return ()

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """``run``: once, a no is a failure. ``watch``: again and again, the first yes is one; cancelled to end it."""
        name, release = step.part.partition(":")[2], int(step.args["release"])
        hook = await self._hook(name, release, str(step.args["hook"]))
        told = {"service": name, "hook": str(step.args["hook"]), "release": f"r{release}", "step": key}
        if hook.command is not None:  # the controller before this one may have died while it ran
            await on_own_thread(lambda: end_all(self._marker(told)))
        if step.verb == "run":
            yes, answer = await self._ask(hook, name, release, told)
            if not yes:
                raise Failed(f"the hook {told['hook']} of {name} says no: {answer}", next="lastgood logs hook:" + name)
            return {"answer": answer}
        while True:
            try:
                yes, answer = await self._ask(hook, name, release, told)
            except LastgoodError:
                yes, answer = False, ""  # who cannot be asked has not said that it has to go back
            if yes:
                raise Failed(f"the hook {told['hook']} of {name} says that it has to go back: {answer}")
            await asyncio.sleep(float(step.args["every_s"]))

    def _marker(self, told: Mapping[str, str]) -> str:
        return f"hook:{self._logs}:{told['service']}:{told['hook']}"

    async def _hook(self, name: str, release: int, which: str) -> Hook:
        configuration = await asyncio.to_thread(self._configuration_of, release)
        service = configuration.services.get(name) or configuration.functions.get(name)
        hook = getattr(service.hooks, which, None) if service else None
        if not isinstance(hook, Hook):
            raise Unavailable(f"r{release} has no hook {which} of {name}", next="lastgood doctor")
        return hook

    async def _ask(self, hook: Hook, name: str, release: int, told: Mapping[str, str]) -> tuple[bool, str]:
        if hook.url is not None:
            yes, answer = await _post(hook.url, told, hook.timeout_s)
            return yes, self._redact(answer)[-TOLD_CHARACTERS:].strip()
        assert hook.command is not None
        return await self._run(hook.command, name, release, told, hook.timeout_s)

    async def _run(
        self, argv: tuple[str, ...], name: str, release: int, told: Mapping[str, str], timeout_s: float
    ) -> tuple[bool, str]:
        launch = await asyncio.to_thread(self._launch_for, name, release)
        environment = {f"LASTGOOD_{key.upper()}": value for key, value in told.items()}
        log, marker = self._logs / f"{name}.log", self._marker(told)
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with log.open("ab") as out:
            out.write(self._redact(f"$ {' '.join(argv)} ({told['step']})\n").encode())
            out.flush()
            output = HookOutput(out, self._redact)
            try:
                with output.pipe() as end:
                    process = await asyncio.create_subprocess_exec(
                        *argv,
                        cwd=launch.folder,
                        env={**launch.env, **launch.secret_env, **environment, MARKER: marker},
                        stdin=asyncio.subprocess.DEVNULL,
                        stdout=end,
                        stderr=end,
                        start_new_session=True,
                    )
            except OSError as error:
                output.close()
                raise Unavailable(f"the hook cannot start: {argv[0]}: {error.strerror}", where=str(log)) from None
            code = await _wait(process, output, marker, timeout_s)
        if code is None:
            return False, f"no answer within {timeout_s:g} s {output.told}".strip()
        return code == 0, output.told if code == 0 else f"exit code {code} {output.told}"


async def _wait(process: asyncio.subprocess.Process, output: HookOutput, marker: str, timeout_s: float) -> int | None:
    """Its exit code; None when it took too long. It is ended with all it started in any case."""
    reading = asyncio.create_task(output.read())
    try:
        async with asyncio.timeout(timeout_s):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if process.returncode is None:
            await asyncio.shield(process.wait())
        # Who left its process group would live on, and hold the pipe open.
        await asyncio.shield(on_own_thread(lambda: end_all(marker)))
        await asyncio.wait([reading], timeout=LAST_WORDS_S)
        reading.cancel()
        output.close()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        """A redirect is no yes: behind it may lie a page to log in, with 200."""


_OPENER = urllib.request.build_opener(_NoRedirect)


async def _post(url: str, told: Mapping[str, str], timeout_s: float) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(timeout_s):
            return await on_own_thread(lambda: _posted(url, told, timeout_s))
    except TimeoutError:
        return False, f"no answer within {timeout_s:g} s"


def _posted(url: str, told: Mapping[str, str], timeout_s: float) -> tuple[bool, str]:
    request = urllib.request.Request(  # noqa: S310 the configuration admits http(s): only
        url, json.dumps(dict(told)).encode(), {"content-type": "application/json"}, method="POST"
    )
    try:
        with _OPENER.open(request, timeout=timeout_s) as answer:
            text = answer.read(4096).decode("utf-8", "replace")
            return 200 <= answer.status < 300, f"{answer.status} {text}"
    except urllib.error.HTTPError as error:
        return False, f"{error.code} {error.read(4096).decode('utf-8', 'replace')}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return False, f"no answer: {getattr(error, 'reason', error)}"
