"""Follow a branch: new commits deploy by themselves, the latest wins after a verdict, quarantined content is held."""

from __future__ import annotations

import asyncio

from lastgood.errors import Conflict, LastgoodError, Refused, Unavailable
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.verbs import Verbs
from lastgood.operations.world import Outcome
from lastgood.ports import BranchHead, Clock, Gone, JournalFull, Moved, Repository, Rewritten, Unchanged
from lastgood.release import events as ev
from lastgood.release.ledger import held_by

LOOK_S = 0.1
FETCH_S = 10.0
AGAIN_S = 1.0


async def follow(verbs: Verbs, repository: Repository, branch: str, clock: Clock) -> None:
    """Watch ``main``, or ``origin/main`` which is fetched, until cancelled.

    A force-push or a deleted branch is reported and changes nothing until a person deploys.
    """
    follower = Follower(verbs, repository, branch)
    fetched_s = -FETCH_S
    while True:
        now_s = clock.now().boot_s
        if follower.is_remote and now_s - fetched_s >= FETCH_S:
            fetched_s = now_s
            await follower.fetch()
        try:
            await follower.look()
        except LastgoodError as error:
            await follower.note(f"following {branch}: {error.what}")
        await clock.sleep(LOOK_S if follower.pending is None else AGAIN_S)


class Follower:
    """What was seen of the branch, and the commit that waits for its turn."""

    def __init__(self, verbs: Verbs, repository: Repository, branch: str) -> None:
        self._verbs = verbs
        self._repository = repository
        self._branch = branch
        self.is_remote = "/" in branch and not _is_local(repository, branch)
        self._name = branch.partition("/")[2] if self.is_remote else branch
        self._head = _last_seen(verbs, branch, self._name)
        self._noted: str | None = None
        self._first = True
        self.pending: str | None = None

    async def fetch(self) -> None:
        """Bring a remote's branch here."""
        remote, _, name = self._branch.partition("/")
        try:
            await asyncio.to_thread(self._repository.fetch, remote, name)
        except LastgoodError as error:
            await self.note(f"following {self._branch}: {error.what}")

    async def look(self) -> None:
        """One look; deploys what is new."""
        news = self._repository.poll(self._branch, self._head)
        if isinstance(news, Moved):
            self._head = news.new
            self.pending = news.new.oid
        elif isinstance(news, Rewritten):
            self._head, self.pending = news.new, None
            await self.note(f"{self._branch} was rewritten ({news.old.oid[:12]} is gone from it); nothing was deployed")
        elif isinstance(news, Gone):
            self.pending = None
            await self.note(f"{self._branch} does not exist; nothing was deployed")
        elif isinstance(news, Unchanged) and self._first:
            await self._say_if_held(news.head.oid)
        self._first = False
        if self.pending is not None:
            await self._deploy(self.pending)

    async def _say_if_held(self, revision: str) -> None:
        """The branch stands at what was taken back: whoever starts to follow it should know that nothing will move."""
        state = self._verbs.loop.state
        for number in sorted(state.releases, reverse=True):
            release = self._verbs.loop.release_of(number)
            if release.revision == revision and held_by(state, release) is not None:
                await self.note(f"{revision[:12]} of {self._branch}: held: it is what made r{number} bad")
                return

    async def _deploy(self, revision: str) -> None:
        ask = DeployAsk(by=f"follow {self._branch}", automatic=True)
        try:
            await self._verbs.deploy(revision, ask, branch=self._name)
        except Conflict:
            return  # the deployment before it has no verdict yet; the newest commit is tried again then
        except Refused as error:
            await self.note(f"{revision[:12]} of {self._branch}: {error.what}")
        except (Unavailable, JournalFull) as error:
            await self.note(f"{revision[:12]} of {self._branch} waits: {error.what}")
            return
        except LastgoodError as error:
            await self.note(f"{revision[:12]} of {self._branch} cannot be deployed: {error.what}")
        self.pending = None

    async def note(self, what: str) -> None:
        """Write it into the history, once."""
        if what == self._noted:
            return
        try:
            await self._verbs.loop.ask(lambda view: Outcome(((None, ev.Noted(what, "warning")),)))
        except LastgoodError:
            return  # said again at the next look
        self._noted = what


def _is_local(repository: Repository, branch: str) -> bool:
    """``feature/x`` may be a branch of its own, or ``x`` of the remote ``feature``."""
    try:
        repository.resolve(f"refs/heads/{branch}")
    except LastgoodError:
        return False
    return True


def _last_seen(verbs: Verbs, branch: str, name: str) -> BranchHead | None:
    """Where the branch was when it was released last: a restart must not deploy anew what a person undid."""
    for number in sorted(verbs.loop.state.releases, reverse=True):
        release = verbs.loop.release_of(number)
        if release.branch == name and release.revision is not None:
            return BranchHead(branch, release.revision)
    return None
