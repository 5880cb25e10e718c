"""How services move: what may be written, what is refused, and what it means for a release."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lastgood.config.configuration import read_entry
from lastgood.config.load import Loaded, load
from lastgood.config.repository_files import RepositoryItem
from lastgood.errors import ConfigError
from lastgood.release.moves import Move, move_of, moves_of
from lastgood.release.release import Release


@dataclass(frozen=True)
class File:
    """The one file of these projects."""

    content: bytes
    path: str = "lastgood.yaml"
    blob_id: str = "1"

    def read(self) -> bytes:
        return self.content


def read(text: str) -> Loaded:
    return load([File(text.encode())], lambda path: RepositoryItem("folder"), resolves=lambda reference: True)


def service(*lines: str, name: str = "catalog") -> str:
    return "\n".join(
        [f"  {name}:", f"    source: services/{name}", "    command: [x]", *(f"    {line}" for line in lines)]
    )


def shop(*services: str, bake: str = "") -> str:
    return "project: shop\nservices:\n" + "\n".join(services) + f"\n{bake}\n"


def move(*lines: str, bake: str = "") -> Move:
    configuration = read(shop(service(*lines), bake=bake)).configuration
    release = Release(1, "shop", None, {}, moves=moves_of(configuration))
    return move_of(release, "catalog")


def test_without_a_word_it_is_blue_green_and_the_old_one_outlives_the_bake() -> None:
    assert move() == Move("blue_green", keep_old_s=1800.0)
    assert move(bake="bake: { for: 2h }").keep_old_s == 7200.0


def test_every_strategy_and_what_it_means() -> None:
    assert move("strategy: { blue_green: { keep_old: 20m } }") == Move("blue_green", keep_old_s=1200.0)
    rolling = move("instances: 4", "strategy: { rolling: { batch: 2, max_unavailable: 1 } }", "drain: 3s")
    assert rolling == Move("rolling", 0.0, batch=2, surge=2, unavailable=1, drain_s=3.0)
    assert move("instances: 4", "strategy: { rolling: { max_surge: 0, max_unavailable: 2 } }").surge == 0
    canary = move("strategy: { canary: { steps: [5%, 50%], hold: 2m } }")
    assert canary == Move("canary", keep_old_s=1800.0, steps=(5.0, 50.0), hold_s=120.0)


def test_checks_and_hooks_are_counted_and_not_copied_into_the_release() -> None:
    made = move(
        "smoke: [{ path: / }, { path: /buy, status: 201, contains: ok }]",
        "hooks: { before: { command: [./warm] }, on_rollback: { url: http://127.0.0.1:1/x, timeout: 2s } }",
    )
    assert made.smoke == 2
    assert made.hooks == {"before": 30.0, "on_rollback": 2.0}


def test_a_text_that_only_looks_like_a_reference_is_a_text() -> None:
    for text in ("file:/shop.db?mode=ro", "file:shop.db", "env: none", "secret:key", "environment"):
        assert read(shop(service(f'environment: {{ DATABASE: "{text}" }}'))).configuration.services["catalog"]


def test_what_was_written_is_read_back_from_the_journal() -> None:
    text = service("depends_on: stock", "strategy: { canary: { steps: [5%] } }", "smoke: [{ path: / }]")
    configuration = read(shop(text, service(name="stock"))).configuration
    entry = configuration.entries["service:catalog"]
    assert read_entry(entry.key, entry.content) == entry


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (shop(service("strategy: { rolling: {}, canary: {} }")), 6, "exactly one of blue_green, rolling, canary"),
        (shop(service("instances: 2", "strategy: { rolling: { max_surge: 0 } }")), 7, "no instance can be replaced"),
        (shop(service("strategy: { rolling: { max_unavailable: 1 } }")), 6, "all 1 instances could be missing"),
        (shop(service("strategy: { canary: { steps: [50%, 5%] } }")), 6, "larger than the one before"),
        (shop(service("strategy: { canary: { steps: [50%, 100%] } }")), 6, "between 0% and 100%"),
        (shop(service("strategy: { blue_green: { keep_old: 1m } }")), 6, "gone after 1m, in the bake of 10m"),
        (shop(service("strategy: { canary: { keep_old: 0s } }")), 6, "gone after 0s, in the bake of 10m"),
        (shop(service("depends_on: stok"), service(name="stock")), 6, "there is no service stok"),
        (shop(service("depends_on: catalog")), 6, "wait for itself"),
        (shop(service("depends_on: stock"), service("depends_on: catalog", name="stock")), 6, "by way of stock"),
        (shop(service("hooks: { before: { command: [x], url: http://a } }")), 6, "exactly one of command, url"),
        (shop(service("smoke: [{ path: nothing }]")), 6, "a path that begins with /"),
        (shop(service('environment: { PORT: "80" }')), 6, "PORT is set by Lastgood itself"),
        (shop(service('environment: { LASTGOOD_RELEASE: "r1" }')), 6, "LASTGOOD_RELEASE is set by Lastgood itself"),
        (shop(service('environment: { "A B": "x" }')), 6, "'A B' is no name of a variable"),
        (shop(service('environment: { KEY: "env:KEY" }')), 6, "env: is not looked up here"),
        (shop(service('environment: { KEY: "file:/run/key" }')), 6, "file: is not looked up here"),
        (shop(service("health: { tcp: false }")), 6, "`tcp: false` says nothing"),
    ],
)
def test_what_is_refused(text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)
    assert [p for p in refused.value.problems if p.line == line and said in p.what], refused.value.problems


CANARY = service("strategy: { canary: { steps: [5%], hold: 20s } }")
MEASURED = "objectives: [{ errors: { not_worse_than: baseline } }]"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (shop(service(), bake=f"bake: {{ for: 1m, {MEASURED} }}"), 6, "first 20s of the bake of 1m are warm-up"),
        (shop(service(), bake=f"bake: {{ for: 80s, {MEASURED} }}"), 0, ""),
        (shop(service(), bake="bake: { for: 1m }"), 0, ""),
        (shop(service(), bake=f"bake: {{ for: 20s, warm_up: 0s, {MEASURED} }}"), 0, ""),
        (shop(CANARY, bake=f"bake: {{ {MEASURED} }}"), 6, "catalog: each share is held for 20s, and warm-up is 20s"),
        (shop(CANARY, bake=f"bake: {{ warm_up: 10s, {MEASURED} }}"), 0, ""),
    ],
)
def test_where_nothing_can_be_judged_in_time_one_is_warned(text: str, line: int, said: str) -> None:
    warnings = read(text).warnings
    assert [(warning.line, said in warning.what) for warning in warnings] == ([(line, True)] if line else [])


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        ("strategy: { canary: { steps: [50%, 10%] } }", 5, "larger than the one before"),
        ("strategy: { canary: { steps: [50%], shield: true } }", 5, "no shield"),
        ("strategy: { blue_green: { keep_old: 1s } }", 5, "function hello: the old version would be gone after 1s"),
        ("runtime: worker\n    concurrency: 0", 6, "concurrency: a number of at least 1 is needed"),
        ("runtime: worker\n    body_mb: 0", 6, "body_mb: a number of at least 1 is needed"),
        ('environment: { KEY: "env:KEY" }', 5, "env: is not looked up here"),
    ],
)
def test_what_a_function_would_take_and_not_do_is_refused(lines: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(f"project: shop\nfunctions:\n  hello:\n    source: hello\n    {lines}\n")
    assert [p for p in refused.value.problems if p.line == line and said in p.what], refused.value.problems


def test_what_a_service_lacks_is_told_beside_what_is_wrong_inside_of_it() -> None:
    with pytest.raises(ConfigError) as refused:
        read(shop(service("archive: { url: file:///x.tar, sha256: short }")))
    said = [problem.what for problem in refused.value.problems]
    assert len(said) == 2
    assert "exactly one of source, archive is needed, found source, archive" in said[0]
    assert "archive.sha256: " in said[1]


def test_a_service_that_is_wrong_is_there_all_the_same() -> None:
    with pytest.raises(ConfigError) as refused:
        read(shop(service("depends_on: stock"), service("nonsense: 1", name="stock")))
    assert [p.what for p in refused.value.problems if "there is no service" in p.what] == []
