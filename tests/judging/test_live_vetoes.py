"""With real instances behind a real gateway: what speaks against a release without statistics, and what must not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastgood.interfaces.demo.load import Load, Probe
from tests.support.processes import eventually
from tests.support.services import ServiceShop, bodies

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("judging")]
CODE = '''\
"""Answers with its word; a file beside the project says how it feels."""
import asyncio, os, sys
WORD = sys.argv[1]
def mood():
    try:
        return open(f"{os.environ['MOODS']}/{WORD}").read()
    except FileNotFoundError:
        return ""
async def talk(reader, writer):
    try:
        while True:
            path = (await reader.readuntil(b"\\r\\n\\r\\n")).split(b" ")[1]
            if mood() == "crashes":
                print("no such table: prices", flush=True)
                os._exit(3)
            bad = mood() == ("sick" if path == b"/healthz" else "fails")
            status = b"500 No" if bad else b"200 OK"
            writer.write(b"HTTP/1.1 %s\\r\\ncontent-length: %d\\r\\n\\r\\n" % (status, len(WORD)) + WORD.encode())
    except (EOFError, OSError):
        writer.close()
async def main():
    if mood() == "crashes":
        sys.exit(3)
    server = await asyncio.start_server(talk, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()
asyncio.run(main())
'''
NOBODY = "catalog: none of its instances is healthy"
CANARY = "canary: { steps: [50%], hold: 10m }"
BAKE = "5m, clusters: 1, at_least: 5s, objectives: [{ errors: { not_worse_than: baseline } }]"


class MoodyShop(ServiceShop):
    """A canary of a service whose versions can be told to feel unwell."""

    def words(self, word: str, **settings: object) -> str:  # type: ignore[override]
        more = f"    environment: {{ MOODS: {self.folder}/moods }}\n"
        text = super().words(word, more=more, **settings)  # type: ignore[arg-type]
        return text.replace("blue_green: { keep_old: 2s }", CANARY if word == "two" else "blue_green: {}")

    def feel(self, **moods: str) -> None:
        """From now on, who was started before too."""
        folder = Path(self.folder) / "moods"
        folder.mkdir(exist_ok=True)
        for word, mood in moods.items():
            (folder / f"{word}.new").write_text(mood)
            (folder / f"{word}.new").rename(folder / word)

    def half_way(self) -> subprocess.Popen[str]:
        """r1 is good, and r2 has half of the requests and is well; who deployed it waits until it is known good."""
        self.begin()
        self.commit(self.words("one"), "Open the shop", services__catalog__main_py=CODE)
        self.ok("up", "--detach")
        self.ok("deploy", "--wait", "ended")
        self.commit(self.words("two", bake=BAKE), "Say two")
        waiting = self.begin_command("deploy", "--wait", "good")
        eventually(
            lambda: {self.get("/visit").body for _ in range(20)}, lambda seen: seen == {"one", "two"}, within_s=30
        )
        return waiting

    def visitors(self) -> Load:
        """Two hundred requests a second; some may fail."""
        return Load(self.ports.gateway, tuple(Probe(f"visitor-{n}", "/visit") for n in range(4)), 50.0)


@pytest.fixture
def shop() -> Iterator[MoodyShop]:
    made = MoodyShop()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("mood", "because"),
    [("crashes", {"catalog ends again and again", NOBODY}), ("sick", {NOBODY})],
)
def test_a_version_that_crashes_again_and_again_or_is_not_healthy_goes_back(
    shop: MoodyShop, mood: str, because: set[str]
) -> None:
    """Nobody asks it meanwhile: no request that fails speaks against it."""
    waiting = shop.half_way()
    shop.feel(two=mood)
    eventually(lambda: shop.status()["deployment"], lambda deployment: deployment is None, within_s=60)
    with shop.visited() as load:
        eventually(lambda: len(load.answers), lambda count: count > 100)
    assert shop.live == 1
    assert set(bodies(load)) == {"one"}
    bad = shop.history()["releases"][0]
    assert (bad["verdict"], bad["basis"]) == ("bad", "veto")
    assert bad["evidence"].partition(": 3 times")[0] in because
    assert shop.ask("report", "d2")["ended"]["outcome"] == "went back"
    _, errors = waiting.communicate(timeout=60)
    assert (waiting.returncode, bad["evidence"] in errors) == (6, True)
    assert "held" in shop.run("deploy", str(bad["revision"])).said


def told(shop: MoodyShop, what: str) -> bool:
    """Whether a person hears of it."""
    return what in shop.ok("status").said


@pytest.mark.parametrize("mood", ["sick", "crashes"])
def test_there_is_no_way_back_into_a_version_that_is_dead(shop: MoodyShop, mood: str) -> None:
    """The old one does not start any more when the new one falls ill: nothing moves, and it is said."""
    waiting = shop.half_way()
    shop.feel(one="crashes")
    eventually(lambda: {shop.get("/visit").body for _ in range(20)}, lambda seen: "one" not in seen, within_s=30)
    eventually(lambda: told(shop, "no instance of the version before is healthy"), bool, within_s=30)
    shop.feel(two=mood)
    eventually(lambda: told(shop, "no instance of either version is healthy"), bool, within_s=30)
    if mood == "crashes":
        eventually(lambda: shop.ok("status").said.count("ends again and again") > 1, bool, within_s=30)
    active = shop.status()["deployment"]
    assert active is not None, "it was not taken back"
    assert waiting.poll() is None, "it may be known good yet"
    assert "note: r2: catalog: no instance of either version is healthy" in shop.ok("report", "d2").said
    assert {event["kind"] for event in shop.ask("report", "d2")["timeline"]} & {"Judged"} == set()
    shop.feel(two="")
    eventually(lambda: {shop.get("/visit").body for _ in range(20)}, lambda seen: "two" in seen, within_s=30)
    shop.ok("promote", "--full")
    eventually(lambda: {shop.get("/visit").body for _ in range(20)}, lambda seen: seen == {"two"}, within_s=30)
    shop.ok("mark", "r2", "good")
    said, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, "note: r2: catalog: no instance of either version is healthy" in said) == (0, True)


def test_what_fails_on_both_sides_is_nobody_s_fault(shop: MoodyShop) -> None:
    waiting = shop.half_way()
    load = shop.visitors()
    load.start()
    try:
        eventually(lambda: len(load.answers), lambda count: count > 400, within_s=30)
        shop.feel(one="fails", two="fails")
        eventually(lambda: told(shop, "both sides fail; nothing is rolled back for what they share"), bool, within_s=60)
        assert shop.status()["deployment"] is not None
        shop.feel(one="", two="")
        mended = len(load.answers)
        eventually(lambda: len(load.answers), lambda count: count > mended + 200, within_s=30)
    finally:
        load.stop()
    assert {answer.body for answer in load.answers[mended + 100 :]} == {"one", "two"}, "both have their share still"
    assert shop.history()["releases"][0]["verdict"] != "bad"
    assert waiting.poll() is None
    assert "note: r2: both sides fail; nothing is rolled back for what they share" in shop.ok("report", "d2").said
    shop.ok("abort")
    said, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, "both sides fail" in said) == (6, True)
