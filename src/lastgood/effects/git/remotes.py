"""Fetching and pushing through the user's own git, with its ssh and credential settings."""

from __future__ import annotations

import shlex

import pygit2

from lastgood.effects.git.command import REMOTE_TIMEOUT_S, Ran, attempt
from lastgood.effects.git.committing import is_ours
from lastgood.effects.git.opening import root_of
from lastgood.effects.git.revisions import check_branch_name, printable
from lastgood.errors import Unavailable, UsageError
from lastgood.ports import BranchHead, Pushed, Reverted


def fetch(
    native: pygit2.Repository, remote: str, branch: str, timeout_s: float = REMOTE_TIMEOUT_S
) -> BranchHead | None:
    """Bring ``remote/branch`` up to date, force-pushes included; None (and it is forgotten here) when it is gone there.

    Raises ``UsageError`` for a remote that is not configured, ``Unavailable`` when it cannot be reached in time.
    """
    check_branch_name(branch)
    if remote not in set(native.remotes.names()):
        raise UsageError(
            f"{printable(remote)!r} is not a remote of this repository", next="git remote -v lists them"
        )  # a URL is refused too: only what the user has configured is contacted
    place, tracking = str(root_of(native)), f"refs/remotes/{remote}/{branch}"
    flags = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
    ran = attempt(place, "fetch", *flags, "--", remote, f"+refs/heads/{branch}:{tracking}", timeout_s=timeout_s)
    if "couldn't find remote ref" in ran.errors:
        if native.references.get(tracking) is not None:
            native.references.delete(tracking)
        return None
    if ran.code:
        raise _unreachable("fetch", remote, place, ran)
    return BranchHead(f"{remote}/{branch}", str(native.references[tracking].resolve().target))


def upstream(native: pygit2.Repository, branch: str) -> tuple[str, str] | None:
    """The remote and the full reference there that a branch follows; None when it follows none."""
    config = native.config_snapshot
    try:
        remote, reference = config[f"branch.{branch}.remote"], config[f"branch.{branch}.merge"]
    except KeyError:
        return None
    configured = remote in set(native.remotes.names())
    return (remote, reference) if configured and reference.startswith("refs/heads/") else None


def push(native: pygit2.Repository, reverted: Reverted, timeout_s: float = REMOTE_TIMEOUT_S) -> Pushed | None:
    """Publish a revert commit where its branch goes to; what is refused there goes to the branch aside.

    Only our own commit is published: when the branch holds others that the remote lacks, they are their author's to
    push. Raises ``Unavailable`` when the remote cannot be reached.
    """
    if reverted.commit is None:
        return None
    if reverted.remote is not None:
        return _push_afar(native, reverted, *reverted.remote, timeout_s)
    followed = upstream(native, reverted.asked)
    if followed is None:
        return None
    remote, reference = followed
    name = reference.removeprefix("refs/heads/")
    at = f"git -C {_words(str(root_of(native)))}"
    others = _unpublished(native, f"refs/remotes/{remote}/{name}", reverted.commit)
    if others:
        there = name if reverted.branch == reverted.asked else reverted.branch
        why = f"{reverted.branch} has {others} commit(s) of yours that {remote} does not have; they are yours to push"
        return Pushed(remote, None, why, (f"{at} push {_words(remote, f'{reverted.branch}:{there}')}",))
    if reverted.branch != reverted.asked:
        refused = _send(native, remote, reverted.commit, f"refs/heads/{reverted.branch}", timeout_s)
        return Pushed(remote, None if refused else reverted.branch, refused or reverted.why, reverted.commands)
    refused = _send(native, remote, reverted.commit, reference, timeout_s)
    if refused is None:
        return Pushed(remote, name)
    why = f"{remote} refused the push to {name}: {refused}"
    commands = (
        f"{at} pull --no-rebase {_words(remote, name)}",
        f"{at} push {_words(remote, f'{reverted.asked}:{name}')}",
    )
    again = _send(native, remote, reverted.commit, f"refs/heads/{reverted.aside}", timeout_s)
    if again is not None:
        return Pushed(
            remote, None, f"{why}; and to {reverted.aside}: {again}", (f"{at} pull --no-rebase", f"{at} push")
        )
    commands = (f"{at} pull --no-rebase", f"{at} push {shlex.quote(remote)} {shlex.quote(reverted.asked)}:{name}")
    return Pushed(remote, reverted.aside, why, commands)


def _push_afar(native: pygit2.Repository, reverted: Reverted, remote: str, name: str, timeout_s: float) -> Pushed:
    """To the remote's branch, which the commit was made for; refused, beside it there, and named here."""
    assert reverted.commit is not None
    at = f"git -C {_words(str(root_of(native)))}"
    try:
        refused = _send(native, remote, reverted.commit, f"refs/heads/{name}", timeout_s)
        if refused is None:
            return Pushed(remote, name)
        beside = _send(native, remote, reverted.commit, f"refs/heads/{reverted.aside}", timeout_s)
    except Unavailable:
        _keep(native, reverted)
        raise
    _keep(native, reverted)
    why = f"{remote} refused the push to {name}: {refused}"
    if beside is not None:
        return Pushed(remote, None, f"{why}; and to {reverted.aside}: {beside}", (f"{at} fetch", f"{at} push"))
    there = f"{remote}/{reverted.aside}"
    commands = (f"{at} fetch {_words(remote)}", f"{at} switch {_words(name)}", f"{at} merge {_words(there)}")
    return Pushed(remote, reverted.aside, why, commands)


def _keep(native: pygit2.Repository, reverted: Reverted) -> None:
    """A name here for what could not go where it belongs: Git forgets commits without one."""
    if native.references.get(f"refs/heads/{reverted.aside}") is None:
        native.create_reference(f"refs/heads/{reverted.aside}", reverted.commit, force=False)


def _words(*words: str) -> str:
    return " ".join(map(shlex.quote, words))


def _unpublished(native: pygit2.Repository, tracking: str, commit: str) -> int:
    """How many commits that are not ours a push would publish, as far as was seen at the last fetch."""
    walker = native.walk(commit)
    known = native.references.get(tracking)
    if known is not None:
        walker.hide(known.resolve().target)
    return sum(not is_ours(found) for found in walker)


def _send(native: pygit2.Repository, remote: str, commit: str, reference: str, timeout_s: float) -> str | None:
    """Push one commit to one reference, never by force; None, or why the remote refused it."""
    place = str(root_of(native))
    flags = ["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"]
    ran = attempt(place, "push", *flags, "--", remote, f"{commit}:{reference}", timeout_s=timeout_s)
    if ran.code == 0:
        return None
    for line in ran.text.splitlines():
        flag, _, rest = line.partition("\t")
        if flag == "!":
            said = [words.removeprefix("remote:").strip() for words in ran.errors.splitlines() if "remote:" in words]
            return printable("; ".join([rest.partition("\t")[2], *filter(None, said[:5])]))
    raise _unreachable("push", remote, place, ran)


def _unreachable(verb: str, remote: str, place: str, ran: Ran) -> Unavailable:
    words = ran.errors.lower()
    if any(hint in words for hint in ("terminal prompts disabled", "permission denied", "authentication failed")):
        advice = (
            f"let git log in without asking (ssh-agent or a credential helper), then: git -C {place} {verb} {remote}"
        )
    else:
        advice = f"try it by hand: git -C {place} {verb} {remote}"
    lines = "; ".join(printable(line) for line in ran.errors.splitlines()[:5])
    return Unavailable(f"git {verb} failed: {lines or f'exit code {ran.code}'}", where=f"remote {remote}", next=advice)
