"""The shop of the story: what its engineers commit, one text for each commit."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

GENUINE_KEY = "demo-partner-key"


@dataclass(frozen=True)
class Ports:
    """Where the gateway listens, and the two upstreams."""

    gateway: int
    catalog: int
    legacy: int


_HEAD = """\
project: shop
gateway:
  release_header: true
  listeners:
    web: { port: %(gateway)d }
"""
_TAIL = """\
upstreams:
  catalog: { endpoints: ["127.0.0.1:%(catalog)d"] }
  legacy: { endpoints: ["127.0.0.1:%(legacy)d"] }
bake: { for: 2s }
"""


def first(ports: Ports) -> str:
    """One public route."""
    routes = """\
  routes:
    - name: catalog
      match: { host: shop.example, path: /catalog/* }
      to: catalog
      public: true
    - name: old
      match: { host: shop.example, path: /old/* }
      to: legacy
      public: true
"""
    return (_HEAD + routes + _TAIL) % vars(ports)


def good(ports: Ports, *, orders_to: str = "catalog", timeout: str = "2s") -> str:
    """A protected route and a limit more."""
    body = f"""\
  policies:
    partners: {{ api_key: {{ header: x-api-key, clients: {{ acme: "secret:acme_key" }} }} }}
    trial: {{ rate_limit: {{ requests: 5, per: minute, key: all }} }}
  routes:
    - name: catalog
      match: {{ host: shop.example, path: /catalog/* }}
      to: catalog
      public: true
    - name: old
      match: {{ host: shop.example, path: /old/* }}
      to: legacy
      public: true
    - name: orders
      match: {{ host: shop.example, path: /orders/* }}
      to: {orders_to}
      use: [partners]
      timeout: {timeout}
    - name: trial
      match: {{ host: shop.example, path: /trial/* }}
      to: catalog
      use: [trial]
      public: true
"""
    return (_HEAD + body + _TAIL) % vars(ports)


def bad(ports: Ports) -> str:
    """Opens the protected route, lifts the limit, and sends the catalogue to the wrong, living upstream."""
    text = good(ports)
    text = text.replace("      use: [partners]\n", "      public: true\n").replace("requests: 5", "requests: 100000")
    text = text.replace('    partners: { api_key: { header: x-api-key, clients: { acme: "secret:acme_key" } } }\n', "")
    text = text.replace("path: /catalog/* }\n      to: catalog", "path: /catalog/* }\n      to: legacy")
    return text.replace("bake: { for: 2s }", "bake: { for: 60s }")


def refused(ports: Ports) -> str:
    """A pattern that is correct, and larger than Envoy takes."""
    return good(ports).replace("path: /old/* }", "path: /old/*, headers: { x-version: { regex: '2{1001}' } } }")


class Repository:
    """The shop's Git repository, used as a person would: through ``git``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str) -> str:
        """Run git; returns what it prints."""
        command = ["git", "-c", "user.name=Shop", "-c", "user.email=shop@localhost", *arguments]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout

    def commit(self, text: str, message: str) -> None:
        """Write the configuration and commit it."""
        (self.root / "lastgood.yaml").write_text(text)
        self.git("add", "lastgood.yaml")
        self.git("commit", "--quiet", "-m", message)
