"""Whom a command asks: the controller, or, where none runs, the same operation in this process."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lastgood.errors import Conflict, LastgoodError, Unavailable
from lastgood.interfaces.cli.client import Controller, NoAnswer, NotRunning
from lastgood.interfaces.cli.session import Session

if TYPE_CHECKING:
    from lastgood.operations.verbs import Verbs

PROBE_S = 2.0
PROBE_AGAIN_S = 0.5
FROZEN_S = 6.0
"""After so long without a sign of life the lease of a controller may be taken."""

Answer = dict[str, Any]


class IsBack(Exception):
    """While its lease was waited for, the controller began to answer: it is to be asked."""


def look(session: Session, ask: Callable[[Controller], Answer], here: Callable[[Verbs], Answer]) -> Answer:
    """Something that only looks; without a controller it reads the journal."""
    try:
        return ask(session.controller)
    except NotRunning:
        pass
    from lastgood.interfaces.alone import with_verbs_read_only

    async def action(verbs: Verbs) -> Answer:
        return here(verbs)

    return with_verbs_read_only(session.places, action)


def move(
    session: Session,
    ask: Callable[[Controller], Answer],
    here: Callable[[Verbs], Awaitable[Answer]],
    *,
    until: Callable[[Verbs], bool] | None = None,
) -> Answer:
    """Something that changes the system; without a controller it is done here."""
    try:
        return ask(session.controller)
    except NotRunning:
        session.note("no controller is running: doing it here")
    return alone(session, here, until=until or nothing_goes_back)


def alone(
    session: Session,
    action: Callable[[Verbs], Awaitable[Answer]],
    *,
    until: Callable[[Verbs], bool],
    on_event: Callable[[Any], None] | None = None,
    patience_s: float = 0.0,
) -> Answer:
    """Run an operation as the controller. A lease that looks alive is waited for as long as ``patience_s``.

    Raises ``IsBack`` when there is patience and its controller answers: it was being started again.
    """
    if not session.places.journal.exists():
        raise Unavailable("nothing was deployed here yet", where=str(session.places.state), next="lastgood up")
    from lastgood.interfaces.alone import with_verbs

    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            return with_verbs(session.places, action, until=until, on_event=on_event)
        except Conflict:
            if patience_s and _answers(session):
                raise IsBack from None
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(0.5)


def _answers(session: Session) -> bool:
    try:
        session.controller.get("/v1/status", timeout_s=PROBE_AGAIN_S)
    except LastgoodError:
        return False
    return True


def nothing_goes_back(verbs: Verbs) -> bool:
    """Whether nothing is on its way back, or about to be: then this process may leave."""
    state = verbs.loop.state
    deployment = state.deployment
    if deployment is None or deployment.halted is not None or deployment.plan is None:
        return True
    return not deployment.plan.goes_back and state.verdict(deployment.plan.target).name != "bad"


def only_controller(session: Session, ask: Callable[[Controller], Answer]) -> Answer:
    """Something only a controller does, because it takes as long as a bake."""
    try:
        return ask(session.controller)
    except NotRunning as error:
        raise NotRunning(
            "no controller is running", where=error.where, next="lastgood up --detach, then again"
        ) from None


def controller_for_emergency(session: Session) -> Controller | None:
    """The controller if it answers at once; None where the way back has to do without it, which is said."""
    try:
        controller = session.controller
        controller.get("/v1/status", timeout_s=PROBE_S)
    except NotRunning:
        session.note("no controller is running: rolling back here")
        return None
    except NoAnswer:
        session.note(f"the controller does not answer: taking over from it (this takes {FROZEN_S:g} s at most)")
        return None
    except Unavailable:
        raise
    except LastgoodError:
        return session.controller  # it cannot say how things are, and may be able to go back all the same
    return controller
