"""What an Envoy is started with: everything else comes over ADS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lastgood.gateway.snapshot import RUNTIME_LAYER
from lastgood.health.reading import EDGES_MS

_ADS: dict[str, Any] = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HTTP_TYPE = f"type.googleapis.com/{_HTTP}"
_ADS_CLUSTER = "lastgood_ads"


@dataclass(frozen=True, slots=True)
class Proxy:
    """One Envoy of the gateway; the paths are Unix sockets (107 bytes at most), ``concurrency`` its worker threads."""

    name: str
    ads_socket: Path
    admin_socket: Path
    concurrency: int = 1
    max_connections: int = 50_000
    keepalive_s: float = 1.0
    """A frozen controller is noticed after at most three times this."""


def bootstrap(proxy: Proxy) -> str:
    """The bootstrap configuration as JSON; the same input gives the same text."""
    return json.dumps(
        {
            "node": {"id": proxy.name, "cluster": "lastgood"},
            "admin": {"address": {"pipe": {"path": str(proxy.admin_socket), "mode": 0o600}}},
            "dynamic_resources": {
                "ads_config": {
                    "api_type": "DELTA_GRPC",
                    "transport_api_version": "V3",
                    "set_node_on_first_message_only": True,
                    "grpc_services": [
                        {
                            "envoy_grpc": {
                                "cluster_name": _ADS_CLUSTER,
                                # The default back-off goes up to 30 s: a rollback right after a restart would wait.
                                "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}},
                            }
                        }
                    ],
                },
                "cds_config": _ADS,
                "lds_config": _ADS,
            },
            "static_resources": {"clusters": [_ads_cluster(proxy)]},
            # No admin layer: the runtime is what the controller says and nothing else.
            "layered_runtime": {"layers": [{"name": RUNTIME_LAYER, "rtds_layer": _rtds()}]},
            "overload_manager": {
                "resource_monitors": [
                    {
                        "name": "envoy.resource_monitors.global_downstream_max_connections",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.resource_monitors."
                            "downstream_connections.v3.DownstreamConnectionsConfig",
                            "max_active_downstream_connections": proxy.max_connections,
                        },
                    }
                ]
            },
            # Histograms are only brought up to date when statistics are flushed: by default every 5 s.
            "stats_flush_interval": "0.5s",
            "stats_config": {
                "stats_matcher": {"exclusion_list": {"patterns": _UNWANTED}},
                "histogram_bucket_settings": [
                    {"match": {"prefix": prefix}, "buckets": list(EDGES_MS)} for prefix in ("vhost.", "http.")
                ],
            },
        },
        indent=1,
        sort_keys=True,
    )


def argv(
    binary: Path, bootstrap_path: Path, proxy: Proxy, *, drain_s: int = 10, log_level: str = "warning"
) -> list[str]:
    """How to start it. Hot restart is off: its shared memory would tie proxies on one machine together."""
    return [
        str(binary),
        "--config-path",
        str(bootstrap_path),
        "--disable-hot-restart",
        "--concurrency",
        str(proxy.concurrency),
        "--drain-time-s",
        str(drain_s),
        "--log-level",
        log_level,
    ]


_UNWANTED = [
    # Statistics of every virtual host and of retries on every route: thousands nobody reads.
    {"contains": ".vcluster."},
    # The number of retries itself is wanted: it is how many attempts failed that no client saw.
    {"safe_regex": {"regex": r"vhost\..*\.route\..*\.upstream_rq_(retry_.*|timeout)"}},
]


def _rtds() -> dict[str, Any]:
    return {"name": RUNTIME_LAYER, "rtds_config": _ADS}


def _ads_cluster(proxy: Proxy) -> dict[str, Any]:
    keepalive = {"interval": f"{proxy.keepalive_s:g}s", "timeout": f"{2 * proxy.keepalive_s:g}s"}
    http2 = {"explicit_http_config": {"http2_protocol_options": {"connection_keepalive": keepalive}}}
    address = {"pipe": {"path": str(proxy.ads_socket)}}
    return {
        "name": _ADS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {_HTTP: {"@type": _HTTP_TYPE, **http2}},
        "load_assignment": {
            "cluster_name": _ADS_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
