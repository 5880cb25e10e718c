"""The script for hosts that are not written as configured: other case, a port, a wildcard, a preview, unknown.

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
%(preview)slocal function look(h, listener, host)
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
%(unveil)s  if listener .. "|" .. host ~= asked and string.sub(host, 1, 1) ~= "*" then
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


_PREVIEW = """\
local preview = "%s."
"""
_UNVEIL = """\
  if #host > #preview and string.sub(host, 1, #preview) == preview then
    host = string.sub(host, #preview + 1)
    headers:replace(":authority", host .. (string.match(headers:get(":authority"), ":%%d*$") or ""))
    headers:replace("%s", "1")
  end
"""


def host_filter(wildcards: Mapping[str, Iterable[str]], preview: str | None = None) -> Resource:
    """The filter, of each listener's wildcard hosts (``*.shop.example``).

    ``preview`` is the label before a host that asks for the new release: the request goes on as one for that host.
    """
    message = lua_pb2.Lua()
    message.default_source_code.inline_string = script(wildcards, preview)
    return extension(names.HOST, message)


def script(wildcards: Mapping[str, Iterable[str]], preview: str | None = None) -> str:
    """The Lua source."""
    listeners = (
        f"[{json.dumps(listener)}]={{"
        + ",".join(f"[{json.dumps(pattern[2:])}]=true" for pattern in sorted(patterns))
        + "}"
        for listener, patterns in sorted(wildcards.items())
        if patterns
    )
    return _SCRIPT % {
        "wildcards": "{" + ",".join(listeners) + "}",
        "header": names.SCOPE_HEADER,
        "preview": _PREVIEW % preview if preview else "",
        "unveil": _UNVEIL % names.PREVIEW_HEADER if preview else "",
    }
