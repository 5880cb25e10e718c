"""The user's Git repository."""

from pathlib import Path

from lastgood.effects.git import opening
from lastgood.effects.git.repository import GitRepository

__all__ = ["GitRepository", "init_repository", "open_repository"]


def open_repository(path: Path) -> GitRepository:
    """The repository that governs a path: any folder of a work tree, or a bare one.

    Raises ``Unavailable`` where there is none we can read, ``Refused`` for another user's.
    """
    return GitRepository(opening.discover(path))


def init_repository(path: Path) -> GitRepository:
    """The repository of a path, made if there is none; keeps ``.lastgood/`` out of ``git status``."""
    return GitRepository(opening.initialise(path))
