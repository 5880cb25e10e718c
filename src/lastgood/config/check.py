"""What is wrong between sections: names nobody defined, routes without protection, ports and secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lastgood.config.configuration import Entry
from lastgood.config.model import ApiKey, Database, Function, Listener, Policy, Route, Service
from lastgood.config.parse import Fragment
from lastgood.config.protection import listeners_of, policies_on
from lastgood.config.words import nearest
from lastgood.errors import Problem

Resolves = Callable[[str], bool]
"""Whether a reference to a secret (``secret:NAME``, ``env:NAME``, ``file:/PATH``) leads to a value here."""
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on


@dataclass(frozen=True)
class Scene:
    """What routes may refer to. ``declared`` holds the keys of invalid sections too, and of every file.

    With ``complete`` false a file could not be read: then a name that is missing proves nothing.
    """

    listeners: Mapping[str, Listener]
    policies: Mapping[str, Policy]
    declared: frozenset[str]
    targets: frozenset[str]
    complete: bool

    @classmethod
    def of(cls, fragments: Iterable[Fragment]) -> Scene:
        """The scene that these files set together."""
        fragments = list(fragments)
        shared = [entry for fragment in fragments for entry in fragment.shared]
        return cls(
            {entry.name: entry.value for entry in shared if entry.kind == "listener"},
            {entry.name: entry.value for entry in shared if entry.kind == "policy"},
            frozenset[str]().union(*(f.declares for f in fragments)),
            frozenset[str]().union(*(f.upstreams for f in fragments), *(f.services | f.functions for f in fragments)),
            all(fragment.readable for fragment in fragments),
        )

    def names(self, kind: str) -> list[str]:
        """Declared names of a kind."""
        return [key.partition(":")[2] for key in self.declared if key.startswith(kind + ":")]


def check_targets(fragment: Fragment, scene: Scene) -> list[Problem]:
    """Targets of a file's routes that nobody defines."""
    if not scene.complete or fragment.targets <= scene.targets:
        return []
    problems = []
    for entry in fragment.routes:
        for index, (name, _) in enumerate(entry.value.targets):
            if name not in scene.targets:
                path: tuple[str | int, ...] = ("to",) if isinstance(entry.value.to, str) else ("to", index, "to")
                hint = nearest(name, scene.targets) or "define it under upstreams or services"
                what = f"route {entry.name}: there is no upstream or service {name}"
                problems.append(Problem(fragment.file, fragment.line(entry.key, *path), what, hint))
    return problems


def check_protection(fragment: Fragment, scene: Scene) -> list[Problem]:
    """What is wrong with the policies and listeners of a file's routes; follows from those two of the scene alone."""
    problems: list[Problem] = []
    for entry in fragment.routes:
        problems += _unknown(fragment, entry, "use", entry.value.use or (), "policy", scene)
        problems += _unknown(fragment, entry, "listeners", entry.value.listeners, "listener", scene)
        found = dict.fromkeys(_protection(entry.value, scene))  # the same on two listeners is said once
        for path, what, hint in found:
            line = fragment.line(entry.key, *path)
            problems.append(Problem(fragment.file, line, f"route {entry.name}: {what}", hint))
    return problems


def _unknown(
    fragment: Fragment, entry: Entry, setting: str, names: Iterable[str], kind: str, scene: Scene
) -> list[Problem]:
    if not scene.complete:
        return []
    heading = "gateway.policies" if kind == "policy" else "gateway.listeners"
    return [
        Problem(
            fragment.file,
            fragment.line(entry.key, setting, index),
            f"{entry.kind} {entry.name}: there is no {kind} {name}",
            nearest(name, scene.names(kind)) or f"define it under {heading}",
        )
        for index, name in enumerate(names)
        if f"{kind}:{name}" not in scene.declared
    ]


