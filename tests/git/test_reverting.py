"""The revert commit on the branch: what the user's git says afterwards."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from lastgood.errors import Unavailable, UsageError
from tests.git.shop import Shop, order


def test_the_branch_and_the_clean_work_tree_move_together(shop: Shop) -> None:
    good = shop.commit({"lastgood.yaml": b"a: 1\nb: 1\nc: 1\n", "old": b"x"}, "Good")
    bad = shop.commit({"lastgood.yaml": b"a: 2\nb: 1\nc: 1\n", "old": None, "lastgood.d/new.yaml": b"n"}, "Bad")
    later = shop.commit({"lastgood.yaml": b"a: 2\nb: 1\nc: 3\n"}, "Later")
    untouched = shop.path / "notes.txt"
    untouched.write_text("mine, untracked")
    done = shop.repository.revert(order(bad, good))
    assert done.updated_work_tree
    assert shop.git("rev-parse", "HEAD", "HEAD~1").split() == [done.commit, later]
    assert (shop.path / "lastgood.yaml").read_bytes() == b"a: 1\nb: 1\nc: 3\n"
    assert (shop.path / "old").read_bytes() == b"x"
    assert not (shop.path / "lastgood.d").exists()
    assert shop.status() == "?? notes.txt"
    untouched.unlink()
    shop.healthy()
    assert shop.git("log", "-1", "--format=%an <%ae>|%cn|%s|%(trailers:key=Lastgood-Deployment,valueonly)") == (
        "Ada <ada@example.com>|Ada|Take r12 back|d31"
    )
    assert shop.git("log", "-1", "--format=%(trailers:key=Reverts,valueonly)").strip() == bad
    assert "lastgood: take r12 back" in shop.git("reflog", "main", "-1")
    assert "lastgood: take r12 back" in shop.git("reflog", "HEAD", "-1")


def test_where_git_cannot_write_it_says_what_to_do_later(shop: Shop) -> None:
    good, bad = shop.commit({"lastgood.yaml": b"a: 1\n", "b": b"1"}, "Good"), shop.commit({"b": b"2"}, "Bad")
    shop.commit({"c": b"3"}, "Later")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(Unavailable, match="Git cannot write here") as refused:
            shop.repository.revert(order(bad, good))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (refused.value.next or "").endswith(f"revert {bad[:12]}")
    assert (shop.path / "b").read_bytes() == b"2"


def test_files_the_change_does_not_touch_keep_their_times(shop: Shop) -> None:
    good = shop.commit({"a": b"1", "quiet": b"q"})
    bad = shop.commit({"a": b"2"})
    os.utime(shop.path / "quiet", ns=(10**18, 10**18))
    before = (shop.path / "quiet").stat()
    assert shop.repository.revert(order(bad, good)).branch == "main"
    after = (shop.path / "quiet").stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    shop.healthy()


def test_without_an_identity_lastgood_signs_the_commit_with_its_name(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "anonymous", identity=False)
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    shop.repository.revert(order(bad, good))
    assert shop.git("log", "-1", "--format=%an <%ae> %cn <%ce>") == (
        "Lastgood <lastgood@localhost> Lastgood <lastgood@localhost>"
    )


def test_a_user_on_another_branch_notices_nothing(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    shop.git("switch", "-q", "-c", "feature")
    shop.write({"a": b"half done", "b": b"new"})
    shop.git("add", "b")
    before = shop.status()
    done = shop.repository.revert(order(bad, good))
    assert (done.branch, done.updated_work_tree) == ("main", False)
    assert shop.git("rev-parse", "main") == done.commit
    assert shop.git("rev-parse", "HEAD") == bad
    assert shop.status() == before
    assert shop.git("show", "main:a") == "1"


def test_a_bare_repository_and_a_detached_head(shop: Shop, tmp_path: Path) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    shop.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    bare = Shop.__new__(Shop)
    bare.path = tmp_path / "bare.git"
    done = bare.repository.revert(order(bad, good))
    assert bare.git("show", "main:a") == "1"
    assert not done.updated_work_tree
    shop.git("switch", "-q", "--detach")
    done = shop.repository.revert(order(bad, good))
    assert not done.updated_work_tree
    assert shop.git("rev-parse", "HEAD") == bad
    assert (shop.path / "a").read_bytes() == b"2"


def test_modes_links_and_names_of_all_kinds(shop: Shop) -> None:
    names = {"grün/été.yaml": b"1", "with space & 'quotes'.yaml": b"2", "-option": b"3", "日本": b"4"}
    shop.write({"run.sh": b"#!/bin/sh\n", "target": b"t", **names})
    (shop.path / "link").symlink_to("target")
    good = shop.commit({})
    (shop.path / "run.sh").chmod(0o755)
    (shop.path / "link").unlink()
    (shop.path / "link").symlink_to("/etc/passwd")
    bad = shop.commit(dict.fromkeys(names, b"changed"))
    later = shop.commit({"other": b"x"})
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "main", done.why
    shop.healthy()
    assert shop.git("diff", "--name-status", good, "HEAD") == "A\tother"
    assert shop.git("diff", "--name-status", later, "HEAD").count("\n") == 5
    assert not os.access(shop.path / "run.sh", os.X_OK)
    assert os.readlink(shop.path / "link") == "target"
    assert (shop.path / "grün/été.yaml").read_bytes() == b"1"


def test_line_endings_follow_the_attributes(shop: Shop) -> None:
    shop.git("config", "core.autocrlf", "true")
    good = shop.commit({".gitattributes": b"*.bat text eol=crlf\n", "x.bat": b"a\r\nb\r\n", "y.txt": b"1\r\n"})
    bad = shop.commit({"x.bat": b"a\r\nBAD\r\n", "y.txt": b"BAD\r\n"})
    os.utime(shop.path / "x.bat", ns=(10**18, 10**18))
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "main", done.why
    assert (shop.path / "x.bat").read_bytes() == b"a\r\nb\r\n"
    assert (shop.path / "y.txt").read_bytes() == b"1\r\n"
    shop.healthy()


def test_a_file_that_was_renamed_since_is_reverted_under_its_new_name(shop: Shop) -> None:
    text = b"".join(b"route %d\n" % n for n in range(40))
    good = shop.commit({"routes.yaml": text})
    bad = shop.commit({"routes.yaml": text.replace(b"route 7\n", b"route BAD\n")})
    shop.git("mv", "routes.yaml", "gateway.yaml")
    shop.commit({}, "Rename")
    assert shop.repository.revert(order(bad, good)).branch == "main"
    assert (shop.path / "gateway.yaml").read_bytes() == text
    assert not (shop.path / "routes.yaml").exists()
    shop.healthy()


def test_a_file_becomes_a_folder_and_back(shop: Shop) -> None:
    good = shop.commit({"x": b"file", "d/in": b"1"})
    shop.write({"x": None, "d/in": None})
    (shop.path / "d").rmdir()
    bad = shop.commit({"x/in": b"folder", "d": b"file"})
    assert shop.repository.revert(order(bad, good)).branch == "main"
    assert (shop.path / "x").read_bytes() == b"file"
    assert (shop.path / "d/in").read_bytes() == b"1"
    shop.healthy()


def test_kept_migrations_stay_even_where_the_target_has_others(shop: Shop) -> None:
    good = shop.commit({"a": b"1", "migrations/1.sql": b"one"})
    bad = shop.commit({"a": b"2", "migrations/1.sql": b"one, edited", "migrations/2.sql": b"two"})
    shop.commit({"migrations/1.sql": b"one, edited again"})
    done = shop.repository.revert(order(bad, good, keep=("migrations/",)))
    assert done.branch == "main", done.why
    assert (shop.path / "a").read_bytes() == b"1"
    assert (shop.path / "migrations/1.sql").read_bytes() == b"one, edited again"
    assert (shop.path / "migrations/2.sql").read_bytes() == b"two"
    shop.healthy()


def test_a_file_that_was_moved_into_a_kept_folder_stays_as_it_is_there(shop: Shop) -> None:
    """Git would follow the rename into it; where it cannot, the old name is a conflict for a person."""
    text = b"".join(b"route %d\n" % n for n in range(40))
    good = shop.commit({"x": text, "a": b"1"})
    bad = shop.commit({"x": text.replace(b"route 7\n", b"route BAD\n"), "a": b"2"})
    moved = shop.commit({"x": None, "m/x": (shop.path / "x").read_bytes()})
    done = shop.repository.revert(order(bad, good, keep=("m",)))
    assert (done.branch, done.conflicts) == ("main", ())
    assert (shop.path / "m/x").read_bytes() == text.replace(b"route 7\n", b"route BAD\n")
    assert (shop.path / "a").read_bytes() == b"1"
    shop.healthy()
    shop.git("reset", "-q", "--hard", moved)
    shop.commit({"m/x": text.replace(b"route 7\n", b"route MENDED\n")})
    done = shop.repository.revert(order(bad, good, keep=("m",)))
    assert done.conflicts == ("x",)


def test_three_thousand_files(shop: Shop) -> None:
    good = shop.commit({f"lastgood.d/{n}.yaml": b"%d" % n for n in range(3000)})
    bad = shop.commit({f"lastgood.d/{n}.yaml": b"bad" for n in range(0, 3000, 2)})
    later = shop.commit({"lastgood.d/1.yaml": b"later"})
    assert shop.repository.revert(order(bad, good)).branch == "main"
    shop.healthy()
    assert shop.git("diff", "--name-only", good, "HEAD") == "lastgood.d/1.yaml"
    assert shop.git("rev-parse", "HEAD~1") == later


def test_several_bad_commits_go_in_one(shop: Shop) -> None:
    good = shop.commit({"a": b"1", "b": b"1"})
    shop.commit({"a": b"2"})
    bad = shop.commit({"b": b"2"})
    shop.repository.revert(order(bad, good))
    assert shop.git("diff", good, "HEAD") == ""
    assert shop.git("rev-list", "--count", f"{bad}..HEAD") == "1"


def test_a_second_rollback_of_the_same_content_is_a_commit_of_its_own(shop: Shop) -> None:
    """Reapplied, and found bad again: the first revert must not answer for the second."""
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    first = shop.repository.revert(order(bad, good))
    again = shop.commit({"a": b"2"}, "Reapply")
    second = shop.repository.revert(order(again, good, deployment="d33"))
    assert second.commit not in (None, first.commit)
    assert shop.git("show", "HEAD:a") == "1"


@pytest.mark.parametrize("branch", ["--force", "a..b", "refs/heads/main", "HEAD", "a b", ""])
def test_what_is_no_branch_is_refused(shop: Shop, branch: str) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    with pytest.raises(UsageError):
        shop.repository.revert(order(bad, good, branch=branch))


def test_a_branch_or_commit_that_is_not_there_is_named(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    with pytest.raises(Unavailable, match="no branch 'other'"):
        shop.repository.revert(order(bad, good, branch="other"))
    with pytest.raises(Unavailable, match="1234567890"):
        shop.repository.revert(order(bad, "1234567890" * 4))


def test_a_message_cannot_forge_trailers_or_control_the_terminal(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    wrong = order(bad, good)
    with pytest.raises(UsageError):
        shop.repository.revert(type(wrong)("main", bad, good, "m", "r12\nEvil: 1", "d31"))
    shop.repository.revert(type(wrong)("main", bad, good, "Back\x1b[2J\x00!", "r12", "d31"))
    assert shop.git("log", "-1", "--format=%s") == "Back[2J!"
