"""Versions of a function behind a real gateway: forward, gradually, back, and all that can be wrong with one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from lastgood.effects.functions.asking import ask
from lastgood.interfaces.demo.load import Load, Probe
from tests.support import processes
from tests.support.functions import FunctionShop
from tests.support.processes import CONTROLLER, eventually
from tests.support.services import bodies

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


@pytest.fixture
def shop() -> Iterator[FunctionShop]:
    made = FunctionShop()
    yield made
    made.close()


def test_forward_and_back_lose_no_request(shop: FunctionShop) -> None:
    """The second way back is the shift alone: the version that was left is still warm."""
    shop.open_with("one")
    with shop.visited() as load:
        shop.say("two")
        shop.ok("deploy", "--wait", "converged")
        assert shop.get("/visit").body == "two"
        planned = shop.ok("plan", "rollback").said
        assert "KEEPS" in planned
        assert "what function:price wrote (rows, queues, files, other systems)" in planned
        shop.ok("rollback", "-m", "two is no good")
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"}
    steps = [step["id"] for step in shop.ask("report", "d3")["steps"]]
    assert not any(step.startswith("start") for step in steps), "nothing had to be started"


def test_back_to_a_version_that_is_gone_starts_it_first(shop: FunctionShop) -> None:
    """Without its code in Git, and without a build."""
    shop.open_with("one", keep="300ms")
    shop.say("two", keep="300ms")
    assert re.search(r"ready +function price +1 of 1 healthy", shop.ok("deploy", "--wait", "ended").said)
    assert re.search(r"ready +function price +does not run; started aside", shop.ok("rehearse").said)
    shop.git("checkout", "--quiet", "--orphan", "empty")
    shop.git("rm", "-rf", "--quiet", ".")
    with shop.visited() as load:
        shop.ok("rollback", "r1", "--no-revert-commit", timeout_s=60)
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"}


def test_a_version_that_cannot_start_gets_no_request_and_says_why(shop: FunctionShop) -> None:
    shop.open_with("one")
    with shop.visited() as load:
        shop.commit_function({"main.py": "import absent_module\n"}, "Break it")
        done = shop.run("deploy", "--wait", "ended")
    assert done.code == 6, done.said
    assert "No module named 'absent_module'" in done.said
    assert set(bodies(load)) == {"one"}


def test_gradually_and_by_a_header_while_nobody_else_sees_it(shop: FunctionShop) -> None:
    shop.open_with("one")
    canary = "    strategy: { canary: { steps: [30%], hold: 60s, by: { header: x-try } } }\n"
    shop.say("two", canary)
    shop.ok("deploy", "--wait", "converged")
    seen = [shop.get("/visit").body for _ in range(60)]
    assert {"one", "two"} == set(seen)
    assert shop.get("/visit", {"x-try": "1"}).body == "two"
    with shop.visited() as load:
        shop.ok("rollback", "-m", "enough seen")
        assert {shop.get("/visit").body for _ in range(30)} == {"one"}
    assert load.failed() == []


def test_a_process_that_is_killed_comes_back(shop: FunctionShop) -> None:
    """What it had accepted is lost with it; what had not reached it waits for the next one."""
    shop.open_with("one")
    port = next(iter(shop.function_ports().values()))
    before = asyncio.run(ask(port))
    os.kill(before["pid"], signal.SIGKILL)
    eventually(lambda: shop.get("/visit").body, lambda body: body == "one")
    assert asyncio.run(ask(port))["starts"] == before["starts"] + 1


def test_functions_outlive_the_controller(shop: FunctionShop) -> None:
    shop.open_with("one")
    old = processes.pid(shop.root, CONTROLLER)
    with shop.visited():
        processes.kill(old)
        eventually(lambda: processes.pids(shop.root, CONTROLLER), lambda found: bool(found) and old not in found)
        eventually(shop.answers, bool, within_s=20)
    shop.say("two")
    shop.ok("deploy", "--wait", "converged")
    assert shop.get("/visit").body == "two"


def test_an_upload_during_a_rollback_disturbs_neither(shop: FunctionShop) -> None:
    shop.open_with("one")
    shop.say("two")
    shop.ok("deploy", "--wait", "converged")
    (shop.root / "functions/price/main.py").write_text("def app(event, context): return 'three'\n")
    with shop.visited():
        uploading = shop.begin_command("function", "upload", "price")
        shop.ok("rollback", "-m", "two is no good", "--no-revert-commit")
        uploading.communicate(timeout=60)
    assert uploading.returncode == 0
    assert shop.get("/visit").body == "one"
    assert "three" in shop.ok("function", "invoke", "price").said


def test_a_version_whose_secret_is_gone_blocks_the_way_back_and_says_so(shop: FunctionShop) -> None:
    shop.begin()
    shop.say("one", "    environment: { KEY: 'secret:key' }\n")
    shop.ok("secret", "set", "key", feed="hunter2-and-more\n")
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "ended")
    shop.say("two")
    shop.ok("deploy", "--wait", "converged")
    shop.run("secret", "revoke", "key")
    told = shop.run("plan", "rollback").said
    assert "BLOCKED" in told
    assert "function price: secret:key" in told


def test_a_worker_forward_and_back(shop: FunctionShop) -> None:
    shop.use_runtimes()
    shop.open_with("one", runtime="worker")
    shop.say("two", runtime="worker")
    shop.ok("deploy", "--wait", "converged")
    assert shop.get("/visit").body == "two"
    with shop.visited() as load:
        shop.ok("rollback", "-m", "two is no good")
    assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"} or set(bodies(load)) == {"one"}


CLOCKED = '''\
"""Writes down, in a place of its own, when its time came and what it was told then."""
import os
import re
def app(event, context):
    if event.get("source") == "aws.events":
        with open({seen!r}, "a") as file:
            file.write({word!r} + os.environ["MORE"] + " " + event["time"] + "\\n")
    return {{"statusCode": 200, "body": {word!r}}}
'''


def test_the_clock_and_the_environment_come_back_with_the_version(shop: FunctionShop) -> None:
    """Waits for three minutes of the real clock: no schedule is shorter."""
    seen = shop.folder / "seen"
    shop.begin()
    more = "    environment: {{ MORE: {!r} }}\n    crons: [{{ schedule: {!r} }}]\n"
    for word, schedule in (("one", "* * * * *"), ("two", "0 3 1 1 *")):
        code = CLOCKED.format(seen=str(seen), word=word)
        shop.commit_function({"main.py": code}, f"Say {word}", more.format(word.upper(), schedule))
        shop.ok(*(("up", "--detach") if word == "one" else ("status",)))
        shop.ok("deploy", "--wait", "ended" if word == "one" else "converged")
        if word == "one":
            eventually(
                lambda: seen.exists() and seen.read_text().count("oneONE"), lambda count: count >= 1, within_s=70
            )
            told = shop.ask("function", "crons")["crons"][0]
            assert (told["said"], told["run"]["outcome"]) == ("* * * * *", "ok")
    before = seen.read_text()
    shop.ok("rollback", "-m", "two is no good")
    assert shop.get("/visit").body == "one"
    after = eventually(seen.read_text, lambda text: text != before, within_s=70)
    assert set(after.replace(before, "").split()[::2]) == {"oneONE"}
    lines = [line for line in after.splitlines() if line]
    assert len(lines) == len(set(lines)), "each time at most once"


def test_who_was_sent_to_a_version_stays_there(shop: FunctionShop) -> None:
    """By a cookie of its first answer, on whatever connection it comes."""
    shop.open_with("one")
    shop.say("two", "    strategy: { canary: { steps: [50%], hold: 120s, sticky: true } }\n")
    shop.ok("deploy", "--wait", "converged")
    kept: dict[str, set[str]] = {"one": set(), "two": set()}
    for _ in range(40):
        first = shop.get("/visit")
        cookie = {"cookie": first.headers["set-cookie"].partition(";")[0]}
        kept[first.body] |= {shop.get("/visit", cookie).body for _ in range(5)}
    assert kept == {"one": {"one"}, "two": {"two"}}


@pytest.mark.parametrize("runtime", ["python", "worker"])
def test_one_that_is_killed_under_load_costs_what_it_had_and_the_other_version_nothing(
    shop: FunctionShop, runtime: str
) -> None:
    """kill -9 of a version's process: what it had accepted fails or is tried again, all others are answered."""
    shop.use_runtimes()
    shop.open_with("one", runtime=runtime)
    shop.say("two", "    strategy: { canary: { steps: [50%], hold: 120s, by: { header: x-try } } }\n", runtime=runtime)
    ports = set(shop.function_ports().values())
    shop.ok("deploy", "--wait", "converged")
    (green,) = set(shop.function_ports().values()) - ports
    assert shop.get("/visit", {"x-try": "1"}).body == "two"
    victim = asyncio.run(ask(green))["pid"]
    probes = (Probe("stays", "/visit"), Probe("tries", "/visit", (("x-try", "1"),)))
    load = Load(shop.ports.gateway, probes, 100.0)
    load.start()
    try:
        eventually(lambda: len(load.answers), lambda count: count > 40)
        os.kill(victim, signal.SIGKILL)
        before = len(load.answers)
        eventually(lambda: len(load.answers), lambda count: count > before + 100)
    finally:
        load.stop()
    seen = {name: [answer for answer in load.answers if answer.probe == name] for name in ("stays", "tries")}
    assert {answer.body for answer in seen["tries"] if answer.status == 200} == {"two"}
    failed = [answer for answer in seen["tries"] if answer.status != 200]
    assert len(failed) <= 2, "one connection was open to it, so one request can have been there"
    assert len([answer for answer in seen["stays"] if answer.status != 200]) <= 2
    assert {asyncio.run(ask(port))["starts"] for port in ports} == {1}, "nobody else was touched"
    assert asyncio.run(ask(green))["starts"] == 2
    assert shop.get("/visit", {"x-try": "1"}).body == "two"


