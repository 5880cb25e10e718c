"""What a user may write under ``gateway.policies``: rules, named once and used by routes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from lastgood.config.values import (
    LIMIT_KEY_PATTERN,
    Duration,
    Flag,
    HeaderName,
    Method,
    Name,
    Network,
    Positive,
    SecretText,
    Texts,
    Whole,
)


class Section(BaseModel):
    """What all sections have in common: frozen, strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def exactly_one(section: BaseModel, *fields: str) -> None:
    """Raise ``ValueError`` unless just one of the fields is given."""
    given = [name for name in fields if getattr(section, name) is not None]
    if len(given) != 1:
        raise ValueError(f"exactly one of {', '.join(fields)} is needed, found {', '.join(given) or 'none'}")


def one_of(*fields: str) -> Any:
    """A validator of a section: just one of the fields is given. It is told beside what is wrong inside of them."""

    def check(kind: type[BaseModel], value: Any, handler: ModelWrapValidatorHandler[BaseModel]) -> BaseModel:
        own = _not_one(value, fields) if isinstance(value, dict) else None
        try:
            made = handler(value)
        except ValidationError as error:
            if own is None or (not _given(value, fields) and _has_unknown_key(error)):  # misspelt, most likely
                raise
            raise ValidationError.from_exception_data(kind.__name__, [own, *_again(error)]) from None
        if own is not None:
            raise ValidationError.from_exception_data(kind.__name__, [own])
        return made

    made: Any = classmethod(check)
    return model_validator(mode="wrap")(made)


def _given(value: dict[str, Any], fields: tuple[str, ...]) -> list[str]:
    return [name for name in fields if value.get(name) is not None]


def _has_unknown_key(error: ValidationError) -> bool:
    return any(one["type"] == "extra_forbidden" and len(one["loc"]) == 1 for one in error.errors(include_url=False))


def _not_one(value: dict[str, Any], fields: tuple[str, ...]) -> InitErrorDetails | None:
    given = _given(value, fields)
    if len(given) == 1:
        return None
    what = ValueError(f"exactly one of {', '.join(fields)} is needed, found {', '.join(given) or 'none'}")
    return InitErrorDetails(type="value_error", loc=(), input=value, ctx={"error": what})


def _again(error: ValidationError) -> Iterator[InitErrorDetails]:
    for one in error.errors(include_url=False):
        yield InitErrorDetails(type=one["type"], loc=one["loc"], input=one["input"], ctx=one.get("ctx", {}))


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
    hide: Flag = Field(default=True, description="take the key off before the request goes upstream")

    _one_place = one_of("header", "query", "cookie")


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
    credentials: Flag = False
    max_age_s: Duration = Field(default=600.0, alias="max_age")

    @model_validator(mode="after")
    def _no_credentials_for_everybody(self) -> Cors:
        if self.credentials and "*" in self.origins:
            raise ValueError("credentials cannot be allowed for origin *; name the origins")
        return self


class RateLimit(Section):
    """How many requests in how long: a token bucket that holds ``burst`` (default ``requests``) tokens."""

    requests: Whole = Field(ge=1, le=1_000_000)
    per: Literal["second", "minute", "hour", "day"] | Positive
    burst: Whole | None = Field(default=None, ge=1, le=1_000_000)
    key: str = Field(
        default="all",
        pattern=LIMIT_KEY_PATTERN,
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

    _one_kind = one_of("jwt", "api_key", "ip", "cors", "rate_limit")

    @property
    def kind(self) -> str:
        """``jwt``, ``api_key``, ``ip``, ``cors`` or ``rate_limit``."""
        return next(kind for kind in ("jwt", "api_key", "ip", "cors", "rate_limit") if getattr(self, kind) is not None)

    @property
    def protects(self) -> bool:
        """Whether it decides who may come (security), as against how often or from which page."""
        return self.kind in ("jwt", "api_key", "ip")
