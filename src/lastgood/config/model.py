"""What a user may write in ``lastgood.yaml``: one class for each section.

The YAML keys are the field names, or the alias where the field carries its unit (``timeout`` is ``timeout_s``).
Everything is frozen and forbids unknown keys. Checks that need a second section live in ``check``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from lastgood.config.bake import Bake as Bake
from lastgood.config.bake import Objective as Objective
from lastgood.config.functions import Function as Function
from lastgood.config.policies import ApiKey as ApiKey
from lastgood.config.policies import Cors as Cors
from lastgood.config.policies import Ip as Ip
from lastgood.config.policies import Jwt as Jwt
from lastgood.config.policies import Policy as Policy
from lastgood.config.policies import RateLimit as RateLimit
from lastgood.config.policies import Section as Section
from lastgood.config.policies import one_of
from lastgood.config.strategies import BlueGreen as BlueGreen
from lastgood.config.strategies import Canary as Canary
from lastgood.config.strategies import Hook as Hook
from lastgood.config.strategies import Hooks as Hooks
from lastgood.config.strategies import Preview as Preview
from lastgood.config.strategies import Rolling as Rolling
from lastgood.config.strategies import Sign as Sign
from lastgood.config.strategies import SmokeCheck as SmokeCheck
from lastgood.config.strategies import Strategy as Strategy
from lastgood.config.values import (
    ENDPOINT_PATTERN,
    SQLITE_PATTERN,
    Duration,
    Flag,
    HeaderName,
    Hosts,
    Method,
    Name,
    Names,
    OrText,
    Percent,
    Port,
    Positive,
    SecretText,
    SlashPath,
    Texts,
    Whole,
)

# --- listeners -------------------------------------------------------------------------------------------------


class Tls(Section):
    """A certificate chain and its key, read from files and read again when they change."""

    cert: SlashPath = Field(description="absolute path of the PEM certificate chain")
    key: SecretText


class Listener(Section):
    """A port where requests arrive."""

    port: Port
    address: str = "127.0.0.1"
    tls: Tls | None = None
    use: Names = Field(default=(), description="policies of every route that names none of its own")


# --- routes ----------------------------------------------------------------------------------------------------


class TextMatch(Section):
    """How a header or query value must look; exactly one key."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None
    present: Flag | None = None

    _one_way = one_of("exact", "prefix", "regex", "present")


def _text_match(value: Any) -> Any:
    return {"exact": value} if isinstance(value, str) else value


Condition = Annotated[TextMatch, BeforeValidator(_text_match), OrText()]


class Match(Section):
    """Which requests: all that is named must hold. Paths match by whole segments and the longest wins.

    ``/a/b`` is exact, ``/a/*`` is ``/a`` and everything below it, ``/users/{id}`` takes one segment of any text.
    """

    host: Hosts = Field(default=("*",), description="shop.example, *.shop.example or *")
    path: SlashPath = "/*"
    methods: tuple[Method, ...] = ()
    headers: dict[HeaderName, Condition] = {}
    query: dict[str, Condition] = {}


class Weighted(Section):
    """A share of a route's requests."""

    to: Name
    weight: Whole = Field(ge=0, le=1_000_000)


class Redirect(Section):
    """Send the client elsewhere."""

    scheme: Literal["http", "https"] | None = None
    host: str | None = None
    port: Port | None = None
    path: SlashPath | None = None
    prefix: SlashPath | None = Field(default=None, description="in place of the path's fixed beginning")
    status: Literal[301, 302, 303, 307, 308] = 301


class Respond(Section):
    """Answer from the gateway itself."""

    status: Whole = Field(ge=200, le=599)
    body: str = Field(default="", max_length=4096)


class Rewrite(Section):
    """What the upstream sees in place of what the client sent."""

    prefix: SlashPath | None = Field(default=None, description="in place of the path's fixed beginning")
    path: SlashPath | None = Field(default=None, description="in place of the whole path")
    host: str | None = None


class HeaderChanges(Section):
    """Headers set (in place of what is there), added (beside it) and removed."""

    set: dict[HeaderName, str] = {}
    add: dict[HeaderName, str] = {}
    remove: tuple[HeaderName, ...] = ()


class Headers(Section):
    """Header changes on the way in and out."""

    request: HeaderChanges = HeaderChanges()
    response: HeaderChanges = HeaderChanges()


class Retries(Section):
    """When to try again, and how much of the traffic may be retries."""

    attempts: Whole = Field(default=1, ge=1, le=10)
    on: Texts = ("connect-failure", "refused-stream", "reset")
    per_try_timeout_s: Positive | None = Field(default=None, alias="per_try_timeout")
    methods: tuple[Method, ...] = Field(
        default=("GET", "HEAD", "OPTIONS"), description="only these are sent again; others may have taken effect"
    )


class Route(Section):
    """Where the requests that match go, and under which policies."""

    name: Name
    match: Match = Match()
    listeners: Names = Field(default=(), description="default: every listener")
    to: Name | tuple[Weighted, ...] | None = None
    redirect: Redirect | None = None
    respond: Respond | None = None
    use: Names | None = Field(default=None, description="policies; default: those of the listener")
    public: Flag = False
    rewrite: Rewrite = Rewrite()
    headers: Headers = Headers()
    timeout_s: Duration = Field(default=15.0, alias="timeout", description="0s: none")
    idle_timeout_s: Duration | None = Field(default=None, alias="idle_timeout")
    retries: Retries | None = None
    websocket: Flag = False
    guarded: Flag = Field(default=False, description="measured and judged on its own, not only among the others")

    _one_action = one_of("to", "redirect", "respond")

    @property
    def targets(self) -> tuple[tuple[str, int], ...]:
        """``(name, weight)`` of every upstream, service or function that gets requests."""
        if isinstance(self.to, str):
            return ((self.to, 100),)
        return tuple((share.to, share.weight) for share in self.to or ())


