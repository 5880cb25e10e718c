"""The delta xDS conversation with one proxy, without a socket: requests in, responses out.

Protocol: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol (incremental, aggregated). What is ours is
the order in which a change goes out, new things before old ones go:

1. clusters, endpoints and secrets that are new or changed (then, if asked for, a pause until they are warm)
2. filter configurations and listeners (a listener that goes, goes here, so that its port is free for another)
3. scopes, all in ONE response: Envoy applies it atomically per worker; scopes that go, go with it. In the same breath
   what no route depends on: the filters that name the release, and the first keys of an empty runtime
4. the runtime; a push that changes nothing else overtakes whatever is under way
5. what is not used any more, once ``open_removals`` was called

Each step waits for the acknowledgement of the one before. A refusal stops everything until the next ``push``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lastgood.gateway.messages import Request, Response
from lastgood.gateway.names import ANSWER, RELEASE
from lastgood.gateway.runtime import EMPTY
from lastgood.gateway.snapshot import (
    CLUSTER,
    ENDPOINTS,
    EXTENSION,
    LISTENER,
    RUNTIME,
    RUNTIME_LAYER,
    SCOPE,
    SECRET,
    Resource,
    Snapshot,
)
from lastgood.gateway.stamp import stamped_scope
from lastgood.gateway.topic import Sent, Topic, others

_TARGETS = (CLUSTER, ENDPOINTS, SECRET)
_FILTERS = (EXTENSION, LISTENER)
_ROUTES = (EXTENSION, SCOPE, RUNTIME)
_STAGES = (_TARGETS, _FILTERS, _ROUTES, (RUNTIME,))
_TYPES = tuple(dict.fromkeys(type_url for stage in _STAGES for type_url in stage))
_LABELS = frozenset({ANSWER, RELEASE})
_REMOVED_LAST = (EXTENSION, CLUSTER, ENDPOINTS, SECRET)
_NOTHING: Mapping[str, Resource] = {}

Doubts = frozenset[tuple[str, str]]
"""``(type_url, name)`` of resources whose content at the proxy cannot be told from the version it reports."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the proxy said when it refused (NACK), and of which type of resource."""

    type_url: str
    words: str


