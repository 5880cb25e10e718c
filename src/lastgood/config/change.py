"""One difference between two configurations, in the user's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Effect = Literal["loosens", "tightens"]
Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """What differs.

    ``part`` is what moves (``gateway``, ``service:NAME``, ``database:NAME``, ``bake``, ``project``), ``subject`` what
    the user calls it (``route catalog``), ``text`` a whole sentence. ``effect`` says whether more or fewer requests
    get through than before; a change that does both is told as two.
    """

    part: str
    kind: Kind
    subject: str
    text: str
    effect: Effect | None = None

    def __str__(self) -> str:
        """The text, with LOOSENS where it does."""
        return f"{self.text}: LOOSENS" if self.effect == "loosens" else self.text


Told = tuple[str, Effect | None]
"""A text without its subject, and the effect."""


def listing(words: object) -> str:
    """``a, b and c`` of texts."""
    texts = [str(word) for word in words] if isinstance(words, list | tuple | set | frozenset) else [str(words)]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
