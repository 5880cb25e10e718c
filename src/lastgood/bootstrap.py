"""Puts the parts together: from the places of a project to a controller. The only room that knows all others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lastgood.effects.envoy.bootstrap import Proxy
    from lastgood.effects.envoy.proxies import EnvoyProxies
    from lastgood.effects.gateway import GatewayDriver
    from lastgood.effects.journal.sqlite import SqliteJournal
    from lastgood.effects.secrets import SecretStore
    from lastgood.effects.services import ServiceDriver
    from lastgood.errors import Damaged
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.drafting import Drafting
    from lastgood.operations.judging import Judging
    from lastgood.operations.loop import Loop
    from lastgood.operations.verbs import Verbs
    from lastgood.ports import Clock, Driver, Journal, Processes
    from lastgood.release.state import State
    from lastgood.settings import Places

LONGEST_FOLDER = 75
"""Bytes; the names of sockets in it need the rest of the 107 that a Unix socket's path may have."""


@dataclass(frozen=True)
class Options:
    """How the controller was started; kept on disk for whoever starts it again."""

    proxies: int = 1
    follow: str | None = None
    concurrency: int = 1
    env: tuple[str, ...] = ()
    """Names of the variables that ``env:`` secrets refer to; their values are never written down."""

    def save(self, path: Path) -> None:
        """Write, whole or not at all."""
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self)))
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: Path) -> Options:
        """Read what was saved; the defaults where nothing was."""
        try:
            raw: Mapping[str, Any] = json.loads(path.read_text())
            return cls(**{**raw, "env": tuple(raw.get("env", ()))})
        except (OSError, ValueError, TypeError):
            return cls()


def run_root(places: Places) -> Path:
    """The supervisor's directory."""
    return places.state / "run"


def socket_folder(places: Places) -> Path:
    """A 0700 folder whose path is short enough for the sockets in it."""
    from lastgood.effects.processes.run_directory import open_run_directory, private_directory

    run = open_run_directory(str(run_root(places)))
    if len(os.fsencode(run.root)) <= LONGEST_FOLDER:
        return Path(run.root)
    short = f"/tmp/lastgood-{os.getuid()}-{run.run_id}"  # noqa: S108 verified: ours, 0700, no link
    private_directory(short)
    return Path(short)


def api_socket(places: Places) -> Path:
    """Where the controller answers."""
    return socket_folder(places) / "api.sock"


@dataclass
class Controller:
    """Everything a controller is made of."""

    places: Places
    options: Options
    clock: Clock
    journal: SqliteJournal
    configurations: Configurations
    proxies: EnvoyProxies
    gateway: GatewayDriver
    services: ServiceDriver
    loop: Loop
    verbs: Verbs
    processes: Processes | None
    expected: tuple[Proxy, ...]

    async def restore(self, served: Mapping[str, Any] | None, accepted: Mapping[str, Any] | None) -> None:
        """Bring the proxies to what was being served; the instances are looked at first, for they have to know where.

        Raises what the gateway refuses with.
        """
        from lastgood.errors import LastgoodError

        try:
            await self.services.observe()
        except LastgoodError:
            pass  # a release without services does not need them; one with services says that they were not seen
        await self.gateway.restore(served, accepted)


def open_journal(places: Places, *, read_only: bool = False) -> SqliteJournal:
    """The journal of a project."""
    from lastgood.effects.journal.sqlite import SqliteJournal

    return SqliteJournal(places.journal, read_only=read_only)


def why_private(places: Places, path: str) -> str | None:
    """Why a Unix socket must not be an upstream: it is one of ours, or lies where a commit could put a link to one."""
    real = os.path.realpath(path)
    ours = {os.path.realpath(folder) for folder in (places.state, socket_folder(places), run_root(places))}
    if any(os.path.commonpath([real, folder]) == folder for folder in ours) or "/lastgood-" in real:
        return "is a socket of Lastgood's own"
    root = os.path.realpath(places.root)
    if os.path.commonpath([os.path.abspath(path), root]) == root or os.path.commonpath([real, root]) == root:
        return "lies inside of the repository"
    return None


def make_drafting(places: Places) -> tuple[Drafting | None, str]:
    """What reads revisions, or why the repository cannot be opened."""
    from lastgood.assembly import make_artifacts, make_versions
    from lastgood.effects.functions.installing import build_argv
    from lastgood.effects.git.opening import discover
    from lastgood.effects.git.repository import GitRepository
    from lastgood.effects.secrets import SecretStore
    from lastgood.errors import LastgoodError
    from lastgood.joining_databases import make_databases
    from lastgood.operations.database_maker import DatabaseMaker
    from lastgood.operations.drafting import Drafting
    from lastgood.operations.function_maker import FunctionMaker
    from lastgood.operations.service_maker import ServiceMaker

    try:
        repository = GitRepository(discover(places.root))
    except LastgoodError as error:
        return None, error.what
    store = SecretStore(places.secrets)

    def resolves(reference: str) -> bool:
        try:
            store.resolve(reference)
        except LastgoodError:
            return False
        return True

    databases = DatabaseMaker(make_databases(places, store))
    artifacts = make_artifacts(places, store.redactor.redact)
    makers = (ServiceMaker(artifacts), FunctionMaker(artifacts, build_argv, make_versions(places).keep), databases)
    return Drafting(repository, resolves, makers, why_private=lambda path: why_private(places, path)), ""


