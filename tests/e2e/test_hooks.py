"""Hooks of services with a real controller: each at its moment, of its own version; a no, a yes, silence, crashes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.support import processes
from tests.support.processes import CONTROLLER, eventually
from tests.support.services import CODE, ServiceShop, bodies
from tests.support.site import Site, a_site

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
KEEP = "keep_old: 30s"


class HookShop(ServiceShop):
    """Its catalogue has hooks; a command's notes go to a file outside."""

    strategy = f"blue_green: {{ {KEEP} }}"

    def hooked(self, word: str, *hooks: str, bake: str = "300ms", more: str = "") -> str:
        """A version with hooks, as they stand in the file."""
        listed = "".join(f"      {hook}\n" for hook in hooks)
        text = self.words(word, bake=bake, more=more + (f"    hooks:\n{listed}" if hooks else ""))
        return re.sub(r"strategy: \{.*\}\n", f"strategy: {{ {self.strategy} }}\n", text)

    def note(self, hook: str, then: str = "") -> str:
        """A hook that writes down its name, its release and its version's word."""
        script = f"echo {hook} $LASTGOOD_RELEASE $OF >> {self.folder}/notes; {then}"
        return f'{hook}: {{ command: [sh, -c, "{script}"], timeout: 10s }}'

    @property
    def notes(self) -> list[str]:
        """What was written down."""
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def open_hooked(self, *hooks: str) -> None:
        """Begin with a version that is live and good."""
        self.begin()
        self.commit(self.hooked("one", *hooks, more=of("one")), "Open", services__catalog__main_py=CODE)
        self.ok("up", "--detach")
        self.ok("deploy", "--wait", "good")
        self.at_rest()

    def at_rest(self) -> None:
        eventually(lambda: self.status()["deployment"], lambda deployment: deployment is None, within_s=60)


def of(word: str) -> str:
    return f"    environment: {{ OF: {word} }}\n"


@pytest.fixture
def shop() -> Iterator[HookShop]:
    made = HookShop()
    yield made
    made.close()


@pytest.fixture
def site() -> Iterator[Site]:
    with a_site() as made:
        yield made


def test_each_at_its_moment_and_only_undo_on_the_way_back(shop: HookShop) -> None:
    shop.strategy = "canary: { steps: [50%], hold: 300ms, keep_old: 1s }"
    names = ("before", "confirm_promotion", "after", "undo")
    shop.open_hooked(*(shop.note(name) for name in names))
    (shop.folder / "notes").unlink(missing_ok=True)
    shop.commit(shop.hooked("two", *(shop.note(name) for name in names), more=of("two")), "Two")
    with shop.visited() as load:
        shop.ok("deploy", "--wait", "good")
        shop.at_rest()
        forward = ["before r2 two", "confirm_promotion r2 two", "confirm_promotion r2 two", "after r2 two"]
        assert shop.notes == forward, "before each share of the requests, and from the new version"
        shop.ok("rollback", "-m", "wrong prices")
        assert shop.get("/visit").body == "one"
        shop.at_rest()
    assert shop.notes == [*forward, "undo r2 two"], "that of the version that is left, and none of the other's"
    assert set(bodies(load)) == {"one", "two"}


@pytest.mark.parametrize("hook", ["before", "confirm_promotion"])
def test_a_no_takes_it_back_and_its_words_hold_no_secret(shop: HookShop, hook: str) -> None:
    shop.open_hooked()
    shop.ok("secret", "set", "token", feed="hunter2-and-more")
    says = f'{hook}: {{ command: [sh, -c, "echo the queue of $TOKEN is full; exit 7"] }}'
    environment = "    environment: { TOKEN: 'secret:token' }\n"
    shop.commit(shop.hooked("two", says, more=environment), "Two")
    with shop.visited() as load:
        done = shop.run("deploy", "--wait", "ended")
        shop.at_rest()
    assert done.code == 6, done.said
    assert "exit code 7 the queue of [redacted] is full" in done.said
    assert set(bodies(load)) == {"one"}, "not one request met it"
    assert shop.live == 1
    assert "the queue of [redacted] is full" in shop.ok("logs", "hook:catalog").said
    told = shop.ask("report", "d2")
    assert "the queue of [redacted] is full" in str(told)
    started = [
        event for event in told["timeline"] if event["kind"] == "StepStarted" and event["step"] == "start:catalog"
    ]
    assert (started == []) == (hook == "before"), "nothing starts before a hook that runs before"
    for path in (path for path in shop.state.rglob("*") if path.is_file() and "secrets" not in path.parts):
        assert b"hunter2-and-more" not in path.read_bytes(), path


@pytest.mark.parametrize("hook", ["before", "confirm_promotion"])
def test_one_that_hangs_is_ended_with_all_it_started_and_takes_it_back(shop: HookShop, hook: str) -> None:
    shop.open_hooked()
    script = f"setsid sleep 6161 & echo waiting >> {shop.folder}/notes; sleep 6262; echo late >> {shop.folder}/notes"
    shop.commit(shop.hooked("two", f'{hook}: {{ command: [sh, -c, "{script}"], timeout: 1s }}'), "Two")
    with shop.visited() as load:
        done = shop.run("deploy", "--wait", "ended")
        shop.at_rest()
    assert done.code == 6, done.said
    assert f"the hook {hook} of catalog says no: no answer within 1 s" in done.said
    assert set(bodies(load)) == {"one"}
    assert shop.notes == ["waiting"]
    assert [line for line in all_sleeping() if line in ("sleep 6161", "sleep 6262")] == []


