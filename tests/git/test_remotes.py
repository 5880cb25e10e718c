"""Fetching and pushing, with remotes on this disk; and following what was fetched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lastgood.effects.git import GitRepository
from lastgood.effects.git.command import redacted
from lastgood.errors import Unavailable, UsageError
from lastgood.ports import Gone, Moved, Rewritten, Unchanged
from tests.git.shop import Shop, order
from tests.support.processes import eventually, is_alive


@pytest.fixture
def remote(shop: Shop, tmp_path: Path) -> Shop:
    """A bare remote that ``main`` of the shop follows, with a good and a bad commit."""
    shop.commit({"a": b"1"}, "Good")
    shop.commit({"a": b"2"}, "Bad")
    shop.git("clone", "-q", "--bare", ".", str(tmp_path / "remote.git"))
    shop.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    shop.git("fetch", "-q", "origin")
    shop.git("branch", "-q", "-u", "origin/main")
    there = Shop.__new__(Shop)
    there.path = tmp_path / "remote.git"
    return there


def _oids(shop: Shop) -> tuple[str, str]:
    good, bad = shop.git("rev-parse", "main~1", "main").split()
    return bad, good


def test_the_revert_goes_to_the_upstream(shop: Shop, remote: Shop) -> None:
    done = shop.repository.revert(order(*_oids(shop)))
    pushed = shop.repository.push(done)
    assert pushed is not None
    assert (pushed.remote, pushed.branch, pushed.why) == ("origin", "main", "")
    assert remote.git("rev-parse", "main") == done.commit
    assert shop.git("status", "-sb") == "## main...origin/main"
    assert shop.repository.push(done) == pushed


def test_an_upstream_of_another_name(shop: Shop, remote: Shop) -> None:
    shop.git("push", "-q", "origin", "main:production")
    shop.git("branch", "-q", "-u", "origin/production")
    done = shop.repository.revert(order(*_oids(shop)))
    pushed = shop.repository.push(done)
    assert pushed is not None
    assert pushed.branch == "production"
    assert remote.git("rev-parse", "production") == done.commit
    assert remote.git("rev-parse", "main") != done.commit


def test_refused_because_the_remote_is_ahead_it_goes_beside(shop: Shop, remote: Shop, tmp_path: Path) -> None:
    shop.git("clone", "-q", str(remote.path), str(tmp_path / "colleague"))
    colleague = Shop(tmp_path / "colleague")
    theirs = colleague.commit({"b": b"theirs"})
    colleague.git("push", "-q")
    done = shop.repository.revert(order(*_oids(shop)))
    pushed = shop.repository.push(done)
    assert pushed is not None
    assert pushed.branch == "lastgood/revert-r12"
    assert "refused" in pushed.why
    assert pushed.commands
    assert remote.git("rev-parse", "main") == theirs
    assert remote.git("rev-parse", "lastgood/revert-r12") == done.commit


def test_refused_by_a_hook_its_words_are_passed_on(shop: Shop, remote: Shop) -> None:
    hook = remote.path / "hooks/pre-receive"
    hook.write_text('#!/bin/sh\nread old new ref\necho "policy says no to $ref"\ntest "$ref" != refs/heads/main\n')
    hook.chmod(0o755)
    pushed = shop.repository.push(shop.repository.revert(order(*_oids(shop))))
    assert pushed is not None
    assert pushed.branch == "lastgood/revert-r12"
    assert "policy says no to refs/heads/main" in pushed.why
    hook.write_text("#!/bin/sh\nexit 1\n")
    shop.git("push", "-q", "origin", ":lastgood/revert-r12", code=1)
    done = shop.repository.revert(order(*_oids_after(shop), deployment="d40"))
    pushed = shop.repository.push(done)
    assert pushed is None or pushed.branch is None


def _oids_after(shop: Shop) -> tuple[str, str]:
    """The revert was wrong: take it out again."""
    return shop.git("rev-parse", "main"), shop.git("rev-parse", "main~1")


def test_commits_the_user_has_not_pushed_are_not_published(shop: Shop, remote: Shop) -> None:
    bad, good = _oids(shop)
    before = remote.git("rev-parse", "main")
    shop.commit({"private": b"x"}, "Not ready")
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "main"
    pushed = shop.repository.push(done)
    assert pushed is not None
    assert pushed.branch is None
    assert "1 commit(s) of yours" in pushed.why
    assert remote.git("rev-parse", "main") == before
    assert remote.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_what_went_beside_here_goes_beside_there(shop: Shop, remote: Shop) -> None:
    before = remote.git("rev-parse", "main")
    shop.write({"a": b"mine"})
    done = shop.repository.revert(order(*_oids(shop)))
    pushed = shop.repository.push(done)
    assert pushed is not None
    assert pushed.branch == "lastgood/revert-r12"
    assert remote.git("rev-parse", "lastgood/revert-r12") == done.commit
    assert remote.git("rev-parse", "main") == before


def test_a_remote_that_is_away_is_unavailable_and_no_secret_is_shown(shop: Shop, remote: Shop) -> None:
    done = shop.repository.revert(order(*_oids(shop)))
    shop.git("remote", "set-url", "origin", "http://user:hunter2@127.0.0.1:1/x.git?token=hunter3")
    for call in (lambda: shop.repository.push(done), lambda: shop.repository.fetch("origin", "main")):
        with pytest.raises(Unavailable) as caught:
            call()
        assert "hunter" not in str(caught.value)
        assert "127.0.0.1" in str(caught.value)


def test_a_remote_that_hangs_is_given_up_and_nothing_is_left_behind(shop: Shop, remote: Shop, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho $$ > {marker}\nexec sleep 60\n")
    slow.chmod(0o755)
    shop.git("config", "remote.origin.uploadpack", str(slow))
    begin = time.monotonic()
    with pytest.raises(Unavailable, match=r"longer than 0\.7 s"):
        GitRepository(str(shop.path / ".git"), remote_timeout_s=0.7).fetch("origin", "main")
    assert time.monotonic() - begin < 8
    pid = int(marker.read_text())
    eventually(lambda: is_alive(pid), lambda alive: not alive, within_s=5)  # it was killed, and dies as it is scheduled
    assert not list((shop.path / ".git").rglob("*.lock"))


@pytest.mark.parametrize("name", ["--upload-pack=touch x", "ext::sh -c touch% x", "https://evil.example/x", "", "."])
def test_only_configured_remotes_are_contacted(shop: Shop, remote: Shop, name: str) -> None:
    with pytest.raises(UsageError):
        shop.repository.fetch(name, "main")


def test_a_remote_that_would_run_a_command_is_not_used(shop: Shop, remote: Shop, tmp_path: Path) -> None:
    shop.git("config", "protocol.ext.allow", "always")
    shop.git("remote", "set-url", "origin", f"ext::sh -c touch% {tmp_path}/sprung")
    with pytest.raises(Unavailable, match="not allowed"):
        shop.repository.fetch("origin", "main")
    assert not (tmp_path / "sprung").exists()


def test_a_fetched_branch_is_followed_through_force_push_and_deletion(shop: Shop, remote: Shop, tmp_path: Path) -> None:
    repository = shop.repository
    head = repository.fetch("origin", "main")
    assert head is not None
    assert head.branch == "origin/main"
    assert repository.poll("origin/main", head) == Unchanged(head)
    shop.git("clone", "-q", str(remote.path), str(tmp_path / "colleague"))
    colleague = Shop(tmp_path / "colleague")
    oid = colleague.commit({"b": b"x"}, "Theirs")
    colleague.git("push", "-q")
    assert repository.poll("origin/main", head) == Unchanged(head)
    repository.fetch("origin", "main")
    news = repository.poll("origin/main", head)
    assert isinstance(news, Moved)
    assert [c.oid for c in news.commits] == [oid]
    colleague.git("commit", "-q", "--amend", "-m", "Rewritten")
    colleague.git("push", "-q", "--force")
    repository.fetch("origin", "main")
    assert isinstance(repository.poll("origin/main", news.new), Rewritten)
    remote.git("update-ref", "-d", "refs/heads/main")
    assert repository.fetch("origin", "main") is None
    assert isinstance(repository.poll("origin/main", news.new), Gone)
    assert shop.status() == ""


def test_polling_survives_packing_and_takes_less_than_a_millisecond(shop: Shop) -> None:
    shop.commit({"a": b"1"})
    native = shop.repository._native
    for n in range(200):
        native.create_reference(f"refs/heads/b{n}", native.head.target)
    repository = shop.repository
    first = repository.poll("main", None)
    assert isinstance(first, Moved)
    shop.git("pack-refs", "--all")
    assert repository.poll("main", first.new) == Unchanged(first.new)
    shop.commit({"a": b"2"})
    second = repository.poll("main", first.new)
    assert isinstance(second, Moved)
    shop.git("pack-refs", "--all")
    assert repository.poll("main", second.new) == Unchanged(second.new)
    times = []
    for _ in range(200):
        begin = time.perf_counter()
        repository.poll("main", second.new)
        times.append(time.perf_counter() - begin)
    times.sort()
    print(f"a poll: median {times[100] * 1e6:.0f} us")
    assert times[100] < 0.001


def test_an_old_commit_that_was_collected_counts_as_rewritten(shop: Shop) -> None:
    first = shop.commit({"a": b"1"})
    shop.commit({"a": b"2"})
    news = shop.repository.poll("main", None)
    assert isinstance(news, Moved)
    shop.git("reset", "-q", "--hard", first)
    shop.git("reflog", "expire", "--expire=now", "--all")
    (shop.path / ".git/ORIG_HEAD").unlink()
    shop.git("gc", "-q", "--prune=now")
    shop.git("cat-file", "-e", news.new.oid, code=1)
    assert isinstance(shop.repository.poll("main", news.new), Rewritten)


def test_redaction() -> None:
    secret = "fatal: unable to access 'https://bob:p@ss@git.example/x.git?access_token=abc': no, ssh://key@h/x"
    shown = redacted(secret)
    for word in ("bob", "p@ss", "abc", "key@"):
        assert word not in shown
    assert "git.example/x.git" in shown
    assert redacted("git@host:x.git") == "git@host:x.git"
    assert os.sep in shown


def _from_afar(shop: Shop, remote: Shop, tmp_path: Path) -> tuple[Shop, str, str]:
    """A colleague's bad commit on the remote, fetched here and never merged."""
    shop.git("clone", "-q", str(remote.path), str(tmp_path / "colleague"))
    colleague = Shop.__new__(Shop)
    colleague.path = tmp_path / "colleague"
    good = colleague.git("rev-parse", "HEAD")
    bad = colleague.commit({"a": b"3"}, "Bad, from afar")
    colleague.git("push", "-q")
    shop.git("fetch", "-q", "origin")
    return colleague, bad, good


