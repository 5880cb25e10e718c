"""A controller, or somebody who only looks: everything put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from lastgood.bootstrap.places import Options, is_ours, run_root, socket_folder, why_private
from lastgood.bootstrap.repository import make_drafting, why_unusable

if TYPE_CHECKING:
    from lastgood.effects.envoy.bootstrap import Proxy
    from lastgood.effects.envoy.proxies import EnvoyProxies
    from lastgood.effects.gateway import GatewayDriver
    from lastgood.effects.git.driver import GitDriver
    from lastgood.effects.journal.sqlite import SqliteJournal
    from lastgood.effects.services import ServiceDriver
    from lastgood.errors import Damaged
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.drafting import Drafting
    from lastgood.operations.judging import Judging
    from lastgood.operations.loop import Loop
    from lastgood.operations.verbs import Verbs
    from lastgood.operations.watching import Watching
    from lastgood.ports import Clock, Driver, Journal, Processes
    from lastgood.release.state import State
    from lastgood.settings import Places


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
    from lastgood.bootstrap.databases import make_databases
    from lastgood.bootstrap.services import make_launches
    from lastgood.effects.evidence import EvidenceFiles
    from lastgood.effects.secrets import SecretStore
    from lastgood.effects.system_clock import SystemClock
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.loop import Loop
    from lastgood.operations.verbs import Verbs
    from lastgood.operations.world import World
    from lastgood.release.observed import Fact, Observed

    state, damage = read_state(journal)
    loop = Loop(World(SystemClock(), journal, {}), state, damage=damage)
    served = state.accepted or {"base": None, "candidate": None, "percent": 0.0}
    gateway = (Fact("gateway", name, served[name]) for name in ("base", "candidate", "percent"))
    loop.see(Observed.of(gateway, unknown=("service",)))  # instances live on; nobody here has looked at them
    drafting, why = make_drafting(places)
    secrets = SecretStore(places.secrets)
    databases = make_databases(places, secrets)
    unusable = why_unusable(secrets)
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
    from lastgood.bootstrap.databases import make_database_driver, make_databases, migrations_of
    from lastgood.bootstrap.gateway import expected_proxies, make_proxies
    from lastgood.bootstrap.services import make_launches, make_services, make_trials, reach_processes
    from lastgood.effects.envoy.log_tail import log_tail, version_tail
    from lastgood.effects.envoy.metrics import EnvoyMeasurements
    from lastgood.effects.git.driver import GitDriver
    from lastgood.effects.secrets import SecretStore
    from lastgood.effects.system_clock import SystemClock
    from lastgood.effects.taken_ports import holder
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.loop import Loop
    from lastgood.operations.verbs import Verbs
    from lastgood.operations.world import World

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
    said_since = partial(log_tail, logs, redact=secrets.redactor.redact)
    gateway = _make_gateway(proxies, configurations, services, said_since, lambda: loop)
    gateway.printed_by = partial(version_tail, places.logs / "services", redact=secrets.redactor.redact)
    gateway.port_held_by = partial(holder, is_ours=partial(is_ours, places))
    gateway.measure = EnvoyMeasurements({proxy.name: proxies.admin(proxy.name) for proxy in expected}).read
    drafting, why = make_drafting(places)
    databases = make_databases(places, secrets)
    git = GitDriver(drafting.repository if drafting else None, why, migrations_of(configurations))
    schemas = make_database_driver(databases, configurations, lambda: loop)
    parts: dict[str, Driver] = {"gateway": gateway, "service": services, "hook": hooks, "database": schemas, "git": git}
    loop = Loop(World(clock, journal, parts), state, on_event=on_event, damage=damage)
    verbs = Verbs(loop, journal, configurations, drafting, proxies.states, why, why_unusable(secrets), databases)
    verbs.look_again = partial(_look_again, places, git)
    launches = make_launches(places, configurations, secrets, lambda: loop)
    verbs.why_not_startable = launches.why_not
    verbs.trials = make_trials(gateway, supervisor, launches, secrets.redactor.redact)
    return Controller(
        places, options, clock, journal, configurations, proxies, gateway, services, loop, verbs, processes, expected
    )


def _make_gateway(
    proxies: EnvoyProxies,
    configurations: Configurations,
    services: ServiceDriver,
    said_since: Callable[[float], list[str]],
    loop: Callable[[], Loop],
) -> GatewayDriver:
    """What moves the gateway; the services tell it where they are, and it tells them what it sends requests to."""
    from lastgood.effects.gateway import GatewayDriver
    from lastgood.release.release import services_of

    def versions_of(number: int) -> dict[str, str]:
        return services_of(loop().release_of(number))

    def endpoints_of(number: int) -> dict[str, tuple[str, ...]]:
        return {name: services.endpoints(name, digest) for name, digest in versions_of(number).items()}

    gateway = GatewayDriver(
        proxies, configurations.of, endpoints_of, said_since, versions_of, at_hand=configurations.at_hand
    )
    services.outlet = gateway
    return gateway


def _look_again(places: Places, git: GitDriver) -> tuple[Drafting | None, str]:
    """A repository that was away when the controller started is found when it is asked for."""
    drafting, why = make_drafting(places)
    if drafting is not None:
        git.found(drafting.repository)
    return drafting, why


def make_judging(made: Controller) -> tuple[Judging, Watching]:
    """What measures and judges the releases of a controller, while they bake and afterwards."""
    from lastgood.effects.checks import OutsideChecks
    from lastgood.effects.envoy.metrics import EnvoyMeasurements
    from lastgood.effects.evidence import EvidenceFiles
    from lastgood.operations.judging import Judging
    from lastgood.operations.watching import Watching

    admins = {proxy.name: made.proxies.admin(proxy.name) for proxy in made.expected}
    evidence = made.verbs.evidence = EvidenceFiles(made.places.measurements)
    measurements = made.verbs.measurements = EnvoyMeasurements(admins)
    sources = (measurements, evidence, made.clock, made.configurations.of)
    judging = Judging(made.loop, *sources, checks=OutsideChecks(made.places.root))
    return judging, Watching(made.loop, *sources, made.verbs.back_by_itself)