def _why_unusable(store: SecretStore) -> Callable[[str], str | None]:
    from lastgood.errors import LastgoodError

    def why(reference: str) -> str | None:
        try:
            store.resolve(reference)
        except LastgoodError as error:
            return f"cannot be used ({error.what})"
        return None

    return why


def supervisor_epoch(places: Places) -> int:
    """The highest epoch the supervisor has seen: a journal that was made anew must not start below it."""
    try:
        return int((run_root(places) / "epoch").read_text())
    except (OSError, ValueError):
        return 0


def read_state(journal: Journal) -> tuple[State, Damaged | None]:
    """The journal, folded as far as it verifies, and what is wrong after that."""
    from lastgood.errors import Damaged
    from lastgood.release.state import State, evolve

    state = State()
    try:
        for event in journal.read():
            state = evolve(state, event)
    except Damaged as damage:
        return state, damage
    return state, None


def make_onlooker(places: Places, journal: SqliteJournal) -> Verbs:
    """The verbs for those who only look: the journal's word is taken, and nothing heavy is loaded."""
    from lastgood.assembly import make_launches
    from lastgood.effects.evidence import EvidenceFiles
    from lastgood.effects.secrets import SecretStore
    from lastgood.effects.system_clock import SystemClock
    from lastgood.joining_databases import make_databases
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.loop import Loop
    from lastgood.operations.verbs import Verbs
    from lastgood.operations.world import World
    from lastgood.release.observed import Fact, Observed

    state, damage = read_state(journal)
    loop = Loop(World(SystemClock(), journal, {}), state, damage=damage)
    served = state.accepted or {"base": None, "candidate": None, "percent": 0.0}
    loop.see(Observed.of(Fact("gateway", name, served[name]) for name in ("base", "candidate", "percent")))
    drafting, why = make_drafting(places)
    secrets = SecretStore(places.secrets)
    databases = make_databases(places, secrets)
    unusable = _why_unusable(secrets)
    evidence = EvidenceFiles(places.measurements)
    configurations = Configurations(journal)
    startable = make_launches(places, configurations, secrets, lambda: loop).why_not
    return Verbs(loop, journal, configurations, drafting, lambda: (), why, unusable, databases, evidence, startable)


def make_controller(
    places: Places,
    options: Options,
    journal: SqliteJournal,
    *,
    processes: Processes | None = None,
    on_event: Any = None,
    take_over: bool = False,
) -> Controller:
    """A controller whose journal was taken over; without ``processes`` it tries nothing on a preflight proxy."""
    from lastgood.assembly import expected_proxies, make_launches, make_proxies, make_services, reach_processes
    from lastgood.effects.envoy.log_tail import log_tail
    from lastgood.effects.gateway import GatewayDriver
    from lastgood.effects.git.driver import GitDriver
    from lastgood.effects.secrets import SecretStore
    from lastgood.effects.system_clock import SystemClock
    from lastgood.joining_databases import make_database_driver, make_databases, migrations_of
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.loop import Loop
    from lastgood.operations.verbs import Verbs
    from lastgood.operations.world import World
    from lastgood.release.release import services_of

    clock = SystemClock()
    state, damage = read_state(journal)
    secrets = SecretStore(places.secrets)
    configurations = Configurations(journal)
    folder = socket_folder(places)
    expected = expected_proxies(folder, options.proxies, options.concurrency)
    private, trusted = partial(why_private, places), state.served == state.accepted
    proxies = make_proxies(places, folder, expected, processes, secrets, private, take_over, trust_reported=trusted)
    logs = [places.logs / f"{proxy.name}.log" for proxy in expected]
    supervisor = processes or reach_processes(run_root(places), journal.epoch)
    services, hooks = make_services(places, supervisor, configurations, secrets, lambda: loop)
    gateway = GatewayDriver(
        proxies,
        configurations.of,
        said_since=partial(log_tail, logs, redact=secrets.redactor.redact),
        at_hand=configurations.at_hand,
        versions_of=lambda number: services_of(loop.release_of(number)),
        endpoints_of=lambda number: {
            name: services.endpoints(name, digest) for name, digest in services_of(loop.release_of(number)).items()
        },
    )
    services.outlet = gateway
    drafting, why = make_drafting(places)
    databases = make_databases(places, secrets)
    git = GitDriver(drafting.repository if drafting else None, why, migrations_of(configurations))
    schemas = make_database_driver(databases, configurations, lambda: loop)
    parts: dict[str, Driver] = {"gateway": gateway, "service": services, "hook": hooks, "database": schemas, "git": git}
    loop = Loop(World(clock, journal, parts), state, on_event=on_event, damage=damage)
    verbs = Verbs(loop, journal, configurations, drafting, proxies.states, why, _why_unusable(secrets), databases)
    verbs.why_not_startable = make_launches(places, configurations, secrets, lambda: loop).why_not
    return Controller(
        places, options, clock, journal, configurations, proxies, gateway, services, loop, verbs, processes, expected
    )


def make_judging(made: Controller) -> Judging:
    """What measures and judges the releases of a controller."""
    from lastgood.effects.checks import HttpChecks
    from lastgood.effects.envoy.metrics import EnvoyMeasurements
    from lastgood.effects.evidence import EvidenceFiles
    from lastgood.operations.judging import Judging

    admins = {proxy.name: made.proxies.admin(proxy.name) for proxy in made.expected}
    evidence = made.verbs.evidence = EvidenceFiles(made.places.measurements)
    return Judging(
        made.loop, EnvoyMeasurements(admins), evidence, made.clock, made.configurations.of, checks=HttpChecks()
    )