def _protection(route: Route, scene: Scene) -> Iterable[tuple[tuple[str, ...], str, str | None]]:
    for listener in listeners_of(route, scene.listeners):
        names = policies_on(route, scene.listeners[listener])
        if any(name not in scene.policies for name in names):  # a problem already, and nothing to judge by
            continue
        kinds = [scene.policies[name].kind for name in names]
        guards = [name for name in names if scene.policies[name].protects]
        path = ("use",) if route.use is not None else ()
        if route.public and guards:
            what = f"it is public and has the security policy {guards[0]}"
            hint = "take one of the two out"
            if route.use is None:
                what += f" (the default of listener {listener})"
                hint = "write `use: []` to leave the listener's default out, or take `public: true` out"
            yield (("public",), what, hint)
        elif not route.public and not guards:
            some = ", ".join(name for name in scene.policies if scene.policies[name].protects)
            hint = f"use a security policy ({some}), or write `public: true`" if some else "or write `public: true`"
            yield (path, "nothing says who may come: it has no security policy (jwt, api_key, ip)", hint)
        for kind in ("api_key", "cors"):
            if kinds.count(kind) > 1:
                both = ", ".join(name for name in names if scene.policies[name].kind == kind)
                yield (path, f"a route has at most one policy with {kind}, here are {both}", "join them")
        for name in names:
            limit = scene.policies[name].rate_limit
            if limit is not None and limit.key == "api_client" and "api_key" not in kinds:
                what = f"the limit {name} counts by api_client, but no policy with api_key says who the client is"
                yield (path, what, "add a policy with api_key, or count by client_ip")


def check_listeners(
    fragments: Iterable[Fragment], scene: Scene, first_route: Callable[[], Entry | None]
) -> list[Problem]:
    """Ports used twice, defaults nobody defined, and routes without any listener."""
    problems: list[Problem] = []
    taken: dict[int, list[Entry]] = {}
    for fragment in fragments:
        for entry in fragment.shared:
            if entry.kind != "listener":
                continue
            listener: Listener = entry.value
            problems += _unknown(fragment, entry, "use", listener.use, "policy", scene)
            for other in taken.setdefault(listener.port, []):
                if _same_address(listener.address, other.value.address):
                    where = f"{other.file}:{other.line}"
                    what = f"listener {entry.name}: port {listener.port} is taken by listener {other.name} ({where})"
                    problems.append(Problem(fragment.file, fragment.line(entry.key, "port"), what))
            taken[listener.port].append(entry)
    if scene.complete and not scene.names("listener") and (first := first_route()) is not None:
        hint = "add gateway.listeners, such as web: { port: 8080 }"
        problems.append(
            Problem(first.file, first.line, "there are routes but no listener, so nothing can arrive", hint)
        )
    return problems


def _same_address(one: str, two: str) -> bool:
    return one == two or one in _EVERYWHERE or two in _EVERYWHERE


def check_unused(fragments: Iterable[Fragment], scene: Scene, uses: Mapping[str, int]) -> list[Problem]:
    """Warnings about policies that protect nothing; ``uses`` counts those who use a policy."""
    if not scene.complete:
        return []
    used = {name for listener in scene.listeners.values() for name in listener.use}
    return [
        Problem(entry.file, entry.line, f"no route uses the policy {entry.name}", severity="warning")
        for fragment in fragments
        for entry in fragment.shared
        if entry.kind == "policy" and entry.name not in used and not uses.get(entry.name)
    ]


def check_secrets(fragments: Iterable[Fragment], resolves: Resolves) -> list[Problem]:
    """References to secrets that lead to nothing."""
    known: dict[str, bool] = {}
    problems = []
    for fragment in fragments:
        for entry in fragment.shared:
            for path, reference in _secrets(entry):
                if reference not in known:
                    known[reference] = resolves(reference)
                if not known[reference]:
                    line = fragment.line(entry.key, *path)
                    what = f"{entry.kind} {entry.name}: the secret {reference} has no value here"
                    problems.append(Problem(fragment.file, line, what, _how_to_set(reference)))
    return problems


def _secrets(entry: Entry) -> list[tuple[tuple[str, ...], str]]:
    """Every reference to a secret in an entry, and where it stands."""
    value = entry.value
    if isinstance(value, Listener) and value.tls:
        return [(("tls", "key"), value.tls.key)]
    if isinstance(value, Policy) and isinstance(value.api_key, ApiKey):
        return [(("api_key", "clients", client), secret) for client, secret in value.api_key.clients.items()]
    if isinstance(value, Database) and not value.url.startswith("sqlite:"):
        return [(("url",), value.url)]
    if isinstance(value, Service | Function):
        return [(("environment", name), text) for name, text in value.environment.items() if text.startswith("secret:")]
    return []


def _how_to_set(reference: str) -> str:
    kind, _, name = reference.partition(":")
    if kind == "secret":
        return f"lastgood secret set {name}"
    return f"set the variable {name}" if kind == "env" else "is the file there, and may we read it?"
