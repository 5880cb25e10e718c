"""The HTTP API: the verbs of the command line, under ``/v1``, over the controller's Unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal, Protocol

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from lastgood.errors import (
    ConfigError,
    Conflict,
    Damaged,
    Failed,
    Fenced,
    LastgoodError,
    Refused,
    Unavailable,
    UsageError,
)
from lastgood.interfaces.http.alerts import AlertDoor, add_alerts
from lastgood.interfaces.http.events import Feed
from lastgood.interfaces.http.metrics import render_metrics
from lastgood.interfaces.http.traffic_metrics import told_of
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.drilling import DrillAsk
from lastgood.operations.rollback import RollbackAsk
from lastgood.operations.verbs import Verbs
from lastgood.ports import JournalFull

_STATUS = (
    (JournalFull, 507),
    (Fenced, 409),
    (UsageError, 400),
    (ConfigError, 422),
    (Refused, 403),
    (Conflict, 409),
    (Failed, 502),
    (Unavailable, 503),
)


class Body(BaseModel):
    """A request's body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class DeployBody(Body):
    """``POST /v1/deploy``."""

    revision: str = "HEAD"
    by: str = Field(default="api", max_length=200)
    why: str = Field(default="", max_length=2000)
    percent: float = Field(default=100.0, gt=0, le=100)
    confirm_within_s: float | None = Field(default=None, gt=0, le=30 * 86400)
    force: bool = False
    accept_loss: bool = False
    accept_blocked: bool = False
    basis: str | None = None


class RollbackBody(Body):
    """``POST /v1/rollback`` and ``POST /v1/plan/rollback``."""

    target: str | None = None
    only: str | None = Field(default=None, max_length=200)
    by: str = Field(default="api", max_length=200)
    why: str = Field(default="", max_length=2000)
    revert_commit: bool = True
    accept_loosening: bool = False
    with_schema: bool = False
    keep_schema: bool = False
    accept_loss: bool = False
    accept_blocked: bool = False
    basis: str | None = None


class PersonBody(Body):
    """The verbs that only need to know who asks."""

    by: str = Field(default="api", max_length=200)
    why: str = Field(default="", max_length=2000)


class PromoteBody(PersonBody):
    """``POST /v1/promote``; with ``full`` every hold that is still to come is ended, too."""

    full: bool = False


class ConfirmBody(Body):
    """``POST /v1/confirm``; with ``extend_s`` the deadline is set anew instead."""

    by: str = Field(default="api", max_length=200)
    extend_s: float | None = Field(default=None, gt=0, le=30 * 86400)


class MarkBody(PersonBody):
    """``POST /v1/mark``."""

    release: str
    verdict: Literal["good", "bad"]


class TagBody(Body):
    """``POST /v1/tag``; without a release the name is taken away."""

    name: str
    release: str | None = None


class RevisionBody(Body):
    """``POST /v1/check`` and ``POST /v1/plan/deploy``."""

    revision: str = "HEAD"


class DrillBody(PersonBody):
    """``POST /v1/drill``."""

    accept_loosening: bool = False


class RehearseBody(RevisionBody):
    """``POST /v1/rehearse``; ``live`` is a revision, too. ``quick``: nothing is started or shown to a proxy."""

    quick: bool = False


class Looks(Protocol):
    """What is looked up on the controller's machine. Blocks."""

    def logs(self, who: str, lines: int) -> dict[str, Any]:
        """The last lines of a log, secrets taken out; raises ``UsageError`` naming those there are."""
        ...

    def doctor(self) -> dict[str, Any]:
        """Everything that the way back depends on."""
        ...


class Control:
    """What the API needs beyond the verbs: the feed of events, and what the controller itself can be asked to do."""

    def __init__(
        self,
        feed: Feed,
        *,
        stop: Callable[[], None],
        refresh: Callable[[], Any],
        about: Callable[[], dict[str, Any]],
        door: AlertDoor | None = None,
        look: Looks | None = None,
    ) -> None:
        self.feed, self.stop, self.refresh, self.about, self.door = feed, stop, refresh, about, door
        self.look = look


def make_app(verbs: Verbs, control: Control) -> FastAPI:
    """The application; it has no state of its own."""
    app = FastAPI(title="Lastgood", version="1", docs_url=None, redoc_url=None)
    app.add_exception_handler(LastgoodError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_body)
    app.add_exception_handler(404, _nothing_there)
    app.add_exception_handler(405, _nothing_there)
    _add_moves(app, verbs)
    _add_looks(app, verbs, control)
    _add_control(app, verbs, control)
    if control.door is not None:
        add_alerts(app, verbs, control.door)
    return app


def _add_moves(app: FastAPI, verbs: Verbs) -> None:
    @app.post("/v1/deploy", summary="Begin to deploy a revision")
    async def deploy(body: DeployBody) -> dict[str, Any]:
        ask = DeployAsk(**body.model_dump(exclude={"revision"}))
        return await verbs.deploy(body.revision, ask)

    @app.post("/v1/rollback", summary="Begin the way back")
    async def rollback(body: RollbackBody) -> dict[str, Any]:
        return await verbs.rollback(_rollback_ask(body))

    @app.post("/v1/drill", summary="Go back and forward again, for practice")
    async def drill(body: DrillBody) -> dict[str, Any]:
        return await verbs.drill(DrillAsk(**body.model_dump()))

    @app.post("/v1/confirm", summary="Confirm a deployment, or extend its deadline")
    async def confirm(body: ConfirmBody) -> dict[str, Any]:
        return await verbs.confirm(body.by, body.extend_s)

    @app.post("/v1/promote", summary="End a hold")
    async def promote(body: PromoteBody) -> dict[str, Any]:
        return await verbs.promote(body.by, full=body.full)

    @app.post("/v1/pause", summary="Begin no further step forward")
    async def pause(body: PersonBody) -> dict[str, Any]:
        return await verbs.pause(body.by)

    @app.post("/v1/resume", summary="Go on after a pause")
    async def resume(body: PersonBody) -> dict[str, Any]:
        return await verbs.resume(body.by)

    @app.post("/v1/abort", summary="Take the active deployment back")
    async def abort(body: PersonBody) -> dict[str, Any]:
        return await verbs.abort(body.by, body.why)

    @app.post("/v1/retry", summary="Go on after a halt, or deploy again what went back")
    async def retry(body: PersonBody) -> dict[str, Any]:
        return await verbs.retry(body.by)

    @app.post("/v1/mark", summary="A person's verdict on a release")
    async def mark(body: MarkBody) -> dict[str, Any]:
        return await verbs.mark(body.release, body.verdict, body.by, body.why)

    @app.post("/v1/tag", summary="Name a release")
    async def tag(body: TagBody) -> dict[str, Any]:
        return await verbs.tag(body.name, body.release)


