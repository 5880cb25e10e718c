"""WebSockets only where a route says so, on every host.

Envoy decides that when a request arrives, by the route it has then. Requests whose table is found by a script have none
yet (``lua``), and it lets all of them pass; this filter stands behind the script and asks the route that was found.
"""

from __future__ import annotations

from typing import Any

from envoy.extensions.filters.http.lua.v3 import lua_pb2
from xds.type.matcher.v3 import matcher_pb2

from lastgood.gateway.labels import act, composite_message, header_input

_METADATA = "envoy.filters.http.lua"
"""The metadata of a route that a script gets:
https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/lua_filter#metadata."""
_ALLOWED = "websocket"
_SCRIPT = f"""function envoy_on_request(h)
  local asked = string.lower(h:headers():get("upgrade") or "")
  if asked ~= "websocket" or not h:metadata():get("{_ALLOWED}") then h:respond({{[":status"]="403"}}, "") end
end
"""


def upgrade_filter() -> Any:
    """The filter; its script runs for requests that ask for an upgrade, and no others."""
    matcher, script = matcher_pb2.Matcher(), lua_pb2.Lua()
    script.default_source_code.inline_string = _SCRIPT
    asked = matcher.matcher_list.matchers.add()
    header_input(asked.predicate.single_predicate.input, "upgrade")
    value = asked.predicate.single_predicate.value_match.safe_regex
    value.google_re2.SetInParent()
    value.regex = ".*"
    act(asked.on_match, script)
    return composite_message(matcher)


def allow_upgrade(route: Any) -> None:
    """Write into a route that it takes WebSockets."""
    route.route.upgrade_configs.add(upgrade_type="websocket").enabled.value = True
    route.metadata.filter_metadata[_METADATA].fields[_ALLOWED].bool_value = True
