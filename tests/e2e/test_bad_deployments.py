"""Commits that are correct and cannot be served, and requests that contradict what is under way."""

from __future__ import annotations

import os
import socket
import subprocess
import time

import pytest

from tests.support import processes
from tests.support.configuration import CATALOG, fair, route
from tests.support.refusals import refuses, unchanged
from tests.support.shop import Shop, free_port

ORDERS = CATALOG + route("orders", "legacy")
LARGE_PATTERN = CATALOG.replace("/catalog/* }", "/catalog/*, headers: { x-version: { regex: '2{1001}' } } }")
JWT = '    people: { jwt: { issuer: "https://id.example", jwks: { keys: [%s] } } }\n'
KEYS = {
    "no modulus": "{ kty: RSA, kid: a, e: AQAB }",
    "modulus that is no number": '{ kty: RSA, kid: a, e: AQAB, n: "!!!" }',
    "short modulus": '{ kty: RSA, kid: a, e: AQAB, n: "AQAB" }',
    "point that is not on the curve": '{ kty: EC, kid: a, crv: P-256, x: "AQAB", y: "AQAB" }',
    "unknown kind": "{ kty: XYZ, kid: a }",
}


def _refused_by_envoy(shop: Shop, *codes: int) -> str:
    """The deployment fails; traffic, and what is known to be good, are as before."""
    before = shop.standing()
    with shop.load() as load:
        done = shop.run("deploy", "--wait", "ended")
    assert done.code in codes, done.said
    assert not load.failed()
    assert set(load.seen("visitor", 0)) == {(200, "catalog")}
    after = shop.standing()
    for kept in ("live", "gateway", "known_good", "answers", "acknowledged"):
        assert after[kept] == before[kept], kept
    return done.said


def test_a_pattern_that_envoy_refuses(shared_shop: Shop) -> None:
    """Tried on a proxy without traffic first; bad by veto, in the proxy's words, and held from then on."""
    shop = shared_shop
    shop.commit(shop.text(LARGE_PATTERN), "A pattern")
    said = _refused_by_envoy(shop, 6)
    assert "invalid repetition size" in said or "regex" in said, said
    newest = shop.history()["releases"][0]
    assert (newest["verdict"], newest["basis"], newest["held"]) == ("bad", "veto", True)
    refuses(shop, "deploy", code=4, saying=("held", f"r{newest['release']}", "--force"))
    refuses(shop, "deploy", "--force", code=4, saying=("reason", "-m"))
    # By force it is tried again, and fails again.
    shop_said = shop.run("deploy", "--force", "-m", "surely", "--wait", "ended")
    assert shop_said.code == 6, shop_said.said


@pytest.mark.parametrize("name", KEYS)
def test_keys_that_envoy_refuses(shared_shop: Shop, name: str) -> None:
    """Whoever notices first: our check, or the proxy without traffic."""
    shop = shared_shop
    shop.commit(shop.text(route("catalog", use="people"), policies=JWT % KEYS[name]), name)
    said = _refused_by_envoy(shop, 3, 6)
    assert "jwk" in said.lower() or "key" in said.lower(), said


@pytest.mark.parametrize("shares", [False, True], ids=["alone", "as another Envoy would"])
def test_a_port_in_use(shared_shop: Shop, shares: bool) -> None:
    """Also by who would share it: then requests would go to either of two gateways."""
    shop = shared_shop
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shares))
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        shop.commit(shop.text(ORDERS, listeners=f"    more: {{ port: {port} }}\n"), "Another port")
        said = _refused_by_envoy(shop, 6)
        assert str(port) in said, said
        assert f"(process {os.getpid()})" in said, said


