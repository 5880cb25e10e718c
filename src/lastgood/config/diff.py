"""Two configurations -> what a person would say has changed, and which of it lets more requests through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lastgood.config.change import Change, Effect, Kind, Told
from lastgood.config.configuration import Configuration, Entry, changed_keys
from lastgood.config.model import Listener, Policy
from lastgood.config.policy_diff import policy_changes
from lastgood.config.protection import listeners_of, users_of
from lastgood.config.route_diff import Neighbours, appearance, protection_changes, route_changes
from lastgood.config.setting_diff import setting_changes

_GATEWAY = ("listener", "policy", "route", "upstream", "gateway", "file")
_LOOPBACK = ("127.", "::1")


def diff(old: Configuration | None, new: Configuration) -> tuple[Change, ...]:
    """Every difference, loosening first; empty when both mean the same.

    Against nothing (a first release) everything is new and nothing loosens: there was no protection to lose.
    """
    if old is None:
        return tuple(
            Change(_part(entry), "added", _subject(entry), f"{_subject(entry)} is new")
            for _, entry in sorted(new.entries.items())
        )
    changed = changed_keys(old, new)
    if not changed and old.project == new.project:
        return ()
    found: list[Change] = []
    if old.project != new.project:
        text = f"project {old.project} is now called {new.project}"
        found.append(Change("project", "changed", f"project {new.project}", text))
    for key in sorted(changed):
        if not key.startswith("route:"):
            found += _entry_changes(key, old, new)
    found += _policies_by_file(old, new, changed)
    found += _routes(old, new, changed)
    rank: Mapping[Effect | None, int] = {"loosens": 0, "tightens": 1, None: 2}
    return tuple(sorted(dict.fromkeys(found), key=lambda change: (rank[change.effect], change.subject, change.text)))


def loosens(changes: Iterable[Change]) -> bool:
    """Whether any of them lets more requests through."""
    return any(change.effect == "loosens" for change in changes)


def _part(entry: Entry) -> str:
    return "gateway" if entry.kind in _GATEWAY else entry.kind if entry.kind == "bake" else f"{entry.kind}:{entry.name}"


def _subject(entry: Entry) -> str:
    return entry.kind if entry.kind == entry.name else f"{entry.kind} {entry.name}"


def _entry_changes(key: str, old: Configuration, new: Configuration) -> list[Change]:
    before, after = old.entries.get(key), new.entries.get(key)
    if before is None or after is None:
        entry = before or after
        assert entry is not None
        owner, added = (new, True) if before is None else (old, False)
        text = f"{_subject(entry)} is {'new' if added else 'gone'}"
        effect = _presence_effect(entry, owner)
        if effect and not added:
            effect = _opposite(effect)
        return [Change(_part(entry), "added" if added else "removed", _subject(entry), text, effect)]
    if isinstance(before.value, Policy):
        told = list(policy_changes(before.name, before.value, after.value, old.files, new.files))
    elif isinstance(before.value, Listener):
        told = [*_listener(before.name, before.value, after.value), *_fields(before, after, ("tls", "use"))]
    elif before.kind == "file":
        told = [(f"file {before.name} has another content", None)]
    else:
        told = [*_upstream(before, after), *_fields(before, after, ())]
    told = told or [(f"{_subject(after)} is written differently and means the same", None)]
    return _as_changes(after, "changed", told)


def _as_changes(entry: Entry, kind: Kind, told: Iterable[Told]) -> list[Change]:
    return [Change(_part(entry), kind, _subject(entry), text, effect) for text, effect in told]


def _presence_effect(entry: Entry, owner: Configuration) -> Effect | None:
    """What it means that an entry is there."""
    if isinstance(entry.value, Policy) and users_of(entry.name, owner):
        return "loosens" if entry.value.kind == "cors" else "tightens"
    if isinstance(entry.value, Listener):
        served = any(listeners_of(route, {entry.name: entry.value}) for route in owner.routes.values())
        return "loosens" if served else None
    return None


def _opposite(effect: Effect) -> Effect:
    return "tightens" if effect == "loosens" else "loosens"


def _listener(name: str, old: Listener, new: Listener) -> Iterator[Told]:
    if old.tls and not new.tls:
        yield f"listener {name} no longer speaks TLS", "loosens"
    elif new.tls and not old.tls:
        yield f"listener {name} now speaks TLS", "tightens"
    elif old.tls != new.tls:
        yield f"listener {name} has another certificate", None
    reach = _reach(new.address) - _reach(old.address)
    if reach:
        effect: Effect = "loosens" if reach > 0 else "tightens"
        yield f"listener {name} is reachable from {'farther away' if reach > 0 else 'nearer only'}", effect
    if old.use != new.use:
        was, now = ", ".join(old.use) or "none", ", ".join(new.use) or "none"
        yield f"listener {name}: default policies {was} -> {now}", None


def _reach(address: str) -> int:
    """How far away clients may be: 0 this machine, 1 one of its networks, 2 all of them."""
    return 0 if address.startswith(_LOOPBACK) else 2 if address in ("0.0.0.0", "::") else 1  # noqa: S104


def _upstream(old: Entry, new: Entry) -> Iterator[Told]:
    if old.kind == "upstream" and old.value.tls != new.value.tls:
        if new.value.tls:
            yield f"upstream {new.name} is spoken to with TLS", "tightens"
        else:
            yield f"upstream {new.name} is no longer spoken to with TLS", "loosens"


def _fields(old: Entry, new: Entry, told: tuple[str, ...]) -> Iterator[Told]:
    """The settings that differ, as they are written; those that were told already are left out."""
    named = {field.alias or name for name, field in type(new.value).model_fields.items()}
    left = named.difference(told, ("tls",) if old.kind == "upstream" else ())
    for change in setting_changes(old.value, new.value, left):
        yield f"{_subject(new)}: {change}", None


def _policies_by_file(old: Configuration, new: Configuration, changed: set[str]) -> Iterator[Change]:
    """Policies that are written as before, while the key set they name is another one."""
    paths = {key.partition(":")[2] for key in changed if key.startswith("file:")}
    for name in sorted(old.policies.keys() & new.policies.keys()) if paths else ():
        entry = new.entries[f"policy:{name}"]
        jwt = new.policies[name].jwt
        if f"policy:{name}" in changed or jwt is None or not isinstance(jwt.jwks, str):
            continue
        if jwt.jwks.removeprefix("repo:").removeprefix("./") in paths:
            told = policy_changes(name, old.policies[name], new.policies[name], old.files, new.files)
            yield from _as_changes(entry, "changed", told)


def _routes(old: Configuration, new: Configuration, changed: set[str]) -> Iterator[Change]:
    """Routes that were edited, and routes whose protection changed because a listener's default did."""
    keys = {key for key in changed if key.startswith("route:")}
    near = [side.entries[key].value for side in (old, new) for key in keys if key in side.entries]
    before, after = Neighbours(old, near), Neighbours(new, near)
    for key in sorted(keys):
        one, two = old.entries.get(key), new.entries.get(key)
        if one is None and two is not None:
            yield from _as_changes(two, "added", appearance(two.value, after, added=True))
        elif two is None and one is not None:
            yield from _as_changes(one, "removed", appearance(one.value, before, added=False))
        elif one is not None and two is not None:
            told = list(protection_changes(one.value, two.value, old, new))
            told += route_changes(one, two, before, after)
            told = told or [(f"{_subject(two)} is written differently and means the same", None)]
            yield from _as_changes(two, "changed", told)
    if any(key.startswith("listener:") for key in changed):
        for name in sorted(old.routes.keys() & new.routes.keys()):
            if f"route:{name}" not in keys:
                told = list(protection_changes(old.routes[name], new.routes[name], old, new))
                yield from _as_changes(new.entries[f"route:{name}"], "changed", told)
