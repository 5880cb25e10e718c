"""What each kind of part brings into a draft: one maker a kind (services, functions, databases) beside the gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lastgood.config.configuration import Configuration, digest_of
from lastgood.errors import Problem
from lastgood.ports import Repository, Revision
from lastgood.release.release import Part

Preparation = Callable[[], Mapping[str, bytes]]
"""What takes its time and is done only for a deployment, never for a plan (fetch, build): it returns the attachments
that tell of what came out, and raises ``LastgoodError`` where nothing did. Blocks; done again, it finds its work done.
"""


@dataclass(frozen=True)
class Made:
    """What a kind contributes to a release.

    ``parts`` are content digests; ``attachments`` are bytes by key (``script:main/0001.up.sql``) that a way back needs
    and that Git may have lost by then: they are kept with the release, read back by ``Configurations.attached``. Keys
    begin with a kind of their own that is no kind of entry.
    """

    parts: Mapping[Part, str]
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    schemas: Mapping[str, str] = field(default_factory=dict)
    instances: Mapping[str, int] = field(default_factory=dict)
    keep_old_s: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    preparations: tuple[Preparation, ...] = ()


class Maker(Protocol):
    """Turns one kind of section into parts. Blocks; called on a thread, off the loop."""

    kind: str
    """The kind of entry it makes movable: ``service``, ``function`` or ``database``."""

    def make(self, configuration: Configuration, revision: Revision, repository: Repository) -> Made:
        """The parts of this kind at a revision; raises ``ConfigError`` with every problem, ``Unavailable``."""
        ...


def attachment_digest(key: str, content: bytes) -> str:
    """The digest an attachment is stored under."""
    return digest_of(key.encode() + b"\0" + content)


def together(made: list[Made]) -> Made:
    """The contributions of all kinds; their parts and attachments have different names."""
    return Made(
        parts={part: digest for one in made for part, digest in one.parts.items()},
        attachments={key: content for one in made for key, content in one.attachments.items()},
        schemas={name: version for one in made for name, version in one.schemas.items()},
        instances={name: count for one in made for name, count in one.instances.items()},
        keep_old_s={name: kept_s for one in made for name, kept_s in one.keep_old_s.items()},
        warnings=tuple(problem for one in made for problem in one.warnings),
        preparations=tuple(preparation for one in made for preparation in one.preparations),
    )
