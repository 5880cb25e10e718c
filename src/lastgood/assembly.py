"""Parts of a controller that are made of parts themselves: the proxies, the supervisor's client, bundles, services."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastgood.effects.artifacts.store import ArtifactStore
    from lastgood.effects.envoy.bootstrap import Proxy
    from lastgood.effects.envoy.proxies import EnvoyProxies
    from lastgood.effects.functions.local import LocalFunctions
    from lastgood.effects.functions.versions import VersionStore
    from lastgood.effects.hooks import HookDriver
    from lastgood.effects.instances.launch import Launch
    from lastgood.effects.launches import Launches
    from lastgood.effects.secrets import SecretStore
    from lastgood.effects.services import ServiceDriver
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.loop import Loop
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


def reach_processes(run_root: Path, epoch: int) -> Processes:
    """The supervisor of a run directory, which may not be there."""
    from lastgood.effects.processes.client import SupervisedProcesses
    from lastgood.effects.processes.run_directory import open_run_directory

    return SupervisedProcesses(open_run_directory(str(run_root)), epoch=epoch)


def make_artifacts(places: Places, redact: Callable[[str], str] = str) -> ArtifactStore:
    """The bundles of a project."""
    from lastgood.effects.artifacts.store import ArtifactStore

    return ArtifactStore(places.artifacts, places.logs / "builds", redact)


def make_versions(places: Places) -> VersionStore:
    """The versions of functions that are kept."""
    from lastgood.effects.functions.versions import VersionStore

    return VersionStore(places.state / "functions" / "versions")


def make_functions(places: Places, secrets: SecretStore) -> LocalFunctions:
    """The functions of this machine, to be asked by themselves; a supervisor is started where there is none."""
    from lastgood.effects.functions.installing import build_argv
    from lastgood.effects.functions.launching import Launched
    from lastgood.effects.functions.local import LocalFunctions
    from lastgood.effects.launches import environment_of
    from lastgood.effects.processes.client import ensure_supervisor
    from lastgood.operations.function_maker import version_of_function

    redact = secrets.redactor.redact
    return LocalFunctions(
        make_artifacts(places, redact),
        make_versions(places),
        lambda: ensure_supervisor(str(places.state / "run")),
        Launched(
            places.state / "functions",
            places.logs,
            lambda name, function: environment_of(name, function, secrets.resolve),
            redact,
        ),
        build_argv=build_argv,
        digest_of=version_of_function,
    )


def make_launches(
    places: Places, configurations: Configurations, secrets: SecretStore, loop: Callable[[], Loop]
) -> Launches:
    """How versions are launched: from the journal and the bundles on this machine."""
    from lastgood.effects.launches import Launches
    from lastgood.release.release import services_of

    def release_with(name: str, digest: str) -> int | None:
        numbers = reversed(loop().state.releases)
        return next((n for n in numbers if services_of(loop().release_of(n)).get(name) == digest), None)

    artifacts = make_artifacts(places, secrets.redactor.redact)
    return Launches(
        configurations.of,
        configurations.attached,
        release_with,
        artifacts,
        secrets.resolve,
        places.logs,
        places.state / "functions",
    )


def make_services(
    places: Places, processes: Processes, configurations: Configurations, secrets: SecretStore, loop: Callable[[], Loop]
) -> tuple[ServiceDriver, HookDriver]:
    """What moves services, and what runs their hooks."""
    from lastgood.effects.services import ServiceDriver

    launches, redact = make_launches(places, configurations, secrets, loop), secrets.redactor.redact
    services = ServiceDriver(processes, launches.launch, health_of=launches.health, redact=redact)
    return services, make_hooks(places, launches, redact)


def make_hooks(places: Places, launches: Launches, redact: Callable[[str], str]) -> HookDriver:
    """What runs and asks hooks."""
    from lastgood.effects.hooks import HookDriver

    def launch_for(name: str, release: int) -> Launch:
        return launches.launch(name, "", release)

    return HookDriver(launches.configuration_of, launch_for, places.logs / "hooks", redact)