def test_two_deploys_at_once(shop: Shop) -> None:
    """One wins, the other is told; never both, never neither."""
    shop.open()
    one = shop.commit(shop.text(ORDERS), "One")
    other = shop.commit(shop.text(CATALOG + route("orders", "catalog")), "Other")
    runs = [shop.begin_command("deploy", revision) for revision in (one, other)]
    ended = [(run.communicate(timeout=60), run.returncode) for run in runs]
    codes = sorted(code for _, code in ended)
    assert codes in ([0, 5], [0, 6], [0, 0]), ended
    won = next(place for place, (_, code) in enumerate(ended) if code == 0)
    if codes == [0, 5]:
        assert "is on its way" in ended[1 - won][0][1], ended
        assert shop.status()["live"]["revision"] == (one, other)[won]
    history = shop.history()["deployments"]
    assert len(history) == 2 + (codes == [0, 0]) + (codes == [0, 6])
    assert shop.get("/orders/1").body in ("legacy", "catalog")


@pytest.mark.slow
def test_twenty_deploys_at_once(shop: Shop) -> None:
    """Over the API, all at the same moment: every one is answered, releases are numbered without a gap."""
    from concurrent.futures import ThreadPoolExecutor

    from tests.support import api

    shop.open()
    commits = [shop.commit(shop.text(CATALOG + route(f"new{n}")), f"New {n}") for n in range(20)]

    def ask(revision: str) -> int:
        return api.request(shop.socket, "POST", "/v1/deploy", {"revision": revision})[0]

    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(ask, commits))
    assert set(codes) <= {200, 409}, codes
    assert 200 in codes
    processes.eventually(lambda: shop.status()["deployment"], lambda active: active is None)
    numbers = [release["release"] for release in shop.history()["releases"]]
    assert numbers == list(range(len(numbers), 0, -1))
    assert len(numbers) == 1 + codes.count(200)
    live = shop.status()["live"]
    assert shop.get(f"/new{commits.index(live['revision'])}/1").status == 200


@pytest.mark.slow
def test_a_rollback_with_nothing_to_go_back_to(shop: Shop) -> None:
    shop.begin()
    shop.commit(shop.text(), "Open the shop")
    done = shop.run("rollback")
    assert done.code == 7, done.said
    assert "nothing was deployed here yet" in done.err
    shop.ok("up", "--detach")
    refuses(shop, "rollback", code=4, saying=("nothing is live yet",))
    shop.ok("deploy", "--wait", "ended")
    refuses(shop, "rollback", code=4, saying=("no release to go back to",))
    refuses(shop, "rollback", "previous", code=4, saying=("no release was live before",))
    refuses(shop, "rollback", "r1", code=4, saying=("r1 is what is live",))
    refuses(shop, "rollback", "r7", code=2, saying=("there is no release r7",))
    refuses(shop, "rollback", "r1~1", code=2, saying=("before r1",))
    refuses(shop, "rollback", "nonsense", code=2, saying=("nonsense",))
    refuses(shop, "abort", code=4, saying=("no deployment is under way",))
    refuses(shop, "confirm", code=4, saying=("no deployment is under way",))
    refuses(shop, "promote", code=4, saying=("no deployment is under way",))
    refuses(shop, "retry", code=4, saying=("d1 did not go back",))
    refuses(shop, "report", "d99", code=2, saying=("d99",))
    refuses(shop, "mark", "r9", "bad", code=2, saying=("r9",))


@pytest.mark.slow
def test_only_unproven_releases_to_go_back_to(shop: Shop) -> None:
    """Nothing is known good: refused without a person, who is told what was live before."""
    shop.begin()
    shop.commit(shop.text(bake="1h"), "Open the shop")
    shop.ok("up", "--detach")
    shop.ok("deploy")
    shop.commit(shop.text(ORDERS, bake="1h"), "Take orders")
    shop.ok("deploy")
    refuses(shop, "rollback", code=4, saying=("no release is known good", "r1 was live before", "rollback previous"))
    assert shop.get("/orders/1").body == "legacy"
    shop.ok("rollback", "previous")
    assert shop.get("/orders/1").status == 404