def test_a_full_disk_makes_no_version_and_takes_none_away(shop: FunctionShop) -> None:
    shop.state.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", shop.state], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting is not permitted: {mounted.stderr}")
    try:
        shop.open_with("one")
        shop.commit_function({f"{n}.bin": "x" * 10_000_000 for n in range(2)}, "Too large for what is left")
        refused = shop.run("deploy", "--wait", "ended")
        assert refused.code == 7, refused.said
        assert "No space left on device" in refused.said
        assert "make room on the disk" in refused.said
        assert shop.run("function", "upload", "price").code == 7
        assert (shop.get("/visit").body, shop.live) == ("one", 1)
        shop.git("reset", "--quiet", "--hard", "HEAD~1")
        shop.say("two")
        shop.ok("deploy", "--wait", "converged")
        shop.ok("rollback", "-m", "two is no good")
        assert shop.get("/visit").body == "one"
    finally:
        shop.run("down", "--yes")
        subprocess.run(["umount", "--lazy", str(shop.state)], check=True)


def test_a_runtime_that_is_missing_is_said_with_how_to_get_it_and_the_old_version_serves_on(shop: FunctionShop) -> None:
    shop.open_with("one")
    shop.say("two", runtime="worker")
    with shop.visited() as load:
        refused = shop.run("deploy", "--wait", "ended")
    assert refused.code == 4, refused.said
    assert "is not installed, which functions with `runtime: worker` need" in refused.said
    assert "npm install --prefix ~/.cache/lastgood/npm workerd esbuild" in refused.said
    assert (set(bodies(load)), shop.live) == ({"one"}, 1)


