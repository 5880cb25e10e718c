"""Reading revisions: listings and file contents straight from the object database, never from the work tree.

No link is followed and nothing is checked out, so a revision cannot make us read outside of the repository.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from operator import attrgetter

import pygit2

from lastgood.effects.git.revisions import commit_at, damaged
from lastgood.errors import Refused, Unavailable, UsageError
from lastgood.ports import TreeFile

LARGEST_FILE = 16 * 1024 * 1024
"""Bytes; a configuration of 10,000 routes is about 3 MB."""

_LINK, _SUBMODULE, _FOLDER = 0o120000, 0o160000, 0o040000
_TREE_LINE = re.compile(rb"[0-7]+ [^\0]+\0.{20}", re.DOTALL)
_CACHED_LISTINGS = 64
_KNOWN_FOLDERS = 10_000
_LFS = b"version https://git-lfs.github.com/spec/"


def check_path(path: str) -> str:
    """A path inside the repository as Git writes it; raises ``UsageError`` for anything that could point elsewhere."""
    parts = path.split("/")
    if not path or "\x00" in path or "\\" in path or any(p in ("", ".", "..") or p.lower() == ".git" for p in parts):
        raise UsageError(
            f"{path!r} is not a path inside the repository",
            next="write it from the repository's root, with / between, without .. and without a / in front",
        )
    return path


def read_tree(content: bytes) -> list[bytes]:
    """The lines of a tree object (``MODE SP NAME NUL ID``, see gitformat-tree).

    Raises ``ValueError`` where it is cut off. Objects of pygit2 take ten times as long, and a commit waits.
    """
    lines: list[bytes] = _TREE_LINE.findall(content)
    if sum(map(len, lines)) != len(content):
        raise ValueError("a tree object is cut off")
    return lines


def parts(line: bytes) -> tuple[int, str, str]:
    """Mode, name and object id of such a line."""
    mode, _, rest = line.partition(b" ")
    return int(mode, 8), os.fsdecode(rest[:-21]), rest[-20:].hex()


class Trees:
    """Listings and contents of one repository; unchanged folders are listed once (kept by tree id)."""

    def __init__(self, native: pygit2.Repository, largest_file: int = LARGEST_FILE) -> None:
        self._native = native
        self._largest_file = largest_file
        self._listings: OrderedDict[tuple[str, str], tuple[TreeFile, ...]] = OrderedDict()
        self._newest: dict[str, dict[bytes, TreeFile]] = {}  # by folder, its files by their lines
        self._lock = threading.Lock()

    def files(self, revision: str, under: str = "") -> tuple[TreeFile, ...]:
        """Every file below a folder, sorted by path; a file's own path gives that file; nothing there gives nothing."""
        tree = commit_at(self._native, revision).tree
        if not under:
            return self._listed(tree, "")
        entry = self._entry(tree, check_path(under.rstrip("/")))
        if entry is None:
            return ()
        if isinstance(entry, pygit2.Tree):
            return self._listed(entry, under.rstrip("/") + "/")
        return (self._file(under, str(entry.id), int(entry.filemode)),)

    def read(self, revision: str, path: str) -> bytes:
        """The bytes of a plain file at a revision."""
        entry = self._entry(commit_at(self._native, revision).tree, check_path(path))
        if entry is None or isinstance(entry, pygit2.Tree):
            what = "there is no such file" if entry is None else "this is a folder"
            raise Unavailable(f"{what} in revision {revision[:12]}", where=path, next=f"git ls-tree -r {revision[:12]}")
        return self._content(path, str(entry.id), int(entry.filemode))

    def tree_id(self, revision: str, path: str = "") -> str | None:
        """The object id of a folder or file, or None."""
        tree = commit_at(self._native, revision).tree
        if not path:
            return str(tree.id)
        entry = self._entry(tree, check_path(path.rstrip("/")))
        return None if entry is None else str(entry.id)

    def _entry(self, tree: pygit2.Tree, path: str) -> pygit2.Object | None:
        try:
            return tree[path]
        except KeyError:
            return None
        except pygit2.GitError as error:
            raise damaged(self._native, str(tree.id), error) from error

    def _listed(self, tree: pygit2.Tree, prefix: str) -> tuple[TreeFile, ...]:
        key = (str(tree.id), prefix)
        with self._lock:
            if key in self._listings:
                self._listings.move_to_end(key)
                return self._listings[key]
        try:
            listing = tuple(sorted(self._walk(str(tree.id), prefix), key=attrgetter("path")))
        except (pygit2.GitError, KeyError, ValueError) as error:
            raise damaged(self._native, f"below {prefix or 'the root'} of tree {tree.id}", error) from error
        with self._lock:
            self._listings[key] = listing
            while len(self._listings) > _CACHED_LISTINGS:
                self._listings.popitem(last=False)
        return listing

    def _walk(self, tree_id: str, prefix: str) -> Iterator[TreeFile]:
        """The files of a tree; a line that stood there when the folder was listed last gives the same file."""
        before = self._newest.get(prefix, {})
        lines = read_tree(bytes(self._native.odb.read(tree_id)[1]))
        found = {line: before[line] for line in lines if line in before}
        folders = []
        for line in lines:
            if line not in found:
                mode, name, object_id = parts(line)
                if mode == _FOLDER:
                    folders.append((name, object_id))
                else:
                    found[line] = self._file(prefix + name, object_id, mode)
        if len(self._newest) > _KNOWN_FOLDERS:
            self._newest.clear()
        self._newest[prefix] = found
        yield from found.values()
        for name, object_id in folders:
            yield from self._walk(object_id, f"{prefix}{name}/")

    def _file(self, path: str, blob_id: str, mode: int) -> TreeFile:
        read = partial(self._content, path, blob_id, mode)
        return TreeFile(path, blob_id, read, mode, int if mode == _SUBMODULE else partial(self._size, path, blob_id))

    def _size(self, path: str, blob_id: str) -> int:
        try:
            return int(self._native.odb.read_header(blob_id)[1])
        except KeyError as error:
            raise Unavailable(
                f"Git object {blob_id} is missing (a partial clone, or damage)",
                where=path,
                next=f"git -C {self._native.path} fsck, or git fetch --refetch",
            ) from error
        except (pygit2.GitError, ValueError) as error:
            raise damaged(self._native, f"{blob_id} ({path})", error) from error

    def _content(self, path: str, blob_id: str, mode: int) -> bytes:
        """Refuses before it reads: what a file is, then how large; only then its bytes."""
        if mode == _LINK:
            raise Refused("this is a symbolic link, which we do not follow", where=path, next="commit the file itself")
        if mode == _SUBMODULE:
            raise Refused("this is a submodule, which we do not read", where=path, next="commit the files themselves")
        size = self._size(path, blob_id)
        if size > self._largest_file:
            raise Refused(
                f"this file has {size:,} bytes; the limit is {self._largest_file:,}", where=path, next="split the file"
            )
        try:
            content = bytes(self._native.odb.read(blob_id)[1])
        except (pygit2.GitError, KeyError, ValueError) as error:
            raise damaged(self._native, f"{blob_id} ({path})", error) from error
        if content.startswith(_LFS):
            raise Refused(
                "this file is kept in Git LFS, which we do not read", where=path, next="git lfs untrack it and commit"
            )
        return content
