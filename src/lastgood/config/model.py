"""What a user may write in ``lastgood.yaml``: one class for each section.

The YAML keys are the field names, or the alias where the field carries its unit (``timeout`` is ``timeout_s``).
Everything is frozen and forbids unknown keys. Checks that need a second section live in ``check``.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(ms|s|m|h|d))")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: Any) -> float:
    """Seconds from ``"1h30m"``, ``"250ms"``, ``"2s"``; a bare number is refused because it has no unit."""
    if isinstance(value, str):
        text = value.strip()
        found = list(_DURATION.finditer(text))
        if found and "".join(match.group(0) for match in found) == text:
            return sum(float(match.group(1)) * _SECONDS[match.group(2)] for match in found)
    raise ValueError(f"a duration such as 2s, 250ms or 1h30m is needed, not {value!r}")


def parse_percent(value: Any) -> float:
    """A share between 0 and 100 from ``"5%"``."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?\s*%", value.strip()):
        number = float(value.strip().rstrip("%"))
        if number <= 100:
            return number
    raise ValueError(f"a percentage such as 5% is needed, not {value!r}")


def format_duration(seconds: float) -> str:
    """The inverse of :func:`parse_duration`: ``2.0`` is ``"2s"``, ``5400.0`` is ``"1h30m"``."""
    left_ms = round(seconds * 1000)
    parts = []
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left_ms = divmod(left_ms, size_ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _network(value: Any) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError(f"an address or network such as 10.0.0.0/8 is needed, not {value!r}") from None


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "examples": ["2s"]}),
]
Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    PlainSerializer(lambda share: f"{share:g}%", when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$", "examples": ["5%"]}),
]
Network = Annotated[str, BeforeValidator(_network)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$")]
Names = Annotated[tuple[Name, ...], BeforeValidator(_one_or_many)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
Port = Annotated[int, Field(ge=1, le=65535)]
SecretText = Annotated[str, Field(pattern=r"^(secret:[A-Za-z0-9_.-]+|env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$")]
"""Where a secret's value is found; the value itself is never part of a release."""
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"]


class Section(BaseModel):
    """What all sections have in common: frozen, strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _exactly_one(section: BaseModel, *fields: str) -> None:
    given = [name for name in fields if getattr(section, name) is not None]
    if len(given) != 1:
        raise ValueError(f"exactly one of {', '.join(fields)} is needed, found {', '.join(given) or 'none'}")


# --- listeners -------------------------------------------------------------------------------------------------


class Tls(Section):
    """A certificate chain and its key, read from files and read again when they change."""

    cert: str = Field(pattern=r"^/", description="absolute path of the PEM certificate chain")
    key: SecretText


class Listener(Section):
    """A port where requests arrive."""

    port: Port
    address: str = "127.0.0.1"
    tls: Tls | None = None
    use: Names = Field(default=(), description="policies of every route that names none of its own")


# --- policies --------------------------------------------------------------------------------------------------


class Jwt(Section):
    """A bearer token must be signed by a known key."""

    issuer: str
    audiences: Texts = ()
    jwks: str | dict[str, Any] = Field(description="keys inline ({keys: [...]}) or repo:PATH")
    header: HeaderName | None = Field(default=None, description="default: Authorization: Bearer")
    claims: dict[str, str | tuple[str, ...]] = Field(default={}, description="claim: value, or one of several")
    forward: dict[str, HeaderName] = Field(default={}, description="claim: request header that carries it upstream")
    clock_skew_s: Duration = Field(default=60.0, alias="clock_skew")


class ApiKey(Section):
    """A key must be one of the clients' keys."""

    header: HeaderName | None = None
    query: str | None = None
    cookie: str | None = None
    clients: dict[Name, SecretText] = Field(min_length=1)
    hide: bool = Field(default=True, description="take the key off before the request goes upstream")

    @model_validator(mode="after")
    def _one_place(self) -> ApiKey:
        _exactly_one(self, "header", "query", "cookie")
        return self


class Ip(Section):
    """Who may come, by address: denied first; with an allow list, everybody else is denied."""

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()

    @model_validator(mode="after")
    def _not_empty(self) -> Ip:
        if not self.allow and not self.deny:
            raise ValueError("allow or deny is needed")
        return self


class Cors(Section):
    """Which web pages may call."""

    origins: Texts = Field(min_length=1)
    methods: tuple[Method, ...] = ("GET", "HEAD", "POST")
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age_s: Duration = Field(default=600.0, alias="max_age")

    @model_validator(mode="after")
    def _no_credentials_for_everybody(self) -> Cors:
        if self.credentials and "*" in self.origins:
            raise ValueError("credentials cannot be allowed for origin *; name the origins")
        return self


class RateLimit(Section):
    """How many requests in how long: a token bucket that holds ``burst`` (default ``requests``) tokens."""

    requests: int = Field(ge=1, le=1_000_000)
    per: Literal["second", "minute", "hour", "day"] | Duration
    burst: int | None = Field(default=None, ge=1, le=1_000_000)
    key: str = Field(
        default="all",
        pattern=r"^(all|client_ip|api_client|header:[A-Za-z0-9!#$%&'*+.^_`|~-]+)$",
        description="whose requests share a bucket",
    )

    @property
    def per_s(self) -> float:
        """Length of the period in seconds."""
        names = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
        return names[self.per] if isinstance(self.per, str) else self.per


class Policy(Section):
    """One rule, named once and used by routes; exactly one kind."""

    jwt: Jwt | None = None
    api_key: ApiKey | None = None
    ip: Ip | None = None
    cors: Cors | None = None
    rate_limit: RateLimit | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Policy:
        _exactly_one(self, "jwt", "api_key", "ip", "cors", "rate_limit")
        return self

    @property
    def kind(self) -> str:
        """``jwt``, ``api_key``, ``ip``, ``cors`` or ``rate_limit``."""
        return next(kind for kind in ("jwt", "api_key", "ip", "cors", "rate_limit") if getattr(self, kind) is not None)

    @property
    def protects(self) -> bool:
        """Whether it decides who may come (security), as against how often or from which page."""
        return self.kind in ("jwt", "api_key", "ip")


# --- routes ----------------------------------------------------------------------------------------------------


class TextMatch(Section):
    """How a header or query value must look; exactly one key."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None
    present: bool | None = None

    @model_validator(mode="after")
    def _one_way(self) -> TextMatch:
        _exactly_one(self, "exact", "prefix", "regex", "present")
        return self


def _text_match(value: Any) -> Any:
    return {"exact": value} if isinstance(value, str) else value


Condition = Annotated[TextMatch, BeforeValidator(_text_match)]


class Match(Section):
    """Which requests: all that is named must hold. Paths match by whole segments and the longest wins.

    ``/a/b`` is exact, ``/a/*`` is ``/a`` and everything below it, ``/users/{id}`` takes one segment of any text.
    """

    host: Texts = Field(default=("*",), description="shop.example, *.shop.example or *")
    path: str = Field(default="/*", pattern=r"^/")
    methods: tuple[Method, ...] = ()
    headers: dict[HeaderName, Condition] = {}
    query: dict[str, Condition] = {}


class Weighted(Section):
    """A share of a route's requests."""

    to: Name
    weight: int = Field(ge=0, le=1_000_000)


class Redirect(Section):
    """Send the client elsewhere."""

    scheme: Literal["http", "https"] | None = None
    host: str | None = None
    port: Port | None = None
    path: str | None = Field(default=None, pattern=r"^/")
    prefix: str | None = Field(default=None, pattern=r"^/", description="in place of the path's fixed beginning")
    status: Literal[301, 302, 303, 307, 308] = 301


class Respond(Section):
    """Answer from the gateway itself."""

    status: int = Field(ge=200, le=599)
    body: str = Field(default="", max_length=4096)


class Rewrite(Section):
    """What the upstream sees in place of what the client sent."""

    prefix: str | None = Field(default=None, pattern=r"^/", description="in place of the path's fixed beginning")
    path: str | None = Field(default=None, pattern=r"^/", description="in place of the whole path")
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

    attempts: int = Field(default=1, ge=1, le=10)
    on: Texts = ("connect-failure", "refused-stream", "reset")
    per_try_timeout_s: Duration | None = Field(default=None, alias="per_try_timeout")
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
    public: bool = False
    rewrite: Rewrite = Rewrite()
    headers: Headers = Headers()
    timeout_s: Duration = Field(default=15.0, alias="timeout", description="0s: none")
    idle_timeout_s: Duration | None = Field(default=None, alias="idle_timeout")
    retries: Retries | None = None
    websocket: bool = False

    @model_validator(mode="after")
    def _one_action(self) -> Route:
        _exactly_one(self, "to", "redirect", "respond")
        return self

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
    release_header: bool = Field(default=False, description="answers carry x-lastgood-release")


# --- targets ---------------------------------------------------------------------------------------------------


class Health(Section):
    """How to see that something is able to work."""

    path: str = Field(default="/healthz", pattern=r"^/")
    interval_s: Duration = Field(default=1.0, alias="interval")
    timeout_s: Duration = Field(default=1.0, alias="timeout")
    healthy: int = Field(default=1, ge=1, le=100, description="successes in a row until it counts as healthy")
    unhealthy: int = Field(default=3, ge=1, le=100, description="failures in a row until it counts as unhealthy")


class RetryBudget(Section):
    """How much of an upstream's traffic may be retries."""

    percent: Percent = Field(default=20.0)
    minimum: int = Field(default=3, ge=0, description="retries at once that are always allowed")


class Upstream(Section):
    """Something that answers and that we do not run."""

    endpoints: tuple[Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$|^unix:/.+$")], ...] = (
        Field(min_length=1, description="HOST:PORT or unix:/PATH")
    )
    health: Health | None = None
    http2: bool = False
    tls: bool = Field(default=False, description="speak TLS to it")
    connect_timeout_s: Duration = Field(default=2.0, alias="connect_timeout")
    retry_budget: RetryBudget = RetryBudget()


class BlueGreen(Section):
    """The new version beside the old one, one switch."""

    keep_old_s: Duration = Field(default=1800.0, alias="keep_old", description="how long the old version stays warm")


class Strategy(Section):
    """How a new version takes over."""

    blue_green: BlueGreen = BlueGreen()


class Service(Section):
    """Code that we run as processes."""

    source: str = Field(description="folder of the repository that holds the code")
    command: tuple[str, ...] = Field(min_length=1, description="argv; gets PORT in its environment")
    instances: int = Field(default=1, ge=1, le=1000)
    health: Health = Health()
    environment: dict[str, str] = Field(default={}, description="NAME: text, or secret:NAME")
    drain_s: Duration = Field(default=10.0, alias="drain", description="between SIGTERM and SIGKILL")
    strategy: Strategy = Strategy()


class Database(Section):
    """A schema that moves with the release."""

    url: SecretText | Annotated[str, Field(pattern=r"^sqlite:///.+$")]
    migrations: str = Field(description="folder of the repository that holds the migrations")


class Bake(Section):
    """How a release earns its verdict."""

    for_s: Duration = Field(default=600.0, alias="for", description="a release without a veto for so long is good")


class Root(Section):
    """The whole file."""

    project: Name
    gateway: Gateway = Gateway()
    upstreams: dict[Name, Upstream] = {}
    services: dict[Name, Service] = {}
    databases: dict[Name, Database] = {}
    bake: Bake = Bake()
