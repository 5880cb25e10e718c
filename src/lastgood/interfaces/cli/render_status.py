"""The whole system at a glance. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.interfaces.cli import render_drill
from lastgood.interfaces.cli.render_deployment import WAITS, name, was_asked
from lastgood.interfaces.cli.text import columns, counted, lasting, milliseconds, moment

_MARKS = {"waits": "-", "started": "...", "ended": "ok", "failed": "fail"}


def status(found: Mapping[str, Any]) -> list[str]:
    """Lines for ``lastgood status``; the most alarming ones first."""
    return [
        *_alarms(found),
        *_live(found),
        *_known_good(found),
        *(deployment(found["deployment"]) if found["deployment"] else []),
        *_gateway(found),
        *_services(found),
        *_proxies(found),
        *_drill(found),
        _controller(found),
        *(f"note: {moment(note['at'])} {note['what']}" for note in found.get("notes", ())),
    ]


def _alarms(found: Mapping[str, Any]) -> list[str]:
    lines = []
    if damaged := found.get("damaged"):
        lines.append(f"DAMAGED: {damaged['where']}: {damaged['what']}; nothing is written, the proxies serve on")
        lines.append(f"  next: {damaged['next']}")
    if found["unjournaled"]:
        lines.append(f"UNJOURNALED: {counted(found['unjournaled'], 'event')} wait for room on the disk")
    if why := (found.get("controller") or {}).get("unrestored"):
        lines.append(f"NOT RESTORED: {why}; a proxy that was started anew serves nothing, the others serve on")
        lines.append("  next: mend that, it is tried again every 2 s; or lastgood rollback to a release without it")
    under_way = found["deployment"]
    if under_way and under_way["halted"]:
        lines.append(f"HALTED: d{under_way['deployment']}: {under_way['halted']['why']}")
        lines += [f"  choose: {choice}" for choice in under_way["halted"]["choices"]]
    return lines


def _live(found: Mapping[str, Any]) -> list[str]:
    live = found["live"]
    if live is None:
        return ["nothing is live yet: lastgood deploy"]
    at = f" at {live['revision'][:12]}" if live["revision"] else ""
    verdict = f"{live['verdict']}, {live['evidence']}" if live["evidence"] else live["verdict"]
    return [f'live: r{live["release"]} "{live["subject"]}"{at} ({verdict})']


def _drill(found: Mapping[str, Any]) -> list[str]:
    drilled = found.get("drill")
    return [] if drilled is None else [f"last drill: {render_drill.told(drilled)}"]


def _known_good(found: Mapping[str, Any]) -> list[str]:
    if found["live"] is None:
        return []
    good = ", ".join(f"r{number}" for number in reversed(found["known_good"]))
    return [f"known good: {good or 'no release yet'}"]


def deployment(found: Mapping[str, Any]) -> list[str]:
    """A deployment with its steps."""
    why = f': "{found["why"]}"' if found["why"] else ""
    lines = [
        f"d{found['deployment']}: {was_asked(found)} {name(found['from'])} -> {name(found['asked'])}, "
        f"by {found['by']}, {moment(found['at'])}{why}"
    ]
    for plan in found.get("replaced", ()):
        lines += [*_instead(plan), *columns([_step(step) for step in plan["steps"]], indent="  ")]
    lines += _instead(found)
    if found.get("paused"):
        lines.append("  paused: nothing moves on until lastgood resume")
    elif found.get("doubt") and any(step["verb"] == "hold" and step["phase"] == "started" for step in found["steps"]):
        lines.append(f"  no more requests move while {found['doubt']}: lastgood promote, or lastgood abort")
    lines += columns([_step(step) for step in found["steps"]], indent="  ")
    if found["confirm_left_s"] is not None:
        left = lasting(max(0.0, found["confirm_left_s"]))
        over = found["confirm_left_s"] <= 0
        when = "as soon as a controller runs: lastgood up" if over else f"in {left}, unless: lastgood confirm"
        lines.append(f"  it goes back by itself {when}")
    return lines


def _instead(plan: Mapping[str, Any]) -> list[str]:
    return [f"  going to {name(plan['target'])} instead: {plan['replanned']}"] if plan["replanned"] else []


def _step(step: Mapping[str, Any]) -> list[str]:
    told = ""
    if step.get("error"):
        told = str(step["error"])
    elif step.get("left_s") is not None:
        told = f"{lasting(step['left_s'])} left"
    elif step.get("took_ms") is not None and step["verb"] not in WAITS:
        told = milliseconds(step["took_ms"])
    return [_MARKS.get(step["phase"], step["phase"]), step["shows"] or step["id"], told]


def _gateway(found: Mapping[str, Any]) -> list[str]:
    gateway = found["gateway"]
    lines = []
    if gateway["base"] is not None and gateway["candidate"] is not None:
        lines.append(
            f"gateway: {name(gateway['base'])} and {name(gateway['candidate'])} are loaded, "
            f"{gateway['percent']:g} % of the requests go to {name(gateway['candidate'])}"
        )
    if found["unknown"]:
        lines.append(f"could not be observed: {', '.join(found['unknown'])}")
    return lines


def _services(found: Mapping[str, Any]) -> list[str]:
    """A line for each version; what runs without requests is warm, or on its way."""
    rows = []
    for service in found.get("services", ()):
        for version in service["versions"]:
            told = _healthy(version["wanted"], version["healthy"])
            share = f"{version['percent']:g} % of the requests" if version["percent"] else "no requests"
            releases = ", ".join(name(number) for number in version["releases"])
            of = f"{version['version'][:8]}" + (f" ({releases})" if releases else "")
            failing = f"FAILING: {version['failing']}" if version["failing"] else ""
            rows.append([f"{service['service']}:", of, told, share, failing or _unready(version)])
        if service["held_by"] is not None:
            rows.append([f"{service['service']}:", f"held by {name(service['held_by'])}", "automation leaves it alone"])
    return columns(rows) if rows else []


def _healthy(wanted: int | None, healthy: int | None) -> str:
    """What nobody has seen is unknown, and not gone."""
    if wanted is None:
        return "instances unknown"
    if healthy is None:
        return f"{counted(wanted, 'instance')}, unknown how many are healthy"
    return f"{healthy} of {counted(wanted, 'instance')} healthy"


def _unready(version: Mapping[str, Any]) -> str:
    reasons = version.get("unready") or ()
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"not ready: {reasons[0]}{more}" if reasons else ""


def _proxies(found: Mapping[str, Any]) -> list[str]:
    if found.get("controller") is None:
        return []
    rows = []
    for proxy in found["proxies"]:
        told = "connected" if proxy["connected"] else "away: what it serves is unknown"
        told = "connected, has not acknowledged what is served" if proxy.get("behind") else told
        refusal = f"refused: {proxy['refusal']}" if proxy["refusal"] else ""
        rows.append([f"{proxy['name']}:", told, refusal])
    return columns(rows) if rows else ["proxies: none"]


def _controller(found: Mapping[str, Any]) -> str:
    about = found.get("controller")
    if about is None:
        return (
            "controller: not running, this is what the journal says last; of the proxies nothing is known: lastgood up"
        )
    follows = f", follows {about['follows']}" if about.get("follows") else ""
    return f"controller: process {about['pid']}, epoch {about['epoch']}{follows}"
