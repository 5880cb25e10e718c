"""How an instance of one version is started, and where its output goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lastgood.config.model import Health, SmokeCheck
from lastgood.ports import ProcessSpec

_TOLD_BYTES = 8192


@dataclass(frozen=True)
class Launch:
    """How an instance of one version is started and seen to be healthy. It gets ``PORT`` in its environment."""

    argv: tuple[str, ...]
    folder: Path
    logs: Path
    health: Health = field(default_factory=Health)
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    grace_s: float = 10.0
    smoke: tuple[SmokeCheck, ...] = ()

    def spec(self, name: str, digest: str, port: int) -> ProcessSpec:
        """The process at a port."""
        return ProcessSpec(
            f"{name}@{digest}.{port}",
            self.argv,
            str(self.log(name, digest)),
            "instance",
            {**self.env, "PORT": str(port)},
            self.secret_env,
            str(self.folder),
            grace_s=self.grace_s,
        )

    def log(self, name: str, digest: str) -> Path:
        """What all instances of a version print."""
        return self.logs / f"{name}@{digest[:8]}.log"

    def tail(self, name: str, digest: str, lines: int = 10) -> list[str]:
        """Its last lines, indented; nothing when it cannot be read."""
        try:
            with self.log(name, digest).open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - _TOLD_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [f"    {line}" for line in text.splitlines()[-lines:]]


LaunchOf = Callable[[str, str, int | None], Launch]
"""``(service, digest, release)`` to how it is launched; without a release any one that has this version. Blocks."""
HealthOf = Callable[[str, str], Health]
"""``(service, digest)`` to how its instances are asked."""
