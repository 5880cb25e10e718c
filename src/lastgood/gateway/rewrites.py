"""What becomes of a path: a fixed beginning or the whole of it replaced, for upstreams and for redirects."""

from __future__ import annotations

from typing import Any

from lastgood.config.order import parse_path
from lastgood.gateway.matchers import quoted


def replace_prefix(action: Any, path: str, prefix: str) -> None:
    """Put ``prefix`` in place of the path's fixed beginning; the joint has exactly one slash.

    ``action`` is a RouteAction or a RedirectAction. Envoy's own prefix_rewrite of ``/a`` to ``/`` makes ``/a/b`` to
    ``//b``, hence the regular expression there.
    """
    shape = parse_path(path)
    old, new = shape.fixed.rstrip("/"), prefix.rstrip("/")
    if shape.kind != "template" and new:
        action.prefix_rewrite = new if old else prefix if shape.kind == "exact" else new + "/"
    elif new and old:
        _replace(action, f"^{quoted(old)}", new)
    else:
        _replace(action, f"^{quoted(old)}/?", new + "/")


def _replace(action: Any, pattern: str, text: str) -> None:
    action.regex_rewrite.pattern.regex = pattern
    action.regex_rewrite.substitution = text.replace("\\", "\\\\")


def replace_path(action: Any, path: str) -> None:
    """Put ``path`` in place of the whole path; the query stays."""
    _replace(action, "^.*$", path)
