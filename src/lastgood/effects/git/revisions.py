"""From what a person types to a commit."""

from __future__ import annotations

import re

import pygit2

from lastgood.errors import Unavailable, UsageError
from lastgood.ports import Head, Revision

_LONGEST = 255
# A branch, tag or sha, then any of ~2 ^ ^2 ^{} ^{commit} @{1} @{upstream}; no ranges, paths, searches, globs, options.
_SYNTAX = re.compile(
    r"(?P<name>@|[^\s\x00-\x1f\x7f~^:?*\[\\@-][^\s\x00-\x1f\x7f~^:?*\[\\]*?)"
    r"(?P<steps>([~^]\d*|\^\{(commit)?\}|@\{[\w-]+\})*)"
)
_NEXT = "give a branch, a tag, a commit id, or one of these followed by ~1; git log shows them"
_HEX = re.compile(r"[0-9a-f]{4,40}", re.IGNORECASE)


def head_of(native: pygit2.Repository) -> Head:
    """What is checked out; reads the symbolic reference, so that an unborn branch has a name too."""
    pointer = native.lookup_reference("HEAD")
    if not isinstance(pointer.target, str):
        return Head(None, str(pointer.target))
    branch = pointer.target.removeprefix("refs/heads/")
    return Head(branch, None if native.head_is_unborn else str(native.head.target))


def resolve(native: pygit2.Repository, text: str) -> Revision:
    """The commit a text names.

    Raises ``UsageError`` (bad syntax, ambiguous, not a commit, not there) or ``Unavailable`` (damaged, no commits yet).
    """
    name, steps = _parsed(text)
    _check_one_meaning(native, name)
    try:
        found, reference = native.revparse_ext(text)
        commit = found.peel(pygit2.Commit)
    except pygit2.InvalidSpecError as error:
        raise UsageError(f"{text!r} is not a commit", next=_NEXT) from error
    except (KeyError, ValueError) as error:
        if isinstance(error, pygit2.AmbiguousError):
            raise UsageError(f"{text!r} fits more than one object", next="give more digits of the commit id") from error
        raise _unknown(native, text) from error
    except pygit2.GitError as error:
        raise damaged(native, text, error) from error
    branch = None
    if not steps and reference is not None and reference.name.startswith("refs/heads/"):
        branch = reference.name.removeprefix("refs/heads/")
    return revision_of(commit, branch)


def revision_of(commit: pygit2.Commit, branch: str | None = None) -> Revision:
    """A commit's own words, safe to print on a terminal."""
    subject = commit.raw_message.decode("utf-8", "replace").strip().partition("\n")[0]
    author = commit.author.raw_name.decode("utf-8", "replace")
    return Revision(str(commit.id), printable(subject), printable(author), commit.commit_time, branch)


def commit_at(native: pygit2.Repository, oid: str) -> pygit2.Commit:
    """The commit of a full id; raises ``Unavailable`` when Git has lost it or it is damaged."""
    try:
        found = native[oid]
    except (KeyError, ValueError) as error:
        raise _missing(native, oid) from error
    except pygit2.GitError as error:
        raise damaged(native, oid, error) from error
    if not isinstance(found, pygit2.Commit):
        raise UsageError(f"{oid} is a {found.type_str}, not a commit", next=_NEXT)
    return found


def check_branch_name(name: str) -> None:
    """Raise ``UsageError`` for what cannot be a branch name (Git's own rules; never an option)."""
    good = name and not name.startswith(("-", "refs/")) and name not in ("HEAD", "@")
    if not good or not pygit2.reference_is_valid_name(f"refs/heads/{name}"):
        raise UsageError(f"{name!r} is not a branch name", next="git branch --list shows the branches")


def printable(text: str) -> str:
    """With control and text-direction characters replaced: a commit must not be able to write to the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", "\ufffd", text)


def damaged(native: pygit2.Repository, name: str, error: Exception) -> Unavailable:
    """The error for an object that is there but cannot be read."""
    return Unavailable(
        f"Git object {name} cannot be read: {error}",
        where=native.path,
        next=f"git -C {native.path} fsck names what is damaged; fetching again from a remote often mends it",
    )


def _parsed(text: str) -> tuple[str, str]:
    match = _SYNTAX.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or ".." in text:
        raise UsageError(f"{printable(text[:80])!r} is not a revision", next=_NEXT)
    return match["name"], match["steps"]


def _check_one_meaning(native: pygit2.Repository, name: str) -> None:
    """Git takes the tag and goes on with a warning nobody sees; a deployment should not guess."""
    places = [p for p in ("refs/tags/", "refs/heads/", "refs/remotes/") if _has_reference(native, p + name)]
    if len(places) > 1:
        both = " and ".join(place.removeprefix("refs/") + name for place in places)
        raise UsageError(f"{name!r} is ambiguous: {both}", next=f"give {places[0]}{name} or {places[1]}{name}")
    if places and _HEX.fullmatch(name):
        try:
            native[name]
        except (KeyError, ValueError):
            return
        raise UsageError(f"{name!r} is ambiguous: a reference and a commit id", next=f"give {places[0]}{name}")


def _has_reference(native: pygit2.Repository, name: str) -> bool:
    try:
        return native.references.get(name) is not None
    except ValueError:
        return False


def _unknown(native: pygit2.Repository, text: str) -> UsageError | Unavailable:
    """A text that names nothing here: a slip of whoever typed it, if there is anything that could be named."""
    why = _missing(native, text)
    whole = not (native.head_is_unborn or native.is_shallow)
    return UsageError(why.what, next=why.next) if whole else why


def _missing(native: pygit2.Repository, text: str) -> Unavailable:
    if native.head_is_unborn and not native.raw_listall_references():
        return Unavailable(
            "the repository has no commit yet", where=native.path, next="git add lastgood.yaml, then git commit"
        )
    if native.is_shallow:
        return Unavailable(
            f"there is no revision {text!r} in this shallow clone", where=native.path, next="git fetch --unshallow"
        )
    if re.fullmatch(r"r\d+", text):
        what, then = f"there is no release {text}, and no revision of that name", "lastgood history"
        return Unavailable(what, where=native.path, next=then)
    return Unavailable(f"there is no revision {text!r}", where=native.path, next=f"git fetch may bring it; {_NEXT}")