@pytest.mark.slow
def test_a_rollback_that_would_loosen_security(shop: Shop) -> None:
    """Refused without a person, naming the flag; with the flag it goes."""
    shop.open()
    shop.deploy(shop.text(route("catalog", use="fair"), policies=fair(1000)), "Limit it")
    refuses(shop, "rollback", code=4, saying=("loosen", "--accept-loosening"))
    plan = shop.ok("plan", "rollback")
    assert "LOOSENS" in plan.out
    shop.ok("rollback", "--accept-loosening")
    assert shop.live == 1


@pytest.mark.slow
def test_an_armed_deployment_is_not_overtaken(shop: Shop) -> None:
    shop.open()
    shop.commit(shop.text(ORDERS), "Take orders")
    shop.ok("deploy", "--confirm-within", "1h", "--wait", "good")
    shop.commit(shop.text(ORDERS + route("more")), "More")
    refuses(shop, "deploy", code=5, saying=("waits for its confirmation", "lastgood confirm"))
    # A rollback overtakes everything.
    shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    shop.ok("deploy", "--force", "-m", "try again")


@pytest.mark.parametrize(
    "options",
    [
        ("--percent", "0"), ("--percent", "101"), ("--percent", "ten"), ("--percent", "nan"),
        ("--confirm-within", "0s"), ("--confirm-within", "soon"), ("--confirm-within", "90d"),
        ("--confirm-within", "-5m"),
        ("--wait", "for-ever"), ("--no-such-option",), ("one", "two"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(shared_shop: Shop, options: tuple[str, ...]) -> None:
    refuses(shared_shop, "deploy", *options, code=2, saying=())


@pytest.mark.slow
def test_a_plan_that_is_out_of_date(shop: Shop) -> None:
    """``--basis``: what was approved is what is done, or nothing is."""
    shop.open()
    shop.deploy(shop.text(ORDERS), "Take orders")
    basis = shop.ask("plan", "rollback")["basis"]
    shop.deploy(shop.text(ORDERS + route("more")), "More")
    refuses(shop, "rollback", "--basis", basis, code=4, saying=("has changed",))
    refuses(shop, "deploy", "HEAD~1", "--basis", basis, code=4, saying=("has changed",))
    shop.ok("rollback", "--basis", shop.ask("plan", "rollback")["basis"])


@pytest.mark.slow
def test_a_second_up_and_a_second_controller(shop: Shop) -> None:
    shop.open()
    controller = processes.pid(shop.root, processes.CONTROLLER)
    refuses(shop, "up", "--detach", code=5, saying=("up already",))
    second = subprocess.run(
        [*_daemon(shop)], cwd=shop.root, env=shop.environment, capture_output=True, text=True, timeout=20
    )
    assert second.returncode == 5, second.stderr
    assert "a controller is running" in second.stderr
    assert processes.pid(shop.root, processes.CONTROLLER) == controller
    time.sleep(1.2)
    with unchanged(shop):
        assert shop.run("status").code == 0


def _daemon(shop: Shop) -> list[str]:
    import sys

    return [sys.executable, "-P", "-m", "lastgood.interfaces.daemon", str(shop.root), str(shop.state)]


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("/v1/deploy", {"revision": 7}, 422),
        ("/v1/deploy", {"percent": 0}, 422),
        ("/v1/deploy", {"percent": 1e309}, 422),
        ("/v1/deploy", {"unknown": True}, 422),
        ("/v1/deploy", {"why": "x" * 100_000}, 422),
        ("/v1/deploy", {"revision": "no-such-branch"}, 400),
        ("/v1/rollback", {"target": "r99"}, 400),
        ("/v1/mark", {"release": "r1", "verdict": "splendid"}, 422),
        ("/v1/tag", {"name": "r1", "release": "r1"}, 400),
        ("/v1/tag", {"name": "../../x", "release": "r1"}, 400),
        ("/v1/confirm", {"extend_s": -1}, 422),
        ("/v1/nothing", {}, 404),
    ],
)
def test_the_api_refuses_nonsense(shared_shop: Shop, target: str, body: dict[str, object], code: int) -> None:
    from tests.support import api

    with unchanged(shared_shop):
        status, answer = api.request(shared_shop.socket, "POST", target, body)
        assert status == code, answer