def test_what_came_from_the_remote_is_taken_out_there(shop: Shop, remote: Shop, tmp_path: Path) -> None:
    _, bad, good = _from_afar(shop, remote, tmp_path)
    before = shop.git("rev-parse", "main")
    done = shop.repository.revert(order(bad, good))
    pushed = shop.repository.push(done)
    assert pushed is not None
    assert (pushed.remote, pushed.branch, pushed.why) == ("origin", "main", "")
    assert remote.git("rev-parse", "main", "main~1").split() == [done.commit, bad]
    assert remote.git("show", "main:a") == "2"
    assert (shop.git("rev-parse", "main"), shop.status()) == (before, "")
    assert shop.git("branch", "--list", "lastgood/*") == ""
    again = shop.repository.revert(order(bad, good))
    assert (again.commit, again.why) == (done.commit, "it was written before")


def test_a_remote_that_moved_on_gets_it_beside(shop: Shop, remote: Shop, tmp_path: Path) -> None:
    colleague, bad, good = _from_afar(shop, remote, tmp_path)
    done = shop.repository.revert(order(bad, good))
    colleague.commit({"b": b"later"}, "Later")
    colleague.git("push", "-q")
    pushed = shop.repository.push(done)
    assert pushed is not None
    assert pushed.branch == "lastgood/revert-r12"
    assert "refused" in pushed.why
    assert remote.git("rev-parse", "lastgood/revert-r12") == done.commit
    assert shop.git("rev-parse", "lastgood/revert-r12") == done.commit


def test_a_remote_that_is_away_keeps_the_commit_here(shop: Shop, remote: Shop, tmp_path: Path) -> None:
    _, bad, good = _from_afar(shop, remote, tmp_path)
    remote.path.rename(tmp_path / "away.git")
    done = shop.repository.revert(order(bad, good))
    with pytest.raises(Unavailable):
        shop.repository.push(done)
    assert shop.git("rev-parse", "lastgood/revert-r12") == done.commit


def test_a_branch_that_never_had_the_change_is_told_so(shop: Shop) -> None:
    good = shop.commit({"a": b"1"}, "Good")
    shop.git("switch", "-q", "-c", "elsewhere")
    bad = shop.commit({"a": b"2"}, "Bad, elsewhere")
    done = shop.repository.revert(order(bad, good))
    assert done.commit is None
    assert "does not contain the commit of r12" in done.why
    assert done.commands