def test_hooks_run_in_the_version_s_folder_with_its_environment(shop: FunctionShop) -> None:
    """Each at its moment; a no before it starts ends the deployment."""
    note = f"echo $LASTGOOD_HOOK $LASTGOOD_RELEASE $(grep -c two main.py) $MORE >> {shop.folder}/notes"
    hooks = "".join(f'      {name}: {{ command: [sh, -c, "{note}"] }}\n' for name in ("before", "after", "undo"))
    shop.open_with("one")
    shop.say("two", f"    environment: {{ MORE: word }}\n    hooks:\n{hooks}", keep="500ms")
    shop.ok("deploy", "--wait", "ended")
    shop.ok("rollback", "-m", "two is no good")
    notes = ["before r2 1 word", "after r2 1 word", "undo r2 1 word"]
    eventually(lambda: (shop.folder / "notes").read_text().splitlines(), lambda told: told == notes)
    shop.say("three", '    hooks: { before: { command: [sh, -c, "echo the queue is full; exit 3"] } }\n', keep="500ms")
    refused = shop.run("deploy", "--wait", "ended")
    assert refused.code == 6, refused.said
    assert "the hook before of price says no: exit code 3 the queue is full" in refused.said
    assert shop.get("/visit").body == "one"


def test_a_version_key_of_the_users_own_keeps_its_version_while_the_share_grows(shop: FunctionShop) -> None:
    shop.open_with("one")
    shop.say("two", "    strategy: { canary: { steps: [20%, 60%], hold: 120s, version_key: x-user-id } }\n")
    shop.ok("deploy", "--wait", "converged")
    keys = [f"user-{number}" for number in range(60)]

    def on_two() -> set[str]:
        once, again = [[shop.get("/visit", {"x-user-id": key}).body for key in keys] for _ in range(2)]
        assert once == again
        return {key for key, word in zip(keys, once, strict=True) if word == "two"}

    few = on_two()
    shop.ok("promote")
    eventually(lambda: len(on_two()), lambda count: count > len(few), within_s=20)
    assert few < on_two() < set(keys)
    shop.ok("rollback", "-m", "enough seen")
    assert on_two() == set()
