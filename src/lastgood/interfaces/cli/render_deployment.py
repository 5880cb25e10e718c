"""How a deployment went, in sentences that say no more than its JSON does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.interfaces.cli.text import counted, lasting, listed, milliseconds

WAITS = ("hold", "bake", "confirm", "keep")


def name(release: int | None) -> str:
    """``r12``, or nothing."""
    return "nothing" if release is None else f"r{release}"


def was_asked(found: Mapping[str, Any]) -> str:
    """What it was asked to be: what it does now may be the way back of that."""
    return "deploy" if found["intent"] == "retreat" else str(found["intent"])


def proof(found: Mapping[str, Any]) -> str:
    """How far the traffic's move is proved: who acknowledged, how fast, what the left release still got."""
    convergence = found.get("convergence")
    if convergence is None:
        return "there is no convergence figure"
    return "; ".join([_acknowledged(convergence), *_away(convergence), *_left(found, convergence)])


def shift_proof(found: Mapping[str, Any]) -> str:
    """The same of a shift after which both releases get requests: there is nothing to count then."""
    convergence = found.get("convergence")
    if convergence is None:
        return "there is no convergence figure"
    return "; ".join([_acknowledged(convergence), *_away(convergence)])


def _acknowledged(convergence: Mapping[str, Any]) -> str:
    of, count = int(convergence["of"]), len(convergence["acknowledged"])
    if of == 0:
        return "no proxy was there to acknowledge it"
    told = f"{count} of {counted(of, 'proxy')}"
    if convergence.get("effective_ms") is not None and count:
        return f"{told}, effective in {milliseconds(convergence['effective_ms'])}"
    if convergence.get("push_ms") is not None and count:
        return f"{told} acknowledged in {milliseconds(convergence['push_ms'])}"
    return f"{told} acknowledged"


def _away(convergence: Mapping[str, Any]) -> list[str]:
    away = convergence["away"]
    if not away:
        return []
    told = "is away: what it serves is unknown" if len(away) == 1 else "are away: what they serve is unknown"
    waited_ms = convergence.get("waited_ms")
    waited = f" (waited for {milliseconds(waited_ms)})" if waited_ms is not None else ""
    return [f"{listed(away)} {told}{waited}"]


def _left(found: Mapping[str, Any], convergence: Mapping[str, Any]) -> list[str]:
    left = convergence.get("left")
    if found["from"] is None:
        return []
    if left is not None:
        got = counted(left["requests"], "request")
        still = "still got" if left["requests"] else "got"
        return [f"{name(left['release'])} {still} {got} in the {milliseconds(left['window_s'] * 1000)} after"]
    step = next((step for step in found["steps"] if step["id"] == "converged"), None)
    if step is not None and step.get("error"):
        return [f"requests of the release that was left were not counted: {step['error']}"]
    if step is not None:
        return ["requests of the release that was left are not counted yet"]
    return ["requests of the release that was left were not counted"]


def conclusion(found: Mapping[str, Any]) -> list[str]:
    """The last lines of a command that waited: where the system is, the proof, and what happens next."""
    ended = found["ended"]
    if ended is None:
        return _under_way(found)
    lines = [f"{name(ended['live'])} is live: {proof(found)}"]
    lines += revert_commit(found)
    if found["intent"] == "deploy":
        lines.append(f"{name(found['asked'])} is {found['verdict']}")
    return lines


def _under_way(found: Mapping[str, Any]) -> list[str]:
    waiting = [step for step in found["steps"] if step["verb"] in WAITS and step["phase"] == "started"]
    target, back = name(found["target"]), name(found["from"])
    hold = next((step for step in waiting if step["verb"] == "hold"), None)
    if hold is not None:
        return [
            f"{target} has its share of the requests ({hold['shows']}), {back} the rest: {shift_proof(found)}",
            _what_is_next(found, hold),
            *_ways_out(found),
        ]
    if not waiting:
        return [f"d{found['deployment']} is on its way to {target}", *_ways_out(found)]
    lines = [f"{target} is live: {proof(found)}"]
    bake = next((step for step in waiting if step["verb"] == "bake"), None)
    if bake is not None:
        if found.get("paused"):
            lines.append("it is paused: lastgood resume")
        lines.append(_bakes(found, bake))
    kept = [step for step in waiting if step["verb"] == "keep"]
    lines += [f"{step['shows']}: another {lasting(step.get('left_s', 0.0))}" for step in kept]
    return [*lines, *_ways_out(found)]


def _bakes(found: Mapping[str, Any], bake: Mapping[str, Any]) -> str:
    lasts = f"it bakes for another {lasting(bake.get('left_s', 0.0))}"
    if found.get("measured"):
        return f"{lasts}; it counts as good when what is measured suffices: lastgood verdict {name(found['target'])}"
    return f"{lasts}; without a veto it counts as good then"


def _what_is_next(found: Mapping[str, Any], hold: Mapping[str, Any]) -> str:
    if found.get("paused"):
        return "it is paused and nothing moves: lastgood resume"
    if found.get("doubt"):
        return f"no more requests move while {found['doubt']}: lastgood promote moves them all the same"
    more = any(step["verb"] == "hold" and step["phase"] == "waits" for step in found["steps"])
    when = f"in {lasting(hold.get('left_s', 0.0))} by itself, at once with: lastgood promote"
    return f"the next share moves {when} (all of it: --full)" if more else f"the rest moves {when}"


def _ways_out(found: Mapping[str, Any]) -> list[str]:
    left_s, source = found["confirm_left_s"], found["from"]
    lines = []
    if left_s is not None:
        otherwise = (
            f"it goes back to {name(source)} by itself" if source is not None else "there is nothing to go back to"
        )
        lines.append(f"confirm it within {lasting(max(0.0, left_s))}, or {otherwise}: lastgood confirm")
    if source is not None:
        lines.append(f"lastgood abort takes it back to {name(source)}; lastgood rollback goes to the last known good")
    return lines


def revert_commit(found: Mapping[str, Any]) -> list[str]:
    """What Git was told, and what is left for a person to do there."""
    step = next((step for step in found["steps"] if step["id"] == "revert"), None)
    if step is None or step["phase"] in ("waits", "started"):
        return []
    if step.get("error"):
        left = "  Git still says what was taken back: git revert its commit (lastgood history)"
        return [f"no revert commit was written: {step['error']}", left]
    result = step.get("result") or {}
    if result.get("commit") is None and result.get("commands"):
        return [f"no revert commit was written: {result['why']}", *(f"  {command}" for command in result["commands"])]
    if result.get("commit") is None:
        return ["Git says so already: no revert commit was needed"]
    lines = [f"revert commit {result['commit'][:12]} on {result['branch']}"]
    if result.get("why"):
        lines[0] += f": {result['why']}"
    if result.get("pushed"):
        lines.append(f"pushed to {result['pushed']}")
    if result.get("push_why"):
        lines.append(f"push: {result['push_why']}")
    commands = [*(result.get("commands") or ()), *(result.get("push_commands") or ())]
    return [*lines, *(f"  {command}" for command in commands)]
