"""Holding a branch still: Git's own reference transaction, prepared, and ended when the work tree is written."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lastgood.effects.git.command import end, redacted, start
from lastgood.errors import Unavailable

_TIMEOUT_S = 30.0


class BranchLock:
    """A branch whose lock file we hold at its expected value; leaving it without ``commit`` changes nothing."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def commit(self) -> None:
        """Move the branch; raises ``Unavailable`` when even that fails (a full disk)."""
        if not _said(self._process, b"commit\n", b"commit: ok\n"):
            raise Unavailable(
                "git could not move the branch; its work tree holds the revert as staged changes",
                next="see that there is room on the disk and repeat: it finishes what it began",
            )


@contextmanager
def locked_branch(place: str, branch: str, old: str, new: str, reason: str) -> Iterator[BranchLock | None]:
    """The lock to move a branch from old to new; None when the branch is no longer at old.

    When we are killed, git sees its input end, gives the lock up and leaves the branch where it was. HEAD of the
    repository is locked with it while it points to the branch, so its user cannot switch away in between either.
    """
    process = start(place, ["update-ref", "-m", reason, "--stdin"])
    try:
        order = f"start\nupdate refs/heads/{branch} {new} {old}\nprepare\n".encode()
        if _said(process, order, b"prepare: ok\n"):
            yield BranchLock(process)
        else:
            errors = _last_words(process)
            if "but expected" not in errors and "unable to resolve reference" not in errors:
                raise Unavailable(
                    f"git cannot lock {branch}: {errors}",
                    where=place,
                    next="another git command is at work here; if none is, remove the .lock file it names",
                )
            yield None
    finally:
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()  # the end of its input aborts a transaction that was only prepared
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            pass
        end(process)


def _said(process: subprocess.Popen[bytes], order: bytes, answer: bytes) -> bool:
    """Send an order, wait for the answer that ends it; False when git ended instead or took too long."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(order)
        process.stdin.flush()
    except BrokenPipeError:
        return False
    heard, until_s = b"", time.monotonic() + _TIMEOUT_S
    while not heard.endswith(answer):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, until_s - time.monotonic()))
        more = os.read(process.stdout.fileno(), 4096) if ready else b""
        if not more:
            return False
        heard += more
    return True


def _last_words(process: subprocess.Popen[bytes]) -> str:
    try:
        _, errors = process.communicate(timeout=5.0)
    except subprocess.TimeoutExpired:
        return "it gave no answer"
    return redacted(errors.decode("utf-8", "replace").strip())