class Gateway(Section):
    """The gateway: where requests arrive, under which rules, and where they go."""

    listeners: dict[Name, Listener] = {}
    policies: dict[Name, Policy] = {}
    routes: tuple[Route, ...] = ()
    release_header: Flag = Field(default=False, description="answers carry x-lastgood-release")
    preview: Preview | None = Field(
        default=None, description="requests that see the new release as soon as it is loaded, before any other does"
    )


# --- targets ---------------------------------------------------------------------------------------------------


class Health(Section):
    """How to see that something is able to work."""

    path: SlashPath = "/healthz"
    interval_s: Positive = Field(default=1.0, alias="interval")
    timeout_s: Positive = Field(default=1.0, alias="timeout")
    healthy: Whole = Field(default=1, ge=1, le=100, description="successes in a row until it counts as healthy")
    unhealthy: Whole = Field(default=3, ge=1, le=100, description="failures in a row until it counts as unhealthy")


class RetryBudget(Section):
    """How much of an upstream's traffic may be retries."""

    percent: Percent = Field(default=20.0)
    minimum: Whole = Field(default=3, ge=0, description="retries at once that are always allowed")


class Upstream(Section):
    """Something that answers and that we do not run."""

    endpoints: tuple[Annotated[str, Field(pattern=ENDPOINT_PATTERN)], ...] = Field(
        min_length=1, description="HOST:PORT or unix:/PATH"
    )
    health: Health | None = None
    http2: Flag = False
    tls: Flag = Field(default=False, description="speak TLS to it")
    connect_timeout_s: Positive = Field(default=2.0, alias="connect_timeout")
    retry_budget: RetryBudget = RetryBudget()


class InstanceHealth(Health):
    """How to see that an instance is able to work: a GET that is answered with 2xx, or what is named instead."""

    tcp: Flag = Field(default=False, description="it is enough that it takes connections")
    command: tuple[str, ...] = Field(default=(), description="argv, run beside it with its PORT; exit code 0 is well")
    restart_after: Whole = Field(
        default=10,
        ge=0,
        le=1000,
        description="looks in a row without any answer after which an instance that was healthy is restarted; 0: never",
    )

    @model_validator(mode="after")
    def _one_way(self) -> InstanceHealth:
        if (self.tcp or self.command) and ("path" in self.model_fields_set or (self.tcp and self.command)):
            raise ValueError("one of path, tcp and command is needed, not several")
        if "tcp" in self.model_fields_set and not self.tcp:
            raise ValueError("`tcp: false` says nothing: take it out, and name a path or a command")
        return self


class Archive(Section):
    """Code that was packed elsewhere, known by its digest."""

    url: Annotated[str, Field(pattern=r"^(file:///|https?://).+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Service(Section):
    """Code that we run as processes."""

    source: str | None = Field(default=None, description="folder of the repository that holds the code")
    archive: Archive | None = Field(default=None, description="in place of source: .tar, .tar.gz, .tar.xz, .zip, .whl")
    build: tuple[str, ...] = Field(
        default=(), description="argv, run once in the folder with the code before it starts"
    )
    build_timeout_s: Positive = Field(default=600.0, alias="build_timeout")
    command: tuple[str, ...] = Field(min_length=1, description="argv; gets PORT in its environment")
    instances: Whole = Field(default=1, ge=1, le=1000)
    health: InstanceHealth = InstanceHealth()
    start_timeout_s: Positive = Field(
        default=300.0, alias="start_timeout", description="for its instances to be healthy; then the deployment fails"
    )
    environment: dict[str, str] = Field(
        default={}, description="NAME: text, or secret:NAME; PORT and LASTGOOD_... are set already"
    )
    drain_s: Duration = Field(default=10.0, alias="drain", description="between SIGTERM and SIGKILL")
    strategy: Strategy = Strategy()
    depends_on: Names = Field(default=(), description="services that have to be healthy before it starts")
    smoke: tuple[SmokeCheck, ...] = Field(default=(), description="asked of a new version before it gets requests")
    hooks: Hooks = Hooks()

    _one_origin = one_of("source", "archive")


class Database(Section):
    """A schema that moves with the release."""

    url: SecretText | Annotated[str, Field(pattern=SQLITE_PATTERN)]
    migrations: str = Field(description="folder of the repository that holds the migrations")
    previous_release: Literal["ignore", "try", "require"] = Field(
        default="ignore",
        description="`try`: a deployment tries the live release's services on the new schema, and the way back goes as"
        " far down as they need; `require`: it refuses, unless the migration says `-- lastgood:breaks WHY`",
    )
    keep_dropped: bool = Field(
        default=False, description="put aside what a migration drops, until `lastgood db finalize`"
    )


class Root(Section):
    """The whole file."""

    project: Name
    gateway: Gateway = Gateway()
    upstreams: dict[Name, Upstream] = {}
    services: dict[Name, Service] = {}
    functions: dict[Name, Function] = {}
    databases: dict[Name, Database] = {}
    bake: Bake = Bake()
