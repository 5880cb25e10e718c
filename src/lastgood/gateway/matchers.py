"""Which requests a route takes: paths by whole segments, methods, headers, query."""

from __future__ import annotations

import re
from typing import Any

from envoy.config.route.v3 import route_components_pb2 as route_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2
from envoy.type.v3 import percent_pb2

from lastgood.config.model import Match, TextMatch
from lastgood.config.order import parse_path
from lastgood.gateway.labels import Door
from lastgood.gateway.names import runtime_key

_MILLION = percent_pb2.FractionalPercent.MILLION


def match_message(match: Match, *, fenced_by: int | None = None) -> Any:
    """The RouteMatch; ``fenced_by`` is the release whose share of the requests may pass, none by default."""
    message = path_match(match.path)
    if match.methods:
        header = message.headers.add(name=":method")
        header.string_match.CopyFrom(one_of(match.methods))
    for name, condition in sorted(match.headers.items()):
        header = message.headers.add(name=name.lower())
        if condition.present is None:
            header.string_match.CopyFrom(text_match(condition))
        else:
            header.present_match = condition.present
    for name, condition in sorted(match.query.items()):
        parameter = message.query_parameters.add(name=name)
        if condition.present is None:
            parameter.string_match.CopyFrom(text_match(condition))
        else:
            parameter.present_match = condition.present
    if fenced_by is not None:
        fence(message, fenced_by)
    return message


def fence(message: Any, release: int) -> None:
    """Let only the release's share of the requests through: none until the runtime says otherwise.

    Envoy draws one number per request and holds it against every fence, so all routes of a release open together.
    """
    message.runtime_fraction.runtime_key = runtime_key(release)
    message.runtime_fraction.default_value.numerator = 0
    message.runtime_fraction.default_value.denominator = _MILLION


def door(message: Any, asked: Door) -> None:
    """Let only requests through that carry its header, and only while its key says so."""
    header = message.headers.add(name=asked.header)
    if asked.value is None:
        header.present_match = True
    elif asked.drawn:
        header.string_match.safe_regex.regex = asked.value
    else:
        header.string_match.exact = asked.value
    if asked.key is not None:
        message.runtime_fraction.runtime_key = asked.key
        message.runtime_fraction.default_value.numerator = 0
        message.runtime_fraction.default_value.denominator = _MILLION


def path_match(path: str) -> Any:
    """``/a/b`` exact, ``/a/*`` itself and everything below, ``{id}`` one segment of any text."""
    shape = parse_path(path)
    if shape.kind == "template":
        return route_pb2.RouteMatch(safe_regex=regex_pb2.RegexMatcher(regex=shape.regex))
    if shape.kind == "exact":
        return route_pb2.RouteMatch(path=shape.fixed)
    if not shape.segments:
        return route_pb2.RouteMatch(prefix="/")
    return route_pb2.RouteMatch(path_separated_prefix=shape.fixed)


def quoted(text: str) -> str:
    """The text as RE2 that matches it."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def text_match(condition: TextMatch) -> Any:
    """A StringMatcher; a regular expression must match the whole value."""
    if condition.exact is not None:
        return string_pb2.StringMatcher(exact=condition.exact)
    if condition.prefix is not None:
        if not condition.prefix:  # every value has the empty prefix, which Envoy refuses to say
            return string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=".*"))
        return string_pb2.StringMatcher(prefix=condition.prefix)
    return string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=condition.regex or ""))


def one_of(texts: tuple[str, ...]) -> Any:
    """A StringMatcher for any of the texts."""
    if len(texts) == 1:
        return string_pb2.StringMatcher(exact=texts[0])
    return string_pb2.StringMatcher(
        safe_regex=regex_pb2.RegexMatcher(regex="|".join(quoted(text) for text in sorted(texts)))
    )
