"""The small verbs: confirm, promote, pause, resume, abort, retry, mark, tag."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lastgood.errors import UsageError
from lastgood.interfaces.cli.asking import move, only_controller
from lastgood.interfaces.cli.client import Controller, NotRunning
from lastgood.interfaces.cli.following import finish
from lastgood.interfaces.cli.options import Goal, NoWait, Why, seconds
from lastgood.interfaces.cli.session import Session, without_nothing

if TYPE_CHECKING:
    from lastgood.operations.verbs import Verbs

Answer = dict[str, Any]


def confirm(
    session: Session,
    extend: Annotated[
        str | None, typer.Option("--extend", metavar="TIME", help="Set the time to confirm anew instead (10m).")
    ] = None,
) -> int:
    """Confirm the deployment under way. It does not go back by itself any more; it is judged as before."""
    extend_s = seconds(extend, "--extend")
    body = without_nothing({"by": session.person, "extend_s": extend_s})

    async def here(verbs: Verbs) -> Answer:
        return await verbs.confirm(session.person, extend_s)

    answer = move(session, lambda controller: controller.post("/v1/confirm", body), here)
    said = "is confirmed; it is judged on as before" if extend is None else f"has to be confirmed within {extend}"
    session.give(answer, [f"d{answer['deployment']} {said}"])
    return 0


def promote(
    session: Session,
    full: Annotated[
        bool, typer.Option("--full", help="Pass over every hold that is still to come: all requests move.")
    ] = False,
    no_wait: NoWait = False,
) -> int:
    """End a hold: the next share of the requests moves to the new release."""
    return _go_on(session, "promote", {"by": session.person, "full": full}, goal="converged", no_wait=no_wait)


def pause(session: Session) -> int:
    """Stop the deployment where it is. Requests stay as they are shared now; it still goes back if it has to."""
    answer = only_controller(session, lambda controller: controller.post("/v1/pause", {"by": session.person}))
    session.give(answer, [f"d{answer['deployment']} is paused: lastgood resume, or lastgood abort"])
    return 0


def resume(session: Session, no_wait: NoWait = False) -> int:
    """Go on with a deployment that was paused."""
    return _go_on(session, "resume", {"by": session.person}, goal="converged", no_wait=no_wait)


def retry(session: Session, no_wait: NoWait = False) -> int:
    """Go on with a deployment that halted, or deploy again the release that was taken back last."""
    return _go_on(session, "retry", {"by": session.person}, goal="converged", no_wait=no_wait)


def _go_on(session: Session, name: str, body: Answer, *, goal: Goal, no_wait: bool) -> int:
    since = _now()
    answer = only_controller(session, lambda controller: controller.post(f"/v1/{name}", body))
    return finish(session, answer, goal=goal, no_wait=no_wait, since=since)


def abort(session: Session, why: Why = "", no_wait: NoWait = False) -> int:
    """Take the deployment under way back to what was live before."""
    since = _now()
    body = {"by": session.person, "why": why}
    try:
        answer = session.controller.post("/v1/abort", body)
    except NotRunning:
        return _abort_here(session, why)
    session.say([f"d{answer['deployment']} is taken back"])
    return finish(session, answer, goal="ended", no_wait=no_wait, since=since, wanted=("went back", "superseded"))


def _abort_here(session: Session, why: str) -> int:
    from lastgood.interfaces.cli.asking import alone
    from lastgood.interfaces.cli.following import conclude

    session.note("no controller is running: doing it here")
    last: dict[str, Any] = {}

    async def here(verbs: Verbs) -> Answer:
        return await verbs.abort(session.person, why)

    def is_over(verbs: Verbs) -> bool:
        deployment = verbs.loop.state.deployment
        if deployment is not None and deployment.halted is None:
            return False
        newest = max(verbs.loop.state.deployments)
        last["report"] = verbs.report(f"d{newest}")
        return True

    answer = alone(session, here, until=is_over)
    conclude(session, answer, last["report"], wanted=("went back", "superseded"))
    return 0


def mark(
    session: Session,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="r12, a tag, `live` or a commit.")],
    verdict: Annotated[Literal["good", "bad"], typer.Argument(metavar="good|bad")],
    why: Why = "",
) -> int:
    """Give your verdict on a release. Bad content is not deployed again by automation; if it bakes it goes back."""
    body = {"release": release, "verdict": verdict, "by": session.person, "why": why}

    async def here(verbs: Verbs) -> Answer:
        return await verbs.mark(release, verdict, session.person, why)

    answer = move(session, lambda controller: controller.post("/v1/mark", body), here)
    session.give(answer, [f"r{answer['release']} is {answer['verdict']}"])
    return 0


def tag(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    release: Annotated[
        str | None, typer.Argument(metavar="[RELEASE]", help="r12, a tag, `live` or a commit; nothing: what is live.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the name away.")] = False,
) -> int:
    """Name a release; a release with a name is kept for ever."""
    if remove and release is not None:
        raise UsageError("--remove takes a name and no release", next=f"lastgood tag {name} --remove")
    target = None if remove else release or "live"

    async def here(verbs: Verbs) -> Answer:
        return await verbs.tag(name, target)

    answer = move(session, partial(_post_tag, name=name, release=target), here)
    said = f"{name} names no release any more" if target is None else f"{name} is r{answer['release']}"
    session.give(answer, [said])
    return 0


def _post_tag(controller: Controller, *, name: str, release: str | None) -> Answer:
    return controller.post("/v1/tag", {"name": name, "release": release})


def _now() -> str:
    """In the form of the API's moments, whose clock is that of this machine."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
