"""The same hosts and routes in the words of other proxies; ``side`` is where the first route of the first host goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.project import Shape, host_name

Ports = dict[str, int]


def nginx(shape: Shape, folder: Path, port: int, ports: Ports, side: str) -> str:
    """One ``server`` for each host, one ``location`` for each route."""
    folders = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    upstreams = "".join(
        f"  upstream {name} {{ server 127.0.0.1:{number}; keepalive 64; }}\n" for name, number in ports.items()
    )
    servers = []
    for number in range(shape.hosts):
        locations = " ".join(f"location /p{n}/ {{ proxy_pass http://{to}; }}" for n, to in _routes(shape, number, side))
        servers.append(f"  server {{ listen 127.0.0.1:{port}; server_name {host_name(number)}; {locations} }}\n")
    return (
        f"worker_processes 1;\ndaemon off;\nuser {_user()};\npid {folder}/nginx.pid;\n"
        f"error_log {folder}/error.log crit;\nevents {{ worker_connections 4096; }}\nhttp {{\n  access_log off;\n"
        "  server_names_hash_max_size 16384;\n  server_names_hash_bucket_size 128;\n  keepalive_requests 1000000;\n"
        '  proxy_http_version 1.1;\n  proxy_set_header Connection "";\n'
        f"{folders}{upstreams}{''.join(servers)}}}\n"
    )


def haproxy(folder: Path, port: int, ports: Ports) -> str:
    """Hosts and paths are in a map file beside it: the way its makers advise for many routes."""
    backends = "".join(f"backend {name}\n  server one 127.0.0.1:{number}\n" for name, number in ports.items())
    return (
        f"global\n  nbthread 1\n  stats socket {folder}/stats.sock level admin\n  hard-stop-after 10s\n"
        "defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n"
        f"frontend web\n  bind 127.0.0.1:{port}\n  use_backend %[base,map_beg({folder}/routes.map)]\n{backends}"
    )


def haproxy_map(shape: Shape, side: str) -> str:
    """``host/path backend``, one a line."""
    return "".join(
        f"{host_name(number)}/p{n}/ {to}\n" for number in range(shape.hosts) for n, to in _routes(shape, number, side)
    )


def caddy(shape: Shape, folder: Path, port: int, ports: Ports, side: str) -> str:
    """One route for each host, with the host's routes below it."""
    hosts = [
        {
            "match": [{"host": [host_name(number)]}],
            "handle": [
                {
                    "handler": "subroute",
                    "routes": [
                        {
                            "match": [{"path": [f"/p{n}/*"]}],
                            "handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": f"127.0.0.1:{ports[to]}"}]}],
                        }
                        for n, to in _routes(shape, number, side)
                    ],
                }
            ],
            "terminal": True,
        }
        for number in range(shape.hosts)
    ]
    server = {"listen": [f"127.0.0.1:{port}"], "automatic_https": {"disable": True}, "routes": hosts}
    return json.dumps(
        {
            "admin": {"listen": f"unix/{folder}/admin.sock", "config": {"persist": False}},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "apps": {"http": {"servers": {"web": server}}},
        }
    )


def traefik(folder: Path, port: int) -> str:
    """The static half. By default it gathers changes for two seconds; here it does not."""
    static: dict[str, Any] = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
        "entryPoints": {"web": {"address": f"127.0.0.1:{port}"}},
        "providers": {
            "providersThrottleDuration": "1ms",
            "file": {"filename": f"{folder}/dynamic.yaml", "watch": True},
        },
    }
    return json.dumps(static)


def traefik_dynamic(shape: Shape, ports: Ports, side: str) -> str:
    """The dynamic half: a router for each route (JSON, which is YAML too)."""
    routers = {
        f"h{number}-{n}": {
            "entryPoints": ["web"],
            "rule": f"Host(`{host_name(number)}`) && PathPrefix(`/p{n}/`)",
            "service": to,
        }
        for number in range(shape.hosts)
        for n, to in _routes(shape, number, side)
    }
    services = {
        name: {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{number}"}]}} for name, number in ports.items()
    }
    return json.dumps({"http": {"routers": routers, "services": services}})


def _routes(shape: Shape, number: int, side: str) -> Iterator[tuple[int, str]]:
    for n in range(shape.per_host):
        yield n, side if number == 0 and n == 0 else "a"


def _user() -> str:
    import getpass

    return getpass.getuser()
