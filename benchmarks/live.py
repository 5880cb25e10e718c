"""Judgement live: how long a release that fails, is slow or is well lives beside the one before, and who notices.

A real gateway, real load and the shipped judge; every round is a project of its own, so that nothing is learnt from
the one before. The parts are those of the tests (tests/judging/test_live.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from tests.support.judged import BAKE, PER_PROBE, PROBES, bad_answers, converged_s, open_with, release, text, went_back
from tests.support.moody import Moody
from tests.support.processes import eventually
from tests.support.services import ServiceShop, bodies
from tests.support.shop import Shop

from benchmarks.measuring import Spread, shown
from benchmarks.table import Size, Table

COLUMNS = ("what the new release does", "rounds", "found out after s: p50 / largest", "bad answers p50", "aim")
CANARY = "strategy: { canary: { steps: [5%], hold: 10m, shield: true, keep_old: 5m } }\n"
USUAL_S = 3.0
"""How long the load runs before a release: what is usual has to be seen."""


@dataclass
class Found:
    """The samples of one row: seconds until it was found out, and how many answers were bad."""

    aim: str
    took_s: list[float] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    sent: int = 0
    wrong: int = 0


def run(size: Size) -> Table:
    """Each row, so many times."""
    rounds = size.repeats if size.name == "full" else 1
    rows = {
        "every request fails": Found("3"),
        "every request fails, behind a shield": Found("0 failures seen"),
        "one in five fails": Found("about 4"),
        "twice as slow": Found("about 5"),
        "nothing is wrong, three releases in a row": Found("known good"),
    }
    plays: tuple[Callable[[Found], None], ...] = (_fails(1.0), _shielded, _fails(0.2), _slow, _healthy)
    for play, found in zip(plays, rows.values(), strict=True):
        for _ in range(rounds):
            play(found)
    cells = [[name, str(len(found.took_s)), *_cells(found)] for name, found in rows.items()]
    quiet = [
        rows[name] for name in ("every request fails, behind a shield", "nothing is wrong, three releases in a row")
    ]
    notes = [
        "200 requests a second from eight clients, 5 % of them on the new release (95 % where it is well). Found out: "
        "from the first bad answer until the proof by counters that nothing goes there any more; behind the shield "
        "from the first request it got until its requests moved; of what is well, until it was known good "
        "(`at_least: 5s`).",
        "Users' requests that failed behind the shield, or beside what was well: "
        f"**{sum(found.wrong for found in quiet)}** of {sum(found.sent for found in quiet):,}.",
    ]
    raw = {name: vars(found) for name, found in rows.items()}
    return Table("live", "Releases that are judged, live", COLUMNS, cells, notes, raw)


def _cells(found: Found) -> list[str]:
    took = Spread.of(found.took_s)
    bad = shown(Spread.of(found.bad).p50) if found.bad else "none"
    return [f"**{shown(took.p50)}** / {shown(took.largest)}", bad, found.aim]


@contextmanager
def _stage() -> Iterator[tuple[Shop, Moody, Moody]]:
    old, new, shop = Moody("old"), Moody("new"), Shop()
    try:
        open_with(shop, old)
        yield shop, old, new
    finally:
        shop.close()
        for side in (old, new):
            side.stop()


def _fails(share: float) -> Callable[[Found], None]:
    def play(found: Found) -> None:
        with _stage() as (shop, _, new):
            new.fails = share
            with shop.load(*PROBES, per_second=PER_PROBE) as load:
                time.sleep(USUAL_S)
                release(shop, new)
                _bad(went_back(shop, 60))
                time.sleep(0.5)
            first, _, many = bad_answers(load, lambda answer: answer.status == 500)
            found.took_s.append(converged_s(shop) - first)
            found.bad.append(many)

    return play


def _slow(found: Found) -> None:
    with _stage() as (shop, old, new):
        old.wait_s, new.wait_s = 0.02, 0.04
        with shop.load(*PROBES, per_second=PER_PROBE) as load:
            time.sleep(USUAL_S + 1.0)
            release(shop, new)
            _bad(went_back(shop, 60))
            time.sleep(0.5)
        first, _, many = bad_answers(load, lambda answer: answer.body == "new")
        found.took_s.append(converged_s(shop) - first)
        found.bad.append(many)


def _healthy(found: Found) -> None:
    """Each has another timeout, so that the route is another one."""
    with _stage() as (shop, old, new):
        with shop.load(*PROBES, per_second=PER_PROBE) as load:
            time.sleep(1.0)
            for number, side in enumerate((new, old, new), 2):
                began_s = time.monotonic()
                shop.commit(text(shop, side, BAKE).replace("to: side,", f"to: side, timeout: {number}s,"))
                shop.ok("deploy", "--percent", "95%", "--no-wait")
                eventually(lambda: shop.status(), lambda status: status["deployment"] is None, within_s=60)
                said = shop.ask("verdict", f"r{number}")
                if (said["verdict"], said["basis"]) != ("good", "measured"):
                    raise RuntimeError(f"r{number} is {said['verdict']}: {said['evidence']}")
                found.took_s.append(time.monotonic() - began_s)
        found.sent += len(load.answers)
        found.wrong += len(load.failed())


class _CanaryShop(ServiceShop):
    """Its catalogue moves as a shielded canary."""

    def words(self, word: str, **settings: object) -> str:
        made = re.sub(r"strategy: \{.*\}\n", CANARY, super().words(word, **settings))  # type: ignore[arg-type]
        return made if word == "one" else made.replace("for: 300ms", f"for: {BAKE}")


def _shielded(found: Found) -> None:
    shop = _CanaryShop()
    try:
        shop.open_with("one", instances=2)
        with shop.visited(per_second=200.0, connections=8) as load:
            time.sleep(USUAL_S)
            shop.commit(shop.words("broken", instances=2), "Say broken")
            shop.ok("deploy", "--no-wait")
            eventually(shop.status, lambda status: status["deployment"] is None, within_s=60)
            time.sleep(0.5)
        _bad(shop.ask("verdict", "r2"))
        times = {event.get("step"): event["at"] for event in shop.ask("report", "d2")["timeline"]}
        first, back = (datetime.fromisoformat(times[step]) for step in ("hold", "shift"))
        found.took_s.append((back - first).total_seconds())
        found.sent += len(load.answers)
        found.wrong += len(load.failed()) + len(set(bodies(load)) - {"one"})
    finally:
        shop.close()


def _bad(said: dict[str, object]) -> None:
    if said["verdict"] != "bad":
        raise RuntimeError(f"it is {said['verdict']}: {said['evidence']}")
