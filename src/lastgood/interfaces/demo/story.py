"""The story of the README, told with real parts: Envoy, Git, load, and the command line as a person types it."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

from lastgood.interfaces.demo.load import Load, Probe, Upstream
from lastgood.interfaces.demo.shop import GENUINE_KEY, Ports, Repository, bad, first, good, refused
from lastgood.interfaces.demo.software import tell_software
from lastgood.interfaces.demo.storyteller import Story, free_port

PARTNER = Probe("partner", "/orders/1", (("x-api-key", GENUINE_KEY),))
STRANGER = Probe("stranger", "/orders/1")
VISITOR = Probe("visitor", "/catalog/1")
TRIAL = Probe("trial", "/trial/1")
BOOKMARK = Probe("bookmark", "/old/1")


def tell(root: Path) -> int:
    """Tell the story in a folder; 0 when every promise held."""
    story = Story(root / "gateway")
    _tell_gateway(story)
    broken = [*story.broken, *tell_software(Story(root / "software", began_s=story.began_s))]
    story.chapter(f"Every promise was kept: {'no, not these: ' + '; '.join(broken) if broken else 'yes'}.")
    return 1 if broken else 0


def _tell_gateway(story: Story) -> None:
    """The first act: the configuration of a gateway."""
    root = story.root
    root.mkdir()
    upstreams = [Upstream("catalog"), Upstream("legacy")]
    ports = Ports(free_port(), upstreams[0].port, upstreams[1].port)
    load = Load(ports.gateway, (PARTNER, STRANGER, VISITOR, TRIAL, BOOKMARK), per_second=50)
    shop = Repository(root)
    try:
        _open_shop(story, shop, ports)
        load.start()
        _good_commit(story, shop, ports, load)
        _bad_commit(story, shop, ports, load)
        _git_revert(story, shop, ports, load)
        _refused_commit(story, shop, ports)
        _nobody_confirms(story, shop, ports, load)
        _controller_killed(story, load)
        load.stop()
        _the_end(story, shop, load)
    finally:
        load.stop()
        story.lastgood("down", "--yes")
        for upstream in upstreams:
            upstream.stop()


def _open_shop(story: Story, shop: Repository, ports: Ports) -> None:
    story.chapter("A shop's API. Its gateway's configuration lives in Git.")
    shop.git("init", "--quiet", "--initial-branch=main")
    shop.git("config", "user.name", "Shop")
    shop.git("config", "user.email", "shop@localhost")
    (shop.root / ".gitignore").write_text(".lastgood/\n")
    shop.git("add", ".gitignore")
    shop.commit(first(ports), "Open the shop")
    story.lastgood("secret", "set", "acme_key", feed=GENUINE_KEY)
    story.lastgood("up", "--detach")
    story.lastgood("deploy", "--wait", "good")


def _good_commit(story: Story, shop: Repository, ports: Ports, load: Load) -> None:
    story.chapter("A good commit: a route for partners with an API key, and a trial with a limit.")
    shop.commit(good(ports), "Let partners order, let people try")
    story.lastgood("deploy", "--wait", "good")
    since_s = time.monotonic()
    time.sleep(1)
    story.holds(
        "partners get 200, strangers 401", _only(load, PARTNER, since_s, 200) and _only(load, STRANGER, since_s, 401)
    )
    story.holds("the trial is limited (429)", 429 in {status for status, _ in load.seen("trial", since_s)})


def _bad_commit(story: Story, shop: Repository, ports: Ports, load: Load) -> None:
    story.chapter("A bad commit: opens the orders, lifts the limit, sends the catalogue to the wrong upstream.")
    shop.commit(bad(ports), "Tidy up the gateway")
    story.lastgood("deploy")
    since_s = time.monotonic()
    time.sleep(1)
    story.say(f"      strangers now get {_told(load, STRANGER, since_s)}; visitors get {_told(load, VISITOR, since_s)}")
    story.chapter("One command.")
    story.lastgood("plan", "rollback")
    story.lastgood("rollback", "-m", "orders are open to everybody")
    _measured(story, "rollback while it bakes")
    since_s = time.monotonic() + 0.05
    time.sleep(1)
    story.holds("orders are closed again (401)", _only(load, STRANGER, since_s, 401))
    story.holds("visitors get the catalogue again", _only_body(load, VISITOR, since_s, "catalog"))
    limited = load.seen("trial", since_s)
    story.holds("the limit is back, its counter where it was (429)", {status for status, _ in limited} == {429})
    _git_says(story, shop, "Roll back r3 to r2")


def _git_revert(story: Story, shop: Repository, ports: Ports, load: Load) -> None:
    story.chapter("Another mistake, and this time somebody reverts it in Git, as always.")
    shop.commit(good(ports, orders_to="legacy"), "Move the orders")
    story.lastgood("deploy", "--wait", "good")
    story.say("    $ git revert --no-edit HEAD")
    shop.git("revert", "--no-edit", "HEAD")
    story.lastgood("deploy")
    _measured(story, "git revert, then deploy, after the bake")
    since_s = time.monotonic() + 0.05
    time.sleep(0.7)
    story.holds("orders are where they were", _only_body(load, PARTNER, since_s, "catalog"))
    history = story.ask("history")
    newest = history["releases"][0]  # type: ignore[index]
    story.holds("the release is known good at once: its content was", newest["basis"] == "inherited")


def _refused_commit(story: Story, shop: Repository, ports: Ports) -> None:
    story.chapter("A commit that Envoy refuses: it meets a proxy without traffic first.")
    shop.commit(refused(ports), "Match the version")
    story.lastgood("deploy", expect=6)
    status = story.ask("status")
    story.holds("nothing changed", status["deployment"] is None)
    shop.git("reset", "--quiet", "--hard", "HEAD~1")


def _nobody_confirms(story: Story, shop: Repository, ports: Ports, load: Load) -> None:
    story.chapter("A commit that locks its author out: nobody confirms it, so it goes back by itself.")
    shop.commit(good(ports, orders_to="legacy", timeout="3s"), "Reorganise")
    story.lastgood("deploy", "--confirm-within", "3s")
    since_s = time.monotonic()
    time.sleep(1)
    story.say(f"      partners now get {_told(load, PARTNER, since_s)}")
    for _ in range(100):
        if story.ask("status")["deployment"] is None:
            break
        time.sleep(0.1)
    since_s = time.monotonic() + 0.05
    time.sleep(0.7)
    story.holds("the orders are back where they were", _only_body(load, PARTNER, since_s, "catalog"))
    _git_says(story, shop, "Roll back")


def _controller_killed(story: Story, load: Load) -> None:
    story.chapter("kill -9 of the controller.")
    controller = story.ask("status")["controller"]
    assert isinstance(controller, dict)
    since_s = time.monotonic()
    os.kill(int(controller["pid"]), signal.SIGKILL)
    time.sleep(2)
    story.holds("traffic went on", _only(load, PARTNER, since_s, 200) and _only(load, VISITOR, since_s, 200))
    again: object = None
    for _ in range(50):
        again = story.ask("status").get("controller")
        if isinstance(again, dict) and again.get("pid") not in (None, controller["pid"]):
            break
        time.sleep(0.1)
    story.holds("its supervisor started it again", isinstance(again, dict) and again.get("pid") != controller["pid"])


def _the_end(story: Story, shop: Repository, load: Load) -> None:
    story.chapter("The end.")
    story.lastgood("history")
    story.say("    $ git log --oneline")
    for line in shop.git("log", "--oneline").splitlines():
        story.say(f"      {line}")
    story.say()
    for what, figure in story.rollbacks:
        story.say(f"    {what}: {figure}")
    failed = load.failed()
    story.say(f"    requests sent: {len(load.answers)}, failed: {len(failed)}, connections opened: {load.reconnects}")
    story.holds("no request failed because of us", not failed)
    story.holds("every connection stayed open throughout", load.reconnects == len(load.probes))


def _measured(story: Story, what: str) -> None:
    history = story.ask("history")
    newest = history["deployments"][0]  # type: ignore[index]
    proof = newest["convergence"] or {}
    effective = proof.get("effective_ms")
    figure = f"effective in {effective} ms" if effective is not None else f"pushed in {proof.get('push_ms')} ms"
    story.rollbacks.append((what, f"{figure} on {len(proof.get('acknowledged', []))} of {proof.get('of')} proxies"))


def _git_says(story: Story, shop: Repository, subject: str) -> None:
    newest = shop.git("log", "-1", "--format=%s").strip()
    story.holds(f"Git says so: {newest!r}", newest.startswith(subject))


def _only(load: Load, probe: Probe, since_s: float, status: int) -> bool:
    return {seen for seen, _ in load.seen(probe.name, since_s)} == {status}


def _only_body(load: Load, probe: Probe, since_s: float, body: str) -> bool:
    return set(load.seen(probe.name, since_s)) == {(200, body)}


def _told(load: Load, probe: Probe, since_s: float) -> str:
    return ", ".join(f"{count} x {status} {body!r}" for (status, body), count in load.seen(probe.name, since_s).items())


def main() -> int:
    """Tell it in a temporary folder, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lastgood-demo-") as folder:
        return tell(Path(folder))
