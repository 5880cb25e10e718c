"""What a compilation may take over from the ones before it. Results are the same with an empty cache, only later."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping

from lastgood.config.configuration import Configuration, is_next_to
from lastgood.gateway.outline import Outline, outline
from lastgood.gateway.snapshot import Resource, Snapshot, digest_of_type, digest_of_types
from lastgood.gateway.tables import NOTHING, Index, Key, Table, advance

_KEPT = 4
_ROUNDS = 4


class CompileCache:
    """Indexes of the last configurations and resources by what they are made of. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._outlines: list[Outline] = []
        self._indexes: list[Index] = []
        self._resources: OrderedDict[Hashable, Resource] = OrderedDict()
        self._used = 0
        self._types: dict[str, list[tuple[Mapping[str, Resource], str]]] = {}
        self.settled: Mapping[Key, tuple[Table, Resource]] = {}
        """The resources of the tables that both generations shared last."""

    def keep_settled(self, settled: Mapping[Key, tuple[Table, Resource]]) -> None:
        """For the next compilation; they count as used, so that the store keeps room for as many."""
        self.settled = settled
        self._used += len(settled)

    def snapshot(self, resources: Mapping[str, Mapping[str, Resource]]) -> Snapshot:
        """A snapshot; a type that is as it was in one of the last few is the same object, and costs nothing."""
        same: dict[str, Mapping[str, Resource]] = {}
        digests: dict[str, str] = {}
        for type_url, made in resources.items():
            known = self._types.setdefault(type_url, [])
            found = next((pair for pair in known if pair[0] is made or pair[0] == made), None)
            if found is None:
                found = (made, digest_of_type(made))
                self._types[type_url] = [found, *known[: _KEPT - 1]]
            same[type_url], digests[type_url] = found
        return Snapshot(same, digest_of_types(digests))

    def outline(self, configuration: Configuration) -> Outline:
        """The outline of a configuration."""
        for found in self._outlines:
            if found.configuration is configuration:
                return found
        made = outline(configuration)
        self._outlines = [*self._outlines[-_KEPT + 1 :], made]
        return made

    def index(self, outline: Outline, clusters: Mapping[str, str]) -> Index:
        """The index of a configuration, made from the one used last where there is one."""
        for found in self._indexes:
            if found.outline is outline and found.clusters == clusters:
                # not list.remove, which would compare whole configurations with each other
                self._indexes = [*(other for other in self._indexes if other is not found), found]
                return found
        made = advance(self._nearest(outline.configuration), outline, clusters)
        self._indexes = [*self._indexes[-_KEPT + 1 :], made]
        return made

    def _nearest(self, configuration: Configuration) -> Index:
        """The index that this configuration is known to differ little from, else the one used last."""
        for found in reversed(self._indexes):
            if is_next_to(found.outline.configuration, configuration):
                return found
        return self._indexes[-1] if self._indexes else NOTHING

    def find(self, key: Hashable) -> Resource | None:
        """The resource made before of the same things."""
        self._used += 1
        found = self._resources.get(key)
        if found is not None:
            self._resources.move_to_end(key)
        return found

    def keep(self, key: Hashable, resource: Resource) -> Resource:
        """Remember a resource by what it is made of."""
        self._resources[key] = resource
        return resource

    def resource(self, key: Hashable, make: Callable[[], Resource]) -> Resource:
        """The resource made before of the same things, or a new one."""
        return self.find(key) or self.keep(key, make())

    def finish(self) -> None:
        """End a compilation: forget what the last few did not use."""
        limit = _ROUNDS * self._used + 100
        while len(self._resources) > limit:
            self._resources.popitem(last=False)
        self._used = 0
