"""``python tools/kill.py --rounds 100``: kill the controller at random while every strategy goes forward and back.

Each round has a real gateway, real instances and a load that must not notice. A few of these rounds are played by
``tests/e2e/test_service_faults.py``; this plays as many as asked for and prints what each came to.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main() -> int:
    """Play the rounds; 1 when something did not hold."""
    from tests.support.killing import STRATEGIES, Rounds
    from tests.support.services import ServiceShop

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="over all strategies")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strategy", choices=sorted(STRATEGIES), action="append")
    asked = parser.parse_args()
    names, played, requests, began_s = asked.strategy or list(STRATEGIES), 0, 0, time.monotonic()
    for place, name in enumerate(names):
        shop = ServiceShop()
        try:
            rounds = Rounds(shop, name, asked.seed + place)
            rounds.begin()
            for number in range(1, asked.rounds // len(names) + (place < asked.rounds % len(names)) + 1):
                print(f"{number:4} {rounds.play(number)}", flush=True)
                played += 1
            requests += rounds.requests
        finally:
            shop.close()
    took_s = time.monotonic() - began_s
    print(f"{played} kills in {took_s:.0f} s: 0 of {requests:,} requests failed, every round ended at a rest point")
    return 0


if __name__ == "__main__":
    sys.exit(main())
