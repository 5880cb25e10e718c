"""A canary behind its shield, live: it fails everything, nobody notices, and it goes back by itself."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.support.processes import eventually
from tests.support.services import ServiceShop, bodies

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150), pytest.mark.xdist_group("judging")]

CANARY = "strategy: { canary: { steps: [5%], hold: 10m, shield: true, keep_old: 60s } }\n"
BAKE = "300ms, clusters: 1, objectives: [{ errors: { not_worse_than: baseline } }], checks: []"


class CanaryShop(ServiceShop):
    """Its catalogue moves as a shielded canary."""

    def words(self, word: str, **settings: object) -> str:
        text = super().words(word, **settings)  # type: ignore[arg-type]
        text = re.sub(r"strategy: \{.*\}\n", CANARY, text)
        return text if word == "one" else text.replace("for: 300ms", f"for: {BAKE}")


@pytest.fixture
def shop() -> Iterator[CanaryShop]:
    made = CanaryShop()
    yield made
    made.close()


def test_a_shielded_canary_that_fails_everything_goes_back_and_nobody_notices(shop: CanaryShop) -> None:
    shop.open_with("one", instances=2)
    with shop.visited(per_second=200.0, connections=8) as load:
        shop.commit(shop.words("broken", instances=2), "Say broken")
        shop.ok("deploy", "--no-wait")
        eventually(shop.status, lambda found: found["deployment"] is None, within_s=60)
        time.sleep(0.5)
    assert shop.live == 1
    found = shop.ask("verdict", "r2")
    assert found["verdict"] == "bad"
    assert "in a row failed" in found["evidence"] or "requests failed" in found["evidence"]
    assert set(bodies(load)) == {"one"}
    times = {event.get("step"): event["at"] for event in shop.ask("report", "d2")["timeline"]}
    first, back = (datetime.fromisoformat(times[step]) for step in ("hold", "shift"))
    took_s = (back - first).total_seconds()
    print(
        f"\nshielded: {len(load.answers)} answers, none failed; {took_s:.1f} s from the first request to the way back"
    )
    assert took_s < 15, "as failures in a row, though it warms up still"
