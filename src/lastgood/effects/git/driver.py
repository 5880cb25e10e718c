"""Git as the engine moves it: the commit that says what the traffic already does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lastgood.errors import LastgoodError, Unavailable
from lastgood.ports import Repository, Reverted, RevertOrder
from lastgood.release.observed import Fact
from lastgood.release.step import Step


class GitDriver:
    """Moves ``git``: one verb, ``revert``. Without a repository it says why."""

    def __init__(
        self,
        repository: Repository | None,
        why_not: str = "",
        migrations_of: Callable[[int, Mapping[str, str]], Sequence[str]] = lambda release, lowered: (),
    ) -> None:
        """``migrations_of``: a release's files or folders of migrations, which stay while what they made stays applied;
        of the databases that are lowered to a version, those up to it.
        """
        self._repository = repository
        self._why_not = why_not
        self._migrations_of = migrations_of

    def found(self, repository: Repository) -> None:
        """It was away when the controller started."""
        self._repository = repository

    async def observe(self) -> Sequence[Fact]:
        """Nothing: no plan depends on what Git says."""
        return ()

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """Write the revert commit, and push it where its branch goes to."""
        if self._repository is None:
            raise Unavailable(self._why_not, next="revert by hand: git revert")
        deployment = key.partition(".")[0]
        bad, target = str(step.args["bad"]), str(step.args["target"])
        release = f"r{step.args['left']}"
        left = int(step.args["left"])
        lowered = step.args.get("lowered", {})
        keep = self._migrations_of(left, lowered) if left and step.args.get("keep_migrations") else ()
        order = RevertOrder(
            branch=str(step.args["branch"]),
            bad=bad,
            target=target,
            message=f"Roll back {release} to r{step.args['release']}\n\nThe traffic went back first.",
            release=release,
            deployment=deployment,
            keep_paths=tuple(keep),
        )
        reverted = await self._revert(order)
        result: dict[str, Any] = {
            "commit": reverted.commit,
            "branch": "/".join(reverted.remote) if reverted.remote else reverted.branch,
            "updated_work_tree": reverted.updated_work_tree,
            "conflicts": reverted.conflicts,
            "why": reverted.why,
            "commands": reverted.commands,
        }
        if reverted.commit is not None:
            result |= await self._push(reverted)
        return result

    async def _revert(self, order: RevertOrder) -> Reverted:
        """What came from a remote is taken out of what is there now, not of what was fetched some seconds ago."""
        assert self._repository is not None
        reverted = await asyncio.to_thread(self._repository.revert, order)
        if reverted.remote is None:
            return reverted
        try:
            await asyncio.to_thread(self._repository.fetch, *reverted.remote)
        except LastgoodError:
            return reverted  # the push will say why
        return await asyncio.to_thread(self._repository.revert, order)

    async def _push(self, reverted: Any) -> dict[str, Any]:
        assert self._repository is not None
        try:
            pushed = await asyncio.to_thread(self._repository.push, reverted)
        except LastgoodError as error:
            return {"pushed": None, "push_why": error.what}
        if pushed is None:
            return {}
        return {"pushed": pushed.branch, "push_why": pushed.why, "push_commands": pushed.commands}
