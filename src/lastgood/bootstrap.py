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
    from lastgood.errors import Damaged
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.drafting import Drafting
    from lastgood.operations.loop import Loop
    from lastgood.operations.verbs import Verbs
    from lastgood.ports import Clock, Journal, Processes
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
    loop: Loop
    verbs: Verbs
    processes: Processes | None
    expected: tuple[Proxy, ...]


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
    from lastgood.effects.git.opening import discover
    from lastgood.effects.git.repository import GitRepository
    from lastgood.effects.secrets import SecretStore
    from lastgood.errors import LastgoodError
    from lastgood.operations.drafting import Drafting

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

    return Drafting(repository, resolves, why_private=lambda path: why_private(places, path)), ""


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
    loop.see(Observed.of(Fact("gateway", name, served[name]) for name in ("base", "candidate", "percent")))
    drafting, why = make_drafting(places)
    why_unusable = _why_unusable(SecretStore(places.secrets))
    return Verbs(loop, journal, Configurations(journal), drafting, lambda: (), why, why_unusable)


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
    from lastgood.effects.envoy.bootstrap import Proxy
    from lastgood.effects.envoy.log_tail import log_tail
    from lastgood.effects.envoy.preflight import Preflight
    from lastgood.effects.envoy.proxies import EnvoyProxies
    from lastgood.effects.envoy.snapshots import Snapshots
    from lastgood.effects.envoy.supervised import SupervisedLauncher
    from lastgood.effects.gateway import GatewayDriver
    from lastgood.effects.git.driver import GitDriver
    from lastgood.effects.secrets import SecretStore
    from lastgood.effects.system_clock import SystemClock
    from lastgood.gateway.runtime import runtime_resource
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.loop import Loop
    from lastgood.operations.verbs import Verbs
    from lastgood.operations.world import World

    clock = SystemClock()
    state, damage = read_state(journal)
    secrets = SecretStore(places.secrets)
    configurations = Configurations(journal)
    snapshots = Snapshots(secrets.resolve, places.state / "slots.json")
    folder = socket_folder(places)
    expected = tuple(
        Proxy(f"proxy-{n}", folder / "ads.sock", folder / f"proxy-{n}.sock", options.concurrency)
        for n in range(1, options.proxies + 1)
    )
    proxies = EnvoyProxies(
        expected,
        snapshots.build,
        runtime=runtime_resource,
        preflight=Preflight(folder, SupervisedLauncher(processes, "preflight"), redact=secrets.redactor.redact)
        if processes
        else None,
        take_over=take_over,
        trust_reported=state.served == state.accepted,
        redact=secrets.redactor.redact,
    )
    logs = [places.logs / f"{proxy.name}.log" for proxy in expected]
    said_since = partial(log_tail, logs, redact=secrets.redactor.redact)
    gateway = GatewayDriver(proxies, configurations.of, said_since=said_since, at_hand=configurations.at_hand)
    drafting, why = make_drafting(places)
    git = GitDriver(drafting.repository if drafting else None, why)
    loop = Loop(World(clock, journal, {"gateway": gateway, "git": git}), state, on_event=on_event, damage=damage)
    verbs = Verbs(loop, journal, configurations, drafting, proxies.states, why, _why_unusable(secrets))
    return Controller(
        places, options, clock, journal, configurations, proxies, gateway, loop, verbs, processes, expected
    )
