"""What every refusal has in common: an exit code, words that help, and nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.shop import Done, Shop


@contextmanager
def unchanged(shop: Shop) -> Iterator[None]:
    """Status, history and traffic are afterwards what they were before."""
    before = shop.standing()
    yield
    assert shop.standing() == before


def refuses(shop: Shop, *words: str, code: int, saying: tuple[str, ...], feed: str = "") -> Done:
    """The command ends with this code, says all of this on standard error, and nothing changed."""
    with unchanged(shop):
        done = shop.run(*words, feed=feed)
        assert done.code == code, f"{words} -> {done.code}\n{done.said}"
        for text in saying:
            assert text in done.err, f"{text!r} is not in:\n{done.said}"
        assert "next:" in done.err, done.err
    return done
