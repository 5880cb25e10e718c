"""What may be said of a function: how it runs, its limits, and how a new version takes over."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lastgood.config.crons import Cron
from lastgood.config.policies import Section
from lastgood.config.strategies import Hooks, SmokeCheck, Strategy
from lastgood.config.values import Duration, Names, Positive, Whole

APP_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.]*(:[A-Za-z_][A-Za-z0-9_.]*)?$"


class Function(Section):
    """Code that runs only while somebody asks: started by its first request, gone when it was idle for long enough."""

    source: str = Field(description="folder of the repository that holds the code")
    runtime: Literal["python", "worker"] = "python"
    app: Annotated[str, Field(pattern=APP_PATTERN)] = Field(
        default="main:app", description="python: MODULE:NAME of an ASGI or WSGI application or a Lambda-style handler"
    )
    interface: Literal["auto", "asgi", "wsgi", "lambda"] = "auto"
    environment: dict[str, str] = Field(
        default={}, description="NAME: text, or secret:NAME; PORT and LASTGOOD_... are set already"
    )
    timeout_s: Positive = Field(
        default=30.0,
        alias="timeout",
        description="for one answer, waiting included; a Worker's once it, `concurrency` or `body_mb` is said",
    )
    start_s: Positive = Field(default=30.0, alias="start", description="for the process to be ready")
    idle_s: Duration = Field(
        default=600.0, alias="idle", description="without a request until its process ends; 0s: never"
    )
    concurrency: Whole = Field(default=100, ge=1, le=10_000, description="requests at once; others wait their turn")
    memory_mb: Whole = Field(default=512, ge=32, le=65_536, description="megabytes of its process")
    body_mb: Whole = Field(default=64, ge=1, le=4096, description="megabytes that the body of a request may have")
    drain_s: Duration = Field(default=10.0, alias="drain", description="between SIGTERM and SIGKILL")
    build_timeout_s: Positive = Field(default=600.0, alias="build_timeout")
    keep_versions: Whole = Field(
        default=100,
        ge=1,
        le=10_000,
        description="versions to which one may go back; those with a tag, or awake, beyond",
    )
    strategy: Strategy = Field(default=Strategy(), description="blue_green: all at once; canary: gradually")
    crons: tuple[Cron, ...] = Field(
        default=(),
        max_length=100,
        description="python: when it is asked by itself; a Worker's stand in its wrangler file",
    )
    smoke: tuple[SmokeCheck, ...] = Field(default=(), description="asked of a new version before it gets requests")
    hooks: Hooks = Hooks()

    @model_validator(mode="after")
    def _moves_as_functions_do(self) -> Function:
        if self.strategy.rolling is not None:
            raise ValueError("a function has one process: it moves by blue_green or canary, not rolling")
        if self.crons and self.runtime == "worker":
            raise ValueError("the crons of a Worker stand in its wrangler file: triggers.crons")
        return self

    @property
    def limited(self) -> bool:
        """Whether one of its limits is said: only then something stands in front of a Worker, which costs time."""
        return bool(self.model_fields_set & LIMITS)

    @property
    def depends_on(self) -> Names:
        """Functions wait for nobody."""
        return ()


LIMITS = frozenset({"timeout_s", "concurrency", "body_mb"})
"""Those that a Worker has once one of them is said; a Python function always has all three."""
ORIGIN_OF_FUNCTION = frozenset({"source", "build_timeout_s", "drain_s", "keep_versions"})
"""Settings that say where the code was found, how it leaves or how long it is kept: no part of a version's digest."""
