"""A service that is moved by a strategy while the controller is killed at random: what must hold whenever it dies."""

from __future__ import annotations

import random
import time

from tests.support import processes
from tests.support.processes import CONTROLLER, eventually
from tests.support.services import ServiceShop, bodies

STRATEGIES = {
    "blue-green": "blue_green: { keep_old: 1s }",
    "rolling": "rolling: { batch: 1 }",
    "canary": "canary: { steps: [34%], hold: 300ms, keep_old: 1s }",
}
INSTANCES = 3
SETTLED = {"done", "went back", "failed", "superseded"}


class Rounds:
    """Rounds on one shop. Each goes forward, or forward and back from the middle; the controller dies meanwhile."""

    def __init__(self, shop: ServiceShop, strategy: str, seed: int) -> None:
        self.shop, self.strategy, self.chance = shop, strategy, random.Random(seed)
        self.live = "word0"
        self.requests = 0

    def begin(self) -> None:
        """A version that is live and good."""
        self.shop.open_with(self.live, instances=INSTANCES)

    def play(self, number: int) -> str:
        """One round; what happened, in words. Fails when a request did, or when the end is no rest point."""
        shop, word = self.shop, f"word{number}"
        text = shop.words(word, instances=INSTANCES).replace("blue_green: { keep_old: 2s }", STRATEGIES[self.strategy])
        shop.commit(text, f"Say {word}")
        before, left, count = self.live, shop.live, len(shop.history()["deployments"])
        with shop.visited(per_second=100) as load:
            going = shop.begin_command("deploy", "--force", "-m", "again", "--wait", "ended")
            eventually(lambda: len(shop.history()["deployments"]) > count, bool, within_s=20)
            goes_back = self.chance.random() < 0.5
            told = f"{self.strategy} {before} -> {word}"
            if goes_back:
                time.sleep(self.chance.random() * 2.5)
                told += f", back {'at the end' if self._is_at_rest() else 'from the middle'}"
                back = shop.begin_command("rollback", f"r{left}", "--no-revert-commit")
            else:
                back = None
            time.sleep(self.chance.random() * (1.0 if goes_back else 3.0))
            self._kill()
            codes = [command.communicate(timeout=90) and command.returncode for command in (going, back) if command]
            eventually(self._is_at_rest, bool, within_s=60)
        self.requests += len(load.answers)
        return f"{told}: {self._must_hold(before, word, goes_back, codes, set(bodies(load)))}"

    def _kill(self) -> None:
        victim = processes.pid(self.shop.root, CONTROLLER)
        processes.kill(victim)
        eventually(self.shop.answers, bool, within_s=30)

    def _is_at_rest(self) -> bool:
        return self.shop.answers() and self.shop.status()["deployment"] is None

    def _must_hold(self, before: str, word: str, goes_back: bool, codes: list[int], seen: set[str]) -> str:
        shop = self.shop
        newest = shop.history()["deployments"][0]
        assert newest["outcome"] in SETTLED, newest
        served = {shop.get("/visit").body for _ in range(20)}
        assert len(served) == 1, served
        self.live = served.pop()
        assert self.live in (before, word), self.live
        if goes_back and codes[-1] == 0:
            assert self.live == before, newest
        assert seen <= {before, word}
        answer = shop.get("/visit")
        assert answer.headers["x-lastgood-release"] == f"r{shop.live}"
        eventually(lambda: list(shop.instances().values()), lambda found: found == [INSTANCES])
        return f"{self.live} is live, {newest['outcome']}"
