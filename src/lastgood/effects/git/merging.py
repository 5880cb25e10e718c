"""Taking one change out of a tree: a three-way merge on trees, which touches no work tree and no reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pygit2


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged tree's id, or None and the paths that have to be put together by a person."""

    tree: str | None
    conflicts: tuple[str, ...] = ()


def without_change(
    native: pygit2.Repository, bad: pygit2.Tree, ours: pygit2.Tree, target: pygit2.Tree, keep: Sequence[str] = ()
) -> Merged:
    """Ours with the change from target to bad taken out; the kept paths stay exactly as ours has them.

    Base is the bad tree, so that what came after it in ours stays (also in files that were renamed since).
    """
    theirs = native[with_kept(native, target, bad, keep)]
    assert isinstance(theirs, pygit2.Tree)
    index = native.merge_trees(bad, ours, theirs)
    _settle_kept(index, keep)
    conflicts = _conflicts(index)
    if conflicts:
        return Merged(None, conflicts)
    _keep(native, index, ours, keep)
    return Merged(str(index.write_tree(native)))


def with_kept(native: pygit2.Repository, tree: pygit2.Tree, source: pygit2.Tree, keep: Sequence[str]) -> str:
    """The id of a tree in which the kept paths are as the source has them."""
    if not keep:
        return str(tree.id)
    index = pygit2.Index()
    index.read_tree(tree)
    _keep(native, index, source, keep)
    return str(index.write_tree(native))


def entries(tree: pygit2.Tree, prefix: str = "") -> Iterator[tuple[str, str, int]]:
    """Every file below a tree as ``(path, object id, mode)``."""
    for entry in tree:
        path = prefix + (entry.name or "")
        if isinstance(entry, pygit2.Tree):
            yield from entries(entry, path + "/")
        else:
            yield path, str(entry.id), int(entry.filemode)


def _settle_kept(index: pygit2.Index, keep: Sequence[str]) -> None:
    """Drop the conflicts at kept paths; a file that was moved into one stays a conflict under its old name."""
    for path in _conflicts(index):
        if _below(path, keep):
            del index.conflicts[path]


def _keep(native: pygit2.Repository, index: pygit2.Index, source: pygit2.Tree, keep: Sequence[str]) -> None:
    if not keep:
        return
    for path in [entry.path for entry in index]:
        if _below(path, keep):
            index.remove(path)
    for path, oid, mode in _selected(source, keep):
        index.add(pygit2.IndexEntry(path, pygit2.Oid(hex=oid), pygit2.enums.FileMode(mode)))


def _selected(tree: pygit2.Tree, keep: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    for path in keep:
        try:
            entry = tree[path.rstrip("/")]
        except KeyError:
            continue
        if isinstance(entry, pygit2.Tree):
            yield from entries(entry, path.rstrip("/") + "/")
        else:
            yield path, str(entry.id), int(entry.filemode)


def _below(path: str, keep: Sequence[str]) -> bool:
    return any(path == kept or path.startswith(kept.rstrip("/") + "/") for kept in keep)


def _conflicts(index: pygit2.Index) -> tuple[str, ...]:
    if index.conflicts is None:
        return ()
    return tuple(sorted({side.path for sides in index.conflicts for side in sides if side is not None}))
