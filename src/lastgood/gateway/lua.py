"""The script for hosts that are not written as configured: other case, a port, a wildcard, unknown.

Tables are found by the exact text of a header. Where that fails this script runs: it writes the host the usual way and
looks again, then tries the wildcards, then ``*``. Everything behind it, policies included, sees the route found last.
Hosts that were found at once do not come here (the filter is disabled on their tables).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from envoy.extensions.filters.http.lua.v3 import lua_pb2

from lastgood.gateway import names
from lastgood.gateway.packing import extension
from lastgood.gateway.snapshot import Resource

_SCRIPT = """\
local wildcards = %(wildcards)s
local function look(h, listener, host)
  h:headers():replace("%(header)s", listener .. "|" .. host)
  h:clearRouteCache()
end
function envoy_on_request(h)
  local headers = h:headers()
  local asked = headers:get("%(header)s") or ""
  local listener = string.match(asked, "^[^|]*") or ""
  local host = string.lower(headers:get(":authority") or "")
  if #host > 255 then return look(h, listener, "*") end
  if string.sub(host, 1, 1) == "[" then
    host = string.match(host, "^%%[[^%%]]*%%]") or host
  else
    host = string.gsub(host, ":%%d*$", "")
  end
  host = string.gsub(host, "%%.$", "")
  if listener .. "|" .. host ~= asked and string.sub(host, 1, 1) ~= "*" then
    look(h, listener, host)
    h:metadata() -- makes Envoy look now; it does so once per request
    if h:streamInfo():routeName() ~= "" then return end
  end
  local known = wildcards[listener] or {}
  local dot = string.find(host, ".", 1, true)
  while dot do
    host = string.sub(host, dot + 1)
    if known[host] then return look(h, listener, "*." .. host) end
    dot = string.find(host, ".", 1, true)
  end
  look(h, listener, "*")
end
"""


def host_filter(wildcards: Mapping[str, Iterable[str]]) -> Resource:
    """The filter, of each listener's wildcard hosts (``*.shop.example``)."""
    message = lua_pb2.Lua()
    message.default_source_code.inline_string = script(wildcards)
    return extension(names.HOST, message)


def script(wildcards: Mapping[str, Iterable[str]]) -> str:
    """The Lua source."""
    listeners = (
        f"[{json.dumps(listener)}]={{"
        + ",".join(f"[{json.dumps(pattern[2:])}]=true" for pattern in sorted(patterns))
        + "}"
        for listener, patterns in sorted(wildcards.items())
        if patterns
    )
    return _SCRIPT % {"wildcards": "{" + ",".join(listeners) + "}", "header": names.SCOPE_HEADER}
