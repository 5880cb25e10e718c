"""What is seen of the running system: facts, and the parts of which nothing can be said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lastgood.config.configuration import canonical, digest_of
from lastgood.release.step import Cond


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing seen. A stable fact (a schema revision) is part of a plan's basis; a health or a pid is not."""

    part: str
    key: str
    value: Any
    stable: bool = True


def kind_of(part: str) -> str:
    """``service`` of ``service:catalog``."""
    return part.partition(":")[0]


@dataclass(frozen=True)
class Observed:
    """All facts by ``(part, key)``; a kind of parts in ``unknown`` could not be observed (never taken for gone)."""

    facts: dict[tuple[str, str], Fact]
    unknown: frozenset[str] = frozenset()

    @classmethod
    def of(cls, facts: Iterable[Fact], unknown: Iterable[str] = ()) -> Observed:
        """From a loose collection of facts; a later fact replaces an earlier one of the same name."""
        return cls({(fact.part, fact.key): fact for fact in facts}, frozenset(unknown))

    def value(self, part: str, key: str, default: Any = None) -> Any:
        """The value of a fact, or the default where nothing was seen."""
        fact = self.facts.get((part, key))
        return default if fact is None else fact.value

    def keys(self, part: str) -> frozenset[str]:
        """Which facts there are about a part."""
        return frozenset(key for owner, key in self.facts if owner == part)

    def seen(self, kind: str, facts: Iterable[Fact]) -> Observed:
        """After a new look at a kind of parts: what it no longer shows is gone, not remembered."""
        kept = {key: fact for key, fact in self.facts.items() if kind_of(fact.part) != kind}
        kept.update(((fact.part, fact.key), fact) for fact in facts)
        return Observed(kept, self.unknown - {kind})

    def unseen(self, kind: str) -> Observed:
        """After a look that failed: what is stable stays, and is marked unknown; health is not remembered."""
        kept = {key: fact for key, fact in self.facts.items() if fact.stable or kind_of(fact.part) != kind}
        return Observed(kept, self.unknown | {kind})

    def basis(self) -> str:
        """Digest of the stable facts: what a plan was made for."""
        stable = sorted((f.part, f.key, canonical(f.value).decode()) for f in self.facts.values() if f.stable)
        return digest_of(canonical([stable, sorted(self.unknown)]))


def holds(cond: Cond | None, observed: Observed) -> bool:
    """Whether a condition holds of what is seen; what was not seen fails every condition but ``!=``."""
    if cond is None:
        return True
    seen = observed.value(cond.part, cond.key)
    match cond.op:
        case "==":
            return bool(seen == cond.value)
        case "!=":
            return bool(seen != cond.value)
        case "in":
            return seen in cond.value
        case ">=":
            return seen is not None and bool(seen >= cond.value)
        case "<=":
            return seen is not None and bool(seen <= cond.value)
