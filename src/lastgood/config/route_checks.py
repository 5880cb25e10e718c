"""What is wrong with one route by itself: its hosts, its path, and settings that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lastgood.config.model import HeaderChanges, Route, TextMatch
from lastgood.config.order import PathShape, parse_path
from lastgood.config.words import nearest
from lastgood.config.yaml_tree import Place, line_at, shorten
from lastgood.errors import Problem

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")
_OWN_HEADERS = ("host", "connection", "transfer-encoding", "content-length")
_RETRY_ON = (
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "refused-stream",
    "retriable-4xx",
    "retriable-headers",
)
Found = Iterator[tuple[tuple[str | int, ...], str, str | None]]
"""Where in the route, what is wrong, and a hint."""


def check_route(route: Route, file: str, place: Place) -> list[Problem]:
    """Everything wrong with a route that needs no look at anything else."""
    problems = []
    for check in (_hosts, _path, _conditions, _changes, _action, _rewriting, _retrying):
        for path, what, hint in check(route):
            problems.append(Problem(file, line_at(place, path), f"route {route.name}: {what}", hint))
    return problems


def host_problem(host: str) -> tuple[str, str | None] | None:
    """What is wrong with a host pattern, and a hint."""
    if host == "*" or (_HOST.fullmatch(host) and len(host) <= 253):
        return None
    what = f"{shorten(host)!r} is no host; shop.example, *.shop.example or * is needed"
    if "://" in host or "/" in host:
        return what, "leave out scheme and path; the path goes to match.path"
    if host.startswith("[") or host.count(":") > 1:
        return what, "addresses of IPv6 cannot be hosts; use *"
    if ":" in host:
        return what, "leave out the port; a listener has it"
    if "*" in host:
        return what, "* stands for the whole first label only"
    if not host.isascii():
        return what, "write international names in their xn-- form"
    return what, None


def _hosts(route: Route) -> Found:
    seen = set()
    if not route.match.host:
        yield ("match", "host"), "the list of hosts is empty, so it never matches", "leave it out to match every host"
    for index, host in enumerate(route.match.host):
        wrong = host_problem(host)
        if wrong:
            yield ("match", "host", index), wrong[0], wrong[1]
        elif host in seen:
            yield ("match", "host", index), f"the host {host} stands twice in the list", None
        seen.add(host)


def _path(route: Route) -> Found:
    try:
        parse_path(route.match.path)
    except ValueError as error:
        yield ("match", "path"), str(error), None


def _conditions(route: Route) -> Found:
    for heading, conditions in (("headers", route.match.headers), ("query", route.match.query)):
        folded = set()
        for name, way in conditions.items():
            wrong = _regex_problem(way)
            if wrong:
                yield ("match", heading, name, "regex"), wrong, None
            if way.present is False and heading == "query" and not name:
                yield ("match", heading, name), "a query parameter needs a name", None
            if heading == "headers" and name.lower() in folded:
                yield ("match", heading, name), f"the header {name} stands twice (case does not count)", None
            if heading == "headers" and name.lower() == "host":
                yield ("match", heading, name), "conditions on the host go to match.host", None
            folded.add(name.lower())


def _regex_problem(way: TextMatch) -> str | None:
    """Broken regular expressions, and the constructs that RE2, which the gateway uses, does not have."""
    if way.regex is None:
        return None
    if len(way.regex) > 1024:
        return "the regular expression has more than 1024 characters"
    if re.search(r"\(\?(?:[=!]|<[=!]|P=|>|\()|(?<!\\)\\[1-9]", way.regex):
        return (
            "the regular expression has a look-ahead, a back reference or a possessive repeat, which RE2 does not know"
        )
    try:
        re.compile(way.regex)
    except (re.error, RecursionError, OverflowError) as error:
        return f"the regular expression is broken: {shorten(str(error), 100)}"
    return None


def _changes(route: Route) -> Found:
    for side in ("request", "response"):
        changes: HeaderChanges = getattr(route.headers, side)
        for verb in ("set", "add"):
            for name, value in getattr(changes, verb).items():
                if not _VALUE.fullmatch(value):
                    yield ("headers", side, verb, name), f"the value of {name} holds a control character", None
                if name.lower() in _OWN_HEADERS:
                    hint = "use rewrite.host" if name.lower() == "host" else None
                    yield ("headers", side, verb, name), f"the header {name} belongs to the gateway", hint
        for index, name in enumerate(changes.remove):
            if name.lower() in _OWN_HEADERS:
                yield ("headers", side, "remove", index), f"the header {name} belongs to the gateway", None


def _action(route: Route) -> Found:
    answers = "redirect" if route.redirect else "respond" if route.respond else None
    if answers:
        for setting, given in (
            ("websocket", route.websocket),
            ("retries", route.retries is not None),
            ("rewrite", route.rewrite != type(route.rewrite)()),
        ):
            if given:
                yield (setting,), f"{setting} needs `to`; with {answers} nothing is passed on", f"take {setting} out"
    if isinstance(route.to, tuple):
        names = [share.to for share in route.to]
        if sum(share.weight for share in route.to) <= 0:
            yield ("to",), "the weights add up to 0, so no target gets requests", "give one of them a weight"
        for index, name in enumerate(names):
            if name in names[:index]:
                yield ("to", index), f"the target {name} stands twice in the list", "add its weights up"
    for setting in ("use", "listeners"):
        listed = getattr(route, setting) or ()
        for index, name in enumerate(listed):
            if name in listed[:index]:
                yield (setting, index), f"{name} stands twice in `{setting}`", None


def _rewriting(route: Route) -> Found:
    shape = _shape(route)
    for heading, section in (("rewrite", route.rewrite), ("redirect", route.redirect)):
        if section is None:
            continue
        if section.prefix is not None and section.path is not None:
            yield (heading, "path"), f"{heading} takes prefix or path, not both", None
        if section.prefix is not None and shape is not None and shape.kind != "prefix":
            what = f"{heading}.prefix needs a path that ends in /* and has no parameter, not {route.match.path}"
            instead = "" if "{" in route.match.path else f", or match {route.match.path.rstrip('/')}/*"
            yield (heading, "prefix"), what, f"use {heading}.path{instead}"
    redirect = route.redirect
    if redirect and not redirect.model_fields_set - {"status"}:
        yield ("redirect",), "the redirect leads to where the request is", "name a scheme, host, port, path or prefix"
    host = route.rewrite.host or (redirect.host if redirect else None)
    if host is not None and (host == "*" or "*" in host or host_problem(host.lower().partition(":")[0])):
        yield ("rewrite" if route.rewrite.host else "redirect", "host"), f"{shorten(host)!r} is no host name", None


def _shape(route: Route) -> PathShape | None:
    try:
        return parse_path(route.match.path)
    except ValueError:
        return None


def _retrying(route: Route) -> Found:
    if route.retries is None:
        return
    for index, condition in enumerate(route.retries.on):
        if condition not in _RETRY_ON:
            hint = nearest(condition, _RETRY_ON) or "known are " + ", ".join(_RETRY_ON)
            yield ("retries", "on", index), f"retries.on knows no {shorten(condition)!r}", hint
    limit_s = route.timeout_s
    if route.retries.per_try_timeout_s is not None and limit_s and route.retries.per_try_timeout_s > limit_s:
        yield ("retries", "per_try_timeout"), "one try may take longer than the whole request (timeout)", None