class Conversation:
    """One stream with one proxy.

    ``doubts`` are those the last stream with this proxy left. With ``trusted=False`` the scope versions that the proxy
    reports are not believed: after a refusal Envoy remembers scopes as applied which are not (see ``stamp``).
    ``attempt`` must differ between streams. ``wait_for_warm`` makes step 2 wait for ``mark_warm`` after clusters
    changed. Envoy 1.40 acknowledges clusters only when they are warm, so it guards against a proxy that does not.
    """

    def __init__(
        self,
        target: Snapshot | None = None,
        *,
        attempt: str = "0",
        doubts: Doubts = frozenset(),
        trusted: bool = True,
        wait_for_warm: bool = False,
    ) -> None:
        self.target = target
        self.refusal: Refusal | None = None
        self.effective = False
        """The proxy has acknowledged everything that carries traffic; only removals may be left."""
        self.settled = False
        """It has acknowledged the removals too."""
        self.wants_warm = False
        """Clusters were acknowledged; ``mark_warm`` is waited for."""
        self._topics = {type_url: Topic() for type_url in _TYPES}
        self._doubts = set(doubts)
        self._trusted = trusted
        self._wait_for_warm = wait_for_warm
        self._warm = True
        self._removals = False
        self._attempt = attempt
        self._pushes = 0
        self._sent = 0

    @property
    def doubts(self) -> Doubts:
        """What the next stream with this proxy has to know; what was sent and not answered is doubtful too."""
        topics = self._topics.items()
        unanswered = {(url, name) for url, topic in topics for sent in topic.pending.values() for name in sent.names}
        return frozenset(self._doubts | unanswered)

    def receive(self, request: Request) -> list[Response]:
        """Take a request; the responses to send now, in order. Types that we do not serve are ignored."""
        topic = self._topics.get(request.type_url)
        if topic is None:
            return []
        if request.nonce:
            self._answered(topic, request)
        first = not topic.seen
        topic.subscribe(request)
        if first:
            self._take_over(topic, request)
        if (first or request.subscribe or request.unsubscribe) and self.target:
            topic.compare(self._wanted(request.type_url))
        return self._pump()

    def push(self, target: Snapshot) -> list[Response]:
        """Bring the proxy to another state, from wherever it is; also how a refusal is left behind."""
        before, self.target = self.target, target
        self._pushes += 1
        self._removals = self.effective = self.settled = False
        others_moved = self.refusal is not None
        self.refusal = None
        for type_url, topic in self._topics.items():
            wanted = self._wanted(type_url)
            todo = topic.todo
            topic.compare(wanted, others(before.resources.get(type_url, _NOTHING), wanted) if before else None)
            others_moved |= type_url != RUNTIME and topic.todo != todo
        runtime_moved = before is not None and _versions(before) != _versions(target)
        if runtime_moved and not others_moved and self._topics[RUNTIME].todo:
            return [self._send(RUNTIME, self._topics[RUNTIME].todo), *self._pump()]
        return self._pump()

    def open_removals(self) -> list[Response]:
        """Let go of what is not used any more: every proxy routes by the new scopes."""
        self._removals = True
        return self._pump()

    def mark_warm(self) -> list[Response]:
        """The clusters that were pushed are ready to take requests, or it is of no use to wait any longer."""
        self._warm = True
        return self._pump()

    def _wanted(self, type_url: str) -> Mapping[str, Resource]:
        return self.target.resources.get(type_url, _NOTHING) if self.target else _NOTHING

    def _take_over(self, topic: Topic, request: Request) -> None:
        believed = self._trusted or request.type_url != SCOPE
        for name, version in request.initial_versions.items():
            if not believed:
                self._doubts.add((request.type_url, name))
            topic.held[name] = None if (request.type_url, name) in self._doubts else version

    def _answered(self, topic: Topic, request: Request) -> None:
        sent = topic.pending.pop(request.nonce, None)
        if sent is None:
            return  # a nonce of another stream
        touched = {(request.type_url, name) for name in sent.names}
        if request.error is None:
            self._doubts -= touched
            return
        self._doubt(touched)
        self.effective = self.settled = False
        if sent.push == self._pushes:
            self.refusal = Refusal(request.type_url, request.error)
        else:
            # It refuses what a newer push has replaced already; only its memory of it has to be put right.
            topic.compare(self._wanted(request.type_url))

    def _doubt(self, touched: set[tuple[str, str]]) -> None:
        self._doubts |= touched
        for type_url, name in touched:
            self._topics[type_url].held[name] = None
            self._topics[type_url].astray = True

    def _pump(self) -> list[Response]:
        out: list[Response] = []
        self.wants_warm = False
        if self.target is None or self.refusal:
            return out
        # Something the proxy already has refers to what it asks for by name: it waits for it, whatever step we are at.
        out += [self._send(type_url, topic.asked) for type_url, topic in self._topics.items() if topic.asked]
        for stage in _STAGES:
            for type_url in stage:
                names = self._due(stage, type_url)
                if self._topics[type_url].seen and (names or self._topics[type_url].owed):
                    out.append(self._send(type_url, names))
            if any(self._topics[type_url].pending for type_url in stage) or not self._asked_for(stage):
                return out
            if stage is _TARGETS and not self._warm:
                self.wants_warm = True
                return out
        self.effective = True
        if self._removals:
            out += [self._send(url, self._topics[url].todo) for url in _REMOVED_LAST if self._topics[url].todo]
            self.settled = not any(self._topics[url].pending for url in _REMOVED_LAST)
        return out

    def _due(self, stage: tuple[str, ...], type_url: str) -> list[str]:
        """What of a type goes out at a step; removals of most types come last."""
        topic = self._topics[type_url]
        names = list(topic.todo)
        if type_url in _REMOVED_LAST:
            wanted = self._wanted(type_url)
            names = [name for name in names if name in wanted]
        if type_url == EXTENSION and stage is _FILTERS and self._topics[SCOPE].seen:
            return [name for name in names if name not in _LABELS or name not in topic.held]
        if type_url == RUNTIME and stage is _ROUTES and topic.held.get(RUNTIME_LAYER) != EMPTY.version:
            return []  # a key that goes or changes moves requests: only when the routes are there
        return names

    def _asked_for(self, stage: Iterable[str]) -> bool:
        """Whether the proxy has come so far in its own start that it asked for the types of this step."""
        for type_url in stage:
            needed = type_url in (CLUSTER, LISTENER) or (type_url in (SCOPE, RUNTIME) and self._wanted(type_url))
            if type_url == SCOPE:
                needed = needed and self._wanted(LISTENER)
            if needed and not self._topics[type_url].seen:
                return False
        return True

    def _send(self, type_url: str, names: Iterable[str]) -> Response:
        topic, wanted = self._topics[type_url], self._wanted(type_url)
        ordered = tuple(sorted(names))
        resources = []
        for name in ordered:
            if name in wanted:
                topic.held[name] = wanted[name].version
                resources.append(self._stamped(type_url, wanted[name]))
            else:
                topic.held.pop(name, None)
        topic.todo.difference_update(ordered)
        topic.asked.difference_update(ordered)
        topic.owed = False
        self._sent += 1
        nonce = f"{self._attempt}.{self._sent}"
        topic.pending[nonce] = Sent(ordered, self._pushes)
        if type_url == CLUSTER and resources:
            self._clusters_sent(ordered)
        removed = tuple(name for name in ordered if name not in wanted)
        assert self.target is not None
        return Response(type_url, tuple(resources), removed, nonce, self.target.digest[:12])

    def _clusters_sent(self, names: tuple[str, ...]) -> None:
        # A changed cluster warms until its endpoints come anew, even if they are the same.
        endpoints, wanted = self._topics[ENDPOINTS], self._wanted(ENDPOINTS)
        endpoints.todo.update(name for name in names if name in wanted and endpoints.covers(name))
        # A proxy that has not asked for scopes yet is starting: it opens its listeners when all is warm.
        self._warm = not (self._wait_for_warm and self._topics[SCOPE].seen)

    def _stamped(self, type_url: str, resource: Resource) -> Resource:
        if type_url == SCOPE and (type_url, resource.name) in self._doubts:
            return stamped_scope(resource, f"{self._attempt}.{self._pushes}")
        return resource


def _versions(snapshot: Snapshot) -> dict[str, str]:
    return {name: resource.version for name, resource in snapshot.resources.get(RUNTIME, _NOTHING).items()}
