"""What is wrong with one section by itself."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from lastgood.config.model import Function, Listener, Policy, Section, Service, Upstream
from lastgood.config.service_checks import function_problems, service_problems
from lastgood.config.yaml_tree import Place, line_at, shorten
from lastgood.errors import Problem

_ORIGIN = re.compile(r"\*|https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?|null")
_COOKIE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
Found = Iterator[tuple[tuple[str | int, ...], str, str | None]]
"""Where in the section, what is wrong, and a hint."""


def check_section(section: Section, subject: str, file: str, place: Place) -> list[Problem]:
    """Everything wrong with a section that needs no look at anything else."""
    found: Found = iter(())
    if isinstance(section, Listener):
        found = _listener(section)
    elif isinstance(section, Policy):
        found = _policy(section)
    elif isinstance(section, Upstream):
        found = _upstream(section)
    elif isinstance(section, Service):
        found = service_problems(section)
    elif isinstance(section, Function):
        found = function_problems(section)
    return [Problem(file, line_at(place, path), f"{subject}: {what}", hint) for path, what, hint in found]


def _listener(listener: Listener) -> Found:
    try:
        ipaddress.ip_address(listener.address)
    except ValueError:
        what = f"an address such as 127.0.0.1 or 0.0.0.0 is needed, not {shorten(listener.address)!r}"
        yield ("address",), what, "0.0.0.0 is every address of the machine"
    for index, name in enumerate(listener.use):
        if name in listener.use[:index]:
            yield ("use", index), f"{name} stands twice in `use`", None


def _policy(policy: Policy) -> Found:
    if policy.jwt is not None:
        if not policy.jwt.issuer:
            yield ("jwt", "issuer"), "the issuer is empty", None
        for claim, wanted in policy.jwt.claims.items():
            if not wanted:
                yield ("jwt", "claims", claim), f"the claim {shorten(claim)} accepts nothing", "name at least one value"
    if policy.api_key is not None:
        if policy.api_key.cookie is not None and not _COOKIE.fullmatch(policy.api_key.cookie):
            yield ("api_key", "cookie"), "a cookie's name is needed", None
        if policy.api_key.query == "":
            yield ("api_key", "query"), "the name of a query parameter is needed", None
        first: dict[str, str] = {}
        for client, secret in policy.api_key.clients.items():
            if first.setdefault(secret, client) != client:
                what = f"the clients {first[secret]} and {client} have the same key, so nobody can tell them apart"
                yield ("api_key", "clients", client), what, "give each client a secret of its own"
    if policy.cors is not None:
        for index, origin in enumerate(policy.cors.origins):
            if not _ORIGIN.fullmatch(origin):
                what = f"an origin such as https://shop.example is needed, not {shorten(origin)!r}"
                hint = "no path and no slash at the end" if origin.count("/") > 2 else "name scheme and host in full"
                yield ("cors", "origins", index), what, hint


def _upstream(upstream: Upstream) -> Found:
    for index, endpoint in enumerate(upstream.endpoints):
        if endpoint in upstream.endpoints[:index]:
            yield ("endpoints", index), f"the endpoint {shorten(endpoint)} stands twice", None
        if not endpoint.startswith("unix:") and not 1 <= int(endpoint.rpartition(":")[2]) <= 65535:
            yield ("endpoints", index), f"{shorten(endpoint)!r}: a port is a number from 1 to 65535", None
