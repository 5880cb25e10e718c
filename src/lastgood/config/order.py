"""Which route wins: the shape of a path, and the order in which routes are asked.

The whole product asks in this order (the gateway compiles it, the checks look for ties in it, the diff for routes
that a new one hides): the more specific host, then the more specific path, then more conditions, then the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from lastgood.config.model import Match, Route, TextMatch

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-Fa-f]{2})*")
_WAYS = ("exact", "prefix", "regex", "present")


@dataclass(frozen=True)
class PathShape:
    """A path pattern, cut at its slashes.

    ``segments`` are texts, or ``None`` where a template takes any one non-empty segment; ``tail`` says that it ends
    in ``/*`` and takes everything below as well. ``/*`` has no segments and a tail, ``/`` is one empty segment.
    """

    segments: tuple[str | None, ...]
    tail: bool

    @property
    def kind(self) -> str:
        """``exact``, ``template`` (has a ``{parameter}``, maybe a tail too) or ``prefix``."""
        if None in self.segments:
            return "template"
        return "prefix" if self.tail else "exact"

    @property
    def fixed(self) -> str:
        """The fixed beginning, which ``rewrite.prefix`` replaces: ``/a/b`` of ``/a/b/*``, ``/`` of ``/*``."""
        literal = []
        for segment in self.segments:
            if segment is None:
                break
            literal.append(segment)
        return "/" + "/".join(literal)

    @cached_property
    def rank(self) -> tuple[Any, ...]:
        """Sorts the more specific shape first."""
        literals = sum(segment is not None for segment in self.segments)
        places = tuple(segment is None for segment in self.segments)  # of two equals the one with text further left
        texts = tuple(segment or "" for segment in self.segments)
        if self.tail:
            return (2, -len(self.segments), -literals, places, texts)
        return (0 if self.kind == "exact" else 1, -literals, -len(self.segments), places, texts)

    @property
    def regex(self) -> str:
        """The same as an RE2 expression for the whole path (without query)."""
        parts = "".join("/" + ("[^/]+" if segment is None else re.escape(segment)) for segment in self.segments)
        return parts + ("(/.*)?" if self.tail and parts else "/.*" if self.tail else "")

    def covers(self, other: PathShape) -> bool:
        """Whether every path of the other one is a path of this one."""
        if not self.tail and (other.tail or len(self.segments) != len(other.segments)):
            return False
        if len(self.segments) > len(other.segments):
            return False
        pairs = zip(self.segments, other.segments, strict=False)
        return all(mine == theirs or (mine is None and theirs != "") for mine, theirs in pairs)

    def overlaps(self, other: PathShape) -> bool:
        """Whether some path is a path of both."""
        short, long = sorted((self, other), key=lambda shape: len(shape.segments))
        if not short.tail and len(short.segments) != len(long.segments):
            return False
        pairs = zip(short.segments, long.segments, strict=False)
        return all(one == two or (one is None and two != "") or (two is None and one != "") for one, two in pairs)


@lru_cache(maxsize=65536)
def parse_path(path: str) -> PathShape:
    """The shape of ``match.path``. Raises ``ValueError`` in the user's words."""
    if not path.startswith("/"):
        raise ValueError("a path begins with /")
    body = path[1:]
    tail = body == "*" or body.endswith("/*")
    literal = body.removesuffix("/*") if tail else body
    segments = () if body == "*" else tuple(_segment(text) for text in literal.split("/"))
    parameters = _PARAMETER.findall(path)
    if "" in segments[:-1] or (tail and "" in segments):
        raise ValueError("a path has no empty segments (//)")
    if len(set(parameters)) != len(parameters):
        raise ValueError("a parameter stands twice in the path")
    return PathShape(segments, tail)


def _segment(text: str) -> str | None:
    if _PARAMETER.fullmatch(text):
        return None
    if "{" in text or "}" in text:
        raise ValueError(f"a parameter takes a whole segment, such as /users/{{id}}, not {text!r}")
    if "*" in text:
        raise ValueError("* stands only at the end, as in /catalog/*")
    if text in (".", ".."):
        raise ValueError(f"the segment {text!r} never arrives: proxies take it out")
    if "?" in text or "#" in text:
        raise ValueError("a path has no ? or #; conditions on the query go to match.query")
    if not _SEGMENT.fullmatch(text):
        raise ValueError(f"a character in {text!r} never arrives unescaped: write it as %XX")
    return text


def host_rank(host: str) -> tuple[int, int, str]:
    """Sorts the more specific host pattern first: ``a.b`` before ``*.x.b`` before ``*.b`` before ``*``."""
    if host == "*":
        return (2, 0, "")
    return (1, -len(host), host) if host.startswith("*.") else (0, 0, host)


def host_covers(host: str, other: str) -> bool:
    """Whether every host of the other pattern is a host of this one. ``*.b`` takes ``a.b`` and ``a.a.b``, not ``b``."""
    return host in ("*", other) or (host.startswith("*.") and len(other) > len(host) - 1 and other.endswith(host[1:]))


def _strength(way: TextMatch) -> tuple[int, int]:
    for number, name in enumerate(_WAYS):
        value = getattr(way, name)
        if value is not None:
            return (number, -len(value) if isinstance(value, str) else 0)
    raise AssertionError("a condition has exactly one way")


def conditions_rank(match: Match) -> tuple[Any, ...]:
    """Sorts more conditions first, then stricter ones, then fewer methods."""
    ways = (*match.headers.values(), *match.query.values())
    count = len(ways) + bool(match.methods)
    return (-count, len(set(match.methods)), tuple(sorted(_strength(way) for way in ways)))


def precedence(route: Route, host_pattern: str) -> tuple[Any, ...]:
    """Sort key: of the routes that match a request, the one with the smallest key takes it."""
    return (host_rank(host_pattern), parse_path(route.match.path).rank, conditions_rank(route.match), route.name)


def covers(match: Match, other: Match) -> bool:
    """Whether every request of the other match, on the same host, is one of this (``False`` where unsure)."""
    if not parse_path(match.path).covers(parse_path(other.path)):
        return False
    if match.methods and not (other.methods and set(other.methods) <= set(match.methods)):
        return False
    headers = {name.lower(): way for name, way in other.headers.items()}
    return all(_implied(way, headers.get(name.lower())) for name, way in match.headers.items()) and all(
        _implied(way, other.query.get(name)) for name, way in match.query.items()
    )


def _implied(needed: TextMatch, given: TextMatch | None) -> bool:
    """Whether a value that satisfies ``given`` satisfies ``needed``."""
    if given is None:
        return False
    if needed == given:
        return True
    if needed.present or needed.prefix == "":
        return given.present is not False
    text = given.exact if given.exact is not None else given.prefix
    return needed.prefix is not None and text is not None and text.startswith(needed.prefix)


def overlaps(match: Match, other: Match) -> bool:
    """Whether a request may match both, on a host of both (``True`` where unsure)."""
    if match.methods and other.methods and not set(match.methods) & set(other.methods):
        return False
    return parse_path(match.path).overlaps(parse_path(other.path))
