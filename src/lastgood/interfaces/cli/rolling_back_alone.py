"""``lastgood rollback`` without a controller: this process takes the lease and does it itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lastgood.errors import Conflict, Unavailable
from lastgood.interfaces.cli.asking import FROZEN_S, alone
from lastgood.interfaces.cli.following import INTERRUPTED, conclude
from lastgood.interfaces.cli.planning import rollback_ask
from lastgood.interfaces.cli.render_plan import begun_back
from lastgood.interfaces.cli.render_steps import Teller
from lastgood.interfaces.cli.session import Session

if TYPE_CHECKING:
    from lastgood.operations.verbs import Verbs
    from lastgood.release.events import Event


def roll_back_alone(session: Session, body: dict[str, Any]) -> int:
    """Returns the exit code. Raises ``IsBack``, and ``Unavailable`` while a controller lives that does not answer."""
    story = _Story(session)

    async def action(verbs: Verbs) -> dict[str, Any]:
        answer = await verbs.rollback(rollback_ask(body))
        story.begin(answer)
        return answer

    try:
        answer = alone(session, action, until=story.is_over, on_event=story.tell, patience_s=FROZEN_S)
    except KeyboardInterrupt:
        session.note("interrupted: the next lastgood up, or lastgood rollback, goes on with what was begun")
        return INTERRUPTED
    except Conflict as error:
        raise Unavailable(
            f"the controller neither answers nor is it gone: {error.what}",
            next="end that process (lastgood doctor names it), then lastgood rollback again: it works without one",
        ) from error
    conclude(session, answer, story.report)
    return 0


class _Story:
    """Tells the events of the one deployment that was begun; they come before its answer does."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._teller = Teller()
        self._early: list[Event] = []
        self._number: int | None = None
        self.report: dict[str, Any] = {}

    def begin(self, answer: Mapping[str, Any]) -> None:
        """The deployment has its number now."""
        self._number = answer["deployment"]
        self._session.say(begun_back(answer))
        for event in self._early:
            self.tell(event)

    def tell(self, event: Event) -> None:
        """Say what it means, or keep it until the deployment has its number."""
        from lastgood.interfaces.http.events import as_json

        if self._number is None:
            self._early.append(event)
        elif event.deployment == self._number:
            self._session.say(self._teller.tell(as_json(event)))

    def is_over(self, verbs: Verbs) -> bool:
        """Whether it has ended, or halted; then its report is kept."""
        assert self._number is not None
        found = verbs.loop.state.deployments[self._number]
        if found.ended is None and found.halted is None:
            return False
        self.report = verbs.report(found.name)
        return True
