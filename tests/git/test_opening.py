"""Finding a repository, and the words when there is none to be had."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastgood.effects.git import init_repository, open_repository
from lastgood.errors import Refused, Unavailable, UsageError
from lastgood.ports import Head
from tests.git.shop import Shop


def test_it_is_found_from_any_folder_below_a_linked_tree_and_a_bare_one(shop: Shop, tmp_path: Path) -> None:
    oid = shop.commit({"a/b/c": b"1"})
    assert open_repository(shop.path / "a" / "b").root == shop.path.resolve()
    assert open_repository(shop.path / "a" / "b" / "c").root == shop.path.resolve()
    shop.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    linked = open_repository(tmp_path / "linked" / "a")
    assert linked.root == (tmp_path / "linked").resolve()
    assert linked.head() == Head("other", oid)
    shop.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    bare = open_repository(tmp_path / "bare.git" / "refs")
    assert bare.bare
    assert bare.read(oid, "a/b/c") == b"1"
    assert bare.uncommitted() == ()


def test_no_repository_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not inside a Git repository"):
        open_repository(tmp_path)
    with pytest.raises(Unavailable, match="no such folder"):
        open_repository(tmp_path / "nothing")


def test_a_broken_git_folder_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nonexistent/worktrees/x\n")
    with pytest.raises(Unavailable) as caught:
        open_repository(tmp_path)
    assert ".git" in str(caught.value)
    assert "not inside" not in str(caught.value)


def test_an_empty_repository_says_that_it_has_no_commit(shop: Shop) -> None:
    repository = shop.repository
    assert repository.head() == Head("main", None)
    for text in ("HEAD", "main", "abcdef12"):
        with pytest.raises(Unavailable, match="no commit yet"):
            repository.resolve(text)
    assert repository.uncommitted() == ()


def test_a_detached_head_reads_fine_and_says_so(shop: Shop) -> None:
    oid = shop.commit({"a": b"1"})
    shop.git("switch", "-q", "--detach")
    assert shop.repository.head() == Head(None, oid)
    assert shop.repository.resolve("HEAD").branch is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_repository_is_refused_with_the_way_to_trust_it(shop: Shop) -> None:
    shop.commit({"a": b"1"})
    for path in (shop.path, shop.path / ".git"):
        os.chown(path, 65534, 65534)
    with pytest.raises(Refused) as caught:
        open_repository(shop.path)
    assert "safe.directory" in str(caught.value)
    assert str(shop.path) in str(caught.value)


def test_a_format_we_cannot_read_is_named(tmp_path: Path) -> None:
    other = Shop.__new__(Shop)
    other.path = tmp_path
    other.git("init", "-q", "--object-format=sha256")
    with pytest.raises(Unavailable, match="sha256"):
        open_repository(tmp_path)


def test_a_damaged_object_is_named_with_fsck(shop: Shop) -> None:
    oid = shop.commit({"a": b"1", "b": b"2"})
    blob = shop.git("rev-parse", "HEAD:a")
    file = shop.path / ".git/objects" / blob[:2] / blob[2:]
    file.chmod(0o644)
    file.write_bytes(b"junk")
    for read in (lambda: shop.repository.read(oid, "a"), lambda: shop.repository.files(oid, "a")[0].size()):
        with pytest.raises(Unavailable) as caught:
            read()
        assert blob in str(caught.value)
        assert "fsck" in str(caught.value)
    assert shop.repository.read(oid, "b") == b"2"
    file.unlink()
    with pytest.raises(Unavailable, match=blob):
        shop.repository.read(oid, "a")


def test_a_damaged_tree_and_commit_are_named(shop: Shop) -> None:
    oid = shop.commit({"d/a": b"1"})
    tree = shop.git("rev-parse", "HEAD:d")
    _spoil(shop, tree)
    with pytest.raises(Unavailable, match="fsck"):
        shop.repository.files(oid)
    _spoil(shop, oid)
    with pytest.raises(Unavailable, match="fsck"):
        shop.repository.files(oid)
    with pytest.raises(Unavailable, match="fsck"):
        shop.repository.resolve("main")


def test_init_makes_one_and_keeps_the_state_out_of_sight(tmp_path: Path) -> None:
    repository = init_repository(tmp_path / "new")
    assert repository.head().branch == "main"
    (tmp_path / "new/.lastgood").mkdir()
    (tmp_path / "new/.lastgood/journal").write_text("x")
    shop = Shop(tmp_path / "new")
    assert shop.status() == ""
    exclude = (tmp_path / "new/.git/info/exclude").read_text()
    assert init_repository(tmp_path / "new").root == repository.root
    assert (tmp_path / "new/.git/info/exclude").read_text() == exclude
    assert not (tmp_path / "new/.gitignore").exists()


def test_init_leaves_an_existing_repository_and_its_rules_alone(shop: Shop) -> None:
    shop.commit({".gitignore": b".lastgood\n", "sub/x": b"1"})
    (shop.path / ".git/info/exclude").write_text("*.swp")
    assert init_repository(shop.path / "sub").root == shop.path.resolve()
    assert (shop.path / ".git/info/exclude").read_text() == "*.swp"
    shop.commit({".gitignore": b""})
    init_repository(shop.path)
    assert (shop.path / ".git/info/exclude").read_text() == "*.swp\n/.lastgood/\n"


def test_paths_outside_are_refused_for_the_work_tree_too(shop: Shop) -> None:
    shop.commit({"a": b"1"})
    for path in ("../x", "/etc/passwd", ":(top)a", "--help"):
        if path in (":(top)a", "--help"):
            assert shop.repository.uncommitted([path]) == ()
        else:
            with pytest.raises(UsageError):
                shop.repository.uncommitted([path])


def test_uncommitted_says_what_kind(shop: Shop) -> None:
    shop.commit({"m": b"1", "s": b"1", "d": b"1", "quiet": b"1", "old": b"rename me\n" * 9})
    shop.write({"m": b"2", "s": b"2", "d": None, "new\nline": b"x", "lastgood.d/x.yaml": b"x"})
    shop.git("add", "s")
    shop.git("mv", "old", "renamed")
    assert {u.path: u.state for u in shop.repository.uncommitted()} == {
        "m": "modified", "s": "staged", "d": "deleted", "new\nline": "untracked", "lastgood.d/x.yaml": "untracked",
        "old": "deleted", "renamed": "staged",
    }  # fmt: skip
    assert [u.path for u in shop.repository.uncommitted(["lastgood.d", "s"])] == ["lastgood.d/x.yaml", "s"]


def _spoil(shop: Shop, oid: str) -> None:
    file = shop.path / ".git/objects" / oid[:2] / oid[2:]
    file.chmod(0o644)
    file.write_bytes(b"junk")
