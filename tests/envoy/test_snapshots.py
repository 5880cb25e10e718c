"""What is compiled again, and what is not."""

from __future__ import annotations

from pathlib import Path

from lastgood.config import model
from lastgood.config.configuration import Configuration, make_entry
from lastgood.effects.envoy.snapshots import Snapshots
from lastgood.gateway.cache import CompileCache
from lastgood.gateway.compile import compile_snapshot
from lastgood.gateway.slots import SlotTable
from lastgood.gateway.snapshot import EXTENSION, SCOPE, Generation, Traffic


def shop(path: str) -> Configuration:
    keys = {"header": "x-api-key", "clients": {"acme": "secret:acme"}}
    entries = [
        make_entry("listener:web", model.Listener(port=80)),
        make_entry("policy:partners", model.Policy.model_validate({"api_key": keys})),
        make_entry(
            "route:r",
            model.Route.model_validate(
                {"name": "r", "match": {"path": path}, "respond": {"status": 200}, "use": ["partners"]}
            ),
        ),
    ]
    return Configuration("shop", {entry.key: entry for entry in entries})


def test_a_share_of_requests_compiles_nothing_anew(tmp_path: Path) -> None:
    snapshots = Snapshots(lambda reference: "key", tmp_path / "slots.json")
    base, candidate = Generation(1, shop("/a")), Generation(2, shop("/b"))
    loaded = snapshots.build(Traffic(base, candidate, 0.0))
    shifted = snapshots.build(Traffic(base, candidate, 100.0))
    assert all(shifted.resources[SCOPE][name] is made for name, made in loaded.resources[SCOPE].items())
    fresh = compile_snapshot(
        Traffic(base, candidate, 100.0),
        secrets={"secret:acme": "key"},
        slots=SlotTable(),
        certificates={},
        cache=CompileCache(),
    )
    assert shifted == fresh
    assert shifted.digest != loaded.digest


def test_a_key_that_was_replaced_is_compiled_anew(tmp_path: Path) -> None:
    keys = {"secret:acme": "old"}
    snapshots = Snapshots(lambda reference: keys[reference], tmp_path / "slots.json")
    traffic = Traffic(Generation(1, shop("/a")))
    before = snapshots.build(traffic)
    keys["secret:acme"] = "new"
    after = snapshots.build(traffic)
    assert before.resources[EXTENSION] != after.resources[EXTENSION]
    assert before.resources[SCOPE] is after.resources[SCOPE]


def test_another_release_of_the_same_configuration_is_told_by_its_name(tmp_path: Path) -> None:
    snapshots = Snapshots(lambda reference: "key", tmp_path / "slots.json")
    said = shop("/a")
    before = snapshots.build(Traffic(Generation(1, said)))
    after = snapshots.build(Traffic(Generation(2, said)))
    assert before.resources[EXTENSION] != after.resources[EXTENSION]
