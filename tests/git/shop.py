"""A user's repository made and checked with the git command line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lastgood.effects.git import GitRepository, open_repository
from lastgood.ports import RevertOrder

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
    "LC_ALL": "C",
}


class Shop:
    """A work tree and its git."""

    def __init__(self, path: Path, *, identity: bool = True) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        if not (path / ".git").exists():
            self.git("init", "-q", "-b", "main")
        if identity:
            self.git("config", "user.name", "Ada")
            self.git("config", "user.email", "ada@example.com")

    def git(self, *argv: str, code: int = 0, env: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *argv],
            capture_output=True,
            env={**ENV, **(env or {})},
            timeout=60,
            check=False,
        )
        assert done.returncode == code, (argv, done.stdout, done.stderr)
        return os.fsdecode(done.stdout).rstrip("\n")

    def write(self, files: Mapping[str, bytes | None]) -> None:
        for name, data in files.items():
            file = self.path / name
            if data is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)

    def commit(self, files: Mapping[str, bytes | None], message: str = "Change") -> str:
        self.write(files)
        self.git("add", "-A")
        self.git(
            "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "--allow-empty", "-m", message
        )
        return self.git("rev-parse", "HEAD")

    def status(self) -> str:
        return self.git("status", "--porcelain")

    def healthy(self) -> None:
        """What the user sees afterwards is clean, and Git finds nothing wrong."""
        assert self.status() == ""
        assert self.git("diff", "HEAD", "--stat") == ""
        self.git("fsck", "--strict", "--no-dangling")
        assert not list((self.path / ".git").rglob("*.lock"))

    @property
    def repository(self) -> GitRepository:
        return open_repository(self.path)


def order(
    bad: str, target: str, branch: str = "main", keep: tuple[str, ...] = (), deployment: str = "d31"
) -> RevertOrder:
    return RevertOrder(branch, bad, target, "Take r12 back", "r12", deployment, keep)
