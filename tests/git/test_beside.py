"""When the commit goes beside the branch: the work tree is left exactly as it was, and the commands given work."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lastgood.ports import Reverted
from tests.git.shop import ENV, Shop, order


def _staged(shop: Shop) -> None:
    shop.write({"b": b"staged"})
    shop.git("add", "b")


def _staged_and_taken_back(shop: Shop) -> None:
    shop.write({"b": b"staged"})
    shop.git("add", "b")
    shop.write({"b": b"1"})


def _same_file(shop: Shop) -> None:
    shop.write({"a": b"my edit"})


def _deleted(shop: Shop) -> None:
    shop.write({"b": None})


def _mode(shop: Shop) -> None:
    (shop.path / "b").chmod(0o755)


def _untracked_in_the_way(shop: Shop) -> None:
    shop.write({"gone": b"my own file of that name"})


def _ignored_in_the_way(shop: Shop) -> None:
    (shop.path / ".git/info/exclude").write_text("gone\n")
    shop.write({"gone": b"precious, ignored"})


def _folder_in_the_way(shop: Shop) -> None:
    shop.write({"gone/inside": b"precious"})


def _file_where_a_folder_is_needed(shop: Shop) -> None:
    (shop.path / "folder").rmdir()
    shop.write({"folder": b"precious"})


def _link_where_a_folder_is_needed(shop: Shop) -> None:
    (shop.path / "folder").rmdir()
    (shop.path / "folder").symlink_to("/nonexistent")


def _merge(shop: Shop) -> None:
    (shop.path / ".git/MERGE_HEAD").write_text(shop.git("rev-parse", "HEAD~1") + "\n")


def _index_lock(shop: Shop) -> None:
    (shop.path / ".git/index.lock").touch()


DISTURBANCES = (
    _staged,
    _staged_and_taken_back,
    _same_file,
    _deleted,
    _mode,
    _untracked_in_the_way,
    _ignored_in_the_way,
    _folder_in_the_way,
    _file_where_a_folder_is_needed,
    _link_where_a_folder_is_needed,
    _merge,
    _index_lock,
)


@pytest.mark.parametrize("disturb", DISTURBANCES, ids=lambda d: d.__name__.strip("_"))
def test_a_work_tree_in_use_is_not_touched(shop: Shop, disturb: Callable[[Shop], None]) -> None:
    good = shop.commit({"a": b"1", "b": b"1", "gone": b"g", "folder/x": b"f"})
    bad = shop.commit({"a": b"2", "gone": None, "folder/x": None})
    (shop.path / "folder").mkdir(exist_ok=True)
    disturb(shop)
    before = (_content(shop.path), shop.status(), shop.git("ls-files", "-s"))
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "lastgood/revert-r12"
    assert not done.updated_work_tree
    assert done.why
    assert (_content(shop.path), shop.status(), shop.git("ls-files", "-s")) == before
    assert shop.git("rev-parse", "main") == bad
    assert shop.git("diff", good, done.branch) == ""
    assert shop.git("rev-parse", f"{done.branch}~1") == bad
    shop.git("fsck", "--strict")


def test_the_commands_given_for_a_dirty_work_tree_work(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1", "b": b"1"}), shop.commit({"a": b"2"})
    shop.write({"b": b"mine", "untracked": b"mine too"})
    done = shop.repository.revert(order(bad, good))
    _type(done)
    assert (shop.path / "a").read_bytes() == b"1"
    assert shop.status() == " M b\n?? untracked"
    assert shop.git("rev-parse", "main") == done.commit
    assert shop.git("branch", "--list", "lastgood/*") == ""


def test_the_commands_given_for_a_clean_work_tree_touch_no_stash(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1", "b": b"1"}), shop.commit({"a": b"2"})
    shop.write({"b": b"put aside last week"})
    shop.git("stash")
    _index_lock(shop)
    done = shop.repository.revert(order(bad, good))
    assert "index.lock" in (done.why or "")
    (shop.path / ".git/index.lock").unlink()
    _type(done)
    assert shop.git("rev-parse", "main") == done.commit
    assert shop.status() == ""
    assert shop.git("stash", "list").count("\n") == 0
    assert shop.git("stash", "list") != ""


def test_the_commands_given_for_a_conflict_offer_it(shop: Shop) -> None:
    good = shop.commit({"a": b"good\n", "b": b"1\n", "m/1": b"1\n"})
    bad = shop.commit({"a": b"bad\n", "b": b"2\n", "m/2": b"2\n"})
    shop.commit({"a": b"mended\n"})
    done = shop.repository.revert(order(bad, good, keep=("m",)))
    assert done.conflicts == ("a",)
    assert shop.git("rev-parse", f"{done.branch}~1") == bad
    assert shop.status() == ""
    _type(done, upto=2)
    assert shop.status() == "UU a\nM  b"
    assert sorted(p.name for p in (shop.path / "m").iterdir()) == ["1", "2"]


def test_a_conflict_that_is_met_again_a_second_later_is_the_same_commit(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"good\n"}), shop.commit({"a": b"bad\n"})
    shop.commit({"a": b"mended\n"})
    done = shop.repository.revert(order(bad, good))
    time.sleep(1.1)
    assert shop.repository.revert(order(bad, good)) == done
    assert shop.git("branch", "--list", "lastgood/*").split() == [done.branch]


def test_a_file_deleted_since_conflicts_by_its_name(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    shop.commit({"a": None, "b": b"x"})
    assert shop.repository.revert(order(bad, good)).conflicts == ("a",)


def test_a_branch_aside_with_other_content_is_left_alone(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    shop.git("branch", "lastgood/revert-r12", good)
    shop.write({"a": b"mine"})
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "lastgood/revert-r12-2"
    assert shop.git("rev-parse", "lastgood/revert-r12") == good
    assert shop.repository.revert(order(bad, good)) == _with_why(done, "it was written there before")


def test_a_branch_named_lastgood_is_no_obstacle(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    shop.git("branch", "lastgood")
    shop.write({"a": b"mine"})
    assert shop.repository.revert(order(bad, good)).branch == "lastgood-revert-r12"


def test_a_linked_work_tree_is_updated_when_clean_and_left_when_not(shop: Shop, tmp_path: Path) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    shop.git("switch", "-q", "-c", "elsewhere")
    shop.git("worktree", "add", "-q", str(tmp_path / "linked"), "main")
    linked = Shop(tmp_path / "linked", identity=False)
    linked.write({"a": b"mine"})
    assert shop.repository.revert(order(bad, good)).branch == "lastgood/revert-r12"
    assert (linked.path / "a").read_bytes() == b"mine"
    linked.git("checkout", "-q", "--", "a")
    shop.git("branch", "-D", "-q", "lastgood/revert-r12")
    done = linked.repository.revert(order(bad, good))
    assert (done.branch, done.updated_work_tree) == ("main", True)
    assert (linked.path / "a").read_bytes() == b"1"
    assert linked.status() == shop.status() == ""
    assert (shop.path / "a").read_bytes() == b"2"


def test_a_rebase_of_the_branch_is_not_pulled_from_under(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    shop.git("rebase", "-q", "-i", "HEAD~1", env={"GIT_SEQUENCE_EDITOR": "sed -i s/^pick/edit/"})
    assert shop.git("symbolic-ref", "-q", "HEAD", code=1) == ""
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "lastgood/revert-r12"
    assert "rebase" in done.why
    shop.git("rebase", "--continue")
    assert shop.git("rev-parse", "main") == bad


def test_an_edit_git_was_told_to_overlook_is_not_lost(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    shop.git("update-index", "--assume-unchanged", "a")
    shop.write({"a": b"a private edit"})
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "lastgood/revert-r12"
    assert (shop.path / "a").read_bytes() == b"a private edit"
    assert shop.git("rev-parse", "main") == bad


def _content(path: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(path)): (b"-> " + bytes(f.readlink()) if f.is_symlink() else f.read_bytes())
        for f in path.rglob("*")
        if (f.is_symlink() or f.is_file()) and ".git" not in f.relative_to(path).parts
    }


def _type(done: Reverted, upto: int | None = None) -> None:
    identity = {
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    for command in done.commands[:upto]:
        subprocess.run(shlex.split(command), env={**ENV, **identity}, timeout=60, capture_output=True, check=False)


def _with_why(done: Reverted, why: str) -> Reverted:
    return Reverted(done.commit, done.branch, done.asked, done.aside, False, (), why, done.commands)
