"""What a path leads to is looked at again when a state is compiled: our own sockets get no requests."""

from __future__ import annotations

import os
from pathlib import Path

from lastgood.config import model
from lastgood.config.configuration import Configuration, make_entry
from lastgood.effects.envoy.barred import Barred
from lastgood.effects.envoy.snapshots import Snapshots
from lastgood.gateway.snapshot import CLUSTER, Generation, Traffic


def shop(*endpoints: str) -> Configuration:
    route = {"name": "r", "match": {"path": "/"}, "to": "inside", "public": True}
    entries = [
        make_entry("listener:web", model.Listener(port=80)),
        make_entry("upstream:inside", model.Upstream(endpoints=endpoints)),
        make_entry("route:r", model.Route.model_validate(route)),
    ]
    return Configuration("shop", {entry.key: entry for entry in entries})


def test_a_link_that_leads_to_our_own_socket_by_now_is_left_out_and_told(tmp_path: Path) -> None:
    ours, theirs, link = tmp_path / "admin.sock", tmp_path / "theirs.sock", tmp_path / "link.sock"
    link.symlink_to(theirs)
    told: list[str] = []

    def why(path: str) -> str | None:
        return "is a socket of Lastgood's own" if os.path.realpath(path) == str(ours) else None

    snapshots = Snapshots(lambda reference: "", tmp_path / "slots.json", Barred(why, told.append))
    generation = Generation(1, shop(f"unix:{link}", "127.0.0.1:9001"))

    def reached() -> bytes:
        clusters = snapshots.build(Traffic(generation)).resources[CLUSTER].values()
        return b"".join(cluster.body for cluster in clusters)

    before = reached()
    assert str(link).encode() in before
    assert told == []
    link.unlink()
    link.symlink_to(ours)
    assert str(link).encode() not in reached()
    assert b"127.0.0.1" in reached(), "the endpoint beside it goes on"
    assert told == [f"r1: upstream inside: unix:{link} is a socket of Lastgood's own: it gets no requests"]
    link.unlink()
    link.symlink_to(theirs)
    assert reached() == before


def test_an_upstream_of_which_nothing_is_left_compiles_and_reaches_nothing(tmp_path: Path) -> None:
    snapshots = Snapshots(lambda reference: "", tmp_path / "slots.json", Barred(lambda path: "is ours"))
    made = snapshots.build(Traffic(Generation(1, shop("unix:/run/ours.sock"))))
    assert not any(b"ours.sock" in cluster.body for cluster in made.resources[CLUSTER].values())
