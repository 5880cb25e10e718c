"""What every ``Repository`` keeps; run each clause of ``CLAUSES`` with a new world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lastgood.errors import LastgoodError, Unavailable, UsageError
from lastgood.ports import Gone, Moved, Repository, RevertOrder, Rewritten, Unchanged


class Commits(Protocol):
    """Commits changes (None removes a file) to the branch that is checked out, ``main``; returns the id."""

    def __call__(self, files: Mapping[str, bytes | None], message: str) -> str:
        """Commit."""
        ...


@dataclass(frozen=True)
class RepositoryWorld:
    """The port on a repository without commits, and its user's hands.

    ``edit`` changes a tracked file without committing; ``reset`` points ``main`` to another commit.
    """

    repository: Repository
    commit: Commits
    edit: Callable[[str, bytes], None]
    reset: Callable[[str], None]

    def order(self, bad: str, target: str, keep: tuple[str, ...] = (), deployment: str = "d31") -> RevertOrder:
        """Take ``bad`` out of ``main``."""
        return RevertOrder("main", bad, target, "Take r12 back\n\nToo slow.", "r12", deployment, keep)

    def now(self, branch: str = "main") -> dict[str, bytes]:
        """The content of a branch."""
        oid = self.repository.resolve(branch).oid
        return {file.path: file.read() for file in self.repository.files(oid)}


def a_revision_is_found_by_branch_beginning_and_generation(world: RepositoryWorld) -> None:
    """All of them name one commit; only a branch gives a branch."""
    first = world.commit({"a": b"1"}, "First\n\nbody")
    second = world.commit({"a": b"2"}, "Second")
    assert world.repository.resolve("main").oid == second
    assert world.repository.resolve("main").branch == "main"
    assert world.repository.resolve("HEAD~1").oid == first
    assert world.repository.resolve(first[:12]).subject == "First"
    assert world.repository.resolve(first).branch is None
    assert world.repository.head().branch == "main"
    assert world.repository.head().oid == second


def what_is_no_revision_is_refused(world: RepositoryWorld) -> None:
    """Options, ranges and paths are wrong use; what could be there but is not is unavailable."""
    _fails(Unavailable, lambda: world.repository.resolve("main"))
    world.commit({"a": b"1"}, "First")
    for text in ("", "--upload-pack=x", "a..b", "main:a", "a b"):
        _fails(UsageError, lambda text=text: world.repository.resolve(text))  # type: ignore[misc]
    _fails(UsageError, lambda: world.repository.resolve("nowhere"))


def files_are_listed_below_a_folder_by_path(world: RepositoryWorld) -> None:
    """With their content; a file's own path gives it, nothing gives nothing, outside is wrong use."""
    oid = world.commit({"d/b": b"22", "d/a/x": b"1", "e": b"3", "dd": b"4"}, "First")
    listed = world.repository.files(oid, "d")
    assert [(f.path, f.read(), f.size()) for f in listed] == [("d/a/x", b"1", 1), ("d/b", b"22", 2)]
    assert [f.path for f in world.repository.files(oid, "d/")] == ["d/a/x", "d/b"]
    assert [f.path for f in world.repository.files(oid, "e")] == ["e"]
    assert not world.repository.files(oid, "nothing")
    assert world.repository.read(oid, "e") == b"3"
    _fails(Unavailable, lambda: world.repository.read(oid, "nothing"))
    for path in ("../e", "/e", "d/../e", "d//b", ".git/config"):
        _fails(UsageError, lambda path=path: world.repository.read(oid, path))  # type: ignore[misc]


def equal_content_has_equal_ids(world: RepositoryWorld) -> None:
    """Files and folders, across commits."""
    first = world.commit({"d/a": b"1", "e": b"1"}, "First")
    second = world.commit({"e": b"2"}, "Second")
    assert world.repository.tree_id(first, "d") == world.repository.tree_id(second, "d") is not None
    assert world.repository.tree_id(first) != world.repository.tree_id(second)
    assert world.repository.files(first, "d")[0].blob_id == world.repository.files(first, "e")[0].blob_id
    assert world.repository.tree_id(first, "nothing") is None


def uncommitted_changes_are_named(world: RepositoryWorld) -> None:
    """Only those at or below the paths asked for."""
    world.commit({"d/a": b"1", "e": b"1"}, "First")
    assert world.repository.uncommitted() == ()
    world.edit("d/a", b"2")
    assert [change.path for change in world.repository.uncommitted()] == ["d/a"]
    assert [change.path for change in world.repository.uncommitted(["d"])] == ["d/a"]
    assert world.repository.uncommitted(["e"]) == ()


def the_commit_that_introduced_content_is_found(world: RepositoryWorld) -> None:
    """Not later ones that left it alone."""
    world.commit({"a": b"1", "b": b"1"}, "First")
    second = world.commit({"a": b"2"}, "Second")
    third = world.commit({"b": b"3"}, "Third")
    found = world.repository.introduced(third, ["a", "b", "never"])
    assert {path: r.subject if r else None for path, r in found.items()} == {"a": "Second", "b": "Third", "never": None}
    assert (found["a"] or found["b"]).oid == second  # type: ignore[union-attr]


