"""Asks URLs, Prometheus and commands: bounded in time and size, without following redirects."""

from __future__ import annotations

import asyncio
import json
import math
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from lastgood.config.bake import Check, PrometheusQuery
from lastgood.effects.commands import plain_environment, run
from lastgood.effects.own_thread import on_own_thread
from lastgood.ports import Checked

LARGEST_BYTES = 1024 * 1024
TOLD_CHARACTERS = 200


class OutsideChecks:
    """``ports.Checks``: over HTTP, each on a thread of its own; commands as processes in ``folder``."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    async def ask(self, check: Check, release: str) -> Checked:
        """See ``ports.Checks``."""
        if check.command is not None:
            return await self._run(check.command, check.timeout_s, release)
        try:
            async with asyncio.timeout(check.timeout_s + 1.0):
                return await on_own_thread(lambda: _ask(check))
        except TimeoutError:
            return Checked(None, f"no answer within {check.timeout_s:g} s")

    async def _run(self, argv: tuple[str, ...], timeout_s: float, release: str) -> Checked:
        environment = plain_environment(LASTGOOD_RELEASE=release)
        try:
            code, said = await run(argv, timeout_s=timeout_s, environment=environment, folder=self._folder)
        except (OSError, ValueError) as error:
            return Checked(None, f"{argv[0]} cannot start ({getattr(error, 'strerror', error)})")
        if code is None:
            return Checked(None, f"no answer within {timeout_s:g} s")
        last = said.splitlines()[-1][:TOLD_CHARACTERS] if said else ""
        return Checked(code == 0, f"ended with {code}" + (f": {last}" if last else ""))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        """A redirect is an answer like any other, and no 2xx."""


_OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def _ask(check: Check) -> Checked:
    if check.prometheus is None:
        assert check.url is not None
        status, _, why = _get(check.url, check.timeout_s)
        if status is None:
            return Checked(False, why)
        return Checked(200 <= status < 300, f"answered with {status}")
    query = check.prometheus
    status, body, why = _get(
        f"{query.url.rstrip('/')}/api/v1/query?{urlencode({'query': query.query})}", check.timeout_s
    )
    if status != 200:
        return Checked(None, why or f"Prometheus answered with {status}")
    return judge_samples(body, query)


def _get(url: str, timeout_s: float) -> tuple[int | None, bytes, str]:
    """Status, body, and why there is no status."""
    try:
        with _OPENER.open(urllib.request.Request(url), timeout=timeout_s) as answer:  # noqa: S310 http(s) by the model
            return answer.status, answer.read(LARGEST_BYTES), ""
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, b"", ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return None, b"", f"no answer ({reason or type(error).__name__})"


def judge_samples(body: bytes, query: PrometheusQuery) -> Checked:
    """Whether every sample is inside. No sample, or one that is no number, says nothing."""
    try:
        data = json.loads(body)["data"]
        pairs = (
            [data["result"]] if data["resultType"] in ("scalar", "string") else [one["value"] for one in data["result"]]
        )
        values = [float(pair[1]) for pair in pairs]
    except (ValueError, KeyError, TypeError, IndexError):
        return Checked(None, "the answer is none of Prometheus's")
    if not values or any(math.isnan(value) for value in values):
        return Checked(None, "the query has no number")
    worst = max(values) if query.below is not None else min(values)
    limit = query.below if query.below is not None else query.above
    assert limit is not None
    well = worst < limit if query.below is not None else worst > limit
    side = "below" if query.below is not None else "above"
    return Checked(well, f"{worst:g}, to be {side} {limit:g}")