def all_sleeping() -> list[str]:
    return [line.strip() for line in processes.all_command_lines().values() if line.startswith("sleep ")]


@pytest.mark.parametrize("strategy", ["blue_green: { keep_old: 10m }", "canary: { steps: [50%], hold: 10m }"])
def test_who_is_asked_says_go_back_while_it_is_held_or_bakes(shop: HookShop, site: Site, strategy: str) -> None:
    shop.strategy = strategy
    shop.open_hooked()
    site.statuses["/bad"] = 503
    bad = shop.commit(shop.hooked("two", f"on_rollback: {{ url: '{site.url('/bad')}' }}", bake="20s"), "Two")
    with shop.visited() as load:
        shop.ok("deploy", "--wait", "converged")
        eventually(lambda: len(site.asked), lambda count: count >= 2, within_s=20)
        assert shop.status()["deployment"] is not None, "no answer but 2xx means that it has to go back"
        site.statuses["/bad"] = 204
        eventually(lambda: shop.live if shop.status()["deployment"] is None else 0, lambda live: live == 1, within_s=20)
        assert {shop.get("/visit").body for _ in range(20)} == {"one"}
    assert set(bodies(load)) == {"one", "two"}
    assert site.asked[0][1]["service"] == "catalog"
    assert (site.asked[0][1]["hook"], site.asked[0][1]["release"]) == ("on_rollback", "r2")
    told = shop.ask("report", "d2")
    assert told["ended"]["outcome"] == "went back"
    assert told["steps"][0]["id"] == "shift", "at once: the old version is warm"
    assert "says that it has to go back" in str(told["timeline"])
    assert "held" in shop.run("deploy", bad).said


def test_nobody_waits_for_one_that_is_silent(shop: HookShop, site: Site) -> None:
    """Neither a rollback nor `stop`: the hook of the version that bakes has been asked and does not answer."""
    site.silent.add("/silent")
    shop.open_hooked()
    silent = f"{{ url: '{site.url('/silent')}', timeout: 50s }}"
    shop.commit(shop.hooked("two", f"on_rollback: {silent}", f"undo: {silent}", bake="20s"), "Two")
    shop.ok("deploy", "--wait", "converged")
    eventually(lambda: len(site.asked), lambda count: count == 1, within_s=20)
    assert shop.status()["deployment"]["deployment"] == 2
    with shop.visited():
        began_s = time.monotonic()
        going = shop.begin_command("rollback")
        eventually(lambda: shop.get("/visit").body, lambda body: body == "one")
        eventually(lambda: len(site.asked), lambda count: count == 2)
        assert [told["hook"] for _, told in site.asked] == ["on_rollback", "undo"]
        shop.ok("stop")
        assert time.monotonic() - began_s < 40, "less than either is waited for"
        going.communicate(timeout=60)
        assert shop.get("/visit").body == "one"


def test_a_deployment_takes_over_from_one_that_is_asked_whether_to_go_back(shop: HookShop, site: Site) -> None:
    """Being asked is no move: what bakes may be superseded as always."""
    shop.open_hooked()
    shop.commit(shop.hooked("two", f"on_rollback: {{ url: '{site.url('/well')}' }}", bake="20s"), "Two")
    shop.ok("deploy", "--wait", "converged")
    eventually(lambda: len(site.asked), lambda count: count >= 1, within_s=20)
    shop.commit(shop.hooked("three"), "Three")
    shop.ok("deploy", "--wait", "good")
    assert shop.get("/visit").body == "three"


def test_what_fails_afterwards_is_noted_and_changes_nothing(shop: HookShop) -> None:
    shop.open_hooked()
    says = ('after: { command: [sh, -c, "echo nobody listens; exit 1"] }', "undo: { command: [/no/such/program] }")
    shop.commit(shop.hooked("two", *says), "Two")
    with shop.visited():
        shop.ok("deploy", "--wait", "good")
        shop.at_rest()
        assert shop.live == 2
        assert "nobody listens" in shop.ok("report", "d2").said
        shop.ok("rollback")
        shop.at_rest()
        assert shop.live == 1
    assert "the hook cannot start: /no/such/program" in shop.ok("report", "d3").said


def test_a_controller_killed_while_one_runs_asks_it_again_and_never_twice_at_once(shop: HookShop) -> None:
    """The run that was left behind is ended first; the step's key, the same in both, lets a hook know its own."""
    shop.open_hooked()
    script = f"echo began $LASTGOOD_STEP >> {shop.folder}/notes; sleep 3; echo ended >> {shop.folder}/notes"
    shop.commit(shop.hooked("two", f'before: {{ command: [sh, -c, "{script}"], timeout: 30s }}'), "Two")
    with shop.visited() as load:
        going = shop.begin_command("deploy", "--wait", "good")
        eventually(lambda: shop.notes, lambda notes: len(notes) == 1, within_s=20)
        processes.kill(processes.pid(shop.root, CONTROLLER))
        eventually(lambda: shop.notes, lambda notes: len(notes) == 3, within_s=40)
        going.communicate(timeout=60)
        eventually(shop.answers, bool, within_s=20)
        shop.at_rest()
    began = [note for note in shop.notes if note.startswith("began")]
    assert shop.notes == [began[0], began[0], "ended"]
    assert shop.live == 2
    assert set(bodies(load)) == {"one", "two"}
