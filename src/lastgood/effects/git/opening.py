"""Finding and opening the user's repository, and saying clearly why it cannot be opened."""

from __future__ import annotations

import os
from pathlib import Path

import pygit2

from lastgood.errors import Refused, Unavailable

STATE_FOLDER = ".lastgood"


def discover(path: Path) -> str:
    """The Git folder that governs a path (a folder or file of a work tree, a bare repository).

    Raises ``Unavailable`` when there is none or it cannot be read.
    """
    if not path.exists():
        raise Unavailable("there is no such folder", where=str(path), next="give a folder of your Git repository")
    start = path if path.is_dir() else path.parent
    try:
        found = pygit2.discover_repository(str(start))
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise _cannot_open(str(start), error) from error
    if found is None:
        raise _nothing_found(start)
    return str(found)


def open_native(path: str) -> pygit2.Repository:
    """Open a Git folder; raises ``Refused`` for another user's repository, ``Unavailable`` otherwise."""
    try:
        return pygit2.Repository(path)
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise _cannot_open(path, error) from error


def root_of(native: pygit2.Repository) -> Path:
    """The folder at which the repository's paths start: its work tree, or the bare repository itself."""
    return Path(native.workdir or native.path).resolve()


def initialise(path: Path) -> str:
    """Make a repository at a path unless one governs it already, keep our state out of it; returns its Git folder."""
    path.mkdir(parents=True, exist_ok=True)
    found = pygit2.discover_repository(str(path))
    if found is None:
        found = pygit2.init_repository(str(path), initial_head=_first_branch()).path
    exclude_state(open_native(found))
    return str(found)


def exclude_state(native: pygit2.Repository) -> bool:
    """Keep ``.lastgood/`` out of ``git status``; whether something had to be written.

    In ``info/exclude``, not in ``.gitignore``: that one is the user's, and changing it would make the work tree dirty.
    """
    if native.is_bare or native.path_is_ignored(f"{STATE_FOLDER}/state"):
        return False
    file = Path(common_folder(native)) / "info" / "exclude"
    file.parent.mkdir(exist_ok=True)
    before = file.read_bytes() if file.exists() else b""
    gap = b"" if not before or before.endswith(b"\n") else b"\n"
    with file.open("ab") as out:
        out.write(gap + f"/{STATE_FOLDER}/\n".encode())
    return True


def shown_to_git(native: pygit2.Repository, folder: Path) -> str:
    """Why what is in a folder can get, or is, into commits; empty where it cannot."""
    root = root_of(native)
    if native.is_bare or not folder.resolve().is_relative_to(root):
        return ""
    inside = folder.resolve().relative_to(root).as_posix()
    if any(entry.path.startswith(f"{inside}/") for entry in native.index):
        return "files in it are committed, or about to be"
    return "" if native.path_is_ignored(f"{inside}/secrets") else "Git does not ignore it"


def common_folder(native: pygit2.Repository) -> str:
    """The Git folder that all work trees of a repository share."""
    pointer = Path(native.path) / "commondir"
    try:
        return os.path.normpath(os.path.join(native.path, pointer.read_text().strip()))
    except FileNotFoundError:
        return str(native.path)


def _first_branch() -> str:
    try:
        return str(pygit2.Config.get_global_config()["init.defaultBranch"])
    except (KeyError, OSError):
        return "main"


def _nothing_found(start: Path) -> Unavailable:
    unreadable = [folder for folder in (start, *start.resolve().parents) if not os.access(folder, os.R_OK | os.X_OK)]
    if unreadable:
        return Unavailable("the folder cannot be read", where=str(unreadable[0]), next="check its permissions")
    gitdir = next((f / ".git" for f in (start, *start.resolve().parents) if (f / ".git").exists()), None)
    if gitdir is not None:
        return Unavailable(
            "there is a .git here, but it is no repository (damaged, unreadable, or its work tree was moved)",
            where=str(gitdir),
            next="git status says more; after moving a work tree: git worktree repair",
        )
    return Unavailable("not inside a Git repository", where=str(start), next="lastgood init, or git init, makes one")


def _cannot_open(path: str, error: Exception) -> Refused | Unavailable:
    text = str(error)
    if "not owned by current user" in text:
        folder = text.split("'")[1] if "'" in text else path
        return Refused(
            "this repository belongs to another user; its configuration could run commands in your name",
            where=folder,
            next=f"if you trust it: git config --global --add safe.directory {folder}",
        )
    if "object format" in text or "extension" in text:
        return Unavailable(f"this repository uses a format we cannot read: {text}", where=path)
    return Unavailable(f"cannot open the Git repository: {text}", where=path, next=f"git -C {path} fsck says more")
