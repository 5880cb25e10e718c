"""Header changes of a route. Values are text: nothing in them is a format string."""

from __future__ import annotations

from typing import Any

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2

from lastgood.config.model import HeaderChanges
from lastgood.gateway import names

_SET = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_ADD = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
OWN = (names.SCOPE_HEADER, names.KEYS_HEADER)
"""Request headers between our filters, which the upstream does not see."""


def apply_changes(route: Any, request: HeaderChanges, response: HeaderChanges) -> None:
    """Write the changes into a Route message."""
    _write(route.request_headers_to_add, route.request_headers_to_remove, request)
    _write(route.response_headers_to_add, route.response_headers_to_remove, response)


def _write(to_add: Any, to_remove: Any, changes: HeaderChanges) -> None:
    for action, values in ((_SET, changes.set), (_ADD, changes.add)):
        for name, value in sorted(values.items()):
            to_add.add(append_action=action).header.CopyFrom(_header(name, value))
    to_remove.extend(name.lower() for name in changes.remove)


def _header(name: str, value: str) -> Any:
    return base_pb2.HeaderValue(key=name.lower(), value=value.replace("%", "%%"))


def set_header(name: str, value: str) -> Any:
    """A HeaderMutation that puts this value in place of what is there; ``value`` may hold ``%FORMATTERS%``."""
    mutation = mutation_rules_pb2.HeaderMutation()
    mutation.append.append_action = _SET
    mutation.append.header.key = name
    mutation.append.header.value = value
    return mutation


def remove_header(name: str) -> Any:
    """A HeaderMutation that takes a header off."""
    return mutation_rules_pb2.HeaderMutation(remove=name)


def headers_override(keys: str | None, release: str | None) -> Any:
    """What a route adds to the filter: the API key policy that must hold, the release it belongs to."""
    message = header_mutation_pb2.HeaderMutationPerRoute()
    if keys:
        message.mutations.request_mutations.append(set_header(names.KEYS_HEADER, keys))
    if release is not None:
        message.mutations.response_mutations.append(
            set_header(names.RELEASE_HEADER, release) if release else remove_header(names.RELEASE_HEADER)
        )
    return message
