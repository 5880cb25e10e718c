"""The proxies of a project, and what tries a state before them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastgood.effects.envoy.bootstrap import Proxy
    from lastgood.effects.envoy.proxies import EnvoyProxies
    from lastgood.effects.secrets import SecretStore
    from lastgood.ports import Processes
    from lastgood.settings import Places


def expected_proxies(folder: Path, count: int, concurrency: int) -> tuple[Proxy, ...]:
    """The proxies there are to be; their sockets lie in ``folder``."""
    from lastgood.effects.envoy.bootstrap import Proxy

    return tuple(
        Proxy(f"proxy-{n}", folder / "ads.sock", folder / f"proxy-{n}.sock", concurrency) for n in range(1, count + 1)
    )


def make_proxies(
    places: Places,
    folder: Path,
    expected: tuple[Proxy, ...],
    processes: Processes | None,
    secrets: SecretStore,
    why_private: Callable[[str], str | None],
    take_over: bool,
    *,
    trust_reported: bool,
) -> EnvoyProxies:
    """The gateway's proxies; without ``processes`` nothing is tried on a preflight proxy."""
    from lastgood.effects.envoy.barred import Barred
    from lastgood.effects.envoy.preflight import Preflight
    from lastgood.effects.envoy.proxies import EnvoyProxies
    from lastgood.effects.envoy.snapshots import Snapshots
    from lastgood.effects.envoy.supervised import SupervisedLauncher
    from lastgood.gateway.runtime import runtime_resource

    redact = secrets.redactor.redact
    launcher = SupervisedLauncher(processes, "preflight") if processes else None
    return EnvoyProxies(
        expected,
        Snapshots(secrets.resolve, places.state / "slots.json", Barred(why_private, _tell)).build,
        runtime=runtime_resource,
        preflight=Preflight(folder, launcher, redact=redact) if launcher else None,
        take_over=take_over,
        trust_reported=trust_reported,
        redact=redact,
    )


def _tell(line: str) -> None:
    """On stderr; that the disk it lies on is full must end nothing."""
    try:
        os.write(2, f"{line}\n".encode())
    except OSError:
        pass
