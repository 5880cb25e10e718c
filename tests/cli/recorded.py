"""JSON values as a real controller sent them (three proxies, one upstream), shortened where nothing is read."""

from __future__ import annotations

from typing import Any

COMMIT = "7a53198103c3f9d826d4cba4731086ab3cd2fd62"


def change(text: str, effect: str | None = None) -> dict[str, Any]:
    return {"part": "gateway", "kind": "changed", "subject": "route catalog", "text": text, "effect": effect}


def step(name: str, verb: str, shows: str, phase: str = "waits", **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"result": {}, "error": None} if phase != "waits" else {}
    return {"id": name, "part": "gateway", "verb": verb, "shows": shows, "phase": phase, **told, **more}


def convergence(**more: Any) -> dict[str, Any]:
    acknowledged = ["proxy-1", "proxy-2", "proxy-3"]
    left = {"release": 12, "requests": 0, "window_s": 0.2}
    return {"acknowledged": acknowledged, "away": [], "of": 3, "push_ms": 1.1, "left": left, **more}


def deployment(**more: Any) -> dict[str, Any]:
    """d31, forward, whose traffic is shifted and which bakes."""
    steps = [
        step("preflight", "preflight", "try it on a proxy without traffic", "ended", took_ms=52.4),
        step("load", "serve", "load r13 beside r12", "ended", took_ms=5.4),
        step("shift", "serve", "shift 100 % of the requests to r13", "ended", took_ms=4.7),
        step("converged", "silent", "see that r12 gets no requests", "ended", took_ms=207.9),
        step("bake", "bake", "bake r13 for 600 s", "started", left_s=598.0),
        step("settle", "serve", "settle on r13"),
    ]
    return {
        "deployment": 31,
        "intent": "deploy",
        "from": 12,
        "asked": 13,
        "target": 13,
        "by": "ann (cli)",
        "why": "the limit was too low",
        "at": "2026-03-01T12:00:05.021Z",
        "replanned": None,
        "steps": steps,
        "convergence": convergence(),
        "confirm_left_s": None,
        "halted": None,
        "ended": None,
        "ended_at": None,
        "verdict": "baking",
        **more,
    }


def went_back(**more: Any) -> dict[str, Any]:
    """d32: r13 -> r12, done."""
    result = {"commit": "2e7ba62ff062aa", "branch": "main", "updated_work_tree": True, "conflicts": [], "why": ""}
    steps = [
        step("shift", "serve", "shift all requests to r12", "ended", took_ms=3.1),
        step("converged", "silent", "see that r13 gets no requests", "ended", took_ms=208.0),
        step("revert", "revert", "write the revert commit on main", "ended", result=result, took_ms=40.0),
        step("settle", "serve", "settle on r12", "ended", took_ms=2.9),
    ]
    left = {"release": 13, "requests": 0, "window_s": 0.2}
    told = {
        "deployment": 32,
        "intent": "rollback",
        "from": 13,
        "asked": 12,
        "target": 12,
        "why": "slow",
        "steps": steps,
        "convergence": convergence(effective_ms=1.912, left=left),
        "ended": {"live": 12, "outcome": "done", "why": ""},
        "ended_at": "2026-03-01T12:05:00.250Z",
        "verdict": "good",
    }
    return deployment(**{**told, **more})


def report(found: dict[str, Any], **more: Any) -> dict[str, Any]:
    timeline = [
        {"at": "2026-03-01T12:00:05.021Z", "seq": 7, "kind": "Requested", "intent": found["intent"], "by": "ann (cli)"},
        {"at": "2026-03-01T12:00:05.022Z", "seq": 8, "kind": "StepStarted", "step": "shift", "attempt": 1},
        {
            "at": "2026-03-01T12:00:05.027Z",
            "seq": 9,
            "kind": "StepEnded",
            "step": "shift",
            "error": None,
            "result": {"took_ms": 1.1, "began_s": 5593.5},
        },
    ]
    return {**found, "changes": [change("route catalog: timeout 2s -> 3s")], "timeline": timeline, **more}


