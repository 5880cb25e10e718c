"""What changed inside a policy, and whether more requests get through than before.

What each function says of (old, new) mirrors what it says of (new, old), which the tests hold it
to. So a change that does both (another issuer) is told as one that loosens and one that tightens.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lastgood.config.change import Effect, Told
from lastgood.config.configuration import canonical, digest_of
from lastgood.config.model import ApiKey, Cors, Ip, Jwt, Policy, RateLimit
from lastgood.config.values import format_duration

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def policy_changes(
    name: str, old: Policy, new: Policy, old_files: Mapping[str, str], new_files: Mapping[str, str]
) -> Iterator[Told]:
    """What differs between two versions of a policy; the files are those that ``repo:`` names."""
    if old.kind != new.kind:
        more: Effect = "tightens" if old.kind == "cors" else "loosens"
        less: Effect = "loosens" if new.kind == "cors" else "tightens"
        yield f"policy {name} is no longer {_words(old)}", more
        yield f"policy {name} is now {_words(new)}", less
    elif old.jwt and new.jwt:
        yield from _jwt(f"policy {name}", old.jwt, new.jwt, old_files, new_files)
    elif old.api_key and new.api_key:
        yield from _api_key(f"policy {name}", old.api_key, new.api_key)
    elif old.ip and new.ip:
        yield from _ip(f"policy {name}", old.ip, new.ip)
    elif old.cors and new.cors:
        yield from _cors(f"policy {name}", old.cors, new.cors)
    elif old.rate_limit and new.rate_limit:
        yield from _rate_limit(f"limit {name}", old.rate_limit, new.rate_limit)


def _words(policy: Policy) -> str:
    return {
        "jwt": "a check of tokens",
        "api_key": "a check of API keys",
        "ip": "a check of addresses",
        "cors": "a rule for web pages",
        "rate_limit": "a limit",
    }[policy.kind]


def _members(what: str, old: Iterable[str], new: Iterable[str], added: Effect, removed: Effect) -> Iterator[Told]:
    before, after = set(old), set(new)
    for member in sorted(after - before):
        yield f"{what} {member} added", added
    for member in sorted(before - after):
        yield f"{what} {member} removed", removed


# --- who may come ------------------------------------------------------------------------------------------------


def _jwt(name: str, old: Jwt, new: Jwt, old_files: Mapping[str, str], new_files: Mapping[str, str]) -> Iterator[Told]:
    if old.issuer != new.issuer:
        yield f"{name}: tokens of issuer {new.issuer} are accepted", "loosens"
        yield f"{name}: tokens of issuer {old.issuer} are no longer accepted", "tightens"
    yield from _one_of(f"{name}: audience", old.audiences, new.audiences)
    for claim in sorted(old.claims.keys() | new.claims.keys()):
        yield from _one_of(f"{name}: claim {claim}", _many(old.claims.get(claim)), _many(new.claims.get(claim)))
    yield from _members(f"{name}: key", _keys(old, old_files), _keys(new, new_files), "loosens", "tightens")
    if old.clock_skew_s != new.clock_skew_s:
        was, now = format_duration(old.clock_skew_s), format_duration(new.clock_skew_s)
        effect: Effect = "loosens" if new.clock_skew_s > old.clock_skew_s else "tightens"
        yield f"{name}: tokens count as valid {now} beyond their time instead of {was}", effect
    if old.header != new.header:
        was, now = old.header or "Authorization", new.header or "Authorization"
        yield f"{name}: the token is read from {now} instead of {was}", None
    if old.forward != new.forward:
        yield f"{name}: claims sent upstream: {_pairs(old.forward)} -> {_pairs(new.forward)}", None
    if old.jwks != new.jwks and isinstance(old.jwks, str) and isinstance(new.jwks, str):
        yield f"{name}: the keys come from {new.jwks} instead of {old.jwks}", None


def _one_of(what: str, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Told]:
    """One of these is required; of an empty list nothing is."""
    if old and not new:
        yield f"{what} is no longer required", "loosens"
    elif new and not old:
        yield f"{what} is now required ({', '.join(new)})", "tightens"
    else:
        yield from _members(what, old, new, "loosens", "tightens")


def _many(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else value


def _pairs(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{claim} as {header}" for claim, header in sorted(pairs.items())) or "none"


def _keys(jwt: Jwt, files: Mapping[str, str]) -> list[str]:
    """The keys of a set, each by kid and digest, so that a key that was swapped under the same kid shows."""
    value: Any = jwt.jwks
    if isinstance(value, str):
        path = value.removeprefix("repo:").removeprefix("./")
        try:
            value = json.loads(files.get(path, "{}"))
        except ValueError:
            value = {}
    keys = value.get("keys", []) if isinstance(value, dict) else []
    return [_key_label(key) for key in keys if isinstance(key, dict)]


def _key_label(key: Mapping[str, Any]) -> str:
    print_of = digest_of(canonical(key))[:16]
    return f"{key.get('kid', 'without kid')} ({key.get('kty')}, {print_of})"


def _api_key(name: str, old: ApiKey, new: ApiKey) -> Iterator[Told]:
    yield from _members(f"{name}: client", old.clients, new.clients, "loosens", "tightens")
    for client in sorted(old.clients.keys() & new.clients.keys()):
        if old.clients[client] != new.clients[client]:
            yield f"{name}: client {client} may come with {new.clients[client]}", "loosens"
            yield f"{name}: client {client} may no longer come with {old.clients[client]}", "tightens"
    if _place(old) != _place(new):
        yield f"{name}: the key is read from {_place(new)} instead of {_place(old)}", None
    if old.hide != new.hide:
        yield f"{name}: the key {'no longer goes' if new.hide else 'now goes'} upstream with the request", None


def _place(policy: ApiKey) -> str:
    kind = next(kind for kind in ("header", "query", "cookie") if getattr(policy, kind) is not None)
    return f"{kind} {getattr(policy, kind)}"


def _ip(name: str, old: Ip, new: Ip) -> Iterator[Told]:
    if old.allow and not new.allow:
        yield f"{name}: every address is allowed, no longer only {', '.join(old.allow)}", "loosens"
    elif new.allow and not old.allow:
        yield f"{name}: only {', '.join(new.allow)} may come, no longer every address", "tightens"
    else:
        yield from _networks(f"{name}: allowed network", old.allow, new.allow, "loosens", "tightens")
    yield from _networks(f"{name}: denied network", old.deny, new.deny, "tightens", "loosens")


def _networks(what: str, old: tuple[str, ...], new: tuple[str, ...], added: Effect, removed: Effect) -> Iterator[Told]:
    """Each as it is written, and only those that mean more or fewer addresses than before."""
    before, after = _collapsed(old), _collapsed(new)
    for network in dict.fromkeys(new):
        if not _within(ipaddress.ip_network(network), before):
            yield f"{what} {network} added", added
    for network in dict.fromkeys(old):
        if not _within(ipaddress.ip_network(network), after):
            yield f"{what} {network} removed", removed


def _collapsed(networks: tuple[str, ...]) -> list[_Network]:
    """The same addresses in as few networks as can be, so that being inside of all means being inside of one."""
    parsed = [ipaddress.ip_network(network) for network in networks]
    four = [network for network in parsed if isinstance(network, ipaddress.IPv4Network)]
    six = [network for network in parsed if isinstance(network, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]


def _within(network: _Network, others: list[_Network]) -> bool:
    first, last = int(network.network_address), int(network.broadcast_address)
    return any(
        network.version == other.version
        and int(other.network_address) <= first
        and last <= int(other.broadcast_address)
        for other in others
    )


# --- from where, and how often --------------------------------------------------------------------------------------


def _cors(name: str, old: Cors, new: Cors) -> Iterator[Told]:
    for what in ("origin", "method", "header"):
        field = what + "s"
        yield from _members(f"{name}: {what}", getattr(old, field), getattr(new, field), "loosens", "tightens")
    yield from _members(f"{name}: readable header", old.expose, new.expose, "loosens", "tightens")
    if new.credentials and not old.credentials:
        yield f"{name}: pages may send credentials", "loosens"
    if old.credentials and not new.credentials:
        yield f"{name}: pages may no longer send credentials", "tightens"
    if old.max_age_s != new.max_age_s:
        yield f"{name}: max_age {format_duration(old.max_age_s)} -> {format_duration(new.max_age_s)}", None


def _rate_limit(name: str, old: RateLimit, new: RateLimit) -> Iterator[Told]:
    was, now = _rate(old), _rate(new)
    steady = _sign(new.requests * old.per_s - old.requests * new.per_s)
    burst = _sign((new.burst or new.requests) - (old.burst or old.requests))
    if steady:
        verb = "raised" if steady > 0 else "lowered"
        same = _per(old) == _per(new)
        yield f"{name} {verb} from {old.requests if same else was} to {now}", "loosens" if steady > 0 else "tightens"
    elif was != now:
        yield f"{name} is now {now} instead of {was}, which is the same rate", None
    if burst and burst != steady:
        sizes = f"from {old.burst or old.requests} to {new.burst or new.requests} requests"
        verb = "raised" if burst > 0 else "lowered"
        yield f"{name}: burst {verb} {sizes}", "loosens" if burst > 0 else "tightens"
    elif old.burst != new.burst and burst:
        yield f"{name}: burst {old.burst or old.requests} -> {new.burst or new.requests}", None
    if old.key != new.key:
        if old.key != "all":
            yield f"{name} is no longer counted by {old.key}, but by {new.key}", "tightens"
        if new.key != "all":
            yield f"{name} is now counted by {new.key}, no longer by {old.key}", "loosens"


def _sign(number: float) -> int:
    return (number > 1e-9) - (number < -1e-9)


def _per(limit: RateLimit) -> str:
    return limit.per if isinstance(limit.per, str) else format_duration(limit.per)


def _rate(limit: RateLimit) -> str:
    return f"{limit.requests} per {_per(limit)}"
