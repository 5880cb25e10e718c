"""The revert commit: written where it belongs when that disturbs nobody, else beside it, and the user is told.

The order makes every interruption harmless: the commit object first (nobody sees it), then the branch is locked at the
value the commit was made for, then the work tree and its index are written, then the branch moves. Killed before the
last step, the branch is where it was and the work tree shows the revert as staged changes; the same order again takes
those for its own and finishes. Nobody can move the branch in between, for Git's own lock is held.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace

import pygit2

from lastgood.effects.git.advancing import bring_forward
from lastgood.effects.git.afar import Afar, contains, where_it_is
from lastgood.effects.git.committing import is_answer_to, message_of, write_commit
from lastgood.effects.git.locking import locked_branch
from lastgood.effects.git.merging import Merged, with_kept, without_change
from lastgood.effects.git.obstacles import obstacle
from lastgood.effects.git.opening import common_folder, root_of
from lastgood.effects.git.revisions import check_branch_name, commit_at
from lastgood.effects.git.trees import check_path
from lastgood.effects.git.worktrees import WorkTree, changes, holders, uncommitted
from lastgood.errors import Refused, Unavailable
from lastgood.ports import Reverted, RevertOrder

_TRIES = 5
_LOOK_BACK = 200
_ASIDES = 9


def revert(native: pygit2.Repository, order: RevertOrder) -> Reverted:
    """Take the bad change out of the branch; see the port. A branch that never stands still is left alone."""
    check_branch_name(order.branch)
    for path in order.keep_paths:
        check_path(path.rstrip("/"))
    message_of(order)
    try:
        for _ in range(_TRIES):
            done = _attempt(native, order)
            if done is not None:
                return done
        done = _attempt(native, order, restless=True)
    except pygit2.GitError as error:
        raise Unavailable(
            f"Git cannot write here: {error}",
            where=native.path,
            next=f"make it writable, then: git -C {native.path} revert {order.bad[:12]}",
        ) from error
    assert done is not None
    return done


def _attempt(native: pygit2.Repository, order: RevertOrder, *, restless: bool = False) -> Reverted | None:
    """One go at the branch as it is now; None when it moved meanwhile. A restless branch is left alone."""
    afar = where_it_is(native, order.branch, order.bad)
    if afar is not None:
        return _from_afar(native, order, afar)
    reference = native.references.get(f"refs/heads/{order.branch}")
    if reference is None:
        raise Unavailable(
            f"there is no branch {order.branch!r}", where=native.path, next="git branch --list shows what there is"
        )
    head = commit_at(native, str(reference.resolve().target))
    bad, target = commit_at(native, order.bad), commit_at(native, order.target)
    merged = without_change(native, bad.tree, head.tree, target.tree, order.keep_paths)
    if merged.tree == str(head.tree_id):
        return _nothing_to_do(native, order, head)
    earlier = _earlier_aside(native, order)
    if merged.tree is None:
        return _conflicting(native, order, bad, target, merged, earlier)
    if earlier is not None:
        return _beside(native, order, str(earlier.id), "it was written there before")
    commit = write_commit(_place(native), merged.tree, str(head.id), message_of(order))
    if restless:
        return _beside(native, order, commit, f"{order.branch} moved {_TRIES} times meanwhile")
    return _advance(native, order, str(head.id), commit)


def _from_afar(native: pygit2.Repository, order: RevertOrder, afar: Afar) -> Reverted:
    """On top of what the remote has; nothing here moves. It gets a name when the push has failed, or it is there."""
    head, bad, target = (commit_at(native, oid) for oid in (afar.head, order.bad, order.target))
    merged = without_change(native, bad.tree, head.tree, target.tree, order.keep_paths)
    if merged.tree == str(head.tree_id):
        return replace(_nothing_to_do(native, order, head), remote=(afar.remote, afar.name))
    if merged.tree is None:
        return _conflicting(native, order, bad, target, merged, _earlier_aside(native, order))
    commit = write_commit(_place(native), merged.tree, str(head.id), message_of(order))
    return Reverted(commit, order.branch, order.branch, aside_name(order), remote=(afar.remote, afar.name))


def _advance(native: pygit2.Repository, order: RevertOrder, old: str, commit: str) -> Reverted | None:
    wanted = changes(native, old, commit)
    common = common_folder(native)
    work_trees = holders(common, order.branch)
    for work_tree in work_trees:
        why = obstacle(work_tree, wanted)
        if why is not None:
            return _beside(native, order, commit, why, work_tree)
    with locked_branch(common, order.branch, old, commit, f"lastgood: take {order.release} back") as lock:
        if lock is None:
            return None
        if holders(common, order.branch) != work_trees:  # somebody switched branches before the lock was ours
            return None
        written: list[WorkTree] = []
        for work_tree in work_trees:
            refusal = bring_forward(work_tree, old, commit, wanted)
            if refusal is not None:
                for earlier in written:
                    bring_forward(earlier, commit, old, changes(native, commit, old))
                return _beside(native, order, commit, refusal, work_tree)
            written.append(work_tree)
        lock.commit()
    return Reverted(commit, order.branch, order.branch, aside_name(order), updated_work_tree=bool(work_trees))


def aside_name(order: RevertOrder) -> str:
    """The branch that takes what cannot go where it belongs."""
    return f"lastgood/revert-{order.release}"


def _conflicting(
    native: pygit2.Repository,
    order: RevertOrder,
    bad: pygit2.Commit,
    target: pygit2.Commit,
    merged: Merged,
    earlier: pygit2.Commit | None,
) -> Reverted:
    """On top of the bad revision, so that a plain `git merge` offers exactly the conflicts that are there."""
    tree = with_kept(native, target.tree, bad.tree, order.keep_paths)
    if earlier is not None and str(earlier.tree_id) == tree:
        commit = str(earlier.id)
    else:
        commit = write_commit(_place(native), tree, str(bad.id), message_of(order))
    name = _name_beside(native, order, commit)
    at = _git(holders(common_folder(native), order.branch), native)
    commands = (f"{at} switch {shlex.quote(order.branch)}", f"{at} merge {name}", f"{at} branch -d {name}")
    why = f"{order.branch} has later changes to the same lines of {', '.join(merged.conflicts[:5])}"
    return Reverted(commit, name, order.branch, aside_name(order), False, merged.conflicts, why, commands)


def _beside(
    native: pygit2.Repository, order: RevertOrder, commit: str, why: str, dirty: WorkTree | None = None
) -> Reverted:
    name = _name_beside(native, order, commit)
    there = (dirty,) if dirty else holders(common_folder(native), order.branch)
    at = _git(there, native)
    commands = [f"{at} merge {name}", f"{at} branch -d {name}"]
    if any(os.path.isdir(one.place) and uncommitted(one.place) for one in there[:1]):
        # Only then: with nothing to stash, the pop would bring out an older one.
        commands = [f"{at} stash --include-untracked", commands[0], f"{at} stash pop", commands[1]]
    return Reverted(commit, name, order.branch, aside_name(order), False, (), why, tuple(commands))


def _name_beside(native: pygit2.Repository, order: RevertOrder, commit: str) -> str:
    """Point a branch of our own at the commit; one that exists with other content is left alone."""
    for name in _asides(native, order):
        existing = native.references.get(f"refs/heads/{name}")
        if existing is None:
            try:
                native.create_reference(f"refs/heads/{name}", commit, force=False)
            except ValueError:  # somebody made it just now
                continue
            return name
        if str(existing.resolve().target) == commit:
            return name
    raise Refused(
        f"{aside_name(order)} and eight more like it exist",
        where=native.path,
        next=f"delete those that are merged (git branch -d), or take commit {commit[:12]} with git merge",
    )


def _asides(native: pygit2.Repository, order: RevertOrder) -> list[str]:
    name = aside_name(order)
    if native.references.get("refs/heads/lastgood") is not None:  # Git cannot have lastgood and lastgood/x
        name = name.replace("/", "-")
    return [name, *(f"{name}-{count}" for count in range(2, _ASIDES + 1))]


def _earlier_aside(native: pygit2.Repository, order: RevertOrder) -> pygit2.Commit | None:
    """What an earlier, perhaps interrupted, run of the same order put aside."""
    for name in _asides(native, order):
        reference = native.references.get(f"refs/heads/{name}")
        commit = reference.peel(pygit2.Commit) if reference is not None else None
        if commit is not None and is_answer_to(commit, order):
            return commit
    return None


def _nothing_to_do(native: pygit2.Repository, order: RevertOrder, head: pygit2.Commit) -> Reverted:
    """The branch has this content: through us (then that commit is the answer), or through the user's own revert."""
    for commit, _ in zip(native.walk(head.id), range(_LOOK_BACK), strict=False):
        if str(commit.id) == order.bad:
            break
        if is_answer_to(commit, order):
            return Reverted(str(commit.id), order.branch, order.branch, aside_name(order), why="it was written before")
    if not contains(native, str(head.id), order.bad):
        why = f"{order.branch} here does not contain the commit of {order.release}"
        advice = (f"{_git((), native)} log --all --oneline --ancestry-path {order.bad[:12]}~..",)
        return Reverted(None, order.branch, order.branch, aside_name(order), why=why, commands=advice)
    return Reverted(None, order.branch, order.branch, aside_name(order), why="the branch holds this content already")


def _place(native: pygit2.Repository) -> str:
    return str(root_of(native))


def _git(work_trees: Sequence[WorkTree], native: pygit2.Repository) -> str:
    place = work_trees[0].place if work_trees else _place(native)
    return f"git -C {shlex.quote(place.rstrip('/'))}"
