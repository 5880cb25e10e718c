"""Revisions and trees: every text a person could type, every kind of file a revision could hold."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.effects.git import GitRepository
from lastgood.effects.git.trees import check_path, parts, read_tree
from lastgood.errors import LastgoodError, Refused, Unavailable, UsageError
from tests.git.shop import Shop

names = st.binary(min_size=1, max_size=8).map(lambda name: name.replace(b"\0", b"0"))
ids = st.binary(min_size=20, max_size=20)


def test_everything_that_names_a_commit(shop: Shop) -> None:
    first = shop.commit({"a": b"1"}, "Erste Änderung\n\nmore")
    second = shop.commit({"a": b"2"})
    shop.git("tag", "-a", "v1", "-m", "x", first)
    shop.git("branch", "grün/weg", first)
    for text in ("v1", "v1^{}", "v1^{commit}", "HEAD~1", "HEAD^", "main~", first, first[:10], "grün/weg", "main@{1}",
                 "refs/tags/v1", "heads/grün/weg", "@~1"):  # fmt: skip
        assert shop.repository.resolve(text).oid == first, text
    found = shop.repository.resolve("grün/weg")
    assert (found.branch, found.subject, found.author) == ("grün/weg", "Erste Änderung", "Ada")
    assert found.committed_at_s == 1_700_000_000
    assert shop.repository.resolve("HEAD").branch == "main"
    assert shop.repository.resolve("@").oid == second
    assert shop.repository.resolve("main~1").branch is None


@pytest.mark.parametrize(
    "text",
    ["", "--upload-pack=touch x", "-n", "a..b", "a...b", "main:a", ":/Erste", "main^{/x}", "HEAD^{tree}", "x y", "a\nb",
     "a\x00b", "[a", "a?", "a*", "a\\b", "x" * 300, "~1", "^main", "@{-1}x y"],
)  # fmt: skip
def test_what_is_no_revision_is_wrong_use(shop: Shop, text: str) -> None:
    shop.commit({"a": b"1"}, "Erste")
    with pytest.raises(UsageError):
        shop.repository.resolve(text)


def test_ambiguous_texts_are_not_guessed(shop: Shop) -> None:
    first, second = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    shop.git("tag", "main", first)
    with pytest.raises(UsageError, match="ambiguous") as caught:
        shop.repository.resolve("main~0")
    assert "refs/heads/main" in str(caught.value)
    assert shop.repository.resolve("refs/heads/main").oid == second
    shop.git("update-ref", f"refs/heads/{first[:8]}", second)
    with pytest.raises(UsageError, match="ambiguous"):
        shop.repository.resolve(first[:8])
    prefixes: dict[str, str] = {}
    for n in range(2000):
        oid = shop.repository._native.create_blob(b"%d" % n)
        if str(oid)[:4] in prefixes:
            with pytest.raises(UsageError, match="more than one"):
                shop.repository.resolve(str(oid)[:4])
            return
        prefixes[str(oid)[:4]] = str(oid)
    raise AssertionError("no two of 2,000 objects began alike")


def test_a_tag_of_a_file_is_no_commit_and_a_shallow_clone_says_so(shop: Shop, tmp_path: Path) -> None:
    first = shop.commit({"a": b"1"})
    shop.commit({"a": b"2"})
    shop.git("tag", "blob", "HEAD:a")
    with pytest.raises(UsageError):
        shop.repository.resolve("blob")
    shop.git("clone", "-q", "--depth", "1", f"file://{shop.path}", str(tmp_path / "shallow"))
    shallow = Shop(tmp_path / "shallow")
    with pytest.raises(Unavailable, match="shallow"):
        shallow.repository.resolve(first)
    head = shallow.git("rev-parse", "HEAD")
    assert shallow.repository.introduced(head, ["a"])["a"] is not None


def test_a_commit_cannot_write_to_the_terminal(shop: Shop) -> None:
    shop.commit({"a": b"1"}, "Evil \x1b]0;title\x07 \u202e subject")
    subject = shop.repository.resolve("HEAD").subject
    assert not set("\x1b\x07\u202e") & set(subject)
    assert subject.startswith("Evil")


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=40))
def test_no_text_gets_through_as_anything_but_our_errors(hypothesis_repository: GitRepository, text: str) -> None:
    for call in (lambda: hypothesis_repository.resolve(text), lambda: hypothesis_repository.poll(text, None)):
        try:
            call()
        except LastgoodError:
            pass
    try:
        path = check_path(text)
    except UsageError:
        return
    assert (Path("/root/x") / path).resolve().is_relative_to("/root/x") or "\x00" in path
    assert hypothesis_repository.files(hypothesis_repository.resolve("HEAD").oid, path) in ((),) or path == "a"


@pytest.fixture(scope="module")
def hypothesis_repository(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    shop = Shop(tmp_path_factory.mktemp("fuzz"))
    shop.commit({"a": b"1"})
    return shop.repository


def test_links_submodules_large_and_lfs_files_are_listed_but_not_read(shop: Shop) -> None:
    shop.write(
        {"plain": b"1", "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "large": b"x" * 100}
    )
    (shop.path / "link").symlink_to("/etc/passwd")
    shop.git("add", "-A")
    shop.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    shop.git("commit", "-q", "-m", "x")
    oid = shop.git("rev-parse", "HEAD")
    repository = GitRepository(str(shop.path / ".git"), largest_file=99)
    modes = {f.path: f"{f.mode:o}" for f in repository.files(oid)}
    assert modes == {"large": "100644", "lfs": "100644", "link": "120000", "module": "160000", "plain": "100644"}
    for path, why in (("link", "symbolic link"), ("module", "submodule"), ("lfs", "LFS"), ("large", "limit is 99")):
        with pytest.raises(Refused, match=why):
            repository.read(oid, path)
        with pytest.raises(Refused, match=why):
            repository.files(oid, path)[0].read()
    with pytest.raises(Unavailable):
        repository.read(oid, "link/passwd")
    with pytest.raises(Unavailable, match="shadow"):
        repository.read(oid, "shadow")


def test_names_that_are_no_utf8_are_listed_and_read(shop: Shop) -> None:
    oid = shop.commit({"caf\udce9.yaml": b"1", "d\udce9/x": b"2"})
    assert [f.path for f in shop.repository.files(oid)] == ["caf\udce9.yaml", "d\udce9/x"]
    assert shop.repository.read(oid, "caf\udce9.yaml") == b"1"
    assert [f.read() for f in shop.repository.files(oid, "d\udce9")] == [b"2"]


def test_three_thousand_files_are_listed_in_ten_milliseconds_and_then_at_once(shop: Shop) -> None:
    oid = shop.commit({f"lastgood.d/{n}.yaml": b"%d" % n for n in range(3000)} | {"lastgood.yaml": b"x"})
    next_oid = shop.commit({"lastgood.yaml": b"y"})
    cold = []
    for _ in range(7):
        repository = shop.repository
        begin = time.perf_counter()
        assert len(repository.files(oid, "lastgood.d")) == 3000
        cold.append(time.perf_counter() - begin)
    begin = time.perf_counter()
    again = repository.files(next_oid, "lastgood.d/")
    warm = time.perf_counter() - begin
    print(f"listing 3,000 files: cold {min(cold) * 1e3:.1f} ms at best, another commit {warm * 1e3:.2f} ms")
    assert again is repository.files(oid, "lastgood.d")
    assert min(cold) < 0.030  # 10 ms on a quiet machine


def test_a_commit_that_arrives_later_is_found(shop: Shop) -> None:
    shop.commit({"a": b"1"})
    repository = shop.repository
    assert repository.resolve("HEAD")
    later = shop.commit({"a": b"2"})
    shop.git("gc", "-q", "--prune=now")
    packed = shop.commit({"a": b"3"})
    assert repository.read(repository.resolve("HEAD~1").oid, "a") == b"2"
    assert repository.resolve("HEAD").oid == packed
    assert repository.resolve(later).oid == later


def test_introduced_agrees_with_git_log(shop: Shop) -> None:
    shop.commit({"a": b"1", "d/x": b"1"})
    shop.git("switch", "-q", "-c", "side")
    shop.commit({"d/x": b"2"})
    shop.git("switch", "-q", "main")
    shop.commit({"a": b"2", "gone": b"1"})
    shop.git("merge", "-q", "--no-edit", "side")
    shop.commit({"gone": None, "b": b"1"})
    shop.commit({"c": b"1"})
    head = shop.git("rev-parse", "HEAD")
    found = shop.repository.introduced(head, ["a", "d/x", "d", "gone", "b", "never"])
    for path in ("a", "d/x", "d", "gone", "b"):
        revision = found[path]
        assert revision is not None
        assert revision.oid == shop.git("log", "-1", "--format=%H", head, "--", path), path
    assert found["never"] is None


@given(
    st.lists(st.tuples(st.sampled_from((0o100644, 0o100755, 0o120000, 0o040000)), names, ids), max_size=5), st.data()
)
def test_a_tree_object_is_read_whole_or_not_at_all(lines: list[tuple[int, bytes, bytes]], data: st.DataObject) -> None:
    content = b"".join(b"%o %s\0%s" % line for line in lines)
    found = [parts(line) for line in read_tree(content)]
    assert found == [(mode, os.fsdecode(name), object_id.hex()) for mode, name, object_id in lines]
    cut = data.draw(st.integers(0, max(len(content) - 1, 0)))
    ends = {sum(len(b"%o %s\0%s" % line) for line in lines[:count]) for count in range(len(lines) + 1)}
    if cut not in ends:
        with pytest.raises(ValueError, match="cut off"):
            read_tree(content[:cut])
