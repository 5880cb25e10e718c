"""A proxy in memory that treats delta responses as Envoy 1.40 does, its memory of refused scopes included."""

from __future__ import annotations

from collections import deque

from envoy.config.route.v3 import scoped_route_pb2

from lastgood.gateway.conversation import Conversation
from lastgood.gateway.messages import Request, Response
from lastgood.gateway.snapshot import CLUSTER, LISTENER, RUNTIME, RUNTIME_LAYER, SCOPE, Resource, Snapshot

BAD = "bad"


def state(scopes: dict[str, str], percent: int = 0, extra: tuple[str, ...] = ()) -> Snapshot:
    """``scopes``: host -> cluster. A scope to the cluster ``bad`` is refused."""
    clusters = sorted({*scopes.values(), *extra})
    resources = {
        CLUSTER: {name: Resource(name, "1", name.encode()) for name in clusters},
        LISTENER: {"web": Resource("web", "1", b"web")},
        SCOPE: {host: Resource(host, cluster, _scope(host, cluster)) for host, cluster in scopes.items()},
        RUNTIME: {RUNTIME_LAYER: Resource(RUNTIME_LAYER, f"{percent}%", str(percent).encode())},
    }
    return Snapshot(resources, f"{sorted(scopes.items())} {percent} {extra}")


def _scope(host: str, cluster: str) -> bytes:
    made = scoped_route_pb2.ScopedRouteConfiguration(name=host)
    made.route_configuration.name = cluster
    body: bytes = made.SerializeToString(deterministic=True)
    return body


def cluster_of(body: bytes) -> str:
    name: str = scoped_route_pb2.ScopedRouteConfiguration.FromString(body).route_configuration.name
    return name


class ModelProxy:
    """``live`` is what requests meet. Responses and requests wait in queues until they are delivered."""

    def __init__(self) -> None:
        self.live: dict[str, dict[str, bytes]] = {CLUSTER: {}, LISTENER: {}, SCOPE: {}, RUNTIME: {}}
        self.versions: dict[str, dict[str, str]] = {url: {} for url in self.live}
        self._remembered: dict[str, bytes] = {}
        self.inbox: deque[Response] = deque()
        self.outbox: deque[Request] = deque()
        self.log: list[Response] = []

    def connect(self) -> None:
        """A new stream: what was under way is lost."""
        self.inbox.clear()
        self.outbox.clear()
        for url in (RUNTIME, CLUSTER, LISTENER, SCOPE):
            names = (RUNTIME_LAYER,) if url == RUNTIME else ()
            self.outbox.append(Request(url, names, initial_versions=dict(self.versions[url])))

    def take(self, response: Response) -> None:
        """Apply one response and answer it."""
        self.log.append(response)
        error = self._apply_scopes(response) if response.type_url == SCOPE else self._apply(response)
        if error is None:
            versions = self.versions[response.type_url]
            versions.update((item.name, item.version) for item in response.resources)
            for name in response.removed:
                versions.pop(name, None)
        self.outbox.append(Request(response.type_url, nonce=response.nonce, error=error))
        for host, body in self.live[SCOPE].items():
            assert cluster_of(body) in self.live[CLUSTER], f"{host} is routed to a cluster that is not there"

    def _apply(self, response: Response) -> None:
        live = self.live[response.type_url]
        live.update((item.name, item.body) for item in response.resources)
        for name in response.removed:
            live.pop(name, None)

    def _apply_scopes(self, response: Response) -> str | None:
        fresh = {}
        for item in response.resources:
            if cluster_of(item.body) == BAD:
                return f"{item.name} is bad"
            if self._remembered.get(item.name) != item.body:
                fresh[item.name] = self._remembered[item.name] = item.body
        self.live[SCOPE].update(fresh)
        for name in response.removed:
            self.live[SCOPE].pop(name, None)
            self._remembered.pop(name, None)
        return None

    def shows(self) -> tuple[dict[str, str], bytes | None, set[str]]:
        """Scopes and their clusters, the runtime, all clusters."""
        scopes = {host: cluster_of(body) for host, body in self.live[SCOPE].items()}
        return scopes, self.live[RUNTIME].get(RUNTIME_LAYER), set(self.live[CLUSTER])


def run(proxy: ModelProxy, conversation: Conversation) -> None:
    """Deliver everything until nothing is under way."""
    while proxy.inbox or proxy.outbox:
        if proxy.inbox:
            proxy.take(proxy.inbox.popleft())
        if proxy.outbox:
            proxy.inbox.extend(conversation.receive(proxy.outbox.popleft()))


def connected(target: Snapshot | None) -> tuple[ModelProxy, Conversation]:
    """A proxy that has taken a state."""
    proxy, conversation = ModelProxy(), Conversation(target)
    proxy.connect()
    run(proxy, conversation)
    return proxy, conversation