def live(**more: Any) -> dict[str, Any]:
    return {
        "release": 13,
        "revision": COMMIT,
        "subject": "Raise the limit",
        "verdict": "baking",
        "basis": "timed",
        "evidence": "bakes for 600 s",
        "live": True,
        "lived": True,
        "tags": [],
        "held": False,
        **more,
    }


def proxy(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "connected": True, "acknowledged": "d6a4867fcb2ca978", "refusal": None, **more}


def status(**more: Any) -> dict[str, Any]:
    return {
        "live": live(),
        "deployment": None,
        "proxies": [proxy("proxy-1"), proxy("proxy-2"), proxy("proxy-3")],
        "gateway": {"base": 13, "candidate": None, "percent": 0.0},
        "unknown": [],
        "unjournaled": 0,
        "known_good": [11, 12],
        "controller": {"pid": 4242, "epoch": 6, "follows": None},
        **more,
    }


def deploy_answer(**more: Any) -> dict[str, Any]:
    return {
        "release": 13,
        "deployment": 31,
        "same_as": None,
        "revision": COMMIT,
        "subject": "Raise the limit",
        "branch": "main",
        "warnings": [],
        "uncommitted": [],
        "routes": 2,
        "changes": [change("route catalog: timeout 2s -> 3s")],
        **more,
    }


def rollback_answer(**more: Any) -> dict[str, Any]:
    why = "known good (timed: no veto in 600 s)"
    return {"deployment": 32, "release": 12, "from": 13, "why": why, "skipped": [], **more}


def way_back(**more: Any) -> dict[str, Any]:
    return {
        "from": 13,
        "to": 12,
        "why": "known good (timed: no veto in 600 s)",
        "skipped": [],
        "reverts": [change("route catalog: timeout 3s -> 2s")],
        "keeps": [],
        "loosens": [],
        "blocked": [],
        "steps": [{"id": "shift", "part": "gateway", "shows": "shift all requests to r12"}],
        "basis": "a8f1",
        **more,
    }


def refusal(what: str, next_step: str | None = None, *, code: str = "refused", exit_code: int = 4) -> dict[str, Any]:
    return {"error": {"code": code, "exit_code": exit_code, "what": what, "where": None, "next": next_step}}


class Story:
    """The events of one deployment, numbered as the journal does."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.events: list[dict[str, Any]] = []

    def add(self, kind: str, at_ms: int, **body: Any) -> Story:
        at = f"2026-03-01T12:00:{5 + at_ms // 1000:02d}.{at_ms % 1000:03d}Z"
        seq = 100 + len(self.events)
        self.events.append({"seq": seq, "epoch": 6, "deployment": self.number, "at": at, "kind": kind, **body})
        return self

    def planned(self, found: dict[str, Any], at_ms: int = 0, why: str = "") -> Story:
        steps = [{key: one[key] for key in ("id", "part", "shows", "verb")} for one in found["steps"]]
        return self.add("Planned", at_ms, why=why, intent=found["intent"], target=found["target"], steps=steps)

    def did(self, name: str, at_ms: int, lasted_ms: int, error: str | None = None, **result: Any) -> Story:
        self.add("StepStarted", at_ms, step=name, attempt=1)
        return self.add("StepEnded", at_ms + lasted_ms, step=name, error=error, result=result)


def forward() -> list[dict[str, Any]]:
    """Up to where it bakes."""
    story = Story(31).add("Requested", 0, intent="deploy", target=13, source=12, by="ann (cli)", why="")
    story.planned(deployment())
    story.did("preflight", 1, 52).did("load", 54, 6, took_ms=5.4)
    story.did("shift", 61, 5, took_ms=1.1, away=[]).add("StepStarted", 66, step="bake", attempt=1)
    return story.did("converged", 66, 208, requests=0).events


def back() -> list[dict[str, Any]]:
    """A whole rollback."""
    story = Story(32).add("Requested", 0, intent="rollback", target=12, source=13, by="ann (cli)", why="slow")
    story.planned(went_back())
    story.did("shift", 1, 4, took_ms=1.2, away=[]).did("revert", 6, 40).did("converged", 5, 208)
    return story.did("settle", 214, 5, took_ms=2.9).add("Ended", 220, live=12, outcome="done", why="").events
