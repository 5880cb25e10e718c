"""Rolling updates and canaries behind a real gateway, forward and back, from the middle too: no request fails."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.support import processes
from tests.support.processes import CONTROLLER, eventually
from tests.support.services import CODE, ServiceShop, bodies

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


class StrategyShop(ServiceShop):
    """Its catalogue moves by the strategy it is given."""

    strategy = "rolling: {}"

    def words(self, word: str, **settings: object) -> str:
        text = super().words(word, **settings)  # type: ignore[arg-type]
        return re.sub(r"strategy: \{.*\}\n", f"strategy: {{ {self.strategy} }}\n", text)

    def percent(self) -> float:
        """The share of the requests on the candidate; 0 without one."""
        gateway = self.status()["gateway"]
        return float(gateway["percent"]) if gateway["candidate"] is not None else 0.0

    def at_rest(self) -> None:
        eventually(lambda: self.status()["deployment"], lambda deployment: deployment is None, within_s=60)


@pytest.fixture
def shop() -> Iterator[StrategyShop]:
    made = StrategyShop()
    yield made
    made.close()


@pytest.mark.parametrize("strategy", ["rolling: {}", "rolling: { max_surge: 0, max_unavailable: 1 }"])
def test_rolling_forward_and_back_loses_no_request_and_keeps_within_its_limits(
    shop: StrategyShop, strategy: str
) -> None:
    shop.strategy = strategy
    most = 3 if "max_surge: 0" in strategy else 4
    shop.open_with("one", instances=3)
    counted: list[int] = []
    with shop.visited() as load:
        going = shop.begin_release("two", instances=3)
        while going.poll() is None:
            counted.append(len(shop.pids()))
            time.sleep(0.05)
        shop.at_rest()
        assert shop.get("/visit").body == "two"
        shop.ok("rollback", "r1", timeout_s=90)
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"}
    assert max(counted) <= most
    shares = [step["shows"] for step in shop.ask("report", "d2")["steps"] if step["verb"] == "serve"]
    assert len(shares) >= 4, "it moved in batches"
    assert len(shop.pids()) == 3


def test_back_from_the_middle_of_a_rolling_update(shop: StrategyShop) -> None:
    shop.open_with("one", instances=3)
    with shop.visited() as load:
        for stop_at in (30.0, 60.0):
            going = shop.begin_release(f"two{stop_at:g}", instances=3)
            eventually(shop.percent, lambda percent, least=stop_at: percent >= least, within_s=40)
            shop.ok("rollback", "r1", timeout_s=90)
            assert shop.get("/visit").body == "one"
            going.communicate(timeout=60)
            shop.at_rest()
            assert len(shop.pids()) == 3
    assert set(bodies(load)) >= {"one", "two30", "two60"}


def test_a_controller_killed_in_the_middle_of_a_rolling_update_goes_on(shop: StrategyShop) -> None:
    shop.open_with("one", instances=3)
    with shop.visited() as load:
        going = shop.begin_release("two", instances=3)
        for least in (30.0, 60.0):
            eventually(shop.percent, lambda percent, least=least: percent >= least, within_s=40)
            processes.kill(processes.pid(shop.root, CONTROLLER))
            eventually(shop.answers, bool, within_s=30)
        going.communicate(timeout=60)
        shop.at_rest()
        assert shop.get("/visit").body == "two"
    assert set(bodies(load)) == {"one", "two"}
    assert len(shop.pids()) == 3


def test_a_canary_climbs_pauses_and_goes_back_at_once(shop: StrategyShop) -> None:
    shop.strategy = "canary: { steps: [20%, 50%], hold: 10m, keep_old: 60s }"
    shop.open_with("one", instances=4)
    with shop.visited() as load:
        shop.release("two", wait="converged", instances=4)
        assert (shop.percent(), len(shop.pids())) == (20.0, 5)
        told = [line for line in shop.ok("status").said.splitlines() if line.startswith("catalog:")]
        assert [("(r1)" in line, "4 of 4 instances healthy" in line) for line in told] == [(True, True), (False, False)]
        assert "1 of 1 instance healthy" in told[1]
        assert "20 % of the requests" in told[1]
        shop.ok("pause")
        assert shop.run("promote").code == 4
        shop.ok("resume")
        shop.ok("promote")
        assert (shop.percent(), len(shop.pids())) == (50.0, 6)
        seen = [shop.get("/visit").body for _ in range(200)]
        assert 60 <= seen.count("two") <= 140, "half of 200, give or take five standard deviations"
        shop.ok("rollback")
        assert {shop.get("/visit").body for _ in range(20)} == {"one"}
        shop.at_rest()
        assert len(shop.pids()) == 4, "the stable version was never touched"
    assert set(bodies(load)) == {"one", "two"}
    ids = [step["id"] for step in shop.ask("report", "d3")["steps"]]
    assert ids[0] == "shift"


def test_a_canary_is_promoted_in_full(shop: StrategyShop) -> None:
    shop.strategy = "canary: { steps: [20%, 50%], hold: 10m, keep_old: 1s }"
    shop.open_with("one", instances=4)
    with shop.visited() as load:
        shop.release("two", wait="converged", instances=4)
        shop.ok("promote", "--full")
        assert {shop.get("/visit").body for _ in range(20)} == {"two"}
        shop.at_rest()
        assert len(shop.pids()) == 4
    assert set(bodies(load)) == {"one", "two"}


def test_one_service_goes_back_and_the_other_stays(shop: StrategyShop) -> None:
    def two(word: str, other: str) -> str:
        text = shop.words(word)
        route = "    - { name: all, match: { host: shop.example }, to: catalog, public: true }\n"
        more = "    - { name: stock, match: { host: shop.example, path: /stock }, to: stock, public: true }\n"
        stock = (
            "  stock:\n    source: services/catalog\n"
            f"    command: [python, main.py, {other}]\n    health: {{ path: /healthz, interval: 200ms }}\n"
        )
        return text.replace(route, route + more).replace("bake:", f"{stock}bake:")

    shop.strategy = "blue_green: { keep_old: 1s }"
    shop.begin()
    shop.commit(two("one", "few"), "Open", services__catalog__main_py=CODE)
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "good")
    shop.commit(two("two", "many"), "Both")
    shop.ok("deploy", "--wait", "good")
    assert (shop.get("/visit").body, shop.get("/stock").body) == ("two", "many")
    with shop.visited():
        told = shop.ok("rollback", "--only", "catalog", "-m", "wrong prices")
        assert "r2 with catalog@r1" in told.said
        assert (shop.get("/visit").body, shop.get("/stock").body) == ("one", "many")
    assert shop.live == 3
    assert "held" in shop.run("deploy").said


def test_a_shielded_canary_that_fails_everything_is_noticed_by_nobody(shop: StrategyShop) -> None:
    shop.strategy = "canary: { steps: [50%], hold: 10m, shield: true, keep_old: 60s }"
    shop.open_with("one", instances=2)
    with shop.visited() as load:
        shop.release("broken", wait="converged", instances=2)
        time.sleep(2.0)
        shop.run("abort")  # it may be on its way back already: what it counted is no secret to the judge
        shop.at_rest()
    assert set(bodies(load)) == {"one"}
    assert shop.live == 1


def test_a_preview_is_seen_by_those_who_ask_and_switched_by_a_promotion(shop: StrategyShop) -> None:
    """By a header, and by an address of its own, which leads to what is live at any other time."""
    shop.strategy = "blue_green: { preview: 10m, keep_old: 60s }"
    shop.open_with("one")
    preview = "release_header: true\n  preview: { header: x-preview, host: new }"
    shop.commit(shop.words("two").replace("release_header: true", preview), "Say two")
    with shop.visited() as load:
        shop.ok("deploy", "--wait", "converged")
        assert (shop.get("/visit").body, shop.get("/visit", {"x-preview": "1"}).body) == ("one", "two")
        assert shop.get("/visit", host=f"new.shop.example:{shop.ports.gateway}").body == "two"
        assert set(bodies(load)) == {"one"}
        shop.ok("promote")
        assert shop.get("/visit").body == "two"
        shop.ok("rollback")
        assert shop.get("/visit").body == "one"
        shop.at_rest()
        assert shop.get("/visit", {"x-preview": "1"}).body == "one"
    shop.commit(shop.words("three").replace("release_header: true", preview), "Say three")
    shop.ok("deploy", "--wait", "converged", "--force", "-m", "the preview was in r2 too")
    assert shop.get("/visit", host="new.shop.example").body == "three"
    shop.ok("abort")
    shop.at_rest()
    assert (shop.get("/visit").body, shop.get("/visit", host="new.other.example").status) == ("one", 404)
