"""Alerts: what they may do, and who may send them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from lastgood.errors import LastgoodError, Refused, Unavailable, UsageError
from lastgood.interfaces.http.alerts import FRESH_S, LARGEST_BYTES, PER_MINUTE, AlertDoor, sign
from lastgood.interfaces.http.app import Control, make_app
from lastgood.interfaces.http.events import Feed
from lastgood.operations.alerting import read_alerts
from lastgood.operations.deploy import DeployAsk
from tests.judging.court import MEASURED, Court, court

KEY = "not so secret"
NOW_S = 1_700_000_000


def webhook(
    release: str = "r2", *, asks: str = "rollback", status: str = "firing", name: str = "Broken"
) -> dict[str, Any]:
    labels = {"alertname": name, "release": release, "lastgood": asks}
    alert = {"status": status, "labels": labels, "annotations": {"summary": "it is broken"}}
    return {"version": "4", "status": status, "alerts": [alert]}


async def live(it: Court) -> None:
    """r2 is live, and good by time."""
    await it.second("for: 50ms", percent=100.0)
    await it.made.at_rest()
    assert it.made.state.live == 2


async def test_a_release_that_bakes_goes_back() -> None:
    async with court() as it:
        await it.second(MEASURED)
        assert await it.made.verbs.heed(webhook()) == [{"did": "r2 goes back"}]
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
        verdict = it.made.state.verdict(2)
        assert (verdict.name, verdict.basis) == ("bad", "veto")
        assert verdict.evidence == "alert Broken: it is broken"


async def test_a_release_that_is_live_goes_back() -> None:
    async with court() as it:
        await it.first("/narrow/*")
        it.commit("/*", "for: 60ms")
        await it.made.verbs.deploy("main", DeployAsk(by="test"))
        await it.made.at_rest()
        assert it.made.state.live == 2
        [answer] = await it.made.verbs.heed(webhook())
        assert answer["release"] == 1
        await it.made.at_rest()
        assert it.made.state.live == 1
        assert it.made.state.verdict(2).name == "bad"
        assert it.made.state.deployments[answer["deployment"]].asked.by == "an alert"


async def test_security_is_loosened_by_no_alert() -> None:
    async with court() as it:
        await live(it)
        [answer] = await it.made.verbs.heed(webhook())
        assert answer["did"] == "noted"
        assert "loosen" in answer["why"]
        assert it.made.state.live == 2


async def test_what_a_rollback_came_back_to_is_left_alone() -> None:
    async with court() as it:
        await it.second(MEASURED)
        await it.made.verbs.heed(webhook())
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
        [answer] = await it.made.verbs.heed(webhook("r1"))
        assert "a person has to decide" in answer["why"]
        assert it.made.state.live == 1


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (webhook("r9"), "there is no r9"),
        (webhook("r1"), "is not what it brings"),
        (webhook("latest"), "names no release"),
        (webhook(asks="look"), "does not ask for a rollback"),
    ],
)
async def test_other_alerts_are_noted_and_move_nothing(raw: dict[str, Any], why: str) -> None:
    async with court() as it:
        await it.second(MEASURED)
        [answer] = await it.made.verbs.heed(raw)
        assert why in answer["why"]
        assert it.made.state.verdict(2).name == "baking"
        assert any(why in note.what for _, note in it.made.state.notes)


async def test_a_resolved_alert_is_no_alert() -> None:
    async with court() as it:
        await it.second(MEASURED)
        assert await it.made.verbs.heed(webhook(status="resolved")) == []


@pytest.mark.parametrize("raw", [None, [], {}, {"alerts": "many"}, {"alerts": [{}] * 101}])
def test_what_is_no_webhook_is_refused(raw: Any) -> None:
    with pytest.raises(UsageError):
        read_alerts(raw)


def test_strange_labels_are_harmless() -> None:
    raw = webhook(name="a\n\x1b[2Jb" + "x" * 5000)
    raw["alerts"].append({"status": "firing", "labels": 3, "annotations": None})
    found = read_alerts(raw)
    assert len(found[0].name) == 200
    assert "\n" not in found[0].told
    assert "\x1b" not in found[0].told
    assert found[1].release is None


class Watch:
    def __init__(self) -> None:
        self.now_s = float(NOW_S)

    def __call__(self) -> float:
        return self.now_s


def test_only_a_fresh_signature_opens_and_only_once() -> None:
    watch = Watch()
    door = AlertDoor(lambda: KEY, watch)
    body = json.dumps(webhook()).encode()
    signed = sign(KEY, body, NOW_S)
    for forged in ("", "t=1,sha256=00", sign("another", body, NOW_S), signed.replace(str(NOW_S), str(NOW_S + 1))):
        with pytest.raises(Refused, match="not signed"):
            door.pass_in(body, forged)
    with pytest.raises(Refused, match="not signed"):
        door.pass_in(body + b" ", signed)
    assert door.pass_in(body, signed) == webhook()
    with pytest.raises(Refused, match="came before"):
        door.pass_in(body, signed)
    watch.now_s += FRESH_S + 100
    with pytest.raises(Refused, match="too old"):
        door.pass_in(body, signed)


def test_a_flood_is_turned_away_and_ends() -> None:
    watch = Watch()
    door = AlertDoor(lambda: KEY, watch)
    for number in range(PER_MINUTE):
        assert door.pass_in(b"%d" % number, sign(KEY, b"%d" % number, NOW_S)) == number
    with pytest.raises(Unavailable, match="too many"):
        door.pass_in(b"{}", sign(KEY, b"{}", NOW_S))
    watch.now_s += 61
    assert door.pass_in(b"{}", sign(KEY, b"{}", NOW_S)) == {}


def test_a_flood_of_forged_ones_keeps_no_real_one_out() -> None:
    door = AlertDoor(lambda: KEY, Watch())
    for forged in ("nonsense", sign("another", b"{}", NOW_S), sign(KEY, b"{}", NOW_S - 1000)):
        for _ in range(PER_MINUTE):
            with pytest.raises(Refused):
                door.pass_in(b"{}", forged)
    assert door.pass_in(b"{}", sign(KEY, b"{}", NOW_S)) == {}
    for _ in range(PER_MINUTE):
        with pytest.raises(Refused, match="came before"):
            door.pass_in(b"{}", sign(KEY, b"{}", NOW_S))
    assert door.pass_in(b"[]", sign(KEY, b"[]", NOW_S)) == []


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    watch = Watch()
    door = AlertDoor(lambda: KEY, watch)
    for number in range(PER_MINUTE):
        door.pass_in(b"%d" % number, sign(KEY, b"%d" % number, NOW_S))
    watch.now_s -= 86_400
    assert door.pass_in(b"{}", sign(KEY, b"{}", NOW_S - 86_400)) == {}


def test_too_large_no_json_and_no_secret() -> None:
    door = AlertDoor(lambda: KEY, Watch())
    with pytest.raises(UsageError, match="too large"):
        door.pass_in(b"x" * (LARGEST_BYTES + 1), "")
    with pytest.raises(UsageError, match="no JSON"):
        door.pass_in(b"[" * 90_000, sign(KEY, b"[" * 90_000, NOW_S))

    def none() -> str:
        raise LastgoodError("there is none")

    with pytest.raises(Unavailable, match="no secret"):
        AlertDoor(none, Watch()).pass_in(b"{}", "")


async def test_over_http() -> None:
    async with court() as it:
        await it.second(MEASURED)
        door = AlertDoor(lambda: KEY, Watch())
        control = Control(Feed(), stop=lambda: None, refresh=lambda: None, about=dict, door=door)
        transport = httpx.ASGITransport(make_app(it.made.verbs, control), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://lastgood") as client:
            body = json.dumps(webhook()).encode()
            refused = await client.post("/v1/alerts", content=body)
            assert refused.status_code == 403
            assert KEY not in refused.text
            assert it.made.state.verdict(2).name == "baking"
            header = {"x-lastgood-signature": sign(KEY, body, NOW_S)}
            answer = await client.post("/v1/alerts", content=body, headers=header)
            assert answer.json() == {"alerts": [{"did": "r2 goes back"}]}
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
