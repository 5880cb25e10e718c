"""What keeps a version, and what keeps a release with functions from serving."""

from __future__ import annotations

from pathlib import Path

from lastgood.config.configuration import Configuration, make_entry
from lastgood.config.model import Function
from lastgood.effects.functions.versions import VersionStore
from lastgood.operations.function_maker import version_of_function
from lastgood.operations.references import unusable
from lastgood.ports import MadeOf


def function(**said: object) -> Function:
    return Function.model_validate({"source": "functions/price", **said})


def test_a_function_whose_secret_is_gone_blocks_the_way_back() -> None:
    made = make_entry("function:price", function(environment={"KEY": "secret:key", "WORD": "plain"}))
    configuration = Configuration("shop", {made.key: made})
    told = unusable(configuration, lambda reference: "has no value" if reference == "secret:key" else None)
    assert told == ["function price: secret:key has no value"]
    assert unusable(configuration, lambda reference: None) == []


def test_a_version_is_its_code_and_settings_and_not_how_it_moves() -> None:
    one = version_of_function(function(), "a" * 64)
    assert version_of_function(function(), "b" * 64) != one
    assert version_of_function(function(timeout="7s"), "a" * 64) != one
    assert version_of_function(function(environment={"KEY": "secret:other"}), "a" * 64) != one
    assert version_of_function(function(strategy={"canary": {}}, source="moved", keep_versions=3), "a" * 64) == one


def test_bundles_of_kept_versions_are_needed_and_those_of_others_are_not(tmp_path: Path) -> None:
    moments = iter(range(1000))
    store = VersionStore(tmp_path, kept=2, now_s=lambda: float(next(moments)))
    for number in range(4):
        store.keep(
            "price", f"{number}" * 64, {}, MadeOf(f"bundle-{number}", "seal"), awake=lambda digest: digest[0] == "1"
        )
    assert store.bundles() == {"bundle-1", "bundle-2", "bundle-3"}, "the oldest went, but not the one that is awake"


def test_a_torn_record_is_no_version_and_hides_no_other(tmp_path: Path) -> None:
    store = VersionStore(tmp_path)
    store.keep("price", "1" * 64, {}, MadeOf("b", "s"))
    (tmp_path / "price" / ("2" * 64 + ".json")).write_text('{"at_s": 1')
    assert [each.digest for each in store.of("price")] == ["1" * 64]


def test_a_hundred_are_kept(tmp_path: Path) -> None:
    moments = iter(range(1000))
    store = VersionStore(tmp_path, now_s=lambda: float(next(moments)))
    for number in range(103):
        store.keep("price", f"{number:064x}", {}, MadeOf("b", "s"))
    assert len(store.of("price")) == 100
    assert store.find("price", f"{102:064x}")[0].at_s == 102.0


def test_as_many_are_kept_as_the_newest_says_and_tags_beyond(tmp_path: Path) -> None:
    moments = iter(range(1000))
    store = VersionStore(tmp_path, now_s=lambda: float(next(moments)))
    for number in range(6):
        store.keep("price", f"{number}" * 64, {"keep_versions": 5}, MadeOf("b", "s"))
    store.tag("price", "1111", "festive")
    store.keep("price", "6" * 64, {"keep_versions": 2}, MadeOf("b", "s"))
    assert [each.digest[0] for each in store.of("price")] == ["6", "5", "1"]
    assert Function.model_validate({"source": "f"}).keep_versions == 100
