"""The shop's lastgood.yaml, as text: each function is a commit an engineer could make."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ports:
    """Where the gateway listens, and the two upstreams."""

    gateway: int
    catalog: int
    legacy: int


CATALOG = """\
    - name: catalog
      match: { host: shop.example, path: /catalog/* }
      to: catalog
      public: true
"""


def route(name: str, to: str = "catalog", *, use: str = "", path: str = "", more: str = "") -> str:
    """One route at ``/name/*``; public unless it uses a policy."""
    guard = f"      use: [{use}]\n" if use else ""
    public = "      public: true\n" if not use or use.startswith("fair") else ""
    return (
        f"    - name: {name}\n      match: {{ host: shop.example, path: {path or f'/{name}/*'} }}\n"
        f"      to: {to}\n{guard}{public}{more}"
    )


def configuration(
    ports: Ports,
    routes: str = CATALOG,
    *,
    policies: str = "",
    bake: str = "300ms",
    listeners: str = "",
    upstreams: str = "",
) -> str:
    """A whole file. ``policies``, ``listeners`` and ``upstreams`` are indented lines of their sections."""
    section = f"  policies:\n{policies}" if policies else ""
    return (
        "project: shop\ngateway:\n  release_header: true\n  listeners:\n"
        f"    web: {{ port: {ports.gateway} }}\n{listeners}{section}  routes:\n{routes}"
        f'upstreams:\n  catalog: {{ endpoints: ["127.0.0.1:{ports.catalog}"] }}\n'
        f'  legacy: {{ endpoints: ["127.0.0.1:{ports.legacy}"] }}\n{upstreams}'
        f"bake: {{ for: {bake} }}\n"
    )


PARTNERS = '    partners: { api_key: { header: x-api-key, clients: { acme: "secret:acme_key" } } }\n'
"""The policy whose key is ``secret:acme_key``."""


def fair(requests: int, per: str = "hour") -> str:
    """A limit that everybody shares."""
    return f"    fair: {{ rate_limit: {{ requests: {requests}, per: {per}, key: all }} }}\n"
