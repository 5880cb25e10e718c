"""Services and functions: their bundles, how they are launched, and what moves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastgood.effects.artifacts.store import ArtifactStore
    from lastgood.effects.functions.local import LocalFunctions
    from lastgood.effects.functions.versions import VersionStore
    from lastgood.effects.gateway import GatewayDriver
    from lastgood.effects.hooks import HookDriver
    from lastgood.effects.launches import Launches
    from lastgood.effects.secrets import SecretStore
    from lastgood.effects.services import ServiceDriver
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.loop import Loop
    from lastgood.operations.rehearsing import Trials
    from lastgood.ports import Processes
    from lastgood.settings import Places


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
    from lastgood.operations.bearers import Bearers

    artifacts = make_artifacts(places, secrets.redactor.redact)
    return Launches(
        configurations.of,
        configurations.attached,
        Bearers(lambda: loop().state, lambda number: loop().release_of(number)).newest,
        artifacts,
        secrets.resolve,
        places.logs,
        places.state / "functions",
    )


def make_trials(
    gateway: GatewayDriver, processes: Processes, launches: Launches, redact: Callable[[str], str]
) -> Trials:
    """What a rehearsal tries for real."""
    from lastgood.effects.instances.aside import Aside
    from lastgood.operations.rehearsing import Trials

    aside = Aside(processes, launches.launch, redact=redact)
    return Trials(gateway.try_alone, aside.start, aside.sweep)


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

    return HookDriver(launches.configuration_of, launches.beside, places.logs / "hooks", redact)
