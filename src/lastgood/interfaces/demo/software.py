"""The second act: a service, a function and a database move as one release, and Lastgood finds out by itself."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

from lastgood.interfaces.demo.code import Version
from lastgood.interfaces.demo.load import Answer, Load, Probe
from lastgood.interfaces.demo.shop import Repository
from lastgood.interfaces.demo.storyteller import Story, free_port

BUYERS = tuple(Probe(f"buyer {number}", "/orders/new") for number in range(8))
PRICE = Probe("price", "/price/1")
PER_SECOND = 25.0
FIRST = Version("one", "10", bake="300ms")
FAILING = Version("two", "20", schema=2, fails=0.2, timeout="3s")
SLOW = Version("three", "30", schema=2, slow=0.08)
GOOD = Version("four", "40", schema=2)
WITHIN_S = 60.0


class Act:
    """What everybody in it needs."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.shop = Repository(story.root)
        self.port = free_port()
        self.load = Load(self.port, (*BUYERS, PRICE), PER_SECOND)

    def commit(self, version: Version, message: str) -> None:
        """Write all parts of a version and commit them together."""
        version.write(self.shop.root, self.port)
        self.shop.git("add", "--all")
        self.shop.git("commit", "--quiet", "-m", message)

    def since(self, moment_s: float) -> list[Answer]:
        """What the buyers were answered since then."""
        return [answer for answer in list(self.load.answers) if answer.sent_s >= moment_s and answer.probe != "price"]

    def price(self) -> str:
        """What the function said last."""
        return next((a.body for a in reversed(list(self.load.answers)) if a.probe == "price"), "")

    def live(self) -> object:
        """The release that is live."""
        live = self.story.ask("status")["live"]
        return live["release"] if isinstance(live, dict) else None

    def at_rest(self) -> bool:
        """Whether nothing is under way, or only an old version is kept."""
        return self.story.ask("status")["deployment"] is None

    def columns(self) -> list[str]:
        """Those of the table."""
        with closing(sqlite3.connect(self.shop.root / "data/shop.db")) as raw:
            return [str(row[1]) for row in raw.execute("PRAGMA table_info(orders)")]

    def rows(self) -> set[int]:
        """The numbers of all orders in the table."""
        with closing(sqlite3.connect(self.shop.root / "data/shop.db")) as raw:
            return {int(row[0]) for row in raw.execute("SELECT id FROM orders")}

    def without_note(self) -> int:
        """How many orders of code that writes notes have none."""
        query = "SELECT count(*) FROM orders WHERE made_by <> ? AND note IS NOT made_by"
        with closing(sqlite3.connect(self.shop.root / "data/shop.db")) as raw:
            return int(raw.execute(query, (FIRST.name,)).fetchone()[0])

    def acknowledged(self) -> set[int]:
        """The numbers of all orders that somebody was told are taken."""
        taken = [a for a in list(self.load.answers) if a.status == 200 and a.probe != "price"]
        return {int(answer.body.rpartition(" ")[2]) for answer in taken}


def tell_software(story: Story) -> list[str]:
    """Tell it; returns the promises that did not hold."""
    story.root.mkdir()
    act = Act(story)
    try:
        _open(act)
        act.load.start()
        time.sleep(3.0)  # what is usual has to be seen before anything can be unusual
        _one_in_five(act)
        _slower(act)
        _good(act)
        act.load.stop()
        _nothing_lost(act)
    finally:
        act.load.stop()
        story.lastgood("down", "--yes")
    return story.broken


def _open(act: Act) -> None:
    story, shop = act.story, act.shop
    story.chapter("The shop grows: orders are a service with a database, prices are a function.")
    shop.git("init", "--quiet", "--initial-branch=main")
    shop.git("config", "user.name", "Shop")
    shop.git("config", "user.email", "shop@localhost")
    (shop.root / ".gitignore").write_text(".lastgood/\ndata/\n")
    (shop.root / "data").mkdir()
    with closing(sqlite3.connect(shop.root / "data/shop.db")) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
    act.commit(FIRST, "Take orders")
    story.lastgood("up", "--detach")
    story.lastgood("deploy", "--wait", "good")