def a_branch_is_followed(world: RepositoryWorld) -> None:
    """Forward with the commits in order, rewritten, gone."""
    assert world.repository.poll("main", None) == Gone("main", None)
    first = world.commit({"a": b"1"}, "First")
    news = world.repository.poll("main", None)
    assert isinstance(news, Moved)
    start = news.new
    assert world.repository.poll("main", start) == Unchanged(start)
    world.commit({"a": b"2"}, "Second")
    third = world.commit({"a": b"3"}, "Third")
    news = world.repository.poll("main", start)
    assert isinstance(news, Moved)
    assert [commit.subject for commit in news.commits] == ["Second", "Third"]
    assert news.new.oid == third
    world.reset(first)
    back = world.repository.poll("main", news.new)
    assert isinstance(back, Rewritten)
    assert (back.old.oid, back.new.oid) == (third, first)
    assert isinstance(world.repository.poll("other", start), Gone)


def a_revert_takes_out_the_change_and_leaves_what_came_later(world: RepositoryWorld) -> None:
    """On the branch itself when its work tree is clean; the same order again changes nothing."""
    good = world.commit({"a": b"good", "gone": b"x"}, "Good")
    bad = world.commit({"a": b"bad", "gone": None, "new": b"y"}, "Bad")
    world.commit({"later": b"z"}, "Later")
    done = world.repository.revert(world.order(bad, good))
    assert (done.branch, done.updated_work_tree, done.conflict) == ("main", True, False)
    assert world.now() == {"a": b"good", "gone": b"x", "later": b"z"}
    assert world.repository.resolve("main").oid == done.commit
    assert world.repository.resolve("main").subject == "Take r12 back"
    assert world.repository.uncommitted() == ()
    again = world.repository.revert(world.order(bad, good))
    assert again.commit == done.commit
    assert world.repository.resolve("main").oid == done.commit


def kept_paths_stay_as_they_are(world: RepositoryWorld) -> None:
    """Migrations that stay applied; whether the bad change or a later one brought them."""
    good = world.commit({"a": b"good", "m/1": b"1"}, "Good")
    bad = world.commit({"a": b"bad", "m/2": b"2"}, "Bad")
    world.commit({"m/3": b"3", "m/2": b"22"}, "Later")
    done = world.repository.revert(world.order(bad, good, ("m",)))
    assert done.branch == "main"
    assert world.now() == {"a": b"good", "m/1": b"1", "m/2": b"22", "m/3": b"3"}


def a_dirty_work_tree_is_left_alone(world: RepositoryWorld) -> None:
    """The commit goes to a branch beside; twice is once."""
    good = world.commit({"a": b"good", "b": b"1"}, "Good")
    bad = world.commit({"a": b"bad"}, "Bad")
    world.edit("b", b"mine")
    done = world.repository.revert(world.order(bad, good))
    assert (done.branch, done.asked, done.updated_work_tree) == ("lastgood/revert-r12", "main", False)
    assert done.why
    assert done.commands
    assert world.repository.resolve("main").oid == bad
    assert world.now("lastgood/revert-r12") == {"a": b"good", "b": b"1"}
    assert [change.path for change in world.repository.uncommitted()] == ["b"]
    assert world.repository.revert(world.order(bad, good)).commit == done.commit


def a_conflict_goes_beside_on_top_of_the_bad_revision(world: RepositoryWorld) -> None:
    """So that merging it offers the conflict to a person."""
    good = world.commit({"a": b"good\n"}, "Good")
    bad = world.commit({"a": b"bad\n", "b": b"1\n"}, "Bad")
    later = world.commit({"a": b"mended\n"}, "Later")
    done = world.repository.revert(world.order(bad, good))
    assert done.conflict
    assert done.conflicts == ("a",)
    assert world.repository.resolve("main").oid == later
    assert world.now(done.branch) == {"a": b"good\n"}
    assert world.repository.resolve(f"{done.branch}~1").oid == bad


def a_revert_of_the_users_own_is_enough(world: RepositoryWorld) -> None:
    """Nothing is written when the content is there."""
    good = world.commit({"a": b"good"}, "Good")
    bad = world.commit({"a": b"bad"}, "Bad")
    own = world.commit({"a": b"good"}, "My own revert")
    done = world.repository.revert(world.order(bad, good))
    assert done.commit is None
    assert done.why
    assert world.repository.resolve("main").oid == own


def a_branch_that_follows_no_remote_is_not_pushed(world: RepositoryWorld) -> None:
    """And a remote that is not configured is wrong use."""
    good = world.commit({"a": b"good"}, "Good")
    bad = world.commit({"a": b"bad"}, "Bad")
    assert world.repository.push(world.repository.revert(world.order(bad, good))) is None
    _fails(UsageError, lambda: world.repository.fetch("nowhere", "main"))


def _fails(kind: type[LastgoodError], call: Callable[[], object]) -> None:
    try:
        call()
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was expected")


CLAUSES: tuple[Callable[[RepositoryWorld], None], ...] = (
    a_revision_is_found_by_branch_beginning_and_generation,
    what_is_no_revision_is_refused,
    files_are_listed_below_a_folder_by_path,
    equal_content_has_equal_ids,
    uncommitted_changes_are_named,
    the_commit_that_introduced_content_is_found,
    a_branch_is_followed,
    a_revert_takes_out_the_change_and_leaves_what_came_later,
    kept_paths_stay_as_they_are,
    a_dirty_work_tree_is_left_alone,
    a_conflict_goes_beside_on_top_of_the_bad_revision,
    a_revert_of_the_users_own_is_enough,
    a_branch_that_follows_no_remote_is_not_pushed,
)
