"""Which release answers: the page ``/.well-known/lastgood`` and, if asked for, the header ``x-lastgood-release``.

Neither may be part of the routes, or every host's table would change with every release. Two filters of their own hold
the releases' names and choose between them by the same runtime key as the routes: at 0 and at 100 % they say what
serves, in between a share of the answers does. Hosts with both generations have the header's value in their routes,
which is exact for each request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.http.composite.v3 import composite_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.matching.input_matchers.runtime_fraction.v3 import runtime_fraction_pb2
from envoy.type.matcher.v3 import http_inputs_pb2
from envoy.type.v3 import percent_pb2
from xds.type.matcher.v3 import matcher_pb2

from lastgood.gateway import names
from lastgood.gateway.headers import remove_header, set_header
from lastgood.gateway.packing import extension, packed
from lastgood.gateway.snapshot import Resource


@dataclass(frozen=True, slots=True)
class Door:
    """A header by which requests come to a release; any ``value`` if there is none.

    ``key`` is the runtime key that opens it, None for always. ``drawn`` tells that its value is a regular expression
    for what an earlier answer set: such requests were sent here by chance and not by choice.
    """

    header: str
    value: str | None
    key: str | None
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A release, whether its configuration asks for the header, and how it may be asked for by name."""

    release: int
    header: bool
    doors: tuple[Door, ...] = ()
    cookie: str = ""
    """What its answers set while requests are drawn by lot between two releases."""
    version_keys: tuple[str, ...] = ()
    """Request headers whose value says, instead of the lot, which of two releases answers."""
    shields: tuple[tuple[str, str], ...] = ()
    """``(cluster, cluster with the stable version behind it)`` of the canaries that are shielded."""

    @property
    def route_value(self) -> str:
        """What the header says on routes of this release only; empty: it is not there."""
        return names.release_name(self.release) if self.header else ""


def answer_filter(base: Label, candidate: Label | None) -> Resource:
    """The filter that finds what ``/.well-known/lastgood`` is to say, on every host, before any policy.

    All other requests it tells their side by their version key, where the candidate has one.
    """
    matcher = matcher_pb2.Matcher()
    on_path = _on_answer_path(matcher)
    _choose(on_path, *(_answer(label) if label else None for label in (base, candidate)), candidate=candidate)
    if candidate and candidate.version_keys:
        _tell_side(matcher.on_no_match.matcher.matcher_list, candidate)
    return composite(names.ANSWER, matcher)


def say_filter() -> Any:
    """The filter that says it: the same for every release, since a script costs a proxy a millisecond to take up."""
    matcher = matcher_pb2.Matcher()
    message = lua_pb2.Lua()
    message.default_source_code.inline_string = _SAY
    act(_on_answer_path(matcher), message)
    return composite_message(matcher)


_SAY = f"""function envoy_on_request(h)
  local release = h:headers():get("{names.ANSWER_HEADER}") or ""
  local head = {{[":status"]="200", ["content-type"]="application/json", ["cache-control"]="no-store"}}
  h:respond(head, '{{"release": "' .. release .. '"}}')
end
"""


def _tell_side(matchers: Any, candidate: Label) -> None:
    """The same share of all values of a header as of the requests, and with a larger share those and more.

    The release is the seed: who is first with one is not always first.
    """
    for header in candidate.version_keys:
        drawn, other = matchers.matchers.add(), matchers.matchers.add()
        _share(drawn.predicate.single_predicate, header, candidate.release, seed=candidate.release)
        act(drawn.on_match, _side("new"))
        header_input(other.predicate.single_predicate.input, header)
        there = other.predicate.single_predicate.value_match.safe_regex
        there.google_re2.SetInParent()
        there.regex = ".*"
        act(other.on_match, _side("old"))


def _side(side: str) -> Any:
    message = lua_pb2.Lua()
    message.default_source_code.inline_string = _SIDE % side
    return message


_SIDE = f"""function envoy_on_request(h)
  h:headers():replace("{names.SIDE_HEADER}", "%s")
  h:clearRouteCache()
end
"""


def _on_answer_path(matcher: Any) -> Any:
    """What happens to requests for that page, to be written into."""
    header_input(matcher.matcher_tree.input, ":path")
    return matcher.matcher_tree.exact_match_map.map[names.ANSWER_PATH]


def _answer(label: Label) -> Any:
    message = header_mutation_pb2.HeaderMutation()
    message.mutations.request_mutations.append(set_header(names.ANSWER_HEADER, names.release_name(label.release)))
    return message


def release_filter(base: Label, candidate: Label | None) -> Resource:
    """The filter that sets the header; it does nothing as long as no configuration asks for it."""
    if not base.header and not (candidate and candidate.header):
        return extension(names.RELEASE, header_mutation_pb2.HeaderMutation())
    matcher = matcher_pb2.Matcher()
    _choose(matcher.on_no_match, *(_mark(label) if label else None for label in (base, candidate)), candidate=candidate)
    return composite(names.RELEASE, matcher)


def _mark(label: Label) -> Any:
    message = header_mutation_pb2.HeaderMutation()
    value = label.route_value
    message.mutations.response_mutations.append(
        set_header(names.RELEASE_HEADER, value) if value else remove_header(names.RELEASE_HEADER)
    )
    return message


def _choose(on_match: Any, base: Any, other: Any, *, candidate: Label | None) -> None:
    """Write into an OnMatch: the other filter for the candidate's share of the requests, else the base's."""
    if candidate is None:
        act(on_match, base)
        return
    matcher = on_match.matcher
    field = matcher.matcher_list.matchers.add()
    _share(field.predicate.single_predicate, "x-request-id", candidate.release)  # another one for each request
    act(field.on_match, other)
    act(matcher.on_no_match, base)


def _share(single: Any, header: str, release: int, seed: int = 0) -> None:
    """Write into a predicate that the header's hash is within the release's share."""
    header_input(single.input, header)
    fraction = runtime_fraction_pb2.RuntimeFraction(seed=seed)
    fraction.runtime_fraction.runtime_key = names.runtime_key(release)
    fraction.runtime_fraction.default_value.denominator = percent_pb2.FractionalPercent.MILLION
    single.custom_match.name = "share"
    single.custom_match.typed_config.CopyFrom(packed(fraction))


def header_input(config: Any, header: str) -> None:
    """Write into a matcher's input that it looks at this request header."""
    config.name = "header"
    config.typed_config.CopyFrom(packed(http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=header)))


def act(on_match: Any, filter_message: Any) -> None:
    """Write into an OnMatch that this filter runs for the request."""
    action = composite_pb2.ExecuteFilterAction()
    action.typed_config.name = "chosen"
    action.typed_config.typed_config.CopyFrom(packed(filter_message))
    on_match.action.name = "run"
    on_match.action.typed_config.CopyFrom(packed(action))


def composite(name: str, matcher: Any) -> Resource:
    """A filter that becomes one of several others, chosen for each request by the matcher."""
    return extension(name, composite_message(matcher))


def composite_message(matcher: Any) -> Any:
    """The same for a filter that is part of its listener."""
    message = extension_matcher_pb2.ExtensionWithMatcher()
    message.extension_config.name = "composite"
    message.extension_config.typed_config.CopyFrom(packed(composite_pb2.Composite()))
    message.xds_matcher.CopyFrom(matcher)
    return message