def _one_in_five(act: Act) -> None:
    story = act.story
    story.chapter("A release of everything at once: code, a route, a price and a column. One order in five fails.")
    act.commit(FAILING, "Let people leave a note")
    began_s = _half_of_the_requests(act)
    _goes_back(act, began_s, 2)
    failed = [answer for answer in act.since(began_s) if answer.status != 200]
    if failed:
        lasted_s = failed[-1].sent_s - failed[0].sent_s
        story.say(f"      {len(failed)} orders failed, {lasted_s:.1f} s from the first to the last")
    story.lastgood("verdict", "r2")
    found = story.ask("verdict", "r2")
    measured = found.get("measured")
    story.holds("it was measured to be bad", (found["verdict"], found["basis"]) == ("bad", "measured"))
    again = isinstance(measured, dict) and measured["replay"] == "same"
    story.holds("and is again when it is judged anew from its record", again)
    story.holds("the function went back with it", story.until(lambda: act.price() == FIRST.price, 5))
    story.holds("the schema went back with it, for the old code cannot live with it", "note" not in act.columns())
    newest = act.shop.git("log", "-1", "--format=%s").strip()
    story.holds(f"Git says so: {newest!r}", newest.startswith("Roll back r2 to r1"))
    story.lastgood("report", "d2")


def _slower(act: Act) -> None:
    act.story.chapter("A release in which nothing fails, and 8 orders in 100 take 300 ms longer.")
    act.commit(SLOW, "Write notes down more carefully")
    began_s = _half_of_the_requests(act)
    _goes_back(act, began_s, 3)
    evidence = str(act.story.ask("verdict", "r3")["evidence"])
    act.story.say(f"      {evidence}")
    act.story.holds("because it is slower", "slower" in evidence)


def _good(act: Act) -> None:
    story = act.story
    story.chapter("And one that is good.")
    act.commit(GOOD, "Let people leave a note, and mean it")
    began_s = _half_of_the_requests(act)
    known = story.until(lambda: story.ask("verdict", "r4")["verdict"] == "good", WITHIN_S)
    story.say(f"      known good after {time.monotonic() - began_s:.1f} s")
    found = story.ask("verdict", "r4")
    story.holds("it is known good by what was measured", known and found["basis"] == "measured")
    story.until(lambda: act.price() == GOOD.price, 10)
    since_s = time.monotonic() + 0.1
    time.sleep(1.0)
    story.holds("everybody is served by it", {a.body.partition(" ")[0] for a in act.since(since_s)} == {GOOD.name})
    story.holds("the function, too", act.price() == GOOD.price)
    failed = [answer for answer in act.since(began_s) if answer.status != 200]
    story.holds("no order failed meanwhile", not failed)


def _nothing_lost(act: Act) -> None:
    story = act.story
    story.chapter("What is left.")
    story.lastgood("history")
    rows, acknowledged = act.rows(), act.acknowledged()
    lost = acknowledged - rows
    story.say(f"    orders acknowledged: {len(acknowledged)}, rows lost: {len(lost)}, rows in the table: {len(rows)}")
    story.holds("every order that was acknowledged is in the table", bool(acknowledged) and not lost)
    story.holds("each with its note, though the column was gone twice", not act.without_note())
    broken = [answer for answer in act.load.answers if answer.status == 0]
    story.holds("no connection broke, through three releases and two ways back", not broken)


def _half_of_the_requests(act: Act) -> float:
    """Deploy to half of them; the moment it began."""
    began_s = time.monotonic()
    act.story.lastgood("deploy", "--percent", "50", "--no-wait")
    return began_s


def _goes_back(act: Act, began_s: float, release: int) -> None:
    back = act.story.until(lambda: act.live() == 1 and act.at_rest() and _was_bad(act, release), WITHIN_S)
    act.story.holds(f"it went back by itself, {time.monotonic() - began_s:.0f} s after it was typed", back)
    since_s = time.monotonic() + 0.1
    time.sleep(0.7)
    answers = {(answer.status, answer.body.partition(" ")[0]) for answer in act.since(since_s)}
    act.story.holds("every order is taken by the old code again", answers == {(200, FIRST.name)})


def _was_bad(act: Act, release: int) -> bool:
    return act.story.ask("verdict", f"r{release}").get("verdict") == "bad"
