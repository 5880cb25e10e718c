"""How a new version of a service takes over: blue-green, rolling or canary, with its checks and hooks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from lastgood.config.policies import Section, exactly_one, one_of
from lastgood.config.values import LABEL_PATTERN, Duration, Flag, HeaderName, Percent, Positive, SlashPath, Whole

KEEP_OLD_S = 1800.0
"""How long an old version stays warm unless something else is said, or the bake is longer."""


class Sign(Section):
    """A header by which a request asks for the new release; with a value it must be exactly that."""

    header: HeaderName
    value: str | None = Field(default=None, min_length=1, max_length=200, description="default: any value")


class Preview(Section):
    """How a request asks for the new release before any other gets it: by a header, by a host, or either."""

    header: HeaderName | None = Field(default=None, description="a header that asks for it")
    value: str | None = Field(
        default=None, min_length=1, max_length=200, description="what the header must be; default: any value"
    )
    host: Annotated[str, Field(pattern=LABEL_PATTERN)] | None = Field(
        default=None, description="`preview`: preview.shop.example is shop.example in the new release"
    )

    @model_validator(mode="after")
    def _some_way(self) -> Preview:
        if self.header is None and self.host is None:
            raise ValueError("a preview needs a header or a host by which it is asked for")
        if self.value is not None and self.header is None:
            raise ValueError("value is the value of a header: name the header too")
        return self


class BlueGreen(Section):
    """The new version at full capacity beside the old one, one switch."""

    keep_old_s: Duration | None = Field(
        default=None,
        alias="keep_old",
        description="how long the old version stays warm after the switch; default 30m, or the bake if it is longer",
    )
    preview_s: Duration = Field(
        default=0.0,
        alias="preview",
        description="how long the new version waits at full capacity before the switch, to be looked at",
    )


class Rolling(Section):
    """Instances are replaced in batches; each batch is observed healthy before the next."""

    batch: Whole = Field(default=1, ge=1, le=1000, description="instances replaced at once")
    max_surge: Whole | None = Field(
        default=None, ge=0, le=1000, description="instances beyond the wanted number; default: the batch"
    )
    max_unavailable: Whole = Field(default=0, ge=0, le=999, description="instances that may be missing meanwhile")

    @property
    def surge(self) -> int:
        """Instances there may be beyond the wanted number."""
        return self.batch if self.max_surge is None else self.max_surge


class Canary(Section):
    """A share of the requests first, more after each hold."""

    steps: tuple[Percent, ...] = Field(
        default=(5.0, 25.0, 50.0), min_length=1, max_length=50, description="shares of the requests, growing"
    )
    hold_s: Duration = Field(default=60.0, alias="hold", description="how long each share is held")
    shield: Flag = Field(
        default=False,
        description="requests that may be repeated and fail on the new version are answered by the old one",
    )
    sticky: Flag = Field(
        default=False,
        description="who met the new version stays with it, and who did not is asked again after a hold, by a cookie",
    )
    version_key: HeaderName | None = Field(
        default=None,
        description="a header: the same value has the same version at any share, and moves once; others are drawn",
    )
    by: Sign | None = Field(
        default=None, description="requests that go to the new version whatever the share, once there is one"
    )
    keep_old_s: Duration | None = Field(
        default=None,
        alias="keep_old",
        description="how long the old version stays warm after the last step; default 30m, or the bake if it is longer",
    )


class Strategy(Section):
    """How a new version takes over; one of these, blue_green where nothing is said."""

    blue_green: BlueGreen | None = None
    rolling: Rolling | None = None
    canary: Canary | None = None

    @model_validator(mode="after")
    def _one(self) -> Strategy:
        if self.model_fields_set:
            exactly_one(self, "blue_green", "rolling", "canary")
        return self

    @property
    def kept_old_s(self) -> float | None:
        """What is said about keeping the old version warm; a rolling update keeps none."""
        if self.rolling is not None:
            return 0.0
        return self.canary.keep_old_s if self.canary is not None else (self.blue_green or BlueGreen()).keep_old_s

    def keep_old_s(self, bake_s: float) -> float:
        """How long the old version stays warm after it was left, for a release that bakes so long."""
        said = self.kept_old_s
        return max(KEEP_OLD_S, bake_s) if said is None else said


class SmokeCheck(Section):
    """A request that every new version must answer before it gets any other."""

    path: SlashPath
    status: Whole = Field(default=200, ge=100, le=599)
    contains: str | None = Field(default=None, max_length=4096, description="text that the answer must contain")
    timeout_s: Positive = Field(default=5.0, alias="timeout")


class Hook(Section):
    """A command (argv, run in the version's folder) or a URL that gets a POST; exit code 0 or 2xx is a yes."""

    command: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(default=None, min_length=1)
    url: Annotated[str, Field(pattern=r"^https?://.+$")] | None = None
    timeout_s: Positive = Field(default=30.0, alias="timeout")

    _one = one_of("command", "url")


class Hooks(Section):
    """What is run, or asked, around a change of version."""

    before: Hook | None = Field(default=None, description="before the first instance starts; a no ends the deployment")
    confirm_promotion: Hook | None = Field(
        default=None, description="before each share of the requests; a no takes the release back"
    )
    on_rollback: Hook | None = Field(
        default=None, description="asked every few seconds while the release is held and bakes; a yes takes it back now"
    )
    after: Hook | None = Field(default=None, description="once its bake is over; a no is noted and changes nothing")
    undo: Hook | None = Field(
        default=None, description="when this version was left by a rollback: its own way to clean up"
    )


HOW_IT_MOVES = frozenset({"instances", "strategy", "depends_on", "smoke", "hooks"})
"""Settings of a service that say how it moves and not what runs: no part of a version's digest."""