def _add_looks(app: FastAPI, verbs: Verbs, control: Control) -> None:
    @app.get("/v1/status", summary="What is live and what is under way")
    async def status() -> dict[str, Any]:
        await verbs.loop.freshen()
        return {**verbs.status(), "controller": control.about()}

    @app.get("/v1/history", summary="Releases and deployments")
    async def history(limit: Annotated[int, Query(ge=1)] = 20) -> dict[str, Any]:
        return verbs.history(min(limit, 1000))

    @app.get("/v1/diff", summary="What changes between two releases or revisions")
    async def diff(old: str, new: str) -> dict[str, Any]:
        return await asyncio.to_thread(verbs.diff, old, new)

    @app.get("/v1/deployments/{name}", summary="Everything about one deployment")
    async def report(name: str) -> dict[str, Any]:
        return verbs.report(name)

    @app.get("/v1/verdict/{name}", summary="A verdict, judged again from what was measured")
    async def verdict(name: str) -> dict[str, Any]:
        return await asyncio.to_thread(verbs.verdict, name)

    @app.post("/v1/check", summary="Check a revision")
    async def check(body: RevisionBody) -> dict[str, Any]:
        return await verbs.check(body.revision)

    @app.post("/v1/plan/deploy", summary="What a deployment would do")
    async def plan_deploy(body: RevisionBody) -> dict[str, Any]:
        return await verbs.plan_deploy(body.revision)

    @app.post("/v1/rehearse", summary="Prove the way back from a revision; no request is affected")
    async def rehearse(body: RehearseBody) -> dict[str, Any]:
        return await verbs.rehearse(body.revision, quick=body.quick)

    @app.post("/v1/plan/rollback", summary="What a rollback would do")
    async def plan_rollback(body: RollbackBody) -> dict[str, Any]:
        return await verbs.plan_rollback(_rollback_ask(body))


def _add_control(app: FastAPI, verbs: Verbs, control: Control) -> None:
    @app.get("/v1/events", summary="The journal's tail, one JSON object a line")
    async def events(after: int = 0, deployment: int | None = None) -> StreamingResponse:
        async def lines() -> AsyncIterator[bytes]:
            async for event in control.feed.follow(after, deployment):
                yield json.dumps(event).encode() + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    if (look := control.look) is not None:

        @app.get("/v1/logs/{who}", summary="The last lines of a log")
        async def logs(who: str, lines: Annotated[int, Query(ge=0, le=100_000)] = 50) -> dict[str, Any]:
            return await asyncio.to_thread(look.logs, who, lines)

        @app.get("/v1/doctor", summary="Examine what the way back depends on")
        async def doctor() -> dict[str, Any]:
            return await asyncio.to_thread(look.doctor)

    @app.post("/v1/refresh", summary="Read secrets and certificates again")
    async def refresh() -> dict[str, Any]:
        await control.refresh()
        return {}

    @app.post("/v1/stop", summary="Stop the controller; traffic goes on")
    async def stop() -> dict[str, Any]:
        control.stop()
        return {}

    @app.get("/metrics", summary="For Prometheus")
    async def metrics() -> PlainTextResponse:
        wanted = told_of(verbs.loop.state)
        readings = await verbs.measurements.read(wanted) if verbs.measurements is not None else {}
        text = render_metrics(verbs.loop.view(), verbs.proxies(), verbs.loop.unjournaled, readings)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _rollback_ask(body: RollbackBody) -> RollbackAsk:
    return RollbackAsk(**body.model_dump())


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LastgoodError)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if isinstance(error, Damaged):
        status = 503
    return JSONResponse({"error": describe(error)}, status)


async def _nothing_there(request: Request, error: Exception) -> JSONResponse:
    what = f"there is no {request.method} {request.url.path}"[:200]
    status = getattr(error, "status_code", 404)
    return JSONResponse({"error": describe(UsageError(what, next="GET /openapi.json says what there is"))}, status)


async def _refuse_body(request: Request, error: Exception) -> JSONResponse:
    """What does not fit, without repeating it: it may be what JSON cannot write, or a secret in the wrong place."""
    assert isinstance(error, RequestValidationError)
    named = ((".".join(str(part) for part in one["loc"][1:]) or str(one["loc"][0]), one) for one in error.errors())
    found = "; ".join(f"{where}: {one['msg']}" for where, one in named)
    refusal = UsageError(found or "the request does not fit", next="GET /openapi.json says what does")
    return JSONResponse({"error": describe(refusal)}, 422)


def describe(error: LastgoodError) -> dict[str, Any]:
    """An error as JSON; :func:`lastgood.interfaces.cli.client.raise_error` is the inverse."""
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
    return described
