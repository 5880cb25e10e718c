"""A bad commit that came from a remote and never was on the branch here: taken out where it is."""

from __future__ import annotations

from dataclasses import dataclass

import pygit2

from lastgood.effects.git.remotes import upstream


@dataclass(frozen=True, slots=True)
class Afar:
    """A branch of a remote, as it was fetched last."""

    remote: str
    name: str
    head: str


def where_it_is(native: pygit2.Repository, branch: str, bad: str) -> Afar | None:
    """The remote's branch that holds a commit which the branch here lacks; None where the branch here has it too."""
    here = native.references.get(f"refs/heads/{branch}")
    if here is not None and contains(native, str(here.resolve().target), bad):
        return None
    followed = upstream(native, branch)
    named = [(followed[0], followed[1].removeprefix("refs/heads/"))] if followed else []
    named += [(remote, branch) for remote in native.remotes.names() if remote]
    for remote, name in dict.fromkeys(named):
        there = native.references.get(f"refs/remotes/{remote}/{name}")
        if there is not None and contains(native, str(there.resolve().target), bad):
            return Afar(remote, name, str(there.resolve().target))
    return None


def contains(native: pygit2.Repository, head: str, commit: str) -> bool:
    """Whether a commit is reachable from a head."""
    return head == commit or native.descendant_of(head, commit)
